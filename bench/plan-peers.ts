// Other ways to split classes into pools: plain local search from random starts, greedy agglomeration, and an integer
// program for HiGHS. All of them keep vendors apart.
import { mulberry32 } from './random.ts';

/** A class of hosts: its features as the numbers of bits, its hosts, its vendor. */
export interface PlainClass {
  readonly features: readonly number[];
  readonly weight: number;
  readonly vendor: number;
}

interface Pool {
  vendor: number;
  weight: number;
  row: Uint32Array;
}

class Plain {
  readonly classes: readonly PlainClass[];
  readonly rows: readonly Uint32Array[];

  constructor(classes: readonly PlainClass[]) {
    this.classes = classes;
    const words = Math.ceil((Math.max(...classes.flatMap((c) => c.features)) + 1) / 32);
    this.rows = classes.map(({ features }) => {
      const row = new Uint32Array(words);
      for (const bit of features) row[bit >> 5]! |= 1 << (bit & 31);
      return row;
    });
  }

  pool(members: readonly number[]): Pool {
    return {
      vendor: this.classes[members[0]!]!.vendor,
      weight: members.reduce((sum, i) => sum + this.classes[i]!.weight, 0),
      row: members.map((i) => this.rows[i]!).reduce((a, b) => a.map((word, w) => word & b[w]!)),
    };
  }

  kept(pools: readonly (readonly number[])[]): number {
    let sum = 0;
    for (const members of pools) {
      if (members.length === 0) continue;
      const { weight, row } = this.pool(members);
      sum += weight * count(row);
    }
    return sum;
  }

  /** What a pool keeps with one more class; -Infinity where vendors would mix. */
  with(pool: Pool | null, i: number): number {
    const { weight, vendor } = this.classes[i]!;
    if (pool === null) return weight * count(this.rows[i]!);
    if (pool.vendor !== vendor) return Number.NEGATIVE_INFINITY;
    return (pool.weight + weight) * count(pool.row.map((word, w) => word & this.rows[i]![w]!));
  }
}

