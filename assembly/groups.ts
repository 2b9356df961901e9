// The best split of weighted units into pools. What a pool keeps is its weight times the worth of the meet of its
// rows; worth is per bit, given as planes: plane b holds bit b of every bit's worth.
import { areRows, isBlock, LANE } from './memory';

/** What a row is worth. */
function worth(row: usize, planes: usize, planeCount: u32, stride: usize): u32 {
  let total: u32 = 0;
  for (let b: u32 = 0; b < planeCount; b++, planes += stride) {
    let bytes = i64x2.splat(0);
    for (let lane: usize = 0; lane < stride; lane += LANE)
      bytes = i32x4.add(
        bytes,
        i32x4.extadd_pairwise_i16x8_u(
          i16x8.extadd_pairwise_i8x16_u(
            i8x16.popcnt(v128.and(v128.load(row + lane), v128.load(planes + lane))),
          ),
        ),
      );
    const count =
      i32x4.extract_lane(bytes, 0) +
      i32x4.extract_lane(bytes, 1) +
      i32x4.extract_lane(bytes, 2) +
      i32x4.extract_lane(bytes, 3);
    total += (<u32>count) << b;
  }
  return total;
}

/** The worth (f64) of the meet of every subset of the units but the empty one; `meets` is room for as many rows. */
export function worthOfSubsets(
  dst: usize,
  meets: usize,
  src: usize,
  units: u32,
  lanes: u32,
  planes: usize,
  planeCount: u32,
): void {
  assert(
    areRows(src, units, lanes) &&
      areRows(meets, 1 << units, lanes) &&
      areRows(planes, planeCount, lanes) &&
      isBlock(dst, 8 << units),
  );
  const stride = <usize>lanes * LANE;
  memory.fill(meets, 0xff, stride);
  store<f64>(dst, 0);
  for (let mask: u32 = 1; mask < (<u32>1) << units; mask++) {
    const to = meets + <usize>mask * stride;
    const from = meets + <usize>(mask & (mask - 1)) * stride;
    const unit = src + <usize>ctz(mask) * stride;
    for (let lane: usize = 0; lane < stride; lane += LANE)
      v128.store(to + lane, v128.and(v128.load(from + lane), v128.load(unit + lane)));
    store<f64>(dst + ((<usize>mask) << 3), <f64>worth(to, planes, planeCount, stride));
  }
}

/**
 * best[t][subset] = the most that the subset can keep in at most t + 1 pools, given what each pool alone keeps
 * (f64, -Infinity where it may not be one); choice[t][subset] = one of its pools, or 0 where one pool fewer does it.
 * The last t is filled in for the set of all units only.
 */
export function bestSplits(best: usize, choice: usize, kept: usize, units: u32, pools: u32): void {
  const size = (<usize>1) << units;
  assert(
    isBlock(best, <u64>pools * ((<u64>size) << 3)) &&
      isBlock(choice, <u64>pools * ((<u64>size) << 2)) &&
      isBlock(kept, (<u64>size) << 3),
  );
  memory.copy(best, kept, size << 3);
  for (let mask: usize = 0; mask < size; mask++) store<u32>(choice + (mask << 2), <u32>mask);
  for (let t: u32 = 1; t < pools; t++) {
    const before = best;
    best += size << 3;
    choice += size << 2;
    memory.fill(best, 0, size << 3);
    memory.fill(choice, 0, size << 2);
    for (let mask = t === pools - 1 ? size - 1 : 1; mask < size; mask++) {
      const low = mask & (~mask + 1);
      let most = load<f64>(before + (mask << 3));
      let chosen: usize = 0;
      // Every pool that holds the lowest unit, but for the whole.
      for (let rest = mask ^ low, sub = rest; sub !== 0; ) {
        sub = (sub - 1) & rest;
        const pool = sub | low;
        const sum = load<f64>(kept + (pool << 3)) + load<f64>(before + ((mask ^ pool) << 3));
        if (sum > most) {
          most = sum;
          chosen = pool;
        }
      }
      store<f64>(best + (mask << 3), most);
      store<u32>(choice + (mask << 2), <u32>chosen);
    }
  }
}

