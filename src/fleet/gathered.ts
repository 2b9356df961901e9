// Hosts on their way into a fleet, by kind.
import { type Batch, batchOf, GONE } from './hosts.ts';
import type { Candidate, Kind } from './kind.ts';

/** Hosts by kind: how many each has, and, where names are kept, who they are. */
export interface Gathered {
  readonly kinds: readonly Kind[];
  readonly weights: ArrayLike<number>;
  /** Every host by name, or null where nobody asks who they are. */
  readonly batches: readonly Batch[] | null;
  /** Keys of host records that some host has, whether they were kept or not. */
  readonly keys?: readonly string[];
}

/** Every candidate a kind of its own: classes are told apart by what they are, and few people have thousands. */
export const gather = (candidates: readonly Candidate[]): Gathered => ({
  kinds: candidates,
  weights: candidates.map(() => 1),
  batches: [
    batchOf(
      candidates.map((c) => c.id),
      [...candidates.keys()],
    ),
  ],
});

/** Counted anew from the hosts by name, where they are there; kinds that nobody is of are left out. */
export function withoutEmpty(gathered: Gathered): Gathered {
  const { kinds, batches, keys } = gathered;
  let { weights } = gathered;
  if (batches !== null && weights.length !== kinds.length) {
    const counts = new Float64Array(kinds.length);
    for (const batch of batches) for (const kind of batch.kinds) if (kind !== GONE) counts[kind]!++;
    weights = counts;
  }
  const kept = [...kinds.keys()].filter((kind) => weights[kind]! > 0);
  if (kept.length === kinds.length) return { ...gathered, weights };
  const now = new Uint32Array(kinds.length).fill(GONE);
  for (const [i, kind] of kept.entries()) now[kind] = i;
  return {
    kinds: kept.map((kind) => kinds[kind]!),
    weights: kept.map((kind) => weights[kind]!),
    batches:
      batches?.map((batch) => ({
        ...batch,
        kinds: batch.kinds.map((kind) => (kind === GONE ? GONE : now[kind]!)),
      })) ?? null,
    ...(keys ? { keys } : {}),
  };
}
