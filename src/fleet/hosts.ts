// Hosts by name, compactly: the ids in the bytes that they were read as, and of which kind each host is.
import { sortByBytes } from '../cpu/order.ts';

/** Some hosts one after another. */
export interface Batch {
  /** UTF-8 of the ids. */
  readonly ids: Uint8Array;
  /** Where each id ends in `ids`. */
  readonly ends: Uint32Array;
  /** The kind of each host, or GONE. */
  readonly kinds: Uint32Array;
  /** Whether it is certain that each id is longer than the one before it, or as long and greater. */
  readonly ascending?: boolean;
}

/** In the place of a kind: the host is no part of the fleet. */
export const GONE = 0xffffffff;

// An id that begins with U+FEFF is another than the one without it.
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();
const NO_IDS = new Uint8Array(0);

export function idAt({ ids, ends }: Batch, i: number): string {
  const start = i === 0 ? 0 : ends[i - 1]!;
  return start === ends[i] ? '' : utf8.decode(ids.subarray(start, ends[i]));
}

/** A batch of hosts whose names are at hand as strings. */
export function batchOf(ids: readonly string[], kinds: ArrayLike<number>): Batch {
  const text = ids.join('');
  const ends = new Uint32Array(ids.length);
  let end = 0;
  for (let i = 0; i < ids.length; i++) {
    end += byteLength(ids[i]!);
    ends[i] = end;
  }
  return { ids: text === '' ? NO_IDS : encoder.encode(text), ends, kinds: new Uint32Array(kinds) };
}

function byteLength(text: string): number {
  let n = text.length;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    // Half of a pair is half of four bytes.
    if (c >= 0x80) n += c < 0x800 || (c >= 0xd800 && c <= 0xdfff) ? 1 : 2;
  }
  return n;
}

/** Every host with its kind, in the order of the batches; `kindOf` says of which kind a batch's kind is now. */
export function* hostsIn(
  batches: readonly Batch[],
  kindOf: ArrayLike<number>,
): Generator<{ readonly id: string; readonly kind: number }> {
  for (const batch of batches)
    for (const [i, k] of batch.kinds.entries()) {
      const kind = k === GONE ? GONE : kindOf[k]!;
      if (kind !== GONE) yield { id: idAt(batch, i), kind };
    }
}

/** A host among the first of its kind. */
export interface First {
  readonly id: string;
  readonly kind: number;
}

/** Of every kind its first `most` hosts in byte order, all in byte order: the first of any kinds are among them. */
export function firstOfEach(
  batches: readonly Batch[],
  kindOf: ArrayLike<number>,
  kinds: number,
  most: number,
): First[] {
  const firsts: Places[] = Array.from({ length: kinds }, () => new Places(most));
  const offered = new Uint32Array(kinds);
  for (const batch of batches) {
    const { ends, kinds: each } = batch;
    // In byte order, none but the first of a kind can be among its first.
    const limit = isInByteOrder(batch) ? most : Number.POSITIVE_INFINITY;
    offered.fill(0);
    for (let i = 0; i < ends.length; i++) {
      const kind = each[i] === GONE ? GONE : kindOf[each[i]!]!;
      if (kind === GONE || offered[kind]! >= limit) continue;
      offered[kind]!++;
      firsts[kind]!.offer(batch, i === 0 ? 0 : ends[i - 1]!, ends[i]!);
    }
  }
  const kindOfHost = new Map<string, number>();
  for (const [kind, places] of firsts.entries())
    for (const id of places.ids()) kindOfHost.set(id, kind);
  return sortByBytes([...kindOfHost.keys()]).map((id) => ({ id, kind: kindOfHost.get(id)! }));
}

/** Whether it is plain to see: ids that ascend and are all as long as the first. */
function isInByteOrder({ ends, ascending }: Batch): boolean {
  return ascending === true && ends.length > 0 && ends.at(-1) === ends.length * ends[0]!;
}

interface Place {
  readonly batch: Batch;
  readonly start: number;
  readonly end: number;
}

/** The first few ids in byte order of those that were offered. */
class Places {
  readonly #most: number;
  readonly #places: Place[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  offer(batch: Batch, start: number, end: number): void {
    const places = this.#places;
    if (places.length === this.#most) {
      const last = places[places.length - 1];
      if (last === undefined || !isBefore(batch.ids, start, end, last)) return;
      places.pop();
    }
    let at = places.length;
    while (at > 0 && isBefore(batch.ids, start, end, places[at - 1]!)) at--;
    places.splice(at, 0, { batch, start, end });
  }

  ids(): string[] {
    return this.#places.map(({ batch, start, end }) => utf8.decode(batch.ids.subarray(start, end)));
  }
}

function isBefore(ids: Uint8Array, start: number, end: number, than: Place): boolean {
  const other = than.batch.ids;
  const n = Math.min(end - start, than.end - than.start);
  for (let i = 0; i < n; i++) {
    const gap = ids[start + i]! - other[than.start + i]!;
    if (gap !== 0) return gap < 0;
  }
  return end - start < than.end - than.start;
}
