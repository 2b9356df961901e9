// Descriptions of every kind that no drawn host shows, written as host records: nothing is lost that answers rest on.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import type { Input } from '../../src/dialects/dialect.ts';
import { readDescriptions } from '../../src/reading/read.ts';
import { lostAsRecord } from '../support/as-record.ts';
import { ROOT, SHARED, sayMissing } from '../support/places.ts';

const test = suite('host records lose nothing');
const catalog = await loadCatalog();
// A few of them: drawn hosts are asked under every one.
const KERNELS = catalog.kvm.kernels.filter((_, i) => i % 5 === 0);

/** Every host of these inputs, and what its record loses. */
async function lost(inputs: readonly Input[]): Promise<{ hosts: number; lost: string[] }> {
  const { read } = await readDescriptions(catalog, inputs, { skipUnreadable: true });
  const hosts = read.filter(({ description: d }) => d.view !== 'guest');
  const all: string[] = [];
  for (const { id, description } of hosts)
    for (const what of await lostAsRecord(catalog, description, KERNELS))
      all.push(`${id}: ${what}`);
  return { hosts: hosts.length, lost: all };
}

const given = (name: string, text: string): Input => ({
  name,
  bytes: new TextEncoder().encode(text),
});

const domain = (cpu: string, more = '<domain>kvm</domain><machine>pc-q35-7.2</machine>') =>
  `<domainCapabilities>${more}<arch>x86_64</arch><cpu>${cpu}</cpu></domainCapabilities>`;
const model = (name: string, features = '') =>
  `<mode name='host-model' supported='yes'><model fallback='forbid'>${name}</model><vendor>Intel</vendor>${features}</mode>`;
const custom =
  "<mode name='custom' supported='yes'><model usable='yes'>486</model><model usable='no'>Haswell</model><blockers model='Haswell'><feature name='hle'/></blockers></mode>";

const DOCUMENTS: Readonly<Record<string, string>> = {
  'a model newer than the catalog': domain(
    model('Skylake-Next', "<feature policy='require' name='avx512f'/>") + custom,
  ),
  'plain emulation': domain(
    model('Nehalem', "<feature policy='disable' name='invtsc'/>") + custom,
    '<domain>qemu</domain><machine>pc-i440fx-8.0</machine>',
  ),
  'another hypervisor': domain(model('Nehalem'), '<domain>xen</domain>'),
  'no host-model': domain(custom),
  'address bits': domain(
    model(
      'Nehalem',
      "<maxphysaddr mode='passthrough' limit='46'/><feature policy='require' name='foo'/>",
    ),
  ),
  capabilities:
    "<capabilities><host><cpu><arch>x86_64</arch><model>Nehalem</model><vendor>Intel</vendor><microcode version='83898113'/><counter name='tsc' frequency='2100000000' scaling='no'/><signature family='6' model='85' stepping='7'/><feature name='osxsave'/><feature name='vmx'/></cpu></host><guest><arch name='x86_64'><machine canonical='pc-q35-7.2'>q35</machine></arch></guest></capabilities>",
  'a 32-bit processor':
    'processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 14\nstepping\t: 8\nflags\t\t: fpu vme de pse tsc msr pae mce cx8 sep pge cmov pat clflush mmx fxsr sse sse2 pni\n\n',
  'a host without a vendor': 'processor\t: 0\nflags\t\t: fpu lm sse2 avx hypervisor\n\n',
  'an Arm host':
    'processor\t: 0\nFeatures\t: fp asimd evtstrm aes sve\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n\n',
  'a POWER host':
    'processor\t: 0\ncpu\t\t: POWER9, altivec supported\nclock\t\t: 2300.000000MHz\nrevision\t: 2.2 (pvr 004e 1202)\n\ntimebase\t: 512000000\nplatform\t: PowerNV\n',
  'an Arm host of two kinds of cores':
    'processor\t: 0\nFeatures\t: fp asimd aes\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: 0xd07\nCPU revision\t: 0\n\nprocessor\t: 1\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd03\nCPU revision\t: 4\n\n',
  'Arm by QMP':
    '{"QMP":{"version":{"qemu":{"major":10,"minor":0,"micro":2}}}}\n{"return":{"arch":"aarch64"}}\n{"return":{"model":{"name":"host","props":{"sve":true,"sve128":true,"sve256":false,"pauth":false,"kvm-steal-time":true}}}}',
  's390x by QMP':
    '{"QMP":{"version":{"qemu":{"major":9,"minor":2,"micro":0}}}}\n{"return":{"arch":"s390x"}}\n{"return":[{"name":"gen15a-base","typename":"gen15a-base-s390x-cpu","unavailable-features":[]},{"name":"gen16a","typename":"gen16a-s390x-cpu","unavailable-features":["nnpa"]}]}\n{"return":{"model":{"name":"gen15a-base","props":{"vx":true,"te":false,"dfppc":true}}}}',
  's390x by libvirt':
    "<domainCapabilities><domain>kvm</domain><machine>s390-ccw-virtio-8.1</machine><arch>s390x</arch><cpu><mode name='host-model' supported='yes'><model fallback='forbid'>gen16a-base</model><feature policy='require' name='vx'/><feature policy='disable' name='te'/></mode><mode name='custom' supported='yes'><model usable='yes'>gen15a-base</model><model usable='no'>gen17a</model></mode></cpu></domainCapabilities>",
  'POWER by libvirt':
    '<capabilities><host><cpu><arch>ppc64le</arch><model>POWER10</model><vendor>IBM</vendor></cpu></host></capabilities>',
  'POWER domain capabilities':
    "<domainCapabilities><domain>kvm</domain><machine>pseries-7.2</machine><arch>ppc64</arch><cpu><mode name='host-model' supported='yes'><model fallback='allow'>POWER9</model></mode><mode name='custom' supported='yes'><model usable='yes'>POWER9</model></mode></cpu></domainCapabilities>",
  'RISC-V under emulation':
    "<domainCapabilities><domain>qemu</domain><machine>virt</machine><arch>riscv64</arch><cpu><mode name='host-model' supported='no'/><mode name='custom' supported='yes'><model usable='unknown'>rv64</model></mode></cpu></domainCapabilities>",
  'an Arm partition of ID registers':
    '{"host":"a","arch":"aarch64","midr":["0x413fd0c1"],"registers":{"ID_AA64PFR0_EL1":"0x1100000011111111"},"sve":[128,256],"features":["sve","aes"],"unknown":["bti"]}',
  'labels called as a record is':
    '{"apiVersion":"v1","kind":"Node","metadata":{"name":"n","labels":{"host":"h","features":"many","models":"no","processor":"x","findings":"none","virttype":"kvm","cpu-feature.node.kubevirt.io/avx2":"true","cpu-vendor.node.kubevirt.io/AMD":"true","cpu-model.node.kubevirt.io/EPYC":"true","cpu-model-migration.node.kubevirt.io/EPYC-Rome":"true","cpu-timer.node.kubevirt.io/tsc-frequency":"2100000000","cpu-timer.node.kubevirt.io/tsc-scalable":"false"}},"spec":{"unschedulable":true},"status":{"nodeInfo":{"kernelVersion":"5.14.0-362.el9.x86_64"}}}',
  'models without features':
    '{"apiVersion":"v1","kind":"Node","metadata":{"name":"n","labels":{"cpu-model.node.kubevirt.io/Nehalem":"true"}}}',
  'QEMU without KVM':
    '{"return":{"model":{"name":"max","props":{"avx2":true,"kvmclock":false,"kvm-asyncpf":false,"invtsc":false,"migratable":false,"phys-bits":40,"family":6,"model":6,"stepping":3,"new-one":true}}}}',
  'a list of models without an expansion':
    '{"QMP":{"version":{"qemu":{"major":10,"minor":0,"micro":2}}}}\n{"return":[{"name":"Haswell-v1","typename":"Haswell-v1-x86_64-cpu","alias-of":"x","unavailable-features":["hle","rtm"]},{"name":"486","typename":"486-x86_64-cpu","unavailable-features":[]}]}',
};

