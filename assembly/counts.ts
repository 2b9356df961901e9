// How many rows have each bit. Rows are added up vertically: plane k holds bit k of all counts at once, and a
// full adder takes three rows of one weight to a sum and a carry, so a row costs one adder and no loop over bits.
import { areRows, isBlock, LANE } from './memory';

/** Weights that a plane may have: 2^0 to 2^31. */
const LEVELS: usize = 32;
/** The weight, as a level, of what sixteen rows carry. */
const SIXTEEN: u32 = 4;
/** Rows of a weighted block: its lines stay in the first cache while its words are walked one by one. */
const BLOCK: u32 = 128;

/** Bytes that `counts` needs to work in. */
export function countsScratchSize(lanes: u32): usize {
  return (2 * LEVELS + 1) * LANE * <usize>lanes + (LEVELS << 3);
}

/**
 * dst = for each bit how many rows have it, as u32.
 * Scratch: for each level a plane and what waits to be added to it; the carry on its way up; the weights of all these.
 */
export function counts(dst: usize, scratch: usize, src: usize, rows: u32, lanes: u32): void {
  assert(
    isBlock(dst, (<u64>lanes) << 9) &&
      isBlock(scratch, countsScratchSize(lanes)) &&
      areRows(src, rows, lanes),
  );
  const stride = <usize>lanes * LANE;
  const groups = rows >> 4;
  const distance = <usize>groups * stride;
  memory.fill(scratch, 0, countsScratchSize(lanes));
  for (let group: u32 = 0; group < groups; group++)
    addGroup(scratch, group, src + <usize>group * stride, distance, stride);
  for (let row = groups << 4; row < rows; row++) addOne(scratch, src + <usize>row * stride, stride);
  total(dst, scratch, rows, stride);
}

function plane(scratch: usize, level: u32, stride: usize): usize {
  return scratch + ((<usize>level) << 1) * stride;
}

function waiting(scratch: usize, level: u32, stride: usize): usize {
  return plane(scratch, level, stride) + stride;
}

function sum(a: v128, b: v128, c: v128): v128 {
  return v128.xor(v128.xor(a, b), c);
}

function carried(a: v128, b: v128, c: v128): v128 {
  return v128.bitselect(c, a, v128.xor(a, b));
}

/**
 * The `group`th row of each of sixteen streams, `distance` apart, added up. A level's first carry waits; its second
 * is added with the first, and what they carry goes up: so bit k of `group` says whether level k + 4 has one waiting.
 */
export function addGroup(
  scratch: usize,
  group: u32,
  src: usize,
  distance: usize,
  stride: usize,
): void {
  const carry = scratch + 2 * LEVELS * stride;
  const left = (group & 1) !== 0 ? carry : waiting(scratch, SIXTEEN, stride);
  for (let lane: usize = 0; lane < stride; lane += LANE)
    addSixteen(scratch + lane, left + lane, src + lane, distance, stride);
  for (let level = SIXTEEN; (group & 1) !== 0; group >>= 1, level++) {
    const next = (group & 2) !== 0 ? carry : waiting(scratch, level + 1, stride);
    addWaiting(scratch, level, carry, next, stride);
  }
}

// A row of each stream added to the planes of 1, 2, 4 and 8 of one lane; what they carry goes to `carry`.
function addSixteen(planes: usize, carry: usize, src: usize, distance: usize, stride: usize): void {
  const step = stride << 1;
  let ones = v128.load(planes);
  let twos = v128.load(planes + step);
  let fours = v128.load(planes + 2 * step);
  const eights = v128.load(planes + 3 * step);

  let a = v128.load(src);
  src += distance;
  let b = v128.load(src);
  let two = carried(ones, a, b);
  ones = sum(ones, a, b);
  src += distance;
  a = v128.load(src);
  src += distance;
  b = v128.load(src);
  let other = carried(ones, a, b);
  ones = sum(ones, a, b);
  let four = carried(twos, two, other);
  twos = sum(twos, two, other);
  src += distance;
  a = v128.load(src);
  src += distance;
  b = v128.load(src);
  two = carried(ones, a, b);
  ones = sum(ones, a, b);
  src += distance;
  a = v128.load(src);
  src += distance;
  b = v128.load(src);
  other = carried(ones, a, b);
  ones = sum(ones, a, b);
  let last = carried(twos, two, other);
  twos = sum(twos, two, other);
  const eight = carried(fours, four, last);
  fours = sum(fours, four, last);

  src += distance;
  a = v128.load(src);
  src += distance;
  b = v128.load(src);
  two = carried(ones, a, b);
  ones = sum(ones, a, b);
  src += distance;
  a = v128.load(src);
  src += distance;
  b = v128.load(src);
  other = carried(ones, a, b);
  ones = sum(ones, a, b);
  four = carried(twos, two, other);
  twos = sum(twos, two, other);
  src += distance;
  a = v128.load(src);
  src += distance;
  b = v128.load(src);
  two = carried(ones, a, b);
  ones = sum(ones, a, b);
  src += distance;
  a = v128.load(src);
  src += distance;
  b = v128.load(src);
  other = carried(ones, a, b);
  ones = sum(ones, a, b);
  last = carried(twos, two, other);
  twos = sum(twos, two, other);
  const second = carried(fours, four, last);
  fours = sum(fours, four, last);

  v128.store(planes, ones);
  v128.store(planes + step, twos);
  v128.store(planes + 2 * step, fours);
  v128.store(planes + 3 * step, sum(eights, eight, second));
  v128.store(carry, carried(eights, eight, second));
}

