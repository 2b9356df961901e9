// What one host's hypervisor says that it can do, as libvirt's rules ask it.
import { meet, minus, type Row } from '../../core/rows.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { LibvirtMap } from '../../cpu/catalog/libvirt-map.ts';
import { nearest } from '../../cpu/catalog/software.ts';
import type { LibvirtCpu } from '../../cpu/cpu-element.ts';
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { ModelList } from '../../cpu/model-lists.ts';
import { libvirtDecode } from './libvirt-decode.ts';
import { type CpuData, guestStub } from './spelt-out.ts';

export interface Hypervisor {
  /** The architecture of its guests. */
  readonly arch: string;
  /** The models that it lists, with what blocks each; null where it was not asked. */
  readonly models: ModelList | null;
  /** Every feature that it knows, there or not; null where it does not tell. */
  readonly features: Row | null;
  /** Those that may migrate; null where it does not tell. */
  readonly migratable: Row | null;
  /** The host-model that libvirt makes of it. */
  readonly hostModel: LibvirtCpu | null;
  /** The same of what may migrate; null where it does not tell that feature by feature. */
  readonly migratableModel: LibvirtCpu | null;
  /** It is plain emulation, without KVM. */
  readonly isEmulated: boolean;
}

/**
 * What libvirt would know of a hypervisor from its domain capabilities or its QMP replies.
 * @throws QueryError where the description is not of a hypervisor.
 */
export function hypervisorOf(
  catalog: Catalog,
  map: LibvirtMap,
  where: string,
  d: Description,
): Hypervisor {
  if (d.view !== 'hypervisor')
    throw new QueryError(
      `${where} is no word of a hypervisor; give virsh domcapabilities, or QMP replies to query-cpu-model-expansion and query-cpu-definitions`,
    );
  const features = d.told ?? featuresOf(catalog, d.qemu ?? versionOf(d.machine));
  // Emulation offers nothing that it could not move; what KVM would not move, QEMU's own table tells.
  const isEmulated = d.notes.some((note) => note.code === 'emulated');
  const migratable = features && (isEmulated ? features : minus(features, unmigratable(catalog)));
  return {
    arch: d.arch,
    models: d.models,
    features,
    migratable,
    hostModel: d.element ?? hostModelOf(map, where, d),
    migratableModel: isEmulated ? null : hostModelOf(map, where, d, migratable),
    isEmulated,
  };
}

const unmigratable = (catalog: Catalog): Row => catalog.rowWhere((f) => !f.migratable);

/** What a description says, as far as libvirt looks at it. */
export const dataOfDescription = (map: LibvirtMap, d: Description): CpuData => ({
  row: map.narrow(d.has),
  vendor: d.vendor !== null && map.hasVendor(d.vendor) ? d.vendor : null,
  signature: d.signature,
});

/** Decoded from what QEMU says feature by feature, as far as `allowed`. */
function hostModelOf(
  map: LibvirtMap,
  where: string,
  d: Description,
  allowed: Row | null = null,
): LibvirtCpu | null {
  if (!d.told) return null;
  const data = dataOfDescription(map, d);
  const row = allowed ? meet(data.row, map.narrow(allowed)) : data.row;
  return libvirtDecode(
    map,
    where,
    guestStub(d.arch, 'forbid'),
    { ...data, row },
    { models: d.models },
  );
}

const versionOf = (machine: string | null): string | null =>
  machine?.match(/-(\d+\.\d+)$/)?.[1] ?? null;

/** Domain capabilities list no properties: those of the QEMU that they are of stand for them. */
function featuresOf(catalog: Catalog, version: string | null): Row | null {
  if (version === null) return null;
  const qemu = nearest(catalog, 'qemu', version);
  return catalog.rowWhere((f) => catalog.hasQemuFeature(f, qemu));
}
