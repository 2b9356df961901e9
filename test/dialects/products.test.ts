// Descriptions by products: what each says, what it cannot know, and the names in which it is wrong or silent.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasBit } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import type { Description } from '../../src/cpu/host.ts';
import { dialectByName, recogniseDialect } from '../../src/dialects/index.ts';

const test = suite('products');
const catalog = await loadCatalog();
const encode = (text: string) => new TextEncoder().encode(text);

async function read(dialect: string, text: string): Promise<Description[]> {
  assert.is(recogniseDialect(text.slice(0, 65536))?.name, dialect, text.slice(0, 80));
  return dialectByName(dialect)!.read!({ name: 'file', bytes: encode(text) }, catalog);
}

async function refusal(dialect: string, text: string): Promise<string> {
  try {
    await read(dialect, text);
  } catch (error) {
    if (error instanceof QueryError) return error.message;
    throw error;
  }
  return 'it was read';
}

const state = (d: Description, name: string): boolean | 'unknown' => {
  const { id } = catalog.feature(name);
  return hasBit(d.known, id) ? hasBit(d.has, id) : 'unknown';
};
const states = (d: Description, names: string) => names.split(' ').map((name) => state(d, name));
const json = (value: unknown) => JSON.stringify(value, null, 2);

// Kubernetes ------------------------------------------------------------------------------------------------------

const node = (name: string, labels: Record<string, string>, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'kubernetes.io/arch': 'amd64', ...labels } },
  spec: {},
  ...more,
});
const KUBEVIRT = {
  'cpu-feature.node.kubevirt.io/avx2': 'true',
  'cpu-feature.node.kubevirt.io/pclmuldq': 'true',
  'cpu-feature.node.kubevirt.io/brandnew': 'true',
  'cpu-model.node.kubevirt.io/Penryn': 'true',
  'cpu-model-migration.node.kubevirt.io/Penryn': 'true',
  'cpu-model-migration.node.kubevirt.io/Skylake-Client-IBRS': 'true',
  'cpu-vendor.node.kubevirt.io/Intel': 'true',
  'host-model-required-features.node.kubevirt.io/ss': 'true',
  'cpu-timer.node.kubevirt.io/tsc-frequency': '2112000000',
  'cpu-timer.node.kubevirt.io/tsc-scalable': 'true',
  'topology.kubernetes.io/zone': 'east',
};

test('labels of KubeVirt are what the hypervisor offers', async () => {
  const [d] = await read(
    'kubernetes',
    json({ apiVersion: 'v1', kind: 'List', items: [node('n1', KUBEVIRT)] }),
  );
  assert.equal(
    [d!.host, d!.view, d!.vendor, d!.unnamed, d!.keys],
    [
      'n1',
      'hypervisor',
      'Intel',
      ['brandnew'],
      {
        'kubernetes.io/arch': 'amd64',
        'topology.kubernetes.io/zone': 'east',
        tscFrequency: 2112000000,
        tscScalable: true,
      },
    ],
  );
  // What every libvirt would have named is absent; a name that libvirt learnt of later is unknown.
  assert.equal(states(d!, 'avx2 pclmulqdq ss avx512f amx-complex'), [
    true,
    true,
    true,
    false,
    'unknown',
  ]);
  assert.equal(
    [...d!.models!],
    [
      ['Penryn', []],
      ['Skylake-Client-IBRS', null],
    ],
  );
});

test('labels of Node Feature Discovery leave what it hides unknown', async () => {
  const labels = {
    'feature.node.kubernetes.io/cpu-cpuid.AVX512VNNI': 'true',
    'feature.node.kubernetes.io/cpu-cpuid.IBPB': 'true',
    'feature.node.kubernetes.io/cpu-cpuid.CPBOOST': 'true',
    'feature.node.kubernetes.io/cpu-model.vendor_id': 'Intel',
    'feature.node.kubernetes.io/cpu-model.family': '6',
    'feature.node.kubernetes.io/cpu-model.id': '143',
  };
  const [d] = await read('kubernetes', json(node('n2', labels)));
  assert.equal([d!.view, d!.vendor, d!.unnamed], ['hardware', 'Intel', []]);
  assert.equal(states(d!, 'avx512vnni spec-ctrl gfni bmi2 popcnt sse4.2 nx'), [
    true,
    true,
    false,
    'unknown',
    'unknown',
    'unknown',
    'unknown',
  ]);
  assert.equal(
    d!.notes.map((n) => n.code),
    ['labels-filtered'],
  );
});

