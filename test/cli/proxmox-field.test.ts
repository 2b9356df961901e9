// VMs of Proxmox VE as operators have them: what the command says of a folder of configurations, and the documents beside
// them.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { readDescriptions, readFleet } from '../../src/reading/read.ts';
import { compare } from '../../src/solve/compare.ts';
import { drift } from '../../src/solve/drift/drift.ts';
import { guestsOf, place } from '../../src/solve/place.ts';
import { run } from '../support/command.ts';
import { drawnFleet } from '../support/drawn.ts';
import { OF_COMPARE, verdictOn } from '../support/laws.ts';
import { assertProperty, draws } from '../support/property.ts';

const test = suite('proxmox in the field');
const catalog = await loadCatalog();
const here = mkdtempSync(join(tmpdir(), 'plimsoll-proxmox-'));
test.after(() => rmSync(here, { recursive: true }));

/** Writes files into a folder of their own, and answers its path. */
let folders = 0;
function folder(files: Readonly<Record<string, string>>): string {
  const at = join(here, String(++folders));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(at, name)), { recursive: true });
    writeFileSync(join(at, name), text);
  }
  return at;
}

const modelOf = (name: string) =>
  catalog.names(catalog.qemuFeatures(name, '10.0')!).filter((f) => f !== 'svm');
const KVM = catalog.names(catalog.accelerators.kvm.on);
interface Facts {
  readonly vendor?: string;
  readonly features?: readonly string[];
  readonly software?: Readonly<Record<string, string>>;
}
const host = (name: string, { vendor = 'Intel', features = [], ...more }: Facts = {}) =>
  `${JSON.stringify({
    host: name,
    vendor,
    features: [
      ...new Set([
        ...modelOf(vendor === 'AMD' ? 'EPYC-Milan-v2' : 'Cascadelake-Server-v5'),
        ...KVM,
        'kvm-pv-unhalt',
        'md-clear',
        ...features,
      ]),
    ],
    limits: { physBits: 46 },
    ...more,
  })}\n`;
const HOSTS = folder({ 'hosts.ndjson': host('i1') + host('i2') + host('a1', { vendor: 'AMD' }) });

async function placed(guests: string, ...more: string[]) {
  const { status, stdout, stderr } = await run(
    'place',
    '--guests',
    guests,
    ...(more.some((m) => m.endsWith('.ndjson')) ? [] : [HOSTS]),
    ...more,
    '--json',
  );
  assert.ok(stdout !== '', stderr);
  const answer = JSON.parse(stdout);
  return {
    status,
    answer,
    says: answer.findings.map((f: { message: string }) => f.message).join('\n'),
    /** Guest, verdict and hosts. */
    guests: answer.guests.map((g: { guest: string; verdict: string; hosts: string[] }) => [
      g.guest,
      g.verdict,
      g.hosts.join(' '),
    ]),
  };
}

/** The -cpu argument and the machine type that a VM is taken for. */
async function cpuOf(conf: string, ...more: string[]): Promise<string> {
  const at = folder({ '100.conf': conf });
  const { stdout, stderr } = await run(
    'drift',
    '--guests',
    at,
    '--to-machine',
    'pc-q35-10.0',
    ...more,
    '--json',
  );
  assert.ok(stdout !== '', stderr);
  const [guest] = JSON.parse(stdout).guests;
  return `${guest.cpu} ${guest.machine}`;
}

const vm = (name: string, ...lines: string[]) =>
  `boot: order=scsi0\ncores: 4\n${lines.map((line) => `${line}\n`).join('')}memory: 2048\nname: ${name}\nscsihw: virtio-scsi-single\n`;
const K = 'kvm64,enforce,+kvm_pv_eoi,+kvm_pv_unhalt,+lahf_lm,+sep';

// W9 and W10 -----------------------------------------------------------------------------------------------------------

