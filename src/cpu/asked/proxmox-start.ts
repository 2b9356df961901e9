// How Proxmox VE starts a VM: the -cpu argument and the machine type that qemu-server makes of its configuration, by its
// own version, QEMU's and the host's processor.
import {
  compareServers,
  proxmoxBuiltin,
  proxmoxRevision,
  proxmoxType,
} from '../catalog/products.ts';
import type { AskedOfProxmox } from '../guest.ts';
import { compareVersions, minorOf } from '../order.ts';
import type { Note } from '../processor-facts.ts';
import {
  booleanOf,
  CountsAsNone,
  customName,
  type ProxmoxCpu,
  type ProxmoxLines,
  type ProxmoxModel,
  readCpuLine,
  readCustomModel,
} from '../proxmox-line.ts';
import type { Accelerator } from '../qemu/model.ts';
import {
  automatic,
  type Flags,
  hypervFlags,
  nestedOf,
  type ProxmoxNode,
  type Vm,
} from './proxmox-flags.ts';

/** A VM as QEMU is started for it. */
export interface ProxmoxStart {
  readonly cpu: string;
  /** Without +pveN, which no other QEMU knows; null where it is the architecture's own. */
  readonly machine: string | null;
  readonly arch: string;
  readonly accelerator: Accelerator;
  /** Features that it may ask for: the host's processor settles it. */
  readonly open: readonly string[];
  readonly notes: readonly Note[];
}

/** A VM that no node of this kind starts. */
export class NotStarted extends Error {}
/** A VM whose CPU is defined in a file that is not at hand. */
export class NotDefined extends Error {}

const WINDOWS: Readonly<Record<string, number>> = {
  w2k: 5,
  wxp: 5,
  w2k3: 5,
  w2k8: 6,
  wvista: 6,
  win7: 7,
  win8: 8,
  win10: 10,
  win11: 11,
};
const OSTYPES: ReadonlySet<string> = new Set([
  'other',
  'l24',
  'l26',
  'solaris',
  ...Object.keys(WINDOWS),
]);
const ARCHS: ReadonlySet<string> = new Set(['x86_64', 'aarch64']);
const MACHINE =
  /^(?:pc|q35|virt|pc(?:-(?:i440fx|q35))?-\d+(?:\.\d+)+(?:\+pve\d+)?(?:\.pxe)?|virt(?:-\d+(?:\.\d+)+)?(?:\+pve\d+)?)$/;
/** Windows is kept on this machine type unless its configuration names one. */
const WINDOWS_MACHINE = '5.1';
/** The newest version of machine types of which it is known how many +pveN there are. */
const NEWEST_REVISED = '11.0';
const TEMPLATE: ProxmoxLines = [['kvm', '0']];

/** The value of a key that counts: the last that is valid. */
const lastOf = (lines: ProxmoxLines, key: string, isValid = (_: string) => true): string | null =>
  lines.findLast(([k, value]) => k === key && isValid(value))?.[1] ?? null;

const valueAmong = (lines: ProxmoxLines, key: string, values: ReadonlySet<string>): string | null =>
  lastOf(lines, key, (value) => values.has(value));

const switchOf = (lines: ProxmoxLines, key: string): boolean | null =>
  booleanOf(lastOf(lines, key, (value) => booleanOf(value) !== null) ?? undefined);

/** The type in the value of `machine:`; null where the value is invalid. */
function machineType(value: string): string | null {
  const parts = value.split(',');
  const typed = parts.filter((part) => !part.includes('=') || part.startsWith('type='));
  const type = typed.length === 1 ? typed[0]!.replace(/^type=/, '') : '';
  return MACHINE.test(type) ? type : null;
}

/** What stands behind an option of QEMU in the `args:` of a VM, which come last; null where it is not there. */
function argument(lines: ProxmoxLines, ...options: readonly string[]): string | null {
  const args = lines.filter(([key]) => key === 'arg').map(([, word]) => word);
  const at = args.findLastIndex((word) => options.includes(word));
  return at < 0 ? null : (args[at + 1] ?? null);
}

