// plimsoll compare --rules libvirt: libvirt's verdict on each CPU, and its one reason.
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import type { Comparison, Verdict } from '../../solve/answer.ts';
import { qemuName } from '../../solve/libvirt/libvirt-answer.ts';
import { libvirtCompare, partialCheck, reportedHost } from '../../solve/libvirt/libvirt-compare.ts';
import type { LibvirtVerdict } from '../../solve/libvirt/libvirt-verdict.ts';
import type { HostOptions } from '../input/read-fleet.ts';
import type { Call } from '../io.ts';
import {
  type LibvirtOptions,
  type LibvirtRules,
  libvirtRules,
  type RuleCpu,
  readRuleCpus,
  withCpu,
} from './libvirt-inputs.ts';

/** From the best to the worst. */
const VERDICTS: readonly Verdict[] = ['identical', 'superset', 'incompatible'];

export async function libvirtComparison(
  call: Call,
  host: string,
  cpus: readonly string[],
  options: HostOptions & LibvirtOptions,
): Promise<Comparison> {
  const rules = await libvirtRules(call, options);
  const own = await oneHost(rules, call, host, options);
  const { cpus: asked, skipped } = await readRuleCpus(rules, call, cpus, options);
  const verdicts = asked.map((cpu) => ({ cpu, ...verdictOn(rules, own, cpu) }));
  const names = (features: readonly string[] = []) =>
    features.map((name) => qemuName(rules.catalog, rules.map, name)).sort(byBytes);
  return {
    schema: 'plimsoll.compare/1',
    host: own.id,
    verdict: verdicts.reduce<Verdict>(
      (worst, { verdict }) =>
        VERDICTS.indexOf(verdict) > VERDICTS.indexOf(worst) ? verdict : worst,
      'identical',
    ),
    cpus: verdicts.map(({ cpu, verdict, because, reason, features }) => ({
      cpu: cpu.id,
      verdict,
      missing: because === 'missing' ? names(features) : [],
      extra: because === undefined || because === 'extra' ? names(features) : [],
      unknown: [],
      reasons: reason === undefined ? [] : [reason],
    })),
    findings: [],
    ...(skipped.length > 0 ? { skipped } : {}),
  };
}

/** The CPU of an input that may describe one only, called what it is in the message. */
export async function oneCpu(
  rules: LibvirtRules,
  call: Call,
  path: string,
  options: HostOptions,
  what = 'the host',
): Promise<RuleCpu> {
  const { skipUnreadable: _, ...reading } = options;
  const { cpus } = await readRuleCpus(rules, call, [path], reading);
  if (cpus.length !== 1)
    throw new QueryError(`${path} describes ${cpus.length} CPUs; ${what} is one`);
  return cpus[0]!;
}

export async function oneHost(
  rules: LibvirtRules,
  call: Call,
  path: string,
  options: HostOptions,
): Promise<RuleCpu> {
  const host = await oneCpu(rules, call, path, options);
  // The host-model of domain capabilities is the host as its hypervisor shows it.
  return host.cpu.type === 'host' || host.view !== 'hypervisor'
    ? host
    : withCpu(host, { ...host.cpu, arch: host.cpu.arch ?? 'x86_64' });
}

function verdictOn({ map, hypervisor }: LibvirtRules, host: RuleCpu, cpu: RuleCpu): LibvirtVerdict {
  if (!hypervisor) return libvirtCompare(map, host, cpu);
  const reported = reportedHost(host.where, host.cpu.arch ?? 'x86_64', hypervisor);
  return partialCheck(map, hypervisor, reported, cpu);
}
