// KubeVirt: the CPU of a VirtualMachine, and the default of the whole cluster in the KubeVirt resource. Both speak
// libvirt's names.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { kubevirtObsolete } from '../../cpu/catalog/products.ts';
import type { Policy } from '../../cpu/cpu-element.ts';
import type { GuestCpu } from '../../cpu/definition.ts';
import type { Description, Note } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Dialect } from '../dialect.ts';
import { askedOfLibvirt, elementByModel } from '../guests/guest-by-model.ts';
import { guestDescription } from '../guests/libvirt-guest.ts';
import { at, listOf, textOf } from '../text/documents.ts';
import { yamlText } from '../text/yaml-text.ts';
import {
  libvirtSwitches,
  physBitsNote,
  scheduledFor,
  scheduledNote,
} from '../words/product-definitions.ts';

const POLICIES: readonly Policy[] = ['force', 'require', 'optional', 'disable', 'forbid'];
/** What a machine gets that names no model, in a cluster that names none either. */
const DEFAULT_MODEL = 'host-model';
const HEAD = 'apiVersion: kubevirt.io/v1\n';

const ARCHS: Readonly<Record<string, string>> = { amd64: 'x86_64', arm64: 'aarch64' };

/** An architecture as Kubernetes calls it. */
export const archByGo = (name: string): string => ARCHS[name] ?? name;

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
    const gives = textOf(model, place.where, 'spec.configuration.cpuModel');
    return {
      ...askedOfLibvirt(catalog, { model: gives, features: [], byName: 'kubevirt' }, asks),
      cluster: { gives },
    };
  }
  const machineSpec =
    at(resource, 'spec', 'virtualMachineTemplate', 'spec') ?? at(resource, 'spec');
  const spec = at(machineSpec, 'template', 'spec') ?? machineSpec;
  const cpu = at(spec, 'domain', 'cpu');
  const model = at(cpu, 'model') ?? undefined;
  const features = at(cpu, 'features') ?? [];
  const machine = at(spec, 'domain', 'machine', 'type');
  const arch = at(spec, 'architecture');
  const untold = untoldModel(machineSpec, model);
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
        arch: typeof arch === 'string' ? archByGo(arch) : null,
        ...(untold === null ? {} : { unsettled: untold.because }),
      },
      asks,
    ),
    ...(untold?.byCluster ? { cluster: { gives: null } } : {}),
    host:
      typeof at(resource, 'metadata', 'name') === 'string'
        ? (at(resource, 'metadata', 'name') as string)
        : null,
  };
}

/** Why a machine does not say which CPU it gets, and whether its cluster does; null where it says so itself. */
function untoldModel(
  spec: unknown,
  model: unknown,
): { readonly because: string; readonly byCluster: boolean } | null {
  const live = 'kubectl get vmi NAME -o yaml shows what a running machine has';
  const instancetype =
    at(spec, 'instancetype', 'name') ?? at(spec, 'instancetype', 'inferFromVolume');
  if (instancetype !== undefined)
    return {
      because: `its CPU is that of its instance type (spec.instancetype), which it does not hold; ${live}`,
      byCluster: false,
    };
  if (model !== undefined) return null;
  return {
    because: `it names no CPU model, so that of its cluster decides (cpuModel of the KubeVirt resource, else ${DEFAULT_MODEL}): give kubectl get kubevirt -A -o yaml beside it; or ${live}`,
    byCluster: true,
  };
}

interface Read {
  readonly input: string;
  readonly description: Description;
}

/**
 * Machines without a model with that of the KubeVirt resource of their cluster, where one is given; resources that
 * differ settle nothing. Where there are machines, the resource is no guest.
 */
export function withClusterModel<R extends Read>(catalog: Catalog, read: readonly R[]): R[] {
  const gives = new Set(read.flatMap(({ description: d }) => d.cluster?.gives ?? []));
  const isResource = ({ description: d }: R) => d.cluster != null && d.cluster.gives !== null;
  const isMachine = (r: R) => r.description.dialect === 'kubevirt' && !isResource(r);
  if (gives.size === 0 || !read.some(isMachine)) return [...read];
  const [model] = gives;
  return read
    .filter((r) => !isResource(r))
    .map((r) => {
      const { asked, cluster, host, line } = r.description;
      if (!cluster || asked?.by !== 'libvirt' || gives.size > 1) return r;
      const { unsettled: _, ...settled } = asked;
      const element = elementByModel(model!, asked.element);
      const { arch, machine } = r.description;
      const where = `${r.input}:${line ?? 1}: VirtualMachine ${host ?? 'without a name'}`;
      return {
        ...r,
        description: {
          ...guestDescription(catalog, { ...settled, element }, arch, line ?? 1, where),
          ...{ dialect: 'kubevirt', machine, host, element: null },
        },
      };
    });
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
