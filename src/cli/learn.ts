// plimsoll learn: a catalog from the libvirt or QEMU at hand.
import { join } from 'node:path';
import type { Command } from 'commander';
import { loadCatalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import { writeLearnt, writeLearntQemu } from '../dialects/learnt.ts';
import { readLibvirtMap } from '../dialects/libvirt-map.ts';
import { readOne } from './inputs.ts';
import { type Answer, type Answering, type Call, type Io, write } from './io.ts';
import { learnQemu } from './learn-qemu.ts';
import { type OutputOptions, outputOptions, wholeNumber } from './options.ts';
import { deliver, json } from './output.ts';
import { count, printable } from './text.ts';

interface Options extends OutputOptions {
  readonly libvirt?: string;
  readonly qemu?: string;
  readonly timeout: number;
}

const HELP = `
A QEMU is started once a machine type, paused, without a guest. Where -o names
what was learnt of the same binary before, nothing is asked again.

Examples:
  plimsoll learn --qemu /usr/libexec/qemu-kvm -o here.json
  plimsoll pin --catalog here.json --cpu Haswell --machine pc-q35-rhel9.4.0
  plimsoll learn --libvirt /usr/share/libvirt/cpu_map -o map.json
  plimsoll baseline rack-a/ --rules libvirt --catalog map.json

Exit code: 0 an answer; 2 could not answer.
`;

const TIMEOUT = 60;
/** The file that a cpu_map folder begins with. */
const INDEX = 'index.xml';

export function define(command: Command, answering: Answering): void {
  command
    .optionsGroup('What:')
    .option('--libvirt <dir>', 'the cpu_map folder of a libvirt, as it loads it')
    .option('--qemu <binary>', 'a QEMU of x86 machines: its machine types and CPUs')
    .option('--timeout <seconds>', 'for each start of QEMU', wholeNumber('--timeout'), TIMEOUT);
  outputOptions(command, 'one JSON document, the default')
    .addHelpText('after', HELP)
    .action(answering(run));
}

async function run({ io }: Call, options: Options): Promise<Answer> {
  const { libvirt, qemu } = options;
  if (libvirt !== undefined && qemu !== undefined)
    throw new QueryError('--libvirt and --qemu are learnt apart, a file each; give one of them');
  if (qemu !== undefined) return learnFromQemu(io, qemu, options);
  if (libvirt === undefined)
    throw new QueryError(
      'nothing to learn from; give --libvirt /usr/share/libvirt/cpu_map or --qemu qemu-system-x86_64',
    );
  const read = (name: string) => readOne(join(libvirt, name), io);
  await read(INDEX).catch((error) => {
    throw new QueryError(
      `${libvirt} is no cpu_map folder, such as /usr/share/libvirt/cpu_map: ${error.message.split(';')[0]}`,
      { cause: error },
    );
  });
  const map = await readLibvirtMap(await loadCatalog(), read, 'libvirt@learnt');
  await deliver(io, json(writeLearnt(map)), options.output);
  return 0;
}

async function learnFromQemu(io: Io, binary: string, options: Options): Promise<Answer> {
  if (options.timeout < 1) throw new QueryError('--timeout takes a number of seconds from 1 on');
  const { learnt, isCached } = await learnQemu(io, binary, options);
  if (!isCached) await deliver(io, json(writeLearntQemu(learnt)), options.output);
  if (!options.quiet) {
    const notes = learnt.refused.map((r) => `note: ${r.machine} was not learnt: ${r.reason}`);
    const what = `QEMU ${learnt.version}${learnt.package && `, ${learnt.package}`}: ${count(learnt.machines.length, 'machine type')}, ${count(learnt.models.length, 'CPU model')}`;
    const told = isCached ? `; ${options.output} has them already` : '';
    await write(io.stderr, [...notes, what + told].map((line) => `${printable(line)}\n`).join(''));
  }
  return 0;
}
