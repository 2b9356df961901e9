// /proc/cpuinfo and its like: blocks of lines `key : value` with a blank line behind each, sorted into kinds. Two
// blocks are of one kind when their text is equal byte by byte, but for the values of keys that are left out and the
// number of the processor. What a kind's text means is for the host to judge, by the first block of it.
//
//   header │ keys: heads, names, sizes │ scratch: starts, sizes │ table │ kinds │ texts │ output
import { COLON, NEWLINE, SPACE, TAB } from './json';
import { isBlock, LANE } from './memory';
import { isSame, textCode } from './text';

/** Everything up to the end is consumed. */
const DONE: u32 = 0;
/** A kind that was not met before: give it a number at SLOT and scan its block again. */
const KIND: u32 = 1;
/** A block that is out of the ordinary. */
const OTHER: u32 = 2;

// The header, in bytes from the block's start; src/core/blocks.ts knows those that it reads.
const AT: usize = 0;
const STOP: usize = 4;
const SLOT: usize = 8;
const RUNS: usize = 12;
const HAS_NUMBER: usize = 16;
const FIRST: usize = 20;
const LAST: usize = 24;
const IS_OPEN: usize = 28;
const HAS_GAPS: usize = 32;
const LAST_KIND: usize = 36;
const BEFORE: usize = 40;
const NUMBER: usize = 44;
const KEYS: usize = 48;
const KEY: usize = 52;
const KINDS: usize = 56;
const TEXT_BYTES: usize = 60;
/** The number of the line that is next. */
const LINE: usize = 64;
const ROOM: usize = 68;
const HEADER: usize = 80;

const MAX_KEYS: usize = 12;
const MAX_PIECES: u32 = 64;
const MAX_KINDS: u32 = 4096;
const SLOTS: u32 = 2 * MAX_KINDS;
const TEXT_ROOM: usize = 4 << 20;
/** `processor:0` and a newline: no block with a number is shorter. */
const SHORTEST: u32 = 12;

const HEADS_AT: usize = HEADER;
const NAMES_AT: usize = HEADS_AT + 4 * MAX_KEYS;
const NAME_SIZES_AT: usize = NAMES_AT + LANE * MAX_KEYS;
const TABLE_AT: usize = NAME_SIZES_AT + 4 * MAX_KEYS;
/** Up to here a new block is zero. */
const ZERO_END: usize = TABLE_AT + 4 * <usize>SLOTS;
const STARTS_AT: usize = ZERO_END;
const SIZES_AT: usize = STARTS_AT + 4 * <usize>MAX_PIECES;
const KINDS_AT: usize = SIZES_AT + 4 * <usize>MAX_PIECES;
const KIND_ENTRY: usize = 32;
const TEXTS_AT: usize = KINDS_AT + KIND_ENTRY * <usize>MAX_KINDS;
const OUTPUT_AT: usize = TEXTS_AT + TEXT_ROOM;

// A kind: the code of its text, where its pieces are (their sizes, then themselves), how many, the piece before the
// number, the number that the host gave the kind, and its lines.
const CODE: usize = 0;
const PIECES_AT: usize = 8;
const PIECES: usize = 12;
const NUMBERED: usize = 16;
const KIND_NUMBER: usize = 20;
const LINES: usize = 24;

const NONE: u32 = 0xffffffff;
const NEW: u32 = 0xfffffffe;
/** In place of a kind's number: such blocks are of no processor. */
const NOTHING: u32 = 0xffffffff;
/** A run of blocks that goes on with the host of the run before. */
const JOINS: u32 = 0x80000000;

/** Bytes of the block of a scanner that takes up to `window` bytes at once. */
export function blocksSize(window: u32): u32 {
  return <u32>OUTPUT_AT + 3 * room(window);
}

/** Where the output lies, in bytes from the block's start: the runs that were found, where each begins, and its line. */
export function blocksOutput(window: u32, part: u32): u32 {
  return <u32>OUTPUT_AT + part * room(window);
}

function room(window: u32): u32 {
  return (4 * (window / SHORTEST + 1) + 15) & ~15;
}

/** Makes a block ready. */
export function blocksStart(state: usize, window: u32): void {
  assert(isBlock(state, blocksSize(window)));
  memory.fill(state, 0, ZERO_END);
  store<u32>(state, room(window), ROOM);
}

/** A key of 4 to 16 bytes; the first is the one whose value is the processor's number, others are left out. */
export function blocksKey(state: usize, at: usize, size: u32): void {
  const i = <usize>load<u32>(state, KEYS);
  assert(i < MAX_KEYS && size >= 4 && size <= 16);
  store<u32>(state + HEADS_AT + 4 * i, load<u32>(at));
  memory.copy(state + NAMES_AT + LANE * i, at, size);
  store<u32>(state + NAME_SIZES_AT + 4 * i, size);
  store<u32>(state, <u32>i + 1, KEYS);
}

/** Another text begins, and with it another host. */
export function blocksBegin(state: usize): void {
  store<u32>(state, 0, IS_OPEN);
  store<u32>(state, 0, FIRST);
  store<u32>(state, 0, RUNS);
  store<u32>(state, 1, LINE);
}

