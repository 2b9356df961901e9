// plimsoll pin and drift: status, standard output and standard error together.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { runIn } from './support/command.ts';

const here = mkdtempSync(join(tmpdir(), 'plimsoll-cli-pin-'));
const test = suite('plimsoll pin and drift');
test.after(() => rmSync(here, { recursive: true }));

const run = (...args: string[]) => runIn({ cwd: here, env: { NO_COLOR: '1' } }, args);
const refusal = (stderr: string) => ({ status: 2, stdout: '', stderr: `error: ${stderr}\n` });
const answer = async (...args: string[]) => {
  const { status, stdout, stderr } = await run(...args, '--json');
  assert.is(stderr, '');
  return { status, ...JSON.parse(stdout) };
};

test('pin names the release, what the name means, and both definitions', async () => {
  const pin = await answer(
    'pin',
    '--cpu',
    'EPYC,+svm',
    '--machine',
    'pc-q35-3.1',
    '--qemu',
    '10.0.5',
  );
  assert.equal(
    [pin.status, pin.schema, pin.qemu, pin.machine, pin.accel, pin.cpu, pin.resolved],
    [0, 'plimsoll.pin/1', '10.0.13', 'pc-q35-3.1', 'kvm', 'EPYC,+svm', 'EPYC-v1'],
  );
  assert.ok(pin.features.includes('svm'));
  assert.is(pin.features.includes('npt'), false);
  assert.is(pin.properties.level, 13);
  assert.match(pin.pinned.qemu, /^-cpu EPYC-v1,.*npt=off,.*svm=on/);
  assert.match(
    pin.pinned.readconfig,
    /\n\[global\]\n {2}driver = "x86_64-cpu"\n {2}property = "npt"\n {2}value = "off"\n/,
  );
  assert.equal(
    pin.findings.map((f: { code: string }) => f.code),
    ['vendor-of-host', 'cache-table'],
  );
});

test('--to prints the definition alone, and says the rest on standard error', async () => {
  const common = ['pin', '--cpu', 'Haswell', '--machine', 'pc-i440fx-2.4', '--accel', 'tcg'];
  const qemu = await run(...common, '--to', 'qemu');
  assert.equal([qemu.status, qemu.stderr], [0, '']);
  assert.match(qemu.stdout, /^-cpu Haswell-v1,[^\n]*stepping=1,[^\n]*\n$/);
  const qmp = JSON.parse((await run(...common, '--to', 'qmp')).stdout);
  assert.equal(
    [qmp.model.name, qmp.model.props.abm, qmp.model.props.stepping],
    ['Haswell-v1', false, 1],
  );
  const libvirt = await run(...common, '--to', 'libvirt', '--stack', 'libvirt@9.0');
  assert.is(libvirt.status, 0);
  assert.match(
    libvirt.stdout,
    /^<cpu mode='custom' match='exact' check='full'>\n[\s\S]*<\/cpu>\n$/,
  );
  assert.match(libvirt.stderr, /^note: the element holds for <domain type='qemu'> with one vCPU/);
  assert.is((await run(...common, '--to', 'libvirt', '--quiet')).stderr, '');
  const file = await run(...common, '--to', 'readconfig', '-o', 'cpu.cfg');
  assert.equal(file, { status: 0, stdout: '', stderr: '' });
  assert.match(
    readFileSync(join(here, 'cpu.cfg'), 'utf8'),
    /^# the CPU of -cpu Haswell on pc-i440fx-2.4/,
  );
});

test('what cannot be pinned is one sentence', async () => {
  const q35 = ['--machine', 'pc-q35-9.2'];
  for (const [args, sentence] of [
    [
      ['--cpu', 'EPYCC', ...q35],
      '-cpu "EPYCC": QEMU 10.0 has no CPU model "EPYCC"; did you mean "EPYC"?',
    ],
    [
      ['--cpu', 'EPYC', '--machine', 'pc-q35-9.9'],
      '-cpu "EPYC": QEMU 10.0 has no machine type "pc-q35-9.9"; did you mean "pc-q35-2.9" or "pc-q35-9.0" or "pc-q35-9.1"?',
    ],
    [
      ['--cpu', 'EPYC', '--machine', 'pc-i440fx-2.3'],
      '-cpu "EPYC": QEMU 10.0 has no machine type "pc-i440fx-2.3": it was removed after 7.2 (of the versions known here); give --qemu 7.2, or another machine type',
    ],
    [
      ['--cpu', 'EPYC', ...q35, '--qemu', '8.1'],
      'QEMU "8.1" is not known, and another version has other CPUs; known are 7.2 and 10.0',
    ],
    [
      ['--cpu', 'qemu64,family=271', ...q35],
      '-cpu "qemu64,family=271": family takes 0 to 270, not "271"',
    ],
    [
      ['--cpu', 'host', ...q35],
      '-cpu "host": host is whatever the host has, so it means nothing without one; name a model, or give --accel tcg',
    ],
    [
      ['--cpu', '', ...q35],
      'an empty -cpu names no model; write one like Skylake-Server-v4,pcid=on',
    ],
    [q35, '--cpu is missing; give one like --cpu Skylake-Server,+pcid'],
    [['--cpu', 'EPYC'], '--machine is missing; give one like --machine pc-q35-10.0'],
  ] as const)
    assert.equal(await run('pin', ...args), refusal(sentence));
});

const record = (host: string, features: readonly string[]) =>
  `${JSON.stringify({ host, vendor: 'AuthenticAMD', features })}\n`;
