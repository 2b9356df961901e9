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

/** The module of the kernel that gives features to guests: kvm_intel or kvm_amd. */
export type KvmModule = 'Intel' | 'AMD';

/** When guests on some kernels are given a feature. */
export interface KvmRow {
  /** Of this module alone. */
  vendor?: KvmModule;
  /** Kernels that were read: one, or all of `kernels` from one to another (`A..B`); all where absent. */
  kernels?: string[];
  /** hardware: as the processor, as Linux keeps it, has it; made-up: where all of a list of `of` are there. */
  when: 'always' | 'never' | 'hardware' | 'made-up' | 'conditional';
  /** Of a conditional one: absent without the processor's bit, offered with it, or neither. */
  hardware?: 'needed' | 'enough' | 'any';
  /** Bits by name or place, or `linux:...` for what no description tells; one list is enough. */
  of?: string[][];
  /** What guests must be given, too. */
  needs?: string[];
  /** Not where the processor has this bit, by its place. */
  barredBy?: string;
  /** Linux' own switches do not count. */
  raw?: true;
  /** Who decides about a conditional one. */
  why?: string;
}

/** A row without the kernels that it is of. */
export type LearntKvmRow = Omit<KvmRow, 'vendor' | 'kernels'>;

/** What was read from the source tree of one kernel, and what could not be. */
export interface LearntKvm {
  schema: 'plimsoll-kvm-learnt/1';
  kernel: string;
  rules: { features: string[]; vendor: KvmModule; row: LearntKvmRow }[];
  unread: { features: string[]; vendor: KvmModule; why: string }[];
}

export interface KvmFile {
  schema: string;
  source: string;
  /** Mainline kernels that were read, oldest first, and those of distributions with fixes of their own. */
  kernels: string[];
  distributions: string[];
  modules: Record<KvmModule, string[]>;
  /** Features that stable kernels got or lost in no order. */
  outOfOrder: string[];
  /** Whose absence from a kernel's flags proves nothing: the firmware or a policy may take them away. */
  unshown: string[];
  /** Bits, by their place or name, that few descriptions tell, on the models that have and lack them. */
  byModel: {
    place: string;
    vendor: KvmModule;
    having: string[];
    lacking: string[];
    why: string;
  }[];
  /** What Linux takes from the processor before KVM sees it, on these models (family/model). */
  hides: {
    feature: string;
    vendor: KvmModule;
    kernels: string[];
    models?: string[];
    /** Microcode or an option decides. */
    unsure?: true;
    /** Only with this feature can Linux take it away. */
    with?: string;
    why: string;
  }[];
  /** What QEMU does to what KVM gives. */
  qemu: KvmOnTop[];
  rules: { features: string[]; rows: KvmRow[] }[];
}

export interface KvmOnTop {
  does: 'adds' | 'adds-from-cpuid' | 'allows' | 'removes' | 'may-remove' | 'nothing';
  features: string[];
  vendor?: KvmModule;
  /** The oldest QEMU that is known to, and the newest that is known not to. */
  from?: string;
  until?: string;
  /** On these: family/model, or family/model/N up to this stepping. */
  models?: string[];
  kernels?: string[];
  /** Where guests are given all of these. */
  where?: string[];
  why: string;
}
