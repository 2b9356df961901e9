// A libvirt <cpu> that is written relative to a model, as a description.
import { archRecord } from '../../cpu/arch/index.ts';
import { modelWithout } from '../../cpu/arch/s390x.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { LibvirtCpu } from '../../cpu/cpu-element.ts';
import type { Description } from '../../cpu/description.ts';
import { untold } from '../words/blank-description.ts';
import { type ExpandOptions, expandElement } from './libvirt-expand.ts';

/** A CPU that is written relative to a model. */
export function relative(
  catalog: Catalog,
  cpu: LibvirtCpu,
  arch: string,
  options: ExpandOptions = {},
): Description {
  const base = { ...blank(catalog, arch, cpu.line), element: cpu };
  const vendor = cpu.vendor === null ? null : catalog.vendor(cpu.vendor);
  if (!archRecord(arch).isX86) {
    const isOff = ({ policy }: LibvirtCpu['features'][number]) =>
      policy === 'disable' || policy === 'forbid';
    const off = cpu.features.filter(isOff).map((f) => f.name);
    return {
      ...base,
      vendor,
      unnamed: cpu.features.filter((f) => !isOff(f)).map((f) => f.name),
      model: cpu.model === null ? null : { name: modelWithout(cpu.model, off), known: false },
    };
  }
  const model = cpu.model === null ? undefined : catalog.libvirtModels.get(cpu.model);
  const isUnknown = cpu.model !== null && !model;
  return {
    ...base,
    ...expandElement(catalog, cpu, options),
    vendor: vendor ?? model?.vendor ?? null,
    model: cpu.model === null ? null : { name: cpu.model, known: !isUnknown },
    notes: isUnknown
      ? [
          {
            code: 'unknown-model',
            message: `its CPU is written relative to ${cpu.model}, a model that the catalog does not know, so only what is written beside it is known; plimsoll learn on a libvirt that has it, or a query-cpu-model-expansion, settles the rest`,
          },
        ]
      : [],
  };
}

export const blank = (catalog: Catalog, arch: string, line: number): Description => ({
  ...untold(catalog, 'libvirt', line),
  view: 'guest',
  arch,
});
