// The demo fleet is what the dumps say. To make it anew: PLIMSOLL_WRITE_FIXTURES=1 with the dumps at hand.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isEqual } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { records } from '../../src/dialects/records/records.ts';
import { readFleet } from '../../src/reading/read.ts';
import { baselinesBy } from '../../src/solve/baseline.ts';
import { demoFleet } from '../support/demo.ts';
import { ROOT, SHARED, sayMissing } from '../support/places.ts';

const test = suite('demo fleet');
const catalog = await loadCatalog();
const FIXTURE = join(ROOT, 'test/fixtures/demo-fleet.ndjson');
const made = SHARED === null ? null : await demoFleet(catalog, join(SHARED, 'cases/cpuid'));
const fact = made === null ? test.skip : test;
if (made === null)
  sayMissing('the demo fleet against the dumps that it was made from', '../shared');
if (made !== null && process.env.PLIMSOLL_WRITE_FIXTURES)
  writeFileSync(FIXTURE, made.map(({ record }) => `${record}\n`).join(''));
const fleet = await records.read!({ name: FIXTURE, bytes: readFileSync(FIXTURE) }, catalog);

fact('is what the dumps make', () => {
  assert.is(readFileSync(FIXTURE, 'utf8'), made!.map(({ record }) => `${record}\n`).join(''));
});

fact('loses nothing of a dump but the state of its operating system', () => {
  for (const [i, { dump, description }] of made!.entries()) {
    const read = fleet[i]!;
    assert.ok(isEqual(read.has, description.has), `${dump}: features`);
    assert.equal(
      catalog.names(read.known),
      catalog.names(description.known),
      `${dump}: what is known`,
    );
    for (const key of [
      'vendor',
      'view',
      'arch',
      'signature',
      'microcode',
      'xsave',
      'limits',
    ] as const)
      assert.equal(read[key], description[key], `${dump}: ${key}`);
  }
});

test('has at least 24 servers of both vendors and eight generations, none of them virtual', () => {
  assert.ok(fleet.length >= 24);
  assert.is(new Set(fleet.map((d) => d.host)).size, fleet.length);
  assert.equal([...new Set(fleet.map((d) => d.vendor))].sort(), ['AMD', 'Intel']);
  const generations = new Set(
    fleet.map((d) => `${d.vendor} ${d.signature!.family} ${d.signature!.model}`),
  );
  assert.ok(generations.size >= 8, `${generations.size} generations`);
  for (const d of fleet) {
    assert.not(catalog.names(d.has).includes('hypervisor'), `${d.host} is a virtual machine`);
    assert.match(String(d.keys.cpu), /Xeon|XEON|EPYC|Opteron/);
    assert.match(String(d.host), new RegExp(`^${d.keys.rack}-\\d\\d$`));
  }
});

test('every rack and cluster has a CPU in common: what one dump leaves out of its layout keeps no hosts apart', async () => {
  const input = { name: 'fleet.ndjson', bytes: readFileSync(FIXTURE) };
  const all = await readFleet(catalog, [input]);
  for (const key of ['rack', 'cluster', 'vendor'])
    for (const { value, baseline } of baselinesBy(all, key).baselines) {
      assert.is(baseline.sides, undefined, `${key} ${value}`);
      assert.ok(baseline.definitions.qemu && baseline.definitions.libvirt, `${key} ${value}`);
    }
});

test.run();
