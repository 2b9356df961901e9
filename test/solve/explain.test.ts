// Errors that people paste, by theme: what each is about, and what is said of the hosts at hand.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { explain } from '../../src/solve/explain.ts';
import { names } from '../../src/solve/look-up.ts';
import { fleetOf } from '../support/hosts.ts';

const test = suite('explain and names');
const catalog = await loadCatalog();

/** Theme, text, the code that it is recognised by, its features, and a word of the advice. */
const THEMES: readonly (readonly [
  theme: string,
  text: string,
  code: string,
  features: string,
  advice: RegExp,
])[] = [
  [
    'mixed fleets',
    "error: operation failed: guest CPU doesn't match specification: missing features: vmx-rdrand-exit,vmx-vmfunc,vmx-rdseed-exit,vmx-posted-intr",
    'missing-features',
    'vmx-rdrand-exit vmx-vmfunc vmx-rdseed-exit vmx-posted-intr',
    /guests that run guests/,
  ],
  [
    'mixed fleets',
    'Warning NoSuitableNodesForHostModelMigration migration VMI: missing erms, vaes',
    'no-node-for-host-model',
    '',
    /kubectl get nodes/,
  ],
  [
    'mixed fleets',
    "0/13 nodes are available: 13 node(s) didn't match Pod's node affinity/selector.",
    'no-node-matches',
    '',
    /cpu-model/,
  ],
  [
    'drift',
    "operation failed: guest CPU doesn't match specification: extra features: ht",
    'extra-features',
    'ht',
    /comes and goes with versions/,
  ],
  [
    'drift',
    "guest CPU doesn't match specification: missing features: pdcm,waitpkg",
    'missing-features',
    'pdcm waitpkg',
    /comes and goes with versions/,
  ],
  [
    'drift',
    'internal error: Unknown CPU feature arch-facilities',
    'unknown-feature',
    'arch-capabilities',
    /RHEL 7/,
  ],
  [
    'names',
    'the CPU is incompatible with host CPU: Host CPU does not provide required features: spec-ctrl',
    'required-features',
    'spec-ctrl',
    /mitigations/,
  ],
  [
    'names',
    "qemu-system-x86_64: unable to find CPU model 'Skylake-Server-v9'",
    'unknown-model',
    '',
    /no model of the catalog; did you mean "Skylake-Server-v\d"/,
  ],
  [
    'names',
    "qemu-system-x86_64: can't apply global: Property 'EPYC-x86_64-cpu.avx512_vnnni' not found",
    'unknown-property',
    '',
    /no feature that the catalog knows/,
  ],
  [
    'names',
    'The host CPU does not match the Cluster CPU Type and is running in a degraded mode. It is missing the following CPU flags: model_Skylake-Server, spec_ctrl.',
    'cluster-type',
    'spec-ctrl',
    /ServerCPUList/,
  ],
  [
    'pre-checks',
    "MigrationPreCheckError: Unacceptable CPU info: CPU doesn't have compatibility.",
    'unacceptable-cpu-info',
    '',
    /skip_cpu_compare_on_dest/,
  ],
  [
    'address bits',
    'qemu-system-x86_64: Address space limit 0x7fffffffff < 0x10a3fffffff phys-bits too low (39)',
    'phys-bits',
    '',
    /maxphysaddr/,
  ],
  [
    'clocks',
    'qemu: TSC frequency mismatch between VM (2112000 kHz) and host (2594000 kHz), and TSC scaling unavailable',
    'tsc',
    '',
    /--schedulable/,
  ],
  ['XSAVE', 'XSAVE offset/size differs for feature 5', 'xsave-layout', '', /layouts differ/],
  [
    'nested',
    "host doesn't support requested feature: CPUID.80000001H:ECX.svm [bit 2]",
    'unsupported-feature',
    'svm',
    /nested=1/,
  ],
  [
    'TSX',
    "kvm: warning: host doesn't support requested feature: CPUID.07H:EBX.rtm [bit 11]",
    'unsupported-feature',
    'rtm',
    /-noTSX/,
  ],
  [
    'MPX',
    'Host CPU does not provide required features: mpx',
    'required-features',
    'mpx',
    /switch mpx off/,
  ],
  [
    'vendors',
    'error: unsupported configuration: CPU vendors do not match',
    'vendors-differ',
    '',
    /--by vendor/,
  ],
  [
    'invtsc',
    'State blocked by non-migratable CPU device (invtsc flag)',
    'non-migratable',
    'invtsc',
    /tsc-frequency/,
  ],
  [
    'snapshots',
    'Failed to restore: failed to fill whole buffer',
    'snapshot-elsewhere',
    '',
    /firecracker/,
  ],
  [
    'Xen',
    "VM_INCOMPATIBLE_WITH_THIS_HOST: OpaqueRef:1, OpaqueRef:2, VM last booted on a CPU with features this host's CPU does not have.",
    'xapi-incompatible',
    '',
    /start the VM anew/,
  ],
  ['Xen', 'CANNOT_EVACUATE_HOST: VM_INCOMPATIBLE', 'xapi-incompatible', '', /pool/],
  ['EPYC', 'missing features: erms,fsrm', 'missing-features', 'erms fsrm', /BIOS/],
  [
    'ARM',
    "unsupported configuration: CPU mode 'host-model' for aarch64 kvm domain on aarch64 host is not supported by hypervisor",
    'arm-host-cpu',
    '',
    /ARM hosts/,
  ],
  [
    'Proxmox',
    "Built-in cputype 'fleet' is not defined (missing 'custom-' prefix?)",
    'proxmox-cpu-type',
    '',
    /cpu-models\.conf/,
  ],
];

