// Other architectures than x86: what is said of them, row by row, and that nothing of x86 is ever said of them.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { feed } from './support/command.ts';
import { assertProperty, draws } from './support/property.ts';

const test = suite('other architectures');
const folder = mkdtempSync(join(tmpdir(), 'plimsoll-archs-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const run = (...argv: string[]) => feed('', ...argv);
async function json(...argv: string[]) {
  const { status, stdout, stderr } = await run(...argv, '--json');
  assert.ok(stdout !== '', stderr);
  return { status, answer: JSON.parse(stdout) };
}

const FEATURES = 'fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid lrcpc';
interface Core {
  readonly implementer?: string;
  readonly part?: string;
  readonly variant?: string;
  readonly revision?: string;
  readonly features?: string;
}
const core = (
  number: number,
  {
    implementer = '0x41',
    part = '0xd0c',
    variant = '0x3',
    revision = '1',
    features = FEATURES,
  }: Core,
) =>
  `processor\t: ${number}\nBogoMIPS\t: 50.00\nFeatures\t: ${features}\nCPU implementer\t: ${implementer}\nCPU architecture: 8\nCPU variant\t: ${variant}\nCPU part\t: ${part}\nCPU revision\t: ${revision}\n\n`;
const arm = (name: string, ...cores: Core[]) =>
  file(name, (cores.length === 0 ? [{}] : cores).map((c, i) => core(i, c)).join(''));
const record = (name: string, ...records: object[]) =>
  file(`${name}.ndjson`, records.map((r) => `${JSON.stringify(r)}\n`).join(''));
const power = (generation: number) =>
  file(
    `power${generation}.xml`,
    `<capabilities><host><cpu><arch>ppc64le</arch><model>POWER${generation}</model><vendor>IBM</vendor></cpu></host></capabilities>`,
  );
const domain = (name: string, arch: string, cpu: string, type = 'kvm') =>
  file(
    `${name}.xml`,
    `<domain type='${type}'><name>${name}</name><os><type arch='${arch}'>hvm</type></os>${cpu}</domain>`,
  );
const mode = (generation: number) =>
  domain(
    `mode${generation}`,
    'ppc64le',
    `<cpu mode='host-model'><model>power${generation}</model></cpu>`,
  );
/** What a QEMU of another architecture answers when it is asked of its host: the replies alone. */
const qmp = (name: string, target: string, type: string, model: string, props: object) =>
  file(
    `${name}.qmp`,
    [
      { QMP: { version: { qemu: { micro: 3, minor: 0, major: 10 }, package: '' } } },
      ...(target === '' ? [] : [{ return: { arch: target } }]),
      { return: [{ name: model, typename: `${model}-${type}-cpu`, 'unavailable-features': [] }] },
      { return: { model: { name: model, props } } },
    ]
      .map((line) => `${JSON.stringify(line)}\n`)
      .join(''),
  );

const n1 = arm('n1');
const twin = arm('twin');

test('processors of one list of features and two MIDRs are two CPUs, whatever is asked', async () => {
  const others: [string, Core, RegExp][] = [
    ['a76', { part: '0xd0b' }, /a Cortex-A76 r3p1 \(MIDR 0x413fd0b1\)/],
    ['n2', { part: '0xd49', variant: '0x0', revision: '3' }, /a Neoverse-N2 r0p3/],
    ['stepping', { variant: '0x4' }, /a Neoverse-N1 r4p1/],
    ['maker', { implementer: '0x48', part: '0xd01' }, /a TaiShan-v110 r3p1/],
    ['nobody', { implementer: '0x7e', part: '0x123' }, /a 0x7e part 0x123 r3p1/],
  ];
  for (const [name, of, who] of others) {
    const other = arm(name, of);
    const compared = await json('compare', n1, other);
    assert.equal([name, compared.status, compared.answer.verdict], [name, 1, 'incompatible']);
    assert.match(compared.answer.cpus[0].reasons.join(), who);
    const { status, answer } = await json('baseline', n1, other);
    assert.equal(
      [status, answer.classes, answer.definitions, answer.sides.length, answer.sides[0].because],
      [1, 2, {}, 2, 'midr'],
    );
    for (const side of answer.sides) assert.is(side.baseline.definitions.qemu.name, 'host');
    const pools = await json('groups', '-k', '2', n1, other);
    assert.equal([pools.status, pools.answer.groups.length], [0, 2]);
    assert.is((await run('groups', '-k', '1', n1, other)).status, 1);
    const saved = file(`${name}.json`, (await run('baseline', n1, twin, '--json')).stdout);
    assert.is((await run('admit', '--baseline', saved, other)).status, 1);
    assert.is((await run('admit', '--baseline', saved, twin)).status, 0);
    assert.is((await run('baseline', '--check', saved, n1, other)).status, 1);
    assert.is((await run('compare', other, saved)).status, 1);
  }
  assert.is((await json('compare', n1, twin)).answer.verdict, 'identical');
});

test('a host of several kinds of cores is all of them', async () => {
  const big = { part: '0xd0b' };
  const both = arm('both', {}, big);
  assert.is((await run('compare', both, arm('again', big, {}))).status, 0);
  assert.is((await run('compare', both, n1)).status, 1);
  const listed = record('listed', {
    host: 'listed',
    arch: 'aarch64',
    midr: ['0x413fd0c1', '0x413fd0b1'],
    features: FEATURES.split(' '),
  });
  assert.is((await run('compare', both, listed)).status, 0);
});

test('equal Arm hosts have the CPU of the host, and one that lacks what a switch takes has it off', async () => {
  const { status, answer } = await json('baseline', n1, twin);
  assert.equal(
    [status, answer.definitions, answer.runsOn],
    [
      0,
      {
        libvirt: { name: 'host-passthrough', require: [], disable: [] },
        qemu: { name: 'host', require: [], disable: [] },
      },
      { hosts: 2, of: 2 },
    ],
  );
  const to = async (dialect: string, ...hosts: string[]) =>
    run('baseline', ...hosts, '--to', dialect);
  assert.is((await to('qemu', n1, twin)).stdout, '-cpu host\n');
  assert.is(
    (await to('libvirt', n1, twin)).stdout,
    "<cpu mode='host-passthrough' check='none'/>\n",
  );
  assert.match((await to('proxmox', n1, twin)).stderr, /cannot be written for proxmox/);
  assert.match((await run('baseline', n1, twin)).stdout, /-cpu host\n/);
  const sve = (features: string[]) => ({ arch: 'aarch64', midr: '0x411fd402', features });
  const pair = record(
    'pair',
    { host: 'a1', ...sve(['aes', 'atomics', 'sve']) },
    { host: 'a2', ...sve(['aes', 'atomics']) },
  );
  assert.is((await to('qemu', pair)).stdout, '-cpu host,sve=off\n');
  const odd = record(
    'odd',
    { host: 'a1', ...sve(['aes', 'atomics']) },
    { host: 'a2', ...sve(['aes']) },
  );
  const refused = await run('baseline', odd);
  assert.is(refused.status, 1);
  assert.match(refused.stdout, /differ in atomics, which no switch of qemu\s+takes from guests/);
  // A kernel hides ssbs for an erratum: that it is not printed says nothing.
  const { answer: hidden } = await json(
    'baseline',
    n1,
    arm('ssbs', { features: `${FEATURES} ssbs` }),
  );
  assert.equal([hidden.definitions.qemu.name, hidden.lost], ['host', []]);
});

test('what nobody told of an Arm host is no yes', async () => {
  const untold = record(
    'untold',
    { host: 'a1', arch: 'aarch64', vendor: 'ARM', features: ['aes', 'atomics', 'sve'] },
    { host: 'a2', arch: 'aarch64', vendor: 'ARM', features: ['aes', 'atomics'] },
  );
  const { status, answer } = await json('baseline', untold);
  assert.equal([status, answer.definitions], [2, {}]);
  assert.is(answer.holds[0].without.model, 'host');
  assert.match(JSON.stringify(answer.findings), /the MIDR of both is not told/);
  const { answer: blamed } = await json('blame', untold);
  assert.equal(
    [
      blamed.features,
      blamed.groups.map((g: { hosts: string[]; gains: string[] }) => [g.hosts, g.gains]),
    ],
    [2, [[['a2'], ['sve']]]],
  );
  const pools = await json('groups', '-k', '2', untold);
  assert.equal([pools.answer.groups.length, pools.answer.kept], [2, 5]);
  assert.is((await run('blame', untold, '--want', 'sve')).status, 0);
  const [a, b] = ['x1', 'x2'].map((host) =>
    record(host, { host, arch: 'aarch64', features: ['aes'] }),
  );
  assert.is((await run('compare', a!, b!)).status, 2);
  const told = (host: string, registers: object) =>
    record(host, { host, arch: 'aarch64', midr: '0x413fd0c1', registers, features: ['aes'] });
  const id = (value: string) => ({ ID_AA64MMFR2_EL1: value });
  const first = told('r1', id('0x1011'));
  assert.is((await run('compare', first, told('r2', id('0x01011')))).status, 0);
  const differs = await run('compare', first, told('r3', id('0x1012')));
  assert.is(differs.status, 2);
  assert.match(differs.stdout, /ID_AA64MMFR2_EL1 differs/);
});

test('a QMP capture is of its target, and a static expansion answers with a name of its own', async () => {
  const props = { vx: true, edat: true, aes: true };
  for (const [name, target] of [
    ['s390', 's390x'],
    ['untargeted', ''],
  ] as const) {
    const { answer } = await json('decode', qmp(name, target, 's390x', 'gen15a-base', props));
    const [host] = answer.hosts;
    assert.equal(
      [host.arch, host.view, host.features, host.unknown, host.identity.model, host.candidates],
      ['s390x', 'hypervisor', ['aes', 'edat', 'vx'], [], 'gen15a-base', []],
    );
    assert.is(host.definitions.qemu.name, 'gen15a-base');
  }
  const other = qmp('gen16', 's390x', 's390x', 'gen16a-base', props);
  const { status, answer } = await json('baseline', join(folder, 's390.qmp'), other);
  assert.equal([status, answer.sides[0].because], [1, 'model']);
  const host = { sve: true, sve128: true, sve256: true, sve512: false, pauth: true, pmu: true };
  const [own] = (await json('decode', qmp('host', 'aarch64', 'arm', 'host', host))).answer.hosts;
  assert.equal(
    [own.arch, own.features, own.unknown, own.identity.sve],
    ['aarch64', ['paca', 'pacg', 'sve'], [], [128, 256]],
  );
  for (const [target, type] of [
    ['riscv64', 'riscv'],
    ['loongarch64', 'loongarch'],
    ['ppc64', 'powerpc64'],
  ] as const) {
    const path = qmp(target, target, type, 'host', { zba: true, zbb: false });
    assert.is((await json('decode', path)).answer.hosts[0].arch, target);
  }
});

test('a <cpu> without an architecture is of the host', async () => {
  const bare = file('bare.xml', "<cpu mode='custom' match='exact'><model>z14-base</model></cpu>");
  const hosts = [n1, power(10), qmp('z14', 's390x', 's390x', 'z14-base', { vx: true })];
  for (const host of hosts) {
    const { stdout, status } = await run('compare', host, bare);
    assert.not.match(stdout, /x86|another architecture|QEMU that is known/);
    assert.is(status, host === hosts[2] ? 0 : 1);
    assert.not.match(
      (await run('place', '--guests', bare, host)).stdout,
      /x86|another architecture/,
    );
  }
  const newer = file(
    'newer.xml',
    "<cpu mode='custom' match='exact'><model>gen16a-base</model></cpu>",
  );
  assert.is((await run('compare', hosts[2]!, newer)).status, 1);
});

test('POWER hosts have the modes of all processors before them', async () => {
  const rows: [number, number, number][] = [
    [9, 8, 0],
    [9, 9, 0],
    [9, 10, 1],
    [10, 9, 0],
    [10, 10, 0],
    [8, 9, 1],
  ];
  for (const [host, guest, status] of rows) {
    assert.equal(
      [host, guest, (await run('compare', power(host), mode(guest))).status],
      [host, guest, status],
    );
    assert.is((await run('place', '--guests', mode(guest), power(host))).status, status);
  }
  const { status, answer } = await json('baseline', power(9), power(10));
  assert.equal(
    [status, answer.classes, answer.definitions.qemu.name, answer.lost[0].feature],
    [0, 2, 'power9', 'power10'],
  );
  const to = async (dialect: string) =>
    (await run('baseline', power(9), power(10), '--to', dialect)).stdout;
  assert.is(await to('qemu'), '-machine pseries,max-cpu-compat=power9 -cpu host\n');
  assert.is(
    await to('libvirt'),
    "<cpu mode='host-model'>\n  <model fallback='allow'>power9</model>\n</cpu>\n",
  );
  const { answer: three } = await json('baseline', power(8), power(9), power(10));
  assert.equal([three.classes, three.definitions.libvirt.name], [3, 'power8']);
  // Both are the level of ISA 3.1, and old software has no word for the newer.
  assert.is((await json('baseline', power(10), power(11))).answer.definitions.qemu.name, 'power10');
  assert.is((await json('baseline', power(11))).answer.definitions.qemu.name, 'power10');
  const stack = ['--stack', 'libvirt@12.8,qemu@10.0'];
  assert.is((await json('baseline', power(11), ...stack)).answer.definitions.qemu.name, 'power11');
  const partition = file(
    'partition',
    'processor\t: 0\ncpu\t\t: POWER9 (architected), altivec supported\nclock\t\t: 3000MHz\nrevision\t: 2.0 (pvr 0080 0200)\n\n',
  );
  assert.is((await run('compare', partition, mode(10))).status, 1);
  assert.match((await run('decode', partition)).stdout, /runs in the mode of POWER9/);
});

test('guests of Arm have the CPU of their host, and none by name', async () => {
  const own = domain('own', 'aarch64', "<cpu mode='host-passthrough'/>");
  const named = "<cpu mode='custom'><model>neoverse-n1</model></cpu>";
  const rows: [string, string, number][] = [
    [own, 'own-cpu', 0],
    [domain('named', 'aarch64', named), 'incompatible', 1],
    [domain('none', 'aarch64', ''), 'unknown', 2],
    [domain('emulated', 'aarch64', named, 'qemu'), 'superset', 0],
    [domain('x86', 'x86_64', "<cpu mode='host-passthrough'/>"), 'incompatible', 1],
    [file('line', 'qemu-system-aarch64 -M virt -cpu host -name line\n'), 'own-cpu', 0],
  ];
  for (const [guest, verdict, status] of rows) {
    const compared = await json('compare', n1, guest);
    assert.equal([guest, compared.answer.verdict, compared.status], [guest, verdict, status]);
    assert.is((await run('place', '--guests', guest, n1)).status, status);
  }
  // A guest has no CPU of a host to hand on, and an Arm host without features that QEMU lists has one all the same.
  assert.equal((await json('decode', rows[3]![0])).answer.hosts[0].definitions, {});
  const bare = qmp('bare-arm', 'aarch64', 'arm', 'host', { aarch64: true, pmu: true });
  assert.is((await json('decode', bare)).answer.hosts[0].definitions.qemu.name, 'host');
  const line = 'qemu-system-ppc64 -M pseries,max-cpu-compat=power9 -cpu host\n';
  assert.is((await run('compare', power(10), file('compat', line))).status, 0);
  assert.is((await run('compare', power(8), file('compat', line))).status, 1);
});

test('records keep what tells Arm processors apart, and refuse what it cannot be', async () => {
  const whole = {
    host: 'v1',
    arch: 'aarch64',
    midr: '0x411fd402',
    registers: { ID_AA64MMFR2_EL1: '0x1011' },
    sve: [128, 256],
    features: ['sve'],
  };
  const saved = join(folder, 'v1.summary');
  await run('summarize', record('v1', whole), '-o', saved);
  const again = JSON.parse((await run('baseline', saved, '--json')).stdout);
  assert.equal(again.identity, {
    model: 'Neoverse-V1',
    midr: ['0x411fd402'],
    registers: { ID_AA64MMFR2_EL1: '0x1011' },
    sve: [128, 256],
  });
  const wrong: [object, RegExp][] = [
    [{ midr: 'N1' }, /"midr" is no MIDR; write it like "0x413fd0c1"/],
    [{ midr: [] }, /"midr" is no MIDR/],
    [{ registers: { id: '0x1' } }, /"registers\.id" is no register/],
    [{ registers: ['0x1'] }, /"registers" is a list/],
    [{ sve: [100] }, /"sve" is no list of vector lengths/],
  ];
  for (const [part, message] of wrong) {
    const { status, stderr } = await run('decode', record('wrong', { ...whole, ...part }));
    assert.is(status, 2);
    assert.match(stderr, message);
  }
});

const RUNS = 8;
const NAMES: Readonly<Record<string, readonly string[]>> = {
  aarch64: ['aes', 'atomics', 'sve', 'sve2', 'paca', 'ssbs', 'asimd', 'fpu-like'],
  s390x: ['vx', 'edat', 'aes', 'msa1', 'te', 'ri'],
  ppc64le: ['altivec', 'vsx'],
  riscv64: ['zba', 'zbb', 'v', 'h', 'sstc'],
  loongarch64: ['lsx', 'lasx', 'crc32', 'fpu', 'ual'],
};
/** Words of x86 that are words of sentences, too. */
const WORDS = new Set(['hypervisor', 'monitor']);

test('no answer about another architecture holds a name of x86', async () => {
  const catalog = await loadCatalog();
  const ofX86 = new Set([
    ...catalog.features.flatMap((f) => [
      f.name,
      ...f.aliases,
      f.libvirt?.name ?? f.name,
      ...f.linux,
    ]),
    ...catalog.libvirtModels.keys(),
    ...[...catalog.qemuModels.values()].filter((m) => m.kind !== 'special').map((m) => m.name),
  ]);
  const strings = (value: unknown): string[] =>
    typeof value === 'string'
      ? [value]
      : value && typeof value === 'object'
        ? Object.values(value).flatMap(strings)
        : [];
  const drawn = fc.constantFrom(...Object.keys(NAMES)).chain((arch) => {
    const name = fc.constantFrom(...NAMES[arch]!);
    const one = fc.record(
      {
        view: fc.constantFrom('hypervisor', 'kernel', 'hardware'),
        features: fc.uniqueArray(name, { maxLength: 5 }),
        ...(arch === 'aarch64'
          ? { midr: fc.constantFrom('0x413fd0c1', '0x413fd0b1', '0x411fd402') }
          : {}),
        vendor: fc.constantFrom('ARM', 'IBM'),
        software: fc.constantFrom({ qemu: '10.0.2', libvirt: '11.3.0' }, { kernel: '6.12.9' }),
      },
      { requiredKeys: ['features'] },
    );
    return fc.record({
      arch: fc.constant(arch),
      hosts: fc.array(one, { minLength: 1, maxLength: 4 }),
    });
  });
  let answers = 0;
  await assertProperty(
    fc.asyncProperty(drawn, async ({ arch, hosts }) => {
      const all = hosts.map((host, i) => ({ host: `h${i}`, arch, ...host }));
      const fleet = record('fleet', ...all);
      const first = record('first', all[0]!);
      const own = domain('own', arch, "<cpu mode='host-passthrough'/>");
      const saved = file('saved.json', (await run('baseline', fleet, '--json')).stdout);
      const given = new Set(NAMES[arch]);
      const questions = [
        ['decode', fleet],
        ['baseline', fleet],
        ['baseline', fleet, '--nested', '--phys-bits', 'fleet'],
        ['baseline', fleet, '--check', saved],
        ['blame', fleet],
        ['groups', '-k', '2', fleet],
        ['place', '--guests', own, fleet],
        ['place', '--guests', own, fleet, '--drain', 'h0'],
        ['compare', first, own],
        ['compare', first, fleet],
        ['admit', '--baseline', saved, fleet],
        ['drift', '--guests', own, '--to-machine', 'virt-9.0', fleet],
        ['explain', "CPU mode 'host-model' is not supported by hypervisor", fleet],
      ];
      for (const question of questions)
        for (const form of [[], ['--json']]) {
          const { stdout, stderr } = await run(...question, ...form);
          const said = form.length > 0 && stdout !== '' ? strings(JSON.parse(stdout)) : [stdout];
          answers += said.length;
          const words = [...said, stderr].flatMap((text) => text.match(/[\w.+-]*\w/g) ?? []);
          const leaked = words.filter((w) => ofX86.has(w) && !given.has(w) && !WORDS.has(w));
          assert.equal([question[0], leaked], [question[0], []]);
        }
    }),
    { numRuns: RUNS },
  );
  assert.ok(answers > draws(RUNS) * 20);
  console.log(`other architectures: ${answers} answers without a name of x86`);
});

test.run();
