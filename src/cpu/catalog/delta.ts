// Lists of features, each written as its difference from the nearest earlier list of the same file.
import type { Lists } from '../schema.ts';

export class Deltas {
  readonly #earlier: { readonly name: string; readonly features: ReadonlySet<string> }[] = [];

  /** The list of a record, for whom later records may be `like` it. */
  of(name: string, list: readonly string[]): Lists {
    const set = new Set(list);
    let best: Lists = { plus: [...set].sort() };
    let cost = set.size;
    for (const other of this.#earlier) {
      const plus = [...set].filter((f) => !other.features.has(f)).sort();
      const minus = [...other.features].filter((f) => !set.has(f)).sort();
      if (plus.length + minus.length < cost) {
        cost = plus.length + minus.length;
        best = {
          like: other.name,
          ...(plus.length > 0 ? { plus } : {}),
          ...(minus.length > 0 ? { minus } : {}),
        };
      }
    }
    this.#earlier.push({ name, features: set });
    return best;
  }
}
