// Configurations of VMs and custom models of Proxmox VE (/etc/pve), as leniently as qemu-server reads them: what it skips
// is skipped, and a word on it stands beside the guest.
import { minus } from '../../core/rows.ts';
import { meaningOfAsked, noteOf, toldBy } from '../../cpu/asked/asked.ts';
import { proxmoxMachine } from '../../cpu/asked/proxmox-start.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { AskedOfProxmox } from '../../cpu/guest.ts';
import { byBytes } from '../../cpu/order.ts';
import { booleanOf, type ProxmoxLines, type ProxmoxModel } from '../../cpu/proxmox-line.ts';
import type { Input } from '../dialect.ts';
import { shortLines } from '../text/documents.ts';
import { argumentsOf } from '../text/shell.ts';
import { untold } from '../words/blank-description.ts';

/** Keys that only the configuration of a VM has, and no other file of `key: value` lines. */
const VM_ONLY =
  /^(?:ostype|scsihw|vmgenid|smbios1|net\d+|(?:scsi|sata|ide|virtio|efidisk|tpmstate)\d+|sockets|boot|bootdisk|hostpci\d+|meta|bios|agent|vga|numa|kvm|balloon|hotplug|tablet|acpi|localtime|vmstate|template):/;
/** Further keys of it. */
const VM_KEY =
  /^(?:cpu|cores|memory|name|machine|arch|args|onboot|protection|tags|description|startup|vcpus|cpulimit|cpuunits|affinity|audio\d+|serial\d+|usb\d+|parallel\d+|unused\d+|ipconfig\d+|lock|parent|snaptime|running\w+|rng0|freeze|shares|migrate_\w+|keyboard|reboot|autostart|startdate|hookscript|hugepages|keephugepages|ivshmem|nameserver|searchdomain|sshkeys|ci\w+|spice_enhancements|watchdog|virtiofs\d+|amd-sev|intel-tdx|allow-ksm|numa\d+|tdf|vmstatestorage):/;
/** Keys that other files have, too: where all lines are of such keys it is a VM's. */
const COMMON = /^(?:cpu|cores|memory|machine|args):/;
const LINE = /^([a-z][a-z_-]*\d*):(.*)$/;
const SECTION = /^\[(.*)\]\s*$/;
const PENDING = /^pending$/i;
const SNAPSHOT = /^[a-z][\w-]+$/i;

/** Whether the beginning of a file is the configuration of a VM: its lines are all of such keys. */
export function isVmConfig(head: string): boolean {
  const lines = head.split(/\r?\n/, 200);
  const end = lines.findIndex((line) => SECTION.test(line));
  const main = (end < 0 ? lines : lines.slice(0, end)).filter(
    (l) => l.trim() !== '' && l[0] !== '#',
  );
  // The beginning may end within a line.
  const whole = head.length < 65_536 || end >= 0 ? main : main.slice(0, -1);
  const own = whole.filter((line) => VM_ONLY.test(line)).length;
  const keys = own + whole.filter((line) => VM_KEY.test(line)).length;
  const others = whole.filter((line) => !/^[a-z][\w-]*:(?:\s|$)/.test(line)).length;
  const isSection = end >= 0 && lines.some((line) => /^\[pending\]\s*$/i.test(line));
  // A container (LXC) has no CPU of its own.
  if (whole.some((line) => /^(?:rootfs|unprivileged|hostname|lxc\.\S+):/.test(line))) return false;
  if (others > 0 || keys * 2 <= whole.length) return false;
  return own > 0 || isSection || (keys === whole.length && whole.some((l) => COMMON.test(l)));
}

/** Of a section what can matter to the CPU: guests that are alike in it are one. */
type Section = Map<string, string[]>;

const KEPT: ReadonlySet<string> = new Set([
  'cpu',
  'kvm',
  'arch',
  'machine',
  'ostype',
  'bios',
  'args',
  'template',
  'runningcpu',
  'runningmachine',
]);

interface Config {
  readonly main: Section;
  readonly pending: Section;
  readonly deleted: readonly string[];
  readonly snapshots: ReadonlyMap<string, Section>;
  readonly name: string | null;
  /** The line of the CPU; the first where there is none. */
  readonly line: number;
}

