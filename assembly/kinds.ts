// What text is sorted into: names and kinds, interned in a block that the host owns, and the hosts that were found.
// The hash only finds candidates; what is said to be equal is equal byte by byte.
//
//   header │ scratch: row, key │ by name: roles, seen, stamps, expected, entries │ tables │ rows │ lists │ kinds │ output
import { KEYS_ROOM } from './json';
import { isBlock, LANE } from './memory';
import { BLOCK, isSame, textCode } from './text';

/** Everything up to the end is consumed. */
export const DONE: u32 = 0;
/** A kind that was not met before: give it a number at SLOT and scan its line again. */
const KIND: u32 = 1;
/** A line for the host to read by itself. */
export const OTHER: u32 = 2;
/** A table is full: forget, then scan the line again. */
export const FULL: u32 = 3;

// The header, in bytes from the block's start; src/core/scan.ts knows those that it reads.
export const LINE: usize = 0;
export const LINE_END: usize = 4;
export const LINES: usize = 8;
const HOSTS: usize = 12;
const ID_BYTES: usize = 16;
export const SLOT: usize = 20;
export const NAMES: usize = 24;
const ASCENDING: usize = 28;
const WANTS_IDS: usize = 32;
export const ROWS: usize = 36;
export const LISTS: usize = 40;
export const LIST_BYTES: usize = 44;
const KINDS: usize = 48;
const KIND_BYTES: usize = 52;
export const STAMP: usize = 56;
/** Three words of a memo: how well it does (memos.ts). */
export const LIST_MEMO: usize = 60;
export const KEY_SIZE: usize = 72;
export const ID_AT: usize = 76;
export const ID_SIZE: usize = 80;
/** The list that was read last: where it begins and ends. */
export const LIST_FROM: usize = 84;
export const LIST_END: usize = 88;
export const HOLES: usize = 92;
export const PATTERN_MEMO: usize = 96;
export const FIRST_PASSAGE: usize = 108;
export const PASSAGES: usize = 112;
export const PASSAGE_BYTES: usize = 116;
const HEADER: usize = 128;

/** Names are numbered from 1 on, and a row has a bit for each number. */
export const MAX_NAMES: u32 = 1024;
/** So many that hardly any two names meet. */
export const NAME_SLOTS: u32 = 16384;
export const NAME_ENTRY: usize = 64;
export const MAX_NAME: usize = 48;
export const NAME_SIZE: usize = 48;
export const ROW: usize = <usize>MAX_NAMES >> 3;
export const MAX_ROWS: u32 = 16384;
export const MAX_LISTS: u32 = 8192;
export const LIST_ROOM: usize = 8 << 20;
export const LIST_ENTRY: usize = 24;
const MAX_KINDS: u32 = 16384;
const KIND_ROOM: usize = 2 << 20;
const KIND_ENTRY: usize = 24;
export const MAX_HOLES: u32 = 32;
export const HOLE_ENTRY: usize = 12;
export const MAX_PASSAGES: u32 = 4096;
export const PASSAGE_ENTRY: usize = 32;
export const PASSAGE_ROOM: usize = 512 << 10;
export const MAX_KEY: usize = 8192;
/** So many keys of a record are looked for where the record before had them. */
export const EXPECTED: usize = 32;