test('YAML streams, lists and single nodes are the same nodes', async () => {
  const yaml = `apiVersion: v1
kind: Node
metadata:
  name: one
  labels:
    cpu-feature.node.kubevirt.io/avx2: "true"
    cpu-vendor.node.kubevirt.io/AMD: "true"
spec:
  unschedulable: true
---
apiVersion: v1
kind: NodeList
items:
- apiVersion: v1
  kind: Node
  metadata:
    name: two
    labels: {cpu-feature.node.kubevirt.io/avx2: "true"}
  spec:
    taints: [{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}]
`;
  const all = await read('kubernetes', yaml);
  assert.equal(
    all.map((d) => [d.host, d.vendor, d.keys.unschedulable, d.line]),
    [
      ['one', 'AMD', true, 1],
      ['two', null, true, 11],
    ],
  );
});

test('a machine of KubeVirt is a guest', async () => {
  const vm = (cpu: object) =>
    json({
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachine',
      metadata: { name: 'web' },
      spec: { template: { spec: { domain: { cpu, machine: { type: 'pc-q35-rhel9.2.0' } } } } },
    });
  const [d] = await read(
    'kubernetes',
    vm({ model: 'Penryn', features: [{ name: 'ssbd' }, { name: 'cx16', policy: 'disable' }] }),
  );
  assert.equal(
    [d!.host, d!.view, d!.machine, ...states(d!, 'ssbd cx16 sse4.1')],
    ['web', 'guest', 'pc-q35-rhel9.2.0', true, false, true],
  );
  for (const [cpu, code] of [
    [{ model: 'host-model' }, 'host-cpu'],
    [{ cores: 2 }, 'unknown-model'],
  ] as const) {
    const [guest] = await read('kubernetes', vm(cpu));
    assert.equal(
      guest!.notes.map((n) => n.code),
      [code],
    );
  }
  assert.match(
    await refusal(
      'kubernetes',
      vm({ model: 'Penryn', features: [{ name: 'ssbd', policy: 'maybe' }] }),
    ),
    /VirtualMachine web: the policy "maybe" is none of force, require/,
  );
});

test('nodes that say nothing of their CPU are refused by name', async () => {
  assert.match(
    await refusal('kubernetes', json(node('bare', {}))),
    /file:1: Node bare has no CPU labels/,
  );
  assert.match(
    await refusal('kubernetes', json(node('arm', { 'kubernetes.io/arch': 'arm64' }))),
    /Node arm is aarch64/,
  );
  assert.match(
    await refusal(
      'kubernetes',
      json({ apiVersion: 'v1', kind: 'List', items: [{ kind: 'Pod', metadata: { name: 'p' } }] }),
    ),
    /Pod p describes no CPU/,
  );
  assert.match(
    await refusal('kubernetes', 'apiVersion: v1\nkind: Node\nmetadata: [1, 2\n'),
    /file:\d+: this is no YAML/,
  );
});

// Nova ------------------------------------------------------------------------------------------------------------

const CPU_INFO = {
  arch: 'x86_64',
  model: 'Nehalem',
  vendor: 'Intel',
  features: ['pge', 'avx2', 'pclmuldq', 'newest'],
  topology: { cores: 1, threads: 1, sockets: 4 },
  maxphysaddr: { mode: 'passthrough', bits: 46 },
};

