// What reports for people have in common: definitions, hosts, findings, and the next command to type.
import { archRecord } from '../../cpu/arch/index.ts';
import type { Definition, Definitions } from '../../cpu/definition.ts';
import { isX86 } from '../../cpu/description.ts';
import { writeLibvirtOfArch } from '../../dialects/libvirt/libvirt-write.ts';
import type { Skipped } from '../../fleet/fleet.ts';
import type { Finding } from '../../solve/answer.ts';
import { columnsOf, type Io } from '../io.ts';
import { type Paint, painter } from './paint.ts';
import { clip, count, listed, pad, width, wrap, wrapSentence } from './text.ts';

/** What a report is laid out for. */
export interface Page {
  readonly columns: number;
  readonly paint: Paint;
}

/** The page of an answer, in colours where they are wanted. */
export const pageOf = async (io: Io, options: Parameters<typeof painter>[1]): Promise<Page> => ({
  columns: columnsOf(io.stdout),
  paint: await painter(io, options),
});

const PRODUCTS = { libvirt: 'libvirt', qemu: 'QEMU' } as const;

/** `libvirt 9.0, 11.3` for a stack's entries of one product. */
function productLabel(product: keyof Definitions, stack: readonly string[]): string {
  const versions = stack.flatMap((entry) =>
    entry.startsWith(`${product}@`) ? entry.slice(product.length + 1) : [],
  );
  return [PRODUCTS[product], versions.join(', ')].filter((part) => part !== '').join(' ');
}

const definitionWords = (d: Definition): string[] => [
  ...d.require.map((name) => `+${name}`),
  ...d.disable.map((name) => `-${name}`),
];

/** Model and words of a definition that fit into one cell; the words are counted where they do not. */
export function definitionText(d: Definition, columns: number): string {
  const full = [d.name, ...definitionWords(d)].join(' ');
  if (width(full) <= columns) return full;
  const counted = [
    d.require.length > 0 ? `+${d.require.length}` : '',
    d.disable.length > 0 ? `-${d.disable.length}` : '',
  ];
  return clip([d.name, ...counted].filter((part) => part !== '').join(' '), columns);
}

/** A definition of another architecture than x86, as its product takes it. */
const writtenText = (product: keyof Definitions, definition: Definition, arch: string): string =>
  product === 'qemu'
    ? archRecord(arch).toQemu(definition)
    : writeLibvirtOfArch(arch, definition).replaceAll(/\n\s*/g, '');

