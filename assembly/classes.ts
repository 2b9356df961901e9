// Equal rows interned: a class for each distinct row, numbered in the order of first appearance, with its weight.
// The hash only finds candidates; a row joins a class when every bit of it is equal.
import { areRows, isBlock, LANE } from './memory';

/** Slots of the first table; a slot is the hash (high half) and the class + 1 (low half), or 0. */
const SLOTS: u32 = 1024;
const STREAMS: u32 = 8;
/** Rows of one stream at a time: with those of the others, independent work that the processor overlaps. */
const BATCH: u32 = 4;
/** Marks a class that has no final number yet. */
const UNNUMBERED: u32 = 0xffffffff;
const MIX: u64 = (0x9e3779b9 << 32) | 0x7f4a7c15;

/**
 * Odd numbers, as 16-bit words, that a panel's words are multiplied by, then what its predecessors are. In memory,
 * not in the code: the engine would build each constant anew for every row, which made interning a third slower.
 */
const KEYS = memory.data<u32>(
  [
    0x9e3779b1, 0x85ebca77, 0xc2b3ae3d, 0x27d5eb2f, 0x165767b1, 0x3c6ff373, 0x510f527f, 0x1f83d9ab,
    0x1d4964bb, 0x5e2d3c6f, 0x2b5d7f11, 0x4d356a09, 0x5a8336f3, 0x7cf521e7, 0x43fb6ed9, 0x1b87582d,
    0x2c1b3c6d, 0x2c1b3c6d, 0x2c1b3c6d, 0x2c1b3c6d,
  ],
  16,
);
const PANEL: usize = 4 * LANE;

/** Bytes of the largest table that `rows` rows can need; what is not needed is not touched. */
export function internTableSize(rows: u32): u64 {
  let slots: u64 = SLOTS;
  while (slots < 2 * <u64>rows) slots <<= 1;
  return slots << 3;
}

/** classOf[row], weights[class] and first[class] (its first row), all u32; returns how many classes there are. */
export function intern(
  classOf: usize,
  weights: usize,
  first: usize,
  table: usize,
  src: usize,
  rows: u32,
  lanes: u32,
): u32 {
  assert(areRows(src, rows, lanes) && isBlock(table, internTableSize(rows)));
  assert(
    isBlock(classOf, (<u64>rows) << 2) &&
      isBlock(weights, (<u64>rows) << 2) &&
      isBlock(first, (<u64>rows) << 2),
  );
  const stride = <usize>lanes * LANE;
  const part = (rows + STREAMS - 1) / STREAMS;
  let slots = SLOTS;
  let classes: u32 = 0;
  memory.fill(table, 0, (<usize>slots) << 3);
  // Until they are known, a row's place in classOf and a class's in weights hold the hash.
  for (let start: u32 = 0; start < part; start += BATCH) {
    const batch = min(BATCH, part - start);
    for (let row = start; row < rows; row += part) {
      const stop = min(row + batch, rows);
      for (let i = row; i < stop; i++)
        store<u32>(classOf + ((<usize>i) << 2), hash(src + <usize>i * stride, stride));
    }
    for (let row = start; row < rows; row += part) {
      const stop = min(row + batch, rows);
      for (let i = row; i < stop; i++) {
        const at = classOf + ((<usize>i) << 2);
        const code = load<u32>(at);
        const slot = find(table, slots, code, first, src, <usize>i * stride, stride);
        const entry = load<u64>(slot);
        if (entry !== 0) {
          store<u32>(at, <u32>entry - 1);
          continue;
        }
        store<u32>(at, classes);
        store<u32>(first + ((<usize>classes) << 2), i);
        store<u32>(weights + ((<usize>classes) << 2), code);
        store<u64>(slot, ((<u64>code) << 32) | <u64>++classes);
        if (classes > slots >> 1) {
          slots <<= 1;
          rebuild(table, slots, weights, classes);
        }
      }
    }
  }
  number(classOf, weights, first, table, rows, classes);
  return classes;
}

