// plimsoll drift: what a change of machine type, model version, stack or kernel does to guests on this fleet.
import { type Command, Option } from 'commander';
import { newestSoftware, startOfAsked } from '../../cpu/asked/asked.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { parseStack } from '../../cpu/catalog/software.ts';
import { isX86 } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Asked } from '../../cpu/guest.ts';
import { cpuOption } from '../../dialects/pinned.ts';
import type { Skipped } from '../../fleet/fleet.ts';
import type { Finding } from '../../solve/answer.ts';
import {
  type Drift,
  drift,
  driftVerdict,
  type Move,
  type Unsettled,
} from '../../solve/drift/drift.ts';
import { type MachineMatrix, matrix } from '../../solve/drift/matrix.ts';
import type { GivenSoftware } from '../../solve/fit/asker.ts';
import {
  catalogOf,
  type QemuOptions,
  qemuOptions,
  qemuVersion,
  required,
} from '../input/qemu-options.ts';
import { type HostOptions, readHosts } from '../input/read-fleet.ts';
import { exitOf, readGuests } from '../input/read-guests.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import {
  kernelVersion,
  outputOptions,
  readingOptions,
  repeated,
  type StackOptions,
  stackOption,
  whatIfOptions,
} from '../options.ts';
import { deliver, json } from '../screen/output.ts';
import { pageOf } from '../screen/render.ts';
import { renderDrift, renderMatrix } from '../screen/render-drift.ts';
import { printableAll } from '../screen/text.ts';

const HELP = `
Inputs are hosts; without any, drift says what changes and not where it strands.
Runnable and ABI-equal are two questions: a guest may run and yet find another
CPU. keep is the change without what strands, take what is new without the
change.

--to-kernel says what KVM of another kernel would give on these hosts or take,
what that does to the line of each vendor, and which guests would not start any
more. It takes hosts whose processor or kernel is described; what a hypervisor
says holds for its own kernel alone. Without guests it answers for the hosts.

Examples:
  plimsoll drift --cpu EPYC --machine pc-q35-3.1 --to-machine pc-q35-9.2 rack-a/
  plimsoll drift --guests vms/ --to-machine pc-q35-10.0 rack-a/
  plimsoll drift --cpu Skylake-Server --machine q35 --to-cpu Skylake-Server-v5
  plimsoll drift --guests vm.xml --stack qemu@7.2 --to-stack qemu@10.0
  plimsoll drift --cpu Haswell --machine pc-i440fx-2.4 --matrix
  plimsoll drift --to-kernel 6.14 --guests vms/ rack-a/

Exit code: 0 no guest is stranded; 1 one would be; 2 that is not known, or could
not answer.
`;

interface DriftOptions extends QemuOptions, HostOptions, StackOptions {
  readonly guests?: readonly string[];
  /** The old spelling of `guests`. */
  readonly guest?: readonly string[];
  readonly toMachine?: string;
  readonly toCpu?: string;
  readonly toStack?: string;
  readonly toKernel?: string;
  readonly matrix?: true;
}

