// How much is drawn, and from what: the one seed and the one knob of every test that draws or samples.
//
// PLIMSOLL_SEED is the seed, printed and the same in every run unless another is asked for. PLIMSOLL_EFFORT is how much is
// tried: 0.2 in npm test, all of it where nothing is said (and in .ci/run), a multiple at night.
import fc from 'fast-check';

export const seed = Number(process.env.PLIMSOLL_SEED ?? 20261124);
const effort = Number(process.env.PLIMSOLL_EFFORT ?? 1);
if (!Number.isInteger(seed)) throw new Error('PLIMSOLL_SEED is no whole number');
if (!(effort > 0)) throw new Error('PLIMSOLL_EFFORT is no number above 0');
console.log(`property tests: seed ${seed}, effort ${effort}`);
fc.configureGlobal({ includeErrorInReport: true });

/** As few as this are tried whatever the effort is, or all where there are no more. */
const LEAST = 20;

/** How many of `whole` are tried: `whole` at effort 1, more above. */
export const draws = (whole: number): number =>
  Math.max(Math.min(whole, LEAST), Math.ceil(whole * effort));

/**
 * A part of a list, evenly spread from its first to its last and the same in every run: at effort 1 `whole` of it, which
 * is all of it where nothing else is said.
 */
export function evenly<T>(all: readonly T[], whole = all.length): T[] {
  const n = Math.min(all.length, draws(whole));
  return Array.from(
    { length: n },
    (_, i) => all[Math.round((i * (all.length - 1)) / (n - 1 || 1))]!,
  );
}

/** fc.assert from that seed, of which `numRuns` (100 where it is left out) is the number of runs at effort 1. */
export const assertProperty = ((property: fc.IRawProperty<void>, params?: fc.Parameters<void>) =>
  fc.assert(property, {
    seed,
    ...params,
    numRuns: draws(params?.numRuns ?? 100),
  })) as typeof fc.assert;
