// Where <cpu> elements are in libvirt's documents, and one of them as libvirt itself reads it: what libvirt
// refuses to parse is refused here.
import { ARCHITECTURES } from '../../cpu/catalog/libvirt-map.ts';
import type { CpuCheck, CpuMatch, CpuMode, LibvirtCpu, Policy } from '../../cpu/cpu-element.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Input } from '../dialect.ts';
import { readXml, type XmlElement } from '../text/xml.ts';
import { Alike } from './repeated-xml.ts';

/** How a <cpu> element is to be read: auto takes one with an <arch> child for a host's. */
export type CpuType = LibvirtCpu['type'] | 'auto';

/** An element that describes one CPU. */
export interface DescribingElement {
  readonly kind: 'cpu' | 'capabilities' | 'domain' | 'domainCapabilities' | 'cpudata' | 'qemuCaps';
  readonly element: XmlElement;
}

const MODES: readonly CpuMode[] = ['custom', 'host-model', 'host-passthrough', 'maximum'];
const MATCHES: readonly CpuMatch[] = ['minimum', 'exact', 'strict'];
const CHECKS: readonly CpuCheck[] = ['none', 'partial', 'full'];
const POLICIES: readonly Policy[] = ['force', 'require', 'optional', 'disable', 'forbid'];

/** libvirt reads numbers into 32 bits. */
const MAX_NUMBER = 0xffffffff;

/** Copies of a CPU that is described elsewhere in the document, and what other programs keep in one. */
const ASIDE = new Set(['inactiveDomain', 'cookie', 'metadata']);

export const child = (element: XmlElement | undefined, name: string): XmlElement | undefined =>
  element?.children.find((c) => c.name === name);

export const children = (element: XmlElement | undefined, name: string): XmlElement[] =>
  element?.children.filter((c) => c.name === name) ?? [];

/** The text of a child without the space around it, or null where there is none. */
export const childText = (element: XmlElement | undefined, name: string): string | null =>
  textOf(child(element, name));

const textOf = (element: XmlElement | undefined): string | null => element?.text.trim() || null;

/** The <mode name='host-model'> of domain capabilities, where they support one. */
function hostModelOf(domainCapabilities: XmlElement): XmlElement | undefined {
  const modes = children(child(domainCapabilities, 'cpu'), 'mode');
  return modes.find(({ attributes: a }) => a.name === 'host-model' && a.supported === 'yes');
}

/** The <cpu> that libvirt would read of what was found, or undefined where it has none. */
export function cpuElementOf({ kind, element }: DescribingElement): XmlElement | undefined {
  switch (kind) {
    case 'cpu':
      return element;
    case 'domain':
      return child(element, 'cpu');
    case 'capabilities':
      return child(child(element, 'host'), 'cpu');
    case 'domainCapabilities': {
      const mode = hostModelOf(element);
      return mode && { ...mode, name: 'cpu', attributes: {} };
    }
    case 'cpudata':
    case 'qemuCaps':
      return undefined;
  }
}

/** Elements that findCpus looks into by itself, or not at all; it goes through all others. */
export const ELEMENTS = [
  ...['capabilities', 'domainCapabilities', 'cpudata', 'domain', 'cpu', 'domstatus', 'qemuCaps'],
  ...ASIDE,
];

/** All descriptions of CPUs under an element, however deep, in document order. */
export function findCpus(element: XmlElement): DescribingElement[] {
  switch (element.name) {
    case 'capabilities':
    case 'domainCapabilities':
    case 'cpudata':
    case 'qemuCaps':
      return [{ kind: element.name, element }];
    case 'domain':
      // Networks and PCI addresses have domains of their own.
      return child(element, 'cpu') || child(element, 'os') ? [{ kind: 'domain', element }] : [];
    case 'cpu':
      // Only domain capabilities tell what each mode gives, whatever they were cut out of.
      if (child(element, 'mode'))
        return [
          {
            kind: 'domainCapabilities',
            element: { ...element, attributes: {}, children: [element] },
          },
        ];
      // In lists of processors by NUMA cell, <cpu id='3'/> is one of them.
      return element.attributes.id !== undefined && element.children.length === 0
        ? []
        : [{ kind: 'cpu', element }];
    case 'domstatus':
      return children(element, 'domain').flatMap(findCpus);
    default:
      return ASIDE.has(element.name) ? [] : element.children.flatMap(findCpus);
  }
}

