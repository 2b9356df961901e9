// What people give, and what it proves: one test a kind of document that was once read for more, or for less.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasBit } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { edgeStack } from '../../src/cpu/catalog/software.ts';
import type { Description } from '../../src/cpu/description.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import { dialectByName, recogniseDialect } from '../../src/dialects/index.ts';
import { readFleet } from '../../src/reading/read.ts';
import { baseline } from '../../src/solve/baseline.ts';
import { asLscpu, asMetrics, ICELAKE, MILAN } from '../support/sources.ts';

const test = suite('what people give');
const catalog = await loadCatalog();
const encode = (text: string) => new TextEncoder().encode(text);

async function read(dialect: string, text: string): Promise<Description[]> {
  assert.is(recogniseDialect(text.slice(0, 65536))?.name, dialect);
  return dialectByName(dialect)!.read!({ name: 'file', bytes: encode(text) }, catalog);
}

async function refusal(text: string): Promise<string> {
  try {
    await readFleet(catalog, [{ name: 'file', bytes: encode(text) }]);
  } catch (error) {
    if (error instanceof QueryError) return error.message;
    throw error;
  }
  return '';
}

/** +name where it is there, -name where it is absent, ?name where nothing is known. */
const says = (d: Description, names: string): string =>
  names
    .split(' ')
    .map((name) => {
      const { id } = catalog.feature(name);
      return `${hasBit(d.known, id) ? (hasBit(d.has, id) ? '+' : '-') : '?'}${name}`;
    })
    .join(' ');
const codes = (d: Description): string[] => d.notes.map((n) => n.code);
const line = async (text: string, nested = false) =>
  baseline(await readFleet(catalog, [{ name: 'host', bytes: encode(text) }]), {
    nested,
    stack: edgeStack(catalog, 'newest'),
  });

// Usable models -------------------------------------------------------------------------------------------------------

const node = (labels: readonly string[]): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: 'n1',
      labels: Object.fromEntries(
        ['cpu-vendor.node.kubevirt.io/AMD', ...labels].map((key) => [key, 'true']),
      ),
    },
  });
const feature = (name: string) => `cpu-feature.node.kubevirt.io/${name}`;
const model = (name: string) => `cpu-model.node.kubevirt.io/${name}`;

test('labels of an older KubeVirt leave out Penryn, and a usable model proves what it has', async () => {
  const [old] = await read('kubernetes', node(['avx2', 'sse4.2', 'x2apic'].map(feature)));
  assert.is(says(old!, 'avx2 fpu ssse3 cx16 avx512f'), '+avx2 ?fpu ?ssse3 ?cx16 -avx512f');
  assert.equal(codes(old!), ['labels-of-old']);
  const [proven] = await read(
    'kubernetes',
    node([...['avx2', 'sse4.2', 'sse4a', 'x2apic'].map(feature), model('EPYC'), model('Penryn')]),
  );
  assert.is(
    says(proven!, 'fpu ssse3 clflushopt svm npt monitor acpi ht'),
    '+fpu +ssse3 +clflushopt ?svm -npt ?monitor -acpi ?ht',
  );
  assert.ok(
    !(await line(node([feature('avx2'), model('EPYC')]))).definitions.qemu!.disable.includes('lm'),
  );
});

test('labels of a newer KubeVirt leave nothing out', async () => {
  const floor = 'cmov cx8 fpu fxsr lm mmx syscall sse sse2 avx2'.split(' ').map(feature);
  const [d] = await read('kubernetes', node(floor));
  assert.is(says(d!, 'avx2 ssse3 invtsc kvm-pv-eoi'), '+avx2 -ssse3 ?invtsc ?kvm-pv-eoi');
  assert.equal(codes(d!), []);
});

const domainCapabilities = (inner: string, about = '<domain>kvm</domain>') =>
  `<domainCapabilities>${about}<arch>x86_64</arch><cpu>${inner}</cpu></domainCapabilities>`;
const hostModel = (name: string, vendor: string, more = '') =>
  `<mode name='host-model' supported='yes'><model fallback='forbid'>${name}</model><vendor>${vendor}</vendor>${more}</mode>`;

