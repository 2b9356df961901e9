// What the generator of the catalog's data is given, and the words that all of it shares.
import type { CpuMap } from './cpu-map.ts';

// biome-ignore lint/suspicious/noExplicitAny: facts of many shapes; laws and tests check what is made of them
export type Json = any;

/** Facts about the software, as they were collected, and what no machine-readable source states. */
export interface Facts {
  readonly libvirt90: CpuMap;
  /** Of libvirt 11.3: features and models. */
  readonly features113: Json;
  readonly models113: Json;
  readonly libvirt128: Json;
  readonly qemuFeatures: Json;
  readonly qemuModels: Json;
  readonly machineTypes: Json;
  readonly quirks: Json;
  readonly offers: Json;
  /** The words of /proc/cpuinfo by kernel. */
  readonly linuxWords: Json;
  /** What KVM gives of which processor, by kernel. */
  readonly kvm: Json;
  readonly curated: Json;
}

/** The version that stands for a release of QEMU. */
export const QEMU: Readonly<Record<string, string>> = { '7.2.22': '7.2', '10.0.13': '10.0' };

export const versionsOf = (releases: readonly string[]): string[] => releases.map((r) => QEMU[r]!);

/** libvirt's name for CPUID's twelve letters. */
export const vendorOfLetters = ({ libvirt128 }: Facts, letters: string): string =>
  libvirt128.vendors.find((v: Json) => v.string === letters)?.name ?? letters;

/** The oldest of the three libvirts that has something. */
export const sinceLibvirt = (in90: boolean, in113: boolean): string =>
  in90 ? '9.0' : in113 ? '11.3' : '12.8';

const hex = (n: number): string => n.toString(16);

export const placeOfQemu = (l: Json): string =>
  l.kind === 'cpuid'
    ? `cpuid.${hex(l.leaf)}.${hex(l.subleaf ?? 0)}.${l.register}.${l.bit}`
    : `msr.${hex(l.msr)}.${l.bit}`;

export function placeOfLibvirt(f: Json): string {
  const [c] = f.cpuid;
  if (c) return `cpuid.${hex(Number(c.eax_in))}.${hex(Number(c.ecx_in))}.${c.reg}.${c.bits[0]}`;
  const [m] = f.msr;
  return `msr.${hex(Number(m.index))}.${m.bits[0]}`;
}

export const wordOf = (place: string): string => place.slice(0, place.lastIndexOf('.'));
export const bitOf = (place: string): number => Number(place.slice(place.lastIndexOf('.') + 1));

/** The properties that have a value worth writing: no empty list, nothing false. */
export const given = (record: Record<string, Json>): Json =>
  Object.fromEntries(
    Object.entries(record).filter(([, value]) =>
      Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false,
    ),
  );
