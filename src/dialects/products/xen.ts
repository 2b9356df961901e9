// Xen: featuresets in its own order of words (xl info, XAPI, xen-cpuid), and cpuid= of xl.cfg, which is what is
// written: there a guest has what its host has, without what is masked.
import { meet, minus } from '../../core/rows.ts';
import type { Catalog, Feature, Vendor } from '../../cpu/catalog/catalog.ts';
import { xenWords } from '../../cpu/catalog/products.ts';
import type { GuestCpu } from '../../cpu/definition.ts';
import type { Description, Note, View } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import { type Dialect, type Input, orSkip } from '../dialect.ts';
import { decodeText, shortLines } from '../text/documents.ts';
import { quote } from '../text/lines.ts';
import { untold, vendorOf } from '../words/blank-description.ts';
import type { ToldFeatures } from '../words/kernel-flags.ts';
import { featuresByRegister, readRegisters, registerKey } from '../words/registers.ts';
import { inferVendor } from '../words/vendor-from-features.ts';

const WORD = /^[0-9a-f]{8}$/i;
/** Words of the order that Xen had before 4.7, by their index today; the others were Xen's own. */
const OLD_ORDER: readonly (number | null)[] = [0, 2, null, null, 1, null, 3, 5];
const LONG_MODE = 1 << 29;
/** From the best word about guests to the weakest. */
const SETS: readonly { readonly name: RegExp; readonly view: View }[] = [
  { name: /^features_hvm_host$/, view: 'hypervisor' },
  { name: /^features_hvm$/, view: 'hypervisor' },
  { name: /^HVM (?:Default|Def)$/i, view: 'hypervisor' },
  { name: /^HVM(?: Max)?$/i, view: 'hypervisor' },
  { name: /^features_pv_host$|^features_pv$/, view: 'hypervisor' },
  { name: /^features$/, view: 'hardware' },
  { name: /^hw_caps$/, view: 'hardware' },
  { name: /^Host$/, view: 'hardware' },
  { name: /^Raw$/, view: 'hardware' },
];

interface Block {
  readonly line: number;
  readonly sets: Map<string, { text: string; line: number }>;
  readonly facts: Map<string, string>;
}

export const xen: Dialect = {
  name: 'xen',
  recognises: (head) =>
    /^[ \t]*hw_caps[ \t]*:[ \t]*[0-9a-f]{8}:/im.test(head) ||
    /features_(?:hvm|pv)(?:_host)?\W+[0-9a-f]{8}-/i.test(head) ||
    /^[ \t]*(?:Raw|Host|HVM(?: \w+)?)[ \t]+[0-9a-f]{8}[:-][0-9a-f]{8}/im.test(head),
  proves: [
    {
      document: 'featuresets of guests',
      view: 'hypervisor',
      words: 'cpuid',
      unlisted: 'absent',
      leavesOut: 'words of registers that it does not show, and what KVM gives by an option only',
    },
    {
      document: 'featuresets of the host',
      view: 'hardware',
      words: 'cpuid',
      unlisted: 'absent',
      leavesOut: 'words of registers that it does not show',
    },
  ],
  read: (input, catalog, skip) =>
    readBlocks(input).flatMap((block) => orSkip(skip, () => describe(input, catalog, block))),
  use: 'a line of the xl.cfg of each guest; it holds where every host is at or above the line',
  write(cpu, catalog) {
    const masked = maskedFeatures(cpu, catalog).flatMap((f) =>
      f.xen === null ? [] : [`${f.xen}=0`],
    );
    return `cpuid = "${['host', ...masked.sort(byBytes)].join(',')}"\n`;
  },
  notes: (cpu, catalog) => xenNotes(cpu, catalog, (f) => f.xen !== null),
};

