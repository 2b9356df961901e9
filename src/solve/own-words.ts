// How a set of features is called where an architecture has no models in the catalog: by its own record (cpu/arch).
import { meet, type Row } from '../core/rows.ts';
import type { Kin } from '../cpu/arch/index.ts';
import type { Catalog, Product } from '../cpu/catalog.ts';
import type { Definition } from '../cpu/definition.ts';
import { compareVersions } from '../cpu/order.ts';
import { type Stack, withNewest } from '../cpu/stack.ts';
import type { Namer, Naming } from './namer.ts';

/** What hosts have in common of which nobody tells anything. */
const NO_KIN: Kin = { isHosts: true, model: null, beyond: [], lost: [], apart: null };

export class OwnWords implements Namer {
  readonly #catalog: Catalog;
  readonly #given: Stack;
  readonly software: Stack;

  constructor(catalog: Catalog, stack: Stack) {
    this.#catalog = catalog;
    this.#given = stack;
    this.software = withNewest(catalog, stack);
  }

  get products(): readonly Product[] {
    return [...new Set(this.software.map((s) => s.product))];
  }

  get binding(): readonly Product[] {
    return [...new Set(this.#given.map((s) => s.product))];
  }

  get taken(): Stack {
    return this.software.filter((s) => !this.#given.some((g) => g.product === s.product));
  }

  expressible(product: Product): Row {
    const versions = this.software.filter((s) => s.product === product).map((s) => s.version);
    return this.#catalog.rowWhere(({ name }) => {
      const since = this.#catalog.arch.since(name)[product];
      return since === undefined || versions.every((v) => compareVersions(v, since) >= 0);
    });
  }

  nameable(product: Product): Row {
    return this.expressible(product);
  }

  define(product: Product, target: Row, { kin = NO_KIN }: Naming): Definition | null {
    return this.#catalog.arch.define(product, this.#catalog.names(target), kin);
  }

  expand(_: Product, definition: Definition, among: Row): Row[] {
    const { arch } = this.#catalog;
    const given = new Set(arch.gives(definition, this.#catalog.names(among)));
    return [
      meet(
        among,
        this.#catalog.rowWhere(({ name }) => given.has(name)),
      ),
    ];
  }

  writeOut(_: Product, definition: Definition): Definition {
    return definition;
  }

  names(): readonly never[] {
    return [];
  }

  isAmong(_: Product, name: string, models: readonly string[]): boolean {
    return models.includes(name);
  }
}
