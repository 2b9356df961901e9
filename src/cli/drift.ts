// plimsoll drift: what a change of machine type, model version or stack does to guests on this fleet.
import type { Command } from 'commander';
import type { Catalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Guest } from '../cpu/guest.ts';
import { parseStack, type StackEntry } from '../cpu/stack.ts';
import { cpuArgumentOf, type DomainGuest, readGuests } from '../dialects/guests.ts';
import { cpuOption } from '../dialects/pinned.ts';
import type { Skipped } from '../fleet/fleet.ts';
import { type Drift, drift, type Move, strands } from '../solve/drift.ts';
import { type Matrix, matrix } from '../solve/matrix.ts';
import { type HostOptions, readHosts } from './fleet.ts';
import { readInputs } from './inputs.ts';
import type { Answer, Answering, Call } from './io.ts';
import {
  outputOptions,
  readingOptions,
  type StackOptions,
  stackOption,
  whatIfOptions,
} from './options.ts';
import { deliver, json } from './output.ts';
import { progressOn } from './progress.ts';
import { catalogOf, type QemuOptions, qemuOptions, qemuVersion, required } from './qemu-options.ts';
import { pageOf } from './render.ts';
import { renderDrift, renderMatrix } from './render-drift.ts';
import { printableAll } from './text.ts';

const HELP = `
Inputs are hosts; without any, drift says what changes and not where it strands.
Runnable and ABI-equal are two questions: a guest may run and yet find another
CPU. keep is the change without what strands, take what is new without the
change.

Examples:
  plimsoll drift --cpu EPYC --machine pc-q35-3.1 --to-machine pc-q35-9.2 rack-a/
  plimsoll drift --guest vms/ --to-machine pc-q35-10.0 rack-a/
  plimsoll drift --cpu Skylake-Server --machine q35 --to-cpu Skylake-Server-v5
  plimsoll drift --guest vm.xml --stack qemu@7.2 --to-stack qemu@10.0
  plimsoll drift --cpu Haswell --machine pc-i440fx-2.4 --matrix

Exit code: 0 no guest is stranded; 1 one would be; 2 could not answer.
`;

interface DriftOptions extends QemuOptions, HostOptions, StackOptions {
  readonly guest?: readonly string[];
  readonly toMachine?: string;
  readonly toCpu?: string;
  readonly toStack?: string;
  readonly matrix?: true;
}