/** The machine type that a section names, however it does; null where it names none. */
export function proxmoxMachine(lines: ProxmoxLines): string | null {
  const own = argument(lines, '-machine', '--machine', '-M')?.split(',');
  const typed = own?.find((part) => part.startsWith('type='))?.slice('type='.length) ?? own?.[0];
  if (typed !== undefined && !typed.includes('=')) return typed;
  const running = lastOf(lines, 'runningmachine');
  if (running !== null) return running;
  const value = lastOf(lines, 'machine', (text) => machineType(text) !== null);
  return value === null ? null : machineType(value);
}

/** How a VM is started, with what a person should know of it. */
export function proxmoxStart(asked: AskedOfProxmox, node: ProxmoxNode): ProxmoxStart {
  const { lines, machine, cold, snapshots, models } = asked;
  const now = startOf({ lines, machine, models }, node);
  const notes = [...now.notes];
  const says = (section: ProxmoxLines): string | null => {
    try {
      const other = startOf({ lines: section, machine: proxmoxMachine(section), models }, node);
      return difference(now, other);
    } catch (error) {
      if (error instanceof NotStarted || error instanceof NotDefined) return error.message;
      throw error;
    }
  };
  const later = cold === null ? null : says(cold);
  if (later !== null)
    notes.push({
      code: 'pending',
      message: `this is its CPU now; after its next stop and start it is another: ${later}`,
    });
  for (const { name, lines: section } of snapshots) {
    const other = says(section);
    if (other !== null)
      notes.push({
        code: 'snapshot',
        message: `its snapshot ${name} has another CPU, which it gets when it is rolled back: ${other}`,
      });
  }
  return { ...now, notes };
}

/** What of a start is another than now, in few words; null where nothing is. */
function difference(now: Started, then: Started): string | null {
  const words = now.called === then.called ? `-cpu ${then.cpu}` : then.called;
  const machine = then.machine === now.machine ? '' : ` on machine type ${then.machine}`;
  if (now.cpu === then.cpu) return machine === '' ? null : then.called + machine;
  return words + machine;
}

/** A start, and its CPU in the words of the configuration. */
type Started = ProxmoxStart & { readonly called: string };

/** One section of a configuration. */
interface Section {
  readonly lines: ProxmoxLines;
  readonly machine: string | null;
  readonly models: readonly ProxmoxModel[] | null;
}

function startOf(section: Section, node: ProxmoxNode): Started {
  const isTemplate =
    switchOf(section.lines, 'template') === true && compareServers('8.2.2', node.server) <= 0;
  // A template is started for its backup alone, without what else is configured.
  const { lines, machine, models } = isTemplate
    ? { lines: TEMPLATE, machine: null, models: null }
    : section;
  const vm = vmOf(lines, machine, node);
  const notes: Note[] = [];
  const argued = argument(lines, '-cpu', '--cpu');
  if (argued !== null)
    notes.push({
      code: 'args',
      message: `its args name a -cpu of their own, which QEMU takes instead of what the configuration makes: ${argued}`,
    });
  const made = argued ?? lastOf(lines, 'runningcpu');
  const own = made === null ? cpuOf(vm, models, notes) : { cpu: made, open: [], called: made };
  const isEmulated = !vm.kvm || argument(lines, '-accel', '--accel')?.split(',')[0] === 'tcg';
  return {
    cpu: withGlobals(lines, own.cpu),
    machine: vm.type?.replace(/(?:\+pve\d+)?(?:\.pxe)?$/, '') ?? null,
    arch: vm.arch,
    accelerator: isEmulated ? 'tcg' : 'kvm',
    open: own.open,
    called: own.called,
    notes,
  };
}

