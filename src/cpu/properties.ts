// The numbers, words and switches of a QEMU CPU that are no feature bits, and what QEMU makes of them.
import data from './data/properties.ts';

export type PropertyValue = string | number | boolean;
export type Properties = Readonly<Record<string, PropertyValue>>;

export interface Property {
  readonly name: string;
  /** fixed: there to be read only. auto: on, off or auto. */
  readonly type:
    | 'bool'
    | 'auto'
    | 'string'
    | 'uint8'
    | 'uint16'
    | 'uint32'
    | 'uint64'
    | 'int32'
    | 'int64'
    | 'fixed';
  /** On the newest machine type, for a model that says nothing; null is unset. */
  readonly default?: PropertyValue | null;
  readonly min?: number;
  readonly max?: number;
  readonly mask?: number;
  /**
   * vcpu: the place of one virtual processor, not its kind. start: how it starts. max: only max and host have it.
   */
  readonly of?: 'vcpu' | 'start' | 'max';
  /** The one QEMU of the catalog that has it; all where absent. */
  readonly only?: string;
}

/** Properties of a CPU by name, features among them, in the order in which they are to be written. */
export type Settings = readonly (readonly [name: string, value: PropertyValue])[];

/** A value as QEMU reads it from text. */
export const valueText = (value: PropertyValue): string =>
  typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);

const known = new Map((data.properties as Property[]).map((p) => [p.name, p]));
const aliases = new Map(Object.entries(data.aliases));

/** The property of this name in this QEMU, by its own name or its alias. */
export function findProperty(name: string, qemu: string): Property | undefined {
  const property = known.get(aliases.get(name) ?? name);
  return property?.only === undefined || property.only === qemu ? property : undefined;
}

export const propertiesOf = (qemu: string): Property[] =>
  [...known.values()].filter((p) => p.only === undefined || p.only === qemu);

/** Properties that this QEMU lacks and another of the catalog has. */
export const propertiesBeyond = (qemu: string): Property[] =>
  [...known.values()].filter((p) => p.only !== undefined && p.only !== qemu);

/** What a feature needs of the maximum CPUID leaf: the words that raise it, and leaves beyond their own. */
export const levelRules: {
  readonly always: readonly string[];
  readonly words: readonly string[];
  readonly features: Readonly<Record<string, number>>;
} = data.levels;

/** Features that -cpu max and host leave off although the accelerator has them. */
export const notAutomatic: readonly string[] = data.notAutomatic;

/** What -cpu max says of itself under tcg. */
export const maxValues = (qemu: string): Properties =>
  (data.max as Record<string, Properties>)[qemu]!;

/** What -cpu max has at start where it says nothing of its family. */
export const maxStartValues = (qemu: string): Properties =>
  (data.maxStart as Record<string, Properties>)[qemu] ?? {};

/** Of these one makes a 32-bit CPU address 36 bits, not 32. */
export const widerAddresses = (qemu: string): readonly string[] =>
  (data.physBits36 as Record<string, string[]>)[qemu]!;

/** Features that tcg can give a guest. */
export const tcgFeatures = (qemu: string): readonly string[] =>
  (data.tcg as unknown as Record<string, string[]>)[qemu]!;

/** Features of which this QEMU does not know yet that others depend on them. */
export const laterDependencies = (qemu: string): readonly string[] =>
  (data.laterDependencies as Record<string, string[]>)[qemu] ?? [];

/** Switches that this QEMU takes under KVM alone. */
export const tcgRefuses = (qemu: string): readonly string[] =>
  (data.tcgRefuses as Record<string, string[]>)[qemu] ?? [];

/** Accelerator defaults that old machine types of a QEMU do without. */
export const kvmKeeps: readonly {
  readonly qemu: string;
  readonly upTo: string;
  readonly feature: string;
}[] = data.kvmKeeps;

/** What a machine type forces on every CPU when it starts, whatever was said. */
export const forcedValues = (machine: string): Properties =>
  data.forcedValues.find((m) => m.machine === machine)?.values ?? {};

export const machineAliases = (qemu: string): Readonly<Record<string, string>> =>
  (data.machineAliases as Record<string, Record<string, string>>)[qemu] ?? {};
