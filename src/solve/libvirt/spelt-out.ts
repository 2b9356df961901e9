// libvirt's rules: a definition as data, and data spelt out as features. Sums of rows, in libvirt's order of words.
import { clearBit, emptyRow, hasBit, type Row, setBit } from '../../core/rows.ts';
import type { Vendor } from '../../cpu/catalog/catalog.ts';
import type { LibvirtMap, MapFeature, MapModel } from '../../cpu/catalog/libvirt-map.ts';
import { type LibvirtCpu, type Policy, UNSAID } from '../../cpu/cpu-element.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import { vendorLetters } from '../../cpu/proven/cpuid-words.ts';
import type { Words } from '../../cpu/register-words.ts';

/** A CPU and how it is called in messages: its host, file and line. */
export interface CpuInput {
  readonly where: string;
  readonly cpu: LibvirtCpu;
}

/** What a processor says of itself: as far as libvirt looks at it, features, vendor and signature. */
export interface CpuData {
  readonly row: Row;
  readonly vendor: Vendor | null;
  readonly signature: CpuSignature | null;
}
type CpuSignature = NonNullable<LibvirtCpu['signature']>;

/** What libvirt makes of CPUID and MSR words; a word that is not there is zero to it. */
export function dataOfWords(map: LibvirtMap, words: Words): CpuData {
  const row = emptyRow(map.bits);
  for (const { id, place } of map.features)
    if (
      place.kind === 'msr'
        ? ((words.msr(place.msr) ?? 0n) >> BigInt(place.bit)) & 1n
        : ((words.leaf(place.leaf, place.subleaf)?.[place.register] ?? 0) >>> place.bit) & 1
    )
      setBit(row, id);
  const version = words.leaf(1)?.eax ?? 0;
  return {
    row,
    vendor: map.vendorOf(vendorLetters(words) ?? ''),
    // Plain sums, whatever the manuals say of families below 15.
    signature:
      (version & 0x0fff3fff) === 0
        ? null
        : {
            family: ((version >>> 20) & 0xff) + ((version >>> 8) & 0xf),
            model: ((version >>> 12) & 0xf0) + ((version >>> 4) & 0xf),
            stepping: version & 0xf,
          },
  };
}

export type CpuFeature = LibvirtCpu['features'][number];

/** An empty guest definition of this architecture. */
export const guestStub = (arch: string | null, fallback: LibvirtCpu['fallback']): LibvirtCpu => ({
  ...UNSAID,
  type: 'guest',
  arch,
  fallback,
});

/** An empty host definition of this architecture. */
export const hostStub = (arch: string): LibvirtCpu => ({ ...UNSAID, type: 'host', arch });

/** @throws QueryError for a model that this libvirt does not know. */
export function modelOf(map: LibvirtMap, input: CpuInput): MapModel {
  const { model: name } = input.cpu;
  const model = map.model(name!);
  if (!model) throw new QueryError(unknownName(map, input.where, 'model', name!));
  return model;
}

/** The sentence about a name that this libvirt does not know. */
export const unknownName = (
  { stack }: LibvirtMap,
  where: string,
  kind: 'model' | 'feature',
  name: string,
): string =>
  `${where}: ${stack} knows no CPU ${kind} "${name}"; choose a libvirt that does with --stack`;

/** @throws QueryError for a feature that this libvirt does not know. */
export function featureOf(map: LibvirtMap, where: string, name: string): MapFeature {
  const feature = map.feature(name);
  if (!feature) throw new QueryError(unknownName(map, where, 'feature', name));
  return feature;
}

/** All that a definition gives: its model, plus what it requires or forces, less what it disables or forbids. */
export function allBits(map: LibvirtMap, input: CpuInput): Row {
  const row = emptyRow(map.bits);
  setAllBits(map, input, row);
  return row;
}

/** The same, put into a row that is used again. */
export function setAllBits(map: LibvirtMap, input: CpuInput, row: Row): void {
  const { cpu } = input;
  if (cpu.model === null) row.fill(0);
  else row.set(modelOf(map, input).features);
  for (const { name, policy } of cpu.features) {
    if (policy === 'optional') continue;
    const { id } = map.feature(name) ?? featureOf(map, input.where, name);
    if (policy === 'disable' || policy === 'forbid') clearBit(row, id);
    else setBit(row, id);
  }
}

/** What a definition says with one policy; what a model has is required. A host only requires. */
export function policyBits(map: LibvirtMap, input: CpuInput, policy: Policy): Row {
  const { cpu, where } = input;
  const row =
    policy === 'require' && cpu.model !== null
      ? modelOf(map, input).features.slice()
      : emptyRow(map.bits);
  for (const f of cpu.features)
    if ((f.policy ?? 'require') === policy) setBit(row, featureOf(map, where, f.name).id);
  return row;
}

/** The features of a row in the map's order. */
export const featuresIn = (map: LibvirtMap, row: Row): MapFeature[] =>
  map.features.filter((f) => hasBit(row, f.id));

/** Sets the policy of a feature where it is listed, else appends it. */
export function withFeature(
  features: readonly CpuFeature[],
  name: string,
  policy: Policy | null,
): CpuFeature[] {
  const at = features.findIndex((f) => f.name === name);
  return at < 0 ? [...features, { name, policy }] : features.with(at, { name, policy });
}

/** Features that the model lost in some version and the definition does not mention, with this policy. */
export function removedFeatures(
  map: LibvirtMap,
  model: MapModel,
  listed: readonly CpuFeature[],
  policy: Policy,
): CpuFeature[] {
  const names = new Set(listed.map((f) => f.name));
  const removed = new Set(model.removed);
  return map.features
    .filter((f) => removed.has(f.id) && !names.has(f.name))
    .map(({ name }) => ({ name, policy }));
}

/** The definition with every feature of its model written out, by name; a guest keeps only require and disable. */
export function expandFeatures(map: LibvirtMap, input: CpuInput): LibvirtCpu {
  const { cpu } = input;
  if (cpu.model === null) return cpu;
  const model = modelOf(map, input);
  const isHost = cpu.type === 'host';
  const policies = new Map<string, Policy | null>();
  for (const f of featuresIn(map, model.features)) policies.set(f.name, isHost ? null : 'require');
  for (const { name, policy } of cpu.features) {
    const own = isHost ? null : (policy ?? 'require');
    if (own === null || own === 'require' || own === 'disable') policies.set(name, own);
  }
  const features = [...policies].map(([name, policy]) => ({ name, policy }));
  const removed = isHost ? [] : removedFeatures(map, model, features, 'disable');
  return { ...cpu, features: [...features, ...removed].sort((a, b) => byBytes(a.name, b.name)) };
}

/** The definition without features that libvirt marks as not migratable; those inside its model stay. */
export const withoutUnmigratable = (map: LibvirtMap, cpu: LibvirtCpu): LibvirtCpu => ({
  ...cpu,
  features: cpu.features.filter((f) => map.feature(f.name)?.migratable !== false),
});

/**
 * Whether a CPU has a feature.
 * @throws QueryError for a feature or model that this libvirt does not know.
 */
export function hasFeature(map: LibvirtMap, input: CpuInput, name: string): boolean {
  return hasBit(allBits(map, input), featureOf(map, input.where, name).id);
}
