// libvirt's rules: whether a host, or its hypervisor, can run a CPU.
import { isCovered, isEmpty, join, meet, minus, type Row } from '../../core/rows.ts';
import type { LibvirtMap } from '../../cpu/catalog/libvirt-map.ts';
import { QueryError } from '../../cpu/errors.ts';
import { driverOf, findDriver } from './driver.ts';
import type { Hypervisor } from './hypervisor.ts';
import { ppcCompare } from './libvirt-ppc64.ts';
import { type LibvirtVerdict, type Obstacle, refuse } from './libvirt-verdict.ts';
import {
  allBits,
  type CpuInput,
  expandFeatures,
  featuresIn,
  modelOf,
  policyBits,
} from './spelt-out.ts';

/**
 * Whether the host can run the CPU.
 * @throws QueryError for names that this libvirt does not know: it does not call that incompatible.
 */
export function libvirtCompare(
  map: LibvirtMap,
  host: CpuInput | null,
  input: CpuInput,
): LibvirtVerdict {
  const { cpu, where } = input;
  const arch = host?.cpu.arch ?? cpu.arch ?? 'x86_64';
  const driver = driverOf(host?.where ?? where, arch);
  if (driver === 'arm') return armCompare(host, input);
  if (driver !== 'x86' && driver !== 'ppc64') return { verdict: 'identical' };
  if (!host || host.cpu.model === null) return refuse('host', 'what CPU the host has is not known');
  if (cpu.arch !== null && findDriver(cpu.arch) !== driver)
    return refuse('arch', `the CPU is for ${cpu.arch}, the host is ${arch}`);
  if (cpu.vendor !== null && cpu.vendor !== host.cpu.vendor)
    return refuse(
      'vendor',
      `the CPU is one of ${cpu.vendor}'s, the host's ${host.cpu.vendor === null ? 'is of no known vendor' : `one of ${host.cpu.vendor}'s`}`,
    );
  return driver === 'x86' ? x86Compare(map, host, input) : ppcCompare(map, host, input);
}

function x86Compare(map: LibvirtMap, hostInput: CpuInput, input: CpuInput): LibvirtVerdict {
  const host = allBits(map, hostInput);
  const force = policyBits(map, input, 'force');
  const require = policyBits(map, input, 'require');
  const optional = policyBits(map, input, 'optional');
  const disable = policyBits(map, input, 'disable');
  const forbid = policyBits(map, input, 'forbid');
  const forbidden = meet(forbid, host);
  if (!isEmpty(forbidden))
    return named('forbidden', 'the host has features that the CPU forbids', names(map, forbidden));
  // What is only forbidden stays required where the model has it.
  const needed = minus(require, join(join(force, optional), disable));
  if (!isCovered(needed, host))
    return named(
      'missing',
      'the host lacks features that the CPU requires',
      names(map, minus(needed, host)),
    );
  const rest = minus(host, join(join(optional, require), join(disable, force)));
  if (isEmpty(rest)) return { verdict: 'identical' };
  if (input.cpu.type === 'guest' && input.cpu.match === 'strict')
    return named(
      'extra',
      'the host has more than the CPU, which is to match strictly',
      names(map, rest),
    );
  return { verdict: 'superset', features: names(map, rest) };
}

/**
 * Whether the hypervisor can run the CPU, as libvirt asks before it starts a domain with check=partial.
 * `host` is the CPU that stands for the machine where libvirt still trusts its own map.
 */
export function partialCheck(
  map: LibvirtMap,
  hypervisor: Pick<Hypervisor, 'models' | 'hostModel'>,
  host: CpuInput | null,
  input: CpuInput,
): LibvirtVerdict {
  const { cpu, where } = input;
  const { models, hostModel } = hypervisor;
  // Until models said how far libvirt's own lists are to be trusted, QEMU was not asked.
  if (map.models.every((m) => m.compat)) return libvirtCompare(map, host, input);
  const listed = cpu.model === null ? undefined : models?.get(cpu.model);
  const onlyDisables = cpu.features.every((f) => f.policy === 'disable');
  if (cpu.model !== null && onlyDisables && listed && listed.length === 0)
    return { verdict: 'superset' };
  const trustsMap =
    cpu.model === null ||
    hostModel === null ||
    hostModel.fallback !== 'forbid' ||
    listed === undefined ||
    modelOf(map, input).compat;
  if (trustsMap) return libvirtCompare(map, host, input);
  const disabled = new Set(cpu.features.filter((f) => f.policy === 'disable').map((f) => f.name));
  const blockers = (listed ?? [])
    .map((name) => map.fromQemu(name)?.name ?? name)
    .filter((name) => !disabled.has(name));
  const offered = new Set(
    expandFeatures(map, { where, cpu: hostModel })
      .features.filter((f) => f.policy === 'require')
      .map((f) => f.name),
  );
  const required = cpu.features
    .filter((f) => (f.policy ?? 'require') === 'require' && !offered.has(f.name))
    .map((f) => f.name);
  const missing = [...new Set([...blockers, ...required])];
  return missing.length === 0
    ? { verdict: 'superset' }
    : named('missing', 'the host lacks features that the CPU requires', missing);
}

/** The host-model of a hypervisor as the host that hypervisor-cpu-compare holds a CPU against. */
export function reportedHost(
  where: string,
  arch: string,
  { hostModel }: Pick<Hypervisor, 'hostModel'>,
): CpuInput {
  if (hostModel === null)
    throw new QueryError(
      `${where}: the hypervisor reports no CPU model of its host; give its domain capabilities or QMP replies`,
    );
  return { where, cpu: { ...hostModel, arch } };
}

function armCompare(host: CpuInput | null, { cpu }: CpuInput): LibvirtVerdict {
  if (cpu.type === 'guest') return { verdict: 'identical' };
  if (!host || host.cpu.model === null) return refuse('host', 'what CPU the host has is not known');
  if (cpu.vendor !== host.cpu.vendor)
    return refuse(
      'vendor',
      `the vendors differ: ${cpu.vendor ?? 'none'}, ${host.cpu.vendor ?? 'none'}`,
    );
  return cpu.model === host.cpu.model
    ? { verdict: 'identical' }
    : refuse('model', `the host is a ${host.cpu.model}, not the ${cpu.model} that is required`);
}

const names = (map: LibvirtMap, row: Row): string[] => featuresIn(map, row).map((f) => f.name);

const named = (because: Obstacle, what: string, features: readonly string[]): LibvirtVerdict =>
  refuse(because, `${what}: ${features.join(', ')}`, features);
