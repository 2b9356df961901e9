// Guests as operators have them, by the command: whose CPU is the host's or nobody's to tell, guests among hosts,
// documents of other kinds, two of one name.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { run } from '../support/command.ts';
import { ROOT, SHARED, sayMissing } from '../support/places.ts';

const here = mkdtempSync(join(tmpdir(), 'plimsoll-guests-'));
const test = suite('guests');
test.after(() => rmSync(here, { recursive: true }));

async function json(...args: string[]) {
  const { status, stdout, stderr } = await run(...args, '--json');
  assert.ok(stdout !== '', `${args.join(' ')}: ${stderr}`);
  return { status, ...JSON.parse(stdout) };
}
/** The same by the command that was built. */
function built(...args: string[]) {
  const bin = join(ROOT, 'dist/bin.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args, '--json'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.ok(stdout !== '', `${args.join(' ')}: ${stderr}`);
  return { status, ...JSON.parse(stdout) };
}
const write = (name: string, text: string): string => {
  const file = join(here, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
};
const codes = ({ findings = [] }: { findings?: readonly { code: string }[] }) =>
  findings.map((f) => f.code);
const found = (answer: { findings?: readonly { code: string }[] }, code: string) =>
  (answer.findings ?? []).find((f) => f.code === code) as
    | { code: string; count: number; hosts: string[]; message: string }
    | undefined;

const { features } = await json('pin', '--cpu', 'Skylake-Server-v3', '--machine', 'pc-q35-10.0');
/** What every KVM gives, though no model asks for it. */
const GIVEN = ['kvm-pv-unhalt', 'kvm-pv-eoi', 'lahf-lm'];
const record = (host: string, more: readonly string[] = []) =>
  JSON.stringify({
    host,
    vendor: 'Intel',
    view: 'hypervisor',
    features: [...new Set([...features, ...GIVEN, ...more])],
  });
const one = write('one.ndjson', `${record('h1')}\n`);
const two = write('two.ndjson', `${record('h1')}\n${record('h2', ['avx512vnni'])}\n`);

const domain = (name: string, cpu: string, type = 'kvm') =>
  `<domain type='${type}'><name>${name}</name><os><type arch='x86_64' machine='pc-q35-8.2'>hvm</type></os>${cpu}</domain>\n`;
const model = (name: string) => `<cpu mode='custom' match='exact'><model>${name}</model></cpu>`;
const machine = (name: string, cpu: string, more = '') => `apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: ${name}}
spec:${more === '' ? '' : `\n  ${more}`}
  template:
    spec:
      domain:
        cpu: {${cpu}}
`;
const service = (name: string) => `apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {ports: [{port: 80}]}
`;

/** Guests that have the CPU of their host, in every language that can say it. */
const OWN: Readonly<Record<string, string>> = {
  'passthrough.xml': domain('g', "<cpu mode='host-passthrough'/>"),
  'model.xml': domain('g', "<cpu mode='host-model'/>"),
  'maximum.xml': domain('g', "<cpu mode='maximum'/>"),
  'xen.xml': domain('g', "<cpu mode='host-passthrough'/>", 'xen'),
  'line.txt': 'qemu-system-x86_64 -name g -cpu host\n',
  'max.txt': 'qemu-kvm -name g -cpu max,migratable=on\n',
  'pve.conf': 'cpu: host\ncores: 2\nname: g\n',
  'vm.yaml': machine('g', 'model: host-passthrough'),
  'vm-model.yaml': machine('g', 'model: host-model'),
  'cluster.yaml': 'apiVersion: kubevirt.io/v1\nkind: KubeVirt\nmetadata: {name: g}\nspec: {}\n',
  'nova.conf': '[libvirt]\nvirt_type = kvm\ncpu_mode = host-passthrough\n',
  'nova-model.conf': '[libvirt]\ncpu_mode = host-model\n',
  'ovirt.xml': `<vm href="/ovirt-engine/api/vms/1"><name>g</name><cpu><mode>host_passthrough</mode></cpu></vm>`,
  'incus.yaml': 'name: g\nconfig:\n  instances.vm.cpu.x86_64.baseline: host\n',
  'incus.json': JSON.stringify({ version: 1, cpu_type: 'host', machine_type: 'pc-q35-8.2' }),
};

for (const [name, text] of Object.entries(OWN))
  test(`the CPU of its host, ${name}: own-cpu in every question, and no pass for a drain`, async () => {
    const file = write(`own/${name}`, text);
    const compared = await json('compare', one, file);
    assert.equal([compared.status, compared.verdict], [0, 'own-cpu']);
    const placed = await json('place', '--guests', file, two);
    assert.equal([placed.status, placed.guests[0].verdict], [0, 'own-cpu']);
    assert.is((await json('place', '--guests', file, '--drain', 'h1', two)).status, 2);
    assert.is((await json('place', '--guests', file, '--lose', '1', two)).status, 2);
    assert.is((await run('baseline', file)).status, 2);
  });

/** Guests of which nobody knows what they get. */
const UNKNOWN: Readonly<Record<string, string>> = {
  'newer.xml': domain('g', model('EPYC-Venice')),
  'xen-model.xml': domain('g', model('Nehalem'), 'xen'),
  'line.txt': 'qemu-system-x86_64 -name g -cpu EPYC-Venice\n',
  'none.yaml': machine('g', 'cores: 2'),
  'type.yaml': machine('g', 'cores: 2', 'instancetype: {name: u1.medium}'),
  'ovirt.xml': '<vm href="/ovirt-engine/api/vms/1"><name>g</name><cpu/></vm>',
  'nova.conf': '[libvirt]\ncpu_mode = custom\ncpu_models = EPYC-Venice\n',
  'incus.yaml': 'name: g\nconfig:\n  instances.vm.cpu.x86_64.baseline: EPYC-Venice\n',
};

for (const [name, text] of Object.entries(UNKNOWN))
  test(`a CPU that nobody knows, ${name}: that cannot be told, in every question`, async () => {
    const file = write(`unknown/${name}`, text);
    const compared = await json('compare', one, file);
    assert.equal([compared.status, compared.verdict], [2, 'unknown']);
    const placed = await json('place', '--guests', file, '--drain', 'h1', two);
    assert.equal([placed.status, placed.guests[0].verdict], [2, 'unknown']);
    const drifted = await json('drift', '--guests', file, '--to-machine', 'pc-q35-9.2', two);
    assert.equal([drifted.status, drifted.unsettled.length], [2, 1]);
    const [decoded] = (await json('decode', file)).hosts;
    assert.equal(decoded.definitions, {});
    const drawn = await run('baseline', file);
    assert.is(drawn.status, 2);
    assert.match(drawn.stderr, /not known which CPU this guest gets/);
  });

test('drift answers for the other guests, and its worst verdict stands', async () => {
  const vms = dirname(write('mixed/new.xml', domain('new', model('EPYC-Venice'))));
  write('mixed/old.xml', domain('old', model('Nehalem')));
  const { status, guests, unsettled } = await json(
    'drift',
    '--guests',
    vms,
    '--to-machine',
    'q35',
    two,
  );
  assert.is(status, 2);
  assert.is(guests[0].guest, 'old');
  assert.is(unsettled[0].guest, 'new');
});

test('guests among hosts are left aside, counted and named, in every question about hosts', async () => {
  const guest = write('aside/web.xml', domain('web', model('Nehalem')));
  const line = write('line.json', (await run('baseline', two, '--json')).stdout);
  const alone = await json('baseline', two);
  const beside = await json('baseline', two, guest);
  assert.is(beside.hosts, 2);
  assert.equal(beside.features, alone.features);
  const finding = found(beside, 'guests-aside')!;
  assert.equal([finding.count, finding.hosts], [1, ['web']]);
  assert.match(finding.message, /--guests/);
  assert.match((await run('baseline', two, guest)).stdout, /1 guest among the inputs of hosts/);
  for (const [command, ...args] of [
    ['place', '--guests', guest],
    ['admit', '--baseline', line],
    ['baseline', '--check', line],
    ['baseline', '--by', 'vendor'],
    ['blame'],
    ['groups', '-k', '1'],
  ] as const) {
    const answer = await json(command, ...args, two, guest);
    assert.ok(codes(answer).includes('guests-aside'), command);
    const text = (await run(command, ...args, two, guest)).stdout.replace(/\s+/g, ' ');
    assert.match(text, /1 guest among the inputs of hosts is left aside/, command);
  }
  assert.is((await json('baseline', '--as-hosts', two, guest)).hosts, 3);
  assert.is(found(await json('baseline', '--as-hosts', two, guest), 'guests-aside'), undefined);
});

test('a guest is not the host of the same name', async () => {
  const guest = write('same/h1.xml', domain('h1', model('Nehalem')));
  assert.is((await json('baseline', two, guest)).hosts, 2);
});

test('where guests are all there is they are the CPUs, and that is said', async () => {
  const a = write('first/a.xml', domain('a', model('Nehalem')));
  const b = write('first/b.xml', domain('b', model('Haswell-noTSX')));
  const placed = await json('place', '--guests', a, b);
  assert.equal([placed.status, placed.guests[0].runsOn], [0, 1]);
  assert.match(found(placed, 'guests-as-hosts')!.message, /taken as the CPU of a host \(b\)/);
  assert.is((await json('baseline', a, b)).hosts, 2);
  const bare = write('first/cpu.xml', model('Nehalem'));
  assert.is(found(await json('baseline', bare), 'guests-as-hosts'), undefined);
});

test('other kinds beside guests and nodes in one YAML are no error', async () => {
  const mixed = `${service('a')}---\n${machine('g', 'model: Nehalem')}---\n${service('b')}`;
  const file = write('kinds/all.yaml', mixed);
  const plain = await json('place', '--guests', file, two);
  assert.equal([plain.status, plain.guests.length], [0, 1]);
  assert.match(found(plain, 'other-kinds')!.message, /2 documents .*\(Service\)/);
  assert.is(found(await json('compare', one, file), 'other-kinds')!.count, 2);
  const lone = write('kinds/lone.yaml', service('c'));
  assert.is((await json('place', '--guests', join(here, 'kinds'), two)).status, 0);
  const { status, stderr } = await run('place', '--guests', lone, two);
  assert.is(status, 2);
  assert.match(stderr, /only documents of other kinds \(Service\)/);
});

test('what is skipped is a document, and not its file', async () => {
  const broken = write(
    'skip/vms.yaml',
    `${machine('a', 'model: [1]')}---\n{"apiVersion": v1, kind: [\n---\n${machine('b', 'model: Nehalem')}`,
  );
  const domains = write(
    'skip/vms.xml',
    domain('c', "<cpu mode='wrong'/>") + domain('d', model('Nehalem')),
  );
  const lines = write('skip/vms.txt', 'qemu-kvm -name e -cpu Nehalem\nnonsense here\n');
  for (const [file, guests, left] of [
    [broken, ['b'], 2],
    [domains, ['d'], 1],
    [lines, ['e'], 1],
  ] as const) {
    assert.is((await run('place', '--guests', file, two)).status, 2);
    const answer = await json('place', '--skip-unreadable', '--guests', file, two);
    assert.equal(
      answer.guests.map((g: { guest: string }) => g.guest),
      guests,
    );
    assert.is(answer.skipped.length, left, file);
  }
});

test('guests of one name are told apart by their files', async () => {
  write('twins/a/web.xml', domain('web', model('Nehalem')));
  write('twins/b/web.xml', domain('web', model('EPYC')));
  write('twins/both.xml', domain('db', model('Nehalem')) + domain('db', model('EPYC')));
  const names = ['db (both)', 'db (both)#2', 'web (a/web)', 'web (b/web)'];
  const placed = await json('place', '--guests', join(here, 'twins'), two);
  assert.equal(
    placed.guests.map((g: { guest: string }) => g.guest),
    names,
  );
  const compared = await json('compare', one, join(here, 'twins'));
  assert.equal(
    compared.cpus.map((c: { cpu: string }) => c.cpu),
    names,
  );
  const drifted = await json(
    'drift',
    '--guests',
    join(here, 'twins'),
    '--to-machine',
    'pc-q35-9.2',
    two,
  );
  assert.equal(
    drifted.guests.map((g: { guest: string }) => g.guest),
    names,
  );
});

test('a folder of the resources of a cluster: nodes are hosts, machines are guests, the rest is left aside', async () => {
  const node = (name: string) =>
    `apiVersion: v1\nkind: Node\nmetadata:\n  name: ${name}\n  labels:\n    cpu-model.node.kubevirt.io/Nehalem: "true"\n    cpu-vendor.node.kubevirt.io/Intel: "true"\n`;
  const root = 'gathered/quay-io-image';
  write('gathered/version', 'must-gather\n4.18\n');
  write('gathered/event-filter.html', '<!DOCTYPE html><html><body><p>events</p></body></html>\n');
  write(`${root}/cluster-scoped-resources/core/nodes/n1.yaml`, node('n1'));
  write(`${root}/cluster-scoped-resources/core/nodes/n2.yaml`, node('n2'));
  write(`${root}/namespaces/a/core/services/s.yaml`, service('s'));
  write(`${root}/namespaces/a/core/pods.yaml`, 'apiVersion: v1\nkind: PodList\nitems: null\n');
  write(`${root}/namespaces/a/vms/n1.yaml`, machine('n1', 'model: Nehalem'));
  write(`${root}/namespaces/a/pods/p/current.log`, 'kind: Node apiVersion: v1\n');
  const answer = await json('baseline', join(here, 'gathered'));
  assert.equal([answer.status, answer.hosts], [0, 2]);
  assert.equal(codes(answer).slice(0, 1), ['guests-aside']);
  assert.is(found(answer, 'other-kinds')!.count, 5);
  const placed = await json('place', '--guests', join(here, 'gathered'), join(here, 'gathered'));
  assert.equal([placed.status, placed.guests.length], [0, 1]);
  assert.equal(found(placed, 'hosts-aside')!.hosts, ['n1', 'n2']);
  // A file by itself that nobody recognises is a host that cannot be read.
  assert.is((await run('baseline', one, join(here, 'gathered/event-filter.html'))).status, 2);
});

test('decode says which software starts a guest, and what that makes of it', async () => {
  const file = write('w5.xml', domain('g', model('Cascadelake-Server-noTSX')));
  const [newest] = (await json('decode', file)).hosts;
  assert.is(newest.startedBy.machine, 'pc-q35-8.2');
  assert.match(
    (await run('decode', file)).stdout,
    /started by +QEMU \d+\.\d+, libvirt \d+\.\d+, pc-q35-8\.2/,
  );
  const [given] = (await json('decode', '--stack', 'qemu@10.0,libvirt@12.8', file)).hosts;
  assert.equal(given.startedBy, { qemu: '10.0', libvirt: '12.8', machine: 'pc-q35-8.2' });
  // What it is told to have is what it needs of a host.
  const like = write(
    'w5.ndjson',
    JSON.stringify({
      host: 'h',
      vendor: 'Intel',
      limits: { physBits: 46 },
      features: given.features,
    }),
  );
  const stack = ['--stack', 'qemu@10.0,libvirt@12.8'];
  assert.is((await json('compare', ...stack, like, file)).status, 0);
  assert.is((await json('place', ...stack, '--guests', file, like)).guests[0].verdict, 'runs');
  const less = {
    host: 'h',
    vendor: 'Intel',
    features: given.features.filter((f: string) => f !== 'pku'),
  };
  const poorer = write('w5-less.ndjson', JSON.stringify(less));
  assert.is((await json('compare', ...stack, poorer, file)).status, 1);
  assert.is((await json('place', ...stack, '--guests', file, poorer)).status, 1);
});

test('an answer that was saved is no host', async () => {
  const saved = write('saved.json', (await run('baseline', one, '--json')).stdout);
  for (const args of [
    ['compare', saved, one],
    ['baseline', saved],
    ['place', '--cpu', 'Nehalem', saved],
  ]) {
    const { status, stderr } = await run(...args);
    assert.is(status, 2);
    assert.match(stderr, /is a saved baseline, which is a CPU for guests and no host/);
  }
});

test('cases from the field', () => {
  const field = SHARED && join(SHARED, 'cases/field');
  if (field === null) return sayMissing('guests from the field', 'shared/cases/field');
  const gathered = join(field, 'must-gather');
  const answer = built('baseline', gathered);
  assert.equal([answer.status, answer.hosts], [0, 2]);
  assert.equal(
    [found(answer, 'guests-aside')!.hosts, found(answer, 'other-kinds')!.count],
    [['vm1'], 2],
  );
  const [hosts, guest] = [join(field, 'f7.ndjson'), join(field, 'f7.xml')];
  const compared = built('compare', hosts, guest);
  const [placed] = built('place', '--guests', guest, hosts).guests;
  const drifted = built('drift', '--guests', guest, '--to-machine', 'pc-q35-9.2', hosts);
  assert.is(compared.verdict, 'incompatible');
  assert.is(placed.verdict, 'none');
  assert.is(drifted.guests[0].runnable.before, 0);
  const [decoded] = built('decode', guest).hosts;
  for (const lacking of compared.cpus[0].missing) assert.ok(decoded.features.includes(lacking));
});

test('commands of QEMU are read as people have them', async () => {
  const pretty = write(
    'commands/pretty.txt',
    "/usr/bin/kvm \\\n  -id 100 \\\n  -name 'db,debug-threads=on' \\\n  -cpu Nehalem,enforce \\\n  -machine 'type=pc+pve0'\n",
  );
  const start = (name: string, cpu: string) =>
    `2025-01-02 10:11:12.345+0000: starting up libvirt version: 9.0.0, hostname: kvm1\nLC_ALL=C \\\nPATH=/usr/bin:/bin \\\n/usr/bin/qemu-system-x86_64 \\\n-name debug-threads=on,guest=${name} \\\n-machine pc-q35-7.2 \\\n-cpu ${cpu} \\\n-m 64\nchar device redirected to /dev/pts/1\n`;
  const log = write('commands/web.log', start('web', 'EPYC') + start('web', 'Nehalem'));
  const bare = write(
    'commands/bare.txt',
    "/usr/bin/kvm -id 2 -name h -m 64\nqemu-system-x86_64 -name f -m 64\nqemu-kvm -name it\\'s -cpu EPYC -cpu Nehalem\n",
  );
  const { status, guests } = await json(
    'place',
    '--guests',
    pretty,
    '--guests',
    log,
    '--guests',
    bare,
    two,
  );
  assert.is(status, 0);
  assert.equal(
    guests.map((g: { guest: string; runsOn: number }) => [g.guest, g.runsOn]).sort(),
    ['db', 'f', 'h', "it's", 'web'].map((name) => [name, 2]),
  );
  assert.match((await run('decode', log)).stdout, /2 starts,\s+of\s+which/);
});

test('the KubeVirt resource settles its machines, and no other', async () => {
  const vm = write('cluster/vm.yaml', machine('vm', ''));
  const typed = write('cluster/typed.yaml', machine('typed', '', 'instancetype: {name: u1}'));
  const resource = (name: string, cpu: string) =>
    write(
      `cluster/${name}`,
      `apiVersion: kubevirt.io/v1\nkind: KubeVirt\nmetadata: {name: k}\nspec: {configuration: {cpuModel: ${cpu}}}\n`,
    );
  const [nehalem, epyc] = [resource('nehalem.yaml', 'Nehalem'), resource('epyc.yaml', 'EPYC')];
  const verdicts = async (...files: string[]) => {
    const { guests } = await json('place', ...files.flatMap((file) => ['--guests', file]), two);
    const { cpus } = await json('compare', one, ...files);
    assert.is(cpus.length, guests.length);
    return guests.map((g: { guest: string; verdict: string }) => `${g.guest} ${g.verdict}`);
  };
  assert.equal(await verdicts(vm, nehalem), ['vm runs']);
  assert.equal(await verdicts(vm, epyc), ['vm none']);
  assert.equal((await verdicts(vm, typed, nehalem)).sort(), ['typed unknown', 'vm runs']);
  assert.equal(await verdicts(vm, nehalem, epyc), ['vm unknown']);
});

test('a guest that names no architecture is of its host', async () => {
  const arm = write(
    'arm.cpuinfo',
    'processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n\n',
  );
  const guest = (name: string, type: string) =>
    write(
      name,
      `<domain type='kvm'><name>g</name><os>${type}</os><cpu mode='host-passthrough'/></domain>`,
    );
  for (const [file, verdict] of [
    [guest('none.xml', '<type>hvm</type>'), 'own-cpu'],
    [guest('pc.xml', "<type machine='pc-q35-8.2'>hvm</type>"), 'incompatible'],
    [write('arm-vm.yaml', machine('v', 'model: host-passthrough')), 'own-cpu'],
  ] as const)
    assert.is((await json('compare', arm, file)).verdict, verdict, file);
});

test.run();
