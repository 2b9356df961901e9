// The shapes of the JSON that data/ holds (written by learn.ts, read by catalog.ts).
/** A list of features: `like` another of its file, with more and fewer. */
export type Lists = { like?: string; plus?: string[]; minus?: string[] };

export interface FeatureRecord {
  name: string;
  at: string[];
  aliases?: string[];
  qemu?: string;
  libvirt?: [name: string, since: string];
  libvirtAt?: Record<string, string>;
  linux?: string[];
  linuxHidden?: string[];
  /** The first kernel whose silence about it means that it is absent, `el8` for EL8's too; the oldest where absent. */
  linuxAbsence?: string;
  xen?: string;
  source?: string;
  merge?: 'any' | 'equal' | 'never';
  why?: string;
  unmigratable?: true;
  libvirtUnmigratable?: true;
  needs?: string[][];
  xsave?: number[];
  offered?: string[];
  conditional?: true;
  security?: true;
}

export interface FeaturesFile {
  schema: string;
  sources: Record<string, unknown>;
  stacks: Record<'libvirt' | 'qemu', string[]>;
  patches: Record<string, string>;
  vendors: { name: string; id: string; libvirt: string }[];
  linuxVendor: Record<string, Record<string, string>>;
  linuxVmx: Record<string, string>;
  linuxOnly: string[];
  /** The oldest kernel that was read, and EL8's, which has much of younger ones. */
  linuxKernels: { oldest: string; el8: string };
  /** Words of the flags line that tell a VMX feature. */
  linuxFlagsVmx: Record<string, string>;
  /** Features whose absence proves nothing but on the makers that never have them. */
  linuxSilent: Record<string, string[]>;
  /** Features that a word proves beside its own. */
  linuxImplies: Record<string, string[]>;
  /** Features whose absence from a migratable expansion proves nothing. */
  migratableSilent: string[];
  features: FeatureRecord[];
  dependencies: { any: string[]; clears: string[] }[];
}

export interface LibvirtModelRecord extends Lists {
  name: string;
  since: string;
  vendor?: string;
  signatures?: [family: number, model: number, steppings?: number[]][];
  host?: false;
  guest?: false;
  compat?: true;
  canonical?: string;
  parent?: string;
  added?: Lists;
  removed?: string[];
  was?: Record<string, Was>;
}

export interface Adjustment {
  plus?: string[];
  minus?: string[];
}

/** What an older libvirt says of a model otherwise. */
export interface Was extends Adjustment {
  added?: Lists;
  removed?: string[];
  compat?: true;
}

export interface LibvirtFile {
  schema: string;
  featureOrder: Record<string, string[]>;
  models: LibvirtModelRecord[];
}

export type PropertyValue = string | number | boolean;

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

export type Values = Record<string, string | number | boolean>;

export interface QemuModelRecord extends Lists {
  name: string;
  kind: 'versioned' | 'fixed-alias' | 'machine-alias' | 'special';
  since: string;
  until?: string;
  of?: string;
  base?: string;
  version?: number;
  vendor?: string;
  cache?: string;
  values?: Values;
  was?: Record<string, { minus: string[] }>;
}

export interface QemuFile {
  schema: string;
  accelerators: Record<'kvm' | 'tcg', { on: string[]; off: string[] }>;
  models: QemuModelRecord[];
}

export interface MachinesFile {
  schema: string;
  machines: {
    name: string;
    qemu: string[];
    default: 'legacy' | 'latest' | 1;
    deprecated?: string[];
    defaultOf?: string[];
  }[];
  changes: {
    model: string;
    qemu: string;
    machines: number[][];
    on?: string[];
    off?: string[];
    values?: Values;
  }[];
  all: { qemu: string; machines: number[][]; values: Values }[];
}
