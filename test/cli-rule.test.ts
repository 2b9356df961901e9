// One answer to one question: what place, compare, drift and admit say of the same guest on the same host, by the command.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runIn } from './support/command.ts';

const here = mkdtempSync(join(tmpdir(), 'plimsoll-cli-rule-'));
const test = suite('one rule, by the command');
test.after(() => rmSync(here, { recursive: true }));

const run = (...args: string[]) => runIn({ cwd: here }, args);
async function json(...args: string[]) {
  const { status, stdout, stderr } = await run(...args, '--json');
  assert.ok(stdout !== '', `${args.join(' ')}: ${stderr}`);
  return { status, ...JSON.parse(stdout) };
}
const write = (name: string, text: string): string => {
  writeFileSync(join(here, name), text);
  return name;
};

/** What a guest of this definition has, under QEMU 10.0. */
const featuresOf = async (cpu: string): Promise<string[]> =>
  (await json('pin', '--cpu', cpu, '--machine', 'pc-q35-10.0')).features;
const CASCADELAKE = await featuresOf('Cascadelake-Server-v4');

interface HostRecord {
  readonly host?: string;
  readonly vendor?: string;
  readonly features?: readonly string[];
  readonly [key: string]: unknown;
}
const host = ({ host = 'h', vendor = 'Intel', features = CASCADELAKE, ...more }: HostRecord = {}) =>
  JSON.stringify({
    host,
    vendor,
    view: 'hypervisor',
    features,
    limits: { physBits: 46 },
    software: { qemu: '10.0.2', libvirt: '11.3.0' },
    ...more,
  });
const hosts = (name: string, ...records: string[]) => write(name, `${records.join('\n')}\n`);

const domain = (cpu: string, machine = 'pc-q35-8.2', more = '') =>
  `<domain type='kvm'><name>g</name><os><type arch='x86_64' machine='${machine}'>hvm</type></os>${cpu}${more}</domain>\n`;
const named = (model: string, features = '', attributes = `match='exact' check='partial'`) =>
  domain(`<cpu mode='custom' ${attributes}><model>${model}</model>${features}</cpu>`);
const without = (...names: string[]) => CASCADELAKE.filter((f) => !names.includes(f));

const machineOf = (guest: string): string => /pc-q35-[\d.]+/.exec(guest)![0];

type Verdict = 'runs' | 'own-cpu' | 'unknown' | 'none';
const STATUS = { runs: 0, 'own-cpu': 0, unknown: 2, none: 1 };
const COMPARED: Record<Verdict, readonly string[]> = {
  runs: ['identical', 'superset'],
  'own-cpu': ['own-cpu'],
  unknown: ['unknown'],
  none: ['incompatible'],
};

interface Case {
  readonly name: string;
  readonly host?: HostRecord;
  readonly guest: string;
  readonly is: Verdict;
  /** What the screen of place says of it. */
  readonly says?: RegExp;
}

