// What changes for guests, and where it strands them: held against expansions and against Sets.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { newestSoftware, startOfAsked } from '../src/cpu/asked.ts';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { machinesOf } from '../src/cpu/machine.ts';
import { expandCpu } from '../src/cpu/start.ts';
import { readDescriptions, readFleet } from '../src/dialects/read.ts';
import type { Fleet } from '../src/fleet/fleet.ts';
import { drift as driftWith, strands } from '../src/solve/drift.ts';
import { matrix } from '../src/solve/matrix.ts';
import { assertProperty } from './support/property.ts';
import { random } from './support/random.ts';

const catalog = await loadCatalog();
const test = suite('drift');

type Where = { machine: string; qemu: string; accelerator: 'kvm' | 'tcg' };
type Side = Where & { readonly cpu: string };
interface Change {
  readonly guest: string;
  readonly from: Side;
  readonly to: Side;
}
const move = (
  guest: string,
  cpu: string,
  from: Where,
  to: Partial<Where> & { cpu?: string },
): Change => ({ guest, from: { cpu, ...from }, to: { cpu, ...from, ...to } });

/** All of them on one QEMU before the change, and on one after it. */
const drift = (_: typeof catalog, moves: readonly Change[], fleet: Fleet | null, skip = false) => {
  const asked = ({ cpu, machine, accelerator }: Side) =>
    ({ by: 'qemu', cpu, machine, accelerator }) as const;
  return driftWith(
    catalog,
    moves.map(({ guest, from, to }) => ({ guest, from: asked(from), to: asked(to) })),
    fleet,
    { from: { qemu: moves[0]!.from.qemu }, to: { qemu: moves[0]!.to.qemu }, skipUnreadable: skip },
  );
};
const old: Where = { machine: 'pc-q35-3.1', qemu: '10.0', accelerator: 'kvm' };
const bytes = (text: string) => new TextEncoder().encode(text);
const fleetOf = (
  hosts: readonly {
    host: string;
    features: readonly string[];
    unknown?: readonly string[];
    vendor?: string | undefined;
  }[],
) =>
  readFleet(catalog, [
    {
      name: 'hosts.ndjson',
      bytes: bytes(hosts.map((h) => JSON.stringify({ vendor: 'AMD', ...h })).join('\n')),
    },
  ]);
const namesOf = (cpu: string, where: Where) =>
  catalog.names(expandCpu(catalog, cpu, where).features);

test('a newer machine type brings npt and nrip-save to EPYC with svm, and nothing to one without', () => {
  const moves = [
    move('with', 'EPYC,+svm', old, { machine: 'pc-q35-9.2' }),
    move('without', 'EPYC', old, { machine: 'pc-q35-9.2' }),
  ];
  const { guests, machine, toMachine } = drift(catalog, moves, null);
  assert.equal([machine, toMachine], ['pc-q35-3.1', 'pc-q35-9.2']);
  assert.equal(
    guests.map((g) => [g.guest, g.added, g.removed, g.keep, g.take]),
    [
      [
        'with',
        ['npt', 'nrip-save'],
        [],
        'EPYC,+svm,npt=off,nrip-save=off',
        'EPYC,+svm,npt=on,nrip-save=on',
      ],
      ['without', [], [], null, null],
    ],
  );
  assert.is('runnable' in guests[0]!, false);
});