// What waits at a level and the carry added to its plane; what they carry goes to `next`, which may be `carry`.
function addWaiting(scratch: usize, level: u32, carry: usize, next: usize, stride: usize): void {
  const total = plane(scratch, level, stride);
  const other = waiting(scratch, level, stride);
  for (let lane: usize = 0; lane < stride; lane += LANE) {
    const a = v128.load(total + lane);
    const b = v128.load(other + lane);
    const c = v128.load(carry + lane);
    v128.store(total + lane, sum(a, b, c));
    v128.store(other + lane, i64x2.splat(0));
    v128.store(next + lane, carried(a, b, c));
  }
}

function addOne(scratch: usize, src: usize, stride: usize): void {
  for (let lane: usize = 0; lane < stride; lane += LANE) {
    let bits = v128.load(src + lane);
    for (let at = scratch + lane; v128.any_true(bits); at += stride << 1) {
      const total = v128.load(at);
      v128.store(at, v128.xor(total, bits));
      bits = v128.and(total, bits);
    }
  }
}

/** dst = the counts in the planes, once `rows` rows are in: planes are rows too, with powers of two for weights. */
export function total(dst: usize, scratch: usize, rows: u32, stride: usize): void {
  const weights = scratch + (2 * LEVELS + 1) * stride;
  for (let level: usize = 0; level < LEVELS; level++) {
    store<u32>(weights + (level << 3), 1 << (<u32>level));
    store<u32>(weights + (level << 3), 1 << (<u32>level), 4);
  }
  weigh(dst, weights, scratch, (32 - <u32>clz(rows)) << 1, stride);
}

/** dst = for each bit the weights (u32) of the rows that have it, added up, as u32. */
export function weightedCounts(
  dst: usize,
  weights: usize,
  src: usize,
  rows: u32,
  lanes: u32,
): void {
  assert(isBlock(dst, (<u64>lanes) << 9) && isBlock(weights, (<u64>rows) << 2));
  assert(areRows(src, rows, lanes));
  weigh(dst, weights, src, rows, <usize>lanes * LANE);
}

function weigh(dst: usize, weights: usize, src: usize, rows: u32, stride: usize): void {
  memory.fill(dst, 0, stride << 5);
  for (let row: u32 = 0; row < rows; row += BLOCK)
    for (let word: usize = 0; word < stride; word += 4)
      addWeights(
        dst + (word << 5),
        weights + ((<usize>row) << 2),
        src + <usize>row * stride + word,
        min(BLOCK, rows - row),
        stride,
      );
}

// One word of some rows: lane i of accumulator j stands for bit 4j + i.
function addWeights(dst: usize, weights: usize, src: usize, rows: u32, stride: usize): void {
  const bits = i32x4(1, 2, 4, 8);
  let a = v128.load(dst);
  let b = v128.load(dst, 16);
  let c = v128.load(dst, 32);
  let d = v128.load(dst, 48);
  let e = v128.load(dst, 64);
  let f = v128.load(dst, 80);
  let g = v128.load(dst, 96);
  let h = v128.load(dst, 112);
  for (const end = src + <usize>rows * stride; src < end; src += stride, weights += 4) {
    const word = i32x4.splat(load<u32>(src));
    const weight = i32x4.splat(load<u32>(weights));
    a = i32x4.add(a, chosen(word, bits, weight));
    b = i32x4.add(b, chosen(i32x4.shr_u(word, 4), bits, weight));
    c = i32x4.add(c, chosen(i32x4.shr_u(word, 8), bits, weight));
    d = i32x4.add(d, chosen(i32x4.shr_u(word, 12), bits, weight));
    e = i32x4.add(e, chosen(i32x4.shr_u(word, 16), bits, weight));
    f = i32x4.add(f, chosen(i32x4.shr_u(word, 20), bits, weight));
    g = i32x4.add(g, chosen(i32x4.shr_u(word, 24), bits, weight));
    h = i32x4.add(h, chosen(i32x4.shr_u(word, 28), bits, weight));
  }
  v128.store(dst, a);
  v128.store(dst, b, 16);
  v128.store(dst, c, 32);
  v128.store(dst, d, 48);
  v128.store(dst, e, 64);
  v128.store(dst, f, 80);
  v128.store(dst, g, 96);
  v128.store(dst, h, 112);
}

function chosen(word: v128, bits: v128, weight: v128): v128 {
  return v128.and(i32x4.eq(v128.and(word, bits), bits), weight);
}
