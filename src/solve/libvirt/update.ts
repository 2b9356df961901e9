// libvirt's rules: the CPU that a guest definition becomes on a host, before and after the guest is started.
import { hasBit, meet, type Row } from '../../core/rows.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { LibvirtCpu, Policy } from '../../cpu/libvirt.ts';
import type { LibvirtMap } from '../../cpu/libvirt-map.ts';
import { driverOf } from './arch.ts';
import {
  allBits,
  type CpuFeature,
  type CpuInput,
  featureOf,
  featuresIn,
  type ModelList,
  modelOf,
  policyBits,
  removedFeatures,
  withFeature,
} from './data.ts';
import { decode } from './decode.ts';
import { ppcUpdate } from './ppc64.ts';

/**
 * The guest's definition on this host: optional features settled, host-model and minimum match taken from the host.
 * `removed` is the policy for features that its model lost: disable for a fresh start, require for one that moves in.
 */
export function updateCpu(
  map: LibvirtMap,
  guest: CpuInput,
  host: CpuInput | null,
  removed: Extract<Policy, 'disable' | 'require'> | null = null,
): LibvirtCpu {
  const { cpu, where } = guest;
  const driver = driverOf(where, host?.cpu.arch ?? cpu.arch ?? 'x86_64');
  if (cpu.mode === 'host-passthrough' || cpu.mode === 'maximum') return cpu;
  if (driver === 'ppc64') return ppcUpdate(cpu);
  if (driver !== 'x86') return cpu;
  const settled = { ...cpu, features: settleOptional(map, guest, host) };
  const isRelative = cpu.mode === 'host-model' || cpu.match === 'minimum';
  const updated = isRelative ? onHostModel(settled, hostOf(where, host)) : settled;
  if (removed === null || updated.model === null) return updated;
  const model = modelOf(map, { where, cpu: updated });
  return {
    ...updated,
    features: [...updated.features, ...removedFeatures(map, model, updated.features, removed)],
  };
}

function settleOptional(
  map: LibvirtMap,
  { where, cpu }: CpuInput,
  host: CpuInput | null,
): CpuFeature[] {
  if (!cpu.features.some((f) => f.policy === 'optional')) return [...cpu.features];
  const has = allBits(map, hostOf(where, host));
  return cpu.features.map(({ name, policy }) => ({
    name,
    policy:
      policy !== 'optional'
        ? policy
        : hasBit(has, featureOf(map, where, name).id)
          ? 'require'
          : 'disable',
  }));
}

/** The host's model and features, with the guest's own words on top. */
function onHostModel(guest: LibvirtCpu, { cpu: host }: CpuInput): LibvirtCpu {
  const own = host.features.map(
    ({ name, policy }): CpuFeature => ({ name, policy: policy ?? 'require' }),
  );
  return {
    ...guest,
    mode: 'custom',
    match: 'exact',
    fallback: guest.fallback ?? 'allow',
    model: host.model,
    vendor: guest.mode === 'host-model' ? host.vendor : guest.vendor,
    features: guest.features.reduce((list, f) => withFeature(list, f.name, f.policy), own),
  };
}

/**
 * The definition in models that the hypervisor offers; null offers all.
 * @throws QueryError where another model would be needed and fallback forbids it, or none fits.
 */
export function translateCpu(
  map: LibvirtMap,
  input: CpuInput,
  models: ModelList | null,
): LibvirtCpu {
  const { cpu, where } = input;
  if (cpu.mode !== 'custom' || cpu.model === null || models === null || models.has(cpu.model))
    return cpu;
  if (cpu.fallback === 'forbid')
    throw new QueryError(
      `${where}: the hypervisor does not offer CPU model "${cpu.model}", and fallback='forbid' allows no other`,
    );
  if (driverOf(where, cpu.arch ?? 'x86_64') !== 'x86')
    throw new QueryError(
      `${where}: the hypervisor does not offer CPU model "${cpu.model}", and libvirt puts no other in its place on ${cpu.arch}`,
    );
  const model = modelOf(map, input);
  const [signature] = model.signatures;
  const data = {
    row: allBits(map, input),
    vendor: model.vendor,
    signature: signature
      ? {
          family: signature.family,
          model: signature.model,
          stepping: signature.steppings?.[0] ?? 0,
        }
      : null,
  };
  const found = decode(map, where, { ...cpu, features: [] }, data, { models });
  return {
    ...cpu,
    model: found.model,
    features: cpu.features.reduce(
      (list, f) => withFeature(list, f.name, f.policy),
      [...found.features],
    ),
  };
}

/**
 * The definition of a guest as QEMU really started it.
 * @throws QueryError where check=full finds a difference, or QEMU calls a feature both on and off.
 */
export function updateLiveCpu(
  map: LibvirtMap,
  input: CpuInput,
  enabledRow: Row,
  disabledRow: Row,
): LibvirtCpu {
  const { cpu, where } = input;
  const enabled = map.narrow(enabledRow);
  const disabled = map.narrow(disabledRow);
  const both = featuresIn(map, meet(enabled, disabled));
  if (both.length > 0)
    throw new QueryError(
      `${where}: the hypervisor calls features enabled and disabled at once: ${both.map((f) => f.name).join(', ')}`,
    );
  const model = cpu.model === null ? null : modelOf(map, input);
  const added = new Set(model?.added);
  const required = allBits(map, input);
  const banned = policyBits(map, input, 'disable');
  const full = cpu.check === 'full';
  const extra: string[] = [];
  const missing: string[] = [];
  let features: readonly CpuFeature[] = cpu.features;
  for (const { id, name } of map.features) {
    const isExplicit = hasBit(required, id) || hasBit(banned, id);
    const isRequired = hasBit(required, id);
    // Of a host-passthrough nothing but its own words is expected.
    const isUnwanted = isExplicit ? !isRequired : cpu.mode !== 'host-passthrough';
    const isExtra = isUnwanted && hasBit(enabled, id);
    const isMissing = hasBit(disabled, id) || (isRequired && !hasBit(enabled, id));
    if (!isExtra && !isMissing) continue;
    if (!full) features = withFeature(features, name, isExtra ? 'require' : 'disable');
    else if (isExplicit || !added.has(id)) (isExtra ? extra : missing).push(name);
  }
  if (full && (extra.length > 0 || missing.length > 0))
    throw new QueryError(
      `${where}: the guest's CPU is not what check='full' asks for${list('more than', extra)}${list('without', missing)}`,
    );
  const removed = model ? removedFeatures(map, model, features, 'disable') : [];
  return { ...cpu, check: 'full', features: [...features, ...removed] };
}

const list = (what: string, names: readonly string[]): string =>
  names.length > 0 ? `; ${what} it: ${names.join(', ')}` : '';

function hostOf(where: string, host: CpuInput | null): CpuInput {
  if (host === null || host.cpu.model === null)
    throw new QueryError(
      `${where}: what CPU the host has is not known, and the definition depends on it`,
    );
  return host;
}
