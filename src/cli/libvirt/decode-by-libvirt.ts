// plimsoll decode --as host|guest: the model and features that libvirt gives to a processor.
import { minus } from '../../core/rows.ts';
import type { LibvirtCpu } from '../../cpu/cpu-element.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { ModelList } from '../../cpu/model-lists.ts';
import { printable } from '../../cpu/printable.ts';
import { writeLibvirtCpu } from '../../dialects/libvirt/libvirt-write.ts';
import type { Skipped } from '../../fleet/fleet.ts';
import { findDriver } from '../../solve/libvirt/driver.ts';
import { type LibvirtDecoded, libvirtAnswer, namesIn } from '../../solve/libvirt/libvirt-answer.ts';
import { candidates, libvirtDecode } from '../../solve/libvirt/libvirt-decode.ts';
import { ppcGuest } from '../../solve/libvirt/libvirt-ppc64.ts';
import { guestStub, hostStub } from '../../solve/libvirt/spelt-out.ts';
import type { HostOptions } from '../input/read-fleet.ts';
import type { Call, ExitCode } from '../io.ts';
import { blocksOf, deliver, jsonOf, warnSkipped } from '../screen/output.ts';
import { definitionLines, factLines, findingLines, type Page, pageOf } from '../screen/render.ts';
import { printableAll, wrapSentence } from '../screen/text.ts';
import {
  type LibvirtOptions,
  type LibvirtRules,
  libvirtRules,
  type RuleCpu,
  readRuleCpus,
} from './libvirt-inputs.ts';

export interface LibvirtDecodeOptions extends HostOptions, LibvirtOptions {
  readonly as: 'host' | 'guest';
  readonly to?: string;
}

/** Nearest models that a person is told of. */
const LISTED = 8;
/** CPUs of which what is said is kept for those that are the same. */
const REMEMBERED = 1000;

export async function runLibvirtDecode(
  call: Call,
  inputs: readonly string[],
  options: LibvirtDecodeOptions,
): Promise<ExitCode> {
  if (options.to !== undefined && options.to !== 'libvirt')
    throw new QueryError(
      `--to ${options.to} is no view of libvirt's; --as gives a <cpu> element, --to libvirt`,
    );
  const rules = await libvirtRules(call, options);
  const { cpus, skipped } = await readRuleCpus(rules, call, inputs, options);
  const { decoded, problems } = decodeAll(rules, cpus, options.as);
  if (problems.length > 0 && !(options.skipUnreadable && decoded.length > 0))
    throw new QueryError(problems.map((p) => p.reason).join('\n'));
  const left = [...skipped, ...problems];
  if (options.to) {
    await deliver(
      call.io,
      decoded.map(({ found }) => writeLibvirtCpu(found)).join(''),
      options.output,
    );
    await warnSkipped(call.io, left, options);
    return 0;
  }
  const hosts = describeAll(rules, options.as, decoded);
  const { stack } = rules.map;
  const page = await pageOf(call.io, options);
  await deliver(
    call.io,
    options.json
      ? jsonOf(
          { schema: 'plimsoll.decode/1', rules: 'libvirt', stack: [stack] },
          'hosts',
          partsOf(hosts),
          left.length > 0 ? { skipped: left } : {},
        )
      : blocksOf(render(hosts, stack, left, page)),
    options.output,
  );
  return 0;
}

/** What is said of a CPU, and of all that are the same. */
type Shared = Omit<LibvirtDecoded['hosts'][number], 'host'>;

interface Described {
  readonly host: string;
  readonly shared: Shared;
}

interface Decoding {
  readonly cpu: RuleCpu;
  readonly models: ModelList | null;
  readonly found: LibvirtCpu;
}

/** What can be decoded, and why the rest cannot: the oldest processors are of no model. */
function decodeAll(rules: LibvirtRules, cpus: readonly RuleCpu[], as: 'host' | 'guest') {
  const decoded: Decoding[] = [];
  const problems: Skipped[] = [];
  const known = new Map<object, Decoding>();
  for (const cpu of cpus) {
    const before = cpu.shared && known.get(cpu.shared);
    if (before) {
      decoded.push({ ...before, cpu });
      continue;
    }
    const models = modelsFor(rules, cpu, as);
    try {
      const decoding = { cpu, models, found: decodeOne(rules, cpu, as, models) };
      decoded.push(decoding);
      if (cpu.shared) known.set(cpu.shared, decoding);
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      problems.push({ input: cpu.id, reason: error.message });
    }
  }
  return { decoded, problems };
}

