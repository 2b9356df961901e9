// Hosts made up for tests, as a hypervisor would describe them.
import { minus, rowOf } from '../../src/core/rows.ts';
import type { Catalog } from '../../src/cpu/catalog.ts';
import type { Description } from '../../src/cpu/host.ts';
import { candidate, Fleet, type FleetOptions } from '../../src/fleet/fleet.ts';

export interface Made {
  readonly id: string;
  readonly features: readonly string[];
  readonly unknown?: readonly string[];
  readonly unnamed?: readonly string[];
  readonly facts?: Partial<Description>;
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
