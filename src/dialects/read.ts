// From inputs to a fleet: recognise, read, name, and join what several documents say about one host.
import { join, meet, minus, size } from '../core/rows.ts';
import type { Catalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Description, View } from '../cpu/host.ts';
import { byBytes } from '../cpu/order.ts';
import { type Candidate, candidate, Fleet, type Skipped } from '../fleet/fleet.ts';
import { hostIds } from '../fleet/ids.ts';
import type { Dialect, Input, Skip } from './dialect.ts';
import { dialectByName, dialectNames, recogniseDialect } from './index.ts';

export interface ReadOptions {
  /** Read every input in this dialect instead of recognising it. */
  readonly from?: string;
  /** Go on without inputs that cannot be read, and list them. */
  readonly skipUnreadable?: boolean;
  /** Look for no two documents of one host, and list no hosts by id. */
  readonly noIds?: boolean;
}

/** An input that could not even be opened; the place where files are opened throws it in the file's stead. */
export interface Unreadable {
  readonly name: string;
  readonly error: QueryError;
}

const HEAD = 64 * 1024;
/** From the weakest word about guests to the strongest. */
const VIEWS: readonly View[] = ['guest', 'hardware', 'kernel', 'hypervisor'];

/** One CPU as a document describes it, with the id that it goes by. */
export interface Read {
  readonly id: string;
  readonly input: string;
  readonly description: Description;
}

/**
 * Reads every CPU of all inputs, in the order of their ids.
 * @throws QueryError with one line a problem; with skipUnreadable only when nothing is left.
 */
export async function readDescriptions(
  catalog: Catalog,
  inputs: AsyncIterable<Input | Unreadable> | Iterable<Input | Unreadable>,
  options: ReadOptions = {},
): Promise<{ read: Read[]; skipped: Skipped[] }> {
  const dialect = options.from === undefined ? undefined : dialectByName(options.from);
  if (options.from !== undefined && !dialect?.read)
    throw new QueryError(
      `--from "${options.from}" is no dialect that can be read; choose one of ${dialectNames('read').join(', ')}`,
    );
  const placed: { input: string; host: string | null; description: Description }[] = [];
  const problems: Skipped[] = [];
  for await (const input of inputs) {
    const skip = ({ message }: QueryError): void => {
      const line = message.match(/:(\d+)(?::\d+)?: /)?.[1];
      problems.push({
        input: input.name,
        ...(line ? { line: Number(line) } : {}),
        reason: message,
      });
    };
    try {
      if ('error' in input) throw input.error;
      const read = readInput(catalog, input, dialect, options.skipUnreadable ? skip : undefined);
      for (const description of await read)
        placed.push({ input: input.name, host: description.host, description });
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      skip(error);
    }
  }
  if (problems.length > 0 && !(options.skipUnreadable && placed.length > 0))
    throw new QueryError(problems.map((p) => p.reason).join('\n'));
  if (placed.length === 0) throw new QueryError('no hosts: the inputs describe none');
  const ids = hostIds(placed);
  // In the order of their ids, so that the order of the inputs decides nothing.
  const read = placed
    .map(({ input, description }, i) => ({ id: ids[i]!, input, description }))
    .sort((a, b) => byBytes(a.id, b.id) || byBytes(a.input, b.input));
  return { read, skipped: problems.sort((a, b) => byBytes(a.input, b.input)) };
}

/**
 * Reads all inputs into one fleet: documents that name the same host become one host.
 * @throws QueryError as readDescriptions, and where two documents contradict each other.
 */
export async function readFleet(
  catalog: Catalog,
  inputs: AsyncIterable<Input | Unreadable> | Iterable<Input | Unreadable>,
  options: ReadOptions = {},
): Promise<Fleet> {
  const { read, skipped } = await readDescriptions(catalog, inputs, options);
  const candidates = read.map(({ id, input, description }) => ({
    input,
    ...candidate(catalog, id, description),
  }));
  const hosts = options.noIds ? candidates : joinDocuments(catalog, candidates);
  return new Fleet(catalog, hosts, { skipped, listed: options.noIds ? 0 : undefined });
}

