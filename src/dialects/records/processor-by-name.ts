// A processor of the catalog as an input: the record of a host with what its model says, and nothing else.
import type { Row } from '../../core/rows.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { generationPhysBits } from '../../cpu/catalog/products.ts';
import type { Dialect, Input } from '../dialect.ts';
import { records } from './records.ts';

/** What stands before the record: no file begins so by chance. */
const MARK = 'a processor by its name: ';

/** The host that a model name stands for: of an unversioned name the newest version; null for no name of a model. */
export function namedProcessor(catalog: Catalog, name: string): Input | null {
  const features = featuresOf(catalog, name);
  if (features === null) return null;
  const { vendor, base = name } = {
    ...catalog.libvirtModels.get(name),
    ...catalog.qemuModels.get(name),
  };
  const physBits = generationPhysBits(base);
  const record = {
    host: name,
    ...(vendor == null ? {} : { vendor }),
    view: 'hardware',
    features: catalog.names(features),
    ...(physBits === null ? {} : { limits: { physBits } }),
  };
  return { name, bytes: new TextEncoder().encode(MARK + JSON.stringify(record)) };
}

/** Such an input, for nobody to choose. */
export const named: Dialect = {
  name: 'named',
  recognises: (head) => head.startsWith(MARK),
  proves: [],
  async read({ name, bytes }, catalog) {
    const input = { name, bytes: bytes.subarray(MARK.length) };
    return (await records.read!(input, catalog)).map((d) => ({
      ...d,
      named: true,
      notes:
        d.limits.physBits === null
          ? [
              ...d.notes,
              {
                code: 'phys-bits-of-name',
                message:
                  'taken by its name, and the catalog holds no physical address bits for its generation, so they do not stand in the way; give a description of such a host where they matter',
              },
            ]
          : d.notes,
    }));
  },
};

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
