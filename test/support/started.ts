// Whether a QEMU starts with a -cpu argument, and what a KVM lists that it does not give.
import type { Catalog } from '../../src/cpu/catalog/catalog.ts';
import { readCpu } from './qemu.ts';
import type { Outcome } from './verdicts.ts';

/** Starts it paused, and ends it again. */
export async function started(
  command: readonly string[],
  accelerator: string,
  machine: string,
  cpu: string,
): Promise<Outcome> {
  const args = ['-machine', machine, '-accel', accelerator, '-cpu', cpu];
  const read = await readCpu(command, args, ['unavailable-features']);
  if ('refused' in read) return { starts: false, error: read.refused };
  const without = read.properties['unavailable-features'] as string[];
  return { starts: true, without: [...new Set(without)] };
}

/** Whether KVM can be used at all. */
export const startsKvm = async (command: readonly string[]): Promise<boolean> =>
  (await started(command, 'kvm', 'q35', '486,enforce')).starts;

/**
 * Features without which alone `-cpu host` starts, by QEMU's names: a KVM may list bits of a register of the processor
 * that it does not let QEMU set.
 */
export async function whatHostNeeds(
  command: readonly string[],
  catalog: Catalog,
  version: string,
): Promise<string[]> {
  const off: string[] = [];
  for (let tries = 0; tries < 8; tries++) {
    const host = ['host', ...off.map((name) => `${name}=off`)].join(',');
    const outcome = await started(command, 'kvm', 'q35', host);
    if (outcome.starts) return off;
    const register = /failed to set MSR (0x[0-9a-f]+)/.exec(outcome.error)?.[1];
    if (register === undefined) throw new Error(`-cpu ${host} does not start: ${outcome.error}`);
    const bits = catalog.features.filter(
      (f) =>
        f.qemu !== null &&
        catalog.isSince('qemu', version, f.qemu) &&
        f.places.some((p) => p.kind === 'msr' && p.msr === Number(register)),
    );
    console.log(
      `starts: this KVM lists MSR ${register} and does not let it be set; its bits count as off`,
    );
    off.push(...bits.map((f) => f.name));
  }
  throw new Error('-cpu host does not start, whatever is switched off');
}
