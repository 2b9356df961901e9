// The best pools of real fleets against every partition of their hosts, judged by the baseline of each pool.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { parseStack } from '../src/cpu/stack.ts';
import type { Groups } from '../src/solve/answer-plan.ts';
import { type GroupsOptions, groups, isGroupsAnswered } from '../src/solve/groups.ts';
import { drawLine } from '../src/solve/line.ts';
import { fleetOf, type Made } from './support/hosts.ts';
import { madeFleet } from './support/made.ts';
import { assertProperty } from './support/property.ts';

const FLEETS = 600;
const catalog = await loadCatalog();
const stack = parseStack(catalog, 'newest');
const test = suite('groups');

const vendorOf = (m: Made) => m.facts!.vendor!;

/** Every partition into at most k pools that keeps to the rules; what the best one keeps, null where there is none. */
function bruteForce(
  made: readonly Made[],
  { pools: k, least = 1, weigh = new Map(), together }: GroupsOptions,
): number | null {
  const known = new Map<string, number>();
  const keptBy = (pool: readonly Made[]): number => {
    const key = pool.map((m) => m.id).join();
    let value = known.get(key);
    if (value === undefined) {
      const { features } = drawLine(fleetOf(catalog, pool), { stack }).drawn;
      const names = catalog.names(features);
      value = pool.length * names.reduce((sum, name) => sum + (weigh.get(name) ?? 1), 0);
      known.set(key, value);
    }
    return value;
  };
  const setOf = (m: Made) => (together === undefined ? undefined : m.facts!.keys?.[together]);
  let best: number | null = null;
  const pools: Made[][] = [];
  const place = (i: number) => {
    if (i === made.length) {
      if (pools.some((pool) => pool.length < least)) return;
      const kept = pools.reduce((sum, pool) => sum + keptBy(pool), 0);
      if (best === null || kept > best) best = kept;
      return;
    }
    const host = made[i]!;
    const kin = made
      .slice(0, i)
      .find(
        (m) => setOf(m) !== undefined && setOf(m) === setOf(host) && vendorOf(m) === vendorOf(host),
      );
    for (const pool of pools) {
      if (vendorOf(pool[0]!) !== vendorOf(host) || (kin && !pool.includes(kin))) continue;
      pool.push(host);
      place(i + 1);
      pool.pop();
    }
    if (pools.length === k || kin) return;
    pools.push([host]);
    place(i + 1);
    pools.pop();
  };
  place(0);
  return best;
}

function checkAnswer(made: readonly Made[], answer: Groups, options: GroupsOptions): void {
  const { weigh = new Map<string, number>(), least = 1, pools } = options;
  assert.equal(
    answer.groups.flatMap((g) => g.hosts).sort(),
    made.map((m) => m.id).sort(),
    'every host is in one pool',
  );
  assert.ok(answer.groups.length <= pools);
  let kept = 0;
  for (const group of answer.groups) {
    const hosts = made.filter((m) => group.hosts.includes(m.id));
    assert.is(group.count, hosts.length);
    assert.ok(hosts.length >= least);
    assert.is(new Set(hosts.map(vendorOf)).size, 1);
    const { features } = drawLine(fleetOf(catalog, hosts), { stack }).drawn;
    assert.equal(group.features, catalog.names(features));
    kept += hosts.length * group.features.reduce((sum, f) => sum + (weigh.get(f) ?? 1), 0);
  }
  assert.is(answer.kept, kept);
}

/** Up to eight hosts, of one vendor or two, some of them alike, in racks or not. */
const anyFleet = fc
  .tuple(
    madeFleet(catalog, 'Intel', 5),
    fc.oneof(fc.constant([]), madeFleet(catalog, 'AMD', 3)),
    fc.array(fc.nat({ max: 7 }), { maxLength: 3 }),
    fc.array(fc.constantFrom('r1', 'r2', 'r3', undefined), { minLength: 9, maxLength: 9 }),
  )
  .map(([intel, amd, twins, racks]) => {
    const hosts = [...intel, ...amd];
    return [...hosts, ...twins.flatMap((i) => hosts[i] ?? [])].slice(0, 8).map((m, i): Made => {
      const rack = racks[i];
      return { ...m, id: `h${i}`, facts: { ...m.facts, keys: rack ? { rack } : {} } };
    });
  });

