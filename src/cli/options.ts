// Options that several commands share, each declared once; none is variadic, for what follows an option is an input.
import { availableParallelism } from 'node:os';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { QueryError } from '../cpu/errors.ts';
import { isKernel } from '../cpu/proven/kernel.ts';
import type { ColorChoice } from './io.ts';

/** The values of an option that may be repeated or hold a comma list. */
export const commaList = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
];

/** The values of an option that may be repeated. */
export const repeated = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

export interface OutputOptions {
  readonly json?: true;
  readonly output?: string;
  readonly quiet?: true;
  readonly color: ColorChoice;
}

export const outputOptions = (command: Command, json = 'one JSON document'): Command =>
  command
    .optionsGroup('Output:')
    .option('--json', json)
    .option('-o, --output <file>', 'write there instead; the file is complete or untouched')
    .option('-q, --quiet', 'nothing on stderr but errors')
    .addOption(
      new Option('--color <when>', 'colours').choices(['auto', 'always', 'never']).default('auto'),
    );

export interface ReadingOptions {
  readonly from?: string;
  readonly skipUnreadable?: true;
  readonly threads?: number;
  readonly kernel?: string;
  readonly asHosts?: true;
}

/** Beyond this many, threads wait for memory and not for each other. */
const THREADS = 4;
const MAX_THREADS = 256;

export const threadsOf = ({ threads }: ReadingOptions): number =>
  threads ?? Math.min(availableParallelism(), THREADS);

function threadCount(value: string): number {
  if (countOf(value) <= MAX_THREADS) return Number(value);
  throw new InvalidArgumentError(`Give at most ${MAX_THREADS}.`);
}

export function kernelVersion(value: string): string {
  if (isKernel(value)) return value.trim();
  throw new InvalidArgumentError(
    'Give what uname -r prints there, like 6.12.9 or 5.14.0-427.el9.x86_64.',
  );
}

/** A whole number from 1. */
export function countOf(value: string): number {
  if (/^[1-9]\d{0,8}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('Give a whole number from 1.');
}

export const readingOptions = (command: Command): Command =>
  command
    .optionsGroup('Input:')
    .option(
      '--from <dialect>',
      'read every input in this language; else it is recognised by content',
    )
    .option('--skip-unreadable', 'go on without inputs that cannot be read, and name them')
    .option(
      '--kernel <version>',
      'the Linux kernel of hosts that do not tell theirs (uname -r): what KVM gives there depends on it',
      kernelVersion,
    )
    .option('--as-hosts', 'take guests among the inputs of hosts as the CPUs of hosts')
    .addOption(
      new Option(
        '--threads <n>',
        `how many threads read large files (default: as many as there are cores, at most ${THREADS})`,
      ).argParser(threadCount),
    );

export interface WhatIfOptions {
  readonly with?: readonly string[];
  readonly without?: readonly string[];
  readonly schedulable?: true;
  readonly withKernel?: string;
}

export const whatIfOptions = (command: Command): Command =>
  command
    .optionsGroup('What if:')
    .option(
      '--with <file>',
      'as if these hosts were there too: a file, or a processor by its model (repeatable)',
      repeated,
    )
    .option('--without <host>', 'as if this host were gone (repeatable)', repeated)
    .option('--schedulable', 'as if hosts that take no guests were gone (cordoned, in maintenance)')
    .option(
      '--with-kernel <version>',
      'as if the hosts ran this Linux kernel; those that a hypervisor describes stay as they are',
      kernelVersion,
    );

export interface StackOptions {
  readonly stack?: readonly string[];
}

export const stackOption = (command: Command): Command =>
  command.option(
    '--stack <list>',
    'software that must understand the answer: libvirt@11.3,qemu@10.0, newest or oldest (default: what the inputs tell, else the oldest known)',
    commaList,
  );

export interface RulesChoice {
  readonly rules: 'safe' | 'libvirt';
}

export const rulesOption = (): Option =>
  new Option('--rules <rules>', 'how to decide: on the safe side, or exactly as libvirt 11.3 does')
    .choices(['safe', 'libvirt'])
    .default('safe');

/** @throws QueryError for options that the safe rules know nothing of. */
export function refuseLibvirtOptions(options: object, more: readonly string[] = []): void {
  for (const name of ['migratable', 'hypervisor', 'catalog', ...more])
    if ((options as Record<string, unknown>)[name] !== undefined)
      throw new QueryError(
        `--${name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)} means something only under --rules libvirt${name === 'migratable' ? '; the safe rules always leave out what cannot migrate' : ''}`,
      );
}

export interface RulesOptions extends StackOptions, RulesChoice {
  readonly migratable?: true;
  readonly models?: readonly string[];
  readonly nested?: true;
  readonly physBits?: 'default' | 'fleet';
}

export const rulesOptions = (command: Command): Command => {
  stackOption(command.optionsGroup('Rules:'))
    .addOption(rulesOption())
    .option('--models <list>', 'choose only among these CPU models', commaList)
    .option('--nested', 'nested virtualization: keep vmx or svm and what depends on them')
    .addOption(
      new Option(
        '--phys-bits <bits>',
        'address bits of guests: at most 40, or as many as every host has',
      ).choices(['default', 'fleet']),
    )
    .option('--migratable', 'under libvirt rules: leave out what cannot migrate');
  return libvirtOptions(command);
};

/** What libvirt's rules may be asked with beside the hosts. */
export const libvirtOptions = (command: Command): Command =>
  command
    .option(
      '--hypervisor <file>',
      'under libvirt rules: domcapabilities or QMP replies of the hypervisor that decides',
    )
    .option('--catalog <file>', 'under libvirt rules: what plimsoll learn wrote of a libvirt');

/** What the questions of planning decide by: the safe rules, for some software. */
export interface PlanOptions extends StackOptions {
  readonly nested?: true;
}

export const planOptions = (command: Command): Command =>
  stackOption(command.optionsGroup('Rules:')).option(
    '--nested',
    'nested virtualization: count vmx or svm and what depends on them',
  );

/** The value of an option that counts something; its range is the question's own to check. */
export const wholeNumberOption =
  (option: string) =>
  (value: string): number => {
    if (!/^\d{1,15}$/.test(value))
      throw new InvalidArgumentError(`${option} takes a whole number.`);
    return Number(value);
  };

/** For answers that are lists of hosts: taken, so that `refuseNoIds` can say why it has no place there. */
export const idsNeeded = (command: Command): Command =>
  command.addOption(new Option('--no-ids').hideHelp());

export function refuseNoIds(options: { readonly ids?: boolean }): void {
  if (options.ids === false)
    throw new QueryError('the answer is lists of hosts by their ids; leave --no-ids out');
}
