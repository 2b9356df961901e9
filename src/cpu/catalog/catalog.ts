// What the project knows of x86 CPUs: features, models, machine types, and which software knows them.
// The data is generated (learn.ts), read once and on demand; nothing here changes after loading.
import { clearBit, emptyRow, type Mask, maskOf, type Row, setBit } from '../../core/rows.ts';
import { type Arch, X86 } from '../arch/index.ts';
import type {
  BitPlace,
  Feature,
  LibvirtModel,
  Product,
  QemuModel,
  Vendor,
  VendorName,
} from '../feature.ts';
import { byBytes, sortByBytes } from '../order.ts';
import type * as Data from '../schema.ts';
import { type Files, habitsOf, type LearntQemu, withQemu } from './learnt-qemu.ts';
import { LinuxWords } from './linux.ts';
import { qemuModelsOf, type Reader, RecordedFeature, RecordedModel } from './unpack.ts';

export type * from '../feature.ts';
export { parsePlace } from './unpack.ts';

const NONE: readonly never[] = [];

function spell(by: Map<string, Feature>, names: readonly string[], feature: Feature): void {
  for (let i = 0; i < names.length; i++) by.set(names[i]!, feature);
}

let loading: Promise<Catalog> | undefined;

/** The catalog that ships with plimsoll; read at the first call, then shared. */
export function loadCatalog(): Promise<Catalog> {
  loading ??= import('./data.ts').then(
    (text) =>
      new Catalog(
        JSON.parse(text.features),
        JSON.parse(text.libvirt),
        JSON.parse(text.qemu),
        () => JSON.parse(text.machines),
        () => JSON.parse(text.kvm),
      ),
  );
  return loading;
}

/**
 * The catalog with further QEMUs, each beside those that it has.
 * @throws QueryError for two of one release.
 */
export async function loadCatalogWith(learnt: readonly LearntQemu[]): Promise<Catalog> {
  if (learnt.length === 0) return loadCatalog();
  const text = await import('./data.ts');
  const { features, libvirt, qemu, machines } = learnt.reduce<Files>(withQemu, {
    features: JSON.parse(text.features),
    libvirt: JSON.parse(text.libvirt),
    qemu: JSON.parse(text.qemu),
    machines: JSON.parse(text.machines),
  });
  const kvm = () => JSON.parse(text.kvm);
  return new Catalog(features, libvirt, qemu, () => machines, kvm, learnt);
}

export class Catalog {
  /** What it is about. */
  readonly arch: Arch;
  readonly features: readonly Feature[];
  /** Those that KVM makes up, and not the processor. */
  readonly kvmFeatures: readonly Feature[];
  /** Bits of a row that holds the catalog's features and no unknown one. */
  readonly bits: number;
  readonly vendors: readonly VendorName[];
  /** The versions of each product that the catalog describes, oldest first. */
  readonly versions: Readonly<Record<Product, readonly string[]>>;
  /** The release that stands for a version: qemu@10.0 → 10.0.13. */
  readonly patches: Readonly<Record<string, string>>;
  /** Versions of QEMU that were learnt. */
  readonly learnt: ReadonlyMap<string, LearntQemu>;
  readonly libvirtModels: ReadonlyMap<string, LibvirtModel>;
  readonly qemuModels: ReadonlyMap<string, QemuModel>;
  /** In QEMU's order: if none of `any` is on, all of `clears` go off. */
  readonly dependencies: readonly {
    readonly any: readonly number[];
    readonly clears: readonly number[];
    /** The same as `any` and as `clears`, all at once. */
    readonly anyMask: Mask;
    readonly clearsMask: Mask;
  }[];
  /** The words of /proc/cpuinfo. */
  readonly linux: LinuxWords;
  /** Features whose absence from what can migrate says nothing of the host. */
  readonly migratableSilent: Row;
  /** What each accelerator switches on and off about every CPU. */
  readonly accelerators: Readonly<Record<'kvm' | 'tcg', { readonly on: Row; readonly off: Row }>>;

