// libvirt's XML: host and domain capabilities, domains, <cpu> alone, and the CPUID dumps of libvirt's own tools.
// Each is read for what its author knew; nothing is concluded about guests (cpu/proven/offer.ts does that).
import { minus, type Row, rowOf, setBit } from '../../core/rows.ts';
import { archOfMachine } from '../../cpu/arch/index.ts';
import { findFeature } from '../../cpu/asked/asked-libvirt.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { hasHostPhysBits } from '../../cpu/catalog/products.ts';
import type { LibvirtCpu, Policy } from '../../cpu/cpu-element.ts';
import type { GuestCpu } from '../../cpu/definition.ts';
import { type Description, isX86, type Note, type Tsc } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import { withUsable } from '../../cpu/proven/by-models.ts';
import { brandOf, decodeWords } from '../../cpu/proven/cpuid-words.ts';
import type { Accelerator } from '../../cpu/qemu/model.ts';
import { Words } from '../../cpu/register-words.ts';
import { type Dialect, type Input, orSkip, type Skip } from '../dialect.ts';
import { guestDescription, guestOf } from '../guests/libvirt-guest.ts';
import { blank, relative } from '../guests/libvirt-relative.ts';
import { MIGRATABLE } from '../proves.ts';
import { readXml, type XmlElement } from '../text/xml.ts';
import { KVM, ofOtherHypervisor, processorKey, wholeNumber } from '../words/blank-description.ts';
import { definitionFor } from '../words/product-definitions.ts';
import {
  child,
  children,
  childText,
  cpuElementOf,
  type DescribingElement,
  findCpus,
  parseCpu,
} from './libvirt-element.ts';
import { customMode, modelList, usableModels } from './libvirt-models.ts';
import { writeLibvirtCpu, writeLibvirtOfArch } from './libvirt-write.ts';
import { describeQemuCaps } from './qemu-caps.ts';

export const libvirt: Dialect = {
  name: 'libvirt',
  // A file in UTF-16 shows a zero or a replacement character beside each letter.
  recognises: (head) => /^<[a-z!?]/i.test(head.replace(/[\0\ufeff\ufffd]/g, '').trimStart()),
  proves: [
    {
      document: 'capabilities',
      view: 'hardware',
      words: 'libvirt',
      unlisted: 'absent',
      leavesOut:
        'registers of which nothing is shown, and words younger than the libvirt that can have written it',
    },
    {
      document: 'domain capabilities',
      view: 'hypervisor',
      words: 'libvirt',
      unlisted: 'absent',
      leavesOut: `words younger than the libvirt that can have written it (vmx-* before 11); ${MIGRATABLE}`,
    },
    { document: 'cpudata', view: 'hardware', words: 'cpuid', unlisted: 'absent' },
    { document: 'qemuCaps', view: 'hypervisor', words: 'qemu', unlisted: 'unknown' },
  ],
  read,
  write,
  words: 'libvirt',
  writesAll: true,
  notes: libvirtNotes,
  use: 'virsh edit DOMAIN, in place of its <cpu>, then start the domain anew',
};

async function read(input: Input, catalog: Catalog, skip?: Skip): Promise<Description[]> {
  const descriptions: Description[] = [];
  let skipped = 0;
  const leave: Skip | undefined =
    skip &&
    ((problem) => {
      skipped++;
      skip(problem);
    });
  try {
    await readXml(input, (root) => {
      for (const found of findCpus(root))
        descriptions.push(...orSkip(leave, () => describe(input.name, catalog, found)));
    });
  } catch (error) {
    // What stands before the mistake is whole.
    if (!leave || !(error instanceof QueryError) || descriptions.length === 0) throw error;
    leave(error);
  }
  if (descriptions.length + skipped === 0)
    throw new QueryError(
      `${input.name} is XML without a CPU; give virsh domcapabilities, virsh capabilities, a domain's XML or a <cpu> element`,
    );
  return descriptions;
}

/** What an element says of CPUs, itself or deep inside. */
export const descriptionsIn = (element: XmlElement, input: string, catalog: Catalog) =>
  findCpus(element).map((found) => describe(input, catalog, found));

