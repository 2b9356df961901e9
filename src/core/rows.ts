// A CPU in memory: one bit a feature. The one order (isCovered), meet and join of the project are here: on single
// rows in plain code, on many rows at once in the WASM core.
import { type Arena, type ArenaBlock, sharedArena } from './arena.ts';

/** Feature bits, 32 to a word: bit `id` is bit `id & 31` of word `id >> 5`. Rows that meet are equally long. */
export type Row = Uint32Array;

/** Bits of one lane of the core: rows in its memory are a whole number of these. */
const LANE_BITS = 128;

export const emptyRow = (bits: number): Row =>
  new Uint32Array((Math.ceil(bits / LANE_BITS) * LANE_BITS) >> 5);

export function rowOf(bits: number, ids: Iterable<number>): Row {
  const row = emptyRow(bits);
  for (const id of ids) setBit(row, id);
  return row;
}

export const hasBit = (row: Row, id: number): boolean => ((row[id >> 5]! >>> (id & 31)) & 1) === 1;

export function setBit(row: Row, id: number): void {
  row[id >> 5]! |= 1 << (id & 31);
}

export function clearBit(row: Row, id: number): void {
  row[id >> 5]! &= ~(1 << (id & 31));
}

/** Bits that go together, by the words of a row that hold them. */
export type Mask = readonly { readonly word: number; readonly bits: number }[];

export function maskOf(ids: Iterable<number>): Mask {
  const words = new Map<number, number>();
  for (const id of ids) words.set(id >> 5, (words.get(id >> 5) ?? 0) | (1 << (id & 31)));
  return [...words].map(([word, bits]) => ({ word, bits }));
}

// Masks are gone through thousands of times before V8 compiles anything, and an iterator makes an object a step.

export function hasAny(row: Row, mask: Mask): boolean {
  for (let i = 0; i < mask.length; i++)
    if ((row[mask[i]!.word]! & mask[i]!.bits) !== 0) return true;
  return false;
}

export function hasAll(row: Row, mask: Mask): boolean {
  for (let i = 0; i < mask.length; i++)
    if ((~row[mask[i]!.word]! & mask[i]!.bits) !== 0) return false;
  return true;
}

export function setBits(row: Row, mask: Mask): void {
  for (let i = 0; i < mask.length; i++) row[mask[i]!.word]! |= mask[i]!.bits;
}

export function clearBits(row: Row, mask: Mask): void {
  for (let i = 0; i < mask.length; i++) row[mask[i]!.word]! &= ~mask[i]!.bits;
}

/** What both have. */
export function meet(a: Row, b: Row): Row {
  const both = a.slice();
  meetInto(both, b);
  return both;
}

/** Leaves a row what the other has, too: the meet in its place. */
export function meetInto(row: Row, other: Row): void {
  for (let i = 0; i < row.length; i++) row[i]! &= other[i]!;
}

/** What either has. */
export function join(a: Row, b: Row): Row {
  const either = a.slice();
  for (let i = 0; i < either.length; i++) either[i]! |= b[i]!;
  return either;
}

/** What `a` has and `b` lacks. */
export function minus(a: Row, b: Row): Row {
  const rest = a.slice();
  for (let i = 0; i < rest.length; i++) rest[i]! &= ~b[i]!;
  return rest;
}

/** Whether all that `needs` has is in `has`: needs ⊑ has. */
export function isCovered(needs: Row, has: Row): boolean {
  for (let i = 0; i < needs.length; i++) if ((needs[i]! & ~has[i]!) !== 0) return false;
  return true;
}

/** Whether `other` has any of what `row` has; `row` may be the shorter one. */
export function intersects(row: Row, other: Row): boolean {
  for (let i = 0; i < row.length; i++) if ((row[i]! & other[i]!) !== 0) return true;
  return false;
}

export function isEqual(a: Row, b: Row): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Each of a few rows once, in the order of first appearance; for many there is Rows.intern. */
export const distinct = (rows: readonly Row[]): Row[] =>
  rows.filter((row, i) => rows.findIndex((other) => isEqual(other, row)) === i);

export function isEmpty(row: Row): boolean {
  for (let i = 0; i < row.length; i++) if (row[i] !== 0) return false;
  return true;
}

/** How many bits are set. */
export function size(row: Row): number {
  let n = 0;
  for (let i = 0; i < row.length; i++) if (row[i] !== 0) n += ones(row[i]!);
  return n;
}

