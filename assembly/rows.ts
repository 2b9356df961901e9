// Rows against rows: meet, join, covers, missing. A loop walks several streams, each through its own part of the rows,
// because memory serves several sequential readers faster than one; wide rows are taken in panels of four lanes.
import { areRows, isBlock, LANE } from './memory';

/** Lanes of a panel: what four accumulators hold, and one cache line. */
const PANEL: u32 = 4;
/** Rows of one stream between two panels of a wide row: small enough that their lines are still in the first cache. */
const BURST: u32 = 32;
/** Rows that one guest is held against before the next guest's turn. */
const BLOCK: u32 = 512;

/** dst = what all rows have; all ones for no rows. */
export function meet(dst: usize, src: usize, rows: u32, lanes: u32): void {
  fold(dst, src, rows, lanes, 0xff, meetRows);
}

/** dst = what any row has; zero for no rows. */
export function join(dst: usize, src: usize, rows: u32, lanes: u32): void {
  fold(dst, src, rows, lanes, 0, joinRows);
}

type Fold = (dst: usize, src: usize, distance: usize, rows: u32, lanes: u32) => void;

function fold(dst: usize, src: usize, rows: u32, lanes: u32, neutral: u8, foldRows: Fold): void {
  assert(areRows(dst, 1, lanes) && areRows(src, rows, lanes));
  const stride = <usize>lanes * LANE;
  const part = rows >> 3;
  const burst = lanes <= PANEL ? part : BURST;
  memory.fill(dst, neutral, stride);
  for (let row: u32 = 0; row < part; row += burst)
    foldRows(dst, src + <usize>row * stride, <usize>part * stride, min(burst, part - row), lanes);
  // Eight streams at distance 0 are one: a row met or joined with itself changes nothing.
  for (let row = part << 3; row < rows; row++)
    foldRows(dst, src + <usize>row * stride, 0, 1, lanes);
}

function meetRows(dst: usize, src: usize, distance: usize, rows: u32, lanes: u32): void {
  const stride = <usize>lanes * LANE;
  let lane: u32 = 0;
  for (; lane + PANEL <= lanes; lane += PANEL, dst += LANE << 2, src += LANE << 2)
    meetPanel(dst, src, distance, rows, stride);
  for (; lane < lanes; lane++, dst += LANE, src += LANE) {
    let all = v128.load(dst);
    for (let row: u32 = 0, at = src; row < rows; row++, at += stride)
      for (let stream = 0, p = at; stream < 8; stream++, p += distance)
        all = v128.and(all, v128.load(p));
    v128.store(dst, all);
  }
}

/** Four lanes of dst met with `rows` rows of each of eight streams; stride is from a row of a stream to its next. */
export function meetPanel(dst: usize, src: usize, distance: usize, rows: u32, stride: usize): void {
  let a = v128.load(dst);
  let b = v128.load(dst, 16);
  let c = v128.load(dst, 32);
  let d = v128.load(dst, 48);
  for (const end = src + <usize>rows * stride; src < end; src += stride) {
    const p1 = src + distance;
    const p2 = p1 + distance;
    const p3 = p2 + distance;
    const p4 = p3 + distance;
    const p5 = p4 + distance;
    const p6 = p5 + distance;
    const p7 = p6 + distance;
    a = v128.and(a, v128.and(v128.load(src), v128.load(p1)));
    b = v128.and(b, v128.and(v128.load(src, 16), v128.load(p1, 16)));
    c = v128.and(c, v128.and(v128.load(src, 32), v128.load(p1, 32)));
    d = v128.and(d, v128.and(v128.load(src, 48), v128.load(p1, 48)));
    a = v128.and(a, v128.and(v128.load(p2), v128.load(p3)));
    b = v128.and(b, v128.and(v128.load(p2, 16), v128.load(p3, 16)));
    c = v128.and(c, v128.and(v128.load(p2, 32), v128.load(p3, 32)));
    d = v128.and(d, v128.and(v128.load(p2, 48), v128.load(p3, 48)));
    a = v128.and(a, v128.and(v128.load(p4), v128.load(p5)));
    b = v128.and(b, v128.and(v128.load(p4, 16), v128.load(p5, 16)));
    c = v128.and(c, v128.and(v128.load(p4, 32), v128.load(p5, 32)));
    d = v128.and(d, v128.and(v128.load(p4, 48), v128.load(p5, 48)));
    a = v128.and(a, v128.and(v128.load(p6), v128.load(p7)));
    b = v128.and(b, v128.and(v128.load(p6, 16), v128.load(p7, 16)));
    c = v128.and(c, v128.and(v128.load(p6, 32), v128.load(p7, 32)));
    d = v128.and(d, v128.and(v128.load(p6, 48), v128.load(p7, 48)));
  }
  v128.store(dst, a);
  v128.store(dst, b, 16);
  v128.store(dst, c, 32);
  v128.store(dst, d, 48);
}

