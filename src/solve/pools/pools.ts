// What a split into pools is made of: units, the shares of them that a pool has, and sets of units as bits.
import type { Row } from '../../core/rows.ts';

/** What goes into a pool as one: hosts that are alike, or hosts that must stay together. */
export interface PoolUnit {
  readonly row: Row;
  readonly weight: number;
  /** Whether some of its hosts may go elsewhere than the others. */
  readonly divisible: boolean;
}

/** Some or all hosts of a unit in a pool. */
export interface Share {
  readonly unit: number;
  readonly hosts: number;
}

export interface Partition {
  /** Hosts × worth of the pool's meet, summed over the pools. */
  readonly kept: number;
  /** No split into as many pools keeps more. */
  readonly bound: number;
  readonly exact: boolean;
  readonly pools: readonly (readonly Share[])[];
}

/** The pools of the best split of a subset into at most t + 1 pools, as subsets. */
export function poolsOf(choice: readonly Uint32Array[], t: number, subset: number): number[] {
  const pools: number[] = [];
  for (let rest = subset, level = t; rest !== 0; level--) {
    const pool = choice[level]![rest]!;
    if (pool === 0) continue;
    pools.push(pool);
    rest ^= pool;
  }
  return pools;
}

export const maskUnits = (mask: number): number[] => {
  const units: number[] = [];
  for (let rest = mask; rest !== 0; rest &= rest - 1) units.push(31 - Math.clz32(rest & -rest));
  return units;
};
