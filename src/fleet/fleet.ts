// Many hosts as weighted classes: hosts whose every answer must be the same share one row. What is kept of a host
// is its name and its kind, and of a kind its class.
import { emptyRow, type Row, Rows, rowOf, setBit } from '../core/rows.ts';
import type { Catalog } from '../cpu/catalog/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import { byBytes } from '../cpu/order.ts';
import { type Gathered, gather, withoutEmpty } from './gathered.ts';
import { type Batch, batchOf, type First, firstOfEach, GONE, hostsIn, idAt } from './hosts.ts';
import {
  type Candidate,
  type ClassFacts,
  factsKey,
  type Kind,
  kindText,
  type Member,
} from './kind.ts';
import { type HostList, type LeftAside, LISTED, type Skipped } from './told.ts';

export type { Gathered } from './gathered.ts';
export {
  type Candidate,
  type ClassFacts,
  candidate,
  type Kind,
  type Member,
} from './kind.ts';
export type { HostList, LeftAside, Skipped } from './told.ts';

/** Spare bits of every row for names that the catalog does not know. */
const SPARE = 128;
const MAX_UNNAMED = 4096;
/** Counts in the core have 32 bits. */
const MAX_HOSTS = 2 ** 32 - 1;

export interface FleetOptions {
  readonly skipped?: readonly Skipped[] | undefined;
  /** What took no part: told of the fleet as a whole, so a part of it has none. */
  readonly left?: readonly LeftAside[] | undefined;
  /** How many ids a list of hosts holds beside the count: 20 where nothing is said. */
  readonly listed?: number | undefined;
  /** The names unknown to the catalog, where another fleet of the same answer decides them. */
  readonly unnamed?: readonly string[] | undefined;
}

/** Hosts of a fleet that are whole kinds: counted and listed without looking at each. Iterates over members. */
export class HostSet implements Iterable<number> {
  readonly length: number;
  readonly #fleet: Fleet;
  /** 1 for each kind that is in it. */
  readonly #kinds: Uint8Array;

  constructor(fleet: Fleet, keep: (kind: number) => boolean) {
    this.#fleet = fleet;
    this.#kinds = new Uint8Array(fleet.kinds.length);
    let length = 0;
    for (let kind = 0; kind < this.#kinds.length; kind++) {
      if (!keep(kind)) continue;
      this.#kinds[kind] = 1;
      length += fleet.kindWeights[kind]!;
    }
    this.length = length;
  }

  hasKind(kind: number): boolean {
    return this.#kinds[kind] === 1;
  }

  *[Symbol.iterator](): Generator<number> {
    for (const [i, kind] of this.#fleet.kindOfMember.entries()) if (this.hasKind(kind)) yield i;
  }
}

/** Every host by itself, where somebody asks. */
interface Everyone {
  readonly list: readonly Member[];
  readonly kinds: readonly number[];
  readonly ofClass: readonly (readonly number[])[];
}

export class Fleet {
  readonly catalog: Catalog;
  /** Bits of one row: the catalog's features, then the unknown names in byte order, then spare. */
  readonly bits: number;
  readonly unnamed: readonly string[];
  /** How many hosts there are. */
  readonly hosts: number;
  readonly kinds: readonly Kind[];
  /** Hosts of each kind. */
  readonly kindWeights: Float64Array;
  readonly classOfKind: Uint32Array;
  /** In an order that depends on what they are alone: neither on hosts nor on where they were read. */
  readonly classes: readonly ClassFacts[];
  readonly skipped: readonly Skipped[];
  readonly left: readonly LeftAside[];
  /** One row a class: what it offers, then (from `bits` on) what is known of it. */
  readonly rows: Rows;
  readonly weights: Uint32Array;
  /** Keys of host records that some host has, whether they were kept or not. */
  readonly keys: readonly string[];
  readonly #batches: readonly Batch[] | null;
  readonly #listed: number;
  #members: Everyone | undefined;
  #firsts: readonly First[] | undefined;

