// A description as a host record: the one language that can say most of what is known of a host.
import { minus } from '../core/rows.ts';
import type { Catalog } from '../cpu/catalog.ts';
import type { Description } from '../cpu/host.ts';
import { byBytes } from '../cpu/order.ts';

/** One line of JSON, without its end; `host` is the name that the host goes by. */
export function writeRecord(catalog: Catalog, d: Description, host: string): string {
  const all = catalog.rowWhere(() => true);
  const features = catalog.names(d.has);
  // A record that lists none of KVM's own features leaves that word open by itself.
  const kvm = new Set(catalog.kvmFeatures.map((f) => f.name));
  const isKvmOpen = !features.some((name) => kvm.has(name));
  const unknown = catalog
    .names(minus(minus(all, d.known), d.has))
    .filter((name) => !(isKvmOpen && kvm.has(name)));
  const open = [...unknown, ...d.unnamedUnknown].sort(byBytes);
  return JSON.stringify({
    host,
    ...(d.arch === 'x86_64' ? {} : { arch: d.arch }),
    ...(d.vendor === null ? {} : { vendor: d.vendor }),
    view: d.view,
    features: [...features, ...d.unnamed].sort(byBytes),
    ...(open.length > 0 ? { unknown: open } : {}),
    ...(d.limits.physBits === null ? {} : { limits: { physBits: d.limits.physBits } }),
    ...(d.signature === null ? {} : { signature: d.signature }),
    ...(d.microcode === null ? {} : { microcode: d.microcode }),
    ...(d.xsave === null ? {} : { xsave: d.xsave }),
    ...(d.models === null ? {} : { models: Object.fromEntries(d.models) }),
    ...(d.tsc ? { tsc: d.tsc.scaling === null ? { hz: d.tsc.hz } : d.tsc } : {}),
    ...(d.qemu === null && !d.libvirt
      ? {}
      : {
          software: {
            ...(d.qemu === null ? {} : { qemu: d.qemu }),
            ...(d.libvirt ? { libvirt: d.libvirt } : {}),
          },
        }),
    ...d.keys,
  });
}