test('a VM with its host CPU starts anywhere, and is no pass for a drain', async () => {
  const at = folder({
    '1.conf': vm('plain', 'cpu: host'),
    '2.conf': vm('typed', 'cpu: cputype=host,flags=+md-clear;+pcid', 'ostype: l26'),
    '3.conf': vm('least', 'cpu: max'),
    '4.conf': vm('own', 'cpu: custom-mine'),
    'cpu-models.conf': 'cpu-model: mine\n\treported-model host\n\tphys-bits host\n',
  });
  const { status, answer, guests } = await placed(at);
  assert.is(status, 0);
  assert.equal(
    guests.map((g: string[]) => g.slice(0, 2)),
    ['least', 'own', 'plain', 'typed'].map((name) => [name, 'own-cpu']),
  );
  assert.equal(answer.ownCpu, ['least', 'own', 'plain', 'typed']);
  const drained = await placed(at, '--drain', 'i1');
  assert.is(drained.status, 2);
  assert.equal(drained.answer.unknown, ['least', 'own', 'plain', 'typed']);
});

test('a VM without a cpu line is what its node starts it as', async () => {
  const at = folder({
    'qemu-server/100.conf': vm('old', 'ostype: l26'),
    '101.conf': vm('new', 'cpu: x86-64-v3'),
  });
  const { status, guests } = await placed(at);
  assert.is(status, 0);
  assert.equal(guests, [
    ['new', 'runs', 'a1 i1 i2'],
    ['old', 'runs', 'a1 i1 i2'],
  ]);
  assert.is(await cpuOf(vm('a')), `${K} pc-i440fx-10.0`);
  assert.is(await cpuOf(vm('a', 'kvm: 0')), 'qemu64 pc-i440fx-10.0');
  assert.is(await cpuOf(vm('a', 'template: 1', 'cpu: EPYC')), 'qemu64 pc-i440fx-10.0');
});

// P2, P7 ---------------------------------------------------------------------------------------------------------------

test('what is pending, and what a snapshot has, is not what runs, and is said', async () => {
  const at = folder({
    '1.conf':
      'memory: 2048\nname: web\nostype: l26\n\n[PENDING]\ncpu: x86-64-v3\n\n[before]\ncpu: EPYC\nmemory: 2048\nsnaptime: 1\n',
    '2.conf': `${vm('db', 'cpu: EPYC')}\n[PENDING]\ndelete: cpu,balloon\n`,
    '3.conf': `${vm('asleep', 'cpu: EPYC', 'lock: suspended', 'runningcpu: Nehalem,enforce,+kvm_pv_eoi,vendor=GenuineIntel', 'runningmachine: pc-i440fx-7.2+pve0', 'vmstate: x')}`,
  });
  const { guests, says } = await placed(at);
  assert.equal(guests, [
    ['asleep', 'runs', 'i1 i2'],
    ['db', 'runs', 'a1'],
    ['web', 'runs', 'a1 i1 i2'],
  ]);
  assert.match(says, /^web: .*after its next stop and start it is another: x86-64-v3$/m);
  assert.match(says, /^web: its snapshot before has another CPU, .*: EPYC$/m);
  assert.match(says, /^db: .*after its next stop and start it is another: kvm64$/m);
  assert.match(says, /^asleep: .*it is another: EPYC on machine type pc$/m);
});

test('a snapshot with the same CPU, and what is pending beside the CPU, are not spoken of', async () => {
  const conf = vm('web', 'cpu: EPYC', 'ostype: l26');
  const at = folder({
    '1.conf': `${conf}\n[PENDING]\nmemory: 4096\n\n[one]\n${conf}\n[special:cloudinit]\ncpu: host\n`,
  });
  const { says } = await placed(at);
  assert.not.match(says, /web:/);
});

