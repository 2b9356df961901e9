// The CPU of an answer in the language of a product, or in every language; what a language cannot say of it is said
// beside it on stderr.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { didYouMean } from '../../cpu/catalog/suggest.ts';
import type { GuestCpu } from '../../cpu/definition.ts';
import { isX86, type Note } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { printable } from '../../cpu/printable.ts';
import type { Dialect } from '../../dialects/dialect.ts';
import { dialectByName, dialectNames } from '../../dialects/index.ts';
import { writeCpu } from '../../dialects/words/product-definitions.ts';
import type { Fleet } from '../../fleet/fleet.ts';
import type { Baseline } from '../../solve/answer.ts';
import { guestCpu } from '../../solve/line/guest-cpu.ts';
import { type Call, type ExitCode, write } from '../io.ts';
import { deliver, deliverAll, fileName } from './output.ts';
import { exitOfBaseline, isAnswered } from './render-baseline.ts';

/** Every language at once, as a value of --to. */
const ALL = 'all';
const NOTES = 'NOTES.txt';

export interface WriteOptions {
  readonly to?: string;
  readonly name?: string;
  readonly models?: readonly string[];
  readonly output?: string;
  readonly quiet?: true;
}

/** One answer to write with its hosts, under the value that it is of where there are several. */
export interface Part {
  readonly value: string | number | boolean | null;
  readonly baseline: Baseline;
  readonly fleet: Fleet;
}

/**
 * Checks --to before anything is read.
 * @throws QueryError for what is no language that is written, or has no place to go.
 */
export function checkTarget({ to, output, name }: WriteOptions): void {
  if (to === undefined) {
    if (name !== undefined)
      throw new QueryError('--name is what a product is to call the CPU; say which with --to');
    return;
  }
  if (to === ALL) {
    if (output === undefined || output === '-')
      throw new QueryError(
        '--to all writes a file for each language; name a directory for them with -o',
      );
    return;
  }
  const known = dialectNames('write');
  if (!known.includes(to))
    throw new QueryError(
      `--to "${to}" is no dialect that can be written${didYouMean(to, known) || `; choose one of ${known.join(', ')}, or all`}`,
    );
  if (name === undefined) return;
  const { called } = dialectByName(to)!;
  if (!called) {
    const naming = known.filter((other) => dialectByName(other)!.called);
    throw new QueryError(
      `--name: a definition in the language of ${to} has no name; those of ${naming.join(' and ')} have`,
    );
  }
  if (!called.isValid(name))
    throw new QueryError(`--name "${printable(name)}" cannot be: ${called.rule}`);
}

/** What a language is to call the CPU, where it calls it anything; of several answers each has the value that it is of. */
function calledIn(dialect: Dialect, given: string | undefined, part: string | undefined) {
  const { called } = dialect;
  if (!called || (part === undefined && given === undefined)) return undefined;
  const base = given ?? called.name;
  const whole = part === undefined ? base : `${base}-${part}`;
  if (called.isValid(whole)) return whole;
  // What the product refuses in a name, and letters that are too many.
  let plain = whole.replace(/[^\w-]/g, '-');
  while (plain !== '' && !called.isValid(plain)) plain = plain.slice(0, -1);
  return plain || called.name;
}

/** A CPU in one language, and what a person must know of it. */
function writeIn(name: string, asked: Asked): { text: string; notes: string[] } {
  const { catalog, called } = asked;
  const dialect = dialectByName(name)!;
  const own = called(dialect);
  const cpu = own === undefined ? asked.cpu : { ...asked.cpu, called: own };
  const text = writeCpu(dialect, cpu, catalog);
  const notes = [
    ...unsaidNotes(dialect, cpu),
    ...(isX86(cpu) ? (dialect.notes?.(cpu, catalog) ?? []) : []),
  ];
  return { text, notes: notes.map((note) => note.message) };
}

/** What a product that --stack does not name cannot be asked for. */
function unsaidNotes({ words }: Dialect, { unsaid, oldest }: GuestCpu): Note[] {
  const names = (words && unsaid?.[words]) ?? [];
  if (names.length === 0) return [];
  return [
    {
      code: 'cannot-express',
      message: `${words} ${oldest![words!]} has no word for ${names.join(', ')}, so this definition leaves ${names.length === 1 ? 'it' : 'them'} out`,
    },
  ];
}

/** A CPU that is to be written, and what a language is to call it. */
interface Asked {
  readonly cpu: GuestCpu;
  readonly catalog: Catalog;
  readonly called: (dialect: Dialect) => string | undefined;
}

