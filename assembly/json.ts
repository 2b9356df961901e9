// JSON text, skipped by the letter: each function takes where something begins and returns where it ends, or 0
// for what JSON.parse would refuse or what is too unusual to judge here. A control character, and so the end of
// the line, ends everything: no loop runs past the last newline.
import { textCode } from './text';

export const TAB: u8 = 0x09;
export const NEWLINE: u8 = 0x0a;
export const RETURN: u8 = 0x0d;
export const SPACE: u8 = 0x20;
export const QUOTE: u8 = 0x22;
export const COMMA: u8 = 0x2c;
export const COLON: u8 = 0x3a;
export const OPEN_LIST: u8 = 0x5b;
export const BACKSLASH: u8 = 0x5c;
export const CLOSE_LIST: u8 = 0x5d;
export const OPEN: u8 = 0x7b;
export const CLOSE: u8 = 0x7d;

const PLUS: u8 = 0x2b;
export const MINUS: u8 = 0x2d;
const POINT: u8 = 0x2e;
const ZERO: u8 = 0x30;
const SMALL_E: u8 = 0x65;
/** null, where a value begins. */
export const SMALL_N: u8 = 0x6e;
const SMALL_U: u8 = 0x75;
/** A bit a level. */
const MAX_DEPTH: u32 = 64;
/** More digits, or an exponent of more than two, may be beyond what a double holds. */
const MAX_DIGITS: usize = 200;
const MAX_EXPONENT: usize = 2;
// Words as they stand in memory.
const TRUE: u32 = 0x65757274;
const NULL: u32 = 0x6c6c756e;
const FALS: u32 = 0x736c6166;

/** Past blanks within a line. */
export function blank(p: usize): usize {
  let c = load<u8>(p);
  // Most often one comparison tells that there is none.
  while (c <= SPACE && (c === SPACE || c === TAB || c === RETURN)) c = load<u8>(++p);
  return p;
}

/** A bit for each of 16 bytes that does not simply stand for itself in a string. */
export function special(p: usize): i32 {
  const lane = v128.load(p);
  return i8x16.bitmask(
    v128.or(
      v128.or(i8x16.eq(lane, i8x16.splat(0x22)), i8x16.eq(lane, i8x16.splat(0x5c))),
      // Signed: what is beyond ASCII is below zero.
      i8x16.lt_s(lane, i8x16.splat(0x20)),
    ),
  );
}

/** The rest of a string, from behind its opening quote. */
export function text(p: usize): usize {
  while (true) {
    const marks = special(p);
    if (marks === 0) {
      p += 16;
      continue;
    }
    p += <usize>ctz(marks);
    const c = load<u8>(p);
    if (c === QUOTE) return p + 1;
    p = c === BACKSLASH ? escaped(p) : c >= 0x80 ? beyondAscii(p) : 0;
    if (p === 0) return 0;
  }
}

function escaped(p: usize): usize {
  const c = load<u8>(p + 1);
  if (c === SMALL_U) {
    for (let i: usize = 2; i < 6; i++) if (!isHex(load<u8>(p + i))) return 0;
    return p + 6;
  }
  // " / \ b f n r t
  const known =
    c === QUOTE || c === BACKSLASH || c === 0x2f || c === 0x62 || c === 0x66 || c === SMALL_N;
  return known || c === 0x72 || c === 0x74 ? p + 2 : 0;
}

export function isHex(c: u8): bool {
  return <u8>(c - ZERO) < 10 || <u8>((c | 0x20) - 0x61) < 6;
}

/** One character of two to four bytes: shortest form, no surrogates, nothing past U+10FFFF (RFC 3629). */
function beyondAscii(p: usize): usize {
  const a = load<u8>(p);
  const b = load<u8>(p + 1);
  if (a < 0xc2 || a > 0xf4) return 0;
  if (a < 0xe0) return isTail(b) ? p + 2 : 0;
  if (!isTail(b) || !isTail(load<u8>(p + 2))) return 0;
  if (a < 0xf0) return (a === 0xe0 && b < 0xa0) || (a === 0xed && b > 0x9f) ? 0 : p + 3;
  if ((a === 0xf0 && b < 0x90) || (a === 0xf4 && b > 0x8f)) return 0;
  return isTail(load<u8>(p + 3)) ? p + 4 : 0;
}

