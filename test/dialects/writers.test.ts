// What is written for products: names that they take, in a syntax that their own kind of parser accepts, and what they
// cannot say is said.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { parse } from 'yaml';
import { main } from '../../src/cli/main.ts';
import { meet, minus, rowOf } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import type { GuestCpu } from '../../src/cpu/definition.ts';
import { proxmoxModels, psabiLevels } from '../../src/cpu/products.ts';
import { closeDependencies } from '../../src/cpu/qemu.ts';
import { parseStack } from '../../src/cpu/stack.ts';
import { dialectByName, dialectNames } from '../../src/dialects/index.ts';
import { readFleet } from '../../src/dialects/read.ts';
import { baseline, baselinesBy } from '../../src/solve/baseline.ts';
import { guestCpu } from '../../src/solve/guest-cpu.ts';
import { fleetOf } from '../support/hosts.ts';
import { ROOT, sayMissing } from '../support/places.ts';

const test = suite('writers');
const catalog = await loadCatalog();
const write = (dialect: string, cpu: GuestCpu) => dialectByName(dialect)!.write!(cpu, catalog);
const notes = (dialect: string, cpu: GuestCpu) =>
  (dialectByName(dialect)!.notes?.(cpu, catalog) ?? []).map((n) => n.code);

/** A fleet of one host that offers what a QEMU model has, and what KVM adds. */
function cpuOf(model: string, more = '', physBits = 46, stack = 'newest'): GuestCpu {
  const vendor = catalog.qemuModels.get(model)!.vendor;
  const own = catalog.names(catalog.qemuFeatures(model, catalog.versions.qemu.at(-1)!)!);
  const kvm = catalog.names(catalog.accelerators.kvm.on);
  const features = [...new Set([...own, ...kvm, ...more.split(' ').filter(Boolean)])];
  const arch = features.includes('lm') ? 'x86_64' : 'i686';
  const facts = { vendor, arch, limits: { physBits } };
  const fleet = fleetOf(catalog, [{ id: 'a', features, facts }]);
  const answer = baseline(fleet, { stack: parseStack(catalog, stack) });
  assert.ok(answer.definitions.libvirt && answer.definitions.qemu, model);
  return guestCpu(answer, catalog, fleet);
}

const FLEET = {
  name: 'demo',
  bytes: readFileSync(join(ROOT, 'test/fixtures/demo-fleet.ndjson')),
};

test('YAML and JSON are those of the products’ own parsers', () => {
  const cpu = cpuOf('Skylake-Server-v4', 'ssbd md-clear');
  const vm = parse(write('kubevirt', cpu));
  const { model, features } = vm.spec.template.spec.domain.cpu;
  assert.equal(
    [vm.apiVersion, vm.kind, model],
    ['kubevirt.io/v1', 'VirtualMachine', cpu.definitions.libvirt!.name],
  );
  assert.equal(
    features
      .map((f: { name: string; policy: string }) => f.policy)
      .every((p: string) => p === 'require' || p === 'disable'),
    true,
  );
  assert.is(
    features.length,
    cpu.definitions.libvirt!.require.length + cpu.definitions.libvirt!.disable.length,
  );
  assert.is(parse(write('kubevirt-cr', cpu)).spec.configuration.cpuModel, model);
  const template = JSON.parse(write('firecracker', cpu));
  for (const { leaf, modifiers } of template.cpuid_modifiers)
    for (const { register, bitmap } of modifiers)
      assert.ok(
        /^0x[0-9a-f]+$/.test(leaf) && /^e[abcd]x$/.test(register) && /^0b[01x]{32}$/.test(bitmap),
        bitmap,
      );
  for (const { addr, bitmap } of template.msr_modifiers)
    assert.match(`${addr} ${bitmap}`, /^0x10a 0b[01x]{64}$/);
  assert.equal(Object.keys(JSON.parse(write('qmp', cpu))), ['model']);
});

