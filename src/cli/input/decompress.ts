// Compressed files as they are: gzip and Zstandard, told by their first bytes, never grown past a limit.
import { QueryError } from '../../cpu/errors.ts';
import { concat } from '../io.ts';

export type Format = 'gzip' | 'zstd';

export function formatOf(bytes: Uint8Array): Format | null {
  const [a, b, c, d] = bytes;
  if (a === 0x1f && b === 0x8b) return 'gzip';
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return 'zstd';
  // A frame to skip, as pzstd puts before each of its own.
  if (a! >> 4 === 5 && b === 0x2a && c === 0x4d && d === 0x18) return 'zstd';
  return null;
}

/** Bytes of a piece: each waits for its turn among the events once. */
const PIECE = 64 * 1024;

class TooBig extends Error {}

/**
 * The bytes as they were before compression; other bytes unchanged.
 * @throws QueryError for a damaged or cut file, and for one that would grow past `limit` bytes.
 */
export async function decompress(
  name: string,
  bytes: Uint8Array,
  limit: number,
): Promise<Uint8Array> {
  const format = formatOf(bytes);
  if (format === null) return bytes;
  try {
    return await (format === 'gzip' ? gunzip(bytes, limit) : unzstd(bytes, limit));
  } catch (error) {
    if (error instanceof TooBig || (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw growsPast(name, limit, error);
    throw damaged(name, format, error);
  }
}

export const growsPast = (name: string, limit: number, cause?: unknown): QueryError =>
  new QueryError(
    `${name} grows past ${limit / 1e6} MB when it is decompressed; split it into smaller files`,
    { cause },
  );

function damaged(name: string, format: Format, error: unknown): QueryError {
  const cut = /unexpected (end|eof)/i.test((error as Error).message);
  return new QueryError(
    cut
      ? `${name} ends in the middle of its ${format} data; copy it again in full`
      : `${name} begins like a ${format} file, but its data is damaged; copy it again`,
    { cause: error },
  );
}

/**
 * The same piece by piece, for what is too large to hold.
 * @throws QueryError for damaged or cut data, when it comes to it.
 */
export async function* unpack(
  name: string,
  format: Format,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    const zlib = (await import('node:zlib')) as unknown as {
      createGunzip(options: { chunkSize: number }): NodeJS.ReadWriteStream;
      createZstdDecompress?(options: { chunkSize: number }): NodeJS.ReadWriteStream;
    };
    if (format === 'zstd' && !zlib.createZstdDecompress) return yield* unzstdPieces(source);
    const { pipeline, Readable } = await import('node:stream');
    const how = { chunkSize: PIECE };
    const unpacker = format === 'gzip' ? zlib.createGunzip(how) : zlib.createZstdDecompress!(how);
    // What goes wrong comes out where the bytes come out.
    pipeline(Readable.from(source), unpacker, () => {});
    yield* unpacker as unknown as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw error instanceof QueryError ? error : damaged(name, format, error);
  }
}

async function* unzstdPieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { Decompress } = await import('fzstd');
  let out: Uint8Array[] = [];
  const stream = new Decompress((chunk) => out.push(chunk));
  let last = new Uint8Array(0);
  for await (const piece of source) {
    stream.push(last);
    yield* out;
    out = [];
    last = piece.slice();
  }
  stream.push(last, true);
  yield* out;
}

async function gunzip(bytes: Uint8Array, limit: number): Promise<Uint8Array> {
  const [zlib, { promisify }] = await Promise.all([import('node:zlib'), import('node:util')]);
  return promisify(zlib.gunzip)(bytes, { maxOutputLength: limit });
}

type NodeDecompress = (
  bytes: Uint8Array,
  options: { maxOutputLength: number },
  done: (error: Error | null, out: Uint8Array) => void,
) => void;

async function unzstd(bytes: Uint8Array, limit: number): Promise<Uint8Array> {
  // Node has Zstandard since 22.15, and is several times faster at it than JavaScript.
  const { zstdDecompress } = (await import('node:zlib')) as unknown as {
    zstdDecompress?: NodeDecompress;
  };
  if (zstdDecompress)
    return new Promise((resolve, reject) =>
      zstdDecompress(bytes, { maxOutputLength: limit }, (error, out) =>
        error ? reject(error) : resolve(out),
      ),
    );
  const { Decompress } = await import('fzstd');
  const chunks: Uint8Array[] = [];
  let total = 0;
  const stream = new Decompress((chunk) => {
    total += chunk.length;
    if (total > limit) throw new TooBig();
    chunks.push(chunk);
  });
  stream.push(bytes, true);
  return concat(chunks, total);
}
