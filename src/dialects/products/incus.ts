// Incus: resources of cluster members (the kernel's flags of every core), the CPU that a running VM was started with,
// and the keys of a cluster group, which are also what is written. Names for VMs are QEMU's.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { type Processor, together } from '../../cpu/proven/processor.ts';
import { type Dialect, type Input, orSkip } from '../dialect.ts';
import { askedOfQemu } from '../guests/guest-by-model.ts';
import { kernelFlags } from '../proves.ts';
import {
  at,
  decodeText,
  inOrder,
  listOf,
  readDocuments,
  textOf,
  textsOf,
} from '../text/documents.ts';
import { asText, isObject, parseJson } from '../text/json.ts';
import { processorKey, untold, vendorOf, wholeNumber } from '../words/blank-description.ts';
import { readFlags } from '../words/kernel-flags.ts';
import { definitionFor, physBitsNote, qemuSwitches } from '../words/product-definitions.ts';

const KEY = 'instances.vm.cpu.x86_64';
const STATE = 'volatile.vm.boot_state';
const COMMAND =
  /^incus cluster group set (\S+) instances\.vm\.cpu\.x86_64\.(baseline|flags)=(\S*)$/;

export const incus: Dialect = {
  name: 'incus',
  recognises: (head) =>
    (/"?sockets"?\s*:/.test(head) && inOrder(head, 'sockets', 'cores', 'flags')) ||
    head.includes(STATE) ||
    head.includes(`${KEY}.baseline`) ||
    /^\s*\{\s*"version"\s*:\s*\d+\s*,\s*"cpu_type"\s*:/.test(head),
  proves: [kernelFlags('resources of a member')],
  async read(input, catalog, skip) {
    if (/^[ \t]*incus /m.test(decodeText(input))) return readCommands(input, catalog);
    const out: Description[] = [];
    for (const { value, line } of await readDocuments(input, skip)) {
      const inner = at(value, 'metadata');
      const body = isObject(inner) || Array.isArray(inner) ? inner : value;
      for (const one of Array.isArray(body) ? body : [body])
        out.push(...orSkip(skip, () => describe(catalog, one, input.name, line)));
    }
    return out;
  },
  words: 'qemu',
  use: 'run these once in the cluster; VMs with migration.stateful=true take it when they are started anew',
  write(cpu) {
    const definition = definitionFor(cpu, 'qemu', 'Incus');
    const flags = qemuSwitches(definition).map(({ name, on }) => (on ? name : `-${name}`));
    return [
      `incus cluster group set default ${KEY}.baseline=${definition.name}`,
      `incus cluster group set default ${KEY}.flags=${flags.join(',')}`,
      '',
    ].join('\n');
  },
  notes: (cpu) => [
    ...physBitsNote(cpu, 'Incus'),
    {
      code: 'not-enforced',
      message:
        'Incus starts QEMU without enforce: a host that lacks a feature drops it in silence, so keep hosts below the line out of the group (plimsoll admit)',
    },
  ],
};

function describe(catalog: Catalog, value: unknown, input: string, line: number): Description {
  const where = `${input}:${line}`;
  const place = { dialect: 'incus', line, where };
  const config = at(value, 'config');
  const state = at(config, STATE) ?? at(value, STATE);
  if (state !== undefined) {
    const boot = typeof state === 'string' ? parseJson(state, input, line) : state;
    return { ...booted(catalog, boot, place), host: nameOf(value) };
  }
  if (at(value, 'cpu_type') !== undefined) return booted(catalog, value, place);
  const baseline = at(config, `${KEY}.baseline`);
  if (baseline !== undefined)
    return {
      ...group(
        catalog,
        textOf(baseline, where, `${KEY}.baseline`),
        at(config, `${KEY}.flags`),
        place,
      ),
      host: nameOf(value),
    };
  return resources(catalog, value, where, line);
}

const nameOf = (value: unknown): string | null =>
  typeof at(value, 'name') === 'string' ? (at(value, 'name') as string) : null;

type Where = { readonly dialect: string; readonly line: number; readonly where: string };

/** What a VM was started with: migration takes it along. */
function booted(catalog: Catalog, state: unknown, place: Where): Description {
  const machine = at(state, 'machine_type');
  return askedOfQemu(catalog, textOf(at(state, 'cpu_type'), place.where, '"cpu_type"'), place, {
    machine: typeof machine === 'string' ? machine : null,
  });
}

function group(catalog: Catalog, model: string, flags: unknown, place: Where): Description {
  const words = typeof flags === 'string' ? flags.split(',').filter(Boolean) : [];
  if (words.includes('auto'))
    throw new QueryError(
      `${place.where}: flags=auto is worked out by the cluster when a VM starts; give the resources of its members, or boot_state of the VM`,
    );
  return askedOfQemu(catalog, [model, ...words].join(','), place);
}

function readCommands(input: Input, catalog: Catalog): Description[] {
  const groups = new Map<string, { line: number; baseline?: string; flags?: string }>();
  for (const [i, line] of decodeText(input).split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const match = COMMAND.exec(line.trim());
    if (!match)
      throw new QueryError(
        `${input.name}:${i + 1}: this line sets no CPU of a cluster group; write incus cluster group set GROUP ${KEY}.baseline=MODEL`,
      );
    const own = groups.get(match[1]!) ?? { line: i + 1 };
    groups.set(match[1]!, { ...own, [match[2]!]: match[3]! });
  }
  return [...groups].map(([name, { line, baseline, flags }]) => {
    const place = { dialect: 'incus', line, where: `${input.name}:${line}` };
    if (baseline === undefined)
      throw new QueryError(`${place.where}: group ${name} has flags but no ${KEY}.baseline`);
    return { ...group(catalog, baseline, flags, place), host: name };
  });
}

/** GET /1.0/resources of a member: a feature counts if every core has it. */
function resources(catalog: Catalog, value: unknown, where: string, line: number): Description {
  const cpu = at(value, 'cpu') ?? value;
  const arch = at(cpu, 'architecture') ?? 'x86_64';
  if (arch !== 'x86_64')
    throw new QueryError(
      `${where}: this member is ${asText(arch)}; the catalog describes x86 only, so give its /proc/cpuinfo`,
    );
  const processors: Processor[] = [];
  const sockets = listOf(at(cpu, 'sockets'), where, '"cpu.sockets"');
  for (const socket of sockets) {
    const vendor = vendorOf(catalog, at(socket, 'vendor'));
    const physBits = wholeNumber(
      at(socket, 'address_sizes', 'physical_bits'),
      where,
      '"physical_bits"',
    );
    for (const core of listOf(at(socket, 'cores'), where, '"cores"')) {
      const flags = textsOf(at(core, 'flags'), where, 'the "flags" of a core');
      processors.push({
        vendor,
        signature: null,
        microcode: null,
        physBits: physBits || null,
        xsave: null,
        ...readFlags(catalog, flags, vendor),
      });
    }
  }
  if (processors.length === 0)
    throw new QueryError(`${where}: these resources list no cores; take them from /1.0/resources`);
  const { has, known, unnamed, vendor, physBits, notes } = together(catalog, processors);
  return {
    ...untold(catalog, 'incus', line),
    view: 'kernel',
    keys: processorKey(at(sockets[0], 'name')),
    host: nameOf(value),
    vendor,
    has,
    known,
    unnamed,
    limits: { physBits },
    notes,
  };
}
