// What a description proves about the CPU that guests of this host can have. A hypervisor says it itself; what
// CPUID or the kernel shows is held against what KVM was seen to hand on.
import {
  clearBit,
  clearBits,
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
} from '../core/rows.ts';
import { kvmWord } from './accelerators.ts';
import type { Catalog, Vendor } from './catalog.ts';
import type { Description } from './host.ts';

export interface Offer {
  /** Features that guests on this host can have for certain. */
  readonly has: Row;
  /** Features of which it is certain whether they can; never less than `has`. */
  readonly known: Row;
  /** Features counted as offered although the description lacks them, where that deserves a word. */
  readonly assumed: readonly string[];
}

// Seen under KVM on every host of 51 captures, whatever CPUID says: KVM makes them up.
const ALWAYS_OFFERED = ['x2apic'];
// The same, but an in-kernel interrupt controller or a timer decides.
const ASSUMED = ['tsc-deadline', 'arat'];
// KVM emulates them on processors that lack them, sometimes: absence on the processor settles nothing.
const EMULATED = ['umip', 'tsc-adjust', 'arch-capabilities'];

/** What guests on the described host can have (rules of the views: README, "What a description proves"). */
export function offer(catalog: Catalog, d: Description): Offer {
  if (d.view === 'guest')
    return { ...withDefaults(catalog, d.has.slice(), d.known.slice()), assumed: [] };
  if (d.view === 'hypervisor')
    return { ...offerKvm(catalog, d.has.slice(), d.known.slice()), assumed: [] };

  const has = meet(d.has, handedOn(catalog, d.vendor));
  // What the processor has and nobody saw KVM hand on is unknown, not absent.
  const known = minus(d.known, minus(d.has, has));
  for (const name of EMULATED) {
    const { id } = catalog.feature(name);
    if (!hasBit(has, id)) clearBit(known, id);
  }
  const assumed = ASSUMED.filter((name) => !hasBit(d.has, catalog.feature(name).id));
  for (const name of [...ALWAYS_OFFERED, ...ASSUMED]) {
    const { id } = catalog.feature(name);
    setBit(has, id);
    setBit(known, id);
  }
  return { ...heldToPrerequisites(catalog, offerKvm(catalog, has, known)), assumed };
}

/** What QEMU gives every guest under KVM unasked, where its description lists none of KVM's own features. */
function withDefaults(catalog: Catalog, has: Row, known: Row): { has: Row; known: Row } {
  const word = kvmWord(catalog);
  if (size(meet(known, word)) > 0) return { has, known };
  const given = meet(catalog.accelerators.kvm.on, word);
  return { has: join(has, given), known: join(known, given) };
}

/** KVM gives its own features to every guest, and most descriptions do not list that word. */
function offerKvm(catalog: Catalog, has: Row, known: Row): { has: Row; known: Row } {
  const word = kvmWord(catalog);
  if (size(meet(known, word)) > 0) return { has, known };
  const given = derived(catalog, 'given by kvm', () =>
    catalog.rowWhere((f) => hasBit(word, f.id) && f.merge !== 'never' && f.offered.size > 0),
  );
  return { has: join(has, given), known: join(known, given) };
}

/** A feature whose prerequisite is off cannot be had; one whose prerequisite is unknown is unknown. */
function heldToPrerequisites(
  catalog: Catalog,
  { has, known }: { has: Row; known: Row },
): { has: Row; known: Row } {
  for (const { anyMask, clearsMask } of catalog.dependencies) {
    if (hasAny(has, anyMask)) continue;
    clearBits(has, clearsMask);
    if (hasAll(known, anyMask)) setBits(known, clearsMask);
    else clearBits(known, clearsMask);
  }
  return { has, known };
}

const cache = new WeakMap<Catalog, Map<string, Row>>();

/** A row that the catalog determines, made once. */
function derived(catalog: Catalog, key: string, make: () => Row): Row {
  const rows = cache.get(catalog) ?? new Map<string, Row>();
  cache.set(catalog, rows);
  const row = rows.get(key) ?? make();
  rows.set(key, row);
  return row;
}

/** What KVM was seen to hand on to guests of this vendor's processors and no switch of the host decides. */
function handedOn(catalog: Catalog, vendor: Vendor | null): Row {
  // Without a vendor only what both big ones offer is safe to say.
  if (vendor === null) return meet(handedOn(catalog, 'Intel'), handedOn(catalog, 'AMD'));
  return derived(catalog, `handed on ${vendor}`, () =>
    catalog.rowWhere((f) => f.offered.has(vendor) && !f.hostConditional),
  );
}
