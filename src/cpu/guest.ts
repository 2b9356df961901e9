// A guest as one question needs it: what QEMU is asked for on its behalf, and where.
import type { Surroundings } from './expand.ts';

export interface Guest {
  readonly id: string;
  /** The whole -cpu argument that its QEMU gets. */
  readonly cpu: string;
  readonly machine: string;
  readonly accelerator: Surroundings['accelerator'];
}
