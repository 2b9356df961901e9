// A fleet as one line of text that says nothing of where it was read: what is equal about its hosts once, their
// names behind it. Summaries of parts become the summary of the whole, whichever are merged first.
//
//   plimsoll-summary/1 BYTES SHA-256 ["shard",...] TAB {what hosts are} TAB id TAB id ...
//
// BYTES and SHA-256 are of all that follows the space behind them. Ids stand by kind, then in byte order.
import { emptyRow, type Row, setBit } from '../core/rows.ts';
import type { Catalog } from '../cpu/catalog/catalog.ts';
import { isX86 } from '../cpu/description.ts';
import { QueryError } from '../cpu/errors.ts';
import { byBytes } from '../cpu/order.ts';
import { printable } from '../cpu/printable.ts';
import type { Fleet } from './fleet.ts';
import { batchesOf, type Gatherer } from './gather.ts';
import type { Kind, ModelList } from './kind.ts';

const MAGIC = 'plimsoll-summary/1 ';
const TAB = 9;
const NEWLINE = 10;
const BACKSLASH = 0x5c;
/** Bytes that are decoded at once: longer text than a string can hold may follow. */
const PIECE = 1 << 20;
const SHA256 = 64;

const exact = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const isSummary = (head: Uint8Array): boolean =>
  new TextDecoder().decode(head.subarray(0, MAGIC.length)) === MAGIC;

/** What few kinds have, and is written of those alone. */
type Rare = 'libvirt' | 'tsc' | 'asked' | 'saved';

/** A kind by names; rows are numbers of entries of `rows`. */
type KindRecord = Omit<Kind, 'has' | 'known' | 'models' | Rare> &
  Partial<Pick<Kind, Rare>> & {
    readonly has: number;
    readonly known: number;
    readonly models: Readonly<Record<string, [string, readonly string[] | null][]>>;
  };

export interface Body {
  /** The catalog whose names these are. */
  readonly catalog: string;
  /** Whether the names of hosts are there. */
  readonly ids: boolean;
  /** Keys of host records that were kept. */
  readonly keep: readonly string[];
  /** Keys that were there, kept or not. */
  readonly keys: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly kinds: readonly { readonly hosts: number; readonly kind: KindRecord }[];
  readonly skipped: Fleet['skipped'];
}

export interface SummaryOptions {
  /** Keys of host records that were kept. */
  readonly keep: readonly string[];
  /** Whether the names of hosts are wanted. */
  readonly ids: boolean;
  /** What this summary is of; where nothing is given, its own content names it. */
  readonly shards?: readonly string[];
}