function describe(input: string, catalog: Catalog, found: DescribingElement): Description {
  const { element } = found;
  const where = `${input}:${element.line}`;
  const cpu = cpuElementOf(found);
  switch (found.kind) {
    case 'cpudata':
      return cpudata(input, catalog, element);
    case 'qemuCaps':
      return describeQemuCaps(input, catalog, element);
    case 'capabilities': {
      if (!cpu)
        throw new QueryError(
          `${input}:${element.line}: these capabilities describe no host CPU; virsh domcapabilities does`,
        );
      return {
        ...hostDescription(catalog, parseCpu(input, cpu, 'host')),
        qemu: qemuOf(element, childText(cpu, 'arch')),
        tsc: tscOf(cpu),
      };
    }
    case 'domainCapabilities':
      return domainCapabilities(catalog, element, cpu ? parseCpu(input, cpu, 'guest') : null);
    case 'domain':
      return domain(catalog, input, element, cpu ? parseCpu(input, cpu, 'guest') : null);
    case 'cpu': {
      const parsed = parseCpu(input, element, 'auto');
      return parsed.type === 'host'
        ? hostDescription(catalog, parsed)
        : guestDescription(
            catalog,
            { ...guestOf(parsed), anyArch: true },
            'x86_64',
            element.line,
            where,
          );
    }
  }
}

/** virsh capabilities: what the processor shows to the host. */
export function hostDescription(catalog: Catalog, cpu: LibvirtCpu): Description {
  const description = relative(catalog, cpu, cpu.arch!);
  return {
    ...description,
    view: 'hardware',
    limits: { physBits: cpu.maxphysaddr?.bits ?? null },
    signature: cpu.signature,
    microcode: cpu.microcode === null ? null : `0x${Number(cpu.microcode).toString(16)}`,
  };
}

/** virsh domcapabilities: what QEMU on the host can give to guests. */
function domainCapabilities(
  catalog: Catalog,
  element: XmlElement,
  cpu: LibvirtCpu | null,
): Description {
  const arch = childText(element, 'arch') ?? 'x86_64';
  const custom = customMode(element);
  const virttype = childText(element, 'domain');
  const hypervisor = virttype ?? KVM;
  const listed = new Set(children(custom, 'model').map((model) => model.text.trim()));
  const description = cpu
    ? relative(catalog, cpu, arch, { listed, derived: true })
    : blank(catalog, arch, element.line);
  const notes = [...description.notes];
  if (!cpu)
    notes.push({
      code: 'no-host-model',
      message:
        'its domain capabilities support no host-model CPU, so nothing is known of its features',
    });
  if (cpu?.fallback === 'allow')
    notes.push({
      code: 'approximate-model',
      message:
        'its host-model is an approximation by an old libvirt or QEMU; a query-cpu-model-expansion would be exact',
    });
  if (hypervisor !== KVM) {
    // Whoever is not KVM hands out nothing of KVM's own.
    for (const { id } of catalog.kvmFeatures) setBit(description.known, id);
    notes.push(ofOtherHypervisor(hypervisor, 'its domain capabilities are'));
  }
  const accelerator = hypervisor === KVM ? 'kvm' : 'tcg';
  const denied = switchedOff(catalog, cpu);
  const maxphysaddr = cpu?.maxphysaddr;
  const told = withUsable(
    catalog,
    {
      ...description,
      // A host-model keeps to what can migrate.
      known: minus(description.known, minus(catalog.migratableSilent, description.has)),
      view: 'hypervisor',
      line: element.line,
      limits: { physBits: maxphysaddr?.limit ?? maxphysaddr?.bits ?? null },
      models: usableModels(custom),
      machine: childText(element, 'machine'),
      keys: virttype === null ? {} : { virttype },
      notes,
    },
    { accelerator, denied },
  );
  const models = modelList(catalog, custom, told.has, accelerator);
  if (models === null && listed.size > 0 && isX86(description))
    notes.push({
      code: 'usability-unknown',
      message:
        'its libvirt does not say which CPU models are usable on it, so a model may fail to start there',
    });
  return { ...told, models };
}

/** The time stamp counter that host capabilities tell of. */
function tscOf(cpu: XmlElement): Tsc | null {
  const counter = children(cpu, 'counter').find(({ attributes: a }) => a.name === 'tsc');
  const { frequency, scaling } = counter?.attributes ?? {};
  // What is no number was refused when the element was read.
  if (frequency === undefined) return null;
  return {
    hz: Number(frequency),
    scaling: scaling === 'yes' ? true : scaling === 'no' ? false : null,
  };
}

