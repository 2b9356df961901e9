// From inputs to a fleet: recognise, read, name, and join what several documents say about one host.
import type { Catalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Description } from '../cpu/host.ts';
import { byBytes } from '../cpu/order.ts';
import { isArrow, readArrow } from '../fleet/arrow.ts';
import { Fleet, type Skipped } from '../fleet/fleet.ts';
import { type Arrival, Gatherer } from '../fleet/gather.ts';
import { batchOf } from '../fleet/hosts.ts';
import { hostIds } from '../fleet/ids.ts';
import { kindOf } from '../fleet/kind.ts';
import { isSummary, readSummaries } from '../fleet/summary.ts';
import { Alike, type AlikeOptions, firstTag } from './alike.ts';
import { cpuinfo } from './cpuinfo.ts';
import { CpuinfoScan } from './cpuinfo-scan.ts';
import type { Dialect, Input, Skip, Stream } from './dialect.ts';
import { dialectByName, dialectNames, recogniseDialect } from './index.ts';
import { descriptionsIn, libvirt } from './libvirt.ts';
import { ELEMENTS } from './libvirt-element.ts';
import { isOneValue, records } from './records.ts';
import { keepOnly, RecordScan, recordKeys } from './scan.ts';
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
  /** A fleet without hosts is an answer, too. */
  readonly mayBeEmpty?: boolean;
}

/** An input that could not even be opened; the place where files are opened throws it in the file's stead. */
export interface Unreadable {
  readonly name: string;
  readonly error: QueryError;
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

/** What was typed, opened: whole, piece by piece, or not at all. */
export type Opened = Input | Stream | Unreadable;

/** Problems of inputs, as they come. */
class Problems {
  readonly list: Skipped[] = [];
  readonly #goesOn: boolean;

  constructor(options: ReadOptions) {
    this.#goesOn = options.skipUnreadable ?? false;
  }

  /** Takes a problem of an input whose other hosts are read; undefined where none is to be left out. */
  skip(input: string): Skip | undefined {
    return this.#goesOn ? (problem) => this.#add(input, problem) : undefined;
  }

  has(input: string): boolean {
    return this.list.some((problem) => problem.input === input);
  }

  /** Reads an input; what it throws is noted. */
  async attempt(input: Opened, read: () => Promise<void>): Promise<void> {
    try {
      if ('error' in input) throw input.error;
      await read();
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      this.#add(input.name, error);
    }
  }