test('a line that does not count leaves kvm64, and is said', async () => {
  for (const [line, why] of [
    ['cpu: flags=+aes', /names no cputype/],
    ['cpu: EPYC-Rome-v1', /"EPYC-Rome-v1" is no CPU type/],
    ['cpu: Haswell,flags=+avx512f', /"avx512f" is no flag/],
    ['cpu: host,reported-model=EPYC', /reported-model is for custom models/],
    ['cpu: EPYC,EPYC', /cputype is there twice/],
    ['cpu: epyc', /did you mean "EPYC"/],
    ['cpu: EPYC,phys-bits=70', /phys-bits does not take "70"/],
    ['cpu: EPYC,hidden=maybe', /hidden does not take "maybe"/],
    ['cpu: EPYC,flags=aes', /"aes" is no flag/],
  ] as const) {
    assert.is(await cpuOf(vm('a', line)), `${K} pc-i440fx-10.0`, line);
    const { says } = await placed(folder({ '1.conf': vm('a', line) }));
    assert.match(says, /^a: the line "cpu: .*" counts as none \(.*\), so its CPU is kvm64$/m, line);
    assert.match(says, why);
  }
  // Of several the last that counts.
  assert.is(
    await cpuOf(vm('a', 'cpu: Nehalem', 'cpu: Nehlem')),
    'Nehalem,enforce,+kvm_pv_eoi,+kvm_pv_unhalt,vendor=GenuineIntel pc-i440fx-10.0',
  );
});

test('types, flags and what qemu-server switches by itself', async () => {
  const AUTO = 'enforce,+kvm_pv_eoi,+kvm_pv_unhalt';
  for (const [lines, cpu] of [
    [['cpu: Icelake-Client'], `Icelake-Server,${AUTO},vendor=GenuineIntel pc-i440fx-10.0`],
    [
      ['cpu: host,guest-phys-bits=39'],
      `host,+kvm_pv_eoi,+kvm_pv_unhalt,guest-phys-bits=39 pc-i440fx-10.0`,
    ],
    [['cpu: Opteron_G5'], `Opteron_G5,${AUTO},-rdtscp,vendor=AuthenticAMD pc-i440fx-10.0`],
    [['cpu: kvm64', 'ostype: solaris'], `${K},-x2apic pc-i440fx-10.0`],
    [
      ['cpu: EPYC,phys-bits=host', 'machine: pc-q35-9.2+pve1'],
      `EPYC,${AUTO},vendor=AuthenticAMD,host-phys-bits=true pc-q35-9.2`,
    ],
    [
      ['cpu: x86-64-v2-AES,flags=-aes', 'machine: type=q35,viommu=intel'],
      `qemu64,-aes,${AUTO},+pni,+popcnt,+sse4.1,+sse4.2,+ssse3 pc-q35-10.0`,
    ],
    [
      ['ostype: win10', 'machine: pc-q35-2.5'],
      'kvm64,enforce,hv_relaxed,hv_spinlocks=0x1fff,hv_time,hv_vapic,+kvm_pv_eoi,+kvm_pv_unhalt,+lahf_lm,+sep pc-q35-2.5',
    ],
    [
      ['cpu: host', 'hostpci0: 01:00,pcie=1,x-vga=1'],
      `host,kvm=off,+kvm_pv_eoi,+kvm_pv_unhalt pc-i440fx-10.0`,
    ],
    [['cpu: EPYC', `args: -cpu 'Haswell,+pcid' -machine pc-q35-8.2`], 'Haswell,+pcid pc-q35-8.2'],
    [
      ['cpu: EPYC', 'args: -global EPYC-x86_64-cpu.avx2=off -device x'],
      `EPYC,avx2=off,${AUTO},vendor=AuthenticAMD pc-i440fx-10.0`,
    ],
    [['cpu: EPYC', 'machine: pc-q35-rhel9.6.0'], `EPYC,${AUTO},vendor=AuthenticAMD pc-i440fx-10.0`],
  ] as const)
    assert.is(await cpuOf(vm('a', ...lines)), cpu, lines.join('; '));
});

test('an older node makes another CPU of the same lines', async () => {
  const at = folder({ '1.conf': vm('a', 'cpu: x86-64-v3'), '2.conf': vm('b', 'cpu: EPYC-Milan') });
  const old = join(
    folder({ 'old.ndjson': host('o', { software: { qemu: '7.2.0' } }) }),
    'old.ndjson',
  );
  const { says } = await placed(at, old);
  assert.match(
    says,
    /^a: the line "cpu: x86-64-v3" counts as none \(.*8\.0\.4.*\), so its CPU is kvm64$/m,
  );
  assert.not.match(says, /^b:/m);
  const given = await placed(at, '--qemu', '7.2');
  assert.match(given.says, /^a: the line/m);
});

