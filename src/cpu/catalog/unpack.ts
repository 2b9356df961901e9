// Features and models as the catalog's data writes them, taken apart when somebody looks.
import type { Row } from '../../core/rows.ts';
import type {
  BitPlace,
  Feature,
  LibvirtModel,
  Merge,
  QemuModel,
  Register,
  Vendor,
} from '../feature.ts';
import type * as Data from '../schema.ts';

const REGISTERS = new Set(['eax', 'ebx', 'ecx', 'edx']);
const MSR = 'msr.';
const KVM_LEAF = 'cpuid.40000001.';
const NONE: readonly never[] = [];
const NOWHERE_ELSE = {};

/** A feature over its record: the places of four hundred are not worth taking apart before one is asked for. */
export class RecordedFeature implements Feature {
  readonly id: number;
  readonly name: string;
  readonly msr: number | null;
  readonly isKvm: boolean;
  readonly aliases: readonly string[];
  readonly qemu: string | null;
  readonly linux: readonly string[];
  readonly linuxHidden: readonly string[];
  readonly linuxAbsence: string | null;
  readonly xen: string | null;
  readonly merge: Merge;
  readonly why: string;
  readonly migratable: boolean;
  readonly libvirtMigratable: boolean;
  readonly needs: Feature['needs'];
  readonly xsave: readonly number[];
  readonly hostConditional: boolean;
  readonly source: string | null;
  readonly security: boolean;
  readonly #record: Data.FeatureRecord;
  #places: readonly BitPlace[] | undefined;
  #libvirt: Feature['libvirt'] | undefined;
  #offered: ReadonlySet<Vendor> | undefined;

  constructor(id: number, record: Data.FeatureRecord, ids: ReadonlyMap<string, number>) {
    this.id = id;
    this.name = record.name;
    this.msr = record.at[0]?.startsWith(MSR)
      ? Number.parseInt(record.at[0].slice(MSR.length), 16)
      : null;
    this.isKvm = record.at.some((at) => at.startsWith(KVM_LEAF));
    this.aliases = record.aliases ?? NONE;
    this.qemu = record.qemu ?? null;
    this.linux = record.linux ?? NONE;
    this.linuxHidden = record.linuxHidden ?? NONE;
    this.linuxAbsence = record.linuxAbsence ?? null;
    this.xen = record.xen ?? null;
    this.merge = record.merge ?? 'all';
    this.why = record.why ?? 'a guest may use it on any host, so every host must have it';
    this.migratable = !record.unmigratable;
    this.libvirtMigratable = !record.libvirtUnmigratable;
    this.needs = record.needs?.map((group) => group.map((name) => ids.get(name)!)) ?? NONE;
    this.xsave = record.xsave ?? NONE;
    this.hostConditional = record.conditional ?? false;
    this.source = record.source ?? null;
    this.security = record.security ?? false;
    this.#record = record;
  }

  get places(): readonly BitPlace[] {
    this.#places ??= this.#record.at.map(parsePlace);
    return this.#places;
  }

  get libvirt(): Feature['libvirt'] {
    if (this.#libvirt === undefined) {
      const { libvirt, libvirtAt } = this.#record;
      const was = libvirtAt
        ? Object.fromEntries(
            Object.entries(libvirtAt).map(([version, at]) => [version, parsePlace(at)]),
          )
        : NOWHERE_ELSE;
      this.#libvirt = libvirt ? { name: libvirt[0], since: libvirt[1], was } : null;
    }
    return this.#libvirt;
  }

  get offered(): ReadonlySet<Vendor> {
    this.#offered ??= new Set(this.#record.offered);
    return this.#offered;
  }
}

/** What a model needs of the catalog that it is in. */
export interface Reader {
  id(name: string): number;
  row(record: Data.LibvirtModelRecord): Row;
  adjust(row: Row, was: Data.Adjustment): Row;
  /** Ids in the order of their names. */
  added(lists: Data.Lists | undefined): readonly number[];
}

/** A model of libvirt's map over its record: most are never asked for more than their name. */
export class RecordedModel implements LibvirtModel {
  readonly name: string;
  readonly vendor: Vendor | null;
  readonly order: number;
  readonly decodeHost: boolean;
  readonly decodeGuest: boolean;
  readonly compat: boolean;
  readonly canonical: string | null;
  readonly parent: string | null;
  readonly since: string;
  readonly #record: Data.LibvirtModelRecord;
  readonly #was: Data.Was | undefined;
  readonly #read: Reader;
  #features: Row | undefined;
  #added: readonly number[] | undefined;

  /** `was`: what of it was otherwise in the libvirt that is asked about. */
  constructor(
    record: Data.LibvirtModelRecord,
    order: number,
    read: Reader,
    was?: Data.Was,
    canonical = record.canonical ?? null,
  ) {
    this.name = record.name;
    this.vendor = record.vendor ?? null;
    this.order = order;
    this.decodeHost = record.host !== false;
    this.decodeGuest = record.guest !== false;
    this.compat = was?.compat ?? record.compat ?? false;
    this.canonical = canonical;
    this.parent = record.parent ?? null;
    this.since = record.since;
    this.#record = record;
    this.#was = was;
    this.#read = read;
  }

  get signatures(): LibvirtModel['signatures'] {
    return (this.#record.signatures ?? NONE).map(([family, model, steppings]) => ({
      family,
      model,
      steppings: steppings ?? null,
    }));
  }

  get features(): Row {
    if (!this.#features) {
      const row = this.#read.row(this.#record);
      this.#features = this.#was ? this.#read.adjust(row, this.#was) : row;
    }
    return this.#features;
  }

  get added(): readonly number[] {
    this.#added ??= this.#read.added(this.#was?.added ?? this.#record.added);
    return this.#added;
  }

  get removed(): readonly number[] {
    return (this.#was?.removed ?? this.#record.removed ?? NONE).map((name) => this.#read.id(name));
  }
}

/** QEMU's names, each with what is fixed about it. */
export function qemuModelsOf(
  records: ReadonlyMap<string, Data.QemuModelRecord>,
  libvirtModels: ReadonlyMap<string, LibvirtModel>,
): ReadonlyMap<string, QemuModel> {
  const models = new Map<string, QemuModel>();
  for (const [name, record] of records) {
    const versioned = record.kind === 'fixed-alias' ? records.get(record.of!)! : record;
    const base = versioned.base ?? name;
    const first = records.get(`${base}-v1`);
    const known = libvirtModels.get(base);
    models.set(name, {
      name,
      kind: record.kind,
      of: record.of ?? null,
      base,
      version: versioned.version ?? null,
      vendor: known ? known.vendor : (first?.vendor ?? null),
      since: record.since,
      until: record.until ?? null,
      order: models.size,
      values: versioned.values ?? first?.values ?? {},
      cache: versioned.cache ?? null,
    });
  }
  return models;
}

/** A place as the catalog's data writes it: cpuid.LEAF.SUBLEAF.REGISTER.BIT or msr.INDEX.BIT, numbers in hex but for the bit. */
export function parsePlace(text: string): BitPlace {
  const [kind, ...rest] = text.split('.');
  if (kind === 'msr') return { kind, msr: Number.parseInt(rest[0]!, 16), bit: Number(rest[1]) };
  const [leaf, subleaf, register, bit] = rest;
  if (kind !== 'cpuid' || !REGISTERS.has(register!))
    throw new RangeError(`"${text}" is no place of a feature`);
  return {
    kind,
    leaf: Number.parseInt(leaf!, 16),
    subleaf: Number.parseInt(subleaf!, 16),
    register: register as Register,
    bit: Number(bit),
  };
}
