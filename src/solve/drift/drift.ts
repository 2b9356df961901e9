// What a change of machine type, model version or software does to guests: whether each still runs where it did, and
// whether it finds the same CPU. The two are different questions, and are answered apart.
import { emptyRow, hasBit, isEmpty, isEqual, join, minus, type Row } from '../../core/rows.ts';
import { newestSoftware, startOfAsked } from '../../cpu/asked/asked.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { parseCpuString, withSwitches } from '../../cpu/cpu-string.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Asked } from '../../cpu/guest.ts';
import type { Software } from '../../cpu/need.ts';
import { byBytes } from '../../cpu/order.ts';
import { type Expansion, expandItems } from '../../cpu/qemu/expand.ts';
import { expandCpu } from '../../cpu/qemu/qemu-start.ts';
import type { Fleet, HostList, Skipped } from '../../fleet/fleet.ts';
import { LISTED } from '../../fleet/told.ts';
import { underKernel } from '../../fleet/under.ts';
import type { Finding, Severity } from '../answer.ts';
import { asker, type GivenSoftware, softwareOf } from '../fit/asker.ts';
import type { FitVerdict } from '../fit/fit.ts';
import { guestProperties, type PropertyChange, propertyChanges } from './changes.ts';
import { type Change, Hosts } from './drift-hosts.ts';
import { type Upgrade, upgrade } from './upgrade.ts';

/** A guest before the change and after it. */
export interface Move {
  readonly guest: string;
  readonly from: Asked;
  readonly to: Asked;
}

export interface DriftOptions {
  /** The software before the change and after it; what hosts tell, else the newest, where it is not said. */
  readonly from?: GivenSoftware | undefined;
  readonly to?: GivenSoftware | undefined;
  /** The kernel of the hosts after it; the fleet must have kept what they were described by. */
  readonly toKernel?: string | undefined;
  /** What was among the guests and is none. */
  readonly left?: readonly Finding[] | undefined;
  /** Guests whose CPU cannot be told are listed, and no error. */
  readonly lists?: boolean | undefined;
  /** Guests whose CPU cannot be told by their definition, beside those. */
  readonly unsettled?: readonly Unsettled[] | undefined;
  /** Go on without guests whose CPU cannot be known. */
  readonly skipUnreadable?: boolean | undefined;
}

/** A guest of which it cannot be told what the change does to it. */
export interface Unsettled {
  readonly guest: string;
  readonly because: string;
}

/** What the change means to some guests, as a fact. */
interface DriftFinding {
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly count: number;
  /** The first guests in byte order. */
  readonly guests: readonly string[];
}

export interface GuestDrift {
  readonly guest: string;
  readonly cpu: string;
  readonly machine: string;
  readonly toMachine: string;
  /** Whether the guest finds the same CPU, bit for bit. */
  readonly abiEqual: boolean;
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly properties: readonly PropertyChange[];
  /** On how many hosts it starts for certain; absent without hosts. */
  readonly runnable?: { readonly before: number; readonly after: number; readonly of: number };
  /** Hosts on which it ran and does not run afterwards. */
  readonly stranded?: HostList;
  /** Hosts of which it is not known whether the change strands it there. */
  readonly unknown?: HostList;
  /** What some of these hosts then do not offer of what it asks for, where they have another kernel. */
  readonly lacks?: readonly string[];
  /** Why the software after the change does not start it on any host. */
  readonly refused?: string;
  /** Why it has the CPU of its host, where it has: then what it has beside is compared alone. */
  readonly own?: string;
  /** The -cpu argument for the change without what strands; null where nothing does. */
  readonly keep: string | null;
  /** The -cpu argument for the new features alone, without the change; null where there are none, or no flag brings them. */
  readonly take: string | null;
}

