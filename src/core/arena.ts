// One memory for all rows, in blocks that are given back. First fit over a list of gaps, lowest first, no two
// adjacent; every block is whole cache lines.
import { type Core, instantiate } from './wasm.ts';

const LINE = 64;
const PAGE = 65536;
/** The last of 65536 pages stays empty: the end of a block must be an address too. */
const LIMIT = 65535 * PAGE;

/** Some bytes of an arena: at an address, and how many. */
export interface ArenaBlock {
  at: number;
  size: number;
}

export class Arena {
  readonly core: Core;
  readonly #gaps: ArenaBlock[] = [];
  #end: number;
  #words = new Uint32Array(0);

  constructor(core: Core) {
    this.core = core;
    const start = roundUp(core.heapBase(), LINE);
    this.#end = core.memory.buffer.byteLength;
    this.#gaps.push({ at: start, size: this.#end - start });
  }

  /** All of memory in 32-bit words: fetch it again after anything that may allocate. */
  get words(): Uint32Array {
    if (this.#words.buffer !== this.core.memory.buffer)
      this.#words = new Uint32Array(this.core.memory.buffer);
    return this.#words;
  }

  /** Bytes that are in use. */
  get used(): number {
    const free = this.#gaps.reduce((sum, gap) => sum + gap.size, 0);
    return this.#end - roundUp(this.core.heapBase(), LINE) - free;
  }

  /**
   * A block of at least `bytes` bytes, with whatever was in it.
   * @throws RangeError when 4 GiB do not suffice.
   */
  allocate(bytes: number): ArenaBlock {
    const size = roundUp(Math.max(bytes, 1), LINE);
    let i = this.#gaps.findIndex((gap) => gap.size >= size);
    if (i < 0) i = this.#grow(size);
    const gap = this.#gaps[i]!;
    const block = { at: gap.at, size };
    gap.at += size;
    gap.size -= size;
    if (gap.size === 0) this.#gaps.splice(i, 1);
    return block;
  }

  /** Gives a block back. */
  free({ at, size }: ArenaBlock): void {
    let low = 0;
    for (let high = this.#gaps.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (this.#gaps[middle]!.at < at) low = middle + 1;
      else high = middle;
    }
    const before = this.#gaps[low - 1];
    const after = this.#gaps[low];
    const joinsBefore = before !== undefined && before.at + before.size === at;
    const joinsAfter = after !== undefined && at + size === after.at;
    if (joinsBefore) before.size += joinsAfter ? size + after.size : size;
    else if (joinsAfter) Object.assign(after, { at, size: size + after.size });
    else this.#gaps.splice(low, 0, { at, size });
    if (joinsBefore && joinsAfter) this.#gaps.splice(low, 1);
  }

  /** Runs `work` with blocks of these sizes in bytes, which are given back when it ends. */
  borrow<T>(sizes: readonly number[], work: (...at: number[]) => T): T {
    const blocks: ArenaBlock[] = [];
    try {
      for (const size of sizes) blocks.push(this.allocate(size));
      return work(...blocks.map((block) => block.at));
    } finally {
      for (const block of blocks) this.free(block);
    }
  }

  // Memory grows by an eighth at least, so that many small steps do not renew its buffer each time.
  #grow(size: number): number {
    const last = this.#gaps.at(-1);
    const open = last !== undefined && last.at + last.size === this.#end ? last.size : 0;
    const need = this.#end + size - open;
    if (need > LIMIT) throw this.#full(size);
    const end = Math.min(LIMIT, roundUp(Math.max(need, this.#end * 1.125), PAGE));
    try {
      this.core.memory.grow((end - this.#end) / PAGE);
    } catch {
      throw this.#full(size);
    }
    const at = this.#end;
    this.#end = end;
    this.free({ at, size: end - at });
    return this.#gaps.length - 1;
  }

  #full(size: number): RangeError {
    return new RangeError(
      `no room for ${size} more bytes of rows: ${this.used} are in use, and WebAssembly has ${LIMIT} at most`,
    );
  }
}

function roundUp(n: number, unit: number): number {
  return Math.ceil(n / unit) * unit;
}

let shared: Arena | undefined;

/** The arena of this thread, made when it is first needed: compiling costs a command that has no rows nothing. */
export function sharedArena(): Arena {
  shared ??= new Arena(instantiate());
  return shared;
}
