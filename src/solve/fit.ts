// The one rule "does it run here": a need held against a class of hosts. It runs, it does not, because; or that cannot be
// known, because. Every question asks it. What can be asked of millions at once (features) is set work of the core;
// the rest is looked at once for all classes that share the facts.
import {
  type Classes,
  clearBit,
  emptyRow,
  hasBit,
  isEmpty,
  join,
  minus,
  type Row,
  Rows,
  setBit,
} from '../core/rows.ts';
import type { Note, Tsc } from '../cpu/host.ts';
import { keyOfNeed, type Need, type Software } from '../cpu/need.ts';
import { byBytes } from '../cpu/order.ts';
import type { ClassFacts, Fleet, Kind } from '../fleet/fleet.ts';
import {
  type Beside,
  besideFacts,
  besideUnit,
  contested,
  isOfUnits,
  NOTHING,
  type Reason,
} from './beside.ts';

export type { Reason } from './beside.ts';

/** From best to worst: a no beats what is not known, and that beats a yes. */
const FITS = ['runs', 'own-cpu', 'unknown', 'no'] as const;
export type FitVerdict = (typeof FITS)[number];

/** The worst of several. */
export const worstOf = (verdicts: Iterable<FitVerdict>): FitVerdict => {
  let worst = 0;
  for (const verdict of verdicts) worst = Math.max(worst, FITS.indexOf(verdict));
  return FITS[worst]!;
};

/** The rule's answer for one need on one class. What is not known stands apart from what lacks. */
export interface Fit {
  readonly verdict: FitVerdict;
  /** Features that the host is known to lack, and those of which that is not known; in byte order. */
  readonly lacking: readonly string[];
  readonly open: readonly string[];
  readonly no: readonly Reason[];
  readonly unknown: readonly Reason[];
}

/** Whoever needs something: what that is may depend on the software of the host. */
export interface Asker {
  need(software: Software): Need;
}

/** An asker that needs the same everywhere. */
export const asking = (need: Need): Asker => ({ need: () => need });

/** Hosts that are one to the rule: of one class and one software and, where somebody asks, of one clock. */
interface Unit {
  readonly class: number;
  readonly software: number;
  readonly tsc: Tsc | null;
}

const NO_SOFTWARE: Software = { qemu: '', libvirt: '', machine: '' };

/** Every asker on every host of a fleet; the features of all of them cross the core's border once. */
export class Fits {
  readonly fleet: Fleet;
  /** How many units there are, and how many hosts each has. */
  readonly units: number;
  readonly weights: Float64Array;
  readonly unitOfKind: Uint32Array;
  /** The software that some host was taken to have. */
  readonly software: readonly Software[];
  readonly #units: readonly Unit[];
  /** By asker, then by software: the number of its need. */
  readonly #needOf: readonly (readonly number[])[];
  readonly #needs: readonly Need[];
  readonly #rows: readonly Row[];
  /** Unknown names that no host of the fleet has either. */
  readonly #absent: readonly (readonly string[])[];
  /** By need, whether it may ask for more than it is known to, and whether units of one class may differ to it. */
  readonly #asksMore: readonly boolean[];
  readonly #ofUnits: readonly boolean[];
  /** By need, the classes that have all of its features. */
  readonly #runs: readonly Uint32Array[];
  /** By need, whether some class may have what it is not known to have of it. */
  readonly #mayBeOpen: readonly boolean[];
  /** Every class with all that it may have, and where the needs may run: made when something is not certain. */
  #possible: Rows | undefined;
  #mayRun: readonly Uint32Array[] | undefined;
  readonly #beside: Map<ClassFacts, Beside>[] = [];
  readonly #contested: ReadonlySet<number>;