function vmOf(lines: ProxmoxLines, machine: string | null, node: ProxmoxNode): Vm {
  const arch = valueAmong(lines, 'arch', ARCHS) ?? node.arch;
  const ostype = valueAmong(lines, 'ostype', OSTYPES) ?? 'other';
  const windows = WINDOWS[ostype] ?? 0;
  const named = pinned(lines, machine, windows, node);
  const [, version, counted] = /-(\d+\.\d+)(?:\.\d+)?(?:\+pve(\d+))?/.exec(named ?? '') ?? [];
  const isKnown = version !== undefined && compareVersions(version, NEWEST_REVISED) <= 0;
  if (counted !== undefined && isKnown && Number(counted) > proxmoxRevision(version))
    throw new NotStarted(
      `Proxmox VE has no revision +pve${counted} of machine type ${version}, so it does not start`,
    );
  return {
    lines,
    node,
    arch,
    kvm: switchOf(lines, 'kvm') ?? arch === node.arch,
    windows,
    ostype,
    isUefi: lastOf(lines, 'bios') === 'ovmf',
    hasVga: switchOf(lines, 'x-vga') === true,
    type: named ?? (arch === 'x86_64' ? 'pc' : null),
    version: version ?? node.qemu,
    // Without a version it is the newest that there is, and with one the first.
    revision: version === undefined ? proxmoxRevision(minorOf(node.qemu)) : Number(counted ?? 0),
  };
}

/** Windows that is bound to no version keeps that of old, or that of its making. */
function pinned(
  lines: ProxmoxLines,
  machine: string | null,
  windows: number,
  { server, qemu }: ProxmoxNode,
): string | null {
  if (windows === 0 || !(machine === null || machine === 'pc' || machine === 'q35')) return machine;
  const made = /(?:^|,)creation-qemu=(\d+\.\d+)/.exec(lastOf(lines, 'meta') ?? '')?.[1];
  const isKept =
    made !== undefined && compareServers('8.3.4', server) <= 0 && compareVersions(made, '9.1') >= 0;
  const wanted = isKept ? made : WINDOWS_MACHINE;
  const version = compareVersions(wanted, qemu) > 0 ? minorOf(qemu) : wanted;
  return `pc-${machine === 'q35' ? 'q35' : 'i440fx'}-${version}`;
}

/** What -global in args sets on all CPUs of the type comes before what -cpu says. */
function withGlobals(lines: ProxmoxLines, cpu: string): string {
  const [model, ...rest] = cpu.split(',');
  const args = lines.filter(([key]) => key === 'arg').map(([, word]) => word);
  const set = args.flatMap((word, i) => {
    const match = /^([\w-]+-cpu)\.([\w-]+)=(.*)$/.exec(args[i - 1] === '-global' ? word : '');
    const is = match && [`${model}-x86_64-cpu`, 'x86_64-cpu'].includes(match[1]!);
    return is ? [`${match[2]}=${match[3]}`] : [];
  });
  return [model, ...set, ...rest].join(',');
}

/** The CPU that a section is taken for: what its line says, or its stand-in. */
interface Chosen {
  /** In the words of the configuration. */
  readonly called: string;
  readonly line: ProxmoxCpu | null;
  readonly model: ProxmoxCpu | null;
  /** What QEMU is given for the type. */
  readonly type: string;
  readonly builtin: readonly string[];
}

function chosen(
  { lines, node: { server }, arch, kvm }: Vm,
  models: readonly ProxmoxModel[] | null,
  notes: Note[],
): Chosen {
  const type = defaultType(server, arch, kvm);
  const dropped: string[] = [];
  let is: Chosen | null = null;
  for (const [key, value] of lines.toReversed()) {
    if (key !== 'cpu' || is) continue;
    try {
      is = { ...named(value, server, models, notes), called: value };
    } catch (error) {
      if (!(error instanceof CountsAsNone)) throw error;
      dropped.push(`"cpu: ${value}" counts as none (${error.message})`);
    }
  }
  is ??= { line: null, model: null, type, builtin: [], called: type };
  const { called } = is;
  notes.push(
    ...dropped.map((what) => ({
      code: 'counts-as-none',
      message: `the line ${what}, so its CPU is ${called}`,
    })),
  );
  return is;
}

