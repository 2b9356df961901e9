// The command on fleets: what it prints, how it exits, and one sentence for whatever it cannot read.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runIn } from './support/command.ts';
import { ROOT } from './support/places.ts';

const demo = join(ROOT, 'test/fixtures/demo-fleet.ndjson');
const here = mkdtempSync(join(tmpdir(), 'plimsoll-answers-'));

const run = (args: readonly string[], stdin = '') => runIn({ cwd: here, stdin }, args);
const answer = async (args: readonly string[], input = '') => {
  const { status, stdout, stderr } = await run([...args, '--json'], input);
  assert.is(stderr, '');
  return { status, ...JSON.parse(stdout) };
};

// Two generations of one vendor, and one host of another; enough of each for a model to be found.
const OLD =
  'fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 pni ssse3 cx16 sse4.1 sse4.2 popcnt syscall nx lm lahf_lm x2apic'.split(
    ' ',
  );
const NEW = [...OLD, 'aes', 'pclmulqdq', 'avx', 'xsave', 'tsc-deadline', 'rdtscp'];
const host = (id: string, features: readonly string[], rest = {}) =>
  JSON.stringify({ host: id, vendor: 'GenuineIntel', features, limits: { physBits: 46 }, ...rest });
const file = (name: string, text: string | Uint8Array) => {
  writeFileSync(join(here, name), text);
  return name;
};
file('old.json', host('old-1', OLD, { rack: 'a' }));
file('new.ndjson', `${host('new-1', NEW, { rack: 'b' })}\n${host('new-2', NEW, { rack: 'a' })}\n`);
file('amd.json', host('amd-1', OLD, { vendor: 'AuthenticAMD' }));

test('a baseline is what all hosts have, and says who holds it down', async () => {
  const { status, ...doc } = await answer(['baseline', 'old.json', 'new.ndjson']);
  assert.is(status, 0);
  assert.is(Object.keys(doc)[0], 'schema');
  assert.equal(
    [doc.schema, doc.rules, doc.stack, doc.arch, doc.vendor, doc.view, doc.hosts, doc.classes],
    [
      'plimsoll.baseline/1',
      'safe',
      ['libvirt@9.0', 'qemu@7.2'],
      'x86_64',
      'Intel',
      'hypervisor',
      3,
      2,
    ],
  );
  assert.equal(Object.keys(doc.definitions).sort(), ['libvirt', 'qemu']);
  // Machine types of QEMU 7.2 up to pc-i440fx-1.7 do without x2apic unless it is asked for.
  assert.equal(doc.definitions.qemu, { name: 'Nehalem-v1', require: ['x2apic'], disable: [] });
  assert.equal(doc.limits, { physBits: 40, fleetPhysBits: 46 });
  assert.equal(doc.runsOn, { hosts: 3, of: 3 });
  assert.equal(
    doc.lost.map((l: { feature: string }) => l.feature),
    ['aes', 'avx', 'pclmulqdq', 'rdtscp', 'tsc-deadline', 'xsave'],
  );
  assert.equal(doc.lost[0], { feature: 'aes', have: 2, lack: 1, hosts: ['old-1'] });
  assert.equal(
    [doc.holds.length, doc.holds[0].hosts, doc.holds[0].without.model],
    [1, ['old-1'], 'SandyBridge-v1'],
  );
});

test('the report says the same on its first screen', async () => {
  const { status, stdout, stderr } = await run(['baseline', 'old.json', 'new.ndjson']);
  assert.equal({ status, stderr }, { status: 0, stderr: '' });
  const lines = stdout.split('\n');
  assert.is(lines[0], '3 hosts, 2 distinct CPUs, Intel, as their hypervisors offer them');
  assert.match(lines[2]!, /^ {2}QEMU 7\.2 {5}Nehalem-v1\b/);
  assert.ok(
    lines.includes(
      '  runs on 3 of 3 · 39 features · 40 physical address bits (of 46) · migratable',
    ),
    stdout,
  );
  assert.match(stdout, /\nWhat holds it down\n {2}old-1 {3}cost 6 {3}aes avx pclmulqdq/);
  assert.match(stdout, /without it: SandyBridge-v1\n/);
  assert.match(
    stdout,
    /\nUse it\n {2}plimsoll baseline old\.json new\.ndjson --to libvirt +also qemu\b.*\n$/,
  );
  assert.equal(
    lines.filter((line) => line.length > 80),
    [],
  );
  assert.ok(lines.length <= 24, stdout);
});