test('a host-model newer than the catalog leaves what usable models prove', async () => {
  const text = domainCapabilities(
    `${hostModel('EPYC-Turbo', 'AMD', "<feature policy='disable' name='pku'/>")}<mode name='custom' supported='yes'>
      <model usable='yes'>EPYC-Genoa</model><model usable='no'>SapphireRapids</model></mode>`,
  );
  const [d] = await read('libvirt', text);
  assert.is(says(d!, 'avx512f vnmi svm sha512 pku'), '+avx512f ?vnmi ?svm ?sha512 -pku');
  assert.is((await line(text)).definitions.qemu!.name, 'EPYC-Genoa-v1');
});

test('a no without blockers is no verdict: what lacks decides', async () => {
  const text = domainCapabilities(
    `${hostModel('Nehalem', 'Intel')}<mode name='custom' supported='yes'><model usable='no'>Penryn</model>
      <model usable='no'>Haswell</model><model usable='yes'>Conroe</model></mode>`,
  );
  const [d] = await read('libvirt', text);
  assert.ok(d!.models!.get('Haswell')!.includes('avx2'));
  assert.is(says(d!, 'avx2'), '-avx2', 'blockers that are concluded prove nothing themselves');
});

test('what the machine type and every QEMU of the name have in common is proven', async () => {
  // A machine type of old takes x2apic from the name, and no QEMU adds vmx to it.
  const text = domainCapabilities(
    "<mode name='host-model' supported='no'/><mode name='custom' supported='yes'><model usable='yes'>Westmere-v2</model></mode>",
    '<domain>kvm</domain><machine>pc-q35-7.2</machine>',
  );
  const [d] = await read('libvirt', text);
  assert.is(says(d!, 'aes spec-ctrl avx vmx vmx-ept'), '+aes +spec-ctrl ?avx ?vmx ?vmx-ept');
});

// Whose words these are ---------------------------------------------------------------------------------------------

test('modes make a cpu element domain capabilities, whatever stands around it', async () => {
  const cpu = `<cpu><mode name='host-passthrough' supported='yes'/>${hostModel('EPYC-Rome', 'AMD')}
    <mode name='custom' supported='yes'><model usable='yes'>EPYC</model></mode></cpu>`;
  for (const text of [cpu, `<reply><host>${cpu}</host></reply>`]) {
    const [d, ...rest] = await read('libvirt', text);
    assert.equal(rest, []);
    assert.equal([d!.view, [...d!.models!]], ['hypervisor', [['EPYC', []]]]);
    assert.is(says(d!, 'clwb avx512f'), '+clwb -avx512f');
  }
});

test('domain capabilities of another hypervisor say nothing of KVM', async () => {
  for (const name of ['xen', 'bhyve', 'hvf']) {
    const text = domainCapabilities(
      "<mode name='host-model' supported='no'/>",
      `<domain>${name}</domain>`,
    );
    const [d] = await read('libvirt', text);
    assert.equal(codes(d!), ['no-host-model', 'other-hypervisor']);
    assert.is(says(d!, 'fpu kvm-poll-control kvmclock'), '?fpu -kvm-poll-control -kvmclock');
    assert.equal((await line(text)).features, []);
  }
});

const CAPS = (host: string) => `<qemuCaps>
  <emulator>/usr/bin/qemu-system-x86_64</emulator><version>8002001</version><arch>x86_64</arch>
  ${host}
  <cpu type='kvm' name='Westmere' typename='Westmere-x86_64-cpu' usable='yes'/>
  <cpu type='kvm' name='Opteron_G5' usable='no'><blocker name='fma4'/><blocker name='tbm'/></cpu>
  <cpu type='tcg' name='EPYC' usable='yes'/>
</qemuCaps>`;

