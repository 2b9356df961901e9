// The CPU of a VM as a line of its configuration and a custom model name it, read as leniently or strictly as
// qemu-server of a version does: what it does not take counts as not there.
import {
  compareServers,
  proxmoxBuiltin,
  proxmoxModels,
  proxmoxType,
  proxmoxVmFlags,
} from './products.ts';
import { didYouMean } from './suggest.ts';

/** Keys and values of one section, in the order written. */
export type ProxmoxLines = readonly (readonly [key: string, value: string])[];

/** A custom model of cpu-models.conf. */
export interface ProxmoxModel {
  readonly name: string;
  readonly lines: ProxmoxLines;
}

/** A CPU as a line or a model says it; null where it says nothing. */
export interface ProxmoxCpu {
  /** A model of QEMU, or x86-64-vN, or custom-NAME. */
  readonly type: string;
  /** By the names of features with a sign each. */
  readonly flags: ReadonlyMap<string, '+' | '-'>;
  readonly hidden: boolean | null;
  readonly vendorId: string | null;
  readonly physBits: string | null;
  readonly guestPhysBits: string | null;
  readonly level: string | null;
}

/** A line does not count, because. */
export class CountsAsNone extends Error {}

const TRUE = /^(?:1|on|yes|true)$/i;
const FALSE = /^(?:0|off|no|false)$/i;
const LEVELS_SINCE = '8.0.4';
const NESTED_SINCE = '9.0.27';
/** Keys that came later than all others. */
const SINCE: Readonly<Record<string, string>> = { 'guest-phys-bits': '9.0.18', level: '9.1.14' };
const CUSTOM = 'custom-';

const since = (version: string, server: string): boolean => compareServers(version, server) <= 0;

/** A boolean of a configuration; null for what is none. */
export const booleanOf = (text: string | undefined): boolean | null =>
  text === undefined ? null : TRUE.test(text) ? true : FALSE.test(text) ? false : null;

const within = (text: string, from: number, to: number): boolean =>
  /^\d{1,10}$/.test(text) && Number(text) >= from && Number(text) <= to;

/** Values of keys that a line of a VM and a custom model have in common. */
const TAKES: Readonly<Record<string, (value: string) => boolean>> = {
  'hv-vendor-id': (value) => /^[A-Za-z0-9]{1,12}$/.test(value),
  'phys-bits': (value) => value === 'host' || within(value, 8, 64),
  'guest-phys-bits': (value) => within(value, 32, 64),
  level: (value) => within(value, 0, 0xffff_ffff),
};

/**
 * The value of `cpu:` as this qemu-server takes it; a property without its key is the type, wherever it stands.
 * @throws CountsAsNone for one that it leaves out, saying so in its log: the VM then starts without the line.
 */
export function readCpuLine(text: string, server: string): ProxmoxCpu {
  const values = new Map<string, string>();
  for (const part of text.split(',')) {
    if (part.trim() === '') continue;
    const at = part.indexOf('=');
    const key = at < 0 ? 'cputype' : part.slice(0, at).trim();
    if (values.has(key)) throw new CountsAsNone(`${key} is there twice`);
    checkKey(key, server);
    values.set(key, (at < 0 ? part : part.slice(at + 1)).trim());
  }
  const type = values.get('cputype');
  if (type === undefined) throw new CountsAsNone('it names no cputype');
  checkType(type, server);
  for (const [key, takes] of Object.entries(TAKES)) {
    const value = values.get(key);
    if (value !== undefined && !takes(value))
      throw new CountsAsNone(`${key} does not take "${value}"`);
  }
  const hidden = booleanOf(values.get('hidden'));
  if (values.has('hidden') && hidden === null)
    throw new CountsAsNone(`hidden does not take "${values.get('hidden')}"`);
  return cpuOf(type, vmFlags(values.get('flags'), server), hidden, values);
}

function cpuOf(
  type: string,
  flags: ProxmoxCpu['flags'],
  hidden: boolean | null,
  values: ReadonlyMap<string, string>,
): ProxmoxCpu {
  return {
    type,
    flags,
    hidden,
    vendorId: values.get('hv-vendor-id') ?? null,
    physBits: values.get('phys-bits') ?? null,
    guestPhysBits: values.get('guest-phys-bits') ?? null,
    level: values.get('level') ?? null,
  };
}