test('one host is spoken of as one', async () => {
  const { stdout } = await run(['baseline', 'old.json']);
  assert.match(stdout, /^1 host, 1 distinct CPU, Intel, as its hypervisor offers it\n/);
  assert.not.match(stdout, /holds it down/);
});

test('the same input in any order gives the same bytes', async () => {
  const one = await run(['baseline', 'old.json', 'new.ndjson', '--json']);
  assert.equal(await run(['baseline', 'new.ndjson', 'old.json', '--json']), one);
  const [a, b] = readFileSync(join(here, 'new.ndjson'), 'utf8').trim().split('\n');
  const piped = `${b}\n${readFileSync(join(here, 'old.json'), 'utf8')}\n${a}\n`;
  assert.equal(await run(['baseline', '-', '--json'], piped), one);
});

test('--to prints the definition alone, --expand all of it', async () => {
  const qemu = await run(['baseline', 'old.json', '--to', 'qemu']);
  assert.equal({ ...qemu, stdout: '' }, { status: 0, stdout: '', stderr: '' });
  assert.match(
    qemu.stdout,
    /^-cpu Nehalem-v1,enforce,x2apic=on,phys-bits=40,host-phys-bits=off\n$/,
  );
  const { stdout } = await run(['baseline', 'old.json', '--to', 'libvirt']);
  assert.match(stdout, /^<cpu mode='custom' match='exact' check='partial'>\n/);
  assert.is(stdout.split('<cpu').length - 1, 1);
  assert.match(stdout, /<\/cpu>\n$/);
  assert.match(
    (await run(['baseline', 'old.json', '--to', 'qemu', '--expand'])).stdout,
    /,sse2=on,/,
  );
});

test('no common CPU is a no, with an answer for each side', async () => {
  const { status, ...doc } = await answer(['baseline', 'old.json', 'amd.json', 'new.ndjson']);
  assert.is(status, 1);
  assert.equal([doc.definitions, doc.features, doc.vendor], [{}, [], null]);
  assert.equal(
    doc.sides.map((s: { because: string; value: string; count: number }) => [
      s.because,
      s.value,
      s.count,
    ]),
    [
      ['vendor', 'AMD', 1],
      ['vendor', 'Intel', 3],
    ],
  );
  const { stdout } = await run(['baseline', 'old.json', 'amd.json']);
  assert.match(stdout, /no CPU is common to all of them: their vendors differ\n/);
  assert.match(
    stdout,
    /\n {2}plimsoll baseline old\.json amd\.json --by vendor +a CPU for each side\n$/,
  );
  const to = await run(['baseline', 'old.json', 'amd.json', '--to', 'libvirt']);
  assert.equal([to.status, to.stdout], [1, '']);
  assert.match(
    to.stderr,
    /^no: there is no CPU to write that all of these hosts could give their guests; /m,
  );
});

test('--by gives one line for each value first, and one file for each with -o', async () => {
  const { status, stdout } = await run(['baseline', demo, '--by', 'vendor']);
  assert.is(status, 0);
  assert.match(
    stdout,
    /^28 hosts by vendor\n\n {2}AMD +10 hosts {2}\S+.* \d+ features\n {2}Intel +18 hosts {2}\S+.* \d+ features\n/,
  );
  assert.equal(
    stdout.split('\n').filter((line) => line.length > 80),
    [],
  );
  const doc = await answer(['baseline', 'old.json', 'amd.json', 'new.ndjson', '--by', 'rack']);
  assert.equal(
    [doc.schema, doc.by, doc.baselines.map((b: { value: string | null }) => b.value)],
    ['plimsoll.baselines/1', 'rack', ['a', 'b', null]],
  );
  assert.equal(
    await run(['baseline', 'old.json', 'amd.json', '--by', 'vendor', '--to', 'qemu', '-o', 'out']),
    { status: 0, stdout: '', stderr: '' },
  );
  assert.equal(readdirSync(join(here, 'out')).sort(), ['AMD.qemu', 'Intel.qemu']);
  assert.match(readFileSync(join(here, 'out/Intel.qemu'), 'utf8'), /^-cpu Nehalem-v1,enforce,/);
  assert.equal(await run(['baseline', 'old.json', '--by', 'color']), {
    status: 2,
    stdout: '',
    stderr: 'error: --by "color" is a key of no host; there are "vendor", "arch", "rack"\n',
  });
  file('evil.json', host('evil', OLD, { rack: '../../etc' }));
  await run(['baseline', 'evil.json', '--by', 'rack', '--to', 'qemu', '-o', 'out2']);
  assert.equal(readdirSync(join(here, 'out2')), ['%2E.%2F..%2Fetc.qemu']);
});