// Asked for less than a meet: the loop over the streams stays a loop, which costs a tenth.
function joinRows(dst: usize, src: usize, distance: usize, rows: u32, lanes: u32): void {
  const stride = <usize>lanes * LANE;
  let lane: u32 = 0;
  for (; lane + PANEL <= lanes; lane += PANEL, dst += LANE << 2, src += LANE << 2) {
    let a = v128.load(dst);
    let b = v128.load(dst, 16);
    let c = v128.load(dst, 32);
    let d = v128.load(dst, 48);
    for (let row: u32 = 0, at = src; row < rows; row++, at += stride)
      for (let stream = 0, p = at; stream < 8; stream++, p += distance) {
        a = v128.or(a, v128.load(p));
        b = v128.or(b, v128.load(p, 16));
        c = v128.or(c, v128.load(p, 32));
        d = v128.or(d, v128.load(p, 48));
      }
    v128.store(dst, a);
    v128.store(dst, b, 16);
    v128.store(dst, c, 32);
    v128.store(dst, d, 48);
  }
  for (; lane < lanes; lane++, dst += LANE, src += LANE) {
    let any = v128.load(dst);
    for (let row: u32 = 0, at = src; row < rows; row++, at += stride)
      for (let stream = 0, p = at; stream < 8; stream++, p += distance)
        any = v128.or(any, v128.load(p));
    v128.store(dst, any);
  }
}

/** bitmap = which rows have all of `needs`, 32 rows to a word, zeros behind the last; returns how many. */
export function covers(bitmap: usize, needs: usize, src: usize, rows: u32, lanes: u32): u32 {
  assert(
    areRows(needs, 1, lanes) && areRows(src, rows, lanes) && isBlock(bitmap, bitmapSize(rows)),
  );
  mark(bitmap, needs, src, rows, lanes);
  return ones(bitmap, rows);
}

/** The same for each of `guests` rows at `needs`: bitmaps one after another, each a whole number of words. */
export function coversEach(
  bitmaps: usize,
  found: usize,
  needs: usize,
  guests: u32,
  src: usize,
  rows: u32,
  lanes: u32,
): void {
  assert(areRows(needs, guests, lanes) && areRows(src, rows, lanes));
  assert(isBlock(bitmaps, <u64>guests * bitmapSize(rows)) && isBlock(found, (<u64>guests) << 2));
  const stride = <usize>lanes * LANE;
  const size = <usize>bitmapSize(rows);
  for (let row: u32 = 0; row < rows; row += BLOCK)
    for (let guest: u32 = 0; guest < guests; guest++)
      mark(
        bitmaps + <usize>guest * size + <usize>(row >> 3),
        needs + <usize>guest * stride,
        src + <usize>row * stride,
        min(BLOCK, rows - row),
        lanes,
      );
  for (let guest: u32 = 0; guest < guests; guest++)
    store<u32>(found + ((<usize>guest) << 2), ones(bitmaps + <usize>guest * size, rows));
}

function bitmapSize(rows: u32): u64 {
  return ((<u64>rows + 31) >> 5) << 2;
}

function ones(bitmap: usize, rows: u32): u32 {
  let n: u32 = 0;
  for (const end = bitmap + <usize>bitmapSize(rows); bitmap < end; bitmap += 4)
    n += popcnt(load<u32>(bitmap));
  return n;
}

