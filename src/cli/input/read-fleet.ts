// From what was typed to the hosts that a question is about, and what may be asked of them.
import { existsSync } from 'node:fs';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { parseStack, type Stack } from '../../cpu/catalog/software.ts';
import { didYouMean } from '../../cpu/catalog/suggest.ts';
import type { GuestCpu } from '../../cpu/definition.ts';
import { QueryError } from '../../cpu/errors.ts';
import { printable } from '../../cpu/printable.ts';
import type { Input } from '../../dialects/dialect.ts';
import { dialectByName, dialectNames } from '../../dialects/index.ts';
import { namedProcessor } from '../../dialects/records/processor-by-name.ts';
import { writeCpu } from '../../dialects/words/product-definitions.ts';
import type { Fleet } from '../../fleet/fleet.ts';
import { underKernel } from '../../fleet/under.ts';
import type { Unreadable } from '../../reading/problems.ts';
import { type Inputs, type ReadOptions, readFleet } from '../../reading/read.ts';
import { type Call, type Io, write } from '../io.ts';
import {
  type OutputOptions,
  type ReadingOptions,
  type StackOptions,
  threadsOf,
  type WhatIfOptions,
} from '../options.ts';
import { hostsText } from '../screen/text.ts';
import { readInputs } from './inputs.ts';
import { progressOn } from './progress.ts';
import { openStreams } from './streams.ts';

export type HostOptions = ReadingOptions &
  WhatIfOptions &
  OutputOptions & {
    readonly ids?: boolean;
    readonly by?: string;
    readonly keepTogether?: string;
    readonly keep?: readonly string[];
    readonly mayBeEmpty?: boolean;
    readonly keepDescribed?: boolean;
  };

/** Keys that say which software a host runs: they may explain why equal processors differ. */
export const SOFTWARE = ['bios', 'firmware', 'kernel', 'hypervisor', 'libvirt'];

/** The key of hosts that take no guests, in every language that tells. */
const UNSCHEDULABLE = 'unschedulable';

/** How the options ask dialects to read. */
export const readOptions = (options: HostOptions): ReadOptions => ({
  ...(options.from === undefined ? {} : { from: options.from }),
  ...(options.skipUnreadable ? { skipUnreadable: true } : {}),
  ...(options.kernel === undefined ? {} : { kernel: options.kernel }),
  ...(options.ids === false ? { noIds: true } : {}),
  ...(options.keepDescribed || options.withKernel !== undefined ? { keepDescribed: true } : {}),
  keep: [
    ...(options.keep ?? [...SOFTWARE, ...askedKeys(options)]),
    ...(options.schedulable ? [UNSCHEDULABLE] : []),
  ],
  ...(options.mayBeEmpty ? { mayBeEmpty: true } : {}),
  ...(options.asHosts ? { asHosts: true } : {}),
  asked: askedKeys(options).filter((key) => key !== 'vendor' && key !== 'arch'),
});

const askedKeys = ({ by, keepTogether }: HostOptions): string[] =>
  [by, keepTogether].filter((key) => key !== undefined);

/** The hosts of the inputs, with those of --with and without those of --without. */
export async function readHosts(
  catalog: Catalog,
  { io }: Call,
  inputs: readonly string[],
  options: HostOptions,
  takes: ReadOptions['takes'] = 'hosts',
): Promise<Fleet> {
  const { paths, processors } = asked(catalog, inputs, options);
  const progress = progressOn(io.stderr, options.quiet ?? false, 'bytes');
  const opened = openStreams(paths, io, threadsOf(options), progress);
  // Ten thousand files would go through a second generator for nothing.
  if (processors.length === 0) return hostsOf(catalog, io, opened, options, takes);
  function* all() {
    yield* opened;
    yield* processors;
  }
  return hostsOf(catalog, io, all(), options, takes);
}

/** The hosts of what was opened, without those that --without and --schedulable leave out. */
export async function hostsOf(
  catalog: Catalog,
  io: Io,
  opened: Inputs,
  options: HostOptions,
  takes: ReadOptions['takes'] = 'hosts',
): Promise<Fleet> {
  const read = await readFleet(catalog, opened, { ...readOptions(options), takes });
  const { withKernel } = options;
  const fleet = withKernel === undefined ? read : underKernel(read, withKernel);
  return withoutClosed(withoutHosts(fleet, options), io, options);
}

