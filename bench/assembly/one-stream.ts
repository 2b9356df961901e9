// The core's own inner loops led through the rows in one stream: what its four streams are measured against.
// Rows are a multiple of 128, lanes of 4.
import { addGroup, countsScratchSize, total } from '../../assembly/counts';
import { LANE } from '../../assembly/memory';
import { markPanel, meetPanel } from '../../assembly/rows';

export function meet(dst: usize, src: usize, rows: u32, lanes: u32): void {
  const stride = <usize>lanes * LANE;
  memory.fill(dst, 0xff, stride);
  for (let at: usize = 0; at < stride; at += 64)
    meetPanel(dst + at, src + at, stride, rows >> 3, stride << 3);
}

export function covers(bitmap: usize, needs: usize, src: usize, rows: u32, lanes: u32): u32 {
  const stride = <usize>lanes * LANE;
  memory.fill(bitmap, 0xff, rows >> 3);
  let found: u32 = 0;
  for (let row: u32 = 0; row < rows; row += 128, src += stride << 7, bitmap += 16) {
    for (let at: usize = 0; at < stride; at += 64)
      markPanel(bitmap, 4, needs + at, src + at, stride << 5, stride);
    found += <u32>popcnt(load<u64>(bitmap)) + <u32>popcnt(load<u64>(bitmap, 8));
  }
  return found;
}

export function counts(dst: usize, scratch: usize, src: usize, rows: u32, lanes: u32): void {
  const stride = <usize>lanes * LANE;
  memory.fill(scratch, 0, countsScratchSize(lanes));
  for (let group: u32 = 0; group < rows >> 4; group++, src += stride << 4)
    addGroup(scratch, group, src, stride, stride);
  total(dst, scratch, rows, stride);
}

export { countsScratchSize } from '../../assembly/counts';
export { heapBase } from '../../assembly/memory';