test('hypervisors of Nova are their physical hosts, whether the JSON is text or not', async () => {
  for (const info of [CPU_INFO, JSON.stringify(CPU_INFO)]) {
    const all = await read(
      'nova',
      json({
        hypervisors: [
          { hypervisor_hostname: 'c1', status: 'disabled', cpu_info: info },
          { hypervisor_hostname: 'c2', cpu_info: info },
        ],
      }),
    );
    assert.equal(
      all.map((d) => [d.host, d.view, d.vendor, d.limits.physBits, d.unnamed, d.keys]),
      [
        ['c1', 'hardware', 'Intel', 46, ['newest'], { unschedulable: true }],
        ['c2', 'hardware', 'Intel', 46, ['newest'], {}],
      ],
    );
    assert.equal(states(all[0]!, 'avx2 pclmulqdq ssse3 avx512f'), [true, true, true, false]);
  }
  assert.match(
    await refusal('nova', json({ hypervisor: { hypervisor_hostname: 'c3', cpu_info: null } })),
    /file:1: c3 has no "cpu_info".*2\.87/,
  );
  assert.match(
    await refusal('nova', json({ hypervisor_hostname: 'c4', cpu_info: '{"arch":' })),
    /no JSON/,
  );
});

test('nova.conf gives guests the models that it lists', async () => {
  const conf =
    '[DEFAULT]\ndebug = false\n\n[libvirt]\ncpu_mode = custom\ncpu_models = SandyBridge, Haswell-noTSX\ncpu_model_extra_flags = +PCID, -aes, ssbd\n';
  const all = await read('nova', conf);
  assert.equal(
    all.map((d) => [d.model!.name, d.line, ...states(d, 'pcid aes ssbd')]),
    [
      ['SandyBridge', 6, true, false, true],
      ['Haswell-noTSX', 6, true, false, true],
    ],
  );
});

// Proxmox ---------------------------------------------------------------------------------------------------------

test('cpu-flags of Proxmox are all nodes of the cluster at once', async () => {
  const flags = [
    { name: 'avx2', description: 'x', 'supported-on': ['pve1', 'pve2'] },
    { name: 'avx512f', 'supported-on': ['pve2'] },
    { name: 'avx512-vpopcntdq', 'supported-on': ['pve2'] },
    { name: 'vmx-ept', 'supported-on': ['pve1', 'pve2'] },
    { name: 'nested-virt', 'supported-on': ['pve1'] },
    { name: 'aes', 'supported-on': [] },
  ];
  for (const text of [json(flags), json({ data: flags })]) {
    const all = await read('proxmox', text);
    assert.equal(
      all.map((d) => [d.host, d.view, d.vendor, ...states(d, 'avx2 avx512f aes pcid'), d.unnamed]),
      [
        ['pve1', 'hypervisor', 'Intel', true, false, false, 'unknown', []],
        ['pve2', 'hypervisor', 'Intel', true, true, false, 'unknown', []],
      ],
    );
  }
  assert.match(
    await refusal('proxmox', json([{ name: 'EPYC', custom: 0, vendor: 'AuthenticAMD' }])),
    /"EPYC" is listed without "supported-on"/,
  );
});

test('a VM of Proxmox has its CPU type and flags', async () => {
  const conf =
    'boot: order=scsi0\ncores: 4\ncpu: x86-64-v2-AES,flags=+ssbd;-aes\nname: web\nmachine: pc-q35-9.2+pve1\nostype: l26\n\n[snapshot]\ncpu: host\n';
  const [d] = await read('proxmox', conf);
  assert.equal(
    [d!.host, d!.view, ...states(d!, 'aes sse4.2 ssbd popcnt avx')],
    ['web', 'guest', false, true, true, true, false],
  );
  const notesOf = async (conf: string) =>
    (await read('proxmox', conf))[0]!.notes.map((note) => note.message).join('\n');
  assert.match(
    await notesOf('cores: 2\ncpu: custom-fleet\nostype: l26\n'),
    /file:2: its CPU is custom-fleet, a custom model.*qm showcmd/,
  );
  assert.match(await notesOf('cores: 2\ncpu: EPIC\nostype: l26\n'), /EPIC.*EPYC/);
});

test('qm showcmd says what QEMU gets', async () => {
  const line =
    "/usr/bin/kvm -id 101 -name 'web,debug-threads=on' -machine type=pc-q35-9.0+pve1 -cpu 'qemu64,+aes,enforce,+kvm_pv_eoi,+pni,+popcnt,vendor=GenuineIntel' -m 2048\n";
  const [d] = await read('proxmox', line);
  assert.equal(
    [d!.host, d!.machine, d!.vendor, ...states(d!, 'aes popcnt avx')],
    ['web', 'pc-q35-9.0', 'Intel', true, true, false],
  );
});

