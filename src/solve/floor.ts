// What is known of the floor in a fleet: what every 64-bit guest needs, and whether a host tells of anything else.
import {
  bitsOf,
  clearBit,
  hasBit,
  isCovered,
  isEmpty,
  join,
  minus,
  type Row,
} from '../core/rows.ts';
import { kvmWord } from '../cpu/accelerators.ts';
import { floorOf } from '../cpu/floor.ts';
import { isX86, unsettled } from '../cpu/host.ts';
import type { Line } from './line.ts';

export interface FloorGaps {
  /** Features of the floor that classes are known to lack; without those that are needed no 64-bit guest runs. */
  readonly lacking: readonly {
    readonly feature: string;
    readonly needed: boolean;
    readonly classes: Row;
  }[];
  /** Classes of which nothing but the floor is known. */
  readonly bare: readonly number[];
  /** Classes of guests whose CPU nobody knows before they start: there is nothing to draw of them. */
  readonly unsettled: readonly number[];
}

/** Whether no definition may be given. */
export const isBarred = ({ lacking, bare, unsettled }: FloorGaps): boolean =>
  bare.length + unsettled.length > 0 || lacking.some((gap) => gap.needed);

export function floorGaps({ fleet, tally, drawn, outside }: Line): FloorGaps {
  const { catalog, classes } = fleet;
  const floor = floorOf(catalog);
  const own = (index: number) =>
    classes[index]!.arch === 'x86_64' && classes[index]!.view !== 'guest';
  const isWhole = isCovered(floor.all, fleet.narrow(tally.offered));
  const lacking = (isWhole ? [] : bitsOf(floor.all)).flatMap((id) => {
    const without = minus(fleet.knowing(id), fleet.offering(id));
    for (const index of bitsOf(without)) if (!own(index)) clearBit(without, index);
    if (isEmpty(without)) return [];
    const { name } = catalog.features[id]!;
    return [{ feature: name, needed: hasBit(floor.needed, id), classes: without }];
  });
  // Where all hosts offer more, none of them tells nothing.
  const counted = [floor.all, kvmWord(catalog), outside.never].reduce(join);
  const bare = isEmpty(minus(drawn.features, counted))
    ? [...classes.keys()].filter(
        (index) => own(index) && isEmpty(minus(fleet.narrow(fleet.known(index)), counted)),
      )
    : [];
  const open = new Set(
    fleet.kinds.flatMap((kind, i) =>
      kind.view === 'guest' && isX86(kind) && unsettled(kind) !== null
        ? [fleet.classOfKind[i]!]
        : [],
    ),
  );
  return { lacking, bare, unsettled: [...open] };
}
