// The ABI: every function that crosses the border, and nothing else. Only numbers cross: pointers, counts, lanes.
//
//   0            heapBase()                                    64 KiB before the limit
//   ├─ constants ─┼─ blocks: rows, bitmaps, counts, scratch ... ─┼─ never handed out ─┤
//
// The host owns everything from heapBase() on and tells each call where its blocks are; what the module keeps lasts for one call.
// The last page of 4 GiB stays empty, so that the end of a block is always a pointer.

export {
  blocksBegin,
  blocksKey,
  blocksOutput,
  blocksSize,
  blocksStart,
  scanBlocks,
} from './blocks';
export { intern, internTableSize } from './classes';
export { counts, countsScratchSize, weightedCounts } from './counts';
export { follow, followBegin, followSize, followStart } from './elements';
export { bestSplits, searchScratchSize, searchSplit, worthOfSubsets } from './groups';
export { scanForget, scanKey, scanOutput, scanRow, scanSize, scanStart } from './kinds';
export { heapBase } from './memory';
export { nameAt as scanSpelling, scanName, scanSeen } from './names';
export { covers, coversEach, join, meet, missing } from './rows';
export { scan } from './scan';
export { cut, cutEntries, cutSize, cutStart } from './stretches';
