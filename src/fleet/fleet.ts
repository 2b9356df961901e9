// Many hosts as weighted classes: hosts whose every answer must be the same share one row.
import { bitsOf, emptyRow, hasBit, type Row, Rows, setBit } from '../core/rows.ts';
import type { Catalog, Product, Vendor } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Description, Note, Signature, View, XsaveComponent } from '../cpu/host.ts';
import { offer } from '../cpu/offer.ts';
import { byBytes } from '../cpu/order.ts';

/** Spare bits of every row for names that the catalog does not know. */
const SPARE = 128;
const MAX_UNNAMED = 4096;
const LISTED = 20;

/** Hosts by id: the first 20 in byte order, and how many there are. */
export interface HostList {
  readonly count: number;
  readonly hosts: readonly string[];
}

/** An input that was left out because it could not be read. */
export interface Skipped {
  readonly input: string;
  readonly line?: number;
  readonly reason: string;
}

/** A host of the fleet and what is known of it beside its CPU. */
export interface Member {
  readonly id: string;
  readonly class: number;
  readonly keys: Readonly<Record<string, string | number | boolean>>;
  readonly microcode: string | null;
  readonly signature: Signature | null;
  readonly machine: string | null;
  readonly qemu: string | null;
  readonly model: Description['model'];
  readonly element: Description['element'];
  readonly selfHosted: boolean;
  readonly assumed: readonly string[];
  readonly notes: readonly Note[];
}

/** What a hypervisor lists: names, and the features that block each (null: blocked for no named reason). */
export type ModelList = NonNullable<Description['models']>;

/** Everything but the rows that can change an answer. */
export interface ClassFacts {
  readonly arch: string;
  readonly vendor: Vendor | null;
  readonly view: View;
  readonly physBits: number | null;
  readonly xsave: readonly XsaveComponent[] | null;
  /** The model lists at hand, by whose names they hold. */
  readonly models: { readonly [P in Product]?: ModelList };
}

/** One host as it enters a fleet: its offer is settled, its place in the fleet is not. */
export interface Candidate extends ClassFacts, Omit<Member, 'class'> {
  readonly has: Row;
  readonly known: Row;
  readonly unnamed: readonly string[];
  readonly unnamedUnknown: readonly string[];
}

/** A description and its id, settled into what it offers. */
export function candidate(catalog: Catalog, id: string, d: Description): Candidate {
  const { has, known, assumed } = offer(catalog, d);
  return {
    id,
    has,
    known,
    assumed,
    unnamed: d.unnamed,
    unnamedUnknown: d.unnamedUnknown,
    arch: d.arch,
    vendor: d.vendor,
    view: d.view,
    physBits: d.limits.physBits,
    xsave: d.xsave,
    models: d.models === null ? {} : { [d.dialect === 'qmp' ? 'qemu' : 'libvirt']: d.models },
    keys: d.keys,
    microcode: d.microcode,
    signature: d.signature,
    machine: d.machine,
    qemu: d.qemu,
    model: d.model,
    element: d.element,
    selfHosted:
      (d.view === 'hardware' || d.view === 'kernel') &&
      hasBit(d.has, catalog.feature('hypervisor').id),
    notes: d.notes,
  };
}

export interface FleetOptions {
  readonly skipped?: readonly Skipped[] | undefined;
  /** How many ids a list of hosts holds beside the count: 20 where nothing is said. */
  readonly listed?: number | undefined;
  /** The names unknown to the catalog, where another fleet of the same answer decides them. */
  readonly unnamed?: readonly string[] | undefined;
}

export class Fleet {
  readonly catalog: Catalog;
  /** Bits of one row: the catalog's features, then the unknown names in byte order, then spare. */
  readonly bits: number;
  readonly unnamed: readonly string[];
  readonly members: readonly Member[];
  readonly classes: readonly ClassFacts[];
  /** Members of each class, by index. */
  readonly hostsOf: readonly (readonly number[])[];
  readonly skipped: readonly Skipped[];
  /** One row a class: what it offers, then (from `bits` on) what is known of it. */
  readonly rows: Rows;
  readonly weights: Uint32Array;
  readonly #candidates: readonly Candidate[];
  readonly #listed: number;

