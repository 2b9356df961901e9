// What a guest needs of a host to run with nothing filtered, whatever language it was defined in.
import type { Row } from '../core/rows.ts';
import type { Vendor } from '../cpu/catalog.ts';

export interface Need {
  readonly id: string;
  /** Features that the guest asks for; as wide as the catalog. */
  readonly features: Row;
  /** Features that it asks for and the catalog does not know. */
  readonly unnamed: readonly string[];
  readonly arch: string;
  /** null where its CPU takes whatever vendor the host has. */
  readonly vendor: Vendor | null;
  /** Physical address bits that it must be given; null where the host's do. */
  readonly physBits: number | null;
  /** Why it runs on no host, whatever it offers; null where that depends on the host. */
  readonly refused: string | null;
}
