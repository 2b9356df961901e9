// Descriptions in XML that are alike but for what is each host's own: what one of them says, the others say too.
// Capabilities and <cpu> elements come by the thousand; here a new one costs looking its tags up, and no more parsing.
import type { Arena } from '../../core/arena.ts';
import { Cutter, type Followed } from '../../core/stretches.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Input } from '../dialect.ts';
import { isUtf8, type XmlElement } from '../text/xml.ts';
import { endsOfLines, Tags } from './xml-stretches.ts';

/** Tags with numbers that are the host's own: no reader takes notice of more than that they are numbers. */
const OWN = ['uuid', 'memory', 'pages'];
/** What is shorter, all in all, is left to the library: as fast, and there are no tables to set up. */
const FEW = 1 << 14;
const LESS = 0x3c;
const QUESTION = 0x3f;

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
    const { elements, shared = [] } = this.#options;
    const tags = await Tags.load(elements, shared);
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
  /** What was made of each element, by the number of its row. */
  readonly #made: Made<T>[] = [];
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
  }

  /** What the input came to, after its end. */
  get found(): Found<T> {
    return this.#cutter.depth === 0 && this.#found.length > 0 ? this.#found : null;
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
    this.#cutter.begin(lines + 1);
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
    if (!this.#cutter.cut(bytes - before)) {
      // Full: what comes next begins anew.
      this.#cutter.forget();
      this.#tags.clear();
      this.#made.length = 0;
      return false;
    }
    const { codes } = this.#tags;
    const known = codes.length;
    if (this.#cutter.count > known) {
      for (const stretch of this.#cutter.texts(known)) this.#tags.add(stretch);
      this.#cutter.tell(known, codes.slice(known));
    }
    try {
      return this.#cutter.follow(this.#take);
    } catch (error) {
      // What is wrong first is what the library meets first.
      if (error instanceof QueryError) return false;
      throw error;
    }
  }

  free(): void {
    this.#cutter.free();
  }

  #take = ({ start, end, line, isRoot, number }: Followed): boolean => {
    let made = number === null ? undefined : this.#made[number];
    if (!this.#areAsked && (made === undefined || !isRoot)) {
      if (!this.#areOurs()) return false;
      this.#areAsked = true;
    }
    if (made === undefined) {
      const element = this.#tags.element(this.#cutter.row, start, end, line);
      if (element === null) return false;
      made = { found: this.#options.make(element, this.#name), line };
      if (number !== null) this.#made[number] = made;
    }
    const below = line - made.line;
    const { lower } = this.#options;
    for (const one of made.found)
      this.#found.push(below === 0 || lower === undefined ? one : lower(one, below));
    return true;
  };
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
