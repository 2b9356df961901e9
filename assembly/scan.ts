// Host records, one JSON object a line, sorted into kinds without being understood: two records are of one kind
// when they list the same names and agree byte by byte in every other value that counts. Whatever is unusual goes
// to the host as it is; what is said to be of a kind is proven, by comparison and not by hash.
import {
  blank,
  CLOSE,
  COLON,
  COMMA,
  NEWLINE,
  OPEN,
  OPEN_LIST,
  QUOTE,
  SMALL_N,
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
  LIST_FROM,
  MAX_KEY,
  NAME_SIZE,
  NESTED_AT,
  NONE,
  OTHER,
  PATTERN_MEMO,
  put,
  ROLE_HOST,
  ROLE_LIST,
  ROLE_PART,
  ROLES_AT,
  SEEN_AT,
  SLOT,
  STAMP,
  STAMPS_AT,
  settle,
  stopAt,
} from './kinds';
import { list } from './lists';
import { LANE } from './memory';
import { isAwake, rate } from './memos';
import { hostName, isUuid, nameAt, named } from './names';
import {
  follow,
  HOLE_LIST,
  HOLE_NAME,
  HOLE_VALUE,
  hole,
  learn,
  leaveUnlearnt,
  startHoles,
} from './patterns';
import { part } from './text';

// How a record names its host, as a part of its kind.
const NAMELESS: u8 = 0;
const NAMED: u8 = 1;
const NUMBERED: u8 = 2;

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
  // Other text may lie where the last list did.
  store<u32>(state, 0, LIST_FROM);
  const memo = state + PATTERN_MEMO;
  while (p < end) {
    let next: usize = 0;
    const asks = isAwake(memo);
    if (asks) {
      next = follow(state, p);
      rate(memo, next !== 0);
    }
    if (next !== 0) put(state, kinds, ends, ids, load<u32>(load<u32>(state, SLOT)));
    else {
      store<u32>(state, <u32>p, LINE);
      let stop = blank(p);
      if (load<u8>(stop) !== NEWLINE) {
        stop = load<u8>(stop) === OPEN ? record(state, stop + 1) : 0;
        if (stop === 0) return stopAt(state, p, OTHER);
        if (load<u32>(state + KEY_AT) === NONE) return stopAt(state, p, FULL);
        const why = settle(state, kinds, ends, ids);
        if (why !== DONE) return stopAt(state, p, why);
        if (asks) learn(state, p, stop + 1);
      }
      next = stop + 1;
    }
    store<u32>(state, load<u32>(state, LINES) + 1, LINES);
    p = next;
  }
  return DONE;
}

/** One record from behind its brace to the newline, or 0; its kind's key, and where its id is, go to the scratch. */
function record(state: usize, p: usize): usize {
  const stamp = load<u32>(state, STAMP) + 1;
  store<u32>(state, stamp, STAMP);
  store<u32>(state, 0, ID_SIZE);
  startHoles(state);
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
      hole(state, HOLE_LIST, at, p);
    } else if (role === ROLE_HOST && load<u8>(p) === QUOTE) {
      const from = p + 1;
      p = hostName(state, from);
      if (p === 0) return 0;
      const size = p - from;
      if (isUuid(from, size)) {
        host = NUMBERED;
        leaveUnlearnt(state);
      } else {
        host = NAMED;
        store<u32>(state, <u32>from, ID_AT);
        store<u32>(state, <u32>size, ID_SIZE);
        hole(state, HOLE_NAME, from, p);
      }
      p++;
    } else {
      const first = load<u8>(p);
      p = value(p, state + NESTED_AT);
      if (p === 0) return 0;
      const isNested = first === OPEN || first === OPEN_LIST;
      // null names no host, as if the key were not there.
      if (role === ROLE_HOST && first !== SMALL_N) return 0;
      if (role === ROLE_PART || (isNested && role !== ROLE_HOST)) {
        const size = role === ROLE_PART ? <u32>(p - at) : 0;
        if (key + <usize>size + 6 > start + MAX_KEY) return 0;
        store<u16>(key, <u16>name);
        store<u32>(key, role === ROLE_PART ? size : LEFT_OUT, 2);
        key += 6;
        for (let i: usize = 0; i < <usize>size; i += LANE) v128.store(key + i, v128.load(at + i));
        key += <usize>size;
      } else if (role !== ROLE_HOST && first !== SMALL_N) {
        store<u8>(state + SEEN_AT + <usize>name, 1);
        hole(state, HOLE_VALUE, at, p);
      }
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
