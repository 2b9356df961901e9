// The x86-64 levels of the psABI, for those who ask for no more than a level: the highest that the CPU has.
import { proxmoxBuiltin, psabiLevels } from '../../cpu/catalog/products.ts';
import type { GuestCpu } from '../../cpu/definition.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Dialect } from '../dialect.ts';

function levelOf({ features }: GuestCpu): string {
  const has = new Set(features);
  const level = psabiLevels.findLast((l) => l.features.every((name) => has.has(name)));
  if (level) return level.name;
  throw new QueryError('this CPU is below x86-64-v1, the lowest of the x86-64 levels');
}

export const psabi: Dialect = {
  name: 'x86-64',
  use: 'for compilers and images (GOAMD64, -march), and as the CPU type of a VM where a product has it (qm set VMID --cpu)',
  write: (cpu) => `${levelOf(cpu)}\n`,
  notes(cpu) {
    const level = levelOf(cpu);
    const own = new Set(psabiLevels.find((l) => l.name === level)!.features);
    const rest = cpu.features.filter((name) => !own.has(name));
    return [
      {
        code: 'level-only',
        message: `${level} leaves out ${rest.length} features of this CPU${proxmoxBuiltin(level) ? '' : '; Proxmox VE has no CPU type of this name'}`,
      },
    ];
  },
};
