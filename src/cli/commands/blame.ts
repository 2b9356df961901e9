// plimsoll blame: which hosts hold the line down, and what is gained without or by mending them.
import type { Command } from 'commander';
import { loadCatalog } from '../../cpu/catalog/catalog.ts';
import { blame, isBlameAnswered } from '../../solve/blame/blame.ts';
import { type HostOptions, readHosts, stackFrom } from '../input/read-fleet.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import {
  commaList,
  outputOptions,
  type PlanOptions,
  planOptions,
  readingOptions,
  whatIfOptions,
} from '../options.ts';
import { deliver, json } from '../screen/output.ts';
import { pageOf } from '../screen/render.ts';
import { renderBlame } from '../screen/render-plan.ts';
import { printableAll } from '../screen/text.ts';

const HELP = `
Examples:
  plimsoll blame rack-a/                        who costs the most, and why
  plimsoll blame rack-a/ --want avx512f,pku     whom to mend or move for that
  plimsoll blame rack-a/ --with EPYC-Milan-v2   as if such a server were bought

Exit code: 0 an answer; 1 the hosts have no CPU in common, or no host has what
is wanted; 2 could not answer.
`;

interface Options extends HostOptions, PlanOptions {
  readonly want?: readonly string[];
}

export function define(command: Command, answering: Answering): void {
  command
    .argument('[inputs...]', 'descriptions of hosts: files, directories, - for standard input')
    .optionsGroup('Answer:')
    .option('--want <features>', 'the fewest hosts to mend or move for these', commaList)
    .option('--no-ids', 'count hosts instead of naming them');
  planOptions(command);
  whatIfOptions(command);
  readingOptions(command);
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

async function run(call: Call, inputs: readonly string[], options: Options): Promise<ExitCode> {
  const catalog = await loadCatalog();
  const fleet = await readHosts(catalog, call, inputs, { ...options, keepDescribed: true });
  const { want, nested } = options;
  const answer = blame(fleet, { stack: stackFrom(catalog, options), nested, want });
  const page = await pageOf(call.io, options);
  const text = options.json ? json(answer) : renderBlame(printableAll(answer), page);
  await deliver(call.io, text, options.output);
  return isBlameAnswered(answer) ? 0 : 1;
}
