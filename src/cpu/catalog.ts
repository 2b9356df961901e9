// What the project knows of x86 CPUs: features, models, machine types, and which software knows them.
// The data is generated (learn.ts), read once and on demand; nothing here changes after loading.
import { join, minus, type Row, rowOf } from '../core/rows.ts';
import { byBytes } from './order.ts';
import type * as Data from './schema.ts';

/** libvirt's name of a vendor: Intel, AMD, Hygon, ... or the twelve letters of one that it does not know. */
export type Vendor = string;
export type Product = 'libvirt' | 'qemu';
export type Register = 'eax' | 'ebx' | 'ecx' | 'edx';

/** One bit of a CPUID word, or of a model-specific register. */
export type Place =
  | { readonly kind: 'cpuid'; readonly leaf: number; readonly subleaf: number; readonly register: Register; readonly bit: number }
  | { readonly kind: 'msr'; readonly msr: number; readonly bit: number };

/** How the feature of several hosts becomes the feature of the fleet. */
export type Merge = 'all' | 'any' | 'equal' | 'never';

export interface Feature {
  /** Its bit in every row. */
  readonly id: number;
  /** QEMU's name; libvirt's or Xen's where QEMU has none. */
  readonly name: string;
  /** Where it lives; two places for kvmclock alone. */
  readonly places: readonly Place[];
  /** Other spellings that QEMU takes. */
  readonly aliases: readonly string[];
  /** The oldest QEMU of the catalog that knows it. */
  readonly qemu: string | null;
  /** libvirt's spelling, and the oldest libvirt of the catalog that knows it. */
  readonly libvirt: { readonly name: string; readonly since: string } | null;
  /** Spellings in /proc/cpuinfo whose absence means that the feature is absent. */
  readonly linux: readonly string[];
  /** Spellings that some kernels print and others hide: absence says nothing. */
  readonly linuxHidden: readonly string[];
  readonly xen: string | null;
  readonly merge: Merge;
  /** Why it merges so. */
  readonly why: string;
  /** Whether QEMU lets a guest that has it migrate. */
  readonly migratable: boolean;
  /** Whether libvirt's map lets it (differs for xsaves). */
  readonly libvirtMigratable: boolean;
  /** Of each group at least one must be on, or QEMU clears this feature in silence. */
  readonly needs: readonly (readonly number[])[];
  /** XSAVE components that it exposes. */
  readonly xsave: readonly number[];
  /** Vendors on whose hosts KVM was seen to offer it, or whose QEMU models include it. */
  readonly offered: ReadonlySet<Vendor>;
  /** A module option or the kernel decides whether guests can have it: only a hypervisor's word settles it. */
  readonly hostConditional: boolean;
  /** It mitigates a hardware vulnerability, or claims immunity to one. */
  readonly security: boolean;
}

/** A CPU model of libvirt's map. */
export interface LibvirtModel {
  readonly name: string;
  readonly vendor: Vendor | null;
  readonly signatures: readonly { readonly family: number; readonly model: number; readonly steppings: readonly number[] | null }[];
  /** Position in libvirt's index, oldest processors first within a vendor. */
  readonly order: number;
  readonly decodeHost: boolean;
  readonly decodeGuest: boolean;
  /** At start libvirt holds its own idea of the model against the host, not only QEMU's blockers. */
  readonly compat: boolean;
  readonly canonical: string | null;
  readonly parent: string | null;
  /** The oldest libvirt of the catalog that has it. */
  readonly since: string;
  readonly features: Row;
  readonly added: readonly number[];
  readonly removed: readonly number[];
}

/** A CPU name of QEMU. */
export interface QemuModel {
  readonly name: string;
  /** versioned: -vN; fixed-alias: always the same version; machine-alias: the machine type decides. */
  readonly kind: 'versioned' | 'fixed-alias' | 'machine-alias' | 'special';
  /** For a fixed alias, the versioned name that it stands for. */
  readonly of: string | null;
  /** The unversioned name: Skylake-Server for Skylake-Server-v3. */
  readonly base: string;
  readonly version: number | null;
  /** null where libvirt has the model without a vendor (qemu64 and kin: KVM puts the host's in). */
  readonly vendor: Vendor | null;
  readonly since: string;
  /** The last QEMU of the catalog that has it, if not the newest. */
  readonly until: string | null;
  readonly order: number;
  /** Table values (level, xlevel, family, model, stepping, vendor, model-id, ...) of a versioned model. */
  readonly values: Data.Values;
  readonly cache: string | null;
}

