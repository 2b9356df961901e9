// The process as commands see it: streams and environment, handed in, so that tests can be the process.
import { QueryError } from '../cpu/errors.ts';
import { printableLines } from '../cpu/printable.ts';

export interface Output {
  write(text: string | Uint8Array, done: (error?: Error | null) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface Io {
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What a command may know of its call. */
export interface Call {
  readonly io: Io;
  /** The words after `plimsoll`, as typed. */
  readonly argv: readonly string[];
}

/** 0: yes, or an answer; 1: no; 2: that is not known. What could not be answered at all throws. */
export type ExitCode = 0 | 1 | 2;

/** Wraps what a command does into what commander calls. */
export type Answering = <A extends unknown[]>(
  run: (call: Call, ...args: A) => Promise<ExitCode>,
) => (...args: A) => Promise<void>;

/** Columns where output is no terminal, and where a terminal does not say. */
const COLUMNS = 80;
/** Narrower than this no table can be laid out. */
const MIN_COLUMNS = 40;

export const columnsOf = (output: Output): number =>
  output.isTTY ? Math.max(MIN_COLUMNS, output.columns ?? COLUMNS) : COLUMNS;

/** Outputs that an answer is painted for: the colours in their text are ours. */
const painted = new WeakSet<Output>();

/** From here on, colours may stand in what is written there. */
export const paintOn = (output: Output): void => {
  painted.add(output);
};

/** Text as it may be written there, or to a file in its stead. */
export const shown = (output: Output, text: string | Uint8Array): string | Uint8Array =>
  typeof text === 'string' ? printableLines(text, painted.has(output)) : text;

/** Writes all of a text; false where the reader has seen enough and closed the pipe, which is no failure. */
export function write(output: Output, text: string | Uint8Array): Promise<boolean> {
  if (text.length === 0) return Promise.resolve(true);
  return new Promise((resolve, reject) => {
    output.write(shown(output, text), (error) => {
      if (!error) resolve(true);
      else if ((error as NodeJS.ErrnoException).code === 'EPIPE') resolve(false);
      else reject(new QueryError(`cannot write the answer: ${reasonOf(error)}`));
    });
  });
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EAGAIN: 'it has no end, and waits for what comes next',
  EBUSY: 'it is in use',
  EIO: 'the device reports an error',
  EISDIR: 'it is a directory',
  ELOOP: 'its symbolic links go in a circle',
  EMFILE: 'too many files are open',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space is left there',
  ENOTDIR: 'a part of its path is no directory',
  ENXIO: 'nothing reads or writes at its other end',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
};

/** Why the system refused, in words. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ''] ?? message;
}

export type ColorChoice = 'auto' | 'always' | 'never';

/** Whether to colour: the option decides, then NO_COLOR and FORCE_COLOR, then whether it is a terminal. */
export function wantsColor(io: Io, choice: ColorChoice): boolean {
  if (choice !== 'auto') return choice === 'always';
  const { NO_COLOR, FORCE_COLOR, TERM } = io.env;
  if (NO_COLOR) return false;
  if (FORCE_COLOR) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return io.stdout.isTTY === true && TERM !== 'dumb';
}

/** Bytes that came in pieces, of so many in all. */
export function concat(chunks: readonly Uint8Array[], total: number): Uint8Array {
  const all = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
