// Made-up rows that are the same in every run.

import { mulberry32 } from '../src/dialects/records/made-up.ts';

export { mulberry32 };

export interface MadeUp {
  /** Rows one after another. */
  readonly words: Uint32Array;
  /** A row that some of them cover. */
  readonly needs: Uint32Array;
}

/**
 * `rows` rows of `classes` kinds, the nth kind n times as rare as the first (Zipf). A quarter of the bits is
 * in every kind, a quarter in none, and each of the rest in a share of the kinds of its own.
 */
export function madeUpRows(rows: number, bits: number, classes: number, seed: number): MadeUp {
  const random = mulberry32(seed);
  const width = bits / 32;
  const share = Array.from({ length: bits }, () => Math.min(1, Math.max(0, random() * 2 - 0.5)));
  const kinds = Array.from({ length: classes }, () => {
    const kind = new Uint32Array(width);
    for (const [bit, p] of share.entries()) if (random() < p) kind[bit >> 5]! |= 1 << (bit & 31);
    return kind;
  });
  const bounds: number[] = [];
  let sum = 0;
  for (let n = 1; n <= classes; n++) {
    sum += 1 / n;
    bounds.push(sum);
  }
  const words = new Uint32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const at = random() * sum;
    let low = 0;
    for (let high = classes - 1; low < high; ) {
      const middle = (low + high) >> 1;
      if (bounds[middle]! < at) low = middle + 1;
      else high = middle;
    }
    words.set(kinds[low]!, row * width);
  }
  // What the eight commonest kinds share: half of the rows cover it.
  const needs = kinds.slice(0, 8).reduce((a, b) => a.map((word, i) => word & b[i]!));
  return { words, needs };
}
