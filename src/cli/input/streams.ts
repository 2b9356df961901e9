// Large files, compressed ones and standard input, piece by piece: what is in memory does not grow with them.
import { closeSync, createReadStream, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { problemOf, QueryError } from '../../cpu/errors.ts';
import { HEAD, type Input, type Stream } from '../../dialects/dialect.ts';
import { MAX_LINE } from '../../dialects/text/lines.ts';
import type { Opened, Unreadable } from '../../reading/problems.ts';
import { concat, type Io, reasonOf } from '../io.ts';
import { decompress, formatOf, growsPast, unpack } from './decompress.ts';
import {
  cannotRead,
  type FoundFile,
  findInputs,
  MAX_BYTES,
  marked,
  type Progress,
  read,
  readFrom,
  readSmall,
  tooBig,
  WITHOUT_WAITING,
} from './inputs.ts';
import { SEGMENT } from './segments.ts';

/** Threads take longer to start than to scan less. */
const PARALLEL = 64 * 1024 * 1024;

/** Every input below the paths, opened; a large one is read by whoever gets it. */
export function* openStreams(
  paths: readonly string[],
  io: Io,
  threads: number,
  progress: Progress,
): Generator<Opened | Promise<Opened>> {
  const found = findInputs(paths);
  // How much there is matters to one who watches: to ask takes as long as to read what is small.
  const sizes = progress.load ? found.map(sizeOf) : [];
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let done = 0;
  for (const [i, file] of found.entries()) {
    progress(done, total);
    const small = file.isFile ? openSmall(file.name) : null;
    if (small !== null)
      yield 'bytes' in small && formatOf(small.bytes) !== null
        ? unpacked(small).then((opened) => marked(file, opened))
        : marked(file, small);
    else {
      const before = done;
      const bar = (sizes[i] ?? 0) >= PARALLEL ? progress.load?.() : undefined;
      for (const opened of openOne(file, io, threads, (bytes) => progress(before + bytes, total)))
        yield file.contained || bar
          ? Promise.resolve(bar).then(async () => marked(file, await opened))
          : opened;
    }
    done += sizes[i] ?? 0;
  }
  progress(total, total);
}

function sizeOf({ name, isFile }: FoundFile): number {
  try {
    return isFile ? statSync(name).size : 0;
  } catch {
    // Why it cannot be read is said when it is read.
    return 0;
  }
}

/** A small file, or why it cannot be read; null for a large one. */
function openSmall(name: string): Input | Unreadable | null {
  try {
    const bytes = readSmall(name);
    return bytes && { name, bytes, passes: true };
  } catch (error) {
    return unreadable(name, error);
  }
}

async function unpacked({ name, bytes }: Input): Promise<Input | Unreadable> {
  try {
    return { name, bytes: await decompress(name, bytes, MAX_BYTES) };
  } catch (error) {
    return unreadable(name, error);
  }
}

const unreadable = (name: string, error: unknown): Unreadable => ({
  name,
  error: problemOf(name, error),
});

function* openOne(
  file: FoundFile,
  io: Io,
  threads: number,
  progress: (bytes: number) => void,
): Generator<Opened | Promise<Opened>> {
  if (file.error || (file.name !== '-' && !file.isFile)) {
    yield read(file, io);
    return;
  }
  if (file.name === '-') {
    yield open('stdin', io.stdin, () => {});
    return;
  }
  const unread = (error: unknown) => ({ name: file.name, error: cannotRead(file.name, error) });
  let fd: number;
  try {
    fd = openSync(file.name, WITHOUT_WAITING);
  } catch (error) {
    yield unread(error);
    return;
  }
  try {
    const head = new Uint8Array(HEAD);
    const size = readSync(fd, head, 0, HEAD, 0);
    if (formatOf(head) === null) yield plain(file.name, fd, head.slice(0, size), threads, progress);
    else {
      const packed = createReadStream(file.name, { highWaterMark: HEAD });
      yield open(file.name, packed, progress).catch(unread);
    }
  } catch (error) {
    yield unread(error);
  } finally {
    closeSync(fd);
  }
}

/** A file as it is on disk, which can be read from any place. */
function plain(
  name: string,
  fd: number,
  head: Uint8Array,
  threads: number,
  progress: (bytes: number) => void,
): Stream {
  const { size } = fstatSync(fd);
  let at = 0;
  const attempt = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw error instanceof QueryError ? error : cannotRead(name, error);
    }
  };
  return {
    name,
    head,
    again: true,
    read: (into) => {
      const bytes = attempt(() => readSync(fd, into, 0, into.length, at));
      at += bytes;
      progress(at);
      return bytes;
    },
    whole: async (from = 0) => attempt(() => readFrom(fd, name, from)),
    ...(threads > 1 && size >= PARALLEL
      ? {
          scan: async (keys, ids) => {
            const { scanFile } = await import('./pool.ts');
            const task = { fd, size, segment: SEGMENT, keys, ids, maxLine: MAX_LINE };
            return scanFile(name, 'records', task, threads, progress);
          },
          scanBlocks: async (keys) => {
            const { scanFile } = await import('./pool.ts');
            const task = { fd, size, segment: SEGMENT, keys };
            return scanFile(name, 'blocks', task, threads, progress);
          },
        }
      : {}),
  };
}

