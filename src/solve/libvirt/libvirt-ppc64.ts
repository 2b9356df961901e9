// libvirt's rules for POWER: processors are told apart by their version register and compared by name.
import type { LibvirtMap, Ppc64Parts } from '../../cpu/catalog/libvirt-map.ts';
import type { LibvirtCpu } from '../../cpu/cpu-element.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { ModelList } from '../../cpu/model-lists.ts';
import { type LibvirtVerdict, refuse } from './libvirt-verdict.ts';
import { type CpuInput, guestStub, hostStub } from './spelt-out.ts';

type Ppc64Model = Ppc64Parts['models'][number];

/** Names of early steppings, from before libvirt knew the processors by generation. */
const LEGACY = new Set(['POWER7_v2.1', 'POWER7_v2.3', 'POWER7+_v2.1', 'POWER8_v1.0']);
const COMPAT_MODE = /^power(\d+)$/;
const GENERATION = /^POWER(\d+)$/;

/** The name that libvirt puts in the place of an early stepping's. */
export const currentPpcName = (name: string): string =>
  LEGACY.has(name) ? name.split(/\+?_v/, 1)[0]! : name;

function ppcModelOf(map: LibvirtMap, where: string, name: string): Ppc64Model {
  const model = map.ppc64.models.find((m) => m.name === name);
  if (!model)
    throw new QueryError(
      `${where}: ${map.stack} knows no POWER model "${name}"; it knows ${map.ppc64.models.map((m) => m.name).join(', ')}`,
    );
  return model;
}

/** The host whose processor version register reads so. */
export function ppcDecode(map: LibvirtMap, where: string, pvr: number): LibvirtCpu {
  const model = map.ppc64.models.find((m) =>
    m.pvr.some(({ value, mask }) => (pvr & mask) >>> 0 === value),
  );
  if (!model)
    throw new QueryError(
      `${where}: ${map.stack} knows no POWER processor with PVR 0x${pvr.toString(16).padStart(8, '0')}`,
    );
  return { ...hostStub('ppc64'), model: model.name, vendor: model.vendor };
}

/** The CPU of a guest that is to be just this host, in the models that the hypervisor offers; null offers all. */
export function ppcGuest(where: string, host: LibvirtCpu, models: ModelList | null): LibvirtCpu {
  if (models && !models.has(host.model!))
    throw new QueryError(`${where}: the hypervisor does not offer CPU model "${host.model}"`);
  const { arch, model, vendor } = host;
  return { ...guestStub(arch, 'forbid'), model, vendor };
}

export function ppcBaseline(
  map: LibvirtMap,
  inputs: readonly CpuInput[],
  arch: string,
): LibvirtCpu {
  const { where, cpu } = inputs[0]!;
  const model = ppcModelOf(map, where, cpu.model!);
  let vendor: string | null = null;
  for (const other of inputs) {
    if (other.cpu.model !== model.name)
      throw new QueryError(
        `${other.where}: its CPU is a ${other.cpu.model}, that of ${where} a ${model.name}; libvirt finds no baseline of two POWER models`,
      );
    const own = other.cpu.vendor;
    if (own === null) continue;
    if (!map.ppc64.vendors.includes(own))
      throw new QueryError(`${other.where}: ${map.stack} knows no POWER vendor "${own}"`);
    if (model.vendor !== null && own !== model.vendor)
      throw new QueryError(
        `${other.where}: the vendor is "${own}", but ${model.name} is one of ${model.vendor}'s`,
      );
    if (vendor !== null && own !== vendor)
      throw new QueryError(`${other.where}: the vendor is "${own}", that of others "${vendor}"`);
    vendor = own;
  }
  return {
    ...guestStub(arch, 'forbid'),
    model: model.name,
    vendor: model.vendor === null ? vendor : null,
  };
}

/** Verdict on a CPU whose architecture and vendor suit the host already. */
export function ppcCompare(
  map: LibvirtMap,
  host: CpuInput,
  { where, cpu }: CpuInput,
): LibvirtVerdict {
  const own = ppcModelOf(map, host.where, host.cpu.model!);
  if (cpu.type === 'guest' && cpu.mode === 'host-model')
    return compareMode(where, own.name, cpu.model);
  if (cpu.type === 'guest' && cpu.mode !== 'custom') return { verdict: 'identical' };
  const asked = ppcModelOf(map, where, currentPpcName(cpu.model ?? ''));
  return asked.name === own.name
    ? { verdict: 'identical' }
    : refuse('model', `the host is a ${own.name}, not the ${asked.name} that is required`);
}

/** A host-model may ask for the compatibility mode of an older generation. */
function compareMode(where: string, host: string, mode: string | null): LibvirtVerdict {
  if (mode === null) return { verdict: 'identical' };
  const has = Number(host.match(GENERATION)?.[1] ?? Number.NaN);
  const wants = Number(mode.match(COMPAT_MODE)?.[1] ?? Number.NaN);
  for (const [text, n] of [
    [host, has],
    [mode, wants],
  ] as const)
    if (!(n >= 6 && n <= 10))
      throw new QueryError(
        `${where}: "${text}" has no compatibility mode; modes are power6 to power10`,
      );
  return wants > has
    ? refuse('model', `the host is a ${host}, which cannot run in ${mode} mode`)
    : { verdict: 'identical' };
}

export const ppcUpdate = (cpu: LibvirtCpu): LibvirtCpu =>
  cpu.mode === 'custom' ? { ...cpu, match: 'exact' } : cpu;
