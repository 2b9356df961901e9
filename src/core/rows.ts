// A CPU in memory: one bit a feature. The one order (isCovered), meet and join of the project are here: on single
// rows in plain code, on many rows at once in the WASM core.

/** Feature bits, 32 to a word: bit `id` is bit `id & 31` of word `id >> 5`. Rows that meet are equally long. */
export type Row = Uint32Array;

/** Bits of one lane of the core: rows in its memory are a whole number of these. */
const LANE_BITS = 128;

export const emptyRow = (bits: number): Row => new Uint32Array((Math.ceil(bits / LANE_BITS) * LANE_BITS) >> 5);

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

/** What both have. */
export const meet = (a: Row, b: Row): Row => a.map((word, i) => word & b[i]!);

/** What either has. */
export const join = (a: Row, b: Row): Row => a.map((word, i) => word | b[i]!);

/** What `a` has and `b` lacks. */
export const minus = (a: Row, b: Row): Row => a.map((word, i) => word & ~b[i]!);

/** Whether all that `needs` has is in `has`: needs ⊑ has. */
export const isCovered = (needs: Row, has: Row): boolean => needs.every((word, i) => (word & ~has[i]!) === 0);

export const isEqual = (a: Row, b: Row): boolean => a.every((word, i) => word === b[i]);

export const isEmpty = (row: Row): boolean => row.every((word) => word === 0);

/** How many bits are set. */
export function size(row: Row): number {
  let n = 0;
  for (const word of row) for (let rest = word; rest !== 0; rest &= rest - 1) n++;
  return n;
}

/** The set bits, lowest first. */
export function bitsOf(row: Row): number[] {
  const ids: number[] = [];
  for (const [i, word] of row.entries())
    for (let rest = word; rest !== 0; rest &= rest - 1) ids.push(i * 32 + (31 - Math.clz32(rest & -rest)));
  return ids;
}