test('nested-virt is the word of the host on which the VM starts', async () => {
  const at = folder({ '1.conf': vm('n', 'cpu: x86-64-v2-AES,flags=+nested-virt') });
  const hosts = join(
    folder({
      'h.ndjson':
        host('i-with', { features: ['vmx'] }) +
        host('i-without') +
        host('a-with', { vendor: 'AMD', features: ['svm'] }) +
        host('a-without', { vendor: 'AMD' }),
    }),
    'h.ndjson',
  );
  const { answer } = await placed(at, hosts);
  const [guest] = answer.guests;
  assert.equal(guest.hosts, ['a-with', 'i-with']);
  assert.equal(
    guest.missing.map((m: { features: string[]; hosts: string[] }) => [m.features, m.hosts]),
    [
      [['svm'], ['a-without']],
      [['vmx'], ['i-without']],
    ],
  );
});

test('a VM that is not started says why', async () => {
  const at = folder({
    '1.conf': vm('firmware', 'bios: ovmf', 'cpu: kvm32'),
    '2.conf': vm('revision', 'machine: pc-q35-9.2+pve7'),
    '3.conf': vm('arm', 'cpu: cortex-a57', 'arch: x86_64'),
  });
  const { status, answer } = await placed(at);
  assert.is(status, 1);
  const why = answer.guests.map((g: { missing: { reasons: string[] }[] }) =>
    g.missing[0]!.reasons.join(),
  );
  assert.match(why[0], /no CPU type cortex-a57 for a VM of x86_64/);
  assert.match(why[1], /no VM with UEFI firmware \(bios: ovmf\) on the 32-bit CPU type kvm32/);
  assert.match(why[2], /no revision \+pve7 of machine type 9\.2/);
});

// Custom models --------------------------------------------------------------------------------------------------------

const MODELS = `# of this cluster
cpu-model: fleet
    reported-model Cascadelake-Server-noTSX
    flags +md-clear;-pku
    phys-bits 44

cpu-model: broken
    reported-model Cascadelake
    flags +aes
    colour red
`;

