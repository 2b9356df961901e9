// The table of what KVM gives, by number: its rows by feature, module and kernel, made when a processor is first asked
// about. A fleet that only hypervisors describe never makes it.
import type { Catalog, Place, Vendor } from './catalog.ts';
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

const MODULES: readonly KvmModule[] = ['Intel', 'AMD'];
const PLACE = /^(?:cpuid|msr)\./;
const NONE: readonly never[] = [];

export class KvmTable {
  readonly file: KvmFile;
  readonly #catalog: Catalog;
  readonly #kernels: readonly string[];
  /** By feature: by module, by kernel. */
  readonly #rules = new Map<number, Readonly<Record<KvmModule, readonly KvmRow[]>>>();
  readonly #hides = new Map<number, Hidden[]>();
  readonly #onTop = new Map<number, KvmOnTop[]>();
  readonly #outOfOrder: ReadonlySet<number>;
  readonly #places = new Map<string, Place | null>();

  constructor(catalog: Catalog) {
    const file = catalog.kvm;
    this.file = file;
    this.#catalog = catalog;
    this.#kernels = [...file.kernels, ...file.distributions];
    for (const { features, rows } of file.rules) {
      const byModule = { Intel: [] as KvmRow[], AMD: [] as KvmRow[] };
      for (const row of rows)
        for (const module of row.vendor ? [row.vendor] : MODULES)
          for (const kernel of this.#range(row.kernels)) byModule[module][kernel] = row;
      for (const name of features) this.#rules.set(this.id(name), byModule);
    }
    for (const { feature, kernels, models, unsure, with: other, ...rest } of file.hides)
      add(this.#hides, this.id(feature), {
        ...rest,
        kernels: new Set(this.#range(kernels)),
        models: models ?? null,
        unsure: unsure ?? false,
        with: other === undefined ? null : this.id(other),
      });
    for (const rule of file.qemu)
      for (const name of rule.features) add(this.#onTop, this.id(name), rule);
    this.#outOfOrder = new Set(file.outOfOrder.map((name) => this.id(name)));
  }

  id(name: string): number {
    return this.#catalog.feature(name).id;
  }

  has(id: number): boolean {
    return this.#rules.has(id);
  }

  rule(id: number, module: KvmModule, kernel: number): KvmRow | undefined {
    return this.#rules.get(id)?.[module][kernel];
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

  /** The place that a term is, where it is no feature's name. */
  place(term: string): Place | null {
    let place = this.#places.get(term);
    if (place === undefined) {
      place = PLACE.test(term) ? parsePlace(term) : null;
      this.#places.set(term, place);
    }
    return place;
  }

  #range(names: readonly string[]): number[] {
    return names.flatMap((name) => {
      const [from, until] = name.split('..').map((text) => this.#kernels.indexOf(text));
      if (from! < 0 || until === -1) throw new RangeError(`no kernel ${name} was read`);
      return Array.from({ length: (until ?? from!) - from! + 1 }, (_, i) => from! + i);
    });
  }
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
