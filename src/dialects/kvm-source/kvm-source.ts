// What KVM gives guests, from the source tree of a kernel: its tables of bits, and the statements that set and clear them.
// What its form defeats is left unread, with the file and the function.
import type { BitPlace, Catalog } from '../../cpu/catalog/catalog.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes, sortByBytes } from '../../cpu/order.ts';
import type { KvmModule, LearntKvm, LearntKvmRow } from '../../cpu/schema.ts';
import {
  behind,
  bodyOf,
  macroOf,
  plainSource,
  type Statement,
  statementsOf,
  UnreadableSource,
} from './c.ts';
import { Module, type Site, siteText } from './caps.ts';
import { and, type Condition, Conditions, not, YES } from './conditions.ts';
import { KvmNames, type ReadSource } from './kernel-names.ts';
import { gateOf, passes } from './leaves.ts';
import { tableRow } from './table-rows.ts';

export type { ReadSource } from './kernel-names.ts';

const CPUID = 'arch/x86/kvm/cpuid.c';
const X86 = 'arch/x86/kvm/x86.c';
const MSRS = 'arch/x86/include/asm/msr-index.h';
const SGX = 'arch/x86/include/asm/sgx.h';
const WORDS = 'arch/x86/include/uapi/asm/kvm_para.h';
/** The function that both modules begin with, by kernel. */
const COMMON = ['kvm_set_cpu_caps', 'kvm_initialize_cpu_caps'];
const OF_MODULE: Readonly<Record<KvmModule, { file: string; function: string }>> = {
  Intel: { file: 'arch/x86/kvm/vmx/vmx.c', function: 'vmx_set_cpu_caps' },
  AMD: { file: 'arch/x86/kvm/svm/svm.c', function: 'svm_set_cpu_caps' },
};
const MODULES: readonly KvmModule[] = ['Intel', 'AMD'];
/** Registers of the processor of which only Intel's has any. */
const ARCH_CAP = 'msr.10a';
const KVM_LEAF = 'cpuid.40000001.0.eax';

/**
 * The column of a kernel.
 * @throws QueryError for what is no tree of a kernel, or whose KVM has another form: it says which function of which file.
 */
export function learnKvm(catalog: Catalog, read: ReadSource): LearntKvm {
  try {
    return new Reader(catalog, read).learn();
  } catch (error) {
    if (!(error instanceof UnreadableSource)) throw error;
    throw new QueryError(
      `this kernel's KVM has another form than those that are known: ${error.message}`,
    );
  }
}

class Reader {
  readonly #read: ReadSource;
  readonly #names: KvmNames;
  /** What QEMU gives every guest, whatever KVM says. */
  readonly #added: ReadonlySet<string>;
  /** The features of each place. */
  readonly #features = new Map<string, string[]>();