test('--check says whether a saved baseline still holds, and what broke it', async () => {
  await run(['baseline', 'new.ndjson', '--json', '-o', 'saved.json']);
  assert.equal(await run(['baseline', 'new.ndjson', '--check', 'saved.json']), {
    status: 0,
    stdout: 'holds: saved.json still runs on all 2 hosts\n',
    stderr: '',
  });
  assert.equal(await run(['baseline', 'new.ndjson', 'old.json', '--check', 'saved.json']), {
    status: 1,
    stdout:
      'broken: saved.json runs on 2 of 3 hosts\n  old-1  lack aes avx pclmulqdq rdtscp tsc-deadline xsave\n',
    stderr: '',
  });
  const { status, ...doc } = await answer(['baseline', 'old.json', '--check', 'saved.json']);
  assert.equal([status, doc.schema, doc.holds], [1, 'plimsoll.check/1', false]);
});

test('--with and --without ask what if', async () => {
  const all = await run(['baseline', 'old.json', 'new.ndjson', '--json']);
  assert.equal(await run(['baseline', 'new.ndjson', '--with', 'old.json', '--json']), all);
  assert.equal(
    await run(['baseline', 'old.json', 'new.ndjson', '--without', 'old-1', '--json']),
    await run(['baseline', 'new.ndjson', '--json']),
  );
  const refused = async (args: string[], sentence: string) =>
    assert.equal(await run(['baseline', 'old.json', ...args]), {
      status: 2,
      stdout: '',
      stderr: `error: ${sentence}\n`,
    });
  await refused(
    ['--without', 'old-2'],
    '--without "old-2" is none of the 1 hosts; did you mean "old-1"?',
  );
  await refused(['--without', 'old-1'], 'no hosts: --without takes away every one of them');
  await refused(
    ['--without', 'old-1', '--no-ids'],
    '--without needs the ids of the hosts; leave --no-ids out',
  );
});

test('--no-ids counts hosts and names none', async () => {
  const { stdout } = await run([
    'baseline',
    'old.json',
    'new.ndjson',
    'amd.json',
    '--json',
    '--no-ids',
  ]);
  assert.not.match(stdout, /old-1|new-1|new-2|amd-1/);
  const doc = JSON.parse(stdout);
  assert.equal([doc.hosts, doc.sides[1].count, doc.sides[1].hosts], [4, 3, []]);
  assert.match(
    (await run(['baseline', 'old.json', 'new.ndjson', '--no-ids'])).stdout,
    /\n {2}1 host {3}cost 6 /,
  );
});

test('a host that cannot be read stops the answer, unless told to go on', async () => {
  file('broken.ndjson', `${host('fine', OLD)}\n{"host":\n`);
  const sentence =
    'broken.ndjson:2:9: this is no JSON: it ends in the middle of a value, so it is cut short';
  assert.equal(await run(['baseline', 'old.json', 'broken.ndjson']), {
    status: 2,
    stdout: '',
    stderr: `error: ${sentence}\n`,
  });
  const { status, ...doc } = await answer([
    'baseline',
    'old.json',
    'broken.ndjson',
    '--skip-unreadable',
  ]);
  assert.equal(
    [status, doc.hosts, doc.skipped],
    [0, 2, [{ input: 'broken.ndjson', line: 2, reason: sentence }]],
  );
  assert.match(
    (await run(['baseline', 'old.json', 'broken.ndjson', '--skip-unreadable'])).stdout,
    /! 1 input could not be read and took no part:\n {4}broken\.ndjson:2:9: /,
  );
  const to = await run([
    'baseline',
    'old.json',
    'broken.ndjson',
    '--skip-unreadable',
    '--to',
    'qemu',
  ]);
  assert.is(to.stderr, `warning: skipped: ${sentence}\n`);
  assert.is(
    (
      await run([
        'baseline',
        'old.json',
        'broken.ndjson',
        '--skip-unreadable',
        '--to',
        'qemu',
        '--quiet',
      ])
    ).stderr,
    '',
  );
  file('hopeless.ndjson', '{"host":\n');
  assert.is((await run(['baseline', 'hopeless.ndjson', '--skip-unreadable'])).status, 2);
});

