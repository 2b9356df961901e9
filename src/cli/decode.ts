// plimsoll decode: what a host, dump or definition really is.
import { type Command, Option } from 'commander';
import { loadCatalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import { unsettled } from '../cpu/host.ts';
import { readDescriptions } from '../dialects/read.ts';
import { candidate, Fleet } from '../fleet/fleet.ts';
import type { Decoded } from '../solve/answer.ts';
import { baseline } from '../solve/baseline.ts';
import { decode } from '../solve/decode.ts';
import { guestCpu } from '../solve/guest-cpu.ts';
import { type HostOptions, openInputs, readOptions, stackFrom, writerOf } from './fleet.ts';
import { type Answer, type Answering, type Call, columnsOf } from './io.ts';
import type { LibvirtOptions } from './libvirt-inputs.ts';
import {
  commaList,
  libvirtOptions,
  outputOptions,
  readingOptions,
  refuseLibvirtOptions,
  stackOption,
} from './options.ts';
import { deliver, json, warnSkipped } from './output.ts';
import { painter } from './paint.ts';
import { definitionLines, type Fact, factLines, findingLines, type Page } from './render.ts';
import { count, printableAll, wrapSentence } from './text.ts';

type Options = HostOptions &
  LibvirtOptions & { readonly to?: string; readonly as?: 'host' | 'guest' };
type Host = Decoded['hosts'][number];

const HELP = `
Examples:
  virsh domcapabilities | plimsoll decode -
  plimsoll decode /proc/cpuinfo --to qemu

Exit code: 0 an answer; 2 could not answer.
`;

export function define(command: Command, answering: Answering): void {
  command.argument('[inputs...]', 'descriptions: files, directories, - for standard input');
  command
    .optionsGroup('Answer:')
    .addOption(
      new Option(
        '--to <dialect>',
        'as a guest definition in the language of a stack: libvirt, qemu, ...',
      ).conflicts('json'),
    );
  command.addOption(
    new Option('--as <type>', "libvirt's view of it, as the CPU of a host or of a guest").choices([
      'host',
      'guest',
    ]),
  );
  stackOption(command.optionsGroup('Rules:')).option(
    '--models <list>',
    'with --as: choose only among these CPU models',
    commaList,
  );
  libvirtOptions(command);
  readingOptions(command);
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

async function run(call: Call, inputs: readonly string[], options: Options): Promise<Answer> {
  const { as } = options;
  if (as !== undefined)
    return (await import('./libvirt-decode.ts')).runLibvirtDecode(call, inputs, { ...options, as });
  refuseLibvirtOptions(options, ['models']);
  const writer = options.to === undefined ? undefined : writerOf(options.to);
  const catalog = await loadCatalog();
  const stack = stackFrom(catalog, options);
  const { read, skipped } = await readDescriptions(
    catalog,
    openInputs(inputs, call.io, options),
    readOptions(options),
  );
  const answer = decode(catalog, read, skipped, { stack });
  if (!writer) {
    const page = { columns: columnsOf(call.io.stdout), paint: painter(call.io, options) };
    await deliver(
      call.io,
      options.json ? json(answer) : render(printableAll(answer), page),
      options.output,
    );
    return 0;
  }
  const open = read.flatMap(({ id, description }) => {
    const note = unsettled(description);
    return note ? [`${id} has no definition that could be written: ${note.message}`] : [];
  });
  if (open.length > 0) throw new QueryError(open.join('\n'));
  const guests = read.map(({ id, description }) => ({
    id,
    guest: baseline(new Fleet(catalog, [candidate(catalog, id, description)]), { stack }),
  }));
  const nameless = guests.filter(({ guest }) => Object.keys(guest.definitions).length === 0);
  if (nameless.length > 0)
    throw new QueryError(
      nameless
        .map(
          ({ id }) =>
            `${id} has no definition that could be written; without --to its features are shown`,
        )
        .join('\n'),
    );
  const texts = guests.map(({ guest }) => writer(guestCpu(guest, catalog), catalog));
  await deliver(call.io, texts.join(''), options.output);
  await warnSkipped(call.io, skipped, options);
  return 0;
}

function render(answer: Decoded, page: Page): string {
  const blocks = answer.hosts.map((host) => hostLines(host, page).join('\n'));
  if (answer.skipped) blocks.push(findingLines([], answer.skipped, page).join('\n'));
  return `${blocks.join('\n\n')}\n`;
}

/** Names that are not worth a screen: an answer about hardware leaves a hundred open. */
const beginning = (names: readonly string[]): readonly string[] =>
  names.length <= 16 ? names : [...names.slice(0, 15), `… and ${names.length - 15} more`];

const VIEWS = {
  hypervisor: 'what its hypervisor offers guests',
  kernel: 'what its kernel shows',
  hardware: 'what its processor shows',
  guest: 'a guest definition',
} as const;

function hostLines(host: Host, page: Page): string[] {
  const { columns, paint } = page;
  const { signature: s, limits } = host;
  const title = [
    host.host,
    VIEWS[host.view],
    host.vendor ?? 'vendor unknown',
    ...(host.arch === 'x86_64' ? [] : [host.arch]),
  ].join(', ');
  const facts: Fact[] = [
    ['processor', s ? `family ${s.family} model ${s.model} stepping ${s.stepping}` : ''],
    ['microcode', host.microcode ?? ''],
    ['address bits', limits.physBits === null ? '' : `${limits.physBits} physical`],
    [
      'nearest models',
      host.candidates
        .map((c) => (c.lacks.length > 0 ? `${c.name} (lacks ${c.lacks.length})` : c.name))
        .join(', '),
    ],
    [count(host.features.length, 'feature'), host.features],
    [`${host.unknown.length} unknown`, beginning(host.unknown)],
  ];
  return [
    ...wrapSentence(title, columns).map((line) => paint.bold(line)),
    ...definitionLines(host.definitions, [], page, 3),
    ...factLines(facts, page),
    ...findingLines(host.findings, [], page),
  ];
}
