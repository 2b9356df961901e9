// Linear memory as all kernels see it: rows are whole lanes of 128 bits, one after another; nothing allocates.

/** Bytes of a lane. */
export const LANE: usize = 16;

/** The first byte that the host may use. */
export function heapBase(): usize {
  return __heap_base;
}

/** Whether `size` bytes at `at` are aligned and inside memory: what the debug build asserts. No bytes may be anywhere. */
export function isBlock(at: usize, size: u64): bool {
  if (size === 0) return true;
  return at % LANE === 0 && at >= __heap_base && <u64>at + size <= (<u64>memory.size()) << 16;
}

/** Whether `rows` rows of `lanes` lanes are at `at`. */
export function areRows(at: usize, rows: u32, lanes: u32): bool {
  return lanes > 0 && isBlock(at, <u64>rows * <u64>lanes * <u64>LANE);
}