function mark(bitmap: usize, needs: usize, src: usize, rows: u32, lanes: u32): void {
  const stride = <usize>lanes * LANE;
  // A stream is a whole number of words of the bitmap, so that no two share one.
  const words = rows >> 7;
  const distance = <usize>words * (stride << 5);
  memory.fill(bitmap, 0xff, (<usize>words) << 4);
  for (let word: u32 = 0; word < words; word++) {
    const at = bitmap + ((<usize>word) << 2);
    const from = src + <usize>word * (stride << 5);
    let lane: u32 = 0;
    for (; lane + PANEL <= lanes; lane += PANEL)
      markPanel(
        at,
        (<usize>words) << 2,
        needs + <usize>lane * LANE,
        from + <usize>lane * LANE,
        distance,
        stride,
      );
    for (; lane < lanes; lane++)
      markLane(
        at,
        (<usize>words) << 2,
        needs + <usize>lane * LANE,
        from + <usize>lane * LANE,
        distance,
        stride,
      );
  }
  for (let row = words << 7; row < rows; row += 32)
    store<u32>(
      bitmap + (<usize>row >> 3),
      markRows(needs, src + <usize>row * stride, min(32, rows - row), lanes),
    );
}

// 32 rows of each of four streams, four lanes: clears the bits of rows that lack something.
export function markPanel(
  bitmap: usize,
  next: usize,
  needs: usize,
  src: usize,
  distance: usize,
  stride: usize,
): void {
  const a = v128.load(needs);
  const b = v128.load(needs, 16);
  const c = v128.load(needs, 32);
  const d = v128.load(needs, 48);
  let first: u32 = 0;
  let second: u32 = 0;
  let third: u32 = 0;
  let fourth: u32 = 0;
  for (let i: u32 = 0; i < 32; i++, src += stride) {
    let at = src;
    first |= (<u32>v128.any_true(gap(a, b, c, d, at))) << i;
    at += distance;
    second |= (<u32>v128.any_true(gap(a, b, c, d, at))) << i;
    at += distance;
    third |= (<u32>v128.any_true(gap(a, b, c, d, at))) << i;
    at += distance;
    fourth |= (<u32>v128.any_true(gap(a, b, c, d, at))) << i;
  }
  keep(bitmap, ~first);
  keep(bitmap + next, ~second);
  keep(bitmap + 2 * next, ~third);
  keep(bitmap + 3 * next, ~fourth);
}

function markLane(
  bitmap: usize,
  next: usize,
  needs: usize,
  src: usize,
  distance: usize,
  stride: usize,
): void {
  const a = v128.load(needs);
  for (let stream = 0; stream < 4; stream++, bitmap += next, src += distance) {
    let lacking: u32 = 0;
    let at = src;
    for (let i: u32 = 0; i < 32; i++, at += stride)
      lacking |= (<u32>v128.any_true(v128.andnot(a, v128.load(at)))) << i;
    keep(bitmap, ~lacking);
  }
}

function gap(a: v128, b: v128, c: v128, d: v128, row: usize): v128 {
  return v128.or(
    v128.or(v128.andnot(a, v128.load(row)), v128.andnot(b, v128.load(row, 16))),
    v128.or(v128.andnot(c, v128.load(row, 32)), v128.andnot(d, v128.load(row, 48))),
  );
}

function keep(word: usize, bits: u32): void {
  store<u32>(word, load<u32>(word) & bits);
}

function markRows(needs: usize, src: usize, rows: u32, lanes: u32): u32 {
  const stride = <usize>lanes * LANE;
  let bits: u32 = 0;
  for (let row: u32 = 0; row < rows; row++, src += stride)
    bits |= (<u32>hasAll(needs, src, stride)) << row;
  return bits;
}

function hasAll(needs: usize, row: usize, stride: usize): bool {
  for (const end = needs + stride; needs < end; needs += LANE, row += LANE)
    if (v128.any_true(v128.andnot(v128.load(needs), v128.load(row)))) return false;
  return true;
}

/** dst = for each row what it lacks of `needs`. */
export function missing(dst: usize, needs: usize, src: usize, rows: u32, lanes: u32): void {
  assert(areRows(dst, rows, lanes) && areRows(needs, 1, lanes) && areRows(src, rows, lanes));
  const stride = <usize>lanes * LANE;
  for (const end = src + <usize>rows * stride; src < end; )
    for (let lane: usize = 0; lane < stride; lane += LANE, src += LANE, dst += LANE)
      v128.store(dst, v128.andnot(v128.load(needs + lane), v128.load(src)));
}