export const ROW_AT: usize = HEADER;
export const KEY_AT: usize = ROW_AT + ROW;
export const HOLES_AT: usize = KEY_AT + MAX_KEY + BLOCK;
export const NESTED_AT: usize = HOLES_AT + <usize>MAX_HOLES * HOLE_ENTRY;
export const ROLES_AT: usize = NESTED_AT + KEYS_ROOM + LANE;
export const SEEN_AT: usize = ROLES_AT + <usize>MAX_NAMES;
export const STAMPS_AT: usize = SEEN_AT + <usize>MAX_NAMES;
export const EXPECTED_AT: usize = STAMPS_AT + 4 * <usize>MAX_NAMES;
export const NAMES_AT: usize = EXPECTED_AT + 4 * EXPECTED;
export const NAME_TABLE_AT: usize = NAMES_AT + <usize>MAX_NAMES * NAME_ENTRY;
export const ROW_TABLE_AT: usize = NAME_TABLE_AT + 2 * <usize>NAME_SLOTS;
export const LIST_TABLE_AT: usize = ROW_TABLE_AT + 8 * <usize>MAX_ROWS;
const KIND_TABLE_AT: usize = LIST_TABLE_AT + 8 * <usize>MAX_LISTS;
/** The first passage behind the list of each row. */
export const FOLLOWING_AT: usize = KIND_TABLE_AT + 8 * <usize>MAX_KINDS;
/** Up to here a new block is zero. */
const TABLES_END: usize = FOLLOWING_AT + 4 * <usize>MAX_ROWS;
export const ROW_HASHES_AT: usize = TABLES_END;
export const ROWS_AT: usize = ROW_HASHES_AT + 8 * <usize>MAX_ROWS;
export const LISTS_AT: usize = ROWS_AT + ROW * <usize>MAX_ROWS;
const KINDS_AT: usize = LISTS_AT + LIST_ENTRY * <usize>MAX_LISTS;
const KIND_TEXT_AT: usize = KINDS_AT + KIND_ENTRY * <usize>MAX_KINDS;
export const PASSAGES_AT: usize = KIND_TEXT_AT + KIND_ROOM;
export const PASSAGE_TEXT_AT: usize = PASSAGES_AT + <usize>MAX_PASSAGES * PASSAGE_ENTRY;
export const LIST_TEXT_AT: usize = PASSAGE_TEXT_AT + PASSAGE_ROOM;
const OUTPUT_AT: usize = LIST_TEXT_AT + LIST_ROOM;

/** `{"features":[]}` and a newline: no record is shorter. */
const SHORTEST: u32 = 16;

// What a key of a record is, by the number of its name.
export const ROLE_HOST: u8 = 1;
export const ROLE_LIST: u8 = 2;
/** Its value tells kinds apart. */
export const ROLE_PART: u8 = 3;
/** No key, but what no host may be called. */
export const ROLE_APART: u8 = 4;

export const NONE: u32 = 0xffffffff;
/** In place of the size of a value: the key counts, what it holds does not. */
export const LEFT_OUT: u32 = 0xffffffff;
/** A kind without a number; one above it marks kinds whose records the host reads one by one. */
const NEW: u32 = 0xfffffffe;

/** Bytes of the block of a scanner that takes up to `window` bytes at once. */
export function scanSize(window: u32): u32 {
  return <u32>OUTPUT_AT + (window / SHORTEST + 1) * 8 + window + <u32>LANE;
}

/** Where the output lies, in bytes from the block's start: kinds, ends of ids, ids. */
export function scanOutput(window: u32, part: u32): u32 {
  const each = (window / SHORTEST + 1) * 4;
  return <u32>OUTPUT_AT + (part === 0 ? 0 : part === 1 ? each : 2 * each);
}

/** Makes a block ready. */
export function scanStart(state: usize, wantsIds: bool): void {
  assert(isBlock(state, OUTPUT_AT));
  memory.fill(state, 0, TABLES_END);
  // No name has such bytes, so that what is not found, at number 0, equals none.
  memory.fill(state + NAMES_AT, 0xff, NAME_ENTRY);
  store<u32>(state, <u32>wantsIds, WANTS_IDS);
  store<u32>(state, 1, ASCENDING);
}

/** Where the key of the kind at hand lies without its row, KEY_SIZE less 4 bytes long. */
export function scanKey(state: usize): usize {
  return state + KEY_AT + 4;
}

/** Where the row of the record at hand lies: a bit for each name of its list. */
export function scanRow(state: usize): usize {
  return state + ROWS_AT + <usize>load<u32>(state + KEY_AT) * ROW;
}

/** Forgets rows, lists and kinds; numbers given to kinds stay good, but records of them will ask again. */
export function scanForget(state: usize): void {
  memory.fill(state + ROW_TABLE_AT, 0, TABLES_END - ROW_TABLE_AT);
  store<u32>(state, 0, ROWS);
  store<u32>(state, 0, LISTS);
  store<u32>(state, 0, LIST_BYTES);
  store<u32>(state, 0, KINDS);
  store<u32>(state, 0, KIND_BYTES);
  store<u32>(state, 0, FIRST_PASSAGE);
  store<u32>(state, 0, PASSAGES);
  store<u32>(state, 0, PASSAGE_BYTES);
}

