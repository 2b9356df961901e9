// A QEMU over its monitor: three questions, of which none changes anything.
import { createConnection } from 'node:net';
import { QueryError } from '../../cpu/errors.ts';
import { type Asking, ask } from './program.ts';

const question = (execute: string, args?: object): string =>
  `${JSON.stringify(args ? { execute, arguments: args } : { execute })}\n`;

const expansion = (name: string) =>
  question('query-cpu-model-expansion', { type: 'full', model: { name } });

/** Asked of every QEMU; host is refused without KVM, and max is the same with it. */
const QUESTIONS = [
  question('qmp_capabilities'),
  question('query-version'),
  question('query-kvm'),
  question('query-cpu-definitions'),
  expansion('max'),
];

/** The session with a QEMU of our own, paused, without a machine. */
export async function askBinary(binary: string, asking: Asking): Promise<string> {
  const args = ['-machine', 'none,accel=kvm:tcg', '-nodefaults', '-display', 'none', '-S'];
  const replies = await ask(binary, [...args, '-qmp', 'stdio'], {
    ...asking,
    input: `${QUESTIONS.join('')}${question('quit')}`,
  });
  return interleave(replies);
}

/** The session with a QEMU that runs, over the socket of its monitor. */
export function askSocket(path: string, { timeout }: Asking): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    let text = '';
    const fail = (why: string) => {
      socket.destroy();
      reject(new QueryError(`${path} ${why}`));
    };
    const timer = setTimeout(
      () =>
        fail(
          `did not answer within ${timeout / 1000} seconds; another client may hold the monitor`,
        ),
      timeout,
    );
    socket.setEncoding('utf8');
    socket.on('connect', () => socket.write(QUESTIONS.join('')));
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (repliesIn(text) < QUESTIONS.length) return;
      clearTimeout(timer);
      socket.destroy();
      resolve(interleave(text));
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      fail(
        error.code === 'ENOENT'
          ? 'is no socket: there is no such file'
          : `cannot be reached: ${error.message}`,
      );
    });
    socket.on('close', () => {
      clearTimeout(timer);
      if (repliesIn(text) < QUESTIONS.length) fail('cut the connection before it had answered');
    });
  });
}

const repliesIn = (text: string): number =>
  text.split('\n').filter((line) => /^\{"(?:return|error)":/.test(line)).length;

/** Each reply under its question: a reader tells host from max by what was asked. */
function interleave(replies: string): string {
  const questions = [...QUESTIONS];
  return replies
    .split('\n')
    .flatMap((line) =>
      /^\{"(?:return|error)":/.test(line) ? [questions.shift()?.trim() ?? '', line] : [line],
    )
    .join('\n');
}
