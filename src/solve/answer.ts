// The answers as data: what --json prints. Sentences are made elsewhere.
import type { Identity } from '../cpu/arch/index.ts';
import type { Definitions } from '../cpu/definition.ts';
import type { View, XsaveComponent } from '../cpu/host.ts';
import type { Withheld } from '../cpu/kvm.ts';
import type { HostList, Skipped } from '../fleet/fleet.ts';

export type Severity = 'error' | 'warning' | 'info';

/** Something that a person should know. */
export interface Finding extends HostList {
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  /** The first of the guests that it is about, where it is about guests: then it counts them. */
  readonly guests?: readonly string[];
}

export interface Lost {
  readonly feature: string;
  readonly have: number;
  readonly lack: number;
  /** The first of those that are known to lack it. */
  readonly hosts: readonly string[];
}

export interface Hold extends HostList {
  /** Features that exactly these hosts lack. */
  readonly features: readonly string[];
  /** What the fleet would have without them: a model (the QEMU name, else libvirt's) and a number of features. */
  readonly without: { readonly model: string | null; readonly features: number };
}

export interface Baseline {
  readonly schema: 'plimsoll.baseline/1';
  readonly rules: 'safe';
  readonly stack: readonly string[];
  readonly arch: string | null;
  readonly vendor: string | null;
  readonly view: View | 'mixed' | null;
  readonly hosts: number;
  readonly classes: number;
  readonly definitions: Definitions;
  readonly features: readonly string[];
  readonly limits: { readonly physBits: number | null; readonly fleetPhysBits: number | null };
  readonly lost: readonly Lost[];
  readonly holds: readonly Hold[];
  readonly unknown: readonly ({ readonly feature: string } & HostList)[];
  /** Where the state of the components that the line exposes lies, as far as a host tells. */
  readonly xsave: readonly XsaveComponent[];
  /** Of other architectures than x86, what tells the processor from others; absent where that is not known. */
  readonly identity?: Identity;
  readonly runsOn: { readonly hosts: number; readonly of: number };
  readonly findings: readonly Finding[];
  /** Where no CPU is common to all: the answer of each side. */
  readonly sides?: readonly ({
    readonly because: string;
    readonly value: string | null;
    readonly baseline: Baseline;
  } & HostList)[];
  readonly skipped?: readonly Skipped[];
}

export interface Baselines {
  readonly schema: 'plimsoll.baselines/1';
  readonly by: string;
  readonly baselines: readonly {
    readonly value: string | number | boolean | null;
    readonly baseline: Baseline;
  }[];
  /** What took no part, where anything did. */
  readonly findings?: readonly Finding[];
  readonly skipped?: readonly Skipped[];
}

export interface Check {
  readonly schema: 'plimsoll.check/1';
  /** Whether the saved baseline still runs on every host; null where that cannot be known. */
  readonly holds: boolean | null;
  readonly runsOn: { readonly hosts: number; readonly of: number };
  /** Features of the saved baseline that some host now lacks. */
  readonly missing: readonly ({ readonly feature: string } & HostList)[];
  /** Features of the saved baseline that some host cannot vouch for. */
  readonly unknown: readonly ({ readonly feature: string } & HostList)[];
  /** What the fleet could have now and the saved baseline does not ask for. */
  readonly gained: readonly string[];
  readonly findings: readonly Finding[];
  readonly skipped?: readonly Skipped[];
}

/**
 * From best to worst. own-cpu: it starts, with the CPU of its host, and where it may move is not known; unknown: whether
 * it runs is not known.
 */
export type Verdict = 'identical' | 'superset' | 'own-cpu' | 'unknown' | 'incompatible';

export interface Comparison {
  readonly schema: 'plimsoll.compare/1';
  /** The software that was taken to start guests; absent under libvirt's rules. */
  readonly stack?: readonly string[];
  readonly host: string;
  /** The worst of all. */
  readonly verdict: Verdict;
  readonly cpus: readonly {
    readonly cpu: string;
    readonly verdict: Verdict;
    readonly missing: readonly string[];
    readonly extra: readonly string[];
    readonly unknown: readonly string[];
    readonly reasons: readonly string[];
  }[];
  readonly findings: readonly Finding[];
  readonly skipped?: readonly Skipped[];
}

/** What becomes of guests on a host. */
export interface Resolution extends Omit<Comparison, 'schema' | 'cpus'> {
  readonly schema: 'plimsoll.resolve/1';
  readonly guests: readonly {
    readonly guest: string;
    readonly verdict: Verdict;
    readonly missing: readonly string[];
    readonly unknown: readonly string[];
    readonly reasons: readonly string[];
    /** What it gets there: none where it gets nothing, nobody knows what, or the CPU of the host as it is. */
    readonly definitions: Definitions;
    /** The features of that; of the CPU of the host, what it offers. */
    readonly features: readonly string[];
  }[];
}

export interface Decoded {
  readonly schema: 'plimsoll.decode/1';
  readonly hosts: readonly {
    readonly host: string;
    readonly view: View;
    readonly arch: string;
    readonly vendor: string | null;
    readonly signature: {
      readonly family: number;
      readonly model: number;
      readonly stepping: number;
    } | null;
    readonly microcode?: string;
    readonly kernel?: string;
    /** Of a guest's definition: the software that it was taken to be started by, and on which machine type. */
    readonly startedBy?: {
      readonly qemu: string;
      readonly libvirt?: string;
      readonly machine: string | null;
    };
    readonly definitions: Definitions;
    /** What the description has. */
    readonly features: readonly string[];
    /** What guests can be given of it, and of what that is not known. */
    readonly offers: readonly string[];
    readonly unknown: readonly string[];
    /** Of what a processor or its kernel shows: what guests are not given for certain, and why. */
    readonly withheld: readonly (Withheld & { readonly feature: string })[];
    readonly limits: { readonly physBits: number | null };
    /** Of other architectures than x86, what tells the processor from others. */
    readonly identity?: Identity;
    readonly candidates: readonly { readonly name: string; readonly lacks: readonly string[] }[];
    readonly findings: readonly Finding[];
  }[];
  readonly skipped?: readonly Skipped[];
}
