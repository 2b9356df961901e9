// Lists of names: the text of one that was read before stands for its row.
import { blank, CLOSE_LIST, COMMA, OPEN_LIST, QUOTE } from './json';
import {
  KEY_AT,
  LIST_BYTES,
  LIST_END,
  LIST_ENTRY,
  LIST_FROM,
  LIST_MEMO,
  LIST_ROOM,
  LIST_TABLE_AT,
  LIST_TEXT_AT,
  LISTS,
  LISTS_AT,
  MAX_LISTS,
  MAX_ROWS,
  NONE,
  ROW,
  ROW_AT,
  ROW_HASHES_AT,
  ROW_TABLE_AT,
  ROWS,
  ROWS_AT,
} from './kinds';
import { LANE } from './memory';
import { isAwake, rate } from './memos';
import { mark, markKnown, named } from './names';
import { BLOCK, isSame, sampleCode, textCode } from './text';

/** A list is in one of so many slots from where its hash points, or not in the memo. */
const MAX_TRIES: u32 = 8;

/** A list from its bracket to behind its end, or 0; the number of its row goes to the scratch. */
export function list(state: usize, p: usize): usize {
  assert(load<u8>(p) === OPEN_LIST);
  // Whoever did not come to an end with a record left its list behind.
  if (<usize>load<u32>(state, LIST_FROM) === p) return load<u32>(state, LIST_END);
  const end = isAwake(state + LIST_MEMO) ? recall(state, p) : readList(state, p);
  store<u32>(state, <u32>p, LIST_FROM);
  store<u32>(state, <u32>end, LIST_END);
  return end;
}

/** The same of a list that may have been there before. */
function recall(state: usize, p: usize): usize {
  const size = listSize(p);
  const code = sampleCode(p, size);
  const slots = MAX_LISTS * 2;
  let free: usize = 0;
  for (let tries: u32 = 0; tries < MAX_TRIES; tries++) {
    const slot = state + LIST_TABLE_AT + ((<usize>(<u32>code + tries) & (slots - 1)) << 2);
    const n = load<u32>(slot);
    if (n === 0) {
      free = slot;
      break;
    }
    const entry = state + LISTS_AT + <usize>(n - 1) * LIST_ENTRY;
    if (
      load<u64>(entry) === code &&
      <usize>load<u32>(entry, 12) === size &&
      isSame(load<u32>(entry, 8), p, size)
    ) {
      rate(state + LIST_MEMO, true);
      store<u32>(state + KEY_AT, load<u32>(entry, 16));
      return p + size;
    }
  }
  rate(state + LIST_MEMO, false);
  const end = readList(state, p);
  const row = load<u32>(state + KEY_AT);
  if (free !== 0 && end === p + size && row !== NONE) remember(state, free, code, p, size, row);
  return end;
}

function remember(state: usize, slot: usize, code: u64, p: usize, size: usize, row: u32): void {
  const n = load<u32>(state, LISTS);
  const used = <usize>load<u32>(state, LIST_BYTES);
  const room = (size + BLOCK - 1) & ~(BLOCK - 1);
  if (n === MAX_LISTS || used + room > LIST_ROOM) {
    // Full of lists that do not come again, perhaps: begin anew.
    memory.fill(state + LIST_TABLE_AT, 0, 8 * <usize>MAX_LISTS);
    store<u32>(state, 0, LISTS);
    store<u32>(state, 0, LIST_BYTES);
    return;
  }
  const at = state + LIST_TEXT_AT + used;
  memory.copy(at, p, size);
  const entry = state + LISTS_AT + <usize>n * LIST_ENTRY;
  store<u64>(entry, code);
  store<u32>(entry, <u32>at, 8);
  store<u32>(entry, <u32>size, 12);
  store<u32>(entry, row, 16);
  store<u32>(state, n + 1, LISTS);
  store<u32>(state, <u32>(used + room), LIST_BYTES);
  store<u32>(slot, n + 1);
}

/** Up to and with the first closing bracket, whatever it closes. */
function listSize(p: usize): usize {
  const close = i8x16.splat(0x5d);
  const start = p;
  while (true) {
    const a = i8x16.eq(v128.load(p), close);
    const b = i8x16.eq(v128.load(p, 16), close);
    const c = i8x16.eq(v128.load(p, 32), close);
    const d = i8x16.eq(v128.load(p, 48), close);
    if (v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) {
      const low = <u64>i8x16.bitmask(a) | ((<u64>i8x16.bitmask(b)) << 16);
      const high = <u64>i8x16.bitmask(c) | ((<u64>i8x16.bitmask(d)) << 16);
      return p - start + <usize>ctz(low | (high << 32)) + 1;
    }
    p += 4 * LANE;
  }
}

function readList(state: usize, p: usize): usize {
  const end = markList(state, p);
  if (end !== 0) store<u32>(state + KEY_AT, internRow(state));
  memory.fill(state + ROW_AT, 0, ROW);
  return end;
}

/** Sets the bit of every name of a list. */
function markList(state: usize, p: usize): usize {
  p = blank(p + 1);
  if (load<u8>(p) === CLOSE_LIST) return p + 1;
  while (true) {
    if (load<u8>(p++) !== QUOTE) return 0;
    p = markKnown(state, p);
    const found = named(state, p);
    const name = <u32>found;
    if (name === NONE) return 0;
    mark(state, name);
    p = blank(<usize>(found >> 32));
    const c = load<u8>(p++);
    if (c === CLOSE_LIST) return p;
    if (c !== COMMA) return 0;
    p = blank(p);
  }
}

/** The row in the scratch, interned; NONE where no more rows fit. */
function internRow(state: usize): u32 {
  const row = state + ROW_AT;
  const code = textCode(row, ROW);
  const slots = MAX_ROWS * 2;
  let i = <u32>code & (slots - 1);
  let slot = state + ROW_TABLE_AT + ((<usize>i) << 2);
  for (let n = load<u32>(slot); n !== 0; n = load<u32>(slot)) {
    const at = <usize>(n - 1);
    if (
      load<u64>(state + ROW_HASHES_AT + (at << 3)) === code &&
      isSame(state + ROWS_AT + at * ROW, row, ROW)
    )
      return n - 1;
    i = (i + 1) & (slots - 1);
    slot = state + ROW_TABLE_AT + ((<usize>i) << 2);
  }
  const n = load<u32>(state, ROWS);
  if (n === MAX_ROWS) return NONE;
  memory.copy(state + ROWS_AT + <usize>n * ROW, row, ROW);
  store<u64>(state + ROW_HASHES_AT + ((<usize>n) << 3), code);
  store<u32>(slot, n + 1);
  store<u32>(state, n + 1, ROWS);
  return n;
}
