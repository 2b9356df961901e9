// Equal rows interned: a class for each distinct row, numbered in the order of first appearance, with its weight.
// The hash only finds candidates; a row joins a class when every bit of it is equal.
import { areRows, isBlock, LANE } from './memory';

/** Slots of the first table; a slot is the hash (high half) and the class + 1 (low half), or 0. */
const SLOTS: u32 = 1024;
/** Rows hashed before they are looked up: independent work that the processor overlaps. */
const BATCH: u32 = 32;
/** 2^64 over the golden ratio: spreads the bits of a sum over the upper half. */
const MIX: u64 = (0x9e3779b9 << 32) | 0x7f4a7c15;

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
  let slots = SLOTS;
  let classes: u32 = 0;
  memory.fill(table, 0, (<usize>slots) << 3);
  for (let start: u32 = 0; start < rows; start += BATCH) {
    const end = min(start + BATCH, rows);
    // Until its class is known, a row's place in classOf holds its hash.
    for (let row = start; row < end; row++)
      store<u32>(classOf + ((<usize>row) << 2), hash(src + <usize>row * stride, stride));
    for (let row = start; row < end; row++) {
      const at = classOf + ((<usize>row) << 2);
      const code = load<u32>(at);
      const slot = find(table, slots, code, first, src, <usize>row * stride, stride);
      const entry = load<u64>(slot);
      if (entry !== 0) {
        const found = <u32>entry - 1;
        const weight = weights + ((<usize>found) << 2);
        store<u32>(at, found);
        store<u32>(weight, load<u32>(weight) + 1);
        continue;
      }
      store<u32>(at, classes);
      store<u32>(weights + ((<usize>classes) << 2), 1);
      store<u32>(first + ((<usize>classes) << 2), row);
      store<u64>(slot, ((<u64>code) << 32) | <u64>++classes);
      if (classes > slots >> 1) {
        slots <<= 1;
        rebuild(table, slots, first, classes, src, stride);
      }
    }
  }
  return classes;
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

function rebuild(
  table: usize,
  slots: u32,
  first: usize,
  classes: u32,
  src: usize,
  stride: usize,
): void {
  memory.fill(table, 0, (<usize>slots) << 3);
  for (let id: u32 = 0; id < classes; id++) {
    const code = hash(src + <usize>load<u32>(first + ((<usize>id) << 2)) * stride, stride);
    let i = code;
    while (load<u64>(slotAt(table, slots, i)) !== 0) i++;
    store<u64>(slotAt(table, slots, i), ((<u64>code) << 32) | <u64>(id + 1));
  }
}

function isEqual(a: usize, b: usize, stride: usize): bool {
  for (const end = a + stride; a < end; a += LANE, b += LANE)
    if (v128.any_true(v128.xor(v128.load(a), v128.load(b)))) return false;
  return true;
}

// Sums of products of keyed words (the NH hash of UMAC, RFC 4418 section 5.2), with keys that differ for every word.
function hash(row: usize, stride: usize): u32 {
  let key = i32x4(0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f);
  let total = i64x2.splat(0);
  for (const end = row + stride; row < end; row += LANE) {
    const words = i32x4.add(v128.load(row), key);
    total = i64x2.add(
      total,
      i64x2.extmul_low_i32x4_u(words, v128.shuffle<i32>(words, words, 2, 3, 0, 1)),
    );
    key = i32x4.add(key, i32x4(0x165667b1, 0x3c6ef372, 0x510e527f, 0x1f83d9ab));
  }
  // extract_lane is signed: as u64 first, or the shift would drag the sign in.
  const low = <u64>i64x2.extract_lane(total, 0);
  const high = <u64>i64x2.extract_lane(total, 1);
  const mixed = (low ^ rotr(high, 23)) * MIX;
  return <u32>(mixed >> 32);
}
