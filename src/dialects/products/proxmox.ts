// Proxmox VE: which nodes have which CPU flag (cpu-flags), VM configurations, the command line that a VM gets, and
// custom models in cpu-models.conf, which is also what is written. All names are QEMU's.
import { emptyRow, hasBit, minus, setBit } from '../../core/rows.ts';
import type { Catalog, Feature } from '../../cpu/catalog/catalog.ts';
import { proxmoxAutomatic, proxmoxModels } from '../../cpu/catalog/products.ts';
import type { Definition, GuestCpu } from '../../cpu/definition.ts';
import type { Description, Note } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import { type Dialect, type Input, orSkip } from '../dialect.ts';
import { MIGRATABLE } from '../proves.ts';
import { readCommands } from '../qemu/qemu-command.ts';
import { at, decodeText, listOf, readJsonStream, textOf, textsOf } from '../text/documents.ts';
import { quote } from '../text/lines.ts';
import { untold } from '../words/blank-description.ts';
import { qemuSwitches } from '../words/product-definitions.ts';
import { inferVendor } from '../words/vendor-from-features.ts';
import { customModel, isVmConfig, readConfig, readModels } from './proxmox-config.ts';

/** The name under which a written model is filed. */
const FLEET = 'fleet';
/** Names of cpu-flags that stand for whichever feature a vendor has. */
const SHORTHAND = new Set(['nested-virt']);
const CPU_KEYS = [/"custom"\s*:/, /"name"\s*:/, /"vendor"\s*:/];