test('a host that lists the model as blocked runs it on no machine type, unless what blocks is off', async () => {
  const features = namesOf('EPYC', { ...old, machine: 'pc-q35-9.2' });
  const capabilities = (custom: string) =>
    bytes(`<domainCapabilities><domain>kvm</domain><machine>pc-q35-9.2</machine><arch>x86_64</arch>
<cpu><mode name='host-model' supported='yes'><model fallback='forbid'>EPYC</model><vendor>AMD</vendor>
<feature policy='require' name='x2apic'/></mode><mode name='custom' supported='yes'>${custom}</mode></cpu>
</domainCapabilities>`);
  const no = `<model usable='no' vendor='AMD'>EPYC</model><blockers model='EPYC'><feature name='sha-ni'/></blockers>`;
  const fleet = await readFleet(catalog, [
    { name: 'lists-it', bytes: capabilities(`<model usable='yes'>EPYC</model>`) },
    { name: 'blocks-it', bytes: capabilities(no) },
    { name: 'no-list', bytes: bytes(JSON.stringify({ vendor: 'AMD', features })) },
  ]);
  const ask = (cpu: string) => {
    const moves = [move('g', cpu, { ...old, machine: 'pc-q35-9.1' }, { machine: 'pc-q35-9.2' })];
    const [g] = drift(catalog, moves, fleet).guests;
    return [g!.runnable!.before, g!.runnable!.after, g!.stranded!.count];
  };
  assert.equal(ask('EPYC'), [2, 2, 0]);
  assert.equal(ask('EPYC,sha-ni=off'), [3, 3, 0]);
});

test('hosts that lack what is new are stranded; of one that cannot tell, that is not known', async () => {
  const all = namesOf('EPYC,+svm', { ...old, machine: 'pc-q35-9.2' });
  const fleet = await fleetOf([
    { host: 'full', features: all },
    { host: 'no-npt', features: all.filter((f) => f !== 'npt') },
    { host: 'cannot-tell', features: all.filter((f) => f !== 'npt'), unknown: ['npt'] },
    { host: 'never-ran', features: all.filter((f) => f !== 'avx2') },
  ]);
  const answer = drift(catalog, [move('g', 'EPYC,+svm', old, { machine: 'pc-q35-9.2' })], fleet);
  const [g] = answer.guests;
  assert.equal(g!.runnable, { before: 3, after: 1, of: 4 });
  assert.equal(g!.stranded, { count: 1, hosts: ['no-npt'] });
  assert.equal(g!.unknown, { count: 1, hosts: ['cannot-tell'] });
  assert.is(strands(answer), true);
  // Only what strands is kept back.
  assert.is(g!.keep, 'EPYC,+svm,npt=off');
  const kept = drift(
    catalog,
    [move('g', 'EPYC,+svm', old, { machine: 'pc-q35-9.2', cpu: g!.keep! })],
    fleet,
  );
  assert.is(strands(kept), false);
});

test('runnable and the same CPU are two questions', async () => {
  const fleet = await fleetOf([{ host: 'a', features: namesOf('EPYC', old) }]);
  const [g] = drift(catalog, [move('g', 'EPYC', old, { machine: 'pc-q35-2.7' })], fleet).guests;
  assert.equal([g!.abiEqual, g!.added, g!.stranded!.count], [false, [], 0]);
  assert.ok(g!.properties.some((p) => p.name === 'l3-cache' && p.from === true && p.to === false));
});

test('another QEMU on the same machine type gives the same CPU, but for microvm', () => {
  for (const m of machinesOf(catalog, '7.2').filter((x) =>
    catalog.machines[x.index]!.qemu.includes('10.0'),
  )) {
    const there = { machine: m.name, qemu: '7.2', accelerator: 'kvm' } as const;
    for (const model of ['Haswell', 'EPYC', 'Skylake-Server-v4', 'qemu64']) {
      const [g] = drift(catalog, [move('g', model, there, { qemu: '10.0' })], null).guests;
      const isSame = !(m.name === 'microvm' && model === 'EPYC');
      if (m.name.startsWith('pc-'))
        assert.is(g!.abiEqual, isSame, `${model} on ${m.name}: ${JSON.stringify(g)}`);
      else assert.equal(g!.added.length > 0, !isSame && g!.added.length > 0);
    }
  }
});