test('what libvirt keeps of a QEMU is one host with its models', async () => {
  const property = (name: string, value: string, type = 'boolean') =>
    `<property name='${name}' type='${type}' value='${value}'/>`;
  const words = [
    property('avx2', 'true'),
    property('invtsc', 'true'),
    property('avx512f', 'false'),
    property('kvmclock', 'true'),
    property('family', '6', 'number'),
    property('model', '85', 'number'),
    property('stepping', '7', 'number'),
    property('vendor', 'GenuineIntel', 'string'),
  ].join('');
  const text = CAPS(
    `<hostCPU type='kvm' model='base' migratability='yes'>${words}</hostCPU><hostCPU type='tcg' model='base'>${property('la57', 'true')}</hostCPU>`,
  );
  const [d, ...rest] = await read('libvirt', text);
  assert.equal(rest, []);
  assert.equal(
    [d!.view, d!.vendor, d!.qemu, d!.signature, codes(d!)],
    ['hypervisor', 'Intel', '8.2.1', { family: 6, model: 85, stepping: 7 }, []],
  );
  assert.equal(
    [...d!.models!],
    [
      ['Westmere', []],
      ['Opteron_G5', ['fma4', 'tbm']],
    ],
  );
  assert.is(
    says(d!, 'avx2 invtsc avx512f aes la57 fma4'),
    '+avx2 +invtsc -avx512f +aes ?la57 ?fma4',
  );
  const emulated = CAPS(`<hostCPU type='tcg' model='base'>${property('la57', 'true')}</hostCPU>`);
  assert.equal(codes((await read('libvirt', emulated))[0]!), ['emulated']);
  assert.match(await refusal(CAPS('')), /file:1: this cache of libvirt's holds no <hostCPU>/);
});

test('plain emulation is the first thing that is said', async () => {
  const text = domainCapabilities(hostModel('Westmere', 'Intel'), '<domain>qemu</domain>');
  const answer = await line(text);
  assert.is(answer.findings[0]!.code, 'emulated');
  assert.ok(answer.findings.length > 1);
});

test("Xen's policy is no word on what KVM gives by an option", async () => {
  // acpi, vmx and monitor are among them; the words are those of a Skylake server.
  const text =
    'cpu_info (MRO): cpu_count: 4; vendor: GenuineIntel; family: 6; model: 85; stepping: 4; features_hvm: 1fcbfbff-f7fa3223-2d93fbff-00000523-0000000f-f1bf0fbb-00000000-00000100-00001000-8c000400\n';
  const [d] = await read('xen', text);
  assert.equal(d!.signature, { family: 6, model: 85, stepping: 4 });
  assert.is(says(d!, 'acpi vmx avx2 avx512f avx512pf'), '?acpi ?vmx +avx2 +avx512f -avx512pf');
  const { definitions } = await line(text);
  assert.ok(definitions.qemu !== undefined);
  for (const { require } of Object.values(definitions))
    assert.equal(
      require.filter((name) => ['acpi', 'monitor', 'vmx'].includes(name)),
      [],
    );
});

test('nested virtualization stays off where nobody tells what vmx is made of', async () => {
  const vmx = "<feature policy='require' name='vmx'/>";
  const text = domainCapabilities(hostModel('Skylake-Server-IBRS', 'Intel', vmx));
  const [d] = await read('libvirt', text);
  assert.is(says(d!, 'vmx vmx-ept'), '+vmx ?vmx-ept');
  const answer = await line(text, true);
  assert.not(answer.features.includes('vmx'));
  assert.ok(
    answer.findings.some((f) => f.code === 'nested-unknown' && /^host: vmx/.test(f.message)),
  );
  const { require, disable } = answer.definitions.qemu!;
  assert.equal(
    [...require, ...disable].filter((name) => name.startsWith('vmx')),
    [],
  );
  // A host that tells has it.
  const features = catalog.names(catalog.qemuFeatures('Skylake-Server-v3', '10.0')!);
  const told = JSON.stringify({ host: 'a', vendor: 'Intel', features: [...features, 'vmx'] });
  assert.ok((await line(told, true)).features.includes('vmx-ept'));
  assert.not((await line(told)).features.includes('vmx'));
});

// Registers -----------------------------------------------------------------------------------------------------------

test('leaves that a dump does not have are unknown', async () => {
  const [d] = await read(
    'cpuid',
    `CPU 0:
   0x00000000 0x00: eax=0x00000016 ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69
   0x00000001 0x00: eax=0x000506e3 ebx=0x00100800 ecx=0x7ffafbbf edx=0xbfebfbff
   0x00000007 0x00: eax=0x00000000 ebx=0x029c6fbf ecx=0x00000000 edx=0x00000000
`,
  );
  assert.is(
    says(d!, 'sse2 avx2 avx512f lm nx syscall xsavec invtsc'),
    '+sse2 +avx2 -avx512f ?lm ?nx ?syscall ?xsavec ?invtsc',
  );
});

test('a fingerprint of Firecracker tells the signature', async () => {
  const [d] = await read(
    'firecracker',
    JSON.stringify({
      guest_cpu_config: {
        cpuid_modifiers: [
          {
            leaf: '0x1',
            subleaf: '0x0',
            modifiers: [
              { register: 'eax', bitmap: `0b${(0x606a6).toString(2).padStart(32, '0')}` },
            ],
          },
        ],
        msr_modifiers: [],
      },
    }),
  );
  assert.equal(d!.signature, { family: 6, model: 106, stepping: 6 });
});

// The kernel's flags, wherever ----------------------------------------------------------------------------------------

test('a page of metrics is one, however late those of the CPU come', async () => {
  const other = '# HELP go_gc_cycles Cycles.\n# TYPE go_gc_cycles counter\n';
  const page = `${other}${'go_gc_cycles{a="b"} 1\n'.repeat(5000)}${asMetrics(ICELAKE)}`;
  assert.ok(page.indexOf('node_cpu') > 65536);
  const [d] = await read('prometheus', page);
  assert.is(says(d!, 'avx512f avx512-fp16 svm'), '+avx512f ?avx512-fp16 -svm');
  assert.match(await refusal(other), /file has no node_cpu_flag_info/);
});

test('lscpu is lscpu without its first line', async () => {
  const whole = asLscpu(MILAN);
  const [d] = await read('lscpu', whole.slice(whole.indexOf('\n') + 1));
  assert.is(says(d!, 'avx2 avx512f'), '+avx2 -avx512f');
  const [cut] = await read('lscpu', whole.slice(whole.indexOf('Vendor ID')));
  assert.is(cut!.vendor, 'AMD');
});

const OHAI = (flags: readonly string[]) =>
  JSON.stringify({
    hostname: 'h2',
    kernel: { machine: 'x86_64', release: '6.6.1' },
    cpu: {
      0: { vendor_id: 'AuthenticAMD', family: '25', model: '17', stepping: '1', flags },
      total: 1,
    },
  });

test('facts of ohai and of Salt are the flags of their kernel', async () => {
  const [d] = await read('ohai', OHAI(MILAN.flags));
  assert.equal(
    [d!.host, d!.vendor, d!.view, d!.signature],
    ['h2', 'AMD', 'kernel', { family: 25, model: 17, stepping: 1 }],
  );
  // Its kernel, which it tells, has had a word for auto-ibrs since 6.5.
  assert.is(says(d!, 'avx2 avx512f auto-ibrs vnmi'), '+avx2 -avx512f -auto-ibrs -vnmi');
  const grains = {
    cpuarch: 'x86_64',
    cpu_flags: ICELAKE.flags,
    cpu_model: 'Intel(R) Xeon(R)',
    kernelrelease: '5.15.0-91-generic',
  };
  const all = await read('salt', JSON.stringify({ 'db-1': grains, 'db-2': grains }, null, 4));
  assert.equal(
    all.map((host) => [host.host, host.vendor]),
    [
      ['db-1', 'Intel'],
      ['db-2', 'Intel'],
    ],
  );
  assert.is(says(all[0]!, 'spec-ctrl amx-tile avx512-fp16'), '+spec-ctrl ?amx-tile -avx512-fp16');
  const [local] = await read(
    'salt',
    `local:\n  id: web\n  cpu_model: AMD EPYC\n  cpu_flags:\n  - fpu\n  - ssbd\n`,
  );
  assert.equal([local!.host, local!.vendor], ['web', 'AMD']);
  assert.match(
    await refusal(JSON.stringify({ a: { ...grains, cpuarch: 'aarch64' } })),
    /file:1: a is aarch64, of which these facts list no features/,
  );
});

test('what lists no features is called by its name', async () => {
  const table: [string, RegExp][] = [
    [
      JSON.stringify({
        processors: { count: 4, isa: 'x86_64', models: ['Intel'] },
        kernel: 'Linux',
      }),
      /^file holds facts of Facter \(Puppet\).*lscpu -J/,
    ],
    [
      JSON.stringify([{ cpu_brand: 'AMD EPYC', cpu_type: 'x86_64' }]),
      /^file is an answer of osquery/,
    ],
    [
      'name = "g1"\ntype = "hvm"\ncpuid = [\n  "0x1:ecx=x00x"\n]\n',
      /^file configures a guest of Xen \(xl\.cfg\).*xen-cpuid/,
    ],
  ];
  for (const [text, expected] of table) assert.match(await refusal(text), expected);
});

// Lists of names ------------------------------------------------------------------------------------------------------

const nfd = (words: string, more: Record<string, string> = {}) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: 'a1',
      labels: {
        'kubernetes.io/arch': 'amd64',
        ...Object.fromEntries(
          words.split(' ').map((w) => [`feature.node.kubernetes.io/cpu-cpuid.${w}`, 'true']),
        ),
        ...more,
      },
    },
  });

