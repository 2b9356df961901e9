// A description as a host record: the one language that can say most of what is known of a host.
import { emptyRow, meet, minus } from '../core/rows.ts';
import type { Catalog } from '../cpu/catalog.ts';
import { archOf, floorOf } from '../cpu/floor.ts';
import { type Description, isX86 } from '../cpu/host.ts';
import { byBytes } from '../cpu/order.ts';

/** One line of JSON, without its end; `host` is the name that the host goes by. */
export function writeRecord(catalog: Catalog, d: Description, host: string): string {
  const all = catalog.rowWhere(() => true);
  const arch = archOf(catalog, d);
  const isOfX86 = isX86(d);
  const features = isOfX86 ? catalog.names(d.has) : [];
  // A record that lists none of KVM's own features leaves that word open by itself.
  const kvm = new Set(catalog.kvmFeatures.map((f) => f.name));
  const isKvmOpen = !features.some((name) => kvm.has(name));
  const unknown = (isOfX86 ? catalog.names(minus(minus(all, d.known), d.has)) : []).filter(
    (name) => !(isKvmOpen && kvm.has(name)),
  );
  const open = [...unknown, ...d.unnamedUnknown].sort(byBytes);
  // What every 64-bit guest needs counts as there unless it is said that it is not.
  const needed =
    arch === 'x86_64' && d.view !== 'guest' ? floorOf(catalog).all : emptyRow(catalog.bits);
  const absent = catalog.names(minus(meet(d.known, needed), d.has));
  return JSON.stringify({
    host,
    ...(arch === 'x86_64' ? {} : { arch }),
    ...(d.vendor === null ? {} : { vendor: d.vendor }),
    view: d.view,
    features: [...features, ...d.unnamed].sort(byBytes),
    ...(open.length > 0 ? { unknown: open } : {}),
    ...(absent.length > 0 ? { absent } : {}),
    ...(d.limits.physBits === null ? {} : { limits: { physBits: d.limits.physBits } }),
    ...(d.signature === null ? {} : { signature: d.signature }),
    ...(d.microcode === null ? {} : { microcode: d.microcode }),
    ...(d.xsave === null ? {} : { xsave: d.xsave }),
    ...(d.models === null ? {} : { models: Object.fromEntries(d.models) }),
    ...(d.tsc ? { tsc: d.tsc.scaling === null ? { hz: d.tsc.hz } : d.tsc } : {}),
    ...(d.midr ? { midr: d.midr.length === 1 ? d.midr[0] : d.midr } : {}),
    ...(d.registers ? { registers: d.registers } : {}),
    ...(d.sve ? { sve: d.sve } : {}),
    ...softwareOf(d),
    ...d.keys,
  });
}

/** The versions that a host tells of. */
function softwareOf({ qemu, libvirt, kernel }: Description) {
  const told = Object.entries({ qemu, libvirt, kernel }).filter(([, version]) => version);
  return told.length === 0 ? {} : { software: Object.fromEntries(told) };
}
