// What plimsoll says of drawn guests on one host, held against what really became of each.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { run } from './command.ts';

/** A guest as a file that plimsoll reads: a line of QEMU's command, or domain XML. */
export interface Drawn {
  readonly name: string;
  readonly text: string;
  /** Who reads the difference has to know what was drawn. */
  readonly what: string;
  /** It is of another vendor than the host: that it starts is no yes. */
  readonly isForeign: boolean;
  /** No description that is given can tell. */
  readonly isOpen: boolean;
}

/** What became of it: it started, with all or without some of what it asks for, or was refused. */
export type Outcome =
  | { readonly starts: true; readonly without: readonly string[] }
  | { readonly starts: false; readonly error: string };

interface Said {
  readonly verdict: string;
  /** All that is said of the guest. */
  readonly text: string;
}

/** One question for all guests; each is a file, so that one that cannot be read is told apart from the others. */
async function ask(
  guests: readonly Drawn[],
  host: string,
  options: readonly string[],
): Promise<{ status: number; said: ReadonlyMap<string, Said> }> {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-starts-'));
  try {
    const files = join(folder, 'guests');
    mkdirSync(files);
    for (const { name, text } of guests) writeFileSync(join(files, name), text);
    writeFileSync(join(folder, 'host'), host);
    const question = ['--json', '--skip-unreadable', ...options, '--guests', files];
    const { status, stdout, stderr } = await run('place', ...question, join(folder, 'host'));
    if (stdout === '') throw new Error(`place ends with ${status}: ${stderr}`);
    const answer = JSON.parse(stdout);
    const said = new Map<string, Said>();
    for (const guest of answer.guests)
      said.set(guest.guest, { verdict: guest.verdict, text: JSON.stringify(guest) });
    for (const { input, reason } of answer.skipped ?? [])
      said.set(input.split('/').at(-1), { verdict: 'unread', text: reason });
    return { status, said };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Whether what was said is what happened; what cannot be known is never wrong, and has to be rare. */
function agrees(guest: Drawn, outcome: Outcome, { verdict, text }: Said): boolean {
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

function describe(guest: Drawn, outcome: Outcome): string {
  const foreign = guest.isForeign ? ', of another vendor' : '';
  if (!outcome.starts) return `refused${foreign}: ${outcome.error}`;
  const without = outcome.without.length > 0 ? ` without ${outcome.without.join(' ')}` : '';
  return `starts${without}${foreign}`;
}

export interface Proof {
  /** Who started the guests, and how they were drawn. */
  readonly title: string;
  readonly guests: readonly Drawn[];
  readonly outcomes: readonly Outcome[];
  /** The host that they were started on, as plimsoll reads it. */
  readonly host: string;
  readonly options: readonly string[];
}

/** Asks place of all guests, prints how they came out, and asserts that it says of each what became of it. */
export async function prove({ title, guests, outcomes, host, options }: Proof): Promise<void> {
  const { status, said } = await ask(guests, host, options);
  const counts = new Map<string, number>();
  const differences: string[] = [];
  const open: string[] = [];
  const homes: Drawn[] = [];
  guests.forEach((guest, i) => {
    const outcome = outcomes[i]!;
    const answer = said.get(guest.name) ?? { verdict: 'unsaid', text: '' };
    const live = describe(guest, outcome);
    const kind = `${live.split(/[ :,]/)[0]}${/ without /.test(live) ? ' poorer' : ''}${guest.isForeign ? ' (foreign)' : ''}`;
    const key = `${kind}: ${answer.verdict}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    if (answer.verdict === 'runs' || answer.verdict === 'own-cpu') homes.push(guest);
    const pair = `${guest.what}\n  live: ${live}\n  place: ${answer.verdict}: ${answer.text}`;
    if (!agrees(guest, outcome, answer)) differences.push(pair);
    else if (answer.verdict === 'unknown' && !guest.isOpen) open.push(pair);
  });
  for (const pair of differences) console.error(`differs: ${pair}`);
  for (const pair of open) console.error(`not known: ${pair}`);
  const sorted = [...counts].sort().map(([key, n]) => `${n} ${key}`);
  console.log(`\nstarts: ${title}: ${sorted.join(', ')}`);
  assert.is(differences.length, 0, `${differences.length} guests differ`);
  assert.ok(open.length <= guests.length / 20, `${open.length} are not known`);
  assert.is(status, 1);
  // Draws of which all start or none does would prove nothing.
  const started = outcomes.filter((o) => o.starts).length / guests.length;
  assert.ok(started > 0.2 && started < 0.8, `${started} of them start`);
  assert.is((await ask(homes, host, options)).status, 0, 'those with a place');
}
