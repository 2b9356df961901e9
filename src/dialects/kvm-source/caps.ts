// The capabilities of a KVM module as its source sets them, bit by bit: what passes from the processor, what is made up.
import type { KvmModule } from '../../cpu/schema.ts';
import { type Statement, splitAt, UnreadableSource } from './c.ts';
import { and, type Condition, Conditions, not, YES } from './conditions.ts';
import type { KvmNames } from './kernel-names.ts';

/** What is known so far of one bit of guests. */
export class Bit {
  hardware = false;
  raw = false;
  always = false;
  isOpen = false;
  /** Set where Linux has it. */
  isKept = false;
  /** Given where an option is on; then whether the processor's bit is needed for it. */
  option: 'needed' | 'any' | null = null;
  lists: string[][] = [];
  /** The feature that guests must be given, too. */
  needs: string | null = null;
  unread: string | null = null;

  clear(): void {
    Object.assign(this, new Bit());
  }
}

/** Where a statement stands, for whoever has to look. */
export interface Site {
  readonly file: string;
  readonly function: string;
}
export const siteText = ({ file, function: name }: Site): string => `${file}: ${name}`;

export class Module {
  readonly #module: KvmModule;
  readonly #names: KvmNames;
  readonly #conditions: Conditions;
  readonly #bits = new Map<string, Bit>();
  /** Leaves that are handed to guests at all. */
  readonly #shown: ReadonlySet<string>;
  readonly #root: string | null;

  constructor(
    names: KvmNames,
    module: KvmModule,
    places: readonly string[],
    shown: Iterable<string>,
  ) {
    this.#module = module;
    this.#names = names;
    this.#conditions = new Conditions(names, module);
    this.#shown = new Set(shown);
    this.#root = names.place(module === 'Intel' ? 'VMX' : 'SVM');
    for (const place of places) this.#bits.set(place, new Bit());
  }

  /** Goes over the statements of a function in their order. */
  run(
    statements: readonly Statement[],
    site: Site,
    locals: ReadonlyMap<string, string>,
    under: Condition = YES,
  ): void {
    for (const s of statements)
      if (s.kind === 'plain') this.#plain(s.text, site, locals, under);
      else {
        const condition = this.#conditions.read(s.condition);
        // The raw bit of the processor, past what Linux keeps.
        const raw = /^cpuid_e[abcd]x\(\w+\) & F\((\w+)\)$/.exec(s.condition)?.[1];
        if (raw !== undefined) this.#raw(raw);
        else this.run(s.body, site, locals, and(under, condition));
        this.run(s.otherwise, site, locals, and(under, not(condition)));
      }
  }

  /** A bit by its place, where it is one that guests can ask for. */
  bit(place: string): Bit | undefined {
    return this.#bits.get(place);
  }

  set(place: string | null, under: Condition, site: Site): void {
    const bit = place === null ? undefined : this.#bits.get(place);
    if (!bit || under.is === 'no') return;
    if (under.unread !== null) bit.unread = `${siteText(site)}: if (${under.unread})`;
    else if (under.is === 'yes') {
      bit.clear();
      bit.always = true;
    } else if (under.isOption) {
      // A module serves no processor without its own extension.
      const isOwn =
        under.isTied || place === this.#root || under.lists.some((list) => list.includes(place!));
      bit.option = isOwn || bit.hardware ? 'needed' : 'any';
    } else {
      bit.lists.push(...under.lists.map((list) => [...list]));
      bit.isOpen ||= under.isOpen;
    }
  }

  unset(place: string | null, under: Condition, site: Site): void {
    const bit = place === null ? undefined : this.#bits.get(place);
    if (!bit || under.is === 'no') return;
    if (under.is === 'yes') bit.clear();
    else if (under.isOption && under.unread === null) {
      if (bit.hardware) bit.option = 'needed';
      const root = under.root === null ? null : this.#names.place(under.root);
      if (root !== place) bit.needs = root;
    } else
      bit.unread = `${siteText(site)}: cleared ${under.unread === null ? 'by what no description tells' : `if (${under.unread})`}`;
  }

