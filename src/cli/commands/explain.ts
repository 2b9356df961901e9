// plimsoll explain: what a pasted error means, and what to do.
import type { Command } from 'commander';
import { loadCatalog } from '../../cpu/catalog/catalog.ts';
import { QueryError } from '../../cpu/errors.ts';
import { type Concerned, type Explanation, explain } from '../../solve/explain.ts';
import { readOne } from '../input/inputs.ts';
import { readHosts } from '../input/read-fleet.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import {
  type OutputOptions,
  outputOptions,
  type ReadingOptions,
  readingOptions,
} from '../options.ts';
import { deliver, json } from '../screen/output.ts';
import { type Page, pageOf } from '../screen/render.ts';
import { hostsText, printableAll, wrapSentence } from '../screen/text.ts';

const HELP = `
Examples:
  plimsoll explain 'Unacceptable CPU info'
  plimsoll explain 'missing features: pku' rack-a/      also on which hosts
  journalctl -u libvirtd | plimsoll explain -

Exit code: 0 something is recognised; 1 nothing is; 2 could not answer.
`;

export function define(command: Command, answering: Answering): void {
  command
    .argument('<text>', 'the message as it was printed, or - for standard input')
    .argument('[inputs...]', 'descriptions of the hosts, to find those that it is about');
  readingOptions(command);
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

async function run(
  call: Call,
  given: string,
  inputs: readonly string[],
  options: OutputOptions & ReadingOptions,
): Promise<ExitCode> {
  if (given === '-' && inputs.includes('-'))
    throw new QueryError('standard input can be the text or the hosts; give one of them as a file');
  const text =
    given === '-' ? new TextDecoder().decode((await readOne('-', call.io)).bytes) : given;
  const catalog = await loadCatalog();
  const fleet = inputs.length > 0 ? await readHosts(catalog, call, inputs, options) : undefined;
  const answer = explain(catalog, text, fleet);
  const page = await pageOf(call.io, options);
  await deliver(
    call.io,
    options.json ? json(answer) : render(printableAll(answer).explanations, page),
    options.output,
  );
  return answer.explanations.length > 0 ? 0 : 1;
}

function render(explanations: readonly Explanation[], page: Page): string {
  if (explanations.length === 0)
    return `${wrapSentence(
      'no message about CPUs is recognised here; plimsoll compare HOST GUEST finds what does not fit',
      page.columns,
    ).join('\n')}\n`;
  return `${explanations.map((e) => lines(e, page).join('\n')).join('\n\n')}\n`;
}

function lines(explanation: Explanation, { columns, paint }: Page): string[] {
  const indented = (mark: string, sentence: string) =>
    wrapSentence(sentence, columns - 4).map((line, i) => `  ${i === 0 ? mark : ' '} ${line}`);
  return [
    ...wrapSentence(explanation.matched, columns).map((line) => paint.bold(line)),
    ...wrapSentence(explanation.means, columns - 2).map((line) => `  ${line}`),
    ...explanation.features.flatMap((f) => indented('·', featureText(f, columns - 4))),
    ...explanation.remedies.flatMap((remedy) => indented('→', remedy)),
  ];
}

function featureText({ spelling, feature, lack, unknown }: Concerned, columns: number): string {
  const name = feature === null || feature === spelling ? spelling : `${spelling} (${feature})`;
  if (feature === null) return `${name}: no feature of the catalog`;
  if (!lack || !unknown) return name;
  if (lack.count === 0 && unknown.count === 0) return `${name}: every one of these hosts has it`;
  return [
    `${name}:`,
    lack.count > 0 ? `missing on ${hostsText(lack, columns)}` : '',
    unknown.count > 0 ? `unknown on ${hostsText(unknown, columns)}` : '',
  ]
    .filter((part) => part !== '')
    .join(' ');
}
