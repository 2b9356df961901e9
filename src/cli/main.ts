// The plimsoll command: which commands there are, and how success, failure and bugs leave the process.
import { Command, CommanderError } from 'commander';
import { QueryError } from '../cpu/errors.ts';
import { isPrintable, printable } from '../cpu/printable.ts';
import { type Answering, type Call, columnsOf, type Io, write } from './io.ts';
import { ioOf, type Process } from './stdio.ts';
import { VERSION } from './version.ts';

interface Entry {
  readonly name: string;
  readonly group: 'Questions:' | 'Fleets:' | 'Catalog:';
  readonly summary: string;
  /** Loaded only when named on the command line, so that --version and --help start at once. */
  readonly load: () => Promise<{ define(command: Command, answering: Answering): void }>;
}

const COMMANDS: readonly Entry[] = [
  {
    name: 'baseline',
    group: 'Questions:',
    summary: 'the most capable CPU that every guest can have on all of these hosts',
    load: () => import('./commands/baseline.ts'),
  },
  {
    name: 'compare',
    group: 'Questions:',
    summary: 'can these CPUs run on this host; if not, why not',
    load: () => import('./commands/compare.ts'),
  },
  {
    name: 'decode',
    group: 'Questions:',
    summary: 'what a host, dump or definition really is: model, features, limits',
    load: () => import('./commands/decode.ts'),
  },
  {
    name: 'blame',
    group: 'Questions:',
    summary: 'which hosts hold the line down, and what is gained without or by mending them',
    load: () => import('./commands/blame.ts'),
  },
  {
    name: 'groups',
    group: 'Questions:',
    summary: 'the best split of the fleet into at most K pools',
    load: () => import('./commands/groups.ts'),
  },
  {
    name: 'place',
    group: 'Questions:',
    summary: 'which guest runs where; what a drained or lost host strands',
    load: () => import('./commands/place.ts'),
  },
  {
    name: 'admit',
    group: 'Questions:',
    summary: 'would these hosts lower the line',
    load: () => import('./commands/admit.ts'),
  },
  {
    name: 'pin',
    group: 'Questions:',
    summary: 'a CPU definition that no machine type can change',
    load: () => import('./commands/pin.ts'),
  },
  {
    name: 'drift',
    group: 'Questions:',
    summary: 'what a change of machine type, model version or stack does to guests',
    load: () => import('./commands/drift.ts'),
  },
  {
    name: 'resolve',
    group: 'Questions:',
    summary: 'the CPU that a guest definition gets on a host',
    load: () => import('./commands/resolve.ts'),
  },
  {
    name: 'explain',
    group: 'Questions:',
    summary: 'what a pasted error means, which feature, which host, what to do',
    load: () => import('./commands/explain.ts'),
  },
  {
    name: 'collect',
    group: 'Fleets:',
    summary: 'host records from live hosts',
    load: () => import('./commands/collect.ts'),
  },
  {
    name: 'summarize',
    group: 'Fleets:',
    summary: 'a part of a fleet as one line of text, an input of every question',
    load: () => import('./commands/summarize.ts'),
  },
  {
    name: 'merge',
    group: 'Fleets:',
    summary: 'the summaries of all parts of a fleet as one',
    load: () => import('./commands/merge.ts'),
  },
  {
    name: 'synth',
    group: 'Fleets:',
    summary: 'a made-up fleet, for benchmarks',
    load: () => import('./commands/synth.ts'),
  },
  {
    name: 'models',
    group: 'Catalog:',
    summary: 'CPU models, and which software knows them',
    load: () => import('./commands/models.ts'),
  },
  {
    name: 'features',
    group: 'Catalog:',
    summary: 'CPU features: spellings, bits, rules, and who has them',
    load: () => import('./commands/features.ts'),
  },
  {
    name: 'machines',
    group: 'Catalog:',
    summary: 'machine types, and what they change about CPUs',
    load: () => import('./commands/machines.ts'),
  },
  {
    name: 'names',
    group: 'Catalog:',
    summary: 'any spelling to all others; what a misspelt name may have meant',
    load: () => import('./commands/names.ts'),
  },
  {
    name: 'learn',
    group: 'Catalog:',
    summary: 'a catalog from the libvirt or QEMU at hand',
    load: () => import('./commands/learn.ts'),
  },
];

