// One guest on all machine types of its QEMU: where its CPU changes, and how.
import { minus } from '../../core/rows.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { byBytes } from '../../cpu/order.ts';
import type { Expansion, Surroundings } from '../../cpu/qemu/expand.ts';
import { findMachine, machinesOf } from '../../cpu/qemu/machine.ts';
import type { Properties } from '../../cpu/qemu/properties.ts';
import { expandCpu } from '../../cpu/qemu/qemu-start.ts';
import type { Skipped } from '../../fleet/fleet.ts';
import { guestProperties, type PropertyChange, propertyChanges } from './changes.ts';

/** Machine types on which a guest has one CPU, and how that differs from the one it has now. */
export interface MatrixRow {
  readonly machines: readonly string[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly properties: readonly PropertyChange[];
}

export interface MachineMatrix {
  readonly schema: 'plimsoll.matrix/1';
  readonly qemu: string;
  readonly guests: readonly {
    readonly guest: string;
    readonly cpu: string;
    readonly machine: string;
    /** The guest's own machine type is in the first. */
    readonly rows: readonly MatrixRow[];
  }[];
  readonly skipped?: readonly Skipped[];
}

/** A guest on all machine types of its QEMU: one row for each CPU that it would have, its own first. */
export function matrix(catalog: Catalog, cpu: string, where: Surroundings): MatrixRow[] {
  const own = expandCpu(catalog, cpu, where);
  const ownProperties = guestProperties(catalog, own);
  const home = findMachine(catalog, where.machine, where.qemu).name;
  const rows = new Map<
    string,
    { machines: string[]; expansion: Expansion; properties: Properties }
  >();
  const names = machinesOf(catalog, where.qemu).map((m) => m.name);
  for (const machine of [home, ...names.filter((name) => name !== home)]) {
    const expansion = expandCpu(catalog, cpu, { ...where, machine });
    const properties = guestProperties(catalog, expansion);
    const key = JSON.stringify([
      [...expansion.features],
      Object.entries(properties).sort(([a], [b]) => byBytes(a, b)),
    ]);
    const row = rows.get(key);
    if (row) row.machines.push(machine);
    else rows.set(key, { machines: [machine], expansion, properties });
  }
  return [...rows.values()].map(({ machines, expansion, properties }) => ({
    machines,
    added: catalog.names(minus(expansion.features, own.features)),
    removed: catalog.names(minus(own.features, expansion.features)),
    properties: propertyChanges(ownProperties, properties),
  }));
}
