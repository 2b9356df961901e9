// A snapshot of a fleet in Arrow's file format, for pandas, DuckDB, Spark and plimsoll itself: a row a host, its
// features a dictionary of fixed-size bit strings. What the rows mean is in the metadata of the schema.
import type { Vector } from 'apache-arrow';
import type { Row } from '../core/rows.ts';
import type { Catalog } from '../cpu/catalog/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Fleet } from './fleet.ts';
import type { Gatherer } from './gather.ts';
import { batchOf } from './hosts.ts';
import { readSummaries, type SummaryNeeds, type SummaryOptions, writeSummary } from './summary.ts';

const MAGIC = 'ARROW1';
/** Names of features by bit, as a JSON list. */
const FEATURES = 'plimsoll.features';
/** The summary of the fleet without names: kinds in the order in which `kind` counts them. */
const SUMMARY = 'plimsoll.summary';

export const isArrow = (head: Uint8Array): boolean =>
  new TextDecoder('latin1').decode(head.subarray(0, MAGIC.length)) === MAGIC;

const exact = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The texts of a column; the library itself leaves out a byte order mark that one begins with. */
function textsOf(column: Vector): string[] {
  if (column.nullCount > 0) throw new TypeError('a text is missing');
  return column.data.flatMap(({ values, valueOffsets, length }) =>
    Array.from({ length }, (_, i) =>
      exact.decode(values.subarray(valueOffsets[i]!, valueOffsets[i + 1])),
    ),
  );
}

const library = () => import('apache-arrow');

/** The snapshot of a fleet whose hosts have names. */
export async function writeArrow(fleet: Fleet, options: SummaryOptions): Promise<Uint8Array> {
  const arrow = await library();
  // As the summary counts kinds, so does the column: equal ones are one there.
  const order = new Map<number, number>();
  const line = await writeSummary(fleet, { ...options, ids: false }, order);
  const hosts = [...fleet.ids()];
  const { length } = hosts;
  const classes = Int32Array.from(hosts, (host) => fleet.classOfKind[host.kind]!);
  const bytes = fleet.bits >> 3;
  const rows = (of: (index: number) => Row) => {
    const data = new Uint8Array(fleet.classes.length * bytes);
    for (const index of fleet.classes.keys())
      data.set(new Uint8Array(of(index).buffer.slice(0)).subarray(0, bytes), index * bytes);
    const type = new arrow.FixedSizeBinary(bytes);
    const dictionary = arrow.makeVector(
      arrow.makeData({ type, length: fleet.classes.length, data }),
    );
    const indices = new arrow.Dictionary(type, new arrow.Int32());
    return arrow.makeVector(arrow.makeData({ type: indices, length, data: classes, dictionary }));
  };
  const names = batchOf(
    hosts.map((host) => host.id),
    [],
  );
  const valueOffsets = new Int32Array(length + 1);
  valueOffsets.set(names.ends, 1);
  const text = (values: readonly (string | null)[]) =>
    arrow.vectorFromArray(values, new arrow.Dictionary(new arrow.Utf8(), new arrow.Int32()));
  const facts = <T>(of: (facts: Fleet['classes'][number]) => T): T[] =>
    Array.from(classes, (index) => of(fleet.classes[index]!));
  const table = new arrow.Table({
    host: arrow.makeVector(
      arrow.makeData({ type: new arrow.Utf8(), length, valueOffsets, data: names.ids }),
    ),
    kind: arrow.makeVector(Int32Array.from(hosts, (host) => order.get(host.kind)!)),
    arch: text(facts((f) => f.arch)),
    vendor: text(facts((f) => f.vendor)),
    view: text(facts((f) => f.view)),
    physBits: arrow.vectorFromArray(
      facts((f) => f.physBits),
      new arrow.Int32(),
    ),
    features: rows((index) => fleet.has(index)),
    known: rows((index) => fleet.known(index)),
  });
  const bits = [...fleet.catalog.features.map((f) => f.name), ...fleet.unnamed];
  const metadata = new Map([
    [FEATURES, JSON.stringify(bits)],
    [SUMMARY, line.map((piece) => exact.decode(piece)).join('')],
  ]);
  const schema = new arrow.Schema(table.schema.fields, metadata);
  return arrow.tableToIPC(new arrow.Table(schema, table.batches), 'file');
}

/**
 * Gives the hosts of a snapshot to a gatherer; answers how many there are.
 * @throws QueryError for a file that plimsoll did not write, or that is cut or damaged.
 */
export async function readArrow(
  catalog: Catalog,
  gatherer: Gatherer,
  name: string,
  bytes: Uint8Array,
  needs: SummaryNeeds,
): Promise<number> {
  const { tableFromIPC } = await library();
  const refuse = (cause?: unknown) =>
    new QueryError(
      `${name} is an Arrow file that plimsoll did not write, or not all of one; give what plimsoll summarize --to arrow wrote`,
      { cause },
    );
  let hosts: string[];
  let kinds: Uint32Array;
  let line: string | undefined;
  try {
    const table = tableFromIPC(bytes);
    line = table.schema.metadata.get(SUMMARY);
    hosts = textsOf(table.getChild('host')!);
    kinds = Uint32Array.from(table.getChild('kind')!);
  } catch (error) {
    throw refuse(error);
  }
  const [summary] = await readSummaries(name, new TextEncoder().encode(line ?? ''));
  if (!summary || summary.body.ids || kinds.length !== hosts.length) throw refuse();
  const counts = new Float64Array(summary.body.kinds.length);
  for (const kind of kinds) counts[kind]!++;
  if (hosts.includes('') || summary.body.kinds.some(({ hosts: n }, kind) => counts[kind] !== n))
    throw refuse();
  const numbers = await summary.enter(catalog, gatherer, { ...needs, ids: false }, true);
  const counted = kinds.map((kind) => numbers[kind]!);
  if (needs.ids) gatherer.add(name, [{ ...batchOf(hosts, counted), ascending: false }], true);
  else {
    const byNumber: number[] = [];
    for (const [kind, number] of numbers.entries()) byNumber[number] = counts[kind]!;
    gatherer.count(byNumber);
  }
  return hosts.length;
}
