// The maximum CPUID leaves of a guest: a model states the least, and features of higher leaves raise it.
import { hasBit, type Row } from '../../core/rows.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { levelRules, type PropertyValue } from './properties.ts';

/** A maximum leaf that QEMU works out itself. */
export const AUTO = 0xffffffff;

interface Reach {
  readonly id: number;
  readonly leaf: number;
  readonly subleaf: number;
  /** Whether it raises the maximum even where the machine type has that switched off. */
  readonly always: boolean;
}

const TRACE = 'intel-pt';
const reaches = new WeakMap<Catalog, readonly Reach[]>();

/**
 * Sets the maximum leaves among a CPU's properties; a maximum that is no AUTO stays as it is.
 * @returns whether it is to have processor trace without the leaf that describes it
 */
export function setLevels(
  catalog: Catalog,
  features: Row,
  values: Record<string, PropertyValue>,
): boolean {
  const v = values as Record<string, number | boolean>;
  const isFull = v['full-cpuid-auto-level'] === true;
  let func7 = 0;
  const reach = (leaf: number) => {
    const name =
      leaf >= 0xc0000000 ? 'min-xlevel2' : leaf >= 0x80000000 ? 'min-xlevel' : 'min-level';
    if ((v[name] as number) < leaf) v[name] = leaf;
  };
  for (const { id, leaf, subleaf, always } of reachesOf(catalog)) {
    if (!(isFull || always) || !hasBit(features, id)) continue;
    reach(leaf);
    if (leaf === 7 && subleaf > func7) func7 = subleaf;
  }
  let lacksTrace = false;
  if (isFull)
    for (const [name, leaf] of Object.entries(levelRules.features)) {
      if (!hasBit(features, catalog.feature(name).id)) continue;
      if (name === TRACE && v['x-intel-pt-auto-level'] !== true)
        lacksTrace = (v['min-level'] as number) < leaf;
      else reach(leaf);
    }
  for (const name of ['level', 'xlevel', 'xlevel2'])
    if (v[name] === AUTO) v[name] = v[`min-${name}`]!;
  if (v['level-func7'] === AUTO) v['level-func7'] = func7;
  return lacksTrace;
}

/** The words that each feature raises a maximum to. */
function reachesOf(catalog: Catalog): readonly Reach[] {
  const before = reaches.get(catalog);
  if (before) return before;
  const all = catalog.features.flatMap((f) =>
    f.places.flatMap((p): Reach[] => {
      if (p.kind !== 'cpuid') return [];
      const word = `${p.leaf.toString(16)}.${p.subleaf.toString(16)}.${p.register}`;
      const always = levelRules.always.includes(word);
      return always || levelRules.words.includes(word)
        ? [{ id: f.id, leaf: p.leaf, subleaf: p.subleaf, always }]
        : [];
    }),
  );
  reaches.set(catalog, all);
  return all;
}
