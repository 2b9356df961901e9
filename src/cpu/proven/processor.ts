// The processors of one host as one: it has what every one of them has, and a difference is worth a word.
import { bitsOf, join, meet, minus, type Row } from '../../core/rows.ts';
import type { Catalog, Vendor } from '../catalog/catalog.ts';
import type { Note, Signature, XsaveComponent } from '../description.ts';
import { byBytes } from '../order.ts';

/** What a document says of one logical processor. */
export interface Processor {
  readonly vendor: Vendor | null;
  readonly signature: Signature | null;
  readonly microcode: string | null;
  readonly physBits: number | null;
  readonly xsave: readonly XsaveComponent[] | null;
  readonly has: Row;
  readonly known: Row;
  /** Features that it has and the catalog does not know. */
  readonly unnamed: readonly string[];
}

export interface Together extends Processor {
  readonly notes: readonly Note[];
}

/** All processors of a host as one; there is at least one, and they are of one vendor. */
export function together(catalog: Catalog, processors: readonly Processor[]): Together {
  const first = processors[0]!;
  let { has, known } = first;
  let some = has;
  let lacking = minus(known, has);
  for (const p of processors.slice(1)) {
    if (p.has === has && p.known === known) continue;
    has = meet(has, p.has);
    known = meet(known, p.known);
    some = join(some, p.has);
    lacking = join(lacking, minus(p.known, p.has));
  }
  const unnamed = first.unnamed.filter((name) => processors.every((p) => p.unnamed.includes(name)));
  const differ = bitsOf(meet(some, lacking))
    .map((id) => catalog.features[id]!)
    .filter((f) => f.merge !== 'never')
    .map((f) => f.name);
  for (const p of processors)
    for (const name of p.unnamed)
      if (!unnamed.includes(name) && !differ.includes(name)) differ.push(name);
  const notes: Note[] = [];
  const note = (what: string) =>
    notes.push({ code: 'processors-differ', message: `its processors differ: ${what}` });
  if (differ.length > 0) note(`not all have ${differ.sort(byBytes).join(', ')}`);
  const agree = <T>(what: string, of: (p: Processor) => T): boolean => {
    const values = [...new Set(processors.map((p) => JSON.stringify(of(p))))];
    if (values.length > 1)
      note(
        `${what} (${values
          .slice(0, 3)
          .map((v) => v.replaceAll('"', ''))
          .join(', ')})`,
      );
    return values.length === 1;
  };
  const sameSignature = agree(
    'family, model and stepping',
    (p) => p.signature && [p.signature.family, p.signature.model, p.signature.stepping],
  );
  const sameMicrocode = agree('microcode', (p) => p.microcode);
  agree('physical address bits', (p) => p.physBits);
  const bits = processors.map((p) => p.physBits);
  return {
    vendor: first.vendor,
    signature: sameSignature ? first.signature : null,
    microcode: sameMicrocode ? first.microcode : null,
    physBits: bits.includes(null) ? null : Math.min(...(bits as number[])),
    xsave: commonLayout(processors, note),
    has,
    // What one processor lacks is absent on the host, whatever the others leave open.
    known: join(known, lacking),
    unnamed,
    notes,
  };
}

function commonLayout(
  processors: readonly Processor[],
  note: (what: string) => void,
): readonly XsaveComponent[] | null {
  const layouts = processors.map((p) => p.xsave);
  if (!layouts.every((layout) => layout !== null)) return null;
  const first = layouts[0]!;
  const same = first.filter((c) =>
    layouts.every((layout) =>
      layout.some((o) => o.component === c.component && o.size === c.size && o.offset === c.offset),
    ),
  );
  if (layouts.some((layout) => layout.length !== same.length))
    note('the layout of their XSAVE state');
  return same;
}
