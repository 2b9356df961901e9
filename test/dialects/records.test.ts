// Host records: what a line says, in every shape that holds records, and what is wrong with those that say it badly.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bitsOf, minus } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import type { Description } from '../../src/cpu/description.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import { recogniseDialect } from '../../src/dialects/index.ts';
import { records } from '../../src/dialects/records/records.ts';
import { feed } from '../support/command.ts';
import { FLOOR } from '../support/hosts.ts';
import { assertProperty } from '../support/property.ts';

const test = suite('records');
const catalog = await loadCatalog();
const bytesOf = (text: string) => new TextEncoder().encode(text);
const read = (text: string | Uint8Array, name = 'fleet.ndjson') =>
  records.read!(
    { name, bytes: typeof text === 'string' ? bytesOf(text) : text },
    catalog,
  ) as Description[];
const one = (record: unknown): Description => {
  const all = read(JSON.stringify(record));
  assert.is(all.length, 1);
  return all[0]!;
};
const KVM = catalog.features.filter((f) => f.name.startsWith('kvm')).map((f) => f.name);
/** What a description leaves open, KVM's own features aside. */
const openOf = (d: Description): string[] =>
  catalog
    .names(minus(catalog.row(catalog.features.map((f) => f.name)), d.known))
    .filter((name) => !KVM.includes(name));
/** What a hypervisor need not list: every guest needs it, or it is not for all guests to have. */
const UNTOLD = [...FLOOR, 'ht', 'invtsc', 'topoext'].sort();
const refusal = (text: string | Uint8Array): string => {
  try {
    read(text);
  } catch (error) {
    assert.instance(error, QueryError, (error as Error).stack);
    assert.not.match((error as Error).message, /\n/);
    return (error as Error).message;
  }
  assert.unreachable(`${text.slice(0, 80)} was read`);
  return '';
};

test('reads everything that a record can say', () => {
  const d = one({
    host: 'db-07',
    arch: 'x86_64',
    vendor: 'GenuineIntel',
    view: 'kernel',
    features: ['avx2', 'sse4_1', 'pclmuldq', 'dts', 'sse2', 'avx2'],
    unknown: ['md_clear'],
    limits: { physBits: 46 },
    signature: { family: 6, model: 85, stepping: 7 },
    microcode: '0x5003604',
    xsave: [
      { component: 9, size: 8, offset: 2688 },
      { component: 2, size: 256, offset: 576 },
    ],
    rack: 'r1',
    slots: 2,
    spare: false,
  });
  assert.equal(catalog.names(d.has), ['avx2', 'ds', 'pclmulqdq', 'sse2', 'sse4.1']);
  assert.equal(
    openOf(d),
    [...FLOOR.filter((f) => f !== 'sse2'), 'md-clear', 'ospke', 'osxsave'].sort(),
  );
  assert.equal(
    [d.host, d.arch, d.vendor, d.view, d.line, d.microcode],
    ['db-07', 'x86_64', 'Intel', 'kernel', 1, '0x5003604'],
  );
  assert.equal(d.limits, { physBits: 46 });
  assert.equal(d.signature, { family: 6, model: 85, stepping: 7 });
  assert.equal(
    d.xsave!.map((c) => c.component),
    [2, 9],
  );
  assert.equal({ ...d.keys }, { rack: 'r1', slots: 2, spare: false });
  assert.equal([d.unnamed, d.notes], [[], []]);
});

test('needs features alone: the rest is a hypervisor of x86_64 that says nothing more', () => {
  const d = one({ features: ['avx'] });
  assert.equal(
    [d.host, d.arch, d.vendor, d.view, d.limits.physBits, d.signature, d.microcode, d.xsave],
    [null, 'x86_64', null, 'hypervisor', null, null, null, null],
  );
  assert.equal(openOf(d), UNTOLD);
  assert.equal(
    openOf(one({ features: ['avx'], arch: 'i686' })),
    UNTOLD.filter((f) => !FLOOR.includes(f)),
  );
  assert.equal(
    openOf(one({ features: ['avx'], absent: ['nx', 'mtrr', 'invtsc'] })),
    UNTOLD.filter((f) => !['nx', 'mtrr', 'invtsc'].includes(f)),
  );
  assert.equal(
    { ...one({ features: [], host: null, vendor: null, limits: null, note: null }).keys },
    {},
  );
});

test("a feature that is not listed is absent, but KVM's own only where a record lists one of them", () => {
  const isKnown = (d: Description, name: string) =>
    !catalog.names(minus(catalog.row([name]), d.known)).includes(name);
  assert.not.ok(isKnown(one({ features: ['avx'] }), 'kvm-pv-eoi'));
  assert.ok(isKnown(one({ features: ['avx', 'kvmclock'] }), 'kvm-pv-eoi'));
});

