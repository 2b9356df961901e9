// oVirt: what VDSM reports of a host (flags of the kernel and of the hypervisor, usable models), hosts and clusters of
// the engine's API by their CPU type, and entries of ServerCPUList, which is also what is written.
import { emptyRow, join, setBit } from '../../core/rows.ts';
import type { Catalog, Feature } from '../../cpu/catalog/catalog.ts';
import { ovirtType } from '../../cpu/catalog/products.ts';
import { didYouMean } from '../../cpu/catalog/suggest.ts';
import type { Description, Note } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import { withUsable } from '../../cpu/proven/by-models.ts';
import { type Dialect, type Input, orSkip, type Skip } from '../dialect.ts';
import { askedOfLibvirt, type DefinitionPlace } from '../guests/guest-by-model.ts';
import { child, childText } from '../libvirt/libvirt-element.ts';
import { kernelFlags } from '../proves.ts';
import { at, decodeText, inOrder, readDocuments, shortLines, textOf } from '../text/documents.ts';
import { quote } from '../text/lines.ts';
import { readXml, type XmlElement } from '../text/xml.ts';
import { processorKey, untold, vendorOf } from '../words/blank-description.ts';
import { readFlags } from '../words/kernel-flags.ts';
import {
  libvirtSwitches,
  physBitsNote,
  scheduledFor,
  scheduledNote,
} from '../words/product-definitions.ts';

