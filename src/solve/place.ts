// plimsoll place: which guest runs on which hosts, and who has nowhere to go when some of them are gone.
import { bitsOf, emptyRow, hasBit, join, minus, type Row, Rows, setBit } from '../core/rows.ts';
import { QueryError } from '../cpu/errors.ts';
import { byBytes } from '../cpu/order.ts';
import { didYouMean } from '../cpu/suggest.ts';
import type { Fleet, Skipped } from '../fleet/fleet.ts';
import { Lister } from '../fleet/lister.ts';
import type { Need } from '../fleet/need.ts';
import type { Finding } from './answer.ts';
import type { Missing, PlacedGuest, Placement, PowerCycle } from './answer-plan.ts';
import { sideFindings, sidesOf } from './board.ts';
import { readSaved } from './check.ts';

export interface PlaceOptions {
  /** Hosts that are to be emptied, by id. */
  readonly drain?: readonly string[] | undefined;
  /** Any so many hosts may be lost beside those. */
  readonly lose?: number | undefined;
  /** A saved baseline (its JSON, parsed) that guests are to be moved to, and its name. */
  readonly baseline?: { readonly document: unknown; readonly name: string } | undefined;
  /** Guests that could not be read. */
  readonly skipped?: readonly Skipped[] | undefined;
}

const LISTED = 20;

/** What all guests that need the same are told. */
type Answer = Omit<PlacedGuest, 'guest'>;

/**
 * Places every guest on every host.
 * @throws QueryError for a drained host that is not there, or a number of lost hosts that is none.
 */
export function place(fleet: Fleet, needs: readonly Need[], options: PlaceOptions = {}): Placement {
  const { lose = 0, drain = [] } = options;
  if (!(Number.isInteger(lose) && lose >= 0))
    throw new QueryError(`the number of lost hosts is ${lose}; it takes a whole number from 0 on`);
  const drained = drainedHosts(fleet, drain);
  const distinct = new Map<string, Need>();
  const keys = needs.map((need) => {
    const key = keyOf(need);
    distinct.set(key, need);
    return key;
  });
  const ground = new Ground(fleet, [...distinct.values()], drained, drain.length > 0);
  const answers = new Map([...distinct.keys()].map((key, i) => [key, ground.place(i)]));
  const guests = needs
    .map((need, i): PlacedGuest => ({ guest: need.id, ...answers.get(keys[i]!)! }))
    .sort((a, b) => byBytes(a.guest, b.guest));
  const left = (g: PlacedGuest) => g.left ?? g.runsOn;
  const fewest = Math.min(...guests.map((g) => g.runsOn));
  const rarest = guests.filter((g) => g.runsOn === fewest).map((g) => g.guest);
  const skipped = [...fleet.skipped, ...(options.skipped ?? [])];
  return {
    schema: 'plimsoll.place/1',
    guests,
    stranded: guests.filter((g) => g.runsOn > 0 && left(g) <= lose).map((g) => g.guest),
    nowhere: guests.filter((g) => g.runsOn === 0).map((g) => g.guest),
    fewest:
      guests.length === 0
        ? null
        : { runsOn: fewest, count: rarest.length, guests: rarest.slice(0, LISTED) },
    ...(drain.length > 0 ? { drained: [...new Set(drain)].sort(byBytes) } : {}),
    ...(lose > 0 ? { lose } : {}),
    ...(options.baseline ? { powerCycle: powerCycles(fleet, needs, options.baseline) } : {}),
    findings: [
      ...ground.findings(needs, keys, [...distinct.keys()]),
      ...sideFindings(sidesOf(fleet)),
    ],
    ...(skipped.length > 0 ? { skipped } : {}),
  };
}

/** Whether every guest has a place, and keeps one. */
export const isPlaced = (answer: Placement): boolean =>
  answer.stranded.length === 0 && answer.nowhere.length === 0;

const keyOf = (n: Need): string =>
  [
    n.features.join(),
    [...n.unnamed].sort().join('\0'),
    n.arch,
    n.vendor,
    n.physBits,
    n.refused,
  ].join('\n');

