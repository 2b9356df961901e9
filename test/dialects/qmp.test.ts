// QMP replies: which describe a host and which a guest, in whatever surroundings they were recorded.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasBit } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import type { Description } from '../../src/cpu/description.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import { recogniseDialect } from '../../src/dialects/index.ts';
import { qmp } from '../../src/dialects/qemu/qmp.ts';
import { ROOT } from '../support/places.ts';

const test = suite('qmp');
const catalog = await loadCatalog();
const read = (text: string, name = 'db-07.qmp') =>
  qmp.read!({ name, bytes: new TextEncoder().encode(text) }, catalog) as Description[];
const one = (text: string): Description => {
  const all = read(text);
  assert.is(all.length, 1);
  return all[0]!;
};
const state = (d: Description, name: string): 'yes' | 'no' | 'unknown' => {
  const { id } = catalog.feature(name);
  if (!hasBit(d.known, id)) return 'unknown';
  return hasBit(d.has, id) ? 'yes' : 'no';
};
const states = (d: Description, names: string): string =>
  names
    .split(' ')
    .map((name) => `${name}=${state(d, name)}`)
    .join(' ');

const expansion = (name: string, props: object) =>
  JSON.stringify({ return: { model: { name, props } } });
const ask = (name: string, type = 'full') =>
  JSON.stringify({ execute: 'query-cpu-model-expansion', arguments: { type, model: { name } } });
const greeting = (minor: number) =>
  JSON.stringify({
    QMP: { version: { qemu: { micro: 1, minor, major: 9 }, package: '' }, capabilities: [] },
  });
const definition = (name: string, more: object) => ({
  name,
  typename: `${name}-x86_64-cpu`,
  static: false,
  'migration-safe': true,
  deprecated: false,
  ...more,
});
/** Every feature that QEMU names, off but for these. */
const props = (...on: string[]) =>
  Object.fromEntries(
    catalog.features.filter((f) => f.qemu).map((f) => [f.name, on.includes(f.name)]),
  );

test('true is there, false is absent, and what a short reply leaves out is unknown', () => {
  const d = one(
    expansion('host', {
      avx2: true,
      'sse4.1': true,
      sse4_1: true,
      vmx: false,
      'phys-bits': 46,
      family: 6,
      model: 85,
      stepping: 7,
      vendor: 'GenuineIntel',
      'model-id': 'x',
    }),
  );
  assert.equal(
    [d.view, d.vendor, d.limits.physBits, d.host, d.arch],
    ['hypervisor', 'Intel', 46, null, 'x86_64'],
  );
  assert.equal(d.signature, { family: 6, model: 85, stepping: 7 });
  assert.is(states(d, 'avx2 sse4.1 vmx aes'), 'avx2=yes sse4.1=yes vmx=no aes=unknown');
});

test('what a QEMU has no word for is unknown of its host, and nothing that its guests have', () => {
  const whole = props('avx2');
  delete whole['srso-no'];
  assert.is(
    states(one(expansion('host', whole)), 'avx2 srso-no kvmclock'),
    'avx2=yes srso-no=unknown kvmclock=no',
  );
  assert.is(
    states(one(expansion('EPYC', whole)), 'avx2 srso-no kvmclock'),
    'avx2=yes srso-no=no kvmclock=no',
  );
});

test('host expanded for what is there and for what can move is one host', () => {
  const moves = { ...props('avx2', 'kvmclock'), migratable: true };
  const full = { ...props('avx2', 'kvmclock', 'invtsc'), migratable: false };
  for (const text of [
    `${expansion('host', moves)}\n${expansion('host', full)}`,
    `${expansion('host', full)}\n${expansion('host', moves)}`,
  ]) {
    assert.is(states(one(text), 'avx2 invtsc ht aes'), 'avx2=yes invtsc=yes ht=no aes=no');
    // The same where QEMU prints no switch, as in static expansions.
    assert.is(
      states(one(text.replaceAll(/,"migratable":\w+/g, '')), 'avx2 invtsc'),
      'avx2=yes invtsc=yes',
    );
  }
  assert.is(
    states(one(expansion('host', moves)), 'avx2 invtsc ht topoext kvm-hint-dedicated aes'),
    'avx2=yes invtsc=unknown ht=unknown topoext=unknown kvm-hint-dedicated=unknown aes=no',
  );
});

