// What a change of machine type, model version or software does to guests: whether each still runs where it did, and
// whether it finds the same CPU. The two are different questions, and are answered apart.

import {
  emptyRow,
  hasBit,
  isCovered,
  isEmpty,
  isEqual,
  join,
  minus,
  type Row,
  Rows,
  rowOf,
} from '../core/rows.ts';
import { tcgRow } from '../cpu/accelerators.ts';
import type { Catalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Expansion } from '../cpu/expand.ts';
import type { Guest } from '../cpu/guest.ts';
import { byBytes } from '../cpu/order.ts';
import { withSwitches } from '../cpu/qemu-string.ts';
import { expandCpu } from '../cpu/start.ts';
import type { Fleet, HostList, Skipped } from '../fleet/fleet.ts';
import type { Kind } from '../fleet/kind.ts';
import type { Severity } from './answer.ts';
import { guestProperties, type PropertyChange, propertyChanges } from './changes.ts';

/** A guest before the change and after it. */
export interface Move {
  readonly guest: string;
  readonly from: Guest & { readonly qemu: string };
  readonly to: Guest & { readonly qemu: string };
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
  /** On how many hosts it runs for certain; absent without hosts. */
  readonly runnable?: { readonly before: number; readonly after: number; readonly of: number };
  /** Hosts on which it ran, or may have run, and does not run for certain afterwards. */
  readonly stranded?: HostList;
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
  readonly hosts?: number;
  readonly guests: readonly GuestDrift[];
  readonly findings: readonly DriftFinding[];
  readonly skipped?: readonly Skipped[];
}

/** The change of one guest, worked out once for all guests that ask the same. */
interface Change {
  readonly cpu: string;
  readonly toCpu: string;
  readonly before: Expansion;
  readonly after: Expansion;
  readonly added: Row;
  readonly removed: Row;
  readonly properties: readonly PropertyChange[];
}

/**
 * Answers for every guest; the fleet, where there is one, says where each runs.
 * @throws QueryError naming the guest whose CPU QEMU would refuse before or after.
 */
export function drift(
  catalog: Catalog,
  asked: readonly Move[],
  fleet: Fleet | null,
  skipUnreadable = false,
): Drift {
  const changes = new Map<string, Change | QueryError>();
  const moves: Move[] = [];
  const of: Change[] = [];
  const skipped: Skipped[] = [];
  for (const move of asked) {
    const { from, to } = move;
    const key = JSON.stringify([
      from.cpu,
      from.machine,
      from.qemu,
      from.accelerator,
      to.cpu,
      to.machine,
      to.qemu,
    ]);
    const change = changes.get(key) ?? changeOf(catalog, move);
    changes.set(key, change);
    if (change instanceof QueryError) skipped.push({ input: move.guest, reason: change.message });
    else {
      moves.push(move);
      of.push(change);
    }
  }
  if (skipped.length > 0 && !(skipUnreadable && moves.length > 0))
    throw new QueryError(skipped.map((s) => `guest ${s.input}: ${s.reason}`).join('\n'));
  const hosts = fleet && new Hosts(catalog, fleet, [...new Set(of)]);
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
  return {
    schema: 'plimsoll.drift/1',
    machine: common(guests.map((g) => g.machine)),
    toMachine: common(guests.map((g) => g.toMachine)),
    qemu: moves[0]?.from.qemu ?? '',
    toQemu: moves[0]?.to.qemu ?? '',
    ...(fleet ? { hosts: fleet.members.length } : {}),
    guests: guests.sort((a, b) => byBytes(a.guest, b.guest)),
    findings: findingsOf(catalog, moves, of),
    ...(skipped.length > 0 ? { skipped } : {}),
  };
}

/** Whether any guest would stop running on a host where it ran. */
export const strands = (answer: Drift): boolean =>
  answer.guests.some((g) => (g.stranded?.count ?? 0) > 0);

const common = (values: readonly string[]): string | null =>
  new Set(values).size === 1 ? values[0]! : null;

