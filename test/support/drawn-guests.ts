// One guest in every language that guests are defined in: a model or the host's own CPU, and switches of features.
import fc from 'fast-check';
import type { Catalog } from '../../src/cpu/catalog.ts';

export interface DrawnSpec {
  /** A model that QEMU and libvirt know, or none does; 'host' for the CPU of its host, null where it names none. */
  readonly model: string | null;
  /** Features in QEMU's spelling and in libvirt's, on or off. */
  readonly switches: readonly { readonly qemu: string; readonly libvirt: string; on: boolean }[];
  readonly machine: string | null;
}

const MODELS = [
  '486',
  '486',
  '486',
  'Nehalem',
  'Haswell-noTSX',
  'EPYC',
  'Opteron_G3',
  'EPYC-Venice',
];

export function drawnSpec(catalog: Catalog): fc.Arbitrary<DrawnSpec> {
  const feature = fc.constantFrom(
    ...catalog.features.flatMap((f) =>
      f.qemu === '7.2' && f.libvirt?.since === '9.0' && f.merge !== 'never'
        ? [{ qemu: f.name, libvirt: f.libvirt.name }]
        : [],
    ),
  );
  return fc.record({
    model: fc.constantFrom(...MODELS, 'host', null),
    switches: fc.uniqueArray(
      fc.tuple(feature, fc.boolean()).map(([names, on]) => ({ ...names, on })),
      { maxLength: 2, selector: ({ qemu }) => qemu },
    ),
    machine: fc.constantFrom(null, 'pc-q35-7.2'),
  });
}

type Writer = (id: string, spec: DrawnSpec) => string;

const plusMinus = (spec: DrawnSpec, words: 'qemu' | 'libvirt') =>
  spec.switches.map((s) => `${s.on ? '+' : '-'}${s[words]}`);
const passthrough = ({ model }: DrawnSpec) => (model === 'host' ? 'host-passthrough' : model);

const libvirt: Writer = (id, spec) => {
  const { model, machine, switches } = spec;
  const features = switches
    .map((s) => `<feature policy='${s.on ? 'require' : 'disable'}' name='${s.libvirt}'/>`)
    .join('');
  const cpu =
    model === null
      ? ''
      : model === 'host'
        ? `<cpu mode='host-passthrough'>${features}</cpu>`
        : `<cpu mode='custom' match='exact'><model>${model}</model>${features}</cpu>`;
  const type = machine === null ? '<type>hvm</type>' : `<type machine='${machine}'>hvm</type>`;
  return `<domain type='kvm'><name>${id}</name><os>${type}</os>${cpu}</domain>`;
};

const qemu: Writer = (id, spec) =>
  [
    `qemu-system-x86_64 -name ${id}`,
    ...(spec.machine === null ? [] : [`-machine ${spec.machine}`]),
    ...(spec.model === null ? [] : [`-cpu ${[spec.model, ...plusMinus(spec, 'qemu')].join(',')}`]),
  ].join(' ');

const kubevirt: Writer = (id, spec) =>
  JSON.stringify({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name: id },
    spec: {
      template: {
        spec: {
          domain: {
            ...(spec.machine === null ? {} : { machine: { type: spec.machine } }),
            cpu: {
              ...(spec.model === null ? {} : { model: passthrough(spec) }),
              features: spec.switches.map((s) => ({
                name: s.libvirt,
                policy: s.on ? 'require' : 'disable',
              })),
            },
          },
        },
      },
    },
  });

const nova: Writer = (_, spec) => {
  const { model } = spec;
  const mode = model === null ? 'none' : model === 'host' ? 'host-passthrough' : 'custom';
  const flags = plusMinus(spec, 'libvirt').join(', ');
  return [
    '[libvirt]',
    'virt_type = kvm',
    `cpu_mode = ${mode}`,
    ...(mode === 'custom' ? [`cpu_models = ${model}`, `cpu_model_extra_flags = ${flags}`] : []),
    '',
  ].join('\n');
};

const ovirt: Writer = (id, spec) => {
  const { model } = spec;
  const cpu = model === 'host' ? '<cpu><mode>host_passthrough</mode></cpu>' : '<cpu/>';
  const custom =
    model === null || model === 'host'
      ? ''
      : `<custom_cpu_model>${[model, ...plusMinus(spec, 'libvirt')].join(',')}</custom_cpu_model>`;
  return `<vm href="/ovirt-engine/api/vms/1"><name>${id}</name>${custom}${cpu}</vm>`;
};

const incusGroup: Writer = (id, spec) =>
  JSON.stringify({
    name: id,
    config: {
      'instances.vm.cpu.x86_64.baseline': spec.model ?? 'qemu64',
      'instances.vm.cpu.x86_64.flags': spec.switches
        .map((s) => (s.on ? s.qemu : `-${s.qemu}`))
        .join(','),
    },
  });

const incusState: Writer = (id, spec) =>
  JSON.stringify({
    name: id,
    config: {
      'volatile.vm.boot_state': JSON.stringify({
        version: 1,
        cpu_type: [spec.model ?? 'qemu64', ...plusMinus(spec, 'qemu')].join(','),
        ...(spec.machine === null ? {} : { machine_type: spec.machine }),
      }),
    },
  });

const proxmox: Writer = (id, spec) =>
  [`cpu: ${spec.model ?? 'kvm64'}`, 'cores: 2', `name: ${id}`, 'scsihw: virtio-scsi-pci', ''].join(
    '\n',
  );

/** Every language that a guest can be defined in, by its dialect and the document. */
export const WRITERS: Readonly<Record<string, Writer>> = {
  libvirt,
  qemu,
  kubevirt,
  nova,
  'ovirt vm': ovirt,
  'incus group': incusGroup,
  'incus boot_state': incusState,
  proxmox,
};
