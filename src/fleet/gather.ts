// Hosts as inputs bring them, on their way into a fleet: named where their documents name none, and joined where
// several speak of one.
import type { Catalog } from '../cpu/catalog/catalog.ts';
import { type Description, withKernel } from '../cpu/description.ts';
import { QueryError } from '../cpu/errors.ts';
import { byBytes } from '../cpu/order.ts';
import type { Gathered } from './fleet.ts';
import { type Batch, batchOf, GONE, idAt } from './hosts.ts';
import { IdIndex, withoutRepeats } from './id-index.ts';
import { distinctIds, hostIds, numberedIds } from './ids.ts';
import { type HostDocument, joinDocuments } from './join.ts';
import { type Kind, kindOfHost, kindText } from './kind.ts';

/** Hosts of an input, in its order; an empty id stands for a host that its document does not name. */
export interface Arrival extends Batch {
  /** Then no id is empty or there twice. */
  readonly ascending: boolean;
}

const TAB = 9;
const BACKSLASH = 0x5c;
/** Hosts of one batch; more begin another, so that no array has to be copied when it grows. */
const BATCH = 65536;
/** So many hosts are held before anybody looks whether they are the same over and over. */
export const MANY = 1 << 20;

/** The hosts of an input as they come, in arrays that grow and are used again. */
export class Arrivals {
  #done: Arrival[] = [];
  #kinds = new Uint32Array(64);
  #ends = new Uint32Array(64);
  #ids = new Uint8Array(1024);
  #hosts = 0;
  #ascending = true;
  /** Hosts that are done, and at how many it is looked whether some are there twice. */
  #held = 0;
  #many = MANY;

  /** These hosts after those before. */
  push({ kinds, ends, ids, ascending }: Arrival): void {
    if (this.#hosts + kinds.length > BATCH) this.#seal();
    const hosts = this.#hosts;
    const used = hosts === 0 ? 0 : this.#ends[hosts - 1]!;
    this.#kinds = withRoom(this.#kinds, hosts, kinds.length);
    this.#ends = withRoom(this.#ends, hosts, kinds.length);
    this.#ids = withRoom(this.#ids, used, ids.length);
    this.#kinds.set(kinds, hosts);
    for (let i = 0; i < ends.length; i++) this.#ends[hosts + i] = used + ends[i]!;
    this.#ids.set(ids, used);
    this.#hosts += kinds.length;
    this.#ascending &&= ascending && (hosts === 0 || this.#ascendsAt(hosts));
  }

  /** The hosts that came since this was asked last. */
  take(): readonly Arrival[] {
    this.#seal();
    const done = this.#done;
    this.#done = [];
    this.#held = 0;
    return done;
  }

  #ascendsAt(host: number): boolean {
    const batch = { ids: this.#ids, ends: this.#ends, kinds: this.#kinds };
    return isLongerOrGreater(idAt(batch, host), idAt(batch, host - 1));
  }

  #seal(): void {
    const hosts = this.#hosts;
    if (hosts === 0) return;
    this.#done.push({
      kinds: this.#kinds.slice(0, hosts),
      ends: this.#ends.slice(0, hosts),
      ids: this.#ids.slice(0, this.#ends[hosts - 1]),
      ascending: this.#ascending,
    });
    this.#hosts = 0;
    this.#ascending = true;
    this.#held += hosts;
    if (this.#held < this.#many) return;
    this.#done = areDistinct(this.#done) ? this.#done : withoutRepeats(this.#done);
    this.#held = this.#done.reduce((n, { kinds }) => n + kinds.length, 0);
    this.#many = Math.max(MANY, 4 * this.#held);
  }
}

/** Whether the ids of all hosts ascend, so that none is missing or there twice: most inventories are sorted. */
export function areDistinct(arrivals: Iterable<Arrival>): boolean {
  let last = '';
  for (const arrival of arrivals) {
    const { length } = arrival.kinds;
    if (length === 0) continue;
    const first = idAt(arrival, 0);
    if (!arrival.ascending || !isLongerOrGreater(first, last)) return false;
    last = idAt(arrival, length - 1);
  }
  return true;
}

function withRoom<T extends Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>(
  array: T,
  used: number,
  more: number,
): T {
  if (used + more <= array.length) return array;
  const Grown = array.constructor as new (length: number) => T;
  const grown = new Grown(Math.max(used + more, 2 * array.length));
  grown.set(array.subarray(0, used));
  return grown;
}

/** Hosts with their names, and the input that they stand in. */
interface NamedBatch {
  readonly input: string;
  readonly batch: Batch;
}

