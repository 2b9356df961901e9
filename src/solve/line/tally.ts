// How many hosts of a fleet offer, lack or leave open each feature, counted once for all parts of an answer.
import { bitsOf, emptyRow, hasBit, isCovered, join, type Row, setBit } from '../../core/rows.ts';
import { sortByBytes } from '../../cpu/order.ts';
import type { Fleet, HostList } from '../../fleet/fleet.ts';
import type { Baseline, Lost } from '../answer.ts';
import { Columns, type Grouped, grouped } from './columns.ts';

interface Listed {
  readonly id: number;
  readonly feature: string;
  readonly list: HostList;
}

export class Tally {
  readonly #fleet: Fleet;
  /** Features that every host offers, those outside of the answer included; as wide as the fleet's rows. */
  readonly offered: Row;
  /** Features that some host has and some host lacks, by the classes that are known to lack them. */
  readonly #lacking: Columns;
  /** Features that some host leaves open, by the classes that leave them open. */
  readonly #open: Columns;
  readonly #have: ArrayLike<number>;
  #lackers: readonly Grouped[] | undefined;
  #openers: readonly Grouped[] | undefined;
  #barring: readonly Grouped[] | undefined;

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
    const { length } = fleet.classes;
    this.#lacking = new Columns(length);
    this.#open = new Columns(length);
    const words = fleet.bits >> 5;
    for (let index = 0; index < length; index++) {
      const row = fleet.rows.at(index);
      for (let word = 0; word < words; word++) {
        const known = row[words + word]!;
        this.#lacking.mark(index, word, known & ~row[word]! & lost[word]!);
        this.#open.mark(index, word, left[word]! & ~known);
      }
    }
  }

  /** What some host has and some host lacks. */
  lost(): Lost[] {
    return this.#listed(this.lackers()).map(({ id, feature, list: { count, hosts } }) => ({
      feature,
      have: this.#have[id]!,
      lack: count,
      hosts,
    }));
  }

  /** What no host is known to lack and some host leaves open. */
  unknown(): Baseline['unknown'] {
    return this.#listed(this.openers()).map(({ feature, list }) => ({ feature, ...list }));
  }

  /** Lost features by the very classes that lack them. */
  lackers(): readonly Grouped[] {
    this.#lackers ??= grouped(this.#lacking.entries(), this.#fleet.bits);
    return this.#lackers;
  }

  /** Features that no host is known to lack, by the very classes that leave them open. */
  openers(): readonly Grouped[] {
    this.#openers ??= grouped(this.#unlacked(), this.#fleet.bits);
    return this.#openers;
  }

  /** Features that every host offers but for those of these classes. */
  offeredWithout(classes: Row): Row {
    this.#barring ??= grouped(this.#barred(), this.#fleet.bits);
    return this.#barring.reduce(
      (row, group) => (isCovered(group.classes, classes) ? join(row, group.features) : row),
      this.offered,
    );
  }

  /** Whether some host is known to lack what another has. */
  lacks(id: number): boolean {
    return this.#lacking.get(id) !== undefined;
  }

  /** Of the features that some host leaves open, those that no host is known to lack. */
  *#unlacked(): Generator<readonly [number, Row]> {
    for (const entry of this.#open.entries()) {
      const [id] = entry;
      // Then whoever is known of has it.
      if (!this.lacks(id) && this.#have[id] === this.#have[this.#fleet.bits + id]) yield entry;
    }
  }

  /** Features that some host offers, by the classes that do not, whether they lack them or leave them open. */
  *#barred(): Generator<readonly [number, Row]> {
    for (const [id, lacking] of this.#lacking.entries()) {
      const open = this.#open.get(id);
      yield [id, open ? join(lacking, open) : lacking];
    }
    for (const [id, open] of this.#open.entries())
      if (this.#have[id]! > 0 && !this.lacks(id)) yield [id, open];
  }

  /** The features of groups by name, each with the hosts of its classes. */
  #listed(groups: readonly Grouped[]): Listed[] {
    const byName = new Map<string, Listed>();
    for (const { classes, features } of groups) {
      const list = this.#fleet.list(this.#fleet.membersOf((i) => hasBit(classes, i)));
      for (const id of bitsOf(features)) {
        const feature = this.#fleet.featureName(id);
        byName.set(feature, { id, feature, list });
      }
    }
    return sortByBytes([...byName.keys()]).map((name) => byName.get(name)!);
  }
}