/**
 * All <cpu> elements of the input as written, in document order: alone, of domains, of host capabilities, and the
 * host-model of domain capabilities.
 * @throws QueryError for what libvirt refuses to parse, and for an input without any.
 */
export async function readLibvirtCpus(input: Input, type: CpuType = 'auto'): Promise<LibvirtCpu[]> {
  return (await readPlacedCpus(input, type)).map(({ cpu, line }) => ({ ...cpu, line }));
}

/** A CPU, and the line on which it stands; equal ones are one object, which says where the first of them stands. */
export interface PlacedCpu {
  /** The name of the domain that has it. */
  readonly host: string | null;
  readonly cpu: LibvirtCpu;
  readonly line: number;
}

/** The same, reading equal elements once. */
export async function readPlacedCpus(
  input: Input,
  type: CpuType = 'auto',
): Promise<readonly PlacedCpu[]> {
  const reader = new CpuReader(type);
  try {
    return await reader.read(input);
  } finally {
    reader.free();
  }
}

/** Reads the <cpu> elements of many inputs, equal ones once. */
export class CpuReader {
  readonly #type: CpuType;
  readonly #alike: Alike<PlacedCpu>;

  constructor(type: CpuType = 'auto') {
    this.#type = type;
    const features: Features = new Map();
    this.#alike = new Alike({
      elements: ELEMENTS,
      shared: ['feature'],
      make: (element, input) => placedIn(element, input, type, features),
      lower: (found, lines) => ({ ...found, line: found.line + lines }),
    });
  }

  /** The CPUs of one input, in document order. */
  async read(input: Input): Promise<readonly PlacedCpu[]> {
    if (!this.#alike.isReady) await this.#alike.prepare(input.bytes.length);
    const cpus = this.#alike.read(input) ?? (await readEach(input, this.#type));
    if (cpus.length === 0)
      throw new QueryError(
        `${input.name} holds no <cpu> element; give virsh capabilities, virsh domcapabilities, a domain's XML or <cpu> itself`,
      );
    return cpus;
  }

  /** Gives the core's memory back; nothing may be read afterwards. */
  free(): void {
    this.#alike.free();
  }
}

async function readEach(input: Input, type: CpuType): Promise<PlacedCpu[]> {
  const cpus: PlacedCpu[] = [];
  const features: Features = new Map();
  await readXml(input, (root) => {
    for (const placed of placedIn(root, input.name, type, features)) cpus.push(placed);
  });
  return cpus;
}

function placedIn(root: XmlElement, input: string, type: CpuType, features: Features): PlacedCpu[] {
  const cpus: PlacedCpu[] = [];
  for (const found of findCpus(root)) {
    const element = cpuElementOf(found);
    if (!element) continue;
    const cpu = parseCpu(input, element, type, features);
    const host = found.kind === 'domain' ? childText(found.element, 'name') : null;
    cpus.push({ host, cpu, line: cpu.line });
  }
  return cpus;
}

/** Features by name, as CPUs list them: many list few, so that equal ones are one object. */
type Features = Map<string, Listed>;

interface Listed {
  /** By which CPU it was listed last, and where. */
  by: XmlElement;
  line: number;
  /** Without a policy, as hosts list it. */
  readonly plain: Feature;
  readonly byPolicy: Map<Policy, Feature>;
}

type Feature = LibvirtCpu['features'][number];

/** The children of a <cpu> that libvirt looks at. */
interface Parts {
  readonly features: readonly XmlElement[];
  readonly caches: readonly XmlElement[];
  /** Of every other name the first. */
  readonly first: { readonly [name in string]?: XmlElement };
}

function partsOf(cpu: XmlElement): Parts {
  const features: XmlElement[] = [];
  const caches: XmlElement[] = [];
  const first: Record<string, XmlElement> = Object.create(null);
  for (const element of cpu.children)
    if (element.name === 'feature') features.push(element);
    else if (element.name === 'cache') caches.push(element);
    else first[element.name] ??= element;
  return { features, caches, first };
}

/**
 * One <cpu> element as libvirt parses it. Features that were listed before are taken from there.
 * @throws QueryError naming the input and the line of what libvirt refuses.
 */
