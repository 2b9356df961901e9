// The same four questions asked of rows in many representations. Every answer comes as words, to be compared.
import typedFastBitSet from 'typedfastbitset';
import release from '../build/core.wasm';
import oneStream from '../build/one-stream.wasm';
import { Arena } from '../src/core/arena.ts';
import { bitsOf, hasBit, isCovered, Rows } from '../src/core/rows.ts';
import { instantiate } from '../src/core/wasm.ts';
import type { MadeUp } from './random.ts';

export const QUESTIONS = ['meet', 'counts', 'covers', 'intern'] as const;
export type Question = (typeof QUESTIONS)[number];

/** One way to hold rows. */
export interface Contender {
  readonly name: string;
  readonly rows: number;
  /** Nanoseconds of processor time for asking once: other work on the machine counts less than on the clock. */
  time(question: Question): Promise<number>;
  /** The answer: the meet, the counts, a bitmap, or each row's class. */
  answer(question: Question): Promise<Uint32Array>;
  readonly asks: readonly Question[];
}

type Ways = { readonly [Q in Question]?: () => unknown };

function contender(
  name: string,
  rows: number,
  ways: Ways,
  words: (raw: never, question: Question) => Uint32Array,
): Contender {
  return {
    name,
    rows,
    asks: QUESTIONS.filter((question) => ways[question] !== undefined),
    async time(question) {
      const start = process.cpuUsage();
      ways[question]!();
      const { user, system } = process.cpuUsage(start);
      return (user + system) * 1000;
    },
    answer: async (question) => words(ways[question]!() as never, question),
  };
}

/** The core's kernels alone: like the native loops they leave their answers where they are. */
export const kernels = (all: MadeUp) => inArena('plimsoll, many streams', release, QUESTIONS, all);

/** The core's inner loops led through the rows in one stream. */
export const oneStreamKernels = (all: MadeUp) =>
  inArena('plimsoll, one stream', oneStream, ['meet', 'counts', 'covers'], all);

function inArena(
  name: string,
  binary: BufferSource,
  asks: readonly Question[],
  { words, needs }: MadeUp,
): Contender {
  const arena = new Arena(instantiate(binary));
  const { core } = arena;
  const rows = words.length / needs.length;
  const lanes = needs.length / 4;
  const take = (bytes: number) => arena.allocate(bytes).at;
  const src = take(words.byteLength);
  const need = take(needs.byteLength);
  const answers = {
    meet: needs.length,
    counts: lanes * 128,
    covers: Math.ceil(rows / 32),
    intern: rows,
  };
  const [meet, counts, covers, classOf] = Object.values(answers).map((length) =>
    take(length * 4),
  ) as [number, number, number, number];
  const scratch = take(core.countsScratchSize(lanes));
  const [weights, first] = [take(rows * 4), take(rows * 4)];
  const table = asks.includes('intern') ? take(Number(core.internTableSize(rows))) : 0;
  arena.words.set(words, src >>> 2);
  arena.words.set(needs, need >>> 2);
  const all = {
    meet: () => core.meet(meet, src, rows, lanes),
    counts: () => core.counts(counts, scratch, src, rows, lanes),
    covers: () => void core.covers(covers, need, src, rows, lanes),
    intern: () => void core.intern(classOf, weights, first, table, src, rows, lanes),
  };
  const ways = Object.fromEntries(asks.map((question) => [question, all[question]]));
  const places = { meet, counts, covers, intern: classOf };
  return contender(name, rows, ways, (_, question) => {
    const at = places[question] >>> 2;
    return arena.words.slice(at, at + answers[question]);
  });
}

/** The kernels as every caller has them: class Rows, its answers copied out of the core's memory. */
export function classRows({ words, needs }: MadeUp): Contender {
  const rows = Rows.from(needs.length * 32, words);
  const ways = {
    meet: () => rows.meet(),
    counts: () => rows.counts(),
    covers: () => rows.covers(needs).bitmap,
    intern: () => rows.intern().classOf,
  };
  return contender('plimsoll, class Rows', rows.length, ways, (raw: Uint32Array) => raw);
}