test("Node Feature Discovery's words, by vendor, and what its labels keep back", async () => {
  const vendor = { 'feature.node.kubernetes.io/cpu-model.vendor_id': 'AMD' };
  const words = 'AVX AVX2 SSE4A SYSEE SPEC_CTRL_SSBD AVX10_128';
  const [d] = await read('kubernetes', nfd(words, vendor));
  assert.is(
    says(d!, 'avx2 sep amd-ssbd ssbd avx10-128 avx512f cmov lm apic tsc'),
    '+avx2 +sep +amd-ssbd ?ssbd +avx10-128 -avx512f ?cmov ?lm ?apic ?tsc',
  );
  assert.equal(d!.unnamed, []);
  // Nobody names the vendor: sse4a does.
  const [inferred] = await read('kubernetes', nfd(`${words} XOP FMA4 TBM`));
  assert.is(inferred!.vendor, 'AMD');
  assert.ok(codes(inferred!).includes('vendor-inferred'));
  const [intel] = await read(
    'kubernetes',
    nfd('SCE SPEC_CTRL_SSBD', { 'feature.node.kubernetes.io/cpu-model.vendor_id': 'Intel' }),
  );
  assert.is(says(intel!, 'sep ssbd amd-ssbd'), '+sep +ssbd ?amd-ssbd');
});

