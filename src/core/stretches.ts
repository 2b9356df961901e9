// XML text cut before each `<` by the core: what stands between two of them, a stretch, is a number, the same for
// equal ones. Told what each stretch is, the core follows them to the elements that are asked for.
import { type Arena, type ArenaBlock, sharedArena } from './arena.ts';

/** Bytes that are cut at once: their numbers stay in the cache. */
const CHUNK = 256 * 1024;
/** No stretch of a description is as long, and no element of one has as many. */
const MAX_STRETCH = CHUNK;
const MAX_ROW = 1 << 18;
const MAX_STRETCHES = 1 << 17;
const WINDOW = CHUNK + MAX_STRETCH;
/** The core looks this far past the end. */
const BEYOND = 64;
const LESS = 0x3c;
/** Instead of a number. */
const NONE = 0xffffffff;
/** What the core puts out for an element, which has four bytes at least. */
const WORDS = 5;

/** An element that is complete: the row of its stretches begins and ends here, without the one that closes it. */
export interface Followed {
  readonly start: number;
  readonly end: number;
  readonly line: number;
  /** Whether no other element is around it. */
  readonly isRoot: boolean;
  /** The same for equal rows; null where no more are remembered. */
  readonly number: number | null;
}

export class Cutter {
  readonly #arena: Arena;
  readonly #block: ArenaBlock;
  // Where the parts of the block are: first the cutter's tables.
  readonly #follower: number;
  readonly #codes: number;
  readonly #row: number;
  readonly #elements: number;
  readonly #window: number;
  readonly #names: Uint8Array;
  #view = new Uint8Array(0);
  /** Bytes at the window's start that are not cut yet: the beginning of a stretch. */
  #left = 0;
  /** Stretches at the row's start, of an element that is open, and those that were cut after them. */
  #kept = 0;
  #cut = 0;