test('nova.conf is an INI file that Python reads', () => {
  const cpu = cpuOf('EPYC-Rome-v4', 'amd-psfd');
  const text = write('nova', cpu);
  const script =
    'import configparser,sys,json\nc=configparser.ConfigParser()\nc.read_string(sys.stdin.read())\nprint(json.dumps(dict(c["libvirt"])))';
  const { status, stdout } = spawnSync('python3', ['-c', script], {
    input: text,
    encoding: 'utf8',
    timeout: 30_000,
  });
  if (status === null) return sayMissing('nova.conf read by Python', 'python3');
  const conf = JSON.parse(stdout);
  assert.equal(
    [conf.virt_type, conf.cpu_mode, conf.cpu_models],
    ['kvm', 'custom', cpu.definitions.libvirt!.name],
  );
  for (const flag of conf.cpu_model_extra_flags?.split(', ') ?? [])
    assert.ok(catalog.findLibvirt(flag.replace(/^-/, '')), flag);
});

test('Proxmox is given no model that it does not list, whatever the CPU', () => {
  const models = [...catalog.qemuModels.values()].filter(
    (m) =>
      m.kind === 'versioned' && (m.vendor === 'Intel' || m.vendor === 'AMD') && m.until === null,
  );
  const taken = new Map<string, string>();
  for (const { name } of models) {
    const cpu = cpuOf(name);
    const text = write('proxmox', cpu);
    const model = /^\treported-model (\S+)$/m.exec(text)![1]!;
    assert.ok(proxmoxModels().includes(model), `${name}: ${model}`);
    assert.match(
      text,
      /^# then: qm set VMID --cpu custom-fleet\ncpu-model: fleet\n(?:\t[a-z-]+ \S+\n)+$/,
    );
    taken.set(name, model);
    const isAlias = catalog.qemuModels.get(model)!.kind === 'machine-alias';
    assert.is(notes('proxmox', cpu).includes('alias'), isAlias, model);
  }
  assert.equal(
    [taken.get('Skylake-Server-v5'), taken.get('EPYC-v3')],
    ['Skylake-Server-v5', 'EPYC-v4'],
  );
  assert.is(taken.get('EPYC-v2'), 'EPYC-IBPB');
});

test('an EPYC-Milan is found for oVirt, and its type asks for flags that hosts report', () => {
  const cpu = cpuOf(
    'EPYC-Milan-v2',
    'vaes vpclmulqdq stibp-always-on',
    48,
    'libvirt@11.3,qemu@10.0',
  );
  const [level, name, required, guest, arch, ...rest] = write('ovirt', cpu).trim().split(':');
  assert.equal([/^\d+$/.test(level!), name!.length > 0, arch, rest], [true, true, 'x86_64', []]);
  assert.match(guest!, /^EPYC-Milan(?:-v\d)?(?:,[+-][\w.-]+)*$/);
  const flags = required!.split(',');
  assert.ok(flags.includes('svm') && flags.some((flag) => flag.startsWith('model_EPYC-Milan')));
  assert.not.match(required!, /vpclmutqdq|stipb/);
  for (const flag of flags.filter((f) => !f.startsWith('model_') && f !== 'spec_ctrl'))
    assert.ok(catalog.find(flag), flag);
});

test('a level of x86-64 is one that the CPU has to the last feature', () => {
  const level = (model: string) => write('x86-64', cpuOf(model)).trim();
  // Nehalem has no AES, and no level asks for it.
  assert.equal(
    [
      'Nehalem-v1',
      'Westmere-v1',
      'Haswell-v4',
      'Skylake-Server-v4',
      'KnightsMill-v1',
      'EPYC-v1',
      'Conroe-v1',
    ].map(level),
    ['x86-64-v2', 'x86-64-v2', 'x86-64-v3', 'x86-64-v4', 'x86-64-v3', 'x86-64-v3', 'x86-64-v1'],
  );
  for (const { name } of psabiLevels) assert.not.match(name, /AES/);
});

test('Xen masks in the syntax of xl and in that of xend', () => {
  const old = cpuOf('Nehalem-v2');
  const cpu = { ...old, beyond: ['avx512f', 'avx2', 'sha-ni', 'clzero', 'rdctl-no'] };
  assert.is(write('xen', cpu), 'cpuid = "host,avx2=0,avx512f=0,clzero=0,rdcl-no=0,sha=0"\n');
  assert.is(
    write('xen-xend', cpu),
    `cpuid = [\n  "0x7,0x0:ebx=xx0xxxxxxxxxxxx0xxxxxxxxxx0xxxxx",\n  "0x80000008:ebx=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx0"\n]\n`,
  );
  assert.equal(notes('xen-xend', cpu), ['cannot-express']);
});