/** What libvirt asks a QEMU when it first meets it: with KVM, then without. */
function probing(): string {
  const question = (model: object, type: string) =>
    JSON.stringify({ execute: 'query-cpu-model-expansion', arguments: { type, model } });
  const version = '{"return":{"qemu":{"micro":2,"minor":2,"major":8},"package":""}}';
  const process = (isKvm: boolean, name: string, words: readonly string[]) => [
    '{"execute":"qmp_capabilities","id":"libvirt-1"}',
    '{"return":{},"id":"libvirt-1"}',
    '{"execute":"query-version"}',
    version,
    '{"execute":"query-kvm"}',
    JSON.stringify({ return: { enabled: isKvm, present: true } }),
    ...[true, false].flatMap((migratable) => {
      const on = migratable ? words : [...words, 'invtsc'];
      return [
        question({ name, props: { migratable } }, 'static'),
        expansion('base', props(...on)),
        question({ name: 'base', props: props(...on) }, 'full'),
        expansion('base', { ...props(...on), 'phys-bits': 0 }),
      ];
    }),
    '{"execute":"query-cpu-definitions"}',
    JSON.stringify({ return: [definition('Westmere', { 'unavailable-features': [] })] }),
  ];
  return [...process(true, 'host', ['avx2', 'kvmclock']), ...process(false, 'max', ['aes'])].join(
    '\n',
  );
}

test('a log of libvirt that gets to know its QEMU is one host', () => {
  const d = one(probing());
  assert.equal([d.qemu, d.notes, [...d.models!]], ['8.2.2', [], [['Westmere', []]]]);
  assert.is(states(d, 'avx2 kvmclock invtsc'), 'avx2=yes kvmclock=yes invtsc=yes');
});

test('an expansion in which none of KVM’s own features is on is plain emulation', () => {
  const codes = (d: Description) => d.notes.map((n) => n.code);
  assert.equal(codes(one(expansion('host', props('avx2')))), ['emulated']);
  assert.equal(codes(one(expansion('host', props('avx2', 'kvmclock')))), []);
  assert.equal(codes(one(expansion('host', { avx2: true }))), []);
});

test('a usable model proves its features, but for what its QEMU denies by name', () => {
  const list = {
    return: [definition('Westmere', { 'unavailable-features': [], 'alias-of': 'Westmere-v2' })],
  };
  const d = one(`${JSON.stringify(list)}`);
  // Westmere-v2 is the one with IBRS.
  assert.is(states(d, 'aes spec-ctrl avx vmx'), 'aes=yes spec-ctrl=yes avx=unknown vmx=unknown');
  const e = one(`${expansion('host', { aes: false, kvmclock: true })}\n${JSON.stringify(list)}`);
  assert.is(states(e, 'aes spec-ctrl'), 'aes=no spec-ctrl=yes');
});

test('phys-bits 0 says nothing', () => {
  assert.is(one(expansion('host', { avx2: true, 'phys-bits': 0 })).limits.physBits, null);
});

test('switches of QEMU are no features; a name that nobody knows stays', () => {
  const d = one(
    expansion('host', {
      avx2: true,
      migratable: true,
      pmu: true,
      lmce: true,
      'host-phys-bits': true,
      'hv-relaxed': true,
      'x-migrate': true,
      zorble: true,
      frob: false,
      level: 13,
    }),
  );
  assert.equal(d.unnamed, ['zorble']);
});