const MODEL = 'model_';
/** Above every level that the engine ships. */
const LEVEL = 90;
const NAME = 'Plimsoll line of the fleet';
const ENTRY = /^(\d+):([^:;'"\n]+):([^:;'"\n]*):([^:;'"\n]+):(\w+)\s*(?:;|$)/;
/** The first entry of a line, and what it requires. */
const FIRST_ENTRY =
  /^[ \t]*(?:ServerCPUList[ \t]*[:=][ \t]*['"]?)?\d+:[^:;\n]+:([^:;\n]*):[^:;\n]+:\w/gm;
/** Modes in which a machine has the CPU of its host, in libvirt's words. */
const MODES: Readonly<Record<string, string>> = {
  __proto__: null as never,
  host_passthrough: 'host-passthrough',
  host_model: 'host-model',
};
/** Flags of the host that its guests' definition says nothing of. */
const KVM_OF: Readonly<Record<string, string>> = {
  __proto__: null as never,
  Intel: 'vmx',
  AMD: 'svm',
  Hygon: 'svm',
};

export const ovirt: Dialect = {
  name: 'ovirt',
  recognises: (head) =>
    /"cpuFlags"\s*:\s*"/.test(head) ||
    (/^\s*(?:<\?xml[^>]*>\s*)?<(?:hosts?|clusters?|vms?)[\s>]/.test(head) &&
      (head.includes('/ovirt-engine/api') || inOrder(head, '<cpu>', '<type>'))) ||
    (head.includes(MODEL) &&
      [...head.matchAll(FIRST_ENTRY)].some(([, required]) => required!.includes(MODEL))),
  proves: [
    kernelFlags('getCapabilities of VDSM'),
    {
      document: 'the CPU type of a host',
      view: 'hypervisor',
      words: 'models',
      unlisted: 'unknown',
    },
  ],
  async read(input, catalog, skip) {
    const text = decodeText(input);
    if (/^\s*</.test(text)) return readApi(input, catalog, skip);
    if (/^\s*[[{]/.test(text)) return readVdsm(input, catalog, skip);
    return readEntries(input, catalog, text);
  },
  use: 'append to engine-config -g ServerCPUList --cver=4.8, set it with -s, restart ovirt-engine, then give the cluster this CPU type',
  write(cpu, catalog) {
    const { definition } = scheduledFor(cpu, 'oVirt');
    const switches = libvirtSwitches(catalog, definition);
    const kvm = KVM_OF[cpu.vendor ?? ''];
    const required = [
      ...(kvm === undefined ? [] : [kvm]),
      ...definition.require.map((name) => reported(catalog.feature(name))).sort(byBytes),
      `${MODEL}${definition.name}`,
    ];
    const guest = [definition.name, ...switches.map(({ name, on }) => `${on ? '+' : '-'}${name}`)];
    return `${LEVEL}:${cpu.called ?? NAME}:${[...new Set(required)].join(',')}:${guest.join(',')}:x86_64\n`;
  },
  notes: (cpu) => [
    ...scheduledNote(scheduledFor(cpu, 'oVirt'), 'oVirt'),
    ...physBitsNote(cpu, 'oVirt'),
  ],
  words: 'libvirt',
  called: {
    name: NAME,
    isValid: (name) => /^[^:;'"\n]{1,100}$/.test(name),
    rule: 'an entry of ServerCPUList is called by up to 100 characters without : ; and quotes',
  },
};

/** A feature as VDSM reports it: the kernel's flag, else the name in domain capabilities. */
function reported({ name, linux, libvirt }: Feature): string {
  // Added by VDSM itself, for the kernel shows it as two flags.
  if (name === 'spec-ctrl') return 'spec_ctrl';
  return linux[0] ?? libvirt!.name;
}

async function readVdsm(
  input: Input,
  catalog: Catalog,
  skip: Skip | undefined,
): Promise<Description[]> {
  const out: Description[] = [];
  for (const { value, line } of await readDocuments(input, skip))
    for (const caps of Array.isArray(value) ? value : [value])
      out.push(...orSkip(skip, () => describe(catalog, caps, `${input.name}:${line}`, line)));
  return out;
}

function describe(catalog: Catalog, caps: unknown, where: string, line: number): Description {
  const words = textOf(at(caps, 'cpuFlags'), where, '"cpuFlags"').split(',').filter(Boolean);
  const model = at(caps, 'cpuModel');
  const maker = /intel|amd|hygon/i.exec(typeof model === 'string' ? model : '')?.[0];
  const vendor = vendorOf(catalog, maker?.toLowerCase() === 'amd' ? 'AMD' : maker);
  const flags = words.filter((word) => !word.startsWith(MODEL));
  const usable = words.filter((word) => word.startsWith(MODEL)).map((w) => w.slice(MODEL.length));
  const ofKernel = flags.filter((flag) => catalog.findLinux(flag, vendor) !== undefined);
  const told = readFlags(catalog, [...ofKernel, ...flags.filter((f) => f === 'spec_ctrl')], vendor);
  const offered = emptyRow(catalog.bits);
  const unnamed: string[] = [];
  for (const flag of flags) {
    if (ofKernel.includes(flag) || flag === 'spec_ctrl') continue;
    const feature = catalog.find(flag);
    if (feature) setBit(offered, feature.id);
    else unnamed.push(flag);
  }
  const host = at(caps, 'hostname') ?? at(caps, 'name');
  return withUsable(catalog, {
    ...untold(catalog, 'ovirt', line),
    host: typeof host === 'string' && host !== '' ? host : null,
    view: 'kernel',
    keys: processorKey(model),
    vendor,
    has: join(told.has, offered),
    known: join(told.known, offered),
    unnamed,
    models: usable.length === 0 ? null : new Map(usable.map((name) => [name, []])),
  });
}

/** Hosts and clusters of the engine: a CPU type, which stands for what guests get there. */
async function readApi(
  input: Input,
  catalog: Catalog,
  skip: Skip | undefined,
): Promise<Description[]> {
  const out: Description[] = [];
  await readXml(input, (root) => {
    const elements = /s$/.test(root.name) ? root.children : [root];
    for (const element of elements)
      if (/^(?:host|cluster|vm)$/.test(element.name))
        out.push(...orSkip(skip, () => typed(input, catalog, element)));
  });
  return out;
}

function typed(input: Input, catalog: Catalog, element: XmlElement): Description {
  const name = childText(element, 'name');
  const where = `${input.name}:${element.line}: ${element.name}${name === null ? '' : ` ${name}`}`;
  const place: DefinitionPlace = { dialect: 'ovirt', line: element.line, where };
  const custom = childText(element, 'custom_cpu_model');
  const type = childText(child(element, 'cpu'), 'type');
  const mode = MODES[childText(child(element, 'cpu'), 'mode') ?? ''];
  const guest = mode ?? custom ?? (type === null ? undefined : ovirtType(type));
  // A machine has the type of its cluster unless it has one of its own.
  if (guest === undefined && element.name === 'vm')
    return {
      ...askedOfLibvirt(catalog, { model: null, features: [], unsettled: untoldType(type) }, place),
      host: name,
    };
  if (guest === undefined)
    throw new QueryError(
      type === null
        ? `${where} has no CPU type; give vdsm-client Host getCapabilities, which lists its flags`
        : `${where}: the CPU type ${quote(type)} is not known here; give its entry of ServerCPUList, or vdsm-client Host getCapabilities`,
    );
  const asked = askedOfLibvirt(catalog, guestPart(guest), place);
  const isHost = element.name === 'host';
  const status = childText(element, 'status');
  return {
    ...asked,
    host: name,
    // A host offers what its type says, and nobody knows what else.
    ...(isHost
      ? {
          view: 'hypervisor' as const,
          known: asked.has,
          notes: [
            {
              code: 'type-only',
              message:
                'the API names its CPU type alone, so what it offers beyond that is unknown; vdsm-client Host getCapabilities lists its flags',
            },
          ],
        }
      : {}),
    keys: isHost && status !== null && status !== 'up' ? { unschedulable: true, status } : {},
  };
}

const untoldType = (type: string | null): string =>
  type === null
    ? 'it names no CPU model of its own, so the CPU type of its cluster decides; the live domain XML (virsh dumpxml) shows what it got'
    : `its CPU type ${quote(type)} is not known here, so nobody knows what it gets; give its entry of ServerCPUList`;

/** Model,+feature,-feature. */
function guestPart(text: string) {
  const [model, ...flags] = text.split(',').map((part) => part.trim());
  return {
    model: model!,
    byName: 'ovirt' as const,
    features: flags.filter(Boolean).map((flag) => ({
      name: flag.replace(/^[+-]/, ''),
      policy: flag.startsWith('-') ? ('disable' as const) : ('require' as const),
    })),
  };
}

function readEntries(input: Input, catalog: Catalog, text: string): Description[] {
  const guests: Description[] = [];
  const others = new Map<string, number>();
  for (const [i, line] of shortLines(input.name, text).entries()) {
    const entries = line.replace(/^\s*ServerCPUList\s*[:=]\s*['"]?/, '').split(/\sversion:/, 1)[0]!;
    for (const entry of entries.split(';').map((part) => part.trim().replace(/['"]$/, ''))) {
      if (entry === '' || entry.startsWith('#')) continue;
      const match = ENTRY.exec(`${entry};`);
      const where = `${input.name}:${i + 1}`;
      if (!match)
        throw new QueryError(
          `${where}: ${quote(entry)} is no entry of ServerCPUList; write LEVEL:NAME:FLAGS:MODEL,+FEATURE,-FEATURE:ARCH`,
        );
      const [, , name, required, guest, arch] = match;
      if (arch !== 'x86_64') {
        others.set(arch!, (others.get(arch!) ?? 0) + 1);
        continue;
      }
      const asked = askedOfLibvirt(catalog, guestPart(guest!), {
        dialect: 'ovirt',
        line: i + 1,
        where: `${where}: ${name}`,
      });
      guests.push({
        ...asked,
        host: name!,
        notes: [...asked.notes, ...misspelt(catalog, required!.split(','))],
      });
    }
  }
  return withOthers(input, guests, others);
}

/** The guests, of which the first tells of entries for other architectures: they are left aside, and that is said. */
function withOthers(
  input: Input,
  guests: readonly Description[],
  others: ReadonlyMap<string, number>,
): Description[] {
  const [first, ...rest] = guests;
  if (others.size === 0) return [...guests];
  const left = [...others].map(([arch, count]) => `${count} of ${arch}`).join(', ');
  if (!first)
    throw new QueryError(
      `${input.name} has entries of other architectures alone (${left}); of ServerCPUList those of x86_64 can be read`,
    );
  const note = {
    code: 'entries-left-out',
    message: `entries of ServerCPUList for other architectures are left aside (${left})`,
  };
  return [{ ...first, notes: [...first.notes, note] }, ...rest];
}

/** Required flags that no host can ever report. */
function misspelt(catalog: Catalog, required: readonly string[]): Note[] {
  const spellings = [
    ...catalog.features.flatMap((f) => [
      f.name,
      ...f.linux,
      ...(f.libvirt ? [f.libvirt.name] : []),
    ]),
    'spec_ctrl',
  ];
  return required
    .map((flag) => flag.trim())
    .filter((flag) => flag !== '' && !flag.startsWith(MODEL))
    .filter((flag) => !spellings.includes(flag) && !catalog.find(flag))
    .map((flag) => ({
      code: 'impossible-flag',
      message: `it requires ${quote(flag)}, which no host reports, so no host ever has this type${didYouMean(flag, spellings)}`,
    }));
}
