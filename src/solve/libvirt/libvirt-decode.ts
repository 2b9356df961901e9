// libvirt's rules: from what a processor is to a model and a list of features.
import {
  clearBit,
  hasBit,
  isCovered,
  isEmpty,
  minus,
  type Row,
  setBit,
  size,
} from '../../core/rows.ts';
import type { Vendor } from '../../cpu/catalog/catalog.ts';
import type { LibvirtMap, MapModel } from '../../cpu/catalog/libvirt-map.ts';
import type { LibvirtCpu } from '../../cpu/cpu-element.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { ModelList } from '../../cpu/model-lists.ts';
import { type CpuData, type CpuFeature, featuresIn, removedFeatures } from './spelt-out.ts';

export interface LibvirtDecodeOptions {
  /** Choose only among these; a blocker is disabled whatever the data has. All where null. */
  readonly models?: ModelList | null;
  /** Names to stay with if that costs nothing; a single one is taken at any price. */
  readonly preferred?: readonly string[];
  /** Leave out features that libvirt marks as not migratable, unless a model has them. */
  readonly migratable?: boolean;
}

/** A model that the data could be called, and what would be written beside it. */
export interface ModelCandidate {
  readonly model: MapModel;
  readonly extra: Row;
  readonly missing: Row;
  readonly cost: number;
  /** The part of the cost that disabled features make up. */
  readonly disableCost: number;
  readonly matchesSignature: boolean;
}

/**
 * The definition that libvirt gives to this data, in the shape of `stub` (its type, fallback and arch).
 * @throws QueryError where no model may be chosen, or the only preferred one is not offered.
 */
export function libvirtDecode(
  map: LibvirtMap,
  where: string,
  stub: LibvirtCpu,
  data: CpuData,
  options: LibvirtDecodeOptions = {},
): LibvirtCpu {
  const row = withoutBrokenTsx(map, data);
  const best = choose(map, where, stub, { ...data, row }, options);
  if (!best)
    throw new QueryError(
      `${where}: ${map.stack} has no CPU model for these features${options.models ? ' among those that the hypervisor offers' : ''}`,
    );
  const listed = featuresOf(map, stub.type, best);
  const isKept = (f: CpuFeature) => !options.migratable || map.feature(f.name)!.migratable;
  const known = data.vendor !== null && map.hasVendor(data.vendor);
  return {
    ...stub,
    model: best.model.name,
    vendor: known ? data.vendor : null,
    signature: stub.type === 'host' && data.signature?.family ? data.signature : null,
    features: listed.filter(isKept),
  };
}

/** Every model that libvirt could call this data by, the one that it chooses first. */
export function candidates(
  map: LibvirtMap,
  type: LibvirtCpu['type'],
  data: CpuData,
  models: ModelList | null = null,
): ModelCandidate[] {
  const row = withoutBrokenTsx(map, data);
  return map.models
    .map((model) => candidate(map, type, model, { ...data, row }, models))
    .filter((c) => c !== null)
    .reverse()
    .sort(
      (a, b) =>
        Number(b.matchesSignature) - Number(a.matchesSignature) ||
        a.cost - b.cost ||
        a.disableCost - b.disableCost,
    );
}

function choose(
  map: LibvirtMap,
  where: string,
  stub: LibvirtCpu,
  data: CpuData,
  { models = null, preferred = [] }: LibvirtDecodeOptions,
): ModelCandidate | null {
  const only = preferred.length === 1 ? preferred[0] : undefined;
  let best: ModelCandidate | null = null;
  for (const model of map.models.toReversed()) {
    if (models && !models.has(model.name)) {
      if (model.name === only && stub.fallback === 'forbid')
        throw new QueryError(`${where}: the hypervisor does not offer CPU model "${only}"`);
      continue;
    }
    const next = candidate(map, stub.type, model, data, models);
    if (!next) continue;
    if (model.name === only) return next;
    if (best === null || isBetter(next, best, data, preferred)) best = next;
  }
  return best;
}

function isBetter(
  next: ModelCandidate,
  best: ModelCandidate,
  data: CpuData,
  preferred: readonly string[],
): boolean {
  if (data.signature && next.matchesSignature !== best.matchesSignature)
    return next.matchesSignature;
  if (next.cost !== best.cost ? next.cost < best.cost : next.disableCost < best.disableCost)
    return true;
  return preferred.includes(next.model.name) && next.disableCost < best.disableCost;
}

function candidate(
  map: LibvirtMap,
  type: LibvirtCpu['type'],
  model: MapModel,
  data: CpuData,
  models: ModelList | null,
): ModelCandidate | null {
  if (type === 'host' ? !model.decodeHost : !model.decodeGuest) return null;
  if (isOtherVendor(map, data.vendor, model)) return null;
  if (type === 'host' && !isCovered(model.features, data.row)) return null;
  const extra = minus(data.row, model.features);
  const missing = minus(model.features, data.row);
  // What blocks a model here is disabled even if every processor of the fleet has it.
  for (const name of models?.get(model.name) ?? []) {
    const feature = map.fromQemu(name);
    if (feature && !hasBit(extra, feature.id)) setBit(missing, feature.id);
  }
  if (type === 'host' && !isEmpty(missing)) return null;
  const removed = model.removed.filter((id) => !hasBit(extra, id) && !hasBit(missing, id));
  const required = size(extra);
  const disabled = type === 'guest' ? size(missing) + removed.length : 0;
  // libvirt shrinks the bound of its loop while it counts, and so charges only half of what is disabled.
  const counted = Math.ceil(disabled / 2);
  const disableCost = (counted * (counted + 3)) / 2;
  const cost = required + Math.floor(disabled / 2) + disableCost;
  return { model, extra, missing, cost, disableCost, matchesSignature: matches(model, data) };
}

function isOtherVendor(map: LibvirtMap, vendor: Vendor | null, model: MapModel): boolean {
  return (
    vendor !== null && map.hasVendor(vendor) && model.vendor !== null && model.vendor !== vendor
  );
}

function matches(model: MapModel, { signature }: CpuData): boolean {
  return (
    signature !== null &&
    model.signatures.some(
      (s) =>
        s.family === signature.family &&
        s.model === signature.model &&
        (s.steppings === null || s.steppings.includes(signature.stepping)),
    )
  );
}

/** What is written beside the model: features to require, then features to disable, each in the map's order. */
function featuresOf(
  map: LibvirtMap,
  type: LibvirtCpu['type'],
  { model, extra, missing }: ModelCandidate,
): CpuFeature[] {
  const require = featuresIn(map, extra).map(
    ({ name }): CpuFeature => ({ name, policy: type === 'host' ? null : 'require' }),
  );
  const disable = featuresIn(map, missing).map(
    ({ name }): CpuFeature => ({ name, policy: 'disable' }),
  );
  const listed = [...require, ...disable];
  return type === 'host' ? listed : [...listed, ...removedFeatures(map, model, listed, 'disable')];
}

/** TSX of these Haswells is broken (Intel erratum HSD136) and switched off by microcode, or ought to be. */
function withoutBrokenTsx(map: LibvirtMap, { row, vendor, signature }: CpuData): Row {
  const known = map.narrow(row);
  if (vendor !== 'Intel' || signature?.family !== 6) return known;
  const { model, stepping } = signature;
  if (model === 60 || model === 69 || model === 70 || (model === 63 && stepping < 4))
    for (const name of ['hle', 'rtm']) {
      const feature = map.feature(name);
      if (feature) clearBit(known, feature.id);
    }
  return known;
}
