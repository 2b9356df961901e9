// The command inside the test's own process: what it is told on standard input, and what it answers.
import { main } from '../../src/cli/main.ts';

export const run = (...argv: string[]) => feed('', ...argv);

export async function feed(stdin: string, ...argv: string[]) {
  const printed = { stdout: '', stderr: '' };
  const output = (name: 'stdout' | 'stderr') => ({
    write: (text: string | Uint8Array, done: () => void) => {
      printed[name] += text;
      done();
    },
    on: () => {},
  });
  const status = await main(argv, {
    stdin: (async function* () {
      if (stdin !== '') yield stdin;
    })(),
    stdout: output('stdout'),
    stderr: output('stderr'),
    env: {},
  });
  return { status, ...printed };
}
