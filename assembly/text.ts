// Text as bytes: cut, hashed and compared. The hash only proposes; what is said to be equal is equal byte by byte.
import { LANE } from './memory';

/** Lanes of this size make a block, which is what loops over text take at once. */
export const BLOCK: usize = 4 * LANE;

/** Lanes that a sample takes. */
const SAMPLES: usize = 8;

/** A block of ones, then one of zeros. */
const MASKS: usize = memory.data<u64>([-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0], 64);

const MIX: u64 = (0x9e3779b9 << 32) | 0x7f4a7c15;
const MIX_HIGH: u64 = (0xd6e8feb8 << 32) | 0x6659fd93;

/** The lane at `p + offset` of text that is `size` bytes long from `p` on, at most a block; what is beyond is zero. */
export function part(p: usize, size: usize, offset: usize): v128 {
  assert(size <= BLOCK);
  return v128.and(v128.load(p + offset), v128.load(MASKS + BLOCK - size + offset));
}

/** Both in one, the high bits depending on all of them. */
export function mixed(low: u64, high: u64): u64 {
  return low * MIX + high * MIX_HIGH;
}

/** A hash of text: four lanes side by side, so that no step waits for the one before. */
export function textCode(p: usize, size: usize): u64 {
  let a = i32x4.splat(1);
  let b = i32x4.splat(2);
  let c = i32x4.splat(3);
  let d = i32x4.splat(4);
  const end = p + size;
  for (; p + BLOCK <= end; p += BLOCK) {
    a = i32x4.add(i32x4.add(i32x4.shl(a, 5), a), v128.load(p));
    b = i32x4.add(i32x4.add(i32x4.shl(b, 5), b), v128.load(p, 16));
    c = i32x4.add(i32x4.add(i32x4.shl(c, 5), c), v128.load(p, 32));
    d = i32x4.add(i32x4.add(i32x4.shl(d, 5), d), v128.load(p, 48));
  }
  const rest = end - p;
  a = i32x4.add(i32x4.add(i32x4.shl(a, 5), a), part(p, rest, 0));
  b = i32x4.add(i32x4.add(i32x4.shl(b, 5), b), part(p, rest, 16));
  c = i32x4.add(i32x4.add(i32x4.shl(c, 5), c), part(p, rest, 32));
  d = i32x4.add(i32x4.add(i32x4.shl(d, 5), d), part(p, rest, 48));
  const x = v128.xor(v128.xor(a, i32x4.shl(b, 7)), v128.xor(i32x4.shl(c, 13), i32x4.shl(d, 19)));
  const y = v128.xor(v128.xor(a, i32x4.shl(b, 3)), v128.xor(i32x4.shl(c, 9), d));
  return lanesCode(x, y) ^ <u64>size;
}

/** A hash of some lanes of text: what text that differs elsewhere alone may cost is for the caller to bound. */
export function sampleCode(p: usize, size: usize): u64 {
  if (size < 2 * SAMPLES * LANE) return textCode(p, size);
  const step = (size - LANE) / (SAMPLES - 1);
  let a = i32x4.splat(1);
  let b = i32x4.splat(2);
  for (let i: usize = 0; i < SAMPLES; i += 2) {
    a = i32x4.add(i32x4.add(i32x4.shl(a, 5), a), v128.load(p + i * step));
    b = i32x4.add(i32x4.add(i32x4.shl(b, 5), b), v128.load(p + (i + 1) * step));
  }
  return lanesCode(a, b) ^ <u64>size;
}

function lanesCode(a: v128, b: v128): u64 {
  // extract_lane is signed: as u64 at once, or a shift would drag the sign in.
  let code = mixed(<u64>i64x2.extract_lane(a, 0), <u64>i64x2.extract_lane(a, 1));
  code ^= mixed(<u64>i64x2.extract_lane(b, 1), <u64>i64x2.extract_lane(b, 0));
  code ^= code >> 32;
  code *= MIX_HIGH;
  return code ^ (code >> 29);
}

/** What two blocks differ in, all in one lane. */
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
  for (; a + BLOCK <= end; a += BLOCK, b += BLOCK)
    if (v128.any_true(difference(a, b))) return false;
  const rest = end - a;
  const gap = v128.or(
    v128.or(
      v128.xor(part(a, rest, 0), part(b, rest, 0)),
      v128.xor(part(a, rest, 16), part(b, rest, 16)),
    ),
    v128.or(
      v128.xor(part(a, rest, 32), part(b, rest, 32)),
      v128.xor(part(a, rest, 48), part(b, rest, 48)),
    ),
  );
  return !v128.any_true(gap);
}
