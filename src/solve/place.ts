// plimsoll place: which guest runs on which hosts, and who has nowhere to go when some of them are gone.
import { meet } from '../core/rows.ts';
import type { Catalog } from '../cpu/catalog/catalog.ts';
import { didYouMean } from '../cpu/catalog/suggest.ts';
import type { Description } from '../cpu/description.ts';
import { QueryError } from '../cpu/errors.ts';
import { startsWithout } from '../cpu/need.ts';
import { byBytes } from '../cpu/order.ts';
import { readSaved } from '../cpu/saved-line.ts';
import { candidate, type Fleet, type HostList, type Kind, type Skipped } from '../fleet/fleet.ts';
import { Lister } from '../fleet/lister.ts';
import { LISTED } from '../fleet/told.ts';
import type { Finding } from './answer.ts';
import type { Missing, PlacedGuest, Placement, PowerCycle } from './answer-plan.ts';
import { askerOf, type GivenSoftware, keyOfAsker, softwareNames, softwareOf } from './fit/asker.ts';
import { type Asker, Fits, type FitVerdict, type Reason } from './fit/fit.ts';
import { movingFindings } from './fit/moving.ts';
import { sideFindings, sidesOf } from './line/board.ts';
import { guestFindings } from './line/sayer.ts';

/** A guest by its name, and what it needs. */
export interface Guest {
  readonly id: string;
  readonly asks: Asker;
}

export interface PlaceOptions {
  /** Hosts that are to be emptied, by id. */
  readonly drain?: readonly string[] | undefined;
  /** Any so many hosts may be lost beside those. */
  readonly lose?: number | undefined;
  /** A saved baseline (its JSON, parsed) that guests are to be moved to, and its name. */
  readonly baseline?: { readonly document: unknown; readonly name: string } | undefined;
  /** The software that starts the guests; what the hosts tell, else the newest, where it is not said. */
  readonly software?: GivenSoftware | undefined;
  /** What was among the guests and is none. */
  readonly left?: readonly Finding[] | undefined;
  /** Guests that could not be read. */
  readonly skipped?: readonly Skipped[] | undefined;
}

/** What all guests that need the same are told. */
type Answer = Omit<PlacedGuest, 'guest'>;

/** Guests as they were read, those that ask the same sharing one asker. */
export function guestsOf(
  catalog: Catalog,
  read: readonly { readonly id: string; readonly description: Description }[],
): Guest[] {
  const askers = new Map<string, Asker>();
  const known = new Map<Description, Asker>();
  return read.map(({ id, description }) => {
    let asks = known.get(description);
    if (!asks) {
      const kind: Kind = candidate(catalog, id, description);
      const key = keyOfAsker(kind);
      asks = askers.get(key) ?? askerOf(catalog, kind);
      askers.set(key, asks);
      known.set(description, asks);
    }
    return { id, asks };
  });
}

/**
 * Places every guest on every host.
 * @throws QueryError for a drained host that is not there, or a number of lost hosts that is none.
 */
