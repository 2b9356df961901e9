// plimsoll resolve: the CPU that a guest definition gets on a host, as libvirt rewrites it.
import type { Command } from 'commander';
import { emptyRow } from '../core/rows.ts';
import { QueryError } from '../cpu/errors.ts';
import type { LibvirtCpu } from '../cpu/libvirt.ts';
import { printable } from '../cpu/printable.ts';
import { writeLibvirtCpu } from '../dialects/libvirt-write.ts';
import { droppedByDriver, type LibvirtResolved, libvirtAnswer } from '../solve/libvirt/answer.ts';
import { libvirtCompare } from '../solve/libvirt/compare.ts';
import { withoutUnmigratable } from '../solve/libvirt/data.ts';
import { startCheck, startedCpu } from '../solve/libvirt/start.ts';
import { type Live, translateCpu, updateCpu, updateLiveCpu } from '../solve/libvirt/update.ts';
import type { HostOptions } from './fleet.ts';
import { type Answer, type Answering, type Call, write } from './io.ts';
import { oneCpu, oneHost } from './libvirt-compare.ts';
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
import { deliver, json, warnSkipped } from './output.ts';
import { listed } from './text.ts';

interface Options extends HostOptions, LibvirtOptions {
  readonly to?: string;
  readonly removed?: 'disable' | 'require';
  readonly enabled?: string;
  readonly disabled?: string;
}

const HELP = `
The models of a hypervisor are what the definition is translated to; a CPU that
the host cannot run is then refused. With --enabled the guest has started, and
the definition is what libvirt writes down of it; under check='full' whatever
differs is an error. QEMU tells by virsh qemu-monitor-command GUEST:
  {"execute":"qom-get","arguments":{"path":"/machine/unattached/device[0]",
   "property":"feature-words"}}     and "unavailable-features" for --disabled

Examples:
  virsh capabilities > host.xml; plimsoll resolve host.xml guest.xml
  plimsoll resolve host.xml guest.xml --hypervisor domcapabilities.xml
  plimsoll resolve host.xml guest.xml --enabled on.json --disabled off.json

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
    )
    .option(
      '--enabled <file>',
      'the guest runs, with this CPU: its feature-words, or any dump of its CPUID',
    )
    .option('--disabled <file>', 'what was withheld from it: its unavailable-features, or a dump');
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
  if (options.disabled !== undefined && options.enabled === undefined)
    throw new QueryError('--disabled says what was withheld from a guest; --enabled what it has');
  const rules = await libvirtRules(call, options);
  const own = await oneHost(rules, call, host, options);
  const { cpus: guests, skipped } = await readRuleCpus(rules, call, [guest], options);
  const notGuests = guests.filter(({ cpu }) => cpu.type === 'host');
  if (notGuests.length > 0)
    throw new QueryError(
      notGuests
        .map(({ where }) => `${where} is the CPU of a host; give the definition of a guest`)
        .join('\n'),
    );
  const live = await readLive(rules, call, options);
  if (live && guests.length !== 1)
    throw new QueryError(
      `--enabled is of one guest, and ${guest} describes ${guests.length}; give the one that runs`,
    );
  // One that runs need not be asked whether it can.
  const refusals = live ? [] : guests.flatMap((cpu) => refusal(rules, own, cpu) ?? []);
  const isChecked = rules.hypervisor !== null || rules.models !== null;
  if (!options.quiet || isChecked)
    await write(
      call.io.stderr,
      refusals.map((line) => `${isChecked ? 'no' : 'warning'}: ${printable(line)}\n`).join(''),
    );
  if (isChecked && refusals.length > 0) return 1;
  const resolved = guests.map((cpu) => ({ cpu, result: resolve(rules, own, cpu, options, live) }));
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
    ...(skipped.length > 0 ? { skipped } : {}),
  };
  const text = options.json
    ? json(answer)
    : resolved.map(({ result }) => writeLibvirtCpu(result)).join('');
  await deliver(call.io, text, options.output);
  await warnSkipped(call.io, skipped, options);
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
      ? startCheck(map, hypervisor, host, guest)
      : libvirtCompare(map, host, guest);
    return reason === undefined ? null : `${guest.where} cannot run on ${host.where}: ${reason}`;
  } catch (error) {
    if (error instanceof QueryError && !hypervisor && !models) return error.message;
    throw error;
  }
}

async function readLive(rules: LibvirtRules, call: Call, options: Options): Promise<Live | null> {
  const { enabled, disabled } = options;
  if (enabled === undefined) return null;
  const read = (path: string) => oneCpu(rules, call, path, options, 'the guest');
  const has = await read(enabled);
  return {
    enabled: has.data().row,
    known: has.known,
    disabled: disabled === undefined ? emptyRow(rules.map.bits) : (await read(disabled)).data().row,
  };
}

function resolve(
  rules: LibvirtRules,
  host: RuleCpu,
  guest: RuleCpu,
  { removed }: Options,
  live: Live | null,
): LibvirtCpu {
  const { map, hypervisor } = rules;
  const { where } = guest;
  const cpu = hypervisor
    ? startedCpu(map, hypervisor, host, guest, removed ?? 'disable')
    : translated(rules, host, guest, removed ?? null);
  return live ? updateLiveCpu(map, { where, cpu }, live) : cpu;
}

/** The definition as the host alone settles it, in the models that are named. */
function translated(
  { map, models }: LibvirtRules,
  host: RuleCpu,
  { where, cpu: asked }: RuleCpu,
  removed: 'disable' | 'require' | null,
): LibvirtCpu {
  const migratable = withCpu(host, withoutUnmigratable(map, host.cpu));
  const cpu = updateCpu(map, { where, cpu: asked }, migratable, removed);
  return translateCpu(map, { where, cpu }, models, host.arch);
}
