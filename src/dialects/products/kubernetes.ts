// Nodes of Kubernetes as kubectl prints them: the labels of KubeVirt's node-labeller, which say what the hypervisor
// offers, or those of Node Feature Discovery, which keep back some of what the processor has.
import {
  emptyRow,
  intersects,
  isCovered,
  isEmpty,
  join,
  minus,
  type Row,
  rowOf,
  setBit,
} from '../../core/rows.ts';
import type { Catalog, Vendor } from '../../cpu/catalog/catalog.ts';
import { findNfd, nfdHidden, nfdSteady, psabiLevels } from '../../cpu/catalog/products.ts';
import type { Description, Note, Tsc } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { withUsable } from '../../cpu/proven/by-models.ts';
import { settleDependents } from '../../cpu/proven/cpuid-words.ts';
import { kernelOf } from '../../cpu/proven/kernel.ts';
import { type Dialect, orSkip } from '../dialect.ts';
import { MIGRATABLE } from '../proves.ts';
import { at, listOf, objectOf, readDocuments, textOf } from '../text/documents.ts';
import { asText, isObject } from '../text/json.ts';
import { quote } from '../text/lines.ts';
import { untold, vendorOf, wholeNumber } from '../words/blank-description.ts';
import { inferVendor } from '../words/vendor-from-features.ts';
import { archByGo, GUEST_KINDS, readKubevirt } from './kubevirt.ts';

type Labels = ReadonlyMap<string, string>;
type Keys = Record<string, string | number | boolean>;

const KUBEVIRT = /(?:^|\.)kubevirt\.io\//;
const NFD = 'feature.node.kubernetes.io/';
const CPUID = `${NFD}cpu-cpuid.`;
const FREQUENCY = 'cpu-timer.node.kubevirt.io/tsc-frequency';
const SCALABLE = 'cpu-timer.node.kubevirt.io/tsc-scalable';
/** Taints that keep guests away. */
const REPELS = new Set<unknown>(['NoSchedule', 'NoExecute']);