  /**
   * `names` are of tags whose digits do not count: in quotes each number is 0, and within the element there is none.
   */
  constructor(names: readonly string[], arena: Arena = sharedArena()) {
    const { core } = arena;
    const sizes = [
      core.cutSize() >>> 0,
      core.followSize() >>> 0,
      4 * MAX_STRETCHES,
      4 * (MAX_ROW + WINDOW),
      WORDS * WINDOW,
      WINDOW + BEYOND,
    ].map((size) => Math.ceil(size / 64) * 64);
    this.#arena = arena;
    this.#block = arena.allocate(sizes.reduce((sum, size) => sum + size, 0));
    let at = this.#block.at;
    [this.#follower, this.#codes, this.#row, this.#elements, this.#window] = sizes.map((size) => {
      at += size;
      return at;
    }) as [number, number, number, number, number];
    this.#names = new TextEncoder().encode(names.map((name) => `${name}\0`).join(''));
    this.forget();
  }

  /** How many distinct stretches there are. */
  get count(): number {
    return this.#arena.words[(this.#block.at >>> 2) + 1]!;
  }

  /** The row of stretches that is followed, in a view that holds until memory grows. */
  get row(): Uint32Array {
    return this.#arena.words.subarray(this.#row >>> 2, (this.#row >>> 2) + this.#kept + this.#cut);
  }

  /** Forgets all stretches and elements; their numbers are given anew. */
  forget(): void {
    const { core } = this.#arena;
    this.#bytes(this.#window, this.#names.length).set(this.#names);
    core.cutStart(this.#block.at, this.#window, this.#names.length);
    core.followStart(this.#follower);
  }

  /** Makes ready for another text, whose first `<` is on this line. */
  begin(line: number): void {
    this.#left = 0;
    this.#kept = 0;
    this.#cut = 0;
    this.#arena.core.followBegin(this.#follower, line);
  }

  /** Where the next bytes go: write there, then say how many to `cut`. A text begins with `<`. */
  room(): Uint8Array {
    return this.#whole.subarray(this.#left, this.#left + CHUNK);
  }

  /** Writes bytes to `room`, as many as there is room for; answers how many. */
  put(bytes: Uint8Array): number {
    const part = bytes.length > CHUNK ? bytes.subarray(0, CHUNK) : bytes;
    this.#whole.set(part, this.#left);
    return part.length;
  }

  /**
   * Puts the stretches that end within what was written to `room` behind the row; no more bytes end the text, and its
   * last stretch. False where a stretch or a row is too long, or there are too many distinct ones.
   */
  cut(bytes: number): boolean {
    const { core } = this.#arena;
    const filled = this.#left + bytes;
    const window = this.#whole;
    const end = bytes === 0 ? filled : Math.max(0, window.lastIndexOf(LESS, filled - 1));
    this.#left = filled - end;
    this.#cut = 0;
    if (this.#left > MAX_STRETCH || this.#kept > MAX_ROW) return false;
    if (end === 0) return true;
    const after = window[end]!;
    window[end] = LESS;
    const out = this.#row + 4 * this.#kept;
    this.#cut = core.cut(this.#block.at, out, this.#window, this.#window + end) >>> 0;
    const stopped = this.#arena.words[this.#block.at >>> 2]! - this.#window;
    window[end] = after;
    window.copyWithin(0, end, filled);
    return stopped === end;
  }

  /** The text of each distinct stretch from a number on; null for one that is not UTF-8. */
  texts(from: number): (string | null)[] {
    const { core, words } = this.#arena;
    const { count } = this;
    const entries = core.cutEntries(this.#block.at) >>> 2;
    // The text of one follows that of the one before.
    const first = words[entries + 4 * from + 2]!;
    const last = entries + 4 * (count - 1);
    const size = words[last + 2]! + words[last + 3]! - first;
    const all = decoded(this.#bytes(first, size));
    // Where each byte is a character, all are decoded at once.
    const isAscii = all?.length === size;
    const texts: (string | null)[] = [];
    for (let entry = entries + 4 * from; entry <= last; entry += 4) {
      const at = words[entry + 2]!;
      const length = words[entry + 3]!;
      texts.push(
        isAscii ? all.slice(at - first, at - first + length) : decoded(this.#bytes(at, length)),
      );
    }
    return texts;
  }

  /** Says what stretches are, from a number on; each must be told before it is followed. */
  tell(from: number, codes: readonly number[]): void {
    this.#arena.words.set(codes, (this.#codes >>> 2) + from);
  }

  /**
   * Follows what was cut last and hands over elements that are complete. False where `take` is not content, or
   * elements are not as they ought to be: closed in order, and all text within one.
   */
  follow(take: (element: Followed) => boolean): boolean {
    const { core } = this.#arena;
    const end = this.#kept + this.#cut;
    const count =
      core.follow(this.#follower, this.#codes, this.#row, this.#kept, end, this.#elements) >>> 0;
    if (count === NONE) return false;
    for (let i = 0; i < count; i++) {
      // What `take` does may let memory grow.
      const { words } = this.#arena;
      const at = (this.#elements >>> 2) + WORDS * i;
      const number = words[at + 4]!;
      const element = {
        start: words[at]!,
        end: words[at + 1]!,
        line: words[at + 2]!,
        isRoot: words[at + 3] === 1,
        number: number === NONE ? null : number,
      };
      if (!take(element)) return false;
    }
    this.#keep(end);
    return true;
  }

  /** How deep in elements the text is so far. */
  get depth(): number {
    return this.#arena.words[this.#follower >>> 2]!;
  }

  /** Gives the memory back; nothing may be cut afterwards. */
  free(): void {
    this.#arena.free(this.#block);
  }

  /** Leaves the row of an element that is open, if there is one that was asked for. */
  #keep(end: number): void {
    const { words } = this.#arena;
    const header = this.#follower >>> 2;
    this.#cut = 0;
    this.#kept = words[header + 2] === NONE ? 0 : end - words[header + 4]!;
    if (this.#kept === 0) return;
    const row = this.#row >>> 2;
    words.copyWithin(row, row + end - this.#kept, row + end);
    words[header + 4] = 0;
  }

  /** The window, and a byte behind it; memory that grew is another buffer. */
  get #whole(): Uint8Array {
    const { buffer } = this.#arena.core.memory;
    if (this.#view.buffer !== buffer) this.#view = new Uint8Array(buffer, this.#window, WINDOW + 1);
    return this.#view;
  }

  #bytes(at: number, size: number): Uint8Array {
    return new Uint8Array(this.#arena.core.memory.buffer, at, size);
  }
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decoded(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}