/** What is to be read: files, and processors of the catalog that --with names. */
function asked(
  catalog: Catalog,
  inputs: readonly string[],
  options: HostOptions,
): { readonly paths: readonly string[]; readonly processors: readonly Input[] } {
  // A file by that name stands before a model by that name.
  const extra = (options.with ?? []).map((name) => ({
    name,
    processor: existsSync(name) ? null : namedProcessor(catalog, name),
  }));
  const paths = [...inputs, ...extra.flatMap((e) => (e.processor ? [] : [e.name]))];
  const processors = extra.flatMap((e) => e.processor ?? []);
  if (paths.length === 0 && processors.length === 0) throw noInputs();
  return { paths, processors };
}

/** The hosts that take guests; who does not is named. */
async function withoutClosed(fleet: Fleet, io: Io, options: HostOptions): Promise<Fleet> {
  if (!options.schedulable) return fleet;
  const closed = fleet.hostsWhere((kind) => kind.keys[UNSCHEDULABLE] === true);
  const { count, hosts } = fleet.list(closed);
  if (count === 0) return fleet;
  if (count === fleet.hosts)
    throw new QueryError('no hosts: every one of them takes no guests; leave --schedulable out');
  if (!options.quiet)
    await write(
      io.stderr,
      `note: ${printable(hostsText({ count, hosts }, 60))} ${count === 1 ? 'takes' : 'take'} no guests, so ${count === 1 ? 'it does' : 'they do'} not count\n`,
    );
  const open = fleet.hostsWhere((kind) => kind.keys[UNSCHEDULABLE] !== true);
  return fleet.subset(open, fleet.left);
}

/** The inputs, one at a time; a long reading shows on a terminal. */
export function openInputs(
  paths: readonly string[],
  io: Io,
  options: OutputOptions,
): ReturnType<typeof readInputs> {
  if (paths.length === 0) throw noInputs();
  return readInputs(paths, io, progressOn(io.stderr, options.quiet ?? false));
}

/** The same with those of --with. */
export async function* openAsked(
  catalog: Catalog,
  inputs: readonly string[],
  io: Io,
  options: HostOptions,
): AsyncGenerator<Input | Unreadable> {
  const { paths, processors } = asked(catalog, inputs, options);
  yield* readInputs(paths, io, progressOn(io.stderr, options.quiet ?? false));
  yield* processors;
}

const noInputs = () =>
  new QueryError(
    'no inputs; give files or directories with descriptions of hosts, or - for standard input',
  );

function withoutHosts(fleet: Fleet, options: HostOptions): Fleet {
  const gone = new Set(options.without ?? []);
  if (gone.size === 0) return fleet;
  if (options.ids === false)
    throw new QueryError('--without needs the ids of the hosts; leave --no-ids out');
  const left = fleet.without(gone);
  if ('unknown' in left) {
    const ids = Array.from(fleet.ids(), ({ id }) => id);
    const problems = left.unknown.map(
      (id) =>
        `--without "${id}" is none of the ${ids.length} hosts${didYouMean(id, ids) || '; plimsoll decode lists their ids'}`,
    );
    throw new QueryError(problems.join('\n'));
  }
  if (left.hosts === 0) throw new QueryError('no hosts: --without takes away every one of them');
  return left;
}

/** The stack of --stack, or undefined where the hosts are to tell it. */
export const stackFrom = (catalog: Catalog, options: StackOptions): Stack | undefined =>
  options.stack === undefined ? undefined : parseStack(catalog, options.stack.join(','));

/** What writes a CPU in the dialect of --to. */
export function writerOf(name: string): (cpu: GuestCpu, catalog: Catalog) => string {
  const dialect = dialectByName(name);
  if (!dialect?.write) {
    const known = dialectNames('write');
    throw new QueryError(
      `--to "${name}" is no dialect that can be written${didYouMean(name, known) || `; choose one of ${known.join(', ')}`}`,
    );
  }
  return (cpu, catalog) => writeCpu(dialect, cpu, catalog);
}

/** An answer as the CPU of a guest. */
/** Whether every name is a model that some stack knows. */
export function checkModels(catalog: Catalog, models: readonly string[] | undefined): void {
  if (models?.length === 0)
    throw new QueryError('--models names no model; plimsoll models lists them');
  const problems = (models ?? [])
    .filter((name) => !catalog.libvirtModels.has(name) && !catalog.qemuModels.has(name))
    .map((name) => {
      const known = [...catalog.libvirtModels.keys(), ...catalog.qemuModels.keys()];
      return `--models "${name}" is no model that is known${didYouMean(name, known) || '; plimsoll models lists them'}`;
    });
  if (problems.length > 0) throw new QueryError(problems.join('\n'));
}
