// libvirt's rules for ARM: it compares names, knows a handful of features, and merges nothing.
import { ARM_FEATURES } from '../../cpu/catalog/libvirt-map.ts';
import type { LibvirtCpu } from '../../cpu/cpu-element.ts';
import { QueryError } from '../../cpu/errors.ts';
import { type CpuInput, guestStub } from './spelt-out.ts';

/** The model of the first CPU: libvirt checks no other. */
export const armBaseline = (inputs: readonly CpuInput[], arch: string): LibvirtCpu => ({
  ...guestStub(arch, 'allow'),
  model: inputs[0]!.cpu.model,
});

/** @throws QueryError for a feature that libvirt lets no ARM guest name. */
export function validateArmFeatures({ where, cpu }: CpuInput): void {
  for (const { name } of cpu.features)
    if (!ARM_FEATURES.has(name))
      throw new QueryError(
        `${where}: libvirt knows no ARM feature "${name}"; it knows ${[...ARM_FEATURES].join(', ')}`,
      );
}
