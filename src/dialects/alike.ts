// Descriptions in XML that are alike but for what is each host's own: what one of them says, the others say too.
// Capabilities and <cpu> elements come by the thousand; here a new one costs looking its tags up, and no more parsing.
import type { Arena } from '../core/arena.ts';
import { Cutter } from '../core/stretches.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Input } from './dialect.ts';
import { CLOSE, endsOfLines, LEAF, ODD, OPEN, Tags } from './tags.ts';
import { isUtf8, type XmlElement } from './xml.ts';

/** Tags with numbers that are the host's own: no reader takes notice of more than that they are numbers. */
const OWN = ['uuid', 'memory', 'pages', 'counter'];
/** As deep as the library is followed. */
const MAX_DEPTH = 256;
/** What is shorter, all in all, is left to the library: as fast, and there are no tables to set up. */
const FEW = 1 << 14;
const LESS = 0x3c;
const QUESTION = 0x3f;
/** Numbers of what is remembered: 16 MB. */
const MAX_REMEMBERED = 1 << 22;
const MANY = 1024;

/** What is looked for in documents, and what is made of it. */
export interface AlikeOptions<T> {
  /** Elements that are read by themselves, wherever they stand; none of them is looked for within another. */
  readonly elements: readonly string[];
  /** Elements within them that come by the dozen: one without children is not told its line. */
  readonly shared?: readonly string[];
  /** What such an element says. */
  make(element: XmlElement, input: string): readonly T[];
  /** The same, said so many lines below. */
  lower?(found: T, lines: number): T;
}

/** Fills an array from where it stopped before; answers how many bytes came, 0 at the end. */
type Fill = (into: Uint8Array) => number | Promise<number>;

/** What was made of an element, and the line on which the first like it stood. */
interface Made<T> {
  readonly found: readonly T[];
  readonly line: number;
}

/**
 * What is made of the elements of a document, or of several that follow one another, in their order; null where
 * anything is out of the ordinary, or they are not ours, which is asked unless it is known: then the library must
 * read it all, and say what is wrong.
 */
type Found<T> = readonly T[] | null;

export class Alike<T> {
  readonly #options: AlikeOptions<T>;
  readonly #arena: Arena | undefined;
  #reader: Reader<T> | null = null;
  #bytes = 0;

  constructor(options: AlikeOptions<T>, arena?: Arena) {
    this.#options = options;
    this.#arena = arena;
  }

  /** Whether all is set up, which waits for enough to read. */
  get isReady(): boolean {
    return this.#reader !== null;
  }

