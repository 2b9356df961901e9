// Which name a set of features is given: none that can be made to say it costs less.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { clearBit, minus, type Row, rowOf, setBit } from '../src/core/rows.ts';
import { loadCatalog, type Product } from '../src/cpu/catalog.ts';
import { closeDependencies } from '../src/cpu/qemu.ts';
import { parseStack } from '../src/cpu/stack.ts';
import { namerOf } from '../src/solve/name.ts';
import { assertProperty, draws } from './support/property.ts';

const test = suite('name');
const catalog = await loadCatalog();
const RUNS = { numRuns: 60 };
const notCounted = rowOf(
  catalog.bits,
  catalog.features.filter((f) => f.merge === 'never' || f.merge === 'equal').map((f) => f.id),
);

/** The price as it is told in words: one a feature to add, two a feature to take away. */
function price(plain: readonly Row[], target: Row): number {
  const wanted = new Set(catalog.names(target));
  const prices = plain.map((row) => {
    const says = new Set(catalog.names(row));
    const more = [...wanted].filter((name) => !says.has(name)).length;
    return more + 2 * [...says].filter((name) => !wanted.has(name)).length;
  });
  return Math.max(...prices);
}

test('no name that could be given costs less than the one that is', () => {
  let named = 0;
  assertProperty(
    fc.property(
      fc.constantFrom('newest', 'oldest', 'libvirt@9.0,qemu@7.2,qemu@10.0'),
      fc.constantFrom<Product>('libvirt', 'qemu'),
      fc.nat(),
      fc.array(fc.tuple(fc.boolean(), fc.nat({ max: catalog.bits - 1 })), { maxLength: 12 }),
      (stack, product, pick, changes) => {
        const namer = namerOf(catalog, parseStack(catalog, stack));
        const names = namer.names(product);
        const { vendor, plain } = names[pick % names.length]!;
        const target = plain[0]!.slice();
        for (const [isOn, id] of changes) (isOn ? setBit : clearBit)(target, id);
        const wanted = minus(closeDependencies(catalog, target), notCounted);
        const found = namer.define(product, wanted, { vendor, lists: [] });
        const prices = names
          .filter((name) => name.vendor === vendor)
          .filter(({ name }) =>
            namer.define(product, wanted, { vendor, lists: [], models: [name] }),
          )
          .map((name) => ({ name: name.name, price: price(name.plain, wanted) }));
        if (found === null) return assert.equal(prices, []);
        named++;
        const own = prices.find((p) => p.name === found.name)!.price;
        assert.is(own, Math.min(...prices.map((p) => p.price)), found.name);
      },
    ),
    RUNS,
  );
  assert.ok(named > draws(RUNS.numRuns) / 12, `${named} of ${draws(RUNS.numRuns)} were named`);
});

test.run();
