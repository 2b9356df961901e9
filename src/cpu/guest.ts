// A guest's CPU as its definition writes it. What it means depends on the software that starts it: cpu/asked/asked.ts.
import type { LibvirtCpu } from './cpu-element.ts';
import type { ProxmoxLines, ProxmoxModel } from './proxmox-line.ts';
import type { Surroundings } from './qemu/expand.ts';

/** Products that start a guest only where the name of its model is usable as it stands. */
export type ByName = 'kubevirt' | 'ovirt';

interface Asks {
  /** The architecture is not told: it is that of the host. */
  readonly anyArch?: true;
  /** The machine type as written; null where the definition names none. */
  readonly machine: string | null;
  readonly accelerator: Surroundings['accelerator'];
  /** Why nobody knows which CPU its platform gives it; absent where the definition says. */
  readonly unsettled?: string;
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

/** By the configuration of a VM of Proxmox VE, of which each node makes a -cpu argument as its version does. */
export interface AskedOfProxmox extends Asks {
  readonly by: 'proxmox';
  /** The part of the configuration that a running VM was given: of it what can matter to the CPU. */
  readonly lines: ProxmoxLines;
  /** What the part becomes when the VM is stopped and started; null where that changes nothing. */
  readonly cold: ProxmoxLines | null;
  readonly snapshots: readonly { readonly name: string; readonly lines: ProxmoxLines }[];
  /** The custom models of its cluster; null where they are not at hand. */
  readonly models: readonly ProxmoxModel[] | null;
}

/** By what a program is started with. */
export type Started = AskedOfQemu | AskedOfLibvirt;

export type Asked = Started | AskedOfProxmox;
