// node_exporter: what it exposes, and what Prometheus answers to a query for it. It prints the flags that a filter
// lets through; where some are kept back the others are unknown, not absent.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { kernelOf } from '../../cpu/proven/kernel.ts';
import { type Dialect, type Input, orSkip } from '../dialect.ts';
import { kernelFlags } from '../proves.ts';
import { at, decodeText, listOf, objectOf, readJsonStream, textOf } from '../text/documents.ts';
import { asText } from '../text/json.ts';
import { quote } from '../text/lines.ts';
import { endOfString } from '../text/tokens.ts';
import { processorKey, untold, vendorOf, wholeNumber } from '../words/blank-description.ts';
import { readFlags, readSomeFlags } from '../words/kernel-flags.ts';
import { inferVendor } from '../words/vendor-from-features.ts';

interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: string;
  readonly line: number;
}

/** Flags that every kernel prints on every 64-bit processor: where all are there, nothing was filtered. */
const EVERYWHERE = [
  'fpu',
  'msr',
  'pae',
  'mce',
  'fxsr',
  'syscall',
  'lm',
  'rep_good',
  'nopl',
  'cpuid',
];
const NAMES = new Set([
  'node_cpu_flag_info',
  'node_cpu_info',
  'node_uname_info',
  'node_cpu_bug_info',
]);
const EXPORTER_PORT = ':9100';