test("a name that the catalog does not know stays, known or not; the kernel's words about itself do not count", () => {
  const d = one({
    features: ['avx', 'zorble', 'rep_good', 'nopl'],
    unknown: ['frobnicate', 'frobnicate'],
  });
  assert.equal([d.unnamed, d.unnamedUnknown], [['zorble'], ['frobnicate']]);
});

test('on other architectures every name stands for itself', () => {
  const d = one({ arch: 'aarch64', features: ['aes', 'sve'] });
  assert.equal([d.arch, d.unnamed, bitsOf(d.has)], ['aarch64', ['aes', 'sve'], []]);
});

test('what collect writes beside features is read', () => {
  const d = one({
    features: ['avx'],
    machines: ['pc-q35-10.0', 'pc-q35-9.2'],
    models: { EPYC: [] },
    listedBy: 'kubevirt',
    bits: { 'cpuid.7.0.edx.15': true },
    findings: [{ code: 'processors-differ', message: 'its processors differ' }],
    keys: { host: 'n', rack: 1 },
    virttype: 'kvm',
    processor: 'Intel(R) Xeon(R)',
  });
  assert.equal(
    [d.machine, d.lister, d.bits, d.notes],
    [
      'pc-q35-10.0',
      'kubevirt',
      { 'cpuid.7.0.edx.15': true },
      [{ code: 'processors-differ', message: 'its processors differ' }],
    ],
  );
  assert.equal(
    { ...d.keys },
    { host: 'n', rack: 1, virttype: 'kvm', processor: 'Intel(R) Xeon(R)' },
  );
});

test("a key that was anybody's stays so where its value is not what it says today", () => {
  const own = {
    machines: 'many',
    listedBy: 'me',
    bits: 64,
    unnamed: 'no',
    cpuModel: 'R640',
    findings: 'none',
    virttype: 3,
    keys: 'two',
  };
  const d = one({ features: ['avx'], ...own });
  assert.equal({ ...d.keys }, own);
  assert.equal([d.notes, d.machine, d.model], [[], null, null]);
  const codes = one({
    features: [],
    machines: [],
    bits: { a: 1 },
    findings: [{}],
    keys: { a: [] },
  });
  assert.equal(
    codes.notes.map((n) => [n.code, n.message.split('"')[1]]),
    [
      ['key-ignored', 'machines'],
      ['key-ignored', 'bits'],
      ['key-ignored', 'findings'],
      ['key-ignored', 'a'],
    ],
  );
});

test('a host that is not of KVM says so, and has none of what KVM makes up', () => {
  const open = (record: object) => minus(catalog.row(KVM), one(record).known);
  assert.equal(catalog.names(open({ features: ['avx'], virttype: 'kvm' })), [...KVM].sort());
  for (const [virttype, code] of [
    ['qemu', 'emulated'],
    ['xen', 'other-hypervisor'],
  ]) {
    const record = { features: ['avx'], virttype };
    assert.equal(
      one(record).notes.map((n) => n.code),
      [code],
    );
    assert.equal(catalog.names(open(record)), ['kvm-hint-dedicated']);
    const findings = [{ code, message: 'already said' }];
    assert.equal(one({ ...record, findings }).notes, findings);
  }
});

test('a UUID or a vendor names no host', () => {
  for (const host of ['d53148f5-0d56-4ed1-8e4b-1c2d3e4f5a6b', 'GenuineIntel', 'AMD']) {
    const d = one({ host, features: [] });
    assert.equal([d.host, d.notes.map((n) => n.code)], [null, ['no-host-name']]);
  }
});

test('keys that are lists or objects are left out, and that is said', () => {
  const d = one({
    features: [],
    tags: ['a'],
    bios: { date: 'x' },
    rack: 'r1',
    limits: { physBits: 40, sockets: 2 },
  });
  assert.equal({ ...d.keys }, { rack: 'r1' });
  assert.equal(
    d.notes.map((n) => n.message.split('"')[1]),
    ['limits.sockets', 'tags', 'bios'],
  );
});

test('one object a line, a list, and one object over many lines are the same', () => {
  const hosts = [
    { host: 'a', features: ['avx'] },
    { host: 'b', features: ['sse2', 'sse3'], rack: '[{"' },
    { host: 'c', features: [] },
  ];
  const lines = hosts.map((h) => JSON.stringify(h));
  const shapes: [string, number[]][] = [
    [`${lines.join('\n')}\n`, [1, 2, 3]],
    [lines.join('\r\n\r\n'), [1, 3, 5]],
    [`\n\n${lines.join('\n')}`, [3, 4, 5]],
    [`\uFEFF${lines.join('\n')}`, [1, 2, 3]],
    [JSON.stringify(hosts), [1, 1, 1]],
    [`[\n${lines.join(',\n')}\n]\n`, [2, 3, 4]],
    [JSON.stringify(hosts, null, 2), [2, 8, 16]],
  ];
  for (const [text, expected] of shapes) {
    assert.is(recogniseDialect(text)?.name, 'records', text);
    const got = read(text);
    assert.equal(
      got.map((d) => d.host),
      ['a', 'b', 'c'],
      text,
    );
    assert.equal(
      got.map((d) => d.line),
      expected,
      text,
    );
  }
  assert.equal(
    read(JSON.stringify(hosts[1], null, 2)).map((d) => d.host),
    ['b'],
  );
  assert.equal(read('[]'), []);
});