const REGISTERS = new Set(['eax', 'ebx', 'ecx', 'edx']);

let loading: Promise<Catalog> | undefined;

/** The catalog that ships with plimsoll; read at the first call, then shared. */
export function loadCatalog(): Promise<Catalog> {
  loading ??= Promise.all([
    import('./data/features.json'),
    import('./data/libvirt.json'),
    import('./data/qemu.json'),
    import('./data/machines.json'),
  ]).then(
    ([features, libvirt, qemu, machines]) =>
      new Catalog(
        features.default as unknown as Data.FeaturesFile,
        libvirt.default as unknown as Data.LibvirtFile,
        qemu.default as unknown as Data.QemuFile,
        machines.default as unknown as Data.MachinesFile,
      ),
  );
  return loading;
}

export class Catalog {
  readonly features: readonly Feature[];
  /** Bits of a row that holds the catalog's features and no unknown one. */
  readonly bits: number;
  readonly vendors: readonly { readonly name: Vendor; readonly id: string }[];
  /** The versions of each product that the catalog describes, oldest first. */
  readonly versions: Readonly<Record<Product, readonly string[]>>;
  /** The release that stands for a version: qemu@10.0 → 10.0.13. */
  readonly patches: Readonly<Record<string, string>>;
  readonly libvirtModels: ReadonlyMap<string, LibvirtModel>;
  /** Ids of the features that libvirt knows, in the order of its map. */
  readonly libvirtOrder: readonly number[];
  readonly qemuModels: ReadonlyMap<string, QemuModel>;
  /** In QEMU's order: if none of `any` is on, all of `clears` go off. */
  readonly dependencies: readonly { readonly any: readonly number[]; readonly clears: readonly number[] }[];
  readonly machines: Data.MachinesFile['machines'];
  readonly allCpuChanges: Data.MachinesFile['all'];
  readonly accelerators: Readonly<Record<'kvm' | 'tcg', { readonly on: readonly number[]; readonly off: readonly number[] }>>;

  readonly #bySpelling = new Map<string, Feature>();
  readonly #byLibvirt = new Map<string, Feature>();
  readonly #byLinux = new Map<string, Feature>();
  readonly #byXen = new Map<string, Feature>();
  readonly #linuxVendor: Record<string, Record<string, string>>;
  readonly #linuxOnly: ReadonlySet<string>;
  readonly #linuxVmx: Record<string, string>;
  readonly #libvirtRecords: ReadonlyMap<string, Data.LibvirtModelRecord>;
  readonly #qemuRecords: ReadonlyMap<string, Data.QemuModelRecord>;
  readonly #qemuRows: ReadonlyMap<string, Row>;
  readonly #changes = new Map<string, Data.MachinesFile['changes']>();

