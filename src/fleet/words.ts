// Hosts of another architecture than x86 in a catalog of their own: its features are the names that some of them have, so
// that what is asked of a fleet is asked of them like of any other, and no rule of x86 has anything to say.
import { emptyRow, hasBit, minus, type Row, setBit } from '../core/rows.ts';
import { differences } from '../cpu/arch/identity.ts';
import { type Arch, archRecord, type Kin } from '../cpu/arch/index.ts';
import { Catalog } from '../cpu/catalog.ts';
import { byBytes } from '../cpu/order.ts';
import type { Fleet } from './fleet.ts';
import type { Kind } from './kind.ts';

/** The same fleet in the words of its architecture, where that is one and not x86. */
export function inOwnWords(fleet: Fleet): Fleet {
  const archs = new Set(fleet.classes.map((c) => archRecord(c.arch)));
  const [arch] = archs;
  if (arch === undefined || archs.size > 1 || arch.isX86 || !fleet.catalog.arch.isX86) return fleet;
  const names = new Set(fleet.kinds.flatMap((k) => [...k.unnamed, ...k.unnamedUnknown]));
  const catalog = catalogOf(fleet.catalog, arch, [...names].sort(byBytes));
  return fleet.as(
    fleet.kinds.map((kind) => inWords(catalog, kind)),
    catalog,
  );
}

function inWords(catalog: Catalog, kind: Kind): Kind {
  const { described: _, ...rest } = kind;
  const open = catalog.row(kind.unnamedUnknown.filter((name) => !kind.unnamed.includes(name)));
  return {
    ...rest,
    has: catalog.row(kind.unnamed),
    known: minus(
      catalog.rowWhere(() => true),
      open,
    ),
    unnamed: [],
    unnamedUnknown: [],
  };
}

const made = new WeakMap<Catalog, Map<string, Catalog>>();

/** A catalog of names that mean themselves, with the software of another. */
function catalogOf(base: Catalog, arch: Arch, names: readonly string[]): Catalog {
  const known = made.get(base) ?? new Map<string, Catalog>();
  made.set(base, known);
  const key = [arch.name, ...names].join(' ');
  let catalog = known.get(key);
  if (!catalog) {
    const none = { on: [], off: [] };
    const schema = 'plimsoll-catalog/1';
    catalog = new Catalog(
      {
        schema,
        sources: {},
        stacks: { libvirt: [...base.versions.libvirt], qemu: [...base.versions.qemu] },
        patches: base.patches,
        vendors: [...base.vendors],
        linuxVendor: {},
        linuxVmx: {},
        linuxOnly: [],
        linuxKernels: { oldest: '0.0', el8: '0.0' },
        linuxFlagsVmx: {},
        linuxSilent: {},
        linuxImplies: {},
        migratableSilent: [],
        features: names.map((name) => ({ name, at: [] })),
        dependencies: [],
      },
      { schema, models: [], featureOrder: {} },
      { schema, accelerators: { kvm: none, tcg: none }, models: [] },
      () => ({ schema, machines: [], changes: [], all: [] }),
      () => base.kvm,
      [],
      arch,
    );
    known.set(key, catalog);
  }
  return catalog;
}

/** What the classes that a test holds for have in common beside features, in a fleet of its own words. */
export function kinOf(fleet: Fleet, keep: (index: number) => boolean = () => true): Kin {
  const { catalog } = fleet;
  const kept = [...fleet.classes.keys()].filter(keep);
  const hosts = kept.reduce((n, index) => n + fleet.weights[index]!, 0);
  const identities = kept.map((index) => fleet.classes[index]!.identity!);
  const [first] = identities;
  // One host is its own equal.
  const found =
    hosts < 2 || first === undefined
      ? []
      : identities.flatMap((other) => {
          const { no, unknown } = differences(catalog.arch, first, other);
          return [...no, ...unknown];
        });
  const some = (test: (index: number, id: number) => boolean): Row => {
    const row = emptyRow(catalog.bits);
    for (const { id } of catalog.features)
      if (kept.some((index) => test(index, id))) setBit(row, id);
    return row;
  };
  const has = (index: number, id: number) => hasBit(fleet.has(index), id);
  const had = some(has);
  const lacked = some((index, id) => !has(index, id) && hasBit(fleet.known(index), id));
  const missing = some((index, id) => !has(index, id));
  return {
    isHosts: kept.every((index) => fleet.classes[index]!.view !== 'guest'),
    model: identities.find((i) => i.model !== null)?.model ?? null,
    beyond: catalog.names(minus(had, minus(had, missing))),
    lost: catalog.names(minus(had, minus(had, lacked))),
    apart: found[0]?.message ?? null,
  };
}