test('-o leaves the file as it was where there is no answer', async () => {
  file('kept.json', 'kept');
  assert.is((await run(['baseline', 'missing', '--json', '-o', 'kept.json'])).status, 2);
  assert.is(readFileSync(join(here, 'kept.json'), 'utf8'), 'kept');
});

test('compare says the verdict first, and why not', async () => {
  assert.equal(await run(['compare', 'new.ndjson', 'old.json']), {
    status: 2,
    stdout: '',
    stderr: 'error: new.ndjson describes 2 hosts; give one host first, then CPUs\n',
  });
  assert.equal(await run(['compare', 'old.json', 'old.json']), {
    status: 0,
    stdout: 'identical\n  old-1 identical: is just what old-1 has\n',
    stderr: '',
  });
  const worse = await run(['compare', 'old.json', 'new.ndjson', 'old.json']);
  assert.is(worse.status, 1);
  assert.is(worse.stdout.split(/\s/)[0], 'incompatible');
  assert.match(
    worse.stdout,
    /\n {2}new-1 incompatible: the host lacks aes, avx, pclmulqdq, rdtscp,\s+tsc-deadline, xsave\n/,
  );
  file('one.json', host('new-1', NEW));
  assert.match(
    (await run(['compare', 'one.json', 'old.json'])).stdout,
    /^superset\n {2}old-1 superset: runs on new-1, which has 6 features more\n$/,
  );
  const doc = await answer(['compare', 'one.json', 'old.json']);
  assert.equal(
    [doc.status, doc.schema, doc.verdict, doc.cpus[0].missing],
    [0, 'plimsoll.compare/1', 'superset', []],
  );
});

test('decode says what each description is', async () => {
  const doc = await answer(['decode', 'old.json', 'amd.json']);
  assert.equal(
    [doc.schema, doc.hosts.map((h: { host: string }) => h.host)],
    ['plimsoll.decode/1', ['amd-1', 'old-1']],
  );
  const [, intel] = doc.hosts;
  assert.equal(
    [intel.view, intel.vendor, intel.limits, intel.candidates[0].name],
    ['hypervisor', 'Intel', { physBits: 46 }, 'Nehalem-v1'],
  );
  assert.match(
    (await run(['decode', 'old.json', '--to', 'qemu'])).stdout,
    /^-cpu Nehalem-v1,enforce,/,
  );
  assert.match(
    (await run(['decode', 'old.json'])).stdout,
    /^old-1, what its hypervisor offers guests, Intel\n/,
  );
});

