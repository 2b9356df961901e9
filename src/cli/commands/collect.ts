// plimsoll collect: host records from live hosts. Nothing is changed anywhere, and a host that does not answer is
// named, never left out in silence.
import { type Command, InvalidArgumentError } from 'commander';
import { type Catalog, loadCatalog } from '../../cpu/catalog/catalog.ts';
import { type Description, isOfKvm, isShown, isX86 } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import { writeRecord } from '../../dialects/records/record-write.ts';
import type { Skipped } from '../../fleet/fleet.ts';
import { type Read, readDescriptions } from '../../reading/read.ts';
import {
  type Answered,
  type SourceDocument,
  type Surrounding,
  sourceOf,
} from '../collect/sources.ts';
import { type Answering, type Call, type ExitCode, write } from '../io.ts';
import { outputOptions } from '../options.ts';
import { deliver, json, warnSkipped } from '../screen/output.ts';
import { count } from '../screen/text.ts';

interface Options {
  readonly jobs: number;
  readonly timeout: number;
  readonly retries: number;
  readonly sshConfig?: string;
  readonly skipUnreadable?: true;
  readonly json?: true;
  readonly output?: string;
  readonly quiet?: true;
}

/** What became of one source. */
interface Outcome {
  readonly source: string;
  readonly read: readonly Read[];
  readonly problems: readonly string[];
}

/** Between two attempts at one source, milliseconds. */
const PAUSE = 500;

const HELP = `
Sources:
  local                           this machine
  qemu:///system                  what virsh can connect to; also qemu+ssh://...
  ssh://[USER@]HOST[:PORT]        virsh there, else /proc/cpuinfo
  qmp:/run/vm.sock                a QEMU that runs
  qmp:qemu-system-x86_64          a QEMU that is started, paused, and ended
  kubectl, kubectl:CONTEXT        nodes of a cluster
  proxmox://HOST[:8006]           a Proxmox VE cluster (token in PVE_API_TOKEN)
  prometheus://HOST:9090          node_exporters (token in PROMETHEUS_TOKEN);
                                  prometheus+https://HOST for TLS

Examples:
  plimsoll collect ssh://db-01 ssh://db-02 -o fleet.ndjson
  plimsoll collect kubectl | plimsoll baseline - --to kubevirt

Exit code: 0 every host answered, or --skip-unreadable; 2 one did not.
`;

const whole =
  (least: number, most: number) =>
  (text: string): number => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`It is a whole number from ${least} to ${most}.`);
  };

export function define(command: Command, answering: Answering): void {
  command
    .argument('<sources...>', 'where to ask')
    .optionsGroup('Asking:')
    .option('--jobs <n>', 'sources asked at the same time', whole(1, 256), 8)
    .option('--timeout <seconds>', 'for each answer', whole(1, 3600), 30)
    .option('--retries <n>', 'further attempts at a source that fails', whole(0, 10), 1)
    .option('--ssh-config <file>', 'configuration for ssh, instead of its own')
    .option('--skip-unreadable', 'go on without hosts that do not answer, and name them');
  outputOptions(command, 'one JSON document, instead of a record a line')
    .addHelpText('after', HELP)
    .action(answering(run));
}

async function run(call: Call, sources: readonly string[], options: Options): Promise<ExitCode> {
  const twice = sources.find((source, i) => sources.indexOf(source) !== i);
  if (twice !== undefined) throw new QueryError(`the source ${twice} is given twice; name it once`);
  const asked = sources.map((source) => ({ source, collect: sourceOf(source) }));
  const catalog = await loadCatalog();
  const around: Surrounding = {
    timeout: options.timeout * 1000,
    env: call.io.env,
    sshConfig: options.sshConfig,
  };
  const say = progressOn(call, options, sources.length);
  const outcomes = await inParallel(asked, options.jobs, async ({ source, collect }) => {
    const outcome = await withRetries(options.retries, source, async () =>
      readAnswer(catalog, source, await collect(around)),
    );
    await say();
    return outcome;
  });
  await say(true);
  return deliverRecords(call, catalog, outcomes, options);
}

async function deliverRecords(
  call: Call,
  catalog: Catalog,
  outcomes: readonly Outcome[],
  options: Options,
): Promise<ExitCode> {
  const read = outcomes.flatMap((o) => o.read);
  const problems = [...outcomes.flatMap((o) => o.problems), ...sameNames(outcomes)];
  if (problems.length > 0 && (!options.skipUnreadable || read.length === 0))
    throw new QueryError(problems.join('\n'));
  const skipped = problems.map((reason) => ({ reason }));
  const records = read
    .toSorted((a, b) => byBytes(a.id, b.id))
    .map(({ id, description }) => writeRecord(catalog, description, id));
  const document = {
    schema: 'plimsoll.collect/1',
    hosts: records.map((record) => JSON.parse(record)),
    ...(skipped.length > 0 ? { skipped } : {}),
  };
  const text = options.json ? json(document) : records.map((record) => `${record}\n`).join('');
  await deliver(call.io, text, options.output);
  await warnSkipped(call.io, skipped, options);
  return 0;
}