test('an INI file and a prompt are no records', () => {
  for (const text of ['[libvirt]\nvirt_type = kvm\n', '# {}\n', 'features: []\n', ''])
    assert.is(recogniseDialect(text)?.name, undefined, text);
});

test('finds a repeated key wherever it stands, and takes no value for one', () => {
  assert.match(
    refusal('[{"features":[]},\n{"host":"a","features":[],"features":["avx"]}]'),
    /the key "features" is there twice/,
  );
  assert.match(
    refusal('{"features":[],"limits":{"physBits":46,"physBits" : 40}}'),
    /the key "physBits" is there twice/,
  );
  assert.match(refusal('{"features":[],"a":1,"\\u0061":2}'), /the key "a" is there twice/);
  const odd = { features: ['xsave', 'rack'], xsave: [], rack: '"rack":', note: 'features": [' };
  assert.equal({ ...one(odd).keys }, { rack: '"rack":', note: 'features": [' });
});

test('says file, line and host, and what would work', () => {
  const table: [string, RegExp][] = [
    ['{"host":"a"}', /^fleet\.ndjson:1: host "a": a host record needs "features"/],
    ['{"host":"a","features":"avx"}', /:1: host "a": "features" is a string; it is a list/],
    ['{"features":["avx",7]}', /:1: "features" lists the number 7; every entry is the name/],
    [
      '{"features":["avx avx2"]}',
      /"avx avx2", which is no name; write every feature as a string of its own/,
    ],
    ['{"features":[""]}', /"", which is no name/],
    ['{"features":["a\\u0007"]}', /which is no name/],
    ['{"features":null}', /"features" is null; it is a list/],
    ['{"features":["avx"],"unknown":["avx"]}', /avx is both in "features" and in "unknown"/],
    ['{"features":["sse4_1"],"unknown":["sse4.1"]}', /sse4\.1 is both in/],
    ['{"features":["zorble"],"unknown":["zorble"]}', /zorble is both in/],
    ['{"features":[],"unknown":{}}', /"unknown" is an object; it is a list/],
    [
      '{"features":[],"view":"cpuid"}',
      /"view" is "cpuid"; it is one of hardware, kernel, hypervisor, guest$/,
    ],
    ['{"features":[],"vendor":7}', /"vendor" is the number 7; write it like "GenuineIntel"/],
    ['{"features":[],"host":""}', /"host" is empty; write it like "db-07"/],
    ['{"features":[],"arch":"a\\nb"}', /"arch" is not printable/],
    ['{"features":[],"limits":46}', /"limits" is the number 46; write it like \{"physBits":46\}/],
    [
      '{"features":[],"limits":{"physBits":"46"}}',
      /"limits\.physBits" is a string; it is a whole number of bits from 1 to 52/,
    ],
    ['{"features":[],"limits":{"physBits":1e999}}', /"limits\.physBits" is the number Infinity/],
    ['{"features":[],"limits":{"physBits":46.5}}', /the number 46\.5/],
    ['{"features":[],"signature":{"family":6,"model":85}}', /"signature\.stepping" is missing/],
    ['{"features":[],"signature":"6.85.7"}', /"signature" is a string; write it like/],
    [
      '{"features":[],"microcode":5003604}',
      /"microcode" is the number 5003604; write it like "0x5003604"/,
    ],
    ['{"features":[],"xsave":[{"component":9,"size":8}]}', /"xsave\.offset" is missing/],
    [
      '{"features":[],"xsave":[{"component":9,"size":8,"offset":0},{"component":9,"size":8,"offset":0}]}',
      /"xsave" lists component 9 twice/,
    ],
    ['{"features":[],"features":["avx"]}', /the key "features" is there twice/],
    [
      '{"features":[]}\n{"features":[]}\n7',
      /^fleet\.ndjson:3: a host record is an object with "features", and this is the number 7$/,
    ],
    ['{"features":[]}\n"x"', /:2: a host record is an object .* and this is a string$/],
    ['[{"features":[]},\n[]]', /:2: a host record is an object .* and this is a list$/],
    [
      '{"features":[]}\n{"features":["av',
      /^fleet\.ndjson:2:\d+: this is no JSON: it ends in the middle of a value/,
    ],
    ['{"features":["avx"', /:1:19: this is no JSON: it ends in the middle/],
    ['{\n "features": ["avx"],\n "host": \n', /:\d:\d+: this is no JSON: it ends in the middle/],
    ['{"features":[]},', /:1:16: this is no JSON: "," stands where it cannot/],
    ["{'features':[]}", /:1:2: this is no JSON/],
    ['[{"features":[]}\n{"features":[]}]', /:2:1: this is no JSON/],
    ['{"features":[NaN]}', /this is no JSON/],
  ];
  for (const [text, expected] of table) assert.match(refusal(text), expected, text);
});

