// What a host's list of models says of one name. Lists are as old as the software that made them: one that could not
// name a model says nothing of it.
import type { Catalog, Product, QemuModel } from './catalog/catalog.ts';
import { kubevirtObsolete } from './catalog/products.ts';
import { compareVersions } from './order.ts';

/** Names, and the features that block each (none: usable as it stands; null: unusable, and nothing says by what). */
export type ModelList = ReadonlyMap<string, readonly string[] | null>;

/** Who made a list: libvirt or QEMU, or KubeVirt's labeller, which has libvirt's names but for those that it calls obsolete. */
export type ListMaker = Product | 'kubevirt';
export const LISTERS: readonly ListMaker[] = ['libvirt', 'qemu', 'kubevirt'];

/** What tells of who made the list of a description. */
interface Listing {
  readonly dialect: string;
  readonly lister?: ListMaker;
  readonly qemu: string | null;
  readonly libvirt?: string | null;
}

/** Who made it: QEMU itself, KubeVirt's labeller, or libvirt and what else stands on it. */
export function listerOf({ dialect, lister, ...software }: Listing): ListMaker {
  if (lister) return lister;
  if (dialect === 'kubernetes') return 'kubevirt';
  if (dialect === 'records') return listerOfRecord(software);
  return dialect === 'qmp' ? 'qemu' : 'libvirt';
}

/** Who is taken for it in a record that does not say. */
export const listerOfRecord = ({
  qemu,
  libvirt = null,
}: Pick<Listing, 'qemu' | 'libvirt'>): ListMaker =>
  qemu !== null && libvirt === null ? 'qemu' : 'libvirt';

/** Model lists by who made them. */
export type ModelLists = { readonly [L in ListMaker]?: ModelList };

/** Whether a product that looks for hosts by the name of a model finds this one: the very name, and nothing in its way. */
export const isFound = (list: ModelList, name: string): boolean => list.get(name)?.length === 0;

/**
 * The features that block a model on a host that has this list. 'unlisted' where its software knows the name and does
 * not list it; null where the list does not tell.
 * @param lister who made the list
 */
export function blockersOf(
  catalog: Catalog,
  lister: ListMaker,
  list: ModelList,
  name: string,
): readonly string[] | 'unlisted' | null {
  const names = [name, ...sameModel(catalog, name)];
  for (const other of names) if (list.has(other)) return list.get(other)!;
  if (lister === 'kubevirt' && names.some((n) => kubevirtObsolete.has(n))) return null;
  return couldList(catalog, productOf(lister), list, name) ? 'unlisted' : null;
}

const productOf = (lister: ListMaker): Product => (lister === 'qemu' ? 'qemu' : 'libvirt');

/** Other names of exactly this model: its version under a name of its own, or its plain name where that is version 1. */
function sameModel(catalog: Catalog, name: string): string[] {
  const model = catalog.qemuModels.get(name);
  if (!model) return [];
  if (model.of !== null) return [model.of];
  const aliases: string[] = [];
  for (const other of catalog.qemuModels.values()) if (other.of === name) aliases.push(other.name);
  if (model.kind !== 'versioned') return [`${name}-v1`];
  return model.version === 1 ? [...aliases, model.base] : aliases;
}

function couldList(catalog: Catalog, product: Product, list: ModelList, name: string): boolean {
  const model = catalog.qemuModels.get(name);
  if (model?.kind === 'special') return false;
  if (isVersioned(model) && !listsVersions(catalog, list)) return false;
  const since = sinceOf(catalog, product, name);
  const age = ageOf(catalog, product, list);
  return since !== null && age !== null && compareVersions(since, age) <= 0;
}

const isVersioned = (model: QemuModel | undefined): boolean => model?.kind === 'versioned';

/** Whether who made the list knows models by version: libvirt does from 11 on. */
export const listsVersions = (catalog: Catalog, list: ModelList): boolean =>
  [...list.keys()].some((name) => isVersioned(catalog.qemuModels.get(name)));

const sinceOf = (catalog: Catalog, product: Product, name: string): string | null =>
  (product === 'qemu' ? catalog.qemuModels.get(name) : catalog.libvirtModels.get(name))?.since ??
  null;

const ages = new WeakMap<ModelList, Map<string, string | null>>();

/** The oldest version of the catalog that could list all of these names; null for a list without any that is known. */
export function ageOf(catalog: Catalog, product: Product, list: ModelList): string | null {
  const known = ages.get(list) ?? new Map<string, string | null>();
  ages.set(list, known);
  let newest = known.get(product);
  if (newest === undefined) {
    newest = null;
    for (const name of list.keys()) {
      const since = sinceOf(catalog, product, name);
      if (since !== null && (newest === null || compareVersions(since, newest) > 0)) newest = since;
    }
    known.set(product, newest);
  }
  return newest;
}
