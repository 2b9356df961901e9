// Splits of units into pools against every partition of their hosts, and against many random ones where those are too
// many.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import debug from '../../build/core.debug.wasm';
import { Arena } from '../../src/core/arena.ts';
import { rowOf } from '../../src/core/rows.ts';
import { bestSplits, searchSplit, worthOfSubsets } from '../../src/core/split-search.ts';
import { instantiate } from '../../src/core/wasm.ts';
import { type Partition, type PoolUnit, partitions } from '../../src/solve/pools/partition.ts';
import { assertProperty, seed } from '../support/property.ts';
import { random } from '../support/random.ts';

const FLEETS = 2000;
const test = suite('partition');

const BITS = 12;

/** A unit as the oracle has it: its features, and how many hosts. */
interface Plain {
  readonly bits: ReadonlySet<number>;
  readonly weight: number;
  readonly divisible: boolean;
}

const toUnit = ({ bits, weight, divisible }: Plain): PoolUnit => ({
  row: rowOf(128, bits),
  weight,
  divisible,
});

const meetOf = (sets: readonly ReadonlySet<number>[]): number[] =>
  [...sets[0]!].filter((bit) => sets.every((set) => set.has(bit)));

/** The most that any partition of the hosts into at most 1, 2, ... k pools of at least `least` keeps. */
function bruteForce(
  units: readonly Plain[],
  k: number,
  least: number,
  worth: ReadonlyMap<number, number>,
): (number | null)[] {
  // One item a host, or a unit as a whole where it may not be cut.
  const items = units.flatMap(({ bits, weight, divisible }) => {
    const mask = [...bits].reduce((m, bit) => m | (1 << bit), 0);
    return divisible
      ? Array.from({ length: weight }, () => ({ mask, weight: 1 }))
      : [{ mask, weight }];
  });
  const worthOf = (bit: number) => worth.get(bit) ?? 1;
  const values = Array.from({ length: 2 ** BITS }, (_, mask) =>
    Array.from({ length: BITS }, (_, bit) => ((mask >> bit) & 1) * worthOf(bit)).reduce(
      (a, b) => a + b,
    ),
  );
  const best: (number | null)[] = Array.from({ length: k }, () => null);
  const pools: { mask: number; weight: number }[] = [];
  const place = (i: number) => {
    if (i === items.length) {
      if (pools.some((pool) => pool.weight < least)) return;
      const kept = pools.reduce((sum, pool) => sum + values[pool.mask]! * pool.weight, 0);
      for (let t = pools.length - 1; t < k; t++)
        if (best[t] === null || kept > best[t]!) best[t] = kept;
      return;
    }
    const { mask, weight } = items[i]!;
    for (const [p, before] of pools.entries()) {
      pools[p] = { mask: before.mask & mask, weight: before.weight + weight };
      place(i + 1);
      pools[p] = before;
    }
    if (pools.length === k) return;
    pools.push({ mask, weight });
    place(i + 1);
    pools.pop();
  };
  place(0);
  return best;
}

/** What the pools of an answer keep, counted anew; every host must be in exactly one pool. */
function recount(
  units: readonly Plain[],
  { pools }: Partition,
  least: number,
  worth: ReadonlyMap<number, number>,
): number {
  const placed = units.map(() => 0);
  let kept = 0;
  for (const pool of pools) {
    const hosts = pool.reduce((n, share) => n + share.hosts, 0);
    assert.ok(hosts >= least, `a pool of ${hosts}`);
    for (const { unit, hosts: n } of pool) {
      assert.ok(n > 0);
      placed[unit]! += n;
      if (!units[unit]!.divisible) assert.is(n, units[unit]!.weight);
    }
    const features = meetOf(pool.map((share) => units[share.unit]!.bits));
    kept += hosts * features.reduce((n, bit) => n + (worth.get(bit) ?? 1), 0);
  }
  assert.equal(
    placed,
    units.map((u) => u.weight),
  );
  return kept;
}