function readSections(input: Input, config: string): Config {
  let at: { key: 'main' | 'pending' | 'snapshot' | 'other'; section: Section } = {
    key: 'main',
    section: new Map(),
  };
  const { section: main } = at;
  let pending: Section = new Map();
  let deleted: string[] = [];
  const snapshots = new Map<string, Section>();
  let name: string | null = null;
  let cpuLine = 1;
  for (const [i, line] of shortLines(input.name, config).entries()) {
    const header = SECTION.exec(line)?.[1];
    if (header !== undefined) {
      const section: Section = new Map();
      // Of a section that is there twice the second counts, alone.
      if (PENDING.test(header)) {
        pending = section;
        deleted = [];
        at = { key: 'pending', section };
      } else if (SNAPSHOT.test(header)) {
        snapshots.set(header, section);
        at = { key: 'snapshot', section };
      } else at = { key: 'other', section };
      continue;
    }
    const [, key = '', text = ''] = LINE.exec(line) ?? [];
    const value = text.trim();
    if (value === '') continue;
    if (at.key === 'main' && key === 'name') name = value;
    if (at.key === 'main' && key === 'cpu') cpuLine = i + 1;
    if (at.key === 'pending' && key === 'delete')
      deleted.push(...value.split(/[,;\s]+/).map((one) => one.replace(/^!/, '')));
    else keep(at.section, key, value);
  }
  return { main, pending, deleted, snapshots, name, line: cpuLine };
}

function keep(section: Section, key: string, value: string): void {
  const add = (as: string, what: string) => section.set(as, [...(section.get(as) ?? []), what]);
  if (KEPT.has(key)) add(key, value);
  else if (/^hostpci\d+$/.test(key)) {
    const vga = /(?:^|,)x-vga=(\w+)/.exec(value)?.[1];
    section.set(key, booleanOf(vga) === true ? ['1'] : []);
  } else if (key === 'meta') {
    const made = /(?:^|,)(creation-qemu=[\d.]+)/.exec(value)?.[1];
    section.set(key, made === undefined ? [] : [made]);
  }
}

/** A section as lines: `args` by its words, of all passed-through graphics whether there is any. */
function linesOf(section: Section): ProxmoxLines {
  const lines: [string, string][] = [];
  for (const [key, values] of [...section].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (key === 'args')
      lines.push(...argumentsOf(values.at(-1)!).map((word) => ['arg', word] as [string, string]));
    else if (/^hostpci/.test(key))
      lines.push(...values.map(() => ['x-vga', '1'] as [string, string]));
    else lines.push(...values.map((value) => [key, value] as [string, string]));
  }
  return lines;
}

/** What a stop and a start make of the configuration: what is pending is moved in, and what runs is gone. */
function coldStart({ main, pending, deleted }: Config): Section {
  const section: Section = new Map(main);
  for (const key of [...deleted, 'runningcpu', 'runningmachine']) section.delete(key);
  // Of the keys whose validity is looked at later, what is pending comes last.
  for (const [key, values] of pending)
    section.set(key, KEPT.has(key) ? [...(section.get(key) ?? []), ...values] : values);
  return section;
}

/** A VM by its configuration. Its custom model, where it has one, is in another file: `withModels`. */
export function readConfig(input: Input, catalog: Catalog, text: string): Description {
  const config = readSections(input, text);
  const lines = linesOf(config.main);
  const cold = linesOf(coldStart(config));
  const isPending = JSON.stringify(cold) !== JSON.stringify(lines);
  const asked: AskedOfProxmox = {
    by: 'proxmox',
    machine: proxmoxMachine(lines),
    accelerator: lines.some(([key, value]) => key === 'kvm' && booleanOf(value) === false)
      ? 'tcg'
      : 'kvm',
    lines,
    cold: isPending ? cold : null,
    snapshots: [...config.snapshots]
      .map(([name, section]) => ({ name, lines: linesOf(section) }))
      .filter((one) => JSON.stringify(one.lines) !== JSON.stringify(lines)),
    models: null,
  };
  return describe(catalog, asked, config.name, config.line, `${input.name}:${config.line}`);
}

/** A VM as the newest software starts it, where no host is looked at. */
function describe(
  catalog: Catalog,
  asked: AskedOfProxmox,
  host: string | null,
  line: number,
  where: string,
): Description {
  const meaning = meaningOfAsked(catalog, asked);
  const { need } = meaning;
  const cpu = asked.lines.findLast(([key]) => key === 'cpu')?.[1];
  const type = cpu?.split(',', 1)[0]?.replace(/^cputype=/, '');
  const description: Description = {
    ...untold(catalog, 'proxmox', line),
    view: 'guest',
    host,
    arch: need.arch,
    machine: asked.machine?.replace(/\+pve\d+/, '') ?? null,
    model: { name: need.model ?? type ?? 'kvm64', known: true },
    asked,
    notes: need.notes,
  };
  if (meaning.is !== 'cpu')
    return { ...description, notes: [...need.notes, noteOf(meaning, where)] };
  const { known, ...rest } = toldBy(catalog, asked, meaning);
  return {
    ...description,
    ...rest,
    known: minus(known, need.open),
    model: { name: meaning.expansion.model, known: true },
  };
}

