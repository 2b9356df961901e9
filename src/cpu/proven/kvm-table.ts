// The table of what KVM gives, by number, made when a processor is first asked about; a fleet that only hypervisors
// describe never makes it. Features with equal rows are asked as one, and so are kernels that nothing tells apart.
import {
  hasAll,
  hasBit,
  type Mask,
  maskOf,
  type Row,
  rowOf,
  setBits,
  size,
} from '../../core/rows.ts';
import type { BitPlace, Catalog, Vendor } from '../catalog/catalog.ts';
import { parsePlace } from '../catalog/unpack.ts';
import type { KvmFile, KvmModule, KvmOnTop, KvmRow } from '../schema.ts';
import { type Kernels, kernelsLike } from './kernel.ts';

/** Whether something is so; undefined where that is not known. */
export type Tristate = boolean | undefined;

/** Kernels that were read: bit `i` is the one at this place among all. */
type KernelSet = number;

const MOST_KERNELS = 32;

/** What Linux takes from processors. */
export interface Hidden {
  readonly vendor: KvmModule;
  readonly kernels: KernelSet;
  readonly models: readonly string[] | null;
  readonly unsure: boolean;
  readonly with: number | null;
  readonly why: string;
}

/** What QEMU does on top, without what it does nothing to. */
export interface OnTop extends Omit<KvmOnTop, 'kernels' | 'where'> {
  readonly kernels: KernelSet;
  readonly where: readonly number[];
}

interface RowOfKernels {
  readonly kernels: KernelSet;
  readonly row: KvmRow;
}

/** Features that have the same rows and stand for the same kernels. What Linux hides or QEMU changes is alone. */
export interface Group {
  readonly ids: readonly number[];
  readonly mask: Mask;
  readonly isOutOfOrder: boolean;
  readonly rows: Readonly<Record<KvmModule, readonly RowOfKernels[]>>;
}

/** A module and a kernel that speaks for all that give the same, and the row there. */
export interface Case {
  readonly module: KvmModule;
  readonly kernel: number;
  readonly row: KvmRow;
}

const MODULES: readonly KvmModule[] = ['Intel', 'AMD'];
const PLACE = /^(?:cpuid|msr)\./;
const NONE: readonly never[] = [];

export const isIn = (kernels: KernelSet, kernel: number): boolean =>
  ((kernels >>> kernel) & 1) === 1;
const setOf = (kernels: readonly number[]): KernelSet =>
  kernels.reduce((set, kernel) => set | (1 << kernel), 0);

export class KvmTable {
  readonly file: KvmFile;
  readonly groups: readonly Group[];
  /** The features that it has rows for. */
  readonly ruled: Row;
  readonly #catalog: Catalog;
  readonly #kernels: readonly string[];
  readonly #groupOf = new Map<number, Group>();
  readonly #hides = new Map<number, Hidden[]>();
  readonly #onTop = new Map<number, OnTop[]>();
  readonly #outOfOrder: ReadonlySet<number>;
  readonly #sets = new Map<string, KernelSet>();
  readonly #likes = new Map<string | null, Kernels>();
  readonly #plans = new Map<string, Plan>();
  readonly #lossy = new Map<KvmModule, readonly number[]>();
  readonly #places = new Map<string, BitPlace | null>();

