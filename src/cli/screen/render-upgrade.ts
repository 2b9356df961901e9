// What another kernel does to hosts and their line, for people.
import type { Drift } from '../../solve/drift/drift.ts';
import type { LineChange, LineEnd } from '../../solve/drift/upgrade.ts';
import { heading, type Page } from './render.ts';
import { count, hostsText, listed, wrap, wrapSentence } from './text.ts';

/** Groups of hosts that are spelled out, and names in each. */
const SHOWN = 6;
const NAMED = 16;

/** What it does, in a sentence, where no guests were asked about. */
export function upgradeVerdict(answer: Drift): string {
  const { toKernel, changes = [], line = [], hostFindings = [], hosts = 0 } = answer;
  const kept = hostFindings
    .filter((f) => f.code === 'kernel-kept')
    .reduce((sum, f) => sum + f.count, 0);
  if (kept >= hosts)
    return `kernel ${toKernel} cannot be asked of ${hosts === 1 ? 'this host' : `any of these ${count(hosts, 'host')}`}`;
  const parts = (what: 'lost' | 'gained') =>
    line
      .filter((side) => side[what].length > 0)
      .map((side) => `${side.by ?? 'all'} ${fewOf(side[what])}`);
  const [lost, gained] = [parts('lost'), parts('gained')];
  // What comes where nobody knows what was there is no gift of the kernel.
  const gives = hostFindings.some((f) => f.code === 'kernel-untold')
    ? 'gives, or gave already,'
    : 'gives';
  const said = [
    ...(lost.length > 0 ? [`takes from the line of ${listed(lost)}`] : []),
    ...(gained.length > 0 ? [`${gives} the line of ${listed(gained)}`] : []),
  ];
  if (said.length > 0) return `kernel ${toKernel} ${said.join(' and ')}`;
  const worse = changes.filter((c) => c.lost.length > 0).reduce((sum, c) => sum + c.count, 0);
  if (worse > 0)
    return `kernel ${toKernel} takes features from ${worse} of ${count(hosts, 'host')}, none of which the line has`;
  return changes.length > 0
    ? `kernel ${toKernel} takes nothing that the line has`
    : `kernel ${toKernel} changes nothing on ${count(hosts, 'host')}`;
}

/** The line of each vendor, then the hosts that change. */
export function upgradeLines({ changes = [], line = [], toKernel }: Drift, page: Page): string[] {
  const { columns, paint } = page;
  const lines: string[] = [];
  const say = (label: string, words: readonly string[]) => {
    for (const [i, text] of wrap(words, columns - 12).entries())
      lines.push(`  ${paint.dim((i === 0 ? label : '').padEnd(9))} ${text}`);
  };
  lines.push('', heading(`The line under kernel ${toKernel}`, page));
  for (const side of line) {
    // A vendor of another architecture has a name of two words.
    const by = side.by ?? 'all';
    say(by.length > 9 ? '' : by, [...(by.length > 9 ? [`${by}:`] : []), ...lineWords(side)]);
    if (side.lost.length > 0) say('  loses', withHosts(fewNames(side.lost), side, columns));
    if (side.gained.length > 0) say('  gains', fewNames(side.gained));
  }
  for (const change of changes.slice(0, SHOWN)) {
    lines.push('', ...wrapSentence(hostsText(change, columns), columns).map((l) => paint.bold(l)));
    for (const [label, key] of LABELS)
      if (change[key].length > 0) say(label, fewNames(change[key]));
  }
  if (changes.length > SHOWN)
    lines.push('', `and ${changes.length - SHOWN} more groups of hosts; --json has them all`);
  return lines;
}

const LABELS: readonly [string, 'lost' | 'mayLose' | 'gained' | 'mayGain'][] = [
  ['loses', 'lost'],
  ['may lose', 'mayLose'],
  ['gains', 'gained'],
  ['may gain', 'mayGain'],
];

const endText = ({ model, features }: LineEnd): string =>
  `${model ?? 'no model'}, ${count(features, 'feature')}`;

const lineWords = ({ before, after, lost, gained }: LineChange): string[] =>
  (lost.length + gained.length === 0
    ? `${endText(before)}, as now`
    : `${endText(before)} → ${endText(after)}`
  ).split(' ');

const withHosts = (names: readonly string[], list: LineChange, columns: number): string[] =>
  list.count === 0 ? [...names] : [...names, `(${hostsText(list, columns - 40)})`];

const fewNames = (names: readonly string[]): readonly string[] =>
  names.length <= NAMED
    ? names
    : [...names.slice(0, NAMED - 1), `… and ${names.length - NAMED + 1} more`];

const fewOf = (names: readonly string[]): string =>
  names.length > 3 ? `${count(names.length, 'feature')}` : names.join(', ');
