// What KVM and QEMU make of a processor for guests, by the module that serves it and the host's kernel: a table read
// from kernels (data/kvm.ts), no guess. What the kernels that may be there do not agree on is not known.
import { hasBit, join, minus, type Row } from '../../core/rows.ts';
import type { BitPlace, Catalog } from '../catalog/catalog.ts';
import type { Bits, Description, Note, Signature } from '../description.ts';
import type { KvmModule, KvmRow } from '../schema.ts';
import { isKernel, type Kernels } from './kernel.ts';
import {
  byBit,
  type Case,
  type Given,
  type Group,
  type Hidden,
  isIn,
  type KvmTable,
  kvmTable,
  type OnTop,
  type Plan,
  type Tristate,
  tell,
} from './kvm-table.ts';

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
function bitAt(
  { words, bits }: Pick<Shown, 'words' | 'bits'>,
  term: string,
  place: BitPlace,
): Tristate {
  if (place.kind === 'msr') return undefined;
  const stated = words?.leaf(place.leaf, place.subleaf);
  return stated ? ((stated[place.register] >>> place.bit) & 1) === 1 : bits?.[term];
}

/** The kernel whose KVM is asked. */
export const askedKernel = ({ kernel, asIf }: Shown): string | null => asIf ?? kernel;

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
  const table = kvmTable(catalog);
  const note = (what: string): Note[] => [{ code: 'kernel', message: what }];
  if (!isKernel(kernel))
    return note(
      `${JSON.stringify(kernel)} is no version of a Linux kernel, so what KVM gives there is taken from what all kernels agree on`,
    );
  const { like } = table.kernelsLike(kernel);
  if (like === 'newer')
    return note(
      `${subject} is newer than any that the catalog knows, and is taken to give what ${table.file.kernels.at(-1)} does`,
    );
  return like === 'older'
    ? note(
        `${subject} is older than any that the catalog knows, so what KVM gives there is not known; virsh domcapabilities would tell`,
      )
    : [];
}

/** All of these, as far as it is known. */
function every(told: readonly Tristate[]): Tristate {
  if (told.includes(false)) return false;
  return told.includes(undefined) ? undefined : true;
}

