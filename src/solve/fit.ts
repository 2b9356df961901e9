// The one rule "does it run here": a need held against a class of hosts. It runs, it does not, because; or that cannot be
// known, because. Every question asks it. What can be asked of millions at once (features) is set work of the core;
// the rest is looked at once for all classes that share the facts.
import {
  emptyRow,
  hasBit,
  isEmpty,
  join,
  meet,
  minus,
  type Row,
  Rows,
  setBit,
} from '../core/rows.ts';
import type { Tsc } from '../cpu/host.ts';
import type { Need, Software } from '../cpu/need.ts';
import { byBytes } from '../cpu/order.ts';
import type { ClassFacts, Fleet, Kind } from '../fleet/fleet.ts';
import { type Beside, besideFacts, besideUnit, contested, NOTHING, type Reason } from './beside.ts';

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
  readonly #runs: readonly Uint32Array[];
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
    const numbers = new Map<Need, number>();
    this.#needOf = askers.map((asker) =>
      software.map((s) => {
        const need = asker.need(s);
        const number = numbers.get(need) ?? numbers.size;
        numbers.set(need, number);
        return number;
      }),
    );
    this.#needs = [...numbers.keys()];
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
    this.#runs = this.#covering(fleet.rows);
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

  #possibly(): Rows {
    this.#possible ??= possibleRows(this.fleet);
    return this.#possible;
  }

  /** Whether a class may have all that is asked for. */
  #mayHave(n: number, index: number): boolean {
    this.#mayRun ??= this.#covering(this.#possibly());
    return hasBit(this.#mayRun[n]!, index);
  }

  /** What an asker needs on a unit. */
  need(asker: number, unit: number): Need {
    return this.#needs[this.#number(asker, unit)]!;
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
    if (beside.no.length > 0) return 'no';
    const open = !hasBit(this.#runs[n]!, index);
    const lacks = this.#absent[n]!.length > 0 || (open && !this.#mayHave(n, index));
    if (lacks) return 'no';
    if (
      beside.unknown.length > 0 ||
      (open && this.#isOpen(n, index)) ||
      this.#asksMore(need, index)
    )
      return 'unknown';
    return need.own === null ? 'runs' : 'own-cpu';
  }

  fit(asker: number, unit: number): Fit {
    const { fleet } = this;
    const n = this.#number(asker, unit);
    const index = this.#units[unit]!.class;
    const { lacking, open } = this.#lacks(n, index);
    const { no, unknown } = this.beside(asker, unit);
    return {
      verdict: this.verdict(asker, unit),
      lacking: [...fleet.names(lacking), ...this.#absent[n]!].sort(byBytes),
      open: [...fleet.names(open), ...this.mayAsk(asker, unit)].sort(byBytes),
      no,
      unknown,
    };
  }

  /** What a need may ask for and a unit does not offer; in byte order. */
  mayAsk(asker: number, unit: number): readonly string[] {
    const { open } = this.#needs[this.#number(asker, unit)]!;
    if (isEmpty(open)) return [];
    const has = this.fleet.narrow(this.fleet.has(this.#units[unit]!.class));
    return this.fleet.catalog.names(minus(open, has));
  }

  /**
   * Units by what they lack of the same need, what they leave open of it, and why beside: rows are as wide as the
   * fleet's, and equal ones have equal numbers.
   */
  lacksOf(asker: number): {
    readonly lacking: (unit: number) => number;
    readonly open: (unit: number) => number;
    readonly names: (lacking: number) => readonly string[];
    readonly openNames: (open: number) => readonly string[];
    readonly free: () => void;
  } {
    // Each software has a need of its own: most fleets have one.
    const tables = this.software.map((_, s) => this.#lackTable(this.#needOf[asker]![s]!));
    const at = (unit: number) => {
      const { software, class: index } = this.#units[unit]!;
      return { table: tables[software]!, index, software };
    };
    const number = (class_: number, software: number) => class_ * tables.length + software;
    const tableOf = (key: number) => tables[key % tables.length]!;
    return {
      lacking: (unit) => {
        const { table, index, software } = at(unit);
        return number(table.lacking.classOf[index]!, software);
      },
      open: (unit) => {
        const { table, index, software } = at(unit);
        return number(table.open(index), software);
      },
      names: (key) => tableOf(key).names(Math.floor(key / tables.length)),
      openNames: (key) => tableOf(key).openNames(Math.floor(key / tables.length)),
      free: () => {
        for (const table of tables) table.free();
      },
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
    const more = besideUnit(this.fleet, need, { index, tsc });
    return more === NOTHING
      ? known
      : { no: [...known.no, ...more.no], unknown: [...known.unknown, ...more.unknown] };
  }

  #number(asker: number, unit: number): number {
    return this.#needOf[asker]![this.#units[unit]!.software]!;
  }

  /** Of the features that a class does not offer, whether one that it is not known to lack keeps the answer open. */
  #isOpen(n: number, index: number): boolean {
    const { own } = this.#needs[n]!;
    if (own === null) return true;
    const { open } = this.#lacks(n, index);
    return !isEmpty(open);
  }

  /** Whether the need may ask for what the class does not offer. */
  #asksMore(need: Need, index: number): boolean {
    return (
      !isEmpty(need.open) && !isEmpty(minus(need.open, this.fleet.narrow(this.fleet.has(index))))
    );
  }

  /** What a class lacks of a need, and what it leaves open. */
  #lacks(n: number, index: number): { lacking: Row; open: Row } {
    const { fleet } = this;
    const need = this.#needs[n]!;
    const missing = minus(this.#rows[n]!.subarray(0, fleet.bits >> 5), fleet.has(index));
    const known = fleet.known(index);
    return { lacking: meet(missing, known), open: this.#settled(need, minus(missing, known)) };
  }

  /** Whoever cannot move anyway may well start where a view cannot tell of invtsc, for it tells of what can move. */
  #settled(need: Need, open: Row): Row {
    if (need.own === null || isEmpty(open)) return open;
    const left = open.slice();
    const { id } = this.fleet.catalog.feature('invtsc');
    left[id >> 5]! &= ~(1 << (id & 31));
    return left;
  }

  /** Every class by what it lacks of a need and by what it leaves open. */
  #lackTable(n: number) {
    const { fleet } = this;
    const row = this.#rows[n]!;
    const certain = this.#possibly().missing(row);
    const all = fleet.rows.missing(row);
    const lacking = certain.intern();
    const missing = all.intern();
    const words = fleet.bits >> 5;
    // Classes that miss the same may lack different parts of it for certain.
    const openOf = new Map<number, number>();
    const numbers = new Map<string, number>();
    const opens: (readonly string[])[] = [];
    const namesAt = (index: number): readonly string[] => {
      const open = minus(all.at(index).slice(0, words), certain.at(index).subarray(0, words));
      return fleet.names(this.#settled(this.#needs[n]!, open));
    };
    return {
      lacking,
      names: (key: number): string[] => {
        const lacks = certain.at(lacking.first[key]!).slice(0, words);
        return [...fleet.names(lacks), ...this.#absent[n]!].sort(byBytes);
      },
      open: (index: number): number => {
        const pair = missing.classOf[index]! * lacking.first.length + lacking.classOf[index]!;
        const known = openOf.get(pair);
        if (known !== undefined) return known;
        const names = namesAt(index);
        const text = names.join(' ');
        const number = numbers.get(text) ?? opens.push(names) - 1;
        numbers.set(text, number);
        openOf.set(pair, number);
        return number;
      },
      openNames: (key: number): readonly string[] => opens[key]!,
      free: () => {
        certain.free();
        all.free();
      },
    };
  }
}

/** Every class with all that it has, and all that it may have. */
function possibleRows(fleet: Fleet): Rows {
  const rows = new Rows(2 * fleet.bits);
  rows.reserve(fleet.classes.length);
  for (const index of fleet.classes.keys()) {
    const unknown = fleet.known(index).map((word) => ~word);
    rows.push(fleet.needs(join(fleet.has(index), unknown)));
  }
  return rows;
}

/** The software of each kind by number. */
function softwares(fleet: Fleet, softwareOf: (kind: Kind) => Software) {
  const software: Software[] = [];
  const numbers = new Map<string, number>();
  const softwareOfKind = new Uint32Array(fleet.kinds.length);
  for (const [i, kind] of fleet.kinds.entries()) {
    const s = softwareOf(kind);
    const key = `${s.qemu} ${s.libvirt} ${s.machine} ${s.isGiven} ${s.arch}`;
    let number = numbers.get(key);
    if (number === undefined) {
      number = software.push(s) - 1;
      numbers.set(key, number);
    }
    softwareOfKind[i] = number;
  }
  return { software, softwareOfKind };
}

function unitsOf(fleet: Fleet, softwareOfKind: Uint32Array, asksClock: boolean) {
  const units: Unit[] = [];
  const numbers = new Map<string, number>();
  const unitOfKind = new Uint32Array(fleet.kinds.length);
  for (const [i, kind] of fleet.kinds.entries()) {
    const index = fleet.classOfKind[i]!;
    const tsc = asksClock ? kind.tsc : null;
    const key = `${index} ${softwareOfKind[i]} ${tsc && `${tsc.hz} ${tsc.scaling}`}`;
    let number = numbers.get(key);
    if (number === undefined) {
      number = units.push({ class: index, software: softwareOfKind[i]!, tsc }) - 1;
      numbers.set(key, number);
    }
    unitOfKind[i] = number;
  }
  return { units, unitOfKind };
}
