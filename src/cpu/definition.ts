// A CPU in the words of one product, as it is handed to a guest.
import type { Product, Vendor } from './feature.ts';

/** A model name and what to switch on and off beside it: its expansion there equals the features of the answer. */
export interface Definition {
  readonly name: string;
  /** Features by QEMU's names, in byte order; a dialect spells them its own way. */
  readonly require: readonly string[];
  readonly disable: readonly string[];
}
export type Definitions = { readonly libvirt?: Definition; readonly qemu?: Definition };

/** A definition for a product that chooses hosts by the name of the model, and the hosts that it will not choose. */
export interface Scheduled {
  readonly definition: Definition;
  readonly without: { readonly count: number; readonly hosts: readonly string[] };
}

/** The CPU of a guest, ready to be written in any language. */
export interface GuestCpu {
  readonly arch: string;
  readonly vendor: Vendor | null;
  readonly definitions: Definitions;
  /** What the guest gets, by QEMU's names in byte order, whichever definition is used. */
  readonly features: readonly string[];
  /** Physical address bits to give the guest; null where nothing should be written. */
  readonly physBits: number | null;
  /** Features that some host has, or may have, and the guest must not see; where absent, any may be. */
  readonly beyond?: readonly string[];
  /** Features that some host is known to lack, so that no guest which asks for one starts there. */
  readonly lacked?: readonly string[];
  /** What of the features a definition leaves out, because the product is not one that was asked for. */
  readonly unsaid?: { readonly [P in Product]?: readonly string[] };
  /** The oldest release of each product that is to understand it. */
  readonly oldest?: { readonly [P in Product]?: string };
  /** What it is to be called where a product files CPUs by name; its language's own word where absent. */
  readonly called?: string;
  /** Machine types that hosts speak for. */
  readonly machines?: readonly string[];
  /** How many hosts are described by something else than their hypervisor. */
  readonly concluded?: number;
  /** The same features by one of these names, for products that take no others. */
  readonly rename?: (product: Product, names: readonly string[]) => Definition | null;
  /** The same by a name that is usable on every host as it stands; `never` are names that the product finds nowhere. */
  readonly byName?: (never: ReadonlySet<string>) => Scheduled | null;
}
