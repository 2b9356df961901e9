// Where <cpu> elements are in libvirt's documents, and one of them as libvirt itself reads it: what libvirt
// refuses to parse is refused here.
import { QueryError } from '../cpu/errors.ts';
import type { CpuCheck, CpuMatch, CpuMode, LibvirtCpu, Policy } from '../cpu/libvirt.ts';
import { ARCHITECTURES } from '../cpu/libvirt-map.ts';
import { readAlike } from './alike.ts';
import type { Input } from './dialect.ts';
import { readXml, type XmlElement } from './xml.ts';

/** How a <cpu> element is to be read: auto takes one with an <arch> child for a host's. */
export type CpuType = LibvirtCpu['type'] | 'auto';

/** An element that describes one CPU. */
export interface Found {
  readonly kind: 'cpu' | 'capabilities' | 'domain' | 'domainCapabilities' | 'cpudata';
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
  child(element, name)?.text.trim() || null;

/** The <mode name='host-model'> of domain capabilities, where they support one. */
function hostModelOf(domainCapabilities: XmlElement): XmlElement | undefined {
  const modes = children(child(domainCapabilities, 'cpu'), 'mode');
  return modes.find(({ attributes: a }) => a.name === 'host-model' && a.supported === 'yes');
}

/** The <cpu> that libvirt would read of what was found, or undefined where it has none. */
export function cpuElementOf({ kind, element }: Found): XmlElement | undefined {
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
      return undefined;
  }
}