const KIND = /(?:^|[{,\s])"?kind"?\s*:\s*"?(\w+)/g;
/** Kinds that describe CPUs, and lists of anything. */
const OURS = /^(?:Node(?:Feature)?(?:List)?|List|VirtualMachine\w*|KubeVirt)$/;

export const kubernetes: Dialect = {
  name: 'kubernetes',
  recognises: (head) =>
    /(?:^|[{,\s])"?apiVersion"?\s*:/.test(head) &&
    ([...head.matchAll(KIND)].some(([, kind]) => OURS.test(kind!)) ||
      (/^\s*(?:\{\s*)?"?(?:apiVersion|kind)"?\s*:/.test(head.replace(/^(?:#|---).*$/gm, '')) &&
        /(?:^|[{,\s])"?kind"?\s*:/.test(head))),
  proves: [
    {
      document: "labels of KubeVirt's node-labeller",
      view: 'hypervisor',
      words: 'libvirt',
      unlisted: 'absent',
      leavesOut: `the features of minCPUModel where the labeller is of 0.53 or older; ${MIGRATABLE}`,
    },
    {
      document: 'labels of Node Feature Discovery',
      view: 'hardware',
      words: 'nfd',
      unlisted: 'absent',
      leavesOut: 'its denylist, and words that not every version has',
    },
    {
      document: 'NodeFeature',
      view: 'hardware',
      words: 'nfd',
      unlisted: 'absent',
      leavesOut: 'words that not every version has',
    },
  ],
  async read(input, catalog, skip, other) {
    const out: Description[] = [];
    for (const { value, line } of await readDocuments(input, skip))
      for (const resource of resourcesOf(value, `${input.name}:${line}`)) {
        const kind = otherKind(resource);
        if (other && kind !== null) other(kind);
        else out.push(...orSkip(skip, () => describe(catalog, resource, input.name, line)));
      }
    return out;
  },
};

/** What is in a list; a list of another kind is one resource, of which nobody looks at the items. */
function resourcesOf(value: unknown, where: string): readonly unknown[] {
  const kind = at(value, 'kind');
  const of = typeof kind === 'string' ? /^(.*)List$/.exec(kind)?.[1] : undefined;
  if (of === undefined || (of !== '' && !isOurs(of))) return [value];
  return listOf(at(value, 'items') ?? [], where, '"items"');
}

const isOurs = (kind: unknown): boolean =>
  kind === 'Node' || kind === 'NodeFeature' || GUEST_KINDS.has(kind);

/** The kind of a resource that is neither a node nor a guest; null for one of these, and where it has none. */
function otherKind(resource: unknown): string | null {
  const kind = at(resource, 'kind');
  return typeof kind === 'string' && !isOurs(kind) ? (wordOf(kind) ?? kind) : null;
}

function describe(catalog: Catalog, resource: unknown, input: string, line: number): Description {
  const kind = at(resource, 'kind');
  const name = at(resource, 'metadata', 'name');
  const where = `${input}:${line}: ${wordOf(kind) ?? 'a resource'} ${wordOf(name) ?? 'without a name'}`;
  if (GUEST_KINDS.has(kind)) return readKubevirt(catalog, resource, { line, where });
  if (kind === 'NodeFeature') return readNodeFeature(catalog, resource, where, line);
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
  const arch = typeof archLabel === 'string' ? archByGo(archLabel) : 'x86_64';
  const base = {
    ...untold(catalog, 'kubernetes', line),
    host,
    arch,
    kernel: kernelOf(at(node, 'status', 'nodeInfo', 'kernelVersion')),
    keys: keysOf(node, labels, where),
    tsc: clockOf(labels, where),
  };
  if (arch !== 'x86_64')
    throw new QueryError(
      `${where} is ${arch}, of which labels name no features; give its /proc/cpuinfo`,
    );
  const features = named(labels, 'cpu-feature.node.kubevirt.io/');
  const models = modelsOf(labels);
  if (features.length > 0 || models !== null)
    return withUsable(catalog, {
      ...base,
      ...readKubevirtLabels(catalog, labels, features),
      models,
    });
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
  const notes: Note[] = [];
  if (features.length === 0)
    notes.push({
      code: 'labels-missing',
      message:
        'its labels name models but no features, so what it offers beyond them is unknown; virsh domcapabilities in its virt-handler would tell',
    });
  const left = leftOutByLabeller(catalog, features);
  if (features.length > 0 && !isEmpty(left))
    notes.push({
      code: 'labels-of-old',
      message:
        'its labels leave out the features of a minimum model (minCPUModel), as labellers of KubeVirt up to 0.53 do, so these are known only where a usable model proves them',
    });
  return {
    view: 'hypervisor',
    vendor: vendorOf(catalog, named(labels, 'cpu-vendor.node.kubevirt.io/')[0]),
    has,
    known:
      features.length === 0 ? has.slice() : minus(toldByLibvirt(catalog, has), minus(left, has)),
    unnamed,
    notes,
  };
}

/**
 * What labellers up to 0.53 leave out: the features of a minimum model, Penryn unless the cluster has another. None
 * where all is labelled that every 64-bit host has; else those of all models that they can have left out.
 */
function leftOutByLabeller(catalog: Catalog, features: readonly string[]): Row {
  const labelled = rowOf(
    catalog.bits,
    features.flatMap((name) => catalog.findLibvirt(name)?.id ?? []),
  );
  if (isCovered(catalog.row([...psabiLevels[0]!.features, 'lm']), labelled))
    return emptyRow(catalog.bits);
  return [...catalog.libvirtModels.keys()]
    .flatMap((name) => catalog.versions.libvirt.map((v) => catalog.libvirtFeatures(name, v)))
    .filter((row) => row !== null && !intersects(row, labelled))
    .reduce<Row>((all, row) => join(all, row!), emptyRow(catalog.bits));
}

/** What the labels list, and what they leave out although every libvirt has a name for it and it can migrate. */
function toldByLibvirt(catalog: Catalog, has: Row): Row {
  const known = has.slice();
  const oldest = catalog.versions.libvirt[0]!;
  for (const f of catalog.features)
    if (f.libvirt && catalog.isSince('libvirt', oldest, f.libvirt.since) && !f.isKvm)
      setBit(known, f.id);
  return minus(known, minus(catalog.migratableSilent, has));
}

type NfdFeatures = Pick<Description, 'view' | 'vendor' | 'has' | 'known' | 'unnamed' | 'notes'>;

/** `whole`: nothing was kept back, so that words of every version that are not there are absent. */
function readNfd(
  catalog: Catalog,
  words: readonly string[],
  vendorName: string | undefined,
  whole: boolean,
): NfdFeatures {
  const read = (vendor: Vendor | null) => {
    const has = emptyRow(catalog.bits);
    const unnamed: string[] = [];
    for (const name of words) {
      const found = findNfd(catalog, name, vendor);
      if (found === undefined) unnamed.push(name);
      else if (found !== 'other') setBit(has, found.id);
    }
    return { has, unnamed };
  };
  const named = vendorOf(catalog, vendorName);
  // The meaning of some words depends on the vendor, so it is looked for before they are read.
  const maker =
    named === null ? inferVendor(catalog, read(null).has) : { vendor: named, notes: [] };
  const { has, unnamed } = read(maker.vendor);
  const known = has.slice();
  // What every version would publish is absent where it is not; of the rest nothing is known.
  for (const name of whole ? [...nfdSteady, ...nfdHidden] : nfdSteady) {
    const found = findNfd(catalog, name, maker.vendor);
    if (found && found !== 'other') setBit(known, found.id);
  }
  settleDependents(catalog, has, known);
  return { view: 'hardware', vendor: maker.vendor, has, known, unnamed, notes: maker.notes };
}

function nfdSignature(
  attribute: (key: string) => unknown,
  where: string,
): Description['signature'] {
  const [family, model] = ['family', 'id'].map((key) => wholeNumber(attribute(key), where, key));
  return family == null || model == null ? null : { family, model, stepping: 0 };
}

function readNfdLabels(
  catalog: Catalog,
  labels: Labels,
  published: readonly string[],
): NfdFeatures & Pick<Description, 'signature'> {
  const attribute = (key: string) => labels.get(`${NFD}cpu-model.${key}`);
  const words = published.filter((name) => labels.get(CPUID + name) !== 'false');
  const read = readNfd(catalog, words, attribute('vendor_id'), false);
  return {
    ...read,
    signature: nfdSignature(attribute, 'labels'),
    notes: [
      ...read.notes,
      {
        code: 'labels-filtered',
        message: `the labels of Node Feature Discovery leave out ${[...nfdHidden].slice(0, 5).join(', ')} and others unless it is configured otherwise; what is not labelled of these is unknown, not absent`,
      },
    ],
  };
}

/** A NodeFeature of Node Feature Discovery: what its worker found on a node, before any of it is kept back. */
function readNodeFeature(
  catalog: Catalog,
  resource: unknown,
  where: string,
  line: number,
): Description {
  const flags = at(resource, 'spec', 'features', 'flags', 'cpu.cpuid', 'elements');
  if (!isObject(flags))
    throw new QueryError(
      `${where} has no flags of the processor (spec.features.flags "cpu.cpuid"); give the NodeFeature that the worker of Node Feature Discovery writes for its node`,
    );
  const model = at(resource, 'spec', 'features', 'attributes', 'cpu.model', 'elements');
  const attribute = (key: string) => at(model, key);
  const vendor = attribute('vendor_id');
  const node = at(resource, 'metadata', 'labels', 'nfd.node.kubernetes.io/node-name');
  return {
    ...untold(catalog, 'kubernetes', line),
    ...readNfd(catalog, Object.keys(flags), typeof vendor === 'string' ? vendor : undefined, true),
    host: textOf(node ?? at(resource, 'metadata', 'name'), where, 'metadata.name'),
    signature: nfdSignature(attribute, where),
  };
}

/** Facts beside the CPU: whether guests come to it, its clock, and labels of other makers. */
function keysOf(node: unknown, labels: Labels, where: string): Keys {
  const keys: Keys = Object.fromEntries(
    [...labels].filter(([key]) => !KUBEVIRT.test(key) && !key.startsWith(NFD)),
  );
  const taints = at(node, 'spec', 'taints');
  const repels =
    taints !== undefined &&
    listOf(taints, where, 'spec.taints').some((taint) => REPELS.has(at(taint, 'effect')));
  const closed =
    at(node, 'spec', 'unschedulable') === true ||
    labels.get('kubevirt.io/schedulable') === 'false' ||
    repels;
  if (closed) keys.unschedulable = true;
  const clock = clockOf(labels, where);
  if (clock !== null) keys.tscFrequency = clock.hz;
  const scalable = labels.get(SCALABLE);
  if (scalable !== undefined) keys.tscScalable = scalable === 'true';
  return keys;
}

/** The time stamp counter that KubeVirt's labels tell of. */
function clockOf(labels: Labels, where: string): Tsc | null {
  const hz = wholeNumber(labels.get(FREQUENCY), where, 'the TSC frequency');
  const scalable = labels.get(SCALABLE);
  return hz ? { hz, scaling: scalable === undefined ? null : scalable === 'true' } : null;
}