export function parseCpu(
  input: string,
  cpu: XmlElement,
  type: CpuType,
  listed: Features = new Map(),
): LibvirtCpu {
  const { features: elements, caches, first } = partsOf(cpu);
  const isHost = type === 'auto' ? first.arch !== undefined : type === 'host';
  if (type === 'auto' && isHost && cpu.attributes.match !== undefined)
    fail(input, cpu, '<arch> is of a host and the attribute match of a guest; remove one');
  const mode = modeOf(input, cpu, isHost);
  const { model } = first;
  const name = textOf(model);
  const vendor = textOf(first.vendor);
  const features: Feature[] = [];
  for (const element of elements) features.push(featureOf(input, cpu, element, isHost, listed));
  if (isHost && name === null)
    fail(
      input,
      cpu,
      'a host <cpu> without a <model> says nothing of its features; virsh domcapabilities does',
    );
  if (name === null && vendor !== null)
    fail(input, cpu, `<vendor>${vendor}</vendor> without a <model>; name the model too`);
  if (name === null && mode === 'custom' && features.length > 0)
    fail(input, cpu, 'features without the <model> that they are relative to; name the model too');
  const topology = first.topology ? topologyOf(input, first.topology) : null;
  checkCaches(input, caches);
  if (isHost && first.counter) checkCounter(input, cpu);
  const named = !isHost && (mode === 'custom' || mode === 'host-model') ? model : undefined;
  const check = isHost ? null : choice(input, cpu, 'check', ['default', ...CHECKS]);
  return {
    type: isHost ? 'host' : 'guest',
    arch: isHost ? archOf(input, cpu, first.arch) : null,
    mode,
    match: (isHost ? null : choice(input, cpu, 'match', MATCHES)) ?? 'exact',
    check: check === 'default' ? null : check,
    migratable: migratableOf(input, cpu, mode),
    model: name,
    fallback: named?.attributes.fallback
      ? choice(input, named, 'fallback', ['allow', 'forbid'])
      : null,
    vendor,
    vendorId: named ? vendorIdOf(input, named) : null,
    features,
    signature: isHost && first.signature ? signatureOf(input, first.signature) : null,
    microcode: isHost && first.microcode ? microcodeOf(input, first.microcode) : null,
    topology,
    maxphysaddr: first.maxphysaddr ? maxphysaddrOf(input, first.maxphysaddr) : null,
    line: cpu.line,
  };
}

function archOf(input: string, cpu: XmlElement, element: XmlElement | undefined): string {
  const arch = textOf(element);
  if (arch === null)
    fail(input, cpu, 'a host <cpu> must have an <arch>, as virsh capabilities writes it');
  if (!ARCHITECTURES.has(arch))
    fail(input, element!, `<arch>${arch}</arch> is no architecture that libvirt knows`);
  return arch;
}

function modeOf(input: string, cpu: XmlElement, isHost: boolean): CpuMode {
  if (isHost && cpu.attributes.mode !== undefined)
    fail(input, cpu, 'the attribute mode is only for the <cpu> of a guest; this one is of a host');
  return choice(input, cpu, 'mode', MODES) ?? 'custom';
}

function migratableOf(input: string, cpu: XmlElement, mode: CpuMode): boolean | null {
  const value = choice(input, cpu, 'migratable', ['on', 'off']);
  if (value !== null && mode !== 'host-passthrough' && mode !== 'maximum')
    fail(
      input,
      cpu,
      `the attribute migratable is only for host-passthrough and maximum, not for ${mode}`,
    );
  return value === null ? null : value === 'on';
}

function vendorIdOf(input: string, model: XmlElement): string | null {
  const id = model.attributes.vendor_id;
  if (!id) return null;
  if (new TextEncoder().encode(id).length !== 12)
    fail(input, model, `vendor_id "${id}" has not exactly 12 characters`);
  if (id.includes(','))
    fail(input, model, `vendor_id "${id}" holds a comma, which QEMU cannot take`);
  return id;
}