  constructor(catalog: Catalog, read: ReadSource) {
    this.#read = read;
    if (read(CPUID) === null)
      throw new QueryError(
        `there is no ${CPUID} below it; give the top folder of a kernel's source, such as linux-source-6.1`,
      );
    this.#names = new KvmNames(read);
    this.#added = new Set(
      catalog.kvm.qemu
        .filter((rule) => rule.does === 'adds' && !rule.from && !rule.where && !rule.vendor)
        .flatMap((rule) => rule.features),
    );
    for (const name of catalog.kvm.rules.flatMap((rule) => rule.features)) {
      const [place] = catalog.feature(name).places;
      if (!place) continue;
      const key = keyOf(place);
      this.#features.set(key, [...(this.#features.get(key) ?? []), name]);
    }
  }

  learn(): LearntKvm {
    const rules = new Map<string, { features: string[]; vendor: KvmModule; row: LearntKvmRow }>();
    const unread = new Map<string, { features: string[]; vendor: KvmModule; why: string }>();
    const cases = this.#source(CPUID);
    for (const vendor of MODULES) {
      const module = this.#moduleOf(vendor, cases);
      for (const [place, features] of this.#features) {
        const found = this.#rowOf(place, module, vendor, cases);
        const isRow = typeof found !== 'string';
        const key = `${vendor} ${JSON.stringify(found)}`;
        if (isRow) {
          const same = rules.get(key) ?? { features: [], vendor, row: found };
          same.features.push(...features);
          rules.set(key, same);
        } else {
          const same = unread.get(key) ?? { features: [], vendor, why: found };
          same.features.push(...features);
          unread.set(key, same);
        }
      }
    }
    const sorted = <T extends { features: string[] }>(lists: Iterable<T>): T[] =>
      [...lists]
        .map((one) => ({ ...one, features: sortByBytes(one.features) }))
        .sort((a, b) => byBytes(a.features[0]!, b.features[0]!));
    return {
      schema: 'plimsoll-kvm-learnt/1',
      kernel: this.#version(),
      rules: sorted(rules.values()),
      unread: sorted(unread.values()),
    };
  }

  #source(path: string): string {
    return plainSource(this.#read(path) ?? '');
  }

  #version(): string {
    const value = (name: string) =>
      new RegExp(`^${name}[ \\t]*=[ \\t]*(\\S*)`, 'm').exec(this.#read('Makefile') ?? '')?.[1] ??
      '';
    const [major, minor, patch] = ['VERSION', 'PATCHLEVEL', 'SUBLEVEL'].map(value);
    if (!major || !minor)
      throw new QueryError('its Makefile does not say which kernel it is (VERSION, PATCHLEVEL)');
    return `${major}.${minor}.${patch || 0}${value('EXTRAVERSION')}`;
  }

  #moduleOf(vendor: KvmModule, cases: string): Module {
    const shown = [...cases.matchAll(/cpuid_entry_override\(entry, (CPUID_\w+)\)/g)].flatMap(
      ([, word]) => this.#names.leaves.get(word!) ?? [],
    );
    if (shown.length === 0)
      throw new UnreadableSource(
        `${CPUID}: __do_cpuid_func hands out no words by cpuid_entry_override`,
      );
    const module = new Module(this.#names, vendor, [...this.#features.keys()], shown);
    const common = COMMON.find((name) => bodyOf(cases, name) !== null);
    if (common === undefined)
      throw new UnreadableSource(`${CPUID} has no function ${COMMON.join(' or ')}`);
    this.#run(module, { file: CPUID, function: common });
    this.#run(module, OF_MODULE[vendor]);
    this.#ofKvm(module, cases);
    this.#archCapabilities(module, vendor);
    const constants = this.#source(SGX);
    const words = new Set(this.#names.leaves.values());
    for (const place of this.#features.keys())
      if (!words.has(place.slice(0, place.lastIndexOf('.'))) && passes(cases, place, constants))
        module.bit(place)!.hardware = true;
    return module;
  }

  #run(module: Module, site: Site): void {
    const source = this.#source(site.file);
    const body = bodyOf(source, site.function);
    if (body === null) throw new UnreadableSource(`${site.file} has no function ${site.function}`);
    const locals = new Map(
      body.split(';').flatMap((part): [string, string][] => {
        const [, name, value] = /\bunsigned int (\w+) = ([\s\S]+)/.exec(part) ?? [];
        return name === undefined ? [] : [[name, value!.trim()]];
      }),
    );
    module.run(statementsOf(body), site, locals);
  }

  /** KVM's own words, and what it says of power management. */
  #ofKvm(module: Module, cases: string): void {
    const site = { file: CPUID, function: '__do_cpuid_func' };
    const own = behind(cases, 'case KVM_CPUID_FEATURES:', 'break;');
    if (own === null)
      throw new UnreadableSource(`${siteText(site)} has no case KVM_CPUID_FEATURES`);
    const numbers = new Map(
      [...this.#source(WORDS).matchAll(/define\s+KVM_FEATURE_(\w+)\s+(\d+)/g)].map(
        ([, name, bit]) => [name!, bit!],
      ),
    );
    for (const [, name] of own.matchAll(/KVM_FEATURE_(\w+)/g))
      module.set(`${KVM_LEAF}.${numbers.get(name!)}`, YES, site);
    const [, power = '0'] = /entry->eax = (\w+);/.exec(behind(cases, 'case 6:', '}') ?? '') ?? [];
    for (let bit = 0; bit < 32; bit++)
      if ((Number(power) >>> bit) & 1) module.set(`cpuid.6.0.eax.${bit}`, YES, site);
    const clocks = behind(cases, 'case 0x80000007:', '}') ?? '';
    const [, edx] = /entry->edx &= \(1 << (\d+)\)/.exec(clocks) ?? [];
    const invariant = edx === undefined ? undefined : module.bit(`cpuid.80000007.0.edx.${edx}`);
    if (invariant) invariant.hardware = true;
  }

  /** The register of words of immunity: what is let through, and what is made up. */
  #archCapabilities(module: Module, vendor: KvmModule): void {
    const source = this.#source(X86);
    const site = { file: X86, function: 'kvm_get_arch_capabilities' };
    const through = macroOf(source, 'KVM_SUPPORTED_ARCH_CAP');
    const body = bodyOf(source, site.function);
    if (through === null || body === null)
      throw new UnreadableSource(`${siteText(site)} or KVM_SUPPORTED_ARCH_CAP is not there`);
    const bits = new Map(
      [...this.#source(MSRS).matchAll(/define\s+(ARCH_CAP_\w+)\s+BIT(?:_ULL)?\((\d+)\)/g)].map(
        ([, name, bit]) => [name!, `${ARCH_CAP}.${bit}`],
      ),
    );
    if (vendor === 'Intel')
      for (const [name] of through.matchAll(/ARCH_CAP_\w+/g)) {
        const bit = module.bit(bits.get(name) ?? '');
        if (bit) bit.hardware = true;
      }
    const conditions = new Conditions(this.#names, vendor);
    const visit = (statements: readonly Statement[], under: Condition) => {
      for (const s of statements)
        if (s.kind === 'if') {
          const condition = conditions.read(s.condition);
          visit(s.body, and(under, condition));
          visit(s.otherwise, and(under, not(condition)));
        } else {
          const [, sign, name] = /^data (\|=|&= ~)\s*(ARCH_CAP_\w+)$/.exec(s.text) ?? [];
          if (name === undefined) continue;
          const place = bits.get(name) ?? null;
          if (sign === '|=') module.set(place, under, site);
          else module.unset(place, under, site);
        }
    };
    visit(statementsOf(body), YES);
  }

  /** The row of a place, or why there is none. */
  #rowOf(place: string, module: Module, vendor: KvmModule, cases: string): LearntKvmRow | string {
    const bit = module.bit(place)!;
    if (bit.unread !== null) return bit.unread;
    if (place.startsWith('msr.') && !place.startsWith(`${ARCH_CAP}.`))
      return vendor === 'AMD' && /^msr\.4[89]/.test(place)
        ? { when: 'never' }
        : `the register ${place.split('.')[1]} is made in ${OF_MODULE[vendor].file} and what it calls, which is not followed`;
    const gate = gateOf(cases, place);
    const root = gate === null ? bit.needs : this.#names.place(gate);
    const row = tableRow(bit, place, vendor, (one) => this.#features.get(one)?.[0] ?? one);
    if (row.when === 'never' && this.#features.get(place)!.every((name) => this.#added.has(name)))
      return { when: 'always' };
    if (root === null || root === place || row.when === 'never' || row.when === 'always')
      return row;
    const needs = this.#features.get(root);
    // What an option takes, it takes with all that hangs on it.
    if (!needs || module.bit(root)?.option === null) return row;
    return row.when === 'hardware'
      ? { when: 'conditional', hardware: 'needed', needs }
      : { ...row, needs };
  }
}

function keyOf(place: BitPlace): string {
  if (place.kind === 'msr') return `msr.${place.msr.toString(16)}.${place.bit}`;
  const { leaf, subleaf, register, bit } = place;
  return `cpuid.${leaf.toString(16)}.${subleaf}.${register}.${bit}`;
}
