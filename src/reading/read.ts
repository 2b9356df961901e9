// From inputs to a fleet: recognise, read, name, and join what several documents say about one host.
import type { Catalog } from '../cpu/catalog/catalog.ts';
import { checkNames, type Description, withKernel } from '../cpu/description.ts';
import { QueryError } from '../cpu/errors.ts';
import { byBytes } from '../cpu/order.ts';
import { type Dialect, HEAD, type Input, type Skip, type Stream } from '../dialects/dialect.ts';
import { dialectByName, dialectNames, recogniseDialect } from '../dialects/index.ts';
import { cpuinfo } from '../dialects/kernel/cpuinfo.ts';
import { CpuinfoScan } from '../dialects/kernel/cpuinfo-scan.ts';
import { descriptionsIn, libvirt } from '../dialects/libvirt/libvirt.ts';
import { ELEMENTS } from '../dialects/libvirt/libvirt-element.ts';
import { Alike, type AlikeOptions, firstTag } from '../dialects/libvirt/repeated-xml.ts';
import { areScannable, RecordScan, recordKeys } from '../dialects/records/record-scan.ts';
import { isOneValue, records } from '../dialects/records/records.ts';
import { Shards } from '../dialects/records/summary-line.ts';
import { keepOnly } from '../dialects/words/blank-description.ts';
import { isArrow, readArrow } from '../fleet/arrow.ts';
import { otherKinds, withoutGuests, withoutHosts } from '../fleet/aside.ts';
import { Fleet, type LeftAside, type Skipped } from '../fleet/fleet.ts';
import { type Arrival, Gatherer } from '../fleet/gather.ts';
import { batchOf } from '../fleet/hosts.ts';
import { distinctIds, hostIds } from '../fleet/ids.ts';
import { isSummary, readSummaries } from '../fleet/summary.ts';
import { isGatherVersion, whatElse } from './no-host.ts';
import { type Opened, Problems, type ReadOptions } from './problems.ts';
import { isSettledBeside, settledBeside } from './settled.ts';

/** Records of fewer bytes are read one by one: as fast, and the scanner has no tables to set up. */
const SCANNED = 64 * 1024;
/** The first letter of /proc/cpuinfo. */
const SMALL_P = 0x70;

export type { ReadOptions } from './problems.ts';

/** One CPU as a document describes it, with the id that it goes by. */
export interface Read {
  readonly id: string;
  readonly input: string;
  readonly description: Description;
}

/** Hosts of a kind, by the name that their document gives them, if any. */
interface Placed {
  readonly name: string;
  readonly kind: number;
  /** One of them that is alone in its input. */
  readonly alone: readonly Arrival[];
}

/** @throws QueryError for a description of what was not asked for, or with names that nobody can read. */
function checkTaken(input: string, d: Description, { takes = 'hosts' }: ReadOptions): void {
  checkNames(d.line === null ? input : `${input}:${d.line}`, d);
  if (takes === 'guests') return;
  if (takes === 'hosts' && d.saved)
    throw new QueryError(
      `${input} is a saved ${d.saved.schema === 'plimsoll.pin/1' ? 'pinned CPU' : 'baseline'}, which is a CPU for guests and no host; give it where a baseline or a guest is asked for`,
    );
  const refused =
    d.asked && d.asked.by !== 'libvirt' && d.notes.find((note) => note.code === 'refused');
  if (refused) throw new QueryError(refused.message);
}

function dialectOf(options: ReadOptions): Dialect | undefined {
  if (options.from === undefined) return undefined;
  const dialect = dialectByName(options.from);
  if (dialect?.read) return dialect;
  throw new QueryError(
    `--from "${options.from}" is no dialect that can be read; choose one of ${dialectNames('read').join(', ')}`,
  );
}

export type Inputs = AsyncIterable<Opened> | Iterable<Opened | Promise<Opened>>;

/** Takes one input after another. What is at hand is not waited for: ten thousand files would wait as often. */
async function takeEach(
  inputs: Inputs,
  take: (input: Opened) => Promise<void> | undefined,
): Promise<void> {
  if (Symbol.asyncIterator in inputs) for await (const input of inputs) await take(input);
  else
    for (const next of inputs) {
      const taken = take(next instanceof Promise ? await next : next);
      if (taken) await taken;
    }
}

/**
 * Reads every CPU of all inputs, in the order of their ids; what equal elements of XML say is one object.
 * @throws QueryError with one line a problem; with skipUnreadable only when nothing is left.
 */