  constructor(
    features: Data.FeaturesFile,
    libvirt: Data.LibvirtFile,
    qemu: Data.QemuFile,
    machines: Data.MachinesFile,
  ) {
    const ids = new Map(features.features.map((f, id) => [f.name, id]));
    this.features = features.features.map((f, id) => ({
      id,
      name: f.name,
      places: f.at.map(parsePlace),
      aliases: f.aliases ?? [],
      qemu: f.qemu ?? null,
      libvirt: f.libvirt ? { name: f.libvirt[0], since: f.libvirt[1] } : null,
      linux: f.linux ?? [],
      linuxHidden: f.linuxHidden ?? [],
      xen: f.xen ?? null,
      merge: f.merge ?? 'all',
      why: f.why ?? 'a guest may use it on any host, so every host must have it',
      migratable: !f.unmigratable,
      libvirtMigratable: !f.libvirtUnmigratable,
      needs: (f.needs ?? []).map((group) => group.map((name) => ids.get(name)!)),
      xsave: f.xsave ?? [],
      offered: new Set(f.offered),
      hostConditional: f.conditional ?? false,
      security: f.security ?? false,
    }));
    this.bits = this.features.length;
    this.vendors = features.vendors;
    this.versions = features.stacks;
    this.patches = features.patches;
    this.dependencies = features.dependencies.map((d) => ({
      any: d.any.map((name) => ids.get(name)!),
      clears: d.clears.map((name) => ids.get(name)!),
    }));
    this.#linuxVendor = features.linuxVendor;
    this.#linuxOnly = new Set(features.linuxOnly);
    this.#linuxVmx = features.linuxVmx;
    // QEMU's own spellings win over libvirt's, those over the kernel's, those over Xen's.
    for (const f of this.features) for (const name of [f.name, ...f.aliases]) this.#bySpelling.set(name, f);
    for (const f of this.features) {
      if (f.libvirt) this.#byLibvirt.set(f.libvirt.name, f);
      for (const name of [...f.linux, ...f.linuxHidden]) this.#byLinux.set(name, f);
      if (f.xen) this.#byXen.set(f.xen, f);
    }

    this.libvirtOrder = libvirt.featureOrder.map((name) => this.findLibvirt(name)!.id);
    this.#libvirtRecords = new Map(libvirt.models.map((m) => [m.name, m]));
    const libvirtRows = this.#expandLists(libvirt.models);
    this.libvirtModels = new Map(
      libvirt.models.map((m, order) => [
        m.name,
        {
          name: m.name,
          vendor: m.vendor ?? null,
          signatures: (m.signatures ?? []).map(([family, model, steppings]) => ({ family, model, steppings: steppings ?? null })),
          order,
          decodeHost: m.host !== false,
          decodeGuest: m.guest !== false,
          compat: m.compat ?? false,
          canonical: m.canonical ?? null,
          parent: m.parent ?? null,
          since: m.since,
          features: libvirtRows.get(m.name)!,
          added: (m.added ?? []).map((name) => ids.get(name)!),
          removed: (m.removed ?? []).map((name) => ids.get(name)!),
        },
      ]),
    );

    this.#qemuRecords = new Map(qemu.models.map((m) => [m.name, m]));
    this.#qemuRows = this.#expandLists(qemu.models.filter((m) => m.kind === 'versioned'));
    this.qemuModels = new Map(
      qemu.models.map((m, order) => {
        const versioned = m.kind === 'fixed-alias' ? this.#qemuRecords.get(m.of!)! : m;
        const base = versioned.base ?? m.name;
        const first = this.#qemuRecords.get(`${base}-v1`);
        const known = this.libvirtModels.get(base);
        return [
          m.name,
          {
            name: m.name,
            kind: m.kind,
            of: m.of ?? null,
            base,
            version: versioned.version ?? null,
            vendor: known ? known.vendor : (first?.vendor ?? null),
            since: m.since,
            until: m.until ?? null,
            order,
            values: versioned.values ?? first?.values ?? {},
            cache: versioned.cache ?? null,
          },
        ];
      }),
    );
    const accelerator = (a: { on: string[]; off: string[] }) => ({
      on: a.on.map((name) => ids.get(name)!),
      off: a.off.map((name) => ids.get(name)!),
    });
    this.accelerators = { kvm: accelerator(qemu.accelerators.kvm), tcg: accelerator(qemu.accelerators.tcg) };
    this.machines = machines.machines;
    this.allCpuChanges = machines.all;
    for (const change of machines.changes) {
      const key = `${change.qemu} ${change.model}`;
      this.#changes.set(key, [...(this.#changes.get(key) ?? []), change]);
    }
  }

