// plimsoll decode: what a host, dump or definition really is.
import { type Command, Option } from 'commander';
import { midrText } from '../../cpu/arch/arm.ts';
import { loadCatalog } from '../../cpu/catalog/catalog.ts';
import { isShown, unsettled } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import { printable } from '../../cpu/printable.ts';
import { candidate, Fleet, type Skipped } from '../../fleet/fleet.ts';
import { readDescriptions } from '../../reading/read.ts';
import { baseline } from '../../solve/baseline.ts';
import { type DecodedOne, decodeEach, onceEach } from '../../solve/decode.ts';
import { guestCpu } from '../../solve/line/guest-cpu.ts';
import {
  type HostOptions,
  openInputs,
  readOptions,
  stackFrom,
  writerOf,
} from '../input/read-fleet.ts';
import { softwareFrom } from '../input/read-guests.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import type { LibvirtOptions } from '../libvirt/libvirt-inputs.ts';
import {
  commaList,
  libvirtOptions,
  outputOptions,
  readingOptions,
  refuseLibvirtOptions,
  stackOption,
} from '../options.ts';
import { blocksOf, deliver, joined, jsonOf, partOf, warnSkipped } from '../screen/output.ts';
import {
  definitionLines,
  type Fact,
  factLines,
  findingLines,
  type Page,
  pageOf,
} from '../screen/render.ts';
import { count, printableAll, wrapSentence } from '../screen/text.ts';

type Options = HostOptions &
  LibvirtOptions & { readonly to?: string; readonly as?: 'host' | 'guest' };
type Shared = DecodedOne['shared'];

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

async function run(call: Call, inputs: readonly string[], options: Options): Promise<ExitCode> {
  const { as } = options;
  if (as !== undefined)
    return (await import('../libvirt/decode-by-libvirt.ts')).runLibvirtDecode(call, inputs, {
      ...options,
      as,
    });
  refuseLibvirtOptions(options, ['models']);
  const writer = options.to === undefined ? undefined : writerOf(options.to);
  const catalog = await loadCatalog();
  const stack = stackFrom(catalog, options);
  const { read, skipped } = await readDescriptions(catalog, openInputs(inputs, call.io, options), {
    ...readOptions(options),
    takes: 'cpus',
  });
  if (!writer) {
    const software = options.stack === undefined ? undefined : softwareFrom(catalog, options);
    const decoded = decodeEach(catalog, read, { stack, software });
    const { io } = call;
    const page = await pageOf(io, options);
    await deliver(
      io,
      options.json ? jsonPieces(decoded, skipped) : blocksOf(render(decoded, skipped, page)),
      options.output,
    );
    return 0;
  }
  const open = read.flatMap(({ id, description }) => {
    const note = unsettled(description);
    return note ? [`${id} has no definition that could be written: ${note.message}`] : [];
  });
  if (open.length > 0) throw new QueryError(open.join('\n'));
  const written = onceEach((description) => {
    const guest = baseline(new Fleet(catalog, [candidate(catalog, '', description)]), { stack });
    const isNamed = Object.keys(guest.definitions).length > 0;
    return isNamed ? writer(guestCpu(guest, catalog), catalog) : null;
  });
  const texts = read.map(({ description }) => written(description));
  const nameless = read.filter((_, i) => texts[i] === null);
  if (nameless.length > 0)
    throw new QueryError(
      nameless
        .map(
          ({ id }) =>
            `${id} has no definition that could be written; without --to its features are shown`,
        )
        .join('\n'),
    );
  await deliver(call.io, joined(texts as string[]), options.output);
  await warnSkipped(call.io, skipped, options);
  return 0;
}

const jsonPieces = (decoded: Iterable<DecodedOne>, skipped: readonly Skipped[]) =>
  jsonOf(
    { schema: 'plimsoll.decode/1' },
    'hosts',
    partsOf(decoded),
    skipped.length > 0 ? { skipped } : {},
  );

function* partsOf(decoded: Iterable<DecodedOne>): Generator<readonly (object | string)[]> {
  for (const { host, shared, findings } of decoded)
    yield [partOf({ host }), shared, partOf({ findings })];
}

