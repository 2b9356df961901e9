// Guests, and hosts taken as CPUs, as what the one rule holds against hosts; and which software starts them there.

import { emptyRow, join, meet, minus } from '../../core/rows.ts';
import { needOfAsked, newestSoftware } from '../../cpu/asked/asked.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Asked } from '../../cpu/guest.ts';
import { LISTERS } from '../../cpu/model-lists.ts';
import { type Need, needing, type Software } from '../../cpu/need.ts';
import { minorOf } from '../../cpu/order.ts';
import { kvmWord } from '../../cpu/qemu/accelerators.ts';
import { needOfSaved } from '../../cpu/saved-line.ts';
import type { Kind } from '../../fleet/fleet.ts';
import { versionToldBy } from '../line/told-stack.ts';
import type { Asker } from './fit.ts';

/** What was said of the software that starts guests; a version that is not said is what a host tells, else the newest. */
export interface GivenSoftware {
  readonly qemu?: string | undefined;
  readonly libvirt?: string | undefined;
  /** The machine type of guests that do not say theirs; the newest where absent. */
  readonly machine?: string | undefined;
}

/** Which software starts guests on hosts of a kind. */
export function softwareOf(catalog: Catalog, given: GivenSoftware = {}): (kind: Kind) => Software {
  const newest = newestSoftware(catalog);
  const made = new Map<string, Software>();
  const plain = new Map<string, Software>();
  return (kind) => {
    // Most hosts list no models, and there may be as many kinds as hosts.
    if (LISTERS.some((lister) => kind.models[lister])) return find(kind);
    const told = `${kind.qemu} ${kind.libvirt} ${kind.arch} ${kind.vendor}`;
    const known = plain.get(told) ?? find(kind);
    plain.set(told, known);
    return known;
  };
  function find(kind: Kind): Software {
    const qemu = given.qemu ?? versionToldBy(catalog, 'qemu', kind) ?? newest.qemu;
    // A release between two that are known is answered as the older, and may have more than that.
    const isGiven = given.qemu !== undefined || isRelease(kind.qemu, qemu);
    const libvirt = given.libvirt ?? versionToldBy(catalog, 'libvirt', kind) ?? newest.libvirt;
    const told = given.qemu ?? kind.qemu;
    const host = {
      arch: kind.arch,
      vendor: kind.vendor,
      qemu: told === null ? null : minorOf(told),
    };
    const key = `${qemu} ${libvirt} ${isGiven} ${host.arch} ${host.vendor} ${host.qemu}`;
    const known = made.get(key) ?? {
      qemu,
      libvirt,
      machine: given.machine ?? newest.machine,
      ...(isGiven ? { isGiven } : {}),
      host,
    };
    made.set(key, known);
    return known;
  }
}

/** Whether a version as a host tells it is a patch level of one of the catalog. */
const isRelease = (told: string | null, known: string): boolean =>
  told === known || told?.startsWith(`${known}.`) === true;

/** How software is called in answers: libvirt@12.8, qemu@10.0. */
export const softwareNames = (software: readonly Software[]): string[] =>
  [
    ...new Set(software.flatMap(({ qemu, libvirt }) => [`libvirt@${libvirt}`, `qemu@${qemu}`])),
  ].sort();

/** A definition as an asker: what it needs is worked out once for each software. */
export function asker(catalog: Catalog, asked: Asked): Asker {
  const known = new Map<string, Need>();
  return {
    need: (software) => {
      const { qemu, libvirt, machine, isGiven, host } = software;
      const more = asked.by === 'proxmox' ? ` ${host?.vendor} ${host?.qemu}` : '';
      const key = `${qemu} ${libvirt} ${machine} ${isGiven} ${host?.arch}${more}`;
      const need = known.get(key) ?? needOfAsked(catalog, asked, software);
      known.set(key, need);
      return need;
    },
  };
}

/** A CPU by its description: a guest as its software starts it, a saved answer, or all that a host offers. */
export function askerOf(catalog: Catalog, kind: Kind): Asker {
  if (kind.view === 'guest' && kind.asked !== null) return asker(catalog, kind.asked);
  const need = kind.saved ? needOfSaved(catalog, kind.saved) : needOfRows(catalog, kind);
  return { need: () => need };
}

/** What tells askers apart: those with equal keys ask the same. */
export const keyOfAsker = (kind: Kind): string =>
  kind.view === 'guest' && kind.asked !== null
    ? JSON.stringify(
        kind.asked.by === 'libvirt'
          ? { ...kind.asked, element: { ...kind.asked.element, line: 0 } }
          : kind.asked,
      )
    : JSON.stringify(
        kind.saved ?? [
          kind.view,
          kind.arch,
          kind.vendor,
          kind.has.join(),
          kind.known.join(),
          kind.unnamed,
          kind.unnamedUnknown,
          kind.physBits,
          kind.xsave,
          kind.model,
          kind.identity,
          kind.notes,
        ],
      );

/** The need of a CPU that is known by its features alone. */
function needOfRows(catalog: Catalog, kind: Kind): Need {
  const isGuest = kind.view === 'guest';
  // What hosts differ in and no guest can hide is asked for by nobody but a guest that lists it.
  const outside = catalog.rowWhere((f) => f.merge === 'never' || (!isGuest && f.merge === 'equal'));
  // What QEMU gives every guest under KVM is there without being asked for.
  const left = isGuest
    ? join(outside, meet(catalog.accelerators.kvm.on, kvmWord(catalog)))
    : outside;
  const none = emptyRow(catalog.bits);
  const all = catalog.rowWhere((f) => f.merge !== 'never' && !f.isKvm);
  const own = kind.notes.find((note) => note.code === 'host-cpu');
  const unknown = kind.notes.find(
    (note) => note.code === 'unknown-model' || note.code === 'default-cpu',
  );
  return needing(none, {
    // A 32-bit guest is one of any x86 host.
    arch: isGuest && kind.arch === 'i686' ? 'x86_64' : kind.arch,
    vendor: kind.vendor,
    model: isGuest && kind.identity ? kind.identity.model : null,
    like: isGuest ? null : (kind.identity ?? null),
    features: minus(kind.has, left),
    open: isGuest && !unknown && !own ? minus(minus(all, kind.known), left) : none,
    unnamed: kind.unnamed,
    physBits: isGuest ? kind.physBits : null,
    xsave: kind.xsave ?? [],
    own: isGuest && own ? own.message : null,
    refused: isGuest ? (kind.notes.find((n) => n.code === 'refused')?.message ?? null) : null,
    unsettled: isGuest && unknown ? unknown.message : null,
  });
}
