// Property tests from a seed that is printed: the same in every run, unless another is asked for.
import fc from 'fast-check';

const seed = Number(process.env.PLIMSOLL_SEED ?? 20261124);
console.log(`property tests: seed ${seed}`);

/** fc.assert with that seed. */
export const assertProperty = ((property: fc.IRawProperty<void>, params?: fc.Parameters<void>) =>
  fc.assert(property, { seed, ...params })) as typeof fc.assert;
