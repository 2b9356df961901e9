// Text of one JSON object a line, sorted into kinds by the core: read straight into its memory, judged by whoever
// knows what it means. What the core does not prove to be of a known kind is handed on as it is, line by line.
import { type Arena, type ArenaBlock, sharedArena } from './arena.ts';

/** Bytes that are read at once: small enough for the cache, large enough for the system. */
export const CHUNK = 256 * 1024;
/** What one call scans at most: a chunk, and the beginning of a line that the one before left. */
const WINDOW = 2 * CHUNK;
/** The core looks, and writes, this far past the end. */
const BEYOND = 128;
/** The value that makes the core hand over every record of a kind. */
const EACH = 0xffffffff;
/** Names are numbered from 1 to below this. */
const MAX_NAMES = 1024;
const MAX_NAME = 48;

/** Whether the scanner can look for a key or a feature of this name: longer ones are read one by one. */
export const isScannable = (name: string): boolean =>
  new TextEncoder().encode(name).length < MAX_NAME;

/** Why the core stopped. */
const KIND = 1;
const OTHER = 2;
const FULL = 3;

/** What the keys of a record are; the value of every key of `parts` tells kinds apart. */
export interface RecordKeys {
  readonly host: string;
  readonly list: string;
  readonly parts: readonly string[];
  /** What no host may be called, so that such a record is handed on. */
  readonly apart: readonly string[];
  /** Keys that have to do with the list, so that a record with one of them is no variant of another. */
  readonly bound: readonly string[];
}

/** A kind whose records differ from those of another in their list alone. */
export interface Variant {
  /** The number that the listener gave the other kind. */
  readonly of: number;
  /** The names in its list, as the scanner numbers them, each once. */
  readonly names: Uint16Array;
}

const ROLES = { host: 1, list: 2, part: 3, apart: 4 } as const;
const NEWLINE = 10;
/** Any bytes as characters, one for one. */
const ascii = new TextDecoder('latin1');

/** Hosts as they are found, in views of the core's memory that hold until the listener returns. */
export interface FoundHosts {
  /** The number that the listener gave the kind of each. */
  readonly kinds: Uint32Array;
  /** Where each id ends in `ids`; a host without a name has an empty one. Both are empty if no ids are wanted. */
  readonly ends: Uint32Array;
  readonly ids: Uint8Array;
  /** Whether each id is longer than the one before it, or as long and greater. */
  readonly ascending: boolean;
}

export interface ScanListener {
  /** A kind, by the first of its records: answers its number, or null to be handed each record of it. */
  kind(line: Uint8Array, number: number, variant: Variant | null): number | null;
  /** A record, or what stands in the place of one, for the listener to judge. */
  other(line: Uint8Array, number: number): void;
  found(hosts: FoundHosts): void;
  /** A line is longer than `maxLine`: this throws. */
  tooLong(number: number): never;
}

export interface ScanOptions {
  readonly keys: RecordKeys;
  readonly ids: boolean;
  /** Lines beyond the window are refused past this size. */
  readonly maxLine: number;
}

export class Scanner {
  readonly #arena: Arena;
  readonly #listener: ScanListener;
  readonly #options: ScanOptions;
  readonly #block: ArenaBlock;
  readonly #window: number;
  readonly #output: readonly [kinds: number, ends: number, ids: number];
  /** Bytes at the window's start that are not scanned yet: the beginning of a line. */
  #left = 0;
  /** By all that tells kinds apart but the list: the number of the first such kind. */
  readonly #frames = new Map<string, number>();
  /** By number: how names are spelled. */
  readonly #spellings: (string | undefined)[] = [];
  /** By number: whether it could be the name of a feature. */
  readonly #isPlain: (boolean | undefined)[] = [];
  readonly #numbers = new Uint16Array(MAX_NAMES);
  /** The beginning of a line that the window is too small for. */
  #long: { readonly parts: Uint8Array[]; size: number } | null = null;