  constructor(
    fleet: Fleet,
    askers: readonly Asker[],
    softwareOf: (kind: Kind) => Software = () => NO_SOFTWARE,
  ) {
    this.fleet = fleet;
    const { software, softwareOfKind } = softwares(fleet, softwareOf);
    this.software = software;
    const { needs, numberOf } = numbered();
    this.#needOf = askers.map((asker) => software.map((s) => numberOf(asker.need(s))));
    this.#needs = needs;
    const asksClock = this.#needs.some((n) => n.tscHz !== null);
    const { units, unitOfKind } = unitsOf(fleet, softwareOfKind, asksClock);
    this.#units = units;
    this.units = units.length;
    this.unitOfKind = unitOfKind;
    this.weights = new Float64Array(units.length);
    for (const [kind, unit] of unitOfKind.entries())
      this.weights[unit]! += fleet.kindWeights[kind]!;
    this.#contested = contested(fleet);

    const position = new Map(fleet.unnamed.map((name, i) => [name, fleet.catalog.bits + i]));
    this.#rows = this.#needs.map(({ features, unnamed }) => {
      const row = emptyRow(fleet.bits);
      row.set(features);
      for (const name of unnamed) if (position.has(name)) setBit(row, position.get(name)!);
      return fleet.needs(row);
    });
    this.#absent = this.#needs.map(({ unnamed }) => unnamed.filter((name) => !position.has(name)));
    this.#asksMore = this.#needs.map(({ open }) => !isEmpty(open));
    this.#ofUnits = this.#needs.map(isOfUnits);
    this.#runs = this.#covering(fleet.rows);
    const known = fleet.rows.meet().subarray(fleet.bits >> 5);
    this.#mayBeOpen = this.#rows.map(
      (row) => !isEmpty(minus(row.subarray(0, known.length), known)),
    );
  }

  /** Gives the core's memory back; nothing may be asked afterwards. */
  free(): void {
    this.#possible?.free();
  }

  #covering(rows: Rows): Uint32Array[] {
    const asked = new Rows(2 * this.fleet.bits);
    asked.reserve(this.#rows.length);
    for (const row of this.#rows) asked.push(row);
    const bitmaps = rows.coversEach(asked).map((c) => c.bitmap);
    asked.free();
    return bitmaps;
  }

  /** Every class with what it may have of a need. */
  #possibly(n: number): Rows {
    if (!this.#mayBeOpen[n]) return this.fleet.rows;
    this.#possible ??= possibleRows(this.fleet);
    return this.#possible;
  }

  /** Whether a class may have all that is asked for. */
  #mayHave(n: number, index: number): boolean {
    if (!this.#mayBeOpen[n]) return false;
    this.#mayRun ??= this.#covering(this.#possibly(n));
    return hasBit(this.#mayRun[n]!, index);
  }

  /** What an asker needs on a unit. */
  need(asker: number, unit: number): Need {
    return this.#needs[this.#number(asker, unit)]!;
  }

  /** What is to be known of an asker on some of the hosts. */
  notes(asker: number): readonly Note[] {
    const notes = new Set(this.#needOf[asker]!.flatMap((n) => this.#needs[n]!.notes));
    return [...new Map([...notes].map((note) => [note.message, note])).values()];
  }

  /** All that an asker needs anywhere. */
  needsOf(asker: number): readonly Need[] {
    return this.#needOf[asker]!.map((n) => this.#needs[n]!);
  }

  /** What askers have in common that ask the same everywhere. */
  sameAs(asker: number): string {
    return this.#needOf[asker]!.join();
  }

  /** The class of a unit. */
  classOf(unit: number): number {
    return this.#units[unit]!.class;
  }

  verdict(asker: number, unit: number): FitVerdict {
    const n = this.#number(asker, unit);
    const need = this.#needs[n]!;
    const beside = this.beside(asker, unit);
    const index = this.#units[unit]!.class;
    if (beside.no.length > 0 || this.#absent[n]!.length > 0) return 'no';
    const isOpen = !hasBit(this.#runs[n]!, index);
    const lacks = isOpen && !this.#mayHave(n, index);
    if (lacks) return 'no';
    if (
      beside.unknown.length > 0 ||
      (isOpen && (need.own === null || !isEmpty(this.#open(n, index)))) ||
      (this.#asksMore[n] && !isEmpty(this.#more(need, index)))
    )
      return 'unknown';
    return need.own === null ? 'runs' : 'own-cpu';
  }

  fit(asker: number, unit: number): Fit {
    const { fleet } = this;
    const n = this.#number(asker, unit);
    const index = this.#units[unit]!.class;
    const { no, unknown } = this.beside(asker, unit);
    return {
      verdict: this.verdict(asker, unit),
      lacking: this.#lackingNames(n, index),
      open: [...fleet.names(this.#open(n, index)), ...this.mayAsk(asker, unit)].sort(byBytes),
      no,
      unknown,
    };
  }

  /** What a need may ask for and a unit does not offer; in byte order. */
  mayAsk(asker: number, unit: number): readonly string[] {
    const n = this.#number(asker, unit);
    if (!this.#asksMore[n]) return [];
    return this.fleet.catalog.names(this.#more(this.#needs[n]!, this.#units[unit]!.class));
  }

  /**
   * Units by what they lack of the same need and what they leave open of it: those with equal numbers are equal in it.
   * Nothing is open under 0.
   */
  lacksOf(asker: number): {
    readonly lacking: (unit: number) => number;
    readonly open: (unit: number) => number;
    readonly names: (lacking: number) => readonly string[];
    readonly openNames: (open: number) => readonly string[];
  } {
    const needs = this.#needOf[asker]!;
    // Most guests need the same whatever the software.
    const distinct = [...new Set(needs)];
    const places = needs.map((n) => distinct.indexOf(n));
    const tables = distinct.map((n) => this.#lackTable(n));
    const opens: (readonly string[])[] = [[]];
    const numbers = new Map([['', 0]]);
    return {
      lacking: (unit) => {
        const { software, class: index } = this.#units[unit]!;
        const place = places[software]!;
        return tables[place]!.classOf[index]! * distinct.length + place;
      },
      names: (key) => {
        const place = key % distinct.length;
        const first = tables[place]!.first[Math.floor(key / distinct.length)]!;
        return this.#lackingNames(distinct[place]!, first);
      },
      open: (unit) => {
        const { software, class: index } = this.#units[unit]!;
        const n = needs[software]!;
        if (!this.#mayBeOpen[n]) return 0;
        const names = this.fleet.names(this.#open(n, index));
        const text = names.join(' ');
        const number = numbers.get(text) ?? opens.push(names) - 1;
        numbers.set(text, number);
        return number;
      },
      openNames: (key) => opens[key]!,
    };
  }

  /** What stands in the way on a unit beside features. */
  beside(asker: number, unit: number): Beside {
    const n = this.#number(asker, unit);
    const need = this.#needs[n]!;
    const { class: index, tsc } = this.#units[unit]!;
    const facts = this.fleet.classes[index]!;
    const byFacts = this.#beside[n] ?? new Map<ClassFacts, Beside>();
    this.#beside[n] = byFacts;
    const known =
      byFacts.get(facts) ?? besideFacts(this.fleet.catalog, need, facts, this.#contested);
    byFacts.set(facts, known);
    if (!this.#ofUnits[n]) return known;
    const more = besideUnit(this.fleet, need, { index, tsc });
    return more === NOTHING
      ? known
      : { no: [...known.no, ...more.no], unknown: [...known.unknown, ...more.unknown] };
  }

  #number(asker: number, unit: number): number {
    return this.#needOf[asker]![this.#units[unit]!.software]!;
  }

  /** What the need may ask for and the class does not offer. */
  #more({ open }: Need, index: number): Row {
    return minus(open, this.fleet.narrow(this.fleet.has(index)));
  }

  /** What a class is known to lack of a need, by name. */
  #lackingNames(n: number, index: number): string[] {
    const { fleet } = this;
    const absent = this.#absent[n]!;
    const lacking = minus(this.#rows[n]!, this.#possibly(n).at(index));
    const names = fleet.names(lacking.subarray(0, fleet.bits >> 5));
    return absent.length === 0 ? names : [...names, ...absent].sort(byBytes);
  }

  /**
   * What a need asks for of which it is not known whether a class offers it. Whoever cannot move anyway may well start
   * where a view cannot tell of invtsc, for it tells of what can move.
   */
  #open(n: number, index: number): Row {
    const { fleet } = this;
    const asked = this.#rows[n]!.subarray(0, fleet.bits >> 5);
    const open = minus(minus(asked, fleet.has(index)), fleet.known(index));
    if (this.#needs[n]!.own !== null) clearBit(open, fleet.catalog.feature('invtsc').id);
    return open;
  }

  /** Every class by what it lacks of a need for certain. */
  #lackTable(n: number): Classes {
    const lacking = this.#possibly(n).missing(this.#rows[n]!);
    const classes = lacking.intern();
    lacking.free();
    return classes;
  }
}

/** Every class with all that it has, and all that it may have. */
function possibleRows(fleet: Fleet): Rows {
  const rows = new Rows(2 * fleet.bits);
  rows.reserve(fleet.classes.length);
  for (const index of fleet.classes.keys()) {
    rows.push(
      fleet.needs(
        join(
          fleet.has(index),
          fleet.known(index).map((word) => ~word),
        ),
      ),
    );
  }
  return rows;
}

/** Needs by number: those that ask the same are one. */
function numbered() {
  const needs: Need[] = [];
  const numbers = new Map<Need | string, number>();
  const numberOf = (need: Need): number => {
    let number = numbers.get(need);
    if (number !== undefined) return number;
    const key = keyOfNeed(need);
    number = numbers.get(key) ?? needs.push(need) - 1;
    numbers.set(need, number);
    numbers.set(key, number);
    return number;
  };
  return { needs, numberOf };
}

/** The software of each kind by number: whoever tells it makes one object of each. */
function softwares(fleet: Fleet, softwareOf: (kind: Kind) => Software) {
  const numbers = new Map<Software, number>();
  const softwareOfKind = Uint32Array.from(fleet.kinds, (kind) => {
    const software = softwareOf(kind);
    const number = numbers.get(software) ?? numbers.size;
    numbers.set(software, number);
    return number;
  });
  return { software: [...numbers.keys()], softwareOfKind };
}

function unitsOf(fleet: Fleet, softwareOfKind: Uint32Array, asksClock: boolean) {
  const units: Unit[] = [];
  const numbers = new Map<string | number, number>();
  const unitOfKind = new Uint32Array(fleet.kinds.length);
  for (const [i, kind] of fleet.kinds.entries()) {
    const index = fleet.classOfKind[i]!;
    const tsc = asksClock ? kind.tsc : null;
    const plain = softwareOfKind[i]! * fleet.classes.length + index;
    const key = tsc === null ? plain : `${plain} ${tsc.hz} ${tsc.scaling}`;
    let number = numbers.get(key);
    if (number === undefined) {
      number = units.push({ class: index, software: softwareOfKind[i]!, tsc }) - 1;
      numbers.set(key, number);
    }
    unitOfKind[i] = number;
  }
  return { units, unitOfKind };
}
