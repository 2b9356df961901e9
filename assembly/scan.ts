// Host records, one JSON object a line, sorted into kinds without being understood: two records are of one kind
// when they list the same names and agree byte by byte in every other value that counts. Whatever is unusual goes
// to the host as it is; what is said to be of a kind is proven, by comparison and not by hash.
//
//   header │ masks │ scratch: marks, row, key │ by name: roles, stamps, seen │ names │ rows │ lists │ kinds │ output
import {
  blank,
  CLOSE,
  CLOSE_LIST,
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
import { isBlock, LANE } from './memory';

/** Everything up to the end is consumed. */
const DONE: u32 = 0;
/** A kind that was not met before: give it a number at SLOT and scan its line again. */
const KIND: u32 = 1;
/** A line for the host to read by itself. */
const OTHER: u32 = 2;
/** A table is full: forget, then scan the line again. */
const FULL: u32 = 3;

// The header, in bytes from the block's start; src/core/scan.ts knows those that it reads.
const LINE: usize = 0;
const LINE_END: usize = 4;
const LINES: usize = 8;
const HOSTS: usize = 12;
const ID_BYTES: usize = 16;
const SLOT: usize = 20;
const NAMES: usize = 24;
const ASCENDING: usize = 28;
const WANTS_IDS: usize = 32;
const ROWS: usize = 36;
const LISTS: usize = 40;
const LIST_BYTES: usize = 44;
const KINDS: usize = 48;
const KIND_BYTES: usize = 52;
const STAMP: usize = 56;
const ASLEEP: usize = 60;
const ASKED: usize = 64;
const FOUND: usize = 68;
const KEY_SIZE: usize = 72;
const ID_AT: usize = 76;
const ID_SIZE: usize = 80;
const HEADER: usize = 128;

const MAX_NAMES: u32 = 1024;
const NAME_SLOTS: u32 = 2048;
const NAME_ENTRY: usize = 64;
const MAX_NAME: usize = 48;
const NAME_ID: usize = 48;
const NAME_SIZE: usize = 50;
const ROW: usize = <usize>MAX_NAMES >> 3;
const MAX_ROWS: u32 = 16384;
const MAX_LISTS: u32 = 8192;
const LIST_ROOM: usize = 8 << 20;
const LIST_ENTRY: usize = 24;
const MAX_KINDS: u32 = 16384;
const KIND_ROOM: usize = 2 << 20;
const KIND_ENTRY: usize = 24;
const MAX_KEY: usize = 8192;
/** So many keys of a record are looked for where the record before had them. */
const EXPECTED: usize = 32;

const MASKS_AT: usize = HEADER;
const MARKS_AT: usize = MASKS_AT + 17 * LANE;
const ROW_AT: usize = MARKS_AT + <usize>MAX_NAMES;
const KEY_AT: usize = ROW_AT + ROW;
const ROLES_AT: usize = KEY_AT + MAX_KEY + 4 * LANE;
const SEEN_AT: usize = ROLES_AT + <usize>MAX_NAMES;
const STAMPS_AT: usize = SEEN_AT + <usize>MAX_NAMES;
const ENTRIES_AT: usize = STAMPS_AT + 4 * <usize>MAX_NAMES;
const EXPECTED_AT: usize = ENTRIES_AT + 4 * <usize>MAX_NAMES;
const NAMES_AT: usize = EXPECTED_AT + 4 * EXPECTED;
const ROW_TABLE_AT: usize = NAMES_AT + <usize>NAME_SLOTS * NAME_ENTRY;
const LIST_TABLE_AT: usize = ROW_TABLE_AT + 8 * <usize>MAX_ROWS;
const KIND_TABLE_AT: usize = LIST_TABLE_AT + 8 * <usize>MAX_LISTS;
/** Up to here a new block is zero. */
const TABLES_END: usize = KIND_TABLE_AT + 8 * <usize>MAX_KINDS;
const ROW_HASHES_AT: usize = TABLES_END;
const ROWS_AT: usize = ROW_HASHES_AT + 8 * <usize>MAX_ROWS;
const LISTS_AT: usize = ROWS_AT + ROW * <usize>MAX_ROWS;
const KINDS_AT: usize = LISTS_AT + LIST_ENTRY * <usize>MAX_LISTS;
const KIND_TEXT_AT: usize = KINDS_AT + KIND_ENTRY * <usize>MAX_KINDS;
const LIST_TEXT_AT: usize = KIND_TEXT_AT + KIND_ROOM;
const OUTPUT_AT: usize = LIST_TEXT_AT + LIST_ROOM;

/** `{"features":[]}` and a newline: no record is shorter. */
const SHORTEST: u32 = 16;

// What a key of a record is, by the number of its name.
const ROLE_HOST: u8 = 1;
const ROLE_LIST: u8 = 2;
/** Its value tells kinds apart. */
const ROLE_PART: u8 = 3;
/** No key, but what no host may be called. */
const ROLE_APART: u8 = 4;

const NONE: u32 = 0xffffffff;
/** A kind without a number; one above it marks kinds whose records the host reads one by one. */
const NEW: u32 = 0xfffffffe;

// How a record names its host, as a part of its kind.
const NAMELESS: u8 = 0;
const NAMED: u8 = 1;
const NUMBERED: u8 = 2;
const UUID_SIZE: usize = 36;
/** In place of the size of a value: the key counts, what it holds does not. */
const LEFT_OUT: u32 = 0xffffffff;

// The memo of lists sleeps where fewer than one list in four was met before, and tries again later.
const WINDOW: u32 = 1024;
const ENOUGH: u32 = 256;
const SLEEP: u32 = 16384;

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
  // Whoever looks for the end of a list finds one.
  for (let i: usize = 0; i < 4; i++) v128.store(limit + i * LANE, i8x16.splat(0x5d));
  const wantsIds = load<u32>(state, WANTS_IDS) !== 0;
  while (p < end) {
    store<u32>(state, <u32>p, LINE);
    let stop = blank(p);
    if (load<u8>(stop) !== NEWLINE) {
      stop = load<u8>(stop) === OPEN ? record(state, stop + 1) : 0;
      if (stop === 0) return stopAt(state, p, OTHER);
      const row = load<u32>(state + KEY_AT);
      if (row === NONE) return stopAt(state, p, FULL);
      const entry = kindEntry(state);
      if (entry === 0) return stopAt(state, p, FULL);
      const kind = load<u32>(entry, 16);
      if (kind >= NEW) {
        store<u32>(state, <u32>entry + 16, SLOT);
        return stopAt(state, p, kind === NEW ? KIND : OTHER);
      }
      const host = load<u32>(state, HOSTS);
      store<u32>(kinds + ((<usize>host) << 2), kind);
      if (wantsIds) putId(state, ends, ids, host);
      store<u32>(state, host + 1, HOSTS);
    }
    store<u32>(state, load<u32>(state, LINES) + 1, LINES);
    p = stop + 1;
  }
  return DONE;
}

