// What a host proves by calling a model usable: a guest that asks for exactly that model starts there, so the host
// offers what the model has, as its QEMU means it.
import { emptyRow, isEmpty, join, meet, minus, type Row } from '../../core/rows.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Description } from '../description.ts';
import { compareVersions } from '../order.ts';
import { findMachine, type Machine } from '../qemu/machine.ts';
import { type Accelerator, closeDependencies, startOf } from '../qemu/model.ts';

/** Where a list of models holds, as far as it says so. */
interface Where {
  readonly qemu: string | null;
  readonly machine: string | null;
  readonly accelerator: Accelerator;
  /** What names stand for, where the list itself tells. */
  readonly aliases?: ReadonlyMap<string, string>;
}

/** libvirt asks QEMU about its models while it has no machine. */
const NO_MACHINE = 'none';

/** What all of these models have, of what the host was asked about when it called them usable. */
function provenBy(catalog: Catalog, models: Description['models'], where: Where): Row {
  let row = emptyRow(catalog.bits);
  for (const [name, blockers] of models ?? [])
    if (blockers?.length === 0) {
      const own = meaningOf(catalog, where.aliases?.get(name) ?? name, where);
      if (own !== null) row = join(row, own);
    }
  return row;
}

/**
 * A description with what its usable models prove. `denied`: what it says by name to be absent, which no list of names
 * outweighs, unlike a feature that it merely does not list.
 */
export function withUsable(
  catalog: Catalog,
  d: Description,
  { denied, ...where }: Partial<Where> & { readonly denied?: Row } = {},
): Description {
  if (d.models === null || (d.arch !== 'x86_64' && d.arch !== 'i686')) return d;
  const place = { qemu: d.qemu, machine: d.machine, accelerator: 'kvm', ...where } as const;
  const proven = provenBy(catalog, d.models, place);
  const added = denied === undefined ? proven : minus(proven, denied);
  return isEmpty(added) ? d : { ...d, has: join(d.has, added), known: join(d.known, added) };
}

const meanings = new WeakMap<Catalog, Map<string, Row | null>>();

/** What every QEMU that the host can have takes the name for; null for a name that none of them has. */
function meaningOf(catalog: Catalog, name: string, where: Where): Row | null {
  const known = meanings.get(catalog) ?? new Map<string, Row | null>();
  meanings.set(catalog, known);
  const key = `${name} ${where.qemu} ${where.machine} ${where.accelerator}`;
  let row = known.get(key);
  if (row === undefined) {
    const rows = qemusOf(catalog, where)
      .filter((qemu) => isTable(catalog, name) && catalog.hasQemuModel(name, qemu))
      .flatMap((qemu) =>
        machinesOf(catalog, where.machine, qemu).map(
          (machine) => startOf(catalog, name, machine, qemu, where.accelerator).features,
        ),
      );
    row = rows.length === 0 ? null : asked(catalog, rows.reduce(meet));
    known.set(key, row);
  }
  return row;
}

/** Whether a name means a model of QEMU's own, and not whatever the host has. */
function isTable(catalog: Catalog, name: string): boolean {
  const model = catalog.qemuModels.get(name);
  return model !== undefined && model.kind !== 'special';
}

/** The QEMUs of the catalog that the host may run: its own, those that have its machine type, or any. */
function qemusOf(catalog: Catalog, { qemu, machine }: Where): readonly string[] {
  const all = catalog.versions.qemu;
  if (qemu !== null) {
    const own = all.filter((v) => compareVersions(qemu, v) === 0);
    if (own.length > 0) return own;
  }
  const having = all.filter((v) => machinesOf(catalog, machine, v).length > 1);
  return having.length > 0 ? having : all;
}

/** No machine, and the machine type that the list speaks for, where this QEMU has it. */
function machinesOf(catalog: Catalog, name: string | null, qemu: string): Machine[] {
  const names = name === null ? [NO_MACHINE] : [NO_MACHINE, name];
  return names.flatMap((machine) =>
    catalog.machines.some((m) => m.name === machine && m.qemu.includes(qemu))
      ? [findMachine(catalog, machine, qemu)]
      : [],
  );
}

/**
 * What QEMU holds a model against the host for: not what the accelerator takes from every guest, what only nested
 * guests would need, what the guest's topology sets, or KVM's own words, which no list of features has.
 */
function asked(catalog: Catalog, row: Row): Row {
  const out = catalog.rowWhere((f) => f.isKvm || f.merge === 'never' || f.name === 'vmx');
  return closeDependencies(catalog, minus(row, join(out, catalog.accelerators.kvm.off)));
}
