// Made-up fleets: the same seed gives the same bytes, and every language says the same processors.
import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { type SynthOptions, synthesize } from '../../src/dialects/records/made-up.ts';
import { readFleet } from '../../src/reading/read.ts';

const test = suite('synth');
const catalog = await loadCatalog();
const OPTIONS: SynthOptions = {
  hosts: 2000,
  seed: 1,
  kinds: 50,
  vendors: ['Intel', 'AMD'],
  to: 'records',
  shuffled: false,
};

const make = (options: Partial<SynthOptions> = {}): string =>
  [...synthesize(catalog, { ...OPTIONS, ...options })].join('');
const fleetOf = (text: string) =>
  readFleet(catalog, [{ name: 'made-up', bytes: new TextEncoder().encode(text) }], { keep: [] });
const digest = (text: string) => createHash('sha256').update(text).digest('hex');

test('the same seed gives the same bytes, another seed others', () => {
  assert.is(digest(make()), digest(make()));
  assert.is.not(digest(make()), digest(make({ seed: 2 })));
});

test('a few processors make up most of the fleet', async () => {
  const { hosts, weights, classes } = await fleetOf(make());
  assert.is(hosts, 2000);
  assert.ok(classes.length > 40 && classes.length <= 50, `${classes.length} classes`);
  const sorted = [...weights].sort((a, b) => b - a);
  const top = sorted.slice(0, 10).reduce((a, b) => a + b, 0);
  assert.ok(top > 1000, `${top} of 2000 hosts are of the ten commonest`);
  assert.equal(new Set(classes.map((c) => c.vendor)), new Set(['Intel', 'AMD']));
});

test('shuffled lists are all different and mean the same', async () => {
  const text = make({ shuffled: true });
  const lists = text.match(/"features":\[[^\]]*\]/g)!;
  assert.is(new Set(lists).size, 2000);
  const [plain, other] = await Promise.all([fleetOf(make()), fleetOf(text)]);
  assert.is(other.hosts, 2000);
  assert.ok(other.classes.length > 40 && other.classes.length <= plain.classes.length + 10);
});

test('every language can be read, one host each', async () => {
  for (const to of ['records', 'cpuinfo', 'libvirt'] as const) {
    const fleet = await fleetOf(make({ to, hosts: 300 }));
    assert.is(fleet.hosts, 300, to);
    const views = { records: 'hypervisor', cpuinfo: 'kernel', libvirt: 'hardware' };
    assert.ok(
      fleet.classes.every((c) => c.view === views[to] && c.vendor !== null),
      to,
    );
  }
});

test('processors of a host differ as real ones do, and in nothing that is read', async () => {
  for (const processors of [1, 2, 7, 64]) {
    const text = make({ to: 'cpuinfo', hosts: 20, processors });
    const blocks = text.trimEnd().split('\n\n');
    assert.is(blocks.length, 20 * processors);
    const values = (key: string) =>
      blocks
        .slice(0, processors)
        .map((block) => new RegExp(`^${key}\\s*: (.*)$`, 'm').exec(block)![1]);
    for (const key of ['processor', 'cpu MHz', 'apicid'])
      assert.is(new Set(values(key)).size, processors, `${processors}: ${key}`);
    assert.is(new Set(values('flags')).size, 1);
    const fleet = await fleetOf(text);
    assert.is(fleet.hosts, 20);
    assert.equal(
      [...fleet.members].flatMap((m) => m.notes),
      [],
    );
  }
});

test('no hosts are no text, or an empty list of them', () => {
  assert.is(make({ hosts: 0 }), '');
  assert.is(make({ hosts: 0, to: 'libvirt' }), '<hosts>\n</hosts>\n');
});

test.run();
