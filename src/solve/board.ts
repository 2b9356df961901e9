// The hosts of one architecture and vendor by what guests can be given on each class of them. A guest's features on
// several classes are the meet of these rows: the rules and the dependencies hold in each row, so they hold in the meet.
import { bitsOf, hasBit, join, meet, minus, type Row } from '../core/rows.ts';
import type { Catalog } from '../cpu/catalog.ts';
import { byBytes } from '../cpu/order.ts';
import { isImmunity } from '../cpu/security.ts';
import type { Stack } from '../cpu/stack.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { inOwnWords } from '../fleet/words.ts';
import type { Finding } from './answer.ts';
import type { SecurityCost } from './answer-plan.ts';
import { Columns, grouped } from './columns.ts';
import { splitFindings } from './findings.ts';
import { type BaselineOptions, drawLine, type Line, nameOf, namingFor } from './line.ts';
import { draw } from './safe.ts';
import { type Split, splitBefore } from './split.ts';
import { stackOf } from './stack.ts';

/** Features that the very same classes do not offer: absent there, or not known to be there. */
export interface Column {
  readonly classes: readonly number[];
  /** The same as a row, a bit a class. */
  readonly lackers: Row;
  /** How many hosts that are. */
  readonly weight: number;
  readonly features: readonly number[];
}

export class Board {
  readonly fleet: Fleet;
  readonly line: Line;
  /** What guests can be given on each class. */
  readonly rows: readonly Row[];
  /** What they can be given on all of them. */
  readonly features: Row;
  readonly #names = new Map<string, string | null>();
  #columns: readonly Column[] | undefined;

  /** `fleet`: hosts of one architecture and vendor. */
  constructor(fleet: Fleet, options: BaselineOptions) {
    this.fleet = fleet;
    this.line = drawLine(fleet, options);
    const { namer, outside } = this.line;
    this.rows = fleet.classes.map(
      (_, i) => draw(fleet.catalog, namer, outside, fleet.narrow(fleet.has(i))).features,
    );
    this.features = this.rows.reduce(meet);
  }

  /** What some hosts offer and others do not, by who does not; the heaviest loss first. */
  get columns(): readonly Column[] {
    this.#columns ??= this.#makeColumns();
    return this.#columns;
  }

  /** The features that guests could be given without these classes. */
  featuresWithout(gone: Row): Row {
    return this.rows.filter((_, i) => !hasBit(gone, i)).reduce(meet);
  }

  /** The name of the CPU that is left without these classes. */
  modelWithout(gone: Row, features: Row): string | null {
    const key = `${gone.join()} ${features.join()}`;
    let name = this.#names.get(key);
    if (name === undefined) {
      const naming = namingFor(this.fleet, this.line.naming, (i) => !hasBit(gone, i));
      name = nameOf(this.line.namer, features, naming);
      this.#names.set(key, name);
    }
    return name;
  }

  /** Hosts of a row of classes. */
  weigh(classes: Row): number {
    return bitsOf(classes).reduce((sum, i) => sum + this.fleet.weights[i]!, 0);
  }

  #makeColumns(): Column[] {
    const lacking = new Columns(this.rows.length);
    const differing = minus(this.rows.reduce(join), this.features);
    for (const [index, row] of this.rows.entries())
      for (const [word, bits] of minus(differing, row).entries()) lacking.mark(index, word, bits);
    return grouped(lacking.entries(), this.fleet.catalog.bits)
      .map(({ classes, features }) => ({
        classes: bitsOf(classes),
        lackers: classes,
        weight: this.weigh(classes),
        features: bitsOf(features),
      }))
      .sort((a, b) => b.features.length - a.features.length || a.weight - b.weight);
  }
}

/** Hosts that may share a pool at all, and why they are apart from the others. */
export interface Side {
  readonly because: Split['because'] | null;
  readonly value: string | null;
  readonly fleet: Fleet;
}

/** The fleet by architecture and vendor, each in its own words; one side where all hosts agree. */
export function sidesOf(fleet: Fleet): Side[] {
  const split = splitBefore(fleet);
  if (split === null) return [{ because: null, value: null, fleet: inOwnWords(fleet) }];
  return split.sides.flatMap(({ value, members }) => {
    const inner = sidesOf(fleet.subset(members));
    return inner.map((side) =>
      side.because === null
        ? { because: split.because, value, fleet: side.fleet }
        : { ...side, value: value === null ? side.value : `${value} ${side.value ?? ''}`.trim() },
    );
  });
}

/** What is to be known of the hosts of each side; that sides differ from each other is known. */
export const sideFindings = (sides: readonly Side[]): Finding[] =>
  sides.flatMap((side) => splitFindings(side.fleet));

/** The stack that all sides of a fleet are answered for. */
export const sharedStack = (fleet: Fleet, options: BaselineOptions): Stack =>
  options.stack ?? stackOf(fleet);

/** What guests with these features miss in security, of what some of the classes offer. */
export function securityCost(
  catalog: Catalog,
  features: Row,
  offered: readonly Row[],
): SecurityCost {
  const some = offered.reduce(join, features);
  const names = (row: Row, immunity: boolean) =>
    catalog.features
      .filter((f) => f.security && hasBit(row, f.id) && isImmunity(f.name) === immunity)
      .map((f) => f.name)
      .sort(byBytes);
  const lost = minus(some, features);
  return {
    mitigationsLost: names(lost, false),
    immunitiesClaimed: names(features, true),
    immunitiesNotClaimed: names(lost, true),
  };
}