/** Words in an array, in plain loops. */
export function plainArray({ words, needs }: MadeUp): Contender {
  const width = needs.length;
  const rows = words.length / width;
  const ways = {
    meet() {
      const all = new Uint32Array(width).fill(0xffffffff);
      for (let at = 0; at < words.length; at += width)
        for (let i = 0; i < width; i++) all[i]! &= words[at + i]!;
      return all;
    },
    counts() {
      const counts = new Uint32Array(width * 32);
      for (let at = 0; at < words.length; at += width)
        for (let i = 0; i < width; i++) {
          const word = words[at + i]!;
          for (let bit = 0; bit < 32; bit++) counts[i * 32 + bit]! += (word >>> bit) & 1;
        }
      return counts;
    },
    covers() {
      const bitmap = new Uint32Array(Math.ceil(rows / 32));
      for (let row = 0, at = 0; row < rows; row++, at += width) {
        let i = 0;
        while (i < width && (needs[i]! & ~words[at + i]!) === 0) i++;
        if (i === width) bitmap[row >> 5]! |= 1 << (row & 31);
      }
      return bitmap;
    },
    intern() {
      const bytes = Buffer.from(words.buffer, words.byteOffset, words.byteLength);
      return classesByKey(rows, (row) =>
        bytes.toString('latin1', row * width * 4, (row + 1) * width * 4),
      );
    },
  };
  return contender('Uint32Array, plain loops', rows, ways, (raw: Uint32Array) => raw);
}

/** A BigInt a row. */
export function bigints({ words, needs }: MadeUp): Contender {
  const all = split(words, needs.length).map(toBigInt);
  const need = toBigInt(needs);
  const ways = {
    meet: () => all.reduce((a, b) => a & b),
    covers: () => bitmapOf(all.length, (row) => (need & all[row]!) === need),
    intern: () => classesByKey(all.length, (row) => all[row]!),
  };
  return contender('BigInt a row', all.length, ways, (raw: bigint | Uint32Array) =>
    typeof raw === 'bigint' ? fromBigInt(raw, needs.length) : raw,
  );
}

/** A Set of names a row. */
export function sets({ words, needs }: MadeUp): Contender {
  const name = (bit: number) => `feature-${bit}`;
  const all = split(words, needs.length).map((row) => new Set(bitsOf(row).map(name)));
  const need = new Set(bitsOf(needs).map(name));
  const ways = {
    meet() {
      const [first, ...rest] = all;
      return new Set([...first!].filter((x) => rest.every((row) => row.has(x))));
    },
    counts() {
      const counts = new Map<string, number>();
      for (const row of all) for (const x of row) counts.set(x, (counts.get(x) ?? 0) + 1);
      return counts;
    },
    covers: () => bitmapOf(all.length, (row) => [...need].every((x) => all[row]!.has(x))),
    intern: () => classesByKey(all.length, (row) => [...all[row]!].join()),
  };
  const bit = (x: string) => Number(x.slice(8));
  return contender(
    'Set of names a row',
    all.length,
    ways,
    (raw: Set<string> | Map<string, number> | Uint32Array) => {
      if (raw instanceof Uint32Array) return raw;
      if (raw instanceof Set) return wordsOf([...raw].map(bit), needs.length);
      const counts = new Uint32Array(needs.length * 32);
      for (const [x, n] of raw) counts[bit(x)] = n;
      return counts;
    },
  );
}

/** A TypedFastBitSet a row. */
export function fastBitSets({ words, needs }: MadeUp): Contender {
  const { TypedFastBitSet } = typedFastBitSet;
  const all = split(words, needs.length).map((row) => new TypedFastBitSet(bitsOf(row)));
  const need = new TypedFastBitSet(bitsOf(needs));
  const size = need.size();
  const ways = {
    meet() {
      const result = all[0]!.clone();
      for (const row of all) result.intersection(row);
      return result;
    },
    counts() {
      const counts = new Uint32Array(needs.length * 32);
      for (const row of all) row.forEach((bit: number) => void counts[bit]!++);
      return counts;
    },
    covers: () => bitmapOf(all.length, (row) => need.intersection_size(all[row]!) === size),
    intern: () => classesByKey(all.length, (row) => all[row]!.array().join()),
  };
  return contender(
    'typedfastbitset a row',
    all.length,
    ways,
    (raw: Uint32Array | { array(): number[] }) =>
      raw instanceof Uint32Array ? raw : wordsOf(raw.array(), needs.length),
  );
}

