// Host records by the million: the core sorts lines into kinds, and one record of each kind is read as any other.
// What a line means is decided in records.ts alone.
import {
  type FoundHosts,
  isScannable,
  type RecordKeys,
  type ScanListener,
  Scanner,
  type Variant,
} from '../../core/scan.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { type Arrival, Arrivals, type Gatherer } from '../../fleet/gather.ts';
import { batchOf } from '../../fleet/hosts.ts';
import type { Skip, ThreadScan } from '../dialect.ts';
import { decodeLine, MAX_LINE, tooLong } from '../text/lines.ts';
import { keepOnly } from '../words/blank-description.ts';
import { Variants } from './record-variants.ts';
import { RECORD_KEYS, readRecord } from './records.ts';

/** Keys that anybody may use and that make a difference to what is read. */
const BESIDE = ['virttype'];

/** Whether records of which these keys count can be scanned: not where any key may, nor where one is too long. */
export const areScannable = (keep: readonly string[] | undefined): keep is readonly string[] =>
  keep?.every(isScannable) ?? false;

/** What the core is told of records; `keep` are further keys that count. */
export const recordKeys = (catalog: Catalog, keep: readonly string[]): RecordKeys => ({
  host: 'host',
  list: 'features',
  parts: [...new Set([...RECORD_KEYS, ...BESIDE, ...keep])].filter(
    (key) => key !== 'host' && key !== 'features',
  ),
  apart: catalog.vendors.flatMap(({ id, name }) => [id, name]),
  // A feature must not be in two lists.
  bound: ['unnamed', 'unknown', 'absent'],
});

export interface RecordOptions {
  readonly ids: boolean;
  readonly keep: readonly string[];
  /** Takes records that cannot be read; without it the first of them ends the reading. */
  readonly skip?: Skip | undefined;
}

/** Host records of one input, one a line, on their way into a fleet. */
export class RecordScan implements ScanListener {
  readonly #catalog: Catalog;
  readonly #gatherer: Gatherer;
  readonly #name: string;
  readonly #options: RecordOptions;
  readonly #arrivals = new Arrivals();
  /** Hosts that came before those of `#arrivals`. */
  readonly #earlier: Arrival[] = [];
  /** Without ids: how many hosts there are of each kind. */
  readonly #counts: number[] = [];
  #hosts = 0;
  /** What the first record of a kind says, for its variants. */
  readonly #firsts = new Map<number, Description>();
  #variants: Variants | undefined;

  constructor(catalog: Catalog, gatherer: Gatherer, name: string, options: RecordOptions) {
    this.#catalog = catalog;
    this.#gatherer = gatherer;
    this.#name = name;
    this.#options = options;
  }

  /** Reads from `read`, which fills an array and says with how many bytes, 0 at the end. */
  async run(read: (into: Uint8Array) => number | Promise<number>): Promise<void> {
    const scanner = this.#scanner();
    try {
      for (;;) {
        const size = read(scanner.room());
        const bytes = typeof size === 'number' ? size : await size;
        if (bytes === 0) break;
        scanner.take(bytes);
      }
      this.#finish(scanner);
    } finally {
      scanner.free();
    }
  }

  /** Reads text that is at hand. */
  push(bytes: Uint8Array): void {
    const scanner = this.#scanner();
    try {
      scanner.push(bytes);
      this.#finish(scanner);
    } finally {
      scanner.free();
    }
  }

  #scanner(): Scanner {
    const { ids, keep } = this.#options;
    const keys = recordKeys(this.#catalog, keep);
    const scanner = new Scanner(this, { keys, ids, maxLine: MAX_LINE });
    this.#variants = new Variants(this.#catalog, (name) => scanner.spelling(name));
    return scanner;
  }

