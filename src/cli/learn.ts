// plimsoll learn: a catalog from the libvirt at hand.
import { join } from 'node:path';
import type { Command } from 'commander';
import { loadCatalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import { writeLearnt } from '../dialects/learnt.ts';
import { readLibvirtMap } from '../dialects/libvirt-map.ts';
import { readOne } from './inputs.ts';
import type { Answer, Answering, Call } from './io.ts';
import { type OutputOptions, outputOptions } from './options.ts';
import { deliver, json } from './output.ts';

interface Options extends OutputOptions {
  readonly libvirt?: string;
}

const HELP = `
Examples:
  plimsoll learn --libvirt /usr/share/libvirt/cpu_map -o here.json
  plimsoll baseline rack-a/ --rules libvirt --catalog here.json

Exit code: 0 an answer; 2 could not answer.
`;

export function define(command: Command, answering: Answering): void {
  command
    .optionsGroup('What:')
    .option('--libvirt <dir>', 'the cpu_map folder of a libvirt, as it loads it');
  outputOptions(command, 'one JSON document, the default')
    .addHelpText('after', HELP)
    .action(answering(run));
}

async function run({ io }: Call, options: Options): Promise<Answer> {
  const { libvirt } = options;
  if (libvirt === undefined)
    throw new QueryError('nothing to learn from; give --libvirt /usr/share/libvirt/cpu_map');
  const map = await readLibvirtMap(
    await loadCatalog(),
    (name) => readOne(join(libvirt, name), io),
    'libvirt@learnt',
  );
  await deliver(io, json(writeLearnt(map)), options.output);
  return 0;
}
