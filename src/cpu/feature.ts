// The records of the catalog: what a feature and a model are, without how they are found.
import type { Row } from '../core/rows.ts';
import type { Values } from './schema.ts';

/** libvirt's name of a vendor: Intel, AMD, Hygon, ... or the twelve letters of one that it does not know. */
export type Vendor = string;
export type Product = 'libvirt' | 'qemu';
export type Register = 'eax' | 'ebx' | 'ecx' | 'edx';

/** One bit of a CPUID word, or of a model-specific register. */
export type BitPlace =
  | {
      readonly kind: 'cpuid';
      readonly leaf: number;
      readonly subleaf: number;
      readonly register: Register;
      readonly bit: number;
    }
  | { readonly kind: 'msr'; readonly msr: number; readonly bit: number };

/** How the feature of several hosts becomes the feature of the fleet. */
export type Merge = 'all' | 'any' | 'equal' | 'never';

export interface VendorName {
  readonly name: Vendor;
  /** CPUID's twelve letters. */
  readonly id: string;
  /** The oldest libvirt of the catalog that knows it. */
  readonly libvirt: string;
}

export interface Feature {
  /** Its bit in every row. */
  readonly id: number;
  /** QEMU's name; libvirt's or Xen's where QEMU has none. */
  readonly name: string;
  /** Where it lives; a few have two places. */
  readonly places: readonly BitPlace[];
  /** The model-specific register that it is in, if it is in no word of CPUID. */
  readonly msr: number | null;
  /** It stands in the CPUID leaf in which KVM introduces itself to guests, not in one of the processor's. */
  readonly isKvm: boolean;
  /** Other spellings that QEMU takes. */
  readonly aliases: readonly string[];
  /** The oldest QEMU of the catalog that knows it. */
  readonly qemu: string | null;
  /** libvirt's spelling, the oldest libvirt of the catalog that knows it, and where older ones look for it instead. */
  readonly libvirt: {
    readonly name: string;
    readonly since: string;
    readonly was: Readonly<Record<string, BitPlace>>;
  } | null;
  /** Spellings in /proc/cpuinfo whose absence means that the feature is absent, where the kernel is young enough. */
  readonly linux: readonly string[];
  /** Spellings that some kernels print and others hide: absence says nothing. */
  readonly linuxHidden: readonly string[];
  /** The kernel from which on the absence of these spellings tells, as the data has it; null is every kernel read. */
  readonly linuxAbsence: string | null;
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
  /** Who defines it, where neither QEMU nor libvirt has a name for it. */
  readonly source: string | null;
  /** It mitigates a hardware vulnerability, or claims immunity to one. */
  readonly security: boolean;
}

/** A CPU model of libvirt's map. */
export interface LibvirtModel {
  readonly name: string;
  readonly vendor: Vendor | null;
  readonly signatures: readonly {
    readonly family: number;
    readonly model: number;
    readonly steppings: readonly number[] | null;
  }[];
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
  readonly values: Values;
  readonly cache: string | null;
}
