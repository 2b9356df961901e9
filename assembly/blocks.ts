// /proc/cpuinfo and its like: blocks of lines `key : value` with a blank line behind each, sorted into kinds. Two
// blocks are of one kind when their lines are equal byte by byte, but for the values of keys that are left out.
import { COLON, NEWLINE, SPACE, TAB } from './json';
import {
  DONE,
  ID_AT,
  ID_SIZE,
  KEY_AT,
  KEY_SIZE,
  LEFT_OUT,
  LINE,
  MAX_KEY,
  MAX_NAME,
  NONE,
  OTHER,
  ROLE_HOST,
  ROLE_LEFT_OUT,
  ROLES_AT,
  STAMP,
  STAMPS_AT,
  settle,
  stopAt,
} from './kinds';
import { LANE } from './memory';
import { nameOf } from './names';

/** Scans blocks from `p` to `end`, which is behind a blank line. Answers why it stopped, at the block at LINE. */
export function scanBlocks(
  state: usize,
  kinds: usize,
  ends: usize,
  ids: usize,
  p: usize,
  end: usize,
): u32 {
  while (p < end) {
    store<u32>(state, <u32>p, LINE);
    let stop = p;
    if (load<u8>(p) !== NEWLINE) {
      stop = block(state, p);
      if (stop === 0) return stopAt(state, p, OTHER);
      const why = settle(state, kinds, ends, ids);
      if (why !== DONE) return stopAt(state, stop, why);
    }
    p = stop + 1;
  }
  return DONE;
}

/** One block to its blank line, or 0; its kind's key, and where its number is, go to the scratch. */
function block(state: usize, p: usize): usize {
  const stamp = load<u32>(state, STAMP) + 1;
  store<u32>(state, stamp, STAMP);
  store<u32>(state, 0, ID_SIZE);
  const start = state + KEY_AT;
  let key = start + 8;
  let lines: u32 = 0;
  while (load<u8>(p) !== NEWLINE) {
    const colon = lineColon(p);
    if (colon === 0) return 0;
    let name = colon;
    while (name > p && isBlank(load<u8>(name - 1))) name--;
    const size = name - p;
    if (size === 0 || size >= MAX_NAME || isBlank(load<u8>(p))) return 0;
    const id = nameOf(state, p, size);
    if (id === NONE) return 0;
    const stamps = state + STAMPS_AT + ((<usize>id) << 2);
    if (load<u32>(stamps) === stamp) return 0;
    store<u32>(stamps, stamp);
    let value = colon + 1;
    while (isBlank(load<u8>(value))) value++;
    const newline = lineEnd(value);
    const role = load<u8>(state + ROLES_AT + <usize>id);
    const isPart = role !== ROLE_HOST && role !== ROLE_LEFT_OUT;
    if (role === ROLE_HOST) {
      if (!areDigits(value, newline)) return 0;
      store<u32>(state, <u32>value, ID_AT);
      store<u32>(state, <u32>(newline - value), ID_SIZE);
    }
    const length = isPart ? newline - value : 0;
    if (key + length + 6 > start + MAX_KEY) return 0;
    store<u16>(key, <u16>id);
    store<u32>(key, isPart ? <u32>length : LEFT_OUT, 2);
    key += 6;
    for (let i: usize = 0; i < length; i += LANE) v128.store(key + i, v128.load(value + i));
    key += length;
    lines++;
    p = newline + 1;
  }
  if (load<u32>(state, ID_SIZE) === 0) return 0;
  store<u64>(start, <u64>lines);
  store<u32>(state, <u32>(key - start), KEY_SIZE);
  return p;
}

function isBlank(c: u8): bool {
  return c === SPACE || c === TAB;
}

/** The colon of a line whose key may be a name, or 0. */
function lineColon(p: usize): usize {
  const end = p + MAX_NAME;
  for (; p < end; p++) {
    const c = load<u8>(p);
    if (c === COLON) return p;
    if (c !== TAB && <u8>(c - SPACE) > 0x5e) return 0;
  }
  return 0;
}

function lineEnd(p: usize): usize {
  const newline = i8x16.splat(0x0a);
  let marks = i8x16.bitmask(i8x16.eq(v128.load(p), newline));
  for (; marks === 0; marks = i8x16.bitmask(i8x16.eq(v128.load(p), newline))) p += LANE;
  return p + <usize>ctz(marks);
}

/** One to eight digits. */
function areDigits(p: usize, end: usize): bool {
  if (p === end || end - p > 8) return false;
  for (; p < end; p++) if (<u8>(load<u8>(p) - 0x30) > 9) return false;
  return true;
}
