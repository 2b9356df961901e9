// What a guest's definition asks for, once it is said which QEMU and libvirt start it: one meaning for every question.
// What these would refuse at the start is a reason here and no error, because it is an answer.
import { emptyRow, type Row } from '../core/rows.ts';
import { archRecord, asksOf, elementOfArgument } from './arch/index.ts';
import { argumentOf, ofLibvirt } from './asked-libvirt.ts';
import { ofQemu, placeOf, Refused, type Resolved, Unsettled } from './asked-qemu.ts';
import type { Catalog } from './catalog.ts';
import { QueryError } from './errors.ts';
import type { Expansion, Surroundings } from './expand.ts';
import type { Asked, AskedOfLibvirt } from './guest.ts';
import { type Need, needing, type Software } from './need.ts';

/** How QEMU is asked for a guest. */
export interface Started extends Surroundings {
  readonly cpu: string;
}

/** What a guest needs of its host, as the software that starts it takes its definition. */
export function needOfAsked(catalog: Catalog, asked: Asked, software: Software): Need {
  return resolved(catalog, asked, software).need;
}

function resolved(catalog: Catalog, asked: Asked, software: Software): Resolved {
  const none = emptyRow(catalog.bits);
  if (asked.anyArch && software.arch) {
    const element = asked.by === 'libvirt' ? asked.element : elementOfArgument(asked.cpu);
    const { accelerator } = asked;
    return { need: ofArch(none, { element, accelerator }, software.arch), expansion: null };
  }
  const unresolved = (rest: Partial<Need>): Resolved => ({
    need: needing(none, { arch: 'x86_64', ...rest }),
    expansion: null,
  });
  try {
    return asked.by === 'qemu'
      ? ofQemu(catalog, asked, software)
      : ofLibvirt(catalog, asked, software);
  } catch (error) {
    if (error instanceof Refused) return unresolved({ refused: error.message });
    if (error instanceof Unsettled) return unresolved({ unsettled: error.message });
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
 * How QEMU is asked for the guest.
 * @throws QueryError where its CPU is the host's, is refused, or its meaning is not known.
 */
export function startOfAsked(catalog: Catalog, asked: Asked, software: Software): Started {
  try {
    const cpu = asked.by === 'qemu' ? asked.cpu : argumentOf(catalog, asked, software.libvirt);
    const { foreign: _, ...where } = placeOf(catalog, asked, software);
    return { cpu, ...where };
  } catch (error) {
    if (error instanceof Refused || error instanceof Unsettled) throw new QueryError(error.message);
    throw error;
  }
}

/** What a definition comes to where no host is looked at. */
export type Meaning =
  | { readonly is: 'cpu'; readonly expansion: Expansion; readonly need: Need }
  | { readonly is: 'own' | 'refused' | 'unsettled'; readonly because: string };

/** The same with the newest software of the catalog, for whoever takes the guest as a CPU. */
export function meaningOfAsked(catalog: Catalog, asked: Asked): Meaning {
  const { need, expansion } = resolved(catalog, asked, newestSoftware(catalog));
  if (expansion !== null) return { is: 'cpu', expansion, need };
  if (need.refused !== null) return { is: 'refused', because: need.refused };
  if (need.unsettled !== null) return { is: 'unsettled', because: need.unsettled };
  return { is: 'own', because: need.own! };
}

/** The newest of each product that the catalog knows, and its newest machine type. */
export const newestSoftware = (catalog: Catalog): Software => ({
  qemu: [...catalog.learnt.keys()].at(-1) ?? catalog.versions.qemu.at(-1)!,
  libvirt: catalog.versions.libvirt.at(-1)!,
  machine: 'q35',
});
