// All roads by which hosts come, held against one another on few records; test/slow/roads.test.ts goes on for minutes.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { assertProperty } from '../support/property.ts';
import { drawnRoads, Roads } from '../support/roads.ts';

const test = suite('roads');
const root = mkdtempSync(join(tmpdir(), 'plimsoll-roads-'));
test.after(() => rmSync(root, { recursive: true, force: true }));

test('every road leads to the same answer', async () => {
  const roads = new Roads(await loadCatalog(), root);
  await assertProperty(
    fc.asyncProperty(drawnRoads(6), (drawn) => roads.hold(drawn)),
    { numRuns: 60 },
  );
  console.log(`roads: ${roads.records} records, ${roads.answers} answers compared`);
  assert.ok(roads.read > 10, `only ${roads.read} could be read`);
});

test.run();
