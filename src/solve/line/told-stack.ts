// The software that must understand an answer, where nobody said it: what the hosts' own descriptions prove.
import type { Catalog, Product } from '../../cpu/catalog/catalog.ts';
import { compareVersions, edgeStack, nearest, type Stack } from '../../cpu/catalog/software.ts';
import { ageOf } from '../../cpu/model-lists.ts';
import type { ClassFacts, Fleet, Kind } from '../../fleet/fleet.ts';

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
  let least: string | null = null;
  for (const kind of fleet.kinds) {
    const version = versionToldBy(fleet.catalog, product, kind);
    if (version === null) return null;
    if (least === null || compareVersions(version, least) < 0) least = version;
  }
  return least;
}

/** The version of a product that a host tells of: by its number, or by the names that it lists. */
export function versionToldBy(catalog: Catalog, product: Product, kind: Kind): string | null {
  const number = kind[product];
  return number === null ? listed(catalog, product, kind) : known(catalog, product, number);
}

/** The oldest version of the catalog that could list all of the names that a host lists. */
function listed(catalog: Catalog, product: Product, { models }: ClassFacts): string | null {
  // libvirt lists names that QEMU knows too; QEMU's own list says nothing of libvirt.
  const ofLibvirt = [models.libvirt, models.kubevirt];
  const lists = product === 'qemu' ? [models.qemu, ...ofLibvirt] : ofLibvirt;
  const ages = lists.flatMap((list) => (list && ageOf(catalog, product, list)) ?? []);
  return ages.length === 0 ? null : ages.reduce((a, b) => (compareVersions(a, b) < 0 ? b : a));
}

function known(catalog: Catalog, product: Product, version: string): string | null {
  return compareVersions(version, catalog.versions[product][0]!) < 0
    ? catalog.versions[product][0]!
    : nearest(catalog, product, version);
}