const CASES: readonly Case[] = [
  { name: 'all is there', guest: named('Cascadelake-Server-noTSX'), is: 'runs' },
  {
    name: 'a libvirt model means what its QEMU makes of it',
    host: { features: without('pku'), models: { 'Cascadelake-Server-noTSX': ['pku'] } },
    guest: named('Cascadelake-Server-noTSX'),
    is: 'none',
    says: /\bpku\b/,
  },
  {
    name: 'a model that is not usable, with all of its features there',
    host: { models: { 'Cascadelake-Server-noTSX': ['avx512f'] } },
    guest: named('Cascadelake-Server-noTSX'),
    is: 'none',
    says: /avx512f\b/,
  },
  {
    name: 'a forbidden feature that the host has',
    guest: named('Cascadelake-Server-noTSX', `<feature policy='forbid' name='avx512vnni'/>`),
    is: 'none',
    says: /avx512vnni/,
  },
  {
    name: 'a forbidden feature that the hypervisor does not offer, and the processor may have',
    guest: named('Cascadelake-Server-noTSX', `<feature policy='forbid' name='amx-tile'/>`),
    is: 'unknown',
    says: /forbids amx-tile/,
  },
  {
    name: 'a disabled feature that the host has',
    guest: named('Cascadelake-Server-noTSX', `<feature policy='disable' name='avx512vnni'/>`),
    is: 'runs',
  },
  {
    name: 'strict, on a host with more, as libvirt 9.0 has it',
    host: { software: { qemu: '7.2.0', libvirt: '9.0.0' } },
    guest: named('Westmere', '', `match='strict' check='partial'`).replace('8.2', '7.2'),
    is: 'none',
    says: /strict/,
  },
  {
    name: 'strict, on a host with more, as libvirt 11.3 has it',
    guest: named('Westmere', '', `match='strict' check='partial'`),
    is: 'runs',
  },
  {
    name: 'the other vendor asked for',
    guest: named('Cascadelake-Server-noTSX').replace('</model>', '</model><vendor>AMD</vendor>'),
    is: 'none',
    says: /AMD/,
  },
  {
    name: 'check full, and a list that is not whole',
    guest: named('Cascadelake-Server-noTSX', '', `match='exact' check='full'`),
    is: 'none',
    says: /extra features/,
  },
  {
    name: 'a word that this libvirt does not know',
    guest: named('Cascadelake-Server-noTSX', `<feature policy='disable' name='nosuch'/>`),
    is: 'none',
    says: /nosuch/,
  },
  {
    name: 'a clock that the host has, within 250 ppm',
    host: { features: [...CASCADELAKE, 'invtsc'], tsc: { hz: 2_100_400_000, scaling: false } },
    guest: domain(
      `<cpu mode='custom' match='exact'><model>Westmere</model></cpu>`,
      'pc-q35-8.2',
      `<clock offset='utc'><timer name='tsc' frequency='2100000000'/></clock>`,
    ),
    is: 'runs',
  },
  {
    name: 'another clock, and no scaling',
    host: { features: [...CASCADELAKE, 'invtsc'], tsc: { hz: 2_794_748_000, scaling: false } },
    guest: domain(
      `<cpu mode='custom' match='exact'><model>Westmere</model></cpu>`,
      'pc-q35-8.2',
      `<clock offset='utc'><timer name='tsc' frequency='2100000000'/></clock>`,
    ),
    is: 'none',
    says: /2100000000|2,100,000,000|TSC/,
  },
  {
    name: 'more address bits than the host has',
    guest: domain(
      `<cpu mode='custom' match='exact'><model>Westmere</model><maxphysaddr mode='emulate' bits='52'/></cpu>`,
    ),
    is: 'none',
    says: /52/,
  },
  {
    name: 'address bits of a host that does not tell its own',
    host: { limits: undefined },
    guest: domain(
      `<cpu mode='custom' match='exact'><model>Westmere</model><maxphysaddr mode='emulate' bits='52'/></cpu>`,
    ),
    is: 'unknown',
    says: /52/,
  },
  {
    name: 'a feature that nobody can tell of',
    host: { unknown: ['avx512vnni'], features: without('avx512vnni') },
    guest: '-cpu Cascadelake-Server-v4,enforce -machine pc-q35-8.2',
    is: 'unknown',
    says: /avx512vnni/,
  },
  {
    name: 'one that nobody can tell of beside one that is not there',
    host: { unknown: ['avx512vnni'], features: without('avx512vnni', 'avx512f') },
    guest: '-cpu Cascadelake-Server-v4,enforce -machine pc-q35-8.2',
    is: 'none',
    says: /avx512f\b/,
  },
  {
    name: 'what QEMU gives no guest',
    guest: '-cpu 486,kvm-mmu=on,enforce -machine pc-q35-8.2',
    is: 'none',
    says: /kvm-mmu/,
  },
  {
    name: 'what stands on a feature that is off',
    guest: '-cpu 486,rdctl-no=on,enforce -machine pc-q35-8.2',
    is: 'none',
    says: /rdctl-no/,
  },
  {
    name: 'invtsc without a frequency starts, and moves nowhere',
    host: { features: [...CASCADELAKE, 'invtsc'] },
    guest: '-cpu 486,invtsc=on,enforce -machine pc-q35-8.2',
    is: 'own-cpu',
  },
  {
    name: 'the CPU of its host',
    guest: domain(`<cpu mode='host-passthrough'/>`),
    is: 'own-cpu',
  },
];

for (const { name, host: about, guest, is, says } of CASES)
  test(`${name}: ${is}`, async () => {
    const file = write(
      guest.startsWith('<') ? 'guest.xml' : 'guest.cmd',
      guest.startsWith('<') ? guest : `qemu-system-x86_64 -name g -accel kvm ${guest}\n`,
    );
    const fleet = hosts('host.ndjson', host(about));
    const placed = await json('place', '--guests', file, fleet);
    assert.equal(
      [placed.guests[0].verdict, placed.status],
      [is, STATUS[is]],
      JSON.stringify(placed.guests[0]),
    );
    const compared = await json('compare', fleet, file);
    const [pair] = compared.comparisons ?? compared.guests ?? compared.pairs ?? [compared];
    assert.ok(COMPARED[is].includes(pair.verdict), JSON.stringify(pair));
    assert.is(compared.status, STATUS[is]);
    if (says) {
      assert.match((await run('place', '--guests', file, fleet)).stdout, says);
      assert.match((await run('compare', fleet, file)).stdout, says);
    }
    // Its own machine type changes nothing of it, and strands it nowhere.
    const drifted = await run(
      'drift',
      '--guest',
      file,
      '--to-machine',
      machineOf(guest),
      '--json',
      fleet,
    );
    const { guests, unsettled } = JSON.parse(drifted.stdout);
    const [same] = guests;
    // Of a guest that is refused or not known before the change there is nothing more to say.
    if (same === undefined) assert.is(unsettled[0].guest, 'g', drifted.stdout);
    else {
      assert.is(same.runnable.before, is === 'runs' || is === 'own-cpu' ? 1 : 0, drifted.stdout);
      assert.is(same.runnable.after, same.runnable.before);
      assert.is(same.stranded.count, 0);
    }
  });

