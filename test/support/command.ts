// The command inside the test's own process: what it is told on standard input, and what it answers. Reading its code and
// the catalog takes a process of its own longer than most answers.
import { main } from '../../src/cli/main.ts';

/** The rest of a call: the folder that it is made in, its environment, and what it is told. */
interface Where {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
}

export const run = (...argv: string[]) => runIn({}, argv);

export const feed = (stdin: string, ...argv: string[]) => runIn({ stdin }, argv);

/** One call at a time: the folder is that of the whole process. */
export async function runIn(
  { cwd = process.cwd(), env = {}, stdin = '' }: Where,
  argv: readonly string[],
) {
  const printed = { stdout: '', stderr: '' };
  const output = (name: 'stdout' | 'stderr') => {
    const decoder = new TextDecoder();
    return {
      write: (text: string | Uint8Array, done: () => void) => {
        printed[name] += typeof text === 'string' ? text : decoder.decode(text, { stream: true });
        done();
      },
      on: () => {},
    };
  };
  const before = process.cwd();
  process.chdir(cwd);
  try {
    const status = await main(argv, {
      stdin: (async function* () {
        if (stdin.length > 0) yield stdin;
      })(),
      stdout: output('stdout'),
      stderr: output('stderr'),
      env,
    });
    return { status, ...printed };
  } finally {
    process.chdir(before);
  }
}