function checkKey(key: string, server: string): void {
  if (key === 'cputype' || key === 'flags' || key === 'hidden') return;
  if (key === 'reported-model')
    throw new CountsAsNone('reported-model is for custom models alone (cpu-models.conf)');
  if (!Object.hasOwn(TAKES, key)) throw new CountsAsNone(`it has no property "${key}"`);
  const first = SINCE[key];
  if (first !== undefined && !since(first, server))
    throw new CountsAsNone(`${key} is known from qemu-server ${first} on`);
}

function checkType(type: string, server: string): void {
  if (type.startsWith(CUSTOM)) return;
  if (proxmoxType(type, server) !== undefined) return;
  if (proxmoxBuiltin(type) !== undefined) {
    if (since(LEVELS_SINCE, server)) return;
    throw new CountsAsNone(`"${type}" is known from qemu-server ${LEVELS_SINCE} on`);
  }
  throw new CountsAsNone(
    `"${type}" is no CPU type of qemu-server ${server}${didYouMean(type, ['host', 'max', ...proxmoxModels()])}`,
  );
}

function signed(text: string): Map<string, '+' | '-'> {
  const flags = new Map<string, '+' | '-'>();
  for (const flag of text.split(';')) {
    const match = /^([+-])([\w.-]+)$/.exec(flag);
    if (!match) throw new CountsAsNone(`"${flag}" is no flag, which is +NAME or -NAME`);
    flags.set(match[2]!, match[1] as '+' | '-');
  }
  return flags;
}

function vmFlags(text: string | undefined, server: string): Map<string, '+' | '-'> {
  const flags = text === undefined ? new Map<string, '+' | '-'>() : signed(text);
  for (const name of flags.keys())
    if (!proxmoxVmFlags.has(name) && !(name === 'nested-virt' && since(NESTED_SINCE, server)))
      throw new CountsAsNone(
        `"${name}" is no flag that the line of a VM may name; a custom model may (cpu-models.conf)`,
      );
  return flags;
}

/** The custom model that a type names; null for any other type. */
export const customName = (type: string): string | null =>
  type.startsWith(CUSTOM) ? type.slice(CUSTOM.length) : null;

/** A custom model as this qemu-server takes it, and what it leaves out: a line each, not the model. */
export function readCustomModel(
  { name, lines }: ProxmoxModel,
  server: string,
): { readonly cpu: ProxmoxCpu; readonly left: readonly string[] } {
  const values = new Map<string, string>();
  const left: string[] = [];
  let flags = new Map<string, '+' | '-'>();
  for (const [key, value] of lines) {
    // Of a key that is there twice the first counts.
    if (values.has(key)) continue;
    const because = refusal(key, value, server);
    if (because === null) {
      values.set(key, value);
      if (key === 'flags') flags = signed(value);
    } else left.push(`in model ${name} the line "${key} ${value}" counts as none (${because})`);
  }
  // A model that hides nothing says nothing of it.
  const hidden = values.get('hidden') === '1' ? true : null;
  return { cpu: cpuOf(values.get('reported-model') ?? 'kvm64', flags, hidden, values), left };
}

/** Why a line of a custom model counts as none; null where it counts. */
function refusal(key: string, value: string, server: string): string | null {
  try {
    if (key === 'flags') signed(value);
    else if (key === 'reported-model') {
      if (proxmoxType(value, server) === undefined)
        return `"${value}" is no model of qemu-server ${server}, so kvm64 stands${didYouMean(value, proxmoxModels())}`;
    } else if (key === 'hidden') {
      if (!/^[01]$/.test(value)) return 'hidden is 0 or 1';
    } else {
      checkKey(key, server);
      if (key === 'cputype' || !TAKES[key]!(value)) return `${key} does not take "${value}"`;
    }
    return null;
  } catch (error) {
    if (error instanceof CountsAsNone) return error.message;
    throw error;
  }
}
