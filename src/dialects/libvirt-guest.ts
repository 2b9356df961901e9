// Guests by libvirt's <cpu>, as descriptions: what the software that starts them makes of it.
import { clearBit } from '../core/rows.ts';
import { archRecord, asksOf } from '../cpu/arch/index.ts';
import { type Meaning, meaningOfAsked } from '../cpu/asked.ts';
import { findFeature } from '../cpu/asked-libvirt.ts';
import type { Catalog } from '../cpu/catalog.ts';
import type { AskedOfLibvirt } from '../cpu/guest.ts';
import type { Description } from '../cpu/host.ts';
import { type LibvirtCpu, UNSAID } from '../cpu/libvirt.ts';
import { blank, relative } from './libvirt-relative.ts';

/** A <cpu> of a guest that says no more of itself: under KVM, on the newest machine type. */
export const guestOf = (cpu: LibvirtCpu | null): AskedOfLibvirt => ({
  by: 'libvirt',
  element: cpu ?? UNSAID,
  machine: null,
  accelerator: 'kvm',
  tscHz: null,
  threads: 1,
  byName: null,
});

/**
 * A guest by its definition; one of another hypervisor by its <cpu> alone, if it has any.
 * @param where it stands, for what its software would refuse
 */
export function guestDescription(
  catalog: Catalog,
  asked: AskedOfLibvirt | LibvirtCpu | null,
  arch: string,
  line: number,
  where: string,
): Description {
  if (!isAsked(asked)) {
    const foreign = asked === null ? blank(catalog, arch, line) : relative(catalog, asked, arch);
    const message = `${where}: it is of a hypervisor that is none of QEMU's, so what its CPU means there is not known`;
    return { ...foreign, view: 'guest', notes: [{ code: 'host-cpu', message }] };
  }
  const { element } = asked;
  if (!archRecord(arch).isX86) return guestOfArch(catalog, asked, arch);
  const description = { ...blank(catalog, arch, line), element, asked };
  const model = element.model ?? (element.mode === 'custom' ? 'qemu64' : null);
  const named = { model: model === null ? null : { name: model, known: true } };
  const meaning = meaningOfAsked(catalog, asked);
  if (meaning.is === 'cpu')
    return { ...description, ...named, ...openOptional(catalog, element, told(catalog, meaning)) };
  const notes = [noteOf(meaning, where)];
  if (meaning.is === 'own') return { ...description, notes };
  // What is written beside a model that is not known is known all the same.
  const written = relative(catalog, element, arch, { asks: true });
  return { ...description, ...written, view: 'guest', asked, notes };
}

const isAsked = (asked: AskedOfLibvirt | LibvirtCpu | null): asked is AskedOfLibvirt =>
  asked !== null && 'by' in asked;

/** Beside x86 a guest asks for what its architecture makes of its definition. */
export function guestOfArch(
  catalog: Catalog,
  { element, accelerator }: Pick<AskedOfLibvirt, 'element' | 'accelerator'>,
  arch: string,
): Description {
  const { unnamed, model, note } = asksOf(archRecord(arch), element, accelerator);
  return {
    ...relative(catalog, element, arch),
    view: 'guest',
    unnamed,
    model: model === null ? null : { name: model, known: false },
    notes: note === null ? [] : [note],
  };
}

/** An optional feature is there where the host has it; and who asks for at least a CPU takes whatever else there is. */
function openOptional(
  catalog: Catalog,
  cpu: LibvirtCpu,
  what: ReturnType<typeof told>,
): ReturnType<typeof told> {
  const has = what.has.slice();
  const known = cpu.match === 'minimum' ? has.slice() : what.known.slice();
  for (const { name, policy } of cpu.features) {
    const feature = findFeature(catalog, name);
    if (!feature || policy !== 'optional') continue;
    clearBit(has, feature.id);
    clearBit(known, feature.id);
  }
  return { ...what, has, known };
}

/** What a definition says feature by feature, once it has one meaning. */
export const told = (
  catalog: Catalog,
  { expansion, need }: Extract<Meaning, { is: 'cpu' }>,
): Pick<Description, 'has' | 'known' | 'vendor' | 'limits'> => ({
  has: expansion.features,
  known: catalog.rowWhere(() => true),
  vendor: need.vendor,
  limits: { physBits: need.physBits },
});

/** Why a definition does not say what the guest gets. */
export const noteOf = (
  { is, because }: Exclude<Meaning, { is: 'cpu' }>,
  where: string,
): Description['notes'][number] =>
  is === 'own'
    ? {
        code: 'host-cpu',
        message: `${because}; what QEMU answers to query-cpu-model-expansion there, or the live domain XML, shows what it got`,
      }
    : { code: is === 'refused' ? 'refused' : 'unknown-model', message: `${where}: ${because}` };
