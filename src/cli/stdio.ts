// The process's own streams. Node's take milliseconds to load, which a short answer need not wait for: what goes to a
// file or a pipe is written at once.
import { fstatSync, statSync, writeSync } from 'node:fs';
import type { Io, Output } from './io.ts';

const NOWHERE = '/dev/null';

export interface Process extends Io {
  readonly argv: readonly string[];
  readonly platform: string;
}

/** What a command sees of the process. */
export function ioOf(process: Process): Io {
  const isDirect = (fd: number) => process.platform !== 'win32' && canBeWrittenAtOnce(fd);
  return {
    get stdin() {
      return process.stdin;
    },
    stdout: isDirect(1) ? new Descriptor(1, () => heard(process.stdout)) : process.stdout,
    stderr: isDirect(2) ? new Descriptor(2, () => heard(process.stderr)) : process.stderr,
    env: process.env,
  };
}

function canBeWrittenAtOnce(fd: number): boolean {
  try {
    const stat = fstatSync(fd);
    if (stat.isCharacterDevice()) return stat.rdev === statSync(NOWHERE).rdev;
    return stat.isFile() || stat.isFIFO() || stat.isSocket();
  } catch {
    return false;
  }
}

/** An 'error' that nobody hears would end the process. */
function heard(output: Output): Output {
  output.on('error', () => {});
  return output;
}

/** A file or a pipe that is written to at once. */
export class Descriptor implements Output {
  readonly #fd: number;
  readonly #stream: () => Output;
  /** Set where another process made the descriptor one that does not wait: Node's stream does that itself. */
  #instead: Output | undefined;

  constructor(fd: number, stream: () => Output) {
    this.#fd = fd;
    this.#stream = stream;
  }

  write(text: string | Uint8Array, done: (error?: Error | null) => void): void {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    let written = 0;
    let failure: unknown = null;
    try {
      while (written < bytes.length && !this.#instead)
        written += writeSync(this.#fd, bytes, written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') this.#instead = this.#stream();
      else failure = error;
    }
    if (this.#instead) this.#instead.write(bytes.subarray(written), done);
    else done(failure as Error | null);
  }

  /** What goes wrong is told to `write`. */
  on(): void {}
}
