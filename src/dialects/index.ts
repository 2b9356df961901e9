// Every language that plimsoll speaks, in the order in which they are tried on a file: the more a language is
// recognised by, the earlier it is asked.
import { ansible } from './ansible.ts';
import { cpuModels } from './cpu-models.ts';
import { cpudev } from './cpudev.ts';
import { cpuid } from './cpuid.ts';
import { cpuinfo } from './cpuinfo.ts';
import type { Dialect } from './dialect.ts';
import { evc } from './evc.ts';
import { ohai, salt } from './facts.ts';
import { firecracker } from './firecracker.ts';
import { hyperv } from './hyperv.ts';
import { incus } from './incus.ts';
import { kubernetes } from './kubernetes.ts';
import { kubevirt, kubevirtCr } from './kubevirt.ts';
import { libvirt } from './libvirt.ts';
import { lscpu } from './lscpu.ts';
import { named } from './named.ts';
import { nova } from './nova.ts';
import { ovirt } from './ovirt.ts';
import { prometheus } from './prometheus.ts';
import { proxmox } from './proxmox.ts';
import { psabi } from './psabi.ts';
import { qemu } from './qemu.ts';
import { qmp } from './qmp.ts';
import { readconfig } from './readconfig.ts';
import { records } from './records.ts';
import { saved } from './saved.ts';
import { summary } from './summary.ts';
import { xen, xend } from './xen.ts';

const DIALECTS: readonly Dialect[] = [
  saved,
  ovirt,
  libvirt,
  cpudev,
  lscpu,
  kubernetes,
  kubevirt,
  kubevirtCr,
  prometheus,
  nova,
  proxmox,
  incus,
  firecracker,
  ansible,
  ohai,
  salt,
  xen,
  xend,
  hyperv,
  evc,
  cpuinfo,
  cpuid,
  qmp,
  qemu,
  readconfig,
  psabi,
  cpuModels,
  summary,
  // Any other JSON is taken for host records, so that what is wrong with it is said in their terms.
  records,
];

export const dialectByName = (name: string): Dialect | undefined =>
  DIALECTS.find((d) => d.name === name);

const FIRST = ['libvirt', 'qemu', 'proxmox', 'kubevirt', 'nova'];

/** The dialects that can be read, or written; those that most people look for come first. */
export const dialectNames = (what: 'read' | 'write'): string[] => {
  const names = DIALECTS.filter((d) => d[what]).map((d) => d.name);
  const first = FIRST.filter((name) => names.includes(name));
  return [...first, ...names.filter((name) => !first.includes(name)).sort()];
};

// What begins so is nothing else, and there may be thousands of it.
const PROCESSOR = /^processor\s*:\s*\d/;
const RECORD = /^\{"host":"[^"\\]*",(?:"arch"|"vendor"|"view"|"features"):/;

export function recogniseDialect(head: string): Dialect | undefined {
  if (PROCESSOR.test(head) && cpuinfo.recognises!(head)) return cpuinfo;
  if (named.recognises!(head)) return named;
  return RECORD.test(head) ? records : DIALECTS.find((d) => d.recognises?.(head));
}