/** Two hosts that call themselves the same would become one; two views of one host may. */
function sameNames(outcomes: readonly Outcome[]): string[] {
  const seen = new Map<string, string>();
  const problems: string[] = [];
  for (const { source, read } of outcomes)
    for (const { id, description } of read) {
      const key = `${description.view} ${id}`;
      const before = seen.get(key);
      if (before !== undefined && before !== source)
        problems.push(
          `${source}: its host calls itself ${id}, as that of ${before} does, so the two would count as one; give hosts names of their own, or name one source`,
        );
      seen.set(key, source);
    }
  return problems;
}

async function readAnswer(
  catalog: Catalog,
  source: string,
  { host, kernel = null, beside = [], silent = [], ...answer }: Answered,
): Promise<Outcome> {
  const { read, skipped } = await readText(catalog, source, answer);
  const hosts = read.filter(({ description }) => description.view !== 'guest');
  const others = await Promise.all(beside.map((other) => otherOf(catalog, source, other)));
  return {
    source,
    read: hosts.map((r, i) => ({
      ...r,
      description: {
        ...others.reduce(withFacts, r.description),
        kernel: r.description.kernel ?? kernel,
      },
      id: r.description.host ?? (host === null ? r.id : i === 0 ? host : `${host}#${i + 1}`),
    })),
    problems: [
      ...skipped.map(({ reason }: Skipped) => reason),
      ...silent.map((name) => `${source}: ${name} does not answer`),
    ],
  };
}

const readText = (catalog: Catalog, source: string, { dialect, text }: SourceDocument) =>
  readDescriptions(catalog, [{ name: source, bytes: new TextEncoder().encode(text) }], {
    from: dialect,
    skipUnreadable: true,
  });

/** What another document says of the host; undefined where it cannot be read, as it is not needed. */
async function otherOf(catalog: Catalog, source: string, document: SourceDocument) {
  try {
    return (await readText(catalog, source, document)).read[0]?.description;
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return undefined;
  }
}

/**
 * A hypervisor's word with what another document tells of the processor beside its features: what guests are given,
 * and by which software, is said by the first alone.
 */
function withFacts(d: Description, other: Description | undefined): Description {
  if (!other || !isShown(other) || other.arch !== d.arch) return d;
  return {
    ...d,
    signature: d.signature ?? other.signature,
    microcode: d.microcode ?? other.microcode,
    tsc: d.tsc ?? other.tsc ?? null,
    keys: { ...other.keys, ...d.keys },
    ...(isX86(d) || !isOfKvm(d) ? {} : ofArch(d, other)),
  };
}

/** Beside x86 libvirt tells of many hosts neither which processor it is nor its features, and the kernel does. */
const ofArch = (d: Description, other: Description): Partial<Description> => ({
  midr: d.midr ?? other.midr ?? null,
  registers: d.registers ?? other.registers ?? null,
  sve: d.sve ?? other.sve ?? null,
  model: d.model ?? other.model,
  ...(d.unnamed.length > 0
    ? {}
    : {
        unnamed: other.unnamed,
        unnamedUnknown: other.unnamedUnknown,
        notes: d.notes.filter(({ code }) => code !== 'no-host-model' || other.unnamed.length === 0),
      }),
});

async function withRetries(
  retries: number,
  source: string,
  attempt: () => Promise<Outcome>,
): Promise<Outcome> {
  for (let left = retries; ; left--)
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      if (left <= 0) {
        const { message } = error;
        const named = message.startsWith(source) ? message : `${source}: ${message}`;
        return { source, read: [], problems: [named] };
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
}

/** The results in the order of the items, of which so many are under way at a time. */
async function inParallel<T, R>(
  items: readonly T[],
  jobs: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i]!);
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, items.length) }, worker));
  return results;
}

/** How many sources have answered, on a terminal only. */
function progressOn({ io }: Call, { quiet }: Options, total: number) {
  let done = 0;
  return async (ended = false): Promise<void> => {
    if (!io.stderr.isTTY || quiet || total < 2) return;
    await write(
      io.stderr,
      ended ? '\r\u001b[K' : `\r${++done} of ${count(total, 'source')}\u001b[K`,
    );
  };
}
