// plimsoll decode --as host|guest: the model and features that libvirt gives to a processor.
import { minus } from '../core/rows.ts';
import { QueryError } from '../cpu/errors.ts';
import type { LibvirtCpu } from '../cpu/libvirt.ts';
import { writeLibvirtCpu } from '../dialects/libvirt-write.ts';
import type { Skipped } from '../fleet/fleet.ts';
import { type LibvirtDecoded, libvirtAnswer, namesIn } from '../solve/libvirt/answer.ts';
import { findDriver } from '../solve/libvirt/arch.ts';
import { guestStub, hostStub, type ModelList } from '../solve/libvirt/data.ts';
import { candidates, decode } from '../solve/libvirt/decode.ts';
import { ppcGuest } from '../solve/libvirt/ppc64.ts';
import type { HostOptions } from './fleet.ts';
import { type Answer, type Call, columnsOf } from './io.ts';
import {
  type LibvirtOptions,
  type LibvirtRules,
  libvirtRules,
  type RuleCpu,
  readRuleCpus,
} from './libvirt-inputs.ts';
import { deliver, json, warnSkipped } from './output.ts';
import { painter } from './paint.ts';
import { definitionLines, factLines, findingLines, type Page } from './render.ts';
import { printableAll, wrapSentence } from './text.ts';

export interface LibvirtDecodeOptions extends HostOptions, LibvirtOptions {
  readonly as: 'host' | 'guest';
  readonly to?: string;
}

/** Nearest models that a person is told of. */
const LISTED = 8;

export async function runLibvirtDecode(
  call: Call,
  inputs: readonly string[],
  options: LibvirtDecodeOptions,
): Promise<Answer> {
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
  const answer: LibvirtDecoded = {
    schema: 'plimsoll.decode/1',
    rules: 'libvirt',
    stack: [rules.map.stack],
    hosts: decoded.map(({ cpu, models, found }) => describe(rules, options.as, cpu, models, found)),
    ...(left.length > 0 ? { skipped: left } : {}),
  };
  const page = { columns: columnsOf(call.io.stdout), paint: painter(call.io, options) };
  await deliver(
    call.io,
    options.json ? json(answer) : render(printableAll(answer), page),
    options.output,
  );
  return 0;
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
  for (const cpu of cpus) {
    const models = modelsFor(rules, cpu, as);
    try {
      decoded.push({ cpu, models, found: decodeOne(rules, cpu, as, models) });
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
  return decode(map, where, stub, cpu.data(), { models });
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
): LibvirtDecoded['hosts'][number] {
  const data = findDriver(cpu.arch) === 'x86' ? cpu.data() : null;
  return {
    host: cpu.id,
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

const render = (answer: LibvirtDecoded, page: Page): string => {
  const blocks = answer.hosts.map((host) => {
    const { signature: s } = host;
    const title = `${host.host} as a ${host.as}, by ${answer.stack[0]!.replace('@', ' ')}, ${host.vendor ?? 'vendor unknown'}`;
    return [
      ...wrapSentence(title, page.columns).map((line) => page.paint.bold(line)),
      ...definitionLines(host.definitions, [], page, 12),
      ...factLines(
        [
          ['processor', s ? `family ${s.family} model ${s.model} stepping ${s.stepping}` : ''],
          ['canonical name', host.canonical ?? ''],
          [
            'nearest models',
            host.candidates
              .slice(0, LISTED)
              .map((c) => `${c.name} (${c.cost})`)
              .join(', '),
          ],
        ],
        page,
      ),
    ].join('\n');
  });
  if (answer.skipped) blocks.push(findingLines([], answer.skipped, page).join('\n'));
  return `${blocks.join('\n\n')}\n`;
};