/** The line of a fleet, in pieces; `order` is told which of the summary's kinds each of the fleet's is. */
export async function writeSummary(
  fleet: Fleet,
  options: SummaryOptions,
  order: Map<number, number> = new Map(),
): Promise<Uint8Array[]> {
  const { catalog } = fleet;
  const rows = new Map<string, readonly string[]>();
  const rowOf = (row: Row): string => {
    const names = catalog.names(row);
    const key = names.join();
    rows.set(key, names);
    return key;
  };
  // Kinds that are equal came from different places.
  const groups = new Map<string, { kinds: number[]; has: string; known: string; of: Kind }>();
  for (const [i, of] of fleet.kinds.entries()) {
    const [has, known] = [rowOf(of.has), rowOf(of.known)];
    const key = JSON.stringify(recordOf(of, [has, known] as never));
    const group = groups.get(key);
    if (group) group.kinds.push(i);
    else groups.set(key, { kinds: [i], has, known, of });
  }
  const rowNames = [...rows].sort(([a], [b]) => byBytes(a, b));
  const rowNumber = new Map(rowNames.map(([key], i) => [key, i]));
  const sorted = [...groups].sort(([a], [b]) => byBytes(a, b)).map(([, group]) => group);
  const body: Body = {
    catalog: await fingerprint(catalog),
    ids: options.ids,
    keep: [...options.keep].sort(byBytes),
    keys: [...fleet.keys].sort(byBytes),
    rows: rowNames.map(([, names]) => names),
    kinds: sorted.map(({ kinds, has, known, of }) => ({
      hosts: kinds.reduce((n, kind) => n + fleet.kindWeights[kind]!, 0),
      kind: recordOf(of, [rowNumber.get(has)!, rowNumber.get(known)!]),
    })),
    skipped: [...fleet.skipped].sort(
      (a, b) => byBytes(a.input, b.input) || (a.line ?? 0) - (b.line ?? 0),
    ),
  };
  for (const [at, { kinds }] of sorted.entries()) for (const kind of kinds) order.set(kind, at);
  const ids: string[][] = sorted.map(() => []);
  if (options.ids) for (const { id, kind } of fleet.ids()) ids[order.get(kind)!]!.push(id);
  const encoder = new TextEncoder();
  const content = [
    encoder.encode(`\t${printable(JSON.stringify(body))}`),
    ...ids.map((list) =>
      encoder.encode(
        list
          .sort(byBytes)
          .map((id) => `\t${escapeId(id)}`)
          .join(''),
      ),
    ),
  ];
  const own = fleet.hosts === 0 ? [] : [`sha256:${(await sha256(content)).slice(0, 16)}`];
  const shards = [...(options.shards ?? own)].sort(byBytes);
  content.unshift(encoder.encode(printable(JSON.stringify(shards))));
  const bytes = content.reduce((n, piece) => n + piece.length, 0);
  return [
    encoder.encode(`${MAGIC}${bytes} ${await sha256(content)} `),
    ...content,
    encoder.encode('\n'),
  ];
}

/** A kind as plain data, its fields always in one order. */
const recordOf = (k: Kind, [has, known]: readonly [number, number]): KindRecord => ({
  has,
  known,
  unnamed: [...k.unnamed].sort(byBytes),
  unnamedUnknown: [...k.unnamedUnknown].sort(byBytes),
  arch: k.arch,
  vendor: k.vendor,
  view: k.view,
  physBits: k.physBits,
  ...(k.named ? { named: true as const } : {}),
  xsave: k.xsave,
  models: Object.fromEntries(
    Object.entries(k.models)
      .sort(([a], [b]) => byBytes(a, b))
      .map(([product, list]) => [product, [...list].sort(([a], [b]) => byBytes(a, b))]),
  ),
  ...(k.identity ? { identity: k.identity } : {}),
  keys: Object.fromEntries(Object.entries(k.keys).sort(([a], [b]) => byBytes(a, b))),
  microcode: k.microcode,
  signature: k.signature,
  machine: k.machine,
  qemu: k.qemu,
  model: k.model,
  ...(k.libvirt === null ? {} : { libvirt: k.libvirt }),
  ...(k.tsc === null ? {} : { tsc: k.tsc }),
  ...(k.asked === null ? {} : { asked: k.asked }),
  ...(k.saved === null ? {} : { saved: k.saved }),
  selfHosted: k.selfHosted,
  assumed: k.assumed,
  notes: [...new Map(k.notes.map((note) => [JSON.stringify(note), note])).values()],
});

/** A summary as it was read: its hosts are not in any fleet yet. */
export interface Summary {
  /** Where it was read, for messages. */
  readonly where: string;
  readonly shards: readonly string[];
  readonly hosts: number;
  readonly body: Pick<Body, 'ids' | 'keep' | 'kinds' | 'skipped'>;
  /** @throws QueryError for one that cannot be entered for this question. */
  readonly check: (catalog: Catalog, needs: SummaryNeeds) => Promise<void>;
  /** Gives its hosts to a gatherer, or its kinds alone; answers the gatherer's numbers for its kinds. */
  readonly enter: (
    catalog: Catalog,
    gatherer: Gatherer,
    needs: SummaryNeeds,
    kindsOnly?: boolean,
  ) => Promise<readonly number[]>;
}

export interface SummaryNeeds {
  readonly ids: boolean;
  /** Keys of host records that the question is about. */
  readonly keys: readonly string[];
}

/**
 * Reads every summary of a file.
 * @throws QueryError for one that is cut or damaged.
 */