function count(row: Uint32Array): number {
  let n = 0;
  for (const word of row) {
    let v = word - ((word >>> 1) & 0x55555555);
    v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
    n += (((v + (v >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
  }
  return n;
}

/** The best of so many random starts, each moved class by class until no move helps; each vendor has a pool. */
export function randomRestarts(
  classes: readonly PlainClass[],
  k: number,
  starts: number,
  seed: number,
): number {
  const random = mulberry32(seed);
  const plain = new Plain(classes);
  let best = 0;
  for (let n = 0; n < starts; n++) {
    const order = [...classes.keys()];
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    const pools = startOf(plain, order, k);
    moveAll(plain, pools, order);
    best = Math.max(best, plain.kept(pools));
  }
  return best;
}

function startOf(plain: Plain, order: readonly number[], k: number): number[][] {
  const vendors = [...new Set(plain.classes.map((c) => c.vendor))];
  const founders = vendors.map((v) => order.find((i) => plain.classes[i]!.vendor === v)!);
  for (const i of order) if (founders.length < k && !founders.includes(i)) founders.push(i);
  const pools = founders.map((i) => [i]);
  for (const i of order) {
    if (founders.includes(i)) continue;
    let [to, most] = [0, Number.NEGATIVE_INFINITY];
    for (const [p, members] of pools.entries()) {
      const pool = plain.pool(members);
      const gained = plain.with(pool, i) - pool.weight * count(pool.row);
      if (gained > most) [to, most] = [p, gained];
    }
    pools[to]!.push(i);
  }
  return pools;
}

function moveAll(plain: Plain, pools: number[][], order: readonly number[]): void {
  for (let moved = true; moved; ) {
    moved = false;
    for (const i of order) {
      const from = pools.findIndex((members) => members.includes(i));
      const rest = pools[from]!.filter((other) => other !== i);
      // A vendor's last pool stays.
      if (rest.length === 0) continue;
      const lost = plain.kept([pools[from]!]) - plain.kept([rest]);
      let [to, most] = [from, 1e-6];
      for (const [p, members] of pools.entries()) {
        if (p === from) continue;
        const pool = plain.pool(members);
        const gained = plain.with(pool, i) - pool.weight * count(pool.row) - lost;
        if (gained > most) [to, most] = [p, gained];
      }
      if (to === from) continue;
      pools[from] = rest;
      pools[to]!.push(i);
      moved = true;
    }
  }
}

/** Joins the two pools of a vendor whose union costs the least, until k are left. */
export function greedy(classes: readonly PlainClass[], k: number): number {
  const plain = new Plain(classes);
  let pools = classes.map((_, i) => ({ ...plain.pool([i]), members: [i] }));
  const keeps = (p: Pool) => p.weight * count(p.row);
  while (pools.length > k) {
    let best: [number, number] | null = null;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < pools.length; i++)
      for (let j = i + 1; j < pools.length; j++) {
        const [a, b] = [pools[i]!, pools[j]!];
        if (a.vendor !== b.vendor) continue;
        const row = a.row.map((word, w) => word & b.row[w]!);
        const gained = (a.weight + b.weight) * count(row) - keeps(a) - keeps(b);
        if (gained > most) [best, most] = [[i, j], gained];
      }
    if (best === null) break;
    const [a, b] = [pools[best[0]]!, pools[best[1]]!];
    const members = [...a.members, ...b.members];
    pools = [...pools.filter((p) => p !== a && p !== b), { ...plain.pool(members), members }];
  }
  return pools.reduce((sum, p) => sum + keeps(p), 0);
}

interface Highs {
  solve(
    problem: string,
    options: Record<string, unknown>,
  ): { Status: string; ObjectiveValue: number };
}

/** HiGHS, which is not among the dependencies, or null where it is not installed. */
export async function loadHighs(): Promise<Highs | null> {
  const name = 'highs';
  const found = (await import(name).catch(() => null)) as { default: () => Promise<Highs> } | null;
  return found && (await found.default());
}

/** The optimum of the integer program, or null where it is not proven in the time given. */
export function integerProgram(
  highs: Highs,
  classes: readonly PlainClass[],
  k: number,
  seconds: number,
): number | null {
  // Features that the very same classes have are one, as many times worth.
  const columns = new Map<string, { having: ReadonlySet<number>; worth: number }>();
  for (const bit of new Set(classes.flatMap((c) => c.features))) {
    const having = [...classes.keys()].filter((i) => classes[i]!.features.includes(bit));
    const column = columns.get(having.join()) ?? { having: new Set(having), worth: 0 };
    columns.set(having.join(), { ...column, worth: column.worth + 1 });
  }
  const vendors = [...new Set(classes.map((c) => c.vendor))];
  const pools = Array.from({ length: k }, (_, p) => p);
  const objective: string[] = [];
  const rows: string[] = [];
  const bounds: string[] = [];
  for (const [f, { having, worth }] of [...columns.values()].entries())
    for (const c of having) {
      objective.push(`${worth * classes[c]!.weight} u_${c}_${f}`);
      bounds.push(`0 <= u_${c}_${f} <= 1`);
      for (const p of pools) rows.push(`u_${c}_${f} - y_${p}_${f} + x_${c}_${p} <= 1`);
    }
  for (const [f, { having }] of [...columns.values()].entries())
    for (const p of pools)
      for (const c of classes.keys())
        if (!having.has(c)) rows.push(`y_${p}_${f} + x_${c}_${p} <= 1`);
  for (const [c, { vendor }] of classes.entries()) {
    rows.push(`${pools.map((p) => `x_${c}_${p}`).join(' + ')} = 1`);
    for (const p of pools) rows.push(`x_${c}_${p} - z_${vendor}_${p} <= 0`);
  }
  for (const p of pools) rows.push(`${vendors.map((v) => `z_${v}_${p}`).join(' + ')} <= 1`);
  const binaries = [
    ...pools.flatMap((p) => [
      ...[...classes.keys()].map((c) => `x_${c}_${p}`),
      ...vendors.map((v) => `z_${v}_${p}`),
      ...[...columns.keys()].map((_, f) => `y_${p}_${f}`),
    ]),
  ];
  const problem = `Maximize\n obj: ${objective.join(' + ')}\nSubject To\n${rows.map((row, i) => ` r${i}: ${row}`).join('\n')}\nBounds\n ${bounds.join('\n ')}\nBinaries\n ${binaries.join(' ')}\nEnd\n`;
  const { Status, ObjectiveValue } = highs.solve(problem, {
    time_limit: seconds,
    output_flag: false,
  });
  return Status === 'Optimal' ? Math.round(ObjectiveValue) : null;
}
