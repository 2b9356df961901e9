// libvirt's answers as data: what --json prints. Features have QEMU's names, as everywhere.
import { clearBit, type Row, setBit } from '../../core/rows.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { LibvirtMap } from '../../cpu/catalog/libvirt-map.ts';
import type { LibvirtCpu } from '../../cpu/cpu-element.ts';
import drivers from '../../cpu/data/drivers.ts';
import type { Definition } from '../../cpu/definition.ts';
import type { View } from '../../cpu/description.ts';
import { byBytes } from '../../cpu/order.ts';
import type { Skipped } from '../../fleet/fleet.ts';
import type { Finding } from '../answer.ts';

/** A definition as libvirt would print it, beside what it means. */
export interface LibvirtAnswer {
  readonly arch: string | null;
  readonly vendor: string | null;
  readonly definitions: { readonly libvirt?: Definition };
  readonly fallback: 'allow' | 'forbid' | null;
  /** What the definition gives, by the map of this libvirt. */
  readonly features: readonly string[];
}

export interface LibvirtBaseline extends LibvirtAnswer {
  readonly schema: 'plimsoll.baseline/1';
  readonly rules: 'libvirt';
  readonly stack: readonly string[];
  readonly hosts: number;
  readonly findings: readonly Finding[];
  readonly skipped?: readonly Skipped[];
}

export interface LibvirtDecoded {
  readonly schema: 'plimsoll.decode/1';
  readonly rules: 'libvirt';
  readonly stack: readonly string[];
  readonly hosts: readonly (LibvirtAnswer & {
    readonly host: string;
    readonly view: View;
    readonly as: 'host' | 'guest';
    readonly signature: LibvirtCpu['signature'];
    /** The versioned name that the model is an alias of. */
    readonly canonical: string | null;
    /** Models that it could be called by, the chosen one first, with what each lacks of the model. */
    readonly candidates: readonly {
      readonly name: string;
      readonly cost: number;
      readonly lacks: readonly string[];
    }[];
  })[];
  readonly skipped?: readonly Skipped[];
}

export interface LibvirtResolved {
  readonly schema: 'plimsoll.resolve/1';
  readonly rules: 'libvirt';
  readonly stack: readonly string[];
  readonly host: string;
  readonly guests: readonly (LibvirtAnswer & {
    readonly guest: string;
    readonly mode: LibvirtCpu['mode'];
  })[];
  readonly skipped?: readonly Skipped[];
}

/** QEMU's name of a feature that libvirt calls so; libvirt's own where QEMU has none. */
export function qemuName(catalog: Catalog, map: LibvirtMap, name: string): string {
  const feature = map.feature(name);
  return (feature && catalog.features[feature.id]?.name) ?? name;
}

export function libvirtAnswer(catalog: Catalog, map: LibvirtMap, cpu: LibvirtCpu): LibvirtAnswer {
  const names = (...policies: readonly (string | null)[]) =>
    cpu.features
      .filter((f) => policies.includes(f.policy))
      .map((f) => qemuName(catalog, map, f.name))
      .sort(byBytes);
  const definition =
    cpu.model === null
      ? {}
      : {
          libvirt: {
            name: cpu.model,
            require: names('require', 'force', null),
            disable: names('disable', 'forbid'),
          },
        };
  return {
    arch: cpu.arch,
    vendor: cpu.vendor,
    definitions: definition,
    fallback: cpu.type === 'guest' && cpu.model !== null ? (cpu.fallback ?? 'allow') : null,
    features: namesIn(catalog, map, rowOfCpu(map, cpu)),
  };
}

export const namesIn = (catalog: Catalog, map: LibvirtMap, row: Row): string[] =>
  map
    .idsIn(row)
    .map((id) => catalog.features[id]?.name ?? map.features.find((f) => f.id === id)!.name)
    .sort(byBytes);

const DROPPED: ReadonlySet<string> = new Set(drivers.qemu);

/** Whether libvirt's QEMU driver leaves a feature out of what it answers and starts. */
export const isDropped = (name: string): boolean => DROPPED.has(name);

/** Features that the definition lists and libvirt's QEMU driver leaves out. */
export const droppedByDriver = ({ features }: LibvirtCpu): string[] =>
  features.map((f) => f.name).filter(isDropped);

/** What the definition gives; nothing of a model that is no x86 one. */
function rowOfCpu(map: LibvirtMap, cpu: LibvirtCpu): Row {
  const row = map.narrow(map.model(cpu.model ?? '')?.features ?? new Uint32Array(0));
  for (const { name, policy } of cpu.features) {
    const feature = map.feature(name);
    if (!feature || policy === 'optional') continue;
    if (policy === 'disable' || policy === 'forbid') clearBit(row, feature.id);
    else setBit(row, feature.id);
  }
  return row;
}