  /** @throws QueryError when more names are unknown to the catalog than a row may hold. */
  constructor(
    catalog: Catalog,
    hosts: readonly Candidate[] | Gathered,
    options: FleetOptions = {},
  ) {
    const gathered = 'kinds' in hosts ? withoutEmpty(hosts) : gather(hosts);
    const { kinds, batches } = gathered;
    const unnamed = options.unnamed ?? unknownNames(kinds);
    this.catalog = catalog;
    this.kinds = kinds;
    this.kindWeights = Float64Array.from(gathered.weights);
    this.hosts = this.kindWeights.reduce((sum, n) => sum + n, 0);
    if (this.hosts > MAX_HOSTS)
      throw new QueryError(
        `${this.hosts} hosts are more than can be counted at once, which is ${MAX_HOSTS}; ask about parts of them`,
      );
    this.keys = gathered.keys ?? [...new Set(kinds.flatMap((k) => Object.keys(k.keys)))];
    this.skipped = options.skipped ?? [];
    this.left = options.left ?? [];
    this.#listed = options.listed ?? LISTED;
    this.#batches = batches;
    this.unnamed = unnamed;
    if (unnamed.length > MAX_UNNAMED)
      throw new QueryError(
        `${unnamed.length} feature names are unknown to the catalog (at most ${MAX_UNNAMED} are taken), beginning with "${unnamed.slice(0, 3).join('", "')}"; is this really a list of CPU features?`,
      );
    this.bits = Math.ceil((catalog.bits + Math.max(SPARE, unnamed.length)) / 128) * 128;
    const { rows, classes, classOf } = this.#intern();
    this.rows = rows;
    this.classes = classes;
    this.classOfKind = classOf;
    this.weights = new Uint32Array(classes.length);
    for (const [kind, n] of this.kindWeights.entries()) this.weights[classOf[kind]!]! += n;
  }

  /** Every host by itself, in the order of their ids: for fleets of a size that people look at. */
  get members(): readonly Member[] {
    return this.#everyone().list;
  }

  /** The kind of each of `members`. */
  get kindOfMember(): readonly number[] {
    return this.#everyone().kinds;
  }

  /** Members of each class, by index. */
  get hostsOf(): readonly (readonly number[])[] {
    return this.#everyone().ofClass;
  }

  /** What guests on hosts of a class can have. */
  has(index: number): Row {
    return this.rows.at(index).subarray(0, this.bits >> 5);
  }

  /** What is known of a class, there or not. */
  known(index: number): Row {
    return this.rows.at(index).subarray(this.bits >> 5);
  }

  /** The classes that offer a feature, as a row with a bit a class. */
  offering(id: number): Row {
    return this.rows.covers(this.needs(rowOf(this.bits, [id]))).bitmap;
  }

  /** The classes of which it is known whether they offer a feature. */
  knowing(id: number): Row {
    return this.rows.covers(rowOf(2 * this.bits, [this.bits + id])).bitmap;
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
    const last = this.catalog.bits >> 5;
    for (let i = 0; i < last; i++) out[i] = row[i]!;
    // The names that follow begin in the midst of a word.
    if (last < out.length) out[last] = row[last]! & ((1 << (this.catalog.bits & 31)) - 1);
    return out;
  }

  /** Feature names of a row, in byte order. */
  names(row: Row): string[] {
    return this.catalog.names(row, this.unnamed);
  }

  featureName(id: number): string {
    return this.catalog.features[id]?.name ?? this.unnamed[id - this.catalog.bits]!;
  }

  /** The same fleet with these hosts only: whole kinds, or members by index. `left`: what is still to be told of it. */
  subset(hosts: HostSet | Iterable<number>, left: readonly LeftAside[] = []): Fleet {
    const isKept = hosts instanceof HostSet ? null : new Set(hosts);
    if (isKept === null) return this.#with((kind) => (hosts as HostSet).hasKind(kind), left);
    const ids = [...isKept].map((i) => this.members[i]!.id);
    return this.#of(
      {
        kinds: this.kinds,
        weights: [],
        batches: [
          batchOf(
            ids,
            [...isKept].map((i) => this.kindOfMember[i]!),
          ),
        ],
      },
      left,
    );
  }

