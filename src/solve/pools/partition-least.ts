// Pools of a minimum size where units may be cut: exact over every subset of few units. Hosts that fill up a pool come
// from units that are better off elsewhere, so a filled pool has just the minimum, and (a basic solution of a
// transport problem has no more) fewer cuts than there are pools suffice.
import { bestSplits, type Splits } from '../../core/split-search.ts';
import { maskUnits, type Partition, type PoolUnit, poolsOf, type Share } from './pools.ts';

/** A pool: subsets as bit masks, a bit a unit. */
interface Pool {
  /** Units of which this is the main pool: all of their hosts but those that fill others. */
  readonly main: number;
  /** Hosts of other units that fill it up. */
  readonly fill: readonly Share[];
}

/** A split under way. */
interface Done {
  readonly pools: readonly Pool[];
  /** What they keep, and what they would if those who fill them were worth no more where they belong. */
  readonly kept: number;
  readonly ahead: number;
  /** The worth of the last one that was filled: the next has no less. */
  readonly worth: number;
}

/** Steps of one search: what takes more is said not to be proven. */
const STEPS = 20_000_000;

/** The best splits of all units into pools of at least `least` hosts each. */
export class LeastSolver {
  readonly #units: readonly PoolUnit[];
  readonly #worth: Float64Array;
  readonly #weight: Float64Array;
  readonly #least: number;
  readonly #whole: Splits;
  /** What subsets can keep at most if filling a pool took nothing from others: by number of pools, less one. */
  readonly #ceiling: readonly Float64Array[];
  /** The best worth that the pool of a subset can end with, filled. */
  readonly #filled: Float64Array;
  /** Hosts of each unit that fill pools chosen so far. */
  readonly #owed: number[];
  #best = 0;
  #found: readonly Pool[] = [];
  #steps = 0;

