// The law of descriptions: of a host that is known in full, what any language makes of it has no more than the host
// has, and says of nothing that is there that it is absent. Each kind of document that a reader owns up to has a
// writer here, which writes what the product in question would.
import { readFileSync } from 'node:fs';
import { join as path } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  emptyRow,
  hasBit,
  isCovered,
  isEmpty,
  join,
  meet,
  minus,
  type Row,
  setBit,
} from '../../src/core/rows.ts';
import { type BitPlace, type Feature, loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import {
  evcLevels,
  evcModel,
  findNfd,
  nfdHidden,
  nfdSteady,
  ovirtType,
  xenWords,
} from '../../src/cpu/catalog/products.ts';
import type { Description } from '../../src/cpu/description.ts';
import { closeDependencies } from '../../src/cpu/qemu/model.ts';
import { dialectByName, dialectNames, recogniseDialect } from '../../src/dialects/index.ts';
import { lostAsRecord } from '../support/as-record.ts';
import { SHARED, sayMissing } from '../support/places.ts';
import { assertProperty } from '../support/property.ts';
import {
  asCpuinfo,
  asIncus,
  asLscpu,
  asMetrics,
  asSlurp,
  asVdsm,
  type Kernel,
} from '../support/sources.ts';

const test = suite('what descriptions prove');
const catalog = await loadCatalog();
const RUNS = 150;

interface Host {
  readonly vendor: 'Intel' | 'AMD';
  /** What it has, and KVM's own words. */
  readonly truth: Row;
  readonly kernel: string;
  readonly libvirt: string;
  readonly qemu: string;
  /** Arbitrary bits for a writer's own choices, by name. */
  readonly chance: (what: string) => boolean;
}

const has = ({ truth }: Host, name: string): boolean => hasBit(truth, catalog.feature(name).id);
/** What every 64-bit host has. */
const FLOOR = catalog.row(
  'apic clflush cmov cx8 de fpu fxsr lm mca mce mmx msr mtrr nx pae pat pge pse pse36 sep sse sse2 syscall tsc'.split(
    ' ',
  ),
);
const LETTERS = { Intel: 'GenuineIntel', AMD: 'AuthenticAMD' } as const;
/** Set by a guest's topology or by whoever took the dump: no description is held to these. */
const OUTSIDE = catalog.rowWhere((f) => f.merge === 'never');
const KVM = meet(
  catalog.accelerators.kvm.on,
  catalog.rowWhere((f) => f.isKvm),
);
/** Beyond what QEMU's models have, what such hosts may have besides. */
const BESIDES = {
  Intel: [
    'sgx',
    'sgxlc',
    'sgx1',
    'la57',
    'cet-ss',
    'cet-ibt',
    'arch-lbr',
    'waitpkg',
    'vmx',
    'invtsc',
  ],
  AMD: ['skinit', 'ibs', 'virt-ssbd', 'auto-ibrs', 'cet-ss', 'svm', 'invtsc', 'lwp'],
};

// The facts of Linux ------------------------------------------------------------------------------------------------

interface WordFacts {
  readonly word: string | null;
  readonly since?: string;
  readonly el8?: boolean;
  readonly vendor?: string;
  readonly line?: string;
  readonly flags?: string;
}
const linux: { sources: { version: string }[]; features: Record<string, WordFacts> } | null =
  SHARED === null
    ? null
    : JSON.parse(readFileSync(path(SHARED, 'facts/linux-cpuinfo.json'), 'utf8'));
const KERNELS = linux?.sources.map((s) => s.version) ?? ['6.1'];
const EL8 = '4.18.0-394.el8';

function printed(f: WordFacts, kernel: string): boolean {
  if (f.word === null) return false;
  if (f.since === '\u22644.19') return true;
  if (kernel === EL8) return f.el8 === true;
  const [a, b, c, d] = [kernel, f.since!].flatMap((v) => v.split('.', 2).map(Number.parseFloat));
  return a! > c! || (a === c && b! >= d!);
}

/** What the kernel prints: the firmware or a switch may hide what is there. */
function flagsOf(host: Host): string[] {
  const { vendor, kernel } = host;
  const out = new Set(['rep_good', 'nopl', 'cpuid', 'constant_tsc']);
  for (const [name, f] of Object.entries(linux!.features)) {
    if (f.line || !has(host, name) || !printed(f, kernel)) continue;
    if (name === 'amd-ssbd' || name === 'virt-ssbd') continue;
    if (f.vendor && !f.vendor.split(' ').includes(vendor)) continue;
    for (const word of f.word!.split(' ')) out.add(word);
  }
  if (vendor === 'AMD') {
    if (has(host, 'amd-ssbd') || has(host, 'virt-ssbd') || host.chance('ls-cfg')) out.add('ssbd');
    if (has(host, 'virt-ssbd') && !has(host, 'amd-ssbd')) out.add('virt_ssbd');
    if (host.chance('sev-snp')) {
      out.add('sev_snp');
      if (!/^[45]|^6\.[0-9]\b/.test(kernel)) out.delete('ibrs_enhanced');
    }
  }
  if (out.has('vmx'))
    for (const [name, f] of Object.entries(linux!.features))
      if (f.flags && has(host, name)) out.add(f.flags);
  for (const word of ['vmx', 'svm', 'sgx', 'sgx_lc', 'la57', 'user_shstk', 'ibt'])
    if (host.chance(`hides ${word}`)) out.delete(word);
  // Without the feature control of the firmware there is none of this.
  if (!out.has('vmx'))
    for (const word of ['tpr_shadow', 'vnmi', 'ept', 'vpid', 'ept_ad'])
      if (host.vendor === 'Intel') out.delete(word);
  return [...out];
}

const kernelOf = (host: Host): Kernel => ({
  vendor: LETTERS[host.vendor],
  family: 6,
  model: 1,
  stepping: 1,
  physBits: 46,
  flags: flagsOf(host),
});

function cpuinfoOf(host: Host): string {
  const text = asCpuinfo(kernelOf(host));
  const old = /^(?:4|5\.4)/.test(host.kernel);
  if (old || !/\bvmx\b/.test(text)) return text;
  const vmx = Object.entries(linux!.features).flatMap(([name, f]) =>
    f.line && has(host, name) && printed(f, host.kernel) && name !== 'vmx-eptp-switching'
      ? [f.word!]
      : [],
  );
  return text.replace(/^address/m, `vmx flags\t: ${vmx.join(' ')}\naddress`);
}

// libvirt and QEMU --------------------------------------------------------------------------------------------------

const libvirtName = (f: Feature): string => f.libvirt!.name;
const said = ({ libvirt }: Host): Row =>
  minus(
    catalog.nameable('libvirt', libvirt),
    join(
      OUTSIDE,
      catalog.rowWhere((f) => f.isKvm),
    ),
  );
const features = (row: Row): Feature[] => catalog.features.filter((f) => hasBit(row, f.id));

/** Models whose every feature is there, as this QEMU means them on a machine of today. */
function usable(host: Host): string[] {
  return [...catalog.qemuModels.values()].flatMap((m) => {
    if (m.kind === 'special' || !catalog.hasQemuModel(m.name, host.qemu)) return [];
    const versioned = m.kind === 'versioned' ? m.name : (m.of ?? `${m.name}-v1`);
    const row = catalog.qemuFeatures(versioned, host.qemu);
    if (row === null) return [];
    const off = catalog.row(['svm', 'monitor', 'acpi', 'vmx']);
    // KVM adds x2apic to each of them.
    const wanted = minus(closeDependencies(catalog, minus(row, off)), OUTSIDE);
    setBit(wanted, catalog.feature('x2apic').id);
    return isCovered(wanted, host.truth) ? [m.name] : [];
  });
}

/** A libvirt model of the host's own making, all of it there. */
function modelOf(host: Host): string {
  const fitting = [...catalog.libvirtModels.values()].flatMap((m) => {
    const row = catalog.libvirtFeatures(m.name, host.libvirt);
    const fits = row !== null && isCovered(minus(row, OUTSIDE), host.truth);
    return fits && (m.vendor === null || m.vendor === host.vendor) ? [m.name] : [];
  });
  return fitting.at(host.chance('which model') ? -1 : 0) ?? '486';
}

function capabilitiesOf(host: Host): { model: string; names: string[] } {
  const model = modelOf(host);
  const own = catalog.libvirtFeatures(model, host.libvirt)!;
  const row = minus(meet(host.truth, said(host)), own);
  const readsMsrs = host.chance('reads MSRs');
  return {
    model,
    names: features(row)
      .filter((f) => readsMsrs || f.msr === null)
      .map(libvirtName),
  };
}

function domainCapabilities(host: Host): string {
  const model = modelOf(host);
  const whole = catalog.libvirtModel(model, host.libvirt)!;
  const moving = minus(host.truth, catalog.migratableSilent);
  const differ = join(minus(moving, whole.features), minus(whole.features, moving));
  for (const id of [...whole.added, ...whole.removed]) setBit(differ, id);
  const lines = features(meet(differ, said(host))).map(
    (f) =>
      `<feature policy='${hasBit(moving, f.id) ? 'require' : 'disable'}' name='${libvirtName(f)}'/>`,
  );
  const good = new Set(usable(host));
  const list = [...catalog.libvirtModels.values()]
    .filter((m) => catalog.libvirtModel(m.name, host.libvirt) !== null)
    .map((m) => `<model usable='${good.has(m.name) ? 'yes' : 'no'}'>${m.name}</model>`);
  return `<domainCapabilities><domain>kvm</domain><machine>pc-q35-7.2</machine><arch>x86_64</arch><cpu>
    <mode name='host-model' supported='yes'><model fallback='forbid'>${model}</model><vendor>${host.vendor}</vendor>${lines.join('')}</mode>
    <mode name='custom' supported='yes'>${list.join('')}</mode></cpu></domainCapabilities>`;
}

/** Every feature that this QEMU knows, on or off. */
function propsOf(host: Host, migratable: boolean): Record<string, unknown> {
  const row = migratable ? minus(host.truth, catalog.migratableSilent) : host.truth;
  return {
    ...Object.fromEntries(
      catalog.features
        .filter((f) => catalog.hasQemuFeature(f, host.qemu))
        .map((f) => [f.name, hasBit(row, f.id)]),
    ),
    migratable,
    vendor: LETTERS[host.vendor],
  };
}

const definitions = (host: Host): string => {
  const good = new Set(usable(host));
  return JSON.stringify({
    return: [...catalog.qemuModels.values()]
      .filter((m) => catalog.hasQemuModel(m.name, host.qemu))
      .map((m) => ({
        name: m.name,
        typename: `${m.name}-x86_64-cpu`,
        'unavailable-features': good.has(m.name) ? [] : blockersOf(host, m.name),
      })),
  });
};

function blockersOf(host: Host, name: string): string[] {
  const { of = null, kind } = catalog.qemuModels.get(name)!;
  const row = catalog.qemuFeatures(kind === 'versioned' ? name : (of ?? `${name}-v1`), host.qemu);
  const off = catalog.row(['svm', 'monitor', 'acpi', 'vmx']);
  const asked = closeDependencies(catalog, minus(row ?? emptyRow(catalog.bits), off));
  const lacking = catalog.names(minus(minus(asked, OUTSIDE), host.truth));
  return lacking.length > 0 ? lacking : has(host, 'x2apic') ? ['type'] : ['x2apic'];
}

const qemuCaps = (host: Host): string =>
  `<qemuCaps><version>${host.qemu === '7.2' ? 7002000 : 10000000}</version><arch>x86_64</arch><hostCPU type='kvm' model='base' migratability='yes'>${Object.entries(
    propsOf(host, false),
  )
    .map(([name, v]) => `<property name='${name}' type='${typeof v}' value='${v}'/>`)
    .join('')}</hostCPU>${usable(host)
    .map((name) => `<cpu type='kvm' name='${name}' usable='yes'/>`)
    .join('')}</qemuCaps>`;

// Registers -----------------------------------------------------------------------------------------------------

type Key = `${number} ${number}`;

/** The words of CPUID that this host shows: EAX, EBX, ECX, EDX by leaf and subleaf. */
function wordsOf(host: Host): Map<Key, number[]> {
  const words = new Map<Key, number[]>();
  const letters = [...LETTERS[host.vendor]].map((c) => c.charCodeAt(0));
  const word = (i: number) =>
    letters[i]! | (letters[i + 1]! << 8) | (letters[i + 2]! << 16) | (letters[i + 3]! << 24);
  words.set('0 0', [0x24, word(0), word(8), word(4)]);
  words.set(`${0x80000000} 0`, [0x80000022, word(0), word(8), word(4)]);
  words.set(`${0x80000008} 0`, [0x302e, 0, 0, 0]);
  for (const f of catalog.features)
    for (const place of f.places) {
      if (place.kind === 'msr' || (place.leaf & 0xf0000000) >>> 0 === 0xc0000000) continue;
      if (place.leaf >>> 24 === 0x40) continue;
      const key: Key = `${place.leaf} ${place.subleaf}`;
      const row = words.get(key) ?? [0, 0, 0, 0];
      words.set(key, row);
      const at = ['eax', 'ebx', 'ecx', 'edx'].indexOf(place.register);
      if (hasBit(host.truth, f.id)) row[at] = (row[at]! | (1 << place.bit)) >>> 0;
    }
  words.get('7 0')![0] = 2;
  return words;
}

const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');
const entries = (host: Host): [leaf: number, subleaf: number, row: number[]][] =>
  [...wordsOf(host)].map(([key, row]) => {
    const [leaf, subleaf] = key.split(' ').map(Number) as [number, number];
    return [leaf, subleaf, row];
  });

function msrOf(host: Host, msr: number): bigint {
  let value = 0n;
  for (const f of catalog.features)
    for (const p of f.places)
      if (p.kind === 'msr' && p.msr === msr && hasBit(host.truth, f.id))
        value |= 1n << BigInt(p.bit);
  return value;
}

function dump(host: Host): string {
  const kept = entries(host).filter(
    ([leaf, subleaf]) =>
      leaf === 0 || leaf === 1 || !host.chance(`no leaf ${leaf.toString(16)} ${subleaf}`),
  );
  return `CPU 0:\n${kept
    .map(
      ([leaf, subleaf, row]) =>
        `   0x${hex(leaf)} 0x${subleaf.toString(16).padStart(2, '0')}: ${['eax', 'ebx', 'ecx', 'edx'].map((r, i) => `${r}=0x${hex(row[i]!)}`).join(' ')}`,
    )
    .join('\n')}\n`;
}

function cpudata(host: Host): string {
  const rows = entries(host).map(
    ([leaf, subleaf, row]) =>
      `<cpuid eax_in='0x${hex(leaf)}' ecx_in='0x${hex(subleaf)}' ${['eax', 'ebx', 'ecx', 'edx'].map((r, i) => `${r}='0x${hex(row[i]!)}'`).join(' ')}/>`,
  );
  const value = msrOf(host, 0x10a);
  const msr = `<msr index='0x10a' edx='0x${hex(Number(value >> 32n))}' eax='0x${hex(Number(value & 0xffffffffn))}'/>`;
  return `<cpudata arch='x86'>${rows.join('')}${host.chance('MSRs') ? msr : ''}</cpudata>`;
}

function cpudev(host: Host): Uint8Array {
  const count = host.chance('few leaves') ? 3 : 13;
  const words = wordsOf(host);
  const rows = Array.from({ length: count }, (_, leaf) => {
    const [eax, ebx, ecx, edx] = words.get(`${leaf} 0`) ?? [0, 0, 0, 0];
    return [eax!, ebx!, ecx!, edx!];
  });
  return new Uint8Array(new Uint32Array(rows.flat()).buffer);
}

function fingerprint(host: Host): string {
  const bits = (n: bigint, width: number) => `0b${n.toString(2).padStart(width, '0')}`;
  return JSON.stringify({
    guest_cpu_config: {
      cpuid_modifiers: entries(host)
        .filter(([leaf]) => leaf < 2 || !host.chance(`no leaf ${leaf}`))
        .map(([leaf, subleaf, row]) => ({
          leaf: `0x${leaf.toString(16)}`,
          subleaf: `0x${subleaf.toString(16)}`,
          modifiers: ['eax', 'ebx', 'ecx', 'edx'].map((register, i) => ({
            register,
            bitmap: bits(BigInt(row[i]!), 32),
          })),
        })),
      msr_modifiers: host.chance('MSRs')
        ? [{ addr: '0x10a', bitmap: bits(msrOf(host, 0x10a), 64) }]
        : [],
    },
  });
}

function featureset(host: Host): string[] {
  return xenWords.map((w) => {
    const at = (p: BitPlace): number | null => {
      if (w.kind === 'cpuid')
        return p.kind === 'cpuid' &&
          p.leaf === w.leaf &&
          p.subleaf === w.subleaf &&
          p.register === w.register
          ? p.bit
          : null;
      const from = w.half === 'hi' ? 32 : 0;
      return p.kind === 'msr' && p.msr === w.msr && p.bit >= from && p.bit < from + 32
        ? p.bit - from
        : null;
    };
    let word = 0;
    for (const f of features(host.truth))
      for (const p of f.places) {
        const bit = at(p);
        if (bit !== null) word = (word | (1 << bit)) >>> 0;
      }
    return hex(word);
  });
}

// Labels and lists ------------------------------------------------------------------------------------------------

const node = (labels: Record<string, string>): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n', labels: { 'kubernetes.io/arch': 'amd64', ...labels } },
  });

