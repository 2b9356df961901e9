// What libvirt keeps of a QEMU that it has asked (/var/cache/libvirt/qemu/capabilities/*.xml): the expansion of host,
// and every model with what blocks it.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { type Description, isX86 } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { JsonObject } from '../text/json.ts';
import type { XmlElement } from '../text/xml.ts';
import { untold } from '../words/blank-description.ts';
import { hostOf, type ListedModel } from '../words/qemu-host.ts';
import { hostOfArch } from '../words/qemu-host-arch.ts';
import { children, childText } from './libvirt-element.ts';

const MILLION = 1_000_000;
const THOUSAND = 1000;

/** The host of a <qemuCaps>: what KVM gives there, or what emulation does where there is no KVM. */
export function describeQemuCaps(
  input: string,
  catalog: Catalog,
  element: XmlElement,
): Description {
  const hosts = under(element, 'hostCPU');
  const host = hosts.find((h) => accelOf(h) === 'kvm') ?? hosts[0];
  const where = `${input}:${host?.line ?? element.line}`;
  if (!host)
    throw new QueryError(
      `${where}: this cache of libvirt's holds no <hostCPU>, so it describes no host; virsh domcapabilities does`,
    );
  const accelerator = accelOf(host);
  const models = under(element, 'cpu').filter((cpu) => accelOf(cpu) === accelerator);
  // As a description it is QEMU's answers, which libvirt only wrote down: its names are QEMU's.
  const blank: Description = {
    ...untold(catalog, 'qmp', element.line),
    arch: childText(element, 'arch') ?? 'x86_64',
    qemu: versionOf(childText(element, 'version')),
  };
  // Where libvirt has asked for both, a property says itself whether it can migrate.
  const migratable = host.attributes.migratability !== 'yes';
  const said = {
    offers: [{ where, props: propsOf(host), migratable, model: host.attributes.model ?? '' }],
    models: models.length === 0 ? null : models.map(listed),
    isEmulating: accelerator !== 'kvm',
  };
  return isX86(blank) ? hostOf(catalog, blank, where, said) : hostOfArch(catalog, blank, said);
}

/** What it is of: newer caches and older ones say so on the element itself. */
const accelOf = ({ attributes }: XmlElement): string => attributes.type ?? 'kvm';

/** All elements of a name, however deep. */
const under = (element: XmlElement, name: string): XmlElement[] =>
  element.children.flatMap((c) => (c.name === name ? [c] : under(c, name)));

function propsOf(host: XmlElement): JsonObject {
  return Object.fromEntries(
    children(host, 'property').map(({ attributes: { name = '', type, value = '' } }) => [
      name,
      type === 'boolean' ? value === 'true' : type === 'number' ? Number(value) : value,
    ]),
  );
}

function listed(cpu: XmlElement): ListedModel {
  const blockers = children(cpu, 'blocker').map((b) => b.attributes.name ?? '');
  const { name = '', usable } = cpu.attributes;
  return { name, blockers: usable === 'yes' ? [] : blockers.length > 0 ? blockers : null };
}

/** 8002001 is 8.2.1. */
function versionOf(text: string | null): string | null {
  const number = Number(text);
  if (text === null || !Number.isSafeInteger(number) || number < MILLION) return null;
  const minor = Math.floor(number / THOUSAND) % THOUSAND;
  return [Math.floor(number / MILLION), minor, number % THOUSAND].join('.');
}
