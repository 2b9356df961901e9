// What a description proves about the CPU that guests of this host can have. A hypervisor says it itself; what
// CPUID or the kernel shows is held against what KVM of the host's kernel makes of it (kvm.ts).
import {
  bitsOf,
  clearBit,
  clearBits,
  emptyRow,
  hasAll,
  hasAny,
  hasBit,
  join,
  meet,
  minus,
  type Row,
  setBit,
  setBits,
  size,
} from '../../core/rows.ts';
import { type ArchNames, archRecord } from '../arch/index.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { type Description, isShown, isX86, type Note } from '../description.ts';
import { sortByBytes } from '../order.ts';
import { assumedOfKvm, kvmWord } from '../qemu/accelerators.ts';
import { archOf, floorOf } from './floor.ts';
import { kernelNotes, kvmGives } from './kvm.ts';
import { takenLater } from './kvm-later.ts';

export interface Offer extends Partial<ArchNames> {
  /** Features that guests on this host can have for certain. */
  readonly has: Row;
  /** Features of which it is certain whether they can; never less than `has`. */
  readonly known: Row;
  /** Features counted as offered although the description does not tell of them, where that deserves a word. */
  readonly assumed: readonly string[];
  /** What a person should know of how this was concluded. */
  readonly notes: readonly Note[];
}

/** What guests on the described host can have (rules of the views: README, "What a description proves"). */
export function offer(catalog: Catalog, d: Description): Offer {
  // Of x86 it is known that there is nothing.
  if (!isX86(d))
    return {
      has: emptyRow(catalog.bits),
      known: catalog.rowWhere(() => true),
      ...(d.view === 'guest' ? {} : archRecord(d.arch).offer(d)),
      assumed: [],
      notes: [],
    };
  if (d.view === 'guest') return { ...withDefaults(catalog, d), assumed: [], notes: [] };
  const told = isShown(d)
    ? heldToPrerequisites(catalog, withKvmWords(catalog, kvmGives(catalog, d)))
    : withKvmWords(catalog, { has: d.has.slice(), known: d.known.slice() });
  if (d.view === 'hypervisor' && !d.listsUnmigratable) openUnmigratable(catalog, told);
  const is64 = archOf(catalog, d) === 'x86_64';
  const assumed = is64 ? withFloor(catalog, d, told) : [];
  if (!is64) closeLongMode(catalog, told);
  return { ...told, assumed, notes: notesOf(catalog, d, told.has) };
}

/** Without what comes before long mode, its bit alone makes no 64-bit guest. */
function closeLongMode(catalog: Catalog, { has, known }: Told): void {
  const { id } = catalog.feature('lm');
  clearBit(has, id);
  setBit(known, id);
}

function notesOf(catalog: Catalog, d: Description, has: Row): readonly Note[] {
  return isShown(d) ? [...kernelNotes(catalog, d), ...takenLater(catalog, d, has)] : [];
}

interface Told {
  readonly has: Row;
  readonly known: Row;
}

/** What QEMU gives every guest under KVM unasked, where its description lists none of KVM's own features. */
function withDefaults(catalog: Catalog, { has, known }: Told): Told {
  const word = kvmWord(catalog);
  if (size(meet(known, word)) > 0) return { has, known };
  const given = meet(catalog.accelerators.kvm.on, word);
  return { has: join(has, given), known: join(known, given) };
}

/** KVM gives words of its own to every guest, and most descriptions do not list them: then they count as given. */
function withKvmWords(catalog: Catalog, { has, known }: Told): Told {
  const word = kvmWord(catalog);
  if (size(meet(known, word)) > 0) return { has, known };
  const { given, withheld } = assumedOfKvm(catalog);
  for (const id of given) setBit(has, id);
  for (const id of [...given, ...withheld]) setBit(known, id);
  return { has, known };
}

/** Left out of an expansion that can migrate, or asked for by guests alone: their absence says nothing. */
export const UNLISTED = ['invtsc', 'ht', 'topoext', 'kvm-hint-dedicated'];

/** Takes back that a hypervisor gives none of these, where it merely does not list them. */
export function openUnmigratable(catalog: Catalog, { has, known }: Told): void {
  for (const name of UNLISTED) {
    const { id } = catalog.feature(name);
    if (!hasBit(has, id)) clearBit(known, id);
  }
}

/** Counts what every 64-bit guest needs as offered where nothing is told of it; answers what that is. */
function withFloor(catalog: Catalog, d: Description, { has, known }: Told): readonly string[] {
  if (d.view === 'guest') return [];
  const open = minus(floorOf(catalog).all, known);
  const assumed: string[] = [];
  for (const id of bitsOf(open)) {
    setBit(known, id);
    // What a processor lacks, no kernel makes up.
    if (hasBit(d.known, id) && !hasBit(d.has, id)) continue;
    setBit(has, id);
    if (!hasBit(d.has, id)) assumed.push(catalog.features[id]!.name);
  }
  return sortByBytes(assumed);
}

/** A feature whose prerequisite is off cannot be had; one whose prerequisite is unknown is unknown. */
function heldToPrerequisites(catalog: Catalog, { has, known }: Told): Told {
  for (const { anyMask, clears, clearsMask } of catalog.dependencies) {
    if (hasAny(has, anyMask)) continue;
    const isOff = hasAll(known, anyMask);
    if (isOff) setBits(known, clearsMask);
    // What is off stays off, whatever it needs.
    else for (const id of clears) if (hasBit(has, id)) clearBit(known, id);
    clearBits(has, clearsMask);
  }
  return { has, known };
}
