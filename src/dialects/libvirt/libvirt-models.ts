// The models that domain capabilities list, and what keeps guests from having those that are not usable as they are.
import { bitsOf, hasBit, join, minus, type Row, rowOf } from '../../core/rows.ts';
import { findFeature } from '../../cpu/asked/asked-libvirt.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description } from '../../cpu/description.ts';
import { type Accelerator, closeDependencies, qemuMeanings } from '../../cpu/qemu/model.ts';
import type { XmlElement } from '../text/xml.ts';
import { child, children } from './libvirt-element.ts';

/** The list of models under domain capabilities. */
export const customMode = (domainCapabilities: XmlElement): XmlElement | undefined =>
  children(child(domainCapabilities, 'cpu'), 'mode').find((m) => m.attributes.name === 'custom');

/**
 * The usable models and the blockers of the others; null where the list does not tell them apart.
 * `has` is what the hypervisor offers, as far as that is known.
 */
export function modelList(
  catalog: Catalog,
  custom: XmlElement | undefined,
  has: Row,
  accelerator: Accelerator,
): Description['models'] {
  const blockers = writtenBlockers(catalog, custom);
  const models = new Map<string, readonly string[] | null>();
  let tells = false;
  for (const model of children(custom, 'model')) {
    const { usable } = model.attributes;
    const name = model.text.trim();
    tells ||= usable === 'yes' || usable === 'no';
    if (usable === 'yes') models.set(name, []);
    // A no that names no feature is no verdict: features decide.
    else if (usable === 'no' || usable === 'unknown')
      models.set(
        name,
        blockers.get(name) ??
          (catalog.qemuModels.has(name) ? deduceBlockers(catalog, name, has, accelerator) : null),
      );
  }
  return tells ? models : null;
}

/** The models that are usable as they stand. */
export const usableModels = (custom: XmlElement | undefined): Description['models'] =>
  new Map(
    children(custom, 'model').flatMap(({ attributes, text }) =>
      attributes.usable === 'yes' ? [[text.trim(), []] as const] : [],
    ),
  );

/** Of each model that is not usable the features that libvirt says are missing. */
const writtenBlockers = (
  catalog: Catalog,
  custom: XmlElement | undefined,
): ReadonlyMap<string, readonly string[]> =>
  new Map(
    children(custom, 'blockers').map(({ attributes, children: features }) => {
      const names = features.map((f) => f.attributes.name ?? '');
      return [
        attributes.model ?? '',
        names.map((name) => findFeature(catalog, name)?.name ?? name),
      ] as const;
    }),
  );

/**
 * What blocks a model where libvirt does not write it out: all that the name can mean to QEMU and the host is not
 * known to offer.
 */
function deduceBlockers(
  catalog: Catalog,
  name: string,
  has: Row,
  accelerator: Accelerator,
): readonly string[] {
  const lacking = minus(anyMeaning(catalog, name, accelerator), has);
  // What goes off with its prerequisite blocks nothing once that is disabled.
  const blockers = bitsOf(lacking).filter((id) =>
    catalog.features[id]!.needs.every((group) => group.some((other) => hasBit(has, other))),
  );
  return catalog.names(rowOf(catalog.bits, blockers));
}

const meanings = new WeakMap<Catalog, Map<string, Row>>();

/** What any QEMU can take the name for, without what the accelerator gives to or takes from every guest. */
function anyMeaning(catalog: Catalog, name: string, accelerator: Accelerator): Row {
  const known = meanings.get(catalog) ?? new Map<string, Row>();
  meanings.set(catalog, known);
  const key = `${accelerator} ${name}`;
  let row = known.get(key);
  if (!row) {
    const rows = catalog.versions.qemu.flatMap((v) => qemuMeanings(catalog, name, v, accelerator));
    const all = rows.map((r) => closeDependencies(catalog, r)).reduce(join, catalog.row([]));
    const { on, off } = catalog.accelerators[accelerator];
    row = minus(all, join(on, off));
    known.set(key, row);
  }
  return row;
}