export class Gatherer {
  readonly #catalog: Catalog;
  readonly #kernel: string | null;
  readonly #keeps: boolean;
  readonly #apart: boolean;
  readonly #kinds: Kind[] = [];
  readonly #inputs: {
    readonly name: string;
    readonly arrivals: readonly Arrival[];
    readonly closed: boolean;
  }[] = [];
  readonly #keys = new Set<string>();
  /** The kinds that descriptions are of, by all that they say. */
  readonly #described = new Map<string, number>();
  /** How many hosts of each kind there are, where nobody asks who they are. */
  readonly #counts: number[] | null;

  /**
   * `kernel`: that of hosts that do not tell theirs. `keeps`: descriptions, for what else may be asked of them. `apart`:
   * guests of one name are several.
   */
  constructor(
    catalog: Catalog,
    ids: boolean,
    kernel: string | null = null,
    keeps = false,
    apart = false,
  ) {
    this.#catalog = catalog;
    this.#apart = apart;
    this.#kernel = kernel;
    this.#keeps = keeps;
    this.#counts = ids ? null : [];
  }

  /** The number of a kind, which hosts of an input are then said to be of. */
  kind(kind: Kind): number {
    for (const key of Object.keys(kind.keys)) this.#keys.add(key);
    return this.#kinds.push(kind) - 1;
  }

  /** The number of the kind that a description is of. */
  describe(description: Description): number {
    const told = withKernel(description, this.#kernel);
    const kind = kindOfHost(this.#catalog, told);
    if (this.#keeps) return this.kind({ ...kind, described: [{ input: '', description: told }] });
    // A host that is described over and over costs no more memory than once.
    const text = kindText(kind);
    const known = this.#described.get(text) ?? this.kind(kind);
    this.#described.set(text, known);
    return known;
  }

  /** All hosts of an input; a closed one says all that is to be said of its hosts. */
  add(name: string, arrivals: readonly Arrival[], closed = false): void {
    if (this.#counts === null) this.#inputs.push({ name, arrivals, closed });
    else
      for (const { kinds } of arrivals)
        for (const kind of kinds) this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
  }

  /** So many more hosts of each kind, of which nobody asks who they are. */
  count(hosts: readonly (number | undefined)[]): void {
    for (const [kind, n] of hosts.entries())
      if (n) this.#counts![kind] = (this.#counts![kind] ?? 0) + n;
  }

  /** A key of host records that was there, whether it was kept or not. */
  key(name: string): void {
    this.#keys.add(name);
  }

  /** @throws QueryError where two documents of a host contradict each other. */
  finish(): Gathered {
    const keys = [...this.#keys].sort(byBytes);
    if (this.#counts !== null) {
      const counts = this.#counts;
      return {
        kinds: this.#kinds,
        weights: this.#kinds.map((_, kind) => counts[kind] ?? 0),
        batches: null,
        keys,
      };
    }
    const arrivals = this.#inputs.flatMap((i) => i.arrivals);
    const batches = areDistinct(arrivals) ? arrivals : this.#settle();
    return { kinds: this.#kinds, weights: [], batches, keys };
  }

  #settle(): readonly Batch[] {
    const { named: read, explicit } = this.#named();
    const named = this.#apart ? this.#guestsApart(read) : read;
    // Names that are given here are given once.
    if (!explicit) return named.map(({ batch }) => batch);
    const isMixed = this.#kinds.some((kind) => kind.view !== 'guest');
    const index = new IdIndex(
      named.map(({ batch }) => batch),
      // A guest is not the host that has the same name.
      (kind) => !isMixed || this.#kinds[kind]!.view !== 'guest',
    );
    const joined = new Map<string, number>();
    for (const [id, places] of [...index.repeated()].sort(([a], [b]) => byBytes(a, b))) {
      const documents = places.map(([b, i]): HostDocument => {
        const { input, batch } = named[b]!;
        return { input, kind: this.#kinds[batch.kinds[i]!]! };
      });
      this.#refuseClosed(id, documents);
      // What the same documents say of another host is the same.
      const key = places.map(([b, i]) => `${named[b]!.input}\0${named[b]!.batch.kinds[i]}`).join();
      const kind = joined.get(key) ?? this.kind(joinDocuments(this.#catalog, id, documents));
      joined.set(key, kind);
      for (const [n, [b, i]] of places.entries()) index.put(b, i, n === 0 ? kind : GONE);
    }
    return index.settled();
  }

  /** Guests of one name are several, and told apart by where they stand. */
  #guestsApart(named: readonly NamedBatch[]): readonly NamedBatch[] {
    const placed = named.flatMap(({ input, batch }) =>
      Array.from(batch.kinds, (kind, i) => ({
        id: idAt(batch, i),
        input,
        isGuest: this.#kinds[kind]!.view === 'guest',
      })),
    );
    const ids = distinctIds(placed, ({ isGuest }) => isGuest);
    let next = 0;
    return named.map(({ input, batch }) => {
      const own = Array.from(batch.kinds, () => ids[next++]!);
      return { input, batch: batchOf(own, batch.kinds) };
    });
  }

  /** What was joined once cannot be joined again: which document said what is no longer known. */
  #refuseClosed(id: string, documents: readonly HostDocument[]): void {
    const closed = this.#inputs.find((i) => i.closed && documents.some((d) => d.input === i.name));
    const other = documents.find((d) => d.input !== closed?.name);
    if (!closed || !other) return;
    if (new Set(documents.map((d) => kindText(d.kind))).size > 1)
      throw new QueryError(
        `host ${id} is in the summary ${closed.name} and, described otherwise, in ${other.input}; put all that describes a host into one part`,
      );
  }

  /** All hosts with names: those that their documents name not, by where they were read from. */
  #named(): {
    readonly named: readonly NamedBatch[];
    /** Whether some document names its host. */
    readonly explicit: boolean;
  } {
    const all = this.#inputs.flatMap(({ name, arrivals }) =>
      arrivals.map((batch) => ({ input: name, batch })),
    );
    if (all.every(({ batch }) => batch.ids.length === 0)) {
      // Files of a host each are one batch: ten thousand would have to be gone through one by one.
      if (all.every(({ batch }) => batch.kinds.length === 1)) {
        const ids = hostIds(all.map(({ input }) => ({ input, host: null })));
        const batch = batchOf(
          ids,
          all.map((one) => one.batch.kinds[0]!),
        );
        return { named: [{ input: '', batch }], explicit: false };
      }
      const ids = numberedIds(
        all.map(({ input, batch }) => ({ input, hosts: batch.kinds.length })),
      );
      const named = all.map(({ input, batch }, i) => ({ input, batch: { ...batch, ...ids[i]! } }));
      return { named, explicit: false };
    }
    const nameless = all.flatMap(({ input, batch }) =>
      batch.ascending ? [] : emptyIds(batch).map(() => ({ input, host: null })),
    );
    if (nameless.length === 0) return { named: all, explicit: true };
    const hosts = all.reduce((n, { batch }) => n + batch.kinds.length, 0);
    const index = nameless.length < hosts ? new IdIndex(all.map(({ batch }) => batch)) : null;
    const ids = hostIds(nameless, (id) => index?.has(id) ?? false);
    let next = 0;
    const named = all.map(({ input, batch }) => {
      if (batch.ascending || emptyIds(batch).length === 0) return { input, batch };
      const now = Array.from(batch.kinds, (_, i) => idAt(batch, i) || ids[next++]!);
      return { input, batch: batchOf(now, batch.kinds) };
    });
    return { named, explicit: index !== null };
  }
}

/** Hosts of ids that each follow a tab, with their kinds. */
export function batchesOf(text: Uint8Array, kinds: Uint32Array): Arrival[] {
  const ids = new Uint8Array(text.length);
  const ends = new Uint32Array(kinds.length);
  const encoder = new TextEncoder();
  let size = 0;
  let host = -1;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i]!;
    if (byte === TAB) {
      if (host >= 0) ends[host] = size;
      host++;
    } else if (byte === BACKSLASH) {
      // Always \u and four digits, of which no letter takes more bytes than these six.
      const digits = String.fromCharCode(...text.subarray(i + 2, i + 6));
      const letter = String.fromCharCode(Number.parseInt(digits, 16));
      size += encoder.encodeInto(letter, ids.subarray(size)).written;
      i += 5;
    } else ids[size++] = byte;
  }
  if (host >= 0) ends[host] = size;
  return [{ ids: ids.subarray(0, size), ends, kinds, ascending: false }];
}

function emptyIds({ ends }: Batch): number[] {
  const empty: number[] = [];
  let start = 0;
  for (const [i, end] of ends.entries()) {
    if (end === start) empty.push(i);
    start = end;
  }
  return empty;
}

/** An order that follows numbers without leading zeros, as inventories count their hosts. */
function isLongerOrGreater(id: string, than: string): boolean {
  const [a, b] = [id, than].map((text) => new TextEncoder().encode(text));
  if (a!.length !== b!.length) return a!.length > b!.length;
  const at = a!.findIndex((byte, i) => byte !== b![i]);
  return at >= 0 && a![at]! > b![at]!;
}
