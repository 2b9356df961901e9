// How many hosts of a fleet offer, lack or leave open each feature, counted once for all parts of an answer.
import {
  bitsOf,
  emptyRow,
  hasBit,
  join,
  meet,
  minus,
  type Row,
  rowOf,
  setBit,
} from '../core/rows.ts';
import { byBytes } from '../cpu/order.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Baseline, Lost } from './answer.ts';

/** Features of which the same classes, and no others, lack or leave open each. */
export interface Grouped {
  readonly classes: ReadonlySet<number>;
  readonly features: Row;
}

export class Tally {
  readonly #fleet: Fleet;
  /** Features that every host offers, those outside of the answer included; as wide as the fleet's rows. */
  readonly offered: Row;
  /** By feature that some host has and some host lacks: the classes that are known to lack it. */
  readonly #lacking = new Map<number, number[]>();
  /** By feature that some host leaves open: the classes that leave it open. */
  readonly #open = new Map<number, number[]>();
  readonly #have: ArrayLike<number>;
  #lackers: readonly Grouped[] | undefined;

  /** `outside`: features that no answer counts, in the catalog's width. */
  constructor(fleet: Fleet, outside: Row) {
    this.#fleet = fleet;
    const hosts = fleet.hosts;
    const counts = fleet.rows.counts(fleet.weights);
    this.#have = counts;
    this.offered = emptyRow(fleet.bits);
    const lost = emptyRow(fleet.bits);
    const left = emptyRow(fleet.bits);
    for (let id = 0; id < fleet.catalog.bits + fleet.unnamed.length; id++) {
      const [have, known] = [counts[id]!, counts[fleet.bits + id]!];
      if (have === hosts) setBit(this.offered, id);
      if (id < fleet.catalog.bits && hasBit(outside, id)) continue;
      if (have > 0 && known > have) setBit(lost, id);
      if (known < hosts) setBit(left, id);
    }
    for (const index of fleet.classes.keys()) {
      const [has, known] = [fleet.has(index), fleet.known(index)];
      for (const id of bitsOf(meet(minus(known, has), lost))) push(this.#lacking, id, index);
      for (const id of bitsOf(minus(left, known))) push(this.#open, id, index);
    }
  }

  /** What some host has and some host lacks. */
  lost(): Lost[] {
    return this.#byName([...this.#lacking]).map(([id, classes]) => {
      const list = this.#fleet.list(this.#fleet.membersOf(classes));
      return {
        feature: this.#fleet.featureName(id),
        have: this.#have[id]!,
        lack: list.count,
        hosts: list.hosts,
      };
    });
  }

  /** What no host is known to lack and some host leaves open. */
  unknown(): Baseline['unknown'] {
    return this.#byName([...this.#unlacked()]).map(([id, classes]) => ({
      feature: this.#fleet.featureName(id),
      ...this.#fleet.list(this.#fleet.membersOf(classes)),
    }));
  }

  /** Lost features by the very classes that lack them. */
  lackers(): readonly Grouped[] {
    this.#lackers ??= this.#byClasses(this.#lacking);
    return this.#lackers;
  }

  /** Features that no host is known to lack, by the very classes that leave them open. */
  openers(): Grouped[] {
    return this.#byClasses(this.#unlacked());
  }

  /** Features that every host offers but for those of these classes. */
  offeredWithout(classes: ReadonlySet<number>): Row {
    const regained: number[] = [];
    for (const [id, lacking] of this.#lacking) {
      const open = this.#open.get(id) ?? [];
      if (
        lacking.length + open.length <= classes.size &&
        lacking.every((c) => classes.has(c)) &&
        open.every((c) => classes.has(c))
      )
        regained.push(id);
    }
    for (const [id, open] of this.#open)
      if (
        this.#have[id]! > 0 &&
        !this.#lacking.has(id) &&
        open.length <= classes.size &&
        open.every((c) => classes.has(c))
      )
        regained.push(id);
    return join(this.offered, rowOf(this.#fleet.bits, regained));
  }

  /** Whether some host is known to lack what another has. */
  lacks(id: number): boolean {
    return this.#lacking.has(id);
  }

  /** Of the features that some host leaves open, those that no host is known to lack. */
  *#unlacked(): Generator<[number, number[]]> {
    for (const [id, classes] of this.#open) {
      const open = classes.reduce((n, c) => n + this.#fleet.weights[c]!, 0);
      if (!this.#lacking.has(id) && this.#have[id]! + open === this.#fleet.hosts)
        yield [id, classes];
    }
  }

  #byClasses(entries: Iterable<[number, number[]]>): Grouped[] {
    const groups = new Map<string, Grouped>();
    for (const [id, classes] of entries) {
      const key = classes.join();
      const group = groups.get(key) ?? {
        classes: new Set(classes),
        features: emptyRow(this.#fleet.bits),
      };
      groups.set(key, group);
      setBit(group.features, id);
    }
    return [...groups.values()];
  }

  #byName<T>(entries: [number, T][]): [number, T][] {
    const name = (id: number) => this.#fleet.featureName(id);
    return entries.sort(([a], [b]) => byBytes(name(a), name(b)));
  }
}

function push(map: Map<number, number[]>, id: number, index: number): void {
  const list = map.get(id);
  if (list) list.push(index);
  else map.set(id, [index]);
}