  /** @throws QueryError when more names are unknown to the catalog than a row may hold. */
  constructor(catalog: Catalog, candidates: readonly Candidate[], options: FleetOptions = {}) {
    const unnamed = options.unnamed ?? unknownNames(candidates);
    this.catalog = catalog;
    this.skipped = options.skipped ?? [];
    this.#listed = options.listed ?? LISTED;
    this.unnamed = unnamed;
    this.#candidates = candidates;
    if (unnamed.length > MAX_UNNAMED)
      throw new QueryError(
        `${unnamed.length} feature names are unknown to the catalog (at most ${MAX_UNNAMED} are taken), beginning with "${unnamed.slice(0, 3).join('", "')}"; is this really a list of CPU features?`,
      );
    this.bits = Math.ceil((catalog.bits + Math.max(SPARE, unnamed.length)) / 128) * 128;
    const position = new Map(unnamed.map((name, i) => [name, catalog.bits + i]));

    // Facts become one more lane of the row, so that interning sees a class as one string of bits.
    const facts: ClassFacts[] = [];
    const factId = new Map<string, number>();
    const all = new Rows(2 * this.bits + 128);
    for (const c of candidates) {
      const row = emptyRow(2 * this.bits + 128);
      this.#write(row, 0, c.has, c.unnamed, position);
      this.#write(
        row,
        this.bits,
        c.known,
        unnamed.filter((name) => !c.unnamedUnknown.includes(name)),
        position,
      );
      const key = JSON.stringify([
        c.arch,
        c.vendor,
        c.view,
        c.physBits,
        c.xsave,
        listKey(c.models.libvirt),
        listKey(c.models.qemu),
      ]);
      let id = factId.get(key);
      if (id === undefined) {
        id = facts.length;
        factId.set(key, id);
        facts.push({
          arch: c.arch,
          vendor: c.vendor,
          view: c.view,
          physBits: c.physBits,
          xsave: c.xsave,
          models: c.models,
        });
      }
      row[(2 * this.bits) >> 5] = id;
      all.push(row);
    }
    const { classOf, weights, first } = all.intern();
    this.weights = weights;
    this.members = candidates.map((c, i) => ({
      id: c.id,
      class: classOf[i]!,
      keys: c.keys,
      microcode: c.microcode,
      signature: c.signature,
      machine: c.machine,
      qemu: c.qemu,
      model: c.model,
      element: c.element,
      selfHosted: c.selfHosted,
      assumed: c.assumed,
      notes: c.notes,
    }));
    this.rows = new Rows(2 * this.bits);
    const classes: ClassFacts[] = [];
    for (const index of first) {
      const row = all.at(index);
      classes.push(facts[row[(2 * this.bits) >> 5]!]!);
      this.rows.push(row.subarray(0, (2 * this.bits) >> 5));
    }
    this.classes = classes;
    const hostsOf: number[][] = classes.map(() => []);
    for (const [i, m] of this.members.entries()) hostsOf[m.class]!.push(i);
    this.hostsOf = hostsOf;
  }

  /** What guests on hosts of a class can have. */
  has(index: number): Row {
    return this.rows.at(index).slice(0, this.bits >> 5);
  }

  /** What is known of a class, there or not. */
  known(index: number): Row {
    return this.rows.at(index).slice(this.bits >> 5);
  }

  /** These features as a row that `rows` can be held against: nothing is asked of what is known. */
  needs(row: Row): Row {
    const needs = emptyRow(2 * this.bits);
    needs.set(row);
    return needs;
  }

  /** A row of this fleet without the names that the catalog does not know. */
  narrow(row: Row): Row {
    const out = emptyRow(this.catalog.bits);
    for (const id of bitsOf(row)) if (id < this.catalog.bits) setBit(out, id);
    return out;
  }

  /** Feature names of a row, in byte order. */
  names(row: Row): string[] {
    return this.catalog.names(row, this.unnamed);
  }

  featureName(id: number): string {
    return this.catalog.features[id]?.name ?? this.unnamed[id - this.catalog.bits]!;
  }

  /** The same fleet with these members only. */
  subset(members: readonly number[]): Fleet {
    return new Fleet(
      this.catalog,
      members.map((i) => this.#candidates[i]!),
      { skipped: this.skipped, listed: this.#listed, unnamed: this.unnamed },
    );
  }

  /** Hosts by member index: the first ids in byte order, and how many there are. */
  list(members: Iterable<number>): HostList {
    const ids = [...members].map((i) => this.members[i]!.id);
    return { count: ids.length, hosts: ids.sort(byBytes).slice(0, this.#listed) };
  }

  /** The members of these classes. */
  membersOf(classes: Iterable<number>): number[] {
    return [...classes].flatMap((c) => this.hostsOf[c]!);
  }

  #write(
    row: Row,
    at: number,
    features: Row,
    unnamed: readonly string[],
    position: ReadonlyMap<string, number>,
  ): void {
    row.set(features, at >> 5);
    for (const name of unnamed) setBit(row, at + position.get(name)!);
  }
}

const listKey = (list: ModelList | undefined) =>
  list ? [...list].sort(([a], [b]) => byBytes(a, b)) : null;

function unknownNames(candidates: readonly Candidate[]): string[] {
  const names = new Set<string>();
  for (const c of candidates)
    for (const list of [c.unnamed, c.unnamedUnknown]) for (const name of list) names.add(name);
  return [...names].sort(byBytes);
}
