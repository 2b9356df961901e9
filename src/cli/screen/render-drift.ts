// What a change does to guests, for people: who is stranded first, then what changes, then the flags that keep it.
import { cpuOption } from '../../dialects/pinned.ts';
import type { Skipped } from '../../fleet/fleet.ts';
import type { PropertyChange } from '../../solve/drift/changes.ts';
import { type Drift, driftVerdict, type GuestDrift } from '../../solve/drift/drift.ts';
import type { MachineMatrix } from '../../solve/drift/matrix.ts';
import { findingLines, heading, type Page } from './render.ts';
import { upgradeLines, upgradeVerdict } from './render-upgrade.ts';
import { clip, count, hostsText, listed, wrap, wrapSentence } from './text.ts';

/** Guests that are told the same, with the answer that they share. */
interface Group {
  readonly guests: readonly string[];
  readonly drift: GuestDrift;
}

/** Groups that are spelled out; a fleet may have a thousand. */
const SHOWN = 10;

export function renderDrift(answer: Drift, page: Page): string {
  const { columns, paint } = page;
  const groups = groupsOf(answer);
  const color = { no: paint.red, unknown: paint.yellow, runs: paint.green, 'own-cpu': paint.green };
  const [first, ...rest] = wrapSentence(verdictOf(answer), columns);
  const lines = [color[driftVerdict(answer)](paint.bold(first!)), ...rest];
  const { unsettled = [] } = answer;
  if (unsettled.length > 0)
    lines.push(
      ...wrapSentence(
        `what the change does to ${count(unsettled.length, 'guest')} is not known`,
        columns,
      ),
    );
  for (const group of groups.slice(0, SHOWN)) lines.push('', ...groupLines(group, answer, page));
  if (groups.length > SHOWN)
    lines.push(
      '',
      `and ${count(groups.length - SHOWN, 'more kind')} of change; --json has them all`,
    );
  for (const { guest, because } of unsettled.slice(0, SHOWN))
    lines.push('', guest, ...wrapSentence(because, columns - 2).map((line) => `  ${line}`));
  if (unsettled.length > SHOWN)
    lines.push('', `and ${unsettled.length - SHOWN} more; --json has them all`);
  if (answer.toKernel !== undefined) lines.push(...upgradeLines(answer, page));
  const { findings, hostFindings = [], skipped } = answer;
  if (findings.length + hostFindings.length > 0 || skipped)
    lines.push('', heading('Worth knowing', page));
  lines.push(...findingLines(hostFindings, [], page));
  for (const f of findings)
    lines.push(
      ...item(
        f.severity === 'info' ? '-' : '!',
        `${count(f.count, 'guest')}: ${f.message}`,
        columns,
      ),
    );
  lines.push(...skippedLines(skipped, columns));
  return `${lines.join('\n')}\n`;
}

/** The answer in a sentence: what is worst comes first. */
function verdictOf(answer: Drift): string {
  const { guests, hosts, toKernel } = answer;
  if (toKernel !== undefined && guests.length === 0) return upgradeVerdict(answer);
  if (guests.length === 0) return 'nothing is known of any guest';
  const having = (is: (g: GuestDrift) => boolean) => guests.filter(is).length;
  const stranded = having((g) => (g.stranded?.count ?? 0) > 0);
  const refused = having((g) => g.refused !== undefined);
  const open = having((g) => (g.unknown?.count ?? 0) > 0);
  const changed = having((g) => !g.abiEqual);
  const all = count(guests.length, 'guest');
  const under = toKernel === undefined ? '' : `under kernel ${toKernel}, `;
  const other = changed > 0 || under === '' ? `; ${changed} would find another CPU` : '';
  if (refused > 0) return `${refused} of ${all} would start on no host`;
  if (hosts === undefined)
    return `${changed} of ${all} would find another CPU; no hosts were given, so nothing is said of where they run`;
  if (stranded > 0)
    return `${under}${stranded} of ${all} would be stranded on a host where it ran${other}`;
  if (open > 0) return `${under}whether ${open} of ${all} would be stranded is not known${other}`;
  return under === ''
    ? `no guest is stranded on any of ${count(hosts, 'host')}; ${changed} of ${guests.length} would find another CPU`
    : `${under}no guest is stranded on any of ${count(hosts, 'host')}${other}`;
}