const smallFleet = fc
  .array(
    fc.record({
      bits: fc.uniqueArray(fc.nat({ max: BITS - 1 }), { maxLength: BITS }),
      weight: fc.integer({ min: 1, max: 5 }),
      divisible: fc.boolean(),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((units) => {
    let left = 9;
    return units.flatMap(({ bits, weight, divisible }): Plain[] => {
      const hosts = Math.min(weight, left);
      left -= hosts;
      return hosts > 0 ? [{ bits: new Set(bits), weight: hosts, divisible }] : [];
    });
  });

test('small fleets split as the best of all partitions of their hosts, minimum size or not', () => {
  let cut = 0;
  assertProperty(
    fc.property(
      smallFleet,
      fc.integer({ min: 2, max: 4 }),
      fc.integer({ min: 1, max: 4 }),
      fc.dictionary(fc.nat({ max: BITS - 1 }).map(String), fc.nat({ max: 9 }), { maxKeys: 2 }),
      (units, most, least, extra) => {
        const worth = new Map(Object.entries(extra).map(([bit, value]) => [Number(bit), value]));
        const found = partitions(units.map(toUnit), { most, least, worth });
        const expected = bruteForce(units, most, least, worth);
        for (let k = 1; k <= most; k++) {
          const got = found[k - 1]!;
          assert.is(got?.kept ?? null, expected[k - 1], `${k} pools`);
          if (got === null) continue;
          assert.ok(got.exact);
          assert.is(got.bound, got.kept);
          assert.ok(got.pools.length <= k);
          assert.is(recount(units, got, least, worth), got.kept);
          if (got.pools.flat().length > units.length) cut++;
        }
      },
    ),
    { numRuns: FLEETS },
  );
  console.log(`partition: ${cut} of the answers cut a unit`);
  assert.ok(cut > 20);
});

/** Generations that add features, some of them missing here and there. */
function generations(n: number, from: number): Plain[] {
  const next = random(from);
  const since = Array.from({ length: 100 }, () => Math.floor(next() * 9));
  return Array.from({ length: n }, (_, i) => {
    const generation = Math.floor(next() * 9);
    const bits = since.flatMap((g, bit) => (g <= generation && next() > 0.02 ? [bit] : []));
    return {
      bits: new Set(bits),
      weight: 1 + Math.floor((2000 / (1 + i)) * next()),
      divisible: true,
    };
  });
}

test('sixteen units are solved exactly in well under a second, minimum size or not', () => {
  for (const least of [1, 3, 20])
    for (let round = 0; round < 3; round++) {
      const units = generations(16, seed + round).map(toUnit);
      // Time of this process alone: others may have the processors.
      const started = process.cpuUsage();
      const found = partitions(units, { most: 4, least, worth: new Map() });
      const took = process.cpuUsage(started).user / 1000;
      assert.ok(found.every((p) => p!.exact));
      assert.ok(took < 1000, `${took} ms`);
    }
});

test('more pools never keep less, and a bound is never below what is kept', () => {
  for (const n of [10, 20, 40])
    for (const least of [1, 10]) {
      const plain = generations(n, seed + n);
      const found = partitions(plain.map(toUnit), { most: 6, least, worth: new Map() });
      for (const [t, p] of found.entries()) {
        assert.is(recount(plain, p!, least, new Map()), p!.kept);
        assert.ok(p!.bound >= p!.kept);
        if (t > 0) assert.ok(p!.kept >= found[t - 1]!.kept);
      }
    }
});

test('a search finds what is proven to be the best, and both builds agree on it', () => {
  for (let round = 0; round < 5; round++) {
    const plain = generations(14, seed + 100 + round);
    const rows = plain.map((u) => rowOf(128, u.bits));
    const weights = plain.map((u) => u.weight);
    const valued = { rows, worth: new Uint32Array(128).fill(1) };
    const [exact] = partitions(plain.map(toUnit), { most: 3, least: 1, worth: new Map() }).slice(
      -1,
    );
    const asked = { weights, pools: 3, least: 1, tries: 50, seed: 7 };
    const poolOf = searchSplit(valued, asked);
    const pools = [0, 1, 2].map((p) =>
      plain.flatMap((u, unit) => (poolOf[unit] === p ? [{ unit, hosts: u.weight }] : [])),
    );
    const found = { pools: pools.filter((p) => p.length > 0), kept: 0, bound: 0, exact: false };
    assert.is(recount(plain, found, 1, new Map()), exact!.kept);
    const arena = new Arena(instantiate(debug));
    assert.equal(searchSplit(valued, asked, arena), poolOf);
    const kept = worthOfSubsets(valued);
    assert.ok(worthOfSubsets(valued, arena).every((w, mask) => w === kept[mask]));
    assert.is(JSON.stringify(bestSplits(kept, 3, arena)), JSON.stringify(bestSplits(kept, 3)));
  }
});

/** Plain local search from a random start: no core, no rows. */
function restart(plain: readonly Plain[], k: number, next: () => number): number {
  const pools = Array.from({ length: k }, (): Plain[] => []);
  for (const unit of plain) pools[Math.floor(next() * k)]!.push(unit);
  const keep = (pool: readonly Plain[]) =>
    pool.length === 0 ? 0 : meetOf(pool.map((u) => u.bits)).length * weigh(pool);
  const weigh = (pool: readonly Plain[]) => pool.reduce((n, u) => n + u.weight, 0);
  for (let moved = true; moved; ) {
    moved = false;
    for (const unit of plain) {
      const from = pools.findIndex((pool) => pool.includes(unit));
      const rest = pools[from]!.filter((u) => u !== unit);
      const lost = keep(pools[from]!) - keep(rest);
      const to = pools.findIndex(
        (pool, p) => p !== from && keep([...pool, unit]) - keep(pool) > lost,
      );
      if (to < 0) continue;
      pools[from] = rest;
      pools[to] = [...pools[to]!, unit];
      moved = true;
    }
  }
  return pools.reduce((sum, pool) => sum + keep(pool), 0);
}

test('a search over many units keeps no less than plain restarts, and says how far from the best it may be', () => {
  for (const n of [24, 30]) {
    const plain = generations(n, seed + 200 + n);
    const found = partitions(plain.map(toUnit), { most: 4, least: 1, worth: new Map() });
    const next = random(seed);
    for (const k of [2, 3, 4]) {
      const best = Math.max(...Array.from({ length: 25 }, () => restart(plain, k, next)));
      const { kept, bound } = found[k - 1]!;
      assert.ok(kept >= best, `${k} pools of ${n} units: ${kept}, not ${best}`);
      assert.ok(bound >= kept && bound < kept * 1.25, `${bound} for ${kept}`);
    }
  }
});

test('a unit too many for subsets, and rows of unlike lengths, are bugs of the caller', () => {
  const rows = Array.from({ length: 17 }, () => rowOf(128, [1]));
  const worth = new Uint32Array(2).fill(1);
  assert.throws(() => worthOfSubsets({ rows, worth }), /1 to 16/);
  assert.throws(
    () => worthOfSubsets({ rows: [rowOf(128, [1]), rowOf(256, [1])], worth }),
    /equally long/,
  );
});

test.run();
