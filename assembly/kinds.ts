// What text is sorted into: names and kinds, interned in a block that the host owns, and the hosts that were found.
// The hash only finds candidates; what is said to be equal is equal byte by byte.
//
//   header │ masks │ scratch: marks, row, key │ by name: roles, stamps, seen │ names │ rows │ lists │ kinds │ output
import { QUOTE, special } from './json';
import { isBlock, LANE } from './memory';

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
const SLOT: usize = 20;
const NAMES: usize = 24;
const ASCENDING: usize = 28;
const WANTS_IDS: usize = 32;
export const ROWS: usize = 36;
export const LISTS: usize = 40;
export const LIST_BYTES: usize = 44;
const KINDS: usize = 48;
const KIND_BYTES: usize = 52;
export const STAMP: usize = 56;
export const ASLEEP: usize = 60;
export const ASKED: usize = 64;
export const FOUND: usize = 68;
export const KEY_SIZE: usize = 72;
export const ID_AT: usize = 76;
export const ID_SIZE: usize = 80;
const HEADER: usize = 128;

export const MAX_NAMES: u32 = 1024;
const NAME_SLOTS: u32 = 4096;
const NAME_ENTRY: usize = 64;
export const MAX_NAME: usize = 48;
export const NAME_ID: usize = 48;
export const NAME_SIZE: usize = 50;
export const ROW: usize = <usize>MAX_NAMES >> 3;
export const MAX_ROWS: u32 = 16384;
export const MAX_LISTS: u32 = 8192;
export const LIST_ROOM: usize = 8 << 20;
export const LIST_ENTRY: usize = 24;
const MAX_KINDS: u32 = 16384;
const KIND_ROOM: usize = 2 << 20;
const KIND_ENTRY: usize = 24;
export const MAX_KEY: usize = 8192;
/** So many keys of a record are looked for where the record before had them. */
export const EXPECTED: usize = 32;

const MASKS_AT: usize = HEADER;
export const MARKS_AT: usize = MASKS_AT + 17 * LANE;
export const ROW_AT: usize = MARKS_AT + <usize>MAX_NAMES;
export const KEY_AT: usize = ROW_AT + ROW;
export const ROLES_AT: usize = KEY_AT + MAX_KEY + 4 * LANE;
export const SEEN_AT: usize = ROLES_AT + <usize>MAX_NAMES;
export const STAMPS_AT: usize = SEEN_AT + <usize>MAX_NAMES;
export const ENTRIES_AT: usize = STAMPS_AT + 4 * <usize>MAX_NAMES;
export const EXPECTED_AT: usize = ENTRIES_AT + 4 * <usize>MAX_NAMES;
const NAMES_AT: usize = EXPECTED_AT + 4 * EXPECTED;
export const ROW_TABLE_AT: usize = NAMES_AT + <usize>NAME_SLOTS * NAME_ENTRY;
export const LIST_TABLE_AT: usize = ROW_TABLE_AT + 8 * <usize>MAX_ROWS;
const KIND_TABLE_AT: usize = LIST_TABLE_AT + 8 * <usize>MAX_LISTS;
/** Up to here a new block is zero. */
const TABLES_END: usize = KIND_TABLE_AT + 8 * <usize>MAX_KINDS;
export const ROW_HASHES_AT: usize = TABLES_END;
export const ROWS_AT: usize = ROW_HASHES_AT + 8 * <usize>MAX_ROWS;
export const LISTS_AT: usize = ROWS_AT + ROW * <usize>MAX_ROWS;
const KINDS_AT: usize = LISTS_AT + LIST_ENTRY * <usize>MAX_LISTS;
const KIND_TEXT_AT: usize = KINDS_AT + KIND_ENTRY * <usize>MAX_KINDS;
export const LIST_TEXT_AT: usize = KIND_TEXT_AT + KIND_ROOM;
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
/** The key tells kinds apart, its value does not. */
export const ROLE_LEFT_OUT: u8 = 5;

export const NONE: u32 = 0xffffffff;
/** In place of the size of a value: the key counts, what it holds does not. */
export const LEFT_OUT: u32 = 0xffffffff;
/** A kind without a number; one above it marks kinds whose records the host reads one by one. */
const NEW: u32 = 0xfffffffe;

const MIX: u64 = (0x9e3779b9 << 32) | 0x7f4a7c15;
const MIX_HIGH: u64 = (0xd6e8feb8 << 32) | 0x6659fd93;

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
  for (let n: usize = 0; n <= LANE; n++) memory.fill(state + MASKS_AT + n * LANE, 0xff, n);
  store<u32>(state, <u32>wantsIds, WANTS_IDS);
  store<u32>(state, 1, ASCENDING);
}

