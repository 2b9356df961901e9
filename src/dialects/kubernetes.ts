// Nodes of Kubernetes as kubectl prints them: the labels of KubeVirt's node-labeller, which say what the hypervisor
// offers, or those of Node Feature Discovery, which keep back some of what the processor has.
import { emptyRow, hasBit, type Row, setBit } from '../core/rows.ts';
import type { Catalog, Vendor } from '../cpu/catalog.ts';
import { settleDependents } from '../cpu/cpuid.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Description, Note } from '../cpu/host.ts';
import { kernelOf } from '../cpu/kernel.ts';
import { findNfd, nfdHidden, nfdSteady } from '../cpu/products.ts';
import { untold, vendorOf, wholeNumber } from './described.ts';
import { type Dialect, orSkip } from './dialect.ts';
import { at, listOf, objectOf, readDocuments, textOf } from './documents.ts';
import { asText, isObject } from './json.ts';
import { GUEST_KINDS, readKubevirt } from './kubevirt.ts';
import { quote } from './lines.ts';

type Labels = ReadonlyMap<string, string>;
type Keys = Record<string, string | number | boolean>;

const KUBEVIRT = /(?:^|\.)kubevirt\.io\//;
const NFD = 'feature.node.kubernetes.io/';
const CPUID = `${NFD}cpu-cpuid.`;
/** Taints that keep guests away. */
const REPELS = new Set<unknown>(['NoSchedule', 'NoExecute']);
const ARCHS: Readonly<Record<string, string>> = { amd64: 'x86_64', arm64: 'aarch64' };

