// Whether a host would lower a saved line, against the line that the fleet would have with it.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { parseStack } from '../src/cpu/stack.ts';
import { admit } from '../src/solve/admit.ts';
import { baseline } from '../src/solve/baseline.ts';
import { asCounted, fleetOf, type Made } from './support/hosts.ts';
import { KVM, madeFleet } from './support/made.ts';
import { assertProperty, draws } from './support/property.ts';

const catalog = await loadCatalog();
const stack = parseStack(catalog, 'newest');
const test = suite('admit');

test('a host is admitted just when the line with it is the line without it', () => {
  let yes = 0;
  let no = 0;
  const newcomer = madeFleet(catalog, 'Intel', 1).map(([m]) => ({ ...m!, id: 'new' }));
  assertProperty(
    fc.property(
      madeFleet(catalog, 'Intel', 4),
      newcomer,
      fc.nat({ max: 4 }),
      (made, other, twin) => {
        const line = baseline(fleetOf(catalog, made), { stack });
        fc.pre(line.features.length > 0);
        const joining: Made = made[twin] ? { ...made[twin]!, id: 'new' } : other;
        const [found] = admit(fleetOf(catalog, [joining]), line, 'line.json').hosts;
        const lowered = baseline(fleetOf(catalog, [...made, joining]), { stack });
        const { features } = asCounted(joining);
        const lost = line.features.filter((f) => !features.includes(f));
        assert.is(found!.admitted === true, lost.length === 0);
        assert.is(found!.admitted === null, lost.length > 0 && found!.lost.length === 0);
        assert.equal([...found!.lost, ...found!.unknown].sort(), lost);
        assert.equal(found!.features.before, line.features.length);
        if (lowered.features.length > 0) assert.is(found!.features.after, lowered.features.length);
        if (found!.admitted) yes++;
        else no++;
      },
    ),
    { numRuns: 500 },
  );
  console.log(`admit: ${yes} admitted, ${no} not`);
  assert.ok(Math.min(yes, no) > draws(500) / 10);
});

const names = (name: string, less: readonly string[] = []) =>
  catalog
    .names(catalog.qemuFeatures(name, '10.0')!)
    .filter((f) => !less.includes(f))
    .concat(KVM);
const host = (id: string, features: readonly string[], facts: Made['facts'] = {}): Made => ({
  id,
  features,
  facts,
});
const line = baseline(fleetOf(catalog, [host('a', names('Skylake-Server-v4'))]), { stack });
const ask = (made: Made) => admit(fleetOf(catalog, [made]), line, 'line.json').hosts[0]!;

test('what a host lacks and what its description leaves open are told apart', () => {
  const answer = ask({
    ...host('new', names('Skylake-Server-v4', ['pku', 'spec-ctrl', 'avx512f'])),
    unknown: ['avx512f'],
  });
  assert.equal(
    { admitted: answer.admitted, lost: answer.lost, unknown: answer.unknown },
    { admitted: false, lost: ['pku', 'spec-ctrl'], unknown: ['avx512f'] },
  );
  assert.equal(answer.security.mitigationsLost, ['spec-ctrl']);
});

test('another vendor, and fewer address bits than guests have, are reasons beside features', () => {
  assert.equal(ask(host('amd', names('Skylake-Server-v4'), { vendor: 'AMD' })).reasons, [
    "of another vendor: its CPU is of Intel, the host's of AMD",
  ]);
  const small = ask(host('small', names('Skylake-Server-v4'), { limits: { physBits: 36 } }));
  assert.equal(small.reasons, ['it has 40 physical address bits, the host 36']);
});

test('a host that lists the CPU of the line as one that does not run there is not admitted', () => {
  const models = new Map([
    ['Haswell', []],
    ['Haswell-v1', []],
  ]);
  const facts = { dialect: 'qmp', models };
  const answer = ask(host('listed', names('Skylake-Server-v4'), facts));
  assert.is(answer.admitted, false);
  assert.match(answer.reasons[0]!, /does not list .* among the models that run there/);
  const usable = new Map(Object.values(line.definitions).map(({ name }) => [name, []]));
  assert.ok(usable.size > 0);
  assert.is(
    ask(host('ok', names('Skylake-Server-v4'), { ...facts, models: usable })).admitted,
    true,
  );
});

test('what is no saved baseline is refused', () => {
  const fleet = fleetOf(catalog, [host('a', ['avx'])]);
  assert.throws(() => admit(fleet, { schema: 'other' }, 'x.json'), /x\.json is no saved baseline/);
});

test.run();
