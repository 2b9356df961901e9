// Records that differ from one that was read in their features alone, and say nothing of what is unknown: a fleet may
// have as many sets of features as hosts, and none of these records is parsed.
import { emptyRow, type Row, setBit } from '../../core/rows.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description } from '../../cpu/description.ts';
import { byBytes } from '../../cpu/order.ts';
import { isOfX86, meaningOf, settleView } from './records.ts';

/** The variants that one scanner finds: another numbers names otherwise. */
export class Variants {
  readonly #catalog: Catalog;
  readonly #spelling: (name: number) => string;
  readonly #all: Row;
  /** By architecture and vendor, then by a name's number: what it means. */
  readonly #meanings = new Map<string, (ReturnType<typeof meaningOf> | undefined)[]>();

  constructor(catalog: Catalog, spelling: (name: number) => string) {
    this.#catalog = catalog;
    this.#spelling = spelling;
    this.#all = catalog.rowWhere(() => true);
  }

  /** What a record says that has these features, by number, and is otherwise like the first. */
  describe(first: Description, names: Uint16Array): Description {
    const catalog = this.#catalog;
    const meanings = this.#of(first);
    const has = emptyRow(catalog.bits);
    const unnamed: string[] = [];
    for (const name of names) {
      let meaning = meanings[name];
      if (meaning === undefined) {
        meaning = meaningOf(catalog, this.#spelling(name), isOfX86(first.arch), first.vendor);
        meanings[name] = meaning;
      }
      if (typeof meaning === 'number') setBit(has, meaning);
      else if (meaning === 'itself') unnamed.push(this.#spelling(name));
    }
    const known = this.#all.slice();
    settleView(catalog, first, has, known);
    return { ...first, has, known, unnamed: unnamed.sort(byBytes) };
  }

  #of({ arch, vendor }: Description): (ReturnType<typeof meaningOf> | undefined)[] {
    const key = `${arch} ${vendor}`;
    const meanings = this.#meanings.get(key) ?? [];
    this.#meanings.set(key, meanings);
    return meanings;
  }
}
