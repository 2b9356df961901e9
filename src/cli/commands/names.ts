// plimsoll names: any spelling to all others.
import type { Command } from 'commander';
import { loadCatalog } from '../../cpu/catalog/catalog.ts';
import { type FeatureNames, type ModelNames, type Named, names } from '../../solve/look-up.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import { type OutputOptions, outputOptions } from '../options.ts';
import { deliver, json } from '../screen/output.ts';
import { type Fact, factLines, type Page, pageOf } from '../screen/render.ts';
import { listed, printableAll, wrapSentence } from '../screen/text.ts';

const HELP = `
Examples:
  plimsoll names pclmuldq                 who spells it how
  plimsoll names ibrs spec_ctrl           what a flag means on Intel and on AMD
  plimsoll names EPYC Skylake-Server-IBRS what an alias stands for
  plimsoll names vpclmutqdq               what was meant

Exit code: 0 all are known; 1 one is nobody's spelling; 2 could not answer.
`;

export function define(command: Command, answering: Answering): void {
  command.argument('<terms...>', 'features, models, machine types or levels, in any spelling');
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

async function run(
  call: Call,
  terms: readonly string[],
  options: OutputOptions,
): Promise<ExitCode> {
  const answer = names(await loadCatalog(), terms);
  const page = await pageOf(call.io, options);
  await deliver(
    call.io,
    options.json
      ? json(answer)
      : `${printableAll(answer)
          .terms.map((term) => termLines(term, page).join('\n'))
          .join('\n\n')}\n`,
    options.output,
  );
  return answer.terms.every((term) => term.kind !== null) ? 0 : 1;
}

function termLines(term: Named, page: Page): string[] {
  return [
    page.paint.bold(term.kind === null ? term.term : `${term.term}, a ${term.kind}`),
    ...(term.note === null
      ? []
      : wrapSentence(term.note, page.columns - 2).map((line) => `  ${line}`)),
    ...term.features.flatMap((feature) => factLines(featureFacts(feature), page)),
    ...(term.model ? factLines(modelFacts(term.model), page) : []),
    ...(term.machine ? factLines([['QEMU', listed(term.machine.qemu)]], page) : []),
  ];
}

const since = (version: string | null): string => (version === null ? '' : ` (since ${version})`);

const featureFacts = (f: FeatureNames): Fact[] => [
  ['QEMU', f.qemu.length > 0 ? `${listed(f.qemu)}${since(f.since.qemu)}` : 'has no name for it'],
  ['libvirt', f.libvirt ? `${f.libvirt}${since(f.since.libvirt)}` : 'has no name for it'],
  ['Linux', f.linux.length > 0 ? listed(f.linux) : 'prints no flag for it'],
  ['Xen', f.xen ?? 'has no name for it'],
];

const modelFacts = (m: ModelNames): Fact[] => [
  ['vendor', m.vendor ?? 'that of the host'],
  [
    'QEMU',
    m.qemu
      ? `since ${m.qemu.since} of the versions known${m.qemu.until === null ? '' : `, until ${m.qemu.until}`}`
      : 'has no such model',
  ],
  ['libvirt', m.libvirt ? `since ${m.libvirt.since} of the versions known` : 'has no such model'],
  ['always stands for', m.of ?? ''],
  ['canonical', m.canonical ?? ''],
  ['other names', m.aliases],
  ['versions', m.versions],
  ['Proxmox VE', m.proxmox ? 'takes it as a CPU type' : 'takes no CPU type of this name'],
];
