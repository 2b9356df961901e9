// What `learn` writes of a libvirt or a QEMU, so that it can be asked later and elsewhere: names and places, never ids,
// which are the catalog's own affair.
import { rowOf } from '../../core/rows.ts';
import {
  type BitPlace,
  type Catalog,
  type Feature,
  parsePlace,
} from '../../cpu/catalog/catalog.ts';
import type { LearntQemu } from '../../cpu/catalog/learnt-qemu.ts';
import {
  LibvirtMap,
  type MapFeature,
  type MapModel,
  type MapParts,
} from '../../cpu/catalog/libvirt-map.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Input } from '../dialect.ts';
import { isLearntLibvirt, isLearntQemu } from './learnt-shape.ts';

/** Features of a learnt map that the catalog may not know. */
const SPARE = 512;

export interface Learnt {
  readonly schema: 'plimsoll.learn/1';
  readonly stack: string;
  readonly libvirt: {
    readonly vendors: MapParts['vendors'];
    readonly features: readonly {
      readonly name: string;
      readonly at: string;
      readonly migratable: boolean;
    }[];
    readonly models: readonly (Omit<MapModel, 'features' | 'added' | 'removed'> &
      Record<'features' | 'added' | 'removed', readonly string[]>)[];
    readonly ppc64: MapParts['ppc64'];
  };
}

/** Gives the features of a foreign map the catalog's ids: by libvirt's name, by place, or new ones past its own. */
export class FeatureIds {
  /** Bits of every row of the map. */
  readonly bits: number;
  readonly #catalog: Catalog;
  readonly #byName = new Map<string, Feature>();
  readonly #byPlace = new Map<string, Feature>();
  readonly #taken = new Set<number>();
  #spare = 0;

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
    this.bits = catalog.bits + SPARE;
    for (const f of catalog.features) {
      if (f.libvirt) this.#byName.set(f.libvirt.name, f);
      for (const place of f.places) this.#byPlace.set(spellPlace(place), f);
    }
  }

  identify(name: string, place: BitPlace, migratable: boolean): MapFeature {
    const known = [this.#byName.get(name), this.#byPlace.get(spellPlace(place))];
    const found = known.find((f) => f !== undefined && !this.#taken.has(f.id));
    const id = found?.id ?? this.#catalog.bits + this.#spare++;
    if (id >= this.bits)
      throw new QueryError(
        `more than ${SPARE} features are unknown to the catalog; is this really a map of x86 CPUs?`,
      );
    this.#taken.add(id);
    return { id, name, qemu: found && found.qemu !== null ? found.name : null, migratable, place };
  }
}

export function writeLearnt(map: LibvirtMap): Learnt {
  const names = new Map(map.features.map((f) => [f.id, f.name]));
  const spell = (ids: readonly number[]) => ids.map((id) => names.get(id)!);
  return {
    schema: 'plimsoll.learn/1',
    stack: map.stack,
    libvirt: {
      vendors: map.vendors,
      features: map.features.map(({ name, place, migratable }) => ({
        name,
        at: spellPlace(place),
        migratable,
      })),
      models: map.models.map((m) => ({
        name: m.name,
        vendor: m.vendor,
        signatures: m.signatures,
        decodeHost: m.decodeHost,
        decodeGuest: m.decodeGuest,
        compat: m.compat,
        canonical: m.canonical,
        features: spell(map.idsIn(m.features)),
        added: spell(m.added),
        removed: spell(m.removed),
      })),
      ppc64: map.ppc64,
    },
  };
}

/** @throws QueryError for a file that `learn` did not write. */
export function readLearnt(catalog: Catalog, { name, bytes }: Input): LibvirtMap {
  const learnt = parse(name, bytes);
  const ids = new FeatureIds(catalog);
  const { vendors, features: records, models, ppc64 } = learnt.libvirt;
  const features = records.map((f) => ids.identify(f.name, parsePlace(f.at), f.migratable));
  const idOf = new Map(features.map((f) => [f.name, f.id]));
  const find = (names: readonly string[]) =>
    names.map((feature) => {
      const id = idOf.get(feature);
      if (id === undefined)
        throw new QueryError(
          `${name}: a model has the feature "${feature}", which the file does not define; write it anew with plimsoll learn`,
        );
      return id;
    });
  return new LibvirtMap(learnt.stack, {
    bits: ids.bits,
    vendors,
    features,
    models: models.map((m) => ({
      ...m,
      features: rowOf(ids.bits, find(m.features)),
      added: find(m.added),
      removed: find(m.removed),
    })),
    ppc64,
  });
}

export interface LearntOfQemu {
  readonly schema: 'plimsoll.learn/1';
  readonly stack: string;
  readonly qemu: LearntQemu;
}

export const writeLearntQemu = (qemu: LearntQemu): LearntOfQemu => ({
  schema: 'plimsoll.learn/1',
  stack: `qemu@${qemu.version}`,
  qemu,
});

/** @throws QueryError for a file that `learn` did not write of a QEMU. */
export function readLearntQemu({ name, bytes }: Input): LearntQemu {
  const document = documentOf(bytes);
  if (isLearntQemu(document)) return (document as LearntOfQemu).qemu;
  throw new QueryError(
    `${name} is no catalog that plimsoll learn wrote of a QEMU; make one with: plimsoll learn --qemu qemu-system-x86_64`,
  );
}

function parse(name: string, bytes: Uint8Array): Learnt {
  const document = documentOf(bytes);
  if (isLearntLibvirt(document)) return document as Learnt;
  throw new QueryError(
    `${name} is no catalog that plimsoll learn wrote of a libvirt; make one with: plimsoll learn --libvirt /usr/share/libvirt/cpu_map`,
  );
}

/** A JSON document; null for what is none, so that one sentence serves for all that `learn` did not write. */
function documentOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

const spellPlace = (place: BitPlace): string =>
  place.kind === 'msr'
    ? `msr.${place.msr.toString(16)}.${place.bit}`
    : `cpuid.${place.leaf.toString(16)}.${place.subleaf.toString(16)}.${place.register}.${place.bit}`;
