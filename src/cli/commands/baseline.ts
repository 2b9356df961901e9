// plimsoll baseline: the most capable CPU that every guest can have on all of these hosts.
import { type Command, Option } from 'commander';
import { type Catalog, loadCatalog } from '../../cpu/catalog/catalog.ts';
import { edgeStack, stackNames } from '../../cpu/catalog/software.ts';
import { isX86 } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { printable } from '../../cpu/printable.ts';
import { dialectByName, dialectNames } from '../../dialects/index.ts';
import type { Fleet } from '../../fleet/fleet.ts';
import type { Baseline } from '../../solve/answer.ts';
import { baseline, baselinesBy, fleetsBy } from '../../solve/baseline.ts';
import { check } from '../../solve/check.ts';
import type { BaselineOptions } from '../../solve/line/line.ts';
import { readJson } from '../input/inputs.ts';
import { checkModels, readHosts, stackFrom } from '../input/read-fleet.ts';
import { exitOf } from '../input/read-guests.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import type { LibvirtOptions } from '../libvirt/libvirt-inputs.ts';
import {
  type OutputOptions,
  outputOptions,
  type ReadingOptions,
  type RulesOptions,
  readingOptions,
  refuseLibvirtOptions,
  rulesOptions,
  type WhatIfOptions,
  whatIfOptions,
} from '../options.ts';
import { deliver, json } from '../screen/output.ts';
import { type Page, pageOf } from '../screen/render.ts';
import {
  type BaselinePage,
  exitOfBaseline,
  renderBaseline,
  renderBaselines,
  renderCheck,
} from '../screen/render-baseline.ts';
import { printableAll } from '../screen/text.ts';
import { checkTarget, writeEach, writeOne } from '../screen/write-cpu.ts';

interface Options
  extends OutputOptions,
    ReadingOptions,
    RulesOptions,
    LibvirtOptions,
    WhatIfOptions {
  readonly to?: string;
  readonly name?: string;
  readonly by?: string;
  readonly check?: string;
  readonly expand?: true;
  readonly explainRules?: true;
  readonly ids: boolean;
}

const HELP = `
Examples:
  plimsoll baseline rack-a/                   the CPU, and who holds it down
  plimsoll baseline rack-a/ --to libvirt      a <cpu> element to paste
  plimsoll baseline rack-*/ --by vendor       one CPU for each vendor
  plimsoll baseline rack-a/ --without old-3   what would be gained
  plimsoll baseline rack-a/ --json > line.json
  plimsoll baseline rack-a/ --check line.json does it still hold

Exit code: 0 an answer; 1 no common CPU, or --check found that it does not hold;
2 could not answer.
`;

export function define(command: Command, answering: Answering): void {
  command.argument(
    '[inputs...]',
    'descriptions of hosts: files, directories, - for standard input',
  );
  command
    .optionsGroup('Answer:')
    .addOption(
      new Option(
        '--to <dialect>',
        'the definition in the language of a product: libvirt, qemu, proxmox, kubevirt, nova, ... or all',
      ).conflicts(['json', 'check']),
    )
    .addOption(
      new Option(
        '--name <name>',
        'with --to: what the product is to call the CPU (with --by the value comes behind it)',
      ).conflicts(['json', 'check']),
    )
    .option('--expand', 'write every feature out')
    .addOption(
      new Option(
        '--by <key>',
        'an answer for each value: vendor, arch, or a key of the records',
      ).conflicts('check'),
    )
    .option('--check <file>', 'does a saved baseline (its JSON) still run on all of these hosts')
    .option('--explain-rules', "where libvirt's rules would answer differently, and why")
    .option('--no-ids', 'count hosts instead of naming them');
  rulesOptions(command);
  whatIfOptions(command);
  readingOptions(command);
  outputOptions(command);
  command.addHelpText('after', HELP).action(answering(run));
}

