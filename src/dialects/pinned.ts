// A pinned CPU in the languages that can hold one.
import type { Catalog } from '../cpu/catalog/catalog.ts';
import type { LibvirtCpu, Policy } from '../cpu/cpu-element.ts';
import { byBytes } from '../cpu/order.ts';
import { type Settings, valueText } from '../cpu/qemu/properties.ts';
import { writeLibvirtCpu } from './libvirt/libvirt-write.ts';

/**
 * QEMU's -readconfig file: one [global] section a property. Its driver is the class of all x86 CPUs, for one of a
 * model's own name has no effect beside an alias of that model.
 */
export function writeReadconfig(settings: Settings, heading: string): string {
  const sections = settings
    // There is no escape for a quotation mark; what was typed with one stays in the -cpu argument that has it.
    .filter(([, value]) => !String(value).includes('"'))
    .map(
      ([name, value]) =>
        `[global]\n  driver = "x86_64-cpu"\n  property = "${name}"\n  value = "${valueText(value)}"\n`,
    );
  return [`# ${heading}\n`, ...sections].join('\n');
}

/** What stands after -cpu, not quoted. */
export const cpuArgument = (name: string, settings: Settings): string =>
  [name, ...settings.map(([key, value]) => `${key}=${valueText(value)}`)].join(',');

/** `-cpu ...`, as a shell takes it. */
export const cpuOption = (argument: string): string => `-cpu ${shellWord(argument)}`;

/** A model with typed properties, as QMP takes and gives one. */
export const writeModelInfo = (name: string, settings: Settings): string =>
  `${JSON.stringify({ model: { name, props: Object.fromEntries(settings) } }, null, 2)}\n`;

/** A word as any POSIX shell takes it; quoted only where it must be. */
export function shellWord(word: string): string {
  return /^[\w.,=+:@%/-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** What libvirt is told of a CPU, features by QEMU's names. */
export interface FullCpu {
  readonly name: string;
  readonly vendor: string | null;
  readonly physBits: number | null;
  readonly require: readonly string[];
  readonly disable: readonly string[];
}

/** A <cpu> that libvirt holds against the guest after start, to the last feature. */
export function writeFullCpu(catalog: Catalog, cpu: FullCpu): string {
  const features = (policy: Policy, names: readonly string[]): LibvirtCpu['features'] =>
    names.map((name) => ({ name: catalog.feature(name).libvirt!.name, policy }));
  return writeLibvirtCpu({
    type: 'guest',
    arch: null,
    mode: 'custom',
    match: 'exact',
    check: 'full',
    migratable: null,
    model: cpu.name,
    fallback: 'forbid',
    vendor: cpu.vendor,
    vendorId: null,
    features: [...features('require', cpu.require), ...features('disable', cpu.disable)].sort(
      (a, b) => byBytes(a.name, b.name),
    ),
    signature: null,
    microcode: null,
    maxphysaddr:
      cpu.physBits === null ? null : { mode: 'emulate', bits: cpu.physBits, limit: null },
    topology: null,
    line: 1,
  });
}