/** Forgets rows, lists and kinds; numbers given to kinds stay good, but records of them will ask again. */
export function scanForget(state: usize): void {
  memory.fill(state + ROW_TABLE_AT, 0, TABLES_END - ROW_TABLE_AT);
  store<u32>(state, 0, ROWS);
  store<u32>(state, 0, LISTS);
  store<u32>(state, 0, LIST_BYTES);
  store<u32>(state, 0, KINDS);
  store<u32>(state, 0, KIND_BYTES);
}

/** The number of a name, with this role from now on; the names' order of first mention numbers them. */
export function scanName(state: usize, at: usize, role: u8): u32 {
  const found = <u32>named(state, at);
  if (found !== NONE) store<u8>(state + ROLES_AT + <usize>found, role);
  return found;
}

/** Where the spelling of a name lies, whose key was seen with a plain value; 0 where it was not. */
export function scanSeen(state: usize, slot: u32): usize {
  const entry = state + NAMES_AT + <usize>slot * NAME_ENTRY;
  const id = <u32>load<u16>(entry, NAME_ID);
  return id !== 0 && load<u8>(state + SEEN_AT + <usize>(id - 1)) !== 0 ? entry : 0;
}

export function stopAt(state: usize, p: usize, why: u32): u32 {
  const newline = i8x16.splat(0x0a);
  let marks = i8x16.bitmask(i8x16.eq(v128.load(p), newline));
  for (; marks === 0; marks = i8x16.bitmask(i8x16.eq(v128.load(p), newline))) p += LANE;
  store<u32>(state, <u32>p + <u32>ctz(marks), LINE_END);
  return why;
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
  if (sizeBefore < size) return;
  let i: usize = 0;
  if (sizeBefore === size)
    while (i < size && load<u8>(ids + before + i) === load<u8>(ids + used + i)) i++;
  if (sizeBefore > size || i === size || load<u8>(ids + before + i) > load<u8>(ids + used + i))
    store<u32>(state, 0, ASCENDING);
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
  const id = nameOf(state, p, size);
  return id === NONE ? <u64>NONE : ((<u64>(p + size + 1)) << 32) | <u64>id;
}

/**
 * The entry of a name of less than two lanes that is where its hash points, as most are; 0 for any other. Without a
 * branch on the size, which nobody can predict in a list without an order.
 */
export function shortName(state: usize, p: usize): usize {
  const marks = special(p) | (special(p + LANE) << 16);
  if (marks === 0) return 0;
  const size = <usize>ctz(marks);
  const masks = state + MASKS_AT;
  const over = select<usize>(size - LANE, 0, size > LANE);
  const a = v128.and(v128.load(p), v128.load(masks + min(size, LANE) * LANE));
  const b = v128.and(v128.load(p, 16), v128.load(masks + over * LANE));
  const entry = state + NAMES_AT + slotOf((halves(a) + <u64>size) ^ (halves(b) * 3)) * NAME_ENTRY;
  const gap = v128.or(v128.xor(a, v128.load(entry)), v128.xor(b, v128.load(entry, 16)));
  if (v128.any_true(gap) || load<u8>(p + size) !== QUOTE) return 0;
  return <usize>load<u16>(entry, NAME_SIZE) === size && load<u16>(entry, NAME_ID) !== 0 ? entry : 0;
}

function slotOf(code: u64): usize {
  return <usize>(code >> 52);
}

/** The number of a name of at most 48 bytes, or NONE where no more names fit. */
export function nameOf(state: usize, p: usize, size: usize): u32 {
  const entry = nameEntry(state, p, size);
  let id = <u32>load<u16>(entry, NAME_ID);
  if (id === 0) {
    id = load<u32>(state, NAMES) + 1;
    if (id > MAX_NAMES) return NONE;
    store<u32>(state, id, NAMES);
    for (let i: usize = 0; i < MAX_NAME; i += LANE)
      v128.store(entry + i, part(state, p + i, size > i ? size - i : 0));
    store<u16>(entry, <u16>id, NAME_ID);
    store<u32>(state + ENTRIES_AT + ((<usize>id - 1) << 2), <u32>entry);
    store<u16>(entry, <u16>size, NAME_SIZE);
  }
  return id - 1;
}

/** The first `size` bytes of a lane, the others zero. */
export function part(state: usize, p: usize, size: usize): v128 {
  return v128.and(v128.load(p), v128.load(state + MASKS_AT + min(size, LANE) * LANE));
}