// Streams meet the rows out of order: classes get their numbers, first rows and weights in a pass over classOf.
function number(
  classOf: usize,
  weights: usize,
  first: usize,
  numbers: usize,
  rows: u32,
  classes: u32,
): void {
  memory.fill(numbers, 0xff, (<usize>classes) << 2);
  memory.fill(weights, 0, (<usize>classes) << 2);
  let next: u32 = 0;
  for (let row: u32 = 0; row < rows; row++, classOf += 4) {
    const at = numbers + ((<usize>load<u32>(classOf)) << 2);
    let id = load<u32>(at);
    if (id === UNNUMBERED) {
      id = next++;
      store<u32>(at, id);
      store<u32>(first + ((<usize>id) << 2), row);
    }
    store<u32>(classOf, id);
    const weight = weights + ((<usize>id) << 2);
    store<u32>(weight, load<u32>(weight) + 1);
  }
}

// The slot of the class that this row is of, or the empty one where it belongs.
function find(
  table: usize,
  slots: u32,
  code: u32,
  first: usize,
  src: usize,
  row: usize,
  stride: usize,
): usize {
  let i = code;
  let slot = slotAt(table, slots, i);
  for (let entry = load<u64>(slot); entry !== 0; entry = load<u64>(slot)) {
    const known = <usize>load<u32>(first + ((<usize>(<u32>entry - 1)) << 2));
    if (<u32>(entry >> 32) === code && isEqual(src + known * stride, src + row, stride)) break;
    slot = slotAt(table, slots, ++i);
  }
  return slot;
}

function slotAt(table: usize, slots: u32, i: u32): usize {
  return table + ((<usize>(i & (slots - 1))) << 3);
}

function rebuild(table: usize, slots: u32, codes: usize, classes: u32): void {
  memory.fill(table, 0, (<usize>slots) << 3);
  for (let id: u32 = 0; id < classes; id++) {
    const code = load<u32>(codes + ((<usize>id) << 2));
    let i = code;
    while (load<u64>(slotAt(table, slots, i)) !== 0) i++;
    store<u64>(slotAt(table, slots, i), ((<u64>code) << 32) | <u64>(id + 1));
  }
}

// No early exit: nearly always the rows are equal, and one branch is better than one a lane.
function isEqual(a: usize, b: usize, stride: usize): bool {
  let gap = i64x2.splat(0);
  for (const end = a + stride; a < end; a += LANE, b += LANE)
    gap = v128.or(gap, v128.xor(v128.load(a), v128.load(b)));
  return !v128.any_true(gap);
}

// A sum of 16-bit words times keys for each panel, and over the panels a polynomial of these sums.
function hash(row: usize, stride: usize): u32 {
  let total = i64x2.splat(0);
  const end = row + stride;
  for (; row + PANEL <= end; row += PANEL) {
    const a = i32x4.dot_i16x8_s(v128.load(row), v128.load(KEYS));
    const b = i32x4.dot_i16x8_s(v128.load(row, 16), v128.load(KEYS, 16));
    const c = i32x4.dot_i16x8_s(v128.load(row, 32), v128.load(KEYS, 32));
    const d = i32x4.dot_i16x8_s(v128.load(row, 48), v128.load(KEYS, 48));
    const panel = i32x4.add(i32x4.add(a, b), i32x4.add(c, d));
    total = i32x4.add(i32x4.mul(total, v128.load(KEYS, 64)), panel);
  }
  for (; row < end; row += LANE) {
    const lane = i32x4.dot_i16x8_s(v128.load(row), v128.load(KEYS));
    total = i32x4.add(i32x4.mul(total, v128.load(KEYS, 64)), lane);
  }
  // extract_lane is signed: as u64 first, or a shift would drag the sign in.
  const low = <u64>i64x2.extract_lane(total, 0);
  const high = <u64>i64x2.extract_lane(total, 1);
  return <u32>(((low ^ rotr(high, 23)) * MIX) >> 32);
}
