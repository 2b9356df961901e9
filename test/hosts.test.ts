// Hosts by name: what is listed of them, and how they are gathered piece by piece, held against plain lists.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type Arrival, Arrivals } from '../src/fleet/gather.ts';
import { type Batch, batchOf, firstOfEach, GONE, idAt } from '../src/fleet/hosts.ts';
import { assertProperty } from './support/property.ts';

const test = suite('hosts');

const bytes = (text: string) => Buffer.from(text, 'utf8');
const byBytes = (a: string, b: string) => Buffer.compare(bytes(a), bytes(b));
const isAscending = (ids: readonly string[]) =>
  ids.every((id, i) => {
    const [a, b] = [bytes(ids[i - 1] ?? ''), bytes(id)];
    return a.length < b.length || (a.length === b.length && Buffer.compare(a, b) < 0);
  });

const KINDS = 4;
const id = fc.oneof(
  fc.nat({ max: 200 }).map((n) => `h${String(n).padStart(3, '0')}`),
  fc.nat({ max: 2000 }).map((n) => `h${n}`),
  fc.constantFrom('é', 'z', 'H', 'h-with-a-name-of-more-than-sixteen-bytes'),
);
const kind = fc.oneof({ weight: 9, arbitrary: fc.nat({ max: KINDS - 1 }) }, fc.constant(GONE));
/** Hosts with names of their own, most often in an order that is known. */
const hosts = fc
  .tuple(fc.uniqueArray(id, { maxLength: 150 }), fc.array(kind, { minLength: 150 }), fc.boolean())
  .map(([ids, kinds, isSorted]) => {
    const inOrder = isSorted
      ? [...ids].sort((a, b) => bytes(a).length - bytes(b).length || byBytes(a, b))
      : ids;
    return inOrder.map((name, i) => ({ id: name, kind: kinds[i]! }));
  });

const arrival = (some: readonly { readonly id: string; readonly kind: number }[]): Arrival => {
  const ids = some.map((host) => host.id);
  const kinds = some.map((host) => host.kind);
  return { ...batchOf(ids, kinds), ascending: isAscending(ids) };
};

/** A list cut in pieces of these sizes. */
function pieces<T>(all: readonly T[], sizes: readonly number[]): T[][] {
  const out: T[][] = [];
  for (let at = 0, n = 0; at < all.length; n++) {
    const size = sizes[n % sizes.length]!;
    out.push(all.slice(at, at + size));
    at += size;
  }
  return out;
}
const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 });

test('of each kind the first in byte order are found, in whatever order they come', () => {
  assertProperty(
    fc.property(hosts, sizes, fc.integer({ min: 1, max: 20 }), (all, cut, most) => {
      const batches: Batch[] = pieces(all, cut).map(arrival);
      // Kinds 2 and 3 are one by now, and what was kind 0 is no part of the fleet any more.
      const kindOf = [GONE, 0, 1, 1];
      const expected = [0, 1].flatMap((now) =>
        all
          .filter((host) => host.kind !== GONE && kindOf[host.kind] === now)
          .map((host) => ({ id: host.id, kind: now }))
          .sort((a, b) => byBytes(a.id, b.id))
          .slice(0, most),
      );
      assert.equal(
        firstOfEach(batches, kindOf, 2, most),
        expected.sort((a, b) => byBytes(a.id, b.id)),
      );
    }),
    { numRuns: 300 },
  );
});

test('hosts that arrive in pieces are all there, and in order only if they are', () => {
  assertProperty(
    fc.property(hosts, sizes, sizes, (all, cut, takes) => {
      const arrivals = new Arrivals();
      const found: { id: string; kind: number }[] = [];
      // What was taken must not change when the arrays are used again.
      const taken = pieces(pieces(all, cut), takes).flatMap((some) => {
        for (const piece of some) arrivals.push(arrival(piece));
        return arrivals.take();
      });
      let n = 0;
      for (const batch of taken) {
        const ids = Array.from(batch.kinds, (_, i) => idAt(batch, i));
        for (const [i, name] of ids.entries()) found.push({ id: name, kind: batch.kinds[i]! });
        assert.is(batch.ascending, isAscending(all.slice(n, n + ids.length).map((h) => h.id)));
        n += ids.length;
      }
      assert.equal(found, all);
    }),
    { numRuns: 300 },
  );
});

test('more hosts than one batch holds begin another', () => {
  const all = Array.from({ length: 150_000 }, (_, i) => ({ id: `h${i}`, kind: i % KINDS }));
  const arrivals = new Arrivals();
  for (const piece of pieces(all, [7000])) arrivals.push(arrival(piece));
  const batches = arrivals.take();
  assert.equal(arrivals.take(), []);
  assert.ok(batches.length > 1 && batches.every((batch) => batch.ascending));
  assert.equal(
    batches.flatMap((batch) => Array.from(batch.kinds, (_, i) => idAt(batch, i))),
    all.map((host) => host.id),
  );
});

test.run();
