// What is alike is read once: the answer, lines and sentences included, is the one that reading each of them gives.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { QueryError } from '../src/cpu/errors.ts';
import type { LibvirtCpu } from '../src/cpu/libvirt.ts';
import { Alike, condense } from '../src/dialects/alike.ts';
import type { Input } from '../src/dialects/dialect.ts';
import {
  cpuElementOf,
  findCpus,
  parseCpu,
  readLibvirtCpus,
} from '../src/dialects/libvirt-element.ts';
import { readFleet } from '../src/dialects/read.ts';
import { readXml } from '../src/dialects/xml.ts';

const seed = Number(process.env.PLIMSOLL_SEED ?? 20261124);
console.log(`alike: seed ${seed}`);
fc.configureGlobal({ includeErrorInReport: true });
// All test files share one process, so the runs are said where they are made.
const RUNS = { seed, numRuns: 400 };

const test = suite('alike');
const catalog = await loadCatalog();

const input = (text: string, name = 'fleet.xml'): Input => ({
  name,
  bytes: new TextEncoder().encode(text),
});
/** Longer than what is looked at for repetitions. */
const PADDING = ' '.repeat(20_000);

const capabilities = (uuid: string, memory: string, feature: string, model: string) =>
  `<capabilities>
  <host><uuid>${uuid}</uuid>
    <cpu><arch>x86_64</arch><model>${model}</model><vendor>Intel</vendor>
      <counter name='tsc' frequency='${memory}000' scaling='no'/><feature name='${feature}'/></cpu>
    <topology><cells num='1'><cell id='0'><memory unit='KiB'>${memory}</memory></cell></cells></topology>
  </host>
</capabilities>`;

const cpu = (model: string, feature: string, lines: string) =>
  `<cpu><arch>x86_64</arch>${lines}<model>${model}</model>
  <feature name='${feature}'/>
</cpu>`;

const MODEL = fc.constantFrom('Skylake-Server', 'Haswell', 'NoSuchModel');
const FEATURE = fc.constantFrom('pku', 'rtm', 'new-one');
const document = fc.oneof(
  fc.tuple(fc.uuid(), fc.nat().map(String), FEATURE, MODEL).map((p) => capabilities(...p)),
  fc.tuple(MODEL, FEATURE, fc.constantFrom('', '\n', '\r\n\n')).map((p) => cpu(...p)),
);
const SPACE = fc.constantFrom('', '\n', '  ', '\n\n', "\n<?xml version='1.0'?>\n");
const LIST = fc.constantFrom('', 'hosts', 'metadata', 'domain', 'cpus');
const fleet = fc
  .tuple(
    LIST,
    fc.uniqueArray(document, { minLength: 1, maxLength: 3 }),
    fc.array(fc.tuple(fc.nat(2), SPACE), { minLength: 1, maxLength: 12 }),
  )
  .map(([list, documents, places]) => {
    const all = places.map(([n, space]) => `${documents[n % documents.length]}${space}`).join('');
    return list === '' ? all : `<${list}>\n${all}</${list}>`;
  });

/** What may hide a document, end it early, or count as a line to some and not to others. */
const DAMAGE = [
  ...['', '<', '>', '/', '&', '&amp;', '&none;', "'", '\0', '\r', '\r\n', '\ufeff', '\u00a0', 'é'],
  ...['<!--', '-->', '<!-- -->', '<![CDATA[', ']]>', '<!DOCTYPE x>', '<?x', '?>', '<?x y?>'],
  ...['<cpu>', '</cpu>', '<cpu/>', "<cpu id='0'/>", '</cpu >', '<cpux>', '<cpudata>', '<other/>'],
  ...[
    '<capabilities>',
    '</capabilities>',
    '<metadata>',
    '</metadata>',
    '<uuid/>',
    '<uuid>0</uuid>',
  ],
  ..."<?xml version='1.0' encoding='latin1'?>|<a b='>'>|</a>|text".split('|'),
];
const damaged = fc
  .tuple(
    fleet,
    fc.array(fc.tuple(fc.nat(), fc.nat(3), fc.constantFrom(...DAMAGE)), { maxLength: 2 }),
  )
  .map(([text, blows]) =>
    blows.reduce((now, [at, less, more]) => {
      // As often between the tags as anywhere.
      const places = [...now.matchAll(/<|$/g)].map((m) => m.index);
      const place = at % 2 ? at % (now.length + 1) : places[at % places.length]!;
      return now.slice(0, place) + more + now.slice(place + (at % 3 ? 0 : less));
    }, text),
  );

