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
  const { fleet } = fits;
  const known = new Map<string, Apart>();
  const apart = guests.map(({ id, asker }) => {
    const key = fits.sameAs(asker);
    const found = known.get(key) ?? apartFor(fits, asker, homesOf(asker));
    known.set(key, found);
    return { id, ...found };
  });
  return (['clocks', 'vendors'] as const).flatMap((what) => {
    const of = apart.filter((a) => a[what].length > 0);
    if (of.length === 0) return [];
    const kinds = new Set(of.flatMap((a) => a[what]));
    const ids = of.map((a) => a.id).sort(byBytes);
    const few = ids.slice(0, NAMED).join(', ');
    const names = ids.length > NAMED ? `${few} and ${ids.length - NAMED} more` : few;
    const hosts = fleet.list(fleet.hostsWhere((_, kind) => kinds.has(kind)));
    const { code, says } = FINDINGS[what];
    return [{ code, severity: 'warning' as const, ...hosts, message: says(names) }];
  });
}

/** Kinds of hosts that are not alike to a guest. */
interface Apart {
  readonly clocks: readonly number[];
  readonly vendors: readonly number[];
}

function apartFor(fits: Fits, asker: number, homes: readonly number[]): Apart {
  const { kinds, catalog } = fits.fleet;
  const { id: invtsc } = catalog.feature('invtsc');
  const isTimed = ({ tscHz, features }: Need) => tscHz !== null || hasBit(features, invtsc);
  const isAnyones = ({ vendor, own, features }: Need) =>
    vendor === null && own === null && !isEmpty(features);
  if (!fits.needsOf(asker).some((need) => isTimed(need) || isAnyones(need)))
    return { clocks: [], vendors: [] };
  const runs = new Set(homes);
  const clocks: number[] = [];
  const vendors: number[] = [];
  for (const [kind, { tsc, vendor }] of kinds.entries()) {
    const unit = fits.unitOfKind[kind]!;
    const need = fits.need(asker, unit);
    if (tsc && isTimed(need)) clocks.push(kind);
    if (vendor && runs.has(unit) && isAnyones(need)) vendors.push(kind);
  }
  const [least, most] = clocks.reduce(
    ([low, high], kind) => [
      Math.min(low, kinds[kind]!.tsc!.hz),
      Math.max(high, kinds[kind]!.tsc!.hz),
    ],
    [Number.POSITIVE_INFINITY, 0],
  );
  return {
    clocks: clocks.length > 0 && !isSameClock(least!, most!) ? clocks : [],
    vendors: new Set(vendors.map((kind) => kinds[kind]!.vendor)).size > 1 ? vendors : [],
  };
}
