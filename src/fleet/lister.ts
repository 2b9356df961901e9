// Lists of hosts for many sets of classes: the ids are looked through once, not once a list.
import { byBytes } from '../cpu/order.ts';
import type { Fleet, HostList } from './fleet.ts';

const LISTED = 20;

export class Lister {
  readonly #weights: Uint32Array;
  /** The first ids of each class, all of them together in byte order. */
  readonly #firsts: readonly { readonly id: string; readonly of: number }[];

  constructor(fleet: Fleet) {
    this.#weights = fleet.weights;
    const first: string[][] = fleet.classes.map(() => []);
    for (const { id, kind } of fleet.ids()) {
      const ids = first[fleet.classOfKind[kind]!]!;
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