for (const [what, text] of Object.entries(DOCUMENTS))
  test(what, async () => {
    const found = await lost([given('file', text)]);
    assert.is(found.hosts, 1);
    assert.equal(found.lost, []);
  });

test('the fixtures', async () => {
  const files = [
    'demo-fleet.ndjson',
    'emerald-rapids-guest.cpuid',
    'emerald-rapids-guest.cpuinfo',
    'qemu-7.2-tcg.qmp',
  ];
  const found = await lost(
    files.map((name) => ({ name, bytes: readFileSync(join(ROOT, 'test/fixtures', name)) })),
  );
  assert.ok(found.hosts > 25);
  assert.equal(found.lost, []);
});

test('what was met in the field, and dumps of real processors', async () => {
  const shared = SHARED;
  if (shared === null) return sayMissing('records of the cases', 'cases');
  const inputs = ['cases/field', 'cases/cpuid'].flatMap((folder) =>
    readdirSync(join(shared, folder), { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => ({ name, bytes: readFileSync(join(shared, folder, name)) })),
  );
  const found = await lost([...inputs, ...archCases(shared)]);
  assert.ok(found.hosts > 130, `${found.hosts}`);
  assert.equal(found.lost, []);
});

/** Hosts of other architectures: as their kernels and as libvirt describe them. */
function archCases(shared: string): Input[] {
  const cases = (file: string) =>
    JSON.parse(readFileSync(join(shared, 'cases/archs', file), 'utf8')).cases as {
      readonly id: string;
      readonly text?: string;
      readonly domcaps?: { readonly text: string };
    }[];
  return [...cases('cpuinfo-boots.json'), ...cases('libvirt-archs.json')].flatMap(
    ({ id, text, domcaps }) => {
      const document = domcaps?.text ?? text;
      return document === undefined ? [] : [given(id, document)];
    },
  );
}

test.run();