  /** The same fleet without the hosts of these ids, or the ids that no host has. */
  without(ids: ReadonlySet<string>): Fleet | { readonly unknown: readonly string[] } {
    const missing = new Set(ids);
    const batches = (this.#batches ?? []).map((batch) => {
      const kinds = batch.kinds.slice();
      for (const i of kinds.keys()) {
        if (kinds[i] === GONE) continue;
        const id = idAt(batch, i);
        if (!ids.has(id)) continue;
        missing.delete(id);
        kinds[i] = GONE;
      }
      return { ...batch, kinds };
    });
    if (missing.size > 0) return { unknown: [...missing] };
    return this.#of({ kinds: this.kinds, weights: [], batches }, this.left);
  }

  /** The same hosts with other kinds in the place of theirs, number by number, in the words of a catalog. */
  as(kinds: readonly Kind[], catalog: Catalog = this.catalog): Fleet {
    const gathered = { kinds, weights: this.kindWeights, batches: this.#batches, keys: this.keys };
    const { skipped, unnamed, left } = this;
    const isSame = catalog === this.catalog;
    const names = isSame ? { unnamed } : {};
    return new Fleet(catalog, gathered, { skipped, listed: this.#listed, left, ...names });
  }

  /** Every host with its kind; none where names are not kept. */
  ids(): Iterable<{ readonly id: string; readonly kind: number }> {
    return hostsIn(this.#batches ?? [], this.#identity());
  }

  /** Hosts by member index or as whole kinds: the first ids in byte order, and how many there are. */
  list(hosts: HostSet | Iterable<number>): HostList {
    if (!(hosts instanceof HostSet)) {
      const ids = [...hosts].map((i) => this.members[i]!.id);
      return { count: ids.length, hosts: ids.sort(byBytes).slice(0, this.#listed) };
    }
    const firsts = this.#firstOfEach();
    const ids: string[] = [];
    for (let i = 0; i < firsts.length && ids.length < this.#listed; i++) {
      const { id, kind } = firsts[i]!;
      if (hosts.hasKind(kind)) ids.push(id);
    }
    return { count: hosts.length, hosts: ids };
  }

  /** The hosts of the classes that a test holds for. */
  membersOf(keep: (index: number) => boolean): HostSet {
    const isKept = new Uint8Array(this.classes.length);
    for (let index = 0; index < isKept.length; index++) isKept[index] = Number(keep(index));
    return new HostSet(this, (kind) => isKept[this.classOfKind[kind]!] === 1);
  }

  /** The hosts of the kinds that a test holds for. */
  hostsWhere(keep: (kind: Kind, index: number) => boolean): HostSet {
    return new HostSet(this, (index) => keep(this.kinds[index]!, index));
  }

  /**
   * The numbers of all kinds, in an order that the order of inputs does not change: that of their first hosts, and where
   * nobody asks who they are, that of what they are.
   */
  kindsInOrder(): number[] {
    const named = new Set(this.#firstOfEach().map(({ kind }) => kind));
    const others = this.#identity().filter((kind) => !named.has(kind));
    const texts = new Map(others.map((kind) => [kind, kindText(this.kinds[kind]!)]));
    others.sort(
      (a, b) =>
        this.classOfKind[a]! - this.classOfKind[b]! || byBytes(texts.get(a)!, texts.get(b)!),
    );
    return [...named, ...others];
  }

  #firstOfEach(): readonly First[] {
    const batches = this.#batches ?? [];
    this.#firsts ??= firstOfEach(batches, this.#identity(), this.kinds.length, this.#listed);
    return this.#firsts;
  }

  #identity(): number[] {
    return [...this.kinds.keys()];
  }

  /** The kinds that are kept; hosts of others are gone, and their names stay where they are. */
  #with(keep: (kind: number) => boolean, left: readonly LeftAside[]): Fleet {
    const kept = [...this.kinds.keys()].filter(keep);
    const now = new Map(kept.map((kind, i) => [kind, i]));
    return this.#of(
      {
        kinds: kept.map((kind) => this.kinds[kind]!),
        weights: kept.map((kind) => this.kindWeights[kind]!),
        batches:
          this.#batches?.map((batch) => ({
            ...batch,
            kinds: batch.kinds.map((kind) => now.get(kind) ?? GONE),
          })) ?? null,
      },
      left,
    );
  }

  #of(gathered: Gathered, left: readonly LeftAside[]): Fleet {
    return new Fleet(
      this.catalog,
      { ...gathered, keys: this.keys },
      { skipped: this.skipped, left, listed: this.#listed, unnamed: this.unnamed },
    );
  }

  #everyone(): Everyone {
    if (this.#members) return this.#members;
    const all = this.#batches
      ? [...hostsIn(this.#batches, this.#identity())].sort((a, b) => byBytes(a.id, b.id))
      : this.kinds.flatMap((_, kind) =>
          Array.from({ length: this.kindWeights[kind]! }, () => ({ id: '', kind })),
        );
    const list = all.map(({ id, kind }): Member => {
      const { keys, microcode, signature, machine, qemu, model, ...k } = this.kinds[kind]!;
      const { selfHosted, assumed, notes, libvirt, tsc, asked, saved } = k;
      const beside = { keys, microcode, signature, machine, qemu, model, libvirt, tsc };
      const of = { asked, saved, selfHosted, assumed, notes };
      return { id, class: this.classOfKind[kind]!, ...beside, ...of };
    });
    const ofClass: number[][] = this.classes.map(() => []);
    for (const [i, m] of list.entries()) ofClass[m.class]!.push(i);
    this.#members = { list, kinds: all.map(({ kind }) => kind), ofClass };
    return this.#members;
  }

  /** Kinds of equal rows and facts are one class. */
  #intern(): { rows: Rows; classes: ClassFacts[]; classOf: Uint32Array } {
    const position = new Map(this.unnamed.map((name, i) => [name, this.catalog.bits + i]));
    // Facts become one more lane of the row, so that interning sees a class as one string of bits.
    const facts: { readonly key: string; readonly of: ClassFacts }[] = [];
    const factId = new Map<string, number>();
    const all = new Rows(2 * this.bits + 128);
    all.reserve(this.kinds.length);
    for (const kind of this.kinds) {
      const row = emptyRow(2 * this.bits + 128);
      this.#write(row, 0, kind.has, kind.unnamed, position);
      const told = this.unnamed.filter((name) => !kind.unnamedUnknown.includes(name));
      this.#write(row, this.bits, kind.known, told, position);
      const key = factsKey(kind);
      let id = factId.get(key);
      if (id === undefined) {
        id = facts.length;
        factId.set(key, id);
        const { arch, vendor, view, physBits, named, xsave, models, identity } = kind;
        const of = { arch, vendor, view, physBits, xsave, models };
        const more = { ...(named ? { named } : {}), ...(identity ? { identity } : {}) };
        facts.push({ key, of: { ...of, ...more } });
      }
      row[(2 * this.bits) >> 5] = id;
      all.push(row);
    }
    const { classOf, first } = all.intern();
    const found = [...first].map((index, i) => {
      const row = all.at(index);
      const { key, of } = facts[row[(2 * this.bits) >> 5]!]!;
      return { i, key, of, row: row.slice(0, (2 * this.bits) >> 5) };
    });
    all.free();
    found.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : compareRows(a.row, b.row)));
    const rows = new Rows(2 * this.bits);
    const number = new Uint32Array(found.length);
    for (const { i, row } of found) number[i] = rows.push(row);
    return { rows, classes: found.map((f) => f.of), classOf: classOf.map((i) => number[i]!) };
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

function compareRows(a: Row, b: Row): number {
  const at = a.findIndex((word, i) => word !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}

function unknownNames(kinds: readonly Kind[]): string[] {
  const names = new Set<string>();
  for (const c of kinds)
    for (const list of [c.unnamed, c.unnamedUnknown]) for (const name of list) names.add(name);
  return [...names].sort(byBytes);
}
