// A model name of a product and the rows that it stands for.
import { distinct, emptyRow, join, meet, minus, type Row, sizeWithout } from '../../core/rows.ts';
import type { Catalog, Product, QemuModel, Vendor } from '../../cpu/catalog/catalog.ts';
import { closeDependencies } from '../../cpu/qemu/model.ts';

type Rows = Readonly<Record<'tables' | 'plain' | 'meanings' | 'held', () => readonly Row[]>>;

/**
 * A model name of a product, with all that it can mean there. Its rows are made when somebody asks for them: most names are
 * told from their price alone.
 */
export class ModelName {
  readonly name: string;
  readonly product: Product;
  readonly vendor: Vendor | null;
  /** The name without its version, and that version. */
  readonly base: string;
  readonly version: number;
  /** Whether it is a -vN itself, and no other name of one. */
  readonly isVersioned: boolean;
  /** Rank by age, newest last. */
  readonly release: number;
  readonly #catalog: Catalog;
  readonly #ignored: Row;
  readonly #rows: Rows;
  #tables: readonly Row[] | undefined;
  #plain: readonly Row[] | undefined;
  #meanings: readonly Row[] | undefined;
  #always: Row | undefined;
  #ever: Row | undefined;
  #held: Row | undefined;

  constructor(
    catalog: Catalog,
    ignored: Row,
    product: Product,
    { name, vendor, base, version, kind }: QemuModel,
    rows: Rows,
  ) {
    this.name = name;
    this.product = product;
    this.vendor = vendor;
    this.base = base;
    this.version = version ?? 0;
    this.isVersioned = kind === 'versioned';
    this.release = catalog.libvirtModels.get(base)?.order ?? -1;
    this.#catalog = catalog;
    this.#ignored = ignored;
    this.#rows = rows;
  }

  /** What the product's own table says of it, one a version. */
  get tables(): readonly Row[] {
    this.#tables ??= this.#rows.tables();
    return this.#tables;
  }

  /** What it says where nothing else is said: the newest machine type's, or libvirt's own map; one a version. */
  get plain(): readonly Row[] {
    this.#plain ??= this.#rows
      .plain()
      .map((row) => closeDependencies(this.#catalog, minus(row, this.#ignored)));
    return this.#plain;
  }

  /** Every CPU that the name can stand for, before the definition's words. */
  get meanings(): readonly Row[] {
    this.#meanings ??= distinct(this.#rows.meanings());
    return this.#meanings;
  }

  /** In all meanings. */
  get always(): Row {
    this.#always ??= minus(this.meanings.reduce(meet), this.#ignored);
    return this.#always;
  }

  /** In any meaning. */
  get ever(): Row {
    this.#ever ??= minus(this.meanings.reduce(join), this.#ignored);
    return this.#ever;
  }

  /** In any idea of the model that libvirt itself has. */
  get held(): Row {
    this.#held ??= minus(
      this.#rows.held().reduce(join, emptyRow(this.#catalog.bits)),
      this.#ignored,
    );
    return this.#held;
  }
}

/** What a name costs for features: a name is judged by what it says of itself; the words that tell its meanings apart come on top. */
export const cost = (name: ModelName, target: Row): number =>
  Math.max(...name.plain.map((row) => sizeWithout(target, row) + 2 * sizeWithout(row, target)));
