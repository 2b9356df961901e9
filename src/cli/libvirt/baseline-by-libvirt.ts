// plimsoll baseline --rules libvirt: what virsh would answer, quirks included.
import type { LibvirtCpu } from '../../cpu/cpu-element.ts';
import { QueryError } from '../../cpu/errors.ts';
import { writeLibvirtCpu } from '../../dialects/libvirt/libvirt-write.ts';
import type { Skipped } from '../../fleet/fleet.ts';
import type { Finding } from '../../solve/answer.ts';
import {
  droppedByDriver,
  type LibvirtBaseline,
  libvirtAnswer,
} from '../../solve/libvirt/libvirt-answer.ts';
import { libvirtBaseline } from '../../solve/libvirt/libvirt-baseline.ts';
import { expandFeatures } from '../../solve/libvirt/spelt-out.ts';
import type { HostOptions } from '../input/read-fleet.ts';
import type { Call, ExitCode } from '../io.ts';
import { deliver, json, warnSkipped } from '../screen/output.ts';
import { definitionLines, findingLines, type Page, pageOf } from '../screen/render.ts';
import { count, listed, printableAll } from '../screen/text.ts';
import {
  type LibvirtOptions,
  type LibvirtRules,
  libvirtRules,
  type RuleCpu,
  readRuleCpus,
} from './libvirt-inputs.ts';

export interface BaselineByLibvirtOptions extends HostOptions, LibvirtOptions {
  readonly migratable?: true;
  readonly expand?: true;
  readonly to?: string;
}

export async function runLibvirtBaseline(
  call: Call,
  inputs: readonly string[],
  options: BaselineByLibvirtOptions,
): Promise<ExitCode> {
  if (options.to !== undefined && options.to !== 'libvirt')
    throw new QueryError(
      `--to ${options.to} is no answer of libvirt's rules; they give a <cpu> element, --to libvirt`,
    );
  const rules = await libvirtRules(call, options);
  const { cpus, skipped } = await readRuleCpus(rules, call, inputs, options);
  const cpu = solveLibvirt(rules, withoutIds(cpus, options.without), options);
  if (options.to) {
    await deliver(call.io, writeLibvirtCpu(cpu), options.output);
    await warnSkipped(call.io, skipped, options);
    return 0;
  }
  const answer = answerOf(rules, cpu, cpus.length, skipped);
  const page = await pageOf(call.io, options);
  await deliver(
    call.io,
    options.json ? json(answer) : render(printableAll(answer), page),
    options.output,
  );
  return 0;
}

/** libvirt's baseline of the CPUs, with every feature written out where that is asked for. */
export function solveLibvirt(
  { map, hypervisor, models }: LibvirtRules,
  cpus: readonly RuleCpu[],
  { migratable, expand }: Pick<BaselineByLibvirtOptions, 'migratable' | 'expand'>,
): LibvirtCpu {
  const cpu = libvirtBaseline(map, cpus, { hypervisor, models, migratable: migratable ?? false });
  const isX86 = cpu.arch === 'x86_64' || cpu.arch === 'i686';
  return expand && isX86 ? expandFeatures(map, { where: 'the baseline', cpu }) : cpu;
}

function withoutIds(cpus: readonly RuleCpu[], without: readonly string[] = []): readonly RuleCpu[] {
  if (without.length === 0) return cpus;
  const unknown = without.find((id) => !cpus.some((c) => c.id === id));
  if (unknown !== undefined)
    throw new QueryError(`--without "${unknown}" is none of the ${cpus.length} hosts`);
  return cpus.filter((c) => !without.includes(c.id));
}

const answerOf = (
  { catalog, map }: LibvirtRules,
  cpu: LibvirtCpu,
  hosts: number,
  skipped: readonly Skipped[],
): LibvirtBaseline => ({
  schema: 'plimsoll.baseline/1',
  rules: 'libvirt',
  stack: [map.stack],
  ...libvirtAnswer(catalog, map, cpu),
  hosts,
  findings: findingsOf(cpu),
  ...(skipped.length > 0 ? { skipped } : {}),
});

function findingsOf(cpu: LibvirtCpu): Finding[] {
  const dropped = droppedByDriver(cpu);
  if (dropped.length === 0) return [];
  return [
    {
      code: 'driver-drops',
      severity: 'info',
      count: 0,
      hosts: [],
      message: `virsh -c qemu:///system leaves ${listed(dropped)} out of this answer: that is its QEMU driver's doing, not that of the rules`,
    },
  ];
}

function render(answer: LibvirtBaseline, page: Page): string {
  const { paint } = page;
  const vendor = answer.vendor === null ? '' : `, ${answer.vendor}`;
  const lines = [
    paint.bold(
      `${count(answer.hosts, 'host')}${vendor}, as ${answer.stack[0]!.replace('@', ' ')} decides`,
    ),
    '',
    ...definitionLines(answer.definitions, answer.stack, page, 12),
    `  ${paint.dim(`${count(answer.features.length, 'feature')} by its map; fallback ${answer.fallback}`)}`,
    ...(answer.findings.length > 0 || answer.skipped
      ? ['', ...findingLines(answer.findings, answer.skipped ?? [], page)]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}
