// Names that come from outside, and that every object of the language answers to.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runIn } from '../support/command.ts';
import { evenly } from '../support/property.ts';
import { SAMPLES } from '../support/samples.ts';

const test = suite('names that objects have');
const dir = mkdtempSync(join(tmpdir(), 'plimsoll-object-names-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

const FEATURES = ['lm', 'sse2', 'cx16', 'avx', 'xsave', 'aes'];
const host = (name: string, rest: object = {}) => ({
  host: name,
  vendor: 'GenuineIntel',
  features: FEATURES,
  ...rest,
});
const lines = (records: readonly object[]) => records.map((r) => JSON.stringify(r)).join('\n');
writeFileSync(join(dir, 'fleet.ndjson'), lines([host('a'), host('b', { rack: 'r1' })]));
const ask = (argv: readonly string[], stdin = '') => runIn({ cwd: dir, stdin }, argv);

/** Which names all objects have; `__proto__` is more than a name to some. */
const NAMES = ['constructor', '__proto__', 'toString'];
/** A name that nothing has, of the same length and next in order, so that text is laid out alike. */
const unknown = (name: string) => name.replace(/(?<=[a-z_])[a-z]/gi, 'q');
/** QEMU takes _ for -, and features are written small. */
const spellings = (name: string) => [name, name.replaceAll('_', '-'), name.toLowerCase()];

/** Asks with the name and with one that nothing has: but for the name, the answers are the same. */
async function asAnyOther(name: string, asked: (name: string) => ReturnType<typeof ask>) {
  const [found, expected] = [await asked(name), await asked(unknown(name))];
  const [names, others] = [spellings(name), spellings(unknown(name))];
  const shown = (answer: object) =>
    [...names, ...others].reduce((text, n) => text.replaceAll(n, 'NAME'), JSON.stringify(answer));
  assert.is(shown(found), shown(expected));
  assert.not.match(found.stderr, /this is a bug/);
}

const F = 'fleet.ndjson';
const OPTIONS: readonly ((name: string) => string[])[] = [
  (n) => [n],
  (n) => ['baseline', F, '--by', n],
  (n) => ['baseline', F, '--to', n],
  (n) => ['baseline', F, '--from', n],
  (n) => ['baseline', F, '--stack', `${n}@1`],
  (n) => ['baseline', F, '--models', n],
  (n) => ['baseline', F, '--rules', 'libvirt', '--models', n],
  (n) => ['baseline', F, '--without', n],
  (n) => ['baseline', F, '--with', n],
  (n) => ['baseline', F, `--${n}`],
  (n) => ['blame', F, '--want', n],
  (n) => ['groups', '-k', '2', F, '--keep-together', n],
  (n) => ['groups', '-k', '2', F, '--weigh', `${n}=2`],
  (n) => ['place', F, '--cpu', `Nehalem,+${n}`],
  (n) => ['place', F, '--cpu', n, '--json'],
  (n) => ['place', F, '--cpu', 'Nehalem', '--machine', n],
  (n) => ['place', F, '--cpu', 'Nehalem', '--drain', n],
  (n) => ['pin', '--machine', 'q35', '--cpu', n],
  (n) => ['pin', '--machine', n, '--cpu', 'Nehalem'],
  (n) => ['pin', '--machine', 'q35', '--cpu', `Nehalem,${n}=1`],
  (n) => ['pin', '--machine', 'q35', '--cpu', 'Nehalem', '--to', n],
  (n) => ['pin', '--machine', 'q35', '--cpu', 'Nehalem', '--qemu', n],
  (n) => ['drift', F, '--cpu', 'Nehalem', '--machine', n, '--to-machine', 'q35'],
  (n) => ['drift', F, '--cpu', 'Nehalem', '--machine', 'q35', '--to-machine', n],
  (n) => ['decode', F, '--to', n],
  (n) => ['summarize', F, '--to', n],
  (n) => ['synth', '--hosts', '1', '--vendor', n],
  (n) => ['collect', n],
  (n) => ['explain', `unknown CPU model ${n}`],
  (n) => ['explain', `missing features: ${n}`],
  ...['models', 'features', 'machines', 'names'].map((c) => (n: string) => [c, n]),
];

test('a name on the command line means nothing because objects have it', async () => {
  for (const option of OPTIONS)
    for (const name of NAMES) await asAnyOther(name, (n) => ask(option(n)));
});

test('a host may use it as a key, a feature or a model, as any other name', async () => {
  // JSON has own members of every name; a literal of the language would not.
  const record = (n: string, id: string, racks: string) =>
    `{"host":"${id}","vendor":"GenuineIntel","features":${JSON.stringify([...FEATURES, n])},"models":{"Nehalem":["${n}"],"${n}":[]},${racks}"rack":"r"}`;
  const fleet = (n: string) =>
    [record(n, 'a', `"${n}":"one",`), record(n, 'b', `"${n}":"two",`), record(n, 'c', '')].join(
      '\n',
    );
  for (const name of NAMES) {
    for (const question of [
      ['baseline', '--json', '--by'],
      ['groups', '--json', '-k', '2', '--keep-together'],
      ['groups', '-k', '1', '--keep-together'],
    ]) {
      await asAnyOther(name, (n) => ask([...question, n, '-'], fleet(n)));
      const array = await ask([...question, name, '-'], `[${fleet(name).replaceAll('\n', ',')}]`);
      assert.equal(array, await ask([...question, name, '-'], fleet(name)));
    }
    const summary = await ask(['summarize', '--keep', name, '-'], fleet(name));
    const direct = await ask(['baseline', '--json', '--by', name, '-'], fleet(name));
    const summed = await ask(['baseline', '--json', '--by', name, '-'], summary.stdout);
    const values = (text: string) =>
      JSON.parse(text).baselines.map((b: { value: unknown }) => b.value);
    assert.equal(values(direct.stdout), ['one', 'two', null]);
    assert.equal(values(summed.stdout), ['one', 'two', null]);
    await asAnyOther(name, (n) => ask(['decode', '--json', '-'], fleet(n)));
  }
});

/** A name that nothing has but the prototype of all objects, which tells who asks it. */
const TRAP = 'inherited';

/** Where code looked that name up, or set it, in an object that has it from its prototype. */
async function lookedUp(work: () => Promise<unknown>): Promise<string[]> {
  const places: string[] = [];
  const tell = () => {
    places.push(new Error(TRAP).stack!.split('\n').slice(2, 6).join('\n'));
    return undefined;
  };
  Object.defineProperty(Object.prototype, TRAP, { get: tell, set: tell, configurable: true });
  try {
    await work();
  } finally {
    delete (Object.prototype as { [TRAP]?: unknown })[TRAP];
  }
  return places;
}

/** Documents beside the samples whose readers look many words up. */
const MORE: readonly (readonly [dialect: string, text: string])[] = [
  [
    'records',
    JSON.stringify({
      ...host('a', { arch: 'x86_64', view: 'hypervisor', unknown: ['fb-clear'], absent: ['nx'] }),
      limits: { physBits: 46 },
      signature: { family: 6, model: 85, stepping: 7 },
      xsave: [{ component: 2, size: 256, offset: 576 }],
      models: { EPYC: [], 'Haswell-noTSX': ['hle'] },
      tsc: { hz: 2_100_000_000, scaling: false },
      software: { qemu: '10.0.2', libvirt: '11.3.0', kernel: '6.12.9' },
      machines: ['pc-q35-10.0'],
      virttype: 'kvm',
      processor: 'Intel(R) Xeon(R) Gold 6230',
    }),
  ],
  [
    'records',
    '{"host":"b","arch":"aarch64","midr":"0x411fd401","registers":{"ID_AA64PFR0_EL1":"0x11"},"features":["fp"],"sve":[128]}',
  ],
  ['records', '{"host":"c","arch":"s390x","features":["vx"],"models":{"z14":[],"gen15a":["x"]}}'],
  [
    'libvirt',
    "<domain type='kvm'><name>web</name><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><cpu mode='custom' match='exact' check='partial'><model fallback='forbid'>Haswell-noTSX</model><vendor>Intel</vendor><feature policy='require' name='ssbd'/><topology sockets='1' cores='2' threads='1'/><maxphysaddr mode='emulate' bits='40'/></cpu><clock><timer name='tsc' frequency='2100000000'/></clock></domain>",
  ],
  [
    'libvirt',
    "<domainCapabilities><domain>kvm</domain><machine>pc-q35-7.2</machine><arch>x86_64</arch><cpu><mode name='host-model' supported='yes'><model fallback='forbid'>Nehalem</model><vendor>Intel</vendor><feature policy='require' name='ssbd'/></mode><mode name='custom' supported='yes'><model usable='yes'>Nehalem</model><blockers model='Haswell'><feature name='hle'/></blockers><model usable='no'>Haswell</model></mode></cpu></domainCapabilities>",
  ],
  [
    'qmp',
    '{"QMP":{"version":{"qemu":{"micro":0,"minor":0,"major":10}}}}\n{"execute":"query-cpu-model-expansion","arguments":{"type":"full","model":{"name":"host"}}}\n{"return":{"model":{"name":"base","props":{"vendor":"GenuineIntel","family":6,"lm":true,"sse2":true,"kvmclock":true}}}}\n',
  ],
  ['cpuinfo', 'processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n'],
];

test('no word of any document is looked up where all objects answer', async () => {
  const documents = [...SAMPLES.map(([dialect, , text]) => [dialect, text] as const), ...MORE];
  const asked = documents.flatMap(([dialect, text]) =>
    [...new Set(text.match(/[a-z_][\w.-]*/gi))].map((word) => ({ dialect, text, word })),
  );
  for (const { dialect, text, word } of evenly(asked, 400)) {
    const changed = text.replaceAll(word, TRAP);
    const places = await lookedUp(() => ask(['decode', '--from', dialect, '-'], changed));
    assert.equal(places, [], `${dialect}: ${word}`);
  }
});

test('the trap tells of a look-up', async () => {
  const table: Record<string, string> = {};
  const places = await lookedUp(async () => table[TRAP]);
  assert.is(places.length, 1);
});

test.run();
