// Every language that plimsoll speaks, in the order in which they are tried on a file: the more a language is
// recognised by, the earlier it is asked.
import type { Dialect } from './dialect.ts';
import { ansible } from './kernel/ansible.ts';
import { cpudev } from './kernel/cpudev.ts';
import { cpuid } from './kernel/cpuid.ts';
import { cpuinfo } from './kernel/cpuinfo.ts';
import { ohai, salt } from './kernel/host-facts.ts';
import { lscpu } from './kernel/lscpu.ts';
import { prometheus } from './kernel/prometheus.ts';
import { cpuModels } from './libvirt/cpu-models.ts';
import { libvirt } from './libvirt/libvirt.ts';
import { evc } from './products/evc.ts';
import { firecracker } from './products/firecracker.ts';
import { hyperv } from './products/hyperv.ts';
import { incus } from './products/incus.ts';
import { kubernetes } from './products/kubernetes.ts';
import { kubevirt, kubevirtCr } from './products/kubevirt.ts';
import { nova } from './products/nova.ts';
import { ovirt } from './products/ovirt.ts';
import { proxmox } from './products/proxmox.ts';
import { psabi } from './products/psabi.ts';
import { xen, xend } from './products/xen.ts';
import { qemu } from './qemu/cpu-line.ts';
import { qmp } from './qemu/qmp.ts';
import { readconfig } from './qemu/readconfig.ts';
import { named } from './records/processor-by-name.ts';
import { records } from './records/records.ts';
import { saved } from './records/saved-answer.ts';
import { summary } from './records/summary-line.ts';

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
