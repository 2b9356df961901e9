// s390x: QEMU says what a host offers by a model, ending in -base, and the features beside it. What a model stands for is
// not in the catalog, so hosts of two models have no CPU in common that could be written.
import { type Arch, OWN_NAMES, plain } from './arch.ts';

const base = plain('s390x');

export const s390x: Arch = {
  ...base,
  define: (product, features, kin) => {
    const { model, apart } = kin;
    if (apart !== null) return null;
    if (model === null) return base.define(product, features, kin);
    const [name = '', ...off] = model.split(',');
    return { name, require: features, disable: off.map((word) => word.replace(/=off$/, '')) };
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
