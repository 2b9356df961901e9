// The answers to what comes after the baseline, as data: who costs what, which pools, which guest where, who may join.
import type { Definitions } from '../cpu/definition.ts';
import type { HostList, Skipped } from '../fleet/fleet.ts';
import type { Finding } from './answer.ts';

/** What leaving features out costs in security. */
export interface SecurityCost {
  /** Mitigations that some host offers and guests do not get. */
  readonly mitigationsLost: readonly string[];
  /** Immunities (`*-no`) that guests may rely on, and those that some host has and guests may not claim. */
  readonly immunitiesClaimed: readonly string[];
  readonly immunitiesNotClaimed: readonly string[];
}

/** Whether a host can be made to have what it lacks: firmware, microcode or software; or other silicon; or unsettled. */
export type Remedy = 'mend' | 'replace' | 'unknown';

/** Hosts that lack the very same, and what is gained without them. */
export interface BlameGroup extends HostList {
  readonly gains: readonly string[];
  /** The model that the fleet would reach, in QEMU's words where they can say it. */
  readonly model: string | null;
  readonly remedy: Remedy;
  readonly because: string;
  /** The gains by what would bring them back. */
  readonly mend: readonly string[];
  readonly replace: readonly string[];
  readonly unsettled: readonly string[];
}

/** The most that can be gained by leaving out so many hosts. */
interface FrontierPoint {
  readonly without: number;
  readonly features: number;
  /** The first of those left out. */
  readonly hosts: readonly string[];
  /** Whether it is proven that no other hosts, as many, gain more. */
  readonly exact: boolean;
}

/** The fewest hosts to mend or move so that all others have these features. */
export interface Want extends HostList {
  readonly wanted: readonly string[];
  /** Whether any host would be left that has them all. */
  readonly possible: boolean;
  readonly gains: readonly string[];
  readonly model: string | null;
}

/** What the hosts of one architecture and vendor hold each other down by. */
export interface BlameSide {
  readonly hosts: number;
  readonly features: number;
  readonly model: string | null;
  readonly groups: readonly BlameGroup[];
  readonly frontier: readonly FrontierPoint[];
  readonly want?: Want;
  readonly security: SecurityCost;
  /** For few hosts: each feature that some have and some lack, and who has it. */
  readonly matrix?: FeatureMatrix;
}

export interface FeatureMatrix {
  readonly hosts: readonly string[];
  /** `has` is parallel to the hosts: yes, no, or null where that is not known. */
  readonly rows: readonly { readonly feature: string; readonly has: readonly (boolean | null)[] }[];
}

export interface Blame extends Partial<BlameSide> {
  readonly schema: 'plimsoll.blame/1';
  readonly stack: readonly string[];
  readonly hosts: number;
  /** Where hosts have no CPU in common: the answer of each side. */
  readonly sides?: readonly (BlameSide & {
    readonly because: string;
    readonly value: string | null;
  })[];
  readonly findings: readonly Finding[];
  readonly skipped?: readonly Skipped[];
}

export interface PoolGroup {
  /** Every host of the pool. */
  readonly hosts: readonly string[];
  readonly count: number;
  readonly vendor: string | null;
  readonly arch: string | null;
  readonly model: Definitions;
  readonly features: readonly string[];
  readonly security: SecurityCost;
}

/** What so many pools keep at most. */
export interface CurvePoint {
  readonly k: number;
  readonly kept: number;
  readonly bound: number;
  readonly exact: boolean;
}

export interface Groups {
  readonly schema: 'plimsoll.groups/1';
  readonly k: number;
  /** Hosts × features (by their weights) over all pools; no split into k pools keeps more than `bound`. */
  readonly kept: number;
  readonly bound: number;
  readonly exact: boolean;
  readonly groups: readonly PoolGroup[];
  /** The same for every number of pools that is possible, up to k. */
  readonly curve: readonly CurvePoint[];
  /** Why there is no split at all; the groups are empty then. */
  readonly because?: string;
  readonly findings: readonly Finding[];
  readonly skipped?: readonly Skipped[];
}

/** Hosts on which a guest does not run, and why. */
export interface Missing extends HostList {
  readonly features: readonly string[];
  /** What stands in the way beside features: another vendor, too few address bits. */
  readonly reasons?: readonly string[];
}

/** Hosts of which it is not known whether they have what a guest asks for. */
interface Unknown extends HostList {
  readonly features: readonly string[];
  /** What is not known beside features. */
  readonly reasons?: readonly string[];
  /** It does not run there in any case: `missing` says why. */
  readonly certainlyNot?: true;
}

export interface PlacedGuest {
  readonly guest: string;
  /**
   * runs: on some host for certain; own-cpu: it starts, with the CPU of its host, and where it may move is not known;
   * unknown: it may run on some; none: it runs on no host.
   */
  readonly verdict: 'runs' | 'own-cpu' | 'unknown' | 'none';
  /** On how many hosts it starts for certain, of how many. */
  readonly runsOn: number;
  readonly of: number;
  /** The first of the hosts on which it runs. */
  readonly hosts: readonly string[];
  /** The feature that the most hosts (of its vendor, if there are any) lack of what it asks for; null where none does. */
  readonly first: string | null;
  readonly missing: readonly Missing[];
  readonly unknown: readonly Unknown[];
  /** Why it has the CPU of its host, where it has. */
  readonly own?: string;
  /** Hosts left to it after those drained, where any are. */
  readonly left?: number;
}

/** A guest that gets a new baseline only by being switched off and on. */
export interface PowerCycle {
  readonly guest: string;
  readonly gains: readonly string[];
  readonly loses: readonly string[];
}

export interface Placement {
  readonly schema: 'plimsoll.place/1';
  /** The software that was taken to start the guests. */
  readonly stack: readonly string[];
  readonly guests: readonly PlacedGuest[];
  /** Guests that run somewhere, and nowhere once the hosts in question are gone. */
  readonly stranded: readonly string[];
  /** Guests that run nowhere as it is. */
  readonly nowhere: readonly string[];
  /** Guests of which it is not known whether they have a place, and keep one. */
  readonly unknown: readonly string[];
  /** Guests that have the CPU of their host. */
  readonly ownCpu: readonly string[];
  /** The guests with the fewest hosts to run on. */
  readonly fewest: {
    readonly runsOn: number;
    readonly count: number;
    readonly guests: readonly string[];
  } | null;
  readonly drained?: readonly string[];
  readonly lose?: number;
  readonly powerCycle?: readonly PowerCycle[];
  readonly findings: readonly Finding[];
  readonly skipped?: readonly Skipped[];
}

export interface AdmittedHost {
  readonly host: string;
  /** null where that cannot be known. */
  readonly admitted: boolean | null;
  /** Features of the baseline that it lacks. */
  readonly lost: readonly string[];
  /** Features of the baseline that it may have, but its description cannot tell. */
  readonly unknown: readonly string[];
  /** What stands in the way beside features, and what is not known beside them. */
  readonly reasons: readonly string[];
  readonly unknownReasons: readonly string[];
  /** What guests would have with it: how many features, and which mitigations would be lost. */
  readonly features: { readonly before: number; readonly after: number };
  readonly security: SecurityCost;
}

export interface Admit {
  readonly schema: 'plimsoll.admit/1';
  readonly hosts: readonly AdmittedHost[];
  /** What is to be known of the kernel, where another was asked about. */
  readonly findings?: readonly Finding[];
  readonly skipped?: readonly Skipped[];
}
