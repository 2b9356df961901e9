// A fleet's rows turned: for each feature the classes of hosts that lack it, or leave it open, as a row of classes.
import { bitsOf, emptyRow, type Row, Rows, setBit } from '../../core/rows.ts';

/** Features of which the same classes, and no others, have each. */
export interface Grouped {
  /** A bit a class. */
  readonly classes: Row;
  readonly features: Row;
}

export class Columns {
  readonly #classes: number;
  /** By feature; a feature of no class has none. */
  readonly #columns: (Row | undefined)[] = [];

  constructor(classes: number) {
    this.#classes = classes;
  }

  /** Adds a class to each of the features of a word of a row. */
  mark(index: number, word: number, features: number): void {
    for (let rest = features; rest !== 0; rest &= rest - 1) {
      const id = word * 32 + (31 - Math.clz32(rest & -rest));
      let column = this.#columns[id];
      if (column === undefined) {
        column = emptyRow(this.#classes);
        this.#columns[id] = column;
      }
      column[index >> 5]! |= 1 << (index & 31);
    }
  }

  /** The classes of a feature. */
  get(id: number): Row | undefined {
    return this.#columns[id];
  }

  /** Every feature that some class has, by id. */
  *entries(): Generator<readonly [id: number, classes: Row]> {
    for (let id = 0; id < this.#columns.length; id++) {
      const column = this.#columns[id];
      if (column) yield [id, column];
    }
  }
}

/**
 * Features by their very classes, those of the first class first.
 * @param bits of a row of features
 */
export function grouped(
  columns: Iterable<readonly [id: number, classes: Row]>,
  bits: number,
): Grouped[] {
  const all = [...columns];
  if (all.length === 0) return [];
  const rows = new Rows(all[0]![1].length * 32);
  rows.reserve(all.length);
  for (const [, classes] of all) rows.push(classes);
  const { classOf, first } = rows.intern();
  rows.free();
  const groups = [...first].map((at) => ({ classes: all[at]![1], features: emptyRow(bits) }));
  for (const [i, [id]] of all.entries()) setBit(groups[classOf[i]!]!.features, id);
  const lead = new Map(groups.map((group) => [group, bitsOf(group.classes)[0] ?? 0]));
  return groups.sort((a, b) => lead.get(a)! - lead.get(b)!);
}
