// What a description proves about the CPU that guests of this host can have. A hypervisor says it itself; what
// CPUID or the kernel shows is held against what KVM of the host's kernel makes of it (kvm.ts).
import {
  clearBit,
  clearBits,
  hasAll,
  hasAny,
  hasBit,
  meet,
  type Row,
  setBit,
  setBits,
  size,
} from '../core/rows.ts';
import { assumedOfKvm, kvmWord } from './accelerators.ts';
import type { Catalog } from './catalog.ts';
import { type Description, isShown, isX86 } from './host.ts';
import { kvmGives } from './kvm.ts';

export interface Offer {
  /** Features that guests on this host can have for certain. */
  readonly has: Row;
  /** Features of which it is certain whether they can; never less than `has`. */
  readonly known: Row;
  /** Features counted as offered although the description does not tell of them, where that deserves a word. */
  readonly assumed: readonly string[];
}

/** What guests on the described host can have (rules of the views: README, "What a description proves"). */
export function offer(catalog: Catalog, d: Description): Offer {
  if (!isX86(d)) return { has: d.has, known: d.known, assumed: [] };
  if (isShown(d)) {
    const given = kvmGives(catalog, d);
    return { ...heldToPrerequisites(catalog, withKvmWords(catalog, given)), assumed: [] };
  }
  return {
    ...withKvmWords(catalog, { has: d.has.slice(), known: d.known.slice() }),
    assumed: [],
  };
}

interface Told {
  readonly has: Row;
  readonly known: Row;
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