function kubevirt(host: Host): string {
  const row = minus(meet(host.truth, said(host)), catalog.migratableSilent);
  // Up to 0.53 the features of a minimum model are left out.
  const minimum = host.chance('old labeller')
    ? catalog.libvirtFeatures(
        host.chance('another minimum') ? 'Haswell-noTSX' : 'Penryn',
        host.libvirt,
      )!
    : emptyRow(catalog.bits);
  const name = (prefix: string, word: string) => [`${prefix}.node.kubevirt.io/${word}`, 'true'];
  return node(
    Object.fromEntries([
      name('cpu-vendor', host.vendor),
      ...features(minus(row, minimum)).map((f) => name('cpu-feature', libvirtName(f))),
      ...usable(host).map((model) => name('cpu-model', model)),
    ]),
  );
}

const NFD_MORE =
  'ADX CMPXCHG8 FXSR FXSROPT IBPB IBRS LAHF MOVBE SCE SPEC_CTRL_SSBD STIBP SVM SYSCALL SYSEE VMX X87 XSAVE XSAVEC XSAVEOPT XSAVES'.split(
    ' ',
  );

/** The words of Node Feature Discovery for what is there. */
const nfdWords = (host: Host): string[] =>
  [...nfdHidden, ...nfdSteady, ...NFD_MORE].filter((word) => {
    const found = findNfd(catalog, word, host.vendor);
    return found && found !== 'other' && hasBit(host.truth, found.id);
  });

