// plimsoll resolve --rules libvirt: the CPU that a guest definition gets on a host, as libvirt rewrites it.
import { emptyRow } from '../../core/rows.ts';
import type { LibvirtCpu } from '../../cpu/cpu-element.ts';
import { QueryError } from '../../cpu/errors.ts';
import { printable } from '../../cpu/printable.ts';
import { writeLibvirtCpu } from '../../dialects/libvirt/libvirt-write.ts';
import { startCheck, startedCpu } from '../../solve/libvirt/guest-start.ts';
import {
  type Live,
  translateCpu,
  updateCpu,
  updateLiveCpu,
} from '../../solve/libvirt/guest-update.ts';
import {
  droppedByDriver,
  type LibvirtResolved,
  libvirtAnswer,
} from '../../solve/libvirt/libvirt-answer.ts';
import { libvirtCompare } from '../../solve/libvirt/libvirt-compare.ts';
import { withoutUnmigratable } from '../../solve/libvirt/spelt-out.ts';
import type { HostOptions } from '../input/read-fleet.ts';
import { type Call, type ExitCode, write } from '../io.ts';
import { deliver, json, warnSkipped } from '../screen/output.ts';
import { listed } from '../screen/text.ts';
import { oneCpu, oneHost } from './compare-by-libvirt.ts';
import {
  type LibvirtOptions,
  type LibvirtRules,
  libvirtRules,
  type RuleCpu,
  readRuleCpus,
  withCpu,
} from './libvirt-inputs.ts';

export interface LibvirtResolveOptions extends HostOptions, LibvirtOptions {
  readonly removed?: 'disable' | 'require';
  readonly enabled?: string;
  readonly disabled?: string;
}

/** What libvirt makes of each guest, on the host that is given or on its hypervisor. */
export async function libvirtResolution(
  call: Call,
  host: string,
  guest: string,
  options: LibvirtResolveOptions,
): Promise<ExitCode> {
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

async function readLive(
  rules: LibvirtRules,
  call: Call,
  options: LibvirtResolveOptions,
): Promise<Live | null> {
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
  { removed }: LibvirtResolveOptions,
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