export function stopAt(state: usize, p: usize, why: u32): u32 {
  const newline = i8x16.splat(0x0a);
  let marks = i8x16.bitmask(i8x16.eq(v128.load(p), newline));
  for (; marks === 0; marks = i8x16.bitmask(i8x16.eq(v128.load(p), newline))) p += LANE;
  store<u32>(state, <u32>p + <u32>ctz(marks), LINE_END);
  return why;
}

/** The entry of the kind whose key is in the scratch, made if there was none; 0 where no more fit. */
function kindEntry(state: usize): usize {
  const key = state + KEY_AT;
  const size = <usize>load<u32>(state, KEY_SIZE);
  const code = textCode(key, size);
  const slots = MAX_KINDS * 2;
  let i = <u32>code & (slots - 1);
  let slot = state + KIND_TABLE_AT + ((<usize>i) << 2);
  for (let n = load<u32>(slot); n !== 0; n = load<u32>(slot)) {
    const entry = state + KINDS_AT + <usize>(n - 1) * KIND_ENTRY;
    if (
      load<u64>(entry) === code &&
      <usize>load<u32>(entry, 12) === size &&
      isSame(load<u32>(entry, 8), key, size)
    )
      return entry;
    i = (i + 1) & (slots - 1);
    slot = state + KIND_TABLE_AT + ((<usize>i) << 2);
  }
  const n = load<u32>(state, KINDS);
  const used = <usize>load<u32>(state, KIND_BYTES);
  if (n === MAX_KINDS || used + size > KIND_ROOM) return 0;
  const at = state + KIND_TEXT_AT + used;
  memory.copy(at, key, size);
  const entry = state + KINDS_AT + <usize>n * KIND_ENTRY;
  store<u64>(entry, code);
  store<u32>(entry, <u32>at, 8);
  store<u32>(entry, <u32>size, 12);
  store<u32>(entry, NEW, 16);
  store<u32>(slot, n + 1);
  store<u32>(state, n + 1, KINDS);
  store<u32>(state, <u32>(used + size), KIND_BYTES);
  return entry;
}

/**
 * The end of one record whose kind's key is in the scratch: DONE when it was put out, or why the scan must stop.
 */
export function settle(state: usize, kinds: usize, ends: usize, ids: usize): u32 {
  const entry = kindEntry(state);
  if (entry === 0) return FULL;
  const kind = load<u32>(entry, 16);
  store<u32>(state, <u32>entry + 16, SLOT);
  if (kind >= NEW) return kind === NEW ? KIND : OTHER;
  put(state, kinds, ends, ids, kind);
  return DONE;
}

/** One more host, of this kind and with the id that the header points to. */
export function put(state: usize, kinds: usize, ends: usize, ids: usize, kind: u32): void {
  const host = load<u32>(state, HOSTS);
  store<u32>(kinds + ((<usize>host) << 2), kind);
  if (load<u32>(state, WANTS_IDS) !== 0) putId(state, ends, ids, host);
  store<u32>(state, host + 1, HOSTS);
}

function putId(state: usize, ends: usize, ids: usize, host: u32): void {
  const at = <usize>load<u32>(state, ID_AT);
  const size = <usize>load<u32>(state, ID_SIZE);
  const used = <usize>load<u32>(state, ID_BYTES);
  for (let i: usize = 0; i < size; i += LANE) v128.store(ids + used + i, v128.load(at + i));
  store<u32>(ends + ((<usize>host) << 2), <u32>(used + size));
  store<u32>(state, <u32>(used + size), ID_BYTES);
  if (host === 0 || load<u32>(state, ASCENDING) === 0) {
    if (size === 0) store<u32>(state, 0, ASCENDING);
    return;
  }
  const before = host > 1 ? <usize>load<u32>(ends + ((<usize>host - 2) << 2)) : 0;
  const sizeBefore = used - before;
  if (sizeBefore > size || (sizeBefore === size && !isGreater(ids + used, ids + before, size)))
    store<u32>(state, 0, ASCENDING);
}

/** Whether the first of two texts of one size comes after the second in byte order. */
function isGreater(a: usize, b: usize, size: usize): bool {
  for (let i: usize = 0; i < size; i += LANE) {
    const same = i8x16.bitmask(i8x16.eq(v128.load(a + i), v128.load(b + i)));
    if (same === 0xffff) continue;
    i += <usize>ctz(~same);
    return i < size && load<u8>(a + i) > load<u8>(b + i);
  }
  return false;
}
