// A processor of the catalog as an input: the record of a host with what its model says, and nothing else.
import type { Row } from '../core/rows.ts';
import type { Catalog } from '../cpu/catalog.ts';
import type { Input } from './dialect.ts';

/** The host that a model name stands for: of an unversioned name the newest version; null for no name of a model. */
export function namedProcessor(catalog: Catalog, name: string): Input | null {
  const features = featuresOf(catalog, name);
  if (features === null) return null;
  const vendor = (catalog.qemuModels.get(name) ?? catalog.libvirtModels.get(name))!.vendor;
  const record = {
    host: name,
    ...(vendor === null ? {} : { vendor }),
    view: 'hardware',
    features: catalog.names(features),
  };
  return { name, bytes: new TextEncoder().encode(JSON.stringify(record)) };
}

function featuresOf(catalog: Catalog, name: string): Row | null {
  const model = catalog.qemuModels.get(name);
  const qemu = catalog.versions.qemu.at(-1)!;
  if (model && model.kind !== 'special') {
    const versions = [...catalog.qemuModels.values()]
      .filter((m) => m.kind === 'versioned' && m.base === name)
      .sort((a, b) => b.version! - a.version!);
    const newest = model.of ?? versions[0]?.name ?? name;
    const row = catalog.qemuFeatures(newest, qemu);
    if (row !== null) return row;
  }
  return catalog.libvirtFeatures(name, catalog.versions.libvirt.at(-1)!);
}