test('each theme is recognised, with its features and its advice', () => {
  for (const [theme, text, code, features, advice] of THEMES) {
    const { explanations } = explain(catalog, text);
    const found = explanations.find((e) => e.code === code);
    assert.ok(found, `${theme}: ${text}: ${explanations.map((e) => e.code).join() || 'nothing'}`);
    assert.is(
      found.features.flatMap((f) => f.feature ?? []).join(' '),
      features,
      `${theme}: ${text}`,
    );
    assert.match(found.remedies.join('\n'), advice, `${theme}: ${text}`);
  }
});

test('a message that is broken over lines, in the midst of a log, is the same message', () => {
  const log =
    "Nov 24 libvirtd[1]: operation failed: guest CPU\n  doesn't match specification:\n  missing features: avx512f,\n pku\nNov 24 next line";
  const [found] = explain(catalog, log).explanations;
  assert.equal(found!.features.map((f) => f.feature).slice(0, 1), ['avx512f']);
});

test('with hosts, the message is about those that lack the feature', () => {
  const fleet = fleetOf(catalog, [
    { id: 'new', features: ['avx512f', 'sse2'] },
    { id: 'old', features: ['sse2'] },
    { id: 'dark', features: ['sse2'], unknown: ['avx512f'] },
  ]);
  const [found] = explain(catalog, 'missing features: avx512f, sse2', fleet).explanations;
  assert.equal(found!.features, [
    {
      spelling: 'avx512f',
      feature: 'avx512f',
      lack: { count: 1, hosts: ['old'] },
      unknown: { count: 1, hosts: ['dark'] },
    },
    {
      spelling: 'sse2',
      feature: 'sse2',
      lack: { count: 0, hosts: [] },
      unknown: { count: 0, hosts: [] },
    },
  ]);
  assert.match(
    found!.remedies.join('\n'),
    /avx512f is missing on old: keep guests that have it off that host/,
  );
});

test('what says nothing of CPUs is not explained', () => {
  for (const text of ['', 'connection refused', 'disk full', 'CPU usage is 100%'])
    assert.equal(explain(catalog, text).explanations, [], text);
});

const one = (term: string) => names(catalog, [term]).terms[0]!;

test('any spelling leads to all others', () => {
  for (const [term, feature] of [
    ['pclmuldq', 'pclmulqdq'],
    ['avx512_vnni', 'avx512vnni'],
    ['avx512-vnni', 'avx512vnni'],
    ['sse4_1', 'sse4.1'],
    ['tsc_deadline_timer', 'tsc-deadline'],
    ['CLMUL', 'pclmulqdq'],
    ['lahf_lm', 'lahf-lm'],
    ['arch-caps', 'arch-capabilities'],
  ] as const) {
    const found = one(term);
    assert.equal([found.kind, ...found.meanings.map((m) => m.feature)], ['feature', feature], term);
  }
  assert.equal(one('pclmuldq').features, [
    {
      name: 'pclmulqdq',
      qemu: ['pclmulqdq', 'pclmuldq'],
      libvirt: 'pclmuldq',
      linux: ['pclmulqdq'],
      xen: 'pclmulqdq',
      since: { qemu: '7.2', libvirt: '9.0' },
    },
  ]);
});

test('a flag that means several things says so', () => {
  const found = one('stibp');
  assert.equal(found.meanings.map((m) => m.feature).sort(), ['amd-stibp', 'stibp']);
  assert.match(found.note!, /not the same everywhere: .*amd-stibp for Linux on AMD/);
});

test('what the kernel prints by vendor, or as two flags, is said so', () => {
  assert.equal(one('spec-ctrl').features[0]!.linux, ['ibrs and ibpb (on Intel)']);
  assert.equal(one('amd-stibp').features[0]!.linux, ['stibp (on AMD)']);
  assert.equal(
    one('ibrs').meanings.map((m) => m.feature),
    ['ibrs', 'spec-ctrl'],
  );
  assert.match(one('ibrs').note!, /spec-ctrl for Linux on Intel \(both flags together\)/);
});

test('models say what they stand for, and where they are known', () => {
  assert.equal(
    [one('Skylake-Server-IBRS').model!.of, one('EPYC').model!.versions.slice(0, 2)],
    ['Skylake-Server-v2', ['EPYC-v1', 'EPYC-v2']],
  );
  assert.match(one('EPYC').note!, /the machine type chooses the version: EPYC-v1/);
  assert.equal([one('EPYC-v1').model!.proxmox, one('EPYC-v3').model!.proxmox], [false, true]);
  assert.match(one('x86-64-v3').note!, /avx2.*movbe/);
  assert.match(one('amd-zen2').note!, /EPYC-Rome/);
  assert.is(one('pc-q35-9.2').kind, 'machine');
});

test('a name that is nobody’s is answered with the nearest', () => {
  const found = one('vpclmutqdq');
  assert.equal([found.kind, found.nearest[0]], [null, 'vpclmulqdq']);
  assert.match(found.note!, /nobody's spelling.*nearest is "vpclmulqdq" \(.*QEMU.*\)/);
  assert.match(one('arch-facilities').note!, /is "arch-capabilities" today/);
  for (const term of ['constructor', '__proto__', '']) assert.is(one(term).kind, null);
});

test.run();
