// The split of weighted units into pools that keeps the most, with what no split can exceed. Few units are solved
// exactly, over every subset of them; many by a search, held against bounds.
import { bitsOf, emptyRow, hasBit, join, meet, minus, type Row, setBit } from '../../core/rows.ts';
import {
  bestSplits,
  MAX_SUBSET_UNITS,
  searchSplit,
  type Valued,
  worthOfSubsets,
} from '../../core/split-search.ts';
import { LeastSolver } from './partition-least.ts';
import { maskUnits, type Partition, type PoolUnit, poolsOf } from './pools.ts';

export type { Partition, PoolUnit } from './pools.ts';

export interface PartitionOptions {
  /** At most so many pools. */
  readonly most: number;
  /** Hosts that a pool must have at least. */
  readonly least: number;
  /** What each bit of the rows is worth; 1 where absent. */
  readonly worth: ReadonlyMap<number, number>;
}

/** Starts of a search over as many units as leave a start short; more units get fewer. */
const TRIES = 1000;
const TRIES_UNITS = 100;
const SEED = 20261124;
/** Units of a block of a bound: all of its subsets are solved in a few milliseconds. */
const BLOCK = 14;
/** Units that all blocks of a bound share. */
const CORES = [0, 5, 10];
/** Units that a bound takes together; finding clusters takes the square of it. */
const CLUSTERED = 400;

/** The best splits into at most 1, 2, ... `most` pools; null where even one pool would be too small. */
export function partitions(
  units: readonly PoolUnit[],
  options: PartitionOptions,
): (Partition | null)[] {
  const { most, least } = options;
  const weights = units.map((u) => u.weight);
  const total = weights.reduce((a, b) => a + b, 0);
  if (total < least) return Array.from({ length: most }, () => null);
  const { valued, common } = condense(units, options.worth);
  const found =
    units.length <= MAX_SUBSET_UNITS
      ? solveAll(units, valued, common, options)
      : searchAll(units, valued, common, options);
  // Where a search found less with more pools, the split with fewer stands: it is one of at most so many, too.
  for (let t = 1; t < found.length; t++) {
    const [before, now] = [found[t - 1]!, found[t]!];
    if (before.kept > now.kept)
      found[t] = { ...before, bound: now.bound, exact: before.kept === now.bound };
  }
  return found;
}

/** Rows of only those bits that some unit has and some lacks; what all have is worth `common` a host. */
function condense(
  units: readonly PoolUnit[],
  worth: ReadonlyMap<number, number>,
): { valued: Valued; common: number } {
  const all = units.map((u) => u.row).reduce(meet);
  const some = units.map((u) => u.row).reduce(join);
  const worthOf = (id: number) => worth.get(id) ?? 1;
  const differing = bitsOf(minus(some, all)).filter((id) => worthOf(id) > 0);
  const rows = units.map(({ row }) => {
    const out = emptyRow(Math.max(1, differing.length));
    for (const [i, id] of differing.entries()) if (hasBit(row, id)) setBit(out, i);
    return out;
  });
  return {
    valued: { rows, worth: Uint32Array.from(differing, worthOf) },
    common: bitsOf(all).reduce((sum, id) => sum + worthOf(id), 0),
  };
}

function solveAll(
  units: readonly PoolUnit[],
  valued: Valued,
  common: number,
  { most, least }: PartitionOptions,
): Partition[] {
  const worth = worthOfSubsets(valued).map((w, mask) => (mask === 0 ? 0 : w + common));
  const weight = weightOfSubsets(units.map((u) => u.weight));
  const kept = worth.map((w, mask) =>
    mask > 0 && weight[mask]! < least ? -Infinity : w * weight[mask]!,
  );
  const pools = Math.min(most, units.length);
  const splits = bestSplits(kept, pools);
  const all = kept.length - 1;
  const out: Partition[] = [];
  for (let t = 0; t < pools; t++) {
    const whole = poolsOf(splits.choice, t, all).map((mask) =>
      maskUnits(mask).map((unit) => ({ unit, hosts: units[unit]!.weight })),
    );
    out.push({
      kept: splits.best[t]!.at(all)!,
      bound: splits.best[t]!.at(all)!,
      exact: true,
      pools: whole,
    });
  }
  const isCut = least > 1 && units.some((u) => u.divisible);
  const solver = isCut ? new LeastSolver(units, worth, weight, splits, least) : null;
  const solved = out.map((partition, t) => solver?.solve(t + 1, partition) ?? partition);
  // A pool that holds the main part of no unit keeps nothing that its hosts would not keep elsewhere.
  while (solved.length < most) solved.push(solved.at(-1)!);
  return solved;
}