  constructor(listener: ScanListener, options: ScanOptions, arena: Arena = sharedArena()) {
    const { core } = arena;
    const size = core.scanSize(WINDOW) >>> 0;
    this.#arena = arena;
    this.#listener = listener;
    this.#options = options;
    this.#block = arena.allocate(size + WINDOW + BEYOND);
    const { at } = this.#block;
    this.#window = at + size;
    this.#output = [0, 1, 2].map((part) => at + (core.scanOutput(WINDOW, part) >>> 0)) as never;
    core.scanStart(at, options.ids);
    const { keys } = options;
    const roles = [
      [keys.apart, ROLES.apart],
      [keys.parts, ROLES.part],
      [[keys.host], ROLES.host],
      [[keys.list], ROLES.list],
    ] as const;
    for (const [names, role] of roles) for (const name of names) this.#name(name, role);
  }

  /** Lines that were seen so far. */
  get lines(): number {
    return this.#header(8);
  }

  /** Where the next bytes go: write there, then say how many with `take`. */
  room(): Uint8Array {
    return new Uint8Array(this.#arena.core.memory.buffer, this.#window + this.#left, CHUNK);
  }

  /** Scans what was written to `room`. */
  take(bytes: number): void {
    const filled = this.#left + bytes;
    const all = this.#bytes(this.#window, filled);
    const end = all.lastIndexOf(NEWLINE) + 1;
    let start = 0;
    if (this.#long) {
      // Only the new bytes can end the line.
      const newline = all.indexOf(NEWLINE);
      if (newline < 0) {
        this.#lengthen(all);
        return;
      }
      this.#lengthen(all.subarray(0, newline));
      this.#endLong();
      start = newline + 1;
    }
    if (end > start) this.#scan(start, end, filled);
    this.#left = filled - Math.max(start, end);
    const rest = this.#bytes(this.#window, filled);
    if (this.#left <= WINDOW - CHUNK) rest.copyWithin(0, filled - this.#left);
    else this.#lengthen(rest.subarray(filled - this.#left));
  }

  /** Scans `bytes` as they are at hand. */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += CHUNK) {
      const chunk = bytes.subarray(at, at + CHUNK);
      this.room().set(chunk);
      this.take(chunk.length);
    }
  }

