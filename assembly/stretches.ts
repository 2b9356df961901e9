// XML text cut before each `<`: a tag and what follows it up to the next is a stretch, and equal stretches have one
// number. Nothing of XML is known here but that sign; whoever asks reads each distinct stretch once.
//
//   header │ names whose digits do not count │ scratch │ table │ entries │ text of the distinct stretches
import { isBlock, LANE } from './memory';

// The header, in bytes from the block's start; src/core/stretches.ts knows it, too.
/** Where a cut that was not finished stopped: the tables were full. */
const STOPPED: usize = 0;
const COUNT: usize = 4;
const TEXT_BYTES: usize = 8;

const NAMES_AT: usize = 64;
const NAMES_ROOM: usize = 256;
const SCRATCH_AT: usize = NAMES_AT + NAMES_ROOM;
const MAX_SCRATCH: usize = 4096;
const MAX_STRETCHES: u32 = 1 << 17;
const TEXT_ROOM: usize = 6 << 20;
const ENTRY: usize = 16;
const TABLE_AT: usize = SCRATCH_AT + MAX_SCRATCH + LANE;
const TABLE_SIZE: usize = 8 * <usize>MAX_STRETCHES;
const ENTRIES_AT: usize = TABLE_AT + TABLE_SIZE;
const TEXT_AT: usize = ENTRIES_AT + <usize>MAX_STRETCHES * ENTRY;

const NONE: u32 = 0xffffffff;
/** Longer numbers than any that is meant count as they are. */
const MAX_DIGITS: i32 = 16;
const AMPERSAND: u8 = 0x26;
const APOSTROPHE: u8 = 0x27;
const QUOTE: u8 = 0x22;
const HYPHEN: u8 = 0x2d;
const SLASH: u8 = 0x2f;
const ZERO: u8 = 0x30;
const LESS: u8 = 0x3c;
const GREATER: u8 = 0x3e;
const MIX: u64 = (0x9e3779b9 << 32) | 0x7f4a7c15;
const MIX_HIGH: u64 = (0xd6e8feb8 << 32) | 0x6659fd93;

/** The hash of the stretch whose size was asked for last. */
let code: u64 = 0;

/** Bytes of the block. */
export function cutSize(): u32 {
  return <u32>(TEXT_AT + TEXT_ROOM + LANE);
}

/** Makes a block ready; `names`, each with a zero behind it, are of tags whose digits do not count. */
export function cutStart(state: usize, names: usize, size: u32): void {
  assert(isBlock(state, TEXT_AT + TEXT_ROOM + LANE) && <usize>size < NAMES_ROOM);
  memory.fill(state, 0, SCRATCH_AT);
  memory.copy(state + NAMES_AT, names, size);
  memory.fill(state + TABLE_AT, 0, TABLE_SIZE);
}

/**
 * Cuts text that begins with `<`, with one behind its end, and puts the number of each stretch out. Answers how many
 * there were before the end, or before the tables were full.
 */
export function cut(state: usize, out: usize, p: usize, end: usize): u32 {
  assert(load<u8>(p) === LESS && load<u8>(end) === LESS);
  const first = out;
  while (p < end) {
    const size = sizeOf(p);
    const number = numberOf(state, p, size);
    if (number === NONE) break;
    store<u32>(out, number);
    out += 4;
    p += size;
  }
  store<u32>(state, <u32>p, STOPPED);
  return <u32>((out - first) >> 2);
}

/** Where the distinct stretches lie: for each 16 bytes, of which the last 8 are the address and the size of its text. */
export function cutEntries(state: usize): usize {
  return state + ENTRIES_AT;
}

/** The size of a stretch, which leaves its hash behind: its lanes are looked at once for both. */
function sizeOf(start: usize): usize {
  const less = i8x16.splat(0x3c);
  let p = start;
  let lane = v128.load(p);
  let hash = i32x4.splat(0);
  let marks = i8x16.bitmask(i8x16.eq(lane, less)) & ~1;
  while (marks === 0) {
    hash = i32x4.add(i32x4.add(i32x4.shl(hash, 5), hash), lane);
    p += LANE;
    lane = v128.load(p);
    marks = i8x16.bitmask(i8x16.eq(lane, less));
  }
  const rest = ctz(marks);
  const size = p + <usize>rest - start;
  hash = i32x4.add(i32x4.add(i32x4.shl(hash, 5), hash), first(lane, rest));
  // extract_lane is signed: as u64 at once, or a shift would drag the sign in.
  code = <u64>i64x2.extract_lane(hash, 0) * MIX + <u64>i64x2.extract_lane(hash, 1) * MIX_HIGH;
  code ^= (code >> 32) + <u64>size;
  code *= MIX_HIGH;
  code ^= code >> 29;
  return size;
}

