// What one libvirt knows of CPUs, in the order in which it walks them: a view of the catalog, or of a map that was
// learnt. Rows hold the catalog's feature ids; features that only a learnt map knows lie past them.
import { emptyRow, hasBit, type Row, rowOf } from '../../core/rows.ts';
import archs from '../data/archs.ts';
import type { BitPlace, Catalog, LibvirtModel, Vendor } from './catalog.ts';

export interface MapFeature {
  readonly id: number;
  /** libvirt's spelling. */
  readonly name: string;
  /** QEMU's spelling, where the catalog has one. */
  readonly qemu: string | null;
  readonly migratable: boolean;
  readonly place: BitPlace;
}

export type MapModel = Pick<
  LibvirtModel,
  | 'name'
  | 'vendor'
  | 'signatures'
  | 'decodeHost'
  | 'decodeGuest'
  | 'compat'
  | 'canonical'
  | 'features'
  | 'added'
  | 'removed'
>;

/** What a map is made of; lists are in the map's order. */
export interface MapParts {
  readonly bits: number;
  readonly vendors: readonly { readonly name: Vendor; readonly id: string }[];
  readonly features: readonly MapFeature[];
  readonly models: readonly MapModel[];
  readonly ppc64: Ppc64Parts;
}

/** POWER processors: names and vendors, and the processor version registers that mean each. */
export interface Ppc64Parts {
  readonly vendors: readonly Vendor[];
  readonly models: readonly {
    readonly name: string;
    readonly vendor: Vendor | null;
    readonly pvr: readonly { readonly value: number; readonly mask: number }[];
  }[];
}

/** Features that libvirt lets an ARM guest name. */
export const ARM_FEATURES: ReadonlySet<string> = new Set(archs.arm.features);

/** Architectures that libvirt has a name for. */
export const ARCHITECTURES: ReadonlySet<string> = new Set(archs.names);

const PPC64: Ppc64Parts = {
  vendors: archs.ppc64.vendors,
  models: archs.ppc64.models.map(({ name, vendor, pvr }) => ({
    name,
    vendor,
    pvr: pvr.map(([value, mask]) => ({ value: value!, mask: mask! })),
  })),
};

export class LibvirtMap implements MapParts {
  /** The software that it speaks for: libvirt@11.3. */
  readonly stack: string;
  readonly bits: number;
  readonly vendors: MapParts['vendors'];
  readonly features: readonly MapFeature[];
  readonly models: readonly MapModel[];
  readonly ppc64: Ppc64Parts;
  /** Every bit that it has a name for. */
  readonly known: Row;

  readonly #features: ReadonlyMap<string, MapFeature>;
  readonly #byQemu: ReadonlyMap<string, MapFeature>;
  readonly #models: ReadonlyMap<string, MapModel>;

  constructor(stack: string, { bits, vendors, features, models, ppc64 }: MapParts) {
    this.stack = stack;
    this.bits = bits;
    this.vendors = vendors;
    this.features = features;
    this.models = models;
    this.ppc64 = ppc64;
    this.known = rowOf(
      bits,
      features.map((f) => f.id),
    );
    this.#features = new Map(features.map((f) => [f.name, f]));
    this.#byQemu = new Map(features.flatMap((f) => (f.qemu === null ? [] : [[f.qemu, f]])));
    this.#models = new Map(models.map((m) => [m.name, m]));
  }

  /** The feature of exactly this name; libvirt takes no alias. */
  feature(name: string): MapFeature | undefined {
    return this.#features.get(name);
  }

  /** The feature that QEMU calls so: libvirt takes QEMU's word for its own unless it is spelt otherwise. */
  fromQemu(name: string): MapFeature | undefined {
    return this.#features.get(name) ?? this.#byQemu.get(name);
  }

  /** Ids of the set bits that it has names for, in its order. */
  idsIn(row: Row): number[] {
    return this.features.filter((f) => hasBit(row, f.id)).map((f) => f.id);
  }

  model(name: string): MapModel | undefined {
    return this.#models.get(name);
  }

  hasVendor(name: string): boolean {
    return this.vendors.some((v) => v.name === name);
  }

  /** libvirt's name for the vendor of CPUID's twelve letters, or null where it knows none. */
  vendorOf(letters: string): Vendor | null {
    return this.vendors.find((v) => v.id === letters)?.name ?? null;
  }

  /** A row of the catalog's width, or of this map's, as far as this libvirt has names for it. */
  narrow(row: Row): Row {
    const own = emptyRow(this.bits);
    for (let i = 0; i < Math.min(row.length, own.length); i++) own[i] = row[i]! & this.known[i]!;
    return own;
  }
}

/**
 * The map of a libvirt that the catalog describes.
 * @throws RangeError for a version that is none of the catalog's.
 */
export function catalogMap(catalog: Catalog, version: string): LibvirtMap {
  if (!catalog.versions.libvirt.includes(version))
    throw new RangeError(`libvirt ${version} is none of the catalog's versions`);
  const features = catalog.libvirtFeatureOrder(version).map((id) => {
    const feature = catalog.features[id]!;
    return {
      id,
      name: feature.libvirt!.name,
      qemu: feature.qemu === null ? null : feature.name,
      migratable: feature.libvirtMigratable,
      place: catalog.libvirtPlace(feature, version),
    };
  });
  const models = [...catalog.libvirtModels.keys()].flatMap(
    (name) => catalog.libvirtModel(name, version) ?? [],
  );
  const vendors = catalog.vendors.filter((v) => catalog.isSince('libvirt', version, v.libvirt));
  return new LibvirtMap(`libvirt@${version}`, {
    bits: catalog.bits,
    vendors,
    features,
    models,
    ppc64: PPC64,
  });
}
