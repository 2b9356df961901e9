// Guests by libvirt's <cpu>, as descriptions: what the software that starts them makes of it.
import { archRecord, asksOf } from '../cpu/arch/index.ts';
import { meaningOfAsked, noteOf, toldBy } from '../cpu/asked.ts';
import type { Catalog } from '../cpu/catalog.ts';
import type { AskedOfLibvirt } from '../cpu/guest.ts';
import type { Description, Note } from '../cpu/host.ts';
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
    return { ...foreign, view: 'guest', notes: [foreignNote(asked, where)] };
  }
  const { element } = asked;
  if (!archRecord(arch).isX86) return guestOfArch(catalog, asked, arch);
  const description = { ...blank(catalog, arch, line), element, asked };
  const model = element.model ?? (element.mode === 'custom' ? 'qemu64' : null);
  const named = { model: model === null ? null : { name: model, known: true } };
  const meaning = meaningOfAsked(catalog, asked);
  if (meaning.is === 'cpu') return { ...description, ...named, ...toldBy(catalog, asked, meaning) };
  const notes = [noteOf(meaning, where)];
  if (meaning.is === 'own') return { ...description, notes };
  // What is written beside a model that is not known is known all the same.
  const written = relative(catalog, element, arch, { asks: true });
  return { ...description, ...written, view: 'guest', asked, notes };
}

/** What a domain that QEMU does not run says of its CPU. */
const foreignNote = (cpu: LibvirtCpu | null, where: string): Note =>
  cpu?.mode === 'host-passthrough'
    ? {
        code: 'host-cpu',
        message: `its CPU is ${cpu.mode}: it takes that of the host on which it starts, and moves to equals alone`,
      }
    : {
        code: 'unknown-model',
        message: `${where}: it is of a hypervisor that is none of QEMU's, so what its CPU means there is not known`,
      };

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