export const kubernetes: Dialect = {
  name: 'kubernetes',
  recognises: (head) =>
    /(?:^|[{,\s])"?apiVersion"?\s*:/.test(head) &&
    /(?:^|[{,\s])"?kind"?\s*:\s*"?(?:Node|NodeList|List|VirtualMachine\w*|KubeVirt)"?\s*(?:[,}]|$)/m.test(
      head,
    ),
  async read(input, catalog, skip) {
    const out: Description[] = [];
    for (const { value, line } of await readDocuments(input))
      for (const resource of resourcesOf(value, `${input.name}:${line}`))
        out.push(...orSkip(skip, () => describe(catalog, resource, input.name, line)));
    return out;
  },
};

function resourcesOf(value: unknown, where: string): readonly unknown[] {
  const kind = at(value, 'kind');
  return typeof kind === 'string' && /List$/.test(kind)
    ? listOf(at(value, 'items'), where, '"items"')
    : [value];
}

function describe(catalog: Catalog, resource: unknown, input: string, line: number): Description {
  const kind = at(resource, 'kind');
  const name = at(resource, 'metadata', 'name');
  const where = `${input}:${line}: ${wordOf(kind) ?? 'a resource'} ${wordOf(name) ?? 'without a name'}`;
  if (GUEST_KINDS.has(kind)) return readKubevirt(catalog, resource, { line, where });
  if (kind !== 'Node' && !(kind === undefined && isObject(at(resource, 'metadata', 'labels'))))
    throw new QueryError(
      `${where} describes no CPU; give nodes (kubectl get nodes -o json) or virtual machines`,
    );
  return describeNode(catalog, resource, where, line);
}

/** A name as it can stand in a sentence. */
const wordOf = (value: unknown): string | undefined =>
  typeof value !== 'string' ? undefined : /^[\w.:-]+$/.test(value) ? value : quote(value);

function describeNode(catalog: Catalog, node: unknown, where: string, line: number): Description {
  const host = textOf(at(node, 'metadata', 'name'), where, 'metadata.name');
  const labels: Labels = new Map(
    Object.entries(objectOf(at(node, 'metadata', 'labels'), where, 'metadata.labels')).map(
      ([key, value]) => [key, asText(value)],
    ),
  );
  const archLabel =
    labels.get('kubernetes.io/arch') ?? at(node, 'status', 'nodeInfo', 'architecture');
  const arch = typeof archLabel === 'string' ? (ARCHS[archLabel] ?? archLabel) : 'x86_64';
  const base = {
    ...untold(catalog, 'kubernetes', line),
    host,
    arch,
    kernel: kernelOf(at(node, 'status', 'nodeInfo', 'kernelVersion')),
    keys: keysOf(node, labels, where),
  };
  if (arch !== 'x86_64')
    throw new QueryError(
      `${where} is ${arch}, of which labels name no features; give its /proc/cpuinfo`,
    );
  const features = named(labels, 'cpu-feature.node.kubevirt.io/');
  const models = modelsOf(labels);
  if (features.length > 0 || models !== null)
    return { ...base, ...readKubevirtLabels(catalog, labels, features), models };
  const published = [...labels.keys()].filter((key) => key.startsWith(CPUID));
  if (published.length > 0)
    return {
      ...base,
      ...readNfdLabels(
        catalog,
        labels,
        published.map((k) => k.slice(CPUID.length)),
      ),
    };
  throw new QueryError(
    `${where} has no CPU labels, neither KubeVirt's (cpu-feature.node.kubevirt.io) nor those of Node Feature Discovery; install one of them, or give virsh domcapabilities of the node`,
  );
}

/** What follows the prefix in the keys of labels that are true. */
const named = (labels: Labels, prefix: string): string[] =>
  [...labels].flatMap(([key, value]) =>
    key.startsWith(prefix) && value === 'true' ? [key.slice(prefix.length)] : [],
  );

/** Models that are usable, and those that are only known; null where neither is labelled. */
function modelsOf(labels: Labels): Description['models'] {
  const usable = named(labels, 'cpu-model.node.kubevirt.io/');
  const known = named(labels, 'cpu-model-migration.node.kubevirt.io/');
  if (usable.length === 0) return null;
  return new Map([
    ...known.map((name) => [name, null] as const),
    ...usable.map((name) => [name, [] as string[]] as const),
  ]);
}

function readKubevirtLabels(
  catalog: Catalog,
  labels: Labels,
  features: readonly string[],
): Pick<Description, 'view' | 'vendor' | 'has' | 'known' | 'unnamed' | 'notes'> {
  const has = emptyRow(catalog.bits);
  const unnamed: string[] = [];
  const asked = named(labels, 'host-model-required-features.node.kubevirt.io/');
  for (const name of new Set([...features, ...asked])) {
    const feature = catalog.findLibvirt(name);
    if (feature) setBit(has, feature.id);
    else unnamed.push(name);
  }
  const notes: Note[] =
    features.length === 0
      ? [
          {
            code: 'labels-missing',
            message:
              'its labels name models but no features, so what it offers beyond them is unknown; virsh domcapabilities in its virt-handler would tell',
          },
        ]
      : [];
  return {
    view: 'hypervisor',
    vendor: vendorOf(catalog, named(labels, 'cpu-vendor.node.kubevirt.io/')[0]),
    has,
    known: features.length === 0 ? has.slice() : toldByLibvirt(catalog, has),
    unnamed,
    notes,
  };
}

/** What the labels list, and what they leave out although every libvirt has a name for it. */
function toldByLibvirt(catalog: Catalog, has: Row): Row {
  const known = has.slice();
  const oldest = catalog.versions.libvirt[0]!;
  for (const f of catalog.features)
    if (
      f.libvirt &&
      catalog.isSince('libvirt', oldest, f.libvirt.since) &&
      !f.name.startsWith('kvm')
    )
      setBit(known, f.id);
  return known;
}

function readNfdLabels(
  catalog: Catalog,
  labels: Labels,
  published: readonly string[],
): Pick<Description, 'view' | 'vendor' | 'has' | 'known' | 'unnamed' | 'notes' | 'signature'> {
  const vendor: Vendor | null = vendorOf(catalog, labels.get(`${NFD}cpu-model.vendor_id`));
  const has = emptyRow(catalog.bits);
  const unnamed: string[] = [];
  for (const name of published) {
    if (labels.get(CPUID + name) === 'false') continue;
    const found = findNfd(catalog, name, vendor);
    if (found === undefined) unnamed.push(name);
    else if (found !== 'other') setBit(has, found.id);
  }
  const known = has.slice();
  // What its default configuration would publish is absent where it is not; of the rest nothing is known.
  const told = nfdTold(catalog, vendor);
  for (const f of catalog.features) if (hasBit(told, f.id)) setBit(known, f.id);
  settleDependents(catalog, has, known);
  const number = (key: string) => wholeNumber(labels.get(`${NFD}cpu-model.${key}`), 'labels', key);
  const [family, model] = [number('family'), number('id')];
  return {
    view: 'hardware',
    vendor,
    has,
    known,
    unnamed,
    signature: family === null || model === null ? null : { family, model, stepping: 0 },
    notes: [
      {
        code: 'labels-filtered',
        message: `the labels of Node Feature Discovery leave out ${[...nfdHidden].slice(0, 5).join(', ')} and others unless it is configured otherwise; what is not labelled of these is unknown, not absent`,
      },
    ],
  };
}

/** Features that it would label if they were there. */
function nfdTold(catalog: Catalog, vendor: Vendor | null): Row {
  const row = emptyRow(catalog.bits);
  for (const name of nfdSteady) {
    const found = findNfd(catalog, name, vendor);
    if (found && found !== 'other') setBit(row, found.id);
  }
  return row;
}

/** Facts beside the CPU: whether guests come to it, its clock, and labels of other makers. */
function keysOf(node: unknown, labels: Labels, where: string): Keys {
  const keys: Keys = {};
  for (const [key, value] of labels)
    if (!KUBEVIRT.test(key) && !key.startsWith(NFD)) keys[key] = value;
  const taints = at(node, 'spec', 'taints');
  const repels =
    taints !== undefined &&
    listOf(taints, where, 'spec.taints').some((taint) => REPELS.has(at(taint, 'effect')));
  const closed =
    at(node, 'spec', 'unschedulable') === true ||
    labels.get('kubevirt.io/schedulable') === 'false' ||
    repels;
  if (closed) keys.unschedulable = true;
  const frequency = wholeNumber(
    labels.get('cpu-timer.node.kubevirt.io/tsc-frequency'),
    where,
    'the TSC frequency',
  );
  if (frequency !== null) keys.tscFrequency = frequency;
  const scalable = labels.get('cpu-timer.node.kubevirt.io/tsc-scalable');
  if (scalable !== undefined) keys.tscScalable = scalable === 'true';
  return keys;
}
