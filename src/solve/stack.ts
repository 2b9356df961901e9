// The software that must understand an answer, where nobody said it: what the hosts' own descriptions prove.
import type { Catalog, Product } from '../cpu/catalog.ts';
import { compareVersions, edgeStack, nearest, type Stack } from '../cpu/stack.ts';
import type { ClassFacts, Fleet } from '../fleet/fleet.ts';

/**
 * For each product the oldest version that the hosts tell of, by number or by the names that they list; the
 * oldest in the catalog where a host tells nothing.
 */
export function stackOf(fleet: Fleet): Stack {
  const oldest = edgeStack(fleet.catalog, 'oldest');
  return oldest.map(({ product, version }) => ({
    product,
    version: told(fleet, product) ?? version,
  }));
}

function told(fleet: Fleet, product: Product): string | null {
  const byClass = fleet.classes.map((c) => listed(fleet.catalog, product, c));
  let least: string | null = null;
  for (const [i, kind] of fleet.kinds.entries()) {
    const numbered =
      product === 'qemu' && kind.qemu !== null ? known(fleet.catalog, product, kind.qemu) : null;
    const version = numbered ?? byClass[fleet.classOfKind[i]!]!;
    if (version === null) return null;
    if (least === null || compareVersions(version, least) < 0) least = version;
  }
  return least;
}

/** The oldest version of the catalog that could list all of the names that a host lists. */
function listed(catalog: Catalog, product: Product, { models }: ClassFacts): string | null {
  // libvirt lists names that QEMU knows too; QEMU's own list says nothing of libvirt.
  const lists = product === 'qemu' ? [models.qemu, models.libvirt] : [models.libvirt];
  const known = product === 'qemu' ? catalog.qemuModels : catalog.libvirtModels;
  let newest: string | null = null;
  for (const list of lists)
    for (const name of list?.keys() ?? []) {
      const since = known.get(name)?.since;
      if (since !== undefined && (newest === null || compareVersions(since, newest) > 0))
        newest = since;
    }
  return newest;
}

function known(catalog: Catalog, product: Product, version: string): string | null {
  return compareVersions(version, catalog.versions[product][0]!) < 0
    ? catalog.versions[product][0]!
    : nearest(catalog, product, version);
}
