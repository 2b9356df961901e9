// The report of plimsoll baseline: the first screen says the CPU, on how many hosts, who holds it down, what to do.
import { midrText } from '../../cpu/arch/arm.ts';
import { isX86 } from '../../cpu/description.ts';
import type { Baseline, Baselines, Check, Finding, Hold } from '../../solve/answer.ts';
import {
  BECAUSE,
  commandLine,
  definitionLines,
  definitionText,
  findingLines,
  heading,
  nextCommand,
  type Page,
} from './render.ts';
import {
  clip,
  count,
  hostsText,
  listed,
  number,
  pad,
  table,
  width,
  wrap,
  wrapSentence,
} from './text.ts';

/** What the report says of the call beside the answer. */
export interface BaselinePage extends Page {
  readonly argv: readonly string[];
  readonly inputs: readonly string[];
  /** Where the stack came from. */
  readonly stackFrom: 'option' | 'inputs' | 'oldest';
  /** Dialects of --to. */
  readonly targets: readonly string[];
}

const VIEWS = {
  hypervisor: ['as its hypervisor offers it', 'as their hypervisors offer them'],
  kernel: ['as its kernel lists it', 'as their kernels list them'],
  hardware: ['as its processor reports it', 'as their processors report them'],
  guest: ['as a guest definition asks for it', 'as guest definitions ask for them'],
  mixed: ['', 'described in different views'],
} as const;

/** Groups of hosts that are listed; those behind them cost less. */
const HOLDS = 5;
const HOLDS_OF_MANY = 3;
/** Values of --by that are reported in full. */
const SECTIONS = 4;

export function renderBaseline(answer: Baseline, page: BaselinePage): string {
  const lines = isAnswered(answer)
    ? [
        ...wrapSentence(title(answer), page.columns),
        '',
        ...cpuLines(answer, page),
        ...bodyLines(answer, page),
      ]
    : noCpuLines(answer, page);
  return finish([...lines, ...useLines(answer, page)]);
}

/** Whether there is a CPU that every host has. */
export const isAnswered = (answer: Baseline): boolean => Object.keys(answer.definitions).length > 0;

/** The exit code: an answer, no common CPU, or what is not told of hosts keeps it open. */
export const exitOfBaseline = (answer: Baseline): 0 | 1 | 2 =>
  isAnswered(answer) ? 0 : answer.findings.some((f) => f.code === 'not-told-apart') ? 2 : 1;

export function renderBaselines(answer: Baselines, page: BaselinePage): string {
  const hosts = answer.baselines.reduce((sum, { baseline }) => sum + baseline.hosts, 0);
  const rows = answer.baselines.map(({ value, baseline }) => ({
    name: valueText(value),
    answer: baseline,
  }));
  const lines = [
    `${count(hosts, 'host')} by ${answer.by}`,
    '',
    ...summaryLines(rows, page),
    ...stackLines(
      answer.baselines.map(({ baseline }) => baseline),
      page,
    ),
  ];
  if (rows.length <= SECTIONS)
    for (const row of rows)
      lines.push('', ...sectionTitle(row, answer.by, page), ...detailLines(row.answer, page));
  else
    lines.push(
      '',
      clip(
        `  What holds each of them down: ${commandLine(page.argv, page.inputs, '--json', page.columns - 33)}`,
        page.columns,
      ),
    );
  const { findings = [], skipped = [] } = answer;
  if (findings.length + skipped.length > 0)
    lines.push('', ...findingLines(findings, skipped, page));
  const use = commandLine(page.argv, page.inputs, '--to libvirt -o DIR', page.columns - 2);
  return finish([
    ...lines,
    '',
    heading('Use it', page),
    nextCommand(use, 'one file for each', page),
  ]);
}

export function renderCheck(answer: Check, name: string, page: Page): string {
  const { runsOn } = answer;
  const [first, ...rest] = wrapSentence(
    answer.holds
      ? `holds: ${name} still runs on ${runsOn.hosts === 1 ? 'the one host' : `all ${count(runsOn.hosts, 'host')}`}`
      : `${answer.holds === null ? 'unknown' : 'broken'}: ${name} runs on ${number(runsOn.hosts)} of ${count(runsOn.of, 'host')}${answer.holds === null ? ' for certain' : ''}`,
    page.columns,
  );
  const { green, yellow, red } = page.paint;
  const color = answer.holds === null ? yellow : answer.holds ? green : red;
  const lines = [first!.replace(/^\w+/, color), ...rest];
  for (const [what, list] of [
    [['lack'], answer.missing],
    [['may', 'lack'], answer.unknown],
  ] as const)
    for (const { features, ...hosts } of byHosts(
      list.map(({ feature, ...of }) => ({ ...of, feature })),
    ))
      lines.push(...besideHosts(`  ${hostsText(hosts, 30)}`, [...what, ...features], page));
  lines.push(...findingLines(answer.findings, answer.skipped ?? [], page));
  if (answer.gained.length > 0) {
    lines.push('', `The fleet could have ${count(answer.gained.length, 'feature')} more:`);
    lines.push(...wrap(answer.gained, page.columns - 2, 4).map((line) => `  ${line}`));
  }
  return finish(lines);
}

