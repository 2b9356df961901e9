// CPUID and MSR words that come one register at a time: Xen's featuresets, Firecracker's bitmaps.
import { emptyRow, setBit } from '../../core/rows.ts';
import type { BitPlace, Catalog, Feature } from '../../cpu/catalog/catalog.ts';
import { settleDependents, withoutOsState } from '../../cpu/proven/cpuid-words.ts';
import type { ToldFeatures } from './kernel-flags.ts';

/** One 32-bit CPUID register, or one MSR. */
export type RegisterPlace =
  | Omit<Extract<BitPlace, { kind: 'cpuid' }>, 'bit'>
  | Omit<Extract<BitPlace, { kind: 'msr' }>, 'bit'>;

export const registerKey = (where: RegisterPlace): string =>
  where.kind === 'msr' ? `msr ${where.msr}` : `${where.leaf} ${where.subleaf} ${where.register}`;

/** What the known bits of registers say: a bit outside of `masks` is unknown. */
export interface RegisterBits {
  readonly values: ReadonlyMap<string, bigint>;
  readonly masks: ReadonlyMap<string, bigint>;
}

/** The features that registers tell of; what a register that is not stated would say is unknown. */
export function readRegisters(catalog: Catalog, { values, masks }: RegisterBits): ToldFeatures {
  const has = emptyRow(catalog.bits);
  const known = emptyRow(catalog.bits);
  for (const feature of catalog.features) {
    const bits = feature.places.map((place) => {
      const key = registerKey(place);
      const mask = masks.get(key);
      if (mask === undefined || ((mask >> BigInt(place.bit)) & 1n) === 0n) return undefined;
      return ((values.get(key)! >> BigInt(place.bit)) & 1n) === 1n;
    });
    if (bits.includes(true)) setBit(has, feature.id);
    if (bits.includes(true) || !bits.includes(undefined)) setBit(known, feature.id);
  }
  withoutOsState(catalog, has, known);
  settleDependents(catalog, has, known);
  return { has, known, unnamed: [] };
}

/** The features of each register, in the order of the catalog. */
export function featuresByRegister(
  catalog: Catalog,
): Map<string, { where: RegisterPlace; bits: Map<number, Feature> }> {
  const registers = new Map<string, { where: RegisterPlace; bits: Map<number, Feature> }>();
  for (const feature of catalog.features)
    for (const place of feature.places) {
      const key = registerKey(place);
      const register = registers.get(key) ?? { where: place, bits: new Map() };
      registers.set(key, register);
      register.bits.set(place.bit, feature);
    }
  return registers;
}