const domain = (name: string, cpu: string) =>
  `<domain type='kvm'><name>${name}</name><os><type arch='x86_64' machine='pc-q35-3.1'>hvm</type></os>${cpu}</domain>`;

test.before(async () => {
  const { features } = await answer('pin', '--cpu', 'EPYC,+svm', '--machine', 'pc-q35-9.2');
  const without = (...names: string[]) => features.filter((f: string) => !names.includes(f));
  writeFileSync(
    join(here, 'fleet.ndjson'),
    record('full', features) + record('poor', without('npt', 'nrip-save')),
  );
  mkdirSync(join(here, 'vms'));
  writeFileSync(
    join(here, 'vms/web.xml'),
    domain('web', `<cpu><model>EPYC</model><feature policy='require' name='svm'/></cpu>`),
  );
  writeFileSync(join(here, 'vms/db.xml'), domain('db', '<cpu><model>EPYC</model></cpu>'));
});

test('a guest that would be stranded is exit 1, with the flags that keep it', async () => {
  const drift = await answer(
    'drift',
    '--guest',
    'vms',
    '--to-machine',
    'pc-q35-9.2',
    'fleet.ndjson',
  );
  assert.equal(
    [drift.status, drift.schema, drift.machine, drift.toMachine],
    [1, 'plimsoll.drift/1', 'pc-q35-3.1', 'pc-q35-9.2'],
  );
  const [db, web] = drift.guests;
  assert.equal(
    [db.guest, db.added, db.keep, db.stranded],
    ['db', [], null, { count: 0, hosts: [] }],
  );
  assert.equal(
    [web.guest, web.added, web.removed, web.abiEqual],
    ['web', ['npt', 'nrip-save'], [], false],
  );
  assert.equal(
    [web.runnable, web.stranded],
    [
      { before: 2, after: 1, of: 2 },
      { count: 1, hosts: ['poor'] },
    ],
  );
  assert.is(web.keep, '-cpu EPYC,monitor=off,svm=on,npt=off,nrip-save=off');
  const kept = await answer(
    'drift',
    '--cpu',
    'EPYC,svm=on',
    '--machine',
    'pc-q35-3.1',
    '--to-cpu',
    'EPYC,svm=on,npt=off,nrip-save=off',
    '--to-machine',
    'pc-q35-9.2',
    'fleet.ndjson',
  );
  assert.equal([kept.status, kept.guests[0].stranded.count], [0, 0]);
});

test('without hosts drift says what changes and is exit 0', async () => {
  const { status, stdout, stderr } = await run(
    'drift',
    '--cpu',
    'EPYC,+svm',
    '--machine',
    'pc-q35-3.1',
    '--to-machine',
    'pc-q35-9.2',
  );
  assert.equal([status, stderr], [0, '']);
  assert.match(stdout, /^1 of 1 guest would find another CPU; no hosts were given/);
  assert.match(stdout, /\n {2}gains {5}npt nrip-save\n/);
  assert.match(stdout, /\n {2}keep {6}-cpu EPYC,\+svm,npt=off,nrip-save=off\n/);
});

test('the matrix is every machine type once', async () => {
  const { status, guests } = await answer(
    'drift',
    '--cpu',
    'EPYC',
    '--machine',
    'pc-q35-3.1',
    '--matrix',
  );
  assert.is(status, 0);
  const machines = guests[0].rows.flatMap((row: { machines: string[] }) => row.machines);
  assert.is(new Set(machines).size, machines.length);
  assert.is(machines[0], 'pc-q35-3.1');
});

test('questions without an answer are one sentence a problem', async () => {
  writeFileSync(join(here, 'half.xml'), `<domain type='kvm'><name>half</name>`);
  for (const [args, sentence] of [
    [
      ['--cpu', 'EPYC', '--machine', 'q35'],
      'nothing is to change; give --to-machine, --to-cpu, --to-stack or --to-kernel, or --matrix for every machine type',
    ],
    [
      ['--guest', 'vms', '--cpu', 'EPYC', '--to-machine', 'q35'],
      '--guests say CPU and machine type themselves; leave --cpu and --machine out',
    ],
    [
      ['--cpu', 'EPYC', '--machine', 'q35', '--to-stack', 'qemu@9.9'],
      'QEMU "9.9" is not known, and another version has other CPUs; known are 7.2 and 10.0',
    ],
    [
      ['--cpu', 'NoSuchModel', '--machine', 'q35', '--to-machine', 'pc-q35-9.2'],
      'guest NoSuchModel: no QEMU that is known here has a CPU model "NoSuchModel"; if there is one, it is newer than 10.0',
    ],
  ] as const)
    assert.equal(await run('drift', ...args), refusal(sentence));
  const skipped = await answer(
    'drift',
    '--guest',
    'vms',
    '--guest',
    'half.xml',
    '--to-machine',
    'pc-q35-9.2',
    '--skip-unreadable',
  );
  assert.equal([skipped.status, skipped.guests.length, skipped.skipped.length], [0, 2, 1]);
});

test('a guest with the CPU of its host finds that of any machine type, and drift says that it has it', async () => {
  writeFileSync(join(here, 'pass.xml'), domain('p', `<cpu mode='host-passthrough'/>`));
  const { status, guests } = await answer(
    'drift',
    '--guest',
    'pass.xml',
    '--to-machine',
    'pc-q35-9.2',
  );
  assert.equal([status, guests[0].keep, guests[0].take], [0, null, null]);
  assert.match(guests[0].own, /^its CPU is host-passthrough: it takes that of the host/);
});

test.run();
