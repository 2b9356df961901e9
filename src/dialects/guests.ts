// Guests out of libvirt's domain XML: the -cpu argument that libvirt makes of a <cpu>, and the machine type.
import type { Catalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Guest } from '../cpu/guest.ts';
import { type LibvirtCpu, UNSAID } from '../cpu/libvirt.ts';
import { byBytes } from '../cpu/order.ts';
import type { Input } from './dialect.ts';
import { child, childText, findCpus, parseCpu } from './libvirt-element.ts';
import { findFeature } from './libvirt-expand.ts';
import { readXml, type XmlElement } from './xml.ts';

/** A guest, and the element that another libvirt may make something else of. */
export interface DomainGuest extends Guest {
  readonly element: LibvirtCpu;
}

/** The CPU that QEMU gives where a domain names none. */
const DEFAULT_MODEL = 'qemu64';

/**
 * All guests of a file of domain XML.
 * @param libvirt the version whose map decides what is switched off beside a model
 * @throws QueryError for XML without a domain, and for guests whose CPU only a host settles.
 */
export async function readGuests(
  input: Input,
  catalog: Catalog,
  libvirt: string,
): Promise<DomainGuest[]> {
  const guests: DomainGuest[] = [];
  await readXml(input, (root) => {
    for (const found of domainsOf(root)) guests.push(readDomain(input, catalog, found, libvirt));
  });
  if (guests.length === 0)
    throw new QueryError(
      `${input.name} holds no <domain>; give what virsh dumpxml prints, or the guest's -cpu with --cpu`,
    );
  return guests;
}

function domainsOf(root: XmlElement): XmlElement[] {
  if (root.name === 'domain') return [root];
  return findCpus(root)
    .filter((found) => found.kind === 'domain')
    .map((found) => found.element);
}

function readDomain(
  input: Input,
  catalog: Catalog,
  domain: XmlElement,
  libvirt: string,
): DomainGuest {
  const where = `${input.name}:${domain.line}`;
  const id = childText(domain, 'name') ?? `${input.name}:${domain.line}`;
  const type = child(child(domain, 'os'), 'type')?.attributes;
  const arch = type?.arch ?? 'x86_64';
  if (arch !== 'x86_64' && arch !== 'i686')
    throw new QueryError(
      `${where}: guest ${id} is ${arch}; only x86 guests have machine types that change their CPU here`,
    );
  if (type?.machine === undefined)
    throw new QueryError(
      `${where}: guest ${id} names no machine type; give <os><type machine='...'>, as virsh dumpxml of a defined domain has it`,
    );
  const element = child(domain, 'cpu');
  const cpu = element ? parseCpu(input.name, element, 'guest') : null;
  const kind = domain.attributes.type ?? 'kvm';
  if (kind !== 'kvm' && kind !== 'qemu')
    throw new QueryError(
      `${where}: guest ${id} is of the type ${kind}; only kvm and qemu guests are QEMU's`,
    );
  const parsed: LibvirtCpu = cpu ?? UNSAID;
  return {
    id,
    cpu: cpuArgumentOf(
      catalog,
      parsed,
      libvirt,
      `${input.name}:${parsed.line || domain.line}: guest ${id}`,
    ),
    machine: type.machine,
    accelerator: kind === 'kvm' ? 'kvm' : 'tcg',
    element: parsed,
  };
}

const HOST_CPU: Readonly<Record<string, string>> = {
  'host-passthrough':
    'is whatever its host has, so no machine type and no definition pins it; give it a named model: plimsoll baseline of its hosts finds the most capable one',
  maximum:
    'is whatever its host and QEMU have, so nothing pins it; give it a named model: plimsoll baseline of its hosts finds the most capable one',
  'host-model':
    'is settled by its host when it starts; virsh dumpxml of the running guest shows the named model it got, which can be asked about',
};

/**
 * What libvirt makes of a <cpu> on QEMU's command line.
 * @throws QueryError for a CPU that only a host settles.
 */
export function cpuArgumentOf(
  catalog: Catalog,
  cpu: LibvirtCpu,
  libvirt: string,
  where: string,
): string {
  const why = HOST_CPU[cpu.mode];
  if (why !== undefined) throw new QueryError(`${where}: its CPU is ${cpu.mode}, which ${why}`);
  const model = cpu.model ?? DEFAULT_MODEL;
  const said = new Map<string, boolean>();
  for (const { name, policy } of cpu.features) {
    const feature = findFeature(catalog, name);
    if (!feature) throw new QueryError(`${where}: feature "${name}" is not known to the catalog`);
    // An optional feature is there where the host has it, and switched off elsewhere: none to count on.
    said.set(feature.name, policy === null || policy === 'require' || policy === 'force');
  }
  // libvirt switches off what it took out of a model, unless the guest asks for it.
  for (const id of catalog.libvirtModel(model, libvirt)?.removed ?? []) {
    const { name } = catalog.features[id]!;
    if (!said.has(name)) said.set(name, false);
  }
  const words = [...said]
    .filter(([name]) => isSayable(catalog, name))
    .sort(([a], [b]) => byBytes(a, b));
  return [
    model,
    ...(cpu.vendorId === null ? [] : [`vendor=${cpu.vendorId}`]),
    ...words.map(([name, on]) => `${name}=${on ? 'on' : 'off'}`),
    ...(cpu.maxphysaddr?.mode === 'emulate' && cpu.maxphysaddr.bits !== null
      ? [`phys-bits=${cpu.maxphysaddr.bits}`]
      : []),
    ...(cpu.maxphysaddr?.mode === 'passthrough' ? ['host-phys-bits=on'] : []),
  ].join(',');
}

/** libvirt leaves features out that QEMU has no name for (cmt and kin). */
const isSayable = (catalog: Catalog, name: string): boolean => catalog.findQemu(name)?.qemu != null;
