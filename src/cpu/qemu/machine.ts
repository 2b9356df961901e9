// Machine types by name, as one QEMU of the catalog has them.
import type { Catalog } from '../catalog/catalog.ts';
import { didYouMean } from '../catalog/suggest.ts';
import { QueryError } from '../errors.ts';
import { own } from '../own.ts';
import { machineAliases } from './properties.ts';

export interface Machine {
  readonly name: string;
  /** Position in the catalog, by which changes name their machine types. */
  readonly index: number;
  /** What an unversioned CPU name means there: version 1, the latest version, or the table entry before versions. */
  readonly cpuVersion: 1 | 'latest' | 'legacy';
}

/**
 * The machine type of this name or alias (pc, q35) in this QEMU.
 * @throws QueryError for one that this QEMU does not have, with those that have it or the nearest names.
 */
export function findMachine(catalog: Catalog, name: string, qemu: string): Machine {
  const full = own(machineAliases(catalog, qemu), name) ?? name;
  const index = catalog.machines.findIndex((m) => m.name === full);
  const machine = catalog.machines[index];
  if (machine?.qemu.includes(qemu)) return { name: full, index, cpuVersion: machine.default };
  const has = `QEMU ${qemu} has no machine type "${name}"`;
  if (machine) {
    const newest = machine.qemu.at(-1)!;
    const gone = catalog.isSince('qemu', qemu, newest);
    throw new QueryError(
      gone
        ? `${has}: it was removed after ${newest} (of the versions known here); give --qemu ${newest}, or another machine type`
        : `${has} yet: it came by ${machine.qemu[0]} (of the versions known here); give --qemu ${machine.qemu[0]}, or another machine type`,
    );
  }
  const names = machinesOf(catalog, qemu).map((m) => m.name);
  throw new QueryError(
    `${has}${didYouMean(name, names) || '; "plimsoll machines" lists those that are known'}`,
  );
}

/** All machine types of a QEMU, in the catalog's order. */
export const machinesOf = (catalog: Catalog, qemu: string): Machine[] =>
  catalog.machines.flatMap((m, index) =>
    m.qemu.includes(qemu) ? [{ name: m.name, index, cpuVersion: m.default }] : [],
  );
