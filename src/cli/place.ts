// plimsoll place: which guest runs where; what a drained or lost host strands.
import type { Command } from 'commander';
import { type Catalog, loadCatalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import { needOfCpu, readNeeds } from '../dialects/needs.ts';
import type { Skipped } from '../fleet/fleet.ts';
import type { Need } from '../fleet/need.ts';
import { isPlaced, place } from '../solve/place.ts';
import { type HostOptions, readHosts } from './fleet.ts';
import { readInputs, readJson } from './inputs.ts';
import type { Answer, Answering, Call } from './io.ts';
import {
  idsNeeded,
  outputOptions,
  readingOptions,
  refuseNoIds,
  repeated,
  whatIfOptions,
  wholeNumber,
} from './options.ts';
import { deliver, json } from './output.ts';
import { progressOn } from './progress.ts';
import { qemuVersion } from './qemu-options.ts';
import { pageOf } from './render.ts';
import { renderPlace } from './render-place.ts';
import { printableAll } from './text.ts';

const HELP = `
Guests are domain XML, lines of QEMU's command or of -cpu arguments, what
plimsoll pin and baseline print with --json, and host records of guests.

Examples:
  plimsoll place --guests vms/ cluster/                   where each guest runs
  plimsoll place --guests vms/ --drain db-07 cluster/     who is stranded then
  plimsoll place --guests vms/ --lose 1 cluster/          by any one host
  plimsoll place --cpu Skylake-Server,+pcid cluster/
  plimsoll place --guests vms/ --baseline l.json cluster/ who needs a restart

Exit code: 0 every guest has a place, and keeps one; 1 some guest has none; 2
could not answer.
`;

interface Options extends HostOptions {
  readonly guests?: readonly string[];
  readonly cpu?: readonly string[];
  readonly machine: string;
  readonly qemu?: string;
  readonly drain?: readonly string[];
  readonly lose?: number;
  readonly baseline?: string;
}

export function define(command: Command, answering: Answering): void {
  command
    .argument('[inputs...]', 'descriptions of hosts: files, directories, - for standard input')
    .optionsGroup('Guests:')
    .option('--guests <file>', 'guests: a file or a directory (repeatable)', repeated)
    .option('--cpu <cpu>', 'a guest by its whole -cpu argument (repeatable)', repeated)
    .option('--machine <type>', 'machine type of guests that do not say theirs', 'q35')
    .option('--qemu <version>', 'the QEMU that runs them (default: the newest known)')
    .optionsGroup('Answer:')
    .option('--drain <host>', 'with this host empty (repeatable)', repeated)
    .option('--lose <number>', 'with any so many hosts gone', wholeNumber('--lose'))
    .option('--baseline <file>', 'who must be switched off and on to have this baseline');
  idsNeeded(command);
  whatIfOptions(command);
  readingOptions(command);
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

async function run(call: Call, inputs: readonly string[], options: Options): Promise<Answer> {
  refuseNoIds(options);
  if ([...(options.guests ?? []), ...inputs].filter((path) => path === '-').length > 1)
    throw new QueryError('standard input cannot be guests and hosts at once; give one as a file');
  const catalog = await loadCatalog();
  const { needs, skipped } = await guestsOf(call, catalog, options);
  const fleet = await readHosts(catalog, call, inputs, options);
  const { drain, lose, baseline } = options;
  const saved = baseline === undefined ? undefined : await readJson(baseline, call.io);
  const answer = place(fleet, needs, { drain, lose, baseline: saved, skipped });
  const page = await pageOf(call.io, options);
  const text = options.json ? json(answer) : renderPlace(printableAll(answer), page);
  await deliver(call.io, text, options.output);
  return isPlaced(answer) ? 0 : 1;
}

async function guestsOf(
  { io }: Call,
  catalog: Catalog,
  options: Options,
): Promise<{ needs: Need[]; skipped: Skipped[] }> {
  const { guests = [], cpu = [] } = options;
  if (guests.length + cpu.length === 0)
    throw new QueryError(
      'which guests? give a file or a directory with --guests, or a -cpu argument with --cpu',
    );
  const how = {
    qemu: qemuVersion(catalog, options.qemu),
    libvirt: catalog.versions.libvirt.at(-1)!,
    machine: options.machine,
    skipUnreadable: options.skipUnreadable,
  };
  const typed = [...new Set(cpu)].map((text) => needOfCpu(catalog, text, text, how));
  if (guests.length === 0) return { needs: typed, skipped: [] };
  const inputs = readInputs(guests, io, progressOn(io.stderr, options.quiet ?? false));
  const { needs, skipped } = await readNeeds(catalog, inputs, how);
  return { needs: [...needs, ...typed], skipped };
}
