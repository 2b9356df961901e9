// The software that must understand an answer: libvirt@11.3, qemu@10.0.
import { QueryError } from '../errors.ts';
import { compareVersions } from '../order.ts';
import type { Catalog, Product } from './catalog.ts';

export { compareVersions } from '../order.ts';

export interface StackEntry {
  readonly product: Product;
  /** The catalog's version that stands for the one asked for: the newest that is not newer. */
  readonly version: string;
}
export type Stack = readonly StackEntry[];

export const stackNames = (stack: Stack): string[] => stack.map((s) => `${s.product}@${s.version}`);

/**
 * Reads `libvirt@11.3,qemu@10.0`, `newest` or `oldest`.
 * @throws QueryError for a product or version that the catalog cannot speak for.
 */
export function parseStack(catalog: Catalog, text: string): Stack {
  if (text === 'newest' || text === 'oldest') return edgeStack(catalog, text);
  const entries = text.split(',').map((part): StackEntry => {
    const [product, wanted, ...rest] = part.trim().split('@');
    if ((product !== 'libvirt' && product !== 'qemu') || rest.length > 0)
      throw new QueryError(
        `--stack "${part}" names no product that is known; write libvirt@VERSION or qemu@VERSION`,
      );
    const known = catalog.versions[product];
    if (wanted === undefined || wanted === '')
      throw new QueryError(
        `--stack "${part}" has no version; the catalog knows ${known.map((v) => `${product}@${v}`).join(', ')}`,
      );
    return { product, version: nearest(catalog, product, wanted) };
  });
  // One entry a version; several versions of one product mean that each of them must understand the answer.
  const unique = new Map(entries.map((e) => [`${e.product}@${e.version}`, e]));
  return sortStack(catalog, [...unique.values()]);
}

export function edgeStack(catalog: Catalog, edge: 'newest' | 'oldest'): Stack {
  return (['libvirt', 'qemu'] as const).map((product) => ({
    product,
    version: edge === 'newest' ? catalog.versions[product].at(-1)! : catalog.versions[product][0]!,
  }));
}

/** The same with the newest of a product that it does not name: what is not said constrains nothing. */
export const withNewest = (catalog: Catalog, stack: Stack): Stack => [
  ...stack,
  ...edgeStack(catalog, 'newest').filter((s) => !stack.some((g) => g.product === s.product)),
];

function sortStack(catalog: Catalog, stack: Stack): Stack {
  return [...stack].sort((a, b) =>
    a.product === b.product
      ? catalog.versions[a.product].indexOf(a.version) -
        catalog.versions[b.product].indexOf(b.version)
      : a.product < b.product
        ? -1
        : 1,
  );
}

/** The newest version of the catalog that is not newer than the one given. */
export function nearest(catalog: Catalog, product: Product, wanted: string): string {
  if (!/^\d+(\.\d+){0,2}$/.test(wanted))
    throw new QueryError(
      `"${wanted}" is no version of ${product}; write it like ${product}@${catalog.versions[product].at(-1)}`,
    );
  const found = catalog.versions[product].findLast((v) => compareVersions(v, wanted) <= 0);
  if (found === undefined)
    throw new QueryError(
      `${product} ${wanted} is older than any that the catalog knows (${catalog.versions[product].join(', ')})`,
    );
  return found;
}