test('custom models of Proxmox are read as QEMU reads them', async () => {
  const conf =
    'cpu-model: one\n\treported-model EPYC\n\tflags +pcid;-aes\n\tphys-bits 42\n\ncpu-model: two\n    hidden 1\n';
  const all = await read('proxmox', conf);
  assert.equal(
    all.map((d) => [d.host, d.line, d.limits.physBits, ...states(d, 'pcid aes sse4a')]),
    [
      ['one', 1, 42, true, false, true],
      ['two', 6, null, false, false, false],
    ],
  );
  const [{ notes }] = (await read('proxmox', 'cpu-model: one\n\tflags aes\n')) as [Description];
  assert.match(notes[0]!.message, /model one the line "flags aes" counts as none/);
});

// oVirt -----------------------------------------------------------------------------------------------------------

test('entries of ServerCPUList are guests, and flags that no host reports are found', async () => {
  const text =
    '8:AMD EPYC-Milan-v2:svm,vaes,vpclmutqdq,stipb-always-on,model_EPYC-Milan:EPYC-Milan,+vaes,+pclmuldq:x86_64; 1:IBM POWER8:powernv,model_POWER8:POWER8:ppc64;\n';
  const [d, ...rest] = await read('ovirt', text);
  assert.equal(
    [d!.host, d!.view, rest.length, ...states(d!, 'vaes sse4a')],
    ['AMD EPYC-Milan-v2', 'guest', 0, true, true],
  );
  assert.equal(
    d!.notes
      .filter((n) => n.code === 'impossible-flag')
      .map((n) => /requires "([^"]+)".*did you mean "([^"]+)"/.exec(n.message)?.slice(1)),
    [
      ['vpclmutqdq', 'vpclmulqdq'],
      ['stipb-always-on', 'stibp-always-on'],
    ],
  );
});

test('hosts and clusters of the engine are known by their CPU type', async () => {
  const xml = `<hosts><host href="/ovirt-engine/api/hosts/1" id="1"><name>h1</name><status>up</status><cpu><name>Intel</name><type>Secure Intel Cascadelake Server Family</type></cpu></host>
<host href="/ovirt-engine/api/hosts/2" id="2"><name>h2</name><status>maintenance</status><cpu><type>AMD EPYC</type></cpu></host></hosts>`;
  const all = await read('ovirt', xml);
  assert.equal(
    all.map((d) => [d.host, d.view, d.line, d.keys.unschedulable ?? false]),
    [
      ['h1', 'hypervisor', 1, false],
      ['h2', 'hypervisor', 2, true],
    ],
  );
  assert.equal(states(all[0]!, 'avx512f md-clear amx-tile'), [true, true, 'unknown']);
  const [cluster] = await read(
    'ovirt',
    '<cluster href="/ovirt-engine/api/clusters/1"><name>c</name><cpu><type>AMD EPYC</type></cpu></cluster>',
  );
  assert.equal([cluster!.view, ...states(cluster!, 'sse4a avx512f')], ['guest', true, false]);
  assert.match(
    await refusal('ovirt', xml.replace('AMD EPYC', 'AMD Epic')),
    /host h2: the CPU type "AMD Epic" is not known/,
  );
});

// Incus -----------------------------------------------------------------------------------------------------------

test('a running VM of Incus has what it was started with', async () => {
  const state = JSON.stringify({
    version: 1,
    cpu_type: 'kvm64,aes,avx2',
    machine_type: 'pc-q35-9.0',
  });
  const [d] = await read(
    'incus',
    json({ name: 'vm1', config: { 'volatile.vm.boot_state': state } }),
  );
  assert.equal(
    [d!.host, d!.view, d!.machine, ...states(d!, 'aes avx2 avx')],
    ['vm1', 'guest', 'pc-q35-9.0', true, true, false],
  );
  const [group] = await read(
    'incus',
    'name: default\nconfig:\n  instances.vm.cpu.x86_64.baseline: EPYC-v4\n  instances.vm.cpu.x86_64.flags: ssbd,-aes\n',
  );
  assert.equal([group!.host, ...states(group!, 'ssbd aes sse4a')], ['default', true, false, true]);
  assert.match(
    await refusal(
      'incus',
      'name: default\nconfig:\n  instances.vm.cpu.x86_64.baseline: kvm64\n  instances.vm.cpu.x86_64.flags: auto\n',
    ),
    /flags=auto is worked out by the cluster/,
  );
});