/** The older syntax, of xend: a mask a register. */
export const xend: Dialect = {
  name: 'xen-xend',
  use: 'the same in the syntax of xend, which xl takes too',
  write(cpu, catalog) {
    const masked = new Set(maskedFeatures(cpu, catalog));
    const leaves = new Map<string, string[]>();
    for (const { where, bits } of featuresByRegister(catalog).values()) {
      if (where.kind === 'msr' || ![...bits.values()].some((f) => masked.has(f))) continue;
      const mask = Array.from({ length: 32 }, (_, i) =>
        masked.has(bits.get(31 - i)!) ? '0' : 'x',
      );
      const leaf = `0x${where.leaf.toString(16)}${where.subleaf === 0 && !bySubleaf(where.leaf) ? '' : `,0x${where.subleaf.toString(16)}`}`;
      leaves.set(leaf, [...(leaves.get(leaf) ?? []), `${where.register}=${mask.join('')}`]);
    }
    const lines = [...leaves].map(
      ([leaf, masks]) => `  "${leaf}:${masks.sort(byBytes).join(',')}"`,
    );
    return lines.length === 0 ? 'cpuid = []\n' : `cpuid = [\n${lines.join(',\n')}\n]\n`;
  },
  notes: (cpu, catalog) => xenNotes(cpu, catalog, (f) => f.places.every((p) => p.kind === 'cpuid')),
};

/** Leaves whose words depend on a subleaf. */
const bySubleaf = (leaf: number): boolean => leaf === 7 || leaf === 0xd;

/** What the guest must not see, although a host may have it. */
function maskedFeatures({ features, beyond }: GuestCpu, catalog: Catalog): Feature[] {
  const wanted = new Set(features);
  const candidates = beyond?.map((name) => catalog.feature(name)) ?? catalog.features;
  return candidates.filter((f) => !wanted.has(f.name) && f.merge === 'all' && !f.isKvm);
}

function xenNotes(cpu: GuestCpu, catalog: Catalog, can: (f: Feature) => boolean): Note[] {
  if (!cpu.beyond) return [];
  const left = maskedFeatures(cpu, catalog)
    .filter((f) => !can(f) && !f.name.startsWith('vmx-'))
    .map((f) => f.name);
  return left.length === 0
    ? []
    : [
        {
          code: 'cannot-express',
          message: `this syntax of Xen has no word for ${left.slice(0, 6).join(', ')}${left.length > 6 ? ` and ${left.length - 6} more` : ''}, which some host may have: Xen's own policy decides whether guests see them`,
        },
      ];
}

/** Keys and values of a line of text or JSON. */
function pairsIn(line: string): (readonly [key: string, value: string])[] {
  const parts = line.split(/([;{},])/);
  return parts.flatMap((part, i) => {
    // Every other is a separator, and what an object stands behind has no value of its own.
    if (i % 2 === 1 || parts[i + 1] === '{') return [];
    const at = part.search(/[:=]/);
    // xe says in brackets whether a parameter can be written.
    const key = unquoted(part.slice(0, Math.max(at, 0)).split('(', 1)[0]!);
    const value = unquoted(part.slice(at + 1));
    return /^\w[\w -]*$/.test(key) && !value.includes('"') ? [[key, value] as const] : [];
  });
}

function unquoted(text: string): string {
  const bare = text.trim();
  return bare.slice(bare.startsWith('"') ? 1 : 0, bare.endsWith('"') ? -1 : undefined).trim();
}

function readBlocks(input: Input): Block[] {
  const blocks: Block[] = [];
  const begin = (line: number): Block => {
    blocks.push({ line, sets: new Map(), facts: new Map() });
    return blocks.at(-1)!;
  };
  for (const [i, text] of shortLines(input.name, decodeText(input)).entries()) {
    const row =
      /^\s*((?:Raw|Host|PV|HVM)(?: (?:Max|Default|Def))?)\s+([0-9a-f]{8}(?:[:-][0-9a-f]+)+)\s*$/i.exec(
        text,
      );
    for (const [key, value] of row ? [[row[1]!, row[2]!] as const] : pairsIn(text)) {
      const isSet = SETS.some(({ name }) => name.test(key));
      const current = blocks.at(-1);
      // A key that comes again, or the name of a host, begins another host.
      const isNext =
        !current ||
        current.sets.has(key) ||
        (/^(?:host|uuid|name_label|name-label)$/.test(key) && current.sets.size > 0);
      const block = isNext ? begin(i + 1) : current;
      if (isSet) block.sets.set(key, { text: value, line: i + 1 });
      else if (!block.facts.has(key)) block.facts.set(key, value);
    }
  }
  const told = blocks.filter((block) => block.sets.size > 0);
  if (told.length === 0)
    throw new QueryError(
      `${input.name} holds no featureset of Xen; give xl info, xe host-param-get param-name=cpu_info, or xen-cpuid -p`,
    );
  return told;
}

