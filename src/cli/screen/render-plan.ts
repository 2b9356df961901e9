// The reports of blame and groups: who costs the most comes first, then what can be chosen from.
import type {
  Blame,
  BlameGroup,
  BlameSide,
  Groups,
  PoolGroup,
  SecurityCost,
} from '../../solve/answer-plan.ts';
import { bars, matrixLines } from './chart.ts';
import { BECAUSE, definitionText, findingLines, heading, type Page } from './render.ts';
import { count, hostsText, listed, number, pad, width, wrap, wrapSentence } from './text.ts';

/** Groups that are spelled out; those behind them gain less. */
const GROUPS = 6;
/** Points of a frontier, or of a curve, that are drawn. */
const POINTS = 12;

export function renderBlame(answer: Blame, page: Page): string {
  const lines: string[] = [];
  if (answer.sides) {
    const because = BECAUSE[answer.sides[0]?.because ?? ''] ?? 'they differ';
    const sentence = `No CPU is common to ${count(answer.hosts, 'host')}: ${because}. Each side by itself:`;
    lines.push(...wrapSentence(sentence, page.columns));
    for (const side of answer.sides)
      lines.push(
        '',
        heading(`${side.value ?? 'unknown vendor'}: ${sideTitle(side)}`, page),
        ...sideLines(side, page),
      );
  } else {
    const side = answer as BlameSide;
    lines.push(sideTitle(side), ...sideLines(side, page));
  }
  const known = findingLines(answer.findings, answer.skipped ?? [], page);
  if (known.length > 0) lines.push('', heading('Worth knowing', page), ...known);
  return `${lines.join('\n')}\n`;
}

const sideTitle = (side: BlameSide): string =>
  [
    count(side.hosts, 'host'),
    count(side.features, 'feature'),
    ...(side.model === null ? [] : [side.model]),
  ].join(', ');

function sideLines(side: BlameSide, page: Page): string[] {
  const { paint } = page;
  const lines: string[] = [];
  if (side.want) lines.push('', ...wantLines(side, page));
  if (side.groups.length === 0) return [...lines, '', '  No host holds the others down.'];
  lines.push('', heading('Who holds it down', page));
  // What few hosts cost is what can be mended first.
  const perHost = (g: BlameGroup) => g.gains.length / g.count;
  const sorted = [...side.groups].sort((a, b) => perHost(b) - perHost(a));
  for (const group of sorted.slice(0, GROUPS)) lines.push(...groupLines(group, page));
  const rest = side.groups.length - GROUPS;
  if (rest > 0)
    lines.push(
      `  ${paint.dim(`and ${count(rest, 'group')} more that gain less for a host; --json has them all`)}`,
    );
  if (side.frontier.length > 1)
    lines.push(
      '',
      heading('What leaving hosts out can gain at most', page),
      ...frontierLines(side, page),
    );
  if (side.matrix && side.matrix.rows.length > 0)
    lines.push('', heading('Who has what', page), ...matrixLines(side.matrix, page));
  return [...lines, ...securityLines(side.security, page)];
}

const REMEDIES = { mend: 'mend', replace: 'replace', unknown: 'find out' } as const;

function groupLines(group: BlameGroup, page: Page): string[] {
  const { columns, paint } = page;
  const hosts = hostsText(group, Math.floor(columns * 0.4));
  const gain = `+${group.gains.length}`;
  const start = `  ${pad(hosts, 16)}  ${paint.yellow(pad(gain, 4))}  `;
  const plain = width(`  ${pad(hosts, 16)}  ${pad(gain, 4)}  `);
  const them = group.count === 1 ? 'it' : 'them';
  const names = wrap(group.gains, columns - plain, 1)[0]!;
  const below = [
    ...(group.model === null ? [] : [`without ${them}: ${group.model}`]),
    `${REMEDIES[group.remedy]}: ${group.because}`,
  ];
  return [
    `${start}${names}`,
    ...below.flatMap((sentence) =>
      wrap(sentence.split(' '), columns - 6, 3).map(
        (line, i) => `    ${i === 0 ? '' : '  '}${paint.dim(line)}`,
      ),
    ),
  ];
}

function wantLines({ want }: BlameSide, page: Page): string[] {
  const { wanted, possible, ...list } = want!;
  const names = listed(wanted);
  const sentence = !possible
    ? `${names}: no host here has ${wanted.length === 1 ? 'it' : 'all of them'}, so mending and moving cannot bring it`
    : list.count === 0
      ? `${names}: every guest has ${wanted.length === 1 ? 'it' : 'them'} already`
      : `${names}: mend or move ${count(list.count, 'host')} (${hostsText(list, page.columns)}); that gains ${count(list.gains.length, 'feature')}${list.model === null ? '' : ` and reaches ${list.model}`}`;
  return wrapSentence(sentence, page.columns - 2).map((line, i) => `${i === 0 ? '' : '  '}${line}`);
}

