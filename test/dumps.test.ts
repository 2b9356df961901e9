// Definitions for every real processor at hand, through every stack: each has a word for all that it says, runs on the
// processor that it was made for, and leaves the floor of 64-bit guests alone.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { parseStack } from '../src/cpu/stack.ts';
import { dialectByName } from '../src/dialects/index.ts';
import { readDescriptions, readFleet } from '../src/dialects/read.ts';
import { baseline } from '../src/solve/baseline.ts';
import { guestCpu } from '../src/solve/guest-cpu.ts';
import { guestsOf, place } from '../src/solve/place.ts';
import { FLOOR } from './support/hosts.ts';
import { SHARED, sayMissing } from './support/places.ts';
import { evenly } from './support/property.ts';

const catalog = await loadCatalog();
const test = suite('dumps through every stack');
const folder = SHARED === null ? null : join(SHARED, 'cases/cpuid');
const dumps = folder && existsSync(folder) ? evenly(readdirSync(folder).sort()) : [];
if (dumps.length === 0) sayMissing('the dumps of real processors', 'cases/cpuid');

/** An old processor or its firmware may lack these, and guests run without. */
const SWITCHED = 'de mca mce mtrr nx pat pse36 sep'.split(' ');
const STACKS = catalog.versions.qemu.flatMap((qemu) =>
  catalog.versions.libvirt.map((libvirt) => ({ qemu, libvirt })),
);

for (const software of STACKS)
  test(`QEMU ${software.qemu} with libvirt ${software.libvirt}`, async () => {
    const stack = parseStack(catalog, `qemu@${software.qemu},libvirt@${software.libvirt}`);
    let [written, thin] = [0, 0];
    for (const name of dumps) {
      const bytes = readFileSync(join(folder!, name));
      const fleet = await readFleet(catalog, [{ name, bytes }], {});
      const line = baseline(fleet, { stack });
      const cpu = guestCpu(line, catalog, fleet);
      const is64 = fleet.kinds[0]!.arch !== 'i686';
      for (const product of ['qemu', 'libvirt'] as const) {
        if (!line.definitions[product]) {
          thin++;
          continue;
        }
        written++;
        const text = dialectByName(product)!.write!(cpu, catalog);
        const off = [
          ...[...text.matchAll(/([\w.-]+)=off/g)].map((m) => m[1]!),
          ...[...text.matchAll(/policy='disable' name='([^']+)'/g)].map((m) => m[1]!),
        ].map((word) => catalog.find(word)?.name ?? word);
        if (!is64) {
          assert.not.ok(line.features.includes('lm'), name);
          continue;
        }
        assert.equal(
          off.filter((f) => FLOOR.includes(f) && !SWITCHED.includes(f)),
          [],
          `${name}: ${text}`,
        );
        const input = {
          name: 'written',
          bytes: new TextEncoder().encode(product === 'qemu' ? `qemu-system-x86_64 ${text}` : text),
        };
        const { read } = await readDescriptions(catalog, [input], { takes: 'guests' });
        const { guests } = place(fleet, guestsOf(catalog, read), { software });
        const { verdict, missing, unknown } = guests[0]!;
        assert.is(verdict, 'runs', `${name}: ${text}: ${JSON.stringify({ missing, unknown })}`);
      }
    }
    console.log(`dumps: ${dumps.length}, ${written} definitions, ${thin} without one`);
    assert.ok(written >= dumps.length);
  });

test.run();
