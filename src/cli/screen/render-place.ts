// The reports of place and admit: who has nowhere to go comes first.
import type { Admit, AdmittedHost, PlacedGuest, Placement } from '../../solve/answer-plan.ts';
import { findingLines, heading, type Page } from './render.ts';
import { count, hostsText, listed, table, wrap, wrapSentence } from './text.ts';

/** Guests or hosts that are spelled out. */
const SHOWN = 12;

export function renderPlace(answer: Placement, page: Page): string {
  const { columns, paint } = page;
  const { guests, stranded, nowhere, unknown, ownCpu, fewest, drained = [], lose = 0 } = answer;
  const first = drained.slice(0, 3).join(', ');
  const lost = [
    ...(drained.length > 3 ? [`${first} and ${drained.length - 3} more drained`] : []),
    ...(drained.length > 0 && drained.length <= 3 ? [`${first} drained`] : []),
    ...(lose > 0 ? [`any ${lose === 1 ? 'host' : `${lose} hosts`} lost`] : []),
  ];
  const say = (color: (text: string) => string, sentence: string) =>
    wrapSentence(sentence, columns).map(color);
  const lines = [
    ...(nowhere.length > 0
      ? say(
          paint.red,
          `${nowhere.length} of ${count(guests.length, 'guest')} ${nowhere.length === 1 ? 'runs' : 'run'} on no host`,
        )
      : []),
    ...(stranded.length > 0
      ? say(
          paint.red,
          `with ${listed(lost)}, ${count(stranded.length, 'guest')} ${stranded.length === 1 ? 'has' : 'have'} nowhere to go`,
        )
      : []),
    ...(unknown.length > 0
      ? say(
          paint.yellow,
          `whether ${count(unknown.length, 'guest')} ${unknown.length === 1 ? 'has' : 'have'} a place${lost.length > 0 ? ` with ${listed(lost)}` : ''} is not known`,
        )
      : []),
    ...(nowhere.length + stranded.length + unknown.length === 0
      ? say(
          paint.green,
          lost.length > 0
            ? `every guest has a place with ${listed(lost)}`
            : 'every guest runs somewhere',
        )
      : []),
  ];
  if (ownCpu.length > 0)
    lines.push(
      ...wrapSentence(
        `${count(ownCpu.length, 'guest')} of these ${ownCpu.length === 1 ? 'has' : 'have'} the CPU of the host on which ${ownCpu.length === 1 ? 'it starts, and moves' : 'they start, and move'} to equals alone`,
        columns,
      ),
    );
  if (stranded.length > 0) lines.push(...wrap(stranded, columns - 2, 3).map((line) => `  ${line}`));
  if (fewest && fewest.runsOn > 0)
    lines.push(
      ...wrapSentence(
        `fewest places: ${listed(fewest.guests.slice(0, 3))}${fewest.count > 3 ? ` and ${fewest.count - 3} more` : ''} on ${count(fewest.runsOn, 'host')}`,
        columns,
      ),
    );
  // Those who run on the fewest hosts are what the reader looks for.
  const sorted = [...guests].sort((a, b) => a.runsOn - b.runsOn);
  lines.push(
    '',
    ...table(
      sorted.slice(0, SHOWN).map((g) => guestCells(g, columns)),
      columns,
      '  ',
    ),
  );
  if (guests.length > SHOWN)
    lines.push(
      `  ${paint.dim(`and ${count(guests.length - SHOWN, 'guest')} more that run on as many or more; --json has them all`)}`,
    );
  if (answer.powerCycle) lines.push('', ...cycleLines(answer.powerCycle, page));
  const known = findingLines(answer.findings, answer.skipped ?? [], page);
  if (known.length > 0) lines.push('', heading('Worth knowing', page), ...known);
  return `${lines.join('\n')}\n`;
}

function guestCells(g: PlacedGuest, columns: number): string[] {
  const left = g.left !== undefined && g.left !== g.runsOn ? `, then ${g.left}` : '';
  return [
    g.guest.slice(0, Math.floor(columns / 3)),
    `${g.runsOn} of ${g.of}${left}`,
    whyNot(g) ?? g.own ?? '',
  ];
}

