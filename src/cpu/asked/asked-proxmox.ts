// What a VM of Proxmox VE asks of its host: what QEMU makes of the -cpu argument that qemu-server makes of it there.
import { join } from '../../core/rows.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { proxmoxServer } from '../catalog/products.ts';
import type { AskedOfProxmox, AskedOfQemu } from '../guest.ts';
import { type HostFacts, needing, type Software } from '../need.ts';
import { ofQemu, Refused, type ResolvedCpu, UnsettledGuest } from './asked-qemu.ts';
import { NotDefined, NotStarted, type ProxmoxStart, proxmoxStart } from './proxmox-start.ts';

const ANY_HOST: HostFacts = { arch: 'x86_64', vendor: null, qemu: null };

/**
 * The VM as a node with this software starts it. The node's qemu-server is the newest that stands on its QEMU, where
 * that is told; else the newest of all.
 */
function startOf(
  asked: AskedOfProxmox,
  { qemu, isGiven, host = ANY_HOST }: Software,
): ProxmoxStart {
  const told = host.qemu ?? (isGiven ? qemu : null);
  try {
    return proxmoxStart(asked, { ...host, server: proxmoxServer(told, 'newest'), qemu });
  } catch (error) {
    if (error instanceof NotStarted) throw new Refused(error.message);
    if (error instanceof NotDefined) throw new UnsettledGuest(error.message);
    throw error;
  }
}

const startedAs = ({ cpu, machine, accelerator }: ProxmoxStart): AskedOfQemu => ({
  by: 'qemu',
  cpu,
  machine,
  accelerator,
});

/** The VM by the -cpu argument that it is started with. */
export function startedByProxmox(asked: AskedOfProxmox, software: Software): AskedOfQemu {
  const start = startOf(asked, software);
  if (start.arch === 'x86_64') return startedAs(start);
  throw new UnsettledGuest(
    `it is a VM of ${start.arch} (${start.cpu}), of which no machine types are known here`,
  );
}

/** The need of a VM, and the CPU that QEMU makes of it. */
export function ofProxmox(
  catalog: Catalog,
  asked: AskedOfProxmox,
  software: Software,
): ResolvedCpu {
  const start = startOf(asked, software);
  const { notes } = start;
  if (start.arch !== 'x86_64') return { need: ofArm(catalog, start, software), expansion: null };
  const { need, expansion } = ofQemu(catalog, startedAs(start), software);
  const arch = start.accelerator === 'tcg' ? (software.host?.arch ?? need.arch) : need.arch;
  const open = join(need.open, catalog.row(start.open));
  return { need: { ...need, arch, open, notes }, expansion };
}

/** A VM of aarch64, whose features the catalog does not describe; plain emulation is there on any host. */
function ofArm(catalog: Catalog, { cpu, accelerator, notes }: ProxmoxStart, { host }: Software) {
  const [type] = cpu.split(',');
  const isEmulated = accelerator === 'tcg';
  const isOfHost = !isEmulated && (type === 'host' || type === 'max');
  return needing(catalog.row([]), {
    arch: isEmulated && host ? host.arch : 'aarch64',
    model: isEmulated || isOfHost ? null : type!,
    own: isOfHost
      ? `its CPU is ${type}: it takes that of the host on which it starts, and moves to equals alone`
      : null,
    notes,
  });
}