const ACCELERATORS: Readonly<Record<string, Accelerator>> = {
  __proto__: null as never,
  kvm: 'kvm',
  qemu: 'tcg',
};
/** What a <cpu> says by name to be off. */
const switchedOff = (catalog: Catalog, cpu: LibvirtCpu | null): Row =>
  rowOf(
    catalog.bits,
    (cpu?.features ?? []).flatMap(({ name, policy }) =>
      policy === 'disable' || policy === 'forbid' ? (findFeature(catalog, name)?.id ?? []) : [],
    ),
  );

/** A domain, live or not: what its guest has. */
function domain(
  catalog: Catalog,
  input: string,
  element: XmlElement,
  cpu: LibvirtCpu | null,
): Description {
  const type = child(child(element, 'os'), 'type')?.attributes;
  const kind = element.attributes.type ?? 'kvm';
  const name = childText(element, 'name');
  const where = `${input}:${cpu?.line ?? element.line}${name === null ? '' : `: guest ${name}`}`;
  const accelerator = ACCELERATORS[kind];
  const machine = type?.machine ?? null;
  // A domain without an architecture is of its host's, unless only one has its machine type.
  const arch = type?.arch ?? archOfMachine(machine);
  const { sockets: _ = 1, ...inPackage } = cpu?.topology ?? {};
  const asked = accelerator && {
    ...guestOf(cpu),
    machine,
    accelerator,
    tscHz: fixedClock(element, where),
    threads: Object.values(inPackage).reduce((all, n) => all * n, 1),
    ...(arch === null ? { anyArch: true as const } : {}),
  };
  const description = guestDescription(
    catalog,
    asked ?? cpu,
    arch ?? 'x86_64',
    element.line,
    where,
  );
  return { ...description, host: name, machine };
}

/** The frequency in Hz that a domain fixes its time stamp counter to. */
function fixedClock(element: XmlElement, where: string): number | null {
  const timer = children(child(element, 'clock'), 'timer').find(
    ({ attributes: a }) => a.name === 'tsc' && a.present !== 'no',
  );
  return wholeNumber(timer?.attributes.frequency, where, 'the frequency of the timer tsc');
}

/** The QEMU whose newest machine type the aliases pc and q35 stand for; null where emulators differ. */
function qemuOf(capabilities: XmlElement, arch: string | null): string | null {
  const versions = new Set<string>();
  for (const guestElement of children(capabilities, 'guest'))
    for (const target of children(guestElement, 'arch')) {
      if (target.attributes.name !== arch) continue;
      for (const { text, attributes } of children(target, 'machine')) {
        const version = /-(\d+\.\d+)$/.exec(attributes.canonical ?? '')?.[1];
        if (version && /^(pc|q35)$/.test(text.trim())) versions.add(version);
      }
    }
  return versions.size === 1 ? [...versions][0]! : null;
}

/** A dump of CPUID and MSR words. */
function cpudata(input: string, catalog: Catalog, element: XmlElement): Description {
  if (element.attributes.arch !== 'x86')
    throw new QueryError(
      `${input}:${element.line}: <cpudata> of "${element.attributes.arch ?? 'no architecture'}" is not taken, only that of x86`,
    );
  const words = new Words();
  const word = ({ line, attributes }: XmlElement, name: string, missing?: string): number => {
    const written = attributes[name] ?? missing ?? '';
    if (!/^0x[0-9a-f]{1,8}$/i.test(written))
      throw new QueryError(
        `${input}:${line}: ${name} "${written}" is no 32-bit word; write it like 0x1f`,
      );
    return Number(written);
  };
  for (const row of element.children)
    if (row.name === 'cpuid') {
      const [eax, ebx, ecx, edx] = ['eax', 'ebx', 'ecx', 'edx'].map((name) =>
        word(row, name, '0x0'),
      );
      words.setLeaf(word(row, 'eax_in'), word(row, 'ecx_in', '0x0'), {
        eax: eax!,
        ebx: ebx!,
        ecx: ecx!,
        edx: edx!,
      });
    } else if (row.name === 'msr')
      words.setMsr(
        word(row, 'index'),
        (BigInt(word(row, 'edx', '0x0')) << 32n) | BigInt(word(row, 'eax', '0x0')),
      );
  if (words.leaves === 0)
    throw new QueryError(
      `${input}:${element.line}: this <cpudata> holds no <cpuid>, so it describes no processor`,
    );
  const { physBits, ...processor } = decodeWords(catalog, words);
  return {
    ...blank(catalog, 'x86_64', element.line),
    ...processor,
    view: 'hardware',
    limits: { physBits },
    words,
    keys: processorKey(brandOf(words)),
  };
}