function describe(input: Input, catalog: Catalog, { line, sets, facts }: Block): Description {
  const found = SETS.flatMap(({ name, view }) => {
    const key = [...sets.keys()].find((k) => name.test(k));
    return key === undefined ? [] : [{ key, view, ...sets.get(key)! }];
  })[0]!;
  const where = `${input.name}:${found.line}: ${found.key}`;
  const words = found.text.split(/[:-]/);
  if (words.some((word) => !WORD.test(word)))
    throw new QueryError(
      `${where}: ${quote(words.find((word) => !WORD.test(word))!)} is no word of eight hexadecimal digits; the featureset is cut short`,
    );
  if (words.length > xenWords.length + 8)
    throw new QueryError(`${where} has ${words.length} words, more than any featureset of Xen`);
  const values = words.map((word) => Number.parseInt(word, 16));
  const isOld =
    found.key === 'hw_caps' && (values[2]! & LONG_MODE) === 0 && (values[1]! & LONG_MODE) !== 0;
  const byIndex = new Map<number, number>();
  for (const [i, value] of values.entries()) {
    const index = isOld ? OLD_ORDER[i] : i;
    if (index !== null && index !== undefined && index < xenWords.length) byIndex.set(index, value);
  }
  // XAPI leaves out words that are zero at the end; xl info always shows the first eight alone.
  if (found.key !== 'hw_caps')
    for (let i = values.length; i < xenWords.length; i++) byIndex.set(i, 0);
  const vendor = facts.get('vendor') ?? facts.get('cpu_vendor');
  const host =
    facts.get('host') ??
    facts.get('name-label') ??
    facts.get('name_label') ??
    facts.get('hostname');
  const told = readRegisters(catalog, registersOf(byIndex));
  const named = vendorOf(catalog, vendor);
  const maker = named === null ? inferVendor(catalog, told.has) : { vendor: named, notes: [] };
  return {
    ...untold(catalog, 'xen', line),
    ...(found.view === 'hypervisor' ? ofKvmToo(catalog, told, maker.vendor) : told),
    view: found.view,
    host: host ?? null,
    vendor: maker.vendor,
    signature: signatureOf(facts),
    notes: [
      ...maker.notes,
      {
        code: 'xen-policy',
        message:
          "this is what Xen's own policy says; KVM on the same processor may offer more or less",
      },
    ],
  };
}

/**
 * What of Xen's policy holds for KVM: what Xen gives and KVM gives never, or only where an option or the kernel lets
 * it, is unknown.
 */
function ofKvmToo(
  catalog: Catalog,
  { has, known, unnamed }: ToldFeatures,
  vendor: Vendor | null,
): ToldFeatures {
  const given = catalog.rowWhere(
    (f) => !f.hostConditional && (vendor === null ? f.offered.size > 0 : f.offered.has(vendor)),
  );
  const both = meet(has, given);
  return { has: both, known: minus(known, minus(has, both)), unnamed };
}

/** Family, model and stepping, as XAPI tells them of a host. */
function signatureOf(facts: ReadonlyMap<string, string>): Description['signature'] {
  const [family, model, stepping] = ['family', 'model', 'stepping'].map((key) => {
    const text = facts.get(key) ?? '';
    return /^\d+$/.test(text) ? Number(text) : null;
  });
  return family == null || model == null || stepping == null ? null : { family, model, stepping };
}

function registersOf(byIndex: ReadonlyMap<number, number>) {
  const values = new Map<string, bigint>();
  const masks = new Map<string, bigint>();
  for (const [index, value] of byIndex) {
    const word = xenWords[index]!;
    const key = registerKey(word);
    const shift = word.kind === 'msr' && word.half === 'hi' ? 32n : 0n;
    values.set(key, (values.get(key) ?? 0n) | (BigInt(value) << shift));
    masks.set(key, (masks.get(key) ?? 0n) | (0xffffffffn << shift));
  }
  return { values, masks };
}