/** One definition for each product of the stack, as the sides of one answer. */
export function definitionLines(
  definitions: Definitions,
  stack: readonly string[],
  { columns, paint }: Page,
  maxLines: number,
  arch: string | null = null,
): string[] {
  const entries = (['qemu', 'libvirt'] as const).flatMap((product) => {
    const definition = definitions[product];
    return definition ? [{ product, label: productLabel(product, stack), definition }] : [];
  });
  const label = Math.max(0, ...entries.map((e) => width(e.label)));
  return entries.flatMap(({ product, label: text, definition }) => {
    const isOther = arch !== null && !isX86({ arch });
    const whole = isOther
      ? (writtenText(product, definition, arch).match(/(?:[^' ]|'[^']*')+/g) ?? [])
      : [definition.name, ...definitionWords(definition)];
    const words = wrap(whole, columns - label - 6, isOther ? whole.length : maxLines);
    return words.map((line, i) => {
      const said =
        i === 0
          ? isOther
            ? paint.bold(line)
            : `${paint.bold(definition.name)}${line.slice(definition.name.length)}`
          : `  ${line}`;
      return `  ${paint.dim(pad(i === 0 ? text : '', label))}  ${said}`;
    });
  });
}

const MARKS = { error: '!', warning: '!', info: '-' } as const;
/** Findings of one kind that are spelled out; there may be one for every unknown name of a fleet. */
const LIKE = 3;

/** A short list of sentences: every warning, then so many notes; the others are named by their codes. */
export function findingLines(
  findings: readonly Finding[],
  skipped: readonly Skipped[],
  page: Page,
  notesShown = 4,
): string[] {
  const { paint } = page;
  const lines: string[] = [];
  const say = (mark: string, color: (text: string) => string, sentence: string) => {
    for (const [i, line] of wrapSentence(sentence, page.columns - 4).entries())
      lines.push(`  ${i === 0 ? color(mark) : ' '} ${line}`);
  };
  const serious = findings.filter((f) => f.severity !== 'info');
  const seen = new Map<string, number>();
  for (const f of serious) {
    const nth = (seen.get(f.code) ?? 0) + 1;
    seen.set(f.code, nth);
    if (nth <= LIKE)
      say(MARKS[f.severity], f.severity === 'error' ? paint.red : paint.yellow, f.message);
  }
  for (const [code, n] of seen)
    if (n > LIKE)
      say('!', paint.yellow, `${n - LIKE} more of the code ${code}; --json has them all`);
  if (skipped.length > 0) {
    say('!', paint.yellow, `${count(skipped.length, 'input')} could not be read and took no part:`);
    for (const s of skipped.slice(0, LIKE)) say(' ', paint.dim, s.reason);
    if (skipped.length > LIKE)
      say(' ', paint.dim, `and ${skipped.length - LIKE} more; --json has them all`);
  }
  const notes = findings.filter((f) => f.severity === 'info');
  for (const f of notes.slice(0, notesShown)) say(MARKS.info, paint.dim, f.message);
  const others = notes.slice(notesShown);
  if (others.length > 0) {
    const codes = listed([...new Set(others.map((f) => f.code))]);
    say(
      '-',
      paint.dim,
      `${count(others.length, 'note')}${notesShown > 0 ? ' more' : ''}: ${codes}; --json has them`,
    );
  }
  return lines;
}

/** A command to type next and what it is for, where the pane is wide enough for both. */
export function nextCommand(command: string, purpose: string, { columns, paint }: Page): string {
  const text = clip(`  ${command}`, columns);
  const both = `${pad(text, Math.min(48, columns - width(purpose) - 2))}  `;
  return width(both) + width(purpose) <= columns ? `${both}${paint.dim(purpose)}`.trimEnd() : text;
}

const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** The command line as typed with more words at its end; its inputs give way where it gets long. */
export function commandLine(
  argv: readonly string[],
  inputs: readonly string[],
  more: string,
  columns: number,
): string {
  const full = `plimsoll ${[...argv.map(quoted), more].join(' ')}`;
  if (width(full) <= columns) return full;
  const words = argv.map((word) => (inputs.includes(word) ? '…' : quoted(word)));
  const short = words.filter((word, i) => word !== '…' || words[i - 1] !== '…');
  return clip(`plimsoll ${[...short, more].join(' ')}`, columns);
}

export const heading = (text: string, { paint }: Page): string => paint.bold(text);

/** A label and what is to be said under it: a sentence, or words in a list. */
export type Fact = readonly [label: string, words: string | readonly string[]];

/** Labels in one column, what they say in the other. */
export function factLines(facts: readonly Fact[], { columns, paint }: Page): string[] {
  const said = facts.filter(([, words]) => words.length > 0);
  const label = Math.max(...said.map(([name]) => width(name)));
  return said.flatMap(([name, words]) =>
    wrap(typeof words === 'string' ? words.split(' ') : words, columns - label - 4).map(
      (line, i) => `  ${paint.dim(pad(i === 0 ? name : '', label))}  ${line}`,
    ),
  );
}

/** Why hosts have no CPU in common, by what splits them. */
export const BECAUSE: Readonly<Record<string, string>> = {
  arch: 'their architectures differ',
  vendor: 'their vendors differ',
  midr: 'their processors differ, and a guest keeps the MIDR that it started with',
  model: 'their models differ',
  xsave: 'they lay out the state of the features that they share differently',
};
