// Rows of stretches followed from tag to tag: elements that are asked for, wherever they stand, and equal ones under
// one number. What a stretch is, is told in a code; that elements are closed in order is looked after here.
//
//   header │ names of open elements │ table │ entries │ the rows of elements that are remembered
import { isBlock } from './memory';

// The header, in bytes from the block's start; src/core/stretches.ts knows it, too.
const DEPTH: usize = 0;
const LINE: usize = 4;
/** How deep the element stands that was asked for and is open, or NONE; its line, and where its row begins. */
const OWN_DEPTH: usize = 8;
const OWN_LINE: usize = 12;
const OWN_START: usize = 16;
const COUNT: usize = 20;
const USED: usize = 24;

// What a stretch is, by its code; src/dialects/libvirt/xml-stretches.ts makes them.
const KIND: u32 = 7;
const OPEN: u32 = 0;
const CLOSE: u32 = 1;
const LEAF: u32 = 2;
const ODD: u32 = 4;
const HAS_TEXT: u32 = 8;
const IS_ASKED: u32 = 16;
const LINES_SHIFT: u32 = 5;
const MAX_LINES: u32 = 0x7ff;
const NAME_SHIFT: u32 = 16;

/** As deep as the library is followed. */
const MAX_DEPTH: u32 = 256;
const MAX_KNOWN: u32 = 1 << 15;
const MAX_USED: u32 = 1 << 20;
const ENTRY: usize = 12;
const NAMES_AT: usize = 64;
const TABLE_AT: usize = NAMES_AT + 4 * <usize>MAX_DEPTH;
const TABLE_SIZE: usize = 8 * <usize>MAX_KNOWN;
const ENTRIES_AT: usize = TABLE_AT + TABLE_SIZE;
const ROWS_AT: usize = ENTRIES_AT + ENTRY * <usize>MAX_KNOWN;

const NONE: u32 = 0xffffffff;

/** Bytes of the block. */
export function followSize(): u32 {
  return <u32>(ROWS_AT + 4 * <usize>MAX_USED);
}

/** Makes a block ready, with no element remembered. */
export function followStart(state: usize): void {
  assert(isBlock(state, ROWS_AT + 4 * <usize>MAX_USED));
  memory.fill(state, 0, TABLE_AT + TABLE_SIZE);
  followBegin(state, 1);
}

/** Begins at the first tag of a text, which is on this line. */
export function followBegin(state: usize, line: u32): void {
  store<u32>(state, 0, DEPTH);
  store<u32>(state, line, LINE);
  store<u32>(state, NONE, OWN_DEPTH);
}

/**
 * Follows the stretches from `first` to `end` of a row, in which those of an element that is open stand before. Puts
 * out five words for each element that is complete: where its own row begins and ends (without the tag that closes
 * it), its line, whether nothing is around it, and its number, or NONE where no more are remembered. Answers how many
 * they are, or NONE where something is not as it ought to be.
 */
export function follow(
  state: usize,
  codes: usize,
  row: usize,
  first: u32,
  end: u32,
  out: usize,
): u32 {
  const names = state + NAMES_AT;
  let depth = load<u32>(state, DEPTH);
  let line = load<u32>(state, LINE);
  let ownDepth = load<u32>(state, OWN_DEPTH);
  let found: u32 = 0;
  for (let i = first; i < end; i++) {
    const code = load<u32>(codes + ((<usize>load<u32>(row + ((<usize>i) << 2))) << 2));
    const kind = code & KIND;
    if (kind === LEAF || kind === OPEN) {
      if (depth === MAX_DEPTH) return NONE;
      const isOwn = ownDepth === NONE && (code & IS_ASKED) !== 0;
      if (kind === OPEN) {
        if (isOwn) {
          ownDepth = depth;
          store<u32>(state, line, OWN_LINE);
          store<u32>(state, i, OWN_START);
        }
        store<u32>(names + ((<usize>depth) << 2), code >> NAME_SHIFT);
        depth++;
      } else if (isOwn) {
        put(state, row, i, i + 1, line, depth, out + 20 * <usize>found);
        found++;
      }
    } else if (kind === CLOSE) {
      if (depth === 0) return NONE;
      depth--;
      if (load<u32>(names + ((<usize>depth) << 2)) !== code >> NAME_SHIFT) return NONE;
      if (depth === ownDepth) {
        ownDepth = NONE;
        const start = load<u32>(state, OWN_START);
        put(state, row, start, i, load<u32>(state, OWN_LINE), depth, out + 20 * <usize>found);
        found++;
      }
    } else if (kind === ODD) return NONE;
    if (depth === 0 && (code & HAS_TEXT) !== 0) return NONE;
    line += (code >> LINES_SHIFT) & MAX_LINES;
  }
  store<u32>(state, depth, DEPTH);
  store<u32>(state, line, LINE);
  store<u32>(state, ownDepth, OWN_DEPTH);
  return found;
}

function put(
  state: usize,
  row: usize,
  start: u32,
  end: u32,
  line: u32,
  depth: u32,
  out: usize,
): void {
  store<u32>(out, start);
  store<u32>(out, end, 4);
  store<u32>(out, line, 8);
  store<u32>(out, depth === 0 ? 1 : 0, 12);
  store<u32>(out, numberOf(state, row + ((<usize>start) << 2), end - start), 16);
}

/** The number of a row of stretches. */
function numberOf(state: usize, row: usize, size: u32): u32 {
  const end = row + ((<usize>size) << 2);
  let code: u32 = size;
  for (let p = row; p < end; p += 4) code = (code ^ load<u32>(p)) * 0x01000193;
  code ^= code >> 15;
  const slots = 2 * MAX_KNOWN;
  let i = code & (slots - 1);
  let slot = state + TABLE_AT + ((<usize>i) << 2);
  for (let n = load<u32>(slot); n !== 0; n = load<u32>(slot)) {
    const entry = state + ENTRIES_AT + <usize>(n - 1) * ENTRY;
    if (load<u32>(entry) === code && load<u32>(entry, 8) === size) {
      let known = state + ROWS_AT + ((<usize>load<u32>(entry, 4)) << 2);
      let p = row;
      for (; p < end && load<u32>(p) === load<u32>(known); p += 4) known += 4;
      if (p === end) return n - 1;
    }
    i = (i + 1) & (slots - 1);
    slot = state + TABLE_AT + ((<usize>i) << 2);
  }
  const n = load<u32>(state, COUNT);
  const used = load<u32>(state, USED);
  if (n === MAX_KNOWN || used + size > MAX_USED) return NONE;
  memory.copy(state + ROWS_AT + ((<usize>used) << 2), row, (<usize>size) << 2);
  const entry = state + ENTRIES_AT + <usize>n * ENTRY;
  store<u32>(entry, code);
  store<u32>(entry, used, 4);
  store<u32>(entry, size, 8);
  store<u32>(slot, n + 1);
  store<u32>(state, n + 1, COUNT);
  store<u32>(state, used + size, USED);
  return n;
}