/** One of these. */
function some(told: readonly Tristate[]): Tristate {
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
  readonly #given = new Map<number, Tristate>();
  readonly #applied = new Map<OnTop, Tristate>();

  constructor(catalog: Catalog, shown: Shown) {
    this.#table = kvmTable(catalog);
    const open =
      shown.view === 'kernel' ? this.#table.unshownWithout(shown.has) : this.#table.row([]);
    this.#shown = { ...shown, known: join(shown.has, minus(shown.known, open)) };
    this.#kernels = this.#table.kernelsLike(askedKernel(shown));
    this.#modules = this.#table.modulesOf(shown.vendor);
    this.#plan = this.#table.plan(this.#modules, this.#kernels);
  }

  all(): Given {
    const { has: shown, known: told } = this.#shown;
    // Of older kernels nobody looked at anything.
    if (this.#kernels.like === 'older')
      return { has: this.#table.row([]), known: this.#table.row([]) };
    const [on, off] = [copy(this.#plan.on), copy(this.#plan.off)];
    const { asked } = this.#plan;
    for (const group of asked) {
      if (group.ids.length === 1) continue;
      tell(on, group.mask, this.#agreed(group, true));
      tell(off, group.mask, this.#agreed(group, false));
    }
    const given = byBits(shown, told, on, off);
    for (const { ids, mask } of asked) if (ids.length === 1) tell(given, mask, this.given(ids[0]!));
    return given;
  }

  /** What every module and kernel that may be there agree on. */
  given(id: number): Tristate {
    if (this.#kernels.like === 'older') return undefined;
    if (this.#given.has(id)) return this.#given.get(id);
    const group = this.#table.groupOf(id);
    const bit = this.#stated(id);
    const is = group ? this.#agreed(group, bit) : bit && undefined;
    this.#given.set(id, is);
    return is;
  }

  /** The same for the features of a group of which the description says this. */
  #agreed(group: Group, bit: Tristate): Tristate {
    const cases = this.#plan.cases(group);
    let all: Tristate;
    for (let i = 0; i < cases.length; i++) {
      const at = cases[i]!;
      const is = this.#plan.mayChange(at.row) ? undefined : this.#givenBy(group.ids[0]!, bit, at);
      if (is === undefined || (i > 0 && is !== all)) return undefined;
      all = is;
    }
    return all;
  }

  why(id: number): Omit<Withheld, 'sure'> {
    const table = this.#table;
    const { rows } = this.#kernels;
    const rules = this.#modules.flatMap((m) => rows.map((k) => table.rule(id, m, k)));
    const group = table.groupOf(id);
    if (!group) return { because: 'table' };
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
    const bit = this.#stated(id);
    if (this.#plan.cases(group).some((at) => this.#givenBy(id, bit, at) === true))
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

  /** What KVM gives in a case, and what QEMU makes of that. */
  #givenBy(id: number, bit: Tristate, at: Case): Tristate {
    let is = this.#byKvm(id, bit, at);
    for (const rule of this.#table.onTop(id)) is = this.#onTop(rule, id, is, at);
    return is;
  }

  #byKvm(id: number, bit: Tristate, { row, kernel }: Case): Tristate {
    const is = this.#byRow(row, id, this.#left(id, bit, kernel), kernel);
    if (is === false || (!row.needs && row.barredBy === undefined)) return is;
    const needs = (row.needs ?? []).map((name) => this.given(this.#table.id(name)));
    const barred = row.barredBy === undefined ? false : this.#term(row.barredBy, kernel);
    return every([is, ...needs, barred === undefined ? undefined : !barred]);
  }

  #byRow(row: KvmRow, id: number, bit: Tristate, kernel: number): Tristate {
    if (row.raw) return this.#raw(id, bit, true);
    const isMade = row.of ? this.#madeOf(row, kernel) : undefined;
    if (row.when === 'made-up' || isMade === true) return isMade;
    return byBit(row, bit);
  }

  #madeOf({ of = [] }: KvmRow, kernel: number): Tristate {
    return some(of.map((list) => every(list.map((term) => this.#term(term, kernel)))));
  }

  /** A feature by name, a bit by its place, or what no description tells. */
  #term(term: string, kernel: number): Tristate {
    const place = this.#table.place(term);
    if (!place)
      return term.includes(':')
        ? undefined
        : (this.#bitOf(this.#table.id(term), kernel) ?? this.#byModel(term));
    if (place.kind === 'msr') return undefined;
    return bitAt(this.#shown, term, place) ?? this.#byModel(term);
  }

  /** What is known of a bit by the model of the processor alone; a guest's may be made up. */
  #byModel(term: string): Tristate {
    const { signature, vendor, has } = this.#shown;
    const rule = this.#table.file.byModel.find((r) => r.place === term);
    if (!rule || vendor === null || !this.#table.modulesOf(vendor).includes(rule.vendor))
      return undefined;
    if (hasBit(has, this.#table.id('hypervisor'))) return undefined;
    if (isOneOf(rule.having, signature)) return true;
    return isOneOf(rule.lacking, signature) ? false : undefined;
  }

  /** What the description says. */
  #stated(id: number): Tristate {
    return hasBit(this.#shown.known, id) ? hasBit(this.#shown.has, id) : undefined;
  }

  #bitOf(id: number, kernel: number): Tristate {
    return this.#left(id, this.#stated(id), kernel);
  }

  /** What Linux of this version leaves of a bit: flags that it printed are what it left, and another may leave more. */
  #left(id: number, bit: Tristate, kernel: number): Tristate {
    const { view, asIf } = this.#shown;
    if (view === 'kernel' && asIf === undefined) return bit;
    if (bit !== true) return view === 'kernel' && this.#mayBeHidden(id) ? undefined : bit;
    const hides = this.#table.hides(id).filter(({ kernels }) => isIn(kernels, kernel));
    return every(hides.map((hide) => this.#leftBy(hide)));
  }

  /** Whether the kernel that printed the flags may have kept this one back; what a switch took stays off. */
  #mayBeHidden(id: number): boolean {
    const { rows } = this.#table.kernelsLike(this.#shown.kernel);
    return this.#table
      .hides(id)
      .some((h) => h.models && rows.some((k) => isIn(h.kernels, k)) && this.#leftBy(h) !== true);
  }

  #leftBy(hide: Hidden): Tristate {
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
  #raw(id: number, bit: Tristate, always: boolean): Tristate {
    const mayHide = always || this.#table.hides(id).length > 0;
    return bit === false && this.#shown.view === 'kernel' && mayHide ? undefined : bit;
  }

  #onTop(rule: OnTop, id: number, is: Tristate, { module, kernel }: Case): Tristate {
    if (rule.vendor !== undefined && rule.vendor !== module) return is;
    if (!isIn(rule.kernels, kernel)) return is;
    const applies = every([
      this.#applies(rule),
      ...rule.where.map((other) =>
        this.#byKvm(other, this.#stated(other), {
          module,
          kernel,
          row: this.#table.rule(other, module, kernel)!,
        }),
      ),
    ]);
    if (applies === false) return is;
    const made = this.#made(rule, id, is);
    return applies === true || made === is ? made : undefined;
  }

  /** What a rule of QEMU's makes of it where it applies. */
  #made(rule: OnTop, id: number, is: Tristate): Tristate {
    switch (rule.does) {
      case 'adds':
        return true;
      case 'adds-from-cpuid':
        return some([is, this.#raw(id, this.#stated(id), false)]);
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
  #applies(rule: OnTop): Tristate {
    if (this.#applied.has(rule)) return this.#applied.get(rule);
    const { from, until, models } = rule;
    const { qemu, signature } = this.#shown;
    const isOfModel = models === undefined ? true : isOneOf(models, signature);
    const is = every([isOfModel, from === undefined ? true : isFrom(qemu, from, until)]);
    this.#applied.set(rule, is);
    return is;
  }

  #mayApply(rule: OnTop): boolean {
    return (
      this.#applies(rule) !== false &&
      (rule.vendor === undefined || this.#modules.includes(rule.vendor)) &&
      this.#kernels.rows.some((k) => isIn(rule.kernels, k))
    );
  }

  #hidingRule(id: number): Hidden | undefined {
    const { view, asIf } = this.#shown;
    if (this.#stated(id) !== true || (view === 'kernel' && asIf === undefined)) return undefined;
    return this.#table
      .hides(id)
      .find((h) => this.#kernels.rows.some((k) => isIn(h.kernels, k)) && this.#leftBy(h) !== true);
  }
}

const copy = ({ has, known }: Given): Given => ({ has: has.slice(), known: known.slice() });

/** What is given of each feature as its bit is on or off; where that is not told, both must come to the same. */
function byBits(has: Row, known: Row, on: Given, off: Given): Given {
  const given = copy(on);
  for (let i = 0; i < has.length; i++) {
    const is = has[i]!;
    const isNot = known[i]! & ~is;
    const untold = ~(is | isNot) & ~(on.has[i]! ^ off.has[i]!);
    given.has[i] = (on.has[i]! & (is | (untold & off.has[i]!))) | (off.has[i]! & isNot);
    given.known[i] = (on.known[i]! & (is | (untold & off.known[i]!))) | (off.known[i]! & isNot);
  }
  return given;
}

/** Whether a processor is of one of these models: family/model, /A-B, /* or /model/STEPPING up to that stepping. */
function isOneOf(models: readonly string[], signature: Signature | null): Tristate {
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
function isFrom(qemu: string | null, from: string, until: string | undefined): Tristate {
  if (qemu === null) return undefined;
  const number = (version: string) => {
    const [major, minor] = version.split('.').map(Number);
    return major! * 1000 + (minor ?? 0);
  };
  if (number(qemu) >= number(from)) return true;
  return until === undefined || number(qemu) <= number(until) ? false : undefined;
}