  /** The end of the text, which may lack its last newline. */
  end(): void {
    if (this.#long) this.#endLong();
    if (this.#left === 0) return;
    this.room()[0] = NEWLINE;
    this.take(1);
  }

  /** Gives the memory back; nothing may be scanned afterwards. */
  free(): void {
    this.#arena.free(this.#block);
  }

  /** Keys beside those that were told, which had a plain value somewhere. */
  otherKeys(): string[] {
    const { core } = this.#arena;
    const { keys } = this.#options;
    const told = new Set([keys.host, keys.list, ...keys.parts]);
    const names: string[] = [];
    for (let number = 1; number < MAX_NAMES; number++) {
      const at = core.scanSeen(this.#block.at, number) >>> 0;
      if (at === 0) continue;
      const name = this.spelling(number);
      if (!told.has(name)) names.push(name);
    }
    return names;
  }

  /** How a name is spelled, by its number. */
  spelling(number: number): string {
    const known = this.#spellings[number];
    if (known !== undefined) return known;
    const { core } = this.#arena;
    const at = core.scanSpelling(this.#block.at, number) >>> 0;
    const [size] = new Uint16Array(core.memory.buffer, at + MAX_NAME, 1);
    const name = ascii.decode(this.#bytes(at, size!));
    this.#spellings[number] = name;
    return name;
  }

  #kind(line: Uint8Array, number: number): number {
    const { core } = this.#arena;
    const key = core.scanKey(this.#block.at) >>> 0;
    const frame = ascii.decode(this.#bytes(key, this.#header(72) - 4));
    const of = this.#frames.get(frame);
    if (of !== undefined) {
      const names = this.#names();
      if (names) return this.#listener.kind(line, number, { of, names }) ?? EACH;
    }
    const kind = this.#listener.kind(line, number, null);
    if (kind === null) return EACH;
    if (of === undefined) {
      const text = ascii.decode(line);
      if (!this.#options.keys.bound.some((name) => text.includes(JSON.stringify(name))))
        this.#frames.set(frame, kind);
    }
    return kind;
  }

  /** The names in the list of the record at hand, or null if one is unlike a name. */
  #names(): Uint16Array | null {
    const row = (this.#arena.core.scanRow(this.#block.at) >>> 0) >>> 2;
    const { words } = this.#arena;
    const names = this.#numbers;
    let n = 0;
    for (let i = 0; i < MAX_NAMES / 32; i++)
      for (let rest = words[row + i]!; rest !== 0; rest &= rest - 1) {
        const name = i * 32 + 31 - Math.clz32(rest & -rest);
        this.#isPlain[name] ??= /^\S+$/.test(this.spelling(name));
        if (!this.#isPlain[name]) return null;
        names[n++] = name;
      }
    return names.slice(0, n);
  }

  #name(name: string, role: number): void {
    const text = new TextEncoder().encode(`${name}"`);
    if (text.length > MAX_NAME) throw new RangeError(`the key "${name}" is too long to scan for`);
    this.room().set(text);
    this.#arena.core.scanName(this.#block.at, this.#window, role);
  }

  #scan(start: number, end: number, filled: number): void {
    const { core } = this.#arena;
    const [kinds, ends, ids] = this.#output;
    const state = this.#block.at;
    const [stop, limit] = [this.#window + end, this.#window + filled];
    for (let from = this.#window + start; ; ) {
      const why = core.scan(state, kinds, ends, ids, from, stop, limit);
      if (why === FULL) core.scanForget(state);
      if (why !== KIND && why !== OTHER && why !== FULL) break;
      from = this.#header(0);
      if (why === FULL) continue;
      const lineEnd = this.#header(4);
      const line = this.#bytes(from, lineEnd - from);
      const number = this.lines + 1;
      if (why === KIND) {
        const slot = this.#header(20);
        const kind = this.#kind(line, number);
        this.#arena.words[slot >>> 2] = kind;
      } else {
        // In the order of the text.
        this.#deliver();
        this.#listener.other(line, number);
        this.#arena.words[(state + 8) >>> 2]! += 1;
        from = lineEnd + 1;
      }
    }
    this.#deliver();
  }

  #deliver(): void {
    const { words, core } = this.#arena;
    const [kinds, ends, ids] = this.#output;
    const head = this.#block.at >>> 2;
    const hosts = this.#header(12);
    if (hosts > 0)
      this.#listener.found({
        kinds: words.subarray(kinds >>> 2, (kinds >>> 2) + hosts),
        ends: words.subarray(ends >>> 2, (ends >>> 2) + (this.#options.ids ? hosts : 0)),
        ids: new Uint8Array(core.memory.buffer, ids, this.#header(16)),
        ascending: this.#header(28) === 1,
      });
    // Hosts and bytes of ids begin anew, ascending as far as is known.
    const after = this.#arena.words;
    after[head + 3] = 0;
    after[head + 4] = 0;
    after[head + 7] = 1;
  }

  #lengthen(part: Uint8Array): void {
    this.#long ??= { parts: [], size: 0 };
    this.#long.parts.push(part.slice());
    this.#long.size += part.length;
    this.#left = 0;
    if (this.#long.size > this.#options.maxLine) this.#listener.tooLong(this.lines + 1);
  }

  #endLong(): void {
    const { parts, size } = this.#long!;
    const line = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      line.set(part, at);
      at += part.length;
    }
    this.#long = null;
    this.#listener.other(line, this.lines + 1);
    this.#arena.words[(this.#block.at + 8) >>> 2]! += 1;
  }

  #header(offset: number): number {
    return this.#arena.words[(this.#block.at + offset) >>> 2]!;
  }

  #bytes(at: number, size: number): Uint8Array {
    return new Uint8Array(this.#arena.core.memory.buffer, at, size);
  }
}
