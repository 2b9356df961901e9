// plimsoll pin: a CPU definition that no machine type can change.
import { type Command, Option } from 'commander';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { edgeStack, type Stack } from '../../cpu/catalog/software.ts';
import { printable } from '../../cpu/printable.ts';
import {
  cpuArgument,
  cpuOption,
  writeFullCpu,
  writeModelInfo,
  writeReadconfig,
} from '../../dialects/pinned.ts';
import { type Pin, type PinNote, pin, pinForLibvirt } from '../../solve/pin.ts';
import {
  catalogOf,
  type QemuOptions,
  qemuOptions,
  qemuVersion,
  required,
} from '../input/qemu-options.ts';
import { stackFrom } from '../input/read-fleet.ts';
import { type Answering, type Call, type ExitCode, type Io, write } from '../io.ts';
import { type OutputOptions, outputOptions, type StackOptions, stackOption } from '../options.ts';
import { deliver, json } from '../screen/output.ts';
import { heading, type Page, pageOf } from '../screen/render.ts';
import { count, wrapSentence } from '../screen/text.ts';

const HELP = `
The pinned definition gives the same guest CPU on every machine type of that
QEMU: features, levels, address bits, caches and the rest.

Examples:
  plimsoll pin --cpu EPYC,+svm --machine pc-q35-3.1 --to readconfig -o cpu.cfg
      then start the guest with -readconfig cpu.cfg beside its -cpu EPYC,+svm
  plimsoll pin --cpu Haswell --machine pc-i440fx-2.4 --to qemu
  plimsoll pin --cpu Haswell --machine pc-i440fx-2.4 --to libvirt

Exit code: 0 an answer; 2 could not answer, or QEMU would refuse it.
`;

type To = 'readconfig' | 'qemu' | 'libvirt' | 'qmp';

interface PinOptions extends QemuOptions, OutputOptions, StackOptions {
  readonly to?: To;
}

export function define(command: Command, answering: Answering): void {
  qemuOptions(command);
  command.addOption(
    new Option('--to <dialect>', 'print the definition in this language').choices([
      'readconfig',
      'qemu',
      'libvirt',
      'qmp',
    ]),
  );
  stackOption(command);
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

async function run({ io }: Call, options: PinOptions): Promise<ExitCode> {
  const catalog = await catalogOf(options, io);
  const cpu = required(options.cpu, '--cpu', 'Skylake-Server,+pcid');
  const machine = required(
    options.machine,
    '--machine',
    catalog.machines.findLast((m) => m.name.startsWith('pc-q35'))!.name,
  );
  const where = { machine, qemu: qemuVersion(catalog, options.qemu), accelerator: options.accel };
  const pinned = pin(catalog, cpu, where);
  if (options.json) await deliver(io, json(document(pinned)), options.output);
  else if (options.to)
    await deliver(io, await written(catalog, pinned, options, io), options.output);
  else await deliver(io, render(pinned, await pageOf(io, options)), options.output);
  return 0;
}

const headingOf = ({ cpu, machine, qemu, accel }: Pin): string =>
  printable(
    `the CPU of -cpu ${cpu} on ${machine} (QEMU ${qemu}, ${accel}); use it beside that very -cpu`,
  );

const document = (pinned: Pin) => {
  const { beside, alone, notes, ...rest } = pinned;
  return {
    schema: 'plimsoll.pin/1',
    ...rest,
    pinned: {
      qemu: cpuOption(cpuArgument(pinned.resolved, alone)),
      readconfig: writeReadconfig(beside, headingOf(pinned)),
    },
    findings: notes.map(({ code, message }) => ({ code, severity: 'info', message })),
  };
};

/** The definition alone; what a person should know of it goes to standard error. */
async function written(
  catalog: Catalog,
  pinned: Pin,
  options: PinOptions,
  io: Io,
): Promise<string> {
  const say = async (notes: readonly PinNote[]) => {
    if (!options.quiet)
      await write(io.stderr, notes.map((note) => `note: ${printable(note.message)}\n`).join(''));
  };
  switch (options.to!) {
    case 'readconfig':
      await say(pinned.notes);
      return writeReadconfig(pinned.beside, headingOf(pinned));
    case 'qemu':
      await say(pinned.notes.filter((note) => note.code !== 'cache-table'));
      return `${cpuOption(cpuArgument(pinned.resolved, pinned.alone))}\n`;
    case 'qmp':
      await say(pinned.notes.filter((note) => note.code !== 'cache-table'));
      return writeModelInfo(pinned.resolved, pinned.alone);
    case 'libvirt': {
      const stack: Stack = stackFrom(catalog, options) ?? edgeStack(catalog, 'oldest');
      const cpu = pinForLibvirt(catalog, pinned, stack);
      await say([...pinned.notes.filter((note) => note.code !== 'cache-table'), ...cpu.notes]);
      return writeFullCpu(catalog, cpu);
    }
  }
}

function render(pinned: Pin, page: Page): string {
  const { cpu, machine, qemu, accel, resolved, features, properties, alone, notes } = pinned;
  const { columns } = page;
  const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`);
  const given = `--cpu '${cpu}' --machine ${machine} --accel ${accel}`;
  const lines = [
    ...wrapSentence(
      printable(`${cpu} on ${machine} is ${resolved} (QEMU ${qemu}, ${accel})`),
      columns,
    ),
    ...indent(
      wrapSentence(
        `${count(features.length, 'feature')} · level ${properties.level} · ${properties['phys-bits'] === undefined ? 'address bits of the host' : `${properties['phys-bits']} address bits`} · the same on every machine type of QEMU ${qemu}`,
        columns - 2,
      ),
    ),
    '',
    ...indent(wrapSentence(features.join(' '), columns - 2)),
    ...(notes.length > 0 ? ['', heading('Worth knowing', page)] : []),
    ...notes.flatMap((note) =>
      wrapSentence(printable(note.message), columns - 4).map(
        (line, i) => `  ${i === 0 ? '-' : ' '} ${line}`,
      ),
    ),
    '',
    heading('Use it', page),
    ...indent(
      wrapSentence(printable(`plimsoll pin ${given} --to readconfig -o cpu.cfg`), columns - 2),
    ),
    ...indent(
      wrapSentence(
        printable(
          `also --to qemu (${count(alone.length, 'setting')} on ${resolved}), libvirt, qmp`,
        ),
        columns - 2,
      ),
    ),
  ];
  return `${lines.join('\n')}\n`;
}
