// Hosts made up for tests, as a hypervisor would describe them.
import { minus, rowOf } from '../../src/core/rows.ts';
import type { Catalog } from '../../src/cpu/catalog/catalog.ts';
import type { Description } from '../../src/cpu/description.ts';
import { candidate, Fleet, type FleetOptions } from '../../src/fleet/fleet.ts';

export interface Made {
  readonly id: string;
  readonly features: readonly string[];
  readonly unknown?: readonly string[];
  readonly unnamed?: readonly string[];
  readonly facts?: Partial<Description>;
}

/** What every 64-bit guest needs, and what the absence of says nothing where a hypervisor lists what can migrate. */
export const FLOOR =
  'apic clflush cmov cx8 de fpu fxsr lm mca mce mmx msr mtrr nx pae pat pge pse pse36 sep sse sse2 syscall tsc'.split(
    ' ',
  );
const UNLISTED = ['invtsc', 'ht', 'topoext', 'kvm-hint-dedicated'];

/** A host as it counts: open features of the floor are there, and what an expansion leaves out is open. */
export function asCounted(made: Made): Made {
  const open = made.unknown ?? [];
  const unlisted = UNLISTED.filter((f) => !made.features.includes(f) && !open.includes(f));
  return {
    ...made,
    features: [...made.features, ...open.filter((f) => FLOOR.includes(f))],
    unknown: [...open.filter((f) => !FLOOR.includes(f)), ...unlisted],
  };
}

function describe(
  catalog: Catalog,
  { id, features, unknown = [], unnamed = [], facts }: Made,
): Description {
  return {
    dialect: 'records',
    line: 1,
    host: id,
    view: 'hypervisor',
    arch: 'x86_64',
    vendor: 'Intel',
    has: catalog.row(features),
    known: minus(rowOf(catalog.bits, catalog.features.keys()), catalog.row(unknown)),
    unnamed,
    unnamedUnknown: [],
    limits: { physBits: 46 },
    signature: null,
    microcode: null,
    xsave: null,
    models: null,
    machine: null,
    qemu: null,
    kernel: null,
    model: null,
    element: null,
    keys: {},
    notes: [],
    ...facts,
  };
}

export const fleetOf = (
  catalog: Catalog,
  made: readonly Made[],
  options: FleetOptions = {},
): Fleet =>
  new Fleet(
    catalog,
    made.map((m) => candidate(catalog, m.id, describe(catalog, m))),
    options,
  );
