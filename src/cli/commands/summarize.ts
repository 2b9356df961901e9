// plimsoll summarize: a part of a fleet as one line of text, to be merged with the others.
import { type Command, Option } from 'commander';
import { loadCatalog } from '../../cpu/catalog/catalog.ts';
import { QueryError } from '../../cpu/errors.ts';
import { writeArrow } from '../../fleet/arrow.ts';
import { writeSummary } from '../../fleet/summary.ts';
import { readHosts, SOFTWARE } from '../input/read-fleet.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import { commaList, type ReadingOptions, readingOptions } from '../options.ts';
import { deliver } from '../screen/output.ts';

interface Options extends ReadingOptions {
  readonly shard?: string;
  readonly keep?: readonly string[];
  readonly ids: boolean;
  readonly to: 'summary' | 'arrow';
  readonly output?: string;
  readonly quiet?: true;
}

const HELP = `
A summary is an input of every question. Parts are merged with plimsoll merge,
in any order, and then answer as one run over everything would.

Examples:
  plimsoll summarize --shard 7 -o 7.summary hosts-7.ndjson
  plimsoll summarize --no-ids --keep rack - < hosts.ndjson > hosts.summary
  plimsoll summarize --to arrow -o fleet.arrow hosts.ndjson
  plimsoll merge *.summary --expect 8 -o fleet.summary

Exit code: 0 a summary, also of no hosts; 2 could not read everything.
`;

export function define(command: Command, answering: Answering): void {
  command
    .argument('[inputs...]', 'descriptions of hosts: files, directories, - for standard input')
    .optionsGroup('Summary:')
    .option('--shard <id>', 'what to call this part (default: by its content)')
    .option('--keep <keys>', 'keys of host records that questions will be about', commaList)
    .option('--no-ids', 'count hosts instead of naming them')
    .addOption(
      new Option('--to <format>', 'a line to be merged, or a snapshot in Arrow, a row a host')
        .choices(['summary', 'arrow'])
        .default('summary'),
    );
  readingOptions(command)
    .optionsGroup('Output:')
    .option('-o, --output <file>', 'write there instead; the file is complete or untouched')
    .option('-q, --quiet', 'nothing on stderr but errors')
    .addHelpText('after', HELP)
    .action(answering(run));
}

async function run(call: Call, inputs: readonly string[], options: Options): Promise<ExitCode> {
  const { shard, ids, output } = options;
  if (options.to === 'arrow' && !ids)
    throw new QueryError('--to arrow writes a row a host; leave --no-ids out');
  const keep = [...new Set([...SOFTWARE, ...(options.keep ?? [])])];
  const fleet = await readHosts(await loadCatalog(), call, inputs, {
    ...options,
    color: 'never',
    keep,
    mayBeEmpty: true,
    // Whether there are hosts beside them, only the whole fleet can tell.
    asHosts: true,
  });
  const how = { keep, ids, ...(shard === undefined ? {} : { shards: [shard] }) };
  await deliver(
    call.io,
    options.to === 'arrow' ? [await writeArrow(fleet, how)] : await writeSummary(fleet, how),
    output,
  );
  return 0;
}
