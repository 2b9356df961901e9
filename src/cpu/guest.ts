// A guest's CPU as its definition writes it. What it means depends on the software that starts it: cpu/asked.ts.
import type { Surroundings } from './expand.ts';
import type { LibvirtCpu } from './libvirt.ts';

/** Products that start a guest only where the name of its model is usable as it stands. */
export type ByName = 'kubevirt' | 'ovirt';

interface Asks {
  /** The architecture is not told: it is that of the host. */
  readonly anyArch?: true;
  /** The machine type as written; null where the definition names none. */
  readonly machine: string | null;
  readonly accelerator: Surroundings['accelerator'];
}

/** By a whole -cpu argument. */
export interface AskedOfQemu extends Asks {
  readonly by: 'qemu';
  readonly cpu: string;
}

/** By libvirt's <cpu>, or by none: then `element` is UNSAID. */
export interface AskedOfLibvirt extends Asks {
  readonly by: 'libvirt';
  readonly element: LibvirtCpu;
  /** The frequency in Hz that the guest's time stamp counter is fixed to; null where it is not. */
  readonly tscHz: number | null;
  /** Threads of one package: with more than one, QEMU sets bits of the topology. */
  readonly threads: number;
  /** The product that looks for hosts by the name of the model; null where none does. */
  readonly byName: ByName | null;
}

export type Asked = AskedOfQemu | AskedOfLibvirt;
