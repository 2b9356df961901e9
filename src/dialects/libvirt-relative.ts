// A libvirt <cpu> that is written relative to a model, as a description.
import type { Catalog } from '../cpu/catalog.ts';
import type { Description } from '../cpu/host.ts';
import type { LibvirtCpu } from '../cpu/libvirt.ts';
import { untold } from './described.ts';
import { type ExpandOptions, expandCpu } from './libvirt-expand.ts';

export const X86 = ['x86_64', 'i686'];

/** A CPU that is written relative to a model. */
export function relative(
  catalog: Catalog,
  cpu: LibvirtCpu,
  arch: string,
  options: ExpandOptions = {},
): Description {
  const base = { ...blank(catalog, arch, cpu.line), element: cpu };
  const vendor = cpu.vendor === null ? null : catalog.vendor(cpu.vendor);
  if (!X86.includes(arch))
    return {
      ...base,
      vendor,
      unnamed: cpu.features
        .filter((f) => f.policy !== 'disable' && f.policy !== 'forbid')
        .map((f) => f.name),
      model: cpu.model === null ? null : { name: cpu.model, known: false },
      notes: [
        {
          code: 'other-arch',
          message: `it is ${arch}, and the catalog knows the features of x86 CPUs only`,
        },
      ],
    };
  const model = cpu.model === null ? undefined : catalog.libvirtModels.get(cpu.model);
  const isUnknown = cpu.model !== null && !model;
  return {
    ...base,
    ...expandCpu(catalog, cpu, options),
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