/** How many hosts of each class are to be emptied. */
function drainedHosts(fleet: Fleet, drain: readonly string[]): Uint32Array {
  const gone = new Set(drain);
  const byClass = new Uint32Array(fleet.classes.length);
  if (gone.size === 0) return byClass;
  const found = new Set<string>();
  for (const { id, kind } of fleet.ids())
    if (gone.has(id)) {
      found.add(id);
      byClass[fleet.classOfKind[kind]!]!++;
    }
  if (found.size === gone.size) return byClass;
  const ids = Array.from(fleet.ids(), ({ id }) => id);
  const problems = [...gone]
    .filter((id) => !found.has(id))
    .map(
      (id) =>
        `--drain "${id}" is none of the ${ids.length} hosts${didYouMean(id, ids) || '; plimsoll decode lists their ids'}`,
    );
  throw new QueryError(problems.join('\n'));
}

/** All distinct needs against all classes: each question crosses the border once. */
class Ground {
  readonly #fleet: Fleet;
  readonly #needs: readonly Need[];
  readonly #rows: readonly Row[];
  /** Unknown names that no host has either. */
  readonly #absent: readonly (readonly string[])[];
  readonly #runs: readonly Uint32Array[];
  readonly #mayRun: readonly Uint32Array[];
  readonly #drained: Uint32Array;
  readonly #isDrained: boolean;
  readonly #lister: Lister;
  /** Names of features in byte order, and the place of each feature in it: sorted once, not once a list. */
  readonly #names: readonly string[];
  readonly #rank: Uint32Array;

