// The CPU of an answer in the language of a product, or in every language; what a language cannot say of it is said
// beside it on stderr.
import type { Catalog } from '../cpu/catalog.ts';
import type { GuestCpu } from '../cpu/definition.ts';
import { QueryError } from '../cpu/errors.ts';
import { didYouMean } from '../cpu/suggest.ts';
import { dialectByName, dialectNames } from '../dialects/index.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Baseline } from '../solve/answer.ts';
import { guestCpu } from '../solve/guest-cpu.ts';
import { type Answer, type Call, write } from './io.ts';
import { deliver, deliverAll, fileName } from './output.ts';
import { isAnswered } from './render-baseline.ts';
import { printable } from './text.ts';

/** Every language at once, as a value of --to. */
const ALL = 'all';
const NOTES = 'NOTES.txt';

export interface WriteOptions {
  readonly to?: string;
  readonly output?: string;
  readonly quiet?: true;
}

/** One answer to write, under the value that it is of where there are several. */
export interface Part {
  readonly value: string | number | boolean | null;
  readonly baseline: Baseline;
}

/**
 * Checks --to before anything is read.
 * @throws QueryError for what is no language that is written, or has no place to go.
 */
export function checkTarget({ to, output }: WriteOptions): void {
  if (to === undefined) return;
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
}

/** A CPU in one language, and what a person must know of it. */
function writeIn(name: string, cpu: GuestCpu, catalog: Catalog): { text: string; notes: string[] } {
  const dialect = dialectByName(name)!;
  const text = dialect.write!(cpu, catalog);
  return { text, notes: (dialect.notes?.(cpu, catalog) ?? []).map((note) => note.message) };
}

/** The definition of one answer on stdout or in a file; of all languages in a directory. */
export async function writeOne(
  call: Call,
  catalog: Catalog,
  answer: Baseline,
  fleet: Fleet,
  options: WriteOptions,
): Promise<Answer> {
  if (!isAnswered(answer)) {
    const complaint =
      'there is no CPU to write that all of these hosts could give their guests; without --to the report says why';
    await tell(call, options, [answer], [], complaint);
    return 1;
  }
  const cpu = guestCpu(answer, catalog, fleet);
  if (options.to === ALL) {
    await deliverAll(options.output!, inAll('cpu', cpu, catalog).files);
    await tell(call, options, [answer], []);
    return 0;
  }
  const { text, notes } = writeIn(options.to!, cpu, catalog);
  await deliver(call.io, text, options.output);
  await tell(call, options, [answer], notes);
  return 0;
}

/** A file for each answer in a directory. */
export async function writeEach(
  call: Call,
  catalog: Catalog,
  parts: readonly Part[],
  fleet: Fleet,
  options: WriteOptions,
): Promise<Answer> {
  const files = new Map<string, string>();
  const notes: string[] = [];
  const without: string[] = [];
  for (const { value, baseline } of parts) {
    const name = fileName(value === null ? 'none' : `${value}`);
    if (!isAnswered(baseline)) without.push(`${value}`);
    else if (options.to === ALL) {
      const { files: own } = inAll(name, guestCpu(baseline, catalog, fleet), catalog);
      for (const [file, text] of own) files.set(file === NOTES ? `${name}.${NOTES}` : file, text);
    } else {
      const written = writeIn(options.to!, guestCpu(baseline, catalog, fleet), catalog);
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
function inAll(name: string, cpu: GuestCpu, catalog: Catalog): { files: Map<string, string> } {
  const files = new Map<string, string>();
  const lines: string[] = [];
  for (const dialect of dialectNames('write')) {
    const file = `${name}.${dialect}`;
    try {
      const { text, notes } = writeIn(dialect, cpu, catalog);
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
