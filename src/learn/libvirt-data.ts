// Models of libvirt 12.8, and what 9.0 and 11.3 have otherwise.
import { Deltas } from '../cpu/catalog/delta.ts';
import type { CpuMapModel } from './cpu-map.ts';
import { type Facts, given, type Json, sinceLibvirt } from './facts.ts';

export function learnLibvirt(facts: Facts, ofLibvirt: ReadonlyMap<string, string>): Json[] {
  checkNothingGone(facts);
  const features = new Deltas();
  const added = new Deltas();
  const ours = (names: Iterable<string>): string[] =>
    [...names].map((n) => {
      const name = ofLibvirt.get(n);
      if (!name) throw new Error(`a libvirt model names an unknown feature ${n}`);
      return name;
    });
  const in113 = new Set(facts.models113.x86.map((m: Json) => m.name));
  return facts.libvirt128.models.map((m: Json) => {
    const old = facts.libvirt90.models.get(m.name);
    const signatures = m.signatures.map((s: Json) => [
      s.family,
      s.model,
      ...(s.stepping ? [s.stepping] : []),
    ]);
    return {
      name: m.name,
      since: sinceLibvirt(old !== undefined, in113.has(m.name)),
      ...given({ vendor: m.vendor ?? undefined, signatures }),
      ...(m.decode.host ? {} : { host: false }),
      ...(m.decode.guest ? {} : { guest: false }),
      ...given({
        compat: m.check_partial_compat,
        canonical: m.canonical_name ?? undefined,
        parent: m.parent ?? undefined,
      }),
      ...features.of(m.name, ours(m.features)),
      ...(m.added_features.length > 0 ? { added: added.of(m.name, ours(m.added_features)) } : {}),
      ...given({ removed: ours(m.removed_features) }),
      ...(old ? was90(m, signatures, old, ours) : {}),
    };
  });
}

/** What libvirt 9.0 has otherwise; only what the catalog can say may differ. */
function was90(
  m: Json,
  signatures: Json,
  old: CpuMapModel,
  ours: (names: Iterable<string>) => string[],
): Json {
  const state = (on: boolean) => (on ? 'on' : 'off');
  const before = [old.vendor, JSON.stringify(old.signatures), old.decode, old.parent];
  const decode = `${state(m.decode.host)} ${state(m.decode.guest)}`;
  const now = [m.vendor, JSON.stringify(signatures), decode, m.parent];
  if (before.join() !== now.join() || old.added.length > 0)
    throw new Error(`${m.name} is otherwise in libvirt 9.0, in a way not handled: ${before}`);
  const list = new Set<string>(m.features);
  const was = {
    ...given({
      plus: ours([...old.features].filter((f) => !list.has(f))),
      minus: ours([...list].filter((f) => !old.features.has(f))),
    }),
    ...(m.added_features.length > 0 ? { added: {} } : {}),
    ...(old.removed.join() === m.removed_features.join() ? {} : { removed: ours(old.removed) }),
    // libvirt 9.0 has no such switch: it always holds its own idea of a model against the host.
    ...given({ compat: !m.check_partial_compat }),
  };
  return Object.keys(was).length > 0 ? { was: { '9.0': was } } : {};
}

function checkNothingGone({ libvirt90, features113, models113, libvirt128 }: Facts): void {
  const names = (list: Json[]): string[] => list.map((item) => item.name);
  const check = (what: string, old: string[], now: string[]) => {
    const gone = old.filter((name) => !now.includes(name));
    if (gone.length > 0) throw new Error(`libvirt 12.8 lacks a ${what} of an older map: ${gone}`);
  };
  const features = names(libvirt128.features);
  const models = names(libvirt128.models);
  check('feature', [...libvirt90.places.keys(), ...names(features113.x86)], features);
  check('model', [...libvirt90.models.keys(), ...names(models113.x86)], models);
}
