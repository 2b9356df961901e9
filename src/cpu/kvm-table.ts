// The table of what KVM gives, by number: its rows by feature, module and kernel, made when a processor is first asked
// about. A fleet that only hypervisors describe never makes it.
import { hasBit, type Row, rowOf, setBits, size } from '../core/rows.ts';
import type { Catalog, Place, Vendor } from './catalog.ts';
import type { Kernels } from './kernel.ts';
import { parsePlace } from './record.ts';
import type { KvmFile, KvmModule, KvmOnTop, KvmRow } from './schema.ts';

/** Whether something is so; undefined where that is not known. */
export type Told = boolean | undefined;

/** What Linux takes from processors. */
export interface Hidden {
  readonly vendor: KvmModule;
  readonly kernels: ReadonlySet<number>;
  readonly models: readonly string[] | null;
  readonly unsure: boolean;
  readonly with: number | null;
  readonly why: string;
}

interface Group {
  readonly ids: readonly number[];
  readonly rows: readonly KvmRow[];
  readonly byModule: Readonly<Record<KvmModule, readonly KvmRow[]>>;
}

const MODULES: readonly KvmModule[] = ['Intel', 'AMD'];
const PLACE = /^(?:cpuid|msr)\./;
const NONE: readonly never[] = [];

export class KvmTable {
  readonly file: KvmFile;
  /** The features that it has rows for. */
  readonly ruled: Row;
  readonly #catalog: Catalog;
  readonly #kernels: readonly string[];
  readonly #ranges = new Map<string, readonly number[]>();
  readonly #groups: readonly Group[];
  readonly #groupOf = new Map<number, Group>();
  readonly #hides = new Map<number, Hidden[]>();
  readonly #onTop = new Map<number, KvmOnTop[]>();
  readonly #outOfOrder: ReadonlySet<number>;
  readonly #plans = new Map<string, Plan>();
  readonly #places = new Map<string, Place | null>();