function featureOf(
  input: string,
  cpu: XmlElement,
  element: XmlElement,
  isHost: boolean,
  all: Features,
): Feature {
  const { name } = element.attributes;
  if (!name) fail(input, element, 'a <feature> without a name');
  let listed = all.get(name);
  if (listed === undefined) {
    listed = {
      by: cpu,
      line: element.line,
      plain: { name, policy: null },
      byPolicy: new Map(),
    };
    all.set(name, listed);
  } else if (listed.by === cpu)
    fail(
      input,
      element,
      `feature "${name}" is listed twice, first on line ${listed.line}; keep the one that holds`,
    );
  else {
    listed.by = cpu;
    listed.line = element.line;
  }
  const policy = isHost ? null : choice(input, element, 'policy', POLICIES);
  if (policy === null) return listed.plain;
  let feature = listed.byPolicy.get(policy);
  if (!feature) {
    feature = { name, policy };
    listed.byPolicy.set(policy, feature);
  }
  return feature;
}

function signatureOf(input: string, element: XmlElement): LibvirtCpu['signature'] {
  const family = number(input, element, 'family');
  const model = number(input, element, 'model');
  const stepping = number(input, element, 'stepping');
  if (!family || model === null || stepping === null)
    fail(input, element, 'a <signature> needs a family above 0, a model and a stepping');
  return { family, model, stepping };
}

const microcodeOf = (input: string, element: XmlElement): string | null =>
  number(input, element, 'version') === null ? null : element.attributes.version!;

function maxphysaddrOf(input: string, element: XmlElement): LibvirtCpu['maxphysaddr'] {
  const mode = choice(input, element, 'mode', ['passthrough', 'emulate']);
  if (mode === null)
    fail(input, element, 'a <maxphysaddr> without a mode; write passthrough or emulate');
  const bits = number(input, element, 'bits');
  const limit = number(input, element, 'limit');
  if (limit !== null && mode !== 'passthrough')
    fail(input, element, 'a <maxphysaddr> with a limit must have the mode passthrough');
  return { mode, bits, limit };
}

function topologyOf(input: string, element: XmlElement): LibvirtCpu['topology'] {
  const count = (name: string, otherwise = 0): number => {
    const n = number(input, element, name) ?? otherwise;
    if (n === 0) fail(input, element, `a <topology> needs ${name} of at least 1`);
    return n;
  };
  return {
    sockets: count('sockets'),
    dies: count('dies', 1),
    clusters: count('clusters', 1),
    cores: count('cores'),
    threads: count('threads'),
  };
}

function checkCaches(input: string, [cache, second]: readonly XmlElement[]): void {
  if (second) fail(input, second, 'more than one <cache>; keep one');
  if (!cache) return;
  const level = number(input, cache, 'level');
  if (level !== null && (level < 1 || level > 3))
    fail(input, cache, `cache level ${level} is not 1, 2 or 3`);
  if (choice(input, cache, 'mode', ['emulate', 'passthrough', 'disable']) === null)
    fail(input, cache, 'a <cache> without a mode; write emulate, passthrough or disable');
}

function checkCounter(input: string, cpu: XmlElement): void {
  const counter = children(cpu, 'counter').find(({ attributes: a }) => a.name === 'tsc');
  if (!counter) return;
  const { frequency } = counter.attributes;
  if (frequency === undefined || !/^\d{1,19}$/.test(frequency))
    fail(input, counter, 'a <counter> of the TSC needs a frequency in Hz');
  choice(input, counter, 'scaling', ['yes', 'no']);
}

/** The value of an attribute that has a few, or null where it is absent. */
function choice<T extends string>(
  input: string,
  element: XmlElement,
  attribute: string,
  allowed: readonly T[],
): T | null {
  const value = element.attributes[attribute];
  if (value === undefined) return null;
  const found = allowed.find((word) => word === value);
  if (found === undefined)
    fail(
      input,
      element,
      `${attribute} "${value}" of <${element.name}> is none of ${allowed.join(', ')}`,
    );
  return found;
}

function number(input: string, element: XmlElement, attribute: string): number | null {
  const value = element.attributes[attribute];
  if (value === undefined) return null;
  if (!/^\d{1,10}$/.test(value) || Number(value) > MAX_NUMBER)
    fail(
      input,
      element,
      `${attribute} "${value}" of <${element.name}> is no whole number of 32 bits`,
    );
  return Number(value);
}

function fail(input: string, element: XmlElement, message: string): never {
  throw new QueryError(`${input}:${element.line}: ${message}`);
}
