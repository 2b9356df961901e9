// libvirt's rules: what becomes of a guest's definition when libvirt starts it with one hypervisor.
import { hasBit } from '../../core/rows.ts';
import type { LibvirtMap } from '../../cpu/catalog/libvirt-map.ts';
import type { LibvirtCpu, Policy } from '../../cpu/cpu-element.ts';
import { findDriver } from './driver.ts';
import { translateCpu, updateCpu } from './guest-update.ts';
import type { Hypervisor } from './hypervisor.ts';
import { isDropped } from './libvirt-answer.ts';
import { partialCheck } from './libvirt-compare.ts';
import { type LibvirtVerdict, refuse } from './libvirt-verdict.ts';
import { type CpuInput, expandFeatures, withFeature, withoutUnmigratable } from './spelt-out.ts';

/** Whether libvirt would start the guest, asked as far as its `check` wants to know beforehand. */
export function startCheck(
  map: LibvirtMap,
  hypervisor: Hypervisor,
  host: CpuInput,
  guest: CpuInput,
): LibvirtVerdict {
  const check = guest.cpu.check ?? defaultCheck(hypervisor, guest.cpu);
  if (check === 'none') return { verdict: 'superset' };
  const full = fullHost(map, hypervisor, host);
  if (check === 'partial' && isNamed(guest.cpu)) {
    const verdict = partialCheck(map, hypervisor, full, guest);
    if (verdict.verdict === 'incompatible') return verdict;
  }
  const forbidden = guest.cpu.features
    .filter((f) => f.policy === 'forbid')
    .map((f) => f.name)
    .filter((name) => full.cpu.features.some((f) => f.name === name && f.policy !== 'disable'));
  return forbidden.length === 0
    ? { verdict: 'superset' }
    : refuse(
        'forbidden',
        `the host has features that the CPU forbids: ${forbidden.join(', ')}`,
        forbidden,
      );
}

/** The definition that QEMU is started with. `removed` is the policy for features that its model lost. */
export function startedCpu(
  map: LibvirtMap,
  hypervisor: Hypervisor,
  host: CpuInput,
  { where, cpu: asked }: CpuInput,
  removed: Extract<Policy, 'disable' | 'require'>,
): LibvirtCpu {
  const arch = host.cpu.arch ?? 'x86_64';
  const own = { where: host.where, cpu: migratableHost(map, hypervisor, host) };
  const updated = updateCpu(map, { where, cpu: asked }, own, removed);
  const cpu = translateCpu(map, { where, cpu: updated }, hypervisor.models, arch);
  return {
    ...cpu,
    check: asked.check ?? defaultCheck(hypervisor, asked),
    fallback: isNamed(cpu) ? 'forbid' : cpu.fallback,
    features: cpu.features.filter(
      (f) => !isDropped(f.name) && !isUnknownAndOff(map, hypervisor, f),
    ),
  };
}

/** Emulation hands out what it implements, so libvirt asks before it starts only where KVM is. */
function defaultCheck({ isEmulated }: Hypervisor, cpu: LibvirtCpu): LibvirtCpu['check'] {
  if (!isNamed(cpu)) return 'none';
  return cpu.mode === 'custom' && isEmulated ? 'none' : 'partial';
}

/** Whether the CPU is one of a name, and not simply whatever the host has. */
const isNamed = ({ mode }: LibvirtCpu): boolean => mode === 'custom' || mode === 'host-model';

/** What libvirt finds on the machine together with what KVM reports; of an emulator only the latter. */
function fullHost(
  map: LibvirtMap,
  { hostModel, isEmulated }: Hypervisor,
  host: CpuInput,
): CpuInput {
  const { where } = host;
  if (hostModel === null || findDriver(host.cpu.arch ?? 'x86_64') !== 'x86') return host;
  const reported = { ...hostModel, arch: host.cpu.arch };
  if (isEmulated) return { where, cpu: reported };
  const features = expandFeatures(map, { where, cpu: reported })
    .features.filter((f) => f.policy === 'require')
    .reduce((list, f) => withFeature(list, f.name, 'require'), [...host.cpu.features]);
  return { where, cpu: { ...host.cpu, features } };
}

/** The host of which a host-model is a copy. */
const migratableHost = (
  map: LibvirtMap,
  { hostModel, migratableModel }: Hypervisor,
  { cpu }: CpuInput,
): LibvirtCpu => ({
  ...(migratableModel ?? withoutUnmigratable(map, hostModel ?? cpu)),
  arch: cpu.arch,
});

/** What QEMU does not know is off without being named. */
function isUnknownAndOff(
  map: LibvirtMap,
  { features }: Hypervisor,
  { name, policy }: LibvirtCpu['features'][number],
): boolean {
  if (policy !== 'disable' && policy !== 'forbid') return false;
  const feature = map.feature(name);
  return features !== null && (!feature || !hasBit(features, feature.id));
}
