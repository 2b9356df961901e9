// /proc/cpuinfo of many hosts: the core sorts blocks into kinds, one block of each kind is read, and a host is the
// kinds of its processors. Where something is out of the ordinary, cpuinfo.ts reads on from the host that it is in.
import type { Arena } from '../../core/arena.ts';
import {
  type BlockKeys,
  type BlockListener,
  BlockScanner,
  joinsHost,
  kindOfRun,
  type Runs,
  renumber,
} from '../../core/blocks.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Arrival, Gatherer } from '../../fleet/gather.ts';
import type { BlockScan, Input, Skip, Stream } from '../dialect.ts';
import { keepOnly } from '../words/blank-description.ts';
import { describe, readCpuinfo } from './cpuinfo.ts';
import { type ProcessorBlock, readBlocks } from './cpuinfo-blocks.ts';

/** Of these lines the reader takes no notice, and they differ between equal processors. */
export const CPUINFO_KEYS: BlockKeys = {
  number: 'processor',
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
    'clock',
    'Serial',
  ],
};
const VARYING = new Set([CPUINFO_KEYS.number, ...CPUINFO_KEYS.leftOut]);
/** No kind. */
const NONE = -1;
/** Hosts of one batch. */
const BATCH = 65536;
const NO_NAMES = new Uint32Array(BATCH);

/** The text is not as plain as it must be here. */
class Unusual extends Error {}

/** Refusals are made where the text is read line by line: there its lines have numbers. */
function orUnusual<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof QueryError ? new Unusual() : error;
  }
}

/** The hosts of any number of inputs, on their way into a fleet; what is learnt of one input serves the others. */
export class CpuinfoScan implements BlockListener {
  readonly #catalog: Catalog;
  readonly #gatherer: Gatherer;
  readonly #keep: readonly string[] | undefined;
  readonly #scanner: BlockScanner;
  readonly #blocks: ProcessorBlock[] = [];
  /** The number of a kind by all that is read of its blocks. */
  readonly #known = new Map<string, number>();
  /** The fleet's number for hosts all of whose processors are of one kind, by that, and for others by all kinds. */
  readonly #uniform: number[] = [];
  readonly #mixed = new Map<string, number>();
  readonly #batch = new Uint32Array(BATCH);
  #arrivals: Arrival[] = [];
  #waiting = 0;
  #hosts = 0;
  /** The host that is being read: the kind of its first processor, and all of its kinds where there are several. */
  #first = NONE;
  #kinds: number[] | null = null;
  /** Where it begins, in bytes and lines from the beginning. */
  #at = 0;
  #line = 0;

  /** `keep`: the keys of hosts that are asked for; all, where it is not given. */
  constructor(
    catalog: Catalog,
    gatherer: Gatherer,
    { keep, arena }: { readonly keep?: readonly string[] | undefined; readonly arena?: Arena } = {},
  ) {
    this.#catalog = catalog;
    this.#gatherer = gatherer;
    this.#keep = keep;
    this.#scanner = new BlockScanner(this, CPUINFO_KEYS, arena);
  }

  /** Gives the memory back; nothing may be read afterwards. */
  free(): void {
    this.#scanner.free();
  }

  /**
   * Gives the hosts of an input to the gatherer and answers how many there are.
   * @throws QueryError as cpuinfo.ts does; then the gatherer has none of them.
   */
  async read(input: Input | Stream, skip?: Skip): Promise<number> {
    this.#begin();
    if ('scanBlocks' in input && input.scanBlocks) {
      const threads = await input.scanBlocks(CPUINFO_KEYS);
      if (this.#attempt(() => this.#take(threads))) return this.#finish(input.name);
      this.#begin();
    }
    const rest = 'bytes' in input ? this.#readBytes(input.bytes) : await this.#readStream(input);
    if (rest)
      for (const d of readCpuinfo(
        { name: input.name, bytes: rest },
        this.#catalog,
        skip,
        this.#line,
      ))
        this.#push(this.#enter(d));
    return this.#finish(input.name);
  }

  /** Whether all that was read was plain; if not, the host that is being read begins what is to be read otherwise. */
  #attempt(read: () => void): boolean {
    try {
      read();
      return true;
    } catch (error) {
      if (!(error instanceof Unusual)) throw error;
      return false;
    }
  }

