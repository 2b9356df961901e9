// /proc/cpuinfo of many hosts: the core sorts blocks into kinds, one block of each kind is read, and a host is the
// kinds of its processors. Whatever is out of the ordinary is for cpuinfo.ts to read and judge as a whole.
import { type BlockKeys, type Found, type ScanListener, Scanner } from '../core/scan.ts';
import type { Catalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import { Arrivals, type Gatherer } from '../fleet/gather.ts';
import { kindOf } from '../fleet/kind.ts';
import { type Block, describe, readBlocks } from './cpuinfo.ts';

/** Of these lines the reader takes no notice, and they differ between equal processors. */
const KEYS: BlockKeys = {
  unit: 'blocks',
  host: 'processor',
  leftOut: [
    'cpu MHz',
    'bogomips',
    'BogoMIPS',
    'apicid',
    'initial apicid',
    'physical id',
    'core id',
    'siblings',
    'cpu cores',
  ],
};
/** Hosts of one batch. */
const BATCH = 4096;

/** The text is not as plain as it must be here. */
class Unusual extends Error {}

/**
 * Gives the hosts of an input to a gatherer; `read` fills an array and says with how many bytes, 0 at the end.
 * Answers how many there are, or null where the input must be read as a whole: then the gatherer has none of them.
 */
export async function scanCpuinfo(
  catalog: Catalog,
  gatherer: Gatherer,
  name: string,
  read: (into: Uint8Array) => number | Promise<number>,
): Promise<number | null> {
  const scan = new CpuinfoScan(catalog, gatherer, name);
  const scanner = new Scanner(scan, { keys: KEYS, ids: true, maxLine: 0 });
  try {
    for (;;) {
      const bytes = await read(scanner.room());
      if (bytes === 0) break;
      scanner.take(bytes);
    }
    scanner.end();
    return scan.finish();
  } catch (error) {
    if (error instanceof Unusual || error instanceof QueryError) return null;
    throw error;
  } finally {
    scanner.free();
  }
}

class CpuinfoScan implements ScanListener {
  readonly #catalog: Catalog;
  readonly #gatherer: Gatherer;
  readonly #name: string;
  readonly #blocks: Block[] = [];
  /** The fleet's number for hosts of one processor, by its kind, and of several, by all of theirs. */
  readonly #single: number[] = [];
  readonly #several = new Map<string, number>();
  readonly #arrivals = new Arrivals();
  readonly #batch = new Uint32Array(BATCH);
  #waiting = 0;
  #hosts = 0;
  /** The host that is being read: the kinds of its processors, and their numbers. */
  #kinds: number[] = [];
  #numbers = new Set<number>();

  constructor(catalog: Catalog, gatherer: Gatherer, name: string) {
    this.#catalog = catalog;
    this.#gatherer = gatherer;
    this.#name = name;
  }

  kind(text: Uint8Array): number {
    const [block, ...more] = readBlocks({ name: this.#name, bytes: text.slice() });
    if (!block || more.length > 0) throw new Unusual();
    return this.#blocks.push(block) - 1;
  }

  other(): never {
    throw new Unusual();
  }

  tooLong(): never {
    throw new Unusual();
  }

  found({ kinds, ends, ids }: Found): void {
    let at = 0;
    for (let i = 0; i < kinds.length; i++) {
      let number = 0;
      for (const end = ends[i]!; at < end; at++) number = number * 10 + ids[at]! - 0x30;
      // A number that comes again begins another host.
      if (this.#numbers.has(number)) this.#endHost();
      this.#numbers.add(number);
      this.#kinds.push(kinds[i]!);
    }
  }

  finish(): number {
    if (this.#kinds.length > 0) this.#endHost();
    this.#deliver();
    this.#gatherer.add(this.#name, this.#arrivals.take());
    return this.#hosts;
  }

  #endHost(): void {
    this.#hosts++;
    this.#batch[this.#waiting++] = this.#hostKind();
    if (this.#waiting === BATCH) this.#deliver();
    this.#kinds.length = 0;
    this.#numbers.clear();
  }

  #hostKind(): number {
    const kinds = this.#kinds;
    if (kinds.length === 1) {
      this.#single[kinds[0]!] ??= this.#describe(kinds);
      return this.#single[kinds[0]!]!;
    }
    const key = kinds.join();
    let number = this.#several.get(key);
    if (number === undefined) {
      number = this.#describe(kinds);
      this.#several.set(key, number);
    }
    return number;
  }

  #describe(kinds: readonly number[]): number {
    const blocks = kinds.map((kind) => this.#blocks[kind]!);
    const input = { name: this.#name, bytes: new Uint8Array(0) };
    return this.#gatherer.kind(kindOf(this.#catalog, describe(input, this.#catalog, blocks)));
  }

  #deliver(): void {
    const kinds = this.#batch.slice(0, this.#waiting);
    const ends = new Uint32Array(kinds.length);
    this.#arrivals.push({ kinds, ends, ids: new Uint8Array(0), ascending: false });
    this.#waiting = 0;
  }
}