/** The change of one guest, or why QEMU would refuse it on one side. */
function changeOf(catalog: Catalog, { from, to }: Move): Change | QueryError {
  let before: Expansion;
  let after: Expansion;
  try {
    before = expandCpu(catalog, from.cpu, from);
    after = expandCpu(catalog, to.cpu, to);
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
  return {
    cpu: from.cpu,
    toCpu: to.cpu,
    before,
    after,
    added: minus(after.features, before.features),
    removed: minus(before.features, after.features),
    properties: propertyChanges(guestProperties(catalog, before), guestProperties(catalog, after)),
  };
}

/** Where guests run: every distinct need is held against every class in one crossing of the border. */
class Hosts {
  readonly #catalog: Catalog;
  readonly #fleet: Fleet;
  readonly #needs = new Map<string, number>();
  readonly #certain: readonly Uint32Array[];
  readonly #possible: readonly Uint32Array[];
  readonly #ignored: Row;

  constructor(catalog: Catalog, fleet: Fleet, changes: readonly Change[]) {
    this.#catalog = catalog;
    this.#fleet = fleet;
    // Topology, the operating system and the hypervisor decide these, not the host's processor.
    const ignored = catalog.features.filter((f) => f.merge === 'never' || f.merge === 'equal');
    this.#ignored = rowOf(
      catalog.bits,
      ignored.map((f) => f.id),
    );
    const needs = new Rows(catalog.bits);
    for (const { before, after, added } of changes)
      for (const row of [wholeNeed(before), wholeNeed(after), added]) {
        const need = minus(row, this.#ignored);
        const key = need.join();
        if (!this.#needs.has(key)) this.#needs.set(key, needs.push(need));
      }
    const cover = (rows: readonly Row[]): Uint32Array[] => {
      const table = new Rows(catalog.bits);
      for (const row of rows) table.push(row);
      const covered = table.coversEach(needs).map((c) => c.bitmap);
      table.free();
      return covered;
    };
    const classes = [...fleet.classes.keys()];
    const has = classes.map((i) => fleet.narrow(fleet.has(i)));
    const all = emptyRow(catalog.bits).fill(0xffffffff);
    this.#certain = cover(has);
    this.#possible = cover(
      has.map((row, i) => join(row, minus(all, fleet.narrow(fleet.known(i))))),
    );
    needs.free();
  }

  #covering(bitmaps: readonly Uint32Array[], need: Row): number[] {
    const bitmap = bitmaps[this.#needs.get(minus(need, this.#ignored).join())!]!;
    return [...this.#fleet.classes.keys()].filter((i) => hasBit(bitmap, i));
  }

  /**
   * Whether hosts say themselves that they can run a CPU on its machine type; null where they do not say. One that
   * says no is believed whatever its features.
   */
  #says(e: Expansion, { machine, models, notes }: Kind): boolean | null {
    const list = models.qemu ?? models.libvirt;
    const isTold = machine === e.machine && !notes.some((n) => n.code === 'emulated');
    const blockers = isTold ? list?.get(e.model) : undefined;
    if (blockers === undefined) return null;
    if (blockers === null || blockers.some((name) => this.#asksFor(e, name))) return false;
    // The list is of the plain name; with more said of it the features decide.
    return blockers.length === 0 && e.string.items.length === 0 ? true : null;
  }

  #asksFor(e: Expansion, name: string): boolean {
    const feature = this.#catalog.findQemu(name);
    return feature === undefined || hasBit(wholeNeed(e), feature.id);
  }

  /** Kinds of hosts on which a CPU runs for certain, or may run. Under tcg no host has a say. */
  #running(e: Expansion, bitmaps: readonly Uint32Array[]): number[] {
    const need = wholeNeed(e);
    const kinds = [...this.#fleet.kinds.keys()];
    if (e.accelerator === 'kvm') return this.#allow(e, this.#covering(bitmaps, need));
    return isCovered(need, tcgRow(this.#catalog, e.qemu)) ? kinds : [];
  }

  /** The kinds that say that they run a CPU, and of those that say nothing the ones of these classes. */
  #allow(e: Expansion, classes: readonly number[]): number[] {
    const covering = new Set(classes);
    const { kinds, classOfKind } = this.#fleet;
    return [...kinds.keys()].filter(
      (i) => this.#says(e, kinds[i]!) ?? covering.has(classOfKind[i]!),
    );
  }

  get size(): number {
    return this.#fleet.members.length;
  }

  count(e: Expansion): number {
    return this.#running(e, this.#certain).reduce((n, i) => n + this.#fleet.kindWeights[i]!, 0);
  }

  /** Kinds of hosts where a guest ran, or may have run, and that are not known to have what is new. */
  stranded({ before, after, added }: Change): number[] {
    const fits = new Set(
      after.accelerator === 'kvm'
        ? this.#allow(after, this.#covering(this.#certain, added))
        : this.#running(after, this.#certain),
    );
    return this.#running(before, this.#possible).filter((i) => !fits.has(i));
  }

  list(kinds: readonly number[]): HostList {
    const listed = new Set(kinds);
    return this.#fleet.list(this.#fleet.hostsWhere((_, i) => listed.has(i)));
  }

  /** Of the new features those that some of these kinds are not known to have. */
  missing(kinds: readonly number[], { after, added }: Change): Row {
    const need = minus(added, this.#ignored);
    const classes = new Set(kinds.map((i) => this.#fleet.classOfKind[i]!));
    const lacking = [...classes].map((i) =>
      minus(
        need,
        after.accelerator === 'kvm'
          ? this.#fleet.narrow(this.#fleet.has(i))
          : tcgRow(this.#catalog, after.qemu),
      ),
    );
    return lacking.reduce(join, emptyRow(this.#catalog.bits));
  }
}

/** What must be there for nothing to be filtered: what was asked for in vain is never there. */
const wholeNeed = (e: Expansion): Row => join(e.features, e.orphaned);

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
  const { before, after, added, removed, properties } = change;
  const stranded = hosts?.stranded(change) ?? [];
  const unwanted = hosts ? hosts.missing(stranded, change) : added;
  return {
    cpu: change.cpu,
    machine: before.machine,
    toMachine: after.machine,
    abiEqual: isEmpty(added) && isEmpty(removed) && properties.length === 0,
    added: catalog.names(added),
    removed: catalog.names(removed),
    properties,
    ...(hosts
      ? {
          runnable: {
            before: hosts.count(before),
            after: hosts.count(after),
            of: hosts.size,
          },
          stranded: hosts.list(stranded),
        }
      : {}),
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
const LISTED = 20;

function factsOf(catalog: Catalog, { added, removed }: Change): Fact[] {
  const security = (row: Row) =>
    catalog.features.filter((f) => f.security && hasBit(row, f.id)).map((f) => f.name);
  const has = (row: Row, ...names: string[]) =>
    names.filter((name) => hasBit(row, catalog.feature(name).id));
  const facts: Fact[] = [];
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