/** The entry of a name, or the empty one where it belongs. */
export function nameEntry(state: usize, p: usize, size: usize): usize {
  const a = part(state, p, size);
  let code = halves(a) + <u64>size;
  if (size > LANE) code ^= halves(part(state, p + LANE, size - LANE)) * 3;
  let i = <u32>slotOf(code);
  while (true) {
    const entry = state + NAMES_AT + <usize>i * NAME_ENTRY;
    if (load<u16>(entry, NAME_ID) === 0) return entry;
    if (<usize>load<u16>(entry, NAME_SIZE) === size) {
      let gap = v128.xor(v128.load(entry), a);
      for (let n = LANE; n < size; n += LANE)
        gap = v128.or(gap, v128.xor(v128.load(entry + n), part(state, p + n, size - n)));
      if (!v128.any_true(gap)) return entry;
    }
    i = (i + 1) & (NAME_SLOTS - 1);
  }
}

// extract_lane is signed: as u64 at once, or a shift would drag the sign in.
function halves(a: v128): u64 {
  return <u64>i64x2.extract_lane(a, 0) * MIX + <u64>i64x2.extract_lane(a, 1) * MIX_HIGH;
}

function finish(code: u64): u64 {
  code ^= code >> 32;
  code *= MIX_HIGH;
  return code ^ (code >> 29);
}

/** A hash of text: four lanes side by side, so that no step waits for the one before. */
export function textCode(state: usize, p: usize, size: usize): u64 {
  let a = i32x4.splat(1);
  let b = i32x4.splat(2);
  let c = i32x4.splat(3);
  let d = i32x4.splat(4);
  const end = p + size;
  for (; p + 4 * LANE <= end; p += 4 * LANE) {
    a = i32x4.add(i32x4.add(i32x4.shl(a, 5), a), v128.load(p));
    b = i32x4.add(i32x4.add(i32x4.shl(b, 5), b), v128.load(p, 16));
    c = i32x4.add(i32x4.add(i32x4.shl(c, 5), c), v128.load(p, 32));
    d = i32x4.add(i32x4.add(i32x4.shl(d, 5), d), v128.load(p, 48));
  }
  for (; p < end; p += LANE) {
    a = i32x4.add(i32x4.add(i32x4.shl(b, 5), b), part(state, p, end - p));
    b = i32x4.add(i32x4.shl(a, 7), c);
  }
  const x = v128.xor(v128.xor(a, i32x4.shl(b, 7)), v128.xor(i32x4.shl(c, 13), i32x4.shl(d, 19)));
  const y = v128.xor(v128.xor(a, i32x4.shl(b, 3)), v128.xor(i32x4.shl(c, 9), d));
  return finish(halves(x) ^ rotl(halves(y), 32) ^ <u64>size);
}

/** What four lanes differ in, all in one. */
function difference(a: usize, b: usize): v128 {
  return v128.or(
    v128.or(v128.xor(v128.load(a), v128.load(b)), v128.xor(v128.load(a, 16), v128.load(b, 16))),
    v128.or(
      v128.xor(v128.load(a, 32), v128.load(b, 32)),
      v128.xor(v128.load(a, 48), v128.load(b, 48)),
    ),
  );
}

export function isSame(a: usize, b: usize, size: usize): bool {
  const end = a + size;
  for (; a + 4 * LANE <= end; a += 4 * LANE, b += 4 * LANE)
    if (v128.any_true(difference(a, b))) return false;
  if (size >= 4 * LANE) {
    // What is left overlaps what was seen: quicker than byte by byte.
    b -= a - (end - 4 * LANE);
    a = end - 4 * LANE;
    return !v128.any_true(difference(a, b));
  }
  for (; a < end; a++, b++) if (load<u8>(a) !== load<u8>(b)) return false;
  return true;
}

/** The entry of the kind whose key is in the scratch, made if there was none; 0 where no more fit. */
function kindEntry(state: usize): usize {
  const key = state + KEY_AT;
  const size = <usize>load<u32>(state, KEY_SIZE);
  const code = textCode(state, key, size);
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
  if (kind >= NEW) {
    store<u32>(state, <u32>entry + 16, SLOT);
    return kind === NEW ? KIND : OTHER;
  }
  const host = load<u32>(state, HOSTS);
  store<u32>(kinds + ((<usize>host) << 2), kind);
  if (load<u32>(state, WANTS_IDS) !== 0) putId(state, ends, ids, host);
  store<u32>(state, host + 1, HOSTS);
  return DONE;
}