/** The weight of every subset. */
function weightOfSubsets(weights: readonly number[]): Float64Array {
  const out = new Float64Array(2 ** weights.length);
  for (let mask = 1; mask < out.length; mask++)
    out[mask] = out[mask & (mask - 1)]! + weights[31 - Math.clz32(mask & -mask)]!;
  return out;
}

function searchAll(
  units: readonly PoolUnit[],
  valued: Valued,
  common: number,
  { most, least }: PartitionOptions,
): Partition[] {
  const weights = units.map((u) => u.weight);
  const total = weights.reduce((a, b) => a + b, 0);
  const n = units.length;
  const tries = Math.max(20, Math.round(TRIES * Math.min(1, (TRIES_UNITS / n) ** 2)));
  const bounds = boundsOf(valued, weights, Math.min(most, n));
  return Array.from({ length: most }, (_, t) => {
    const pools = t === 0 ? 1 : Math.min(t + 1, n);
    const poolOf =
      pools === 1
        ? new Uint32Array(n)
        : searchSplit(valued, { weights, pools, least, tries, seed: SEED });
    const found = repair(valued, weights, poolOf, pools, least);
    const kept = keptBy(valued, weights, found) + common * total;
    const bound = pools === 1 ? kept : bounds[pools - 1]! + common * total;
    return {
      kept,
      bound,
      exact: kept === bound,
      pools: found.map((pool) => pool.map((unit) => ({ unit, hosts: weights[unit]! }))),
    };
  });
}

/** The pools of a search; one that is too small gives its units to the others. */
function repair(
  valued: Valued,
  weights: readonly number[],
  poolOf: Uint32Array,
  count: number,
  least: number,
): number[][] {
  const pools: number[][] = Array.from({ length: count }, () => []);
  for (const [unit, pool] of poolOf.entries()) pools[pool]!.push(unit);
  const weigh = (pool: readonly number[]) => pool.reduce((sum, unit) => sum + weights[unit]!, 0);
  let open = pools.filter((pool) => pool.length > 0);
  for (;;) {
    const small = open.find((pool) => weigh(pool) < least);
    if (small === undefined || open.length === 1) return open;
    open = open.filter((pool) => pool !== small);
    let best = 0;
    let most = -1;
    for (const i of open.keys()) {
      const kept = keptBy(valued, weights, open.with(i, [...open[i]!, ...small]));
      if (kept > most) [best, most] = [i, kept];
    }
    open = open.with(best, [...open[best]!, ...small]);
  }
}

function keptBy(valued: Valued, weights: readonly number[], pools: readonly number[][]): number {
  return pools.reduce((sum, pool) => {
    const row = pool.map((unit) => valued.rows[unit]!).reduce(meet);
    return sum + pool.reduce((w, unit) => w + weights[unit]!, 0) * worthOf(valued, row);
  }, 0);
}

/** What no split into at most 1, 2, ... pools exceeds: the least of some relaxations, each solved exactly. */
function boundsOf(valued: Valued, weights: readonly number[], most: number): number[] {
  const order = [...weights.keys()].sort((a, b) => weights[b]! - weights[a]! || a - b);
  const bounds = [
    ...CORES.map((core) => byBlocks(valued, weights, most, order, core)),
    byClusters(valued, weights, most, order),
  ];
  return Array.from({ length: most }, (_, t) => Math.min(...bounds.map((kept) => kept[t]!)));
}