/** The CPU that a line names. */
function named(
  value: string,
  server: string,
  models: readonly ProxmoxModel[] | null,
  notes: Note[],
): Omit<Chosen, 'called'> {
  const line = readCpuLine(value, server);
  const custom = customName(line.type);
  if (custom === null) return { line, model: null, ...standIn(line.type, server) };
  if (models === null)
    throw new NotDefined(
      `its CPU is ${line.type}, a custom model that none of the inputs defines; give /etc/pve/virtual-guest/cpu-models.conf beside it, or qm showcmd of the VM`,
    );
  const found = models.findLast(({ name }) => name === custom);
  if (!found) throw new CountsAsNone(`there is no custom model ${custom} in cpu-models.conf`);
  const { cpu, left } = readCustomModel(found, server);
  notes.push(...left.map((message) => ({ code: 'counts-as-none', message })));
  return { line, model: cpu, ...standIn(cpu.type, server) };
}

/** What stands for a type: of a level its flags over qemu64, of Icelake-Client the server of that name. */
function standIn(type: string, server: string): Pick<Chosen, 'type' | 'builtin'> {
  const builtin = proxmoxBuiltin(type);
  if (builtin) return { type: 'qemu64', builtin };
  const isReplaced = compareServers('7.2-5', server) <= 0;
  return {
    type: isReplaced ? type.replace(/^Icelake-Client/, 'Icelake-Server') : type,
    builtin: [],
  };
}

function defaultType(server: string, arch: string, kvm: boolean): string {
  if (arch === 'x86_64') return kvm ? 'kvm64' : 'qemu64';
  if (compareServers('9.2.3', server) > 0) return 'cortex-a57';
  return kvm ? 'host' : 'max';
}

function cpuOf(
  vm: Vm,
  models: readonly ProxmoxModel[] | null,
  notes: Note[],
): Pick<Started, 'cpu' | 'open' | 'called'> {
  const { node, arch, kvm } = vm;
  const { line, model, type, builtin, called } = chosen(vm, models, notes);
  const known = proxmoxType(type, node.server);
  checkStarts(vm, type);
  const pick = <K extends keyof ProxmoxCpu>(key: K) => line?.[key] ?? model?.[key] ?? null;
  const flags: Flags = new Map();
  const isX86 = arch === 'x86_64';
  automatic(vm, type, flags);
  if (isX86 && kvm) hypervFlags(vm, pick('vendorId'), flags);
  for (const name of builtin) flags.set(name, `+${name}`);
  const open = new Set<string>();
  for (const layer of [model?.flags, line?.flags]) {
    const nested = layer?.get('nested-virt');
    for (const [name, sign] of layer ?? [])
      if (name !== 'nested-virt') flags.set(name, sign + name);
    if (nested === undefined) continue;
    const names = nestedOf(node.vendor);
    if (names.length === 1) flags.set(names[0]!, nested + names[0]!);
    else if (nested === '+') for (const name of names) open.add(name);
  }
  const hidden = line?.hidden ?? (model?.hidden || vm.hasVga);
  if (hidden && isX86) flags.set('kvm', 'kvm=off');
  if (kvm && isX86 && type !== 'host') flags.set('enforce', 'enforce');
  if (isX86 && known?.vendor) flags.set('vendor', `vendor=${known.vendor}`);
  const [level, guestBits, bits] = [pick('level'), pick('guestPhysBits'), pick('physBits')];
  const cpu = [
    type,
    ...(level === null || !isX86 ? [] : [`level=${level}`]),
    ...[...flags].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, word]) => word),
    ...(guestBits === null ? [] : [`guest-phys-bits=${guestBits}`]),
    ...(bits === null ? [] : [bits === 'host' ? 'host-phys-bits=true' : `phys-bits=${bits}`]),
  ].join(',');
  return { cpu, open: [...open], called };
}

/** @throws NotStarted for a type that cannot be started there. */
function checkStarts({ arch, isUefi, node: { server } }: Vm, type: string): void {
  const known = proxmoxType(type, server);
  if (known && known.arch !== arch && !(type === 'host' || type === 'max'))
    throw new NotStarted(
      `Proxmox VE has no CPU type ${type} for a VM of ${arch}, so it does not start`,
    );
  if (known?.is32Bit && isUefi && compareServers('8.2.1', server) <= 0)
    throw new NotStarted(
      `Proxmox VE starts no VM with UEFI firmware (bios: ovmf) on the 32-bit CPU type ${type}`,
    );
}