const told = async <T>(work: () => Promise<T>): Promise<T | string> => {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return error.message;
  }
};

/** Every element, each parsed by the library. */
async function readPlainly(from: Input): Promise<LibvirtCpu[]> {
  const cpus: LibvirtCpu[] = [];
  await readXml(from, (root) => {
    for (const found of findCpus(root)) {
      const element = cpuElementOf(found);
      if (element) cpus.push(parseCpu(from.name, element, 'auto'));
    }
  });
  if (cpus.length > 0) return cpus;
  throw new QueryError(
    `${from.name} holds no <cpu> element; give virsh capabilities, virsh domcapabilities, a domain's XML or <cpu> itself`,
  );
}

test('CPUs are those that the library reads from the whole, line by line, or refuses', async () => {
  let condensed = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(damaged, async (text) => {
      const whole = input(`${text}${PADDING}`);
      const plain = await told(() => readPlainly(whole));
      if (condense(whole) !== null) condensed++;
      if (typeof plain === 'string') refused++;
      assert.equal(await told(() => readLibvirtCpus(whole)), plain, JSON.stringify(text));
    }),
    RUNS,
  );
  assert.ok(condensed > 100, `only ${condensed} of 400 had anything to take out`);
  assert.ok(refused > 50 && refused < 350, `${refused} of 400 were refused`);
});

const outcome = (text: string) =>
  told(async () => {
    const { members, classes, weights } = await readFleet(catalog, [input(text)]);
    return {
      members: members.map(({ element, notes, ...m }) => ({ ...m, notes: notes.length })),
      classes,
      weights: [...weights],
    };
  });

test('a fleet is the one that reading each document makes', async () => {
  await fc.assert(
    fc.asyncProperty(fleet, async (text) => {
      // A comment hides nothing here, but it could: then nothing is taken out.
      const plain = await outcome(`${text}${PADDING}<!-- -->`);
      assert.equal(await outcome(text + PADDING), plain, text);
    }),
    { ...RUNS, numRuns: 60 },
  );
});

test('elements that never end are left to the library', async () => {
  for (const open of ['<cpu>', '<capabilities>', '<hosts><cpu>']) {
    const whole = input(open.repeat(5000));
    assert.is(condense(whole), null);
    assert.equal(await told(() => readLibvirtCpus(whole)), await told(() => readPlainly(whole)));
  }
});

test('a hundred thousand elements that differ in one place each are told apart soon', () => {
  const all = Array.from(
    { length: 100_000 },
    (_, i) => `<cpu><model>Haswell</model><microcode version='${i}'/></cpu>`,
  );
  const start = performance.now();
  const condensed = condense(input([...all, ...all.slice(-1)].join('\n')));
  assert.is(condensed?.distinct, 100_000);
  assert.is(condensed?.order.at(-1)?.like, 99_999);
  assert.ok(performance.now() - start < 5000, 'it took more than five seconds');
});

test('files that differ in what is their own are alike', async () => {
  const host = (i: number, feature: string) =>
    input(
      capabilities(`0000000${i}-0000-0000-0000-000000000000`, `${i}`, feature, 'Haswell'),
      `host-${i}.xml`,
    );
  const files = [host(1, 'pku'), host(2, 'pku'), host(3, 'rtm')];
  const fleet = await readFleet(catalog, files);
  assert.equal(
    fleet.members.map((m) => m.id),
    ['host-1', 'host-2', 'host-3'],
  );
  assert.equal([...fleet.weights].sort(), [1, 2]);
  assert.is(fleet.kinds.length, 2, 'two are one kind');
  let made = 0;
  const alike = new Alike<number>();
  const numbers: number[] = [];
  for (const file of files) numbers.push(await alike.get(file, async () => ++made));
  assert.equal(numbers, [1, 1, 2]);
});

test.run();
