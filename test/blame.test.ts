// Who holds the line down, against every subset of hosts left out; the laws that hold whatever the fleet.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { rowOf } from '../src/core/rows.ts';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { parseStack } from '../src/cpu/stack.ts';
import type { BlameSide } from '../src/solve/answer-plan.ts';
import { blame, isBlameAnswered } from '../src/solve/blame.ts';
import { frontier } from '../src/solve/frontier.ts';
import { drawLine } from '../src/solve/line.ts';
import { fleetOf, type Made } from './support/hosts.ts';
import { madeFleet } from './support/made.ts';
import { assertProperty, draws } from './support/property.ts';

const FLEETS = 300;
const catalog = await loadCatalog();
const stack = parseStack(catalog, 'newest');
const test = suite('blame');

/** Every way to leave out hosts: who is gone, and the features of the baseline of the others. */
function everySubset(made: readonly Made[]) {
  return Array.from({ length: 2 ** made.length - 1 }, (_, gone) => ({
    gone: made.filter((_, i) => (gone >> i) & 1).map((m) => m.id),
    features: drawn(made.filter((_, i) => !((gone >> i) & 1))),
  }));
}

/** What guests can be given on these hosts, by name; none of it comes from the code under test. */
const drawn = (made: readonly Made[]): string[] =>
  catalog.names(drawLine(fleetOf(catalog, made), { stack }).drawn.features);

test('the frontier, the groups and what is wanted are those of every subset of hosts', () => {
  let points = 0;
  assertProperty(
    fc.property(madeFleet(catalog, 'Intel', 7), fc.nat(), (made, pick) => {
      const all = everySubset(made);
      const base = all[0]!.features.length;
      const answer = blame(fleetOf(catalog, made), { stack });
      assert.is(answer.features, base);
      // Each number of hosts gets the most that leaving out as many or fewer brings.
      const expected: { without: number; features: number }[] = [];
      for (let n = 1; n < made.length; n++) {
        const most = Math.max(
          ...all.filter((s) => s.gone.length <= n).map((s) => s.features.length),
        );
        if (most > (expected.at(-1)?.features ?? base))
          expected.push({ without: n, features: most });
      }
      assert.equal(
        answer.frontier!.map(({ without, features }) => ({ without, features })),
        expected,
      );
      for (const point of answer.frontier!) {
        points++;
        assert.ok(point.exact);
        const left = made.filter((m) => !point.hosts.includes(m.id));
        assert.is(made.length - left.length, point.without);
        assert.is(drawn(left).length, point.features);
      }
      for (const group of answer.groups!) {
        const left = drawn(made.filter((m) => !group.hosts.includes(m.id)));
        const before = drawn(made);
        assert.equal(
          group.gains,
          left.filter((f) => !before.includes(f)),
        );
        assert.equal([...group.mend, ...group.replace, ...group.unsettled].sort(), [
          ...group.gains,
        ]);
      }
      // Whatever a single host's absence brings is in the group of that host.
      for (const m of made.length > 1 ? made : []) {
        const left = drawn(made.filter((o) => o !== m));
        if (left.length === base) continue;
        const own = answer.groups!.find((g) => g.count === 1 && g.hosts[0] === m.id);
        assert.is(own?.gains.length, left.length - base, m.id);
      }
      const lost = answer.groups!.flatMap((g) => g.gains);
      if (lost.length === 0) return;
      const wanted = [lost[pick % lost.length]!, lost[(pick * 7) % lost.length]!];
      const { want } = blame(fleetOf(catalog, made), { stack, want: wanted });
      const having = all.filter((s) =>
        wanted.every((f) => drawn(made.filter((m) => !s.gone.includes(m.id))).includes(f)),
      );
      assert.is(want!.possible, having.length > 0);
      if (having.length > 0) assert.is(want!.count, Math.min(...having.map((s) => s.gone.length)));
    }),
    { numRuns: FLEETS },
  );
  console.log(`blame: ${points} points of frontiers`);
  assert.ok(points > draws(FLEETS));
});

test('leaving out a host never lowers the line', () => {
  assertProperty(
    fc.property(madeFleet(catalog, 'AMD', 6), (made) => {
      fc.pre(made.length > 1);
      const before = blame(fleetOf(catalog, made), { stack });
      for (const m of made) {
        const after = blame(
          fleetOf(
            catalog,
            made.filter((o) => o !== m),
          ),
          { stack },
        );
        assert.ok(after.features! >= before.features!);
      }
    }),
    { numRuns: FLEETS / 4 },
  );
});

test('a frontier that is cut short says what it did not prove, and never claims too much', () => {
  // Columns over few classes, so that every subset can be tried.
  const column = fc.record({
    classes: fc.uniqueArray(fc.nat({ max: 9 }), { minLength: 1, maxLength: 6 }),
    count: fc.integer({ min: 1, max: 9 }),
  });
  assertProperty(
    fc.property(
      fc.array(column, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 10, maxLength: 10 }),
      (made, weights) => {
        const weigh = (row: Uint32Array) =>
          weights.reduce((sum, w, i) => sum + (((row[0]! >>> i) & 1) === 1 ? w : 0), 0);
        const columns = made.map(({ classes, count }) => {
          const lackers = rowOf(10, classes);
          const features = Array.from({ length: count }, (_, i) => i);
          return { classes, lackers, weight: weigh(lackers), features };
        });
        const total = weights.reduce((a, b) => a + b);
        const found = frontier(columns, 10, weigh, total);
        for (let gone = 0; gone < 1023; gone++) {
          const weight = weigh(Uint32Array.of(gone));
          const gained = columns
            .filter((c) => (c.lackers[0]! & ~gone) === 0)
            .reduce((sum, c) => sum + c.features.length, 0);
          const best = found.findLast((p) => p.weight <= weight)?.gained ?? 0;
          assert.ok(best >= gained, `${weight} hosts gain ${gained}, not ${best}`);
        }
        for (const p of found) {
          assert.ok(p.exact);
          assert.is(weigh(p.gone), p.weight);
          assert.ok(p.weight < total);
        }
      },
    ),
    { numRuns: FLEETS },
  );
});