test('a custom model is that of the cluster, wherever its file lies beside', async () => {
  const at = folder({
    'virtual-guest/cpu-models.conf': MODELS,
    'nodes/n1/qemu-server/100.conf': vm('web', 'cpu: custom-fleet,flags=+pcid;-md-clear'),
    'nodes/n1/qemu-server/101.conf': vm('gone', 'cpu: custom-nope'),
    'nodes/n2/qemu-server/102.conf': vm('bad', 'cpu: custom-broken'),
  });
  const { guests, says } = await placed(at);
  assert.equal(guests, [
    ['bad', 'runs', 'a1 i1 i2'],
    ['gone', 'runs', 'a1 i1 i2'],
    ['web', 'runs', 'i1 i2'],
  ]);
  assert.match(
    says,
    /^gone: the line "cpu: custom-nope" counts as none \(there is no custom model nope/m,
  );
  assert.match(
    says,
    /^bad: in model broken the line "reported-model Cascadelake" counts as none \(.*kvm64 stands/m,
  );
  assert.match(says, /^bad: in model broken the line "colour red" counts as none/m);
  const alone = await placed(join(at, 'virtual-guest'));
  assert.equal(
    alone.guests.map((g: string[]) => g[0]),
    ['broken', 'fleet'],
  );
});

test('a custom model that no input defines cannot be told, and two clusters are kept apart', async () => {
  const conf = vm('web', 'cpu: custom-fleet');
  const lone = await placed(folder({ '1.conf': conf }));
  assert.is(lone.status, 2);
  assert.equal(lone.guests, [['web', 'unknown', '']]);
  assert.match(
    JSON.stringify(lone.answer),
    /custom model that none of the inputs defines.*cpu-models\.conf/,
  );
  const two = folder({
    'a/cpu-models.conf': MODELS,
    'a/1.conf': conf,
    'b/cpu-models.conf': 'cpu-model: fleet\n\treported-model EPYC\n',
    'b/2.conf': conf.replace('web', 'db'),
  });
  assert.equal((await placed(two)).guests, [
    ['db', 'runs', 'a1'],
    ['web', 'runs', 'i1 i2'],
  ]);
});

// P11, W11 -------------------------------------------------------------------------------------------------------------

test('guests of one name are told apart by their files, in every dialect and question', async () => {
  const domain = (model: string) =>
    `<domain type='kvm'><name>web</name><os><type arch='x86_64' machine='pc-q35-8.2'>hvm</type></os><cpu mode='custom'><model>${model}</model></cpu></domain>\n`;
  const at = folder({
    'n1/100.conf': vm('web', 'cpu: EPYC'),
    'n2/100.conf': vm('web', 'cpu: Nehalem'),
    'web.xml': domain('Haswell-noTSX') + domain('Nehalem'),
    'other.conf': vm('db'),
  });
  const names = ['db', 'web (web)', 'web (web)#2', 'web (n1/100.conf)', 'web (n2/100.conf)'];
  const { status, guests } = await placed(at);
  assert.is(status, 0);
  assert.equal(guests.map((g: string[]) => g[0]).sort(), names.sort());
  const one = join(folder({ 'one.ndjson': host('i1') }), 'one.ndjson');
  const { stdout } = await run('compare', one, at, '--json');
  const compared = JSON.parse(stdout).cpus as { cpu: string; verdict: string }[];
  assert.equal(compared.map((c) => c.cpu).sort(), names);
  assert.is(compared.find((c) => c.cpu === 'web (n1/100.conf)')!.verdict, 'incompatible');
});

test('other kinds in a container are no error, and what is skipped is a document', async () => {
  const machine = (name: string, model: string) =>
    `apiVersion: kubevirt.io/v1\nkind: VirtualMachine\nmetadata: {name: ${name}}\nspec: {template: {spec: {domain: {cpu: {model: ${model}}}}}}\n`;
  const service =
    'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n';
  const at = folder({
    'all.yaml': [machine('a', 'Nehalem'), service, machine('b', 'Penryn')].join('---\n'),
    'map.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n',
    'list.json': JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' } }],
    }),
    version: 'must-gather version 4.18\n',
  });
  const { status, answer } = await placed(at);
  assert.is(status, 0);
  assert.equal(
    answer.guests.map((g: { guest: string }) => g.guest),
    ['a', 'b'],
  );
  assert.is(answer.skipped, undefined);

  const broken = folder({
    'all.yaml': [
      machine('a', 'Nehalem'),
      machine('bad', '7'),
      'x: [\n',
      machine('b', 'Penryn'),
    ].join('---\n'),
    'two.xml': `<domain type='kvm'><name>c</name><cpu mode='custom'><model>Nehalem</model><feature policy='never' name='aes'/></cpu></domain><domain type='kvm'><name>d</name><cpu mode='custom'><model>Nehalem</model></cpu></domain>`,
    'lines.txt': 'qemu-system-x86_64 -cpu Nehalem -name e\nqemu-system-x86_64 -name f\nls -l\n',
    'show.txt':
      '/usr/bin/kvm -id 1 -name g -cpu Nehalem -machine pc\n/usr/bin/kvm -id 2 -name h\nls -l\n',
  });
  const skipped = await placed(broken, '--skip-unreadable');
  assert.equal(
    skipped.guests.map((g: string[]) => g[0]),
    ['a', 'b', 'd', 'e', 'f', 'g', 'h'],
  );
  assert.is(skipped.answer.skipped.length, 5);
  const stopped = await run('place', '--guests', broken, HOSTS);
  assert.is(stopped.status, 2);
  for (const file of ['all.yaml', 'two.xml', 'show.txt']) assert.match(stopped.stderr, file);
  const none = await run('place', '--guests', join(at, 'map.yaml'), HOSTS);
  assert.is(none.status, 2);
  assert.match(none.stderr, /only documents of other kinds \(ConfigMap\)/);
});

test('files of key and value that configure no VM are none', async () => {
  const at = folder({
    'ct.conf':
      'arch: amd64\ncores: 2\nhostname: ct\nmemory: 512\nostype: debian\nrootfs: local:8\nunprivileged: 1\n',
  });
  const { status, stderr } = await run('place', '--guests', at, HOSTS);
  assert.is(status, 2);
  assert.match(stderr, /ct\.conf configures a container of Proxmox VE/);
});

