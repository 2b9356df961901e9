// Ids of hosts that their documents do not name: as bytes by the million they are those that are made one by one.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { idAt } from '../src/fleet/hosts.ts';
import { hostIds, numberedIds } from '../src/fleet/ids.ts';
import { assertProperty } from './support/property.ts';

const test = suite('ids');

test('numbers go on from batch to batch of an input, and grow by digits', () => {
  const inputs = fc.constantFrom('a.txt', 'b/a.txt', 'c/a.txt.gz', 'é9.cpuinfo', 'stdin', 'x#99');
  const hosts = fc.oneof(fc.nat({ max: 3 }), fc.integer({ min: 80, max: 1100 }));
  assertProperty(
    fc.property(fc.array(fc.record({ input: inputs, hosts }), { maxLength: 6 }), (batches) => {
      const placed = batches.flatMap(({ input, hosts: n }) =>
        Array.from({ length: n }, () => ({ input, host: null })),
      );
      const found = numberedIds(batches).flatMap((ids, b) =>
        Array.from({ length: batches[b]!.hosts }, (_, i) =>
          idAt({ ...ids, kinds: new Uint32Array(0) }, i),
        ),
      );
      // An input without hosts takes part in making names short, and is no host.
      const all = batches.every((batch) => batch.hosts > 0);
      if (all) assert.equal(found, hostIds(placed));
      else assert.is(found.length, placed.length);
    }),
    { numRuns: 300 },
  );
});

test('ids of a batch are each longer than the one before, or greater', () => {
  const [batch] = numberedIds([{ input: 'hosts.txt', hosts: 1200 }]);
  const ids = Array.from({ length: 1200 }, (_, i) =>
    idAt({ ...batch!, kinds: new Uint32Array(0) }, i),
  );
  assert.equal([ids[0], ids[1], ids[9], ids[1199]], ['hosts', 'hosts#2', 'hosts#10', 'hosts#1200']);
  for (const [i, id] of ids.entries())
    if (i > 0) assert.ok(id.length > ids[i - 1]!.length || id > ids[i - 1]!, id);
});

test.run();
