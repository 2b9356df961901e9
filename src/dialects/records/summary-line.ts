// Summaries among the languages: they are recognised like any other, and answer questions about fleets only.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import { Fleet } from '../../fleet/fleet.ts';
import { Gatherer } from '../../fleet/gather.ts';
import { isSummary, readSummaries, type Summary } from '../../fleet/summary.ts';
import type { Dialect, Input } from '../dialect.ts';

export const summary: Dialect = {
  name: 'summary',
  recognises: (head) => isSummary(new TextEncoder().encode(head.slice(0, 64))),
  proves: [],
  read: ({ name }) => {
    throw new QueryError(
      `${name} is a summary of many hosts, not a description of one; ask a question about a fleet`,
    );
  },
};

/** Which shards were seen, and where: counts of a shard that is there twice would be wrong. */
export class Shards {
  readonly #where = new Map<string, string>();

  /** @throws QueryError for one that was seen before. */
  add({ shards, where }: Summary): void {
    for (const shard of shards) {
      const before = this.#where.get(shard);
      if (before !== undefined)
        throw new QueryError(
          `shard "${shard}" is in ${before} and in ${where}; give each part once`,
        );
      this.#where.set(shard, where);
    }
  }

  get all(): string[] {
    return [...this.#where.keys()].sort(byBytes);
  }
}

export interface MergeOptions {
  /** How many shards there must be. */
  readonly expect?: number | undefined;
  /** Which shards there must be, and no others. */
  readonly manifest?: readonly string[] | undefined;
}

export interface Merged {
  readonly fleet: Fleet;
  readonly shards: readonly string[];
  readonly keep: readonly string[];
  readonly ids: boolean;
}

/**
 * One fleet from the summaries of its parts.
 * @throws QueryError for a part that is damaged, missing, there twice, or unlike the others.
 */
export async function mergeSummaries(
  catalog: Catalog,
  inputs: readonly Input[],
  options: MergeOptions = {},
): Promise<Merged> {
  const parts: Summary[] = [];
  for (const { name, bytes } of inputs) {
    if (!isSummary(bytes))
      throw new QueryError(`${name} is no summary; give what plimsoll summarize wrote`);
    parts.push(...(await readSummaries(name, bytes)));
  }
  const shards = new Shards();
  for (const part of parts) shards.add(part);
  complain(shards.all, options);
  // A part without hosts says nothing of how it was made.
  const told = parts.filter((part) => part.hosts > 0);
  const [first] = told.length > 0 ? told : parts;
  const { ids, keep } = first!.body;
  for (const { where, body } of told) {
    if (body.ids !== ids)
      throw new QueryError(
        `${where} and ${first!.where} were not made alike: only one of them has the names of its hosts`,
      );
    if (body.keep.join() !== keep.join())
      throw new QueryError(
        `${where} and ${first!.where} were not made alike: they kept other keys (${body.keep.join(', ') || 'none'}; ${keep.join(', ') || 'none'})`,
      );
  }
  const gatherer = new Gatherer(catalog, ids);
  for (const part of parts) await part.enter(catalog, gatherer, { ids, keys: [] });
  const skipped = parts.flatMap((part) => part.body.skipped);
  const fleet = new Fleet(catalog, gatherer.finish(), { skipped, listed: ids ? undefined : 0 });
  return { fleet, shards: shards.all, keep, ids };
}

function complain(shards: readonly string[], { expect, manifest }: MergeOptions): void {
  if (expect !== undefined && shards.length !== expect)
    throw new QueryError(
      `the number of shards is ${shards.length}, and ${expect} was expected; given were ${listed(shards)}`,
    );
  if (manifest === undefined) return;
  const missing = manifest.filter((shard) => !shards.includes(shard));
  if (missing.length > 0)
    throw new QueryError(`of the shards in the manifest, ${listed(missing)} are missing`);
  const more = shards.filter((shard) => !manifest.includes(shard));
  if (more.length > 0) throw new QueryError(`the manifest does not list ${listed(more)}`);
}

function listed(shards: readonly string[]): string {
  const named = shards.slice(0, 5).map((shard) => `"${shard}"`);
  return `${named.join(', ') || 'none'}${shards.length > 5 ? ` and ${shards.length - 5} more` : ''}`;
}