test('a NodeFeature keeps nothing back', async () => {
  const text = `apiVersion: nfd.k8s-sigs.io/v1alpha1
kind: NodeFeature
metadata:
  name: w1
  labels:
    nfd.node.kubernetes.io/node-name: node-7
spec:
  features:
    attributes:
      cpu.model:
        elements: {family: "6", id: "85", vendor_id: Intel}
    flags:
      cpu.cpuid:
        elements:
          AVX: {}
          AVX2: {}
          CMOV: {}
          IBPB: {}
          X87: {}
`;
  const [d] = await read('kubernetes', text);
  assert.equal(
    [d!.host, d!.vendor, d!.view, d!.signature, codes(d!)],
    ['node-7', 'Intel', 'hardware', { family: 6, model: 85, stepping: 0 }, []],
  );
  assert.is(
    says(d!, 'cmov fpu spec-ctrl bmi1 avx512f lm'),
    '+cmov +fpu +spec-ctrl -bmi1 -avx512f ?lm',
  );
  assert.match(
    await refusal(text.replace('cpu.cpuid', 'cpu.other')),
    /NodeFeature w1 has no flags of the processor/,
  );
});

test('entries of ServerCPUList for other architectures are left aside, and that is said', async () => {
  const x86 = '1:AMD EPYC:svm,nx,model_EPYC:EPYC:x86_64';
  const power = '2:IBM POWER9:powernv,model_POWER9:POWER9:ppc64';
  const [d, ...rest] = await read('ovirt', `${x86}; ${power}; ${power}`);
  assert.equal(rest, []);
  assert.match(d!.notes.at(-1)!.message, /other architectures are left aside \(2 of ppc64\)/);
  assert.match(await refusal(power), /entries of other architectures alone \(1 of ppc64\)/);
});

test('what a node of Proxmox VE publishes has underscores for whatever QEMU has', async () => {
  const [d] = await dialectByName('proxmox')!.read!(
    { name: 'file', bytes: encode('fpu sse4_1 arch_capabilities lahf_lm vmx_ept avx2 lm') },
    catalog,
  );
  assert.is(
    says(d!, 'sse4.1 arch-capabilities lahf-lm vmx-ept avx512f invtsc kvmclock'),
    '+sse4.1 +arch-capabilities +lahf-lm +vmx-ept -avx512f ?invtsc ?kvmclock',
  );
});

test.run();