// The law --------------------------------------------------------------------------------------------------------------

const TYPES = [
  'host',
  'max',
  'kvm64',
  'qemu64',
  'x86-64-v2-AES',
  'x86-64-v3',
  'Nehalem',
  'EPYC',
  'EPYC-Rome-v4',
  'Opteron_G5',
  'Icelake-Client',
  'Haswell',
  'nothing',
  'custom-own',
  'custom-none',
];
const line = <T>(key: string, values: fc.Arbitrary<T>) =>
  fc.option(
    values.map((value) => `${key}: ${value}`),
    { nil: null, freq: 2 },
  );
const DRAWN = fc
  .tuple(
    line(
      'cpu',
      fc
        .tuple(
          fc.constantFrom(...TYPES),
          fc.constantFrom(
            '',
            ',flags=+aes;+pcid',
            ',flags=-aes;+nested-virt',
            ',flags=+avx',
            ',phys-bits=40',
            ',hidden=1',
          ),
        )
        .map((parts) => parts.join('')),
    ),
    line('kvm', fc.constantFrom(0, 1)),
    line('ostype', fc.constantFrom('l26', 'win11', 'w2k8', 'solaris')),
    line(
      'machine',
      fc.constantFrom('q35', 'pc-q35-7.2', 'pc-i440fx-9.2+pve1', 'pc-q35-2.5', 'pc-q35-9.2+pve4'),
    ),
    line('bios', fc.constantFrom('ovmf', 'seabios')),
  )
  .map((lines) => lines.filter((one) => one !== null));

test('place, compare and drift are one answer about drawn VMs', async () => {
  let agreed = 0;
  await assertProperty(
    fc.asyncProperty(
      drawnFleet(catalog, 3),
      fc.array(DRAWN, { minLength: 1, maxLength: 4 }),
      async (hosts, drawn) => {
        const encode = (text: string) => new TextEncoder().encode(text);
        const inputs = [
          ...drawn.map((lines, i) => ({
            name: `etc/${i}.conf`,
            bytes: encode(vm(`g${i}`, ...lines)),
          })),
          {
            name: 'etc/cpu-models.conf',
            bytes: encode('cpu-model: own\n\treported-model Westmere\n\tflags +pcid;-aes\n'),
          },
        ];
        const fleetOf = (some: typeof hosts) =>
          readFleet(catalog, [
            { name: 'h', bytes: encode(some.map((h) => JSON.stringify(h)).join('\n')) },
          ]);
        const fleet = await fleetOf(hosts);
        const { read } = await readDescriptions(catalog, inputs, { takes: 'guests' });
        const cpus = await readFleet(catalog, inputs, { takes: 'guests' });
        const answer = place(fleet, guestsOf(catalog, read));
        for (const one of hosts) {
          const alone = await fleetOf([one]);
          const compared = compare(alone, cpus);
          const single = place(alone, guestsOf(catalog, read));
          for (const guest of single.guests) {
            const said = OF_COMPARE[compared.cpus.find((c) => c.cpu === guest.guest)!.verdict];
            assert.is(said, verdictOn(guest, one.host), `${guest.guest} on ${one.host}`);
            const among = answer.guests.find((g) => g.guest === guest.guest)!;
            assert.is(among.hosts.includes(one.host), guest.runsOn === 1);
            agreed++;
          }
        }
        for (const { id, description } of read) {
          const asked = description.asked!;
          const then = { ...asked, machine: 'pc-q35-7.2' };
          try {
            const [changed] = drift(catalog, [{ guest: id, from: asked, to: then }], fleet).guests;
            const { runsOn } = answer.guests.find((g) => g.guest === id)!;
            assert.is(changed!.runnable!.before, runsOn, JSON.stringify(asked));
          } catch (error) {
            // Of a guest that is refused or not known before the change there is nothing to say.
            if (error instanceof Error && error.name === 'Assertion') throw error;
          }
        }
      },
    ),
    { numRuns: 100 },
  );
  assert.ok(agreed > 2 * draws(100), `${agreed}`);
});

test.run();