// Xen -------------------------------------------------------------------------------------------------------------

test('featuresets of Xen are in its own order of words, and short ones are zero at the end', async () => {
  const info =
    'cpu_count: 4; vendor: GenuineIntel; features_pv: 17c9cbf5; features_hvm: 1fcbfbff-f7fa3203-2c100800-00000021-00000001-000007ab-00000000-00000000-00001000-9c000400; features_hvm_host: 1fcbfbff-f7fa3203-2c100800-00000021-00000001-000007ab';
  const [d] = await read('xen', `uuid ( RO): 1\nname-label ( RW): xen1\ncpu_info (MRO): ${info}\n`);
  assert.equal([d!.host, d!.view, d!.vendor], ['xen1', 'hypervisor', 'Intel']);
  // What it starts guests with stands above what it would accept.
  assert.equal(states(d!, 'fpu aes lm avx2 spec-ctrl md-clear ibpb'), [
    true,
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
  const [max] = await read('xen', info.replace(/; features_hvm_host.*/, ''));
  assert.equal(states(max!, 'spec-ctrl md-clear ibpb avx512f'), [true, true, true, false]);
});

test('xl info shows eight words, in an older order before 4.7', async () => {
  const now =
    'host                   : x1\nhw_caps                : bfebfbff:77fef3ff:2c100800:00000121:0000000f:d19ff7eb:00000018:00000100\n';
  const [d] = await read('xen', now);
  assert.equal([d!.host, d!.view, d!.vendor], ['x1', 'hardware', 'Intel']);
  assert.equal(
    d!.notes.map((n) => n.code),
    ['vendor-inferred', 'xen-policy'],
  );
  assert.equal(states(d!, 'avx2 lm abm spec-ctrl'), [true, true, true, 'unknown']);
  const old =
    'hw_caps                : bfebfbff:28100800:00000000:00003b40:009ce3bd:00000000:00000001:00000000\n';
  const [before] = await read('xen', old);
  assert.equal(states(before!, 'sse2 lm ssse3 lahf-lm avx2'), [true, true, true, true, false]);
  assert.match(
    await refusal('xen', now.replace('00000100', '0000')),
    /file:2: hw_caps: "0000" is no word/,
  );
});

test('xen-cpuid prints policies, and what KVM may withhold is left open', async () => {
  const text =
    'nr_features: 18\n        KEY  1d       1c\nRaw                             bfebfbff:77fefbff:2c100800:00000121\nHost                            bfebfbff:77faf3ff:2c100800:00000121\nHVM                             1fcbfbff:f7fa3223:2c100800:00000021\n';
  const [d] = await read('xen', text);
  assert.equal(
    [d!.view, ...states(d!, 'vmx monitor acpi avx avx2')],
    ['hypervisor', 'unknown', false, 'unknown', true, false],
  );
});

// Firecracker -----------------------------------------------------------------------------------------------------

test('a fingerprint is what its host gives microVMs, and a template is a guest', async () => {
  const config = {
    cpuid_modifiers: [
      {
        leaf: '0x0',
        subleaf: '0x0',
        flags: 0,
        modifiers: [
          { register: 'ebx', bitmap: `0b${(0x756e6547).toString(2).padStart(32, '0')}` },
          { register: 'edx', bitmap: `0b${(0x49656e69).toString(2).padStart(32, '0')}` },
          { register: 'ecx', bitmap: `0b${(0x6c65746e).toString(2).padStart(32, '0')}` },
        ],
      },
      {
        leaf: '0x7',
        subleaf: '0x0',
        flags: 1,
        modifiers: [{ register: 'ebx', bitmap: '0b00000000000000010000000000100xxx' }],
      },
    ],
    msr_modifiers: [{ addr: '0x10a', bitmap: `0b${'1'.padStart(64, '0')}` }],
  };
  const [d] = await read(
    'firecracker',
    json({
      firecracker_version: '1.6.0',
      microcode_version: '0xd0003a5',
      guest_cpu_config: config,
    }),
  );
  assert.equal([d!.view, d!.vendor, d!.microcode], ['hypervisor', 'Intel', '0xd0003a5']);
  assert.equal(states(d!, 'avx512f avx2 bmi1 fsgsbase rdctl-no mds-no lm'), [
    true,
    true,
    false,
    'unknown',
    true,
    false,
    'unknown',
  ]);
  const [template] = await read('firecracker', json(config));
  assert.is(template!.view, 'guest');
  assert.match(
    await refusal(
      'firecracker',
      json({
        cpuid_modifiers: [
          { leaf: '0x7', subleaf: '0x0', modifiers: [{ register: 'ebx', bitmap: '0b012' }] },
        ],
      }),
    ),
    /the bitmap of leaf 0x7 ebx is "0b012"/,
  );
  assert.match(await refusal('firecracker', json({ reg_modifiers: [] })), /ARM processor/);
});

// Lists and levels ------------------------------------------------------------------------------------------------

test('a list of usable models proves what these models have, and nothing else', async () => {
  const [d] = await read('cpu-models', 'qemu64\nNehalem\nEPYC-Milan\n');
  assert.equal(
    [[...d!.models!.keys()], d!.vendor, d!.notes.map((n) => n.code)],
    [['qemu64', 'Nehalem', 'EPYC-Milan'], 'AMD', ['vendor-inferred', 'names-only']],
  );
  assert.equal(states(d!, 'sse2 avx2 sse4a avx512f svm npt monitor acpi vmx kvm-pv-eoi'), [
    true,
    true,
    true,
    ...Array.from({ length: 7 }, () => 'unknown'),
  ]);
  const [none] = await read('cpu-models', 'qemu64\nNoSuchModel\n'.replace('qemu64', 'Conroe'));
  assert.equal(
    [none!.vendor, state(none!, 'ssse3'), state(none!, 'sse4.1')],
    [null, true, 'unknown'],
  );
});

test('EVC levels stand for the models of their generation', async () => {
  const csv = '"Name","MaxEVCMode"\r\n"esx1","intel-broadwell"\r\n"esx2","amd-zen2"\r\n';
  const all = await read('evc', csv);
  assert.equal(
    all.map((d) => [d.host, d.view, d.vendor, d.line, ...states(d, 'adx avx512f')]),
    [
      ['esx1', 'hypervisor', 'Intel', 2, true, 'unknown'],
      ['esx2', 'hypervisor', 'AMD', 3, true, 'unknown'],
    ],
  );
  assert.match(
    await refusal('evc', csv.replace('zen2', 'zenn2')),
    /file:3: esx2: "amd-zenn2" is no EVC level that is known; did you mean "amd-zen2"/,
  );
  const [cluster] = await read('evc', 'Cluster;EVCMode\nprod;intel-skylake\n');
  assert.equal([cluster!.host, cluster!.view, state(cluster!, 'avx512f')], ['prod', 'guest', true]);
});

test('the compatibility modes of Hyper-V', async () => {
  const csv =
    '"VMName","CompatibilityForMigrationEnabled","CompatibilityForMigrationMode"\n"a","True","MinimumFeatureSet"\n"b","True","CommonClusterFeatureSet"\n"c","False",""\n';
  const all = await read('hyperv', csv);
  assert.equal(
    all.map((d) => [d.host, d.view, ...states(d, 'sse2 ssse3'), d.notes.map((n) => n.code).join()]),
    [
      ['a', 'guest', true, false, 'level-by-name'],
      ['b', 'guest', 'unknown', 'unknown', 'cluster-cpu'],
      ['c', 'guest', 'unknown', 'unknown', 'host-cpu'],
    ],
  );
  assert.match(
    await refusal('hyperv', csv.replace('"False"', '"Maybe"')),
    /file:4: c: CompatibilityForMigrationEnabled is "Maybe"/,
  );
});

test.run();