function stopAt(state: usize, p: usize, why: u32): u32 {
  const newline = i8x16.splat(0x0a);
  let marks = i8x16.bitmask(i8x16.eq(v128.load(p), newline));
  for (; marks === 0; marks = i8x16.bitmask(i8x16.eq(v128.load(p), newline))) p += LANE;
  store<u32>(state, <u32>p + <u32>ctz(marks), LINE_END);
  return why;
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
    const entry = nameEntry(state, start, p - start);
    const id = <u32>load<u16>(entry, NAME_ID);
    if (id !== 0 && load<u8>(state + ROLES_AT + <usize>(id - 1)) === ROLE_APART) return 0;
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

// Names: up to 48 bytes of ASCII, interned in the order in which they are met.

/** The name from behind its quote: where it ends behind its closing quote (high half) and its number, or NONE. */
function named(state: usize, p: usize): u64 {
  let marks = special(p);
  let size: usize = 0;
  while (marks === 0) {
    size += LANE;
    if (size === MAX_NAME) return <u64>NONE;
    marks = special(p + size);
  }
  size += <usize>ctz(marks);
  if (load<u8>(p + size) !== QUOTE) return <u64>NONE;
  const entry = nameEntry(state, p, size);
  let id = <u32>load<u16>(entry, NAME_ID);
  if (id === 0) {
    id = load<u32>(state, NAMES) + 1;
    if (id > MAX_NAMES) return <u64>NONE;
    store<u32>(state, id, NAMES);
    for (let i: usize = 0; i < MAX_NAME; i += LANE)
      v128.store(entry + i, part(state, p + i, size > i ? size - i : 0));
    store<u16>(entry, <u16>id, NAME_ID);
    store<u32>(state + ENTRIES_AT + ((<usize>id - 1) << 2), <u32>entry);
    store<u16>(entry, <u16>size, NAME_SIZE);
  }
  return ((<u64>(p + size + 1)) << 32) | <u64>(id - 1);
}

/** The same of a key; most records have the keys of the one before, in its order. */
function keyAt(state: usize, p: usize, order: usize): u64 {
  const expected = state + EXPECTED_AT + ((order & (EXPECTED - 1)) << 2);
  const entry = <usize>load<u32>(expected);
  if (entry !== 0) {
    const size = <usize>load<u16>(entry, NAME_SIZE);
    if (
      size < LANE &&
      load<u8>(p + size) === QUOTE &&
      !v128.any_true(v128.xor(part(state, p, size), v128.load(entry)))
    )
      return ((<u64>(p + size + 1)) << 32) | <u64>(load<u16>(entry, NAME_ID) - 1);
  }
  const found = named(state, p);
  if (<u32>found !== NONE)
    store<u32>(expected, load<u32>(state + ENTRIES_AT + ((<usize>(<u32>found)) << 2)));
  return found;
}

/** The first `size` bytes of a lane, the others zero. */
function part(state: usize, p: usize, size: usize): v128 {
  return v128.and(v128.load(p), v128.load(state + MASKS_AT + min(size, LANE) * LANE));
}

/** The entry of a name, or the empty one where it belongs. */
function nameEntry(state: usize, p: usize, size: usize): usize {
  const a = part(state, p, size);
  let code = halves(a) + <u64>size;
  if (size > LANE) code ^= halves(part(state, p + LANE, size - LANE)) * 3;
  let i = <u32>(code >> 53);
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

// Lists of names: the text of one that was read before stands for its row.

/** A list from its bracket to behind its end, or 0; the number of its row goes to the scratch. */
function list(state: usize, p: usize): usize {
  const asleep = load<u32>(state, ASLEEP);
  if (asleep > 0) {
    store<u32>(state, asleep - 1, ASLEEP);
    return readList(state, p);
  }
  const size = listSize(p);
  const code = textCode(state, p, size);
  const slots = MAX_LISTS * 2;
  let i = <u32>code & (slots - 1);
  let slot = state + LIST_TABLE_AT + ((<usize>i) << 2);
  for (let n = load<u32>(slot); n !== 0; n = load<u32>(slot)) {
    const entry = state + LISTS_AT + <usize>(n - 1) * LIST_ENTRY;
    if (
      load<u64>(entry) === code &&
      <usize>load<u32>(entry, 12) === size &&
      isSame(load<u32>(entry, 8), p, size)
    ) {
      store<u32>(state, load<u32>(state, FOUND) + 1, FOUND);
      rate(state);
      store<u32>(state + KEY_AT, load<u32>(entry, 16));
      return p + size;
    }
    i = (i + 1) & (slots - 1);
    slot = state + LIST_TABLE_AT + ((<usize>i) << 2);
  }
  rate(state);
  const end = readList(state, p);
  const row = load<u32>(state + KEY_AT);
  if (end === p + size && row !== NONE) remember(state, slot, code, p, size, row);
  return end;
}

/** A memo that finds little is not worth its while. */
function rate(state: usize): void {
  const asked = load<u32>(state, ASKED) + 1;
  store<u32>(state, asked, ASKED);
  if (asked < WINDOW) return;
  if (load<u32>(state, FOUND) < ENOUGH) store<u32>(state, SLEEP, ASLEEP);
  store<u32>(state, 0, ASKED);
  store<u32>(state, 0, FOUND);
}

function remember(state: usize, slot: usize, code: u64, p: usize, size: usize, row: u32): void {
  const n = load<u32>(state, LISTS);
  const used = <usize>load<u32>(state, LIST_BYTES);
  const room = (size + 4 * LANE - 1) & ~(4 * LANE - 1);
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

/** A hash of text: four lanes side by side, so that no step waits for the one before. */
function textCode(state: usize, p: usize, size: usize): u64 {
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

function isSame(a: usize, b: usize, size: usize): bool {
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

function readList(state: usize, p: usize): usize {
  const end = markList(state, p);
  if (end === 0) memory.fill(state + MARKS_AT, 0, <usize>MAX_NAMES);
  else store<u32>(state + KEY_AT, internRow(state));
  return end;
}

/** Marks every name of a list. */
function markList(state: usize, p: usize): usize {
  p = blank(p + 1);
  if (load<u8>(p) === CLOSE_LIST) return p + 1;
  while (true) {
    if (load<u8>(p) !== QUOTE) return 0;
    const found = named(state, p + 1);
    if (<u32>found === NONE) return 0;
    store<u8>(state + MARKS_AT + <usize>(<u32>found), 0xff);
    p = <usize>(found >> 32);
    // Most names follow each other like this.
    if (load<u16>(p) === 0x222c) {
      p++;
      continue;
    }
    p = blank(p);
    const c = load<u8>(p++);
    if (c === CLOSE_LIST) return p;
    if (c !== COMMA) return 0;
    p = blank(p);
  }
}

/** The marks as a row, interned; NONE where no more rows fit. The marks are gone afterwards. */
function internRow(state: usize): u32 {
  const row = state + ROW_AT;
  const marks = state + MARKS_AT;
  for (let i: usize = 0; i < ROW; i += 2)
    store<u16>(row + i, <u16>i8x16.bitmask(v128.load(marks + i * 8)));
  memory.fill(marks, 0, <usize>MAX_NAMES);
  const code = textCode(state, row, ROW);
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