/** The oldest libvirt of the catalog that takes a limit for what the host has (tried on 9.0 and 11.3). */
const LIMIT_SINCE = '11.3';

/** Whether some host's machine type gives guests the address bits of their host, and whether a limit can be set there. */
function limitOf({ physBits, machines = [], oldest }: GuestCpu, catalog: Catalog) {
  const isHosts = physBits !== null && machines.some(hasHostPhysBits);
  const libvirt = oldest?.libvirt ?? catalog.versions.libvirt[0]!;
  return { isHosts, canLimit: catalog.isSince('libvirt', libvirt, LIMIT_SINCE), libvirt };
}

function maxphysaddr(cpu: GuestCpu, catalog: Catalog): LibvirtCpu['maxphysaddr'] {
  const { physBits } = cpu;
  const { isHosts, canLimit } = limitOf(cpu, catalog);
  if (physBits === null) return null;
  // Where the machine type takes the host's, a number of one's own is not looked at.
  return isHosts && canLimit
    ? { mode: 'passthrough', bits: null, limit: physBits }
    : { mode: 'emulate', bits: physBits, limit: null };
}

function libvirtNotes(cpu: GuestCpu, catalog: Catalog): Note[] {
  const { isHosts, canLimit, libvirt } = limitOf(cpu, catalog);
  const ofHosts: Note = {
    code: 'phys-bits',
    message: `machine types like ${cpu.machines?.find(hasHostPhysBits)} give a guest the physical address bits of its host, whatever the definition says, and libvirt ${libvirt} cannot limit them (from ${LIMIT_SINCE} on it can): a guest that started on a host with more than another has must not move there`,
  };
  const concluded: Note = {
    code: 'not-enforced',
    message: `check='partial' lets a guest start without what KVM does not give (${cpu.concluded} ${cpu.concluded === 1 ? 'host is' : 'hosts are'} not described by a hypervisor); only check='full' or QEMU's enforce refuses`,
  };
  return [...(isHosts && !canLimit ? [ofHosts] : []), ...(cpu.concluded ? [concluded] : [])];
}

/** One <cpu> element that gives the guest exactly the features of the definition. */
function write(cpu: GuestCpu, catalog: Catalog): string {
  if (!isX86(cpu)) return writeLibvirtOfArch(cpu.arch, definitionFor(cpu, 'libvirt', 'it'));
  const { definitions, vendor } = cpu;
  const definition = definitions.libvirt;
  if (!definition)
    throw new QueryError(
      'this CPU has no definition for libvirt: no model of the libvirt stack can be made to mean it; name another stack with --stack, or write it in another dialect',
    );
  const features = (policy: Policy, names: readonly string[]) =>
    names
      .map((name) => {
        const spelling = catalog.findQemu(name)?.libvirt?.name;
        if (spelling === undefined)
          throw new RangeError(`libvirt has no name for feature "${name}"`);
        return { name: spelling, policy };
      })
      .sort((a, b) => byBytes(a.name, b.name));
  return writeLibvirtCpu({
    type: 'guest',
    arch: null,
    mode: 'custom',
    match: 'exact',
    // The host is held against the definition before the guest starts, and nothing that QEMU adds stops it.
    check: 'partial',
    migratable: null,
    model: definition.name,
    fallback: 'forbid',
    vendor: catalog.vendors.some((v) => v.name === vendor) ? vendor : null,
    vendorId: null,
    features: [
      ...features('require', definition.require),
      ...features('disable', definition.disable),
    ],
    signature: null,
    microcode: null,
    maxphysaddr: maxphysaddr(cpu, catalog),
    topology: null,
    line: 1,
  });
}
