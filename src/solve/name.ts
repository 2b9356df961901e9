// How a set of features is called in a stack: the model that needs the fewest words, and those words.
// A name can mean several CPUs (by version of the software, by machine type); a definition makes them all one.
import {
  clearBit,
  emptyRow,
  hasBit,
  intersects,
  isEqual,
  join,
  meet,
  minus,
  type Row,
  size,
  sizeWithout,
} from '../core/rows.ts';
import type { Catalog, Product, QemuModel, Vendor } from '../cpu/catalog.ts';
import type { Definition } from '../cpu/definition.ts';
import { floorOf } from '../cpu/floor.ts';
import { byBytes } from '../cpu/order.ts';
import {
  clearedBeside,
  closeDependencies,
  qemuMeanings,
  qemuPlain,
  toSwitchOff,
} from '../cpu/qemu.ts';
import { type Stack, stackNames, withNewest } from '../cpu/stack.ts';
import { blockersOf, listsVersions } from '../cpu/usable.ts';
import { cost, ModelName } from './model-name.ts';
import type { Listed, Namer, Naming } from './namer.ts';
import { OwnWords } from './own-words.ts';

export type { Listed, Namer, Naming } from './namer.ts';

const MAX_DEFINED = 4096;

/** The names that a product of the stack can be given, with their meanings over every version of it in the stack. */
class ModelNamer implements Namer {
  readonly #catalog: Catalog;
  /** The stack that was given: what the answer is for. */
  readonly #given: Stack;
  /** The same with the newest of a product that it does not name. */
  readonly #stack: Stack;
  readonly #names = new Map<string, ModelName | null>();
  readonly #ignored: Row;
  /** What stands on vmx: every Intel model has it, and libvirt passes it over where vmx is off. */
  readonly #latent: Row;
  /** All that QEMU clears when something else is off. */
  readonly #clearable: Row;
  readonly #expressible = new Map<Product, Row>();
  readonly #defined = new Map<string, Definition | null>();
  readonly #candidatesOf = new Map<string, readonly ModelName[]>();