  constructor(fleet: Fleet, needs: readonly Need[], drained: Uint32Array, isDrained: boolean) {
    const { catalog } = fleet;
    this.#fleet = fleet;
    this.#needs = needs;
    this.#drained = drained;
    this.#isDrained = isDrained;
    this.#lister = new Lister(fleet);
    const ids = Array.from({ length: catalog.bits + fleet.unnamed.length }, (_, id) => id).sort(
      (a, b) => byBytes(fleet.featureName(a), fleet.featureName(b)),
    );
    this.#names = ids.map((id) => fleet.featureName(id));
    this.#rank = new Uint32Array(fleet.bits);
    for (const [rank, id] of ids.entries()) this.#rank[id] = rank;
    // Topology, the operating system and the hypervisor decide these, not the processor.
    const ignored = catalog.rowWhere((f) => f.merge === 'never' || f.merge === 'equal');
    const position = new Map(fleet.unnamed.map((name, i) => [name, catalog.bits + i]));
    this.#rows = needs.map(({ features, unnamed }) => {
      const row = emptyRow(fleet.bits);
      row.set(minus(features, ignored));
      for (const name of unnamed) if (position.has(name)) setBit(row, position.get(name)!);
      return fleet.needs(row);
    });
    this.#absent = needs.map(({ unnamed }) => unnamed.filter((name) => !position.has(name)));
    const asked = new Rows(2 * fleet.bits);
    asked.reserve(needs.length);
    for (const row of this.#rows) asked.push(row);
    const possible = new Rows(2 * fleet.bits);
    possible.reserve(fleet.classes.length);
    for (const index of fleet.classes.keys()) {
      const known = fleet.known(index);
      possible.push(
        fleet.needs(
          join(
            fleet.has(index),
            known.map((word) => ~word),
          ),
        ),
      );
    }
    this.#runs = fleet.rows.coversEach(asked).map((c) => c.bitmap);
    this.#mayRun = possible.coversEach(asked).map((c) => c.bitmap);
    asked.free();
    possible.free();
  }

  place(i: number): Answer {
    const { weights, hosts: of } = this.#fleet;
    const bitmap = this.#runs[i]!;
    const homes: number[] = [];
    const others: number[] = [];
    const reasons = this.#reasons(i);
    const isPossible = this.#absent[i]!.length === 0;
    for (const index of weights.keys())
      if (isPossible && hasBit(bitmap, index) && reasons[index] === '') homes.push(index);
      else others.push(index);
    const { count, hosts } = this.#lister.list(homes);
    const gone = homes.reduce((sum, index) => sum + this.#drained[index]!, 0);
    const missing = others.length > 0 ? this.#missing(i, others, reasons) : [];
    return {
      runsOn: count,
      of,
      hosts,
      first: firstOf(missing.some((m) => !m.reasons) ? missing.filter((m) => !m.reasons) : missing),
      missing,
      ...(this.#isDrained ? { left: count - gone } : {}),
    };
  }

  /** Guests that may run on more hosts than is certain. */
  findings(
    needs: readonly Need[],
    keys: readonly string[],
    distinct: readonly string[],
  ): Finding[] {
    const open = new Set<number>();
    const guests: string[] = [];
    const unsure = new Set(
      distinct.filter((_, i) => {
        const [certain, possible] = [this.#runs[i]!, this.#mayRun[i]!];
        if (this.#absent[i]!.length > 0) return false;
        const reasons = this.#reasons(i);
        const more = [...this.#fleet.classes.keys()].filter(
          (index) => hasBit(possible, index) && !hasBit(certain, index) && reasons[index] === '',
        );
        for (const index of more) open.add(index);
        return more.length > 0;
      }),
    );
    for (const [i, key] of keys.entries()) if (unsure.has(key)) guests.push(needs[i]!.id);
    if (open.size === 0) return [];
    const { count, hosts } = this.#lister.list([...open]);
    return [
      {
        code: 'unknown',
        severity: 'warning',
        count,
        hosts,
        message: `${guests.length === 1 ? '1 guest' : `${guests.length} guests`} may run on more hosts than counted here: ${count === 1 ? '1 host leaves' : `${count} hosts leave`} open whether all that is asked for is there (virsh domcapabilities would settle it)`,
      },
    ];
  }

  #namesOf(row: Row, more: readonly string[]): string[] {
    const ranks = Uint32Array.from(bitsOf(row), (id) => this.#rank[id]!).sort();
    const names = Array.from(ranks, (rank) => this.#names[rank]!);
    return more.length === 0 ? names : [...names, ...more].sort(byBytes);
  }

  /** By class what stands in the way beside features; empty where nothing does. */
  #reasons(i: number): readonly string[] {
    const { arch, vendor, physBits, refused } = this.#needs[i]!;
    return this.#fleet.classes.map((c) => {
      if (refused !== null) return refused;
      if (c.arch !== arch) return `it is ${arch}, the host ${c.arch}`;
      if (vendor !== null && c.vendor !== null && vendor !== c.vendor)
        return `its CPU is of ${vendor}, the host's of ${c.vendor}`;
      if (physBits !== null && c.physBits !== null && physBits > c.physBits)
        return `it has ${physBits} physical address bits, the host ${c.physBits}`;
      return '';
    });
  }

  #missing(i: number, classes: readonly number[], reasons: readonly string[]): Missing[] {
    const lacking = this.#fleet.rows.missing(this.#rows[i]!);
    const { classOf, first } = lacking.intern();
    const groups = new Map<string, number[]>();
    for (const index of classes) {
      const key = `${classOf[index]} ${reasons[index]}`;
      const group = groups.get(key);
      if (group) group.push(index);
      else groups.set(key, [index]);
    }
    const out = [...groups.values()].map((of): Missing => {
      const row = lacking.at(first[classOf[of[0]!]!]!).slice(0, this.#fleet.bits >> 5);
      const reason = reasons[of[0]!]!;
      return {
        features: this.#namesOf(row, this.#absent[i]!),
        ...(reason === '' ? {} : { reasons: [reason] }),
        ...this.#lister.list(of),
      };
    });
    lacking.free();
    return out.sort((a, b) => b.count - a.count || byBytes(a.hosts[0] ?? '', b.hosts[0] ?? ''));
  }
}

/** The feature that the most of these hosts lack. */
function firstOf(missing: readonly Missing[]): string | null {
  const hosts = new Map<string, number>();
  for (const { features, count } of missing)
    for (const name of features) hosts.set(name, (hosts.get(name) ?? 0) + count);
  return [...hosts].sort(([a, x], [b, y]) => y - x || byBytes(a, b))[0]?.[0] ?? null;
}

/** A running guest keeps the CPU that it booted with: those whose CPU is another one than the baseline's. */
function powerCycles(
  { catalog }: Fleet,
  needs: readonly Need[],
  { document, name }: NonNullable<PlaceOptions['baseline']>,
): PowerCycle[] {
  const saved = new Set(readSaved(document, name).features);
  const counted = new Set(
    catalog.features.filter((f) => f.merge !== 'never' && f.merge !== 'equal').map((f) => f.name),
  );
  return needs
    .map((need) => {
      const own = [...catalog.names(need.features).filter((f) => counted.has(f)), ...need.unnamed];
      return {
        guest: need.id,
        gains: [...saved].filter((f) => !own.includes(f)).sort(byBytes),
        loses: own.filter((f) => !saved.has(f)).sort(byBytes),
      };
    })
    .filter(({ gains, loses }) => gains.length + loses.length > 0)
    .sort((a, b) => byBytes(a.guest, b.guest));
}