export function define(command: Command, answering: Answering): void {
  command.argument('[hosts...]', 'descriptions of hosts');
  qemuOptions(command).option(
    '--guest <file>',
    'domain XML of guests: a file or a directory (repeatable)',
    (value: string, before: readonly string[] = []) => [...before, value],
  );
  stackOption(
    command
      .optionsGroup('Change:')
      .option('--to-machine <type>', 'the machine type after it')
      .option('--to-cpu <cpu>', 'the -cpu argument after it, such as another version of the model')
      .option('--to-stack <list>', 'the software after it: qemu@10.0,libvirt@12.8')
      .option('--matrix', 'every machine type of the QEMU on which the CPU differs'),
  );
  readingOptions(command);
  whatIfOptions(command);
  command.option('--no-ids', 'list no hosts by id');
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

/** The software on one side of the change. */
interface Side {
  readonly qemu: string;
  readonly libvirt: string;
}

async function run(call: Call, inputs: readonly string[], options: DriftOptions): Promise<Answer> {
  const catalog = await catalogOf(options, call.io);
  const changes = [options.toMachine, options.toCpu, options.toStack].some((o) => o !== undefined);
  if (!changes && !options.matrix)
    throw new QueryError(
      'nothing is to change; give --to-machine, --to-cpu or --to-stack, or --matrix for every machine type',
    );
  if (changes && options.matrix)
    throw new QueryError(
      '--matrix goes over every machine type; leave --to-machine, --to-cpu and --to-stack out',
    );
  const from = sideOf(catalog, options.stack, {
    qemu: qemuVersion(catalog, options.qemu),
    libvirt: catalog.versions.libvirt.at(-1)!,
  });
  const { guests, skipped } = await guestsOf(call, catalog, options, from);
  return options.matrix
    ? answerMatrix(call, catalog, options, guests, from, skipped)
    : answerDrift(call, catalog, options, guests, from, skipped, inputs);
}

async function answerDrift(
  call: Call,
  catalog: Catalog,
  options: DriftOptions,
  guests: readonly (Guest | DomainGuest)[],
  from: Side,
  skipped: readonly Skipped[],
  inputs: readonly string[],
): Promise<Answer> {
  const to = sideOf(catalog, options.toStack?.split(','), from);
  const moves = guests.map(
    (g): Move => ({
      guest: g.id,
      from: { ...g, qemu: from.qemu },
      to: {
        id: g.id,
        accelerator: g.accelerator,
        machine: options.toMachine ?? g.machine,
        cpu: options.toCpu ?? cpuUnder(catalog, g, from, to),
        qemu: to.qemu,
      },
    }),
  );
  const fleet = inputs.length > 0 ? await readHosts(catalog, call, inputs, options) : null;
  const found = drift(catalog, moves, fleet, options.skipUnreadable ?? false);
  const all = [...skipped, ...(fleet?.skipped ?? []), ...(found.skipped ?? [])];
  const answer: Drift = { ...found, ...(all.length > 0 ? { skipped: all } : {}) };
  const page = await pageOf(call.io, options);
  const text = options.json ? json(withOptions(answer)) : renderDrift(printableAll(answer), page);
  await deliver(call.io, text, options.output);
  return strands(answer) ? 1 : 0;
}

/** The -cpu argument that another libvirt would make for the same guest. */
const cpuUnder = (catalog: Catalog, g: Guest | DomainGuest, from: Side, to: Side): string =>
  'element' in g && to.libvirt !== from.libvirt
    ? cpuArgumentOf(catalog, g.element, to.libvirt, `guest ${g.id}`)
    : g.cpu;

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
  guests: readonly Guest[],
  { qemu }: Side,
  skipped: readonly Skipped[],
): Promise<Answer> {
  const answer: Matrix = {
    schema: 'plimsoll.matrix/1',
    qemu,
    guests: guests.map(({ id, cpu, machine, accelerator }) => ({
      guest: id,
      cpu,
      machine,
      rows: matrix(catalog, cpu, { machine, qemu, accelerator }),
    })),
    ...(skipped.length > 0 ? { skipped } : {}),
  };
  const page = await pageOf(io, options);
  const text = options.json ? json(answer) : renderMatrix(printableAll(answer), page);
  await deliver(io, text, options.output);
  return 0;
}

/** The guest of --cpu, or those of --guest. */
async function guestsOf(
  { io }: Call,
  catalog: Catalog,
  options: DriftOptions,
  { libvirt }: Side,
): Promise<{ guests: (Guest | DomainGuest)[]; skipped: Skipped[] }> {
  const { cpu, machine, guest, accel } = options;
  if (guest === undefined) {
    const text = required(cpu, '--cpu', 'Skylake-Server,+pcid (or guests with --guest vms/)');
    const type = required(machine, '--machine', 'pc-q35-3.1');
    return { guests: [{ id: text, cpu: text, machine: type, accelerator: accel }], skipped: [] };
  }
  if (cpu !== undefined || machine !== undefined)
    throw new QueryError('--guest says CPU and machine type itself; leave --cpu and --machine out');
  const guests: DomainGuest[] = [];
  const skipped: Skipped[] = [];
  for await (const input of readInputs(guest, io, progressOn(io.stderr, options.quiet ?? false))) {
    try {
      if ('error' in input) throw input.error;
      guests.push(...(await readGuests(input, catalog, libvirt)));
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      skipped.push({ input: input.name, reason: error.message });
    }
  }
  if (skipped.length > 0 && !(options.skipUnreadable && guests.length > 0))
    throw new QueryError(skipped.map((s) => s.reason).join('\n'));
  return { guests, skipped };
}

/** The software of a list, and for what it does not name that of the other side. */
function sideOf(catalog: Catalog, entries: readonly string[] | undefined, otherwise: Side): Side {
  let { qemu, libvirt } = otherwise;
  for (const entry of entries ?? []) {
    const [product, version] = entry.trim().split('@');
    if (product === 'qemu' && version) qemu = qemuVersion(catalog, version);
    else [{ version: libvirt }] = parseStack(catalog, entry) as [StackEntry];
  }
  return { qemu, libvirt };
}