const HELP = `
Inputs are files, directories (read to the bottom, dot files skipped) and - for
standard input; .gz and .zst are read as they are. The language of a file is
recognised by its content.

Examples:
  plimsoll baseline rack-a/                   the CPU, and who holds it down
  plimsoll baseline rack-a/ --to libvirt      the same as an element to paste
  virsh domcapabilities | plimsoll decode -   what this host really offers
  plimsoll compare host.xml guest.xml         can the guest run there
  plimsoll models Skylake-Server-v3           what a name stands for

Exit code: 0 yes, or an answer; 1 no; 2 could not answer.
`;

/** Runs the command line of a process; the answer is its exit code. */
export const runProcess = (process: Process): Promise<number> =>
  main(process.argv.slice(2), ioOf(process));

/** Runs one command line; the answer is the exit code. */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  // A reader that closes the pipe early is no failure, and an 'error' that nobody hears would end the process.
  io.stdout.on('error', () => {});
  io.stderr.on('error', () => {});
  const printed = { out: '', err: '' };
  // What people type first, in the form that works after every command.
  const words = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  let outcome = await run({ io, argv: words }, printed);
  await write(io.stdout, printed.out).catch((error) => {
    outcome = failure(error);
  });
  // Where even the complaint cannot be written, the exit code still says it.
  await write(io.stderr, printed.err + outcome.complaint).catch(() => {});
  return outcome.code;
}

interface Outcome {
  readonly code: number;
  readonly complaint: string;
}

async function run(call: Call, printed: { out: string; err: string }): Promise<Outcome> {
  let code: number = 0;
  const answering: Answering =
    (answer) =>
    async (...args) => {
      code = await answer(call, ...args);
    };
  try {
    await (await program(call, answering, printed)).parseAsync([...call.argv], { from: 'user' });
    return { code, complaint: '' };
  } catch (error) {
    // What commander complains of, it has printed.
    if (error instanceof CommanderError) {
      // It quotes words as they were typed.
      for (const word of call.argv)
        if (!isPrintable(word)) printed.err = printed.err.replaceAll(word, printable(word));
      return { code: error.exitCode === 0 ? 0 : 2, complaint: '' };
    }
    return failure(error);
  }
}

/** What the engine and the core say where there is no room left. */
const NO_ROOM =
  /memory|allocation failed|^Invalid (?:string|array|typed array|array buffer) length/i;

const failure = (error: unknown): Outcome => ({ code: 2, complaint: complaintOf(error) });

function complaintOf(error: unknown): string {
  if (error instanceof QueryError) return complaints(error);
  if (error instanceof RangeError && NO_ROOM.test(error.message))
    return complaints(
      new QueryError(
        `the answer takes more memory than there is (${error.message}); ask about fewer hosts at once, or with --no-ids`,
      ),
    );
  return bugReport(error);
}

async function program(
  { argv, io }: Call,
  answering: Answering,
  printed: { out: string; err: string },
): Promise<Command> {
  const top = new Command('plimsoll')
    .description(
      'Draws the line for a fleet of virtualization hosts: the most capable CPU that every guest can have and still run, and move, everywhere.',
    )
    .usage('<command> [options] [inputs...]')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({
      getOutHelpWidth: () => columnsOf(io.stdout),
      getErrHelpWidth: () => columnsOf(io.stderr),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      writeOut: (text) => {
        printed.out += text;
      },
      writeErr: (text) => {
        printed.err += text;
      },
    });
  for (const { name, group, summary, load } of COMMANDS) {
    const command = top.command(name).description(summary).helpGroup(group);
    if (argv.includes(name)) (await load()).define(command, answering);
  }
  return top;
}

/** One line a problem. */
const complaints = (error: QueryError): string =>
  error.message
    .split('\n')
    .map((line) => `error: ${printable(line)}\n`)
    .join('');

function bugReport(error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `error: this is a bug in plimsoll ${VERSION}; report it with the command, its input if you may, and these lines\n${stack}\n`;
}
