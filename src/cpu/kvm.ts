// What KVM and QEMU make of a processor for guests, by the module that serves it and the host's kernel: a table read
// from kernels (data/kvm.ts), no guess. What the kernels that may be there do not agree on is not known.
import { hasBit, join, meet, minus, type Row, setBit } from '../core/rows.ts';
import type { Catalog, Place } from './catalog.ts';
import type { Bits, Description, Note, Signature } from './host.ts';
import { isKernel, type Kernels, kernelsLike } from './kernel.ts';
import { type Hidden, type KvmTable, kvmTable, type Plan, type Told } from './kvm-table.ts';
import type { KvmModule, KvmOnTop, KvmRow } from './schema.ts';

/** What a dump, or a kernel's flags, say of a host. */
export type Shown = Pick<
  Description,
  'has' | 'known' | 'view' | 'vendor' | 'signature' | 'kernel' | 'asIf' | 'qemu' | 'words' | 'bits'
>;

/** What is told of the bits by which KVM decides, and that are no features. */
export function bitsOfKvm(catalog: Catalog, shown: Pick<Shown, 'words' | 'bits'>): Bits {
  const table = kvmTable(catalog);
  const told = table.bits.map((term) => [term, bitAt(shown, term, table.place(term)!)] as const);
  return Object.fromEntries(told.filter((entry): entry is [string, boolean] => entry[1] != null));
}

/** A bit of CPUID, by its name and place. */
function bitAt({ words, bits }: Pick<Shown, 'words' | 'bits'>, term: string, place: Place): Told {
  if (place.kind === 'msr') return undefined;
  const stated = words?.leaf(place.leaf, place.subleaf);
  return stated ? ((stated[place.register] >>> place.bit) & 1) === 1 : bits?.[term];
}

/** The kernel whose KVM is asked. */
export const askedKernel = ({ kernel, asIf }: Shown): string | null => asIf ?? kernel;

/** What guests can be given, and of what that is known. */
export interface Given {
  readonly has: Row;
  readonly known: Row;
}

/** Why guests are not given a feature for certain. */
export interface Withheld {
  /** It is known that they are not. */
  readonly sure: boolean;
  /**
   * processor: it has none; never: no kernel that was read gives it; kernel: the host's does not, or may not; option:
   * a switch of the host, its firmware or a driver decides; needs: a feature that it needs is not given for certain;
   * hidden: Linux takes it away; qemu: QEMU does, or may; untold: the description does not tell; table: no kernel was
   * looked at for it.
   */
  readonly because:
    | 'processor'
    | 'never'
    | 'kernel'
    | 'option'
    | 'needs'
    | 'hidden'
    | 'qemu'
    | 'untold'
    | 'table';
  /** Of a kernel: the oldest read that gives it. */
  readonly from?: string;
  /** Who decides, in the words of the table. */
  readonly why?: string;
}

/** What guests on a host can be given of what its processor or its kernel shows. */
export const kvmGives = (catalog: Catalog, shown: Shown): Given =>
  new KvmHost(catalog, shown).all();

/** Why guests on a host are not given a feature, or not for certain. */
export function whyWithheld(catalog: Catalog, shown: Shown, id: number): Withheld {
  const host = new KvmHost(catalog, shown);
  const is = host.given(id);
  if (is !== true) return { sure: is === false, ...host.why(id) };
  // KVM gives it, and QEMU takes it away for want of another.
  const wanting = catalog.features[id]!.needs.filter(
    (group) => !group.some((other) => host.given(other) === true),
  );
  const names = wanting.map((group) => group.map((other) => catalog.features[other]!.name));
  return {
    sure: wanting.some((group) => group.every((other) => host.given(other) === false)),
    because: 'needs',
    why: names.map((group) => group.join(' or ')).join(', '),
  };
}

/** What a person should know of how far a kernel is known. */
export function kernelNotes(catalog: Catalog, shown: Shown): Note[] {
  const kernel = askedKernel(shown);
  if (kernel === null) return [];
  const subject = shown.asIf === undefined ? `its kernel ${kernel}` : `kernel ${kernel}`;
  const { file } = kvmTable(catalog);
  const note = (what: string): Note[] => [{ code: 'kernel', message: what }];
  if (!isKernel(kernel))
    return note(
      `${JSON.stringify(kernel)} is no version of a Linux kernel, so what KVM gives there is taken from what all kernels agree on`,
    );
  const { like } = kernelsLike(file, kernel);
  if (like === 'newer')
    return note(
      `${subject} is newer than any that the catalog knows, and is taken to give what ${file.kernels.at(-1)} does`,
    );
  return like === 'older'
    ? note(
        `${subject} is older than any that the catalog knows, so what KVM gives there is not known; virsh domcapabilities would tell`,
      )
    : [];
}

