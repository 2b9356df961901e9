// Facts that configuration management keeps of hosts and that hold the kernel's flags: ohai (Chef) and Salt's grains.
import type { Catalog, Vendor } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Description } from '../cpu/host.ts';
import { kernelOf } from '../cpu/kernel.ts';
import { type Processor, together } from '../cpu/processor.ts';
import { processorKey, untold, vendorOf, wholeNumber } from './described.ts';
import { type Dialect, type Input, orSkip, type Skip } from './dialect.ts';
import { at, inOrder, readDocuments, textsOf } from './documents.ts';
import { readFlags } from './flags.ts';
import { inferVendor } from './infer.ts';
import { isObject, type JsonObject } from './json.ts';
import { kernelFlags } from './proves.ts';

interface Host {
  readonly name: string | null;
  readonly line: number;
  readonly facts: JsonObject;
}

export const ohai: Dialect = {
  name: 'ohai',
  recognises: (head) =>
    /^\s*\{/.test(head) && inOrder(head, '"cpu"', '"vendor_id"', '"flags"', '['),
  proves: [kernelFlags('ohai cpu')],
  async read(input, catalog, skip) {
    const hosts = await hostsOf(
      input,
      (value) => isObject(at(value, 'cpu')),
      ['hostname', 'fqdn'],
      skip,
    );
    return hosts.flatMap((host) => orSkip(skip, () => ofOhai(catalog, input.name, host)));
  },
};

export const salt: Dialect = {
  name: 'salt',
  recognises: (head) => /(?:^|[{,\s])"?cpu_flags"?\s*:/.test(head),
  proves: [kernelFlags('grains.items')],
  async read(input, catalog, skip) {
    const isGrains = (value: unknown) => at(value, 'cpu_flags') !== undefined;
    const hosts = await hostsOf(input, isGrains, ['id', 'nodename', 'host'], skip);
    return hosts.flatMap((host) => orSkip(skip, () => ofSalt(catalog, input.name, host)));
  },
};

/** The hosts of an answer: objects of facts one by one, in a list, or under the names of the hosts. */
async function hostsOf(
  input: Input,
  isHost: (value: unknown) => boolean,
  names: readonly string[],
  skip: Skip | undefined,
): Promise<Host[]> {
  const out: Host[] = [];
  const take = (value: unknown, name: string | null, line: number, depth: number): void => {
    if (isObject(value) && isHost(value)) {
      const own = names.map((key) => value[key]).find((v) => typeof v === 'string' && v !== '');
      // A minion that speaks for itself is called local.
      const told = name === 'local' ? null : name;
      out.push({ name: told ?? (own as string | undefined) ?? null, line, facts: value });
    } else if (depth > 0 && Array.isArray(value))
      for (const inner of value) take(inner, null, line, depth - 1);
    else if (depth > 0 && isObject(value))
      for (const [key, inner] of Object.entries(value)) take(inner, key, line, depth - 1);
  };
  for (const { value, line } of await readDocuments(input, skip)) take(value, null, line, 2);
  return out;
}

function ofOhai(catalog: Catalog, input: string, { name, line, facts }: Host): Description {
  const where = `${input}:${line}${name === null ? '' : `: ${name}`}`;
  checkArch(at(facts, 'kernel', 'machine'), where);
  const kernel = kernelOf(at(facts, 'kernel', 'release'), at(facts, 'kernel', 'version'));
  const processors = Object.entries(facts.cpu as JsonObject)
    .filter(([key, cpu]) => /^\d+$/.test(key) && isObject(cpu))
    .map(([key, cpu]): Processor => {
      const number = (what: string) => wholeNumber(at(cpu, what), where, `cpu.${key}.${what}`);
      const [family, model, stepping] = ['family', 'model', 'stepping'].map(number);
      const vendor = vendorOf(catalog, at(cpu, 'vendor_id'));
      return {
        vendor,
        signature:
          family == null || model == null || stepping == null ? null : { family, model, stepping },
        microcode: null,
        physBits: null,
        xsave: null,
        ...readFlags(
          catalog,
          textsOf(at(cpu, 'flags'), where, `"cpu.${key}.flags"`),
          vendor,
          undefined,
          kernel,
        ),
      };
    });
  if (processors.length === 0)
    throw new QueryError(
      `${where} has no processor under "cpu"; give the whole of ohai cpu, or /proc/cpuinfo`,
    );
  const all = together(catalog, processors);
  return {
    ...untold(catalog, 'ohai', line),
    host: name,
    view: 'kernel',
    kernel,
    keys: processorKey(at(facts, 'cpu', '0', 'model_name')),
    vendor: all.vendor,
    has: all.has,
    known: all.known,
    unnamed: all.unnamed,
    signature: all.signature,
    notes: all.notes,
  };
}

/** Grains name the processor as its maker does, and list the flags of the first one. */
function ofSalt(catalog: Catalog, input: string, { name, line, facts }: Host): Description {
  const where = `${input}:${line}${name === null ? '' : `: ${name}`}`;
  checkArch(facts.cpuarch, where);
  const flags = textsOf(facts.cpu_flags, where, '"cpu_flags"');
  const kernel = kernelOf(facts.kernelrelease, facts.kernelversion);
  const read = (vendor: Vendor | null) => readFlags(catalog, flags, vendor, undefined, kernel);
  const maker = /Intel|AMD|Hygon/.exec(typeof facts.cpu_model === 'string' ? facts.cpu_model : '');
  const { vendor, notes } = maker
    ? { vendor: vendorOf(catalog, maker[0]), notes: [] }
    : inferVendor(catalog, read(null).has);
  return {
    ...untold(catalog, 'salt', line),
    ...read(vendor),
    host: name,
    view: 'kernel',
    kernel,
    keys: processorKey(facts.cpu_model),
    vendor,
    notes,
  };
}

function checkArch(arch: unknown, where: string): void {
  if (typeof arch === 'string' && !/^(?:x86_64|amd64|i.86)$/.test(arch))
    throw new QueryError(
      `${where} is ${arch}, of which these facts list no features that can be read; give its /proc/cpuinfo`,
    );
}
