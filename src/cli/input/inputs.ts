// Files, directories and standard input as inputs, one in memory at a time. Their order depends on their names
// alone, and each path is read once however often it is given.
import {
  closeSync,
  constants,
  type Dirent,
  promises as fs,
  fstatSync,
  openSync,
  readdirSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
} from 'node:fs';
import { resolve } from 'node:path';
import { QueryError } from '../../cpu/errors.ts';
import { sortByBytes } from '../../cpu/order.ts';
import type { Input } from '../../dialects/dialect.ts';
import type { Unreadable } from '../../reading/problems.ts';
import { concat, type Io, reasonOf } from '../io.ts';
import { decompress } from './decompress.ts';

/** Bytes of one input: a text must fit into one string of the language, and decompressed data is text too. */
export const MAX_BYTES = 500_000_000;

export interface Progress {
  (done: number, total: number): void;
  /** Fetches what is drawn with, ahead of work that does not wait for anything. */
  readonly load?: () => Promise<void>;
}

/** Larger files are read piece by piece where that is possible. */
const LARGE = 1024 * 1024;
/** More than the system makes up of all processors of a host. */
const MADE_UP = 64 * LARGE;
/** Bytes that are read of a file before anybody asks how many there are. */
const SMALL = 64 * 1024;

/** A file to read, or why it cannot be. */
export interface FoundFile {
  readonly name: string;
  /** Whether it is on a disk, and no pipe. */
  readonly isFile?: boolean;
  /** It lies in a folder of many kinds of files. */
  readonly contained?: true;
  readonly error?: QueryError;
}

/** Reads every file below the paths, and standard input for `-`; what cannot be read comes as its problem. */
export async function* readInputs(
  paths: readonly string[],
  io: Io,
  progress: Progress = () => {},
): AsyncGenerator<Input | Unreadable> {
  const found = findInputs(paths);
  for (const [done, file] of found.entries()) {
    progress(done, found.length);
    yield marked(file, await read(file, io));
  }
  progress(found.length, found.length);
}

/** The files below the paths, each once, in the order of their names. */
export function findInputs(paths: readonly string[]): FoundFile[] {
  const byName = new Map<string, FoundFile>();
  for (const path of paths) for (const file of findFiles(path)) byName.set(file.name, file);
  const all = sortByBytes([...byName.keys()]).map((name) => byName.get(name)!);
  // Below one path nothing is found twice.
  if (paths.length === 1) return all;
  const found = new Map<string, FoundFile>();
  for (const file of all) {
    const key = file.name === '-' ? '-' : resolve(file.name);
    if (!found.has(key)) found.set(key, file);
  }
  return [...found.values()];
}

/** An opened file that says where it lies. */
export const marked = <T extends object>({ contained }: FoundFile, opened: T): T =>
  contained ? Object.assign(opened, { contained }) : opened;

/** One file or standard input, decompressed. */
export async function readOne(path: string, io: Io): Promise<Input> {
  const [file] = findFiles(path, 'file');
  const input = await read(file!, io);
  if ('error' in input) throw input.error;
  return input;
}

/** A JSON document of one of our own answers, and its name. */
export async function readJson(
  path: string,
  io: Io,
): Promise<{ readonly document: unknown; readonly name: string }> {
  const { name, bytes } = await readOne(path, io);
  try {
    return { document: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)), name };
  } catch (cause) {
    throw new QueryError(`${name} is no JSON; give the output of plimsoll baseline --json`, {
      cause,
    });
  }
}

/** A file or standard input, decompressed, or why it cannot be had. */
export async function read(file: FoundFile, io: Io): Promise<Input | Unreadable> {
  const name = file.name === '-' ? 'stdin' : file.name;
  try {
    if (file.error) throw file.error;
    const bytes =
      file.name === '-'
        ? await readStream(io.stdin)
        : file.isFile
          ? readWhole(file.name)
          : await readPipe(file.name);
    return { name, bytes: await decompress(name, bytes, MAX_BYTES) };
  } catch (error) {
    if (error instanceof QueryError) return { name, error };
    throw error;
  }
}

/**
 * A file on a disk, whole.
 * @throws QueryError where it cannot be read, or is more than an input may be.
 */