function frontierLines(side: BlameSide, page: Page): string[] {
  const points = [
    { without: 0, features: side.features, hosts: [], exact: true },
    ...side.frontier,
  ];
  const shown = points.length <= POINTS ? points : [...points.slice(0, POINTS - 1), points.at(-1)!];
  const lines = bars(
    shown.map((p) => ({
      label: p.without === 0 ? 'all hosts' : `without ${number(p.without)}`,
      value: p.features,
      note: `${p.features}${p.exact ? '' : ', perhaps more'}`,
    })),
    0,
    page,
  );
  const left = points.length - shown.length;
  return left > 0
    ? [...lines, `  ${page.paint.dim(`${left} steps between are left out; --json has them all`)}`]
    : lines;
}

/** What the line costs in security, where it costs anything. */
function securityLines(cost: SecurityCost, page: Page): string[] {
  const said = [
    { what: 'Mitigations that guests do not get', names: cost.mitigationsLost },
    { what: 'Immunities that they may not claim', names: cost.immunitiesNotClaimed },
    { what: 'Immunities that they may claim', names: cost.immunitiesClaimed },
  ].filter(({ names }) => names.length > 0);
  if (said.length === 0) return [];
  return [
    '',
    heading('What it means for security', page),
    ...said.flatMap(({ what, names }) =>
      wrapSentence(`${what}: ${names.join(' ')}`, page.columns - 4).map(
        (line, i) => `  ${i === 0 ? '' : '  '}${line}`,
      ),
    ),
  ];
}

export function renderGroups(answer: Groups, page: Page): string {
  const { columns, paint } = page;
  const lines: string[] = [];
  if (answer.because !== undefined)
    lines.push(...wrapSentence(`No such pools: ${answer.because}.`, columns));
  else {
    const share = answer.bound === 0 ? 1 : answer.kept / answer.bound;
    const proof = answer.exact
      ? 'no split keeps more'
      : `no split keeps more than ${number(answer.bound)}, so this is within ${((1 - share) * 100).toFixed(1)} % of the best`;
    const sentence = `${count(answer.groups.length, 'pool')}, which together keep ${number(answer.kept)} (hosts × features): ${proof}`;
    lines.push(...wrapSentence(sentence, columns));
    for (const [i, group] of answer.groups.entries())
      lines.push('', ...poolLines(group, i + 1, page));
  }
  if (answer.curve.length > 1) {
    const curve = answer.curve.slice(0, POINTS);
    const least = Math.min(...curve.map((p) => p.kept));
    const from = least - (Math.max(...curve.map((p) => p.kept)) - least) * 0.25;
    const shown = curve.map((p, i) => {
      const gained = i === 0 ? '' : `  +${number(p.kept - curve[i - 1]!.kept)}`;
      return {
        label: count(p.k, 'pool'),
        value: p.kept,
        note: `${number(p.kept)}${gained}`,
      };
    });
    lines.push('', heading('What each further pool buys', page), ...bars(shown, from, page));
    if (answer.curve.length > POINTS)
      lines.push(`  ${paint.dim(`and ${answer.curve.length - POINTS} more; --json has them all`)}`);
  }
  const known = findingLines(answer.findings, answer.skipped ?? [], page);
  if (known.length > 0) lines.push('', heading('Worth knowing', page), ...known);
  return `${lines.join('\n')}\n`;
}

function poolLines(group: PoolGroup, n: number, page: Page): string[] {
  const { columns, paint } = page;
  const definition = group.model.qemu ?? group.model.libvirt;
  const cpu = definition
    ? definitionText(definition, columns - 4)
    : 'no model can be made to mean it';
  const title = [
    `Pool ${n}`,
    count(group.count, 'host'),
    group.vendor,
    count(group.features.length, 'feature'),
  ];
  const { mitigationsLost } = group.security;
  return [
    heading(title.filter(Boolean).join(', '), page),
    `  ${cpu}`,
    ...wrap(group.hosts, columns - 2, 3).map((line) => `  ${paint.dim(line)}`),
    ...(mitigationsLost.length > 0
      ? wrapSentence(
          `mitigations that its guests do not get: ${mitigationsLost.join(' ')}`,
          columns - 4,
        ).map((line, i) => `  ${i === 0 ? paint.yellow('!') : ' '} ${line}`)
      : []),
  ];
}
