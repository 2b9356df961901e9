// In what two CPUs differ for the guest, beside their features.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { byBytes } from '../../cpu/order.ts';
import type { Expansion } from '../../cpu/qemu/expand.ts';
import { machinesOf } from '../../cpu/qemu/machine.ts';
import {
  type Properties,
  type Property,
  type PropertyValue,
  propertiesBeyond,
} from '../../cpu/qemu/properties.ts';
import { realizeTcg, startedProperties } from '../../cpu/qemu/qemu-start.ts';

export interface PropertyChange {
  readonly name: string;
  readonly from: PropertyValue | null;
  readonly to: PropertyValue | null;
}

/** All that a guest can tell two CPUs apart by, but for features: the cache table among it. */
export function guestProperties(catalog: Catalog, e: Expansion): Properties {
  const p =
    e.accelerator === 'tcg'
      ? realizeTcg(catalog, e).properties
      : startedProperties(catalog, e, e.features);
  const out: Record<string, PropertyValue> = { ...impliedProperties(catalog, e.qemu), ...p };
  if (e.accelerator === 'kvm') {
    // Under KVM these are the host's, on either side of a change.
    if (!e.named.has('vendor')) for (const name of ['vendor', 'ucode-rev']) delete out[name];
    if (p['host-phys-bits'] === true) delete out['phys-bits'];
  }
  if (p['legacy-cache'] === false) out.cache = catalog.qemuModels.get(e.resolved)!.cache ?? 'none';
  return out;
}

const implied = new WeakMap<Catalog, Map<string, Properties>>();

/** What a QEMU does without having a word for it: what a newer one says of the machine types that both have. */
function impliedProperties(catalog: Catalog, qemu: string): Properties {
  const byQemu = implied.get(catalog) ?? new Map<string, Properties>();
  implied.set(catalog, byQemu);
  const properties =
    byQemu.get(qemu) ??
    Object.fromEntries(
      propertiesBeyond(catalog, qemu)
        .filter((p) => p.type !== 'fixed' && p.of === undefined)
        .map((p) => [p.name, impliedValue(catalog, p, qemu)]),
    );
  byQemu.set(qemu, properties);
  return properties;
}

function impliedValue(catalog: Catalog, property: Property, qemu: string): PropertyValue {
  const there = property.only!;
  const shared = machinesOf(catalog, qemu).filter(
    (m) => m.name.startsWith('pc-q35') && catalog.machines[m.index]!.qemu.includes(there),
  );
  const newest = shared.at(-1)?.index;
  if (newest === undefined) return property.default!;
  const change = catalog.allCpuChanges.find(
    (c) => c.qemu === there && c.machines.some(([a, b]) => newest >= a! && newest <= (b ?? a!)),
  );
  return change?.values[property.name] ?? property.default!;
}

export function propertyChanges(from: Properties, to: Properties): PropertyChange[] {
  return [...new Set([...Object.keys(from), ...Object.keys(to)])]
    .filter((name) => from[name] !== to[name])
    .sort(byBytes)
    .map((name) => ({ name, from: from[name] ?? null, to: to[name] ?? null }));
}