export function define(command: Command, answering: Answering): void {
  command.argument('[hosts...]', 'descriptions of hosts');
  qemuOptions(command)
    .option('--guests <file>', 'guests: a file or a directory (repeatable)', repeated)
    .addOption(new Option('--guest <file>').argParser(repeated).hideHelp());
  stackOption(
    command
      .optionsGroup('Change:')
      .option('--to-machine <type>', 'the machine type after it')
      .option('--to-cpu <cpu>', 'the -cpu argument after it, such as another version of the model')
      .option('--to-stack <list>', 'the software after it: qemu@10.0,libvirt@12.8')
      .option(
        '--to-kernel <version>',
        'the Linux kernel of the hosts after it, as uname -r prints it',
        kernelVersion,
      )
      .option('--matrix', 'every machine type of the QEMU on which the CPU differs'),
  );
  readingOptions(command);
  whatIfOptions(command);
  command.option('--no-ids', 'list no hosts by id');
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

async function run(
  call: Call,
  inputs: readonly string[],
  options: DriftOptions,
): Promise<ExitCode> {
  const catalog = await catalogOf(options, call.io);
  checkChange(options, inputs);
  const from = sideOf(catalog, options.stack, {
    qemu: options.qemu === undefined ? undefined : qemuVersion(catalog, options.qemu),
  });
  const asked = await guestsOf(call, catalog, options);
  return options.matrix
    ? answerMatrix(call, catalog, options, asked, from)
    : answerDrift(call, catalog, options, asked, from, inputs);
}

/** @throws QueryError where nothing changes, or what changes cannot be asked together. */
function checkChange(options: DriftOptions, inputs: readonly string[]): void {
  const { toMachine, toCpu, toStack, toKernel } = options;
  const changes = [toMachine, toCpu, toStack, toKernel].some((o) => o !== undefined);
  if (!changes && !options.matrix)
    throw new QueryError(
      'nothing is to change; give --to-machine, --to-cpu, --to-stack or --to-kernel, or --matrix for every machine type',
    );
  if (changes && options.matrix)
    throw new QueryError(
      '--matrix goes over every machine type; leave --to-machine, --to-cpu, --to-stack and --to-kernel out',
    );
  if (toKernel !== undefined && inputs.length + (options.with ?? []).length === 0)
    throw new QueryError(
      '--to-kernel is about hosts, and there are none; give descriptions of their processors (cpuid -r -1, /proc/cpuinfo, virsh capabilities)',
    );
}

/** A guest by its name and its definition. */
interface AskedGuest {
  readonly id: string;
  readonly asked: Asked;
}

interface AskedGuests {
  readonly guests: readonly AskedGuest[];
  readonly skipped: readonly Skipped[];
  readonly left: readonly Finding[];
  /** Guests whose definition is not given; absent for a CPU that was typed. */
  readonly unsettled?: readonly Unsettled[];
}

async function answerDrift(
  call: Call,
  catalog: Catalog,
  options: DriftOptions,
  { guests, skipped, left, unsettled }: AskedGuests,
  from: GivenSoftware,
  inputs: readonly string[],
): Promise<ExitCode> {
  const { toMachine, toCpu, toKernel, skipUnreadable } = options;
  const to = sideOf(catalog, options.toStack?.split(','), from);
  const moves = guests.map(({ id, asked }): Move => {
    const { accelerator } = asked;
    const machine = toMachine ?? asked.machine;
    const then: Asked =
      toCpu === undefined
        ? { ...asked, machine }
        : { by: 'qemu', cpu: toCpu, machine, accelerator };
    return { guest: id, from: asked, to: then };
  });
  const keepDescribed = toKernel !== undefined;
  const fleet =
    keepDescribed || inputs.length > 0
      ? await readHosts(catalog, call, inputs, { ...options, keepDescribed })
      : null;
  const found = drift(catalog, moves, fleet, {
    ...{ from, to, toKernel, skipUnreadable, left, unsettled },
    lists: unsettled !== undefined,
  });
  const all = [...skipped, ...(fleet?.skipped ?? []), ...(found.skipped ?? [])];
  const answer: Drift = { ...found, ...(all.length > 0 ? { skipped: all } : {}) };
  const page = await pageOf(call.io, options);
  const text = options.json ? json(withOptions(answer)) : renderDrift(printableAll(answer), page);
  await deliver(call.io, text, options.output);
  return exitOf(driftVerdict(answer));
}

const withOptions = (answer: Drift) => ({
  ...answer,
  guests: answer.guests.map((g) => ({
    ...g,
    keep: g.keep === null ? null : cpuOption(g.keep),
    take: g.take === null ? null : cpuOption(g.take),
  })),
});

async function answerMatrix(
  { io }: Call,
  catalog: Catalog,
  options: DriftOptions,
  { guests, skipped, unsettled = [] }: AskedGuests,
  given: GivenSoftware,
): Promise<ExitCode> {
  if (unsettled.length > 0)
    throw new QueryError(unsettled.map((u) => `guest ${u.guest}: ${u.because}`).join('\n'));
  const newest = newestSoftware(catalog);
  const { qemu = newest.qemu, libvirt = newest.libvirt } = given;
  const answer: MachineMatrix = {
    schema: 'plimsoll.matrix/1',
    qemu,
    guests: guests.map(({ id, asked }) => {
      const { cpu, machine, accelerator } = startOfAsked(catalog, asked, {
        qemu,
        libvirt,
        machine: newest.machine,
      });
      return {
        guest: id,
        cpu,
        machine,
        rows: matrix(catalog, cpu, { machine, qemu, accelerator }),
      };
    }),
    ...(skipped.length > 0 ? { skipped } : {}),
  };
  const page = await pageOf(io, options);
  const text = options.json ? json(answer) : renderMatrix(printableAll(answer), page);
  await deliver(io, text, options.output);
  return 0;
}

/** The guest of --cpu, or those of --guests. */
async function guestsOf(
  { io }: Call,
  catalog: Catalog,
  options: DriftOptions,
): Promise<AskedGuests> {
  const { cpu, machine, accel } = options;
  const files = [...(options.guests ?? []), ...(options.guest ?? [])];
  if (files.length === 0) {
    // What another kernel does to hosts is an answer, too.
    if (options.toKernel !== undefined && cpu === undefined)
      return { guests: [], skipped: [], left: [] };
    const text = required(cpu, '--cpu', 'Skylake-Server,+pcid (or guests with --guests vms/)');
    const isOfHosts = options.toKernel !== undefined && options.toMachine === undefined;
    const type = isOfHosts ? (machine ?? null) : required(machine, '--machine', 'pc-q35-3.1');
    const asked: Asked = { by: 'qemu', cpu: text, machine: type, accelerator: accel };
    return { guests: [{ id: text, asked }], skipped: [], left: [] };
  }
  if (cpu !== undefined || machine !== undefined)
    throw new QueryError(
      '--guests say CPU and machine type themselves; leave --cpu and --machine out',
    );
  const { read, skipped, left } = await readGuests(catalog, io, {
    guests: files,
    ...(options.quiet ? { quiet: true } : {}),
    ...(options.skipUnreadable ? { skipUnreadable: true } : {}),
  });
  const guests: AskedGuest[] = [];
  const unsettled: Unsettled[] = [];
  for (const { id, input, description } of read)
    if (description.asked) guests.push({ id, asked: description.asked });
    else
      unsettled.push({
        guest: id,
        because: isX86(description)
          ? `${input}: it is known by its features alone, which no machine type changes; give its definition (virsh dumpxml, or its command line)`
          : `${input}: it is of ${description.arch}, and what machine types change is known of x86 alone`,
      });
  if (!options.skipUnreadable || guests.length === 0) return { guests, skipped, left, unsettled };
  const more = unsettled.map(({ guest, because }) => ({ input: guest, reason: because }));
  return { guests, skipped: [...skipped, ...more], left, unsettled: [] };
}

/** The software of a list, and for what it does not name that of the other side. */
function sideOf(
  catalog: Catalog,
  entries: readonly string[] | undefined,
  otherwise: GivenSoftware,
): GivenSoftware {
  let { qemu, libvirt } = otherwise;
  for (const entry of entries ?? []) {
    const [product, version] = entry.trim().split('@');
    if (product === 'qemu' && version) qemu = qemuVersion(catalog, version);
    else
      for (const { product: named, version: known } of parseStack(catalog, entry))
        if (named === 'qemu') qemu = known;
        else libvirt = known;
  }
  return { qemu, libvirt };
}
