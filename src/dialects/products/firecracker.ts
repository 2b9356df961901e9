// Firecracker: fingerprints (the CPU that a microVM gets on a host, register by register) and custom CPU templates,
// which are also what is written: a bitmap a register, whose x is left to the host.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { GuestCpu } from '../../cpu/definition.ts';
import type { Description, Note } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { signatureOf } from '../../cpu/proven/cpuid-words.ts';
import { type Dialect, orSkip } from '../dialect.ts';
import { at, decodeText, listOf, readJsonStream, textOf } from '../text/documents.ts';
import { asText, isObject } from '../text/json.ts';
import { quote } from '../text/lines.ts';
import { untold } from '../words/blank-description.ts';
import { physBitsNote } from '../words/product-definitions.ts';
import {
  featuresByRegister,
  type RegisterPlace,
  readRegisters,
  registerKey,
} from '../words/registers.ts';

const REGISTERS = ['eax', 'ebx', 'ecx', 'edx'] as const;
const ARCH_CAPABILITIES = 0x10a;
/** All bits of a register are told. */
const WORD = 0xffffffffn;
/** KVM_CPUID_FLAG_SIGNIFCANT_INDEX: the subleaf matters. */
const BY_SUBLEAF: ReadonlySet<number> = new Set([
  0x4, 0x7, 0xb, 0xd, 0xf, 0x10, 0x12, 0x14, 0x17, 0x18, 0x1d, 0x1e, 0x1f, 0x24, 0x8000001d,
]);

export const firecracker: Dialect = {
  name: 'firecracker',
  recognises: (head) =>
    /"guest_cpu_config"\s*:/.test(head) ||
    /"(?:cpuid_modifiers|msr_modifiers|reg_modifiers)"\s*:/.test(head),
  proves: [
    {
      document: 'fingerprint',
      view: 'hypervisor',
      words: 'cpuid',
      unlisted: 'absent',
      leavesOut: 'bits of registers that it does not state',
    },
  ],
  read(input, catalog, skip) {
    return readJsonStream(input.name, decodeText(input), skip).flatMap(({ value, line }) =>
      orSkip(skip, () => describe(catalog, value, `${input.name}:${line}`, line)),
    );
  },
  use: 'PUT /cpu-config of each microVM before it starts, or "cpu-config" in its configuration file',
  write: (cpu, catalog) => `${JSON.stringify(template(cpu, catalog), null, 2)}\n`,
  notes: (cpu, catalog) => [...physBitsNote(cpu, 'Firecracker'), ...templateNotes(cpu, catalog)],
};

/** A fingerprint speaks for its host; a template alone is what a guest is to have. */
function describe(catalog: Catalog, value: unknown, where: string, line: number): Description {
  const config = at(value, 'guest_cpu_config') ?? value;
  if (at(config, 'reg_modifiers') !== undefined && at(config, 'cpuid_modifiers') === undefined)
    throw new QueryError(
      `${where}: this is of an ARM processor, whose registers the catalog does not describe`,
    );
  const values = new Map<string, bigint>();
  const masks = new Map<string, bigint>();
  const take = (key: string, bitmap: unknown, what: string) => {
    const { value: bits, mask } = parseBitmap(bitmap, where, what);
    values.set(key, bits);
    masks.set(key, mask);
  };
  for (const entry of listOf(at(config, 'cpuid_modifiers') ?? [], where, '"cpuid_modifiers"')) {
    const leaf = hex(at(entry, 'leaf'), where, '"leaf"');
    const subleaf = hex(at(entry, 'subleaf'), where, '"subleaf"');
    for (const modifier of listOf(at(entry, 'modifiers'), where, '"modifiers"')) {
      const register = REGISTERS.find((r) => r === at(modifier, 'register'));
      if (register === undefined)
        throw new QueryError(
          `${where}: a modifier of leaf 0x${leaf.toString(16)} names no register (eax, ebx, ecx, edx)`,
        );
      const what = `the bitmap of leaf 0x${leaf.toString(16)} ${register}`;
      take(registerKey({ kind: 'cpuid', leaf, subleaf, register }), at(modifier, 'bitmap'), what);
    }
  }
  for (const entry of listOf(at(config, 'msr_modifiers') ?? [], where, '"msr_modifiers"')) {
    const msr = hex(at(entry, 'addr'), where, '"addr"');
    take(
      registerKey({ kind: 'msr', msr }),
      at(entry, 'bitmap'),
      `the bitmap of MSR 0x${msr.toString(16)}`,
    );
  }
  const isHost = isObject(at(value, 'guest_cpu_config'));
  const microcode = at(value, 'microcode_version');
  const letters = vendorWords(values);
  const sizes = values.get(
    registerKey({ kind: 'cpuid', leaf: 0x80000008, subleaf: 0, register: 'eax' }),
  );
  const bits = sizes === undefined ? 0 : Number(sizes & 0xffn);
  const version = registerKey({ kind: 'cpuid', leaf: 1, subleaf: 0, register: 'eax' });
  const eax = masks.get(version) === WORD ? values.get(version)! : 0n;
  return {
    ...untold(catalog, 'firecracker', line),
    ...readRegisters(catalog, { values, masks }),
    view: isHost ? 'hypervisor' : 'guest',
    vendor: letters === null ? null : catalog.vendor(letters),
    limits: { physBits: isHost && bits > 0 ? bits : null },
    signature: isHost && eax !== 0n ? signatureOf(Number(eax)) : null,
    microcode:
      typeof microcode === 'string' && /^0x[0-9a-f]+$/i.test(microcode)
        ? microcode.toLowerCase()
        : null,
  };
}