/** The first bytes of a lane, the others zero. */
function first(lane: v128, bytes: i32): v128 {
  const places = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return v128.and(lane, i8x16.lt_s(places, i8x16.splat(<i8>bytes)));
}

function isSame(a: usize, b: usize, size: usize): bool {
  const end = a + size;
  for (; a + LANE <= end; a += LANE, b += LANE)
    if (v128.any_true(v128.xor(v128.load(a), v128.load(b)))) return false;
  return !v128.any_true(first(v128.xor(v128.load(a), v128.load(b)), <i32>(end - a)));
}

function numberOf(state: usize, p: usize, size: usize): u32 {
  const slot = find(state, p, size);
  if (load<u32>(slot) !== 0) return load<u32>(slot) - 1;
  const left = withoutDigits(state, p, size);
  if (left === 0) return add(state, slot, p, size);
  const scratch = state + SCRATCH_AT;
  store<u8>(scratch + left, LESS);
  sizeOf(scratch);
  const own = find(state, scratch, left);
  return load<u32>(own) !== 0 ? load<u32>(own) - 1 : add(state, own, scratch, left);
}

/** The slot of a stretch, or the empty one where it belongs. */
function find(state: usize, p: usize, size: usize): usize {
  const slots = 2 * MAX_STRETCHES;
  let i = <u32>code & (slots - 1);
  while (true) {
    const slot = state + TABLE_AT + ((<usize>i) << 2);
    const n = load<u32>(slot);
    if (n === 0) return slot;
    const entry = state + ENTRIES_AT + <usize>(n - 1) * ENTRY;
    if (
      load<u64>(entry) === code &&
      <usize>load<u32>(entry, 12) === size &&
      isSame(load<u32>(entry, 8), p, size)
    )
      return slot;
    i = (i + 1) & (slots - 1);
  }
}

function add(state: usize, slot: usize, p: usize, size: usize): u32 {
  const n = load<u32>(state, COUNT);
  const used = <usize>load<u32>(state, TEXT_BYTES);
  if (n === MAX_STRETCHES || used + size > TEXT_ROOM) return NONE;
  const at = state + TEXT_AT + used;
  memory.copy(at, p, size);
  const entry = state + ENTRIES_AT + <usize>n * ENTRY;
  store<u64>(entry, code);
  store<u32>(entry, <u32>at, 8);
  store<u32>(entry, <u32>size, 12);
  store<u32>(slot, n + 1);
  store<u32>(state, n + 1, COUNT);
  store<u32>(state, <u32>(used + size), TEXT_BYTES);
  return n;
}

/**
 * A stretch whose tag has one of the names, to the scratch: each number in quotes as 0, and within the element no digits
 * to the base of 16 and no hyphens. Answers its size, or 0 where it counts as it is.
 */
function withoutDigits(state: usize, p: usize, size: usize): usize {
  if (size > MAX_SCRATCH || !isNamed(state, p + 1, size - 1)) return 0;
  const end = p + size;
  const scratch = state + SCRATCH_AT;
  let to = scratch;
  let quote: u8 = 0;
  let isBehind = false;
  let digits: i32 = 0;
  for (; p < end; p++) {
    const c = load<u8>(p);
    // What stands for a character is made of digits, too.
    if (c === AMPERSAND) return 0;
    digits = <u8>(c - ZERO) < 10 ? digits + 1 : 0;
    if (isBehind) {
      if (digits > 0 || c === HYPHEN || <u8>((c | 0x20) - 0x61) < 6) continue;
    } else if (quote !== 0) {
      if (digits > MAX_DIGITS) return 0;
      if (digits > 1) continue;
      if (c === quote) quote = 0;
    } else if (c === APOSTROPHE || c === QUOTE) quote = c;
    else if (c === GREATER) {
      // Behind an element that ends at once stands text of another.
      if (load<u8>(p - 1) === SLASH) break;
      isBehind = true;
    }
    store<u8>(to++, !isBehind && quote !== 0 && digits > 0 ? ZERO : c);
  }
  memory.copy(to, p, end - p);
  return to + (end - p) - scratch;
}

function isNamed(state: usize, p: usize, size: usize): bool {
  for (let name = state + NAMES_AT; load<u8>(name) !== 0; name++) {
    let i: usize = 0;
    while (i < size && load<u8>(name) !== 0 && load<u8>(name) === load<u8>(p + i)) {
      name++;
      i++;
    }
    if (load<u8>(name) === 0 && i < size) {
      const c = load<u8>(p + i);
      if (c === GREATER || c <= 0x20) return true;
    }
    while (load<u8>(name) !== 0) name++;
  }
  return false;
}
