// KubeVirt: the CPU of a VirtualMachine, and the default of the whole cluster in the KubeVirt resource. Both speak
// libvirt's names.
import type { Catalog } from '../cpu/catalog.ts';
import type { GuestCpu } from '../cpu/definition.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Description, Note } from '../cpu/host.ts';
import type { Policy } from '../cpu/libvirt.ts';
import { kubevirtObsolete } from '../cpu/products.ts';
import { askedOfLibvirt } from './asked.ts';
import type { Dialect } from './dialect.ts';
import { at, listOf, textOf } from './documents.ts';
import { libvirtSwitches, physBitsNote, scheduledFor, scheduledNote } from './written.ts';
import { yamlText } from './yaml-text.ts';

const POLICIES: readonly Policy[] = ['force', 'require', 'optional', 'disable', 'forbid'];
/** What a machine gets that names no model, in a cluster that names none either. */
const DEFAULT_MODEL = 'host-model';
const HEAD = 'apiVersion: kubevirt.io/v1\n';

/** Kinds of KubeVirt's that describe the CPU of a guest. */
export const GUEST_KINDS: ReadonlySet<unknown> = new Set([
  'VirtualMachine',
  'VirtualMachineInstance',
  'VirtualMachineInstanceReplicaSet',
  'VirtualMachinePool',
  'KubeVirt',
]);

/** The guest that a resource of one of these kinds describes. */
export function readKubevirt(
  catalog: Catalog,
  resource: unknown,
  place: { readonly line: number; readonly where: string },
): Description {
  const asks = { dialect: 'kubevirt', ...place };
  if (at(resource, 'kind') === 'KubeVirt') {
    const model = at(resource, 'spec', 'configuration', 'cpuModel') ?? DEFAULT_MODEL;
    return askedOfLibvirt(
      catalog,
      {
        model: textOf(model, place.where, 'spec.configuration.cpuModel'),
        features: [],
        byName: 'kubevirt',
      },
      asks,
    );
  }
  const machineSpec =
    at(resource, 'spec', 'virtualMachineTemplate', 'spec') ?? at(resource, 'spec');
  const spec = at(machineSpec, 'template', 'spec') ?? machineSpec;
  const cpu = at(spec, 'domain', 'cpu');
  const model = at(cpu, 'model') ?? undefined;
  const features = at(cpu, 'features') ?? [];
  const machine = at(spec, 'domain', 'machine', 'type');
  return {
    ...askedOfLibvirt(
      catalog,
      {
        model: model === undefined ? null : textOf(model, place.where, 'cpu.model'),
        features: listOf(features, place.where, 'cpu.features').map((feature) => ({
          name: textOf(at(feature, 'name'), place.where, 'the name of a feature'),
          policy: policyOf(at(feature, 'policy'), place.where),
        })),
        machine: typeof machine === 'string' ? machine : null,
        byName: 'kubevirt',
        ...untoldModel(machineSpec, model),
      },
      asks,
    ),
    host:
      typeof at(resource, 'metadata', 'name') === 'string'
        ? (at(resource, 'metadata', 'name') as string)
        : null,
  };
}

/** Why a machine does not say which CPU it gets; nothing where it does. */
function untoldModel(spec: unknown, model: unknown): { unsettled?: string } {
  const live = 'kubectl get vmi NAME -o yaml shows what a running machine has';
  const instancetype =
    at(spec, 'instancetype', 'name') ?? at(spec, 'instancetype', 'inferFromVolume');
  if (instancetype !== undefined)
    return {
      unsettled: `its CPU is that of its instance type (spec.instancetype), which it does not hold; ${live}`,
    };
  if (model !== undefined) return {};
  return {
    unsettled: `it names no CPU model, so that of its cluster decides (cpuModel of the KubeVirt resource, else ${DEFAULT_MODEL}); ${live}`,
  };
}

function policyOf(value: unknown, where: string): Policy {
  if (value === undefined || value === null || value === '') return 'require';
  const policy = POLICIES.find((p) => p === value);
  if (policy) return policy;
  throw new QueryError(`${where}: the policy "${value}" is none of ${POLICIES.join(', ')}`);
}

export const kubevirt: Dialect = {
  name: 'kubevirt',
  use: 'kubectl patch vm NAME --type merge --patch-file FILE, then restart the machine',
  write(cpu, catalog) {
    const { definition } = scheduled(cpu);
    const features = libvirtSwitches(catalog, definition);
    const lines = [
      `model: ${yamlText(definition.name)}`,
      ...(features.length > 0 ? ['features:'] : []),
      ...features.flatMap(({ name, on }) => [
        `  - name: ${yamlText(name)}`,
        `    policy: ${on ? 'require' : 'disable'}`,
      ]),
    ];
    return `${HEAD}kind: VirtualMachine
spec:
  template:
    spec:
      domain:
        cpu:
${lines.map((line) => `          ${line}\n`).join('')}`;
  },
  notes: (cpu) => [...notScheduled(cpu), ...physBitsNote(cpu, 'KubeVirt')],
  words: 'libvirt',
};

const scheduled = (cpu: GuestCpu) => scheduledFor(cpu, 'KubeVirt', kubevirtObsolete);
const notScheduled = (cpu: GuestCpu) => scheduledNote(scheduled(cpu), 'KubeVirt', kubevirtObsolete);

export const kubevirtCr: Dialect = {
  name: 'kubevirt-cr',
  use: 'kubectl patch kubevirt kubevirt -n kubevirt --type merge --patch-file FILE',
  write(cpu) {
    const { name } = scheduled(cpu).definition;
    return `${HEAD}kind: KubeVirt
spec:
  configuration:
    cpuModel: ${yamlText(name)}
`;
  },
  notes: (cpu, catalog) => [
    ...notScheduled(cpu),
    ...crNotes(cpu, catalog),
    ...physBitsNote(cpu, 'KubeVirt'),
  ],
  words: 'libvirt',
};

function crNotes(cpu: GuestCpu, catalog: Catalog): Note[] {
  const { definition } = scheduled(cpu);
  const features = libvirtSwitches(catalog, definition);
  if (features.length === 0) return [];
  const surplus = features.filter(({ on }) => !on).map(({ name }) => name);
  return [
    {
      code: 'cannot-express',
      message: `the cluster's default is a model without features: ${features.length} of ${definition.name} must be set in each machine (--to kubevirt)${surplus.length > 0 ? `, else a machine may not start where ${surplus.slice(0, 4).join(', ')}${surplus.length > 4 ? ', ...' : ''} cannot be had` : ''}`,
    },
  ];
}