/** How much of `a` is not in `b`. */
export function sizeWithout(a: Row, b: Row): number {
  let n = 0;
  for (let i = 0; i < a.length; i++) {
    const word = a[i]! & ~b[i]!;
    if (word !== 0) n += ones(word);
  }
  return n;
}

function ones(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** The set bits, lowest first. */
export function bitsOf(row: Row): number[] {
  const ids: number[] = [];
  for (let i = 0; i < row.length; i++)
    for (let rest = row[i]!; rest !== 0; rest &= rest - 1)
      ids.push(i * 32 + (31 - Math.clz32(rest & -rest)));
  return ids;
}

/** Which rows cover a need: bit `i` of the bitmap is row `i`. */
export interface Covered {
  readonly count: number;
  readonly bitmap: Uint32Array;
}

/** Rows sorted into classes of equal ones, numbered in the order of first appearance. */
export interface Classes {
  /** The class of each row. */
  readonly classOf: Uint32Array;
  /** How many rows each class has. */
  readonly weights: Uint32Array;
  /** The first row of each class. */
  readonly first: Uint32Array;
}

// Blocks of rows that nothing refers to any more go back to their arena.
const unreachable = new FinalizationRegistry<{ arena: Arena; block: ArenaBlock }>(
  ({ arena, block }) => {
    if (block.size > 0) arena.free(block);
  },
);

/** Many rows of one width in the memory of the core. Each question crosses the border once. */
export class Rows {
  /** Bits of a row: what was asked for, rounded up to whole lanes. */
  readonly bits: number;
  readonly #lanes: number;
  /** Words of a row. */
  readonly #words: number;
  readonly #arena: Arena;
  readonly #block: ArenaBlock = { at: 0, size: 0 };
  #length = 0;

  constructor(bits: number, arena: Arena = sharedArena()) {
    if (!(Number.isInteger(bits) && bits > 0))
      throw new RangeError(`rows of ${bits} bits: a whole number above 0 is needed`);
    this.#lanes = Math.ceil(bits / LANE_BITS);
    this.#words = this.#lanes * (LANE_BITS / 32);
    this.bits = this.#lanes * LANE_BITS;
    this.#arena = arena;
    unreachable.register(this, { arena, block: this.#block });
  }

  /** Rows of `bits` bits each, copied from words that hold them one after another. */
  static from(bits: number, words: Uint32Array, arena: Arena = sharedArena()): Rows {
    const rows = new Rows(bits, arena);
    if (words.length % rows.#words !== 0)
      throw new RangeError(
        `${words.length} words are no whole number of rows of ${rows.#words} words`,
      );
    rows.reserve(words.length / rows.#words);
    arena.words.set(words, rows.#block.at >>> 2);
    rows.#length = words.length / rows.#words;
    return rows;
  }

  get length(): number {
    return this.#length;
  }

  /** Appends a copy of `row`; answers its index. */
  push(row: Row): number {
    this.#check(row);
    if ((this.#length + 1) * this.#words * 4 > this.#block.size)
      this.reserve(Math.max(4, this.#length * 2));
    this.#arena.words.set(row, (this.#block.at >>> 2) + this.#length * this.#words);
    return this.#length++;
  }

  /** Makes room for `rows` rows in all. */
  reserve(rows: number): void {
    const bytes = rows * this.#words * 4;
    if (bytes <= this.#block.size) return;
    const block = this.#arena.allocate(bytes);
    const { at } = this.#block;
    this.#arena.words.copyWithin(block.at >>> 2, at >>> 2, (at >>> 2) + this.#length * this.#words);
    if (this.#block.size > 0) this.#arena.free(this.#block);
    Object.assign(this.#block, block);
  }

  /** A copy of row `i`. */
  at(i: number): Row {
    if (!(Number.isInteger(i) && i >= 0 && i < this.#length))
      throw new RangeError(`row ${i} is outside these rows (0 to ${this.#length - 1})`);
    return this.#read(this.#block.at + i * this.#words * 4, this.#words);
  }

  /** Gives the memory back at once and leaves no rows; without it that happens some time after the last use. */
  free(): void {
    if (this.#block.size > 0) this.#arena.free(this.#block);
    Object.assign(this.#block, { at: 0, size: 0 });
    this.#length = 0;
  }

  /**
   * What all rows have.
   * @throws RangeError when there are no rows: what all of none have would be everything.
   */
  meet(): Row {
    if (this.#length === 0) throw new RangeError('no rows have no meet');
    return this.#borrow([this.#words * 4], (dst) => {
      this.#arena.core.meet(dst, this.#block.at, this.#length, this.#lanes);
      return this.#read(dst, this.#words);
    });
  }

  /** What any row has; nothing when there are no rows. */
  join(): Row {
    return this.#borrow([this.#words * 4], (dst) => {
      this.#arena.core.join(dst, this.#block.at, this.#length, this.#lanes);
      return this.#read(dst, this.#words);
    });
  }

  /**
   * For each bit how many rows have it, or the sum of their weights.
   * @throws RangeError when there is not one weight a row, or when they add up to 2^32 or more.
   */
  counts(weights?: Uint32Array): Uint32Array {
    const { core } = this.#arena;
    if (weights === undefined)
      return this.#borrow([this.bits * 4, core.countsScratchSize(this.#lanes)], (dst, scratch) => {
        core.counts(dst, scratch, this.#block.at, this.#length, this.#lanes);
        return this.#read(dst, this.bits);
      });
    if (weights.length !== this.#length)
      throw new RangeError(`${weights.length} weights were given for ${this.#length} rows`);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    if (total >= 2 ** 32)
      throw new RangeError(`weights add up to ${total}, which is more than 32 bits hold`);
    return this.#borrow([this.bits * 4, weights.length * 4], (dst, at) => {
      this.#arena.words.set(weights, at >>> 2);
      core.weightedCounts(dst, at, this.#block.at, this.#length, this.#lanes);
      return this.#read(dst, this.bits);
    });
  }

  /** Which rows have all that `needs` has. */
  covers(needs: Row): Covered {
    this.#check(needs);
    const size = Math.ceil(this.#length / 32);
    return this.#borrow([this.#words * 4, size * 4], (at, bitmap) => {
      this.#arena.words.set(needs, at >>> 2);
      const count =
        this.#arena.core.covers(bitmap, at, this.#block.at, this.#length, this.#lanes) >>> 0;
      return { count, bitmap: this.#read(bitmap, size) };
    });
  }

  /** For each of `needs` which of these rows have all of it. */
  coversEach(needs: Rows): Covered[] {
    this.#checkSame(needs);
    const size = Math.ceil(this.#length / 32);
    return this.#borrow([needs.length * size * 4, needs.length * 4], (bitmaps, found) => {
      this.#arena.core.coversEach(
        bitmaps,
        found,
        needs.#block.at,
        needs.length,
        this.#block.at,
        this.#length,
        this.#lanes,
      );
      return Array.from(this.#read(found, needs.length), (count, i) => ({
        count,
        bitmap: this.#read(bitmaps + i * size * 4, size),
      }));
    });
  }

  /** For each row what it lacks of `needs`. */
  missing(needs: Row): Rows {
    this.#check(needs);
    const lacking = new Rows(this.bits, this.#arena);
    lacking.reserve(this.#length);
    lacking.#length = this.#length;
    return this.#borrow([this.#words * 4], (at) => {
      this.#arena.words.set(needs, at >>> 2);
      this.#arena.core.missing(lacking.#block.at, at, this.#block.at, this.#length, this.#lanes);
      return lacking;
    });
  }

  /** Sorts the rows into classes of equal ones. */
  intern(): Classes {
    const { core } = this.#arena;
    const n = this.#length;
    const sizes = [n * 4, n * 4, n * 4, Number(core.internTableSize(n))];
    return this.#borrow(sizes, (classOf, weights, first, table) => {
      const classes =
        core.intern(classOf, weights, first, table, this.#block.at, n, this.#lanes) >>> 0;
      return {
        classOf: this.#read(classOf, n),
        weights: this.#read(weights, classes),
        first: this.#read(first, classes),
      };
    });
  }

  #borrow<T>(sizes: readonly number[], work: (...at: number[]) => T): T {
    return this.#arena.borrow(sizes, work);
  }

  #read(at: number, words: number): Uint32Array {
    return this.#arena.words.slice(at >>> 2, (at >>> 2) + words);
  }

  #check(row: Row): void {
    if (row.length !== this.#words)
      throw new RangeError(
        `a row of ${row.length * 32} bits was given to rows of ${this.bits} bits`,
      );
  }

  #checkSame(rows: Rows): void {
    if (rows.bits !== this.bits || rows.#arena !== this.#arena)
      throw new RangeError(
        `rows of ${rows.bits} bits were given to rows of ${this.bits} bits, or they are of another arena`,
      );
  }
}
