// plimsoll decode: what a host, dump or definition really is: its features, limits, and the models that come near.
import { emptyRow, minus, type Row, size } from '../core/rows.ts';
import { meaningOfAsked, newestSoftware, noteOf, toldBy } from '../cpu/asked/asked.ts';
import type { Catalog } from '../cpu/catalog/catalog.ts';
import { type Description, isShown, isX86, unsettled } from '../cpu/description.ts';
import { byBytes } from '../cpu/order.ts';
import { whyWithheld } from '../cpu/proven/kvm.ts';
import { candidate, Fleet, type Skipped } from '../fleet/fleet.ts';
import { kindText } from '../fleet/kind.ts';
import type { Decoded } from './answer.ts';
import { baseline } from './baseline.ts';
import type { GivenSoftware } from './fit/asker.ts';
import { type BaselineOptions, drawLine } from './line/line.ts';
import { byWeight } from './line/sayer.ts';

/** Models listed as candidates: those that lack the least. */
const CANDIDATES = 5;

type Host = Decoded['hosts'][number];

/** One CPU decoded: `shared` is one object among hosts whose descriptions are. */
export interface DecodedOne {
  readonly host: string;
  readonly shared: Omit<Host, 'host' | 'findings'>;
  readonly findings: Host['findings'];
}

type One = { readonly id: string; readonly description: Description };

export interface DecodeOptions extends BaselineOptions {
  /** The software that starts guests; the newest of the catalog, where it is not said. */
  readonly software?: GivenSoftware | undefined;
}

/** Decodes each CPU by itself; `read` as readDescriptions gives it. */
export const decode = (
  catalog: Catalog,
  read: readonly One[],
  skipped: readonly Skipped[] = [],
  options: DecodeOptions = {},
): Decoded => ({
  schema: 'plimsoll.decode/1',
  hosts: [...decodeEach(catalog, read, options)].map(({ host, shared, findings }) => ({
    host,
    ...shared,
    findings,
  })),
  ...(skipped.length > 0 ? { skipped } : {}),
});

/** In the place of the id, where the same is said of several hosts: no id is so. */
const SOMEBODY = '\0somebody\0';

/** The same in parts, one host after another; all that may be refused has been by the time that this returns. */
export function decodeEach(
  catalog: Catalog,
  read: readonly One[],
  options: DecodeOptions = {},
): Iterable<DecodedOne> {
  const decoded = onceEach((d) => decodeOne(catalog, SOMEBODY, d, options));
  const each = read.map(({ description }) => decoded(description));
  return named(read, each);
}

function* named(read: readonly One[], each: readonly DecodedOne[]): Generator<DecodedOne> {
  for (const [i, { id }] of read.entries()) {
    const { shared, findings } = each[i]!;
    yield { host: id, shared, findings: saidOf(id, findings) };
  }
}

/** The same work, done once for all hosts that are described alike but for their names and keys. */
export function onceEach<T>(work: (description: Description) => T): typeof work {
  const byText = new Map<string, T>();
  const known = new Map<Description, T>();
  return (d) => {
    if (known.has(d)) return known.get(d)!;
    const text = kindText({ ...d, host: null, line: null, keys: {} });
    const done = byText.has(text) ? byText.get(text)! : work(d);
    byText.set(text, done);
    known.set(d, done);
    return done;
  };
}

const saidOf = (id: string, findings: Host['findings']): Host['findings'] =>
  findings
    .map((finding) => ({
      ...finding,
      hosts: finding.hosts.map((host) => (host === SOMEBODY ? id : host)),
      message: finding.message.replaceAll(SOMEBODY, () => id),
    }))
    .sort(byWeight);