  constructor(catalog: Catalog) {
    const file = catalog.kvm;
    this.file = file;
    this.#catalog = catalog;
    this.#kernels = [...file.kernels, ...file.distributions];
    if (this.#kernels.length > MOST_KERNELS)
      throw new RangeError(
        `a table of ${this.#kernels.length} kernels: a set holds ${MOST_KERNELS}`,
      );
    for (const { feature, models = null, unsure = false, ...hide } of file.hides)
      add(this.#hides, this.id(feature), {
        ...hide,
        kernels: this.#set(hide.kernels),
        models,
        unsure,
        with: hide.with === undefined ? null : this.id(hide.with),
      });
    for (const { features, kernels, where = NONE, ...rule } of file.qemu) {
      if (rule.does === 'nothing') continue;
      const onTop = { ...rule, features, kernels: this.#set(kernels), where: this.#ids(where) };
      for (const name of features) add(this.#onTop, this.id(name), onTop);
    }
    this.#outOfOrder = new Set(this.#ids(file.outOfOrder));
    this.groups = file.rules.flatMap((rule) => this.#groupsOf(rule));
    for (const group of this.groups) for (const id of group.ids) this.#groupOf.set(id, group);
    this.ruled = this.row([...this.#groupOf.keys()]);
  }

  #groupsOf({ features, rows }: KvmFile['rules'][number]): Group[] {
    const all = rows.map((row) => ({ kernels: this.#set(row.kernels), row }));
    const of = (module: KvmModule) => all.filter(({ row }) => (row.vendor ?? module) === module);
    const byModule = { Intel: of('Intel'), AMD: of('AMD') };
    const groups = new Map<string, number[]>();
    for (const id of this.#ids(features)) {
      const key = this.isChanged(id)
        ? `${id}`
        : this.#outOfOrder.has(id)
          ? 'out of order'
          : 'in order';
      add(groups, key, id);
    }
    return [...groups.values()].map((ids) => ({
      ids,
      mask: maskOf(ids),
      isOutOfOrder: this.#outOfOrder.has(ids[0]!),
      rows: byModule,
    }));
  }

  id(name: string): number {
    return this.#catalog.feature(name).id;
  }

  #ids(names: readonly string[]): number[] {
    return names.map((name) => this.id(name));
  }

  row(ids: readonly number[]): Row {
    return rowOf(this.#catalog.bits, ids);
  }

  /** Null for a feature that it has no rows for. */
  groupOf(id: number): Group | null {
    return this.#groupOf.get(id) ?? null;
  }

  rule(id: number, module: KvmModule, kernel: number): KvmRow | undefined {
    return this.groupOf(id)?.rows[module].find(({ kernels }) => isIn(kernels, kernel))?.row;
  }

  /** What speaks for a kernel of a host; null is one that nobody told. */
  kernelsLike(kernel: string | null): Kernels {
    const kernels = this.#likes.get(kernel) ?? kernelsLike(this.file, kernel);
    this.#likes.set(kernel, kernels);
    return kernels;
  }

  /** What is to be asked where these modules and kernels may be there. */
  plan(modules: readonly KvmModule[], kernels: Kernels): Plan {
    const key = `${modules} ${kernels.like === 'newer'} ${setOf(kernels.rows)} ${setOf(kernels.outOfOrder)}`;
    const plan = this.#plans.get(key) ?? new Plan(this, modules, kernels);
    this.#plans.set(key, plan);
    return plan;
  }

  /**
   * The cases of a group: of kernels that no row, nothing that Linux hides and nothing that QEMU does tells apart, one
   * is enough.
   */
  cases(group: Group, modules: readonly KvmModule[], kernels: KernelSet): Case[] {
    return modules.flatMap((module) => {
      let parts = [kernels];
      for (const set of this.#differences(group, module))
        parts = parts.flatMap((part) => [part & set, part & ~set]).filter((part) => part !== 0);
      return parts.map((part) => {
        const kernel = 31 - Math.clz32(part & -part);
        return { module, kernel, row: this.rule(group.ids[0]!, module, kernel)! };
      });
    });
  }

  /** The sets of kernels on one side of which another answer may hold than on the other. */
  #differences({ ids, rows }: Group, module: KvmModule): KernelSet[] {
    const all = rows[module].map(({ kernels }) => kernels);
    const hidden = (id: number | undefined) => {
      if (id !== undefined) for (const { kernels } of this.hides(id)) all.push(kernels);
    };
    for (const { row } of rows[module])
      for (const list of row.of ?? NONE)
        for (const term of list) hidden(this.#catalog.findQemu(term)?.id);
    hidden(ids[0]);
    for (const { kernels, where } of this.onTop(ids[0]!)) {
      all.push(kernels);
      for (const id of where) all.push(...this.#differences(this.groupOf(id)!, module));
    }
    return all;
  }

  hides(id: number): readonly Hidden[] {
    return this.#hides.get(id) ?? NONE;
  }

  onTop(id: number): readonly OnTop[] {
    return this.#onTop.get(id) ?? NONE;
  }

  /** Whether more than its rows decides about a feature. */
  isChanged(id: number): boolean {
    return this.#hides.has(id) || this.#onTop.has(id);
  }

  /** What flags without one of these leave open: itself, and all that QEMU clears without it. */
  unshownWithout(has: Row): Row {
    const open = this.row(this.#ids(this.file.unshown).filter((id) => !hasBit(has, id)));
    for (let before = -1; before !== size(open); ) {
      before = size(open);
      for (const { anyMask, clearsMask } of this.#catalog.dependencies)
        if (hasAll(open, anyMask)) setBits(open, clearsMask);
    }
    return open;
  }

  /** The modules that may serve a vendor's processors. */
  modulesOf(vendor: Vendor | null): readonly KvmModule[] {
    const own = MODULES.filter((m) => vendor !== null && this.file.modules[m].includes(vendor));
    return own.length > 0 ? own : MODULES;
  }

  /** The oldest kernel of the mainline that gives a feature to anybody. */
  firstGiving(id: number, modules: readonly KvmModule[]): string | null {
    return (
      this.file.kernels.find((_, kernel) =>
        modules.some((module) => (this.rule(id, module, kernel)?.when ?? 'never') !== 'never'),
      ) ?? null
    );
  }

  /** Features that the last kernel gives by another rule than one before it, and that came in order. */
  lossy(module: KvmModule): readonly number[] {
    const known = this.#lossy.get(module);
    if (known) return known;
    const last = this.file.kernels.length - 1;
    const before = (1 << last) - 1;
    const lossy = this.groups.flatMap(({ ids, isOutOfOrder, rows: { [module]: rows } }) => {
      const now = rows.find(({ kernels }) => isIn(kernels, last))!;
      const isLess = now.row.when === 'never' || now.row.when === 'made-up';
      const differs =
        isLess && !isOutOfOrder && rows.some((r) => r !== now && (r.kernels & before) !== 0);
      return differs ? ids : [];
    });
    this.#lossy.set(module, lossy);
    return lossy;
  }

  /** The terms of its rows that are places in CPUID. */
  get bits(): readonly string[] {
    const { rules, byModel } = this.file;
    const terms = rules.flatMap(({ rows }) =>
      rows.flatMap(({ of = [], barredBy = '' }) => [...of.flat(), barredBy]),
    );
    const all = [...terms, ...byModel.map((rule) => rule.place)];
    return [...new Set(all)].filter((term) => this.place(term)?.kind === 'cpuid').sort();
  }

  /** The place that a term is, where it is no feature's name. */
  place(term: string): BitPlace | null {
    let place = this.#places.get(term);
    if (place === undefined) {
      place = PLACE.test(term) ? parsePlace(term) : null;
      this.#places.set(term, place);
    }
    return place;
  }

  /** The kernels of ranges; all where none is named. */
  #set(names: readonly string[] | undefined): KernelSet {
    if (!names) return -1;
    let set = 0;
    for (const name of names) {
      const known = this.#sets.get(name) ?? this.#between(name);
      this.#sets.set(name, known);
      set |= known;
    }
    return set;
  }

  #between(name: string): KernelSet {
    const [from, until = from] = name.split('..').map((text) => this.#kernels.indexOf(text));
    if (from! < 0 || until! < from!) throw new RangeError(`no kernel ${name} was read`);
    return setOf(Array.from({ length: until! - from! + 1 }, (_, i) => from! + i));
  }
}

/** What guests can be given, and of what that is known. */
export interface Given {
  readonly has: Row;
  readonly known: Row;
}

/** What is asked of a processor where some modules and kernels may be there. */
export class Plan {
  /** What guests are given where the bit of the processor is on, and where it is off, whatever else is there. */
  readonly on: Given;
  readonly off: Given;
  /** The groups of which more must be asked. */
  readonly asked: readonly Group[];
  readonly #table: KvmTable;
  readonly #modules: readonly KvmModule[];
  readonly #isNewer: boolean;
  readonly #ordered: KernelSet;
  readonly #outOfOrder: KernelSet;
  readonly #cases = new Map<Group, readonly Case[]>();

  constructor(table: KvmTable, modules: readonly KvmModule[], kernels: Kernels) {
    this.#table = table;
    this.#modules = modules;
    this.#isNewer = kernels.like === 'newer';
    this.#ordered = setOf(kernels.rows);
    this.#outOfOrder = setOf(kernels.outOfOrder);
    const none = table.row([]);
    this.on = { has: none.slice(), known: none.slice() };
    // Where nobody looked, what the processor lacks cannot be given.
    this.off = { has: none, known: table.ruled.map((word) => ~word) };
    this.asked = table.groups.filter((group) => {
      const set = this.#kernelsOf(group);
      const rows = modules.flatMap((module) =>
        group.rows[module].filter((r) => (r.kernels & set) !== 0).map(({ row }) => row),
      );
      if (table.isChanged(group.ids[0]!) || !rows.every(isPlain)) return true;
      const is = (bit: boolean) =>
        agreed(rows.map((row) => (this.mayChange(row) ? undefined : byBit(row, bit))));
      tell(this.on, group.mask, is(true));
      tell(this.off, group.mask, is(false));
      return false;
    });
  }

  /** The kernel after the last that was read may give what that never gave. */
  mayChange({ when }: KvmRow): boolean {
    return this.#isNewer && when === 'never';
  }

  cases(group: Group): readonly Case[] {
    let cases = this.#cases.get(group);
    if (!cases) {
      cases = this.#table.cases(group, this.#modules, this.#kernelsOf(group));
      this.#cases.set(group, cases);
    }
    return cases;
  }

  #kernelsOf({ isOutOfOrder }: Group): KernelSet {
    return isOutOfOrder ? this.#outOfOrder : this.#ordered;
  }
}

/** Takes into what is given what is known of some features. */
export function tell({ has, known }: Given, features: Mask, is: Tristate): void {
  if (is !== undefined) setBits(known, features);
  if (is) setBits(has, features);
}

/** What all say; undefined where they differ. */
function agreed(told: readonly Tristate[]): Tristate {
  return told.every((is) => is === told[0]) ? told[0] : undefined;
}

/** Whether a row asks for nothing but the bit of the processor. */
const isPlain = (row: KvmRow): boolean =>
  !row.of && !row.needs && !row.raw && row.barredBy === undefined;

/** What a row makes of the bit of the processor alone. */
export function byBit({ when, hardware }: KvmRow, bit: Tristate): Tristate {
  switch (when) {
    case 'always':
      return true;
    case 'never':
      return false;
    case 'hardware':
      return bit;
    case 'conditional':
      if (hardware === 'needed' && bit === false) return false;
      return hardware === 'enough' && bit === true ? true : undefined;
    default:
      return undefined;
  }
}

function add<K, T>(lists: Map<K, T[]>, key: K, item: T): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}

const tables = new WeakMap<Catalog, KvmTable>();

export function kvmTable(catalog: Catalog): KvmTable {
  const table = tables.get(catalog) ?? new KvmTable(catalog);
  tables.set(catalog, table);
  return table;
}
