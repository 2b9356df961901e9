// Names, numbered in the order of their first mention: plain letters between quotes, none of them a control character.
import { MINUS as DASH, isHex, QUOTE, special } from './json';
import {
  MAX_NAME,
  MAX_NAMES,
  NAME_ENTRY,
  NAME_SIZE,
  NAME_SLOTS,
  NAME_TABLE_AT,
  NAMES,
  NAMES_AT,
  NONE,
  ROLE_APART,
  ROLES_AT,
  ROW_AT,
  SEEN_AT,
} from './kinds';
import { LANE } from './memory';
import { BLOCK, mixed, part } from './text';

const UUID_SIZE: usize = 36;

/** The number of a name, with this role from now on. */
export function scanName(state: usize, at: usize, role: u8): u32 {
  const found = <u32>named(state, at);
  if (found !== NONE) store<u8>(state + ROLES_AT + <usize>found, role);
  return found;
}

/** Where the spelling of a name lies, whose key was seen with a plain value; 0 where it was not. */
export function scanSeen(state: usize, name: u32): usize {
  return load<u8>(state + SEEN_AT + <usize>name) === 0 ? 0 : nameAt(state, name);
}

/** Where the spelling of a name lies. */
export function nameAt(state: usize, name: u32): usize {
  return state + NAMES_AT + <usize>name * NAME_ENTRY;
}

/** The name from behind its quote: where it ends behind its closing quote (high half) and its number, or NONE. */
export function named(state: usize, p: usize): u64 {
  let marks = special(p);
  let size: usize = 0;
  while (marks === 0) {
    size += LANE;
    if (size === MAX_NAME) return <u64>NONE;
    marks = special(p + size);
  }
  size += <usize>ctz(marks);
  if (load<u8>(p + size) !== QUOTE) return <u64>NONE;
  const name = nameOf(state, p, size);
  return name === NONE ? <u64>NONE : ((<u64>(p + size + 1)) << 32) | <u64>name;
}

/** Where the number of a name of these lanes would be. */
function nameSlot(state: usize, a: v128, b: v128): usize {
  const sum = v128.xor(a, i64x2.add(b, i64x2.shl(b, 7)));
  // extract_lane is signed: as u64 at once, or a shift would drag the sign in.
  const code = mixed(<u64>i64x2.extract_lane(sum, 0), <u64>i64x2.extract_lane(sum, 1));
  return state + NAME_TABLE_AT + ((<usize>(code >> 50)) << 1);
}

/** The number of a name of less than 48 bytes, or NONE where no more names fit. */
export function nameOf(state: usize, p: usize, size: usize): u32 {
  const slot = findName(state, p, size);
  const found = <u32>load<u16>(slot);
  if (found !== 0) return found;
  const name = load<u32>(state, NAMES) + 1;
  if (name === MAX_NAMES) return NONE;
  store<u32>(state, name, NAMES);
  store<u16>(slot, <u16>name);
  const entry = nameAt(state, name);
  for (let i: usize = 0; i < MAX_NAME; i += LANE) v128.store(entry + i, part(p, size, i));
  store<u16>(entry, <u16>size, NAME_SIZE);
  return name;
}

/** The number of a name, or 0. */
export function knownName(state: usize, p: usize, size: usize): u32 {
  return <u32>load<u16>(findName(state, p, size));
}

/** Where the number of a name is, or belongs. */
function findName(state: usize, p: usize, size: usize): usize {
  assert(size < MAX_NAME);
  const a = part(p, size, 0);
  const b = part(p, size, 16);
  const c = part(p, size, 32);
  let slot = nameSlot(state, a, b);
  while (true) {
    const name = <u32>load<u16>(slot);
    const entry = nameAt(state, name);
    const gap = v128.or(
      v128.or(v128.xor(a, v128.load(entry)), v128.xor(b, v128.load(entry, 16))),
      v128.xor(c, v128.load(entry, 32)),
    );
    if (name === 0 || !v128.any_true(gap)) return slot;
    slot += 2;
    if (slot === state + NAME_TABLE_AT + 2 * <usize>NAME_SLOTS) slot = state + NAME_TABLE_AT;
  }
}

/** Where a host's name ends that begins here, or 0 unless it is nothing but plain letters; no vendor is a host. */
export function hostName(state: usize, p: usize): usize {
  const start = p;
  while (true) {
    const marks = special(p) | i8x16.bitmask(i8x16.eq(v128.load(p), i8x16.splat(0x7f)));
    if (marks !== 0) {
      p += <usize>ctz(marks);
      break;
    }
    p += LANE;
  }
  const size = p - start;
  if (load<u8>(p) !== QUOTE || size === 0) return 0;
  if (size < LANE) {
    const name = knownName(state, start, size);
    if (load<u8>(state + ROLES_AT + <usize>name) === ROLE_APART) return 0;
  }
  return p;
}

export function isUuid(p: usize, size: usize): bool {
  if (size !== UUID_SIZE) return false;
  for (let i: usize = 0; i < UUID_SIZE; i++) {
    const c = load<u8>(p + i);
    const isDash = i === 8 || i === 13 || i === 18 || i === 23;
    if (isDash ? c !== DASH : !isHex(c)) return false;
  }
  return true;
}

/** Sets the bit of a name in the scratch's row. */
export function mark(state: usize, name: u32): void {
  const word = state + ROW_AT + <usize>((name >> 5) << 2);
  store<u32>(word, load<u32>(word) | (1 << name));
}

// What stands between two names, with a blank or without: a word of text from the closing quote on.
const BETWEEN: u32 = 0x222c22;
const BETWEEN_SPACED: u32 = 0x22202c22;

/**
 * Sets the bits of names, from behind the quote of the first, until one is not known, or not where its hash points,
 * or not followed by another in the plainest way. Answers where that one begins. A name reaches up to the quote before
 * the next comma, and needs no look at its letters if it equals a known one. There is no branch on its size, which nobody
 * can predict in a list without an order.
 */
export function markKnown(state: usize, p: usize): usize {
  let block = p;
  let commas = commasAt(p);
  while (true) {
    while (commas === 0) {
      block += BLOCK;
      commas = commasAt(block);
    }
    const end = block + <usize>ctz(commas) - 1;
    commas &= commas - 1;
    const size = end - p;
    if (size > 2 * LANE) return p;
    const a = part(p, size, 0);
    const b = part(p, size, 16);
    const name = <u32>load<u16>(nameSlot(state, a, b));
    const entry = nameAt(state, name);
    const gap = v128.or(
      v128.or(v128.xor(a, v128.load(entry)), v128.xor(b, v128.load(entry, 16))),
      v128.load(entry, 32),
    );
    if (v128.any_true(gap)) return p;
    const next = load<u32>(end);
    if ((next & 0xffffff) === BETWEEN) p = end + 3;
    else if (next === BETWEEN_SPACED) p = end + 4;
    else return p;
    mark(state, name);
  }
}

/** A bit for each comma of a block. */
function commasAt(p: usize): u64 {
  const comma = i8x16.splat(0x2c);
  const a = i8x16.bitmask(i8x16.eq(v128.load(p), comma));
  const b = i8x16.bitmask(i8x16.eq(v128.load(p, 16), comma));
  const c = i8x16.bitmask(i8x16.eq(v128.load(p, 32), comma));
  const d = i8x16.bitmask(i8x16.eq(v128.load(p, 48), comma));
  return <u64>(<u32>(a | (b << 16))) | ((<u64>(<u32>(c | (d << 16)))) << 32);
}
