// How a set of features is called in a stack: the model that needs the fewest words, and those words.
// A name can mean several CPUs (by version of the software, by machine type); a definition makes them all one.
import {
  distinct,
  emptyRow,
  hasBit,
  isEqual,
  join,
  meet,
  minus,
  type Row,
  rowOf,
  setBit,
  setBits,
  size,
  sizeWithout,
} from '../core/rows.ts';
import type { Catalog, Product, QemuModel, Vendor } from '../cpu/catalog.ts';
import type { Definition } from '../cpu/definition.ts';
import { byBytes } from '../cpu/order.ts';
import { closeDependencies, qemuMeanings, qemuPlain } from '../cpu/qemu.ts';
import { type Stack, stackNames } from '../cpu/stack.ts';
import type { ModelList } from '../fleet/fleet.ts';

/** A model name of a product, with all that it can mean there. */
export interface Name {
  readonly name: string;
  readonly product: Product;
  readonly vendor: Vendor | null;
  /** The name without its version, and that version. */
  readonly base: string;
  readonly version: number;
  /** Rank by age, newest last. */
  readonly release: number;
  /** Every CPU that the name can stand for, before the definition's words. */
  readonly meanings: readonly Row[];
  /** What it says where nothing else is said: the newest machine type's, or libvirt's own map; one a version. */
  readonly plain: readonly Row[];
  /** In all meanings, in any meaning, and in any meaning that libvirt itself holds against the host. */
  readonly always: Row;
  readonly ever: Row;
  readonly held: Row;
}

export interface Naming {
  readonly vendor: Vendor | null;
  /** Choose only among these names; all where absent. */
  readonly models?: readonly string[];
  /** The lists of the hosts that have one; a name must be usable on each. */
  readonly lists: readonly ModelList[];
}

/** The names that a product of the stack can be given, with their meanings over every version of it in the stack. */
export class Namer {
  readonly #catalog: Catalog;
  readonly #stack: Stack;
  readonly #names = new Map<string, Name | null>();
  readonly #ignored: Row;
  readonly #nameable = new Map<Product, Row>();

