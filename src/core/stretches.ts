// XML text cut before each `<` by the core: what stands between two of them, a stretch, is a number, the same for
// equal ones. What is done with each distinct stretch is up to whoever asks.
import { type Arena, type Block, sharedArena } from './arena.ts';

/** Bytes that are cut at once: their numbers stay in the cache. */
const CHUNK = 256 * 1024;
/** No stretch of a description is as long. */
const MAX_STRETCH = CHUNK;
const WINDOW = CHUNK + MAX_STRETCH;
/** The core looks this far past the end. */
const BEYOND = 64;
const LESS = 0x3c;

export class Cutter {
  readonly #arena: Arena;
  readonly #block: Block;
  readonly #window: number;
  readonly #out: number;
  readonly #names: Uint8Array;
  #view = new Uint8Array(0);
  /** Bytes at the window's start that are not cut yet: the beginning of a stretch. */
  #left = 0;

  /** `names` are of tags whose digits do not count: in quotes each number is 0, and behind the tag there is none. */
  constructor(names: readonly string[], arena: Arena = sharedArena()) {
    const size = arena.core.cutSize() >>> 0;
    this.#arena = arena;
    this.#block = arena.allocate(size + WINDOW + BEYOND + 4 * WINDOW);
    this.#window = this.#block.at + size;
    this.#out = this.#window + WINDOW + BEYOND;
    this.#names = new TextEncoder().encode(names.map((name) => `${name}\0`).join(''));
    this.forget();
  }

  /** How many distinct stretches there are. */
  get count(): number {
    return this.#arena.words[(this.#block.at >>> 2) + 1]!;
  }

  /** Forgets all stretches; their numbers are given anew. */
  forget(): void {
    this.#bytes(this.#window, this.#names.length).set(this.#names);
    this.#arena.core.cutStart(this.#block.at, this.#window, this.#names.length);
  }

  /** Makes ready for another text. */
  begin(): void {
    this.#left = 0;
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
   * The numbers of the stretches that end within what was written to `room`, in a view that holds until the next
   * call; no more bytes end the text, and its last stretch. Null where a stretch is too long or there are too many
   * distinct ones.
   */
  cut(bytes: number): Uint32Array | null {
    const { core } = this.#arena;
    const filled = this.#left + bytes;
    const window = this.#whole;
    const end = bytes === 0 ? filled : Math.max(0, window.lastIndexOf(LESS, filled - 1));
    if (filled - end > MAX_STRETCH) return null;
    this.#left = filled - end;
    if (end === 0) return new Uint32Array(0);
    const after = window[end]!;
    window[end] = LESS;
    const count = core.cut(this.#block.at, this.#out, this.#window, this.#window + end) >>> 0;
    const stopped = this.#arena.words[this.#block.at >>> 2]! - this.#window;
    window[end] = after;
    window.copyWithin(0, end, filled);
    return stopped < end ? null : new Uint32Array(core.memory.buffer, this.#out, count);
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

  /** Gives the memory back; nothing may be cut afterwards. */
  free(): void {
    this.#arena.free(this.#block);
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
