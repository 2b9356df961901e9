// What a kernel's headers say of its names for bits: where each lies in CPUID, and which of Linux' own are made of which.
import {
  bodyOf,
  macrosIn,
  plainSource,
  type Statement,
  splitAt,
  statementsOf,
  UnreadableSource,
} from './c.ts';

/** A file of a kernel's tree, by its path; null where there is none. */
export type ReadSource = (path: string) => string | null;

const FEATURES = 'arch/x86/include/asm/cpufeatures.h';
/** Where the enum of words was, by kernel. */
const WORDS = ['arch/x86/include/asm/cpufeature.h', FEATURES];
const REVERSE = 'arch/x86/kvm/reverse_cpuid.h';
/** Where KVM defines bits for itself: the tables were in its header before they had one of their own. */
const OWN = [REVERSE, 'arch/x86/kvm/cpuid.h', 'arch/x86/kvm/cpuid.c'];
const COMMON = 'arch/x86/kernel/cpu/common.c';
const MAKERS: Readonly<Record<string, readonly ('Intel' | 'AMD')[]>> = {
  'arch/x86/kernel/cpu/amd.c': ['AMD'],
  'arch/x86/kernel/cpu/hygon.c': ['AMD'],
  'arch/x86/kernel/cpu/intel.c': ['Intel'],
  [COMMON]: ['Intel', 'AMD'],
  'arch/x86/kernel/cpu/bugs.c': ['Intel', 'AMD'],
};

/** A bit as its word and its number there. */
const NUMBER = /^\(\s*(\d+)\s*\*\s*32\s*\+\s*(\d+)\s*\)/;

export class KvmNames {
  /** Of a word of bits the place in CPUID, as cpuid.7.0.edx. */
  readonly leaves = new Map<string, string>();
  /** Of a feature's name the place, as cpuid.7.0.edx.26; those of Linux' own have none. */
  readonly #places = new Map<string, string>();
  readonly #names = new Set<string>();
  /** Of Linux' own the lists of names that each make it. */
  readonly #made = new Map<string, string[][]>();
  readonly #forced = new Map<string, Set<'Intel' | 'AMD'>>();

  constructor(read: ReadSource) {
    const source = (path: string) => plainSource(read(path) ?? '');
    const reverse = OWN.map(source).join('\n');
    const words = wordNumbers(WORDS.map(source).join('\n'));
    for (const [, word, leaf, index, register] of reverse.matchAll(
      /\[(CPUID_\w+)\]\s*=\s*\{\s*(\w+)\s*,\s*(\w+)\s*,\s*CPUID_(\w+)\s*\}/g,
    ))
      this.leaves.set(
        word!,
        `cpuid.${Number(leaf).toString(16)}.${Number(index)}.${register!.toLowerCase()}`,
      );
    if (this.leaves.size === 0)
      throw new UnreadableSource(`${REVERSE} has no table reverse_cpuid that could be read`);
    this.#readFeatures(source(FEATURES), reverse, words);
    this.#readMade(source(COMMON));
    for (const [path, modules] of Object.entries(MAKERS)) this.#readForced(source(path), modules);
  }

  /** Whether the headers define it at all. */
  has(name: string): boolean {
    return this.#names.has(name);
  }

  place(name: string): string | null {
    return this.#places.get(name) ?? null;
  }

  /** The lists of places that make one of Linux' own; null for one that is made otherwise. */
  madeOf(name: string): readonly (readonly string[])[] | null {
    const lists = this.#made.get(name);
    const places = lists?.map((list) => list.flatMap((one) => this.place(one) ?? []));
    return places?.every((list, i) => list.length === lists![i]!.length) ? places : null;
  }

  /** Whether Linux sets it itself on processors that this module serves. */
  isForced(name: string, module: 'Intel' | 'AMD'): boolean {
    return this.#forced.get(name)?.has(module) ?? false;
  }

  #readFeatures(features: string, reverse: string, words: ReadonlyMap<number, string>): void {
    const numbered = (source: string, prefix: string) => {
      for (const { name, text } of macrosIn(source)) {
        const [, word, bit] = NUMBER.exec(text) ?? [];
        if (word !== undefined && name.startsWith(prefix))
          this.#add(name.slice(prefix.length), words.get(Number(word)), Number(bit));
      }
    };
    numbered(features, 'X86_FEATURE_');
    // What KVM defines for itself stands above: Linux may keep the bit elsewhere.
    for (const { name, text } of macrosIn(reverse)) {
      const [, own] = /^(?:KVM_)?X86_FEATURE_(\w+)$/.exec(name) ?? [];
      const [, word, bit] = /^KVM_X86_FEATURE\(\s*(\w+)\s*,\s*(\d+)\s*\)/.exec(text) ?? [];
      if (own !== undefined && word !== undefined) this.#add(own, word, Number(bit));
    }
    numbered(reverse, 'KVM_X86_FEATURE_');
  }

  #add(name: string, word: string | undefined, bit: number): void {
    this.#names.add(name);
    const leaf = word === undefined ? undefined : this.leaves.get(word);
    if (leaf !== undefined) this.#places.set(name, `${leaf}.${bit}`);
  }

  /** Speculation has words of Linux' own, each set where one of the processor's is there. */
  #readMade(common: string): void {
    const body = bodyOf(common, 'init_speculation_control');
    const visit = (statements: readonly Statement[], lists: string[][] | null) => {
      for (const s of statements)
        if (s.kind === 'if') visit(s.body, anyOf(s.condition));
        else {
          const [, name] = /^set_cpu_cap\(c, X86_FEATURE_(\w+)\)/.exec(s.text) ?? [];
          if (name && lists) this.#made.set(name, [...(this.#made.get(name) ?? []), ...lists]);
        }
    };
    visit(statementsOf(body ?? ''), null);
  }

  #readForced(source: string, modules: readonly ('Intel' | 'AMD')[]): void {
    for (const [, name] of source.matchAll(
      /\b(?:setup_force_cpu_cap|set_cpu_cap)\((?:c,\s*)?X86_FEATURE_(\w+)\)/g,
    )) {
      const known = this.#forced.get(name!) ?? new Set();
      for (const module of modules) known.add(module);
      this.#forced.set(name!, known);
    }
  }
}

/** A list for each of the names that a condition asks for one of; null for any other condition. */
function anyOf(condition: string): string[][] | null {
  const names = splitAt(condition, /^\|\|/).map(
    (part) => /^cpu_has\(c, X86_FEATURE_(\w+)\)$/.exec(part)?.[1],
  );
  return names.every((name) => name !== undefined) ? names.map((name) => [name!]) : null;
}

/** The words of bits by number: those of the processor, then those of KVM alone. */
function wordNumbers(headers: string): Map<number, string> {
  const numbers = new Map<number, string>();
  const list = /enum\s+cpuid_leafs\s*\{([^{}]*)\}/.exec(headers)?.[1];
  if (list === undefined) throw new UnreadableSource(`${WORDS[0]} has no enum cpuid_leafs`);
  for (const [i, entry] of splitAt(list, /^,/).entries())
    if (entry !== '') numbers.set(i, entry.split('=')[0]!.trim());
  return numbers;
}
