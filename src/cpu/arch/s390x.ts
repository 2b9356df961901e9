// s390x: QEMU says what a host offers by a model, ending in -base, and the features beside it. What a model stands for is
// not in the catalog, so hosts of two models have no CPU in common that could be written.
import { type Arch, OWN_NAMES, plain } from './arch.ts';

const base = plain('s390x');

/** Models from the oldest on, each generation with its own; of one generation either may have what the other lacks. */
const GENERATIONS = [
  ['z900', 'z800'],
  ['z990', 'z890'],
  ['z9EC', 'z9BC'],
  ['z10EC', 'z10BC'],
  ['z196', 'z114'],
  ['zEC12', 'zBC12'],
  ['z13', 'z13s'],
  ['z14', 'z14ZR1'],
  ['gen15a', 'gen15b'],
  ['gen16a', 'gen16b'],
  ['gen17a', 'gen17b'],
];

const generationOf = (model: string): number =>
  GENERATIONS.findIndex((of) =>
    of.includes(model.replace(/,.*|-base|\.\d$/g, '').replace(/\.\d$/, '')),
  );

const offOf = (model: string): string[] =>
  model
    .split(',')
    .slice(1)
    .map((word) => word.replace(/=off$/, ''));

export const s390x: Arch = {
  ...base,
  modelDiffers: (own, host) => {
    if (own === host) return null;
    const lacking = offOf(host).filter((name) => !offOf(own).includes(name));
    if (own.split(',')[0] === host.split(',')[0])
      return lacking.length === 0
        ? null
        : { is: 'no', message: `it is ${own}, and the host lacks ${lacking.join(', ')} of that` };
    return generationOf(host) >= 0 && generationOf(own) > generationOf(host)
      ? { is: 'no', message: `it is ${own}, of a newer generation than the host's ${host}` }
      : {
          is: 'unknown',
          message: `it is ${own}, the host ${host}, and which features these stand for is not in the catalog`,
        };
  },
  define: (product, features, kin) => {
    const { model, apart } = kin;
    if (apart !== null) return null;
    if (model === null) return base.define(product, features, kin);
    return { name: model.split(',')[0]!, require: features, disable: offOf(model) };
  },
  gives: ({ name, require }, features) =>
    name === OWN_NAMES.qemu || name === OWN_NAMES.libvirt ? features : require,
  remark: null,
  toLibvirt: (definition) =>
    definition.name === OWN_NAMES.libvirt
      ? base.toLibvirt(definition)
      : {
          mode: 'custom',
          match: 'exact',
          check: 'partial',
          model: definition.name,
          fallback: 'forbid',
          features: [
            ...definition.require.map((name) => ({ name, policy: 'require' as const })),
            ...definition.disable.map((name) => ({ name, policy: 'disable' as const })),
          ],
        },
};

/** A model with what a host switches off of it: `gen15a-base,dfppc=off`. */
export const modelWithout = (model: string, off: readonly string[]): string =>
  [model, ...[...off].sort().map((name) => `${name}=off`)].join(',');