export function renderMatrix(answer: MachineMatrix, page: Page): string {
  const { columns } = page;
  const lines: string[] = [];
  for (const { guest, machine, rows } of answer.guests) {
    if (lines.length > 0) lines.push('');
    lines.push(
      clip(
        heading(`${guest} on QEMU ${answer.qemu}: ${count(rows.length, 'different CPU')}`, page),
        columns,
      ),
    );
    for (const [i, row] of rows.entries()) {
      const [now, ...others] = row.machines;
      const names = i === 0 ? [`${now} (now)`, ...others] : row.machines;
      lines.push(...wrap(names, columns - 2).map((line) => `  ${line}`));
      const words = changeWords(row.added, row.removed, row.properties);
      lines.push(
        ...wrap(i === 0 ? [] : words.length > 0 ? words : [`as on ${machine}`], columns - 6).map(
          (line) => `      ${line}`,
        ),
      );
    }
  }
  if (answer.skipped)
    lines.push('', heading('Worth knowing', page), ...skippedLines(answer.skipped, columns));
  return `${lines.join('\n')}\n`;
}

/** Guests with the same answer, those that strand on most hosts first. */
function groupsOf(answer: Drift): Group[] {
  const groups = new Map<string, { guests: string[]; drift: GuestDrift }>();
  for (const drift of answer.guests) {
    const { guest, ...rest } = drift;
    const key = JSON.stringify(rest);
    const group = groups.get(key);
    if (group) group.guests.push(guest);
    else groups.set(key, { guests: [guest], drift });
  }
  const weight = ({ drift }: Group) => drift.stranded?.count ?? 0;
  return [...groups.values()].sort(
    (a, b) => weight(b) - weight(a) || b.guests.length - a.guests.length,
  );
}

function groupLines({ guests, drift }: Group, answer: Drift, page: Page): string[] {
  const { columns, paint } = page;
  const names = hostsText({ count: guests.length, hosts: guests.slice(0, 20) }, columns - 12);
  const where =
    drift.machine === drift.toMachine ? drift.machine : `${drift.machine} → ${drift.toMachine}`;
  const software = answer.qemu === answer.toQemu ? '' : ` · QEMU ${answer.qemu} → ${answer.toQemu}`;
  const lines = [
    paint.bold(names),
    ...wrapSentence(`${where}${software}`, columns - 2).map((l) => `  ${l}`),
  ];
  const say = (label: string, words: readonly string[]) => {
    for (const [i, line] of wrap(words, columns - 12).entries())
      lines.push(`  ${paint.dim((i === 0 ? label : '').padEnd(9))} ${line}`);
  };
  if (drift.abiEqual && drift.own === undefined) say('CPU', ['the', 'same,', 'bit', 'for', 'bit']);
  if (drift.added.length > 0) say('gains', drift.added);
  if (drift.removed.length > 0) say('loses', drift.removed);
  if (drift.properties.length > 0) say('changes', drift.properties.map(propertyText));
  if (drift.runnable) {
    const { before, after, of } = drift.runnable;
    say('runs on', [`${before} → ${after} of ${count(of, 'host')}`]);
  }
  if (drift.stranded && drift.stranded.count > 0)
    say('stranded', [hostsText(drift.stranded, columns - 14)]);
  if (drift.unknown) say('unknown', [hostsText(drift.unknown, columns - 14)]);
  if (drift.lacks) say('lacking', drift.lacks);
  if (drift.refused !== undefined) say('refused', drift.refused.split(' '));
  if (drift.own !== undefined) say('own CPU', drift.own.split(' '));
  if (drift.keep !== null) say('keep', [cpuOption(drift.keep)]);
  if (drift.take !== null) say('take', [cpuOption(drift.take)]);
  return lines;
}

const propertyText = ({ name, from, to }: PropertyChange): string =>
  `${name}:${from ?? 'none'}→${to ?? 'none'}`;

const changeWords = (
  added: readonly string[],
  removed: readonly string[],
  properties: readonly PropertyChange[],
): string[] => [
  ...added.map((name) => `+${name}`),
  ...removed.map((name) => `-${name}`),
  ...properties.map(propertyText),
];

const item = (mark: string, sentence: string, columns: number): string[] =>
  wrapSentence(sentence, columns - 4).map((line, i) => `  ${i === 0 ? mark : ' '} ${line}`);

const skippedLines = (skipped: readonly Skipped[] | undefined, columns: number): string[] =>
  skipped
    ? item(
        '!',
        `${count(skipped.length, 'input')} took no part: ${listed(skipped.slice(0, 3).map((s) => s.reason))}`,
        columns,
      )
    : [];
