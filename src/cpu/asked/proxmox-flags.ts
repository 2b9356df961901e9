// What qemu-server of a version switches by itself beside the CPU type of a VM.
import { compareServers } from '../catalog/products.ts';
import { compareVersions } from '../order.ts';
import type { ProxmoxLines } from '../proxmox-line.ts';

/** The node that starts a VM. */
export interface ProxmoxNode {
  /** Its qemu-server, such as 9.2.6, and its QEMU. */
  readonly server: string;
  readonly qemu: string;
  readonly arch: string;
  /** The vendor of its processor, as the processor itself or as libvirt calls it; null where that is not known. */
  readonly vendor: string | null;
}

/** What a section comes to beside its CPU. */
export interface Vm {
  readonly lines: ProxmoxLines;
  readonly node: ProxmoxNode;
  readonly arch: string;
  readonly kvm: boolean;
  /** The version of Windows; 0 for any other system. */
  readonly windows: number;
  readonly ostype: string;
  readonly isUefi: boolean;
  readonly hasVga: boolean;
  /** The machine type, with what Proxmox VE writes behind it; null where it is the architecture's own. */
  readonly type: string | null;
  /** The machine's version and +pveN. */
  readonly version: string;
  readonly revision: number;
}

/** The flags of a CPU by name, each in the words that QEMU is given. */
export type Flags = Map<string, string>;

/** By which names a vendor knows nested virtualization: both where the vendor is not known. */
export function nestedOf(vendor: string | null): readonly string[] {
  if (vendor === null) return ['svm', 'vmx'];
  if (isIntel(vendor)) return ['vmx'];
  return /amd|hygon/i.test(vendor) ? ['svm'] : [];
}

const isIntel = (vendor: string | null): boolean => vendor !== null && /intel/i.test(vendor);

/** What qemu-server switches by itself beside a type. */
export function automatic(vm: Vm, type: string, flags: Flags): void {
  const { arch, kvm, ostype, version, node } = vm;
  const on = (name: string) => flags.set(name, `+${name}`);
  const off = (name: string) => flags.set(name, `-${name}`);
  if (type === 'kvm64' && arch === 'x86_64') on('lahf_lm');
  if (type === 'kvm64' || type === 'kvm32') on('sep');
  if (type.startsWith('Opteron')) off('rdtscp');
  if (ostype === 'solaris') off('x2apic');
  if (kvm && arch === 'x86_64' && compareVersions(version, '2.3') >= 0)
    for (const name of ['kvm_pv_unhalt', 'kvm_pv_eoi']) on(name);
  if (arch !== 'x86_64' || compareVersions(node.qemu, '11.0') < 0) return;
  if (ostype === 'win11' && compareServers('9.1.12', node.server) <= 0)
    for (const name of ['cet-ibt', 'cet-ss']) off(name);
  if (
    type === 'host' &&
    compareVersions(version, '11.0') < 0 &&
    compareServers('9.2.0', node.server) <= 0
  )
    off('vmx-mbec');
}

/** Hyper-V's own, for Windows. */
export function hypervFlags(vm: Vm, vendorId: string | null, flags: Flags): void {
  const { windows, isUefi, hasVga, version, revision, node } = vm;
  if (windows < 6 || (isUefi && windows < 8)) return;
  const since = (first: string) => compareVersions(version, first) >= 0;
  const on = (...names: readonly string[]) => {
    for (const name of names) flags.set(name, name);
  };
  if (vendorId !== null || hasVga)
    flags.set('hv_vendor_id', `hv_vendor_id=${vendorId ?? 'proxmox'}`);
  flags.set('hv_spinlocks', `hv_spinlocks=${since('2.3') ? '0x1fff' : '0xffff'}`);
  if (since('2.3')) on('hv_vapic', 'hv_time');
  if (since('2.6')) on('hv_reset', 'hv_vpindex', 'hv_runtime');
  if (windows < 7) return;
  on('hv_relaxed');
  if (since('2.12')) on('hv_synic', 'hv_stimer');
  if (since('3.1')) on('hv_ipi');
  const isRevised = compareVersions(version, '11.0') > 0 || (since('11.0') && revision >= 2);
  if (
    windows >= 11 &&
    isRevised &&
    isIntel(node.vendor) &&
    compareServers('9.2.0', node.server) <= 0
  )
    on('hv_evmcs');
}