async function run(call: Call, inputs: readonly string[], options: Options): Promise<ExitCode> {
  refuse(options);
  if (options.rules === 'libvirt')
    return (await import('../libvirt/baseline-by-libvirt.ts')).runLibvirtBaseline(
      call,
      inputs,
      options,
    );
  checkTarget(options);
  const catalog = await loadCatalog();
  checkModels(catalog, options.models);
  const how: BaselineOptions = {
    stack: stackFrom(catalog, options),
    models: options.models,
    nested: options.nested,
    physBits: options.physBits,
    expand: options.expand,
  };
  if (options.explainRules)
    return (await import('../libvirt/explain-by-libvirt.ts')).runExplainRules(
      call,
      inputs,
      catalog,
      how,
      options,
    );
  const fleet = await readHosts(catalog, call, inputs, options);
  if (options.check !== undefined) return checkSaved(call, fleet, options.check, how, options);
  if (options.by !== undefined) {
    if (options.by !== 'vendor' && options.by !== 'arch') refuseUnknownKey(fleet, options.by);
    const answer = baselinesBy(fleet, options.by, how);
    if (options.to !== undefined) {
      const fleets = fleetsBy(fleet, options.by);
      const parts = answer.baselines.map((b, i) => ({ ...b, fleet: fleets[i]!.fleet }));
      return writeEach(call, catalog, parts, options);
    }
    await print(call, answer, options, (base) =>
      renderBaselines(
        printableAll(answer),
        page(base, call, inputs, catalog, answer.baselines[0]!.baseline, options),
      ),
    );
    const exits = answer.baselines.map(({ baseline }) => exitOfBaseline(baseline));
    return exits.includes(1) ? 1 : exits.includes(2) ? 2 : 0;
  }
  const answer = baseline(fleet, how);
  const bare = answer.findings.find((finding) => finding.code === 'nothing-known');
  if (bare) throw new QueryError(bare.message);
  if (options.to !== undefined) return writeOne(call, catalog, answer, fleet, options);
  await print(call, answer, options, (base) =>
    renderBaseline(printableAll(answer), page(base, call, inputs, catalog, answer, options)),
  );
  return exitOfBaseline(answer);
}

/** What libvirt's rules know nothing of. */
const FOREIGN = [
  'by',
  'check',
  'nested',
  'physBits',
  'explainRules',
  'kernel',
  'withKernel',
] as const;

/** What cannot be asked together, said before any input is read. */
function refuse(options: Options): void {
  if (options.rules === 'libvirt') {
    const foreign = FOREIGN.find((name) => options[name] !== undefined);
    if (foreign !== undefined)
      throw new QueryError(
        `--${foreign.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)} is of the safe rules; libvirt's rules know nothing of it`,
      );
    return;
  }
  if (options.explainRules) {
    if (options.by ?? options.check ?? options.to)
      throw new QueryError(
        '--explain-rules is an answer of its own; leave --by, --check and --to out',
      );
    if (options.withKernel !== undefined)
      throw new QueryError(
        "--explain-rules holds the rules against libvirt's, which know nothing of kernels; leave --with-kernel out",
      );
  } else refuseLibvirtOptions(options);
  if (
    options.by !== undefined &&
    options.to !== undefined &&
    (options.output === undefined || options.output === '-')
  )
    throw new QueryError(
      '--by with --to writes one file for each value; name a directory for them with -o',
    );
}

function refuseUnknownKey(fleet: Fleet, key: string): void {
  if (fleet.kinds.some((kind) => Object.hasOwn(kind.keys, key))) return;
  throw new QueryError(
    `--by "${key}" is a key of no host; there are ${['vendor', 'arch', ...fleet.keys.toSorted()].map((k) => `"${k}"`).join(', ')}`,
  );
}

async function checkSaved(
  call: Call,
  fleet: Fleet,
  file: string,
  how: BaselineOptions,
  options: Options,
): Promise<ExitCode> {
  const { document, name } = await readJson(file, call.io);
  const answer = check(fleet, document, name, how);
  await print(call, answer, options, (base) =>
    renderCheck(printableAll(answer), printable(name), base),
  );
  return exitOf(answer.holds);
}

/** The answer as data, or as the report. */
async function print(
  { io }: Call,
  answer: { readonly schema: string },
  options: Options,
  report: (page: Page) => string,
): Promise<void> {
  const text = options.json ? json(answer) : report(await pageOf(io, options));
  await deliver(io, text, options.output);
}

function page(
  base: Page,
  call: Call,
  inputs: readonly string[],
  catalog: Catalog,
  answer: Baseline,
  options: Options,
): BaselinePage {
  const oldest = stackNames(edgeStack(catalog, 'oldest')).join(',');
  return {
    ...base,
    argv: call.argv.map(printable),
    inputs: inputs.map(printable),
    stackFrom: options.stack ? 'option' : answer.stack.join(',') === oldest ? 'oldest' : 'inputs',
    targets: byUse(
      dialectNames('write').filter((name) => answer.arch === null || canWrite(name, answer.arch)),
    ),
  };
}

const canWrite = (name: string, arch: string): boolean =>
  isX86({ arch }) || dialectByName(name)?.writesAll === true;

/** What most people paste comes first. */
const byUse = (names: readonly string[]): string[] => {
  const first = ['libvirt', 'qemu', 'proxmox', 'kubevirt', 'nova'].filter((n) => names.includes(n));
  return [...first, ...names.filter((n) => !first.includes(n))];
};