export interface Drift {
  readonly schema: 'plimsoll.drift/1';
  /** Of all guests, where they have it in common. */
  readonly machine: string | null;
  readonly toMachine: string | null;
  readonly qemu: string;
  readonly toQemu: string;
  /** The kernel that the hosts have after the change, where that is asked; then `changes` and `line`. */
  readonly toKernel?: string;
  readonly changes?: Upgrade['changes'];
  readonly line?: Upgrade['line'];
  /** What is to be known of the hosts, where anything is. */
  readonly hostFindings?: readonly Finding[];
  readonly hosts?: number;
  readonly guests: readonly GuestDrift[];
  /** Guests of which nothing can be told, where there are any. */
  readonly unsettled?: readonly Unsettled[];
  readonly findings: readonly DriftFinding[];
  readonly skipped?: readonly Skipped[];
}

/**
 * Answers for every guest; the fleet, where there is one, says where each runs.
 * @throws QueryError naming the guest whose CPU is refused before the change, or cannot be known, unless those are to
 * be listed.
 */
export function drift(
  catalog: Catalog,
  asked: readonly Move[],
  fleet: Fleet | null,
  options: DriftOptions = {},
): Drift {
  const [from, to] = [options.from, options.to ?? options.from].map((given) =>
    shown(catalog, fleet, given),
  ) as [Software, Software];
  const changes = new Map<string, Change | QueryError>();
  const moves: Move[] = [];
  const of: Change[] = [];
  const skipped: Skipped[] = [];
  for (const move of asked) {
    const key = JSON.stringify([move.from, move.to]);
    const change = changes.get(key) ?? changeOf(catalog, move, from, to);
    changes.set(key, change);
    if (change instanceof QueryError) skipped.push({ input: move.guest, reason: change.message });
    else {
      moves.push(move);
      of.push(change);
    }
  }
  const isSkipping = options.skipUnreadable === true && moves.length > 0;
  const isListing = options.lists === true && !isSkipping;
  if (skipped.length > 0 && !isSkipping && !isListing)
    throw new QueryError(skipped.map((s) => `guest ${s.input}: ${s.reason}`).join('\n'));
  const listed = isListing ? skipped : [];
  const unsettled = [
    ...listed.map(({ input, reason }): Unsettled => ({ guest: input, because: reason })),
    ...(options.unsettled ?? []),
  ].sort((a, b) => byBytes(a.guest, b.guest));
  const { toKernel } = options;
  const then = toKernel === undefined || !fleet ? null : underKernel(fleet, toKernel);
  const hosts = fleet && new Hosts(fleet, then ?? fleet, [...new Set(of)], options);
  const answers = new Map<Change, Omit<GuestDrift, 'guest'>>();
  const guests = moves.map(({ guest }, i): GuestDrift => {
    const change = of[i]!;
    let answer = answers.get(change);
    if (!answer) {
      answer = answerOf(catalog, change, hosts);
      answers.set(change, answer);
    }
    return { guest, ...answer };
  });
  hosts?.free();
  const changed = fleet && then && upgrade(fleet, then);
  const hostFindings = [
    ...(fleet?.left ?? []),
    ...(options.left ?? []),
    ...(changed?.hostFindings ?? []),
  ];
  return {
    schema: 'plimsoll.drift/1',
    machine: common(guests.map((g) => g.machine)),
    toMachine: common(guests.map((g) => g.toMachine)),
    qemu: from.qemu,
    toQemu: to.qemu,
    ...(fleet && then ? { toKernel: toKernel!, ...changed } : {}),
    ...(hostFindings.length > 0 ? { hostFindings } : {}),
    ...(fleet ? { hosts: fleet.hosts } : {}),
    guests: guests.sort((a, b) => byBytes(a.guest, b.guest)),
    ...(unsettled.length > 0 ? { unsettled } : {}),
    findings: findingsOf(catalog, moves, of),
    ...(isSkipping && skipped.length > 0 ? { skipped } : {}),
  };
}

