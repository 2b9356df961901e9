// plimsoll compare: can these CPUs run on this host; if not, why not.
import type { Command } from 'commander';
import type { Comparison, Verdict } from '../../solve/answer.ts';
import { compare } from '../../solve/compare.ts';
import type { HostOptions } from '../input/read-fleet.ts';
import {
  EXIT_OF_VERDICT,
  hostAndCpus,
  refuseStdinTwice,
  type SoftwareOptions,
  softwareFrom,
  softwareOptions,
} from '../input/read-guests.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import type { LibvirtOptions } from '../libvirt/libvirt-inputs.ts';
import {
  libvirtOptions,
  outputOptions,
  type RulesChoice,
  readingOptions,
  refuseLibvirtOptions,
  rulesOption,
  stackOption,
} from '../options.ts';
import { deliver, json } from '../screen/output.ts';
import { findingLines, type Page, pageOf } from '../screen/render.ts';
import { clip, count, listed, printableAll, wrapSentence } from '../screen/text.ts';

type Options = HostOptions & LibvirtOptions & RulesChoice & SoftwareOptions;

const HELP = `
The first word of the answer is the worst of all CPUs: identical, superset,
own-cpu (it starts, with the CPU of the host, and moves to equals alone),
unknown (that is not known) or incompatible.

Examples:
  plimsoll compare host.xml guest.xml
  virsh capabilities | plimsoll compare - guests/*.xml

Exit code: 0 identical, superset or own-cpu; 1 incompatible; 2 unknown, or could
not answer.
`;

export function define(command: Command, answering: Answering): void {
  command
    .argument('<host>', 'the description of one host')
    .argument('<cpus...>', 'descriptions of CPUs or guests: every CPU of each');
  softwareOptions(stackOption(command.optionsGroup('Rules:'))).addOption(rulesOption());
  libvirtOptions(command);
  readingOptions(command);
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

async function run(
  call: Call,
  host: string,
  cpus: readonly string[],
  options: Options,
): Promise<ExitCode> {
  refuseStdinTwice(host, cpus);
  const answer =
    options.rules === 'libvirt'
      ? await (await import('../libvirt/compare-by-libvirt.ts')).libvirtComparison(
          call,
          host,
          cpus,
          options,
        )
      : await comparison(call, host, cpus, options);
  const page = await pageOf(call.io, options);
  await deliver(
    call.io,
    options.json ? json(answer) : render(printableAll(answer), page),
    options.output,
  );
  return EXIT_OF_VERDICT[answer.verdict];
}

async function comparison(
  call: Call,
  host: string,
  cpus: readonly string[],
  options: Options,
): Promise<Comparison> {
  refuseLibvirtOptions(options);
  const { catalog, host: own, cpus: asked } = await hostAndCpus(call, host, cpus, options);
  return compare(own, asked, softwareFrom(catalog, options));
}

const COLOR: Readonly<Record<Verdict, 'green' | 'yellow' | 'red'>> = {
  identical: 'green',
  superset: 'green',
  'own-cpu': 'yellow',
  unknown: 'yellow',
  incompatible: 'red',
};

function render(answer: Comparison, page: Page): string {
  const { paint, columns } = page;
  const lines = [paint[COLOR[answer.verdict]](paint.bold(answer.verdict))];
  for (const { cpu, verdict, extra, reasons } of answer.cpus) {
    const why =
      reasons.length > 0
        ? listed(reasons)
        : extra.length > 0
          ? `runs on ${answer.host}, which has ${count(extra.length, 'feature')} more`
          : `is just what ${answer.host} has`;
    const sentence = wrapSentence(`${clip(cpu, columns - 24)} ${verdict}: ${why}`, columns - 4);
    lines.push(...sentence.map((line, i) => `  ${i === 0 ? '' : '  '}${line}`));
  }
  lines.push(...findingLines(answer.findings, answer.skipped ?? [], page));
  return `${lines.join('\n')}\n`;
}
