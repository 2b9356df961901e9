// CPUID and MSR words of one processor, and what they say about features, address bits and the XSAVE layout.
// A word that is not there says nothing, unless the processor itself says that it does not exist.
import { clearBit, emptyRow, hasBit, type Row, setBit } from '../../core/rows.ts';
import type { BitPlace, Catalog, Feature } from '../catalog/catalog.ts';
import type { Signature, XsaveComponent } from '../description.ts';
import type { LeafRegisters, Words } from '../register-words.ts';
import type { Processor } from './processor.ts';

const NOTHING: LeafRegisters = { eax: 0, ebx: 0, ecx: 0, edx: 0 };
// Intel SDM volume 2, CPUID: EAX of their subleaf 0 is the number of their last subleaf.
const COUNTED_LEAVES = new Set([0x7, 0x14, 0x1d, 0x1e, 0x24, 0x29]);
// Set by the operating system that took the dump: they say nothing of the processor.
export const OS_STATE = ['osxsave', 'ospke'] as const;
// The only makers of processors with leaves from 0xc0000000 on; others answer with the data of another leaf.
const CENTAUR = ['CentaurHauls', '  Shanghai  '];
const MICROCODE_MSR = 0x8b;

/** The twelve letters of leaf 0; undefined where the leaf is not stated. */
export function vendorLetters(words: Words): string | undefined {
  const first = words.leaf(0);
  return first && letters([first.ebx, first.edx, first.ecx]);
}

function letters(words: readonly number[]): string {
  return String.fromCharCode(
    ...words.flatMap((word) => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff)),
  );
}

/** The name that the maker gives the processor; undefined where it is not stated. */
export function brandOf(words: Words): string | undefined {
  const leaves = [0x80000002, 0x80000003, 0x80000004].map((leaf) => words.leaf(leaf));
  if (leaves.includes(undefined)) return undefined;
  return letters(leaves.flatMap((leaf) => [leaf!.eax, leaf!.ebx, leaf!.ecx, leaf!.edx]));
}

/** Family, model and stepping from EAX of leaf 1, as Linux computes them for every vendor (arch/x86/lib/cpu.c). */
export function signatureOf(eax: number): Signature {
  const base = (eax >>> 8) & 0xf;
  const family = base === 0xf ? base + ((eax >>> 20) & 0xff) : base;
  const model = ((eax >>> 4) & 0xf) + (family >= 6 ? ((eax >>> 16) & 0xf) << 4 : 0);
  return { family, model, stepping: eax & 0xf };
}

/** Takes out what the operating system switched on: the row then speaks of the processor alone. */
export function withoutOsState(catalog: Catalog, has: Row, known: Row): void {
  for (const name of OS_STATE)
    for (const row of [has, known]) clearBit(row, catalog.feature(name).id);
}

/** Takes back that it lacks them, where a list of what is there leaves them out. */
export function openOsState(catalog: Catalog, has: Row, known: Row): void {
  for (const name of OS_STATE) {
    const { id } = catalog.feature(name);
    if (!hasBit(has, id)) clearBit(known, id);
  }
}

/** What the words of a processor say, in the catalog's terms. */
export function decodeWords(catalog: Catalog, words: Words): Processor {
  const { has, known } = featureBits(catalog, words);
  const vendor = vendorLetters(words);
  const version = words.leaf(1);
  return {
    vendor: vendor === undefined ? null : catalog.vendor(vendor),
    signature: version ? signatureOf(version.eax) : null,
    microcode: microcode(words, vendor),
    physBits: physBits(catalog, words, has, known),
    xsave: xsaveLayout(words),
    has,
    known,
    unnamed: [],
  };
}

/** The registers of a leaf: zero where the processor has no such leaf, undefined where nothing tells. */
function registers(words: Words, leaf: number, subleaf: number): LeafRegisters | undefined {
  const range = (leaf & 0xffff0000) >>> 0;
  // What a hypervisor told the system in which the dump was taken is not what this one tells its guests.
  if (range === 0x40000000) return undefined;
  if (
    range === 0xc0000000 &&
    vendorLetters(words) !== undefined &&
    !CENTAUR.includes(vendorLetters(words)!)
  )
    return NOTHING;
  const top = words.leaf(range)?.eax;
  if (top !== undefined && ((top & 0xffff0000) >>> 0 !== range || leaf > top)) return NOTHING;
  const stated = words.leaf(leaf, subleaf);
  if (stated || subleaf === 0) return stated;
  const first = words.leaf(leaf);
  const isEmpty = first && (first.eax | first.ebx | first.ecx | first.edx) === 0;
  return isEmpty || (first && COUNTED_LEAVES.has(leaf) && subleaf > first.eax)
    ? NOTHING
    : undefined;
}