  /** The feature of this spelling: QEMU's and its aliases, libvirt's, the kernel's or Xen's, in that order. */
  find(spelling: string): Feature | undefined {
    return (
      this.#bySpelling.get(spelling) ??
      this.#byLibvirt.get(spelling) ??
      this.#byLinux.get(spelling) ??
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
    const byVendor = this.#linuxVendor[flag];
    if (byVendor) {
      const name = vendor === null ? undefined : byVendor[vendor];
      return name === undefined ? 'linux-only' : this.#bySpelling.get(name)!;
    }
    return this.#byLinux.get(flag) ?? (this.#linuxOnly.has(flag) ? 'linux-only' : undefined);
  }

  /** The feature of a flag in the `vmx flags` line of /proc/cpuinfo. */
  findLinuxVmx(flag: string): Feature | undefined {
    const name = this.#linuxVmx[flag];
    return name === undefined ? undefined : this.#bySpelling.get(name);
  }

  /** The one feature of this QEMU name; a name that the code relies on and the data lacks is a bug. */
  feature(name: string): Feature {
    const found = this.#bySpelling.get(name);
    if (!found) throw new RangeError(`the catalog has no feature "${name}"`);
    return found;
  }

  /** A row of these features, by QEMU's names. */
  row(names: Iterable<string>): Row {
    return rowOf(this.bits, [...names].map((name) => this.feature(name).id));
  }

  /** libvirt's name for a vendor, from that name or from CPUID's twelve letters. */
  vendor(text: string): Vendor {
    return this.vendors.find((v) => v.id === text || v.name === text)?.name ?? text;
  }

  /** The features of a libvirt model in this libvirt, or null where it does not have the model. */
  libvirtFeatures(name: string, version: string): Row | null {
    const model = this.libvirtModels.get(name);
    if (!model || !this.isSince('libvirt', version, model.since)) return null;
    const was = this.#libvirtRecords.get(name)!.was?.[version];
    return was ? this.#adjust(model.features, was) : model.features;
  }

  /** Features that this libvirt took out of the model, and switches off unless asked for. */
  libvirtRemoved(name: string, version: string): readonly number[] {
    const was = this.#libvirtRecords.get(name)?.was?.[version];
    if (was) return was.removed.map((feature) => this.feature(feature).id);
    return this.libvirtModels.get(name)?.removed ?? [];
  }

  /** The table entry of a versioned QEMU model (latent features included), or null where that QEMU lacks it. */
  qemuFeatures(name: string, version: string): Row | null {
    const model = this.qemuModels.get(name);
    const row = this.#qemuRows.get(name);
    if (!model || !row || !this.hasQemuModel(name, version)) return null;
    const was = this.#qemuRecords.get(name)!.was?.[version];
    return was ? this.#adjust(row, was) : row;
  }

  hasQemuModel(name: string, version: string): boolean {
    const model = this.qemuModels.get(name);
    if (!model || !this.isSince('qemu', version, model.since)) return false;
    return model.until === null || this.isSince('qemu', model.until, version);
  }

  /** What machine types of this QEMU change about exactly this model name. */
  machineChanges(model: string, qemu: string): Data.MachinesFile['changes'] {
    return this.#changes.get(`${qemu} ${model}`) ?? [];
  }

  /** Whether version `has` of a product is at least version `since`; both are versions of the catalog. */
  isSince(product: Product, has: string, since: string): boolean {
    const order = this.versions[product];
    return order.indexOf(has) >= order.indexOf(since);
  }

  /** The features of a row by QEMU's names, in byte order; `unknown` names the bits past the catalog's. */
  names(row: Row, unknown: readonly string[] = []): string[] {
    const names: string[] = [];
    for (const [i, word] of row.entries())
      for (let rest = word; rest !== 0; rest &= rest - 1) {
        const id = i * 32 + (31 - Math.clz32(rest & -rest));
        names.push(this.features[id]?.name ?? unknown[id - this.bits]!);
      }
    return names.sort(byBytes);
  }

  #adjust(row: Row, was: { plus?: string[]; minus?: string[] }): Row {
    return minus(join(row, this.row(was.plus ?? [])), this.row(was.minus ?? []));
  }

  #expandLists(records: readonly (Data.LibvirtModelRecord | Data.QemuModelRecord)[]): Map<string, Row> {
    const rows = new Map<string, Row>();
    for (const r of records) {
      const like = r.like === undefined ? this.row([]) : rows.get(r.like)!;
      rows.set(r.name, this.#adjust(like, r));
    }
    return rows;
  }
}

function parsePlace(text: string): Place {
  const [kind, ...rest] = text.split('.');
  if (kind === 'msr') return { kind, msr: Number.parseInt(rest[0]!, 16), bit: Number(rest[1]) };
  const [leaf, subleaf, register, bit] = rest;
  if (kind !== 'cpuid' || !REGISTERS.has(register!)) throw new RangeError(`"${text}" is no place of a feature`);
  return {
    kind,
    leaf: Number.parseInt(leaf!, 16),
    subleaf: Number.parseInt(subleaf!, 16),
    register: register as Register,
    bit: Number(bit),
  };
}