/** The software that the change is shown by: what was said, else what all hosts tell alike, else the newest. */
function shown(catalog: Catalog, fleet: Fleet | null, given: GivenSoftware = {}): Software {
  const told = (fleet?.kinds ?? []).map(softwareOf(catalog, given));
  const newest = newestSoftware(catalog);
  const [first] = told;
  if (first && told.every((one) => one === first)) return first;
  if (first && told.every((one) => isAlike(one, first))) {
    const { host: _, ...software } = first;
    return software;
  }
  const machine = given.machine ?? newest.machine;
  const { qemu = newest.qemu, libvirt = newest.libvirt } = given;
  return { qemu, libvirt, machine, ...(given.qemu === undefined ? {} : { isGiven: true }) };
}

/** Whether it is the same software, whatever the hosts. */
const isAlike = (a: Software, b: Software): boolean =>
  a.qemu === b.qemu && a.libvirt === b.libvirt && a.isGiven === b.isGiven;

/** Whether any guest would stop running on a host where it ran, or that cannot be known: no beats what is not known. */
export const driftVerdict = (answer: Drift): FitVerdict => {
  const any = (is: (g: GuestDrift) => boolean) => answer.guests.some(is);
  if (any((g) => g.refused !== undefined || (g.stranded?.count ?? 0) > 0)) return 'no';
  const isOpen = any((g) => (g.unknown?.count ?? 0) > 0) || answer.unsettled !== undefined;
  return isOpen ? 'unknown' : 'runs';
};

/** Whether any guest would stop running on a host where it ran. */
export const strands = (answer: Drift): boolean => driftVerdict(answer) === 'no';

const common = (values: readonly string[]): string | null =>
  new Set(values).size === 1 ? values[0]! : null;

/** The change of one guest, or why it cannot be told. */
function changeOf(
  catalog: Catalog,
  { from, to }: Move,
  fromSoftware: Software,
  toSoftware: Software,
): Change | QueryError {
  const asks = { from: asker(catalog, from), to: asker(catalog, to) };
  const now = asks.from.need(fromSoftware);
  const then = asks.to.need(toSoftware);
  const why = now.unsettled ?? now.refused ?? then.unsettled;
  if (why !== null) return new QueryError(why);
  const before = expansionOf(catalog, from, fromSoftware);
  if (before instanceof QueryError) return before;
  const after = expansionOf(catalog, to, toSoftware);
  const none = emptyRow(catalog.bits);
  const notes = new Map([...now.notes, ...then.notes].map((note) => [note.message, note]));
  const head = {
    ...asks,
    cpu: before.cpu,
    before: before.expansion,
    own: now.own,
    notes: [...notes.values()],
  };
  if (after instanceof QueryError)
    return {
      ...head,
      toCpu: before.cpu,
      after: null,
      toMachine: to.machine ?? toSoftware.machine,
      added: none,
      removed: none,
      properties: [],
      refused: after.message,
    };
  const [a, b] = [before.expansion, after.expansion];
  return {
    ...head,
    toCpu: after.cpu,
    after: b,
    toMachine: b.machine,
    added: minus(b.features, a.features),
    removed: minus(a.features, b.features),
    properties: propertyChanges(guestProperties(catalog, a), guestProperties(catalog, b)),
    refused: then.refused,
  };
}

