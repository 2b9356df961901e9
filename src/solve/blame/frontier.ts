// The most features that can be gained by leaving out hosts, for every number of them at once: a search over which
// columns to win back, cut off where even all that is in reach would not be new.
import { emptyRow, isCovered, join, minus, type Row } from '../../core/rows.ts';
import type { Column } from '../line/board.ts';

/** The best that is left after taking out some classes. */
export interface Gain {
  /** Classes that are taken out, a bit a class. */
  readonly gone: Row;
  readonly weight: number;
  readonly gained: number;
  readonly exact: boolean;
}

/** Nodes of one search: beyond it points are said not to be proven. */
const NODES = 30_000;

/**
 * The frontier: each point gains more than every lighter one, and (where exact) no other as light gains more.
 * @param bits how many classes there are
 * @param weigh the hosts of a row of classes
 * @param total all hosts; one of them must be left
 */
export function frontier(
  columns: readonly Column[],
  bits: number,
  weigh: (classes: Row) => number,
  total: number,
): Gain[] {
  const search = new FrontierSearch(columns, weigh, total);
  search.greedy(emptyRow(Math.max(1, bits)));
  search.run(emptyRow(Math.max(1, bits)));
  return search.points();
}

interface Point {
  readonly gone: Row;
  readonly weight: number;
  readonly gained: number;
}

/** What a node could gain at most by so many hosts. */
interface Reach {
  readonly weight: number;
  readonly gained: number;
}

class FrontierSearch {
  readonly #columns: readonly Column[];
  readonly #weigh: (classes: Row) => number;
  readonly #total: number;
  /** By weight ascending; gained ascends with it. */
  #best: Point[] = [];
  /** What nodes that were not looked at could reach. */
  readonly #open: Reach[] = [];
  #nodes = 0;

  constructor(columns: readonly Column[], weigh: (classes: Row) => number, total: number) {
    // What is cheap to win back first: then the best is found early, and more is cut off.
    this.#columns = [...columns].sort(
      (a, b) => a.weight / a.features.length - b.weight / b.features.length || a.weight - b.weight,
    );
    this.#weigh = weigh;
    this.#total = total;
  }

  /** Wins back the column that costs the least a feature, again and again. */
  greedy(none: Row): void {
    for (let gone = none; ; ) {
      const weight = this.#weigh(gone);
      let best: { gone: Row; rate: number } | null = null;
      for (const c of this.#columns) {
        if (isCovered(c.lackers, gone)) continue;
        const then = join(gone, c.lackers);
        const cost = this.#weigh(then);
        if (cost >= this.#total) continue;
        const rate = (this.#gained(then) - this.#gained(gone)) / (cost - weight);
        if (best === null || rate > best.rate) best = { gone: then, rate };
      }
      if (best === null) return;
      gone = best.gone;
      this.#offer(gone, this.#weigh(gone), this.#gained(gone));
    }
  }

  run(gone: Row, from = 0): void {
    const weight = this.#weigh(gone);
    const gained = this.#gained(gone);
    this.#offer(gone, weight, gained);
    const rest: { index: number; cost: number; count: number }[] = [];
    for (let i = from; i < this.#columns.length; i++) {
      const column = this.#columns[i]!;
      const more = minus(column.lackers, gone);
      const cost = this.#weigh(more);
      if (cost > 0 && weight + cost < this.#total)
        rest.push({ index: i, cost, count: column.features.length });
    }
    for (const [k, { index }] of rest.entries()) {
      const reaches = this.#reaches(weight, gained, rest.slice(k));
      if (!reaches.some((r) => r.gained > this.#bestWithin(r.weight))) return;
      if (this.#nodes >= NODES) {
        this.#open.push(...reaches);
        return;
      }
      this.#nodes++;
      const then = join(gone, this.#columns[index]!.lackers);
      // A column that was passed over and comes back all the same was dealt with where it was not passed over.
      if (!rest.slice(0, k).some((r) => isCovered(this.#columns[r.index]!.lackers, then)))
        this.run(then, index + 1);
    }
  }

  points(): Gain[] {
    return this.#best.map((p) => ({
      ...p,
      exact: !this.#open.some((r) => r.weight <= p.weight && r.gained > p.gained),
    }));
  }

  /** With each further column, the cheapest first, taken for itself alone: no choice of them gains more for less. */
  #reaches(
    weight: number,
    gained: number,
    rest: readonly { cost: number; count: number }[],
  ): Reach[] {
    let sum = gained;
    return [...rest]
      .sort((a, b) => a.cost - b.cost)
      .map(({ cost, count }) => {
        sum += count;
        return { weight: weight + cost, gained: sum };
      });
  }

  #gained(gone: Row): number {
    let sum = 0;
    for (const c of this.#columns) if (isCovered(c.lackers, gone)) sum += c.features.length;
    return sum;
  }

  #bestWithin(weight: number): number {
    return this.#best.findLast((p) => p.weight <= weight)?.gained ?? 0;
  }

  #offer(gone: Row, weight: number, gained: number): void {
    if (gained === 0 || gained <= this.#bestWithin(weight)) return;
    const at = this.#best.findIndex((p) => p.weight >= weight);
    const before = at < 0 ? this.#best : this.#best.slice(0, at);
    const after = (at < 0 ? [] : this.#best.slice(at)).filter((p) => p.gained > gained);
    this.#best = [...before, { gone, weight, gained }, ...after];
  }
}
