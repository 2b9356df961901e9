// What a guest's definition asks for, once it is said which QEMU and libvirt start it: one meaning for every question.
// What these would refuse at the start is a reason here and no error, because it is an answer.
import { clearBit, emptyRow, type Row } from '../../core/rows.ts';
import { archRecord, asksOf, elementOfArgument } from '../arch/index.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { LibvirtCpu } from '../cpu-element.ts';
import type { Description, Note } from '../description.ts';
import { QueryError } from '../errors.ts';
import type { Asked, AskedOfLibvirt, AskedOfQemu } from '../guest.ts';
import { type Need, needing, type Software } from '../need.ts';
import type { Expansion, Surroundings } from '../qemu/expand.ts';
import { argumentOf, findFeature, ofLibvirt } from './asked-libvirt.ts';
import { ofProxmox, startedByProxmox } from './asked-proxmox.ts';
import {
  isOfHost,
  ofQemu,
  placeOf,
  Refused,
  type ResolvedCpu,
  UnsettledGuest,
} from './asked-qemu.ts';

/** How QEMU is asked for a guest. */
export interface StartedGuest extends Surroundings {
  readonly cpu: string;
  /** Whether its CPU is the host's, but for what is said beside. */
  readonly isOfHost: boolean;
}

/** What a guest needs of its host, as the software that starts it takes its definition. */
export function needOfAsked(catalog: Catalog, asked: Asked, software: Software): Need {
  return resolved(catalog, asked, software).need;
}

function resolved(catalog: Catalog, asked: Asked, software: Software): ResolvedCpu {
  const none = emptyRow(catalog.bits);
  const { arch } = software.host ?? {};
  if (asked.by !== 'proxmox' && asked.anyArch && arch && !archRecord(arch).isX86) {
    if (asked.unsettled !== undefined)
      return { need: needing(none, { arch, unsettled: asked.unsettled }), expansion: null };
    const element = asked.by === 'libvirt' ? asked.element : elementOfArgument(asked.cpu);
    return { need: ofArch(none, { ...asked, element }, arch), expansion: null };
  }
  const unresolved = (rest: Partial<Need>): ResolvedCpu => ({
    need: needing(none, { arch: 'x86_64', ...rest }),
    expansion: null,
  });
  if (asked.unsettled !== undefined) return unresolved({ unsettled: asked.unsettled });
  try {
    if (asked.by === 'proxmox') return ofProxmox(catalog, asked, software);
    return asked.by === 'qemu'
      ? ofQemu(catalog, asked, software)
      : ofLibvirt(catalog, asked, software);
  } catch (error) {
    if (error instanceof Refused) return unresolved({ refused: error.message });
    if (error instanceof UnsettledGuest) return unresolved({ unsettled: error.message });
    throw error;
  }
}

/** What a definition asks for on hosts of another architecture than x86. */
function ofArch(
  none: Row,
  { element, accelerator }: Pick<AskedOfLibvirt, 'element' | 'accelerator'>,
  arch: string,
): Need {
  const { unnamed, model, note } = asksOf(archRecord(arch), element, accelerator);
  const because = (code: string) => (note?.code === code ? note.message : null);
  return needing(none, {
    arch,
    unnamed,
    model,
    own: because('host-cpu'),
    refused: because('refused'),
    unsettled: because('default-cpu'),
  });
}

/**
 * The guest as its platform hands it to QEMU or libvirt.
 * @throws QueryError where its platform does not start it there.
 */
export function startedAs(asked: Asked, software: Software): AskedOfQemu | AskedOfLibvirt {
  if (asked.by !== 'proxmox') return asked;
  try {
    return startedByProxmox(asked, software);
  } catch (error) {
    if (error instanceof Refused || error instanceof UnsettledGuest)
      throw new QueryError(error.message);
    throw error;
  }
}

/**
 * How QEMU is asked for the guest.
 * @throws QueryError where its CPU is the host's, is refused, or its meaning is not known.
 */
export function startOfAsked(catalog: Catalog, asked: Asked, software: Software): StartedGuest {
  if (asked.unsettled !== undefined) throw new QueryError(asked.unsettled);
  const started = startedAs(asked, software);
  try {
    const cpu =
      started.by === 'qemu' ? started.cpu : argumentOf(catalog, started, software.libvirt);
    const { foreign: _, ...where } = placeOf(catalog, started, software);
    return { cpu, isOfHost: isOfHost(started), ...where };
  } catch (error) {
    if (error instanceof Refused || error instanceof UnsettledGuest)
      throw new QueryError(error.message);
    throw error;
  }
}

/** What a definition comes to where no host is looked at. */
export type Meaning =
  | { readonly is: 'cpu'; readonly expansion: Expansion; readonly need: Need }
  | {
      readonly is: 'own' | 'refused' | 'unsettled';
      readonly because: string;
      readonly need: Need;
    };

/** The same as an answer, by default with the newest software of the catalog, for whoever takes the guest as a CPU. */
export function meaningOfAsked(
  catalog: Catalog,
  asked: Asked,
  software: Software = newestSoftware(catalog),
): Meaning {
  const { need, expansion } = resolved(catalog, asked, software);
  if (expansion !== null) return { is: 'cpu', expansion, need };
  if (need.refused !== null) return { is: 'refused', because: need.refused, need };
  if (need.unsettled !== null) return { is: 'unsettled', because: need.unsettled, need };
  return { is: 'own', because: need.own!, need };
}

/** What a definition with one meaning says feature by feature. */
export function toldBy(
  catalog: Catalog,
  asked: Asked,
  { expansion, need }: Extract<Meaning, { is: 'cpu' }>,
): Pick<Description, 'has' | 'known' | 'vendor' | 'limits'> {
  const told = {
    has: expansion.features,
    known: catalog.rowWhere(() => true),
    vendor: need.vendor,
    limits: { physBits: need.physBits },
  };
  return asked.by === 'libvirt' ? { ...told, ...openOptional(catalog, asked.element, told) } : told;
}

/** An optional feature is there where the host has it; and who asks for at least a CPU takes whatever else there is. */
function openOptional(
  catalog: Catalog,
  cpu: LibvirtCpu,
  told: Pick<Description, 'has' | 'known'>,
): Pick<Description, 'has' | 'known'> {
  const has = told.has.slice();
  const known = cpu.match === 'minimum' ? has.slice() : told.known.slice();
  for (const { name, policy } of cpu.features) {
    const feature = findFeature(catalog, name);
    if (!feature || policy !== 'optional') continue;
    clearBit(has, feature.id);
    clearBit(known, feature.id);
  }
  return { has, known };
}

/** Why a definition does not say what the guest gets. */
export const noteOf = ({ is, because }: Exclude<Meaning, { is: 'cpu' }>, where: string): Note =>
  is === 'own'
    ? {
        code: 'host-cpu',
        message: `${because}; what QEMU answers to query-cpu-model-expansion there, or the live domain XML, shows what it got`,
      }
    : { code: is === 'refused' ? 'refused' : 'unknown-model', message: `${where}: ${because}` };

/** The newest of each product that the catalog knows, and its newest machine type. */
export const newestSoftware = (catalog: Catalog): Software => ({
  qemu: [...catalog.learnt.keys()].at(-1) ?? catalog.versions.qemu.at(-1)!,
  libvirt: catalog.versions.libvirt.at(-1)!,
  machine: 'q35',
});
