// Where an answer goes: standard output, or a file that is complete or untouched.
import { closeSync, promises as fs, openSync, rmSync, type Stats } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { QueryError } from '../../cpu/errors.ts';
import { printable, printableLines } from '../../cpu/printable.ts';
import { atEnd } from '../at-end.ts';
import { concat, type Io, type Output, reasonOf, shown, write } from '../io.ts';

/** An answer as text, or a long one in pieces. */
export type Answer = string | Iterable<string | Uint8Array>;

function* shownOn(output: Output, answer: Answer): Generator<string | Uint8Array> {
  for (const piece of piecesOf(answer)) yield shown(output, piece);
}

const piecesOf = (answer: Answer) => (typeof answer === 'string' ? [answer] : answer);

/** Gives the answer to standard output or, where one is named, to a file. */
export async function deliver(io: Io, answer: Answer, file?: string): Promise<void> {
  if (file !== undefined && file !== '-') return writeFile(file, shownOn(io.stdout, answer));
  for (const piece of piecesOf(answer)) if (!(await write(io.stdout, piece))) return;
}

/** Says beside an answer which inputs took no part in it. */
export async function warnSkipped(
  io: Io,
  skipped: readonly { readonly reason: string }[],
  { quiet }: { readonly quiet?: true },
): Promise<void> {
  if (!quiet)
    await write(
      io.stderr,
      skipped.map((s) => `warning: skipped: ${printable(s.reason)}\n`).join(''),
    );
}

/** Gives several answers to files of a directory, which is made where it is missing. */
export async function deliverAll(
  directory: string,
  files: ReadonlyMap<string, string>,
): Promise<void> {
  try {
    await fs.mkdir(directory, { recursive: true });
  } catch (error) {
    throw cannotWrite(directory, error);
  }
  for (const [name, text] of files) await writeFile(join(directory, name), printableLines(text));
}

/** Writes beside the file, on disk before it takes the name: a reader sees the old answer or the new, never half. */
async function writeFile(path: string, answer: Answer): Promise<void> {
  try {
    const old = await fs.stat(path).catch(() => null);
    if (old?.isDirectory())
      throw new QueryError(`cannot write ${path}: it is a directory; name a file in it`);
    // A device or a pipe takes the answer as it is.
    if (old && !old.isFile()) return await fs.writeFile(path, piecesOf(answer));
    const target = await targetOf(path);
    const beside = join(dirname(target), `.${basename(target)}.${crypto.randomUUID().slice(0, 8)}`);
    const written = atEnd(() => rmSync(beside, { force: true }));
    try {
      // Made at once, so that whatever ends the command on its way finds it.
      closeSync(openSync(beside, 'wx', old ? 0o600 : 0o666));
      const handle = await fs.open(beside, 'r+');
      try {
        if (old) await likeBefore(handle, old);
        for (const piece of piecesOf(answer)) await handle.writeFile(piece);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await fs.rename(beside, target);
    } catch (error) {
      await fs.rm(beside, { force: true });
      throw error;
    } finally {
      written();
    }
  } catch (error) {
    throw error instanceof QueryError ? error : cannotWrite(path, error);
  }
}

/** The file that is written: a link stays a link, and one that leads to no file yet says where to make it. */
async function targetOf(path: string): Promise<string> {
  try {
    return await fs.realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const leads = await fs.readlink(path).catch(() => null);
  return leads === null ? path : targetOf(resolve(await fs.realpath(dirname(path)), leads));
}

/** Who may read and write the file stays as it was; its owner too, where we may say so. */
async function likeBefore(handle: fs.FileHandle, old: Stats): Promise<void> {
  const { uid, gid } = await handle.stat();
  // Owner and group apart: one who is no root may still give it to a group of his own.
  if (gid !== old.gid) await handle.chown(uid, old.gid).catch(() => {});
  if (uid !== old.uid) await handle.chown(old.uid, old.gid).catch(() => {});
  await handle.chmod(old.mode & 0o7777);
}

const cannotWrite = (path: string, error: unknown): QueryError =>
  new QueryError(`cannot write ${path || '""'}: ${reasonOf(error)}`, { cause: error });

/** A value as the name of a file: what a file system or a shell could misread is written as %XX. */
export const fileName = (value: string): string =>
  encodeURIComponent(value)
    .replace(/^\./, '%2E')
    .replace(/[!'()*~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** One JSON document, as every --json prints it. */
export const json = (document: { readonly schema: string }): string =>
  `${JSON.stringify(document, null, 2)}\n`;

/** So much is given away at once. */
const PIECE = 1 << 16;
const encoder = new TextEncoder();
const bytesFor = (text: string): Uint8Array => encoder.encode(printableLines(text));

/**
 * The same of a document with a long list: `entries` under this name, each the parts of an object, one after another.
 * A part that is there several times is one object, and put into words once; what is there once is a text, from partOf.
 */
export function* jsonOf(
  head: { readonly schema: string; readonly [member: string]: unknown },
  name: string,
  entries: Iterable<readonly (object | string)[]>,
  rest: object,
): Generator<Uint8Array> {
  const known = new WeakMap<object, Uint8Array>();
  const bytesOf = (part: object): Uint8Array => {
    const bytes = known.get(part) ?? bytesFor(partOf(part));
    known.set(part, bytes);
    return bytes;
  };
  let pieces: Uint8Array[] = [];
  let size = 0;
  let text = `{\n${membersOf(head)},\n  ${JSON.stringify(name)}: [`;
  const put = (bytes: Uint8Array) => {
    pieces.push(bytes);
    size += bytes.length;
  };
  const putText = () => {
    put(bytesFor(text));
    text = '';
  };
  let comma = '';
  for (const parts of entries) {
    text += `${comma}\n    {\n`;
    for (const [i, part] of parts.entries()) {
      if (i > 0) text += ',\n';
      if (typeof part === 'string') text += part;
      else {
        putText();
        put(bytesOf(part));
      }
    }
    text += '\n    }';
    comma = ',';
    if (size + text.length < PIECE) continue;
    putText();
    yield concat(pieces, size);
    pieces = [];
    size = 0;
  }
  const more = membersOf(rest);
  text += `${comma === '' ? '' : '\n  '}]${more === '' ? '' : `,\n${more}`}\n}\n`;
  putText();
  yield concat(pieces, size);
}

/** A part of an entry as text. */
export const partOf = (part: object): string => membersOf(part, '    ');

/** The members of an object as JSON, each on lines of its own, so deep inside a document. */
function membersOf(part: object, depth = ''): string {
  const text = JSON.stringify(part, null, 2);
  return text === '{}' ? '' : depth + text.slice(2, -2).replaceAll('\n', `\n${depth}`);
}

/** Texts one after another, given away in pieces. */
export function* joined(texts: Iterable<string>): Generator<string> {
  let piece = '';
  for (const text of texts) {
    piece += text;
    if (piece.length < PIECE) continue;
    yield piece;
    piece = '';
  }
  yield piece;
}

/** Blocks of text with an empty line between, given away in pieces. */
export function* blocksOf(blocks: Iterable<string>): Generator<string> {
  let piece = '';
  let between = '';
  for (const block of blocks) {
    piece += between + block;
    between = '\n\n';
    if (piece.length < PIECE) continue;
    yield piece;
    piece = '';
  }
  yield `${piece}\n`;
}