function isTail(c: u8): bool {
  return (c & 0xc0) === 0x80;
}

function isDigit(c: u8): bool {
  return <u8>(c - ZERO) < 10;
}

function digits(p: usize): usize {
  while (isDigit(load<u8>(p))) p++;
  return p;
}

function number(p: usize): usize {
  const start = p;
  if (load<u8>(p) === MINUS) p++;
  const whole = p;
  p = digits(p);
  if (p === whole || (load<u8>(whole) === ZERO && p > whole + 1)) return 0;
  if (load<u8>(p) === POINT) {
    const fraction = ++p;
    p = digits(p);
    if (p === fraction) return 0;
  }
  if (p - start > MAX_DIGITS) return 0;
  if ((load<u8>(p) | 0x20) === SMALL_E) {
    p++;
    if (load<u8>(p) === PLUS || load<u8>(p) === MINUS) p++;
    const exponent = p;
    p = digits(p);
    if (p === exponent || p - exponent > MAX_EXPONENT) return 0;
  }
  return p;
}

export function scalar(p: usize): usize {
  const c = load<u8>(p);
  if (c === QUOTE) return text(p + 1);
  if (c === MINUS || isDigit(c)) return number(p);
  const word = load<u32>(p);
  if (word === TRUE || word === NULL) return p + 4;
  return word === FALS && load<u8>(p + 4) === SMALL_E ? p + 5 : 0;
}

/** Room for the hashes of all keys above, in bytes; one floor may lie behind. */
export const KEYS_ROOM: usize = 256 * 8;
/** Lies below the hashes of an object's keys, and is none itself. */
const FLOOR: u64 = 0;

/** A key of an object and its colon, up to the value; its hash goes to `top`, above those of the object's other keys. */
function key(p: usize, top: usize): usize {
  if (load<u8>(p) !== QUOTE) return 0;
  const start = p + 1;
  p = text(start);
  if (p === 0 || mayRepeat(start, p - 1, top)) return 0;
  p = blank(p);
  return load<u8>(p) === COLON ? blank(p + 1) : 0;
}

/** Whether an object's key may be there twice: an escape can spell it otherwise, and a hash only proposes. */
function mayRepeat(p: usize, end: usize, top: usize): bool {
  const code = textCode(p, end - p) | 1;
  for (let at = top - 8; load<u64>(at) !== FLOOR; at -= 8) if (load<u64>(at) === code) return true;
  store<u64>(top, code);
  for (; p < end; p++) if (load<u8>(p) === BACKSLASH) return true;
  return false;
}

/** Any value, lists and objects with all that is in them; `keys` is where hashes of keys may be put. */
export function value(p: usize, keys: usize): usize {
  // A bit for each level that is open, the innermost lowest: 1 is an object.
  let open: u64 = 0;
  let depth: u32 = 0;
  let top = keys;
  while (true) {
    const c = load<u8>(p);
    if (c === OPEN || c === OPEN_LIST) {
      if (depth === MAX_DEPTH) return 0;
      p = blank(p + 1);
      // Both closing signs stand two behind their opening ones.
      if (load<u8>(p) === c + 2) p++;
      else {
        depth++;
        open = (open << 1) | <u64>(c === OPEN ? 1 : 0);
        if (c === OPEN) {
          store<u64>(top, FLOOR);
          top += 8;
          p = top < keys + KEYS_ROOM ? key(p, top) : 0;
          if (p === 0) return 0;
          top += 8;
        }
        continue;
      }
    } else {
      p = scalar(p);
      if (p === 0) return 0;
    }
    while (true) {
      if (depth === 0) return p;
      p = blank(p);
      const isObject = (open & 1) === 1;
      const d = load<u8>(p);
      if (d === COMMA) {
        p = blank(p + 1);
        if (isObject) {
          p = top < keys + KEYS_ROOM ? key(p, top) : 0;
          if (p === 0) return 0;
          top += 8;
        }
        break;
      }
      if (d !== (isObject ? CLOSE : CLOSE_LIST)) return 0;
      p++;
      depth--;
      open >>= 1;
      if (isObject) {
        do {
          top -= 8;
        } while (load<u64>(top) !== FLOOR);
      }
    }
  }
}