  #readBytes(bytes: Uint8Array): Uint8Array | null {
    const isPlain = this.#attempt(() => {
      for (let at = 0; at < bytes.length; ) {
        const room = this.#scanner.room();
        const chunk = bytes.subarray(at, at + room.length);
        room.set(chunk);
        this.#scanner.take(chunk.length);
        at += chunk.length;
      }
      this.#end();
    });
    return isPlain ? null : bytes.subarray(this.#at);
  }

  async #readStream(stream: Stream): Promise<Uint8Array | null> {
    const kept = stream.again ? null : new Kept();
    for (let isPlain = true; isPlain; ) {
      const room = this.#scanner.room();
      const size = stream.read(room);
      const bytes = typeof size === 'number' ? size : await size;
      kept?.push(room.subarray(0, bytes), this.#at);
      isPlain = this.#attempt(() => (bytes === 0 ? this.#end() : this.#scanner.take(bytes)));
      if (isPlain && bytes === 0) return null;
    }
    if (!kept) return stream.whole(this.#at);
    kept.push(await stream.whole(), this.#at);
    return kept.bytes;
  }

  #end(): void {
    this.#scanner.end();
    this.#endHost();
  }

  /** Takes what threads found. */
  #take(threads: readonly BlockScan[]): void {
    if (threads.some((thread) => thread.unusual)) throw new Unusual();
    const segments = threads.flatMap(({ kinds, segments }) => {
      const numbers = kinds.map(({ text, hasNumber }) => this.kind(text, hasNumber) ?? 0);
      return segments.map((s) => ({ ...s, numbers }));
    });
    for (const { runs, numbers } of segments.sort((a, b) => a.segment - b.segment))
      for (const part of runs) {
        renumber(part, numbers);
        this.found({ runs: part });
      }
    this.#endHost();
  }

  kind(text: Uint8Array, hasNumber: boolean): number | null {
    const [block, more] = orUnusual(() => [...readBlocks({ name: '', bytes: text.slice() })]);
    if (!block || more || block.kernel !== null) throw new Unusual();
    if (block.fields.has(CPUINFO_KEYS.number) !== hasNumber) throw new Unusual();
    if (!hasNumber) return null;
    const key = [...block.fields]
      .map(([name, value]) => (VARYING.has(name) ? name : `${name}:${value}`))
      .join('\n');
    const kind = this.#known.get(key) ?? this.#blocks.push(block) - 1;
    this.#known.set(key, kind);
    return kind;
  }

  unusual(): never {
    throw new Unusual();
  }

  found({ runs, places }: Runs): void {
    for (let i = 0; i < runs.length; i++) {
      const run = runs[i]!;
      const kind = kindOfRun(run);
      if (joinsHost(run)) {
        this.#kinds ??= [this.#first];
        this.#kinds.push(kind);
        continue;
      }
      this.#endHost();
      this.#first = kind;
      if (!places) continue;
      this.#at = places.before + places.starts[i]!;
      this.#line = places.lines[i]! - 1;
    }
  }

  #finish(name: string): number {
    this.#seal();
    if (this.#hosts > 0) this.#gatherer.add(name, this.#arrivals);
    return this.#hosts;
  }

  #begin(): void {
    this.#scanner.begin();
    this.#arrivals = [];
    this.#waiting = 0;
    this.#hosts = 0;
    this.#first = NONE;
    this.#kinds = null;
    this.#at = 0;
    this.#line = 0;
  }

  #endHost(): void {
    if (this.#first === NONE) return;
    this.#push(this.#hostKind());
    this.#first = NONE;
    this.#kinds = null;
  }

  #push(kind: number): void {
    this.#hosts++;
    this.#batch[this.#waiting++] = kind;
    if (this.#waiting === BATCH) this.#seal();
  }

  #hostKind(): number {
    if (this.#kinds === null) {
      this.#uniform[this.#first] ??= this.#describe([this.#first]);
      return this.#uniform[this.#first]!;
    }
    // Equal processors add nothing; but the last is told apart, for it may be cut short.
    const kinds = [...new Set(this.#kinds), this.#kinds.at(-1)!];
    const key = kinds.join();
    const number = this.#mixed.get(key) ?? this.#describe(kinds);
    this.#mixed.set(key, number);
    return number;
  }

  #describe(kinds: readonly number[]): number {
    const blocks = kinds.map((kind) => this.#blocks[kind]!);
    const input = { name: '', bytes: new Uint8Array(0) };
    return this.#enter(orUnusual(() => describe(input, this.#catalog, blocks)));
  }

  #enter(description: Description): number {
    for (const key of Object.keys(description.keys)) this.#gatherer.key(key);
    return this.#gatherer.describe(keepOnly(description, this.#keep));
  }

  #seal(): void {
    const kinds = this.#batch.slice(0, this.#waiting);
    const ends = NO_NAMES.subarray(0, kinds.length);
    this.#arrivals.push({ kinds, ends, ids: new Uint8Array(0), ascending: false });
    this.#waiting = 0;
  }
}

/** What came since the host that is being read began, of a stream that will not give it again. */
class Kept {
  #bytes = new Uint8Array(2 ** 20);
  #size = 0;
  #before = 0;

  /** Keeps more bytes, and of those before only what is behind so many of the stream. */
  push(more: Uint8Array, from: number): void {
    this.#bytes.copyWithin(0, from - this.#before, this.#size);
    this.#size -= from - this.#before;
    this.#before = from;
    if (this.#size + more.length > this.#bytes.length) {
      const grown = new Uint8Array(2 * this.#size + more.length);
      grown.set(this.bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(more, this.#size);
    this.#size += more.length;
  }

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }
}
