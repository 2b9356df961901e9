// Host records by the million: the core sorts lines into kinds, and one record of each kind is read as any other.
// What a line means is decided in records.ts alone.
import { type Found, type RecordKeys, type ScanListener, Scanner } from '../core/scan.ts';
import type { Catalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Description } from '../cpu/host.ts';
import { Arrivals, type Gatherer } from '../fleet/gather.ts';
import { batchOf } from '../fleet/hosts.ts';
import { kindOf } from '../fleet/kind.ts';
import type { Skip } from './dialect.ts';
import { decodeLine, MAX_LINE, tooLong } from './lines.ts';
import { readRecord } from './records.ts';

/** Every key of a record but its host's name and its features that can make a difference to what is read. */
const PARTS = [
  'arch',
  'vendor',
  'view',
  'unknown',
  'limits',
  'signature',
  'microcode',
  'xsave',
] as const;

/** What the core is told of records; `keep` are further keys that count. */
export const recordKeys = (catalog: Catalog, keep: readonly string[]): RecordKeys => ({
  host: 'host',
  list: 'features',
  parts: [...new Set([...PARTS, ...keep])].filter((key) => key !== 'host' && key !== 'features'),
  apart: catalog.vendors.flatMap(({ id, name }) => [id, name]),
});

/** A description with no more of its record's keys than are asked for. */
export function keepOnly(d: Description, keep: readonly string[] | undefined): Description {
  if (keep === undefined) return d;
  const keys = Object.entries(d.keys).filter(([key]) => keep.includes(key));
  return { ...d, keys: Object.fromEntries(keys) };
}

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
  readonly #scanner: Scanner;
  readonly #arrivals = new Arrivals();
  /** Without ids: how many hosts there are of each kind. */
  readonly #counts: number[] = [];
  #hosts = 0;

  constructor(catalog: Catalog, gatherer: Gatherer, name: string, options: RecordOptions) {
    this.#catalog = catalog;
    this.#gatherer = gatherer;
    this.#name = name;
    this.#options = options;
    const keys = recordKeys(catalog, options.keep);
    this.#scanner = new Scanner(this, { keys, ids: options.ids, maxLine: MAX_LINE });
  }

  /** Reads from `read`, which fills an array and says with how many bytes, 0 at the end. */
  async run(read: (into: Uint8Array) => number | Promise<number>): Promise<void> {
    try {
      for (;;) {
        const size = read(this.#scanner.room());
        const bytes = typeof size === 'number' ? size : await size;
        if (bytes === 0) break;
        this.#scanner.take(bytes);
      }
      this.#finish();
    } finally {
      this.#scanner.free();
    }
  }

  /** Reads text that is at hand. */
  push(bytes: Uint8Array): void {
    try {
      this.#scanner.push(bytes);
      this.#finish();
    } finally {
      this.#scanner.free();
    }
  }

  #finish(): void {
    this.#scanner.end();
    for (const key of this.#scanner.otherKeys()) this.#gatherer.key(key);
    if (this.#options.ids) this.#gatherer.add(this.#name, this.#arrivals.all());
    else this.#gatherer.count(this.#counts);
  }

  /** How many hosts were read. */
  get hosts(): number {
    return this.#hosts;
  }

  kind(line: Uint8Array, number: number): number | null {
    try {
      return this.#kindOf(this.#read(line, number)!);
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

  found(hosts: Found): void {
    this.#hosts += hosts.kinds.length;
    if (this.#options.ids) this.#arrivals.push(hosts);
    else for (const kind of hosts.kinds) this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
  }

  tooLong(number: number): never {
    throw tooLong(this.#name, number);
  }

  #read(line: Uint8Array, number: number): Description | null {
    return readRecord(this.#catalog, this.#name, decodeLine(line, number, true));
  }

  #kindOf(d: Description): number {
    return this.#gatherer.kind(kindOf(this.#catalog, keepOnly(d, this.#options.keep)));
  }
}