const WRITERS: Readonly<
  Record<string, Readonly<Record<string, (host: Host) => string | Uint8Array | null>>>
> = {
  cpuinfo: { '/proc/cpuinfo': cpuinfoOf },
  lscpu: { lscpu: (host) => asLscpu(kernelOf(host)) },
  prometheus: {
    'node_cpu_flag_info with all flags': (host) => asMetrics(kernelOf(host)),
    'node_cpu_flag_info behind a flags filter': (host) =>
      asMetrics(kernelOf(host), /^(?:avx|ss|sse|aes)/),
  },
  ansible: {
    'a slurp of /proc/cpuinfo': (host) => asSlurp({ a: kernelOf(host) }),
  },
  ohai: {
    'ohai cpu': (host) =>
      JSON.stringify({
        hostname: 'a',
        kernel: { machine: 'x86_64', release: host.kernel },
        cpu: { 0: { vendor_id: LETTERS[host.vendor], flags: flagsOf(host) }, total: 1 },
      }),
  },
  salt: {
    'grains.items': (host) =>
      JSON.stringify({
        a: {
          cpu_flags: flagsOf(host),
          cpu_model: `${host.vendor === 'Intel' ? 'Intel(R)' : 'AMD'} X`,
          kernelrelease: host.kernel,
        },
      }),
  },
  incus: { 'resources of a member': (host) => asIncus(kernelOf(host)) },
  ovirt: {
    'getCapabilities of VDSM': (host) => asVdsm(kernelOf(host), usable(host)),
    'the CPU type of a host': (host) => {
      const type = ['Intel Nehalem Family', 'AMD Opteron G4', 'AMD EPYC'].find((name) => {
        const model = ovirtType(name)!.split(',')[0]!;
        return usable(host).includes(model);
      });
      return type === undefined
        ? null
        : `<host href="/ovirt-engine/api/hosts/1"><name>h</name><cpu><type>${type}</type></cpu></host>`;
    },
  },
  kubernetes: {
    "labels of KubeVirt's node-labeller": kubevirt,
    'labels of Node Feature Discovery': (host) =>
      node({
        'feature.node.kubernetes.io/cpu-model.vendor_id': host.vendor,
        ...Object.fromEntries(
          nfdWords(host)
            .filter((word) => host.chance('no denylist') || !nfdHidden.has(word))
            .map((word) => [`feature.node.kubernetes.io/cpu-cpuid.${word}`, 'true']),
        ),
      }),
    NodeFeature: (host) =>
      JSON.stringify({
        apiVersion: 'nfd.k8s-sigs.io/v1alpha1',
        kind: 'NodeFeature',
        metadata: { name: 'n' },
        spec: {
          features: {
            attributes: { 'cpu.model': { elements: { vendor_id: host.vendor } } },
            flags: {
              'cpu.cpuid': { elements: Object.fromEntries(nfdWords(host).map((w) => [w, {}])) },
            },
          },
        },
      }),
  },
  nova: {
    'cpu_info of a hypervisor': (host) => {
      const { model, names } = capabilitiesOf(host);
      return JSON.stringify({
        hypervisor_hostname: 'c',
        cpu_info: { arch: 'x86_64', model, vendor: host.vendor, features: names },
      });
    },
  },
  libvirt: {
    capabilities: (host) => {
      const { model, names } = capabilitiesOf(host);
      return `<capabilities><host><cpu><arch>x86_64</arch><model>${model}</model><vendor>${host.vendor}</vendor>${names.map((n) => `<feature name='${n}'/>`).join('')}</cpu></host></capabilities>`;
    },
    'domain capabilities': domainCapabilities,
    cpudata,
    qemuCaps,
  },
  'cpu-models': {
    'hypervisor-cpu-models': (host) => {
      const names = usable(host);
      return names.includes('qemu64') ? `${names.join('\n')}\n` : null;
    },
  },
  qmp: {
    'query-cpu-model-expansion of host or max': (host) =>
      [true, false]
        .filter((migratable) => migratable || host.chance('both'))
        .map((migratable) =>
          JSON.stringify({ return: { model: { name: 'host', props: propsOf(host, migratable) } } }),
        )
        .join('\n') + (host.chance('models') ? `\n${definitions(host)}` : ''),
    'query-cpu-definitions': definitions,
  },
  proxmox: {
    'cpu-flags of a cluster': (host) =>
      JSON.stringify(
        catalog.features
          .filter((f) => catalog.hasQemuFeature(f, host.qemu) && host.chance(`lists ${f.name}`))
          .map((f) => ({
            name: f.name,
            'supported-on': hasBit(minus(host.truth, catalog.migratableSilent), f.id) ? ['a'] : [],
          })),
      ),
    'cpuflags-kvm of a node': (host) =>
      features(minus(host.truth, catalog.migratableSilent))
        .filter((f) => catalog.hasQemuFeature(f, host.qemu))
        .map((f) => f.name.replaceAll(/[.-]/g, '_'))
        .join(' '),
  },
  xen: {
    'featuresets of guests': (host) =>
      `vendor: ${LETTERS[host.vendor]}; features_hvm: ${featureset(host).join('-')}\n`,
    'featuresets of the host': (host) => `hw_caps : ${featureset(host).slice(0, 8).join(':')}\n`,
  },
  firecracker: { fingerprint },
  cpuid: { 'CPUID dump': dump },
  cpudev: { '/dev/cpu/N/cpuid': cpudev },
  evc: {
    MaxEVCMode: (host) => {
      const level = evcLevels.findLast((key) => usable(host).includes(evcModel(key)!));
      return level === undefined ? null : `Name,MaxEVCMode\na,${level}\n`;
    },
  },
  records: {
    'host record': (host) => {
      const open = catalog.features.filter((f) => host.chance(`open ${f.name}`));
      return JSON.stringify({
        host: 'a',
        vendor: LETTERS[host.vendor],
        features: features(host.truth)
          .filter((f) => !open.includes(f))
          .map((f) => f.name),
        unknown: open.map((f) => f.name),
      });
    },
  },
};