/**
 * Scans blocks from `p` to `end`, which is behind a blank line; four lanes behind that are read. Answers why it
 * stopped, at the block from AT to STOP.
 */
export function scanBlocks(state: usize, p: usize, end: usize): u32 {
  assert(p <= end && (p === end || load<u8>(end - 1) === NEWLINE));
  while (p < end) {
    if (load<u8>(p) === NEWLINE) {
      store<u32>(state, load<u32>(state, LINE) + 1, LINE);
      p++;
      continue;
    }
    // The processors of a host are alike, as a rule.
    let kind = <usize>load<u32>(state, BEFORE);
    let stop: usize = kind === 0 ? 0 : endAs(state, kind, p);
    if (stop === 0 || load<u8>(stop) !== NEWLINE) {
      kind = kindAt(state, p);
      if (kind === 0) return OTHER;
      stop = <usize>load<u32>(state, STOP);
      store<u32>(state, <u32>kind, BEFORE);
    }
    const number = load<u32>(kind, KIND_NUMBER);
    if (number === NEW) {
      store<u32>(state, <u32>p, AT);
      store<u32>(state, <u32>(kind + KIND_NUMBER), SLOT);
      store<u32>(state, load<u32>(kind, NUMBERED) === NONE ? 0 : 1, HAS_NUMBER);
      return KIND;
    }
    if (number !== NOTHING && !putOut(state, number, p)) return OTHER;
    store<u32>(state, load<u32>(state, LINE) + load<u32>(kind, LINES), LINE);
    p = stop;
  }
  return DONE;
}

/** Where a block's last line ends that is of a kind, or 0 for any other; its number goes to the header. */
function endAs(state: usize, kind: usize, p: usize): usize {
  const last = load<u32>(kind, PIECES) - 1;
  const numbered = load<u32>(kind, NUMBERED);
  const sizes = <usize>load<u32>(kind, PIECES_AT);
  let text = sizes + ((<usize>last + 1) << 2);
  let i: u32 = 0;
  while (true) {
    const size = <usize>load<u32>(sizes + ((<usize>i) << 2));
    if (!isSame(text, p, size)) return 0;
    p += size;
    text += size;
    if (i === last) return p;
    p = i++ === numbered ? numberEnd(state, p) : lineEnd(p);
    if (p === 0) return 0;
  }
}

/** The kind of a block, made if it is new, or 0 for what is out of the ordinary; the block's end goes to STOP. */
function kindAt(state: usize, start: usize): usize {
  let p = start;
  let from = start;
  let pieces: u32 = 0;
  let lines: u32 = 0;
  let numbered = NONE;
  let code: u64 = 0;
  for (; load<u8>(p) !== NEWLINE; lines++) {
    let hole = keyEnd(state, p);
    if (hole === 0) {
      p = lineEnd(p) + 1;
      continue;
    }
    if (load<u32>(state, KEY) === 0) {
      // Another processor, without a blank line between.
      if (numbered !== NONE) break;
      numbered = pieces;
      while (isBlank(load<u8>(hole))) hole++;
      p = numberEnd(state, hole);
      if (p === 0) return 0;
    } else p = lineEnd(hole);
    if (pieces === MAX_PIECES - 1) return 0;
    code = withPiece(state, code, pieces++, from, hole - from);
    from = p++;
  }
  code = withPiece(state, code, pieces++, from, p - from);
  store<u32>(state, <u32>p, STOP);
  let i = <u32>code & (SLOTS - 1);
  for (let n = slot(state, i); n !== 0; n = slot(state, i)) {
    const kind = state + KINDS_AT + <usize>(n - 1) * KIND_ENTRY;
    if (load<u64>(kind, CODE) === code && endAs(state, kind, start) === p) return kind;
    i = (i + 1) & (SLOTS - 1);
  }
  return newKind(state, code, pieces, numbered, lines);
}

function slot(state: usize, i: u32): u32 {
  return load<u32>(state + TABLE_AT + ((<usize>i) << 2));
}

/** Notes a piece, and takes it into the code, unless it is hardly more than a key. */
function withPiece(state: usize, code: u64, n: u32, p: usize, size: usize): u64 {
  const at = state + ((<usize>n) << 2);
  store<u32>(at, <u32>p, STARTS_AT);
  store<u32>(at, <u32>size, SIZES_AT);
  return size < LANE ? code : rotl(code, 7) ^ textCode(p, size);
}

