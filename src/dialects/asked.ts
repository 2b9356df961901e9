// CPUs that a product asks of QEMU or of libvirt on behalf of a guest, as guests.
import type { Catalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import { expandItems } from '../cpu/expand.ts';
import type { Description } from '../cpu/host.ts';
import { type Policy, UNSAID } from '../cpu/libvirt.ts';
import { findMachine, machinesOf } from '../cpu/machine.ts';
import { parseCpuString } from '../cpu/qemu-string.ts';
import { untold } from './described.ts';
import { guestDescription } from './libvirt.ts';

/** Where a definition stands. */
export interface Place {
  readonly dialect: string;
  readonly line: number | null;
  /** Its place as messages name it: file, line, guest. */
  readonly where: string;
}

/** Every feature there is, switched by name, takes less. */
const MAX_ARGUMENT = 16 * 1024;

/** What only the host that runs the guest decides. */
const OF_THE_HOST = new Set(['host', 'host-passthrough', 'host-model', 'maximum', 'max']);

const hostCpu = (catalog: Catalog, { dialect, line }: Place, model: string): Description => ({
  ...untold(catalog, dialect, line),
  view: 'guest',
  model: { name: model, known: true },
  notes: [
    {
      code: 'host-cpu',
      message: `its CPU is ${model}, which only the host that runs it settles; what QEMU answers to query-cpu-model-expansion there, or the live domain XML, shows what it got`,
    },
  ],
});

/**
 * A guest by its -cpu argument.
 * @throws QueryError for what QEMU would refuse.
 */
export function askedOfQemu(
  catalog: Catalog,
  cpu: string,
  place: Place,
  machine: string | null = null,
): Description {
  if (cpu.length > MAX_ARGUMENT)
    throw new QueryError(
      `${place.where}: the CPU is ${cpu.length} characters long, which no argument of QEMU is`,
    );
  const qemu = qemuOf(catalog, machine);
  try {
    const parsed = parseCpuString(cpu);
    if (OF_THE_HOST.has(parsed.model)) return hostCpu(catalog, place, parsed.model);
    const expansion = expandItems(catalog, parsed, {
      qemu: qemu.version,
      machine: qemu.machine,
      accelerator: 'kvm',
    });
    const { vendor, 'phys-bits': physBits } = expansion.properties;
    const owner = catalog.qemuModels.get(parsed.model)!.vendor;
    return {
      ...untold(catalog, place.dialect, place.line),
      view: 'guest',
      has: expansion.features,
      known: catalog.rowWhere(() => true),
      // Under KVM a model without a vendor of its own takes the host's.
      vendor:
        typeof vendor === 'string' && (owner !== null || expansion.named.has('vendor'))
          ? catalog.vendor(vendor)
          : null,
      limits: {
        physBits:
          expansion.named.has('phys-bits') && typeof physBits === 'number' && physBits > 0
            ? physBits
            : null,
      },
      machine,
      model: { name: parsed.model, known: true },
    };
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    throw new QueryError(`${place.where}: ${error.message}`);
  }
}

/** The newest QEMU of the catalog that has the machine type; its newest machine type where none is given. */
function qemuOf(catalog: Catalog, machine: string | null): { version: string; machine: string } {
  const versions = catalog.versions.qemu.toReversed();
  const newest = versions[0]!;
  if (machine !== null)
    for (const version of versions)
      try {
        return { version, machine: findMachine(catalog, machine, version).name };
      } catch (error) {
        if (!(error instanceof QueryError)) throw error;
      }
  const machines = machinesOf(catalog, newest).filter((m) => m.name.startsWith('pc-q35'));
  return { version: newest, machine: machines.at(-1)!.name };
}

export interface AskedOfLibvirt {
  readonly model: string;
  readonly features: readonly { readonly name: string; readonly policy: Policy }[];
  readonly vendor?: string | null;
}

/** A guest by a model and features in libvirt's words. */
export function askedOfLibvirt(catalog: Catalog, cpu: AskedOfLibvirt, place: Place): Description {
  if (OF_THE_HOST.has(cpu.model)) return hostCpu(catalog, place, cpu.model);
  const seen = new Set<string>();
  for (const { name } of cpu.features) {
    if (seen.has(name))
      throw new QueryError(
        `${place.where}: feature "${name}" is listed twice; keep the one that holds`,
      );
    seen.add(name);
  }
  return {
    ...guestDescription(
      catalog,
      {
        ...UNSAID,
        model: cpu.model,
        fallback: 'forbid',
        vendor: cpu.vendor ?? null,
        features: cpu.features,
        line: place.line ?? 1,
      },
      'x86_64',
      place.line ?? 1,
    ),
    dialect: place.dialect,
    element: null,
  };
}
