// Other programs, asked without a terminal, so that none can wait for a password, and never for longer than was said.
import { spawn } from 'node:child_process';
import { QueryError } from '../../cpu/errors.ts';

/** More than any of them prints about the CPUs of a site. */
const MAX_BYTES = 256 * 1024 * 1024;
const MAX_COMPLAINT = 16 * 1024;

export interface Asking {
  /** Milliseconds. */
  readonly timeout: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What it reads on its standard input, which ends then. */
  readonly input?: string;
  /** What it reads after that, once its output holds what was waited for; one that is told to quit may drop its answers. */
  readonly later?: { readonly after: RegExp; readonly input: string };
}

/** Enough of the output to find in it what is waited for, wherever it is cut. */
const TAIL = 200;

/**
 * What a program prints.
 * @throws QueryError where it is not installed, fails, or takes too long.
 */
export function ask(
  command: string,
  args: readonly string[],
  { timeout, env, input, later }: Asking,
): Promise<string> {
  return new Promise((resolve, reject) => {
    // A session of its own has no terminal to prompt on, and can be ended as a whole.
    const child = spawn(command, args, {
      detached: true,
      env: { ...env, LC_ALL: 'C' },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const chunks: Buffer[] = [];
    let size = 0;
    let complaint = '';
    let tail = '';
    let failure: string | null = null;
    const end = (why: string) => {
      failure ??= why;
      try {
        process.kill(-child.pid!, 'SIGKILL');
      } catch {
        child.kill('SIGKILL');
      }
    };
    const timer = setTimeout(
      () => end(`${command} did not answer within ${timeout / 1000} seconds`),
      timeout,
    );
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BYTES) end(`${command} prints more than ${MAX_BYTES >> 20} MB`);
      else chunks.push(chunk);
      if (!later || child.stdin.writableEnded) return;
      const text = tail + chunk.toString('latin1');
      if (later.after.test(text)) child.stdin.end(later.input);
      tail = text.slice(-TAIL);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-MAX_COMPLAINT);
    });
    child.stdin.on('error', () => {});
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      reject(
        new QueryError(
          error.code === 'ENOENT'
            ? `${command} is not installed here; install it, or collect where it is`
            : `${command} cannot be started: ${error.message}`,
        ),
      );
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (failure !== null) return reject(new QueryError(failure));
      if (code === 0) return resolve(Buffer.concat(chunks).toString('utf8'));
      const said = complaint.trim().split('\n').at(-1)?.trim() || `code ${code ?? signal}`;
      reject(new QueryError(`${command} failed: ${said.replace(/^error:\s*/i, '')}`));
    });
    if (later) child.stdin.write(input ?? '');
    else child.stdin.end(input ?? '');
  });
}
