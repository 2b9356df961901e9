// In whatever language a guest is defined, compare, place and drift give one answer: over drawn guests and hosts.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { readDescriptions, readFleet } from '../../src/reading/read.ts';
import { compare } from '../../src/solve/compare.ts';
import { drift } from '../../src/solve/drift/drift.ts';
import { guestsOf, place } from '../../src/solve/place.ts';
import { drawnFleet } from '../support/drawn.ts';
import { type DrawnSpec, drawnSpec, WRITERS } from '../support/drawn-guests.ts';
import { OF_COMPARE, verdictOn } from '../support/laws.ts';
import { assertProperty } from '../support/property.ts';

const RUNS = 100;
const catalog = await loadCatalog();
const encode = (text: string) => new TextEncoder().encode(text);
const test = suite('guests in every language');

for (const [name, write] of Object.entries(WRITERS))
  test(`compare, place and drift agree on a guest of ${name}`, async () => {
    const seen = { runs: 0, 'own-cpu': 0, unknown: 0, no: 0 };
    let untold = 0;
    const hold = async (hosts: readonly { readonly host: string }[], spec: DrawnSpec) => {
      const text = write('g', spec);
      const guest = () => ({ name: 'g', bytes: encode(text) });
      const records = (of: readonly object[]) => ({
        name: 'hosts.ndjson',
        bytes: encode(of.map((host) => JSON.stringify(host)).join('\n')),
      });
      const fleet = await readFleet(catalog, [records(hosts)]);
      const { read } = await readDescriptions(catalog, [guest()], { takes: 'guests' });
      assert.is(read.length, 1, text);
      const [placed] = place(fleet, guestsOf(catalog, read)).guests;
      for (const host of hosts) {
        const what = `${text} on ${JSON.stringify(host)}`;
        const said = verdictOn(placed!, host.host);
        seen[said]++;
        const alone = await readFleet(catalog, [records([host])]);
        const cpus = await readFleet(catalog, [guest()], { takes: 'guests' });
        const { verdict } = compare(alone, cpus).cpus[0]!;
        assert.is(OF_COMPARE[verdict], said, `compare: ${verdict}: ${what}`);
        // The host's own CPU is the host's own in every language.
        if (spec.model === 'host' && spec.switches.length === 0 && said !== 'no')
          assert.is(said, 'own-cpu', what);
        // Proxmox VE starts a VM of a type that it does not know as kvm64.
        if (spec.model === 'EPYC-Venice' && name !== 'proxmox')
          assert.not.equal(said, 'runs', what);
      }
      const { asked } = read[0]!.description;
      assert.ok(asked, text);
      const moves = [{ guest: 'g', from: asked, to: { ...asked, machine: 'pc-q35-9.2' } }];
      const changed = drift(catalog, moves, fleet, { lists: true });
      if (changed.unsettled) untold++;
      else assert.is(changed.guests[0]!.runnable!.before, placed!.runsOn, `drift: ${text}`);
    };
    await assertProperty(fc.asyncProperty(drawnFleet(catalog, 3), drawnSpec(catalog), hold), {
      numRuns: RUNS,
    });
    console.log(`${name}: ${JSON.stringify(seen)}, ${untold} untold to drift`);
    for (const [verdict, count] of Object.entries(seen)) assert.ok(count > 0, `no ${verdict}`);
  });

test.run();
