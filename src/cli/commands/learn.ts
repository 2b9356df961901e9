// plimsoll learn: a catalog from the libvirt or QEMU at hand, or what KVM gives from a kernel's source.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { loadCatalog } from '../../cpu/catalog/catalog.ts';
import { QueryError } from '../../cpu/errors.ts';
import { printable } from '../../cpu/printable.ts';
import { writeLearnt, writeLearntQemu } from '../../dialects/learnt/learnt-catalog.ts';
import { readLibvirtMap } from '../../dialects/learnt/libvirt-map-folder.ts';
import { askQemu } from '../collect/ask-qemu.ts';
import { readOne, readWhole } from '../input/inputs.ts';
import { type Answering, type Call, type ExitCode, type Io, write } from '../io.ts';
import { type OutputOptions, outputOptions, wholeNumberOption } from '../options.ts';
import { deliver, json } from '../screen/output.ts';
import { count } from '../screen/text.ts';

interface Options extends OutputOptions {
  readonly libvirt?: string;
  readonly qemu?: string;
  readonly kvmSource?: string;
  readonly timeout: number;
}

const HELP = `
A QEMU is started once a machine type, paused, without a guest. Where -o names
what was learnt of the same binary before, nothing is asked again. Of a kernel's
source it is read what KVM gives of which hardware; what cannot be read there is
listed with the function that stands in the way.

Examples:
  plimsoll learn --qemu /usr/libexec/qemu-kvm -o here.json
  plimsoll pin --catalog here.json --cpu Haswell --machine pc-q35-rhel9.4.0
  plimsoll learn --libvirt /usr/share/libvirt/cpu_map -o map.json
  plimsoll baseline rack-a/ --rules libvirt --catalog map.json
  plimsoll learn --kvm-source linux-source-6.12/ -o kvm-6.12.json

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
    .option('--kvm-source <dir>', "a kernel's source tree: what its KVM gives guests")
    .option(
      '--timeout <seconds>',
      'for each start of QEMU',
      wholeNumberOption('--timeout'),
      TIMEOUT,
    );
  outputOptions(command, 'one JSON document, the default')
    .addHelpText('after', HELP)
    .action(answering(run));
}

async function run({ io }: Call, options: Options): Promise<ExitCode> {
  const { libvirt, qemu, kvmSource } = options;
  if ([libvirt, qemu, kvmSource].filter((source) => source !== undefined).length > 1)
    throw new QueryError(
      '--libvirt, --qemu and --kvm-source are learnt apart, a file each; give one of them',
    );
  if (kvmSource !== undefined) return learnFromKernel(io, kvmSource, options);
  if (qemu !== undefined) return learnFromQemu(io, qemu, options);
  if (libvirt === undefined)
    throw new QueryError(
      'nothing to learn from; give --libvirt /usr/share/libvirt/cpu_map, --qemu qemu-system-x86_64 or --kvm-source linux-source-6.12/',
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

async function learnFromQemu(io: Io, binary: string, options: Options): Promise<ExitCode> {
  if (options.timeout < 1) throw new QueryError('--timeout takes a number of seconds from 1 on');
  const { learnt, isCached } = await askQemu(io, binary, options);
  if (!isCached) await deliver(io, json(writeLearntQemu(learnt)), options.output);
  if (!options.quiet) {
    const notes = learnt.refused.map((r) => `note: ${r.machine} was not learnt: ${r.reason}`);
    const what = `QEMU ${learnt.version}${learnt.package && `, ${learnt.package}`}: ${count(learnt.machines.length, 'machine type')}, ${count(learnt.models.length, 'CPU model')}`;
    const told = isCached ? `; ${options.output} has them already` : '';
    await write(io.stderr, [...notes, what + told].map((line) => `${printable(line)}\n`).join(''));
  }
  return 0;
}

async function learnFromKernel(io: Io, folder: string, options: Options): Promise<ExitCode> {
  const read = (path: string): string | null => {
    const file = join(folder, path);
    return existsSync(file) ? new TextDecoder().decode(readWhole(file)) : null;
  };
  if (!existsSync(folder)) throw new QueryError(`cannot read ${folder}: there is no such folder`);
  const { learnKvm } = await import('../../dialects/kvm-source/kvm-source.ts');
  const learnt = learnKvm(await loadCatalog(), read);
  await deliver(io, json(learnt), options.output);
  if (options.quiet) return 0;
  const howMany = (vendor: string) =>
    learnt.rules.filter((r) => r.vendor === vendor).reduce((n, r) => n + r.features.length, 0);
  const lines = [
    ...learnt.unread.map(
      ({ features, vendor, why }) =>
        `note: not read on ${vendor}: ${features.slice(0, 3).join(' ')}${features.length > 3 ? ` and ${features.length - 3} more` : ''}: ${why}`,
    ),
    `KVM of kernel ${learnt.kernel}: ${count(howMany('Intel'), 'feature')} read on Intel, ${count(howMany('AMD'), 'feature')} on AMD`,
  ];
  await write(io.stderr, lines.map((line) => `${printable(line)}\n`).join(''));
  return 0;
}
