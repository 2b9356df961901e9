// What a CPU needs of a host, whatever it was written in: what the one rule (solve/fit.ts) holds against a class.
import type { Row } from '../core/rows.ts';
import type { Identity } from './arch/index.ts';
import type { Product, Vendor } from './catalog.ts';
import type { Note, XsaveComponent } from './facts.ts';
import type { ByName } from './guest.ts';

/** The versions of the catalog that start a guest. */
export interface Software {
  readonly qemu: string;
  readonly libvirt: string;
  /** Whether it is known that it is this QEMU and no other: then a machine type that it does not have is refused. */
  readonly isGiven?: boolean;
  /** The machine type of guests that do not say theirs. */
  readonly machine: string;
  /** What else of its host decides what a product makes of a definition; absent where no host is looked at. */
  readonly host?: HostFacts;
}

/** The host as a product sees it that starts a guest there. */
export interface HostFacts {
  readonly arch: string;
  readonly vendor: Vendor | null;
  /** The version of its QEMU, as it was told; null where it was not. */
  readonly qemu: string | null;
}

/** A model that is asked for by name, so that a host which lists its models must list it. */
export interface NamedModel {
  readonly name: string;
  /** In whose words. */
  readonly product: Product;
  /** The product that chooses hosts by the name alone, so that nothing may block it; null where none does. */
  readonly alone: ByName | null;
}

/** Rows are as wide as the catalog. */
export interface Need {
  readonly arch: string;
  /** null where its CPU takes whatever vendor the host has. */
  readonly vendor: Vendor | null;
  /** The model that its host must be, where features of the architecture are known by models alone; null for any. */
  readonly model: string | null;
  /** The host whose CPU it is, of another architecture than x86: what tells it from others. null where it has its own. */
  readonly like: Identity | null;
  /** Features that it asks for of the host: none under plain emulation, which has what it has on every host. */
  readonly features: Row;
  /** Features that it may ask for: its description cannot tell. */
  readonly open: Row;
  /** Features that it asks for and the catalog does not know. */
  readonly unnamed: readonly string[];
  /** Physical address bits that it must be given; null where the host's do. */
  readonly physBits: number | null;
  /**
   * Where the state of its components lies: only what is told can differ. 'lost' where its layout was not kept, so that
   * it is one of those which the hosts have.
   */
  readonly xsave: readonly XsaveComponent[] | 'lost';
  /** The frequency of its time stamp counter in Hz, where it is fixed. */
  readonly tscHz: number | null;
  readonly models: readonly NamedModel[];
  /** Features that libvirt's own check wants of the host's processor, though QEMU is not asked for them. */
  readonly held: Row;
  /** Features that the host's processor must not have. */
  readonly forbid: Row;
  /** All that it takes, where nothing of the host's may be left over; null where it may. */
  readonly whole: Row | null;
  /** Why it takes the CPU of the host on which it starts, and can move to equals alone; null where it has its own. */
  readonly own: string | null;
  /** Whether it starts without what the host lacks: 'perhaps' where libvirt looks at more than what guests are given. */
  readonly startsPoorer: 'yes' | 'no' | 'perhaps';
  /** What it goes without wherever it starts, as a sentence; null where that depends on the host. */
  readonly poorer: string | null;
  /** Why nothing starts it, whatever the host; null where that depends on the host. */
  readonly refused: string | null;
  /** Why nobody knows what it asks for; null where that is known. */
  readonly unsettled: string | null;
  /** What a person should know of the guest, wherever it runs. */
  readonly notes: readonly Note[];
}

/** A need of nothing, to be filled in. */
export const needing = (empty: Row, rest: Partial<Need> & Pick<Need, 'arch'>): Need => ({
  vendor: null,
  model: null,
  like: null,
  features: empty,
  open: empty,
  unnamed: [],
  physBits: null,
  xsave: [],
  tscHz: null,
  models: [],
  held: empty,
  forbid: empty,
  whole: null,
  own: null,
  startsPoorer: 'no',
  poorer: null,
  refused: null,
  unsettled: null,
  notes: [],
  ...rest,
});

/** What tells needs apart: those with equal keys ask the same. */
export const keyOfNeed = (need: Need): string =>
  JSON.stringify(need, (_, value) => (value instanceof Uint32Array ? value.join() : value));

/** What becomes of a guest on a host that lacks these features, where it may start all the same. */
export const startsWithout = (need: Need, features: readonly string[]): string | null =>
  need.startsPoorer === 'no' || features.length === 0
    ? null
    : `starts, without ${features.join(', ')}${need.startsPoorer === 'perhaps' ? ', or libvirt refuses it' : ''}`;