let state: u32 = 1;

/** A whole number below n, by xorshift: the same ones for the same seed. */
function below(n: u32): u32 {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return <u32>((<u64>state * <u64>n) >> 32);
}

// One split under way: where its parts lie. The search is the only user, and sets all of them before it starts.
let rows: usize = 0;
let stride: usize = 0;
let count: u32 = 0;
let weights: usize = 0;
let planesAt: usize = 0;
let planesIn: u32 = 0;
let least: f64 = 0;
let penalty: f64 = 0;
let poolCount: u32 = 0;
let poolOf: usize = 0;
let meets: usize = 0;
let sizes: usize = 0;
let scores: usize = 0;
let order: usize = 0;
let trial: usize = 0;

/** Bytes that a search needs to work in. */
export function searchScratchSize(units: u32, lanes: u32, pools: u32): usize {
  return (
    (<usize>pools + 1) * <usize>lanes * LANE + ((<usize>pools) << 4) + ((<usize>units) << 3) + LANE
  );
}

/**
 * Looks for the split into at most `pools` pools that keeps the most: `tries` times from a random start, then as
 * often from the best one shaken. Pools of less than `atLeast` are paid for with `fine` each missing host.
 * Leaves the pool of each unit (u32) in dst; returns what the split keeps.
 */
export function searchSplit(
  dst: usize,
  scratch: usize,
  src: usize,
  weightsAt: usize,
  units: u32,
  lanes: u32,
  planes: usize,
  planeCount: u32,
  pools: u32,
  atLeast: f64,
  fine: f64,
  tries: u32,
  seed: u32,
): f64 {
  assert(
    areRows(src, units, lanes) &&
      isBlock(weightsAt, (<u64>units) << 3) &&
      areRows(planes, planeCount, lanes) &&
      isBlock(scratch, searchScratchSize(units, lanes, pools)) &&
      isBlock(dst, (<u64>units) << 2),
  );
  state = seed | 1;
  rows = src;
  stride = <usize>lanes * LANE;
  count = units;
  weights = weightsAt;
  planesAt = planes;
  planesIn = planeCount;
  least = atLeast;
  penalty = fine;
  poolCount = pools;
  meets = scratch;
  trial = meets + <usize>pools * stride;
  sizes = trial + stride;
  scores = sizes + ((<usize>pools) << 3);
  poolOf = scores + ((<usize>pools) << 3);
  order = poolOf + ((<usize>units) << 2);
  for (let i: u32 = 0; i < units; i++) store<u32>(order + ((<usize>i) << 2), i);
  let best: f64 = -Infinity;
  for (let n: u32 = 0; n < 2 * tries; n++) {
    if (n < tries) start();
    else shake(dst);
    improve();
    let sum: f64 = 0;
    for (let p: u32 = 0; p < pools; p++) sum += load<f64>(scores + ((<usize>p) << 3));
    if (sum > best) {
      best = sum;
      memory.copy(dst, poolOf, (<usize>units) << 2);
    }
  }
  return best;
}

function shuffle(): void {
  for (let i = count; i > 1; i--) {
    const a = order + ((<usize>(i - 1)) << 2);
    const b = order + ((<usize>below(i)) << 2);
    const unit = load<u32>(a);
    store<u32>(a, load<u32>(b));
    store<u32>(b, unit);
  }
}

/** A random unit founds each pool; each of the others goes where that costs the least. */
function start(): void {
  shuffle();
  for (let p: u32 = 0; p < poolCount; p++) clear(p);
  for (let i: u32 = 0; i < count; i++) {
    const unit = load<u32>(order + ((<usize>i) << 2));
    add(unit, i < poolCount ? i : bestPool(unit, poolCount));
  }
}

