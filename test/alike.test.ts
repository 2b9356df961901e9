// What is alike is read once: the answer, lines and sentences included, is the one that reading each of them gives.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import debug from '../build/core.debug.wasm';
import release from '../build/core.wasm';
import { Arena } from '../src/core/arena.ts';
import { Cutter } from '../src/core/stretches.ts';
import { instantiate } from '../src/core/wasm.ts';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { QueryError } from '../src/cpu/errors.ts';
import type { LibvirtCpu } from '../src/cpu/libvirt.ts';
import { Alike } from '../src/dialects/alike.ts';
import type { Input } from '../src/dialects/dialect.ts';
import {
  cpuElementOf,
  ELEMENTS,
  findCpus,
  parseCpu,
  readLibvirtCpus,
} from '../src/dialects/libvirt-element.ts';
import { readFleet } from '../src/dialects/read.ts';
import { readXml, type XmlElement } from '../src/dialects/xml.ts';
import { assertProperty, draws } from './support/property.ts';

const RUNS = { numRuns: 400 };
const TEXTS = 1500;

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
      <counter name='tsc' frequency='2100000000' scaling='no'/><feature name='${feature}'/></cpu>
    <topology><cells num='1'><cell id='0'><memory unit='KiB'>${memory}</memory></cell></cells></topology>
  </host>
</capabilities>`;

const cpu = (model: string, features: readonly string[], lines: string, microcode: number) =>
  `<cpu><arch>x86_64</arch>${lines}<model>${model}</model>
  <microcode version='${microcode}'/>
${features.map((name) => `  <feature name='${name}'/>\n`).join('')}</cpu>`;

const domain = (name: string, cpu: string) =>
  `<domain type='kvm'><name>${name}</name><memory unit='KiB'>1024</memory>
  <os><type arch='x86_64' machine='pc-q35-9.0'>hvm</type></os>
  ${cpu}
</domain>`;

const domainCapabilities = (mode: string) =>
  `<domainCapabilities><arch>x86_64</arch>
  <cpu>
    <mode name='host-passthrough' supported='yes'/>
    ${mode}
  </cpu>
