// Which hosts of many have the same name. Where they are of the same kind as well, they are one host that came again.
import { type Batch, GONE, idAt } from './hosts.ts';

/** The number of a batch, and of a host in it. */
type Place = readonly [batch: number, host: number];

/** Which hosts have an id: a table by hash over their bytes, as millions of strings would not fit. */
export class IdIndex {
  readonly #batches: Batch[];
  /** Batches whose kinds are ours to change. */
  readonly #own = new Set<number>();
  /** A hash, and the place of the host by batch and position there, for each slot: three words, all 0 if empty. */
  readonly #slots: Uint32Array;
  readonly #mask: number;
  readonly #repeated = new Map<string, readonly Place[]>();

  /** `takes` tells of a kind whether its hosts are looked at. */
  constructor(batches: readonly Batch[], takes: (kind: number) => boolean = () => true) {
    const hosts = batches.reduce((n, { kinds }) => n + kinds.length, 0);
    const size = 2 ** Math.ceil(Math.log2(hosts * 1.5 + 2));
    this.#batches = [...batches];
    this.#slots = new Uint32Array(size * 3);
    this.#mask = size - 1;
    for (const [b, { ids, ends, kinds }] of batches.entries()) {
      let start = 0;
      for (let i = 0; i < ends.length; i++) {
        const end = ends[i]!;
        if (end > start && kinds[i] !== GONE && takes(kinds[i]!)) this.#add(ids, start, end, b, i);
        start = end;
      }
    }
  }

  has(id: string): boolean {
    const bytes = new TextEncoder().encode(id);
    return this.#slots[this.#find(bytes, 0, bytes.length) + 1] !== 0;
  }

  /** The ids that hosts of several kinds have, and where the first of each kind is. */
  repeated(): ReadonlyMap<string, readonly Place[]> {
    return this.#repeated;
  }

  /** Says of which kind a host is, or that it is gone. */
  put(b: number, i: number, kind: number): void {
    const batch = this.#batches[b]!;
    if (!this.#own.has(b)) this.#batches[b] = { ...batch, kinds: batch.kinds.slice() };
    this.#own.add(b);
    this.#batches[b]!.kinds[i] = kind;
  }

  /** All batches, without hosts that came again. */
  settled(): readonly Batch[] {
    return this.#batches;
  }

  #add(ids: Uint8Array, start: number, end: number, b: number, i: number): void {
    const slots = this.#slots;
    const at = this.#find(ids, start, end);
    if (slots[at + 1] === 0) {
      slots[at] = hash(ids, start, end);
      slots[at + 1] = b + 1;
      slots[at + 2] = i;
      return;
    }
    const first = [slots[at + 1]! - 1, slots[at + 2]!] as const;
    const kind = this.#kindAt([b, i]);
    if (kind === this.#kindAt(first)) {
      this.put(b, i, GONE);
      return;
    }
    const id = idAt(this.#batches[b]!, i);
    const places = this.#repeated.get(id) ?? [first];
    if (places.some((place) => kind === this.#kindAt(place))) this.put(b, i, GONE);
    else this.#repeated.set(id, [...places, [b, i]]);
  }

  #kindAt([b, i]: Place): number {
    return this.#batches[b]!.kinds[i]!;
  }

  /** The slot of an id, or the empty one where it belongs. */
  #find(ids: Uint8Array, start: number, end: number): number {
    const slots = this.#slots;
    const code = hash(ids, start, end);
    for (let slot = code & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = slot * 3;
      if (slots[at + 1] === 0) return at;
      if (slots[at] !== code) continue;
      const batch = this.#batches[slots[at + 1]! - 1]!;
      const i = slots[at + 2]!;
      const from = i === 0 ? 0 : batch.ends[i - 1]!;
      if (batch.ends[i]! - from !== end - start) continue;
      let n = 0;
      while (n < end - start && batch.ids[from + n] === ids[start + n]) n++;
      if (n === end - start) return at;
    }
  }
}

/** The same hosts, as many batches, but of hosts of one name and kind the first alone. */
export const withoutRepeats = <T extends Batch>(batches: readonly T[]): T[] =>
  new IdIndex(batches)
    .settled()
    .map((batch, i) =>
      batch === batches[i] ? batches[i]! : { ...batches[i]!, ...present(batch) },
    );

/** A batch without what is gone from it. */
function present({ ids, ends, kinds }: Batch): Batch {
  const kept = kinds.filter((kind) => kind !== GONE);
  const now = { ids: new Uint8Array(ids.length), ends: new Uint32Array(kept.length), kinds: kept };
  let end = 0;
  let host = 0;
  for (let i = 0; i < kinds.length; i++) {
    if (kinds[i] === GONE) continue;
    const id = ids.subarray(i === 0 ? 0 : ends[i - 1], ends[i]);
    now.ids.set(id, end);
    end += id.length;
    now.ends[host++] = end;
  }
  return { ...now, ids: now.ids.slice(0, end) };
}

/** FNV-1a over bytes, stirred so that its low bits depend on all of them. */
function hash(ids: Uint8Array, start: number, end: number): number {
  let code = 0x811c9dc5;
  for (let i = start; i < end; i++) code = Math.imul(code ^ ids[i]!, 0x01000193);
  return (code ^ (code >>> 15)) >>> 0;
}
