// Host records, one JSON object a line, sorted into kinds without being understood: two records are of one kind
// when they list the same names and agree byte by byte in every other value that counts. Whatever is unusual goes
// to the host as it is; what is said to be of a kind is proven, by comparison and not by hash.
import {
  blank,
  CLOSE,
  COLON,
  COMMA,
  isHex,
  NEWLINE,
  OPEN,
  OPEN_LIST,
  QUOTE,
  special,
  value,
} from './json';
import {
  DONE,
  EXPECTED,
  EXPECTED_AT,
  FULL,
  ID_AT,
  ID_SIZE,
  KEY_AT,
  KEY_SIZE,
  LEFT_OUT,
  LINE,
  LINES,
  MAX_KEY,
  NAME_SIZE,
  NONE,
  OTHER,
  ROLE_APART,
  ROLE_HOST,
  ROLE_LIST,
  ROLE_PART,
  ROLES_AT,
  SEEN_AT,
  STAMP,
  STAMPS_AT,
  settle,
  stopAt,
} from './kinds';
import { list } from './lists';
import { LANE } from './memory';
import { knownName, nameAt, named } from './names';
import { part } from './text';

// How a record names its host, as a part of its kind.
const NAMELESS: u8 = 0;
const NAMED: u8 = 1;
const NUMBERED: u8 = 2;
const UUID_SIZE: usize = 36;

/**
 * Scans lines from `p` to `end`, which is behind a newline; input ends at `limit`, and four lanes behind that are
 * overwritten. Answers why it stopped, at the line from LINE to LINE_END.
 */
export function scan(
  state: usize,
  kinds: usize,
  ends: usize,
  ids: usize,
  p: usize,
  end: usize,
  limit: usize,
): u32 {
  assert(p <= end && end <= limit && (p === end || load<u8>(end - 1) === NEWLINE));
  // Whoever looks for a comma or the end of a list finds one.
  for (let i: usize = 0; i < 4; i++) v128.store(limit + i * LANE, i16x8.splat(0x2c5d));
  while (p < end) {
    store<u32>(state, <u32>p, LINE);
    let stop = blank(p);
    if (load<u8>(stop) !== NEWLINE) {
      stop = load<u8>(stop) === OPEN ? record(state, stop + 1) : 0;
      if (stop === 0) return stopAt(state, p, OTHER);
      const row = load<u32>(state + KEY_AT);
      if (row === NONE) return stopAt(state, p, FULL);
      const why = settle(state, kinds, ends, ids);
      if (why !== DONE) return stopAt(state, p, why);
    }
    store<u32>(state, load<u32>(state, LINES) + 1, LINES);
    p = stop + 1;
  }
  return DONE;
}

/** One record from behind its brace to the newline, or 0; its kind's key, and where its id is, go to the scratch. */
function record(state: usize, p: usize): usize {
  const stamp = load<u32>(state, STAMP) + 1;
  store<u32>(state, stamp, STAMP);
  store<u32>(state, 0, ID_SIZE);
  const start = state + KEY_AT;
  let key = start + 5;
  let host = NAMELESS;
  let hasList = false;
  let order: usize = 0;
  p = blank(p);
  while (true) {
    if (load<u8>(p) !== QUOTE) return 0;
    const found = keyAt(state, p + 1, order++);
    const name = <u32>found;
    if (name === NONE) return 0;
    const stamps = state + STAMPS_AT + ((<usize>name) << 2);
    if (load<u32>(stamps) === stamp) return 0;
    store<u32>(stamps, stamp);
    p = blank(<usize>(found >> 32));
    if (load<u8>(p) !== COLON) return 0;
    p = blank(p + 1);
    const role = load<u8>(state + ROLES_AT + <usize>name);
    const at = p;
    if (role === ROLE_LIST) {
      if (load<u8>(p) !== OPEN_LIST) return 0;
      hasList = true;
      p = list(state, p);
      if (p === 0) return 0;
    } else if (role === ROLE_HOST && load<u8>(p) === QUOTE) {
      p = hostName(state, p + 1);
      if (p === 0) return 0;
      const isNumber = p - at === UUID_SIZE + 2 && isUuid(at + 1);
      host = isNumber ? NUMBERED : NAMED;
      if (!isNumber) {
        store<u32>(state, <u32>at + 1, ID_AT);
        store<u32>(state, <u32>(p - at) - 2, ID_SIZE);
      }
    } else {
      const first = load<u8>(p);
      p = value(p);
      if (p === 0) return 0;
      const isNested = first === OPEN || first === OPEN_LIST;
      // null names no host, as if the key were not there.
      if (role === ROLE_HOST && first !== 0x6e) return 0;
      if (role === ROLE_PART || (isNested && role !== ROLE_HOST)) {
        const size = role === ROLE_PART ? <u32>(p - at) : 0;
        if (key + <usize>size + 6 > start + MAX_KEY) return 0;
        store<u16>(key, <u16>name);
        store<u32>(key, role === ROLE_PART ? size : LEFT_OUT, 2);
        key += 6;
        for (let i: usize = 0; i < <usize>size; i += LANE) v128.store(key + i, v128.load(at + i));
        key += <usize>size;
      } else if (role !== ROLE_HOST && first !== 0x6e) store<u8>(state + SEEN_AT + <usize>name, 1);
    }
    p = blank(p);
    const c = load<u8>(p++);
    if (c === COMMA) p = blank(p);
    else if (c === CLOSE) break;
    else return 0;
  }
  p = blank(p);
  if (!hasList || load<u8>(p) !== NEWLINE) return 0;
  store<u8>(start + 4, host);
  store<u32>(state, <u32>(key - start), KEY_SIZE);
  return p;
}

/** The same of a key; most records have the keys of the one before, in its order. */
function keyAt(state: usize, p: usize, order: usize): u64 {
  const expected = state + EXPECTED_AT + ((order & (EXPECTED - 1)) << 2);
  const name = load<u32>(expected);
  const entry = nameAt(state, name);
  const size = <usize>load<u16>(entry, NAME_SIZE);
  if (
    size <= LANE &&
    load<u8>(p + size) === QUOTE &&
    !v128.any_true(v128.xor(part(p, size, 0), v128.load(entry)))
  )
    return ((<u64>(p + size + 1)) << 32) | <u64>name;
  const found = named(state, p);
  if (<u32>found !== NONE) store<u32>(expected, <u32>found);
  return found;
}

/** A host's name from behind its quote, where nothing but plain letters is in it; no vendor is a host. */
function hostName(state: usize, p: usize): usize {
  const start = p;
  while (true) {
    const marks = special(p) | i8x16.bitmask(i8x16.eq(v128.load(p), i8x16.splat(0x7f)));
    if (marks !== 0) {
      p += <usize>ctz(marks);
      break;
    }
    p += LANE;
  }
  if (load<u8>(p) !== QUOTE || p === start) return 0;
  if (p - start < LANE) {
    const name = knownName(state, start, p - start);
    if (load<u8>(state + ROLES_AT + <usize>name) === ROLE_APART) return 0;
  }
  return p + 1;
}

function isUuid(p: usize): bool {
  for (let i: usize = 0; i < UUID_SIZE; i++) {
    const c = load<u8>(p + i);
    const isDash = i === 8 || i === 13 || i === 18 || i === 23;
    if (isDash ? c !== 0x2d : !isHex(c)) return false;
  }
  return true;
}