  #finish(scanner: Scanner): void {
    scanner.end();
    for (const key of scanner.otherKeys()) this.#gatherer.key(key);
    this.#deliver();
  }

  #deliver(): void {
    this.#seal();
    if (this.#options.ids) this.#gatherer.add(this.#name, this.#earlier);
    else this.#gatherer.count(this.#counts);
  }

  #seal(): void {
    this.#earlier.push(...this.#arrivals.take());
  }

  /**
   * Takes what threads found.
   * @throws QueryError for the first line that cannot be read.
   */
  take(threads: readonly ThreadScan[]): void {
    const segments = threads
      .flatMap((thread) => thread.segments.map((s) => ({ ...s, thread })))
      .sort((a, b) => a.segment - b.segment);
    const before = new Map<number, number>();
    let lines = 0;
    for (const { segment, lines: own } of segments) {
      before.set(segment, lines);
      lines += own;
    }
    const problems: { readonly line: number; readonly error: QueryError }[] = [];
    const attempt = (line: number, work: () => void): void => {
      try {
        work();
      } catch (error) {
        if (!(error instanceof QueryError)) throw error;
        problems.push({ line, error });
      }
    };
    const kinds = new Map<ThreadScan, Uint32Array>();
    for (const thread of threads) {
      const numbers = new Uint32Array(thread.kinds.length);
      const variants = new Variants(this.#catalog, (name) => thread.spellings[name]!);
      let listed = 0;
      for (const [i, kind] of thread.kinds.entries()) {
        if ('of' in kind) {
          const names = thread.lists.subarray(listed, kind.end);
          numbers[i] = this.#variant(variants, { of: numbers[kind.of]!, names }) ?? 0;
          listed = kind.end;
          continue;
        }
        const at = (before.get(kind.segment) ?? lines) + kind.number;
        attempt(at, () => {
          numbers[i] = this.#first(kind.line, at);
        });
      }
      if (thread.tooLong) {
        const at = (before.get(thread.tooLong.segment) ?? lines) + thread.tooLong.number;
        attempt(at, () => this.tooLong(at));
      }
      kinds.set(thread, numbers);
      for (const key of thread.keys) this.#gatherer.key(key);
      for (const [kind, hosts] of thread.counts.entries()) {
        this.#hosts += hosts;
        this.#counts[numbers[kind]!] = (this.#counts[numbers[kind]!] ?? 0) + hosts;
      }
    }
    for (const { segment, pieces, thread } of segments) {
      const numbers = kinds.get(thread)!;
      for (const piece of pieces)
        if ('line' in piece) {
          const at = before.get(segment)! + piece.number;
          attempt(at, () => this.other(piece.line, at));
        } else {
          for (const [i, kind] of piece.kinds.entries()) piece.kinds[i] = numbers[kind]!;
          this.#seal();
          this.#earlier.push(piece);
          this.#hosts += piece.kinds.length;
        }
    }
    const [first] = problems.sort((a, b) => a.line - b.line);
    if (first) throw first.error;
    this.#deliver();
  }

  /** How many hosts were read. */
  get hosts(): number {
    return this.#hosts;
  }

  kind(line: Uint8Array, number: number, variant: Variant | null): number | null {
    try {
      return variant ? this.#variant(this.#variants!, variant) : this.#first(line, number);
    } catch (error) {
      if (error instanceof QueryError) return null;
      throw error;
    }
  }

  other(line: Uint8Array, number: number): void {
    let d: Description | null;
    try {
      d = this.#read(line, number);
    } catch (error) {
      if (!(this.#options.skip && error instanceof QueryError)) throw error;
      this.#options.skip(error);
      return;
    }
    if (d === null) return;
    const kind = this.#kindOf(d);
    this.#hosts++;
    if (this.#options.ids)
      this.#arrivals.push({ ...batchOf([d.host ?? ''], [kind]), ascending: d.host !== null });
    else this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
  }

  found(hosts: FoundHosts): void {
    this.#hosts += hosts.kinds.length;
    if (this.#options.ids) this.#arrivals.push(hosts);
    else for (const kind of hosts.kinds) this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
  }

  tooLong(number: number): never {
    throw tooLong(this.#name, number);
  }

  #first(line: Uint8Array, number: number): number {
    const description = this.#kept(this.#read(line, number)!);
    const kind = this.#gatherer.describe(description);
    this.#firsts.set(kind, description);
    return kind;
  }

  /** The number of a kind by the kind of which it is a variant; null if that one could not be read. */
  #variant(variants: Variants, { of, names }: Variant): number | null {
    const first = this.#firsts.get(of);
    if (!first) return null;
    const description = variants.describe(first, names);
    return this.#gatherer.describe(description);
  }

  #read(line: Uint8Array, number: number): Description | null {
    return readRecord(this.#catalog, this.#name, decodeLine(line, number, true));
  }

  #kindOf(d: Description): number {
    return this.#gatherer.describe(this.#kept(d));
  }

  /** With the keys that are kept; the names of all are told, of which the core knows those of ASCII alone. */
  #kept(d: Description): Description {
    for (const key of Object.keys(d.keys)) this.#gatherer.key(key);
    return keepOnly(d, this.#options.keep);
  }
}
