// Documents that are alike are read once: the fleet is the one that reading each of them makes.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { QueryError } from '../src/cpu/errors.ts';
import { condense } from '../src/dialects/alike.ts';
import { readFleet } from '../src/dialects/read.ts';

const seed = Number(process.env.PLIMSOLL_SEED ?? 20261124);
console.log(`alike: seed ${seed}`);
fc.configureGlobal({ includeErrorInReport: true, seed, numRuns: 60 });

const test = suite('alike');
const catalog = await loadCatalog();

const capabilities = (uuid: string, memory: string, feature: string, model: string) =>
  `<capabilities>
  <host><uuid>${uuid}</uuid>
    <cpu><arch>x86_64</arch><model>${model}</model><vendor>Intel</vendor>
      <feature name='${feature}'/></cpu>
    <topology><cells num='1'><cell id='0'><memory unit='KiB'>${memory}</memory></cell></cells></topology>
  </host>
</capabilities>`;

const document = fc
  .tuple(
    fc.uuid(),
    fc.oneof(
      { weight: 6, arbitrary: fc.nat().map(String) },
      { weight: 1, arbitrary: fc.constantFrom('&none;', '<x/>', ']]>', '') },
    ),
    fc.constantFrom('pku', 'rtm', 'new-one'),
    fc.constantFrom('Skylake-Server', 'Haswell', 'NoSuchModel'),
  )
  .map((parts) => capabilities(...parts));
const between = fc.constantFrom('', '\n', '  ', '\n<other/>\n', '<?x y?>', 'text');
/** Longer than what is looked at for repetitions. */
const PADDING = ' '.repeat(70_000);

const outcome = async (text: string) => {
  try {
    const fleet = await readFleet(catalog, [
      { name: 'fleet.xml', bytes: new TextEncoder().encode(text) },
    ]);
    const { members, classes, weights } = fleet;
    return {
      members: members.map(({ element, notes, ...m }) => ({ ...m, notes: notes.length })),
      classes,
      weights: [...weights],
    };
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return error.message;
  }
};

test('a file of many documents is what each of them says', async () => {
  let condensed = 0;
  const documents = fc.array(fc.tuple(document, between), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(documents, async (all) => {
      const text = `<hosts>${all.flat().join('')}</hosts>${PADDING}`;
      const bytes = new TextEncoder().encode(text);
      if (condense({ name: 'fleet.xml', bytes }) !== null) condensed++;
      // A comment hides nothing here, but it could: then nothing is taken out.
      assert.equal(await outcome(text), await outcome(`${text}<!-- -->`), text.trim());
    }),
  );
  assert.ok(condensed > 20, `only ${condensed} of 60 had anything to take out`);
});

test('files that differ in what is their own are alike', async () => {
  const input = (i: number, feature: string) => ({
    name: `host-${i}.xml`,
    bytes: new TextEncoder().encode(
      capabilities(`0000000${i}-0000-0000-0000-000000000000`, `${i}`, feature, 'Haswell'),
    ),
  });
  const fleet = await readFleet(catalog, [input(1, 'pku'), input(2, 'pku'), input(3, 'rtm')]);
  assert.equal(
    fleet.members.map((m) => m.id),
    ['host-1', 'host-2', 'host-3'],
  );
  assert.equal([...fleet.weights].sort(), [1, 2]);
  assert.is(fleet.kinds.length, 2, 'two are one kind');
});

test.run();