test('pools keep as much as the best of all partitions, whatever is asked of them', () => {
  let none = 0;
  assertProperty(
    fc.property(
      anyFleet,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.boolean(),
      fc.dictionary(fc.constantFrom('avx512f', 'avx2', 'pku', 'aes'), fc.nat({ max: 30 })),
      (made, pools, least, isTogether, weights) => {
        const together = made.some((m) => m.facts!.keys!.rack !== undefined) && isTogether;
        const options: GroupsOptions = {
          stack,
          pools,
          least,
          weigh: new Map(Object.entries(weights)),
          ...(together ? { together: 'rack' } : {}),
        };
        const answer = groups(fleetOf(catalog, made), options);
        const expected = bruteForce(made, options);
        if (expected === null) {
          none++;
          assert.equal(answer.groups, []);
          assert.is(isGroupsAnswered(answer), false);
          assert.ok(answer.because);
          return;
        }
        assert.is(answer.kept, expected);
        assert.ok(answer.exact);
        assert.is(answer.bound, expected);
        checkAnswer(made, answer, options);
        for (const [i, point] of answer.curve.entries())
          if (i > 0)
            assert.ok(point.kept >= answer.curve[i - 1]!.kept, 'more pools never keep less');
        // The order of the hosts decides nothing.
        assert.equal(groups(fleetOf(catalog, [...made].reverse()), options), answer);
      },
    ),
    { numRuns: FLEETS },
  );
  console.log(`groups: ${none} of the fleets have no split`);
});

const host = (id: string, name: string, facts: Made['facts'] = {}): Made => ({
  id,
  features: catalog.names(catalog.qemuFeatures(name, '10.0')!).concat(['x2apic']),
  facts,
});

test('a class is cut where a pool would be too small without', () => {
  const made = [
    host('old', 'Nehalem-v1'),
    ...[1, 2, 3, 4, 5].map((i) => host(`new-${i}`, 'Cascadelake-Server-v4')),
  ];
  const answer = groups(fleetOf(catalog, made), { stack, pools: 2, least: 2 });
  assert.equal(
    answer.groups.map((g) => g.hosts),
    [
      ['new-2', 'new-3', 'new-4', 'new-5'],
      ['new-1', 'old'],
    ],
  );
});

test('two vendors never share a pool: one pool is a no with its reason', () => {
  const made = [host('i', 'Haswell-v1'), host('a', 'EPYC-v1', { vendor: 'AMD' })];
  const answer = groups(fleetOf(catalog, made), { stack, pools: 1 });
  assert.equal(answer.groups, []);
  assert.match(answer.because!, /AMD, Intel hosts, which never share a pool: 2 pools/);
  const two = groups(fleetOf(catalog, made), { stack, pools: 2 });
  assert.equal(
    two.groups.map((g) => [g.vendor, g.hosts]),
    [
      ['AMD', ['a']],
      ['Intel', ['i']],
    ],
  );
  assert.equal(
    two.curve.map((p) => p.k),
    [2],
  );
});

test('a rack with two vendors is kept together by vendor, and that is said', () => {
  const keys = { rack: 'r1' };
  const made = [
    host('i1', 'Haswell-v1', { keys }),
    host('i2', 'Nehalem-v1', { keys }),
    host('a1', 'EPYC-v1', { vendor: 'AMD', keys }),
  ];
  const answer = groups(fleetOf(catalog, made), { stack, pools: 3, together: 'rack' });
  assert.equal(
    answer.groups.map((g) => g.hosts),
    [['i1', 'i2'], ['a1']],
  );
  assert.equal(
    answer.findings.filter((f) => f.code === 'apart').map((f) => f.hosts),
    [['a1', 'i1', 'i2']],
  );
});

test('what cannot be asked is said in one sentence', () => {
  const fleet = fleetOf(catalog, [host('a', 'Haswell-v1')]);
  const refused = (options: Partial<GroupsOptions>, why: RegExp) =>
    assert.throws(() => groups(fleet, { stack, pools: 2, ...options }), why);
  refused({ pools: 0 }, /number of pools is 0/);
  refused({ pools: 1.5 }, /whole number/);
  refused({ least: 0 }, /least number of hosts/);
  refused({ weigh: new Map([['avx512', 2]]) }, /did you mean/);
  refused({ weigh: new Map([['avx2', -1]]) }, /0 to 1000000/);
  refused({ together: 'rack' }, /only host records have keys/);
  assert.match(groups(fleet, { stack, pools: 2, least: 2 }).because!, /1 hosts/);
});

test.run();