/**
 * Units in blocks that need not share their pools. The `core` heaviest units are in every block, with an equal part
 * of their weight: what a split keeps is the sum of what it keeps of the blocks.
 */
function byBlocks(
  valued: Valued,
  weights: readonly number[],
  most: number,
  order: readonly number[],
  core: number,
): number[] {
  const sums = Array.from({ length: most }, () => 0);
  const own = BLOCK - core;
  const blocks = Math.max(1, Math.ceil((order.length - core) / own));
  const take = (units: readonly number[], parts: number): Weighted[] =>
    units.map((unit) => ({ row: valued.rows[unit]!, weight: weights[unit]! / parts }));
  const shared = take(order.slice(0, core), blocks);
  for (let n = 0; n < blocks; n++) {
    const from = core + n * own;
    const block = [...shared, ...take(order.slice(from, from + own), 1)];
    for (const [t, kept] of solveBlock(block, valued.worth, most).entries()) sums[t]! += kept;
  }
  return sums.map((sum) => Math.floor(sum + 1e-6));
}

/** Units in clusters that each count as all that one of their units has; the lightest units as pools of their own. */
function byClusters(
  valued: Valued,
  weights: readonly number[],
  most: number,
  order: readonly number[],
): number[] {
  const clusters: Weighted[] = order
    .slice(0, CLUSTERED)
    .map((unit) => ({ row: valued.rows[unit]!, weight: weights[unit]! }));
  const alone = order
    .slice(CLUSTERED)
    .reduce((sum, unit) => sum + weights[unit]! * worthOf(valued, valued.rows[unit]!), 0);
  const costs = (a: Weighted, b: Weighted) => {
    const [gainedA, gainedB] = [minus(b.row, a.row), minus(a.row, b.row)];
    return a.weight * worthOf(valued, gainedA) + b.weight * worthOf(valued, gainedB);
  };
  // Of each cluster the cheapest partner behind it.
  const nearest = (i: number) => {
    let best = { with: -1, cost: Infinity };
    for (let j = i + 1; j < clusters.length; j++) {
      const cost = costs(clusters[i]!, clusters[j]!);
      if (cost < best.cost) best = { with: j, cost };
    }
    return best;
  };
  let partners = clusters.map((_, i) => nearest(i));
  while (clusters.length > BLOCK) {
    const i = partners.reduce((at, p, k) => (p.cost < partners[at]!.cost ? k : at), 0);
    const j = partners[i]!.with;
    const [a, b] = [clusters[i]!, clusters[j]!];
    clusters[i] = { row: join(a.row, b.row), weight: a.weight + b.weight };
    clusters.splice(j, 1);
    partners.splice(j, 1);
    partners = partners.map((p, k) => {
      if (k === i || p.with === i || p.with === j) return nearest(k);
      const moved = { ...p, with: p.with > j ? p.with - 1 : p.with };
      if (k > i) return moved;
      const cost = costs(clusters[k]!, clusters[i]!);
      return cost < moved.cost ? { with: i, cost } : moved;
    });
  }
  return solveBlock(clusters, valued.worth, most).map((kept) => kept + alone);
}

interface Weighted {
  readonly row: Row;
  readonly weight: number;
}

function solveBlock(block: readonly Weighted[], worth: Uint32Array, most: number): number[] {
  const weight = weightOfSubsets(block.map((unit) => unit.weight));
  const rows = block.map((unit) => unit.row);
  const kept = worthOfSubsets({ rows, worth }).map((w, mask) => w * weight[mask]!);
  const pools = Math.min(most, rows.length);
  const { best } = bestSplits(kept, pools);
  return Array.from({ length: most }, (_, t) => best[Math.min(t, pools - 1)]!.at(-1)!);
}

function worthOf({ worth }: Valued, row: Row): number {
  let sum = 0;
  for (const [i, word] of row.entries())
    for (let rest = word; rest !== 0; rest &= rest - 1)
      sum += worth[i * 32 + (31 - Math.clz32(rest & -rest))]!;
  return sum;
}