export async function readSummaries(name: string, bytes: Uint8Array): Promise<Summary[]> {
  const summaries: Summary[] = [];
  for (let at = 0, line = 1; at < bytes.length; line++) {
    const where = line === 1 ? name : `${name}:${line}`;
    const { content, end } = await open(where, bytes, at);
    summaries.push(await parse(where, content));
    at = end;
  }
  return summaries;
}

/** The content of the summary that begins at `at`, held against its size and checksum. */
async function open(where: string, bytes: Uint8Array, at: number) {
  const broken = (what: string): never => {
    throw new QueryError(
      `${where} is a summary that is ${what}; make it again, or copy it in full`,
    );
  };
  // Magic, a number, a checksum: never more than this.
  const most = MAGIC.length + 20 + SHA256;
  const head = new TextDecoder('latin1').decode(bytes.subarray(at, at + most));
  const found = /^plimsoll-summary\/1 (\d{1,15}) ([0-9a-f]{64}) /.exec(head);
  if (!found) {
    if (!head.startsWith(MAGIC)) return broken('followed by something else');
    return broken(bytes.length - at < most ? 'cut short' : 'damaged at its beginning');
  }
  const start = at + found[0].length;
  const end = start + Number(found[1]);
  if (bytes.length < end) return broken(`cut short by ${end - bytes.length} bytes`);
  const content = bytes.subarray(start, end);
  if ((await sha256([content])) !== found[2]) return broken('damaged: its checksum is another');
  if (end < bytes.length && bytes[end] !== NEWLINE) return broken('longer than it says');
  return { content, end: end + 1 };
}

/** @throws QueryError for what is not as `writeSummary` writes it. */
async function parse(where: string, content: Uint8Array): Promise<Summary> {
  const { flawOf } = await import('./summary-shape.ts');
  const first = content.indexOf(TAB);
  const second = content.indexOf(TAB, first + 1);
  const end = second < 0 ? content.length : second;
  const ids = content.subarray(end);
  let shards: unknown;
  let given: unknown;
  try {
    shards = JSON.parse(exact.decode(content.subarray(0, Math.max(first, 0))));
    given = JSON.parse(exact.decode(content.subarray(first + 1, end)));
  } catch (cause) {
    throw stranger(where, cause);
  }
  const flaw = flawOf(shards, given);
  if (flaw !== null) throw stranger(where, flaw);
  const body = given as Body;
  const hosts = body.kinds.reduce((n, k) => n + k.hosts, 0);
  if (!areIds(ids, body.ids ? hosts : 0)) throw stranger(where, 'ids');
  const summary = { where, hosts, body, ids };
  return {
    where,
    shards: shards as string[],
    hosts,
    body,
    check: (catalog, needs) => check(catalog, summary, needs),
    enter: async (catalog, gatherer, needs, kindsOnly = false) => {
      await check(catalog, summary, needs);
      return enter(catalog, gatherer, summary, needs, kindsOnly);
    },
  };
}

const stranger = (where: string, cause: unknown): QueryError =>
  new QueryError(
    `${where} is a summary that plimsoll did not write; make it anew with plimsoll summarize`,
    { cause },
  );

/**
 * Whether just so many ids are there, each behind a tab. Nothing is made of them before: a number may be of more hosts
 * than there is memory for.
 */
function areIds(text: Uint8Array, count: number): boolean {
  let ids = 0;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i]!;
    if (byte === TAB) {
      if (i + 1 === text.length || text[i + 1] === TAB) return false;
      ids++;
    } else if (byte === BACKSLASH && !isEscape(text, i)) return false;
  }
  if (ids !== count || (ids === 0 && text.length > 0)) return false;
  return isUtf8(text);
}

const isEscape = (text: Uint8Array, at: number): boolean =>
  /^\\u[0-9a-f]{4}$/.test(String.fromCharCode(...text.subarray(at, at + 6)));

function isUtf8(text: Uint8Array): boolean {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    for (let at = 0; at < text.length; at += PIECE)
      decoder.decode(text.subarray(at, at + PIECE), { stream: true });
    decoder.decode();
    return true;
  } catch {
    return false;
  }
}