  constructor(catalog: Catalog, stack: Stack) {
    this.#catalog = catalog;
    this.#stack = stack;
    this.#ignored = rowOf(
      catalog.bits,
      catalog.features.filter((f) => f.merge === 'never' || f.merge === 'equal').map((f) => f.id),
    );
  }

  get products(): readonly Product[] {
    return [...new Set(this.#stack.map((s) => s.product))];
  }

  /** Features that every version of the product in the stack has a name for. */
  nameable(product: Product): Row {
    let row = this.#nameable.get(product);
    if (!row) {
      const versions = this.#catalog.versions[product];
      const upTo = new Set(versions.slice(0, versions.indexOf(this.#versions(product)[0]!) + 1));
      row = emptyRow(this.#catalog.bits);
      for (const f of this.#catalog.features) {
        const since = product === 'qemu' ? f.qemu : f.libvirt?.since;
        if (since && upTo.has(since)) setBit(row, f.id);
      }
      this.#nameable.set(product, row);
    }
    return row;
  }

  /**
   * Features that a guest can be given by a definition of this product: those that it can name, and those that
   * the accelerator gives to every guest unasked.
   */
  expressible(product: Product): Row {
    return join(this.nameable(product), this.#catalog.accelerators.kvm.on);
  }

  /** The cheapest definition that gives exactly these features, or null where no name can be made to. */
  define(product: Product, target: Row, naming: Naming): Definition | null {
    const implied = this.#withoutPrerequisite(target);
    const names = this.#candidates(product, naming).map((name) => ({
      name,
      cost: cost(name, target),
    }));
    // What a name costs is cheap to tell, and all that it can mean is not: that is looked at of the cheapest first.
    for (const price of new Set(names.map((n) => n.cost).sort((a, b) => a - b))) {
      const candidates = names
        .filter((n) => n.cost === price)
        .map((n) => ({ ...n, ...this.#words(n.name, target, implied) }))
        .filter(
          (c) =>
            c.possible && naming.lists.every((list) => this.#isUsable(c.name, c.disable, list)),
        );
      for (const { name, require, disable } of ranked(candidates)) {
        const definition = {
          name: name.name,
          require: this.#catalog.names(require),
          disable: this.#catalog.names(disable),
        };
        if (this.expand(product, definition).every((row) => isEqual(row, target)))
          return definition;
      }
    }
    return null;
  }

  /**
   * All that guests with this definition can be given, over every meaning of its name: what the project prints
   * is held against this. Without the features that no answer counts (ht and kin).
   */
  expand(product: Product, { name, require, disable }: Definition): Row[] {
    const found = this.#nameOf(product, name);
    if (!found) return [];
    const [on, off] = [this.#catalog.row(require), this.#catalog.row(disable)];
    return found.meanings.map((m) =>
      this.#visible(closeDependencies(this.#catalog, minus(join(m, on), off))),
    );
  }

  /** The same definition with every feature that it gives written out. */
  writeOut(product: Product, definition: Definition, target: Row): Definition {
    return { ...definition, require: this.#catalog.names(meet(target, this.nameable(product))) };
  }

  /** The names that every version of the product in the stack can be given. */
  names(product: Product): readonly Name[] {
    return this.#known(product).flatMap(({ name }) => this.#nameOf(product, name) ?? []);
  }

  #versions(product: Product): string[] {
    const given = this.#stack.filter((s) => s.product === product).map((s) => s.version);
    // A stack that says nothing of QEMU may stand on any.
    return given.length > 0 ? given : [...this.#catalog.versions[product]];
  }

  #candidates(product: Product, { vendor, models }: Naming): readonly Name[] {
    const known = this.#known(product).filter(
      ({ name, base }) =>
        models === undefined ||
        models.includes(name) ||
        (models.includes(base) && product === 'qemu'),
    );
    const made = (keep: (m: QemuModel) => boolean) =>
      known.filter(keep).flatMap(({ name }) => this.#nameOf(product, name) ?? []);
    const own = made((m) => m.vendor !== null && m.vendor === vendor);
    return own.length > 0 ? own : made((m) => m.vendor === null);
  }

  /** The models that a definition of this product may name, whether or not every version has them. */
  #known(product: Product): QemuModel[] {
    if (product === 'qemu')
      return [...this.#catalog.qemuModels.values()].filter((m) => m.kind === 'versioned');
    return [...this.#catalog.libvirtModels.values()].flatMap((m) =>
      m.decodeGuest && m.name !== 'base' ? (this.#catalog.qemuModels.get(m.name) ?? []) : [],
    );
  }

  /** One name with its meanings, made when it is first asked for; null where a version lacks it. */
  #nameOf(product: Product, name: string): Name | null {
    const key = `${product} ${name}`;
    let made = this.#names.get(key);
    if (made === undefined) {
      const model = this.#catalog.qemuModels.get(name);
      made = model ? (product === 'qemu' ? this.#qemuName(model) : this.#libvirtName(model)) : null;
      this.#names.set(key, made);
    }
    return made;
  }

  /** The words that make every meaning of the name equal to the target; `implied`: off with a prerequisite. */
  #words(name: Name, target: Row, implied: Row): { require: Row; disable: Row; possible: boolean } {
    const require = minus(target, name.always);
    const surplus = minus(name.ever, target);
    // What goes off with its prerequisite needs no word of its own, unless libvirt checks it itself.
    const disable = join(minus(surplus, implied), meet(surplus, name.held));
    return {
      require,
      disable,
      possible: size(minus(join(require, disable), this.nameable(name.product))) === 0,
    };
  }

  /** Features that QEMU clears beside the target, whoever asks for them. */
  #withoutPrerequisite(target: Row): Row {
    const implied = emptyRow(this.#catalog.bits);
    for (const { any, mask } of this.#catalog.dependencies)
      if (!any.some((id) => hasBit(target, id))) setBits(implied, mask);
    return implied;
  }

  #isUsable(name: Name, disable: Row, list: ModelList): boolean {
    const blockers = this.#listed(name, list);
    if (!blockers) return false;
    return blockers.every((blocker) => {
      const feature = this.#catalog.find(blocker);
      return (
        feature !== undefined && (hasBit(disable, feature.id) || hasBit(this.#ignored, feature.id))
      );
    });
  }

  /** The blockers that a list gives the name, under one of its fixed other names where it lacks this one. */
  #listed(name: Name, list: ModelList): readonly string[] | null | undefined {
    const own = list.get(name.name);
    if (own !== undefined || name.product === 'libvirt') return own;
    for (const model of this.#catalog.qemuModels.values())
      if (model.of === name.name && list.has(model.name)) return list.get(model.name);
    return name.version === 1 ? list.get(name.base) : undefined;
  }

  #visible(row: Row): Row {
    return minus(row, this.#ignored);
  }

  #qemuName(model: QemuModel): Name | null {
    const versions = this.#versions('qemu');
    if (!versions.every((v) => this.#catalog.hasQemuModel(model.name, v))) return null;
    return new ModelName(this.#catalog, this.#ignored, 'qemu', model, {
      plain: () => versions.map((v) => qemuPlain(this.#catalog, model.name, v, 'kvm')),
      meanings: () => versions.flatMap((v) => qemuMeanings(this.#catalog, model.name, v, 'kvm')),
      held: () => [],
    });
  }

  #libvirtName(model: QemuModel): Name | null {
    const versions = this.#versions('libvirt');
    const qemu = this.#versions('qemu');
    const own = versions.flatMap((v) => this.#catalog.libvirtModel(model.name, v) ?? []);
    if (
      own.length < versions.length ||
      !qemu.every((v) => this.#catalog.hasQemuModel(model.name, v))
    )
      return null;
    const maps = () => own.map((m) => join(m.features, this.#unasked()));
    return new ModelName(this.#catalog, this.#ignored, 'libvirt', model, {
      plain: () => maps().map((row) => this.#withAccelerator(row)),
      meanings: () => [
        ...maps(),
        ...qemu.flatMap((v) => qemuMeanings(this.#catalog, model.name, v, 'kvm')),
      ],
      held: () => maps().filter((_, i) => own[i]!.compat),
    });
  }

  /** What KVM adds unasked and libvirt has no word for: it is there whatever the map says. */
  #unasked(): Row {
    return minus(this.#catalog.accelerators.kvm.on, this.nameable('libvirt'));
  }

  #withAccelerator(row: Row): Row {
    const { on, off } = this.#catalog.accelerators.kvm;
    return minus(join(row, on), off);
  }
}

/** A name whose rows are made when somebody asks for them: most are told from their price alone. */
class ModelName implements Name {
  readonly name: string;
  readonly product: Product;
  readonly vendor: Vendor | null;
  readonly base: string;
  readonly version: number;
  readonly release: number;
  readonly #catalog: Catalog;
  readonly #ignored: Row;
  readonly #rows: Readonly<Record<'plain' | 'meanings' | 'held', () => readonly Row[]>>;
  #plain: readonly Row[] | undefined;
  #meanings: readonly Row[] | undefined;
  #always: Row | undefined;
  #ever: Row | undefined;
  #held: Row | undefined;

  constructor(
    catalog: Catalog,
    ignored: Row,
    product: Product,
    { name, vendor, base, version }: QemuModel,
    rows: Readonly<Record<'plain' | 'meanings' | 'held', () => readonly Row[]>>,
  ) {
    this.name = name;
    this.product = product;
    this.vendor = vendor;
    this.base = base;
    this.version = version ?? 0;
    this.release = catalog.libvirtModels.get(base)?.order ?? -1;
    this.#catalog = catalog;
    this.#ignored = ignored;
    this.#rows = rows;
  }

  get plain(): readonly Row[] {
    this.#plain ??= this.#rows
      .plain()
      .map((row) => closeDependencies(this.#catalog, minus(row, this.#ignored)));
    return this.#plain;
  }

  get meanings(): readonly Row[] {
    this.#meanings ??= distinct(this.#rows.meanings());
    return this.#meanings;
  }

  get always(): Row {
    this.#always ??= minus(this.meanings.reduce(meet), this.#ignored);
    return this.#always;
  }

  get ever(): Row {
    this.#ever ??= minus(this.meanings.reduce(join), this.#ignored);
    return this.#ever;
  }

  get held(): Row {
    this.#held ??= minus(
      this.#rows.held().reduce(join, emptyRow(this.#catalog.bits)),
      this.#ignored,
    );
    return this.#held;
  }
}

/** A name is judged by what it says of itself; the words that tell its meanings apart come on top. */
const cost = (name: Name, target: Row): number =>
  Math.max(...name.plain.map((row) => sizeWithout(target, row) + 2 * sizeWithout(row, target)));

const namers = new WeakMap<Catalog, Map<string, Namer>>();

/** The namer of a stack, made once. */
export function namerOf(catalog: Catalog, stack: Stack): Namer {
  const known = namers.get(catalog) ?? new Map<string, Namer>();
  namers.set(catalog, known);
  const key = stackNames(stack).join();
  const namer = known.get(key) ?? new Namer(catalog, stack);
  known.set(key, namer);
  return namer;
}

interface Ranked {
  readonly name: Name;
  readonly disable: Row;
  readonly cost: number;
}

/** Cheapest first; among equals the newest version stands for its model, then more features, then the later release. */
function ranked<T extends Ranked>(candidates: readonly T[]): T[] {
  const price = (a: Ranked, b: Ranked) => a.cost - b.cost || size(a.disable) - size(b.disable);
  const byVersion = [...candidates].sort(
    (a, b) =>
      price(a, b) ||
      byBytes(a.name.base, b.name.base) ||
      b.name.version - a.name.version ||
      byBytes(a.name.name, b.name.name),
  );
  // Versions of one model stay together, behind the newest of them.
  const lead = new Map<T, T>();
  for (const [i, c] of byVersion.entries()) {
    const before = byVersion[i - 1];
    lead.set(
      c,
      before && price(before, c) === 0 && before.name.base === c.name.base ? lead.get(before)! : c,
    );
  }
  return byVersion.sort((a, b) => {
    const [x, y] = [lead.get(a)!.name, lead.get(b)!.name];
    if (x === y) return 0;
    return (
      price(a, b) ||
      size(y.always) - size(x.always) ||
      y.release - x.release ||
      byBytes(x.name, y.name)
    );
  });
}