export function readWhole(name: string): Uint8Array {
  const small = readSmall(name);
  if (small !== null) return small.slice();
  try {
    const fd = openSync(name, WITHOUT_WAITING);
    try {
      return readFrom(fd, name, 0);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw error instanceof QueryError ? error : cannotRead(name, error);
  }
}

async function readPipe(name: string): Promise<Uint8Array> {
  try {
    return await fs.readFile(name);
  } catch (error) {
    throw cannotRead(name, error);
  }
}

/**
 * All of a large file from this place on, in one go: the file system's own pace is not reached with a wait for each piece.
 * @throws QueryError where that is more than an input may have; and what the system says.
 */
export function readFrom(fd: number, name: string, from: number): Uint8Array {
  const { size } = fstatSync(fd);
  if (size - from > MAX_BYTES) throw tooBig(name);
  // What the system makes up says no size, and may have no end.
  const isMadeUp = size === 0;
  const bytes = new Uint8Array(isMadeUp ? MADE_UP : size - from);
  let end = 0;
  for (let more = 1; more > 0; end += more)
    more = readSync(fd, bytes, end, bytes.length - end, from + end);
  if (isMadeUp && end === MADE_UP)
    throw new QueryError(
      `${name} is made up by the system and larger than ${MADE_UP / LARGE} MB; give a file of host descriptions`,
    );
  return bytes.subarray(0, end);
}

/** To read what is there, and never to wait for more: some files that the system makes up have no end. */
export const WITHOUT_WAITING = constants.O_RDONLY | constants.O_NONBLOCK;

/** Where small files are read to: ten thousand arrays would cost as much as reading into them. */
const scratch = new Uint8Array(LARGE);

/**
 * A file on a disk, read at once: ten thousand small ones would wait ten thousand times. The array holds until the
 * next is read. Null for a large file.
 * @throws QueryError where it cannot be read.
 */
export function readSmall(name: string): Uint8Array | null {
  try {
    const fd = openSync(name, WITHOUT_WAITING);
    try {
      // Most end at once; to ask for the size first takes longer, and what the system makes up has none.
      let read = readSync(fd, scratch, 0, SMALL, null);
      if (read === SMALL && fstatSync(fd).size >= LARGE) return null;
      for (let more = read; more > 0 && read < LARGE; read += more)
        more = readSync(fd, scratch, read, LARGE - read, null);
      return read === LARGE ? null : scratch.subarray(0, read);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw cannotRead(name, error);
  }
}

async function readStream(stream: Io['stdin']): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  try {
    for await (const chunk of stream) {
      const bytes = typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk;
      total += bytes.length;
      if (total > MAX_BYTES) throw tooBig('standard input');
      chunks.push(bytes);
    }
  } catch (error) {
    if (error instanceof QueryError) throw error;
    throw new QueryError(`cannot read standard input: ${reasonOf(error)}`, { cause: error });
  }
  return concat(chunks, total);
}

/** The files that a path stands for; a problem takes the place of what cannot be read. */
function findFiles(path: string, only?: 'file'): FoundFile[] {
  if (path === '-') return [{ name: path }];
  let stat: Stats;
  try {
    stat = statSync(path);
  } catch (error) {
    return [{ name: path, error: cannotRead(path, error) }];
  }
  if (!stat.isDirectory()) return [check(path, stat)];
  if (only) return [{ name: path, error: new QueryError(`${path} is a directory; give one file`) }];
  const files = walk(path, []);
  if (files.length > 0) return withContained(files, path);
  const error = new QueryError(
    `${path} holds no files (dot files are not read); put host descriptions into it`,
  );
  return [{ name: path, error }];
}

/** A folder without the slashes that its name may end in. */
function withoutSlashes(folder: string): string {
  let end = folder.length;
  while (folder[end - 1] === '/') end--;
  return folder.slice(0, end);
}

/** A folder that only oc adm must-gather and oc adm inspect make. */
const GATHERED = /\/(?:cluster-scoped-resources|namespaces)\//;

/**
 * Marks what lies in a folder of the resources of a cluster, and in the one around it: notes, logs and versions lie
 * beside the resources there.
 */
function withContained(files: readonly FoundFile[], top: string): FoundFile[] {
  const start = withoutSlashes(top);
  const roots = new Set(
    files.flatMap(({ name }) => {
      const at = name.slice(start.length).search(GATHERED);
      if (at < 0) return [];
      const folder = name.slice(0, start.length + at);
      return [at === 0 ? folder : folder.slice(0, folder.lastIndexOf('/'))];
    }),
  );
  if (roots.size === 0) return [...files];
  const isIn = (name: string) => [...roots].some((root) => name.startsWith(`${root}/`));
  return files.map((file) => (isIn(file.name) ? { ...file, contained: true } : file));
}

function walk(directory: string, above: readonly string[]): FoundFile[] {
  let entries: Dirent[];
  let real: string;
  try {
    real = realpathSync(directory);
    // A link to a directory above it leads nowhere new.
    if (above.includes(real)) return [];
    entries = readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    return [{ name: directory, error: cannotRead(directory, error) }];
  }
  const found: FoundFile[] = [];
  const start = withoutSlashes(directory);
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const path = `${start}/${entry.name}`;
    try {
      if (entry.isFile()) {
        found.push({ name: path, isFile: true });
        continue;
      }
      const stat = statSync(path);
      if (stat.isDirectory()) found.push(...walk(path, [...above, real]));
      else found.push(check(path, stat));
    } catch (error) {
      found.push({ name: path, error: cannotRead(path, error) });
    }
  }
  return found;
}

/** Refuses what would block for ever or has no end. */
function check(path: string, stat: Stats): FoundFile {
  if (stat.isFile()) return { name: path, isFile: true };
  // What a shell puts in the place of <(command).
  if (stat.isFIFO() && /^\/(dev\/(fd\/|stdin$)|proc\/)/.test(path)) return { name: path };
  const kind = stat.isFIFO() ? 'a named pipe' : stat.isSocket() ? 'a socket' : 'a device';
  return {
    name: path,
    error: new QueryError(
      `${path} is ${kind}; give a file, or pass - and redirect it to standard input`,
    ),
  };
}

export const cannotRead = (path: string, error: unknown): QueryError =>
  new QueryError(
    `cannot read ${path || '""'}: ${reasonOf(error)}; give a file, a directory, or - for standard input`,
    {
      cause: error,
    },
  );

export const tooBig = (name: string): QueryError =>
  new QueryError(
    `${name} is larger than the ${MAX_BYTES / 1e6} MB that one input may have; split it into smaller files`,
  );