/** What comes through a pipe or a decompressor, in order. */
async function open(
  name: string,
  source: AsyncIterable<Uint8Array | string>,
  progress: (bytes: number) => void,
): Promise<Opened> {
  const input = new Pieces(name, source, progress);
  try {
    await input.begin();
    return input;
  } catch (error) {
    return unreadable(name, error);
  }
}

class Pieces implements Stream {
  readonly name: string;
  head = new Uint8Array(0);
  readonly again = false;
  readonly #source: AsyncIterable<Uint8Array | string>;
  readonly #progress: (bytes: number) => void;
  #next: AsyncIterator<Uint8Array>;
  #packed = false;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(
    name: string,
    source: AsyncIterable<Uint8Array | string>,
    progress: (bytes: number) => void,
  ) {
    this.name = name;
    this.#source = source;
    this.#progress = progress;
    this.#next = this.#bytes()[Symbol.asyncIterator]();
  }

  /** Looks at how it begins, and puts a decompressor before it where it is needed. */
  async begin(): Promise<void> {
    const start = await this.#fill(HEAD);
    const format = formatOf(start);
    if (format !== null) {
      this.#packed = true;
      this.#next = unpack(this.name, format, from(start, this.#next))[Symbol.asyncIterator]();
      this.#rest = await this.#fill(HEAD);
    } else this.#rest = start;
    this.head = this.#rest.slice();
  }

  read = async (into: Uint8Array): Promise<number> => {
    if (this.#rest.length === 0) {
      const { done, value } = await this.#next.next();
      if (done) return 0;
      this.#rest = value;
      // An empty piece is not the end.
      if (value.length === 0) return this.read(into);
    }
    const bytes = Math.min(into.length, this.#rest.length);
    into.set(this.#rest.subarray(0, bytes));
    this.#rest = this.#rest.subarray(bytes);
    return bytes;
  };

  whole = async (): Promise<Uint8Array> => {
    const parts: Uint8Array[] = [this.#rest];
    let total = this.#rest.length;
    for (;;) {
      const { done, value } = await this.#next.next();
      if (done) break;
      total += value.length;
      if (total > MAX_BYTES)
        throw this.#packed
          ? growsPast(this.name, MAX_BYTES)
          : tooBig(this.name === 'stdin' ? 'standard input' : this.name);
      parts.push(value);
    }
    return concat(parts, total);
  };

  /** At least so many bytes, or all that there are. */
  async #fill(least: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let total = 0;
    while (total < least) {
      const { done, value } = await this.#next.next();
      if (done) break;
      parts.push(value);
      total += value.length;
    }
    return concat(parts, total);
  }

  async *#bytes(): AsyncGenerator<Uint8Array> {
    let done = 0;
    try {
      for await (const chunk of this.#source) {
        const bytes = typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk;
        done += bytes.length;
        this.#progress(done);
        yield bytes;
      }
    } catch (error) {
      const name = this.name === 'stdin' ? 'standard input' : this.name;
      throw new QueryError(`cannot read ${name}: ${reasonOf(error)}`, { cause: error });
    }
  }
}

async function* from(
  start: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield start;
  for (;;) {
    const { done, value } = await rest.next();
    if (done) return;
    yield value;
  }
}