/** The twelve letters of leaf 0, where its three registers are there. */
function vendorWords(values: ReadonlyMap<string, bigint>): string | null {
  const words = (['ebx', 'edx', 'ecx'] as const).map((register) =>
    values.get(registerKey({ kind: 'cpuid', leaf: 0, subleaf: 0, register })),
  );
  if (words.some((word) => word === undefined || word === 0n)) return null;
  return words
    .flatMap((word) =>
      [0n, 8n, 16n, 24n].map((shift) => String.fromCharCode(Number((word! >> shift) & 0xffn))),
    )
    .join('');
}

function hex(value: unknown, where: string, what: string): number {
  const number = typeof value === 'number' ? value : Number(textOf(value, where, what));
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new QueryError(`${where}: ${what} ${quote(asText(value))} is no number; write it like 0x7`);
}

function parseBitmap(value: unknown, where: string, what: string): { value: bigint; mask: bigint } {
  const text = textOf(value, where, what);
  const digits = text.replace(/^0b/, '').replaceAll('_', '');
  if (!text.startsWith('0b') || !/^[01x]{1,128}$/.test(digits))
    throw new QueryError(
      `${where}: ${what} is ${quote(text)}; write 0b and the bits, highest first, each 0, 1 or x`,
    );
  return {
    value: BigInt(`0b${digits.replaceAll('x', '0')}`),
    mask: BigInt(`0b${digits.replaceAll('0', '1').replaceAll('x', '0')}`),
  };
}

/** The registers that a template must fix: those of its features, and those in which some host has more. */
function fixed(cpu: GuestCpu, catalog: Catalog): { where: RegisterPlace; bitmap: string }[] {
  const wanted = new Set(cpu.features);
  const beyond = cpu.beyond === undefined ? null : new Set(cpu.beyond);
  const out: { where: RegisterPlace; bitmap: string }[] = [];
  for (const { where, bits } of featuresByRegister(catalog).values()) {
    if (
      where.kind === 'msr' &&
      (where.msr !== ARCH_CAPABILITIES || !wanted.has('arch-capabilities'))
    )
      continue;
    // The template of a fleet speaks of registers that matter in it: a leaf that a host lacks is refused there.
    const matters = [...bits.values()].some(
      (f) => wanted.has(f.name) || (beyond?.has(f.name) ?? true),
    );
    if (!matters) continue;
    const width = where.kind === 'msr' ? 64 : 32;
    const bitmap = Array.from({ length: width }, (_, i) => {
      const feature = bits.get(width - 1 - i);
      if (!feature || feature.merge === 'never' || feature.merge === 'equal') return 'x';
      return wanted.has(feature.name) ? '1' : '0';
    }).join('');
    if (/[01]/.test(bitmap)) out.push({ where, bitmap: `0b${bitmap}` });
  }
  return out;
}

function template(cpu: GuestCpu, catalog: Catalog) {
  const leaves = new Map<
    string,
    { leaf: string; subleaf: string; flags: number; modifiers: unknown[] }
  >();
  const msrs: { addr: string; bitmap: string }[] = [];
  for (const { where, bitmap } of fixed(cpu, catalog)) {
    if (where.kind === 'msr') {
      msrs.push({ addr: `0x${where.msr.toString(16)}`, bitmap });
      continue;
    }
    const key = `${where.leaf} ${where.subleaf}`;
    const entry = leaves.get(key) ?? {
      leaf: `0x${where.leaf.toString(16)}`,
      subleaf: `0x${where.subleaf.toString(16)}`,
      flags: BY_SUBLEAF.has(where.leaf) ? 1 : 0,
      modifiers: [],
    };
    leaves.set(key, entry);
    entry.modifiers.push({ register: where.register, bitmap });
  }
  return { kvm_capabilities: [], cpuid_modifiers: [...leaves.values()], msr_modifiers: msrs };
}

function templateNotes(cpu: GuestCpu, catalog: Catalog): Note[] {
  const inMsrs = cpu.features.filter((name) => {
    const place = catalog.findQemu(name)?.places[0];
    return place?.kind === 'msr' && place.msr !== ARCH_CAPABILITIES;
  });
  return inMsrs.length === 0
    ? []
    : [
        {
          code: 'cannot-express',
          message: `the template leaves the registers of ${inMsrs.slice(0, 4).join(', ')}${inMsrs.length > 4 ? ', ...' : ''} to each host`,
        },
      ];
}