// Hosts that are known in full ---------------------------------------------------------------------------------------

const MODELS = {
  Intel: [
    'Penryn',
    'Westmere',
    'Haswell',
    'Skylake-Server',
    'Cascadelake-Server',
    'Icelake-Server',
    'SapphireRapids',
    'GraniteRapids',
  ],
  AMD: ['Opteron_G3', 'Opteron_G5', 'EPYC', 'EPYC-Rome', 'EPYC-Milan', 'EPYC-Genoa'],
};

/** As many of the features as the seed's bits choose. */
const chosen = (chance: (what: string) => boolean, names: readonly string[]): string[] =>
  names.filter((name) => chance(`has ${name}`));

function hostOf(vendor: Host['vendor'], model: number, seed: number): Host {
  const chance = (what: string): boolean => {
    let h = seed ^ 0x9e3779b9;
    for (const c of what) h = Math.imul(h ^ c.charCodeAt(0), 0x85ebca6b) ^ (h >>> 13);
    return ((h ^ (h >>> 16)) & 3) === 0;
  };
  const names = MODELS[vendor];
  const base = catalog.qemuFeatures(`${names[model % names.length]}-v1`, '10.0')!;
  const more = catalog.features.filter((f) => f.offered.has(vendor) && !f.isKvm).map((f) => f.name);
  const extra = chosen(chance, [...more, ...BESIDES[vendor]]);
  const holes = features(base)
    .map((f) => f.name)
    .filter((name) => chance(`lacks ${name}`) && chance(`really ${name}`));
  const row = minus(join(base, catalog.row(extra)), join(catalog.row(holes), OUTSIDE));
  // Where an XSAVE component is exposed that can be switched by the guest, so can its switch be.
  if (hasBit(row, catalog.feature('amx-tile').id)) setBit(row, catalog.feature('xfd').id);
  // SGX is nothing without its first version.
  if (hasBit(row, catalog.feature('sgx').id)) setBit(row, catalog.feature('sgx1').id);
  const pick = (list: readonly string[], what: string) =>
    list[(seed + what.length * 7) % list.length]!;
  return {
    vendor,
    truth: join(closeDependencies(catalog, join(row, FLOOR)), KVM),
    kernel: pick(KERNELS, 'kernel'),
    libvirt: pick(catalog.versions.libvirt, 'libvirt'),
    qemu: pick(catalog.versions.qemu, 'q'),
    chance,
  };
}

