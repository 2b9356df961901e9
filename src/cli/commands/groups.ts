// plimsoll groups: the best split of the fleet into at most K pools.
import type { Command } from 'commander';
import { loadCatalog } from '../../cpu/catalog/catalog.ts';
import { QueryError } from '../../cpu/errors.ts';
import { groups, isGroupsAnswered } from '../../solve/pools/groups.ts';
import { type HostOptions, readHosts, stackFrom } from '../input/read-fleet.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import {
  commaList,
  idsNeeded,
  outputOptions,
  type PlanOptions,
  planOptions,
  readingOptions,
  refuseNoIds,
  whatIfOptions,
  wholeNumberOption,
} from '../options.ts';
import { deliver, json } from '../screen/output.ts';
import { pageOf } from '../screen/render.ts';
import { renderGroups } from '../screen/render-plan.ts';
import { printableAll } from '../screen/text.ts';

const HELP = `
A split keeps hosts × features: every host of a pool counts with the features
that all hosts of the pool have. The answer says what no split can exceed.

Examples:
  plimsoll groups -k 2 cluster/                     the two best pools
  plimsoll groups --up-to 6 cluster/                what each further pool buys
  plimsoll groups -k 3 --at-least 3 cluster/        no pool smaller than 3 hosts
  plimsoll groups -k 3 --weigh avx512f=10 cluster/
  plimsoll groups -k 2 --keep-together rack cluster.ndjson

Exit code: 0 an answer; 1 there are no such pools; 2 could not answer.
`;

interface Options extends HostOptions, PlanOptions {
  readonly pools?: number;
  readonly upTo?: number;
  readonly atLeast?: number;
  readonly weigh?: readonly string[];
  readonly keepTogether?: string;
}

export function define(command: Command, answering: Answering): void {
  command
    .argument('[inputs...]', 'descriptions of hosts: files, directories, - for standard input')
    .optionsGroup('Answer:')
    .option('-k, --pools <number>', 'at most so many pools', wholeNumberOption('-k'))
    .option(
      '--up-to <number>',
      'the same, for a look at every number up to it',
      wholeNumberOption('--up-to'),
    )
    .option('--at-least <hosts>', 'no pool has fewer hosts', wholeNumberOption('--at-least'))
    .option(
      '--weigh <list>',
      'what features are worth beside the 1 of every other: avx512f=10',
      commaList,
    )
    .option(
      '--keep-together <key>',
      'hosts with the same value of this key of their records stay together',
    );
  idsNeeded(command);
  planOptions(command);
  whatIfOptions(command);
  readingOptions(command);
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

async function run(call: Call, inputs: readonly string[], options: Options): Promise<ExitCode> {
  refuseNoIds(options);
  const { pools = options.upTo, atLeast, keepTogether, nested } = options;
  if (pools === undefined)
    throw new QueryError(
      'how many pools? give -k 2, or --up-to 6 for a look at every number up to it',
    );
  const catalog = await loadCatalog();
  const fleet = await readHosts(catalog, call, inputs, options);
  const answer = groups(fleet, {
    stack: stackFrom(catalog, options),
    nested,
    pools,
    least: atLeast,
    weigh: weights(options.weigh ?? []),
    together: keepTogether,
  });
  const page = await pageOf(call.io, options);
  const text = options.json ? json(answer) : renderGroups(printableAll(answer), page);
  await deliver(call.io, text, options.output);
  return isGroupsAnswered(answer) ? 0 : 1;
}

function weights(list: readonly string[]): ReadonlyMap<string, number> {
  return new Map(
    list.map((entry) => {
      const [, name, value] = /^([^=]+)=(\d+)$/.exec(entry) ?? [];
      if (name === undefined)
        throw new QueryError(
          `--weigh "${entry}" is no weight; write it like avx512f=10, a whole number`,
        );
      return [name, Number(value)];
    }),
  );
}
