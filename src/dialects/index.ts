// Every language that plimsoll speaks, in the order in which they are tried on a file.
import { cpuid } from './cpuid.ts';
import { cpuinfo } from './cpuinfo.ts';
import type { Dialect } from './dialect.ts';
import { libvirt } from './libvirt.ts';
import { qemu } from './qemu.ts';
import { qmp } from './qmp.ts';
import { records } from './records.ts';

const DIALECTS: readonly Dialect[] = [
  libvirt,
  cpuinfo,
  cpuid,
  qmp,
  qemu,
  // Any other JSON is taken for host records, so that what is wrong with it is said in their terms.
  records,
];

export const dialectByName = (name: string): Dialect | undefined =>
  DIALECTS.find((d) => d.name === name);

/** The dialects that can be read, or written. */
export const dialectNames = (what: 'read' | 'write'): string[] =>
  DIALECTS.filter((d) => d[what]).map((d) => d.name);

export const recogniseDialect = (head: string): Dialect | undefined =>
  DIALECTS.find((d) => d.recognises?.(head));
