// A CPU in the words of one product, as it is handed to a guest.
import type { Product, Vendor } from './catalog.ts';

/** A model name and what to switch on and off beside it: its expansion there equals the features of the answer. */
export interface Definition {
  readonly name: string;
  /** Features by QEMU's names, in byte order; a dialect spells them its own way. */
  readonly require: readonly string[];
  readonly disable: readonly string[];
}
export type Definitions = { readonly libvirt?: Definition; readonly qemu?: Definition };

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
  /** The same features by one of these names, for products that take no others. */
  readonly rename?: (product: Product, names: readonly string[]) => Definition | null;
}