/** All of these, as far as it is known. */
function every(told: readonly Told[]): Told {
  if (told.includes(false)) return false;
  return told.includes(undefined) ? undefined : true;
}

/** One of these. */
function some(told: readonly Told[]): Told {
  if (told.includes(true)) return true;
  return told.includes(undefined) ? undefined : false;
}

/** What is asked of one host, each feature once. */
export class KvmHost {
  readonly #shown: Shown;
  readonly #table: KvmTable;
  readonly #kernels: Kernels;
  readonly #modules: readonly KvmModule[];
  readonly #plan: Plan;
  readonly #given = new Map<number, Told>();
  readonly #applied = new Map<KvmOnTop, Told>();

  constructor(catalog: Catalog, shown: Shown) {
    this.#table = kvmTable(catalog);
    const open =
      shown.view === 'kernel' ? this.#table.unshownWithout(shown.has) : this.#table.row([]);
    this.#shown = { ...shown, known: join(shown.has, minus(shown.known, open)) };
    this.#kernels = kernelsLike(this.#table.file, askedKernel(shown));
    this.#modules = this.#table.modulesOf(shown.vendor);
    this.#plan = this.#table.plan(this.#modules, this.#kernels);
  }

  all(): Given {
    const { has: shown, known: told } = this.#shown;
    const { hardware, always, never, rest } = this.#plan;
    // Of older kernels nobody looked at anything, and the next may give what this one never gave.
    const { like } = this.#kernels;
    const none = this.#table.row([]);
    if (like === 'older') return { has: none, known: none.slice() };
    const has = join(meet(shown, hardware), always);
    const known = join(meet(told, hardware), join(always, like === 'newer' ? none : never));
    for (const id of rest) {
      const is = this.given(id);
      if (is !== undefined) setBit(known, id);
      if (is) setBit(has, id);
    }
    // Where nobody looked, what the processor lacks cannot be given.
    return { has, known: join(known, minus(told, join(shown, this.#table.ruled))) };
  }

  /** What every module and kernel that may be there agree on. */
  given(id: number): Told {
    if (this.#given.has(id)) return this.#given.get(id);
    const is = this.#agreed(id);
    this.#given.set(id, is);
    return is;
  }

  #agreed(id: number): Told {
    const { like } = this.#kernels;
    if (like === 'older') return undefined;
    if (!this.#table.has(id)) return this.#stated(id) === false ? false : undefined;
    let all: Told;
    for (const { module, kernel } of this.#plan.combinations(id)) {
      const is = this.#givenBy(id, module, kernel);
      if (is === undefined || (like === 'newer' && this.#isNever(id, module, kernel)))
        return undefined;
      if (all !== undefined && all !== is) return undefined;
      all = is;
    }
    return all;
  }

  why(id: number): Omit<Withheld, 'sure'> {
    const table = this.#table;
    const { rows } = this.#kernels;
    const rules = this.#modules.flatMap((m) => rows.map((k) => table.rule(id, m, k)));
    if (!table.has(id)) return { because: 'table' };
    if (this.#kernels.like === 'older') return { because: 'kernel' };
    const hidden = this.#hidingRule(id);
    if (hidden) return { because: 'hidden', why: hidden.why };
    const onTop = table.onTop(id).find((rule) => this.#mayApply(rule));
    if (onTop && onTop.does !== 'adds') return { because: 'qemu', why: onTop.why };
    if (rules.every((rule) => rule?.when === 'never')) {
      const from = table.firstGiving(id, this.#modules);
      return from === null ? { because: 'never' } : { because: 'kernel', from };
    }
    if (onTop) return { because: 'qemu', why: onTop.why };
    const combinations = this.#plan.combinations(id);
    if (combinations.some(({ module, kernel }) => this.#givenBy(id, module, kernel) === true))
      return { because: 'kernel', ...this.#from(id) };
    return this.#whyByRule(id, rules.find((rule) => rule?.when !== 'never')!);
  }

  #whyByRule(id: number, rule: KvmRow): Omit<Withheld, 'sure'> {
    const bit = this.#stated(id);
    if (rule.needs) {
      const needs = rule.needs.filter((name) => this.given(this.#table.id(name)) !== true);
      if (needs.length > 0) return { because: 'needs', why: needs.join(' ') };
    }
    if (rule.barredBy !== undefined && bit === true)
      return {
        because: 'processor',
        why: 'no performance counters for guests on a hybrid processor',
      };
    if (rule.when === 'hardware') {
      if (bit !== true) return { because: bit === false ? 'processor' : 'untold' };
    } else if (rule.when === 'conditional') {
      if (rule.hardware === 'needed' && bit === false) return { because: 'processor' };
      return { because: 'option', ...(rule.why ? { why: rule.why } : {}) };
    } else if (rule.when === 'made-up') {
      const all = (rule.of ?? []).flat();
      return { because: 'processor', why: `made of ${all.join(', ')}` };
    }
    return { because: 'kernel', ...this.#from(id) };
  }

  #from(id: number): { readonly from?: string } {
    const from = this.#table.firstGiving(id, this.#modules);
    return from === null ? {} : { from };
  }

  #isNever(id: number, module: KvmModule, kernel: number): boolean {
    return this.#table.rule(id, module, kernel)?.when === 'never';
  }

  /** What KVM of this kernel gives, and what QEMU makes of that. */
  #givenBy(id: number, module: KvmModule, kernel: number): Told {
    let is = this.#byKvm(id, module, kernel);
    for (const rule of this.#table.onTop(id)) is = this.#onTop(rule, id, is, module, kernel);
    return is;
  }

  #byKvm(id: number, module: KvmModule, kernel: number): Told {
    const rule = this.#table.rule(id, module, kernel)!;
    const is = this.#byRule(rule, id, this.#bit(id, kernel), kernel);
    if (!rule.needs && rule.barredBy === undefined) return is;
    const needs = (rule.needs ?? []).map((name) => this.given(this.#table.id(name)));
    const barred = rule.barredBy === undefined ? false : this.#term(rule.barredBy, kernel);
    return every([is, ...needs, barred === undefined ? undefined : !barred]);
  }

  #byRule(rule: KvmRow, id: number, bit: Told, kernel: number): Told {
    switch (rule.when) {
      case 'always':
        return true;
      case 'never':
        return false;
      case 'hardware':
        return rule.raw ? this.#raw(id, true) : bit;
      case 'made-up':
        return this.#madeOf(rule, kernel);
      case 'conditional':
        if (rule.of && this.#madeOf(rule, kernel) === true) return true;
        if (rule.hardware === 'needed' && bit === false) return false;
        return rule.hardware === 'enough' && bit === true ? true : undefined;
    }
  }

  #madeOf({ of = [] }: KvmRow, kernel: number): Told {
    return some(of.map((list) => every(list.map((term) => this.#term(term, kernel)))));
  }

  /** A feature by name, a bit by its place, or what no description tells. */
  #term(term: string, kernel: number): Told {
    const place = this.#table.place(term);
    if (!place)
      return term.includes(':')
        ? undefined
        : (this.#bit(this.#table.id(term), kernel) ?? this.#byModel(term));
    if (place.kind === 'msr') return undefined;
    return bitAt(this.#shown, term, place) ?? this.#byModel(term);
  }

  /** What is known of a bit by the model of the processor alone; a guest's may be made up. */
  #byModel(term: string): Told {
    const { signature, vendor, has } = this.#shown;
    const rule = this.#table.file.byModel.find((r) => r.place === term);
    if (!rule || vendor === null || !this.#table.modulesOf(vendor).includes(rule.vendor))
      return undefined;
    if (hasBit(has, this.#table.id('hypervisor'))) return undefined;
    if (isOneOf(rule.having, signature)) return true;
    return isOneOf(rule.lacking, signature) ? false : undefined;
  }

  /** What the description says. */
  #stated(id: number): Told {
    return hasBit(this.#shown.known, id) ? hasBit(this.#shown.has, id) : undefined;
  }

  /** What Linux of this version leaves of it: flags that it printed are what it left, and another may leave more. */
  #bit(id: number, kernel: number): Told {
    const stated = this.#stated(id);
    const { view, asIf } = this.#shown;
    if (view === 'kernel' && asIf === undefined) return stated;
    if (stated !== true) return view === 'kernel' && this.#mayBeHidden(id) ? undefined : stated;
    let left: Told = true;
    for (const hide of this.#table.hides(id))
      if (left !== false && hide.kernels.has(kernel)) left = every([left, this.#leftBy(hide)]);
    return left;
  }

  /** Whether the kernel that printed the flags may have kept this one back; what a switch took stays off. */
  #mayBeHidden(id: number): boolean {
    const { rows } = kernelsLike(this.#table.file, this.#shown.kernel);
    return this.#table
      .hides(id)
      .some((h) => h.models && rows.some((k) => h.kernels.has(k)) && this.#leftBy(h) !== true);
  }

  #leftBy(hide: Hidden): Told {
    const { vendor, signature } = this.#shown;
    const matches = every([
      vendor === null ? undefined : vendor === hide.vendor,
      hide.models === null ? true : isOneOf(hide.models, signature),
    ]);
    if (matches === false) return true;
    // Without models, what was there when the dump was made is there.
    if (hide.models === null)
      return hide.with === null || this.#stated(hide.with) === false || undefined;
    return matches === true && !hide.unsure ? false : undefined;
  }

  /** What the processor itself says, whatever its kernel switches off. */
  #raw(id: number, always: boolean): Told {
    const stated = this.#stated(id);
    const mayHide = always || this.#table.hides(id).length > 0;
    return stated === false && this.#shown.view === 'kernel' && mayHide ? undefined : stated;
  }

  #onTop(rule: KvmOnTop, id: number, is: Told, module: KvmModule, kernel: number): Told {
    if (rule.vendor !== undefined && rule.vendor !== module) return is;
    if (rule.kernels && !this.#table.includes(rule.kernels, kernel)) return is;
    let applies = this.#applies(rule);
    if (rule.where && applies !== false)
      applies = every([
        applies,
        ...rule.where.map((name) => this.#byKvm(this.#table.id(name), module, kernel)),
      ]);
    if (applies === false) return is;
    const made = this.#made(rule, id, is);
    return applies === true || made === is ? made : undefined;
  }

  /** What a rule of QEMU's makes of it where it applies. */
  #made(rule: KvmOnTop, id: number, is: Told): Told {
    switch (rule.does) {
      case 'adds':
        return true;
      case 'adds-from-cpuid':
        return some([is, this.#raw(id, false)]);
      case 'allows':
        return is === false ? undefined : is;
      case 'removes':
        return false;
      case 'may-remove':
        return this.#stated(id) === true ? is : is && undefined;
      case 'nothing':
        return is;
    }
  }

  /** Whether the host is one that a rule of QEMU's is about, as far as that does not depend on module and kernel. */
  #applies(rule: KvmOnTop): Told {
    if (this.#applied.has(rule)) return this.#applied.get(rule);
    const { from, until, models } = rule;
    const { qemu, signature } = this.#shown;
    const isOfModel = models === undefined ? true : isOneOf(models, signature);
    const is = every([isOfModel, from === undefined ? true : isFrom(qemu, from, until)]);
    this.#applied.set(rule, is);
    return is;
  }

  #mayApply(rule: KvmOnTop): boolean {
    return (
      this.#applies(rule) !== false &&
      (rule.vendor === undefined || this.#modules.includes(rule.vendor)) &&
      (rule.kernels === undefined ||
        this.#kernels.rows.some((k) => this.#table.includes(rule.kernels!, k)))
    );
  }

  #hidingRule(id: number): Hidden | undefined {
    const { view, asIf } = this.#shown;
    if (this.#stated(id) !== true || (view === 'kernel' && asIf === undefined)) return undefined;
    return this.#table
      .hides(id)
      .find((h) => this.#kernels.rows.some((k) => h.kernels.has(k)) && this.#leftBy(h) !== true);
  }
}

/** Whether a processor is of one of these models: family/model, /A-B, /* or /model/STEPPING up to that stepping. */
function isOneOf(models: readonly string[], signature: Signature | null): Told {
  if (signature === null) return undefined;
  return models.some((text) => {
    const [family, model, stepping] = text.split('/');
    return (
      Number(family) === signature.family &&
      isWithin(model!, signature.model) &&
      (stepping === undefined || signature.stepping <= Number(stepping))
    );
  });
}

function isWithin(range: string, model: number): boolean {
  const [from, to = from] = range.split('-').map(Number);
  return range === '*' || (model >= from! && model <= to!);
}

/** Whether a QEMU is one that does something from a version on; of those after the last that does not, nobody knows. */
function isFrom(qemu: string | null, from: string, until: string | undefined): Told {
  if (qemu === null) return undefined;
  const number = (version: string) => {
    const [major, minor] = version.split('.').map(Number);
    return major! * 1000 + (minor ?? 0);
  };
  if (number(qemu) >= number(from)) return true;
  return until === undefined || number(qemu) <= number(until) ? false : undefined;
}
