// libvirt's rules: the CPU that a guest definition becomes on a host, before and after the guest is started.
import { hasBit, join, meet, minus, type Row } from '../../core/rows.ts';
import type { LibvirtMap } from '../../cpu/catalog/libvirt-map.ts';
import type { LibvirtCpu, Policy } from '../../cpu/cpu-element.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { ModelList } from '../../cpu/model-lists.ts';
import { driverOf } from './driver.ts';
import { libvirtDecode } from './libvirt-decode.ts';
import { currentPpcName, ppcUpdate } from './libvirt-ppc64.ts';
import {
  allBits,
  type CpuFeature,
  type CpuInput,
  featureOf,
  featuresIn,
  modelOf,
  policyBits,
  removedFeatures,
  withFeature,
} from './spelt-out.ts';

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
  if (driver === 's390x') return s390xUpdate(guest, host);
  if (driver !== 'x86') return cpu.mode === 'host-model' ? asHost(cpu, hostOf(where, host)) : cpu;
  const settled = { ...cpu, features: settleOptional(map, guest, host) };
  const isRelative = cpu.mode === 'host-model' || cpu.match === 'minimum';
  const updated = isRelative ? onHostModel(settled, knownHost(map, where, host)) : settled;
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
function onHostModel(guest: LibvirtCpu, host: CpuInput): LibvirtCpu {
  const own = asHost(guest, host);
  return {
    ...own,
    vendor: guest.mode === 'host-model' ? own.vendor : guest.vendor,
    features: guest.features.reduce(
      (list, f) => withFeature(list, f.name, f.policy),
      [...own.features],
    ),
  };
}

/** The host's model, vendor and features in the place of the guest's own. */
const asHost = (guest: LibvirtCpu, { cpu: host }: CpuInput): LibvirtCpu => ({
  ...guest,
  mode: 'custom',
  match: 'exact',
  fallback: guest.fallback ?? 'allow',
  model: host.model,
  vendor: host.vendor,
  features: host.features.map(({ name, policy }) => ({ name, policy: policy ?? 'require' })),
});

function s390xUpdate(guest: CpuInput, host: CpuInput | null): LibvirtCpu {
  const { cpu, where } = guest;
  if (cpu.mode === 'host-model') return onHostModel(cpu, hostOf(where, host));
  if (cpu.match === 'minimum')
    throw new QueryError(`${where}: match='minimum' is nothing that libvirt gives an s390x guest`);
  const optional = cpu.features.find((f) => f.policy === 'optional');
  if (optional)
    throw new QueryError(
      `${where}: feature "${optional.name}" is optional, and libvirt gives an s390x guest only what is required or disabled`,
    );
  return cpu;
}

/**
 * The definition in models that the hypervisor offers; null offers all.
 * @throws QueryError where another model would be needed and fallback forbids it, or none fits.
 */
export function translateCpu(
  map: LibvirtMap,
  input: CpuInput,
  models: ModelList | null,
  arch = 'x86_64',
): LibvirtCpu {
  const { where } = input;
  if (input.cpu.mode !== 'custom' || input.cpu.model === null || models === null) return input.cpu;
  const cpu = { ...input.cpu, model: currentPpcName(input.cpu.model) };
  if (models.has(cpu.model)) return cpu;
  if (cpu.fallback === 'forbid')
    throw new QueryError(
      `${where}: the hypervisor does not offer CPU model "${cpu.model}", and fallback='forbid' allows no other`,
    );
  if (driverOf(where, arch) !== 'x86')
    throw new QueryError(
      `${where}: the hypervisor does not offer CPU model "${cpu.model}", and libvirt puts no other in its place on ${arch}`,
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
  const found = libvirtDecode(map, where, { ...cpu, features: [] }, data, { models });
  return {
    ...cpu,
    model: found.model,
    features: cpu.features.reduce(
      (list, f) => withFeature(list, f.name, f.policy),
      [...found.features],
    ),
  };
}

/** What a guest that runs was given, and what of that anybody told; null is all. And what was withheld from it. */
export interface Live {
  readonly enabled: Row;
  readonly known: Row | null;
  readonly disabled: Row;
}

/**
 * The definition of a guest as QEMU really started it; what nobody told of, and was not withheld, it has as asked.
 * @throws QueryError where check=full finds a difference, or QEMU calls a feature both on and off.
 */
export function updateLiveCpu(map: LibvirtMap, input: CpuInput, live: Live): LibvirtCpu {
  const { cpu, where } = input;
  // What the host settles is only looked at where the definition says that it must be the same.
  if (cpu.mode !== 'custom' && cpu.check !== 'full') return cpu;
  const required = allBits(map, input);
  const disabled = map.narrow(live.disabled);
  const told = map.narrow(live.enabled);
  const untold = live.known ? minus(required, join(map.narrow(live.known), disabled)) : null;
  const enabled = untold ? join(told, untold) : told;
  const both = featuresIn(map, meet(enabled, disabled));
  if (both.length > 0)
    throw new QueryError(
      `${where}: the hypervisor calls features enabled and disabled at once: ${both.map((f) => f.name).join(', ')}`,
    );
  const model = cpu.model === null ? null : modelOf(map, input);
  const added = new Set(model?.added);
  const banned = policyBits(map, input, 'disable');
  const full = cpu.check === 'full';
  const isPassing = cpu.mode === 'host-passthrough' || cpu.mode === 'maximum';
  const extra: string[] = [];
  const missing: string[] = [];
  let features: readonly CpuFeature[] = cpu.features;
  for (const { id, name } of map.features) {
    const isExplicit = hasBit(required, id) || hasBit(banned, id);
    const isRequired = hasBit(required, id);
    // Of a guest that passes its host through nothing but its own words is expected.
    const isUnwanted = isExplicit ? !isRequired : !isPassing;
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

/** A host whose model and features this libvirt has names for. */
function knownHost(map: LibvirtMap, where: string, host: CpuInput | null): CpuInput {
  const known = hostOf(where, host);
  allBits(map, known);
  return known;
}

function hostOf(where: string, host: CpuInput | null): CpuInput {
  if (host === null || host.cpu.model === null)
    throw new QueryError(
      `${where}: what CPU the host has is not known, and the definition depends on it`,
    );
  return host;
}
