// What keeps a guest from moving between hosts on which it may well start: their clocks, and their vendors.
import { hasBit, isEmpty } from '../core/rows.ts';
import type { Need } from '../cpu/need.ts';
import { byBytes } from '../cpu/order.ts';
import type { Finding } from './answer.ts';
import { isSameClock } from './beside.ts';
import type { Fits } from './fit.ts';

interface Asking {
  readonly id: string;
  readonly asker: number;
}

/** Guests that a sentence names. */
const NAMED = 3;

const FINDINGS = {
  clocks: {
    code: 'tsc-differs',
    says: (names: string) =>
      `the time stamp counters of these hosts differ by more than 250 ppm, and invtsc or a fixed tsc-frequency is asked for by ${names}: with a fixed one a guest moves to hosts of that frequency and to those that scale theirs, without one nowhere`,
  },
  vendors: {
    code: 'no-vendor',
    says: (names: string) =>
      `hosts of several vendors run ${names}, of which the CPU is of no vendor: it has that of the host on which it starts, and moves to the others only with a vendor written (vendor= for QEMU, vendor_id for libvirt)`,
  },
} as const;

/** What a person should know of guests that start on these hosts; `homesOf`: the units on which an asker runs. */
export function movingFindings(
  fits: Fits,
  guests: readonly Asking[],
  homesOf: (asker: number) => readonly number[],
): Finding[] {
  const hosts = unlike(fits);
  const ids: Record<What, string[]> = { clocks: [], vendors: [] };
  const units: Record<What, Set<number>> = { clocks: new Set(), vendors: new Set() };
  const known = new Map<string, Apart>();
  for (const { id, asker } of guests) {
    const key = fits.sameAs(asker);
    const found = known.get(key) ?? apartFor(fits, hosts, asker, homesOf(asker));
    if (!known.has(key))
      for (const what of WHAT) for (const unit of found[what]) units[what].add(unit);
    known.set(key, found);
    for (const what of WHAT) if (found[what].length > 0) ids[what].push(id);
  }
  return WHAT.filter((what) => ids[what].length > 0).map((what) => {
    const { code, says } = FINDINGS[what];
    const few = ids[what].sort(byBytes).slice(0, NAMED).join(', ');
    const more = ids[what].length - NAMED;
    const list = fits.fleet.list(
      fits.fleet.hostsWhere((_, kind) => units[what].has(fits.unitOfKind[kind]!)),
    );
    const names = more > 0 ? `${few} and ${more} more` : few;
    return { code, severity: 'warning' as const, ...list, message: says(names) };
  });
}

type What = keyof typeof FINDINGS;
const WHAT: readonly What[] = ['clocks', 'vendors'];

/** Units of hosts that are not alike to a guest. */
type Apart = Readonly<Record<What, readonly number[]>>;

/** What guests may be kept apart by: units whose clocks are told, where they differ, and whether vendors do. */
function unlike({ fleet, unitOfKind }: Fits) {
  const timed = new Set<number>();
  let [least, most] = [Number.POSITIVE_INFINITY, 0];
  for (const [kind, { tsc }] of fleet.kinds.entries())
    if (tsc) {
      timed.add(unitOfKind[kind]!);
      least = Math.min(least, tsc.hz);
      most = Math.max(most, tsc.hz);
    }
  return {
    timed: timed.size > 0 && !isSameClock(least, most) ? timed : new Set<number>(),
    vendors: new Set(fleet.classes.map(({ vendor }) => vendor).filter((v) => v !== null)).size,
  };
}

function apartFor(
  fits: Fits,
  { timed, vendors }: ReturnType<typeof unlike>,
  asker: number,
  homes: readonly number[],
): Apart {
  const { classes, catalog } = fits.fleet;
  const { id: invtsc } = catalog.feature('invtsc');
  const isTimed = ({ tscHz, features }: Need) => tscHz !== null || hasBit(features, invtsc);
  const isAnyones = ({ vendor, own, features }: Need) =>
    vendor === null && own === null && !isEmpty(features);
  const needs = fits.needsOf(asker);
  const vendorOf = (unit: number) => classes[fits.classOf(unit)]!.vendor;
  const clocks = needs.some(isTimed)
    ? [...timed].filter((unit) => isTimed(fits.need(asker, unit)))
    : [];
  const anyones =
    vendors > 1 && needs.some(isAnyones)
      ? homes.filter((unit) => vendorOf(unit) !== null && isAnyones(fits.need(asker, unit)))
      : [];
  return {
    clocks,
    vendors: new Set(anyones.map(vendorOf)).size > 1 ? anyones : [],
  };
}
