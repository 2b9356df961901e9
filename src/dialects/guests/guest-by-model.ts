// Guests by what a product asks of QEMU or of libvirt on their behalf, as descriptions.
import { meaningOfAsked, noteOf, toldBy } from '../../cpu/asked/asked.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { type CpuMode, type LibvirtCpu, type Policy, UNSAID } from '../../cpu/cpu-element.ts';
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Asked, ByName } from '../../cpu/guest.ts';
import { untold } from '../words/blank-description.ts';
import { guestDescription } from './libvirt-guest.ts';

/** Where a definition stands. */
export interface DefinitionPlace {
  readonly dialect: string;
  readonly line: number | null;
  /** Its place as messages name it: file, line, guest. */
  readonly where: string;
}

/** Every feature there is, switched by name, takes less. */
const MAX_ARGUMENT = 16 * 1024;

/** Models by which products mean what only the host that runs the guest decides, in libvirt's words. */
const OF_THE_HOST: Readonly<Record<string, CpuMode>> = {
  __proto__: null as never,
  host: 'host-passthrough',
  max: 'maximum',
  'host-passthrough': 'host-passthrough',
  'host-model': 'host-model',
  maximum: 'maximum',
};

/** A guest by its -cpu argument. */
export function askedOfQemu(
  catalog: Catalog,
  cpu: string,
  place: DefinitionPlace,
  {
    machine = null,
    accelerator = 'kvm',
    anyArch,
  }: Partial<Pick<Asked, 'machine' | 'accelerator' | 'anyArch'>> = {},
): Description {
  if (cpu.length > MAX_ARGUMENT)
    throw new QueryError(
      `${place.where}: the CPU is ${cpu.length} characters long, which no argument of QEMU is`,
    );
  // Only QEMU's own word for it.
  const argument = cpu === 'host-passthrough' ? 'host' : cpu;
  const asked: Asked = {
    ...{ by: 'qemu', cpu: argument, machine, accelerator },
    ...(anyArch ? { anyArch } : {}),
  };
  const [model = ''] = argument.split(',');
  const description: Description = {
    ...untold(catalog, place.dialect, place.line),
    view: 'guest',
    machine,
    model: { name: model, known: true },
    asked,
  };
  const meaning = meaningOfAsked(catalog, asked);
  if (meaning.is === 'cpu') return { ...description, ...toldBy(catalog, asked, meaning) };
  return { ...description, notes: [noteOf(meaning, place.where)] };
}

export interface ModelAsked {
  /** null where libvirt is told none: then QEMU's own default is what a guest gets. */
  readonly model: string | null;
  readonly features: readonly { readonly name: string; readonly policy: Policy }[];
  readonly accelerator?: Asked['accelerator'];
  /** Why nobody knows which CPU its platform gives it. */
  readonly unsettled?: string;
  readonly vendor?: string | null;
  readonly machine?: string | null;
  readonly tscHz?: number | null;
  /** The product that looks for hosts by the name of the model. */
  readonly byName?: ByName;
  /** Where it is not told, it is that of the host. */
  readonly arch?: string | null;
}

/** A model and features as libvirt's element. */
export function elementByModel(
  model: string | null,
  { features, vendor, line }: Pick<LibvirtCpu, 'features' | 'vendor' | 'line'>,
): LibvirtCpu {
  const mode = OF_THE_HOST[model ?? ''] ?? 'custom';
  return {
    ...UNSAID,
    mode,
    model: mode === 'custom' ? model : null,
    fallback: 'forbid',
    ...{ vendor, features, line },
  };
}

/** A guest by a model and features in libvirt's words. */
export function askedOfLibvirt(
  catalog: Catalog,
  cpu: ModelAsked,
  place: DefinitionPlace,
): Description {
  const seenNames = new Set<string>();
  for (const { name } of cpu.features) {
    if (seenNames.has(name))
      throw new QueryError(
        `${place.where}: feature "${name}" is listed twice; keep the one that holds`,
      );
    seenNames.add(name);
  }
  const { machine = null, tscHz = null, byName = null, accelerator = 'kvm', unsettled } = cpu;
  const { arch = null, features, vendor = null } = cpu;
  const line = place.line ?? 1;
  const asked = {
    by: 'libvirt' as const,
    element: elementByModel(cpu.model, { features, vendor, line }),
    ...{ machine, accelerator, tscHz, byName },
    threads: 1,
    ...(unsettled === undefined ? {} : { unsettled }),
    ...(arch === null ? { anyArch: true as const } : {}),
  };
  return {
    ...guestDescription(catalog, asked, arch ?? 'x86_64', line, place.where),
    dialect: place.dialect,
    machine,
    element: null,
  };
}
