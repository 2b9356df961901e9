// A whole document of most dialects.
import {
  asIncus,
  asLscpu,
  asLscpuNested,
  asMetrics,
  asQueryResult,
  asSlurp,
  asVdsm,
  ICELAKE,
  MILAN,
} from './sources.ts';

const node = (name: string) =>
  `{"apiVersion":"v1","kind":"Node","metadata":{"name":"${name}","labels":{"cpu-feature.node.kubevirt.io/avx2":"true","cpu-model.node.kubevirt.io/Penryn":"true"}},"spec":{"taints":[]}}`;

/** Whole documents, and how many CPUs each describes. */
export const SAMPLES: readonly (readonly [dialect: string, count: number, text: string])[] = [
  ['lscpu', 1, asLscpu(ICELAKE)],
  ['lscpu', 1, asLscpuNested(MILAN)],
  ['prometheus', 1, asMetrics(ICELAKE)],
  ['prometheus', 2, asQueryResult({ a: ICELAKE, b: MILAN })],
  ['incus', 1, asIncus(MILAN)],
  ['ansible', 2, asSlurp({ a: ICELAKE, b: MILAN })],
  ['ovirt', 1, asVdsm(MILAN, ['EPYC'])],
  ['ovirt', 1, '1:AMD EPYC:svm,nx,model_EPYC:EPYC,+ssbd:x86_64;\n'],
  [
    'ovirt',
    1,
    '<host href="/ovirt-engine/api/hosts/1"><name>h</name><cpu><type>AMD EPYC</type></cpu></host>',
  ],
  ['kubernetes', 2, `{"apiVersion":"v1","kind":"List","items":[${node('a')},${node('b')}]}`],
  [
    'kubernetes',
    1,
    'apiVersion: v1\nkind: Node\nmetadata:\n  name: y\n  labels:\n    cpu-feature.node.kubevirt.io/aes: "true"\n',
  ],
  [
    'nova',
    1,
    '{"hypervisor_hostname":"c","cpu_info":{"model":"Nehalem","vendor":"Intel","features":["aes"],"maxphysaddr":{"bits":46}}}',
  ],
  ['nova', 1, '[libvirt]\ncpu_mode = custom\ncpu_models = EPYC\ncpu_model_extra_flags = ssbd\n'],
  ['proxmox', 2, '[{"name":"aes","supported-on":["a","b"]},{"name":"avx2","supported-on":["a"]}]'],
  ['proxmox', 1, 'cpu-model: fleet\n\treported-model EPYC\n\tflags +ssbd;-aes\n\tphys-bits 40\n'],
  ['proxmox', 1, 'cores: 2\ncpu: EPYC,flags=+ssbd\nostype: l26\n'],
  ['proxmox', 1, "/usr/bin/kvm -id 1 -name a -cpu 'EPYC,enforce,+ssbd' -machine pc\n"],
  [
    'xen',
    1,
    'vendor: GenuineIntel; features_hvm: 1fcbfbff-f7fa3203-2c100800-00000021-00000001-000007ab\n',
  ],
  [
    'firecracker',
    1,
    '{"cpuid_modifiers":[{"leaf":"0x7","subleaf":"0x0","flags":1,"modifiers":[{"register":"ebx","bitmap":"0b0x1"}]}],"msr_modifiers":[]}',
  ],
  ['cpu-models', 1, 'qemu64\nPenryn\n'],
  ['evc', 2, 'Name,EVCMode\na,intel-skylake\nb,amd-zen\n'],
  [
    'hyperv',
    1,
    'VMName,CompatibilityForMigrationEnabled,CompatibilityForMigrationMode\na,True,MinimumFeatureSet\n',
  ],
  ['qemu', 1, 'qemu-system-x86_64 -cpu EPYC,ssbd=on -machine pc-q35-9.2\n'],
];
