// The module and the types of all that it exports. assembly/index.ts is the other side of this list.
import bytes from '../../build/core.wasm';

/** Kernels over memory: `dst`, `src` and the like are addresses of blocks, `lanes` is 128 bits each. */
export interface Core {
  readonly memory: WebAssembly.Memory;
  /** The first byte that is free for blocks. */
  heapBase(): number;
  meet(dst: number, src: number, rows: number, lanes: number): void;
  join(dst: number, src: number, rows: number, lanes: number): void;
  missing(dst: number, needs: number, src: number, rows: number, lanes: number): void;
  covers(bitmap: number, needs: number, src: number, rows: number, lanes: number): number;
  coversEach(
    bitmaps: number,
    found: number,
    needs: number,
    guests: number,
    src: number,
    rows: number,
    lanes: number,
  ): void;
  countsScratchSize(lanes: number): number;
  counts(dst: number, scratch: number, src: number, rows: number, lanes: number): void;
  weightedCounts(dst: number, weights: number, src: number, rows: number, lanes: number): void;
  internTableSize(rows: number): bigint;
  intern(
    classOf: number,
    weights: number,
    first: number,
    table: number,
    src: number,
    rows: number,
    lanes: number,
  ): number;
  worthOfSubsets(
    dst: number,
    meets: number,
    src: number,
    units: number,
    lanes: number,
    planes: number,
    planeCount: number,
  ): void;
  bestSplits(best: number, choice: number, kept: number, units: number, pools: number): void;
  searchScratchSize(units: number, lanes: number, pools: number): number;
  searchSplit(
    dst: number,
    scratch: number,
    src: number,
    weights: number,
    units: number,
    lanes: number,
    planes: number,
    planeCount: number,
    pools: number,
    atLeast: number,
    fine: number,
    tries: number,
    seed: number,
  ): number;
  scanSize(window: number): number;
  scanOutput(window: number, part: number): number;
  scanStart(state: number, wantsIds: boolean): void;
  scanForget(state: number): void;
  scanName(state: number, at: number, role: number): number;
  scanSeen(state: number, name: number): number;
  scanSpelling(state: number, name: number): number;
  scanKey(state: number): number;
  scanRow(state: number): number;
  scan(
    state: number,
    kinds: number,
    ends: number,
    ids: number,
    from: number,
    end: number,
    limit: number,
  ): number;
  blocksSize(window: number): number;
  blocksOutput(window: number, part: number): number;
  blocksStart(state: number, window: number): void;
  blocksKey(state: number, at: number, size: number): void;
  blocksBegin(state: number): void;
  scanBlocks(state: number, from: number, end: number): number;
  cutSize(): number;
  cutStart(state: number, names: number, size: number): void;
  cut(state: number, out: number, from: number, end: number): number;
  cutEntries(state: number): number;
  followSize(): number;
  followStart(state: number): void;
  followBegin(state: number, line: number): void;
  follow(
    state: number,
    codes: number,
    row: number,
    first: number,
    end: number,
    out: number,
  ): number;
}

// Only the debug build imports this, and only for a caller's bug.
function abort(_message: number, _file: number, line: number, column: number): never {
  throw new RangeError(`assertion failed in the core at ${line}:${column}`);
}

/** A core with a memory of its own, of the release build unless another is given. */
export function instantiate(binary: BufferSource = bytes): Core {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(binary), { env: { abort } });
  return exports as unknown as Core;
}
