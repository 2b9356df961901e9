// Flags as the Linux kernel prints them, wherever they are quoted: what each means for guests, and what their absence
// says. Names that the kernel makes of several bits, or of none, are taken apart here.
import { clearBit, emptyRow, join, type Row, setBit } from '../core/rows.ts';
import type { Catalog, Vendor } from '../cpu/catalog.ts';
import { settleDependents, withoutOsState } from '../cpu/cpuid.ts';

/** What a list of features says of the catalog's bits. */
export interface Told {
  readonly has: Row;
  readonly known: Row;
  /** Features that the catalog does not know. */
  readonly unnamed: readonly string[];
}

/** Flags that are read together, or that only kernels of old print; deriveFlags knows what they mean. */
const DERIVED = new Set(['spec_ctrl', 'intel_stibp']);
/** Of the `vmx flags` line: what the kernel sums up, and controls that no guest is ever given by name. */
const KERNEL_VMX = new Set([
  'apicv',
  'ept_violation_ve',
  'flexpriority',
  'ipi_virt',
  'notify_vm_exiting',
]);

/** The meaning of the flags of one processor; of a whole list, so that what it leaves out is absent. */
export function readFlags(
  catalog: Catalog,
  words: Iterable<string>,
  vendor: Vendor | null,
  vmx?: readonly string[],
): Told {
  const flags = new Set(words);
  const has = emptyRow(catalog.bits);
  const known = catalog.toldByLinux(vendor);
  const unnamed: string[] = [];
  for (const flag of flags) {
    const found = catalog.findLinux(flag, vendor);
    if (found === undefined && !DERIVED.has(flag)) unnamed.push(flag);
    else if (found !== undefined && found !== 'linux-only') {
      setBit(has, found.id);
      setBit(known, found.id);
    }
  }
  const tell: Tell = (name, is) => {
    const { id } = catalog.feature(name);
    (is === 'unknown' ? clearBit : setBit)(known, id);
    if (is === true) setBit(has, id);
  };
  deriveFlags(flags, vendor, tell);
  if (vmx !== undefined) readVmx(catalog, vmx, { has, known, unnamed });
  withoutOsState(catalog, has, known);
  settleDependents(catalog, has, known);
  return { has, known, unnamed };
}

/** The same of a part of the flags: what it leaves out is unknown. */
export function readSomeFlags(
  catalog: Catalog,
  words: Iterable<string>,
  vendor: Vendor | null,
): Told {
  const { has, unnamed } = readFlags(catalog, words, vendor);
  return { has, known: has.slice(), unnamed };
}

type Tell = (name: string, is: boolean | 'unknown') => void;

/** Features that the kernel shows by other names, or by several. */
function deriveFlags(flags: ReadonlySet<string>, vendor: Vendor | null, tell: Tell): void {
  // arch/x86/kernel/cpu/{intel,amd,hygon,zhaoxin}.c set both from the one bit.
  tell('invtsc', flags.has('constant_tsc') && flags.has('nonstop_tsc'));
  if (vendor === 'Intel') {
    const both = flags.has('ibrs') && flags.has('ibpb');
    const either = flags.has('ibrs') || flags.has('ibpb');
    tell('spec-ctrl', flags.has('spec_ctrl') || both || (either ? 'unknown' : false));
    if (flags.has('intel_stibp')) tell('stibp', true);
  }
  if (vendor === 'AMD' || vendor === 'Hygon') {
    // The kernel sets it from either of two CPUID bits, or from a register that no guest sees.
    for (const name of ['amd-ssbd', 'virt-ssbd']) tell(name, flags.has('ssbd') ? 'unknown' : false);
  }
}

function readVmx(
  catalog: Catalog,
  flags: readonly string[],
  { has, known, unnamed }: { has: Row; known: Row; unnamed: string[] },
): void {
  known.set(join(known, catalog.toldByLinuxVmx()));
  for (const flag of flags) {
    const found = catalog.findLinuxVmx(flag);
    if (found) setBit(has, found.id);
    else if (!KERNEL_VMX.has(flag)) unnamed.push(`vmx-${flag}`);
  }
}
