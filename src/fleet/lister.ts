// Lists of hosts for many sets of classes: the ids are looked through once, not once a list.
import { byBytes } from '../cpu/order.ts';
import type { Fleet, HostList } from './fleet.ts';
import { LISTED } from './told.ts';

export class Lister {
  readonly #weights: ArrayLike<number>;
  /** The first ids of each class, all of them together in byte order. */
  readonly #firsts: readonly { readonly id: string; readonly of: number }[];

  /** Sets of hosts other than classes are given by the set of each kind, and how many hosts each has. */
  constructor(
    fleet: Fleet,
    sets: { readonly unitOfKind: Uint32Array; readonly weights: ArrayLike<number> } = {
      unitOfKind: fleet.classOfKind,
      weights: fleet.weights,
    },
  ) {
    this.#weights = sets.weights;
    const first: string[][] = Array.from({ length: sets.weights.length }, () => []);
    for (const { id, kind } of fleet.ids()) {
      const ids = first[sets.unitOfKind[kind]!]!;
      if (ids.length === LISTED && byBytes(id, ids.at(-1)!) > 0) continue;
      const at = ids.findLastIndex((other) => byBytes(other, id) < 0) + 1;
      ids.splice(at, 0, id);
      if (ids.length > LISTED) ids.pop();
    }
    this.#firsts = first
      .flatMap((ids, of) => ids.map((id) => ({ id, of })))
      .sort((a, b) => byBytes(a.id, b.id));
  }

  /** The hosts of these classes: the first ids in byte order, and how many there are. */
  list(classes: readonly number[]): HostList {
    const wanted = new Uint8Array(this.#weights.length);
    let count = 0;
    for (const index of classes) {
      wanted[index] = 1;
      count += this.#weights[index]!;
    }
    const hosts: string[] = [];
    for (const { id, of } of this.#firsts) {
      if (hosts.length === LISTED) break;
      if (wanted[of] === 1) hosts.push(id);
    }
    return { count, hosts };
  }
}
