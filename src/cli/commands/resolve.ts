// plimsoll resolve: what becomes of a guest on a host, and the CPU that its definition gets there.
import { type Command, Option } from 'commander';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { UNSAID } from '../../cpu/cpu-element.ts';
import { QueryError } from '../../cpu/errors.ts';
import { printable } from '../../cpu/printable.ts';
import { dialectByName } from '../../dialects/index.ts';
import { writeLibvirtCpu } from '../../dialects/libvirt/libvirt-write.ts';
import { cpuArgument, cpuOption, writeFullCpu } from '../../dialects/pinned.ts';
import type { Fleet } from '../../fleet/fleet.ts';
import { type Got, resolve } from '../../solve/resolve.ts';
import {
  EXIT_OF_VERDICT,
  hostAndCpus,
  refuseStdinTwice,
  type SoftwareOptions,
  softwareFrom,
  softwareOptions,
} from '../input/read-guests.ts';
import { type Answering, type Call, type ExitCode, write } from '../io.ts';
import type { LibvirtResolveOptions } from '../libvirt/resolve-by-libvirt.ts';
import {
  commaList,
  libvirtOptions,
  outputOptions,
  type RulesChoice,
  readingOptions,
  refuseLibvirtOptions,
  rulesOption,
  stackOption,
} from '../options.ts';
import { deliver, json, warnSkipped } from '../screen/output.ts';
import { listed } from '../screen/text.ts';

type To = 'libvirt' | 'qemu';
type Options = LibvirtResolveOptions &
  SoftwareOptions &
  Partial<RulesChoice> & { readonly to?: To };

/** Options that ask libvirt and nobody else; whoever gives one need not say --rules libvirt. */
const OF_LIBVIRT = ['hypervisor', 'catalog', 'models', 'removed', 'enabled', 'disabled'] as const;

const HELP = `
The verdict is that of compare. The definition is written in the guest's own
language or that of --to: a guest with the CPU of its host keeps its words, any
other gets a CPU that no machine type can change. What stands in the way, or is
not known, goes to standard error and into the JSON.

Under --rules libvirt the definition is what libvirt rewrites it to. The models
of a hypervisor are what it is translated to; a CPU that the host cannot run is
then refused. With --enabled the guest has started, and the definition is what
libvirt writes down of it; under check='full' whatever differs is an error. QEMU
tells by virsh qemu-monitor-command GUEST:
  {"execute":"qom-get","arguments":{"path":"/machine/unattached/device[0]",
   "property":"feature-words"}}     and "unavailable-features" for --disabled

Examples:
  virsh domcapabilities > host.xml; plimsoll resolve host.xml guest.xml
  plimsoll resolve host.xml guest.xml --to qemu
  plimsoll resolve host.xml guest.xml --hypervisor domcapabilities.xml
  plimsoll resolve host.xml guest.xml --enabled on.json --disabled off.json

Exit code: 0 it runs; 1 the host cannot run it; 2 that is not known, or could
not answer.
`;

