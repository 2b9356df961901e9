// The safe rules: of what all hosts offer, what a guest is given. Everything here is rows of the catalog's width.
import {
  clearBit,
  emptyRow,
  isCovered,
  isEmpty,
  join,
  meet,
  minus,
  type Row,
} from '../core/rows.ts';
import type { Catalog, Feature, Product, Vendor } from '../cpu/catalog.ts';
import { closeDependencies } from '../cpu/qemu.ts';
import type { Namer } from './name.ts';

/** Features that no answer counts, and why. */
export interface Outside {
  /** Set by the guest's topology or its operating system, or shining through whatever is written. */
  readonly never: Row;
  /** A guest that has them cannot migrate. */
  readonly unmigratable: Row;
  /** Newer QEMU takes them from guests of this vendor on new machine types: a guest that asks stops starting. */
  readonly withdrawn: Row;
  /** Newer QEMU clears it on new machine types, for guests without pmu=on, in silence even under enforce. */
  readonly ofPmu: Row;
  /** Nested virtualization and all that depends on it, unless it was asked for, and what it is made of is known. */
  readonly nested: Row;
  readonly all: Row;
}

const ARCH_CAPABILITIES_MSR = 0x10a;
const AMD_KIN: readonly (Vendor | null)[] = ['AMD', 'Hygon'];

/** `nested`: the roots of nested virtualization that guests may have, or all, or none. */
export function outside(
  catalog: Catalog,
  vendor: Vendor | null,
  nested: boolean | readonly string[],
): Outside {
  const select = (keep: (f: Feature) => boolean) => catalog.rowWhere(keep);
  const rows = {
    never: select((f) => f.merge === 'never' || f.merge === 'equal'),
    unmigratable: select((f) => !f.migratable),
    // From machine type 10.1 on arch-capabilities is unavailable to AMD guests, and pdcm to all without pmu=on.
    withdrawn: AMD_KIN.includes(vendor)
      ? select(
          (f) =>
            f.name === 'arch-capabilities' ||
            f.places.some((p) => p.kind === 'msr' && p.msr === ARCH_CAPABILITIES_MSR),
        )
      : emptyRow(catalog.bits),
    ofPmu: catalog.x86Row(['pdcm']),
    nested: dependents(catalog, leftOff(nested)),
  };
  return { ...rows, all: Object.values(rows).reduce(join) };
}

/** What nested virtualization stands on. */
export const ROOTS: readonly string[] = ['vmx', 'svm'];

const leftOff = (nested: boolean | readonly string[]): readonly string[] =>
  typeof nested === 'boolean' ? (nested ? [] : ROOTS) : ROOTS.filter((r) => !nested.includes(r));

/**
 * The roots of which it is known what they are made of, on hosts that know these features: a guest with vmx and
 * without every feature that each model has beside it has nothing that runs.
 */
export const rootsKnown = (catalog: Catalog, known: Row): string[] =>
  ROOTS.filter((root) => isCovered(madeOf(catalog, root), known));

const parts = new WeakMap<Catalog, Map<string, Row>>();

/** What every model of QEMU that has any of it has below a root. */
function madeOf(catalog: Catalog, root: string): Row {
  const rows = parts.get(catalog) ?? new Map<string, Row>();
  parts.set(catalog, rows);
  let row = rows.get(root);
  if (!row) {
    const below = dependents(catalog, [root]);
    clearBit(below, catalog.feature(root).id);
    const having = [...catalog.qemuModels.values()]
      .flatMap((m) => catalog.qemuFeatures(m.name, catalog.versions.qemu.at(-1)!) ?? [])
      .map((features) => meet(features, below))
      .filter((features) => !isEmpty(features));
    row = having.length === 0 ? emptyRow(catalog.bits) : having.reduce(meet);
    rows.set(root, row);
  }
  return row;
}

/** These features and all that QEMU clears without them. */
function dependents(catalog: Catalog, names: readonly string[]): Row {
  if (!catalog.arch.isX86) return emptyRow(catalog.bits);
  const everything = catalog.rowWhere(() => true);
  const without = everything.slice();
  for (const name of names) clearBit(without, catalog.feature(name).id);
  return minus(everything, closeDependencies(catalog, without));
}

/** What a guest is given of what its hosts offer, and what is left out on the way. */
export interface Drawn {
  readonly features: Row;
  /** Offered, but QEMU would clear it in silence for want of another feature. */
  readonly cleared: Row;
  /** Offered, but no definition of this product can say it. */
  readonly unsaid: ReadonlyMap<Product, Row>;
}

export function draw(catalog: Catalog, namer: Namer, outside: Outside, offered: Row): Drawn {
  const inside = minus(offered, outside.all);
  const closed = closeDependencies(catalog, inside);
  const said = namer.binding.reduce((row, p) => meet(row, namer.expressible(p)), closed);
  return {
    features: closeDependencies(catalog, said),
    cleared: minus(inside, closed),
    unsaid: new Map(namer.products.map((p) => [p, minus(closed, namer.expressible(p))])),
  };
}