  /** @throws QueryError with one line a problem, unless they may be skipped and some hosts are there. */
  settle(hosts: boolean): Skipped[] {
    if (this.list.length > 0 && !(this.#goesOn && hosts))
      throw new QueryError(this.list.map((p) => p.reason).join('\n'));
    if (!hosts) throw new QueryError('no hosts: the inputs describe none');
    return this.list.sort((a, b) => byBytes(a.input, b.input));
  }

  #add(input: string, error: QueryError): void {
    this.list.push(skippedFor(input, error));
  }
}

/** An input that is left out, with the line that its problem names. */
export function skippedFor(input: string, { message }: QueryError): Skipped {
  const line = message.match(/:(\d+)(?::\d+)?: /)?.[1];
  return { input, ...(line ? { line: Number(line) } : {}), reason: message };
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
  const placed: { input: string; host: string | null; description: Description }[] = [];
  const problems = new Problems(options);
  const alike = new Alike(alikeDescriptions(catalog));
  for await (const input of inputs)
    await problems.attempt(input, async () => {
      const whole = await wholeOf(input as Input | Stream);
      const descriptions =
        (await readAlike(alike, whole, dialect)) ??
        (await readInput(catalog, whole, dialect, problems.skip(input.name)));
      for (const description of descriptions)
        placed.push({ input: input.name, host: description.host, description });
    });
  alike.free();
  const skipped = problems.settle(placed.length > 0);
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
export async function readFleet(
  catalog: Catalog,
  inputs: Inputs,
  options: ReadOptions = {},
): Promise<Fleet> {
  const dialect = dialectOf(options);
  const problems = new Problems(options);
  const ids = !options.noIds;
  const gatherer = new Gatherer(catalog, ids);
  const shards = new Shards();
  const alike = new Alike(alikeDescriptions(catalog));
  const known = new WeakMap<Description, Placed>();
  const placed = (d: Description): Placed => {
    let found = known.get(d);
    if (!found) {
      for (const key of Object.keys(d.keys)) gatherer.key(key);
      const kind = gatherer.kind(kindOf(catalog, keepOnly(d, options.keep)));
      const name = d.host ?? '';
      found = { name, kind, alone: [{ ...batchOf([name], [kind]), ascending: false }] };
      known.set(d, found);
    }
    return found;
  };
  let processors: CpuinfoScan | undefined;
  let hosts = 0;
  const enter = (input: string, found: readonly Description[]): void => {
    hosts += found.length;
    if (found.length === 1) {
      gatherer.add(input, placed(found[0]!).alone);
      return;
    }
    const all = found.map(placed);
    const names = all.map((host) => host.name);
    const kinds = all.map((host) => host.kind);
    gatherer.add(input, [{ ...batchOf(names, kinds), ascending: false }]);
  };
  const takeAlike = (input: Input): boolean => {
    const found = alike.read(input, () => isLibvirt(input.bytes, dialect));
    if (found !== null) enter(input.name, found);
    return found !== null;
  };
  const take = (input: Opened): Promise<void> =>
    problems.attempt(input, async () => {
      const opened = kept(input as Input | Stream);
      const skip = problems.skip(input.name);
      if (isSummary('bytes' in opened ? opened.bytes : opened.head)) {
        const { name, bytes } = await wholeOf(opened);
        const needs = { ids, keys: options.asked ?? [] };
        for (const summary of await readSummaries(name, bytes)) {
          shards.add(summary);
          await summary.enter(catalog, gatherer, needs);
          problems.list.push(...summary.body.skipped);
          hosts += summary.hosts;
        }
        return;
      }
      if (isArrow('bytes' in opened ? opened.bytes : opened.head)) {
        const { name, bytes } = await wholeOf(opened);
        hosts += await readArrow(catalog, gatherer, name, bytes, {
          ids,
          keys: options.asked ?? [],
        });
        return;
      }
      if (options.mayBeEmpty && isEmpty(opened)) return;
      const scanned = scannedAs(opened, dialect);
      if (scanned === cpuinfo) {
        processors ??= new CpuinfoScan(catalog, gatherer);
        const found = await processors.read(opened, skip);
        if (found === 0 && !problems.has(input.name)) throw noCpu(input.name, cpuinfo);
        hosts += found;
        return;
      }
      if (options.keep !== undefined && scanned === records) {
        const scan = new RecordScan(catalog, gatherer, input.name, {
          ids,
          keep: options.keep,
          skip,
        });
        if ('bytes' in opened) scan.push(opened.bytes);
        // What may be skipped is judged as it comes.
        else if (opened.scan && !skip)
          scan.take(await opened.scan(recordKeys(catalog, options.keep), ids));
        else await scan.run(opened.read);
        if (scan.hosts === 0 && !problems.has(input.name)) throw noCpu(input.name, records);
        hosts += scan.hosts;
        return;
      }
      // What is at hand was tried.
      const left = 'again' in opened && !opened.again ? await wholeOf(opened) : opened;
      const descriptions =
        ('bytes' in opened ? null : await readAlike(alike, left, dialect)) ??
        (await readInput(catalog, await wholeOf(left), dialect, skip));
      enter(input.name, descriptions);
    });
  await takeEach(inputs, (input) => {
    if (!('bytes' in input && firstTag(input.bytes) >= 0)) return take(input);
    if (alike.isReady) return takeAlike(input) ? undefined : take(input);
    return alike
      .prepare(input.bytes.length)
      .then(() => (takeAlike(input) ? undefined : take(input)));
  });
  alike.free();
  processors?.free();
  const skipped = problems.settle(hosts > 0 || options.mayBeEmpty === true);
  return new Fleet(catalog, gatherer.finish(), { skipped, listed: options.noIds ? 0 : undefined });
}

/** An input that stays when the next is asked for. */
const kept = (input: Input | Stream): Input | Stream =>
  'bytes' in input && input.passes ? { name: input.name, bytes: input.bytes.slice() } : input;

const isEmpty = (input: Input | Stream): boolean =>
  ('bytes' in input ? input.bytes : input.head).length === 0;

const wholeOf = async (input: Input | Stream): Promise<Input> =>
  'bytes' in input ? input : { name: input.name, bytes: await input.whole() };

/** The language of an input of which the core can sort the text, where that is long enough to be worth it. */
function scannedAs(input: Input | Stream, dialect: Dialect | undefined): Dialect | undefined {
  const head = 'bytes' in input ? input.bytes : input.head;
  const isShort = 'bytes' in input && head.length < SCANNED;
  if (head.length === 0 || (isShort && head[0] !== SMALL_P)) return undefined;
  const start = head.subarray(0, HEAD);
  const reader = dialect ?? recogniseDialect(new TextDecoder().decode(start));
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
  dialect: Dialect | undefined,
): Promise<readonly Description[] | null> {
  const head = 'bytes' in input ? input.bytes : input.head;
  if (firstTag(head) < 0) return null;
  if (!alike.isReady) await alike.prepare(head.length);
  if ('bytes' in input) return alike.read(input, () => isLibvirt(head, dialect));
  return isLibvirt(head, dialect)
    ? alike.stream({ name: input.name, bytes: head }, (into) => input.read(into))
    : null;
}

const isLibvirt = (head: Uint8Array, dialect: Dialect | undefined): boolean =>
  (dialect ?? recognised(head)) === libvirt;

const recognised = (bytes: Uint8Array): Dialect | undefined =>
  recogniseDialect(new TextDecoder().decode(bytes.subarray(0, HEAD)));

async function readInput(
  catalog: Catalog,
  input: Input,
  dialect: Dialect | undefined,
  skip: Skip | undefined,
): Promise<Description[]> {
  if (input.bytes.length === 0)
    throw new QueryError(`${input.name} is empty; give a host description or leave the file out`);
  const reader = dialect ?? recognised(input.bytes);
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
  const descriptions = await reader.read!(input, catalog, skip && count);
  if (descriptions.length === 0 && skipped === 0) throw noCpu(input.name, reader);
  return descriptions;
}

const noCpu = (input: string, { name }: Dialect): QueryError =>
  new QueryError(`${input} describes no CPU, although it looks like ${name}`);