  #plain(text: string, site: Site, locals: ReadonlyMap<string, string>, under: Condition): void {
    const [, name, rest = ''] = /^(\w+)\((.*)\)$/.exec(text) ?? [];
    const args = splitAt(rest, /^,/).filter((arg) => arg !== '');
    const feature = () => this.#place(/X86_FEATURE_(\w+)/.exec(rest)?.[1] ?? '', site);
    switch (name) {
      case 'kvm_cpu_cap_set':
        this.set(feature(), under, site);
        return;
      case 'kvm_cpu_cap_clear':
        this.unset(feature(), under, site);
        return;
      case 'kvm_cpu_cap_check_and_set':
        this.#keep(/X86_FEATURE_(\w+)/.exec(rest)?.[1] ?? '', under, site);
        return;
      case 'kvm_cpu_cap_mask':
      case 'kvm_cpu_cap_init_kvm_defined':
        this.#mask(args[0]!, splitAt(args.slice(1).join(','), /^\|/), site, locals);
        return;
      case 'kvm_cpu_cap_init':
        this.#mask(args[0]!, args.slice(1), site, locals);
        return;
    }
    const [, leaf, bit] = /^kvm_cpu_caps\[(\w+)\] \|= BIT\((\d+)\)/.exec(text) ?? [];
    if (leaf !== undefined) this.set(`${this.#names.leaves.get(leaf)}.${bit}`, under, site);
    else if (/\bkvm_cpu_cap_(?!has|get)\w+\(|\bkvm_cpu_caps\[/.test(text))
      throw new UnreadableSource(`${siteText(site)} does what is not understood: ${text}`);
  }

  /** What Linux has of a bit, whether the processor or it itself set it. */
  #keep(name: string, under: Condition, site: Site): void {
    const place = this.#place(name, site);
    const bit = place === null ? undefined : this.#bits.get(place);
    if (!bit || under.is === 'no') return;
    if (under.unread !== null) bit.unread = `${siteText(site)}: if (${under.unread})`;
    else if (under.is === 'yes') {
      bit.hardware = true;
      bit.isKept = true;
      bit.isOpen ||= this.#names.isForced(name, this.#module);
    } else if (under.isOption) bit.option = 'needed';
    else bit.unread = `${siteText(site)}: set by what no description tells`;
  }

  #raw(name: string): void {
    const bit = this.#bits.get(this.#names.place(name) ?? '');
    if (!bit) return;
    bit.hardware = true;
    bit.raw = true;
  }

  /** What of a leaf is let through; all others are never given. */
  #mask(
    word: string,
    parts: readonly string[],
    site: Site,
    locals: ReadonlyMap<string, string>,
  ): void {
    const leaf = this.#names.leaves.get(word);
    if (leaf === undefined)
      throw new UnreadableSource(`${siteText(site)} names the word ${word}, which no table has`);
    for (const [place, bit] of this.#bits) if (place.startsWith(`${leaf}.`)) bit.clear();
    if (!this.#shown.has(leaf)) return;
    for (const part of parts) this.#part(leaf, locals.get(part) ?? part, site);
  }

  #part(leaf: string, part: string, site: Site): void {
    if (/^\(?0\)?$/.test(part)) return;
    const [, how, name = ''] = /^(\w+)\((?:(?:KVM_)?X86_FEATURE_)?(\w+)\)$/.exec(part) ?? [];
    if (how === 'BIT') {
      this.#let(`${leaf}.${name}`, 'hardware');
      return;
    }
    const kind = how === undefined ? undefined : KINDS[how];
    if (kind === undefined)
      throw new UnreadableSource(`${siteText(site)} has ${part}, which is not understood`);
    const place = this.#place(name, site);
    if (place?.startsWith(`${leaf}.`)) this.#let(place, kind, name);
  }

  #let(place: string, kind: Kind, name = ''): void {
    const bit = this.#bits.get(place);
    if (!bit || kind === 'never' || (kind === 'alias' && this.#module === 'Intel')) return;
    if (kind === 'always') bit.always = true;
    else bit.hardware = true;
    if (kind === 'raw') bit.raw = true;
    if (kind === 'synthesized') bit.isKept = true;
    if (kind === 'synthesized') bit.isOpen = this.#names.isForced(name, this.#module);
  }

  #place(name: string, site: Site): string | null {
    if (!this.#names.has(name))
      throw new UnreadableSource(
        `${siteText(site)} names X86_FEATURE_${name}, which no header defines`,
      );
    return this.#names.place(name);
  }
}

/** How a bit comes to guests, by the macro around its name. */
type Kind = 'hardware' | 'always' | 'raw' | 'never' | 'synthesized' | 'alias';
const KINDS: Readonly<Record<string, Kind>> = {
  __proto__: null as never,
  F: 'hardware',
  SF: 'hardware',
  X86_64_F: 'hardware',
  SCATTERED_F: 'hardware',
  feature_bit: 'hardware',
  __feature_bit: 'hardware',
  EMULATED_F: 'always',
  PASSTHROUGH_F: 'raw',
  SYNTHESIZED_F: 'synthesized',
  ALIASED_1_EDX_F: 'alias',
  VENDOR_F: 'never',
  RUNTIME_F: 'never',
};
