// plimsoll resolve: the CPU that a guest definition gets on a host, as libvirt rewrites it.
import type { Command } from 'commander';
import { QueryError } from '../cpu/errors.ts';
import { writeLibvirtCpu } from '../dialects/libvirt-write.ts';
import { droppedByDriver, type LibvirtResolved, libvirtAnswer } from '../solve/libvirt/answer.ts';
import { libvirtCompare, partialCheck } from '../solve/libvirt/compare.ts';
import { withoutUnmigratable } from '../solve/libvirt/data.ts';
import { translateCpu, updateCpu } from '../solve/libvirt/update.ts';
import type { HostOptions } from './fleet.ts';
import { type Answer, type Answering, type Call, write } from './io.ts';
import { oneHost } from './libvirt-compare.ts';
import {
  type LibvirtOptions,
  type LibvirtRules,
  libvirtRules,
  type RuleCpu,
  readRuleCpus,
  withCpu,
} from './libvirt-inputs.ts';
import {
  commaList,
  libvirtOptions,
  outputOptions,
  readingOptions,
  stackOption,
} from './options.ts';
import { deliver, json } from './output.ts';
import { listed, printable } from './text.ts';

interface Options extends HostOptions, LibvirtOptions {
  readonly to?: string;
  readonly removed?: 'disable' | 'require';
}

const HELP = `
The models of a hypervisor are what the definition is translated to; a CPU that
the host cannot run is then refused.

Examples:
  virsh capabilities > host.xml; plimsoll resolve host.xml guest.xml
  plimsoll resolve host.xml guest.xml --hypervisor domcapabilities.xml

Exit code: 0 an answer; 1 the host cannot run it; 2 could not answer.
`;

export function define(command: Command, answering: Answering): void {
  command
    .argument('<host>', 'the description of one host')
    .argument('<guest>', 'definitions of guests: every CPU of the file')
    .optionsGroup('Answer:')
    .option('--to <dialect>', 'libvirt, the language of the definition and the default')
    .option(
      '--removed <policy>',
      'write out what a model lost: disable as at a fresh start, require as after a migration',
    );
  stackOption(command.optionsGroup('Rules:')).option(
    '--models <list>',
    'the models that the hypervisor offers',
    commaList,
  );
  libvirtOptions(command);
  readingOptions(command);
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

async function run(call: Call, host: string, guest: string, options: Options): Promise<Answer> {
  if (options.to !== undefined && options.to !== 'libvirt')
    throw new QueryError(
      `--to ${options.to} is not what resolve gives; it rewrites a <cpu> element, --to libvirt`,
    );
  if (
    options.removed !== undefined &&
    options.removed !== 'disable' &&
    options.removed !== 'require'
  )
    throw new QueryError(`--removed "${options.removed}" is neither disable nor require`);
  const rules = await libvirtRules(call, options);
  const own = await oneHost(rules, call, host, options);
  const { cpus: guests } = await readRuleCpus(rules, call, [guest], options);
  const refusals = guests.flatMap((cpu) => refusal(rules, own, cpu) ?? []);
  const isChecked = rules.hypervisor !== null || rules.models !== null;
  if (!options.quiet || isChecked)
    await write(
      call.io.stderr,
      refusals.map((line) => `${isChecked ? 'no' : 'warning'}: ${printable(line)}\n`).join(''),
    );
  if (isChecked && refusals.length > 0) return 1;
  const resolved = guests.map((cpu) => ({ cpu, result: resolve(rules, own, cpu, options) }));
  if (!options.quiet)
    for (const { cpu, result } of resolved) {
      const dropped = droppedByDriver(result);
      if (dropped.length > 0)
        await write(
          call.io.stderr,
          `note: ${printable(cpu.where)}: libvirt's QEMU driver leaves ${printable(listed(dropped))} out of what it starts\n`,
        );
    }
  const answer: LibvirtResolved = {
    schema: 'plimsoll.resolve/1',
    rules: 'libvirt',
    stack: [rules.map.stack],
    host: own.id,
    guests: resolved.map(({ cpu, result }) => ({
      guest: cpu.id,
      mode: result.mode,
      ...libvirtAnswer(rules.catalog, rules.map, result),
    })),
  };
  const text = options.json
    ? json(answer)
    : resolved.map(({ result }) => writeLibvirtCpu(result)).join('');
  await deliver(call.io, text, options.output);
  return 0;
}

/** Why the host cannot run the CPU, or null. Names that libvirt does not know matter only where it checks. */
function refusal(
  { map, hypervisor, models }: LibvirtRules,
  host: RuleCpu,
  guest: RuleCpu,
): string | null {
  try {
    const { reason } = hypervisor
      ? partialCheck(map, hypervisor, host, guest)
      : libvirtCompare(map, host, guest);
    return reason === undefined ? null : `${guest.where} cannot run on ${host.where}: ${reason}`;
  } catch (error) {
    if (error instanceof QueryError && !hypervisor && !models) return error.message;
    throw error;
  }
}

function resolve(
  { map, hypervisor, models }: LibvirtRules,
  host: RuleCpu,
  guest: RuleCpu,
  { removed }: Options,
) {
  const migratable = withCpu(host, withoutUnmigratable(map, host.cpu));
  const cpu = updateCpu(map, guest, migratable, removed ?? null);
  return translateCpu(map, { where: guest.where, cpu }, hypervisor?.models ?? models);
}