/** The best split with some units thrown into other pools. */
function shake(best: usize): void {
  memory.copy(poolOf, best, (<usize>count) << 2);
  for (let n = 2 + below(min<u32>(8, count)); n > 0; n--)
    store<u32>(poolOf + ((<usize>below(count)) << 2), below(poolCount));
  for (let p: u32 = 0; p < poolCount; p++) clear(p);
  for (let unit: u32 = 0; unit < count; unit++) add(unit, load<u32>(poolOf + ((<usize>unit) << 2)));
  shuffle();
}

/** Moves units to better pools, one by one, until no single move helps. */
function improve(): void {
  for (let moved = true; moved; ) {
    moved = false;
    for (let i: u32 = 0; i < count; i++) {
      const unit = load<u32>(order + ((<usize>i) << 2));
      const from = load<u32>(poolOf + ((<usize>unit) << 2));
      const weight = load<f64>(weights + ((<usize>unit) << 3));
      const size = load<f64>(sizes + ((<usize>from) << 3)) - weight;
      meetWithout(unit, from);
      const left = score(size, trial);
      const gained = left - load<f64>(scores + ((<usize>from) << 3));
      // bestPool uses the same room for its trials.
      const to = bestPool(unit, from);
      if (to === from || gained + gain(unit, to) <= 1e-6) continue;
      meetWithout(unit, from);
      memory.copy(meets + <usize>from * stride, trial, stride);
      store<f64>(sizes + ((<usize>from) << 3), size);
      store<f64>(scores + ((<usize>from) << 3), left);
      add(unit, to);
      moved = true;
    }
  }
}

function clear(pool: u32): void {
  memory.fill(meets + <usize>pool * stride, 0xff, stride);
  store<f64>(sizes + ((<usize>pool) << 3), 0);
  store<f64>(scores + ((<usize>pool) << 3), 0);
}

function add(unit: u32, pool: u32): void {
  const at = meets + <usize>pool * stride;
  const row = rows + <usize>unit * stride;
  for (let lane: usize = 0; lane < stride; lane += LANE)
    v128.store(at + lane, v128.and(v128.load(at + lane), v128.load(row + lane)));
  const size = sizes + ((<usize>pool) << 3);
  store<f64>(size, load<f64>(size) + load<f64>(weights + ((<usize>unit) << 3)));
  store<f64>(scores + ((<usize>pool) << 3), score(load<f64>(size), at));
  store<u32>(poolOf + ((<usize>unit) << 2), pool);
}

function score(size: f64, row: usize): f64 {
  if (size <= 0) return 0;
  if (size < least) return -penalty * (least - size);
  return size * <f64>worth(row, planesAt, planesIn, stride);
}

/** What a pool gains by a unit that is in none. */
function gain(unit: u32, pool: u32): f64 {
  const at = meets + <usize>pool * stride;
  const row = rows + <usize>unit * stride;
  for (let lane: usize = 0; lane < stride; lane += LANE)
    v128.store(trial + lane, v128.and(v128.load(at + lane), v128.load(row + lane)));
  const size = load<f64>(sizes + ((<usize>pool) << 3)) + load<f64>(weights + ((<usize>unit) << 3));
  return score(size, trial) - load<f64>(scores + ((<usize>pool) << 3));
}

/** The pool but `not` that gains the most by a unit. */
function bestPool(unit: u32, not: u32): u32 {
  let best = not;
  let most: f64 = -Infinity;
  for (let pool: u32 = 0; pool < poolCount; pool++) {
    if (pool === not) continue;
    const gained = gain(unit, pool);
    if (gained > most) {
      most = gained;
      best = pool;
    }
  }
  return best;
}

function meetWithout(unit: u32, pool: u32): void {
  memory.fill(trial, 0xff, stride);
  for (let other: u32 = 0; other < count; other++) {
    if (other === unit || load<u32>(poolOf + ((<usize>other) << 2)) !== pool) continue;
    const row = rows + <usize>other * stride;
    for (let lane: usize = 0; lane < stride; lane += LANE)
      v128.store(trial + lane, v128.and(v128.load(trial + lane), v128.load(row + lane)));
  }
}