test('host, max and base are what the hypervisor offers, another model is a guest', () => {
  assert.equal(
    ['host', 'max', 'base'].map((name) => one(expansion(name, { avx2: true })).view),
    ['hypervisor', 'hypervisor', 'hypervisor'],
  );
  const guest = one(expansion('Skylake-Server-v3', { avx2: true }));
  assert.equal([guest.view, guest.model], ['guest', { name: 'Skylake-Server-v3', known: true }]);
  // A static expansion is named base whatever was asked for; the question tells.
  const asked = one(`${ask('Zorble-v1', 'static')}\n${expansion('base', { avx2: true })}`);
  assert.equal([asked.view, asked.model], ['guest', { name: 'Zorble-v1', known: false }]);
  assert.is(
    one(`${ask('host', 'static')}\n${expansion('base', { avx2: true })}`).view,
    'hypervisor',
  );
});

test('a recorded session is one host: greeting, questions, events, both kinds of expansion, definitions', () => {
  const d = one(
    [
      '$ socat - UNIX:/run/vm.qmp',
      greeting(2),
      '{"execute":"qmp_capabilities"}',
      '{"return": {}}',
      ask('host', 'static'),
      '{"timestamp":{"seconds":1,"microseconds":2},"event":"RTC_CHANGE","data":{"offset":0}}',
      JSON.stringify(JSON.parse(expansion('base', { avx2: true, aes: false })), null, 2),
      ask('host'),
      expansion('host', { avx2: true, sse2: true, aes: false }),
      '{"execute":"query-cpu-definitions"}',
      JSON.stringify({
        return: [
          definition('Skylake-Server-v1', { 'unavailable-features': ['hle', 'rtm', 'hle'] }),
          definition('Broadwell-v1', { 'unavailable-features': [] }),
        ],
      }),
      '{"execute":"qom-get","arguments":{"path":"/machine","property":"type"}}',
      '{"return":"pc-q35-9.2-machine"}',
      '(QEMU) quit',
    ].join('\n'),
  );
  assert.equal([d.line, d.qemu, d.machine, d.view], [7, '9.2.1', 'pc-q35-9.2', 'hypervisor']);
  assert.is(states(d, 'avx2 sse2 aes'), 'avx2=yes sse2=yes aes=no');
  assert.equal(
    [...d.models!],
    [
      ['Skylake-Server-v1', ['hle', 'rtm']],
      ['Broadwell-v1', []],
    ],
  );
  assert.equal(d.notes, []);
});

test('another greeting begins another host, and so does the same question answered again', () => {
  const hosts = read(
    [
      greeting(0),
      expansion('host', { avx2: true }),
      greeting(1),
      expansion('host', { avx2: false }),
    ].join('\n'),
  );
  assert.equal(
    hosts.map((d) => [d.qemu, state(d, 'avx2')]),
    [
      ['9.0.1', 'yes'],
      ['9.1.1', 'no'],
    ],
  );
  assert.is(
    read(`${expansion('host', { avx2: true })}\n${expansion('host', { avx2: true })}`).length,
    2,
  );
  assert.is(
    read(
      [
        greeting(0),
        expansion('host', {}),
        ask('EPYC'),
        expansion('EPYC', {}),
        ask('Haswell'),
        expansion('Haswell', {}),
      ].join('\n'),
    ).length,
    3,
  );
});

test('a model is usable, blocked by features, or unusable for a reason that no feature explains', () => {
  const d = one(
    JSON.stringify({
      return: [
        definition('A', { 'unavailable-features': [] }),
        definition('B', { 'unavailable-features': ['sse4_1', 'sse4.1', 'zorble'] }),
        definition('C', { 'unavailable-features': ['type'] }),
        definition('D', { 'unavailable-features': [''] }),
        definition('E', {}),
      ],
    }),
  );
  assert.equal(
    [...d.models!],
    [
      ['A', []],
      ['B', ['sse4.1', 'zorble']],
      ['C', null],
      ['D', null],
      ['E', null],
    ],
  );
  assert.is(states(d, 'sse4.1 avx2'), 'sse4.1=no avx2=unknown');
  assert.equal(
    d.notes.map((n) => n.code),
    ['no-expansion'],
  );
});

