// Splits of weighted units into pools, in the WASM core: every subset where there are few units, a search where
// there are many.
import { type Arena, sharedArena } from './arena.ts';
import type { Row } from './rows.ts';

/** Units of which every subset can be looked at: their meets take a megabyte a lane. */
export const MAX_SUBSET_UNITS = 16;

/** Rows of units, equally long, and what each of their bits is worth (whole numbers). */
export interface Valued {
  readonly rows: readonly Row[];
  readonly worth: Uint32Array;
}

/** For every subset of the units (a bit a unit) what its meet is worth; 0 for none. */
export function worthOfSubsets(valued: Valued, arena: Arena = sharedArena()): Float64Array {
  const units = valued.rows.length;
  if (units < 1 || units > MAX_SUBSET_UNITS)
    throw new RangeError(`subsets of ${units} units: 1 to ${MAX_SUBSET_UNITS} can be looked at`);
  const size = 2 ** units;
  const { lanes, planes } = layOut(valued);
  const sizes = [size * 8, size * lanes * 16, units * lanes * 16, planes.length * 4];
  return arena.borrow(sizes, (dst, meets, src, at) => {
    write(arena, valued.rows, src);
    arena.words.set(planes, at >>> 2);
    arena.core.worthOfSubsets(dst, meets, src, units, lanes, at, planes.length / (lanes * 4));
    return floats(arena, dst, size);
  });
}

/** The best splits of every subset into at most 1, 2, ... pools; of the last, for all units only. */
export interface Splits {
  /** Of each number of pools, less one: the most that a subset can keep. */
  readonly best: readonly Float64Array[];
  /** One of the pools of that split; 0 where one pool fewer keeps as much. */
  readonly choice: readonly Uint32Array[];
}

/** The best splits where each subset as one pool keeps `kept`, -Infinity where it may not be a pool. */
export function bestSplits(
  kept: Float64Array,
  pools: number,
  arena: Arena = sharedArena(),
): Splits {
  const size = kept.length;
  const units = Math.log2(size);
  return arena.borrow([pools * size * 8, pools * size * 4, size * 8], (best, choice, at) => {
    new Float64Array(arena.core.memory.buffer, at, size).set(kept);
    arena.core.bestSplits(best, choice, at, units, pools);
    const each = Array.from({ length: pools }, (_, t) => t);
    return {
      best: each.map((t) => floats(arena, best + t * size * 8, size)),
      choice: each.map((t) => {
        const from = (choice + t * size * 4) >>> 2;
        return arena.words.slice(from, from + size);
      }),
    };
  });
}

export interface Search {
  readonly weights: readonly number[];
  readonly pools: number;
  /** The weight that a pool must have at least. */
  readonly least: number;
  /** Starts from nothing; as many again start from the best split found. */
  readonly tries: number;
  readonly seed: number;
}

/** The pool of each unit in the best split that a search finds: always the same one for the same input. */
export function searchSplit(
  valued: Valued,
  { weights, pools, least, tries, seed }: Search,
  arena: Arena = sharedArena(),
): Uint32Array {
  const { rows, worth } = valued;
  const units = rows.length;
  if (weights.length !== units)
    throw new RangeError(`${weights.length} weights were given for ${units} units`);
  const { lanes, planes } = layOut(valued);
  const scratch = arena.core.searchScratchSize(units, lanes, pools);
  // More than any split can keep: a pool that is too small never pays.
  const fine = 1 + weights.reduce((a, b) => a + b, 0) * worth.reduce((a, b) => a + b, 0);
  const sizes = [units * 4, scratch, units * lanes * 16, units * 8, planes.length * 4];
  return arena.borrow(sizes, (dst, work, src, at, planesAt) => {
    write(arena, rows, src);
    new Float64Array(arena.core.memory.buffer, at, units).set(weights);
    arena.words.set(planes, planesAt >>> 2);
    arena.core.searchSplit(
      dst,
      work,
      src,
      at,
      units,
      lanes,
      planesAt,
      planes.length / (lanes * 4),
      pools,
      least,
      fine,
      tries,
      seed,
    );
    return arena.words.slice(dst >>> 2, (dst >>> 2) + units);
  });
}

/** Plane b holds bit b of what each bit is worth. */
function layOut({ rows, worth }: Valued): { lanes: number; planes: Uint32Array } {
  const words = rows[0]!.length;
  if (words % 4 !== 0 || rows.some((row) => row.length !== words))
    throw new RangeError('the rows of units must be equally long, in whole lanes of 128 bits');
  if (worth.length > words * 32)
    throw new RangeError(`${worth.length} bits are valued in rows of ${words * 32}`);
  const highest = worth.reduce((a, b) => Math.max(a, b), 1);
  const count = 32 - Math.clz32(highest);
  const planes = new Uint32Array(count * words);
  for (const [bit, value] of worth.entries())
    for (let b = 0; b < count; b++)
      if ((value >>> b) & 1) planes[b * words + (bit >> 5)]! |= 1 << (bit & 31);
  return { lanes: words / 4, planes };
}

function write(arena: Arena, rows: readonly Row[], at: number): void {
  const { words } = arena;
  for (const [i, row] of rows.entries()) words.set(row, (at >>> 2) + i * row.length);
}

const floats = (arena: Arena, at: number, length: number): Float64Array =>
  new Float64Array(arena.core.memory.buffer, at, length).slice();