test('a newer version of a model is told as what it mends and what it costs', () => {
  const q35 = { machine: 'pc-q35-10.0', qemu: '10.0', accelerator: 'kvm' } as const;
  const { findings, guests } = drift(
    catalog,
    [move('g', 'Skylake-Server', q35, { cpu: 'Skylake-Server-v3' })],
    null,
  );
  assert.equal(
    findings.map((f) => [f.code, f.guests]),
    [
      ['security-fix', ['g']],
      ['tsx-off', ['g']],
    ],
  );
  assert.match(findings[0]!.message, /brings spec-ctrl/);
  assert.equal(guests[0]!.removed, ['clflushopt', 'hle', 'rtm']);
});

test('keep asks for nothing new, take for all of it and nothing else, whatever the guest', () => {
  const machines = machinesOf(catalog, '10.0').map((m) => m.name);
  const features = catalog.features.filter((f) => f.qemu !== null).map((f) => f.name);
  const models = [...catalog.qemuModels.values()].filter(
    (m) => m.kind !== 'special' && catalog.hasQemuModel(m.name, '10.0'),
  );
  const item = fc
    .tuple(fc.constantFrom('+', '-', ''), fc.constantFrom(...features))
    .map(([sign, f]) => (sign ? sign + f : `${f}=on`));
  assertProperty(
    fc.property(
      fc.constantFrom(...models.map((m) => m.name)),
      fc.array(item, { maxLength: 4 }),
      fc.constantFrom(...machines),
      fc.constantFrom(...machines),
      fc.constantFrom('kvm', 'tcg') as fc.Arbitrary<'kvm' | 'tcg'>,
      (model, items, from, to, accelerator) => {
        const cpu = [model, ...items].join(',');
        const here = { machine: from, qemu: '10.0', accelerator };
        const there = { ...here, machine: to };
        const [g] = drift(catalog, [move('g', cpu, here, { machine: to })], null).guests;
        const [before, after] = [new Set(namesOf(cpu, here)), new Set(namesOf(cpu, there))];
        assert.equal(
          g!.added,
          [...after].filter((f) => !before.has(f)),
        );
        assert.equal(
          g!.removed,
          [...before].filter((f) => !after.has(f)),
        );
        if (g!.keep !== null)
          for (const f of namesOf(g!.keep, there))
            assert.ok(before.has(f), `${g!.keep} brings ${f}`);
        if (g!.take !== null) {
          const taken = new Set(namesOf(g!.take, here));
          assert.equal(
            [...taken].filter((f) => !before.has(f)),
            g!.added,
          );
          assert.equal(
            [...before].filter((f) => !taken.has(f)),
            [],
          );
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('the matrix has each machine type once, the own one first, and says what differs', () => {
  const rows = matrix(catalog, 'EPYC', { ...old, accelerator: 'tcg' });
  const all = rows.flatMap((r) => r.machines);
  assert.is(all[0], 'pc-q35-3.1');
  assert.equal(
    [...all].sort(),
    machinesOf(catalog, '10.0')
      .map((m) => m.name)
      .sort(),
  );
  const row = (machine: string) => rows.find((r) => r.machines.includes(machine))!;
  assert.equal(row('pc-q35-9.2').added, ['npt', 'nrip-save']);
  assert.equal(row('pc-q35-2.12').removed, ['topoext']);
  assert.ok(
    row('microvm').properties.some((p) => p.name === 'cache' && p.to === 'epyc_v4_cache_info'),
  );
});

const domain = (cpu: string, machine = " machine='pc-q35-3.1'", type = 'kvm') =>
  `<domain type='${type}'><name>web</name><os><type arch='x86_64'${machine}>hvm</type></os>${cpu}</domain>`;
const read = async (xml: string, libvirt = '12.8') => {
  const input = { name: 'vm.xml', bytes: bytes(xml) };
  const { read: found } = await readDescriptions(catalog, [input], { takes: 'guests' });
  const { asked } = found[0]!.description;
  return startOfAsked(catalog, asked!, { ...newestSoftware(catalog), libvirt });
};

test('a domain is read as the -cpu argument that libvirt makes of it', async () => {
  const guest = await read(
    domain(
      `<cpu mode='custom' match='exact'><model>Skylake-Server</model><maxphysaddr mode='emulate' bits='42'/><feature policy='require' name='pclmuldq'/><feature policy='disable' name='avx'/></cpu>`,
    ),
  );
  assert.is(guest.cpu, 'Skylake-Server,avx=off,mpx=off,pclmulqdq=on,phys-bits=42');
  assert.equal([guest.machine, guest.accelerator], ['pc-q35-3.1', 'kvm']);
  // libvirt 9.0 had mpx in the model.
  const older = await read(domain(`<cpu><model>Skylake-Server</model></cpu>`), '9.0');
  assert.is(older.cpu, 'Skylake-Server');
  const none = await read(domain('', undefined, 'qemu'));
  assert.equal([none.cpu, none.accelerator], ['qemu64', 'tcg']);
  // Without a machine type it is the newest.
  assert.is((await read(domain(`<cpu><model>EPYC</model></cpu>`, ''))).machine, 'q35');
});

test('a guest that QEMU would refuse is named; with leave to skip it, the others are answered', () => {
  const moves = [
    move('good', 'EPYC', old, { machine: 'pc-q35-9.2' }),
    move('bad', 'NoSuch', old, { machine: 'pc-q35-9.2' }),
  ];
  assert.throws(
    () => drift(catalog, moves, null),
    /^guest bad: QEMU 10.0 has no CPU model "NoSuch"/,
  );
  const answer = drift(catalog, moves, null, true);
  assert.equal([answer.guests.length, answer.skipped!.map((s) => s.input)], [1, ['bad']]);
});

test('100,000 guests on 1,000 hosts, in seconds', async () => {
  const next = random(20150623);
  const models = [
    'EPYC,+svm',
    'Haswell',
    'Skylake-Server',
    'Broadwell',
    'qemu64',
    'Cascadelake-Server',
  ];
  const extras = catalog.features
    .filter((f) => f.qemu === '7.2' && f.needs.length === 0)
    .map((f) => f.name);
  const extra = () => extras[Math.floor(next() * 30)]!;
  const moves = Array.from({ length: 100_000 }, (_, i) =>
    move(
      `g${i}`,
      `${models[Math.floor(next() * models.length)]},${extra()}=on,${extra()}=off`,
      old,
      { machine: 'pc-q35-9.2' },
    ),
  );
  const names = catalog.features.filter((f) => f.qemu !== null).map((f) => f.name);
  const fleet = await fleetOf(
    Array.from({ length: 1000 }, (_, i) => ({
      host: `h${i}`,
      vendor: undefined,
      features: names.filter(() => next() > 0.002),
    })),
  );
  const begin = performance.now();
  const answer = drift(catalog, moves, fleet);
  const seconds = (performance.now() - begin) / 1000;
  console.log(`drift: 100,000 guests on 1,000 hosts in ${seconds.toFixed(1)} s`);
  assert.is(answer.guests.length, 100_000);
  // One guest in a thousand, by Sets.
  const hosts = fleet.members.map((m) => new Set(fleet.names(fleet.has(m.class))));
  const ignored = new Set(
    catalog.features.filter((f) => f.merge === 'never' || f.merge === 'equal').map((f) => f.name),
  );
  const byName = new Map(answer.guests.map((g) => [g.guest, g]));
  for (let i = 0; i < moves.length; i += 1000) {
    const { from, to, guest } = moves[i]!;
    const needs = (w: Where & { cpu: string }) => namesOf(w.cpu, w).filter((f) => !ignored.has(f));
    const runs = (features: string[]) =>
      hosts.filter((has) => features.every((f) => has.has(f))).length;
    const { before, after } = byName.get(guest)!.runnable!;
    assert.equal([before, after], [runs(needs(from)), runs(needs(to))], guest);
  }
  assert.ok(seconds < 60);
});

test.run();