/** A kind of the pieces that were noted; where no more fit, all are forgotten and will be asked for again. */
function newKind(state: usize, code: u64, pieces: u32, numbered: u32, lines: u32): usize {
  let size = (<usize>pieces) << 2;
  for (let i: usize = 0; i < <usize>pieces; i++) size += sizeOf(state, i);
  // The next sizes are words again.
  size = (size + 3) & ~3;
  const isFull = <usize>load<u32>(state, TEXT_BYTES) + size > TEXT_ROOM;
  if (isFull || load<u32>(state, KINDS) === MAX_KINDS) {
    memory.fill(state + TABLE_AT, 0, 4 * <usize>SLOTS);
    store<u32>(state, 0, KINDS);
    store<u32>(state, 0, TEXT_BYTES);
  }
  const n = load<u32>(state, KINDS);
  const used = load<u32>(state, TEXT_BYTES);
  const at = state + TEXTS_AT + <usize>used;
  let text = at + ((<usize>pieces) << 2);
  for (let i: usize = 0; i < <usize>pieces; i++) {
    const bytes = sizeOf(state, i);
    store<u32>(at + (i << 2), <u32>bytes);
    memory.copy(text, load<u32>(state + STARTS_AT + (i << 2)), bytes);
    text += bytes;
  }
  const kind = state + KINDS_AT + <usize>n * KIND_ENTRY;
  store<u64>(kind, code, CODE);
  store<u32>(kind, <u32>at, PIECES_AT);
  store<u32>(kind, pieces, PIECES);
  store<u32>(kind, numbered, NUMBERED);
  store<u32>(kind, NEW, KIND_NUMBER);
  store<u32>(kind, lines, LINES);
  let i = <u32>code & (SLOTS - 1);
  while (slot(state, i) !== 0) i = (i + 1) & (SLOTS - 1);
  store<u32>(state + TABLE_AT + ((<usize>i) << 2), n + 1);
  store<u32>(state, n + 1, KINDS);
  store<u32>(state, used + <u32>size, TEXT_BYTES);
  return kind;
}

function sizeOf(state: usize, piece: usize): usize {
  return <usize>load<u32>(state + SIZES_AT + (piece << 2));
}

/**
 * Puts out a run of blocks of one kind and one host, which this block goes on with or begins. Numbers ascend within
 * a host, and one that it has begins another; false where more than that must be remembered to tell.
 */
function putOut(state: usize, kind: u32, p: usize): bool {
  const number = load<u32>(state, NUMBER);
  const last = load<u32>(state, LAST);
  const joins = load<u32>(state, IS_OPEN) !== 0 && number > last;
  if (joins) {
    if (number !== last + 1) store<u32>(state, 1, HAS_GAPS);
  } else {
    if (load<u32>(state, IS_OPEN) !== 0) {
      const first = load<u32>(state, FIRST);
      if (number < first || (number > first && load<u32>(state, HAS_GAPS) !== 0)) return false;
    }
    store<u32>(state, 1, IS_OPEN);
    store<u32>(state, 0, HAS_GAPS);
    store<u32>(state, number, FIRST);
  }
  store<u32>(state, number, LAST);
  if (joins && load<u32>(state, LAST_KIND) === kind) return true;
  store<u32>(state, kind, LAST_KIND);
  const runs = load<u32>(state, RUNS);
  const room = <usize>load<u32>(state, ROOM);
  const run = state + OUTPUT_AT + ((<usize>runs) << 2);
  store<u32>(run, joins ? kind | JOINS : kind);
  store<u32>(run + room, <u32>p);
  store<u32>(run + 2 * room, load<u32>(state, LINE));
  store<u32>(state, runs + 1, RUNS);
  return true;
}

/** Behind the colon of a line whose key was told, which KEY says then, or 0. */
function keyEnd(state: usize, p: usize): usize {
  const heads = state + HEADS_AT;
  const head = i32x4.splat(load<u32>(p));
  const a = i32x4.eq(head, v128.load(heads));
  const b = i32x4.eq(head, v128.load(heads, 16));
  const c = i32x4.eq(head, v128.load(heads, 32));
  if (!v128.any_true(v128.or(v128.or(a, b), c))) return 0;
  let marks = i32x4.bitmask(a) | (i32x4.bitmask(b) << 4) | (i32x4.bitmask(c) << 8);
  for (; marks !== 0; marks &= marks - 1) {
    const i = <usize>ctz(marks);
    const size = <usize>load<u32>(state + NAME_SIZES_AT + 4 * i);
    if (!isSame(state + NAMES_AT + LANE * i, p, size)) continue;
    let colon = p + size;
    while (isBlank(load<u8>(colon))) colon++;
    if (load<u8>(colon) !== COLON) continue;
    store<u32>(state, <u32>i, KEY);
    return colon + 1;
  }
  return 0;
}

function isBlank(c: u8): bool {
  return c === SPACE || c === TAB;
}

/** The end of a line that is a number of at most eight digits, in the one way to write it; or 0. */
function numberEnd(state: usize, p: usize): usize {
  const start = p;
  let number: u32 = 0;
  for (let c = load<u8>(p); c !== NEWLINE; c = load<u8>(++p)) {
    const digit = <u32>c - 0x30;
    if (digit > 9 || p - start === 8) return 0;
    number = number * 10 + digit;
  }
  if (p === start || (load<u8>(start) === 0x30 && p > start + 1)) return 0;
  store<u32>(state, number, NUMBER);
  return p;
}

function lineEnd(p: usize): usize {
  const newline = i8x16.splat(0x0a);
  let marks = i8x16.bitmask(i8x16.eq(v128.load(p), newline));
  for (; marks === 0; marks = i8x16.bitmask(i8x16.eq(v128.load(p), newline))) p += LANE;
  return p + <usize>ctz(marks);
}