function decodeOne(
  catalog: Catalog,
  id: string,
  read: Description,
  options: DecodeOptions,
): DecodedOne {
  const { description: d, startedBy } = started(catalog, read, id, options.software);
  const host = candidate(catalog, id, d);
  const fleet = new Fleet(catalog, [host]);
  const answer = baseline(fleet, options);
  const isSettled = unsettled(d) === null;
  const open = minus(
    catalog.rowWhere(() => true),
    host.known,
  );
  return {
    host: id,
    shared: {
      view: d.view,
      arch: host.arch,
      vendor: d.vendor,
      signature: d.signature,
      ...(d.microcode === null ? {} : { microcode: d.microcode }),
      ...(d.kernel === null ? {} : { kernel: d.kernel }),
      ...(startedBy === null ? {} : { startedBy }),
      definitions: isSettled ? answer.definitions : {},
      features: [...catalog.names(d.has), ...d.unnamed].sort(byBytes),
      offers: [...catalog.names(host.has), ...host.unnamed].sort(byBytes),
      unknown: [...catalog.names(open), ...host.unnamedUnknown].sort(byBytes),
      withheld: withheld(catalog, d, minus(d.has, host.has)),
      limits: { physBits: d.limits.physBits },
      ...(host.identity ? { identity: host.identity } : {}),
      candidates: isX86(d) && isSettled ? candidates(catalog, fleet) : [],
    },
    // Of a CPU that nobody knows there is no more to say than why.
    findings: answer.findings.filter(({ code }) =>
      isSettled ? code !== 'newer-stack' : d.notes.some((note) => note.code === code),
    ),
  };
}

/** Notes on what a guest gets, which another software may take otherwise. */
const ON_MEANING: ReadonlySet<string> = new Set(['host-cpu', 'refused', 'unknown-model']);

/** A guest as its software takes its definition, and which software that is; null where none of QEMU's is asked. */
function started(
  catalog: Catalog,
  d: Description,
  id: string,
  given: GivenSoftware | undefined,
): {
  readonly description: Description;
  readonly startedBy: NonNullable<Host['startedBy']> | null;
} {
  const { asked } = d;
  if (d.view !== 'guest' || asked === undefined || !isX86(d))
    return { description: d, startedBy: null };
  const newest = newestSoftware(catalog);
  const { qemu = newest.qemu, libvirt = newest.libvirt } = given ?? {};
  const isGiven = given?.qemu !== undefined;
  const software = { ...newest, qemu, libvirt, ...(isGiven ? { isGiven } : {}) };
  const meaning = meaningOfAsked(catalog, asked, software);
  const { expansion } = meaning.is === 'cpu' ? meaning : {};
  const startedBy = {
    qemu: expansion?.qemu ?? qemu,
    ...(asked.by === 'libvirt' ? { libvirt } : {}),
    machine: expansion?.machine ?? asked.machine,
  };
  // As it was read, it is that of the newest.
  if (given === undefined) return { description: d, startedBy };
  const notes = d.notes.filter(({ code }) => !ON_MEANING.has(code));
  const none = { has: emptyRow(catalog.bits), known: emptyRow(catalog.bits) };
  const description: Description =
    meaning.is === 'cpu'
      ? { ...d, notes, ...toldBy(catalog, asked, meaning) }
      : { ...d, ...none, notes: [...notes, noteOf(meaning, id)] };
  return { description, startedBy };
}

/** Why guests are not given these, of a host that shows them; by name. */
function withheld(catalog: Catalog, d: Description, row: Row): Host['withheld'] {
  if (!isShown(d) || !isX86(d)) return [];
  return catalog.names(row).map((feature) => {
    const { id } = catalog.feature(feature);
    return { feature, ...whyWithheld(catalog, d, id) };
  });
}

/** The models of the vendor that come nearest; a feature that the host lacks weighs as much as two that it has beside. */
function candidates(catalog: Catalog, fleet: Fleet): Decoded['hosts'][number]['candidates'] {
  const { namer, vendor, outside } = drawLine(fleet);
  const offered = fleet.narrow(fleet.has(0));
  const rows = namer.products.includes('qemu') ? namer.names('qemu') : [];
  const own = rows.filter((n) => n.vendor !== null && n.vendor === vendor);
  return (own.length > 0 ? own : rows.filter((n) => n.vendor === null))
    .map((name) => {
      const asked: Row = minus(name.always, outside.all);
      const lacks = minus(asked, offered);
      const distance = 2 * size(lacks) + size(minus(offered, asked));
      return { name: name.name, lacks, distance, release: name.release };
    })
    .sort((a, b) => a.distance - b.distance || b.release - a.release || byBytes(a.name, b.name))
    .slice(0, CANDIDATES)
    .map(({ name, lacks }) => ({ name, lacks: catalog.names(lacks) }));
}