const huge = (open: string, close: string) => open.repeat(100_000) + close.repeat(100_000);
const letters = [...'bcdefghijklm'];
const BAD: readonly (readonly [name: string, content: string | Uint8Array, sentence: RegExp])[] = [
  ['empty.xml', '', /^empty\.xml is empty; give a host description or leave the file out$/],
  [
    'blank.json',
    ' \n\n',
    /^blank\.json is in no dialect that plimsoll recognises \(.*\); if it is one of these, say so with --from$/,
  ],
  ['text.txt', 'hello\n', /^text\.txt is in no dialect that plimsoll recognises /],
  [
    'binary.bin',
    Uint8Array.from({ length: 9999 }, (_, i) => i % 251),
    /^binary\.bin holds zero bytes, so it is no text or UTF-16; give text in UTF-8$/,
  ],
  [
    'utf16.json',
    Buffer.from(`\ufeff${host('a', OLD)}`, 'utf16le'),
    /^utf16\.json holds zero bytes, so it is no text or UTF-16; /,
  ],
  ['latin1.json', Buffer.from(host('k\u00f6ln', OLD), 'latin1'), /^latin1\.json:1: .*UTF-8/],
  [
    'latin1.xml',
    Buffer.from('<cpu><arch>x86_64</arch><model>K\u00f6ln</model></cpu>', 'latin1'),
    /^latin1\.xml:1: .*UTF-8/,
  ],
  ['cut.xml', '<cpu>\n<arch>x86_64</arch>\n<model>Pen', /^cut\.xml:3: .*cut short$/],
  ['cut.json', host('a', OLD).slice(0, -30), /^cut\.json:1:\d+: this is no JSON: .*cut short$/],
  [
    'bomb.xml',
    `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">${letters.map((c, i) => `<!ENTITY ${c} "${`&${'abcdefghijklm'[i]};`.repeat(10)}">`).join('')}]>\n<cpu><model>&m;</model></cpu>`,
    /^bomb\.xml:1: a DOCTYPE is not taken/,
  ],
  [
    'external.xml',
    '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>\n<cpu><model>&e;</model></cpu>',
    /^external\.xml:1: a DOCTYPE is not taken/,
  ],
  ['deep.xml', huge('<a>', '</a>'), /^deep\.xml:1: elements are nested more than \d+ deep/],
  ['deep-list.json', huge('[', ']'), /^deep-list\.json:1: /],
  [
    'deep-object.json',
    `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
    /^deep-object\.json:1: /,
  ],
  ['page.html', '<html><body>404 Not Found</body></html>', /^page\.html is XML without a CPU; /],
  [
    'shape.json',
    '{"features":"sse2"}',
    /^shape\.json:1: "features" is a string; it is a list of feature names$/,
  ],
  [
    'numbers.json',
    '[1,2]',
    /^numbers\.json:1: a host record is an object with "features", and this is the number 1$/,
  ],
  ['null.json', 'null', /^null\.json is in no dialect /],
  ['no-hosts.json', '[]', /^no-hosts\.json describes no CPU, although it looks like records$/],
  [
    'view.json',
    host('a', OLD, { view: 'sideways' }),
    /^view\.json:1: host "a": "view" is "sideways"; it is one of /,
  ],
  [
    'twice.ndjson',
    `${host('a', OLD)}\n${host('a', NEW)}\n`,
    /^host a is described twice in twice\.ndjson, and the two contradict each other about aes, avx, .*; keep the one that holds$/,
  ],
  [
    'names.json',
    host(
      'a',
      Array.from({ length: 5000 }, (_, i) => `f${i}`),
    ),
    /^5000 feature names are unknown to the catalog \(at most 4096 are taken\)/,
  ],
];
for (const [name, content, sentence] of BAD)
  test(`one sentence for ${name}`, async () => {
    file(name, content);
    const { status, stdout, stderr } = await run(['baseline', name]);
    assert.equal({ status, stdout }, { status: 2, stdout: '' });
    assert.match(stderr, /^error: [^\n]+\n$/);
    assert.match(stderr.slice('error: '.length, -1), sentence);
  });

test('says every problem, not only the first', async () => {
  mkdirSync(join(here, 'many'));
  file('many/a.json', 'nonsense');
  file('many/b.json', host('b', OLD));
  file('many/c.xml', '<cpu>');
  const { status, stdout, stderr } = await run(['baseline', 'many']);
  assert.equal({ status, stdout }, { status: 2, stdout: '' });
  assert.match(stderr, /^error: many\/a\.json is in no dialect .*\nerror: many\/c\.xml:1: .*\n$/);
});

test('a model that the catalog does not know is a finding that names host and model', async () => {
  file(
    'newer.xml',
    "<cpu><arch>x86_64</arch><vendor>Intel</vendor><model>QuartzLake</model><feature name='avx'/></cpu>",
  );
  const { status, findings } = await answer(['baseline', 'newer.xml']);
  assert.is(status, 0);
  const found = findings.filter((f: { message: string }) => /QuartzLake/.test(f.message));
  assert.equal([found.length, found[0].hosts], [1, ['newer']]);
});

test('nothing that an input holds drives the terminal', async () => {
  const text = JSON.stringify({ vendor: 'GenuineIntel', features: OLD, rack: '\u009b2J' });
  const name = file('a\u001b[2J.json', text);
  const asked: readonly (readonly [args: string[], shown: RegExp])[] = [
    [['baseline'], /baseline 'a\\u001b\[2J\.json' --to libvirt/],
    [['baseline', '--by', 'rack'], /\n {2}\\u009b2J +1 host /],
    [['decode'], /^a\\u001b\[2J, /],
    [['compare', 'old.json'], / a\\u001b\[2J /],
  ];
  for (const [args, shown] of asked) {
    const { stdout, stderr } = await run([...args, name]);
    assert.match(stdout, shown);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
    assert.not.match(stdout + stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  }
});

test.run();