  readonly #records: readonly Data.FeatureRecord[];
  readonly #nameable = new Map<string, Row>();
  readonly #bySpelling = new Map<string, Feature>();
  readonly #byLibvirt = new Map<string, Feature>();
  readonly #byXen = new Map<string, Feature>();
  readonly #reader: Reader;
  readonly #libvirtRecords: ReadonlyMap<string, Data.LibvirtModelRecord>;
  readonly #libvirtOrders: Data.LibvirtFile['featureOrder'];
  readonly #libvirtOlder = new Map<string, LibvirtModel>();
  readonly #qemuRecords: ReadonlyMap<string, Data.QemuModelRecord>;
  /** Expanded lists of features by record; most questions look at a few models only. */
  readonly #rows = new Map<Data.Lists, Row>();
  /** Of learnt versions the names of models and features that they have. */
  readonly #learntNames: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #readMachines: () => Data.MachinesFile;
  readonly #readKvm: () => Data.KvmFile;
  #kvm: Data.KvmFile | undefined;
  #named: ReturnType<typeof inByteOrder> | undefined;
  #machines:
    | (Data.MachinesFile & { byModel: ReadonlyMap<string, Data.MachinesFile['changes']> })
    | undefined;

  constructor(
    features: Data.FeaturesFile,
    libvirt: Data.LibvirtFile,
    qemu: Data.QemuFile,
    machines: () => Data.MachinesFile,
    kvm: () => Data.KvmFile,
    learnt: readonly LearntQemu[] = NONE,
    arch: Arch = X86,
  ) {
    this.arch = arch;
    this.learnt = new Map(learnt.map((q) => [q.version, q]));
    this.#learntNames = new Map(
      learnt.map((q) => [q.version, new Set([...q.models.map((m) => m.name), ...q.features])]),
    );
    const ids = new Map(features.features.map((f, id) => [f.name, id]));
    this.#records = features.features;
    this.features = features.features.map((record, id) => new RecordedFeature(id, record, ids));
    this.kvmFeatures = this.features.filter((f) => f.isKvm);
    this.bits = this.features.length;
    this.vendors = features.vendors;
    this.versions = features.stacks;
    this.patches = features.patches;
    this.dependencies = features.dependencies.map((d) => {
      const any = d.any.map((name) => ids.get(name)!);
      const clears = d.clears.map((name) => ids.get(name)!);
      return { any, clears, anyMask: maskOf(any), clearsMask: maskOf(clears) };
    });
    // QEMU's own spellings win over libvirt's, those over the kernel's, those over Xen's.
    for (const f of this.features) {
      this.#bySpelling.set(f.name, f);
      spell(this.#bySpelling, f.aliases, f);
      const { libvirt } = this.#records[f.id]!;
      if (libvirt) this.#byLibvirt.set(libvirt[0], f);
      if (f.xen) this.#byXen.set(f.xen, f);
    }
    this.migratableSilent = this.row(features.migratableSilent);
    this.linux = new LinuxWords(features, this.features, (name) => this.feature(name));

    this.#libvirtRecords = new Map(libvirt.models.map((m) => [m.name, m]));
    this.#libvirtOrders = libvirt.featureOrder;
    this.#reader = {
      id: (name) => this.feature(name).id,
      row: (record) => this.#row(record, this.#libvirtRecords),
      adjust: (row, was) => this.#adjust(row, was),
      added: (lists) => this.#added(lists),
    };
    this.libvirtModels = new Map(
      libvirt.models.map((m, order) => [m.name, new RecordedModel(m, order, this.#reader)]),
    );

    this.#qemuRecords = new Map(qemu.models.map((m) => [m.name, m]));
    this.qemuModels = qemuModelsOf(this.#qemuRecords, this.libvirtModels);
    const accelerator = (a: { on: string[]; off: string[] }) => ({
      on: this.row(a.on),
      off: this.row(a.off),
    });
    this.accelerators = {
      kvm: accelerator(qemu.accelerators.kvm),
      tcg: accelerator(qemu.accelerators.tcg),
    };
    this.#readMachines = machines;
    this.#readKvm = kvm;
  }

  /** The feature of this spelling: QEMU's and its aliases, libvirt's, the kernel's or Xen's, in that order. */
  find(spelling: string): Feature | undefined {
    return (
      this.#bySpelling.get(spelling) ??
      this.#byLibvirt.get(spelling) ??
      this.linux.spelt(spelling) ??
      this.#byXen.get(spelling)
    );
  }

  /** The feature of libvirt's spelling; libvirt's map gives a few of QEMU's spellings as aliases. */
  findLibvirt(name: string): Feature | undefined {
    return this.#byLibvirt.get(name) ?? this.#bySpelling.get(name);
  }

  /** The feature of QEMU's spelling. */
  findQemu(name: string): Feature | undefined {
    return this.#bySpelling.get(name);
  }

  /**
   * What a flag of /proc/cpuinfo means on this vendor's processors: a feature, `linux-only` for what the kernel
   * prints of itself or what no hypervisor hands on, or undefined for a flag that the catalog does not know.
   */
  findLinux(flag: string, vendor: Vendor | null): Feature | 'linux-only' | undefined {
    return this.linux.find(flag, vendor);
  }

  /** The flags of /proc/cpuinfo that mean the feature on this vendor's processors. */
  linuxFlags(feature: Feature, vendor: Vendor): string[] {
    return this.linux.flags(feature, vendor);
  }

  /** The features that this version of a product has a name for. */
  nameable(product: Product, version: string): Row {
    const key = `${product} ${version}`;
    let row = this.#nameable.get(key);
    if (!row) {
      const versions = this.versions[product];
      const until = new Set(versions.slice(0, versions.indexOf(version) + 1));
      row = emptyRow(this.bits);
      for (let id = 0; id < this.bits; id++) {
        const { qemu, libvirt } = this.#records[id]!;
        const since = product === 'qemu' ? qemu : libvirt?.[1];
        if (since !== undefined && until.has(since)) setBit(row, id);
      }
      this.#nameable.set(key, row);
    }
    return row;
  }

  /** The one feature of this QEMU name; a name that the code relies on and the data lacks is a bug. */
  feature(name: string): Feature {
    const found = this.#bySpelling.get(name);
    if (!found) throw new RangeError(`the catalog has no feature "${name}"`);
    return found;
  }

  /** A row of these features, by QEMU's names. */
  row(names: Iterable<string>): Row {
    const row = emptyRow(this.bits);
    for (const name of names) setBit(row, this.feature(name).id);
    return row;
  }

  /** The same of features that rules of x86 are about: none in the catalog of another architecture. */
  x86Row(names: Iterable<string>): Row {
    return this.row(this.arch.isX86 ? names : NONE);
  }

  /** A row of the features that a test holds for. */
  rowWhere(keep: (feature: Feature) => boolean): Row {
    const row = emptyRow(this.bits);
    for (let id = 0; id < this.bits; id++) if (keep(this.features[id]!)) setBit(row, id);
    return row;
  }

  /** libvirt's name for a vendor, from that name or from CPUID's twelve letters. */
  vendor(text: string): Vendor {
    return this.vendors.find((v) => v.id === text || v.name === text)?.name ?? text;
  }

  /** A model as this libvirt has it, or null where it does not know the name. */
  libvirtModel(name: string, version: string): LibvirtModel | null {
    const model = this.libvirtModels.get(name);
    if (!model || !this.isSince('libvirt', version, model.since)) return null;
    const was = this.#libvirtRecords.get(name)!.was?.[version];
    const named = model.canonical === null || this.libvirtModel(model.canonical, version) !== null;
    if (!was && named) return model;
    const key = `${version} ${name}`;
    let older = this.#libvirtOlder.get(key);
    if (!older) {
      const record = this.#libvirtRecords.get(name)!;
      const canonical = named ? model.canonical : null;
      older = new RecordedModel(record, model.order, this.#reader, was, canonical);
      this.#libvirtOlder.set(key, older);
    }
    return older;
  }

  /** The features of a libvirt model in this libvirt, or null where it does not have the model. */
  libvirtFeatures(name: string, version: string): Row | null {
    return this.libvirtModel(name, version)?.features ?? null;
  }

  /** The features that this libvirt knows, in the order in which it walks them. */
  libvirtFeatureOrder(version: string): number[] {
    const order =
      this.#libvirtOrders[version] ?? this.#libvirtOrders[this.versions.libvirt.at(-1)!]!;
    return order
      .map((name) => this.#byLibvirt.get(name)!)
      .filter((f) => this.isSince('libvirt', version, f.libvirt!.since))
      .map((f) => f.id);
  }

  /** Where this libvirt looks for a feature in CPUID and MSR words. */
  libvirtPlace(feature: Feature, version: string): BitPlace {
    return feature.libvirt?.was[version] ?? feature.places[0]!;
  }

  /** The table entry of a versioned QEMU model (latent features included), or null where that QEMU lacks it. */
  qemuFeatures(name: string, version: string): Row | null {
    const record = this.#qemuRecords.get(name);
    if (record?.kind !== 'versioned' || !this.hasQemuModel(name, version)) return null;
    const row = this.#row(record, this.#qemuRecords);
    const was = record.was?.[version];
    return was ? this.#adjust(row, was) : row;
  }

  hasQemuModel(name: string, version: string): boolean {
    const model = this.qemuModels.get(name);
    const learnt = this.#learntNames.get(version);
    if (learnt) return model !== undefined && learnt.has(name);
    if (!model || !this.isSince('qemu', version, model.since)) return false;
    return model.until === null || this.isSince('qemu', model.until, version);
  }

  /** Whether this QEMU knows a feature. */
  hasQemuFeature(feature: Feature, version: string): boolean {
    const learnt = this.#learntNames.get(version);
    if (learnt) return learnt.has(feature.name);
    const { qemu } = feature;
    return qemu !== null && !this.learnt.has(qemu) && this.isSince('qemu', version, qemu);
  }

  /** The version whose habits a QEMU has, where no data tells its own. */
  habitsOf(qemu: string): string {
    const learnt = this.learnt.get(qemu);
    return learnt
      ? habitsOf(
          learnt,
          this.versions.qemu.filter((v) => !this.learnt.has(v)),
        )
      : qemu;
  }

  /** Machine types, oldest first within a family; ranges of the changes are positions in this list. */
  get machines(): Data.MachinesFile['machines'] {
    return this.#machineData().machines;
  }

  /** What KVM gives guests of which processor, by kernel: read when a host is first described without its hypervisor. */
  get kvm(): Data.KvmFile {
    this.#kvm ??= this.#readKvm();
    return this.#kvm;
  }

  /** What machine types change about every CPU. */
  get allCpuChanges(): Data.MachinesFile['all'] {
    return this.#machineData().all;
  }

  /** What machine types of this QEMU change about exactly this model name. */
  machineChanges(model: string, qemu: string): Data.MachinesFile['changes'] {
    return this.#machineData().byModel.get(`${qemu} ${model}`) ?? [];
  }

  /** Whether version `has` of a product is at least version `since`; both are versions of the catalog. */
  isSince(product: Product, has: string, since: string): boolean {
    const order = this.versions[product];
    return order.indexOf(has) >= order.indexOf(since);
  }

  /** The features of a row by QEMU's names, in byte order; `unknown` names the bits past the catalog's. */
  names(row: Row, unknown: readonly string[] = []): string[] {
    this.#named ??= inByteOrder(this.features);
    const { ranks, names } = this.#named;
    const named: number[] = [];
    const more: string[] = [];
    for (let i = 0; i < row.length; i++)
      for (let rest = row[i]!; rest !== 0; rest &= rest - 1) {
        const id = i * 32 + (31 - Math.clz32(rest & -rest));
        const rank = ranks[id];
        if (rank === undefined) more.push(unknown[id - this.bits]!);
        else named.push(rank);
      }
    // Numbers are sorted in a fraction of the time that texts take.
    const sorted = Array.from(Uint16Array.from(named).sort(), (rank) => names[rank]!);
    return more.length === 0 ? sorted : sortByBytes([...sorted, ...more]);
  }

  #machineData() {
    if (!this.#machines) {
      const data = this.#readMachines();
      const byModel = new Map<string, Data.MachinesFile['changes']>();
      for (const change of data.changes) {
        const key = `${change.qemu} ${change.model}`;
        const same = byModel.get(key);
        if (same) same.push(change);
        else byModel.set(key, [change]);
      }
      this.#machines = { ...data, byModel };
    }
    return this.#machines;
  }

  #adjust(row: Row, was: Data.Adjustment): Row {
    const adjusted = row.slice();
    for (const name of was.plus ?? NONE) setBit(adjusted, this.feature(name).id);
    for (const name of was.minus ?? NONE) clearBit(adjusted, this.feature(name).id);
    return adjusted;
  }

  /** Ids in the order of their names. */
  #added(lists: Data.Lists | undefined): readonly number[] {
    if (!lists) return NONE;
    const like =
      lists.like === undefined ? NONE : this.#added(this.#libvirtRecords.get(lists.like)!.added);
    const ids = new Set(like);
    for (const name of lists.minus ?? NONE) ids.delete(this.feature(name).id);
    for (const name of lists.plus ?? NONE) ids.add(this.feature(name).id);
    return [...ids].sort((a, b) => byBytes(this.features[a]!.name, this.features[b]!.name));
  }

  #row(record: Data.Lists, records: ReadonlyMap<string, Data.Lists>): Row {
    let row = this.#rows.get(record);
    if (!row) {
      const like =
        record.like === undefined ? this.row([]) : this.#row(records.get(record.like)!, records);
      row = this.#adjust(like, record);
      this.#rows.set(record, row);
    }
    return row;
  }
}

/** The names of features in byte order, and the place of each id among them. */
function inByteOrder(features: readonly Feature[]) {
  const names = sortByBytes(features.map((f) => f.name));
  const place = new Map(names.map((name, i) => [name, i]));
  return { names, ranks: Uint16Array.from(features, (f) => place.get(f.name)!) };
}