/** What is used of roaring, which is not among the dependencies: it needs a native build. */
interface Bitmap {
  andInPlace(other: Bitmap): unknown;
  clone(): Bitmap;
  forEach(visit: (bit: number) => void): void;
  isSubset(other: Bitmap): boolean;
  serialize(format: string): Buffer;
  toArray(): number[];
}

/** A RoaringBitmap32 a row, or null where the package is not installed. */
export async function roaring({ words, needs }: MadeUp): Promise<Contender | null> {
  const name = 'roaring';
  const found = (await import(name).catch(() => null)) as {
    default: { RoaringBitmap32: new (bits: number[]) => Bitmap };
  } | null;
  if (found === null) return null;
  const { RoaringBitmap32 } = found.default;
  const all = split(words, needs.length).map((row) => new RoaringBitmap32(bitsOf(row)));
  const need = new RoaringBitmap32(bitsOf(needs));
  const ways = {
    meet() {
      const result = all[0]!.clone();
      for (const row of all) result.andInPlace(row);
      return result;
    },
    counts() {
      const counts = new Uint32Array(needs.length * 32);
      for (const row of all) row.forEach((bit) => void counts[bit]!++);
      return counts;
    },
    covers: () => bitmapOf(all.length, (row) => need.isSubset(all[row]!)),
    intern: () =>
      classesByKey(all.length, (row) => all[row]!.serialize('portable').toString('latin1')),
  };
  return contender('roaring a row', all.length, ways, (raw: Uint32Array | Bitmap) =>
    raw instanceof Uint32Array ? raw : wordsOf(raw.toArray(), needs.length),
  );
}

/** The slow and obvious answers that all the others are held against. */
export function obvious({ words, needs }: MadeUp, question: Question): Uint32Array {
  const rows = split(words, needs.length);
  const bits = Array.from({ length: needs.length * 32 }, (_, bit) => bit);
  if (question === 'meet')
    return wordsOf(
      bits.filter((bit) => rows.every((row) => hasBit(row, bit))),
      needs.length,
    );
  if (question === 'counts')
    return Uint32Array.from(bits, (bit) =>
      rows.reduce((n, row) => n + Number(hasBit(row, bit)), 0),
    );
  if (question === 'covers') return bitmapOf(rows.length, (row) => isCovered(needs, rows[row]!));
  return classesByKey(rows.length, (row) => rows[row]!.join());
}

const split = (words: Uint32Array, width: number) =>
  Array.from({ length: words.length / width }, (_, row) =>
    words.subarray(row * width, (row + 1) * width),
  );

const toBigInt = (row: Uint32Array) => row.reduceRight((n, word) => (n << 32n) | BigInt(word), 0n);

const fromBigInt = (n: bigint, width: number) =>
  Uint32Array.from({ length: width }, (_, i) => Number((n >> BigInt(32 * i)) & 0xffffffffn));

function wordsOf(bits: readonly number[], width: number): Uint32Array {
  const words = new Uint32Array(width);
  for (const bit of bits) words[bit >> 5]! |= 1 << (bit & 31);
  return words;
}

function bitmapOf(rows: number, has: (row: number) => boolean): Uint32Array {
  const bitmap = new Uint32Array(Math.ceil(rows / 32));
  for (let row = 0; row < rows; row++) if (has(row)) bitmap[row >> 5]! |= 1 << (row & 31);
  return bitmap;
}

function classesByKey(rows: number, key: (row: number) => string | bigint): Uint32Array {
  const ids = new Map<string | bigint, number>();
  return Uint32Array.from({ length: rows }, (_, row) => {
    const k = key(row);
    const id = ids.get(k) ?? ids.size;
    if (id === ids.size) ids.set(k, id);
    return id;
  });
}
