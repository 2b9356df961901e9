// The models that domain capabilities list, and what keeps guests from having those that are not usable as they are.
import { bitsOf, hasBit, join, minus, type Row, rowOf } from '../core/rows.ts';
import { findFeature } from '../cpu/asked-libvirt.ts';
import type { Catalog } from '../cpu/catalog.ts';
import type { Description } from '../cpu/host.ts';
import { type Accelerator, closeDependencies, qemuMeanings } from '../cpu/qemu.ts';
import { child, children } from './libvirt-element.ts';
import type { XmlElement } from './xml.ts';

/** The list of models under domain capabilities. */
export const customMode = (domainCapabilities: XmlElement): XmlElement | undefined =>
  children(child(domainCapabilities, 'cpu'), 'mode').find((m) => m.attributes.name === 'custom');

/**
 * The usable models and the blockers of the others; null where the list does not tell them apart.
 * `has` is what the hypervisor offers, null where it does not say.
 */
export function modelList(
  catalog: Catalog,
  custom: XmlElement | undefined,
  has: Row | null,
  accelerator: Accelerator,
): Description['models'] {
  const written = children(custom, 'blockers').map(({ attributes, children: features }) => {
    const names = features.map((f) => f.attributes.name ?? '');
    return [
      attributes.model,
      names.map((name) => findFeature(catalog, name)?.name ?? name),
    ] as const;
  });
  const blockers = new Map(written);
  const models = new Map<string, readonly string[] | null>();
  let tells = false;
  for (const model of children(custom, 'model')) {
    const { usable } = model.attributes;
    const name = model.text.trim();
    tells ||= usable === 'yes' || usable === 'no';
    if (usable === 'yes') models.set(name, []);
    else if (usable === 'no' && written.length === 0)
      models.set(name, has && deduceBlockers(catalog, name, has, accelerator));
    else if (usable === 'no') models.set(name, blockers.get(name) ?? null);
    else if (usable === 'unknown') models.set(name, null);
  }
  return tells ? models : null;
}

/**
 * What blocks a model where libvirt is too old to write it out: all that the name can mean to QEMU and the host
 * does not offer. null where that is nothing.
 */
function deduceBlockers(
  catalog: Catalog,
  name: string,
  has: Row,
  accelerator: Accelerator,
): readonly string[] | null {
  const lacking = minus(anyMeaning(catalog, name, accelerator), has);
  // What goes off with its prerequisite blocks nothing once that is disabled.
  const blockers = bitsOf(lacking).filter((id) =>
    catalog.features[id]!.needs.every((group) => group.some((other) => hasBit(has, other))),
  );
  return blockers.length === 0 ? null : catalog.names(rowOf(catalog.bits, blockers));
}

const meanings = new WeakMap<Catalog, Map<string, Row>>();

/** What any QEMU can take the name for, without what the accelerator gives to every guest. */
function anyMeaning(catalog: Catalog, name: string, accelerator: Accelerator): Row {
  const known = meanings.get(catalog) ?? new Map<string, Row>();
  meanings.set(catalog, known);
  const key = `${accelerator} ${name}`;
  let row = known.get(key);
  if (!row) {
    const rows = catalog.versions.qemu.flatMap((v) => qemuMeanings(catalog, name, v, accelerator));
    const all = rows.map((r) => closeDependencies(catalog, r)).reduce(join, catalog.row([]));
    row = minus(all, catalog.accelerators[accelerator].on);
    known.set(key, row);
  }
  return row;
}