/** The CPU that QEMU makes of a definition; of one that is the host's, what is said of it. */
function expansionOf(
  catalog: Catalog,
  asked: Asked,
  software: Software,
): { readonly cpu: string; readonly expansion: Expansion } | QueryError {
  try {
    const { cpu, isOfHost, ...where } = startOfAsked(catalog, asked, software);
    if (!isOfHost) return { cpu, expansion: expandCpu(catalog, cpu, where) };
    const string = parseCpuString(cpu);
    return { cpu, expansion: expandItems(catalog, string, where, [], { hostless: true }) };
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
}

/** The argument that brings what is new on the old side, where any can: not every feature is one that a flag brings. */
function takeOf(catalog: Catalog, { cpu, before, added }: Change): string | null {
  const names = catalog.names(added);
  const isKnown = (name: string) => catalog.hasQemuFeature(catalog.feature(name), before.qemu);
  if (isEmpty(added) || !names.every(isKnown)) return null;
  const text = withSwitches(cpu, names, true);
  return isEqual(expandCpu(catalog, text, before).features, join(before.features, added))
    ? text
    : null;
}

function answerOf(
  catalog: Catalog,
  change: Change,
  hosts: Hosts | null,
): Omit<GuestDrift, 'guest'> {
  const { before, after, added, removed, properties, refused, own } = change;
  const compared = hosts?.compared(change) ?? null;
  const worse = compared ? [...compared.stranded, ...compared.unknown] : [];
  const lacks = hosts?.differ ? hosts.lacks(worse, change) : emptyRow(catalog.bits);
  const unwanted = hosts ? join(hosts.missing(worse, change), lacks) : added;
  return {
    cpu: change.cpu,
    machine: before.machine,
    toMachine: change.toMachine,
    abiEqual: after !== null && isEmpty(added) && isEmpty(removed) && properties.length === 0,
    added: catalog.names(added),
    removed: catalog.names(removed),
    properties,
    ...(hosts && compared
      ? {
          runnable: { ...compared.counts, of: hosts.size },
          stranded: hosts.list(compared.stranded),
          ...(compared.unknown.length > 0 ? { unknown: hosts.list(compared.unknown) } : {}),
          ...(isEmpty(lacks) ? {} : { lacks: catalog.names(lacks) }),
        }
      : {}),
    ...(refused === null ? {} : { refused }),
    ...(own === null ? {} : { own }),
    keep: isEmpty(unwanted) ? null : withSwitches(change.toCpu, catalog.names(unwanted), false),
    take: takeOf(catalog, change),
  };
}

/** What a change mends and what it costs, over all guests that are told the same. */
function findingsOf(
  catalog: Catalog,
  moves: readonly Move[],
  changes: readonly Change[],
): DriftFinding[] {
  const facts = new Map<Change, readonly Fact[]>();
  const guests = new Map<string, { fact: Fact; guests: string[] }>();
  for (const [i, { guest }] of moves.entries()) {
    const change = changes[i]!;
    const known = facts.get(change) ?? factsOf(catalog, change);
    facts.set(change, known);
    for (const fact of known) {
      const key = `${fact.code} ${fact.message}`;
      const same = guests.get(key) ?? { fact, guests: [] };
      same.guests.push(guest);
      guests.set(key, same);
    }
  }
  return [...guests.values()]
    .map(({ fact, guests: all }) => ({
      ...fact,
      count: all.length,
      guests: all.sort(byBytes).slice(0, LISTED),
    }))
    .sort((a, b) => byBytes(a.code, b.code) || byBytes(a.message, b.message));
}

type Fact = Pick<DriftFinding, 'code' | 'severity' | 'message'>;
function factsOf(catalog: Catalog, { added, removed, notes }: Change): Fact[] {
  const security = (row: Row) =>
    catalog.features.filter((f) => f.security && hasBit(row, f.id)).map((f) => f.name);
  const has = (row: Row, ...names: string[]) =>
    names.filter((name) => hasBit(row, catalog.feature(name).id));
  const facts: Fact[] = notes.map((note) => ({ ...note, severity: 'warning' }));
  const mends = security(added);
  const loses = security(removed);
  const tsx = has(removed, 'hle', 'rtm');
  if (mends.length > 0)
    facts.push({
      code: 'security-fix',
      severity: 'info',
      message: `the change brings ${mends.join(', ')}: mitigations of hardware vulnerabilities, or word of immunity to them`,
    });
  if (loses.length > 0)
    facts.push({
      code: 'security-lost',
      severity: 'warning',
      message: `the change takes ${loses.join(', ')}: mitigations of hardware vulnerabilities, or word of immunity to them`,
    });
  if (tsx.length > 0)
    facts.push({
      code: 'tsx-off',
      severity: 'info',
      message: `the change switches TSX off (${tsx.join(', ')}), the fix for processors that leak data through it or lose it; a program that insists on it fails`,
    });
  if (has(removed, 'mpx').length > 0)
    facts.push({
      code: 'mpx-off',
      severity: 'info',
      message:
        'the change takes mpx, which newer processors do not have, so the guest runs on more hosts',
    });
  return facts;
}
