// From inputs to a fleet: recognise, read, name, and join what several documents say about one host.
import type { Catalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import { type Description, withKernel } from '../cpu/host.ts';
import { byBytes } from '../cpu/order.ts';
import { isArrow, readArrow } from '../fleet/arrow.ts';
import { Fleet, type Skipped } from '../fleet/fleet.ts';
import { type Arrival, Gatherer } from '../fleet/gather.ts';
import { batchOf } from '../fleet/hosts.ts';
import { hostIds, toldApart } from '../fleet/ids.ts';
import { isSummary, readSummaries } from '../fleet/summary.ts';
import { Alike, type AlikeOptions, firstTag } from './alike.ts';
import { cpuinfo } from './cpuinfo.ts';
import { CpuinfoScan } from './cpuinfo-scan.ts';
import { keepOnly } from './described.ts';
import type { Dialect, Input, Skip, Stream } from './dialect.ts';
import { dialectByName, dialectNames, recogniseDialect } from './index.ts';
import { descriptionsIn, libvirt } from './libvirt.ts';
import { ELEMENTS } from './libvirt-element.ts';
import { isBeside, whatElse } from './others.ts';
import { type Opened, Problems } from './problems.ts';
import { withModels } from './proxmox-config.ts';
import { isOneValue, records } from './records.ts';
import { RecordScan, recordKeys } from './scan.ts';
import { Shards } from './summary.ts';

export interface ReadOptions {
  /** Read every input in this dialect instead of recognising it. */
  readonly from?: string;
  /** Go on without inputs that cannot be read, and list them. */
  readonly skipUnreadable?: boolean;
  /** Look for no two documents of one host, and list no hosts by id. */
  readonly noIds?: boolean;
  /** The keys of host records that questions will be about; all of them where absent, which takes longer. */
  readonly keep?: readonly string[];
  /** Of these keys those without which the question has no answer: a summary must have kept them. */
  readonly asked?: readonly string[];
  /**
   * What is asked for: hosts (the default), guests, or any CPU. A guest may be one that its software refuses, which is
   * an answer; and a saved answer is a guest, but no host.
   */
  readonly takes?: 'hosts' | 'guests' | 'cpus';
  /** What is in no dialect is a line a guest: all that stands after a -cpu. */
  readonly lines?: boolean;
  /** The kernel of hosts that do not tell theirs, as uname -r prints it: what KVM gives there depends on it. */
  readonly kernel?: string;
  /** Whether what hosts were described by is kept, so that they can be asked as if they ran another kernel. */
  readonly keepDescribed?: boolean;
  /** A fleet without hosts is an answer, too. */
  readonly mayBeEmpty?: boolean;
}

const HEAD = 64 * 1024;
/** Records of fewer bytes are read one by one: as fast, and the scanner has no tables to set up. */
const SCANNED = 64 * 1024;
/** The first letter of /proc/cpuinfo. */
const SMALL_P = 0x70;

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

/** @throws QueryError for a description of what was not asked for. */
function checkTaken(input: string, d: Description, { takes = 'hosts' }: ReadOptions): void {
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
): Promise<{ read: Read[]; skipped: Skipped[] }> {
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
        (await readAlike(alike, whole, known)) ??
        (await readInput(catalog, whole, known, problems.skip(input.name), options));
      for (const description of descriptions) checkTaken(input.name, description, options);
      for (const description of descriptions)
        found.push({
          input: input.name,
          description: kernel === null ? description : settle(description),
        });
    }),
  );
  alike.free();
  const skipped = problems.settle(found.length > 0, options.takes);
  const named = withModels(catalog, found).map(({ input, description }) => ({
    input,
    host: description.host,
    line: description.line,
    description,
  }));
  // Hosts of one name are one, which is for the fleet to say; guests are as many as there are.
  const placed = options.takes === 'guests' ? toldApart(named) : named;
  const ids = hostIds(placed);
  // In the order of their ids, so that the order of the inputs decides nothing.
  const read = placed
    .map(({ input, description }, i) => ({ id: ids[i]!, input, description }))
    .sort((a, b) => byBytes(a.id, b.id) || byBytes(a.input, b.input));
  return { read, skipped };
}

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
  /** Guests that another input tells more of: VMs, the models that they name, and others of their names. */
  readonly #linked: { input: string; description: Description }[] = [];
  #processors: CpuinfoScan | undefined;
  #hosts = 0;

  constructor(catalog: Catalog, options: ReadOptions) {
    this.#catalog = catalog;
    this.#options = options;
    this.#dialect = dialectOf(options);
    this.#problems = new Problems(options);
    this.#gatherer = new Gatherer(catalog, !options.noIds, options.kernel, options.keepDescribed);
    this.#alike = new Alike(alikeDescriptions(catalog));
  }

  async read(inputs: Inputs): Promise<Fleet> {
    await takeEach(inputs, (input) => this.#take(input));
    this.#enterLinked();
    this.#alike.free();
    this.#processors?.free();
    const { noIds, mayBeEmpty } = this.#options;
    const { takes } = this.#options;
    const skipped = this.#problems.settle(this.#hosts > 0 || mayBeEmpty === true, takes);
    const listed = noIds ? 0 : undefined;
    return new Fleet(this.#catalog, this.#gatherer.finish(), { skipped, listed });
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
    const found = this.#alike.read(input, () => known() === libvirt);
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
    if (scanned === records && this.#options.keep !== undefined)
      return this.#takeRecords(opened, this.#options.keep);
    return this.#takeOthers(opened, known);
  }

  async #takeSummaries({ name, bytes }: Input): Promise<void> {
    for (const summary of await readSummaries(name, bytes)) {
      this.#shards.add(summary);
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
    const alike = 'bytes' in opened ? null : await readAlike(this.#alike, left, known);
    const skip = this.#problems.skip(opened.name);
    this.#enter(
      opened.name,
      alike ?? (await readInput(this.#catalog, await wholeOf(left), known, skip, this.#options)),
    );
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
    const isGuest = this.#options.takes === 'guests' && found[0]!.view === 'guest';
    if (isGuest || found[0]!.asked?.by === 'proxmox')
      this.#linked.push(...found.map((description) => ({ input, description })));
    else this.#enterAll(input, found);
  }

  #enterLinked(): void {
    const linked = withModels(this.#catalog, this.#linked);
    const placed = linked.map(({ input, description: d }) => ({
      input,
      host: d.host,
      line: d.line,
    }));
    const names = this.#options.takes === 'guests' ? toldApart(placed) : placed;
    const byInput = new Map<string, Description[]>();
    for (const [i, { input, description }] of linked.entries()) {
      const { host } = names[i]!;
      const found = byInput.get(input) ?? [];
      byInput.set(input, found);
      found.push(host === description.host ? description : { ...description, host });
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
const kept = (input: Input | Stream): Input | Stream =>
  'bytes' in input && input.passes ? { name: input.name, bytes: input.bytes.slice() } : input;

const headOf = (input: Input | Stream): Uint8Array => ('bytes' in input ? input.bytes : input.head);

const wholeOf = async (input: Input | Stream): Promise<Input> =>
  'bytes' in input ? input : { name: input.name, bytes: await input.whole() };

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
): Promise<readonly Description[] | null> {
  const head = headOf(input);
  if (firstTag(head) < 0) return null;
  if (!alike.isReady) await alike.prepare(head.length);
  if ('bytes' in input) return alike.read(input, () => known() === libvirt);
  return known() === libvirt
    ? alike.stream({ name: input.name, bytes: head }, (into) => input.read(into))
    : null;
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
  skip: Skip | undefined,
  { from, takes = 'hosts', lines = false }: ReadOptions,
): Promise<Description[]> {
  const wanted = takes === 'guests' ? 'guests' : 'a host description';
  if (input.bytes.length === 0)
    throw new QueryError(`${input.name} is empty; give ${wanted} or leave the file out`);
  const found = known();
  const reader = found ?? (lines ? dialectByName('qemu') : undefined);
  const other = found === undefined || found === records ? headText(input.bytes) : '';
  const what = from === undefined ? whatElse(other) : null;
  if (what !== null) throw new QueryError(`${input.name} ${what}`);
  if (found === undefined && isBeside(other)) return [];
  if (!reader && input.bytes.subarray(0, HEAD).includes(0))
    throw new QueryError(
      `${input.name} holds zero bytes, so it is no text or UTF-16; give text in UTF-8`,
    );
  if (!reader)
    throw new QueryError(
      `${input.name} is in no dialect that plimsoll recognises (${dialectNames('read').join(', ')}); if it is one of these, say so with --from`,
    );
  let skipped = 0;
  const count: Skip = (problem) => {
    skipped++;
    skip?.(problem);
  };
  let others = 0;
  const descriptions = await reader.read!(input, catalog, skip && count, () => others++);
  if (descriptions.length === 0 && skipped + others === 0) throw noCpu(input.name, reader);
  return descriptions;
}

const noCpu = (input: string, { name }: Dialect): QueryError =>
  new QueryError(`${input} describes no CPU, although it looks like ${name}`);
