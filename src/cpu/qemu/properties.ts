// The numbers, words and switches of a QEMU CPU that are no feature bits, and what QEMU makes of them.
import type { Catalog } from '../catalog/catalog.ts';
import data from '../data/properties.ts';
import type { Property, PropertyValue } from '../schema.ts';

export type { Property, PropertyValue } from '../schema.ts';

export type Properties = Readonly<Record<string, PropertyValue>>;

/** Properties of a CPU by name, features among them, in the order in which they are to be written. */
export type Settings = readonly (readonly [name: string, value: PropertyValue])[];

/** A value as QEMU reads it from text. */
export const valueText = (value: PropertyValue): string =>
  typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);

const known = new Map((data.properties as Property[]).map((p) => [p.name, p]));
const aliases = new Map(Object.entries(data.aliases));

/** The property of this name or alias in any QEMU of the catalog's own data. */
export const propertyOf = (name: string): Property | undefined =>
  known.get(aliases.get(name) ?? name);

const tables = new WeakMap<Catalog, Map<string, ReadonlyMap<string, Property>>>();

function tableOf(catalog: Catalog, qemu: string): ReadonlyMap<string, Property> {
  const byQemu = tables.get(catalog) ?? new Map<string, ReadonlyMap<string, Property>>();
  tables.set(catalog, byQemu);
  const learnt = catalog.learnt.get(qemu);
  const table =
    byQemu.get(qemu) ??
    new Map(
      // What can only be read is there whether it is listed or not.
      (learnt
        ? [...[...known.values()].filter((p) => p.type === 'fixed'), ...learnt.properties]
        : [...known.values()].filter((p) => p.only === undefined || p.only === qemu)
      ).map((p) => [p.name, p]),
    );
  byQemu.set(qemu, table);
  return table;
}

/** The property of this name in this QEMU, by its own name or its alias. */
export const findProperty = (catalog: Catalog, name: string, qemu: string): Property | undefined =>
  tableOf(catalog, qemu).get(aliases.get(name) ?? name);

export const propertiesOf = (catalog: Catalog, qemu: string): Property[] => [
  ...tableOf(catalog, qemu).values(),
];

/** Properties that this QEMU lacks and another of the catalog has. */
export const propertiesBeyond = (catalog: Catalog, qemu: string): Property[] =>
  [...known.values()].filter((p) => p.only !== undefined && !tableOf(catalog, qemu).has(p.name));

/** What a feature needs of the maximum CPUID leaf: the words that raise it, and leaves beyond their own. */
export const levelRules: {
  readonly always: readonly string[];
  readonly words: readonly string[];
  readonly features: Readonly<Record<string, number>>;
} = data.levels;

/** Features that -cpu max and host leave off although the accelerator has them. */
export const notAutomatic: readonly string[] = data.notAutomatic;

/** What -cpu max says of itself under tcg. */
export function maxValues(catalog: Catalog, qemu: string): Properties {
  const ours = (data.max as Record<string, Properties>)[catalog.habitsOf(qemu)]!;
  const learnt = catalog.learnt.get(qemu)?.cpus.find((c) => c.model === 'max')?.values;
  return learnt ? Object.fromEntries(Object.keys(ours).map((key) => [key, learnt[key]!])) : ours;
}

/** What -cpu max has at start where it says nothing of its family. */
export const maxStartValues = (catalog: Catalog, qemu: string): Properties =>
  (data.maxStart as Record<string, Properties>)[catalog.habitsOf(qemu)] ?? {};

/** Of these one makes a 32-bit CPU address 36 bits, not 32. */
export const widerAddresses = (catalog: Catalog, qemu: string): readonly string[] =>
  (data.physBits36 as Record<string, string[]>)[catalog.habitsOf(qemu)]!;

/** Features that tcg can give a guest. */
export const tcgFeatures = (catalog: Catalog, qemu: string): readonly string[] =>
  catalog.learnt.get(qemu)?.tcg ?? (data.tcg as unknown as Record<string, string[]>)[qemu]!;

/** Features of which this QEMU does not know yet that others depend on them. */
export const laterDependencies = (catalog: Catalog, qemu: string): readonly string[] =>
  (data.laterDependencies as Record<string, string[]>)[catalog.habitsOf(qemu)] ?? [];

/** Switches that this QEMU takes under KVM alone. */
export const tcgRefuses = (catalog: Catalog, qemu: string): readonly string[] =>
  (data.tcgRefuses as Record<string, string[]>)[catalog.habitsOf(qemu)] ?? [];

/**
 * Switches that no host is asked for, where they are written on under KVM and enforce: those that this QEMU always takes,
 * and those that it always refuses.
 */
export const writtenSwitches = (
  catalog: Catalog,
  qemu: string,
): { readonly taken: readonly string[]; readonly refused: readonly string[] } =>
  (data.writtenSwitches as Record<string, { taken: string[]; refused: string[] }>)[
    catalog.habitsOf(qemu)
  ]!;

/** Accelerator defaults that old machine types of a QEMU do without. */
export const kvmKeeps: readonly {
  readonly qemu: string;
  readonly upTo: string;
  readonly feature: string;
}[] = data.kvmKeeps;

/** What a machine type forces on every CPU when it starts, whatever was said. */
export const forcedValues = (machine: string): Properties =>
  data.forcedValues.find((m) => m.machine === machine)?.values ?? {};

export function machineAliases(catalog: Catalog, qemu: string): Readonly<Record<string, string>> {
  const learnt = catalog.learnt.get(qemu);
  if (!learnt) return (data.machineAliases as Record<string, Record<string, string>>)[qemu] ?? {};
  return Object.fromEntries(
    learnt.machines.flatMap((m) => (m.aliases ?? []).map((alias) => [alias, m.name])),
  );
}