const hosts = fc
  .tuple(fc.constantFrom<Host['vendor'][]>('Intel', 'AMD'), fc.nat(), fc.nat(0x7fffffff))
  .map((drawn) => hostOf(...drawn));

async function read(dialect: string, text: string | Uint8Array): Promise<Description[]> {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const head = new TextDecoder().decode(bytes.subarray(0, 65536));
  // A published list of flags is recognised by nothing but its reader.
  if (!/^\w+( \w+)+$/.test(head))
    assert.is(recogniseDialect(head)?.name, dialect, head.slice(0, 200));
  return dialectByName(dialect)!.read!({ name: 'file', bytes }, catalog);
}

test('every kind of document that a reader owns up to has a writer here', () => {
  const owned = dialectNames('read').flatMap((name) =>
    dialectByName(name)!.proves!.map((p) => `${name}: ${p.document}`),
  );
  const written = Object.entries(WRITERS).flatMap(([name, documents]) =>
    Object.keys(documents).map((document) => `${name}: ${document}`),
  );
  assert.equal(owned.sort(), written.sort());
});

for (const [name, documents] of Object.entries(WRITERS))
  for (const [document, write] of Object.entries(documents))
    test(`${name}, ${document}: no more than the host has, and nothing absent that is there`, async () => {
      const { view, words, unlisted } = dialectByName(name)!.proves!.find(
        (p) => p.document === document,
      )!;
      if (words === 'linux' && linux === null)
        return sayMissing(document, 'facts/linux-cpuinfo.json');
      let absent = 0;
      let there = 0;
      await assertProperty(
        fc.asyncProperty(hosts, async (host) => {
          const text = write(host);
          if (text === null) return;
          const [d] = await read(name, text);
          if (view !== null) assert.is(d!.view, view);
          const lacking = minus(d!.known, d!.has);
          const wrong = (row: Row) => catalog.names(minus(row, OUTSIDE)).join(' ');
          const [more, less] = [wrong(minus(d!.has, host.truth)), wrong(meet(lacking, host.truth))];
          assert.ok(more + less === '', `too much: ${more}; denied: ${less}`);
          absent += Number(!isEmpty(lacking));
          there += Number(!isEmpty(d!.has));
          if (words === 'models' && document !== 'query-cpu-definitions')
            assert.ok(isEmpty(lacking));
        }),
        { numRuns: RUNS },
      );
      assert.ok(there > 0, 'it tells something');
      if (unlisted === 'absent') assert.ok(absent > 0, 'silence tells something');
    });

for (const [name, documents] of Object.entries(WRITERS))
  for (const [document, write] of Object.entries(documents))
    test(`${name}, ${document}: its host record answers as it does`, async () => {
      const { words } = dialectByName(name)!.proves!.find((p) => p.document === document)!;
      if (words === 'linux' && linux === null)
        return sayMissing(document, 'facts/linux-cpuinfo.json');
      await assertProperty(
        fc.asyncProperty(hosts, async (host) => {
          const text = write(host);
          if (text === null) return;
          const [d] = await read(name, text);
          assert.equal((await lostAsRecord(catalog, d!, KERNELS)).join('\n'), '');
        }),
        { numRuns: 15 },
      );
    });

test.run();
