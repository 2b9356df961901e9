// Random numbers that are the same in every run: mulberry32 from a seed.
export type Random = () => number;

/** Numbers in [0, 1), the same for the same seed. */
export function random(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const pick = <T>(next: Random, from: readonly T[]): T =>
  from[Math.floor(next() * from.length)]!;