test('a saved line is one guest to every question, and a layout of XSAVE holds in each', async () => {
  const laid = (name: string, offset: number) =>
    hosts(`${name}.ndjson`, host({ host: name, xsave: [{ component: 9, size: 8, offset }] }));
  const [a, b] = [laid('a', 2688), laid('b', 1088)];
  const layout = /XSAVE component 9 lies at 2688 \(8 bytes\) in it and at 1088/;
  write('line.json', (await run('baseline', a, '--json')).stdout);
  for (const [fleet, status] of [
    [a, 0],
    [b, 1],
  ] as const)
    for (const args of [
      ['place', '--guests', 'line.json', fleet],
      ['compare', fleet, 'line.json'],
      ['admit', '--baseline', 'line.json', fleet],
      ['baseline', '--check', 'line.json', fleet],
    ]) {
      const said = await run(...args);
      assert.is(said.status, status, args.join(' '));
      assert.is(layout.test(said.stdout.replace(/\s+/g, ' ')), status === 1, args.join(' '));
    }
  assert.equal([(await run('baseline', a, b)).status, (await run('baseline', a)).status], [1, 0]);
  const asHost = await run('compare', 'line.json', b);
  assert.is(asHost.status, 2);
  assert.match(
    asHost.stderr,
    /line\.json is a saved baseline, which is a CPU for guests and no host/,
  );
});

for (const { name, cpu, clocks = [], vendors = [], code } of [
  { name: 'clocks that differ', cpu: '486,invtsc=on', clocks: [2.1e9, 2.7e9], code: 'tsc-differs' },
  { name: 'within 250 ppm', cpu: '486,invtsc=on', clocks: [2.1e9, 2.1004e9] },
  {
    name: 'a fixed frequency',
    cpu: '486,tsc-frequency=2100000000',
    clocks: [2.1e9, 2.7e9],
    code: 'tsc-differs',
  },
  { name: 'clocks that nobody asks for', cpu: '486', clocks: [2.1e9, 2.7e9] },
  { name: 'a model of no vendor', cpu: '486', vendors: ['Intel', 'AMD'], code: 'no-vendor' },
  { name: 'its host, by name', cpu: 'host', vendors: ['Intel', 'AMD'] },
] as {
  name: string;
  cpu: string;
  clocks?: number[];
  vendors?: string[];
  code?: string;
}[])
  test(`what starts and does not move: ${name}`, async () => {
    const fleet = hosts(
      'moving.ndjson',
      ...[0, 1].map((i) =>
        host({
          host: `h${i}`,
          features: [...CASCADELAKE, 'invtsc'],
          ...(vendors[i] ? { vendor: vendors[i] } : {}),
          ...(clocks[i] ? { tsc: { hz: clocks[i], scaling: false } } : {}),
        }),
      ),
    );
    const { findings } = await json('place', '--cpu', cpu, fleet);
    const found = findings.filter((f: { code: string }) => /tsc-differs|no-vendor/.test(f.code));
    assert.equal(
      found.map((f: { code: string; hosts: string[] }) => [f.code, f.hosts]),
      code === undefined ? [] : [[code, ['h0', 'h1']]],
    );
  });

for (const { cpu, stdout, status } of [
  { cpu: '486', stdout: /^-cpu 486-v1,.*kvmclock=on/, status: 0 },
  { cpu: 'host', stdout: /^-cpu host\n$/, status: 0 },
  { cpu: 'EPYC,enforce', stdout: /^$/, status: 1 },
])
  test(`resolve: ${cpu}`, async () => {
    const guest = write('resolved.cmd', `qemu-system-x86_64 -name g -accel kvm -cpu ${cpu}\n`);
    const fleet = hosts('host.ndjson', host());
    const said = await run('resolve', fleet, guest);
    assert.match(said.stdout, stdout);
    assert.is(said.status, status, said.stderr);
    const answer = await json('resolve', fleet, guest);
    const [compared] = (await json('compare', fleet, guest)).cpus;
    const [{ verdict, reasons }] = answer.guests;
    assert.equal([verdict, reasons], [compared.verdict, compared.reasons]);
    if (status === 1) assert.match(said.stderr, /^no: g on h: of another vendor/);
  });

test.run();