/**
 * The one thing that stands in the way on the most hosts: what lacks there, before what is not known, unless only that
 * keeps the guest from a place.
 */
function whyNot(g: PlacedGuest): string | null {
  const worst = g.missing.find((m) => m.features.length > 0) ?? g.missing[0];
  if (worst && g.verdict !== 'unknown')
    return worst.reasons?.[0] ?? `${hostsText(worst, 24)}: no ${firstOf(worst.features, g.first)}`;
  const open = g.unknown[0];
  return open
    ? (open.reasons?.[0] ?? `${hostsText(open, 24)}: ${open.features[0]} is not known`)
    : null;
}

/** What all of these hosts lack: the feature that most others lack, too, where it is one of theirs. */
const firstOf = (features: readonly string[], first: string | null): string =>
  first !== null && features.includes(first) ? first : features[0]!;

function cycleLines(cycles: NonNullable<Placement['powerCycle']>, page: Page): string[] {
  if (cycles.length === 0) return ['Every guest has the CPU of the baseline already.'];
  const rows = cycles.slice(0, SHOWN).map(({ guest, gains, loses }) => {
    const words = [...gains.map((f) => `+${f}`), ...loses.map((f) => `-${f}`)];
    return [guest, wrap(words, Math.max(24, page.columns - guest.length - 8), 1)[0]!];
  });
  const rest = cycles.length - rows.length;
  return [
    heading(
      `To be switched off and on to have the baseline: ${count(cycles.length, 'guest')}`,
      page,
    ),
    ...table(rows, page.columns, '  '),
    ...(rest > 0 ? [`  ${page.paint.dim(`and ${rest} more; --json has them all`)}`] : []),
  ];
}

export function renderAdmit(answer: Admit, page: Page): string {
  const { columns, paint } = page;
  const refused = answer.hosts.filter((h) => h.admitted !== true);
  const certain = refused.filter((h) => h.admitted === false);
  const lines = [
    refused.length === 0
      ? paint.green(
          answer.hosts.length === 1
            ? 'admitted: the line stays where it is'
            : `all ${answer.hosts.length} admitted: the line stays where it is`,
        )
      : certain.length > 0
        ? paint.red(
            `${certain.length} of ${count(answer.hosts.length, 'host')} would lower the line`,
          )
        : paint.yellow(
            `whether ${refused.length} of ${count(answer.hosts.length, 'host')} would lower the line is not known`,
          ),
  ];
  for (const host of refused.slice(0, SHOWN)) {
    lines.push('', heading(host.host, page));
    for (const sentence of sentencesOf(host))
      lines.push(
        ...wrapSentence(sentence, columns - 4).map((line, i) => `  ${i === 0 ? '' : '  '}${line}`),
      );
  }
  if (refused.length > SHOWN)
    lines.push('', `and ${refused.length - SHOWN} more; --json has them all`);
  const { findings = [], skipped = [] } = answer;
  const known = findingLines(findings, skipped, page);
  if (known.length > 0) lines.push('', ...known);
  return `${lines.join('\n')}\n`;
}

function sentencesOf({
  lost,
  unknown,
  reasons,
  unknownReasons,
  features,
  security,
}: AdmittedHost): string[] {
  const { mitigationsLost } = security;
  return [
    ...reasons,
    ...(lost.length > 0 ? [`lacks ${lost.join(' ')}`] : []),
    ...(unknown.length > 0
      ? [`may lack ${unknown.join(' ')} (its description cannot tell; virsh domcapabilities would)`]
      : []),
    ...unknownReasons,
    ...(features.after < features.before
      ? [`every guest would have ${features.after} features instead of ${features.before}`]
      : []),
    ...(mitigationsLost.length > 0
      ? [`mitigations lost to every guest: ${mitigationsLost.join(' ')}`]
      : []),
  ];
}