export async function readDescriptions(
  catalog: Catalog,
  inputs: Inputs,
  options: ReadOptions = {},
): Promise<{ read: Read[]; skipped: Skipped[]; left: LeftAside[] }> {
  const dialect = dialectOf(options);
  const { kernel = null } = options;
  // Equal elements stay one object.
  const settled = new Map<Description, Description>();
  const settle = (d: Description): Description => {
    const known = settled.get(d) ?? withKernel(d, kernel);
    settled.set(d, known);
    return known;
  };
  const found: { input: string; description: Description }[] = [];
  const problems = new Problems(options);
  const alike = new Alike(alikeDescriptions(catalog));
  await takeEach(inputs, (input) =>
    problems.attempt(input, async () => {
      const whole = await wholeOf(input as Input | Stream);
      const known = knownOf(whole, dialect);
      const descriptions =
        (await readAlike(alike, whole, known, options)) ??
        (await readInput(catalog, whole, known, problems, options));
      for (const description of descriptions) checkTaken(input.name, description, options);
      for (const description of descriptions)
        found.push({
          input: input.name,
          description: kernel === null ? description : settle(description),
        });
    }),
  );
  alike.free();
  const skipped = problems.settle(found.length > 0);
  const placed = settledBeside(catalog, found).map((one) => ({
    ...one,
    host: one.description.host,
  }));
  const named = hostIds(placed);
  const all = placed.map(({ input, description }, i) => ({ id: named[i]!, input, description }));
  const left = otherKinds(problems.others);
  if (options.takes === 'guests') {
    const { guests, left: hosts } = withoutHosts(all);
    const ids = distinctIds(guests);
    const read = guests.map((guest, i): Read => ({ ...guest, id: ids[i]! }));
    return { read: read.sort(byId), skipped, left: [...left, ...hosts] };
  }
  // In the order of their ids, so that the order of the inputs decides nothing.
  return { read: all.sort(byId), skipped, left };
}

const byId = (a: Read, b: Read): number => byBytes(a.id, b.id) || byBytes(a.input, b.input);

/**
 * Reads all inputs into one fleet: documents that name the same host become one host.
 * @throws QueryError as readDescriptions, and where two documents contradict each other.
 */
export const readFleet = (
  catalog: Catalog,
  inputs: Inputs,
  options: ReadOptions = {},
): Promise<Fleet> => new FleetReader(catalog, options).read(inputs);

class FleetReader {
  readonly #catalog: Catalog;
  readonly #options: ReadOptions;
  readonly #dialect: Dialect | undefined;
  readonly #problems: Problems;
  readonly #gatherer: Gatherer;
  readonly #shards = new Shards();
  readonly #alike: Alike<Description>;
  readonly #placed = new WeakMap<Description, Placed>();
  /** VMs of Proxmox VE: another input may define the models that they name. */
  readonly #linked: { input: string; description: Description }[] = [];
  #processors: CpuinfoScan | undefined;
  #hosts = 0;

