// Where guests run before a change and after it, as the one rule has it.
import { emptyRow, join, meet, minus, type Row } from '../core/rows.ts';
import { tcgRow } from '../cpu/accelerators.ts';
import type { Expansion } from '../cpu/expand.ts';
import type { Note } from '../cpu/host.ts';
import type { Fleet, HostList } from '../fleet/fleet.ts';
import { type GivenSoftware, softwareOf } from './asker.ts';
import type { PropertyChange } from './changes.ts';
import { type Asker, Fits, type FitVerdict } from './fit.ts';

/** The change of one guest, worked out once for all guests that ask the same. */
export interface Change {
  readonly cpu: string;
  readonly toCpu: string;
  readonly from: Asker;
  readonly to: Asker;
  readonly before: Expansion;
  /** null where it is refused. */
  readonly after: Expansion | null;
  readonly toMachine: string;
  readonly added: Row;
  readonly removed: Row;
  readonly properties: readonly PropertyChange[];
  readonly refused: string | null;
  readonly own: string | null;
  /** What is to be known of the guest. */
  readonly notes: readonly Note[];
}

/** The software before the change and after it. */
interface Sides {
  readonly from?: GivenSoftware | undefined;
  readonly to?: GivenSoftware | undefined;
}

/** Every guest on every host, before and after. */
export class Hosts {
  readonly #fleet: Fleet;
  readonly #before: Fits;
  readonly #after: Fits;
  readonly #number: ReadonlyMap<Change, number>;

  /** `then`: the same hosts after the change, by the same numbers of their kinds. */
  constructor(fleet: Fleet, then: Fleet, changes: readonly Change[], { from, to }: Sides) {
    this.#fleet = fleet;
    this.#number = new Map(changes.map((change, i) => [change, i]));
    const fits = (on: Fleet, side: 'from' | 'to', given: GivenSoftware = {}) =>
      new Fits(
        on,
        changes.map((c) => c[side]),
        softwareOf(on.catalog, given),
      );
    this.#before = fits(fleet, 'from', from);
    this.#after = fits(then, 'to', to ?? from);
  }

  free(): void {
    this.#before.free();
    this.#after.free();
  }

  get size(): number {
    return this.#fleet.hosts;
  }

  /** Whether the hosts themselves are others after the change. */
  get differ(): boolean {
    return this.#after.fleet !== this.#fleet;
  }

  /** By kind of hosts, whether it runs before the change and after it. */
  compared(change: Change) {
    const asker = this.#number.get(change)!;
    const counts = { before: 0, after: 0 };
    const stranded: number[] = [];
    const unknown: number[] = [];
    for (const [kind, weight] of this.#fleet.kindWeights.entries()) {
      const [b, a] = [this.#before.unitOfKind[kind]!, this.#after.unitOfKind[kind]!];
      const was = this.#before.verdict(asker, b);
      const is = this.#after.verdict(asker, a);
      if (starts(was)) counts.before += weight;
      if (starts(is)) counts.after += weight;
      if (was === 'no' || starts(is)) continue;
      if (starts(was) && is === 'no') stranded.push(kind);
      else if (starts(was) || is === 'no' || this.#asksMore(asker, b, a)) unknown.push(kind);
    }
    return { counts, stranded, unknown };
  }

  /** Whether more is not known after the change than before it. */
  #asksMore(asker: number, before: number, after: number): boolean {
    const [was, is] = [this.#before.fit(asker, before), this.#after.fit(asker, after)];
    const known = new Set([...was.open, ...was.unknown.map((r) => r.message)]);
    return [...is.open, ...is.unknown.map((r) => r.message)].some((what) => !known.has(what));
  }

  list(kinds: readonly number[]): HostList {
    const listed = new Set(kinds);
    return this.#fleet.list(this.#fleet.hostsWhere((_, i) => listed.has(i)));
  }

  /** What some of these kinds are not known to offer after the change of what is asked for. */
  lacks(kinds: readonly number[], change: Change): Row {
    const { catalog } = this.#fleet;
    const asker = this.#number.get(change)!;
    const names = kinds.flatMap((kind) => {
      const { lacking, open } = this.#after.fit(asker, this.#after.unitOfKind[kind]!);
      return [...lacking, ...open];
    });
    return catalog.row([...new Set(names)].filter((name) => catalog.findQemu(name)));
  }

  /** Of the new features those that some of these kinds are not known to have. */
  missing(kinds: readonly number[], { after, added }: Change): Row {
    const { catalog, classOfKind } = this.#fleet;
    const none = emptyRow(catalog.bits);
    if (after === null) return none;
    const counted = catalog.rowWhere((f) => f.merge !== 'never');
    const need = meet(added, counted);
    const classes = new Set(kinds.map((i) => classOfKind[i]!));
    const lacking = [...classes].map((i) =>
      minus(
        need,
        after.accelerator === 'kvm'
          ? this.#fleet.narrow(this.#fleet.has(i))
          : tcgRow(catalog, after.qemu),
      ),
    );
    return lacking.reduce(join, none);
  }
}

const starts = (verdict: FitVerdict): boolean => verdict === 'runs' || verdict === 'own-cpu';