export const prometheus: Dialect = {
  name: 'prometheus',
  recognises: (head) =>
    // A page of metrics is in the order of their names, and those of the CPU may come late.
    /^# TYPE [\w:]+ (?:counter|gauge|histogram|summary|untyped)$/m.test(head) ||
    /^node_cpu_(?:flag_info|info|seconds_total)\{/m.test(head) ||
    /"resultType"\s*:\s*"(?:vector|matrix)"/.test(head) ||
    /^\s*\{\s*"status"\s*:\s*"(?:success|error)"/.test(head),
  proves: [
    kernelFlags('node_cpu_flag_info with all flags'),
    {
      document: 'node_cpu_flag_info behind a flags filter',
      view: 'kernel',
      words: 'linux',
      unlisted: 'unknown',
    },
  ],
  read(input, catalog, skip) {
    const text = decodeText(input);
    const samples = /^\s*\{/.test(text) ? fromApi(input.name, text) : fromText(input, text);
    const hosts = byHost(samples);
    if (hosts.size === 0)
      throw new QueryError(
        `${input.name} has no node_cpu_flag_info; query it, from node_exporters that run with --collector.cpu.info --collector.cpu.info.flags-include='.*'`,
      );
    return [...hosts].flatMap(([host, own]) =>
      orSkip(skip, () => describe(catalog, input.name, host, own)),
    );
  },
};

function fromApi(name: string, text: string): Sample[] {
  return readJsonStream(name, text).flatMap(({ value, line }) => {
    const where = `${name}:${line}`;
    if (at(value, 'status') === 'error')
      throw new QueryError(
        `${where}: Prometheus answered with an error: ${quote(asText(at(value, 'error') ?? at(value, 'errorType') ?? ''))}`,
      );
    const result = listOf(at(value, 'data', 'result'), where, 'data.result');
    return result.map((entry): Sample => {
      const metric = objectOf(at(entry, 'metric'), where, 'the metric of a result');
      const { __name__: metricName, ...labels } = metric;
      const pair = at(entry, 'value') ?? (at(entry, 'values') as unknown[] | undefined)?.at?.(-1);
      return {
        name: textOf(metricName, where, 'the name of a metric'),
        labels: new Map(Object.entries(labels).map(([key, label]) => [key, asText(label)])),
        value: asText(listOf(pair, where, 'the value of a result')[1]),
        line,
      };
    });
  });
}

function fromText(input: Input, text: string): Sample[] {
  return text.split('\n').flatMap((line, i): Sample[] => {
    const match = /^(node_[a-z0-9_]+)\{([^}]*)\}\s+(\S+)/.exec(line);
    if (!match || !NAMES.has(match[1]!)) {
      if (/^node_cpu_flag_info/.test(line))
        throw new QueryError(
          `${input.name}:${i + 1}: ${quote(line)} is cut short; take the whole of /metrics`,
        );
      return [];
    }
    return [
      {
        name: match[1]!,
        labels: labelsIn(match[2]!),
        value: match[3]!,
        line: i + 1,
      },
    ];
  });
}

/** The labels in what stands between the braces of a sample. */
function labelsIn(text: string): Map<string, string> {
  const labels = new Map<string, string>();
  for (let at = 0; ; ) {
    const open = text.indexOf('="', at);
    const end = open < 0 ? -1 : endOfString(text, open + 1);
    if (end < 0) return labels;
    const name = text.slice(at, open).split(',').at(-1)!.trim();
    labels.set(name, text.slice(open + 2, end - 1).replace(/\\(.)/g, '$1'));
    at = end;
  }
}

/** Samples of the metrics that are read, by the host that they are of; of metrics without an instance there is one. */
function byHost(samples: readonly Sample[]): Map<string | null, Sample[]> {
  const byInstance = new Map<string | null, Sample[]>();
  for (const sample of samples) {
    if (!NAMES.has(sample.name)) continue;
    const instance = sample.labels.get('instance') ?? null;
    const own = byInstance.get(instance);
    if (own) own.push(sample);
    else byInstance.set(instance, [sample]);
  }
  return byInstance;
}

function describe(
  catalog: Catalog,
  input: string,
  instance: string | null,
  samples: readonly Sample[],
): Description {
  const line = samples[0]!.line;
  const where = `${input}:${line}${instance === null ? '' : `: ${instance}`}`;
  const info = samples.find((s) => s.name === 'node_cpu_info')?.labels;
  const flags = new Set(
    samples.flatMap((s) =>
      s.name === 'node_cpu_flag_info' && Number(s.value) === 1 ? (s.labels.get('flag') ?? []) : [],
    ),
  );
  if (flags.size === 0)
    throw new QueryError(
      `${where} has no node_cpu_flag_info; its node_exporter needs --collector.cpu.info --collector.cpu.info.flags-include='.*'`,
    );
  const named = vendorOf(catalog, info?.get('vendor'));
  // The meaning of some flags depends on the vendor, so it is looked for before they are read.
  const maker = named ? null : inferVendor(catalog, readSomeFlags(catalog, flags, null).has);
  const vendor = named ?? maker!.vendor;
  const whole = EVERYWHERE.every((flag) => flags.has(flag));
  const [family, model, stepping] = ['family', 'model', 'stepping'].map((key) =>
    wholeNumber(info?.get(key), where, key),
  ) as [number | null, number | null, number | null];
  const microcode = info?.get('microcode');
  const uname = samples.find((s) => s.name === 'node_uname_info')?.labels;
  const machine = uname?.get('machine');
  if (machine !== undefined && machine !== 'x86_64')
    throw new QueryError(
      `${where} is ${machine}; the catalog describes x86 only, so give its /proc/cpuinfo`,
    );
  return {
    ...untold(catalog, 'prometheus', line),
    ...(whole ? readFlags : readSomeFlags)(catalog, flags, vendor),
    host: hostOf(samples, instance),
    view: 'kernel',
    keys: processorKey(info?.get('model_name')),
    kernel: kernelOf(uname?.get('release'), uname?.get('version')),
    vendor,
    signature:
      family === null || model === null || stepping === null ? null : { family, model, stepping },
    microcode: microcode && /^0x[0-9a-f]+$/i.test(microcode) ? microcode.toLowerCase() : null,
    notes: [
      ...(maker?.notes ?? []),
      ...(whole
        ? []
        : [
            {
              code: 'filtered-flags',
              message:
                'its node_exporter prints a part of the flags, so what it leaves out is unknown; --collector.cpu.info.flags-include=".*" prints all',
            },
          ]),
    ],
  };
}

/** Its own name where it tells one; else the address that Prometheus scrapes, without the usual port. */
function hostOf(samples: readonly Sample[], instance: string | null): string | null {
  const named = samples.find((s) => s.labels.has('nodename'))?.labels.get('nodename');
  if (named) return named;
  return instance?.endsWith(EXPORTER_PORT) ? instance.slice(0, -EXPORTER_PORT.length) : instance;
}
