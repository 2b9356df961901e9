// What people give for a description of a host and what is none, or none that says which features there are: a word
// on what it is, and on what would tell.

const OTHERS: readonly { readonly is: (head: string) => boolean; readonly sentence: string }[] = [
  {
    is: (head) =>
      /^\s*\{/.test(head) &&
      (/"processors"\s*:\s*\{[^{}]*"(?:isa|physicalcount|models)"/.test(head) ||
        /"processor0"\s*:/.test(head)),
    sentence:
      'holds facts of Facter (Puppet), which name processors and list no flags; give /proc/cpuinfo of the host, or LC_ALL=C lscpu -J',
  },
  {
    is: (head) =>
      /^\s*\[\s*\{/.test(head) &&
      (/"cpu_brand"\s*:/.test(head) ||
        (/"input_eax"\s*:/.test(head) && /"output_bit"\s*:/.test(head))),
    sentence:
      'is an answer of osquery, which lists few features of a processor and never says that one is absent; give /proc/cpuinfo of the host, or LC_ALL=C lscpu -J',
  },
  {
    is: (head) =>
      /^(?:rootfs|unprivileged):\s/m.test(head) && /^(?:arch|ostype|hostname):\s/m.test(head),
    sentence:
      'configures a container of Proxmox VE (LXC), which has the CPU of its node and none of its own; leave it out (configurations of VMs are in qemu-server/)',
  },
  {
    is: (head) =>
      /^cpuid\s*=\s*["[]/m.test(head) ||
      (/^(?:type|builder)\s*=\s*["'](?:hvm|pvh?)["']/m.test(head) && /^name\s*=/m.test(head)),
    sentence:
      'configures a guest of Xen (xl.cfg): its cpuid masks what the host has and names no CPU; give xl info or xen-cpuid of the host, or the CPU that is wanted',
  },
];

/** The file that says which must-gather of OpenShift made the folder around it. */
export const isGatherVersion = (head: string): boolean =>
  head.length < 200 && /^\s*(?:openshift\/)?must-gather\b/.test(head);

/** What the beginning of such a file is, as the end of a sentence that begins with its name; null for any other. */
export const whatElse = (head: string): string | null =>
  OTHERS.find(({ is }) => is(head))?.sentence ?? null;