async function readInput(
  catalog: Catalog,
  input: Input,
  dialect: Dialect | undefined,
  skip: Skip | undefined,
): Promise<Description[]> {
  if (input.bytes.length === 0)
    throw new QueryError(`${input.name} is empty; give a host description or leave the file out`);
  const reader =
    dialect ?? recogniseDialect(new TextDecoder().decode(input.bytes.subarray(0, HEAD)));
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
  if (descriptions.length === 0 && skipped === 0)
    throw new QueryError(`${input.name} describes no CPU, although it looks like ${reader.name}`);
  return descriptions;
}

/** Documents that name the same host become one: the better view wins, and known beats unknown. */
function joinDocuments(
  catalog: Catalog,
  candidates: readonly (Candidate & { input: string })[],
): Candidate[] {
  const byId = new Map<string, (Candidate & { input: string })[]>();
  for (const c of candidates) {
    const same = byId.get(c.id);
    if (same) same.push(c);
    else byId.set(c.id, [c]);
  }
  return [...byId.values()].map((same) => {
    const ordered = [...same].sort(
      (a, b) => VIEWS.indexOf(b.view) - VIEWS.indexOf(a.view) || byBytes(a.input, b.input),
    );
    return ordered.reduce((better, other) => joinTwo(catalog, better, other));
  });
}

function joinTwo(
  catalog: Catalog,
  a: Candidate & { input: string },
  b: Candidate & { input: string },
): Candidate & { input: string } {
  const where = a.input === b.input ? `twice in ${a.input}` : `in ${a.input} and in ${b.input}`;
  const contradict = (what: string): never => {
    throw new QueryError(
      `host ${a.id} is described ${where}, and the two contradict each other about ${what}; keep the one that holds`,
    );
  };
  if (a.arch !== b.arch) contradict(`the architecture (${a.arch}, ${b.arch})`);
  if (a.vendor !== null && b.vendor !== null && a.vendor !== b.vendor)
    contradict(`the vendor (${a.vendor}, ${b.vendor})`);
  const both = meet(a.known, b.known);
  const differs = join(minus(meet(a.has, both), b.has), minus(meet(b.has, both), a.has));
  if (a.view === b.view) {
    if (size(differs) > 0)
      contradict(
        catalog.names(differs).slice(0, 5).join(', ') + (size(differs) > 5 ? ', ...' : ''),
      );
    if (a.physBits !== null && b.physBits !== null && a.physBits !== b.physBits)
      contradict(`physical address bits (${a.physBits}, ${b.physBits})`);
    const [x, y] = [a, b].map((c) => new Set(c.unnamed));
    const unnamed = [
      ...a.unnamed.filter((n) => !y!.has(n)),
      ...b.unnamed.filter((n) => !x!.has(n)),
    ];
    if (unnamed.length > 0) contradict(unnamed.join(', '));
  }
  // What the better view leaves open, the other may settle.
  const open = minus(b.known, a.known);
  return {
    ...a,
    has: join(a.has, meet(b.has, open)),
    known: join(a.known, open),
    unnamed: [...new Set([...a.unnamed, ...b.unnamed])],
    unnamedUnknown: a.unnamedUnknown.filter((n) => b.unnamedUnknown.includes(n)),
    vendor: a.vendor ?? b.vendor,
    physBits: a.physBits ?? b.physBits,
    xsave: a.xsave ?? b.xsave,
    models: { ...b.models, ...a.models },
    keys: { ...b.keys, ...a.keys },
    microcode: a.microcode ?? b.microcode,
    signature: a.signature ?? b.signature,
    machine: a.machine ?? b.machine,
    qemu: a.qemu ?? b.qemu,
    selfHosted: a.selfHosted || b.selfHosted,
    assumed: a.assumed.filter((name) => b.assumed.includes(name)),
    notes: [...a.notes, ...b.notes],
  };
}