  /** Hears of so many bytes more that are to be read. */
  async prepare(bytes: number): Promise<void> {
    this.#bytes += bytes;
    if (this.#bytes < FEW) return;
    const tags = await Tags.load(this.#options.shared ?? []);
    this.#reader ??= new Reader(this.#options, tags, new Cutter(OWN, this.#arena));
  }

  /** What is made of an input; null before all is set up, too. */
  read({ name, bytes }: Input, areOurs = () => true): Found<T> {
    const reading = this.#reader;
    if (!reading?.begin({ name, bytes }, areOurs)) return null;
    for (let at = 0; ; ) {
      const size = reading.put(at === 0 ? bytes : bytes.subarray(at));
      if (!reading.take(size)) return null;
      if (size === 0) return reading.found;
      at += size;
    }
  }

  /** The same of what is read piece by piece, whose beginning is known. */
  async stream(head: Input, fill: Fill): Promise<Found<T>> {
    const reading = this.#reader;
    if (!reading?.begin(head, () => true)) return null;
    for (;;) {
      const size = await fill(reading.room());
      if (!reading.take(size)) return null;
      if (size === 0) return reading.found;
    }
  }

  /** Gives the core's memory back; nothing may be read afterwards. */
  free(): void {
    this.#reader?.free();
  }
}

/** Reads one input after another. */
class Reader<T> {
  readonly #options: AlikeOptions<T>;
  readonly #cutter: Cutter;
  readonly #tags: Tags;
  readonly #walk: Walk;
  #known = new Sequences<Made<T>>();
  // The input at hand.
  #name = '';
  #areOurs: () => boolean = () => true;
  #areAsked = false;
  /** Bytes that stand before the first tag and have not come yet. */
  #before = 0;
  #found: T[] = [];

  constructor(options: AlikeOptions<T>, tags: Tags, cutter: Cutter) {
    this.#options = options;
    this.#cutter = cutter;
    this.#tags = tags;
    const isAsked: boolean[] = [];
    for (const name of options.elements) isAsked[tags.name(name)] = true;
    this.#walk = new Walk(tags, isAsked, (from, to, line, isRoot) =>
      this.#take(from, to, line, isRoot),
    );
  }

  /** What the input came to, after its end. */
  get found(): Found<T> {
    return this.#walk.depth === 0 && this.#found.length > 0 ? this.#found : null;
  }

  /** Begins with another input, of which this is the first, or all; false where it begins oddly. */
  begin(head: Input, areOurs: () => boolean): boolean {
    const start = firstTag(head.bytes);
    const lines = start < 0 ? null : linesBefore(head, start);
    if (lines === null) return false;
    this.#name = head.name;
    this.#areOurs = areOurs;
    this.#areAsked = false;
    this.#before = start;
    this.#found = [];
    this.#cutter.begin();
    this.#walk.begin(lines + 1);
    return true;
  }

  room(): Uint8Array {
    return this.#cutter.room();
  }

  put(bytes: Uint8Array): number {
    return this.#cutter.put(bytes);
  }

  /** Goes on by bytes that were written to `room`, to the end where there are none; false where something is odd. */
  take(bytes: number): boolean {
    const before = Math.min(this.#before, bytes);
    if (before > 0) {
      this.#before -= before;
      this.#cutter.room().copyWithin(0, before, bytes);
      if (before === bytes) return true;
    }
    const stretches = this.#cutter.cut(bytes - before);
    if (stretches === null) {
      // Full: what comes next begins anew.
      this.#cutter.forget();
      this.#tags.clear();
      this.#known = new Sequences();
      return false;
    }
    const { length } = this.#tags;
    if (this.#cutter.count > length)
      for (const stretch of this.#cutter.texts(length)) this.#tags.add(stretch);
    try {
      return this.#walk.on(stretches);
    } catch (error) {
      // What is wrong first is what the library meets first.
      if (error instanceof QueryError) return false;
      throw error;
    }
  }

  free(): void {
    this.#cutter.free();
  }

  #take(from: number, to: number, line: number, isRoot: boolean): boolean {
    const { stretches } = this.#walk;
    let made = this.#known.find(stretches, from, to);
    if (!this.#areAsked && (made === undefined || !isRoot)) {
      if (!this.#areOurs()) return false;
      this.#areAsked = true;
    }
    if (made === undefined) {
      const element = this.#tags.element(stretches, from, to, line);
      if (element === null) return false;
      made = { found: this.#options.make(element, this.#name), line };
      this.#known.add(stretches, from, to, made);
    }
    const below = line - made.line;
    const { lower } = this.#options;
    for (const one of made.found)
      this.#found.push(below === 0 || lower === undefined ? one : lower(one, below));
    return true;
  }
}

/** Where the first tag begins, behind space and the mark that some files begin with; -1 where something else stands. */
export function firstTag(head: Uint8Array): number {
  const start = head.findIndex((byte) => byte > 0x20 && byte < 0xbb);
  return head[start] === LESS ? start : -1;
}

/** How many lines end before the first tag; null where more than space does, or the text is not in UTF-8. */
function linesBefore(input: Input, start: number): number | null {
  const { bytes } = input;
  if (start === 0 && bytes[1] !== QUESTION) return 0;
  const before = new TextDecoder().decode(bytes.subarray(0, start));
  return /^[ \t\r\n]*$/.test(before) && isUtf8(input) ? endsOfLines(before) : null;
}

type Take = (from: number, to: number, line: number, isRoot: boolean) => boolean;

/** The way through the stretches of an input, from element to element. */
class Walk {
  /** Those of the element that is open and is read by itself, if there is one, and those that came last. */
  stretches = new Uint32Array(1024);
  depth = 0;
  readonly #tags: Tags;
  /** Whether elements of a name, by its number, are read by themselves. */
  readonly #isAsked: readonly boolean[];
  readonly #take: Take;
  /** The names of the elements that are open. */
  readonly #open = new Int32Array(MAX_DEPTH);
  #kept = 0;
  #line = 1;
  /** How deep the element that is read by itself stands, and on which line; -1 where none is open. */
  #ownDepth = -1;
  #ownLine = 0;

  /** Elements that are complete are handed to `take`, which may find them odd. */
  constructor(tags: Tags, isAsked: readonly boolean[], take: Take) {
    this.#tags = tags;
    this.#isAsked = isAsked;
    this.#take = take;
  }

  /** Another input begins, with its first tag on this line. */
  begin(line: number): void {
    this.depth = 0;
    this.#kept = 0;
    this.#line = line;
    this.#ownDepth = -1;
  }

  /** Goes on; false where something is not as it ought to be. */
  on(more: Uint32Array): boolean {
    const { kinds, names, lines, texts } = this.#tags;
    const isAsked = this.#isAsked;
    const open = this.#open;
    const first = this.#kept;
    const end = first + more.length;
    this.#append(more);
    const { stretches } = this;
    let { depth } = this;
    let line = this.#line;
    let own = 0;
    for (let i = first; i < end; i++) {
      const stretch = stretches[i]!;
      const kind = kinds[stretch]!;
      if (kind === OPEN || kind === LEAF) {
        if (depth === MAX_DEPTH) return false;
        const name = names[stretch]!;
        const isOwn = this.#ownDepth < 0 && isAsked[name] === true;
        if (kind === OPEN) {
          if (isOwn) {
            own = i;
            this.#ownDepth = depth;
            this.#ownLine = line;
          }
          open[depth++] = name;
        } else if (isOwn && !this.#take(i, i + 1, line, depth === 0)) return false;
      } else if (kind === CLOSE) {
        if (depth === 0 || open[--depth] !== names[stretch]) return false;
        if (depth === this.#ownDepth) {
          this.#ownDepth = -1;
          // How it is closed goes without saying, and what follows is no part of it.
          if (!this.#take(own, i, this.#ownLine, depth === 0)) return false;
        }
      } else if (kind === ODD) return false;
      if (depth === 0 && texts[stretch] !== '') return false;
      line += lines[stretch]!;
    }
    this.depth = depth;
    this.#line = line;
    this.#kept = this.#ownDepth < 0 ? 0 : end - own;
    stretches.copyWithin(0, end - this.#kept, end);
    return true;
  }

  #append(more: Uint32Array): void {
    const size = this.#kept + more.length;
    if (size > this.stretches.length) {
      const longer = new Uint32Array(Math.max(size, 2 * this.stretches.length));
      longer.set(this.stretches.subarray(0, this.#kept));
      this.stretches = longer;
    }
    this.stretches.set(more, this.#kept);
  }
}

/** Values by rows of numbers. */
class Sequences<V> {
  #numbers = new Uint32Array(4096);
  #used = 0;
  readonly #byCode = new Map<number, number>();
  // By entry: where its numbers are, the entry of the same code before it, and its value.
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #before: number[] = [];
  readonly #values: V[] = [];
  #asked = 0;
  #found = 0;

  /** Whether so few were known that remembering more is not worth its while. */
  get #isIdle(): boolean {
    return this.#asked >= MANY && this.#found * 4 < this.#asked;
  }

  find(numbers: Uint32Array, from: number, to: number): V | undefined {
    if (this.#isIdle) return undefined;
    this.#asked++;
    let entry = this.#byCode.get(codeOf(numbers, from, to)) ?? -1;
    for (; entry >= 0; entry = this.#before[entry]!)
      if (this.#isSame(entry, numbers, from, to)) {
        this.#found++;
        return this.#values[entry];
      }
    return undefined;
  }

  /** Remembers a value, while there is room. */
  add(numbers: Uint32Array, from: number, to: number, value: V): void {
    const size = to - from;
    if (this.#isIdle || this.#used + size > MAX_REMEMBERED) return;
    if (this.#used + size > this.#numbers.length) {
      const longer = new Uint32Array(Math.max(this.#used + size, 2 * this.#numbers.length));
      longer.set(this.#numbers);
      this.#numbers = longer;
    }
    this.#numbers.set(numbers.subarray(from, to), this.#used);
    const code = codeOf(numbers, from, to);
    this.#before.push(this.#byCode.get(code) ?? -1);
    this.#byCode.set(code, this.#values.push(value) - 1);
    this.#starts.push(this.#used);
    this.#used += size;
    this.#ends.push(this.#used);
  }

  #isSame(entry: number, numbers: Uint32Array, from: number, to: number): boolean {
    const start = this.#starts[entry]!;
    const size = this.#ends[entry]! - start;
    if (size !== to - from) return false;
    const known = this.#numbers;
    for (let i = 0; i < size; i++) if (known[start + i] !== numbers[from + i]) return false;
    return true;
  }
}

function codeOf(numbers: Uint32Array, from: number, to: number): number {
  let code = to - from;
  for (let i = from; i < to; i++) code = Math.imul(code ^ numbers[i]!, 0x01000193);
  return code ^ (code >>> 15);
}