function decodeOne(
  { map }: LibvirtRules,
  cpu: RuleCpu,
  as: 'host' | 'guest',
  models: ModelList | null,
): LibvirtCpu {
  const { where, arch } = cpu;
  // The version register says what a POWER processor is, and there is nothing to choose.
  if (findDriver(arch) === 'ppc64')
    return as === 'host' ? cpu.cpu : ppcGuest(where, cpu.cpu, models);
  const stub = as === 'host' ? hostStub(arch) : guestStub(null, 'forbid');
  return libvirtDecode(map, where, stub, cpu.data(), { models });
}

/** What is said of each host, one after another: all of it at once would fill the memory. */
function* describeAll(
  rules: LibvirtRules,
  as: 'host' | 'guest',
  decoded: readonly Decoding[],
): Generator<Described> {
  const known = new Map<LibvirtCpu, Shared>();
  for (const { cpu, models, found } of decoded) {
    let shared = known.get(found);
    if (!shared) {
      shared = describe(rules, as, cpu, models, found);
      if (known.size === REMEMBERED) known.clear();
      known.set(found, shared);
    }
    yield { host: cpu.id, shared };
  }
}

function* partsOf(hosts: Iterable<Described>): Generator<readonly object[]> {
  for (const { host, shared } of hosts) yield [{ host }, shared];
}

/** A guest is decoded for a hypervisor where one is known: the one of --hypervisor, else the host's own. */
function modelsFor(
  { hypervisor, models }: LibvirtRules,
  cpu: RuleCpu,
  as: 'host' | 'guest',
): ModelList | null {
  if (as === 'host') return models;
  const offered = hypervisor?.models ?? cpu.models;
  if (!offered || !models) return offered ?? models;
  return new Map([...offered].filter(([name]) => models.has(name)));
}

function describe(
  { catalog, map }: LibvirtRules,
  as: 'host' | 'guest',
  cpu: RuleCpu,
  models: ModelList | null,
  found: LibvirtCpu,
): Shared {
  const data = findDriver(cpu.arch) === 'x86' ? cpu.data() : null;
  return {
    view: cpu.view,
    as,
    signature: data?.signature ?? null,
    canonical: map.model(found.model!)?.canonical ?? null,
    ...libvirtAnswer(catalog, map, found),
    arch: cpu.arch,
    candidates: data
      ? candidates(map, as, data, models).map((c) => ({
          name: c.model.name,
          cost: c.cost,
          lacks: namesIn(catalog, map, minus(c.model.features, map.narrow(data.row))),
        }))
      : [],
  };
}

function* render(
  hosts: Iterable<Described>,
  stack: string,
  skipped: readonly Skipped[],
  page: Page,
): Generator<string> {
  const known = new WeakMap<Shared, readonly [printed: Shared, lines: readonly string[]]>();
  for (const { host, shared } of hosts) {
    let found = known.get(shared);
    if (!found) {
      const printed = printableAll(shared);
      found = [printed, sharedLines(printed, page)];
      known.set(shared, found);
    }
    const [{ as, vendor }, lines] = found;
    const title = `${printable(host)} as a ${as}, by ${stack.replace('@', ' ')}, ${vendor ?? 'vendor unknown'}`;
    yield [
      ...wrapSentence(title, page.columns).map((line) => page.paint.bold(line)),
      ...lines,
    ].join('\n');
  }
  if (skipped.length > 0) yield findingLines([], printableAll(skipped), page).join('\n');
}

function sharedLines({ definitions, signature: s, canonical, candidates }: Shared, page: Page) {
  const nearest = candidates.slice(0, LISTED).map((c) => `${c.name} (${c.cost})`);
  return [
    ...definitionLines(definitions, [], page, 12),
    ...factLines(
      [
        ['processor', s ? `family ${s.family} model ${s.model} stepping ${s.stepping}` : ''],
        ['canonical name', canonical ?? ''],
        ['nearest models', nearest.join(', ')],
      ],
      page,
    ),
  ];
}