const host = (id: string, features: readonly string[], facts: Made['facts'] = {}): Made => ({
  id,
  features,
  facts,
});
const names = (model: string, less: readonly string[] = []): string[] =>
  catalog
    .names(catalog.qemuFeatures(model, '10.0')!)
    .filter((f) => !less.includes(f))
    .concat(['x2apic']);
const milan = { vendor: 'AMD', signature: { family: 25, model: 1, stepping: 1 } } as const;

test('a host that lacks what its twin has is to be mended; one whose kind never had it, replaced', () => {
  const answer = blame(
    fleetOf(catalog, [
      host('good', names('EPYC-Milan-v1'), { ...milan, microcode: '0xa0011d5' }),
      host('bios', names('EPYC-Milan-v1', ['erms', 'fsrm']), { ...milan, microcode: '0xa001119' }),
      host('old', names('EPYC-Rome-v1', ['erms', 'fsrm']), {
        vendor: 'AMD',
        signature: { family: 23, model: 49, stepping: 0 },
      }),
    ]),
    { stack },
  );
  const mended = blame(
    fleetOf(catalog, [
      host('good', names('EPYC-Milan-v1'), { ...milan, microcode: '0xa0011d5' }),
      host('bios', names('EPYC-Milan-v1', ['erms', 'fsrm']), { ...milan, microcode: '0xa001119' }),
    ]),
    { stack },
  );
  assert.equal(
    mended.groups!.map(({ hosts, gains, remedy, because }) => ({ hosts, gains, remedy, because })),
    [
      {
        hosts: ['bios'],
        gains: ['erms', 'fsrm'],
        remedy: 'mend',
        because: 'same SKU as good, which has it; microcode 0xa001119, not 0xa0011d5',
      },
    ],
  );
  assert.equal(
    mended.findings.filter((f) => f.code === 'sku-drift').map((f) => [f.count, f.hosts]),
    [[2, ['bios', 'good']]],
  );
  const old = answer.groups!.find((g) => g.hosts.join() === 'old')!;
  assert.is(old.remedy, 'replace');
  assert.match(old.because, /family 23, model 49, stepping 0/);
});

test('what microcode took from processors that are known with it is mended, not replaced', () => {
  const skylake = { signature: { family: 6, model: 85, stepping: 4 } };
  const answer = blame(
    fleetOf(catalog, [
      host('tsx', names('Skylake-Server-v1'), { signature: { family: 6, model: 85, stepping: 7 } }),
      host('no-tsx', names('Skylake-Server-v1', ['hle', 'rtm']), skylake),
    ]),
    { stack },
  );
  assert.equal(
    answer.groups!.map((g) => [g.hosts, g.gains, g.remedy]),
    [[['no-tsx'], ['hle', 'rtm'], 'mend']],
  );
});

test('hosts of two vendors are answered side by side, and that is no answer for the fleet', () => {
  const answer = blame(
    fleetOf(catalog, [
      host('i1', names('Skylake-Server-v1')),
      host('i2', names('Haswell-v1')),
      host('a1', names('EPYC-v1'), { vendor: 'AMD' }),
    ]),
    { stack },
  );
  assert.is(isBlameAnswered(answer), false);
  assert.equal(
    answer.sides!.map((s: BlameSide & { value: string | null }) => [s.value, s.hosts]),
    [
      ['AMD', 1],
      ['Intel', 2],
    ],
  );
});

test('hosts that lay out shared state differently are answered side by side', () => {
  const at = (offset: number) => ({ xsave: [{ component: 2, size: 256, offset }] });
  const answer = blame(
    fleetOf(catalog, [
      host('a', names('Haswell-v1'), at(576)),
      host('b', names('Haswell-v1'), at(832)),
    ]),
    { stack },
  );
  assert.equal(
    answer.sides!.map((s) => [s.because, s.value, s.hosts]),
    [
      ['xsave', '2:256@576', 1],
      ['xsave', '2:256@832', 1],
    ],
  );
});

test('a mitigation that is dropped and an immunity that is not claimed are named', () => {
  const { security } = blame(
    fleetOf(catalog, [
      host('safe', names('Cascadelake-Server-v5')),
      host('bare', names('Cascadelake-Server-v5', ['spec-ctrl', 'ssbd', 'mds-no'])),
    ]),
    { stack },
  );
  assert.equal(security!.mitigationsLost, ['spec-ctrl', 'ssbd']);
  assert.equal(security!.immunitiesNotClaimed, ['mds-no']);
  assert.ok(security!.immunitiesClaimed.includes('rdctl-no'));
});

test('what no guest is given cannot be wanted, nor what nobody knows', () => {
  const fleet = fleetOf(catalog, [host('a', names('Haswell-v1'))]);
  assert.throws(() => blame(fleet, { stack, want: ['ht'] }), /no answer counts/);
  assert.throws(() => blame(fleet, { stack, want: ['avx512'] }), /did you mean/);
  const { want } = blame(fleet, { stack, want: ['avx512f'] });
  assert.is(want!.possible, false);
});

test.run();