interface Parsed {
  readonly where: string;
  readonly hosts: number;
  readonly body: Body;
  readonly ids: Uint8Array;
}

/** @throws QueryError for a summary that this catalog, or this question, can make nothing of. */
async function check(
  catalog: Catalog,
  { where, hosts, body }: Parsed,
  needs: SummaryNeeds,
): Promise<void> {
  if (body.catalog !== (await fingerprint(catalog))) checkNames(catalog, where, body);
  else if (body.rows.some((names) => names.some((name) => catalog.findQemu(name)?.name !== name)))
    throw stranger(where, 'rows');
  if (needs.ids && !body.ids && hosts > 0)
    throw new QueryError(
      `${where} is a summary without the names of its hosts; ask with --no-ids, or summarize again without it`,
    );
  for (const key of needs.keys)
    if (!body.keep.includes(key) && hosts > 0)
      throw new QueryError(
        `${where} is a summary that kept no key "${key}"; summarize again with --keep ${key}`,
      );
}

function enter(
  catalog: Catalog,
  gatherer: Gatherer,
  { where, hosts, body, ids }: Parsed,
  needs: SummaryNeeds,
  kindsOnly: boolean,
): readonly number[] {
  for (const key of body.keys) gatherer.key(key);
  const rows = body.rows.map((names) => catalogRow(catalog, names));
  const kinds = body.kinds.map(({ kind }) => gatherer.kind(kindOfRecord(kind, rows)));
  if (kindsOnly) return kinds;
  if (needs.ids) {
    const each = new Uint32Array(hosts);
    let at = 0;
    for (const [i, { hosts: n }] of body.kinds.entries()) {
      each.fill(kinds[i]!, at, at + n);
      at += n;
    }
    gatherer.add(where, batchesOf(ids, each), true);
  } else {
    const counts: number[] = [];
    for (const [i, { hosts: n }] of body.kinds.entries()) counts[kinds[i]!] = n;
    gatherer.count(counts);
  }
  return kinds;
}

function catalogRow(catalog: Catalog, names: readonly string[]): Row {
  const row = emptyRow(catalog.bits);
  for (const name of names) setBit(row, catalog.feature(name).id);
  return row;
}

const kindOfRecord = (k: KindRecord, rows: readonly Row[]): Kind => ({
  libvirt: null,
  tsc: null,
  asked: null,
  saved: null,
  ...k,
  has: rows[k.has]!,
  known: rows[k.known]!,
  models: Object.fromEntries(
    Object.entries(k.models).map(([product, list]) => [product, new Map(list) as ModelList]),
  ),
});

/** Names of another catalog hold where this one means the same by each of them. */
function checkNames(catalog: Catalog, where: string, body: Body): void {
  const other = (name: string, what: string): never => {
    throw new QueryError(
      `${where} is a summary by another catalog, ${what} "${name}"; summarize again with this version`,
    );
  };
  for (const name of new Set(body.rows.flat()))
    if (catalog.findQemu(name)?.name !== name)
      other(name, 'and this one does not know its feature');
  for (const { kind } of body.kinds)
    for (const name of [...kind.unnamed, ...kind.unnamedUnknown])
      if (isX86(kind) && catalog.find(name)) other(name, 'which did not know');
}

const fingerprints = new WeakMap<Catalog, Promise<string>>();

/** What tells catalogs apart, as far as a row is concerned. */
function fingerprint(catalog: Catalog): Promise<string> {
  const known = fingerprints.get(catalog);
  if (known) return known;
  const names = catalog.features.map((f) => [f.name, ...f.aliases]);
  const made = sha256([new TextEncoder().encode(JSON.stringify(names))]);
  fingerprints.set(catalog, made);
  return made;
}

async function sha256(pieces: readonly Uint8Array[]): Promise<string> {
  const all = new Uint8Array(pieces.reduce((n, piece) => n + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', all));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** An id as it can stand between tabs on a line. */
const escapeId = (id: string): string => printable(id.replaceAll('\\', '\\u005c'));