</domainCapabilities>`;

const MODEL = fc.constantFrom('Skylake-Server', 'Haswell', 'NoSuchModel', ' Haswell\n ', 'A&amp;B');
const FEATURE = fc.constantFrom('pku', 'rtm', 'new-one');
const LINES = fc.constantFrom('', '\n', '\r\n\n', '<!-- a comment\n-->\n');
const MICROCODE = fc.nat(2000);
const document = fc.oneof(
  fc.tuple(fc.uuid(), fc.nat().map(String), FEATURE, MODEL).map((p) => capabilities(...p)),
  fc.tuple(MODEL, fc.uniqueArray(FEATURE), LINES, MICROCODE).map((p) => cpu(...p)),
  fc
    .tuple(
      fc.constantFrom('web-1', 'web-2'),
      fc.constantFrom(
        '<cpu/>',
        "<cpu mode='host-passthrough'/>",
        "<cpu mode='host-model'>\n</cpu>",
      ),
    )
    .map((p) => domain(...p)),
  fc
    .constantFrom(
      "<mode name='host-model' supported='yes'/>",
      "<mode name='host-model' supported='yes'>\n<model>Haswell</model></mode>",
      "<mode name='host-model' supported='no'/>",
    )
    .map(domainCapabilities),
);
const SPACE = fc.constantFrom('', '\n', '  ', '\n\n', "\n<?xml version='1.0'?>\n");
const LIST = fc.constantFrom('', 'hosts', 'hosts', 'metadata', 'domain', 'domstatus', 'cpus');
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
  ..."<?xml version='1.0' encoding='latin1'?>|<a b='>'>|</a>|text|]]>|'12'|\"|=".split('|'),
  "<counter name='tsc'/>",
  "<counter name='tsc' frequency='12345678901234567890'/>",
  "<counter name='tsc' frequency='&#49;'/>",
  "<memory unit='&#x1F0000AB;'>1</memory>",
  "<pages size='4' 5='6'>7</pages>",
  "<feature name='pku' policy='force'/>",
  "<feature name='pku'/>",
  "<microcode version='12x'/>",
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

/** Text and numbers of the host's own do not count, nor does the space around what is said. */
const plain = (element: XmlElement): unknown => {
  const { name, attributes, children, text, line } = element;
  const isOwn = ['uuid', 'memory', 'pages'].includes(name);
  return {
    name,
    line,
    attributes: Object.entries(attributes).map(([key, value]) => [
      key,
      isOwn ? value.replace(/\d+/g, '0') : value,
    ]),
    text: (isOwn ? text.replace(/[\da-f-]/gi, '') : text).trim(),
    children: children.map(plain),
  };
};

const elementsIn = (element: XmlElement): XmlElement[] =>
  ELEMENTS.includes(element.name) ? [element] : element.children.flatMap(elementsIn);

interface Placed {
  readonly element: unknown;
  readonly below: number;
}

/** Lines are counted from where the first element like it stands. */
const lowered = ({ element, below }: Placed): unknown =>
  JSON.parse(JSON.stringify(element), (key, value) => (key === 'line' ? value + below : value));

/** The elements as the library reads them. */
async function treesOf(from: Input): Promise<unknown[]> {
  const trees: unknown[] = [];
  await readXml(from, (root) => {
    trees.push(...elementsIn(root).map(plain));
  });
  return trees;
}

const treeReader = (arena?: Arena) =>
  new Alike<Placed>(
    {
      elements: ELEMENTS,
      make: (element) => [{ element: plain(element), below: 0 }],
      lower: ({ element }, below) => ({ element, below }),
    },
    arena,
  );

const bytesOf = (text: string, blows: readonly (readonly [number, Uint8Array])[]): Uint8Array =>
  blows.reduce<Uint8Array>((bytes, [at, more]) => {
    const place = at % (bytes.length + 1);
    return Uint8Array.from([...bytes.subarray(0, place), ...more, ...bytes.subarray(place)]);
  }, new TextEncoder().encode(text));

/** What is not UTF-8, or only where it is whole. */
const BAD = fc.constantFrom(
  [0xff],
  [0xc3],
  [0xa9],
  [0xe2, 0x82],
  [0xf0, 0x9f, 0x98, 0x80],
  [0xef, 0xbb, 0xbf],
);
const bytes = fc
  .tuple(
    damaged,
    fc.array(
      fc.tuple(
        fc.nat(),
        BAD.map((b) => Uint8Array.from(b)),
      ),
      { maxLength: 1 },
    ),
  )
  .map(([text, blows]) => bytesOf(text, blows));

for (const [build, binary] of Object.entries({ debug, release }))
  test(`elements are those that the library reads, or are left to it (${build})`, async () => {
    const arena = new Arena(instantiate(binary));
    // Some are read by one that has read a thousand before.
    const old = treeReader(arena);
    await old.prepare(PADDING.length);
    let read = 0;
    let refused = 0;
    await assertProperty(
      fc.asyncProperty(bytes, fc.array(fc.integer({ min: 1, max: 60 })), async (bytes, sizes) => {
        const whole = { name: 'fleet.xml', bytes };
        const library = await told(() => treesOf(whole));
        const young = treeReader(arena);
        await young.prepare(PADDING.length);
        let at = 0;
        const inPieces = await young.stream(whole, (into) => {
          const piece = bytes.subarray(at, at + (sizes[at % (sizes.length + 1)] ?? 7));
          into.set(piece);
          at += piece.length;
          return piece.length;
        });
        young.free();
        const found = old.read(whole);
        assert.equal(inPieces?.map(lowered), found?.map(lowered));
        if (typeof library === 'string') refused++;
        if (found === null) return;
        read++;
        assert.equal(found.map(lowered), library, new TextDecoder().decode(bytes));
      }),
      { numRuns: TEXTS },
    );
    old.free();
    assert.is(arena.used, 0);
    const drawn = draws(TEXTS);
    assert.ok(read > drawn / 5, `only ${read} of ${drawn} were read`);
    assert.ok(refused > drawn / 10 && refused < drawn * 0.8, `${refused} of ${drawn} were refused`);
  });

test('CPUs are those that the library reads from the whole, line by line, or refuses', async () => {
  let refused = 0;
  await assertProperty(
    fc.asyncProperty(damaged, async (text) => {
      const whole = input(`${text}${PADDING}`);
      const plain = await told(() => readPlainly(whole));
      if (typeof plain === 'string') refused++;
      assert.equal(await told(() => readLibvirtCpus(whole)), plain, JSON.stringify(text));
    }),
    RUNS,
  );
  assert.ok(refused > 50 && refused < 350, `${refused} of 400 were refused`);
});

for (const [build, binary] of Object.entries({ debug, release }))
  test(`text is cut into stretches, equal ones under one number (${build})`, () => {
    const arena = new Arena(instantiate(binary));
    const piece = fc.oneof(
      fc.constantFrom('<', '</a>', '<uuid>', "<b c='1'/>", '<b/>\n', '<é>'),
      fc.string({ maxLength: 40 }),
    );
    assertProperty(
      fc.property(fc.array(piece), fc.array(fc.integer({ min: 1, max: 30 })), (pieces, sizes) => {
        const text = `<${pieces.join('')}`;
        const bytes = new TextEncoder().encode(text);
        const cutter = new Cutter([], arena);
        const numbers: number[] = [];
        for (let at = 0, i = 0; ; i++) {
          const size = cutter.put(bytes.subarray(at, at + (sizes[i % (sizes.length + 1)] ?? 9)));
          assert.ok(cutter.cut(size));
          numbers.push(...cutter.row);
          at += size;
          if (size === 0) break;
        }
        const known = new Map<string, number>();
        const stretches = text.split(/(?=<)/);
        for (const stretch of stretches) if (!known.has(stretch)) known.set(stretch, known.size);
        assert.equal(
          numbers,
          stretches.map((stretch) => known.get(stretch)!),
        );
        assert.equal(cutter.texts(0), [...known.keys()]);
        cutter.free();
      }),
      RUNS,
    );
    assert.is(arena.used, 0);
  });

test('of a named tag digits do not count, in quotes or behind it', () => {
  const own = (text: string): string | null => {
    const cutter = new Cutter(['uuid', 'pages']);
    cutter.put(new TextEncoder().encode(text));
    cutter.cut(text.length);
    cutter.cut(0);
    const [stretch] = cutter.texts(0);
    cutter.free();
    return stretch ?? null;
  };
  const table: [string, string][] = [
    ['<uuid>4c4C4544-0042</uuid>', '<uuid>'],
    ['<uuid>\n 12 z\n', '<uuid>\n  z\n'],
    ["<pages unit='KiB' size='2048'>65539</pages>", "<pages unit='KiB' size='0'>"],
    ['<pages a1="x12y3" b=\'>9\' c=4>', '<pages a1="x0y0" b=\'>0\' c=4>'],
    ["<pages size='1234567890123456'/>12ab-", "<pages size='0'/>12ab-"],
    // A number that is too long to be one, characters by number, other names.
    ["<pages size='12345678901234567'/>", "<pages size='12345678901234567'/>"],
    ["<pages size='&#49;'/>", "<pages size='&#49;'/>"],
    ['<uuid>&#49;', '<uuid>&#49;'],
    ['<uuids>12', '<uuids>12'],
    ['<uui>12', '<uui>12'],
    ['</uuid>12', '</uuid>12'],
    ["<page size='1'>", "<page size='1'>"],
  ];
  for (const [text, left] of table) assert.is(own(text), left);
});

test('when there are too many distinct stretches, reading begins anew', async () => {
  const arena = new Arena(instantiate(release));
  const reader = treeReader(arena);
  await reader.prepare(PADDING.length);
  const many = (n: number, word: string) =>
    input(Array.from({ length: n }, (_, i) => `<cpu><model>${word}${i}</model></cpu>`).join('\n'));
  assert.is(reader.read(many(100_000, 'a'))?.length, 100_000);
  assert.is(reader.read(many(100_000, 'b')), null);
  assert.is(reader.read(many(100_000, 'b'))?.length, 100_000);
  assert.is(reader.read(input(`<cpu>${'x'.repeat(600_000)}</cpu>`)), null);
  assert.is(reader.read(many(10, 'a'))?.length, 10);
  reader.free();
});

const outcome = (text: string) =>
  told(async () => {
    const { members, classes, weights } = await readFleet(catalog, [input(text)]);
    return {
      members: members.map(({ asked, notes, ...m }) => ({ ...m, notes: notes.length })),
      classes,
      weights: [...weights],
    };
  });

test('a fleet is the one that reading each document makes', async () => {
  await assertProperty(
    fc.asyncProperty(fleet, async (text) => {
      // A section hides nothing here, but it could: then the library reads all of it.
      const plain = await outcome(text === '' ? text : `${text}<x><![CDATA[]]></x>${PADDING}`);
      assert.equal(await outcome(text + PADDING), plain, text);
    }),
    { numRuns: 60 },
  );
});

test('a lone return ends a line, but none in a declaration, which is left out', async () => {
  const one = '<cpu><arch>x86_64</arch><model>Haswell</model></cpu>';
  const whole = input(`${one}\n<?xml \rversion='1.0'?>${one}\r${one}\r\n${one}${PADDING}`);
  const cpus = await readLibvirtCpus(whole);
  assert.equal(
    cpus.map(({ line }) => line),
    [1, 2, 3, 4],
  );
  assert.equal(cpus, await readPlainly(whole));
});

test('elements that never end are left to the library', async () => {
  const reader = treeReader();
  await reader.prepare(PADDING.length);
  for (const open of ['<cpu>', '<capabilities>', '<hosts><cpu>']) {
    const whole = input(open.repeat(5000));
    assert.is(reader.read(whole), null);
    assert.equal(await told(() => readLibvirtCpus(whole)), await told(() => readPlainly(whole)));
  }
  reader.free();
});

test('a hundred thousand elements that differ in one place each are told apart soon', async () => {
  const all = Array.from(
    { length: 100_000 },
    (_, i) => `<cpu><model>Haswell</model><microcode version='${i}'/></cpu>`,
  );
  const reader = treeReader();
  await reader.prepare(PADDING.length);
  const start = process.cpuUsage();
  const found = reader.read(input([...all, ...all.slice(-1)].join('\n')));
  assert.is(found?.length, 100_001);
  assert.equal(found!.at(-1)!.element, lowered({ ...found!.at(-2)!, below: 1 }));
  assert.ok(process.cpuUsage(start).user < 5e6, 'it took more than five seconds');
  reader.free();
});

test('files that differ in what is their own are alike', async () => {
  const host = (i: number, feature: string) =>
    input(
      capabilities(`0000000${i}-0000-0000-0000-000000000000`, `${i}`, feature, 'Haswell'),
      `host-${i}.xml`,
    );
  const files = [host(1, 'pku'), host(2, 'pku'), host(3, 'rtm')];
  // Files of which there are few are read one by one.
  const [first, ...others] = files;
  const long = {
    ...first!,
    bytes: new TextEncoder().encode(new TextDecoder().decode(first!.bytes) + PADDING),
  };
  const fleet = await readFleet(catalog, [long, ...others]);
  assert.equal(
    fleet.members.map((m) => m.id),
    ['host-1', 'host-2', 'host-3'],
  );
  assert.equal([...fleet.weights].sort(), [1, 2]);
  assert.is(fleet.kinds.length, 2, 'two are one kind');
  let made = 0;
  const alike = new Alike({ elements: ELEMENTS, make: () => [++made] });
  await alike.prepare(PADDING.length);
  assert.equal(
    files.map((file) => alike.read(file)),
    [[1], [1], [2]],
  );
  alike.free();
});

test.run();