test('JSON of any depth, bytes that are no text and lines without end are one sentence', () => {
  const deep = 100_000;
  assert.match(refusal('['.repeat(deep)), /it ends in the middle/);
  assert.match(refusal('['.repeat(deep) + ']'.repeat(deep)), /this is a list$/);
  assert.match(
    refusal(`${'{"features":'.repeat(deep)}1${'}'.repeat(deep)}`),
    /"features" is an object/,
  );
  assert.is(read(`{"features":[],"x":${'['.repeat(deep)}${']'.repeat(deep)}}`)[0]!.notes.length, 1);
  assert.match(
    refusal(
      new Uint8Array([
        ...bytesOf('{"features":[]}\n{"host":"'),
        0xff,
        0xfe,
        ...bytesOf('","features":[]}'),
      ]),
    ),
    /^fleet\.ndjson:2: the line is not UTF-8/,
  );
  const long = new Uint8Array(65 * 1024 * 1024).fill(0x20);
  long.set(bytesOf('{"features":[]}\n'));
  long.fill(0x61, 16);
  assert.match(refusal(long), /^fleet\.ndjson:2: the line is longer than 64 MB/);
});

test('with a way to skip them, bad records are left out one by one', () => {
  const text = [
    '{"host":"a","features":["av',
    '{"host":"b","features":[]}',
    '{"host":"c","features":7}',
    '',
    '7',
    '{"host":"d","features":[]}',
  ].join('\n');
  const problems: string[] = [];
  const skip = (problem: QueryError) => problems.push(problem.message.split(' ')[0]!);
  const left = (t: string) =>
    (records.read!({ name: 'f', bytes: bytesOf(t) }, catalog, skip) as Description[]).map(
      (d) => d.host,
    );
  assert.equal(left(text), ['b', 'd']);
  assert.equal(problems, ['f:1:28:', 'f:3:', 'f:5:']);
  assert.equal(left('[{"host":"a","features":[]},\n{"host":"b"}]'), ['a']);
  assert.equal(problems.slice(3), ['f:2:']);
});

test('a text of 600 MB, more than one string holds, is read line by line', () => {
  const line = bytesOf(
    `${JSON.stringify({ host: 'same', features: ['avx', 'zorble'] }).padEnd(12 * 1024 * 1024)}\n`,
  );
  const text = new Uint8Array(line.length * 50);
  for (let i = 0; i < 50; i++) text.set(line, i * line.length);
  const all = read(text);
  assert.equal([all.length, all.at(-1)!.line], [50, 50]);
});

test('says of every feature what a set of names says', () => {
  const name = fc.constantFrom(
    ...catalog.features.filter((f) => !KVM.includes(f.name)).map((f) => f.name),
  );
  const spelled = (canonical: string, which: number) => {
    const { aliases } = catalog.feature(canonical);
    return [canonical, ...aliases][which % (aliases.length + 1)]!;
  };
  assertProperty(
    fc.property(fc.uniqueArray(name), fc.uniqueArray(name), fc.nat(), (features, left, which) => {
      const unknown = left.filter((f) => !features.includes(f));
      const d = one({
        features: features.map((f) => spelled(f, which)),
        unknown: unknown.map((f) => spelled(f, which + 1)),
      });
      assert.equal(catalog.names(d.has), [...features].sort());
      const open = UNTOLD.filter((f) => !features.includes(f));
      assert.equal(openOf(d), [...new Set([...unknown, ...open])].sort());
    }),
  );
});

test('a key of any length can be asked for', async () => {
  const key = 'k'.repeat(60);
  const lines = Array.from({ length: 600 }, (_, i) =>
    JSON.stringify({
      host: `h${i}`,
      vendor: 'Intel',
      features: [...FLOOR, 'pni'],
      [key]: `v${i % 2}`,
    }),
  ).join('\n');
  assert.ok(lines.length > 1 << 16, 'long enough to be scanned');
  const { status, stdout } = await feed(lines, 'baseline', '--by', key, '--json', '-');
  assert.is(status, 0);
  assert.equal(
    JSON.parse(stdout).baselines.map((b: { value: string; baseline: { hosts: number } }) => [
      b.value,
      b.baseline.hosts,
    ]),
    [
      ['v0', 300],
      ['v1', 300],
    ],
  );
});

test.run();
