// What plimsoll says of drawn guests on one host, held against what really became of each.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './command.ts';

/** A guest as a file that plimsoll reads: a line of QEMU's command, or domain XML. */
export interface Drawn {
  readonly name: string;
  readonly text: string;
  /** Who reads the difference has to know what was drawn. */
  readonly what: string;
  /** It is of another vendor than the host: that it starts is no yes. */
  readonly isForeign: boolean;
}

/** What became of it: it started, with all or without some of what it asks for, or was refused. */
export type Outcome =
  | { readonly starts: true; readonly without: readonly string[] }
  | { readonly starts: false; readonly error: string };

export interface Said {
  readonly verdict: string;
  /** All that is said of the guest. */
  readonly text: string;
}

/** One question for all guests; each is a file, so that one that cannot be read is told apart from the others. */
export async function ask(
  guests: readonly Drawn[],
  hosts: Readonly<Record<string, string>>,
  options: readonly string[],
): Promise<{ status: number; said: ReadonlyMap<string, Said> }> {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-starts-'));
  try {
    mkdirSync(join(folder, 'guests'));
    for (const { name, text } of guests) writeFileSync(join(folder, 'guests', name), text);
    const files = Object.entries(hosts).map(([name, text]) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    });
    const question = ['--json', '--skip-unreadable', ...options];
    let { status, stdout, stderr } = await run(
      ...['place', ...question, '--guests', join(folder, 'guests'), ...files],
    );
    if (/--stack/.test(stderr))
      ({ status, stdout, stderr } = await run(
        ...[
          'place',
          ...question.filter((w, i, a) => w !== '--stack' && a[i - 1] !== '--stack'),
          '--guests',
          join(folder, 'guests'),
          ...files,
        ],
      ));
    if (stdout === '') throw new Error(`place ends with ${status}: ${stderr}`);
    const answer = JSON.parse(stdout);
    const said = new Map<string, Said>();
    for (const guest of answer.guests)
      said.set(guest.guest, {
        verdict: guest.verdict ?? (guest.runsOn > 0 ? 'runs' : 'none'),
        text: JSON.stringify(guest),
      });
    for (const { input, reason } of answer.skipped ?? [])
      said.set(input.split('/').at(-1), { verdict: 'unread', text: reason });
    return { status, said };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether what was said is what happened; what cannot be known is never wrong, and has to be rare. */
export function agrees(guest: Drawn, outcome: Outcome, { verdict, text }: Said): boolean {
  if (verdict === 'unknown') return true;
  const isYes = verdict === 'runs' || verdict === 'own-cpu';
  if (!outcome.starts) return verdict === 'none';
  if (outcome.without.length === 0 && !guest.isForeign) return isYes;
  return (
    verdict === 'none' &&
    ((outcome.without.length > 0 && /starts, without/.test(text)) ||
      (guest.isForeign && /of another vendor/.test(text)))
  );
}

export interface Held {
  readonly differences: readonly string[];
  readonly unknown: number;
  readonly started: number;
  readonly counts: string;
}

/** All guests with their outcomes against all that was said. */
export function hold(
  guests: readonly Drawn[],
  outcomes: readonly Outcome[],
  said: ReadonlyMap<string, Said>,
): Held {
  const differences: string[] = [];
  const counts = new Map<string, number>();
  let unknown = 0;
  guests.forEach((guest, i) => {
    const outcome = outcomes[i]!;
    const answer = said.get(guest.name) ?? { verdict: 'unsaid', text: '' };
    if (answer.verdict === 'unknown') unknown++;
    const became = !outcome.starts
      ? 'refused'
      : outcome.without.length === 0
        ? 'starts'
        : 'starts poorer';
    const key = `${became}${guest.isForeign ? ' (foreign)' : ''}: ${answer.verdict}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    if (agrees(guest, outcome, answer)) return;
    const live = outcome.starts
      ? `starts${outcome.without.length > 0 ? ` without ${outcome.without.join(' ')}` : ''}${guest.isForeign ? ', of another vendor' : ''}`
      : `refused: ${outcome.error}`;
    differences.push(`${guest.what}\n  live: ${live}\n  place: ${answer.verdict}: ${answer.text}`);
  });
  const started = outcomes.filter((o) => o.starts).length;
  const sorted = [...counts].sort().map(([key, n]) => `${n} ${key}`);
  return { differences, unknown, started, counts: sorted.join(', ') };
}
