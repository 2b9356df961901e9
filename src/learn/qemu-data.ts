// Models of QEMU 7.2 and 10.0, their machine types, and what a machine type changes about a model.
import { Deltas } from '../cpu/catalog/delta.ts';
import { type Facts, given, type Json, QEMU, vendorOfLetters, versionsOf } from './facts.ts';

export function qemuData(facts: Facts): Json[] {
  const lists = new Deltas();
  return facts.qemuModels.models.map((m: Json) => {
    const known = versionsOf(m.known_to_qemu);
    return {
      name: m.name,
      kind: m.kind,
      since: known[0],
      ...(known.includes('10.0') ? {} : { until: '7.2' }),
      ...(m.kind === 'fixed-alias' ? { of: m.alias_of } : {}),
      ...(m.kind === 'versioned' ? versioned(facts, m, lists) : {}),
    };
  });
}

function versioned(facts: Facts, m: Json, lists: Deltas): Json {
  const d = m.definition;
  const { latent_added, ...unknown } = m.difference_7_2_to_10_0 ?? {};
  if (Object.keys(unknown).length > 0)
    throw new Error(`${m.name}: the versions differ in a way not handled: ${Object.keys(unknown)}`);
  return {
    base: m.base,
    version: m.version,
    vendor: vendorOfLetters(facts, d.vendor),
    cache: m.cache,
    values: {
      level: d.level,
      xlevel: d.xlevel,
      'min-level': d.expanded_min_level,
      'min-xlevel': d.expanded_min_xlevel,
      family: d.family,
      model: d.model,
      stepping: d.stepping,
      vendor: d.vendor,
      'model-id': d.model_id,
      'legacy-cache': d.legacy_cache,
      'avx10-version': d.avx10_version,
    },
    ...lists.of(m.name, [...d.features, ...d.latent_features]),
    ...(latent_added ? { was: { '7.2': { minus: latent_added } } } : {}),
  };
}

export function learnMachines({
  machineTypes,
}: Facts): Record<'machines' | 'changes' | 'all', Json[]> {
  const machines = machineTypes.machines.map((m: Json) => ({
    name: m.name,
    qemu: versionsOf(m.known_to_qemu),
    default: m.default_cpu_version,
    ...given({ deprecated: versionsOf(m.deprecated_in), defaultOf: versionsOf(m.default_of) }),
  }));
  const order = new Map<string, number>(machines.map((m: Json, i: number) => [m.name, i]));
  const rangesOf = (names: string[]) => ranges(names.map((n) => order.get(n)!));
  const changes: Json[] = [];
  // The first group is the definition itself.
  for (const [model, byQemu] of Object.entries<Json>(machineTypes.models))
    for (const [release, { groups }] of Object.entries<Json>(byQemu))
      for (const g of groups.slice(1))
        changes.push({
          model,
          qemu: QEMU[release],
          machines: rangesOf(g.machines),
          ...given({
            on: [...(g.features_on ?? []), ...(g.latent_on ?? [])],
            off: [...(g.features_off ?? []), ...(g.latent_off ?? [])],
            values: g.values,
          }),
        });
  const all: Json[] = [];
  for (const [release, facts] of Object.entries<Json>(machineTypes.all_cpu_properties))
    for (const g of facts.groups)
      all.push({
        qemu: QEMU[release],
        machines: rangesOf(g.machines),
        values: { ...facts.reference_values, ...g.differs },
      });
  return { machines, changes, all };
}

/** Positions as ranges of neighbours: a single one, or first and last. */
function ranges(positions: number[]): number[][] {
  const out: [number, number][] = [];
  for (const i of positions.sort((a, b) => a - b)) {
    const last = out.at(-1);
    if (last && last[1] === i - 1) last[1] = i;
    else out.push([i, i]);
  }
  return out.map(([first, last]) => (first === last ? [first] : [first, last]));
}
