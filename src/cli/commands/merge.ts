// plimsoll merge: the summaries of all parts of a fleet as one.
import type { Command } from 'commander';
import { loadCatalog } from '../../cpu/catalog/catalog.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Input } from '../../dialects/dialect.ts';
import { type MergeOptions, mergeSummaries } from '../../dialects/records/summary-line.ts';
import { writeSummary } from '../../fleet/summary.ts';
import { readOne } from '../input/inputs.ts';
import { openInputs } from '../input/read-fleet.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import { countOf } from '../options.ts';
import { deliver } from '../screen/output.ts';

interface Options {
  readonly expect?: number;
  readonly manifest?: string;
  readonly output?: string;
  readonly quiet?: true;
}

const HELP = `
Examples:
  plimsoll merge parts/ --expect 8 -o fleet.summary
  plimsoll merge parts/ --manifest shards.txt | plimsoll baseline -

Exit code: 0 all parts are there and merged; 2 one is missing, damaged, there
twice or unlike the others.
`;

export function define(command: Command, answering: Answering): void {
  command
    .argument('[summaries...]', 'files of plimsoll summarize, directories of them, or -')
    .optionsGroup('Parts:')
    .option('--expect <n>', 'how many shards there must be', countOf)
    .option('--manifest <file>', 'the shards that there must be, one a line, and no others')
    .optionsGroup('Output:')
    .option('-o, --output <file>', 'write there instead; the file is complete or untouched')
    .option('-q, --quiet', 'nothing on stderr but errors')
    .addHelpText('after', HELP)
    .action(answering(run));
}

async function run({ io }: Call, paths: readonly string[], options: Options): Promise<ExitCode> {
  const { expect, manifest, output, quiet } = options;
  const expected: MergeOptions = {
    expect,
    manifest: manifest === undefined ? undefined : await readManifest(manifest, io),
  };
  const inputs: Input[] = [];
  const problems: string[] = [];
  for await (const input of openInputs(paths, io, { color: 'never', ...(quiet ? { quiet } : {}) }))
    if ('error' in input) problems.push(input.error.message);
    else inputs.push(input);
  if (problems.length > 0) throw new QueryError(problems.join('\n'));
  const { fleet, ...how } = await mergeSummaries(await loadCatalog(), inputs, expected);
  await deliver(io, await writeSummary(fleet, how), output);
  return 0;
}

async function readManifest(path: string, io: Call['io']): Promise<string[]> {
  const { name, bytes } = await readOne(path, io);
  const lines = new TextDecoder().decode(bytes).split('\n');
  const shards = lines.map((line) => line.trim()).filter((line) => line !== '');
  if (shards.length === 0) throw new QueryError(`${name} lists no shards; write one a line`);
  return shards;
}