test('address bits that a product cannot be told are a finding, not silence', () => {
  const narrow = { ...cpuOf('Skylake-Server-v4', '', 39), physBits: 39 };
  for (const dialect of ['kubevirt', 'ovirt', 'incus', 'firecracker'])
    assert.ok(notes(dialect, narrow).includes('cannot-express'), dialect);
  const usual = cpuOf('Skylake-Server-v4');
  assert.is(usual.physBits, 40);
  for (const dialect of ['kubevirt', 'ovirt', 'incus'])
    assert.not.ok(notes(dialect, usual).includes('cannot-express'), dialect);
  assert.match(write('qemu', narrow), /phys-bits=39/);
  assert.match(write('proxmox', narrow), /\tphys-bits 39\n/);
});

test('the fleet of the demo leaves in every language with the features that it has', async () => {
  const fleet = await readFleet(catalog, [FLEET]);
  const kvm = catalog.accelerators.kvm.on;
  const aside = rowOf(
    catalog.bits,
    catalog.features.filter((f) => f.merge === 'never' || f.merge === 'equal').map((f) => f.id),
  );
  for (const { baseline: answer } of baselinesBy(fleet, 'vendor').baselines) {
    const cpu = guestCpu(answer, catalog, fleet);
    const wanted = minus(minus(catalog.row(cpu.features), kvm), aside);
    for (const [name, by] of [
      ['libvirt', 'libvirt'],
      ['qemu', 'qemu'],
      ['nova', 'nova'],
      ['kubevirt', 'kubernetes'],
      ['proxmox', 'proxmox'],
      ['ovirt', 'ovirt'],
      ['incus', 'incus'],
      ['firecracker', 'firecracker'],
    ] as const) {
      const input = { name, bytes: new TextEncoder().encode(write(name, cpu)) };
      const [d] = await dialectByName(by)!.read!(input, catalog);
      const given = minus(minus(closeDependencies(catalog, d!.has), kvm), aside);
      // What a definition leaves to the reader's libvirt may stay open; nothing else may be missing, nothing more there.
      assert.equal(catalog.names(minus(meet(wanted, d!.known), given)), [], `${name} lost`);
      // Proxmox VE gives it to every guest by itself.
      const own = name === 'proxmox' ? ['kvm-pv-unhalt'] : [];
      assert.equal(catalog.names(minus(given, wanted)), own, `${name} added`);
    }
  }
});

test('--to all writes a file for each language, and one that says how each is used', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'all-'));
  const run = async (...args: string[]) => {
    const printed = { out: '', err: '' };
    const sink = (key: 'out' | 'err') => ({
      write: (text: string, done: () => void) => {
        printed[key] += text;
        done();
      },
      on: () => {},
    });
    const stdin = (async function* () {})();
    const code = await main(args, { stdin, stdout: sink('out'), stderr: sink('err'), env: {} });
    return { code, ...printed };
  };
  const demo = join(ROOT, 'test/fixtures/demo-fleet.ndjson');
  const found = await run('baseline', demo, '--by', 'vendor', '--to', 'all', '-o', dir, '-q');
  assert.equal([found.code, found.out, found.err], [0, '', '']);
  const expected = ['AMD', 'Intel'].flatMap((vendor) => [
    `${vendor}.NOTES.txt`,
    ...dialectNames('write').map((name) => `${vendor}.${name}`),
  ]);
  assert.equal(readdirSync(dir).sort(), expected.sort());
  const said = readFileSync(join(dir, 'Intel.NOTES.txt'), 'utf8');
  for (const name of dialectNames('write'))
    assert.match(said, new RegExp(`^Intel\\.${name}: .{10}`, 'm'));
  const nowhere = await run('baseline', demo, '--to', 'all');
  assert.equal(
    [nowhere.code, nowhere.err],
    [2, 'error: --to all writes a file for each language; name a directory for them with -o\n'],
  );
  assert.match(
    (await run('baseline', demo, '--to', 'proxmx')).err,
    /no dialect that can be written; did you mean "proxmox"/,
  );
  rmSync(dir, { recursive: true, force: true });
});

test.run();