export function place(
  fleet: Fleet,
  guests: readonly Guest[],
  options: PlaceOptions = {},
): Placement {
  const { lose = 0, drain = [] } = options;
  if (!(Number.isInteger(lose) && lose >= 0))
    throw new QueryError(`the number of lost hosts is ${lose}; it takes a whole number from 0 on`);
  const drained = drainedHosts(fleet, drain);
  const askers = [...new Set(guests.map((g) => g.asks))];
  const ground = new Ground(fleet, askers, drained, options);
  const known = new Map<string, Answer>();
  const answers = new Map(
    askers.map((asks, i) => {
      const key = ground.fits.sameAs(i);
      const answer = known.get(key) ?? ground.place(i);
      known.set(key, answer);
      return [asks, answer];
    }),
  );
  const placed = guests
    .map(({ id, asks }): PlacedGuest => ({ guest: id, ...answers.get(asks)! }))
    .sort((a, b) => byBytes(a.guest, b.guest));
  const fewest = Math.min(...placed.map((g) => g.runsOn));
  const rarest = placed.filter((g) => g.runsOn === fewest).map((g) => g.guest);
  const skipped = [...fleet.skipped, ...(options.skipped ?? [])];
  const isLosing = drain.length > 0 || lose > 0;
  const kept = placed.map((g) => ({ guest: g.guest, keeps: keeps(g, lose, isLosing) }));
  const named = (what: Keeps) => kept.filter((g) => g.keeps === what).map((g) => g.guest);
  const answer: Placement = {
    schema: 'plimsoll.place/1',
    stack: softwareNames(ground.fits.software),
    guests: placed,
    stranded: named('stranded'),
    nowhere: named('nowhere'),
    unknown: named('unknown'),
    ownCpu: placed.filter((g) => g.verdict === 'own-cpu').map((g) => g.guest),
    fewest:
      placed.length === 0
        ? null
        : { runsOn: fewest, count: rarest.length, guests: rarest.slice(0, LISTED) },
    ...(drain.length > 0 ? { drained: [...new Set(drain)].sort(byBytes) } : {}),
    ...(lose > 0 ? { lose } : {}),
    ...(options.baseline
      ? { powerCycle: powerCycles(fleet, guests, ground.fits, options.baseline) }
      : {}),
    findings: [
      ...distinct([...fleet.left, ...(options.left ?? [])]),
      ...ground.findings(guests),
      ...ground.notes(guests),
      ...ground.moves(guests),
      ...sideFindings(sidesOf(fleet)),
    ],
    ...(skipped.length > 0 ? { skipped } : {}),
  };
  ground.free();
  return answer;
}

/** Whether every guest has a place and keeps one: no beats what is not known, and that beats yes. */
export const placeVerdict = (answer: Placement): FitVerdict =>
  answer.stranded.length + answer.nowhere.length > 0
    ? 'no'
    : answer.unknown.length > 0
      ? 'unknown'
      : 'runs';

/** Whether every guest has a place for certain, and keeps one. */
export const isPlaced = (answer: Placement): boolean => placeVerdict(answer) === 'runs';

type Keeps = 'keeps' | 'stranded' | 'nowhere' | 'unknown';

/** What becomes of a guest. One with its host's CPU moves among equals alone, so it is no pass for a drain. */
function keeps(g: PlacedGuest, lose: number, isLosing: boolean): Keeps {
  if (g.verdict === 'none') return 'nowhere';
  if (g.verdict === 'unknown') return 'unknown';
  const left = g.left ?? g.runsOn;
  const open = g.unknown.reduce((n, u) => n + (u.certainlyNot ? 0 : u.count), 0);
  if (!isLosing) return 'keeps';
  if (left <= lose) return left + open <= lose ? 'stranded' : 'unknown';
  return g.verdict === 'own-cpu' ? 'unknown' : 'keeps';
}

/** How many hosts of each kind are to be emptied. */
function drainedHosts(fleet: Fleet, drain: readonly string[]): Float64Array {
  const gone = new Set(drain);
  const byKind = new Float64Array(fleet.kinds.length);
  if (gone.size === 0) return byKind;
  const found = new Set<string>();
  for (const { id, kind } of fleet.ids())
    if (gone.has(id)) {
      found.add(id);
      byKind[kind]!++;
    }
  if (found.size === gone.size) return byKind;
  const ids = Array.from(fleet.ids(), ({ id }) => id);
  const problems = [...gone]
    .filter((id) => !found.has(id))
    .map(
      (id) =>
        `--drain "${id}" is none of the ${ids.length} hosts${didYouMean(id, ids) || '; plimsoll decode lists their ids'}`,
    );
  throw new QueryError(problems.join('\n'));
}

/** All askers against all hosts. */
class Ground {
  readonly fits: Fits;
  readonly #fleet: Fleet;
  readonly #drained: Float64Array;
  readonly #isDrained: boolean;
  readonly #lister: Lister;
  /** By what askers ask, the units of which it is not known whether they run there. */
  readonly #open = new Map<string, readonly number[]>();
  /** The same of those on which they run. */
  readonly #homes = new Map<string, readonly number[]>();

  constructor(
    fleet: Fleet,
    askers: readonly Asker[],
    drained: Float64Array,
    options: PlaceOptions,
  ) {
    this.#fleet = fleet;
    this.fits = new Fits(fleet, askers, softwareOf(fleet.catalog, options.software));
    this.#isDrained = (options.drain?.length ?? 0) > 0;
    this.#drained = new Float64Array(this.fits.units);
    for (const [kind, n] of drained.entries()) this.#drained[this.fits.unitOfKind[kind]!]! += n;
    this.#lister = new Lister(fleet, this.fits);
  }

