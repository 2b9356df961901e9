// Guests as commands are given them, and the software that starts them.
import type { Command } from 'commander';
import { type Catalog, loadCatalog } from '../../cpu/catalog/catalog.ts';
import { parseStack } from '../../cpu/catalog/software.ts';
import { QueryError } from '../../cpu/errors.ts';
import { askedOfQemu } from '../../dialects/guests/guest-by-model.ts';
import type { Fleet, Skipped } from '../../fleet/fleet.ts';
import { type Read, readDescriptions } from '../../reading/read.ts';
import type { Finding, Verdict } from '../../solve/answer.ts';
import type { GivenSoftware } from '../../solve/fit/asker.ts';
import type { FitVerdict } from '../../solve/fit/fit.ts';
import type { Call, ExitCode, Io } from '../io.ts';
import type { StackOptions } from '../options.ts';
import { readInputs } from './inputs.ts';
import { progressOn } from './progress.ts';
import { qemuVersion } from './qemu-options.ts';
import { type HostOptions, readHosts } from './read-fleet.ts';

export interface SoftwareOptions extends StackOptions {
  readonly machine?: string;
  readonly qemu?: string;
}

/** What starts guests, where hosts and guests do not tell. */
export const softwareOptions = (command: Command): Command =>
  command
    .option('--machine <type>', 'machine type of guests that do not say theirs')
    .option(
      '--qemu <version>',
      'the QEMU that runs them (default: what hosts tell, else the newest)',
    );

/** The software that the options name. */
export function softwareFrom(catalog: Catalog, options: SoftwareOptions): GivenSoftware {
  const stack = options.stack === undefined ? [] : parseStack(catalog, options.stack.join(','));
  const named = (product: string) => stack.find((entry) => entry.product === product)?.version;
  return {
    qemu: options.qemu === undefined ? named('qemu') : qemuVersion(catalog, options.qemu),
    libvirt: named('libvirt'),
    machine: options.machine,
  };
}

export interface GuestOptions {
  readonly guests?: readonly string[];
  readonly cpu?: readonly string[];
  readonly from?: string;
  readonly skipUnreadable?: true;
  readonly quiet?: true;
}

/**
 * The guests of --guests and --cpu.
 * @throws QueryError where none can be read.
 */
export async function readGuests(
  catalog: Catalog,
  io: Io,
  { guests = [], cpu = [], quiet, skipUnreadable }: GuestOptions,
): Promise<{ read: Read[]; skipped: Skipped[]; left: readonly Finding[] }> {
  const typed = [...new Set(cpu)].map((text): Read => {
    const place = { dialect: 'qemu', line: null, where: '--cpu' };
    return { id: text, input: '--cpu', description: askedOfQemu(catalog, text, place) };
  });
  if (guests.length === 0) return { read: typed, skipped: [], left: [] };
  const inputs = readInputs(guests, io, progressOn(io.stderr, quiet ?? false));
  const { read, skipped, left } = await readDescriptions(catalog, inputs, {
    takes: 'guests',
    lines: true,
    ...(skipUnreadable ? { skipUnreadable } : {}),
  });
  return { read: [...read, ...typed], skipped, left };
}

/** The exit code of a gate: 1 where something is a no, else 2 where something is not known. */
export const exitOf = (verdict: FitVerdict | boolean | null): ExitCode =>
  verdict === 'no' || verdict === false ? 1 : verdict === 'unknown' || verdict === null ? 2 : 0;

/** The same of a question about one host. */
export const EXIT_OF_VERDICT: Readonly<Record<Verdict, ExitCode>> = {
  identical: 0,
  superset: 0,
  'own-cpu': 0,
  unknown: 2,
  incompatible: 1,
};

/** @throws QueryError where standard input is to be the host and a CPU. */
export function refuseStdinTwice(host: string, others: readonly string[]): void {
  if (host === '-' && others.includes('-'))
    throw new QueryError(
      'standard input cannot be the host and a CPU at once; give one of them as a file',
    );
}

/**
 * One host, and every CPU of the other inputs.
 * @throws QueryError where the first input describes no host, or several.
 */
export async function hostAndCpus(
  call: Call,
  path: string,
  others: readonly string[],
  options: HostOptions,
): Promise<{ catalog: Catalog; host: Fleet; cpus: Fleet }> {
  const catalog = await loadCatalog();
  const { skipUnreadable: _, ...reading } = options;
  const host = await readHosts(catalog, call, [path], reading);
  if (host.members.length !== 1)
    throw new QueryError(
      `${path} describes ${host.members.length} hosts; give one host first, then CPUs`,
    );
  return { catalog, host, cpus: await readHosts(catalog, call, others, options, 'guests') };
}
