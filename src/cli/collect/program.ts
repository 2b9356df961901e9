// Other programs, asked without a terminal, so that none can wait for a password, and never for longer than was said.
import { type ChildProcess, spawn } from 'node:child_process';
import { QueryError } from '../../cpu/errors.ts';
import { atEnd } from '../at-end.ts';

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

/** Milliseconds without a word after which a program that has ended has said all, whoever else holds its output. */
const QUIET = 300;

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
    // Before it starts: a signal may come while it does.
    const endAll = () => endGroup(child);
    const ended = atEnd(endAll);
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
    let quiet: NodeJS.Timeout | undefined;
    let isSettled = false;
    const settle = (outcome: () => void) => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(timer);
      clearTimeout(quiet);
      ended();
      // What it started may hold the other ends for ever.
      for (const stream of child.stdio) stream?.destroy();
      outcome();
    };
    const fail = (why: string) => settle(() => reject(new QueryError(why)));
    const end = (why: string) => {
      endAll();
      fail(why);
    };
    const timer = setTimeout(
      () => end(`${command} did not answer within ${timeout / 1000} seconds`),
      timeout,
    );
    const conclude = () => {
      const { exitCode, signalCode } = child;
      if (exitCode === 0) return settle(() => resolve(Buffer.concat(chunks).toString('utf8')));
      const said = complaint.trim().split('\n').at(-1)?.trim() || `code ${exitCode ?? signalCode}`;
      fail(`${command} failed: ${said.replace(/^error:\s*/i, '')}`);
    };
    /** Waits for what is still on its way from a program that has ended, and for no more. */
    const listen = () => {
      if (isSettled) return;
      clearTimeout(quiet);
      const before = size;
      quiet = setTimeout(() => {
        // What came while this process was at work is read before an immediate.
        setImmediate(() => {
          if (isSettled || size !== before) return;
          endAll();
          conclude();
        });
      }, QUIET);
    };
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BYTES) return end(`${command} prints more than ${MAX_BYTES >> 20} MB`);
      chunks.push(chunk);
      if (hasEnded(child)) listen();
      if (!later || child.stdin.writableEnded) return;
      const text = tail + chunk.toString('latin1');
      if (later.after.test(text)) child.stdin.end(later.input);
      tail = text.slice(-TAIL);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-MAX_COMPLAINT);
    });
    child.stdin.on('error', () => {});
    child.on('error', (error: NodeJS.ErrnoException) =>
      fail(
        error.code === 'ENOENT'
          ? `${command} is not installed here; install it, or collect where it is`
          : `${command} cannot be started: ${error.message}`,
      ),
    );
    child.on('exit', listen);
    child.on('close', conclude);
    if (later) child.stdin.write(input ?? '');
    else child.stdin.end(input ?? '');
  });
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode !== null || signalCode !== null;

/** Ends a program and what it has started, but for what made itself a session of its own. */
function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    child.kill('SIGKILL');
  }
}
