// The law of host records: what is read of a description that was written as one answers as the description does.
import type { Catalog } from '../../src/cpu/catalog/catalog.ts';
import { type Description, isShown, isX86 } from '../../src/cpu/description.ts';
import { writeRecord } from '../../src/dialects/records/record-write.ts';
import { records } from '../../src/dialects/records/records.ts';
import { kindOfHost } from '../../src/fleet/kind.ts';
import { decode } from '../../src/solve/decode.ts';

/** What is written of a description, read again. */
async function asRecord(catalog: Catalog, d: Description): Promise<Description> {
  const bytes = new TextEncoder().encode(writeRecord(catalog, d, d.host ?? 'a'));
  const [again] = await records.read!({ name: 'record', bytes }, catalog);
  return again!;
}

/**
 * What answers would differ in, a line each; none where the law holds. Every question is asked of kinds, whichever key
 * the description is new under, and what is asked about other kernels is settled again under each of these.
 */
export async function lostAsRecord(
  catalog: Catalog,
  d: Description,
  kernels: readonly string[] = [],
): Promise<string[]> {
  const again = await asRecord(catalog, d);
  const all = isShown(d) && isX86(d) ? [undefined, ...kernels] : [undefined];
  const lost = all.flatMap((asIf) =>
    differing(
      kindBy(catalog, asIf === undefined ? d : { ...d, asIf }),
      kindBy(catalog, asIf === undefined ? again : { ...again, asIf }),
    ),
  );
  return [...new Set([...lost, ...differing(decoded(catalog, d), decoded(catalog, again))])];
}

type Plain = Readonly<Record<string, unknown>>;

/** All that an answer can rest on, rows by names. */
function kindBy(catalog: Catalog, d: Description): Plain {
  const { has, known, models, unnamed, ...kind } = kindOfHost(catalog, d);
  const lists = Object.entries(models).map(([lister, list]) => [lister, [...list].sort()]);
  return {
    ...kind,
    unnamed: [...unnamed].sort(),
    models: lists,
    has: catalog.names(has),
    known: catalog.names(known),
  };
}

const decoded = (catalog: Catalog, description: Description): Plain => ({
  ...decode(catalog, [{ id: 'a', description }]).hosts[0]!,
});

function differing(first: Plain, again: Plain): string[] {
  const keys = [...new Set([...Object.keys(first), ...Object.keys(again)])];
  return keys.flatMap((key) => {
    const [a, b] = [first[key], again[key]].map((value) =>
      JSON.stringify(value, (_, v) =>
        isPlain(v) ? Object.fromEntries(Object.entries(v).sort()) : v,
      ),
    );
    if (a === b) return [];
    return `${key}: ${a} is ${b} as a record`;
  });
}

const isPlain = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
