// plimsoll admit: would these hosts lower the line.
import type { Command } from 'commander';
import { loadCatalog } from '../../cpu/catalog/catalog.ts';
import { QueryError } from '../../cpu/errors.ts';
import { admit, admitVerdict } from '../../solve/admit.ts';
import { readJson } from '../input/inputs.ts';
import { type HostOptions, readHosts } from '../input/read-fleet.ts';
import { exitOf } from '../input/read-guests.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import {
  idsNeeded,
  outputOptions,
  readingOptions,
  refuseNoIds,
  type StackOptions,
  stackOption,
  whatIfOptions,
} from '../options.ts';
import { deliver, json } from '../screen/output.ts';
import { pageOf } from '../screen/render.ts';
import { renderAdmit } from '../screen/render-place.ts';
import { printableAll } from '../screen/text.ts';

const HELP = `
Examples:
  plimsoll baseline rack-a/ --json > line.json
  plimsoll admit --baseline line.json new-server.xml
  plimsoll admit --baseline line.json --with EPYC-Genoa     before it is bought

Exit code: 0 the line stays; 1 some host would lower it; 2 that is not known, or
could not answer.
`;

interface Options extends HostOptions, StackOptions {
  readonly baseline?: string;
}

export function define(command: Command, answering: Answering): void {
  command
    .argument('[inputs...]', 'descriptions of hosts: files, directories, - for standard input')
    .optionsGroup('Answer:')
    .option('--baseline <file>', 'the line: what plimsoll baseline --json has printed');
  idsNeeded(command);
  stackOption(command.optionsGroup('Rules:'));
  whatIfOptions(command);
  readingOptions(command);
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

async function run(call: Call, inputs: readonly string[], options: Options): Promise<ExitCode> {
  refuseNoIds(options);
  if (options.baseline === undefined)
    throw new QueryError(
      'which line? give a saved one with --baseline line.json (plimsoll baseline --json prints one)',
    );
  const catalog = await loadCatalog();
  const { document, name } = await readJson(options.baseline, call.io);
  const fleet = await readHosts(catalog, call, inputs, options);
  const answer = admit(fleet, document, name);
  const page = await pageOf(call.io, options);
  const text = options.json ? json(answer) : renderAdmit(printableAll(answer), page);
  await deliver(call.io, text, options.output);
  return exitOf(admitVerdict(answer));
}