  constructor(catalog: Catalog) {
    const file = catalog.kvm;
    this.file = file;
    this.#catalog = catalog;
    this.#kernels = [...file.kernels, ...file.distributions];
    this.#groups = file.rules.map(({ features, rows }) => {
      const byModule = { Intel: [] as KvmRow[], AMD: [] as KvmRow[] };
      for (const row of rows)
        for (const module of row.vendor ? [row.vendor] : MODULES)
          for (const kernel of this.#range(row.kernels)) byModule[module][kernel] = row;
      return { ids: features.map((name) => this.id(name)), rows, byModule };
    });
    for (const group of this.#groups) for (const id of group.ids) this.#groupOf.set(id, group);
    this.ruled = this.row([...this.#groupOf.keys()]);
    for (const { feature, kernels, models, unsure, with: other, ...rest } of file.hides)
      add(this.#hides, this.id(feature), {
        ...rest,
        kernels: new Set(this.#range(kernels)),
        models: models ?? null,
        unsure: unsure ?? false,
        with: other === undefined ? null : this.id(other),
      });
    for (const rule of file.qemu.filter(({ does }) => does !== 'nothing'))
      for (const name of rule.features) add(this.#onTop, this.id(name), rule);
    this.#outOfOrder = new Set(file.outOfOrder.map((name) => this.id(name)));
  }

  id(name: string): number {
    return this.#catalog.feature(name).id;
  }

  row(ids: readonly number[]): Row {
    return rowOf(this.#catalog.bits, ids);
  }

  has(id: number): boolean {
    return this.#groupOf.has(id);
  }

  rule(id: number, module: KvmModule, kernel: number): KvmRow | undefined {
    return this.#groupOf.get(id)?.byModule[module][kernel];
  }

  /** What is to be asked where these modules and kernels may be there. */
  plan(modules: readonly KvmModule[], kernels: Kernels): Plan {
    const key = `${modules} ${kernels.rows} ${kernels.outOfOrder}`;
    const plan = this.#plans.get(key) ?? new Plan(this, this.#groups, modules, kernels);
    this.#plans.set(key, plan);
    return plan;
  }

  /** Whether what is given of a feature may differ among the kernels that a row is of. */
  varies(id: number): boolean {
    return this.#hides.has(id) || this.#onTop.has(id);
  }

  /** The same for all features of a row, because it is made of what varies. */
  isMadeOfVarying(row: KvmRow): boolean {
    return (row.of ?? []).some((list) =>
      list.some((term) => {
        const feature = this.#catalog.findQemu(term);
        return feature !== undefined && this.#hides.has(feature.id);
      }),
    );
  }

  hides(id: number): readonly Hidden[] {
    return this.#hides.get(id) ?? NONE;
  }

  onTop(id: number): readonly KvmOnTop[] {
    return this.#onTop.get(id) ?? NONE;
  }

  isOutOfOrder(id: number): boolean {
    return this.#outOfOrder.has(id);
  }

  /** What flags without one of these leave open: itself, and all that QEMU clears without it. */
  unshownWithout(has: Row): Row {
    const open = this.row(
      this.file.unshown.map((n) => this.id(n)).filter((id) => !hasBit(has, id)),
    );
    for (let before = -1; before !== size(open); ) {
      before = size(open);
      for (const { any, clearsMask } of this.#catalog.dependencies)
        if (any.every((id) => hasBit(open, id))) setBits(open, clearsMask);
    }
    return open;
  }

  /** Whether a kernel is one of those that a row names. */
  includes(names: readonly string[], kernel: number): boolean {
    return this.#range(names).includes(kernel);
  }

  /** The modules that may serve a vendor's processors. */
  modulesOf(vendor: Vendor | null): readonly KvmModule[] {
    const own = MODULES.filter((m) => vendor !== null && this.file.modules[m].includes(vendor));
    return own.length > 0 ? own : MODULES;
  }

  /** The oldest kernel of the mainline that gives a feature to anybody. */
  firstGiving(id: number, modules: readonly KvmModule[]): string | null {
    const first = this.file.kernels.findIndex((_, k) =>
      modules.some((m) => this.rule(id, m, k)?.when !== 'never'),
    );
    return first < 0 || !this.has(id) ? null : this.file.kernels[first]!;
  }

  /** Features that the last kernel gives by another rule than one before it, and that came in order. */
  lossy(module: KvmModule): readonly number[] {
    const last = this.file.kernels.length - 1;
    return this.#groups.flatMap(({ ids, byModule: { [module]: rows } }) => {
      const isLess = rows[last]!.when === 'never' || rows[last]!.when === 'made-up';
      const differs = isLess && rows.slice(0, last).some((row) => row !== rows[last]);
      return differs ? ids.filter((id) => !this.isOutOfOrder(id)) : [];
    });
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
  place(term: string): Place | null {
    let place = this.#places.get(term);
    if (place === undefined) {
      place = PLACE.test(term) ? parsePlace(term) : null;
      this.#places.set(term, place);
    }
    return place;
  }

  /** The kernels of ranges; most rows have the same few. */
  #range(names: readonly string[]): readonly number[] {
    const key = names.join();
    let kernels = this.#ranges.get(key);
    if (!kernels) {
      kernels = names.flatMap((name) => this.#between(name));
      this.#ranges.set(key, kernels);
    }
    return kernels;
  }

  #between(name: string): number[] {
    const [from, until = from] = name.split('..').map((text) => this.#kernels.indexOf(text));
    if (from! < 0 || until! < from!) throw new RangeError(`no kernel ${name} was read`);
    return Array.from({ length: until! - from! + 1 }, (_, i) => from! + i);
  }
}

/** A module and a kernel that it is of. */
export interface Combination {
  readonly module: KvmModule;
  readonly kernel: number;
}

/** The combinations to ask of each feature: of those that one row speaks for, one is enough. */
export class Plan {
  /** Whatever else is there: as the processor has it, given, and not given. */
  readonly hardware: Row;
  readonly always: Row;
  readonly never: Row;
  /** Features of which more must be asked. */
  readonly rest: readonly number[];
  readonly #combinations = new Map<number, readonly Combination[]>();

  constructor(
    table: KvmTable,
    groups: readonly Group[],
    modules: readonly KvmModule[],
    { rows, outOfOrder }: Kernels,
  ) {
    const plain = { hardware: [] as number[], always: [] as number[], never: [] as number[] };
    const rest: number[] = [];
    const all = (kernels: readonly number[]) =>
      modules.flatMap((module) => kernels.map((kernel) => ({ module, kernel })));
    const every = { ordered: all(rows), outOfOrder: all(outOfOrder) };
    for (const group of groups) {
      const distinct = once(every.ordered, ({ module, kernel }) => group.byModule[module][kernel]!);
      const rows = distinct.map(({ module, kernel }) => group.byModule[module][kernel]!);
      const when = plainIn(rows);
      const isMade = rows.some((row) => table.isMadeOfVarying(row));
      for (const id of group.ids) {
        const isOrdered = !table.isOutOfOrder(id);
        const varies = isMade || table.varies(id);
        if (isOrdered && !varies && when) plain[when].push(id);
        else rest.push(id);
        this.#combinations.set(
          id,
          !isOrdered ? every.outOfOrder : varies ? every.ordered : distinct,
        );
      }
    }
    this.hardware = table.row(plain.hardware);
    this.always = table.row(plain.always);
    this.never = table.row(plain.never);
    this.rest = rest;
  }

  combinations(id: number): readonly Combination[] {
    return this.#combinations.get(id) ?? NONE;
  }
}

/** The first of each that something tells apart. */
function once<T>(items: readonly T[], by: (item: T) => unknown): T[] {
  const seen = new Set<unknown>();
  return items.filter((item) => {
    const key = by(item);
    return seen.has(key) ? false : seen.add(key);
  });
}

/** What rows have in common that ask nothing else. */
function plainIn(rows: readonly KvmRow[]): 'hardware' | 'always' | 'never' | null {
  const [first] = rows;
  const isPlain = rows.every(
    (row) => row.when === first!.when && !row.needs && !row.raw && !row.barredBy,
  );
  if (!first || !isPlain) return null;
  return first.when === 'made-up' || first.when === 'conditional' ? null : first.when;
}

function add<T>(lists: Map<number, T[]>, id: number, item: T): void {
  const list = lists.get(id);
  if (list) list.push(item);
  else lists.set(id, [item]);
}

const tables = new WeakMap<Catalog, KvmTable>();

export function kvmTable(catalog: Catalog): KvmTable {
  const table = tables.get(catalog) ?? new KvmTable(catalog);
  tables.set(catalog, table);
  return table;
}