export function define(command: Command, answering: Answering): void {
  command
    .argument('<host>', 'the description of one host')
    .argument('<guest>', 'definitions of guests: every CPU of the file');
  command
    .optionsGroup('Answer:')
    .addOption(
      new Option(
        '--to <dialect>',
        "the language of the definition (default: the guest's own)",
      ).choices(['libvirt', 'qemu']),
    );
  const rules = softwareOptions(stackOption(command.optionsGroup('Rules:')));
  // Without a default, so that what is libvirt's alone says enough.
  rules.addOption(rulesOption().default(undefined, 'safe'));
  libvirtOptions(rules)
    .option(
      '--models <list>',
      'under libvirt rules: the models that the hypervisor offers',
      commaList,
    )
    .addOption(
      new Option(
        '--removed <policy>',
        'under libvirt rules: write out what a model lost, as at a fresh start or after a migration',
      ).choices(['disable', 'require']),
    )
    .option(
      '--enabled <file>',
      'under libvirt rules: the guest runs, with this CPU: its feature-words, or any dump of its CPUID',
    )
    .option('--disabled <file>', 'what was withheld from it: its unavailable-features, or a dump');
  readingOptions(command);
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

async function run(call: Call, host: string, guest: string, options: Options): Promise<ExitCode> {
  refuseStdinTwice(host, [guest]);
  const { rules = OF_LIBVIRT.some((name) => options[name] !== undefined) ? 'libvirt' : 'safe' } =
    options;
  if (rules === 'safe') return resolution(call, host, guest, options);
  if (options.to === 'qemu')
    throw new QueryError(
      "--to qemu is not what libvirt's rules give; they rewrite a <cpu> element, --to libvirt",
    );
  return (await import('../libvirt/resolve-by-libvirt.ts')).libvirtResolution(
    call,
    host,
    guest,
    options,
  );
}

async function resolution(
  call: Call,
  path: string,
  guest: string,
  options: Options,
): Promise<ExitCode> {
  refuseLibvirtOptions(options, OF_LIBVIRT);
  const { catalog, host, cpus } = await hostAndCpus(call, path, [guest], options);
  refuseHosts(cpus);
  const { answer, got } = resolve(host, cpus, softwareFrom(catalog, options));
  const { io } = call;
  const written = options.json ? null : got.map((g) => g && textOf(catalog, g, options.to));
  if (written)
    for (const [i, { guest: id, verdict, reasons }] of answer.guests.entries()) {
      const word = { incompatible: 'no', unknown: 'unknown', 'own-cpu': 'note' }[verdict as string];
      const notes = written[i]?.notes ?? [];
      const lines = [
        ...(word === undefined || (word === 'note' && options.quiet)
          ? []
          : [`${word}: ${id} on ${answer.host}: ${listed(reasons)}`]),
        ...(options.quiet ? [] : notes.map((note) => `note: ${id}: ${note}`)),
      ];
      await write(io.stderr, lines.map((line) => `${printable(line)}\n`).join(''));
    }
  const text = written ? written.map((w) => w?.text ?? '').join('') : json(answer);
  await deliver(io, text, options.output);
  await warnSkipped(io, answer.skipped ?? [], options);
  return EXIT_OF_VERDICT[answer.verdict];
}

/** @throws QueryError for what is the CPU of a host. */
function refuseHosts(cpus: Fleet): void {
  const hosts = cpus.members.filter((_, i) => {
    const { view, saved } = cpus.kinds[cpus.kindOfMember[i]!]!;
    return view !== 'guest' && !saved;
  });
  if (hosts.length > 0)
    throw new QueryError(
      hosts
        .map(({ id }) => `${id} is the CPU of a host; give the definition of a guest`)
        .join('\n'),
    );
}

interface Written {
  readonly text: string;
  readonly notes: readonly string[];
}

/** What a guest gets, in a language: its own where none is said. */
function textOf(catalog: Catalog, got: Got, to?: To): Written {
  if (got.is === 'named') {
    const dialect = dialectByName(to ?? 'libvirt')!;
    const notes = (dialect.notes?.(got.cpu, catalog) ?? []).map((note) => note.message);
    return { text: dialect.write!(got.cpu, catalog), notes };
  }
  if (got.is === 'own') {
    const { asked, argument } = got;
    if ((to ?? asked.by) === 'qemu') return { text: `${cpuOption(argument)}\n`, notes: [] };
    if (asked.by === 'libvirt') return { text: writeLibvirtCpu(asked.element), notes: [] };
    if (!argument.includes(','))
      return { text: writeLibvirtCpu({ ...UNSAID, mode: 'host-passthrough' }), notes: [] };
    throw new QueryError(
      `-cpu ${argument} is the CPU of the host with words beside it; it is written --to qemu alone`,
    );
  }
  const { pinned, libvirt, by } = got;
  const notes = pinned.notes.filter((note) => note.code !== 'cache-table');
  if ((to ?? by) === 'qemu')
    return {
      text: `${cpuOption(cpuArgument(pinned.resolved, pinned.alone))}\n`,
      notes: notes.map((note) => note.message),
    };
  if (libvirt instanceof QueryError) throw libvirt;
  return {
    text: writeFullCpu(catalog, libvirt),
    notes: [...notes, ...libvirt.notes].map((note) => note.message),
  };
}