/** Whether it is what the API lists of CPU types. */
function isCpuList(head: string): boolean {
  const [, first] = /^\s*(?:\{\s*"data"\s*:\s*)?\[\s*\{([^{}]*)/.exec(head) ?? [];
  return first !== undefined && CPU_KEYS.every((key) => key.test(first));
}

export const proxmox: Dialect = {
  name: 'proxmox',
  recognises: (head) =>
    /"supported-on"\s*:/.test(head) ||
    isCpuList(head) ||
    /^cpu-model:\s*\S/m.test(head) ||
    /^\s*\/usr\/bin\/kvm\s+(?:\\\s+)?-id\s/.test(head) ||
    isVmConfig(head),
  proves: [
    {
      document: 'cpu-flags of a cluster',
      view: 'hypervisor',
      words: 'qemu',
      unlisted: 'unknown',
    },
    {
      document: 'cpuflags-kvm of a node',
      view: 'hypervisor',
      words: 'qemu',
      unlisted: 'absent',
      leavesOut: `words younger than the oldest QEMU; ${MIGRATABLE}`,
    },
  ],
  read(input, catalog, skip) {
    const text = decodeText(input);
    if (/^\s*[[{]/.test(text)) return readFlagsByNode(input, catalog, text);
    if (/^cpu-model:/m.test(text))
      return readModels(input, text).flatMap((model) =>
        orSkip(skip, () => customModel(catalog, input, model)),
      );
    // qm showcmd VMID: the whole command line, one a VM.
    if (/^\s*\/usr\/bin\/kvm\s/.test(text)) return readCommands(input, catalog, skip, 'proxmox');
    if (/^\s*(?:#.*\n\s*)*[a-z][\w-]*:/.test(text)) return [readConfig(input, catalog, text)];
    return [readWords(input, catalog, text)];
  },
  words: 'qemu',
  use: 'append to /etc/pve/virtual-guest/cpu-models.conf, then qm set VMID --cpu custom-NAME, as its first line says',
  called: {
    name: FLEET,
    isValid: (name) => /^[A-Za-z][\w-]{1,39}$/.test(name),
    rule: 'a model of Proxmox VE is called by a letter and up to 39 letters, digits, _ and -, two in all at least',
  },
  write(cpu, catalog) {
    const { called = FLEET } = cpu;
    const { name, require, disable } = chosen(cpu, catalog);
    const own = proxmoxAutomatic(name);
    const has = (feature: string) => cpu.features.includes(feature);
    // Every VM is given it, and does not start where it is not there.
    const unwanted = (cpu.lacked ?? []).filter((feature) => feature === 'kvm-pv-unhalt');
    const flags = qemuSwitches({
      name,
      require: [...new Set([...require, ...own.off.filter(has)])],
      disable: [...new Set([...disable, ...[...own.on, ...unwanted].filter((name) => !has(name))])],
    }).map((flag) => `${flag.on ? '+' : '-'}${flag.name}`);
    return [
      `# then: qm set VMID --cpu custom-${called}`,
      `cpu-model: ${called}`,
      `\treported-model ${name}`,
      ...(flags.length > 0 ? [`\tflags ${flags.join(';')}`] : []),
      ...(cpu.physBits === null ? [] : [`\tphys-bits ${cpu.physBits}`]),
      '',
    ].join('\n');
  },
  notes(cpu, catalog): Note[] {
    const { name } = chosen(cpu, catalog);
    if (catalog.qemuModels.get(name)?.kind !== 'machine-alias') return [];
    return [
      {
        code: 'alias',
        message: `Proxmox VE has no versioned name for this model, so ${name} stands for the version that the machine type chooses; every feature in which versions differ is written out, and qm set VMID --machine with a version pins the rest (cache, levels)`,
      },
    ];
  },
};

/** The definition with the fewest flags of those whose model Proxmox takes. */
function chosen(cpu: GuestCpu, catalog: Catalog): Definition {
  const found: Definition[] = [];
  const models = proxmoxModels(cpu.oldest?.qemu);
  const taken = new Set(models);
  // A name that always stands for one version may be written in place of that version.
  const fixed = new Map(
    models.flatMap((name) => {
      const of = catalog.qemuModels.get(name)?.of;
      return of ? [[of, name] as const] : [];
    }),
  );
  const take = (definition: Definition | null | undefined) => {
    if (!definition) return;
    const name = taken.has(definition.name) ? definition.name : fixed.get(definition.name);
    if (name !== undefined) found.push({ ...definition, name });
  };
  take(cpu.definitions.qemu);
  take(forQemu(catalog, cpu.definitions.libvirt));
  if (found.length === 0 || catalog.qemuModels.get(found[0]!.name)?.kind === 'machine-alias') {
    const versioned = models.flatMap((name) => {
      const model = catalog.qemuModels.get(name);
      return model === undefined || model.kind === 'machine-alias' ? [] : [model.of ?? name];
    });
    take(cpu.rename?.('qemu', versioned));
  }
  if (found.length === 0) take(forQemu(catalog, cpu.rename?.('libvirt', models)));
  const price = ({ require, disable }: Definition) => require.length + 2 * disable.length;
  const [best] = found.sort((a, b) => price(a) - price(b) || byBytes(a.name, b.name));
  if (best) return best;
  throw new QueryError(
    `Proxmox VE takes none of the names of this CPU (${[cpu.definitions.qemu?.name, cpu.definitions.libvirt?.name].filter(Boolean).join(', ') || 'none was found'}); choose among its models with --models ${models
      .filter((name) => catalog.qemuModels.get(name)?.vendor === cpu.vendor)
      .slice(-3)
      .join(',')}`,
  );
}

/** The same without what QEMU has no name for: it gives no guest any of that. */
function forQemu(catalog: Catalog, definition: Definition | null | undefined): Definition | null {
  if (!definition) return null;
  const has = (name: string) => catalog.feature(name).qemu !== null;
  if (!definition.require.every(has)) return null;
  return { ...definition, disable: definition.disable.filter(has) };
}

/** Nodes publish QEMU's names with underscores, whatever QEMU has in them. */
const findFlag = (catalog: Catalog, name: string): Feature | undefined =>
  catalog.findQemu(name) ?? catalog.findQemu(name.replaceAll('_', '-'));

/** GET /nodes/NODE/capabilities/qemu/cpu-flags: each flag with the nodes of the cluster that have it. */
function readFlagsByNode(input: Input, catalog: Catalog, text: string): Description[] {
  return readJsonStream(input.name, text).flatMap(({ value, line }) => {
    const where = `${input.name}:${line}`;
    const list = listOf(at(value, 'data') ?? value, where, 'the answer of Proxmox');
    const told = emptyRow(catalog.bits);
    const nodes = new Map<string, { flags: Set<string>; unnamed: Set<string> }>();
    for (const entry of list) {
      const name = textOf(at(entry, 'name'), where, 'the name of a flag');
      if (at(entry, 'supported-on') === undefined)
        throw new QueryError(
          `${where}: "${name}" is listed without "supported-on"; CPU types are names alone and say nothing of a node, so give capabilities/qemu/cpu-flags?accel=kvm`,
        );
      const feature = findFlag(catalog, name);
      if (feature) setBit(told, feature.id);
      for (const node of textsOf(at(entry, 'supported-on'), where, `"supported-on" of ${name}`)) {
        const own = nodes.get(node) ?? { flags: new Set(), unnamed: new Set() };
        nodes.set(node, own);
        if (feature) own.flags.add(feature.name);
        else if (!SHORTHAND.has(name) && !name.startsWith('hv-')) own.unnamed.add(name);
      }
    }
    return [...nodes].map(([host, { flags, unnamed }]) => {
      return {
        ...untold(catalog, 'proxmox', line),
        host,
        ...inferVendor(catalog, catalog.row(flags)),
        has: catalog.row(flags),
        known: minus(told, minus(catalog.migratableSilent, catalog.row(flags))),
        unnamed: [...unnamed],
      };
    });
  });
}

/** The value of cpuflags-kvm, as the cluster's nodes publish it: names with spaces between them. */
function readWords(input: Input, catalog: Catalog, text: string): Description {
  const names = text.split(/\s+/).filter(Boolean);
  const unknown = names.filter((name) => !findFlag(catalog, name) && !SHORTHAND.has(name));
  if (unknown.length * 2 >= names.length)
    throw new QueryError(
      `${input.name}: this is nothing that Proxmox VE writes (${quote(text.trim().slice(0, 40))}); give cpu-flags, a VM configuration, qm showcmd or cpu-models.conf`,
    );
  const flags = names.flatMap((name) => findFlag(catalog, name)?.name ?? []);
  const has = catalog.row(flags);
  const known = emptyRow(catalog.bits);
  for (const f of catalog.features)
    if (f.qemu === catalog.versions.qemu[0] && !f.isKvm && !hasBit(catalog.migratableSilent, f.id))
      setBit(known, f.id);
  for (const name of flags) setBit(known, catalog.feature(name).id);
  return {
    ...untold(catalog, 'proxmox', 1),
    ...inferVendor(catalog, has),
    has,
    known,
    unnamed: unknown.filter((name) => !name.startsWith('hv-')),
  };
}
