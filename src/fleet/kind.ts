// What hosts of a fleet are: a kind is a CPU and all that is known beside it, so hosts of one kind differ in
// nothing but their names. Millions of hosts come down to a few kinds.
import { hasBit, type Row } from '../core/rows.ts';
import { archRecord, type Identity } from '../cpu/arch/index.ts';
import type { Catalog, Vendor } from '../cpu/catalog/catalog.ts';
import {
  type Description,
  isX86,
  type Note,
  type Signature,
  type Tsc,
  type View,
  type XsaveComponent,
} from '../cpu/description.ts';
import type { Asked } from '../cpu/guest.ts';
import { LISTERS, listerOf, type ModelList, type ModelLists } from '../cpu/model-lists.ts';
import { byBytes } from '../cpu/order.ts';
import { archOf } from '../cpu/proven/floor.ts';
import { offer } from '../cpu/proven/offer.ts';
import type { Saved } from '../cpu/saved-line.ts';

export type { ModelList } from '../cpu/model-lists.ts';

/** Everything but the rows that can change an answer. */
export interface ClassFacts {
  readonly arch: string;
  readonly vendor: Vendor | null;
  readonly view: View;
  readonly physBits: number | null;
  /** A processor that was taken by its name: address bits that are not known stand in nobody's way. */
  readonly named?: true;
  readonly xsave: readonly XsaveComponent[] | null;
  /** The model lists at hand, by whose names they hold. */
  readonly models: ModelLists;
  /** What tells CPUs of other architectures than x86 apart beside features. */
  readonly identity?: Identity;
}

/** What is known of hosts beside their CPU. */
interface Beside {
  readonly keys: Readonly<Record<string, string | number | boolean>>;
  readonly microcode: string | null;
  readonly signature: Signature | null;
  readonly machine: string | null;
  readonly qemu: string | null;
  readonly model: Description['model'];
  readonly libvirt: string | null;
  readonly tsc: Tsc | null;
  /** The definition of a guest, and the answer that was saved, where it was read from one. */
  readonly asked: Asked | null;
  readonly saved: Saved | null;
  readonly selfHosted: boolean;
  readonly assumed: readonly string[];
  readonly notes: readonly Note[];
}

/** Hosts that differ in nothing but their names. */
export interface Kind extends ClassFacts, Beside {
  readonly has: Row;
  readonly known: Row;
  readonly unnamed: readonly string[];
  readonly unnamedUnknown: readonly string[];
  /** The documents that it was settled from, where they were kept, to ask the same of another kernel. */
  readonly described?: readonly Described[];
}

/** What one document says of a host, and the input that it stands in where another says more. */
interface Described {
  readonly input: string;
  readonly description: Description;
}

/** One host as it enters a fleet: its offer is settled, its place in the fleet is not. */
export interface Candidate extends Kind {
  readonly id: string;
}

/** A host of the fleet and what is known of it beside its CPU. */
export interface Member extends Beside {
  readonly id: string;
  readonly class: number;
}

/** What a description says, settled into what its host offers. */
export function kindOfHost(catalog: Catalog, d: Description): Kind {
  const told = offer(catalog, d);
  const { has, known, assumed, notes, unnamed = d.unnamed } = told;
  const { unnamedUnknown = d.unnamedUnknown } = told;
  return {
    has,
    known,
    assumed,
    unnamed,
    unnamedUnknown,
    arch: archOf(catalog, d),
    vendor: d.vendor,
    view: d.view,
    physBits: d.limits.physBits,
    ...(d.named ? { named: true as const } : {}),
    xsave: d.xsave,
    models: d.models === null ? {} : { [listerOf(d)]: d.models },
    ...(isX86(d) ? {} : { identity: identityOf(d) }),
    keys: d.keys,
    microcode: d.microcode,
    signature: d.signature,
    machine: d.machine,
    qemu: d.qemu,
    // Models of x86 are their features.
    model: isX86(d) && d.view !== 'guest' ? null : d.model,
    libvirt: d.libvirt ?? null,
    tsc: d.tsc ?? null,
    // A host may be described by a type that guests are given there, too.
    asked: (d.view === 'guest' && d.asked) || null,
    saved: d.saved ?? null,
    selfHosted:
      (d.view === 'hardware' || d.view === 'kernel') &&
      hasBit(d.has, catalog.feature('hypervisor').id),
    notes: notes.length > 0 ? [...d.notes, ...notes] : d.notes,
  };
}

/** What is told of a host of another architecture than x86. */
const identityOf = (d: Description): Identity => ({
  model: archRecord(d.arch).modelOf(d),
  midr: d.midr ?? null,
  registers: d.registers ?? null,
  sve: d.sve ?? null,
});

/** What tells classes apart beside their rows, as text. */
export const factsKey = (c: ClassFacts): string =>
  JSON.stringify([
    c.arch,
    c.vendor,
    c.view,
    c.physBits,
    c.named,
    c.xsave,
    LISTERS.map((lister) => listKey(c.models[lister])),
    ...(c.identity ? [c.identity] : []),
  ]);

/** All that a kind or a description says as text, the same however documents order their keys and lists of models. */
export const kindText = (said: Kind | Description): string =>
  JSON.stringify(said, (_, value: unknown) => {
    if (ArrayBuffer.isView(value)) return Array.from(value as Row);
    if (value instanceof Map) return [...value].sort(([a], [b]) => byBytes(a, b));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => byBytes(a, b)));
  });

const listKey = (list: ModelList | undefined) =>
  list ? [...list].sort(([a], [b]) => byBytes(a, b)) : null;

/** A description and its id, settled into what it offers. */
export const candidate = (catalog: Catalog, id: string, d: Description): Candidate => ({
  id,
  ...kindOfHost(catalog, d),
});
