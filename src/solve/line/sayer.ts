// Findings while they are collected: who says what of which hosts, and in which order it is read.
import type { Note } from '../../cpu/description.ts';
import { byBytes } from '../../cpu/order.ts';
import type { Fleet, HostList, HostSet } from '../../fleet/fleet.ts';
import { LISTED } from '../../fleet/told.ts';
import type { Finding, Severity } from '../answer.ts';

const SEVERITIES: readonly Severity[] = ['error', 'warning', 'info'];

/** What makes an answer one about something else than the hosts. */
const FOREMOST: ReadonlySet<string> = new Set(['emulated']);

/** What is serious comes first. */
export const byWeight = (a: Finding, b: Finding): number =>
  Number(FOREMOST.has(b.code)) - Number(FOREMOST.has(a.code)) ||
  SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
  byBytes(a.code, b.code) ||
  byBytes(a.message, b.message);

export class Sayer {
  readonly fleet: Fleet;
  readonly #findings: Finding[] = [];

  constructor(fleet: Fleet) {
    this.fleet = fleet;
  }

  /** Adds a finding about these hosts; about none of them, there is nothing to say. */
  say(severity: Severity, code: string, hosts: HostSet, message: (who: string) => string): void {
    const list = this.fleet.list(hosts);
    if (list.count === 0) return;
    this.#findings.push({ code, severity, ...list, message: message(who(list)) });
  }

  members(keep: (index: number) => boolean): HostSet {
    return this.fleet.membersOf(keep);
  }

  get everyone(): HostSet {
    return this.fleet.hostsWhere(() => true);
  }

  sorted(): Finding[] {
    return this.#findings.sort(byWeight);
  }
}

/** What is to be known of guests, those of which the same is said together. */
export function guestFindings(
  guests: readonly { readonly id: string; readonly notes: readonly Note[] }[],
): Finding[] {
  const said = new Map<string, { note: Note; ids: string[] }>();
  for (const { id, notes } of guests)
    for (const note of notes) {
      const key = `${note.code} ${note.message}`;
      const same = said.get(key) ?? { note, ids: [] };
      same.ids.push(id);
      said.set(key, same);
    }
  return [...said.values()]
    .map(({ note: { code, message }, ids }): Finding => {
      const first = ids.sort(byBytes).slice(0, LISTED);
      const count = ids.length;
      const whose = `${who({ count, hosts: first })}: ${message}`;
      return { code, severity: 'warning', count, hosts: [], guests: first, message: whose };
    })
    .sort(byWeight);
}

/** The first few hosts by id, and how many more. */
export function who({ count, hosts }: HostList): string {
  if (hosts.length === 0) return count === 1 ? '1 host' : `${count} hosts`;
  const named = hosts.slice(0, 3);
  const more = count - named.length;
  if (more > 0) return `${named.join(', ')} and ${more} more`;
  return named.length === 1 ? named[0]! : `${named.slice(0, -1).join(', ')} and ${named.at(-1)}`;
}

/** The first few names of a list, and how many more. */
export function some(names: readonly string[], most = 6): string {
  const more = names.length - most;
  return more > 1 ? `${names.slice(0, most).join(' ')} and ${more} more` : names.join(' ');
}
