// plimsoll synth: a made-up fleet, for people who benchmark.
import { type Command, Option } from 'commander';
import { loadCatalog } from '../../cpu/catalog/catalog.ts';
import { didYouMean } from '../../cpu/catalog/suggest.ts';
import { QueryError } from '../../cpu/errors.ts';
import { type SynthOptions, synthesize } from '../../dialects/records/made-up.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import { commaList, countOf } from '../options.ts';
import { deliver } from '../screen/output.ts';

interface Options {
  readonly hosts: number;
  readonly seed: number;
  readonly kinds: number;
  readonly vendor?: readonly string[];
  readonly to: SynthOptions['to'];
  readonly shuffle?: true;
  readonly processors: number;
  readonly output?: string;
}

const HELP = `
Examples:
  plimsoll synth --hosts 1000000 --seed 1 -o fleet.ndjson
  plimsoll synth --hosts 1000 --seed 1 --to cpuinfo | plimsoll baseline -

Exit code: 0 a fleet, the same for the same options; 2 could not make it.
`;

export function define(command: Command, answering: Answering): void {
  command
    .optionsGroup('Fleet:')
    .addOption(new Option('--hosts <n>', 'how many hosts').argParser(countOf).makeOptionMandatory())
    .addOption(
      new Option('--seed <n>', 'another seed, another fleet').argParser(countOf).default(1),
    )
    .addOption(
      new Option('--kinds <n>', 'how many CPUs that differ').argParser(countOf).default(200),
    )
    .option('--vendor <list>', 'processors of these vendors (default: Intel)', commaList)
    .addOption(
      new Option('--to <dialect>', 'the language to write')
        .choices(['records', 'cpuinfo', 'libvirt'])
        .default('records'),
    )
    .option('--shuffle', 'every list of features in an order of its own')
    .addOption(
      new Option('--processors <n>', 'how many each host has, in cpuinfo')
        .argParser(countOf)
        .default(8),
    )
    .optionsGroup('Output:')
    .option('-o, --output <file>', 'write there instead; the file is complete or untouched')
    .addHelpText('after', HELP)
    .action(answering(run));
}

async function run({ io }: Call, options: Options): Promise<ExitCode> {
  const catalog = await loadCatalog();
  const known = new Set([...catalog.libvirtModels.values()].flatMap((m) => m.vendor ?? []));
  const vendors = options.vendor ?? ['Intel'];
  for (const vendor of vendors)
    if (!known.has(vendor))
      throw new QueryError(
        `--vendor "${vendor}" makes no processor that is known${didYouMean(vendor, known) || `; choose among ${[...known].join(', ')}`}`,
      );
  const { hosts, seed, kinds, to, shuffle = false, processors } = options;
  await deliver(
    io,
    synthesize(catalog, { hosts, seed, kinds, vendors, to, shuffled: shuffle, processors }),
    options.output,
  );
  return 0;
}