  constructor(catalog: Catalog, stack: Stack) {
    this.#catalog = catalog;
    this.#given = stack;
    this.#stack = withNewest(catalog, stack);
    this.#ignored = catalog.rowWhere((f) => f.merge === 'never');
    this.#clearable = clearedBeside(catalog, emptyRow(catalog.bits));
    const all = catalog.rowWhere(() => true);
    this.#latent = minus(all, closeDependencies(catalog, minus(all, catalog.row(['vmx']))));
    clearBit(this.#latent, catalog.feature('vmx').id);
  }

  get products(): readonly Product[] {
    return [...new Set(this.#stack.map((s) => s.product))];
  }

  get binding(): readonly Product[] {
    return [...new Set(this.#given.map((s) => s.product))];
  }

  get software(): Stack {
    return this.#stack;
  }

  get taken(): Stack {
    return this.#stack.filter((s) => !this.#given.some((g) => g.product === s.product));
  }

  /** Features that every version of the product in the stack has a name for. */
  nameable(product: Product): Row {
    return this.#catalog.nameable(product, this.#versions(product)[0]!);
  }

  /**
   * Features that a guest can be given by a definition of this product: those that it can name, and those that
   * the accelerator gives to every guest unasked.
   */
  expressible(product: Product): Row {
    let row = this.#expressible.get(product);
    if (!row) {
      row = join(this.nameable(product), this.#catalog.accelerators.kvm.on);
      this.#expressible.set(product, row);
    }
    return row;
  }

  define(product: Product, target: Row, naming: Naming): Definition | null {
    const { vendor, models, lists, keep } = naming;
    if (lists.length > 0 || keep) return this.#define(product, target, naming);
    // Without some of its hosts a fleet often is what it was.
    const key = JSON.stringify([product, vendor, models, target.join()]);
    let found = this.#defined.get(key);
    if (found === undefined) {
      found = this.#define(product, target, naming);
      if (this.#defined.size >= MAX_DEFINED) this.#defined.clear();
      this.#defined.set(key, found);
    }
    return found;
  }

  #define(product: Product, target: Row, naming: Naming): Definition | null {
    const cleared = clearedBeside(this.#catalog, target);
    const isShort = !hasBit(target, this.#catalog.feature('lm').id);
    const { keep } = naming;
    const all = this.#candidates(product, naming, isShort);
    const kept = keep ? all.filter(({ name }) => keep(name)) : all;
    for (const names of this.#byCost(kept, target)) {
      const candidates = names
        .map((n) => ({ ...n, ...this.#words(n.name, target, cleared) }))
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

  writeOut(product: Product, definition: Definition, target: Row): Definition {
    return { ...definition, require: this.#catalog.names(meet(target, this.nameable(product))) };
  }

  names(product: Product): readonly ModelName[] {
    return this.#known(product).flatMap(({ name }) => this.#nameOf(product, name) ?? []);
  }

  #versions(product: Product): string[] {
    return this.#stack.filter((s) => s.product === product).map((s) => s.version);
  }

  /** The names to choose from; `isShort`: models without long mode alone. */
  #candidates(
    product: Product,
    { vendor, models }: Naming,
    isShort: boolean,
  ): readonly ModelName[] {
    const key = JSON.stringify([product, vendor, models, isShort]);
    const candidates =
      this.#candidatesOf.get(key) ?? this.#findCandidates(product, vendor, models, isShort);
    this.#candidatesOf.set(key, candidates);
    return candidates;
  }

  #findCandidates(
    product: Product,
    vendor: Vendor | null,
    models: readonly string[] | undefined,
    isShort: boolean,
  ): readonly ModelName[] {
    const known = this.#known(product).filter((model) =>
      models === undefined
        ? !this.#isSecondName(product, model)
        : this.isAmong(product, model.name, models),
    );
    const made = (keep: (m: QemuModel) => boolean) =>
      known
        .filter(keep)
        .flatMap(({ name }) => this.#nameOf(product, name) ?? [])
        .filter((n) => !isShort || !n.tables.some((row) => hasBit(row, longMode)));
    const longMode = this.#catalog.feature('lm').id;
    const own = made((m) => m.vendor !== null && m.vendor === vendor);
    return own.length > 0 ? own : made((m) => m.vendor === null);
  }

  /** The models that a definition of this product may name, whether or not every version has them. */
  #known(product: Product): QemuModel[] {
    if (product === 'qemu')
      return [...this.#catalog.qemuModels.values()].filter((m) => m.kind === 'versioned');
    // Whether libvirt itself would call a guest's CPU so is no matter here.
    return [...this.#catalog.libvirtModels.keys()]
      .flatMap((name) => this.#catalog.qemuModels.get(name) ?? [])
      .filter((m) => m.kind !== 'special');
  }

  isAmong(product: Product, name: string, models: readonly string[]): boolean {
    if (models.includes(name)) return true;
    const all = this.#catalog.qemuModels;
    const { of, base, kind } = all.get(name) ?? {};
    if (product === 'libvirt')
      return models.includes(of ?? (kind === 'machine-alias' ? `${name}-v1` : name));
    return models.includes(base ?? name) || models.some((model) => all.get(model)?.of === name);
  }

  /** Whether libvirt has the version under a name that more libvirts know: EPYC-IBPB for EPYC-v2, EPYC for EPYC-v1. */
  #isSecondName(product: Product, { kind, name, base, version }: QemuModel): boolean {
    if (product !== 'libvirt' || kind !== 'versioned') return false;
    const others = [...this.#catalog.qemuModels.values()].filter((m) => m.of === name);
    const names = [...others.map((m) => m.name), ...(version === 1 ? [base] : [])];
    return names.some((other) => this.#nameOf(product, other) !== null);
  }

  /** One name with its meanings, made when it is first asked for; null where a version lacks it. */
  #nameOf(product: Product, name: string): ModelName | null {
    const key = `${product} ${name}`;
    let made = this.#names.get(key);
    if (made === undefined) {
      const model = this.#catalog.qemuModels.get(name);
      made = model ? (product === 'qemu' ? this.#qemuName(model) : this.#libvirtName(model)) : null;
      this.#names.set(key, made);
    }
    return made;
  }

  /**
   * Names that cost the same, from the cheapest on. What a name costs at least is told from its table alone; what it
   * costs, and all that it can mean, is worked out of those that may come next.
   */
  *#byCost(names: readonly ModelName[], target: Row): Generator<Priced[]> {
    const { on, off } = this.#catalog.accelerators.kvm;
    const hypervisor = this.#catalog.row(['hypervisor']);
    const needed = minus(target, join(on, hypervisor));
    const allowed = [target, off, this.#ignored, this.#clearable].reduce(join);
    const least = ({ tables }: ModelName) =>
      Math.max(...tables.map((row) => sizeWithout(needed, row) + 2 * sizeWithout(row, allowed)));
    let left = names.map((name) => ({ name, cost: least(name), isExact: false }));
    while (left.length > 0) {
      const price = Math.min(...left.map((n) => n.cost));
      const next = left.filter((n) => n.cost === price);
      const guessed = next.filter((n) => !n.isExact);
      for (const n of guessed) Object.assign(n, { cost: cost(n.name, target), isExact: true });
      if (guessed.length > 0) continue;
      yield next;
      left = left.filter((n) => n.cost !== price);
    }
  }

  /** The words that make every meaning of the name equal to the target; `cleared`: what QEMU clears beside it. */
  #words(
    name: ModelName,
    target: Row,
    cleared: Row,
  ): { require: Row; disable: Row; possible: boolean } {
    const require = minus(target, name.always);
    // What goes off by itself needs no word of its own, unless it is in libvirt's own idea of the model: that is held
    // against the host, and against what a guest of plain emulation has.
    const disable = join(
      toSwitchOff(this.#catalog, target, name.ever, cleared),
      meet(minus(name.ever, target), name.held),
    );
    const { needed } = floorOf(this.#catalog);
    return {
      require,
      disable,
      possible:
        size(minus(join(require, disable), this.nameable(name.product))) === 0 &&
        // A model with long mode is for 64-bit guests, and none of them runs without these.
        !(hasBit(name.ever, this.#catalog.feature('lm').id) && intersects(disable, needed)),
    };
  }

  /** Whether every blocker that a host's list gives the name is off in the definition. */
  #isUsable(name: ModelName, disable: Row, list: Listed): boolean {
    const blockers = blockersOf(this.#catalog, list.lister, list.models, name.name);
    if (blockers === null)
      // A libvirt that lists no versions has no word for one.
      return !(
        name.product === 'libvirt' &&
        name.isVersioned &&
        list.lister !== 'qemu' &&
        !listsVersions(this.#catalog, list.models)
      );
    return (
      blockers !== 'unlisted' &&
      blockers.every((blocker) => {
        const feature = this.#catalog.find(blocker);
        return (
          feature !== undefined &&
          (hasBit(disable, feature.id) || hasBit(this.#ignored, feature.id))
        );
      })
    );
  }

  #visible(row: Row): Row {
    return minus(row, this.#ignored);
  }

  #qemuName(model: QemuModel): ModelName | null {
    const versions = this.#versions('qemu');
    if (!versions.every((v) => this.#catalog.hasQemuModel(model.name, v))) return null;
    return new ModelName(this.#catalog, this.#ignored, 'qemu', model, {
      tables: () => versions.map((v) => this.#catalog.qemuFeatures(model.name, v)!),
      plain: () => versions.map((v) => qemuPlain(this.#catalog, model.name, v, 'kvm')),
      meanings: () => versions.flatMap((v) => qemuMeanings(this.#catalog, model.name, v, 'kvm')),
      held: () => [],
    });
  }

  #libvirtName(model: QemuModel): ModelName | null {
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
      tables: () => own.map((m) => m.features),
      plain: () => maps().map((row) => this.#withAccelerator(row)),
      meanings: () => [
        ...maps(),
        ...qemu.flatMap((v) => qemuMeanings(this.#catalog, model.name, v, 'kvm')),
      ],
      held: () => own.map((m) => minus(m.features, this.#latent)),
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

const namers = new WeakMap<Catalog, Map<string, Namer>>();

/** The namer of a stack, made once. */
export function namerOf(catalog: Catalog, stack: Stack): Namer {
  const known = namers.get(catalog) ?? new Map<string, Namer>();
  namers.set(catalog, known);
  const key = stackNames(stack).join();
  const namer =
    known.get(key) ??
    (catalog.arch.isX86 ? new ModelNamer(catalog, stack) : new OwnWords(catalog, stack));
  known.set(key, namer);
  return namer;
}

interface Priced {
  readonly name: ModelName;
  readonly cost: number;
}

interface Ranked {
  readonly name: ModelName;
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
