// A description in which nothing is said yet: a dialect fills in what its documents tell.
import { emptyRow } from '../core/rows.ts';
import type { Catalog, Vendor } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Description, Note } from '../cpu/host.ts';
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

/** A description with no more of its record's keys than are asked for. */
export function keepOnly(d: Description, keep: readonly string[] | undefined): Description {
  if (keep === undefined) return d;
  const keys = Object.entries(d.keys).filter(([key]) => keep.includes(key));
  return { ...d, keys: Object.fromEntries(keys) };
}

/** The name that its maker gives a processor, as a key of its host; none where it is not told. */
export function processorKey(name: unknown): Description['keys'] {
  const told = typeof name === 'string' ? name.replace(/[\0\s]+/g, ' ').trim() : '';
  return told === '' ? {} : { processor: told };
}

/** What libvirt calls the hypervisors that it speaks for. */
export const KVM = 'kvm';
export const EMULATION = 'qemu';

/** What is said of a description that is of another hypervisor than KVM; `subject`: that, with its verb. */
export const ofOtherHypervisor = (virttype: string, subject: string): Note =>
  virttype === EMULATION
    ? {
        code: 'emulated',
        message: `${subject} of plain emulation (virttype qemu), not of KVM; virsh domcapabilities --virttype kvm gives those`,
      }
    : {
        code: 'other-hypervisor',
        message: `${subject} of ${virttype}, not of KVM, so what KVM would give there is not known; virsh domcapabilities --virttype kvm would tell`,
      };

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