function placeBit(words: Words, place: BitPlace): boolean | undefined {
  if (place.kind === 'msr') {
    const value = words.msr(place.msr);
    return value === undefined ? undefined : ((value >> BigInt(place.bit)) & 1n) === 1n;
  }
  const found = registers(words, place.leaf, place.subleaf);
  return found && ((found[place.register] >>> place.bit) & 1) === 1;
}

function featureBits(catalog: Catalog, words: Words): { has: Row; known: Row } {
  const has = emptyRow(catalog.bits);
  const known = emptyRow(catalog.bits);
  for (const f of catalog.features) {
    const bits = f.places.map((place) => placeBit(words, place));
    if (bits.includes(true)) setBit(has, f.id);
    if (bits.includes(true) || !bits.includes(undefined)) setBit(known, f.id);
  }
  withoutOsState(catalog, has, known);
  // Every processor with long mode has SYSCALL there, but Intel's CPUID admits it only to 64-bit programs
  // (SDM volume 2, CPUID.80000001H:EDX[11]), and many dumps were taken by 32-bit ones.
  const syscall = catalog.feature('syscall').id;
  if (hasBit(has, catalog.feature('lm').id) && hasBit(known, syscall)) setBit(has, syscall);
  settleDependents(catalog, has, known);
  settleRegisters(catalog, has, known);
  return { has, known };
}

/** Features of which every prerequisite of a group is absent are absent themselves, told or not. */
export function settleDependents(catalog: Catalog, has: Row, known: Row): void {
  for (const { any, clears } of catalog.dependencies)
    if (isShut(any, has, known)) for (const id of clears) if (!hasBit(has, id)) setBit(known, id);
}

const isShut = (group: readonly number[], has: Row, known: Row): boolean =>
  group.every((id) => hasBit(known, id) && !hasBit(has, id));

/** A register whose gate is shut does not exist: what it would hold is absent, not unknown. */
function settleRegisters(catalog: Catalog, has: Row, known: Row): void {
  // Features that QEMU does not name have no prerequisites of their own; they share the gate of their register.
  for (const f of catalog.features) {
    if (hasBit(known, f.id) || f.needs.length > 0 || f.msr === null) continue;
    const gate = siblings(catalog, f).find((other) => other.needs.length > 0)?.needs[0];
    if (gate && isShut(gate, has, known)) setBit(known, f.id);
  }
}

const siblings = (catalog: Catalog, { msr }: Feature): Feature[] =>
  catalog.features.filter((f) => f.msr === msr);

/** Physical address bits; without leaf 0x80000008 what PAE implies (SDM volume 3, 4.1.4). */
function physBits(catalog: Catalog, words: Words, has: Row, known: Row): number | null {
  const sizes = registers(words, 0x80000008, 0);
  if (!sizes) return null;
  const bits = sizes.eax & 0xff;
  if (bits !== 0) return bits;
  const pae = catalog.feature('pae').id;
  return hasBit(known, pae) ? (hasBit(has, pae) ? 36 : 32) : null;
}

/** The stated XSAVE components; null where the dump does not say, none where the processor has no XSAVE. */
function xsaveLayout(words: Words): XsaveComponent[] | null {
  const enabled = registers(words, 0xd, 0);
  if (!enabled) return null;
  const layout: XsaveComponent[] = [];
  for (let component = 2; component < 63; component++) {
    const stated = words.leaf(0xd, component);
    if (stated && stated.eax !== 0)
      layout.push({ component, size: stated.eax, offset: stated.ebx });
  }
  return layout.length > 0 || (enabled.eax & ~3) === 0 ? layout : null;
}

/** Intel keeps the revision in the upper half of the register, AMD and Hygon in the lower. */
function microcode(words: Words, vendor: string | undefined): string | null {
  const value = words.msr(MICROCODE_MSR);
  if (value === undefined) return null;
  const revision =
    vendor === 'GenuineIntel'
      ? value >> 32n
      : vendor === 'AuthenticAMD' || vendor === 'HygonGenuine'
        ? value & 0xffffffffn
        : 0n;
  return revision === 0n ? null : `0x${revision.toString(16)}`;
}

/** Marks as not told what a description that lists none of KVM's own features leaves open: every guest has them. */
export function openKvmFeatures(catalog: Catalog, has: Row, known: Row): void {
  const { kvmFeatures } = catalog;
  if (!kvmFeatures.some((f) => hasBit(has, f.id)))
    for (const f of kvmFeatures) clearBit(known, f.id);
}
