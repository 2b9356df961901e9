// Text of blocks of lines, as /proc/cpuinfo is, sorted into kinds by the core: read straight into its memory, judged
// by whoever knows what it means, one block of each kind.
import { type Arena, type ArenaBlock, sharedArena } from './arena.ts';

/** Bytes that are read at once. */
const CHUNK = 256 * 1024;
/** What one call scans at most: a chunk, and the beginning of a block that the one before left. */
const WINDOW = 2 * CHUNK;
/** The core looks this far past the end. */
const BEYOND = 128;
const NEWLINE = 10;
/** In place of a kind's number: its blocks are of no processor. */
const NOTHING = 0xffffffff;
/** A run that goes on with the host of the run before. */
const JOINS = 0x80000000;

/** Why the core stopped. */
const KIND = 1;
const OTHER = 2;

// The core's header, in words.
const AT = 0;
const STOP = 1;
const SLOT = 2;
const RUNS = 3;
const HAS_NUMBER = 4;
const FIRST = 5;

export interface BlockKeys {
  /** Its value is the processor's number. */
  readonly number: string;
  /** Their values tell no kinds apart. */
  readonly leftOut: readonly string[];
}

/** Runs of processors of one kind and one host, in the order of the text. */
export interface Runs {
  /** What a run is, as `kindOfRun` and `joinsHost` tell. */
  readonly runs: Uint32Array;
  /** Where each begins, in bytes, counted from `before`, and at which line; absent where it was not kept. */
  readonly places?: {
    readonly starts: Uint32Array;
    readonly lines: Uint32Array;
    readonly before: number;
  };
}

export interface BlockListener {
  /**
   * A kind, by the first of its blocks, and whether a number was found in it: answers the kind's number, or null
   * where its blocks are of no processor.
   */
  kind(text: Uint8Array, hasNumber: boolean): number | null;
  /** Processors, in views of the core's memory that hold until this returns. */
  found(runs: Runs): void;
  /** What follows is out of the ordinary: this throws. */
  unusual(): never;
}

/** The kind of a run's processors. */
export const kindOfRun = (run: number): number => (run & ~JOINS) >>> 0;
/** Whether a run goes on with the host of the run before it. */
export const joinsHost = (run: number): boolean => (run & JOINS) !== 0;

/** Gives the kinds of runs other numbers. */
export function renumber(runs: Uint32Array, numbers: ArrayLike<number>): void {
  for (const [i, run] of runs.entries()) runs[i] = (run & JOINS) | numbers[kindOfRun(run)]!;
}

export class BlockScanner {
  readonly #arena: Arena;
  readonly #listener: BlockListener;
  readonly #block: ArenaBlock;
  readonly #window: number;
  readonly #output: readonly number[];
  /** Bytes at the window's start that are not scanned yet, the beginning of a block, and those of the text before. */
  #left = 0;
  #before = 0;

  constructor(listener: BlockListener, keys: BlockKeys, arena: Arena = sharedArena()) {
    const { core } = arena;
    const size = core.blocksSize(WINDOW) >>> 0;
    this.#arena = arena;
    this.#listener = listener;
    this.#block = arena.allocate(size + WINDOW + BEYOND);
    const { at } = this.#block;
    this.#window = at + size;
    this.#output = [0, 1, 2].map((part) => (at + (core.blocksOutput(WINDOW, part) >>> 0)) >>> 2);
    core.blocksStart(at, WINDOW);
    for (const key of [keys.number, ...keys.leftOut]) {
      const text = new TextEncoder().encode(key);
      if (text.length < 4 || text.length > 16)
        throw new RangeError(`the key "${key}" is not of 4 to 16 bytes`);
      this.room().set(text);
      core.blocksKey(at, this.#window, text.length);
    }
    this.begin();
  }

  /** Begins another text; what is left of the one before is dropped. */
  begin(): void {
    this.#left = 0;
    this.#before = 0;
    this.#arena.core.blocksBegin(this.#block.at);
  }

  /** Where the next bytes go: write there, then say how many with `take`. */
  room(): Uint8Array {
    return this.#bytes(this.#window + this.#left, CHUNK);
  }

  /** Scans what was written to `room`. */
  take(bytes: number): void {
    const filled = this.#left + bytes;
    const end = lastEnd(this.#bytes(this.#window, filled));
    if (end > 0) this.#scan(this.#window + end);
    this.#left = filled - end;
    this.#before += end;
    if (this.#left > WINDOW - CHUNK) this.#listener.unusual();
    if (end > 0) this.#bytes(this.#window, filled).copyWithin(0, end);
  }

  /** The end of the text, which may lack its last blank line. */
  end(): void {
    if (this.#left === 0) return;
    // A block that is cut within a line is not for the core to judge.
    if (this.#bytes(this.#window, this.#left).at(-1) !== NEWLINE) this.#listener.unusual();
    this.room()[0] = NEWLINE;
    this.take(1);
  }

  /** The number of the first processor of the last host. */
  get first(): number {
    return this.#header(FIRST);
  }

  /** Gives the memory back; nothing may be scanned afterwards. */
  free(): void {
    this.#arena.free(this.#block);
  }

  #scan(end: number): void {
    const { core } = this.#arena;
    const { at } = this.#block;
    let why = core.scanBlocks(at, this.#window, end);
    for (; why === KIND; why = core.scanBlocks(at, this.#header(AT), end)) {
      const start = this.#header(AT);
      const text = this.#bytes(start, this.#header(STOP) - start);
      const slot = this.#header(SLOT) >>> 2;
      const kind = this.#listener.kind(text, this.#header(HAS_NUMBER) === 1);
      this.#arena.words[slot] = kind ?? NOTHING;
    }
    this.#deliver();
    if (why === OTHER) this.#listener.unusual();
  }

  #deliver(): void {
    const { words } = this.#arena;
    const count = this.#header(RUNS);
    if (count === 0) return;
    const [runs, starts, lines] = this.#output.map((word) => words.subarray(word, word + count));
    const before = this.#before - this.#window;
    this.#listener.found({ runs: runs!, places: { starts: starts!, lines: lines!, before } });
    this.#arena.words[(this.#block.at >>> 2) + RUNS] = 0;
  }

  #header(word: number): number {
    return this.#arena.words[(this.#block.at >>> 2) + word]!;
  }

  #bytes(at: number, size: number): Uint8Array {
    return new Uint8Array(this.#arena.core.memory.buffer, at, size);
  }
}

/** Where the last block ends, behind a blank line; 0 where none does. */
function lastEnd(text: Uint8Array): number {
  let at = text.lastIndexOf(NEWLINE);
  while (at > 0 && text[at - 1] !== NEWLINE) at = text.lastIndexOf(NEWLINE, at - 1);
  return at + 1;
}
