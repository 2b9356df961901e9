// What one document says about one CPU, before anything is concluded from it.
import type { Row } from '../core/rows.ts';
import type { Identity } from './arch/arch.ts';
import { archRecord } from './arch/index.ts';
import type { Vendor } from './catalog/catalog.ts';
import type { LibvirtCpu } from './cpu-element.ts';
import { QueryError } from './errors.ts';
import type { Asked } from './guest.ts';
import type { ListMaker } from './model-lists.ts';
import { isPrintable } from './printable.ts';
import type { Note, Signature, Tsc, XsaveComponent } from './processor-facts.ts';
import type { ProxmoxModel } from './proxmox-line.ts';
import type { Words } from './register-words.ts';
import type { Saved } from './saved-line.ts';

export type { Note, Signature, Tsc, XsaveComponent } from './processor-facts.ts';

/** What a description speaks for: CPUID, the kernel's flags, what a hypervisor hands out, or a virtual machine. */
export type View = 'hardware' | 'kernel' | 'hypervisor' | 'guest';

/** Whether a bit is set, by its place as the catalog writes it: cpuid.7.0.edx.15. */
export type Bits = Readonly<Record<string, boolean>>;

export interface Description {
  /** The dialect that was read, and where in its file (1-based line) this CPU begins. */
  readonly dialect: string;
  readonly line: number | null;
  /** The name that the document itself gives the host (never a UUID), or null. */
  readonly host: string | null;
  readonly view: View;
  readonly arch: string;
  readonly vendor: Vendor | null;
  /** What it says is there, as it says it: nothing concluded yet. Catalog.bits wide. */
  readonly has: Row;
  /** What it says anything about, there or not. */
  readonly known: Row;
  /** Features that it has and the catalog does not know, in its own spelling. */
  readonly unnamed: readonly string[];
  /** Features unknown to the catalog of which it says that it cannot tell. */
  readonly unnamedUnknown: readonly string[];
  readonly limits: { readonly physBits: number | null };
  readonly signature: Signature | null;
  readonly microcode: string | null;
  readonly xsave: readonly XsaveComponent[] | null;
  /**
   * Model names that the hypervisor lists, with the features that block each: none is usable as it stands,
   * null is listed but unusable for a reason that no feature explains. null where the document lists no models.
   */
  readonly models: ReadonlyMap<string, readonly string[] | null> | null;
  /** Who lists them, where neither the dialect nor the software tells. */
  readonly lister?: ListMaker;
  /** The machine type and QEMU version that it speaks for, where it says so. */
  readonly machine: string | null;
  readonly qemu: string | null;
  /** The host's kernel, as uname -r prints it, where the document says so. */
  readonly kernel: string | null;
  /** Another kernel that the host is asked about: what KVM would give there of what it shows. */
  readonly asIf?: string;
  /** The CPU model that it is written relative to, and whether the catalog knows it. */
  readonly model: { readonly name: string; readonly known: boolean } | null;
  /** The libvirt element that it was read from, as written. */
  readonly element: LibvirtCpu | null;
  /** Its definition, where it is a guest's: rows and limits are what the newest software makes of it. */
  readonly asked?: Asked;
  /** The custom model of Proxmox VE that it is, for the VMs beside it that name it. */
  readonly defines?: ProxmoxModel;
  /** The model that a cluster gives machines without one; null for such a machine. */
  readonly cluster?: { readonly gives: string | null };
  /** A saved answer of this project, where it was read from one. */
  readonly saved?: Saved;
  readonly tsc?: Tsc | null;
  /** A processor that was taken by its model's name: what the catalog does not hold of it stands in nobody's way. */
  readonly named?: true;
  /** The libvirt that it speaks for, where it says so. */
  readonly libvirt?: string | null;
  /** The words of its first processor, where it is a dump. */
  readonly words?: Words;
  /** Bits of CPUID that are no features and by which KVM decides, by their places: of no others is anything told. */
  readonly bits?: Bits;
  /** The processor version register, where it is a POWER processor. */
  readonly pvr?: number;
  /** Where it is an Arm processor: the MIDR of every kind of core, its ID registers, and its lengths of SVE vectors. */
  readonly midr?: Identity['midr'];
  readonly registers?: Identity['registers'];
  readonly sve?: Identity['sve'];
  /** A hypervisor lists what cannot migrate, too. */
  readonly listsUnmigratable?: true;
  /** The features that a hypervisor lists, whatever it says of them; others it does not know at all. */
  readonly told?: Row;
  /** Other keys of a host record. */
  readonly keys: Readonly<Record<string, string | number | boolean>>;
  readonly notes: readonly Note[];
}

/**
 * @throws QueryError for a name of a feature or model with characters that cannot be seen: two names that look alike would
 * be two features, and no definition could hold one.
 */
export function checkNames(where: string, d: Description): void {
  const names = [...d.unnamed, ...d.unnamedUnknown, ...(d.models?.keys() ?? [])];
  if (d.model) names.push(d.model.name);
  for (const name of names)
    if (!isPrintable(name))
      throw new QueryError(
        `${where}: the name ${JSON.stringify(name)} holds characters that cannot be seen; write it without them`,
      );
}

/** Whether it shows what a host is, and not what its guests are given. */
export const isShown = ({ view }: Pick<Description, 'view'>): boolean =>
  view === 'hardware' || view === 'kernel';

/** Whether it is of the architecture that the catalog describes. */
export const isX86 = ({ arch }: Pick<Description, 'arch'>): boolean => archRecord(arch).isX86;

/** The same with this kernel, where it matters and none is told. */
export const withKernel = (d: Description, kernel: string | null): Description =>
  kernel === null || d.kernel !== null || !isShown(d) ? d : { ...d, kernel };

/** The codes of notes by which a description is of another hypervisor than KVM. */
const OTHERS = new Set(['emulated', 'other-hypervisor']);

/** Whether what it tells guests are given can be KVM's. */
export const isOfKvm = ({ notes }: Pick<Description, 'notes'>): boolean =>
  !notes.some((note) => OTHERS.has(note.code));

const UNSETTLED = new Set(['host-cpu', 'default-cpu', 'refused']);

/** Of a host, what is written beside a model that is not known holds all the same; of a guest, it is no CPU yet. */
const UNSETTLED_GUEST = new Set([...UNSETTLED, 'unknown-model']);

/** Why it is not known which CPU a guest gets: its host, its machine type or its platform settles it. Null where it is. */
export const unsettled = ({ view, notes }: Pick<Description, 'view' | 'notes'>): Note | null => {
  const codes = view === 'guest' ? UNSETTLED_GUEST : UNSETTLED;
  return notes.find((note) => codes.has(note.code)) ?? null;
};