  constructor(catalog: Catalog, options: ReadOptions) {
    this.#catalog = catalog;
    this.#options = options;
    this.#dialect = dialectOf(options);
    this.#problems = new Problems(options);
    const { kernel, keepDescribed, takes } = options;
    this.#gatherer = new Gatherer(
      catalog,
      !options.noIds,
      kernel,
      keepDescribed,
      takes === 'guests',
    );
    this.#alike = new Alike(alikeDescriptions(catalog));
  }

  async read(inputs: Inputs): Promise<Fleet> {
    await takeEach(inputs, (input) => this.#take(input));
    this.#enterLinked();
    this.#alike.free();
    this.#processors?.free();
    const { noIds, mayBeEmpty, asHosts, takes = 'hosts' } = this.#options;
    const skipped = this.#problems.settle(this.#hosts > 0 || mayBeEmpty === true);
    const listed = noIds ? 0 : undefined;
    const left = otherKinds(this.#problems.others);
    const fleet = new Fleet(this.#catalog, this.#gatherer.finish(), { skipped, listed, left });
    return takes === 'hosts' && !asHosts ? withoutGuests(fleet) : fleet;
  }

  /** XML at hand is looked at first, and most often no more is to be done. */
  #take(input: Opened): Promise<void> | undefined {
    if (!('bytes' in input && firstTag(input.bytes) >= 0)) return this.#attempt(input);
    if (this.#alike.isReady) return this.#takeAlike(input) ? undefined : this.#attempt(input);
    return this.#alike
      .prepare(input.bytes.length)
      .then(() => (this.#takeAlike(input) ? undefined : this.#attempt(input)));
  }

  #takeAlike(input: Input): boolean {
    const known = knownOf(input, this.#dialect);
    const found = orNull(this.#options, () => this.#alike.read(input, () => known() === libvirt));
    if (found !== null) this.#enter(input.name, found);
    return found !== null;
  }

  #attempt(input: Opened): Promise<void> {
    return this.#problems.attempt(input, () => this.#read(kept(input as Input | Stream)));
  }

  async #read(opened: Input | Stream): Promise<void> {
    const head = headOf(opened);
    if (isSummary(head)) return this.#takeSummaries(await wholeOf(opened));
    if (isArrow(head)) return this.#takeSnapshot(await wholeOf(opened));
    if (this.#options.mayBeEmpty && head.length === 0) return;
    const known = knownOf(opened, this.#dialect);
    const scanned = scannedAs(opened, known);
    if (scanned === cpuinfo) return this.#takeProcessors(opened);
    if (scanned === records && areScannable(this.#options.keep))
      return this.#takeRecords(opened, this.#options.keep);
    return this.#takeOthers(opened, known);
  }

  async #takeSummaries({ name, bytes }: Input): Promise<void> {
    const summaries = await readSummaries(name, bytes);
    // All of a file or none of it, where it is to be skipped.
    for (const summary of summaries) await summary.check(this.#catalog, this.#needs);
    for (const summary of summaries) this.#shards.add(summary);
    for (const summary of summaries) {
      await summary.enter(this.#catalog, this.#gatherer, this.#needs);
      this.#problems.list.push(...summary.body.skipped);
      this.#hosts += summary.hosts;
    }
  }

  async #takeSnapshot({ name, bytes }: Input): Promise<void> {
    this.#hosts += await readArrow(this.#catalog, this.#gatherer, name, bytes, this.#needs);
  }

  async #takeProcessors(opened: Input | Stream): Promise<void> {
    const { keep } = this.#options;
    this.#processors ??= new CpuinfoScan(this.#catalog, this.#gatherer, { keep });
    const found = await this.#processors.read(opened, this.#problems.skip(opened.name));
    this.#count(opened, found, cpuinfo);
  }

  async #takeRecords(opened: Input | Stream, keep: readonly string[]): Promise<void> {
    const ids = !this.#options.noIds;
    const skip = this.#problems.skip(opened.name);
    const scan = new RecordScan(this.#catalog, this.#gatherer, opened.name, { ids, keep, skip });
    if ('bytes' in opened) scan.push(opened.bytes);
    // What may be skipped is judged as it comes.
    else if (opened.scan && !skip)
      scan.take(await opened.scan(recordKeys(this.#catalog, keep), ids));
    else await scan.run(opened.read);
    this.#count(opened, scan.hosts, records);
  }

  async #takeOthers(opened: Input | Stream, known: Known): Promise<void> {
    // What is at hand was tried.
    const left = 'again' in opened && !opened.again ? await wholeOf(opened) : opened;
    const alike =
      'bytes' in opened ? null : await readAlike(this.#alike, left, known, this.#options);
    const whole = async () =>
      readInput(this.#catalog, await wholeOf(left), known, this.#problems, this.#options);
    this.#enter(opened.name, alike ?? (await whole()));
  }

  /** What the question asks of those who have read hosts before. */
  get #needs() {
    return { ids: !this.#options.noIds, keys: this.#options.asked ?? [] };
  }

  #count({ name }: Input | Stream, found: number, dialect: Dialect): void {
    if (found === 0 && !this.#problems.has(name)) throw noCpu(name, dialect);
    this.#hosts += found;
  }

  #enter(input: string, found: readonly Description[]): void {
    if (found.length === 0) return;
    for (const description of found) checkTaken(input, description, this.#options);
    if (found.some(isSettledBeside))
      this.#linked.push(...found.map((description) => ({ input, description })));
    else this.#enterAll(input, found);
  }

  #enterLinked(): void {
    const byInput = new Map<string, Description[]>();
    for (const { input, description } of settledBeside(this.#catalog, this.#linked)) {
      const found = byInput.get(input) ?? [];
      byInput.set(input, found);
      found.push(description);
    }
    for (const [input, found] of byInput) this.#enterAll(input, found);
  }

  #enterAll(input: string, found: readonly Description[]): void {
    this.#hosts += found.length;
    if (found.length === 1) {
      this.#gatherer.add(input, this.#place(found[0]!).alone);
      return;
    }
    const all = found.map((description) => this.#place(description));
    const names = all.map((host) => host.name);
    const kinds = all.map((host) => host.kind);
    this.#gatherer.add(input, [{ ...batchOf(names, kinds), ascending: false }]);
  }

  /** Equal descriptions are one object, and one kind. */
  #place(description: Description): Placed {
    let placed = this.#placed.get(description);
    if (!placed) {
      for (const key of Object.keys(description.keys)) this.#gatherer.key(key);
      const kept = keepOnly(description, this.#options.keep);
      const kind = this.#gatherer.describe(kept);
      const name = description.host ?? '';
      placed = { name, kind, alone: [{ ...batchOf([name], [kind]), ascending: false }] };
      this.#placed.set(description, placed);
    }
    return placed;
  }
}

/** An input that stays when the next is asked for. */
function kept(input: Input | Stream): Input | Stream {
  if (!('bytes' in input && input.passes)) return input;
  const { passes: _, ...rest } = input;
  return { ...rest, bytes: input.bytes.slice() };
}

const headOf = (input: Input | Stream): Uint8Array => ('bytes' in input ? input.bytes : input.head);

async function wholeOf(input: Input | Stream): Promise<Input> {
  if ('bytes' in input) return input;
  const { name, contained } = input;
  return { name, bytes: await input.whole(), ...(contained ? { contained } : {}) };
}

/** The language of an input of which the core can sort the text, where that is long enough to be worth it. */
function scannedAs(input: Input | Stream, known: Known): Dialect | undefined {
  const head = headOf(input);
  const isShort = 'bytes' in input && head.length < SCANNED;
  if (head.length === 0 || (isShort && head[0] !== SMALL_P)) return undefined;
  const reader = known();
  if (reader === cpuinfo) return cpuinfo;
  return reader === records && !isShort && !isOneValue(head) ? records : undefined;
}

/** Descriptions in libvirt's XML, equal ones read once. */
const alikeDescriptions = (catalog: Catalog): AlikeOptions<Description> => ({
  elements: ELEMENTS,
  make: (element, input) => descriptionsIn(element, input, catalog),
});

/** What libvirt's XML says; null for any other, and where the library is to read it as a whole. */
async function readAlike(
  alike: Alike<Description>,
  input: Input | Stream,
  known: Known,
  options: ReadOptions,
): Promise<readonly Description[] | null> {
  const head = headOf(input);
  if (firstTag(head) < 0) return null;
  if (!alike.isReady) await alike.prepare(head.length);
  if ('bytes' in input) return orNull(options, () => alike.read(input, () => known() === libvirt));
  return known() === libvirt
    ? alike.stream({ name: input.name, bytes: head }, (into) => input.read(into))
    : null;
}

/** Null, too, where something of it cannot be read and the rest is wanted, or it may be no description at all. */
function orNull<T>({ skipUnreadable }: ReadOptions, read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (!skipUnreadable || !(error instanceof QueryError)) throw error;
    return null;
  }
}

const headText = (bytes: Uint8Array): string => new TextDecoder().decode(bytes.subarray(0, HEAD));

/** The language of an input, if it is one that is known: as somebody said, or recognised when it is first asked for. */
type Known = () => Dialect | undefined;

function knownOf(input: Input | Stream, given: Dialect | undefined): Known {
  let found: Dialect | null | undefined = given;
  return () => {
    found ??= recogniseDialect(headText(headOf(input))) ?? null;
    return found ?? undefined;
  };
}

async function readInput(
  catalog: Catalog,
  input: Input,
  known: Known,
  problems: Problems,
  { from, takes = 'hosts', lines = false }: ReadOptions,
): Promise<Description[]> {
  if (isBeside(input, known)) {
    problems.other(input.name.slice(input.name.lastIndexOf('/') + 1));
    return [];
  }
  const wanted = takes === 'guests' ? 'guests' : 'a host description';
  if (input.bytes.length === 0)
    throw new QueryError(`${input.name} is empty; give ${wanted} or leave the file out`);
  const found = known();
  const reader = found ?? (lines ? dialectByName('qemu') : undefined);
  const other = found === undefined || found === records ? headText(input.bytes) : '';
  const what = from === undefined ? whatElse(other) : null;
  if (what !== null) throw new QueryError(`${input.name} ${what}`);
  if (!reader && input.bytes.subarray(0, HEAD).includes(0))
    throw new QueryError(
      `${input.name} holds zero bytes, so it is no text or UTF-16; give text in UTF-8`,
    );
  if (!reader)
    throw new QueryError(
      `${input.name} is in no dialect that plimsoll recognises (${dialectNames('read').join(', ')}); if it is one of these, say so with --from`,
    );
  const skip = problems.skip(input.name);
  let aside = 0;
  const count: Skip = (problem) => {
    aside++;
    skip?.(problem);
  };
  const descriptions = await reader.read!(input, catalog, skip && count, (kind) => {
    aside++;
    problems.other(kind);
  });
  if (descriptions.length === 0 && aside === 0) throw noCpu(input.name, reader);
  return descriptions;
}

/** Whether a file of a folder of many kinds is none of those that describe a CPU: notes, logs and pages beside them. */
function isBeside({ name, bytes, contained }: Input, known: Known): boolean {
  if (!contained) return isGatherVersion(headText(bytes));
  return bytes.length === 0 || /\.(?:log|html?)$/i.test(name) || known() === undefined;
}

const noCpu = (input: string, { name }: Dialect): QueryError =>
  new QueryError(`${input} describes no CPU, although it looks like ${name}`);