/** A custom model as a CPU: what a VM has that names it and nothing else. */
export function customModel(catalog: Catalog, input: Input, model: Placed): Description {
  const { name, line, lines } = model;
  const asked: AskedOfProxmox = {
    by: 'proxmox',
    machine: null,
    accelerator: 'kvm',
    lines: [['cpu', `custom-${name}`]],
    cold: null,
    snapshots: [],
    models: [{ name, lines }],
  };
  return {
    ...describe(catalog, asked, name, line, `${input.name}:${line}: model ${name}`),
    defines: { name, lines },
  };
}

interface Placed extends ProxmoxModel {
  readonly line: number;
}

/** The models of cpu-models.conf: an empty line ends one, and its options are indented. */
export function readModels(input: Input, text: string): Placed[] {
  const models = new Map<string, { name: string; line: number; lines: [string, string][] }>();
  let open: { lines: [string, string][] } | null = null;
  for (const [i, line] of shortLines(input.name, text).entries()) {
    if (/^\s*#/.test(line)) continue;
    if (line === '') open = null;
    const header = /^cpu-model:\s*(\S+)\s*$/.exec(line)?.[1];
    if (header !== undefined && open === null) {
      const model = { name: header, line: i + 1, lines: [] };
      // Of a model that is there twice the second counts.
      models.delete(header);
      models.set(header, model);
      open = model;
    }
    const option = /^\s+([\w-]+)\s+(\S[\s\S]*)$/.exec(line.trimEnd());
    if (option && open !== null) open.lines.push([option[1]!, option[2]!]);
  }
  return [...models.values()];
}

interface Read {
  readonly input: string;
  readonly description: Description;
}

/** The models that a VM may name, whichever of its sections does. */
function modelsNamed({ lines, cold, snapshots }: AskedOfProxmox): ReadonlySet<string> {
  const all = [lines, cold ?? [], ...snapshots.map((s) => s.lines)].flat();
  return new Set(
    all.flatMap(([key, value]) =>
      key === 'cpu' ? [...value.matchAll(/(?:^|[,=])custom-([^\s,]+)/g)].map((m) => m[1]!) : [],
    ),
  );
}

/**
 * VMs with the custom models of the file nearest to theirs: of their cluster. Where there are VMs, models are no guests.
 * @throws QueryError where two files as near define a model that a VM has.
 */
export function withModels<R extends Read>(catalog: Catalog, read: readonly R[]): R[] {
  const isVm = ({ description: d }: R) => d.asked?.by === 'proxmox' && d.defines === undefined;
  const models = read.filter((r) => r.description.defines !== undefined);
  if (models.length === 0 || !read.some(isVm)) return [...read];
  return read
    .filter((r) => r.description.defines === undefined)
    .map((r) => {
      const { asked, host, line } = r.description;
      if (asked?.by !== 'proxmox') return r;
      const named = modelsNamed(asked);
      if (named.size === 0) return r;
      const own = nearest(r.input, models).filter((m) => named.has(m.description.defines!.name));
      for (const [i, { input, description }] of own.entries()) {
        const { name } = description.defines!;
        const other = own.slice(0, i).find((m) => m.description.defines!.name === name);
        if (other)
          throw new QueryError(
            `custom model ${name}, which ${r.input} names, is in ${other.input} and in ${input}; give the VMs of one cluster at a time`,
          );
      }
      const all = own.map((m) => m.description.defines!).sort((a, b) => byBytes(a.name, b.name));
      const where = `${r.input}:${line ?? 1}`;
      return {
        ...r,
        description: describe(catalog, { ...asked, models: all }, host, line ?? 1, where),
      };
    });
}

/** Of several inputs those in the folder that is shared deepest. */
function nearest<R extends Read>(input: string, others: readonly R[]): R[] {
  const parts = input.split('/').slice(0, -1);
  const shared = (other: string) => {
    const own = other.split('/').slice(0, -1);
    const at = parts.findIndex((part, i) => own[i] !== part);
    return at < 0 ? parts.length : at;
  };
  const most = Math.max(...others.map((other) => shared(other.input)));
  return others.filter((other) => shared(other.input) === most);
}
