// plimsoll place: which guest runs where; what a drained or lost host strands.
import { type Command, Option } from 'commander';
import { loadCatalog } from '../../cpu/catalog/catalog.ts';
import { QueryError } from '../../cpu/errors.ts';
import { guestsOf, place, placeVerdict } from '../../solve/place.ts';
import { readJson } from '../input/inputs.ts';
import { type HostOptions, readHosts } from '../input/read-fleet.ts';
import {
  exitOf,
  readGuests,
  type SoftwareOptions,
  softwareFrom,
  softwareOptions,
} from '../input/read-guests.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import {
  idsNeeded,
  outputOptions,
  readingOptions,
  refuseNoIds,
  repeated,
  stackOption,
  whatIfOptions,
  wholeNumberOption,
} from '../options.ts';
import { deliver, json } from '../screen/output.ts';
import { pageOf } from '../screen/render.ts';
import { renderPlace } from '../screen/render-place.ts';
import { printableAll } from '../screen/text.ts';

const HELP = `
Guests are domain XML, lines of QEMU's command or of -cpu arguments, what
plimsoll pin and baseline print with --json, virtual machines of KubeVirt,
oVirt, Nova, Incus and Proxmox VE, and host records of guests.

Examples:
  plimsoll place --guests vms/ cluster/                   where each guest runs
  plimsoll place --guests vms/ --drain db-07 cluster/     who is stranded then
  plimsoll place --guests vms/ --lose 1 cluster/          by any one host
  plimsoll place --cpu Skylake-Server,+pcid cluster/
  plimsoll place --guests vms/ --baseline l.json cluster/ who needs a restart

Exit code: 0 every guest has a place, and keeps one; 1 some guest has none; 2
that is not known, or could not answer.
`;

interface Options extends HostOptions, SoftwareOptions {
  readonly guests?: readonly string[];
  /** The old spelling of `guests`. */
  readonly guest?: readonly string[];
  readonly cpu?: readonly string[];
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
    .addOption(new Option('--guest <file>').argParser(repeated).hideHelp());
  stackOption(softwareOptions(command))
    .optionsGroup('Answer:')
    .option('--drain <host>', 'with this host empty (repeatable)', repeated)
    .option('--lose <number>', 'with any so many hosts gone', wholeNumberOption('--lose'))
    .option('--baseline <file>', 'who must be switched off and on to have this baseline');
  idsNeeded(command);
  whatIfOptions(command);
  readingOptions(command);
  outputOptions(command).addHelpText('after', HELP).action(answering(run));
}

async function run(call: Call, inputs: readonly string[], given: Options): Promise<ExitCode> {
  const options = { ...given, guests: [...(given.guests ?? []), ...(given.guest ?? [])] };
  refuseNoIds(options);
  if (options.guests.length + (options.cpu ?? []).length === 0)
    throw new QueryError(
      'which guests? give a file or a directory with --guests, or a -cpu argument with --cpu',
    );
  if ([...options.guests, ...inputs].filter((path) => path === '-').length > 1)
    throw new QueryError('standard input cannot be guests and hosts at once; give one as a file');
  const catalog = await loadCatalog();
  const software = softwareFrom(catalog, options);
  const { read, skipped, left } = await readGuests(catalog, call.io, options);
  const fleet = await readHosts(catalog, call, inputs, options);
  const { drain, lose, baseline } = options;
  const saved = baseline === undefined ? undefined : await readJson(baseline, call.io);
  const guests = guestsOf(catalog, read);
  const answer = place(fleet, guests, { drain, lose, baseline: saved, software, skipped, left });
  const page = await pageOf(call.io, options);
  const text = options.json ? json(answer) : renderPlace(printableAll(answer), page);
  await deliver(call.io, text, options.output);
  return exitOf(placeVerdict(answer));
}