/** A block a host. */
function* render(
  decoded: Iterable<DecodedOne>,
  skipped: readonly Skipped[],
  page: Page,
): Generator<string> {
  const known = new WeakMap<Shared, readonly [printable: Shared, lines: readonly string[]]>();
  for (const { host, shared, findings } of decoded) {
    let found = known.get(shared);
    if (!found) {
      const printed = printableAll(shared);
      found = [printed, sharedLines(printed, page)];
      known.set(shared, found);
    }
    const [printed, lines] = found;
    yield [
      ...wrapSentence(titleOf(printable(host), printed), page.columns).map((line) =>
        page.paint.bold(line),
      ),
      ...lines,
      ...findingLines(printableAll(findings), [], page),
    ].join('\n');
  }
  if (skipped.length > 0) yield findingLines([], printableAll(skipped), page).join('\n');
}

/** What guests are not given of what a processor has, for certain or perhaps, by who decides. */
function withheldText({ withheld, kernel }: Shared, sure: boolean): string {
  const byReason = new Map<string, string[]>();
  for (const { feature, because, ...w } of withheld) {
    if (w.sure !== sure) continue;
    const reason = WITHHELD[sure ? 'sure' : kernel === undefined ? 'untold' : 'told'][because];
    byReason.set(reason, [...(byReason.get(reason) ?? []), feature]);
  }
  return [...byReason]
    .sort(([a, x], [b, y]) => y.length - x.length || byBytes(a, b))
    .map(([reason, names]) => `${beginning(names, 8).join(' ')} (${reason})`)
    .join('; ');
}

const OPEN = {
  processor: 'as the processor is',
  never: 'QEMU decides',
  option: 'options of the host decide',
  needs: 'as what they need is',
  hidden: 'Linux may hide it',
  qemu: 'QEMU decides',
  untold: 'not told',
  table: 'not looked at',
};
const WITHHELD: Readonly<
  Record<
    'sure' | 'told' | 'untold',
    Readonly<Record<Shared['withheld'][number]['because'], string>>
  >
> = {
  sure: {
    ...OPEN,
    never: 'no kernel gives it',
    kernel: 'newer kernels give it',
    hidden: 'Linux hides it',
    needs: 'what it needs is not given',
    qemu: 'QEMU takes it',
  },
  told: { ...OPEN, kernel: 'not known of this kernel' },
  untold: { ...OPEN, kernel: 'by its kernel, which --kernel tells' },
};

/** Names that are not worth a screen: an answer about hardware leaves a hundred open. */
const beginning = (names: readonly string[], most = 16): readonly string[] =>
  names.length <= most
    ? names
    : [...names.slice(0, most - 1), `… and ${names.length - most + 1} more`];

const VIEWS = {
  hypervisor: 'what its hypervisor offers guests',
  kernel: 'what its kernel shows',
  hardware: 'what its processor shows',
  guest: 'a guest definition',
} as const;

/** Of another architecture than x86, the model that it is. */
const processorText = ({ midr, model }: NonNullable<Shared['identity']>): string =>
  midr === null ? (model ?? '') : midr.map(midrText).join(', ');

const titleOf = (host: string, { view, vendor, arch }: Shared): string =>
  [host, VIEWS[view], vendor ?? 'vendor unknown', ...(arch === 'x86_64' ? [] : [arch])].join(', ');

/** Which software makes what of a guest's definition. */
const startedText = ({ startedBy }: Shared): string =>
  startedBy
    ? [
        `QEMU ${startedBy.qemu}`,
        ...(startedBy.libvirt ? [`libvirt ${startedBy.libvirt}`] : []),
        ...(startedBy.machine ? [startedBy.machine] : []),
      ].join(', ')
    : '';

function sharedLines(shared: Shared, page: Page): string[] {
  const { signature: s, limits } = shared;
  const facts: Fact[] = [
    ['started by', startedText(shared)],
    ['processor', s ? `family ${s.family} model ${s.model} stepping ${s.stepping}` : ''],
    ['processor', shared.identity ? processorText(shared.identity) : ''],
    ['microcode', shared.microcode ?? ''],
    ['kernel', shared.kernel ?? ''],
    ['address bits', limits.physBits === null ? '' : `${limits.physBits} physical`],
    [
      'nearest models',
      shared.candidates
        .map((c) => (c.lacks.length > 0 ? `${c.name} (lacks ${c.lacks.length})` : c.name))
        .join(', '),
    ],
    [count(shared.features.length, 'feature'), shared.features],
    ['offers guests', isShown(shared) ? count(shared.offers.length, 'feature') : ''],
    ['not given', withheldText(shared, true)],
    ['perhaps', withheldText(shared, false)],
    [`${shared.unknown.length} unknown`, beginning(shared.unknown)],
  ];
  return [
    ...definitionLines(shared.definitions, [], page, 3, shared.arch),
    ...factLines(facts, page),
  ];
}