/** The definition of one answer on stdout or in a file; of all languages in a directory. */
export async function writeOne(
  call: Call,
  catalog: Catalog,
  answer: Baseline,
  fleet: Fleet,
  options: WriteOptions,
): Promise<ExitCode> {
  if (!isAnswered(answer)) {
    const complaint =
      'there is no CPU to write that all of these hosts could give their guests; without --to the report says why';
    await tell(call, options, [answer], [], complaint);
    return exitOfBaseline(answer) || 1;
  }
  const asked: Asked = {
    cpu: guestCpu(answer, catalog, fleet, { models: options.models }),
    catalog,
    called: (dialect) => calledIn(dialect, options.name, undefined),
  };
  if (options.to === ALL) {
    await deliverAll(options.output!, inAll('cpu', asked).files);
    await tell(call, options, [answer], []);
    return 0;
  }
  const { text, notes } = writeIn(options.to!, asked);
  await deliver(call.io, text, options.output);
  await tell(call, options, [answer], notes);
  return 0;
}

/** A name that no other definition of the language was given; values that differ may look alike in it. */
function unlike(dialect: Dialect, called: string | undefined, taken: Set<string>) {
  if (called === undefined) return undefined;
  for (let n = 1; ; n++) {
    const tail = n === 1 ? '' : `-${n}`;
    let name = called + tail;
    while (!dialect.called!.isValid(name) && name.length > tail.length)
      name = name.slice(0, -tail.length - 1) + tail;
    const key = `${dialect.name} ${name}`;
    if (taken.has(key)) continue;
    taken.add(key);
    return name;
  }
}

/** A file for each answer in a directory. */
export async function writeEach(
  call: Call,
  catalog: Catalog,
  parts: readonly Part[],
  options: WriteOptions,
): Promise<ExitCode> {
  const files = new Map<string, string>();
  const notes: string[] = [];
  const without: string[] = [];
  const taken = new Set<string>();
  for (const { value, baseline, fleet } of parts) {
    const part = value === null ? 'none' : `${value}`;
    const name = fileName(part);
    if (!isAnswered(baseline)) {
      without.push(`${value}`);
      continue;
    }
    const asked: Asked = {
      cpu: guestCpu(baseline, catalog, fleet, { models: options.models }),
      catalog,
      called: (dialect) => unlike(dialect, calledIn(dialect, options.name, part), taken),
    };
    if (options.to === ALL) {
      const { files: own } = inAll(name, asked);
      for (const [file, text] of own) files.set(file === NOTES ? `${name}.${NOTES}` : file, text);
    } else {
      const written = writeIn(options.to!, asked);
      files.set(`${name}.${options.to}`, written.text);
      notes.push(...written.notes.map((note) => `${name}: ${note}`));
    }
  }
  await deliverAll(options.output!, files);
  const complaint =
    without.length > 0
      ? `no CPU is common to the hosts of ${without.join(', ')}, so there is no file for them`
      : undefined;
  await tell(
    call,
    options,
    parts.map((p) => p.baseline),
    notes,
    complaint,
  );
  return without.length > 0 ? 1 : 0;
}

/** A file a language, and one that says how each is used and what it leaves out. */
function inAll(name: string, asked: Asked): { files: Map<string, string> } {
  const files = new Map<string, string>();
  const lines: string[] = [];
  for (const dialect of dialectNames('write')) {
    const file = `${name}.${dialect}`;
    try {
      const { text, notes } = writeIn(dialect, asked);
      files.set(file, text);
      lines.push(
        `${file}: ${dialectByName(dialect)!.use}`,
        ...notes.map((note) => `  note: ${note}`),
      );
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      lines.push(`${file} is not written: ${error.message}`);
    }
  }
  files.set(NOTES, `${lines.map(printable).join('\n')}\n`);
  return { files };
}

/** What a definition cannot say about itself, beside it on stderr. */
async function tell(
  { io }: Call,
  options: WriteOptions,
  answers: readonly Baseline[],
  notes: readonly string[],
  complaint?: string,
): Promise<void> {
  const warnings = answers.flatMap((a) => [
    ...a.findings.filter((f) => f.severity !== 'info').map((f) => f.message),
    ...(a.skipped ?? []).map((s) => `skipped: ${s.reason}`),
  ]);
  const lines = [
    ...(options.quiet
      ? []
      : [...warnings.map((w) => `warning: ${w}`), ...notes.map((n) => `note: ${n}`)]),
    ...(complaint ? [`no: ${complaint}`] : []),
  ];
  await write(io.stderr, lines.map((line) => `${printable(line)}\n`).join(''));
}
