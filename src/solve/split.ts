// What must be equal before hosts can have a CPU in common: architecture, vendor, the XSAVE layout of what is exposed,
// and beside x86 what else tells processors apart (cpu/arch).
import { hasBit, type Row } from '../core/rows.ts';
import { archRecord } from '../cpu/arch/index.ts';
import type { XsaveComponent } from '../cpu/host.ts';
import { byBytes } from '../cpu/order.ts';
import type { ClassFacts, Fleet, HostSet } from '../fleet/fleet.ts';

export interface Split {
  readonly because: 'arch' | 'vendor' | 'midr' | 'model' | 'xsave';
  /** In byte order of their values. */
  readonly sides: readonly { readonly value: string | null; readonly members: HostSet }[];
}

/** The split that comes before any meet, or null where the hosts agree. */
export function splitBefore(fleet: Fleet): Split | null {
  return (
    split(fleet, 'arch', (c) => archRecord(c.arch).name) ??
    split(fleet, 'vendor', (c) => c.vendor) ??
    split(fleet, 'midr', (c) => c.identity?.midr?.join(' ') ?? null) ??
    split(fleet, 'model', (c) => (c.identity && splitsByModel(c) ? c.identity.model : null))
  );
}

const splitsByModel = ({ arch }: ClassFacts): boolean => archRecord(arch).splitsByModel;

/** The split by where the exposed XSAVE components lie: a guest's saved state moves as it is. */
export function splitByXsave(fleet: Fleet, features: Row): Split | null {
  const exposed = new Set(
    fleet.catalog.features.filter((f) => hasBit(features, f.id)).flatMap((f) => f.xsave),
  );
  // A component that a description does not state is unknown there: only places that differ split the fleet.
  const places = new Map<number, Set<string>>();
  const place = (x: XsaveComponent) => `${x.component}:${x.size}@${x.offset}`;
  for (const { xsave } of fleet.classes)
    for (const x of xsave ?? [])
      if (exposed.has(x.component))
        places.set(x.component, (places.get(x.component) ?? new Set()).add(place(x)));
  return split(fleet, 'xsave', ({ xsave }) => {
    const differ = (xsave ?? []).filter((x) => (places.get(x.component)?.size ?? 0) > 1);
    return differ.length === 0 ? null : differ.map(place).join(' ');
  });
}

/** Hosts of which the value is unknown stand in no one's way: alone they make no side. */
function split(
  fleet: Fleet,
  because: Split['because'],
  read: (c: ClassFacts) => string | null,
): Split | null {
  const values = fleet.classes.map(read);
  const known = [...new Set(values.filter((v) => v !== null))].sort(byBytes);
  if (known.length < 2) return null;
  const sides = [...known, ...(values.includes(null) ? [null] : [])].map((value) => ({
    value,
    members: fleet.membersOf((i) => values[i] === value),
  }));
  return { because, sides };
}
