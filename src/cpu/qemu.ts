// What a CPU name means in QEMU: table entry, accelerator defaults, machine type, user's changes, dependencies.
import { emptyRow, hasBit, join, minus, type Row, rowOf, setBit } from '../core/rows.ts';
import type { Catalog } from './catalog.ts';

export type Accelerator = 'kvm' | 'tcg';

/**
 * Clears what QEMU would clear in silence: features of which a whole group of prerequisites is off.
 * One pass in QEMU's order, as QEMU does it.
 */
export function closeDependencies(catalog: Catalog, row: Row): Row {
  const closed = row.slice();
  for (const { any, clears } of catalog.dependencies) {
    if (any.some((id) => hasBit(closed, id))) continue;
    for (const id of clears) closed[id >> 5]! &= ~(1 << (id & 31));
  }
  return closed;
}

/** Every distinct meaning that a name has in this QEMU over all of its machine types. */
export function qemuMeanings(
  catalog: Catalog,
  name: string,
  qemu: string,
  accelerator: Accelerator,
): Row[] {
  const table = tableRow(catalog, name, qemu);
  if (table === null) return [];
  const meanings = [undefined, ...catalog.machineChanges(name, qemu)].map((change) =>
    applyDefaults(catalog, table, change, accelerator),
  );
  // A machine type may mean any version of an unversioned name (microvm: the latest), now or in a later QEMU.
  if (catalog.qemuModels.get(name)!.kind === 'machine-alias')
    for (const other of catalog.qemuModels.values())
      if (other.kind === 'versioned' && other.base === name)
        meanings.push(...qemuMeanings(catalog, other.name, qemu, accelerator));
  return [...new Map(meanings.map((row) => [row.join(), row])).values()];
}

/** The -vN that a name stands for where nothing else is said, and its table entry. */
function tableRow(catalog: Catalog, name: string, qemu: string): Row | null {
  if (!catalog.hasQemuModel(name, qemu)) return null;
  const model = catalog.qemuModels.get(name)!;
  if (model.kind === 'special') return name === 'base' ? emptyRow(catalog.bits) : null;
  const versioned = model.of ?? (model.kind === 'versioned' ? name : `${name}-v1`);
  return catalog.qemuFeatures(versioned, qemu);
}

function applyDefaults(
  catalog: Catalog,
  table: Row,
  change: { on?: string[]; off?: string[] } | undefined,
  accelerator: Accelerator,
): Row {
  const row = change
    ? minus(join(table, catalog.row(change.on ?? [])), catalog.row(change.off ?? []))
    : table;
  const { on, off } = catalog.accelerators[accelerator];
  const out = minus(join(row, rowOf(catalog.bits, on)), rowOf(catalog.bits, off));
  setBit(out, catalog.feature('hypervisor').id);
  return out;
}
