// -cpu arguments near the truth, drawn: models with and without what an accelerator lacks of them, and a few words more
// of every kind that QEMU takes or refuses.
import type { Catalog } from '../../src/cpu/catalog/catalog.ts';
import { pick, type Random } from './random.ts';

/** What one QEMU says of itself under an accelerator. */
export interface Ground {
  /** Its models, with what is not to be had of each. */
  readonly models: readonly {
    readonly name: string;
    readonly vendor: string | null;
    readonly blockers: readonly string[];
  }[];
  /** Features that its host model has. */
  readonly offered: readonly string[];
  /** What a name of this QEMU's features may be. */
  readonly known: readonly string[];
  readonly machines: readonly string[];
  /** What has to stand behind `host` for it to start at all. */
  readonly hostNeeds: string;
  /** A model of another vendor starts, but is a no all the same: most of what is drawn is of this one, or of none. */
  readonly vendors: ReadonlySet<string | null>;
  readonly physBits: number;
}

export interface DrawnCpu {
  readonly cpu: string;
  readonly machine: string;
}

/** Words with a rule of their own: of no order, KVM's, made up, or of a parent that may be off. */
const SPECIAL =
  `ht hypervisor cmp-legacy topoext osxsave ospke kvm-mmu kvm-asyncpf-int kvm-msi-ext-dest-id kvm-hint-dedicated
  fdp-excptn-only zero-fcs-fds x2apic arch-capabilities monitor acpi svm vmx npt nrip-save vmx-ept vmx-vpid
  vmx-activity-hlt pdcm invtsc tsc-deadline tsc-adjust umip md-clear fb-clear rsba rrsba rdctl-no taa-no
  xsaveopt xsavec avx avx2 spec-ctrl ssbd amd-ssbd virt-ssbd ibpb stibp mmxext 3dnow ss cr8legacy lm nx pae
  kvmclock kvm-steal-time kvm-pv-eoi kvm-poll-control kvm-pv-unhalt hle rtm sgx intel-pt pku`.split(
    /\s+/,
  );

const VENDORS = ['AuthenticAMD', 'GenuineIntel', 'HygonGenuine', 'CentaurHauls', 'Nobody'];

/** Each feature that QEMU of this version has a name for. */
export const namesOfQemu = (catalog: Catalog, version: string): string[] =>
  catalog.features
    .filter((f) => f.qemu !== null && catalog.isSince('qemu', version, f.qemu))
    .map((f) => f.name);

/** Arguments that are all different. */
export function drawCpus(ground: Ground, next: Random, count: number): DrawnCpu[] {
  const drawn = new Map<string, DrawnCpu>();
  while (drawn.size < count) {
    const cpu = drawOne(ground, next);
    const machine = next() < 0.02 ? 'pc-q35-99.0' : pick(next, ground.machines);
    drawn.set(cpu, { cpu, machine });
  }
  return [...drawn.values()];
}

function drawOne(ground: Ground, next: Random): string {
  const words = next() < 0.06 ? ['host', ground.hostNeeds] : modelWords(ground, next);
  const further = Math.floor(next() * 3);
  for (let i = 0; i < further; i++) words.push(featureWord(ground, next));
  if (next() < 0.3) words.push(oddWord(ground, next));
  if (next() < 0.88) words.push('enforce');
  return words.filter((word) => word !== '').join(',');
}

/** A model without all that is lacking, without all of it but one, or as it is. */
function modelWords(ground: Ground, next: Random): string[] {
  const own =
    next() < 0.75 ? ground.models.filter((m) => ground.vendors.has(m.vendor)) : ground.models;
  const { name, blockers } = pick(next, own);
  const off = [...new Set(blockers)];
  const how = next();
  if (how > 0.85) return [name];
  if (how > 0.65 && off.length > 0) off.splice(Math.floor(next() * off.length), 1);
  return [name, ...off.map((feature) => `${feature}=off`)];
}

function featureWord(ground: Ground, next: Random): string {
  const from = next();
  const feature = pick(next, from < 0.4 ? ground.offered : from < 0.6 ? ground.known : SPECIAL);
  const on = [`+${feature}`, `${feature}=on`, `${feature}=on`, feature];
  return next() < 0.75 ? pick(next, on) : pick(next, [`-${feature}`, `${feature}=off`]);
}

function oddWord({ physBits }: Ground, next: Random): string {
  return pick(next, [
    'no-such-feature=on',
    '+no-such-feature',
    'mmx=maybe',
    `vendor=${pick(next, VENDORS)}`,
    // More than the host has, QEMU takes with a warning; no guest should have them.
    `phys-bits=${pick(
      next,
      [physBits, Math.min(physBits, 36), 40, 31, 53, 0].filter((n) => n <= physBits || n > 52),
    )}`,
    'host-phys-bits=on',
    'invtsc=on',
    // QMP does not tell at which frequency the host runs, nor whether it scales.
    'invtsc=on,tsc-frequency=1000000000',
    'level=13',
    'pmu=on',
    'kvm=off',
    'check=off',
    '+aes,aes=off',
    'aes=on,-aes',
    'lm=off',
  ]);
}
