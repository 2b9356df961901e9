// The architectures by the names that documents have for them.
import { type Arch, plain } from './arch.ts';
import { arm } from './arm.ts';
import { power } from './power.ts';
import { s390x } from './s390x.ts';

export type { Arch, ArchNames, Identity, Kin } from './arch.ts';
export { asksOf, elementOfArgument, UNTOLD } from './arch.ts';

export const X86: Arch = { ...plain('x86_64'), isX86: true, remark: null };

const known = new Map<string, Arch>([
  ['x86_64', X86],
  ['i686', { ...X86, name: 'i686' }],
  ['ppc64', power],
  ['ppc64le', power],
  ['s390', s390x],
  ['s390x', s390x],
]);

/** QEMU's names of targets that are called otherwise elsewhere; 32-bit x86 is a target of 64-bit hosts. */
const TARGETS: Readonly<Record<string, string>> = {
  __proto__: null as never,
  arm: 'armv7l',
  i386: 'x86_64',
};

/** The architecture of a target of QEMU: what query-target answers, and what its program's name ends in. */
export const archOfTarget = (target: string): string => TARGETS[target] ?? target;

const MACHINES: readonly (readonly [RegExp, string])[] = [
  [/^(?:pc|pc-.*|q35|isapc|microvm)$/, 'x86_64'],
  [/^pseries/, 'ppc64'],
  [/^s390-ccw/, 's390x'],
];

/** The architecture of machine types that only one has; null for others. */
export const archOfMachine = (machine: string | null): string | null =>
  MACHINES.find(([pattern]) => pattern.test(machine ?? ''))?.[1] ?? null;

/** What the project knows of an architecture; of one that it has no record of, what is known of any. */
export function archRecord(name: string): Arch {
  let arch = known.get(name);
  if (!arch) {
    arch = /^(?:aarch64|arm)/.test(name) ? arm(name) : plain(name);
    known.set(name, arch);
  }
  return arch;
}
