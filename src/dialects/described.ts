// A description in which nothing is said yet: a dialect fills in what its documents tell.
import { emptyRow } from '../core/rows.ts';
import type { Catalog, Vendor } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Description } from '../cpu/host.ts';
import { asText } from './json.ts';

/** A description that tells nothing but where it was read; of x86, unless it is said otherwise. */
export const untold = (catalog: Catalog, dialect: string, line: number | null): Description => ({
  dialect,
  line,
  host: null,
  view: 'hypervisor',
  arch: 'x86_64',
  vendor: null,
  has: emptyRow(catalog.bits),
  known: emptyRow(catalog.bits),
  unnamed: [],
  unnamedUnknown: [],
  limits: { physBits: null },
  signature: null,
  microcode: null,
  xsave: null,
  models: null,
  machine: null,
  qemu: null,
  kernel: null,
  model: null,
  element: null,
  keys: {},
  notes: [],
});

/** The vendor by any of its names and in any case; null where none is given. */
export function vendorOf(catalog: Catalog, text: unknown): Vendor | null {
  if (typeof text !== 'string' || text === '' || /^unknown$/i.test(text)) return null;
  const wanted = text.toLowerCase();
  const known = catalog.vendors.find((v) =>
    [v.name, v.id].some((name) => name.toLowerCase() === wanted),
  );
  return known?.name ?? text;
}

/** A whole number in a text or a number; null where nothing is given. */
export function wholeNumber(value: unknown, where: string, what: string): number | null {
  if (value === undefined || value === null || value === '') return null;
  const number = typeof value === 'number' ? value : Number(asText(value).trim());
  if (!Number.isSafeInteger(number) || number < 0)
    throw new QueryError(`${where}: ${what} ${JSON.stringify(value)} is no whole number`);
  return number;
}