function sectionTitle(
  { name, answer }: { readonly name: string; readonly answer: Baseline },
  by: string,
  page: Page,
): string[] {
  const text = `${name}: ${title(by === 'vendor' ? { ...answer, vendor: null } : answer)}`;
  return wrapSentence(text, page.columns).map((line) => heading(line, page));
}

const finish = (lines: readonly string[]): string => `${lines.join('\n')}\n`;

/** `Neoverse-N1 r3p1` for every kind of core. */
const coresText = (midrs: string): string =>
  midrs
    .split(' ')
    .map((midr) => midrText(midr).replace(/ \(.*/, ''))
    .join(' + ');

const valueText = (value: unknown): string => (value === null ? '(none)' : String(value));

/** `12 hosts, 4 distinct CPUs, Intel, as their hypervisors offer them`. */
function title(answer: Baseline): string {
  const view = answer.view && VIEWS[answer.view][answer.hosts === 1 ? 0 : 1];
  const arch = answer.arch !== null && isX86({ arch: answer.arch }) ? null : answer.arch;
  const { vendor } = answer;
  return [count(answer.hosts, 'host'), count(answer.classes, 'distinct CPU'), vendor, arch, view]
    .filter(Boolean)
    .join(', ');
}

function cpuLines(answer: Baseline, page: BaselinePage): string[] {
  const { physBits, fleetPhysBits } = answer.limits;
  const facts = [
    `runs on ${number(answer.runsOn.hosts)} of ${number(answer.runsOn.of)}`,
    count(answer.features.length, 'feature'),
    physBits === null
      ? ''
      : `${physBits} physical address bits${fleetPhysBits === physBits ? '' : ` (of ${fleetPhysBits})`}`,
    'migratable',
  ];
  return [
    ...definitionLines(answer.definitions, answer.stack, page, 3, answer.arch),
    ...wrapSentence(facts.filter((f) => f !== '').join(' · '), page.columns - 2).map(
      (line) => `  ${line}`,
    ),
    ...stackLines([answer], page),
  ];
}

/** Which software the answer is for, where nobody said it, and what the newest would allow. */
function stackLines(answers: readonly Baseline[], page: BaselinePage): string[] {
  if (page.stackFrom === 'option') return [];
  const stacks = [...new Set(answers.map((a) => a.stack.join(',')))];
  const names = listed(
    stacks.map((s) => s.replaceAll('@', ' ').replaceAll(',', ' and ').replaceAll('qemu', 'QEMU')),
    'or',
  );
  const why =
    page.stackFrom === 'inputs'
      ? 'as the hosts tell'
      : 'the oldest known, for the hosts do not tell';
  const newer = answers.length === 1 ? answers[0]!.findings.find(isNewerStack) : undefined;
  const sentences = [
    `for ${names}, ${why}; --stack names another`,
    ...(newer ? [newer.message] : []),
  ];
  return sentences.flatMap((sentence) =>
    wrapSentence(sentence, page.columns - 2).map((line) => `  ${page.paint.dim(line)}`),
  );
}

const isNewerStack = (f: Finding): boolean => f.code === 'newer-stack';

/** What holds the line down, and what to know. */
function bodyLines(answer: Baseline, page: BaselinePage): string[] {
  const lines: string[] = [];
  if (answer.holds.length > 0)
    lines.push('', heading('What holds it down', page), ...holdLines(answer, page));
  const findings = answer.findings.filter((f) => !isNewerStack(f));
  const known = findingLines(findings, answer.skipped ?? [], page);
  if (known.length > 0) lines.push('', heading('Worth knowing', page), ...known);
  return lines;
}

/** The same for one of several answers: without headings, and its notes by their codes only. */
function detailLines(answer: Baseline, page: BaselinePage): string[] {
  return [...holdLines(answer, page, HOLDS_OF_MANY), ...findingLines(answer.findings, [], page, 0)];
}

function holdLines(answer: Baseline, page: BaselinePage, most = HOLDS): string[] {
  // What most hosts lack, the others have too much: those few that hold many down come first.
  const isFew = (hold: Hold) => 2 * hold.count <= answer.hosts;
  const holds = [...answer.holds.filter(isFew), ...answer.holds.filter((h) => !isFew(h))];
  const shown = holds.slice(0, most).map((hold) => {
    const them = hold.count === 1 ? 'it' : 'them';
    const { model, features } = hold.without;
    return {
      hosts: hostsText(hold, Math.floor(page.columns * 0.4)),
      // Without an answer there is no number of features to begin from.
      cost: `cost ${isAnswered(answer) ? hold.without.features - answer.features.length : hold.features.length}`,
      features: hold.features,
      without: `without ${them}: ${model ?? count(features, 'feature')}`,
    };
  });
  const hosts = Math.max(...shown.map((h) => width(h.hosts)));
  const cost = Math.max(...shown.map((h) => width(h.cost)));
  const without = Math.max(...shown.map((h) => width(h.without)));
  const room = page.columns - hosts - cost - 9;
  // A wide pane has what the hosts cost and what would be without them on one line.
  const oneLine = room - without >= 30;
  const below = Math.max(4, Math.min(hosts + cost + 8, page.columns - without));
  const lines = shown.flatMap((hold) => {
    const start = `  ${pad(hold.hosts, hosts)}   ${page.paint.yellow(pad(hold.cost, cost))}   `;
    if (oneLine) {
      const names = wrap(hold.features, room - without - 3, 1)[0]!;
      return [`${start}${pad(names, room - without - 3)}   ${page.paint.dim(hold.without)}`];
    }
    const names = wrap(hold.features, room, 1)[0]!;
    return [
      `${start}${names}`,
      `${' '.repeat(below)}${page.paint.dim(clip(hold.without, page.columns - below))}`,
    ];
  });
  const rest = holds.length - shown.length;
  if (rest === 0) return lines;
  const more = `  and ${rest} more ${rest === 1 ? 'group' : 'groups'}; --json has them all`;
  return [...lines, page.paint.dim(clip(more, page.columns))];
}

interface Features {
  readonly count: number;
  readonly hosts: readonly string[];
  readonly features: readonly string[];
}

/** Features of the same hosts together, those of the most hosts first. */
function byHosts(
  entries: readonly {
    readonly feature: string;
    readonly count: number;
    readonly hosts: readonly string[];
  }[],
): Features[] {
  const groups = new Map<string, { count: number; hosts: readonly string[]; features: string[] }>();
  for (const { feature, count, hosts } of entries) {
    const key = JSON.stringify([count, hosts]);
    const group = groups.get(key);
    if (group) group.features.push(feature);
    else groups.set(key, { count, hosts, features: [feature] });
  }
  return [...groups.values()].sort(
    (a, b) => b.count - a.count || b.features.length - a.features.length,
  );
}

function besideHosts(start: string, words: readonly string[], page: Page): string[] {
  return wrap(words, page.columns - width(start) - 2, 3).map(
    (line, i) => `${i === 0 ? start : ' '.repeat(width(start))}  ${line}`,
  );
}

function noCpuLines(answer: Baseline, page: BaselinePage): string[] {
  const { sides = [] } = answer;
  const why = sides[0]
    ? `no CPU is common to all of them: ${BECAUSE[sides[0].because] ?? `they differ in ${sides[0].because}`}`
    : `no CPU was found that guests could be given on ${answer.hosts === 1 ? 'it' : 'all of them'}`;
  const sentence = wrapSentence(why, page.columns - 2);
  const rows = sides.map((side) => ({
    name:
      side.because === 'midr' && side.value !== null
        ? coresText(side.value)
        : valueText(side.value),
    answer: side.baseline,
  }));
  return [
    ...wrapSentence(title(answer), page.columns),
    '',
    ...sentence.map((line) => `  ${page.paint.bold(line)}`),
    ...(rows.length > 0 ? ['', ...summaryLines(rows, page)] : []),
    ...bodyLines(answer, page),
  ];
}

/** One line an answer: its name, how many hosts, and the CPU that they have in common. */
function summaryLines(
  rows: readonly { readonly name: string; readonly answer: Baseline }[],
  page: Page,
): string[] {
  const cells = rows.map(({ name, answer }) => ({
    name,
    hosts: count(answer.hosts, 'host'),
    answer,
  }));
  const names = Math.min(24, Math.max(...cells.map((c) => width(c.name))));
  const hosts = Math.max(...cells.map((c) => width(c.hosts)));
  const room = page.columns - names - hosts - 6 - '  000 features'.length;
  return table(
    cells.map(({ name, hosts, answer }) => {
      const definition = answer.definitions.qemu ?? answer.definitions.libvirt;
      return definition
        ? [name, hosts, definitionText(definition, room), count(answer.features.length, 'feature')]
        : [name, hosts, 'no common CPU', ''];
    }),
    page.columns,
    '  ',
  );
}

/** The next command: the same answer in the language of a stack. */
function useLines(answer: Baseline, page: BaselinePage): string[] {
  const [first, ...others] = page.targets;
  const line = (more: string, purpose: string) =>
    nextCommand(commandLine(page.argv, page.inputs, more, page.columns - 2), purpose, page);
  if (isAnswered(answer))
    return first === undefined
      ? []
      : [
          '',
          heading('Use it', page),
          line(
            `--to ${first}`,
            others.length > 0 ? `also ${others.slice(0, 2).join(', ')}, ...` : '',
          ),
        ];
  const because = answer.sides?.[0]?.because;
  return because === 'vendor' || because === 'arch'
    ? ['', heading('Use it', page), line(`--by ${because}`, 'a CPU for each side')]
    : [];
}