  /** `worth` and `weight` by subset; `whole`: the best splits that cut no unit, into as many pools as will be asked. */
  constructor(
    units: readonly PoolUnit[],
    worth: Float64Array,
    weight: Float64Array,
    whole: Splits,
    least: number,
  ) {
    this.#units = units;
    this.#worth = worth;
    this.#weight = weight;
    this.#whole = whole;
    this.#least = least;
    this.#owed = units.map(() => 0);
    this.#filled = this.#worthFilled();
    const kept = worth.map((_, mask) => (mask === 0 ? 0 : weight[mask]! * this.#filled[mask]!));
    this.#ceiling = bestSplits(kept, whole.best.length).best;
  }

  /** Not less than `whole`, the best split into at most as many pools that cuts no unit. */
  solve(pools: number, whole: Partition): Partition {
    this.#best = whole.kept;
    this.#found = [];
    this.#steps = 0;
    const all = this.#worth.length - 1;
    this.#fillNext(all, pools, { pools: [], kept: 0, ahead: 0, worth: 0 }, pools - 1);
    const exact = this.#steps < STEPS;
    const bound = exact ? this.#best : this.#ceiling[pools - 1]![all]!;
    if (this.#found.length === 0) return { ...whole, bound, exact };
    const fills = this.#found.flatMap((p) => p.fill);
    const owed = (unit: number) => fills.reduce((n, f) => n + (f.unit === unit ? f.hosts : 0), 0);
    const shares = (main: number) =>
      maskUnits(main).map((unit) => ({ unit, hosts: this.#units[unit]!.weight - owed(unit) }));
    return {
      kept: this.#best,
      bound,
      exact,
      pools: this.#found.map(({ main, fill }) => [...shares(main), ...fill]),
    };
  }

  /** Chooses one more pool that is filled up, the worst first, or none: then the rest splits without. */
  #fillNext(rest: number, pools: number, done: Done, cuts: number): void {
    this.#finish(rest, pools, done);
    if (pools < 2 || cuts === 0) return;
    // Every subset but the whole: someone must be left to fill it.
    for (let main = (rest - 1) & rest; main !== 0; main = (main - 1) & rest) {
      const hosts = this.#weight[main]! - this.#owedBy(main);
      if (hosts >= this.#least) continue;
      const ahead = done.ahead + this.#ceiling[pools - 2]![rest ^ main]!;
      if (ahead + this.#weight[main]! * this.#filled[main]! <= this.#best) continue;
      this.#fill({ main, rest, pools, done, ahead }, cuts, this.#least - hosts, main, [], 0);
    }
  }

  /** Takes what is missing for a pool from the units after `next`, in every way that may still be the best. */
  #fill(
    at: { main: number; rest: number; pools: number; done: Done; ahead: number },
    cuts: number,
    missing: number,
    members: number,
    fill: readonly Share[],
    next: number,
  ): void {
    const { main, rest, pools, done, ahead } = at;
    for (let unit = next; unit < this.#units.length; unit++) {
      const bit = 1 << unit;
      if ((rest & bit) === 0 || (main & bit) !== 0 || !this.#units[unit]!.divisible) continue;
      const worth = this.#worth[members | bit]!;
      const own = this.#weight[main]! * worth;
      if (worth < done.worth || ahead + own <= this.#best) continue;
      const free = this.#units[unit]!.weight - this.#owed[unit]! - 1;
      for (let n = Math.min(free, missing); n > 0 && this.#steps < STEPS; n--) {
        this.#steps++;
        const filled = [...fill, { unit, hosts: n }];
        this.#owed[unit]! += n;
        if (n === missing) {
          const more = {
            pools: [...done.pools, { main, fill: filled }],
            kept: done.kept + this.#least * worth,
            ahead: done.ahead + own,
            worth,
          };
          this.#fillNext(rest ^ main, pools - 1, more, cuts - 1);
        } else if (cuts > 1) this.#fill(at, cuts - 1, missing - n, members | bit, filled, unit + 1);
        this.#owed[unit]! -= n;
      }
    }
  }

  /** Splits the rest into pools that need no filling: units that owe hosts in every pool that may hold them. */
  #finish(rest: number, pools: number, done: Done): void {
    if (rest === 0) {
      if (done.kept <= this.#best) return;
      this.#best = done.kept;
      this.#found = done.pools;
      return;
    }
    if (pools === 0) return;
    const most = this.#whole.best[pools - 1]![rest]!;
    if (done.ahead + most <= this.#best) return;
    const unit = this.#owed.findIndex((n, i) => n > 0 && ((rest >> i) & 1) === 1);
    if (unit < 0) {
      if (done.kept + most <= this.#best) return;
      this.#best = done.kept + most;
      const whole = poolsOf(this.#whole.choice, pools - 1, rest);
      this.#found = [...done.pools, ...whole.map((main) => ({ main, fill: [] }))];
      return;
    }
    const others = rest & ~(1 << unit);
    for (let sub = others; this.#steps < STEPS; sub = (sub - 1) & others) {
      this.#steps++;
      const main = sub | (1 << unit);
      const hosts = this.#weight[main]! - this.#owedBy(main);
      if (hosts >= this.#least)
        this.#finish(rest ^ main, pools - 1, {
          pools: [...done.pools, { main, fill: [] }],
          kept: done.kept + hosts * this.#worth[main]!,
          ahead: done.ahead + this.#weight[main]! * this.#worth[main]!,
          worth: done.worth,
        });
      if (sub === 0) return;
    }
  }

  #owedBy(mask: number): number {
    let owed = 0;
    for (let rest = mask; rest !== 0; rest &= rest - 1)
      owed += this.#owed[31 - Math.clz32(rest & -rest)]!;
    return owed;
  }

  #worthFilled(): Float64Array {
    const out = new Float64Array(this.#worth.length);
    const all = out.length - 1;
    for (let mask = all; mask > 0; mask--) {
      if (this.#weight[mask]! >= this.#least) {
        out[mask] = this.#worth[mask]!;
        continue;
      }
      let most = 0;
      for (let rest = all & ~mask; rest !== 0; rest &= rest - 1)
        most = Math.max(most, out[mask | (rest & -rest)]!);
      out[mask] = most;
    }
    return out;
  }
}