  free(): void {
    this.fits.free();
  }

  place(asker: number): Answer {
    const { fits } = this;
    const byVerdict: Record<FitVerdict, number[]> = {
      runs: [],
      'own-cpu': [],
      unknown: [],
      no: [],
    };
    for (let unit = 0; unit < fits.units; unit++) byVerdict[fits.verdict(asker, unit)].push(unit);
    // Of a guest whose CPU nobody knows it is no description of a host that would settle it.
    const open = byVerdict.unknown.filter((unit) => fits.need(asker, unit).unsettled === null);
    this.#open.set(this.fits.sameAs(asker), open);
    const homes = [...byVerdict.runs, ...byVerdict['own-cpu']];
    this.#homes.set(this.fits.sameAs(asker), homes);
    const { count, hosts } = this.#lister.list(homes);
    const gone = homes.reduce((sum, unit) => sum + this.#drained[unit]!, 0);
    const lacks = fits.lacksOf(asker);
    const missing = this.#missing(asker, byVerdict.no, lacks);
    const unknown = [
      ...this.#unknown(asker, byVerdict.unknown, lacks, false),
      ...this.#unknown(asker, byVerdict.no, lacks, true),
    ];
    return {
      verdict: verdictOf(byVerdict),
      runsOn: count,
      of: this.#fleet.hosts,
      hosts,
      first: firstOf(missing.some(isOfFeatures) ? missing.filter(isOfFeatures) : missing),
      missing,
      unknown,
      ...(byVerdict['own-cpu'].length > 0
        ? { own: fits.need(asker, byVerdict['own-cpu'][0]!).own! }
        : {}),
      ...(this.#isDrained ? { left: count - gone } : {}),
    };
  }

  /** What keeps guests from moving between hosts. */
  moves(guests: readonly Guest[]): Finding[] {
    const numbers = numbersOf(guests);
    return movingFindings(
      this.fits,
      guests.map(({ id, asks }) => ({ id, asker: numbers.get(asks)! })),
      (asker) => this.#homes.get(this.fits.sameAs(asker))!,
    );
  }

  /** Guests that may run on more hosts than is certain. */
  findings(guests: readonly Guest[]): Finding[] {
    const numbers = numbersOf(guests);
    const open = new Set([...this.#open.values()].flat());
    if (open.size === 0) return [];
    const { count, hosts } = this.#lister.list([...open]);
    const who = guests.filter(
      (g) => this.#open.get(this.fits.sameAs(numbers.get(g.asks)!))!.length > 0,
    ).length;
    return [
      {
        code: 'unknown',
        severity: 'warning',
        count,
        hosts,
        message: `${who === 1 ? '1 guest' : `${who} guests`} may run on more hosts than counted here: of ${count === 1 ? '1 host' : `${count} hosts`} it is not known whether all that is asked for is there (virsh domcapabilities would settle it)`,
      },
    ];
  }

  /** What is to be known of guests themselves. */
  notes(guests: readonly Guest[]): Finding[] {
    const numbers = numbersOf(guests);
    return guestFindings(
      guests.map(({ id, asks }) => ({ id, notes: this.fits.notes(numbers.get(asks)!) })),
    );
  }

  /** Hosts on which it does not run, by what they lack and why beside. */
  #missing(asker: number, units: readonly number[], lacks: Lacks): Missing[] {
    const reasons = this.#reasons(asker, 'no');
    return grouped(units, lacks.lacking, reasons.number)
      .map((of): Missing => {
        const features = lacks.names(lacks.lacking(of[0]!));
        const poorer = startsWithout(this.fits.need(asker, of[0]!), features);
        const messages = reasons.of(of[0]!);
        const all = poorer === null ? messages : [...new Set([...messages, poorer])];
        return {
          features,
          ...(all.length > 0 ? { reasons: all } : {}),
          ...this.#lister.list(of),
        };
      })
      .sort(byCount);
  }

  /** Hosts of which something is not known, whether or not it runs there for another reason. */
  #unknown(
    asker: number,
    units: readonly number[],
    lacks: Lacks,
    certainlyNot: boolean,
  ): PlacedGuest['unknown'][number][] {
    const reasons = this.#reasons(asker, 'unknown');
    return grouped(units, lacks.open, reasons.number)
      .map((of) => ({
        features: [...lacks.openNames(lacks.open(of[0]!)), ...this.fits.mayAsk(asker, of[0]!)].sort(
          byBytes,
        ),
        messages: reasons.of(of[0]!),
        of,
      }))
      .filter(({ features, messages }) => features.length + messages.length > 0)
      .map(({ features, messages, of }) => ({
        features,
        ...(messages.length > 0 ? { reasons: messages } : {}),
        ...(certainlyNot ? { certainlyNot: true as const } : {}),
        ...this.#lister.list(of),
      }))
      .sort(byCount);
  }

  /** What stands in the way beside features, or is not known, by unit; equal lists have equal numbers. */
  #reasons(asker: number, what: 'no' | 'unknown') {
    const { fits } = this;
    const of = (unit: number): string[] => [
      ...new Set(fits.beside(asker, unit)[what].map((reason) => reason.message)),
    ];
    const byText = new Map([['', 0]]);
    const byList = new Map<readonly Reason[], number>();
    const number = (unit: number): number => {
      const list = fits.beside(asker, unit)[what];
      let found = list.length === 0 ? 0 : byList.get(list);
      if (found === undefined) {
        const text = of(unit).join('\n');
        found = byText.get(text) ?? byText.size;
        byText.set(text, found);
        byList.set(list, found);
      }
      return found;
    };
    return { of, number };
  }
}

/** Hosts and guests may be read from the same files: what is said of both is said once. */
const distinct = (findings: readonly Finding[]): Finding[] => [
  ...new Map(findings.map((f) => [`${f.code} ${f.message}`, f])).values(),
];

/** Askers by number, as Fits counts them. */
const numbersOf = (guests: readonly Guest[]): ReadonlyMap<Asker, number> =>
  new Map([...new Set(guests.map((g) => g.asks))].map((asks, i) => [asks, i]));

type Lacks = ReturnType<Fits['lacksOf']>;

const isOfFeatures = ({ features }: Missing): boolean => features.length > 0;

const byCount = (a: HostList, b: HostList): number =>
  b.count - a.count || byBytes(a.hosts[0] ?? '', b.hosts[0] ?? '');

function verdictOf(units: Readonly<Record<FitVerdict, readonly number[]>>): PlacedGuest['verdict'] {
  if (units.runs.length > 0) return 'runs';
  if (units['own-cpu'].length > 0) return 'own-cpu';
  return units.unknown.length > 0 ? 'unknown' : 'none';
}

/** Units by two numbers that are equal, in the order of their first. */
function grouped(
  units: readonly number[],
  one: (unit: number) => number,
  other: (unit: number) => number,
): number[][] {
  const groups = new Map<number, Map<number, number[]>>();
  const all: number[][] = [];
  for (const unit of units) {
    const [a, b] = [one(unit), other(unit)];
    const ofOne = groups.get(a) ?? new Map<number, number[]>();
    groups.set(a, ofOne);
    const group = ofOne.get(b);
    if (group) group.push(unit);
    else {
      const made = [unit];
      ofOne.set(b, made);
      all.push(made);
    }
  }
  return all;
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
  guests: readonly Guest[],
  fits: Fits,
  { document, name }: NonNullable<PlaceOptions['baseline']>,
): PowerCycle[] {
  const saved = new Set(readSaved(document, name).features);
  const counted = catalog.rowWhere((f) => f.merge !== 'never' && f.merge !== 'equal');
  const numbers = numbersOf(guests);
  return guests
    .map(({ id, asks }) => {
      const { features, unnamed } = fits.need(numbers.get(asks)!, 0);
      const own = [...catalog.names(meet(features, counted)), ...unnamed];
      return {
        guest: id,
        gains: [...saved].filter((f) => !own.includes(f)).sort(byBytes),
        loses: own.filter((f) => !saved.has(f)).sort(byBytes),
      };
    })
    .filter(({ gains, loses }) => gains.length + loses.length > 0)
    .sort((a, b) => byBytes(a.guest, b.guest));
}