/** All descriptions of CPUs under an element, however deep, in document order. */
export function findCpus(element: XmlElement): Found[] {
  switch (element.name) {
    case 'capabilities':
    case 'domainCapabilities':
    case 'cpudata':
      return [{ kind: element.name, element }];
    case 'domain':
      // Networks and PCI addresses have domains of their own.
      return child(element, 'cpu') || child(element, 'os') ? [{ kind: 'domain', element }] : [];
    case 'cpu':
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
  const cpus = await readAlike(
    input,
    (part) => readEach(part, type),
    (found, lines) => ({ ...found, line: found.line + lines }),
  );
  if (cpus.length === 0)
    throw new QueryError(
      `${input.name} holds no <cpu> element; give virsh capabilities, virsh domcapabilities, a domain's XML or <cpu> itself`,
    );
  return cpus;
}

async function readEach(input: Input, type: CpuType): Promise<PlacedCpu[]> {
  const cpus: PlacedCpu[] = [];
  await readXml(input, (root) => {
    for (const found of findCpus(root)) {
      const element = cpuElementOf(found);
      if (!element) continue;
      const cpu = parseCpu(input.name, element, type);
      const host = found.kind === 'domain' ? childText(found.element, 'name') : null;
      cpus.push({ host, cpu, line: cpu.line });
    }
  });
  return cpus;
}

/**
 * One <cpu> element as libvirt parses it.
 * @throws QueryError naming the input and the line of what libvirt refuses.
 */
export function parseCpu(input: string, cpu: XmlElement, type: CpuType): LibvirtCpu {
  return new CpuReader(input, cpu, type).read();
}

class CpuReader {
  readonly #input: string;
  readonly #cpu: XmlElement;
  readonly #isHost: boolean;

  constructor(input: string, cpu: XmlElement, type: CpuType) {
    this.#input = input;
    this.#cpu = cpu;
    this.#isHost = type === 'auto' ? child(cpu, 'arch') !== undefined : type === 'host';
    if (type === 'auto' && this.#isHost && cpu.attributes.match !== undefined)
      this.#fail(cpu, '<arch> is of a host and the attribute match of a guest; remove one');
  }

  read(): LibvirtCpu {
    const cpu = this.#cpu;
    const isHost = this.#isHost;
    const mode = this.#mode();
    const model = child(cpu, 'model');
    const name = childText(cpu, 'model');
    const vendor = childText(cpu, 'vendor');
    const features = this.#features();
    if (isHost && name === null)
      this.#fail(
        cpu,
        'a host <cpu> without a <model> says nothing of its features; virsh domcapabilities does',
      );
    if (name === null && vendor !== null)
      this.#fail(cpu, `<vendor>${vendor}</vendor> without a <model>; name the model too`);
    if (name === null && mode === 'custom' && features.length > 0)
      this.#fail(cpu, 'features without the <model> that they are relative to; name the model too');
    const topology = this.#topology();
    this.#checkCache();
    if (isHost) this.#checkCounter();
    const named = !isHost && (mode === 'custom' || mode === 'host-model') ? model : undefined;
    const check = isHost ? null : this.#choice(cpu, 'check', ['default', ...CHECKS]);
    return {
      type: isHost ? 'host' : 'guest',
      arch: isHost ? this.#arch() : null,
      mode,
      match: (isHost ? null : this.#choice(cpu, 'match', MATCHES)) ?? 'exact',
      check: check === 'default' ? null : check,
      migratable: this.#migratable(mode),
      model: name,
      fallback: named?.attributes.fallback
        ? this.#choice(named, 'fallback', ['allow', 'forbid'])
        : null,
      vendor,
      vendorId: named ? this.#vendorId(named) : null,
      features,
      signature: isHost ? this.#signature() : null,
      microcode: isHost ? this.#microcode() : null,
      topology,
      maxphysaddr: this.#maxphysaddr(),
      line: cpu.line,
    };
  }

  #arch(): string {
    const arch = childText(this.#cpu, 'arch');
    if (arch === null)
      this.#fail(this.#cpu, 'a host <cpu> must have an <arch>, as virsh capabilities writes it');
    if (!ARCHITECTURES.has(arch))
      this.#fail(
        child(this.#cpu, 'arch')!,
        `<arch>${arch}</arch> is no architecture that libvirt knows`,
      );
    return arch;
  }

  #mode(): CpuMode {
    if (this.#isHost && this.#cpu.attributes.mode !== undefined)
      this.#fail(
        this.#cpu,
        'the attribute mode is only for the <cpu> of a guest; this one is of a host',
      );
    return this.#choice(this.#cpu, 'mode', MODES) ?? 'custom';
  }

  #migratable(mode: CpuMode): boolean | null {
    const value = this.#choice(this.#cpu, 'migratable', ['on', 'off']);
    if (value !== null && mode !== 'host-passthrough' && mode !== 'maximum')
      this.#fail(
        this.#cpu,
        `the attribute migratable is only for host-passthrough and maximum, not for ${mode}`,
      );
    return value === null ? null : value === 'on';
  }

  #vendorId(model: XmlElement): string | null {
    const id = model.attributes.vendor_id;
    if (!id) return null;
    if (new TextEncoder().encode(id).length !== 12)
      this.#fail(model, `vendor_id "${id}" has not exactly 12 characters`);
    if (id.includes(','))
      this.#fail(model, `vendor_id "${id}" holds a comma, which QEMU cannot take`);
    return id;
  }

  #features(): LibvirtCpu['features'] {
    const lines = new Map<string, number>();
    return children(this.#cpu, 'feature').map((feature) => {
      const { name } = feature.attributes;
      if (!name) this.#fail(feature, 'a <feature> without a name');
      const before = lines.get(name);
      if (before !== undefined)
        this.#fail(
          feature,
          `feature "${name}" is listed twice, first on line ${before}; keep the one that holds`,
        );
      lines.set(name, feature.line);
      return { name, policy: this.#isHost ? null : this.#choice(feature, 'policy', POLICIES) };
    });
  }

  #signature(): LibvirtCpu['signature'] {
    const signature = child(this.#cpu, 'signature');
    if (!signature) return null;
    const [family, model, stepping] = ['family', 'model', 'stepping'].map((name) =>
      this.#number(signature, name),
    );
    if (!family || model == null || stepping == null)
      this.#fail(signature, 'a <signature> needs a family above 0, a model and a stepping');
    return { family, model, stepping };
  }

  #microcode(): string | null {
    const microcode = child(this.#cpu, 'microcode');
    return microcode && this.#number(microcode, 'version') !== null
      ? microcode.attributes.version!
      : null;
  }

  #maxphysaddr(): LibvirtCpu['maxphysaddr'] {
    const element = child(this.#cpu, 'maxphysaddr');
    if (!element) return null;
    const mode = this.#choice(element, 'mode', ['passthrough', 'emulate']);
    if (mode === null)
      this.#fail(element, 'a <maxphysaddr> without a mode; write passthrough or emulate');
    const [bits, limit] = ['bits', 'limit'].map((name) => this.#number(element, name) ?? null);
    if (limit !== null && mode !== 'passthrough')
      this.#fail(element, 'a <maxphysaddr> with a limit must have the mode passthrough');
    return { mode, bits: bits!, limit: limit! };
  }

  #topology(): LibvirtCpu['topology'] {
    const topology = child(this.#cpu, 'topology');
    if (!topology) return null;
    const count = (name: string, otherwise?: number): number => {
      const n = this.#number(topology, name) ?? otherwise ?? 0;
      if (n === 0) this.#fail(topology, `a <topology> needs ${name} of at least 1`);
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

  #checkCache(): void {
    const caches = children(this.#cpu, 'cache');
    if (caches.length > 1) this.#fail(caches[1]!, 'more than one <cache>; keep one');
    for (const cache of caches) {
      const level = this.#number(cache, 'level');
      if (level !== null && (level < 1 || level > 3))
        this.#fail(cache, `cache level ${level} is not 1, 2 or 3`);
      if (this.#choice(cache, 'mode', ['emulate', 'passthrough', 'disable']) === null)
        this.#fail(cache, 'a <cache> without a mode; write emulate, passthrough or disable');
    }
  }

  #checkCounter(): void {
    const counter = children(this.#cpu, 'counter').find(({ attributes: a }) => a.name === 'tsc');
    if (!counter) return;
    const { frequency } = counter.attributes;
    if (frequency === undefined || !/^\d{1,19}$/.test(frequency))
      this.#fail(counter, 'a <counter> of the TSC needs a frequency in Hz');
    this.#choice(counter, 'scaling', ['yes', 'no']);
  }

  /** The value of an attribute that has a few, or null where it is absent. */
  #choice<T extends string>(
    element: XmlElement,
    attribute: string,
    allowed: readonly T[],
  ): T | null {
    const value = element.attributes[attribute];
    if (value === undefined) return null;
    const found = allowed.find((word) => word === value);
    if (found === undefined)
      this.#fail(
        element,
        `${attribute} "${value}" of <${element.name}> is none of ${allowed.join(', ')}`,
      );
    return found;
  }

  #number(element: XmlElement, attribute: string): number | null {
    const value = element.attributes[attribute];
    if (value === undefined) return null;
    if (!/^\d{1,10}$/.test(value) || Number(value) > MAX_NUMBER)
      this.#fail(
        element,
        `${attribute} "${value}" of <${element.name}> is no whole number of 32 bits`,
      );
    return Number(value);
  }

  #fail(element: XmlElement, message: string): never {
    throw new QueryError(`${this.#input}:${element.line}: ${message}`);
  }
}
