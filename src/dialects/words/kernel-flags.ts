// Flags as the Linux kernel prints them, wherever they are quoted: what each means for guests, and what their absence
// says. Names that the kernel makes of several bits, or of none, are taken apart here.
import { clearBit, emptyRow, join, type Row, setBit } from '../../core/rows.ts';
import type { Catalog, Feature, Vendor } from '../../cpu/catalog/catalog.ts';
import { settleDependents, withoutOsState } from '../../cpu/proven/cpuid-words.ts';

/** What a list of features says of the catalog's bits. */
export interface ToldFeatures {
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

/**
 * The meaning of the flags of one processor; of a whole list, so that what it leaves out is absent, where the kernel
 * has a word for it. `kernel`: its version, null where that is not told; `vmx`: the words of its `vmx flags` line.
 */
export function readFlags(
  catalog: Catalog,
  words: Iterable<string>,
  vendor: Vendor | null,
  vmx?: readonly string[],
  kernel: string | null = null,
): ToldFeatures {
  const { linux } = catalog;
  const flags = new Set(words);
  const has = emptyRow(catalog.bits);
  const known = linux.told(vendor, kernel).slice();
  const unnamed: string[] = [];
  const tell: Tell = ({ id }, is) => {
    (is === 'unknown' ? clearBit : setBit)(known, id);
    (is === true ? setBit : clearBit)(has, id);
  };
  for (const flag of flags) {
    const found = linux.find(flag, vendor);
    if (found === undefined && !DERIVED.has(flag)) unnamed.push(flag);
    else if (found !== undefined && found !== 'linux-only') tell(found, true);
    for (const implied of linux.implied(flag)) tell(implied, true);
  }
  deriveFlags(catalog, flags, vendor, linux.isRead(kernel), tell);
  if (vmx !== undefined) readVmx(catalog, vmx, kernel, { has, known, unnamed });
  withoutOsState(catalog, has, known);
  settleDependents(catalog, has, known);
  return { has, known, unnamed };
}

/** The same of a part of the flags: what it leaves out is unknown. */
export function readSomeFlags(
  catalog: Catalog,
  words: Iterable<string>,
  vendor: Vendor | null,
): ToldFeatures {
  const { has, unnamed } = readFlags(catalog, words, vendor);
  return { has, known: has.slice(), unnamed };
}

type Tell = (feature: Feature, is: boolean | 'unknown') => void;

/**
 * Features that the kernel shows by other names, or by several. `isRead`: whether its words are known, so that those
 * that it does not print say something.
 */
function deriveFlags(
  catalog: Catalog,
  flags: ReadonlySet<string>,
  vendor: Vendor | null,
  isRead: boolean,
  tell: Tell,
): void {
  const absent = isRead ? false : 'unknown';
  const say = (name: string, is: boolean | 'unknown') => tell(catalog.feature(name), is);
  const isOfAmd = vendor === 'AMD' || vendor === 'Hygon';
  // arch/x86/kernel/cpu/{intel,amd,hygon,zhaoxin}.c set both from the one bit.
  say('invtsc', (flags.has('constant_tsc') && flags.has('nonstop_tsc')) || absent);
  // Set by model too, where the register works and no bit says so.
  if (flags.has('split_lock_detect')) say('split-lock-detect', 'unknown');
  if (vendor === 'Intel') {
    const both = flags.has('ibrs') && flags.has('ibpb');
    const either = flags.has('ibrs') || flags.has('ibpb');
    say('spec-ctrl', flags.has('spec_ctrl') || both || (either ? 'unknown' : absent));
    if (flags.has('intel_stibp')) say('stibp', true);
  }
  if (isOfAmd) {
    // The kernel sets it from either of two CPUID bits, or from a register that no guest sees; and it takes the
    // second bit's own word away where the first is there.
    const isVirtual = flags.has('virt_ssbd');
    const other = flags.has('ssbd') ? 'unknown' : absent;
    say('amd-ssbd', isVirtual ? false : other);
    say('virt-ssbd', isVirtual || other);
  }
  // Where memory is encrypted for guests the kernel does without it, and prints no word.
  if (vendor === 'AMD' && flags.has('sev_snp') && !flags.has('ibrs_enhanced'))
    say('auto-ibrs', flags.has('autoibrs') || 'unknown');
  // On AMD the same word may be another feature's.
  if (!isOfAmd)
    for (const [flag, feature] of catalog.linux.ofVmx) {
      const isThere = flags.has(flag) && (vendor !== null || flags.has('vmx'));
      if (isThere) tell(feature, true);
      else if (flags.has('vmx') && isRead) tell(feature, false);
    }
}

function readVmx(
  { linux }: Catalog,
  flags: readonly string[],
  kernel: string | null,
  { has, known, unnamed }: { has: Row; known: Row; unnamed: string[] },
): void {
  known.set(join(known, linux.toldVmx(kernel)));
  for (const flag of flags) {
    const found = linux.findVmx(flag);
    if (found) {
      setBit(has, found.id);
      setBit(known, found.id);
    } else if (!KERNEL_VMX.has(flag)) unnamed.push(`vmx-${flag}`);
  }
}