test('reads replies by themselves, wrapped or not', () => {
  const model = { name: 'host', props: { avx2: true } };
  for (const text of [
    JSON.stringify({ return: { model }, id: 'libvirt-12' }),
    JSON.stringify({ model }, null, 2),
  ]) {
    assert.is(recogniseDialect(text)?.name, 'qmp', text);
    assert.is(state(one(text), 'avx2'), 'yes');
  }
  const bare = JSON.stringify([definition('A', { 'unavailable-features': [] })]);
  assert.is(recogniseDialect(bare)?.name, 'qmp');
  assert.is(one(bare).models!.size, 1);
});

test('says that QEMU ran without KVM', () => {
  const emulated = `{"return": {"enabled": false, "present": true}}\n${expansion('max', { avx2: true })}`;
  assert.equal(
    one(emulated).notes.map((n) => n.code),
    ['emulated'],
  );
});

test('says in one sentence what is wrong', () => {
  const table: [string, string, RegExp][] = [
    [
      'cut short',
      expansion('host', { avx2: true }).slice(0, -3),
      /^db-07\.qmp:1: the reply that begins here does not end; the file is cut short$/,
    ],
    [
      'an error',
      `${ask('zorble')}\n{"error": {"class": "GenericError", "desc": "The CPU type 'zorble' is not a known CPU type"}}`,
      /^db-07\.qmp:2: QEMU answered to query-cpu-model-expansion with an error: "The CPU type 'zorble'/,
    ],
    ['no answer', '{"return": {}}', /^db-07\.qmp has no answer to query-cpu-model-expansion/],
    [
      'a feature that is no boolean',
      expansion('host', { avx2: 'on' }),
      /^db-07\.qmp:1: "avx2" is a string; QEMU answers true or false/,
    ],
    [
      'two spellings that differ',
      expansion('host', { 'sse4.1': true, sse4_1: false }),
      /:1: sse4\.1 is both true and false under different spellings/,
    ],
    [
      'two answers that differ',
      `${expansion('base', { avx2: true })}\n${expansion('host', { avx2: false })}`,
      /:2: two expansions of one session contradict each other about avx2/,
    ],
    [
      'bad JSON',
      '{"return": {"model": {"name": "host", "props": {"avx2": maybe}}}}',
      /^db-07\.qmp:1:\d+: this is no JSON/,
    ],
  ];
  for (const [what, text, expected] of table) {
    try {
      read(text);
      assert.unreachable(what);
    } catch (error) {
      assert.instance(error, QueryError, `${what}: ${(error as Error).message}`);
      assert.match((error as Error).message, expected, what);
      assert.not.match((error as Error).message, /\n/);
    }
  }
});

test('reads a whole session of QEMU 7.2', () => {
  const bytes = readFileSync(join(ROOT, 'test/fixtures/qemu-7.2-tcg.qmp'));
  assert.is(recogniseDialect(bytes.toString())?.name, 'qmp');
  const d = one(bytes.toString());
  assert.equal(
    [d.qemu, d.machine, d.view, d.vendor],
    ['7.2.22', 'pc-q35-7.2', 'hypervisor', 'AMD'],
  );
  assert.equal(d.unnamed, []);
  assert.is(
    states(d, 'avx2 avx512f svm srso-no kvmclock'),
    'avx2=yes avx512f=no svm=yes srso-no=unknown kvmclock=no',
  );
  assert.equal(d.models!.get('Haswell-v4'), [
    'pcid',
    'x2apic',
    'tsc-deadline',
    'invpcid',
    'spec-ctrl',
  ]);
  assert.is(d.models!.get('host'), null);
  assert.equal(
    d.notes.map((n) => n.code),
    ['emulated'],
  );
  // QEMU's own lists, read in the plainest way.
  const lines = bytes
    .toString()
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l));
  const full = lines.find((l) => l.return?.model?.name === 'max').return.model.props;
  for (const f of catalog.features)
    if (f.name in full) {
      // It was not asked for what cannot migrate.
      const off = hasBit(catalog.migratableSilent, f.id) ? 'unknown' : 'no';
      assert.is(state(d, f.name), full[f.name] ? 'yes' : off, f.name);
    }
});

test.run();
