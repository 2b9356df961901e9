// What a guest's definition asks for, once it is said which QEMU and libvirt start it: one meaning for every question.
// What these would refuse at the start is a reason here and no error, because it is an answer.
import {
  clearBit,
  emptyRow,
  hasBit,
  isEmpty,
  isEqual,
  join,
  meet,
  minus,
  type Row,
  setBit,
} from '../core/rows.ts';
import { tcgRow } from './accelerators.ts';
import type { Catalog, Feature, Vendor } from './catalog.ts';
import { QueryError } from './errors.ts';
import { type Expansion, expandItems, type Surroundings } from './expand.ts';
import type { Asked, AskedOfLibvirt, AskedOfQemu } from './guest.ts';
import type { LibvirtCpu } from './libvirt.ts';
import { findMachine, machinesOf } from './machine.ts';
import { type NamedModel, type Need, needing, type Software } from './need.ts';
import { byBytes, compareVersions } from './order.ts';
import { writtenSwitches } from './properties.ts';
import { parseCpuString } from './qemu-string.ts';
import { expandCpu } from './start.ts';
import { didYouMean } from './suggest.ts';

/** What libvirt asks QEMU for where a domain names no CPU. */
const DEFAULT_MODEL = 'qemu64';
/** Models of QEMU that are whatever the host has. */
const OF_THE_HOST: ReadonlySet<string> = new Set(['host', 'max']);
/** The first libvirt that starts a guest with match='strict' though the host has more (tried on 9.0, 11.3 and 12.9). */
const STRICT_STARTS_SINCE = '11.3';
/** Switches of the operating system, which libvirt takes without having a name for them. */
const TAKEN_UNNAMED: ReadonlySet<string> = new Set(['osxsave', 'ospke']);

/** The software that starts a guest does not do so, whatever the host. */
class Refused extends Error {}
/** What the definition means is not known here. */
class Unsettled extends Error {}

/** How QEMU is asked for a guest. */
export interface Started extends Surroundings {
  readonly cpu: string;
}

/** What a guest needs of its host, as the software that starts it takes its definition. */
export function needOfAsked(catalog: Catalog, asked: Asked, software: Software): Need {
  return resolved(catalog, asked, software).need;
}

/** A need, and the CPU that QEMU makes of its definition: null where there is none, or none without a host. */
interface Resolved {
  readonly need: Need;
  readonly expansion: Expansion | null;
}

function resolved(catalog: Catalog, asked: Asked, software: Software): Resolved {
  const none = emptyRow(catalog.bits);
  const unresolved = (rest: Partial<Need>): Resolved => ({
    need: needing(none, { arch: 'x86_64', ...rest }),
    expansion: null,
  });
  try {
    return asked.by === 'qemu'
      ? ofQemu(catalog, asked, software)
      : ofLibvirt(catalog, asked, software);
  } catch (error) {
    if (error instanceof Refused) return unresolved({ refused: error.message });
    if (error instanceof Unsettled) return unresolved({ unsettled: error.message });
    throw error;
  }
}

/**
 * How QEMU is asked for the guest.
 * @throws QueryError where its CPU is the host's, is refused, or its meaning is not known.
 */
export function startOfAsked(catalog: Catalog, asked: Asked, software: Software): Started {
  try {
    const cpu = asked.by === 'qemu' ? asked.cpu : argumentOf(catalog, asked, software.libvirt);
    const { foreign: _, ...where } = placeOf(catalog, asked, software);
    return { cpu, ...where };
  } catch (error) {
    if (error instanceof Refused || error instanceof Unsettled) throw new QueryError(error.message);
    throw error;
  }
}

/** What a definition comes to where no host is looked at. */
export type Meaning =
  | { readonly is: 'cpu'; readonly expansion: Expansion; readonly need: Need }
  | { readonly is: 'own' | 'refused' | 'unsettled'; readonly because: string };

/** The same with the newest software of the catalog, for whoever takes the guest as a CPU. */
export function meaningOfAsked(catalog: Catalog, asked: Asked): Meaning {
  const { need, expansion } = resolved(catalog, asked, newestSoftware(catalog));
  if (expansion !== null) return { is: 'cpu', expansion, need };
  if (need.refused !== null) return { is: 'refused', because: need.refused };
  if (need.unsettled !== null) return { is: 'unsettled', because: need.unsettled };
  return { is: 'own', because: need.own! };
}

/** Whether a guest has the CPU of the host on which it starts. */
export const isOfHost = (asked: Asked): boolean =>
  asked.by === 'qemu'
    ? OF_THE_HOST.has(asked.cpu.split(',')[0]!) && asked.accelerator === 'kvm'
    : asked.element.mode !== 'custom';

/** The newest of each product that the catalog knows, and its newest machine type. */
export const newestSoftware = (catalog: Catalog): Software => ({
  qemu: [...catalog.learnt.keys()].at(-1) ?? catalog.versions.qemu.at(-1)!,
  libvirt: catalog.versions.libvirt.at(-1)!,
  machine: 'q35',
});

// --- where

/** Where a guest starts; a machine type that is a distribution's own is foreign to every QEMU of the catalog. */
interface Where extends Surroundings {
  readonly foreign?: string;
}

/** The machine type and the QEMU that has it; the newest machine type of the software's QEMU where none is named. */
function placeOf(catalog: Catalog, { machine, accelerator }: Asked, software: Software): Where {
  // Proxmox VE counts revisions of its own behind upstream's name.
  const name = (machine ?? software.machine).replace(/\+pve\d+$/, '');
  const has = (qemu: string): boolean => {
    try {
      return findMachine(catalog, name, qemu) !== undefined;
    } catch (error) {
      if (error instanceof QueryError) return false;
      throw error;
    }
  };
  if (has(software.qemu)) return { machine: name, qemu: software.qemu, accelerator };
  const other = catalog.versions.qemu.toReversed().find(has);
  if (other === undefined)
    return { machine: software.machine, qemu: software.qemu, accelerator, foreign: name };
  if (software.isGiven)
    throw new Refused(`QEMU ${software.qemu} has no machine type "${name}", so it does not start`);
  return { machine: name, qemu: other, accelerator };
}

/** What a CPU is on a machine type that is not known here, is known where it is the same on all that are. */
function checkForeign(catalog: Catalog, cpu: string, like: Expansion, foreign: string): void {
  const { qemu, accelerator } = like;
  for (const { name: machine } of machinesOf(catalog, qemu)) {
    if (!machine.startsWith('pc-')) continue;
    const other = expandCpu(catalog, cpu, { machine, qemu, accelerator });
    if (isEqual(other.features, like.features) && isEqual(other.orphaned, like.orphaned)) continue;
    throw new Unsettled(
      `its machine type "${foreign}" is of no QEMU that is known here, and "${cpu}" is not the same CPU on all machine types`,
    );
  }
}

// --- by a -cpu argument

function ofQemu(catalog: Catalog, asked: AskedOfQemu, software: Software): Resolved {
  const where = placeOf(catalog, asked, software);
  const { model } = parsed(asked.cpu);
  checkModel(catalog, model);
  if (isOfHost(asked)) return { need: ofTheHost(catalog, asked.cpu, where), expansion: null };
  const expansion = expanded(catalog, asked.cpu, where);
  return { need: ofExpansion(catalog, expansion), expansion };
}

function parsed(cpu: string): ReturnType<typeof parseCpuString> {
  try {
    return parseCpuString(cpu);
  } catch (error) {
    if (error instanceof QueryError) throw new Refused(error.message);
    throw error;
  }
}

/** A model that no software of the catalog knows may be newer than all of it. */
function checkModel(catalog: Catalog, model: string): void {
  if (catalog.qemuModels.has(model) || OF_THE_HOST.has(model)) return;
  throw new Unsettled(
    `no QEMU that is known here has a CPU model "${model}"${didYouMean(model, [...catalog.qemuModels.keys()])}; if there is one, it is newer than ${catalog.versions.qemu.at(-1)}`,
  );
}

function expanded(catalog: Catalog, cpu: string, { foreign, ...where }: Where): Expansion {
  try {
    const expansion = expandCpu(catalog, cpu, where);
    if (foreign !== undefined) checkForeign(catalog, cpu, expansion, foreign);
    return expansion;
  } catch (error) {
    if (error instanceof QueryError) throw new Refused(error.message);
    throw error;
  }
}

function ofTheHost(catalog: Catalog, cpu: string, where: Where): Need {
  const { model, items } = parsed(cpu);
  let e: Expansion;
  try {
    e = expandItems(catalog, { model, items }, where, [], { hostless: true });
  } catch (error) {
    if (error instanceof QueryError) throw new Refused(`-cpu "${cpu}": ${error.message}`);
    throw error;
  }
  const row = ofTheProcessor(catalog, e);
  return needing(emptyRow(catalog.bits), {
    arch: 'x86_64',
    features: row,
    own: `its CPU is ${model}: it takes that of the host on which it starts, and moves to equals alone`,
    startsPoorer: e.properties.enforce !== true,
  });
}

/** The need of a CPU that QEMU makes of a definition. */
function ofExpansion(catalog: Catalog, e: Expansion, more: Partial<Need> = {}): Need {
  const { vendor: named, 'phys-bits': bits, 'tsc-frequency': hz } = e.properties;
  const model = catalog.qemuModels.get(e.resolved)!;
  const isEmulated = e.accelerator === 'tcg';
  const enforced = e.properties.enforce === true;
  const poorer = poorerReason(catalog, e);
  if (poorer !== null && enforced)
    throw new Refused(
      `${poorer.replace(/^starts, without/, `QEMU ${e.qemu} with enforce refuses`)}`,
    );
  const features = isEmulated ? emptyRow(catalog.bits) : ofTheProcessor(catalog, e);
  const invtsc = catalog.feature('invtsc').id;
  const isFixed = typeof hz === 'number' && hz > 0;
  const ownsVendor = model.vendor !== null || e.named.has('vendor');
  return needing(emptyRow(catalog.bits), {
    arch: 'x86_64',
    vendor: isEmulated || !ownsVendor ? null : catalog.vendor(String(named)),
    features,
    physBits:
      isEmulated || e.properties['host-phys-bits'] === true || !(Number(bits) > 0)
        ? null
        : Number(bits),
    tscHz: isEmulated || !isFixed ? null : (hz as number),
    emulated: isEmulated,
    own:
      hasBit(features, invtsc) && !isFixed
        ? 'it has invtsc without a fixed tsc-frequency: it starts where invtsc is there, and QEMU does not let it move'
        : null,
    models: isEmulated ? [] : [{ name: e.model, product: 'qemu', alone: false }],
    startsPoorer: !enforced,
    poorer,
    ...more,
  });
}

/** What QEMU leaves out of a CPU, whatever the host; null where it leaves nothing out. */
function poorerReason(catalog: Catalog, e: Expansion): string | null {
  if (!isEmpty(e.orphaned))
    return `starts, without ${catalog.names(e.orphaned).join(', ')}, because a feature that it needs is off`;
  if (e.accelerator === 'tcg') {
    const lacking = catalog.names(minus(e.features, tcgRow(catalog, e.qemu)));
    return lacking.length === 0
      ? null
      : `starts, without ${lacking.join(', ')}, which plain emulation (tcg) lacks`;
  }
  const { refused } = writtenSwitches(catalog, e.qemu);
  const off = writtenOn(catalog, e).filter((f) => refused.includes(f.name));
  return off.length === 0
    ? null
    : `starts, without ${off.map((f) => f.name).join(', ')}, which QEMU ${e.qemu} gives no guest that asks for it`;
}

/**
 * What it asks of the host's processor. What the topology, the operating system or QEMU itself sets is asked of no
 * host, but for a switch that is written on: QEMU takes it, refuses it, or asks the host for it.
 */
function ofTheProcessor(catalog: Catalog, e: Expansion): Row {
  const never = catalog.rowWhere((f) => f.merge === 'never');
  if (e.accelerator !== 'kvm') return minus(e.features, never);
  const { taken, refused } = writtenSwitches(catalog, e.qemu);
  for (const f of writtenOn(catalog, e))
    if (!taken.includes(f.name) && !refused.includes(f.name)) clearBit(never, f.id);
  return minus(e.features, never);
}

/** Switches that are no matter of the processor and are written on all the same. */
const writtenOn = (catalog: Catalog, e: Expansion): Feature[] =>
  e.string.items
    .flatMap(({ name }) => catalog.findQemu(name) ?? [])
    .filter((f) => f.merge === 'never' && hasBit(e.features, f.id));

// --- by libvirt's element

function ofLibvirt(catalog: Catalog, asked: AskedOfLibvirt, software: Software): Resolved {
  const { element: cpu } = asked;
  checkWords(catalog, cpu, software.libvirt);
  const check = cpu.check ?? (asked.accelerator === 'tcg' ? 'none' : 'partial');
  // Without a check nobody looks whether what is forbidden is there.
  const forbid = check === 'none' ? emptyRow(catalog.bits) : rowOfPolicy(catalog, cpu, 'forbid');
  if (cpu.mode !== 'custom')
    return { need: ofLibvirtHost(catalog, asked, forbid), expansion: null };
  const where = placeOf(catalog, asked, software);
  const model = cpu.model ?? DEFAULT_MODEL;
  checkModel(catalog, model);
  checkLibvirtModel(catalog, model, cpu, software.libvirt);
  const e = expanded(catalog, argumentOf(catalog, asked, software.libvirt), where);
  if (cpu.check === 'full') checkFull(catalog, asked, e, software.libvirt);
  const need = ofExpansion(catalog, e, {
    forbid,
    models: modelsOf(asked, model),
    startsPoorer: cpu.model === null || check === 'none',
  });
  // A full check finds that a forced feature is not there.
  const forced = check === 'full' ? emptyRow(catalog.bits) : rowOfPolicy(catalog, cpu, 'force');
  const optional = join(forced, rowOfPolicy(catalog, cpu, 'optional'));
  return {
    expansion: e,
    need: {
      ...need,
      features: minus(need.features, optional),
      vendor: vendorOf(catalog, cpu, need.vendor),
      whole: isStrict(cpu, software.libvirt) ? join(need.features, optional) : null,
    },
  };
}

const modelsOf = ({ accelerator, byName }: AskedOfLibvirt, model: string): NamedModel[] =>
  accelerator === 'tcg' ? [] : [{ name: model, product: 'libvirt', alone: byName }];

/** host-passthrough, maximum, and host-model without a model of its own. */
function ofLibvirtHost(
  catalog: Catalog,
  { element: cpu, tscHz }: AskedOfLibvirt,
  forbid: Row,
): Need {
  const never = catalog.rowWhere((f) => f.merge === 'never');
  return needing(emptyRow(catalog.bits), {
    arch: cpu.arch ?? 'x86_64',
    vendor: cpu.vendor === null ? null : catalog.vendor(cpu.vendor),
    features: minus(rowOfPolicy(catalog, cpu, 'require'), never),
    forbid,
    tscHz,
    own: `its CPU is ${cpu.mode}: it takes that of the host on which it starts, and moves to equals alone`,
  });
}

/** libvirt refuses a word that it does not know, even one that is to be off. */
function checkWords(catalog: Catalog, cpu: LibvirtCpu, libvirt: string): void {
  const unknown = cpu.features.filter(({ name }) => !knowsWord(catalog, name, libvirt));
  if (unknown.length > 0)
    throw new Refused(
      `libvirt ${libvirt} knows no CPU feature ${unknown.map((f) => `"${f.name}"`).join(', ')}, so it does not start`,
    );
}

function knowsWord(catalog: Catalog, name: string, libvirt: string): boolean {
  if (TAKEN_UNNAMED.has(name)) return true;
  const feature = catalog.findLibvirt(name);
  return feature !== undefined && hasBit(catalog.nameable('libvirt', libvirt), feature.id);
}

function checkLibvirtModel(
  catalog: Catalog,
  model: string,
  cpu: LibvirtCpu,
  libvirt: string,
): void {
  // Without a <model> libvirt leaves the choice to QEMU.
  if (cpu.model === null || !catalog.libvirtModels.has(model)) return;
  if (catalog.libvirtModel(model, libvirt) === null)
    throw new Refused(`libvirt ${libvirt} knows no CPU model "${model}", so it does not start`);
}

/** The vendor that it needs: that of <vendor> and that of the model. */
function vendorOf(catalog: Catalog, cpu: LibvirtCpu, ofModel: Vendor | null): Vendor | null {
  if (cpu.vendor === null) return ofModel;
  const said = catalog.vendor(cpu.vendor);
  if (ofModel !== null && ofModel !== said && cpu.vendorId === null)
    throw new Refused(`its <vendor> is ${said} and its model one of ${ofModel}: no host is both`);
  return said;
}

const isStrict = (cpu: LibvirtCpu, libvirt: string): boolean =>
  cpu.match === 'strict' && compareVersions(libvirt, STRICT_STARTS_SINCE) < 0;

function rowOfPolicy(catalog: Catalog, cpu: LibvirtCpu, wanted: string): Row {
  const row = emptyRow(catalog.bits);
  for (const { name, policy } of cpu.features) {
    const feature = findFeature(catalog, name);
    if (feature && (policy ?? 'require') === wanted) setBit(row, feature.id);
  }
  return row;
}

/** check='full': what QEMU gives must be what is written, as far as libvirt has words for it. */
function checkFull(catalog: Catalog, asked: AskedOfLibvirt, e: Expansion, libvirt: string): void {
  const { element: cpu, threads } = asked;
  const given = e.features.slice();
  const topology = ['ht', ...(cpu.vendor === 'AMD' || ofAmd(catalog, e) ? ['cmp-legacy'] : [])];
  for (const name of topology) (threads > 1 ? setBit : clearBit)(given, catalog.feature(name).id);
  const written = (
    catalog.libvirtFeatures(cpu.model ?? DEFAULT_MODEL, libvirt) ?? e.features
  ).slice();
  for (const { name, policy } of cpu.features) {
    const feature = findFeature(catalog, name);
    if (!feature) continue;
    const isOn = policy === null || policy === 'require' || policy === 'force';
    (isOn ? setBit : clearBit)(written, feature.id);
    // Optional is whatever came of it.
    if (policy === 'optional') (hasBit(given, feature.id) ? setBit : clearBit)(written, feature.id);
  }
  const words = catalog.nameable('libvirt', libvirt);
  const extra = catalog.names(meet(minus(given, written), words));
  const missing = catalog.names(meet(minus(written, given), words));
  if (extra.length + missing.length === 0) return;
  throw new Refused(
    `libvirt stops it, because of check='full': ${[
      ...(extra.length > 0 ? [`extra features: ${extra.join(', ')}`] : []),
      ...(missing.length > 0 ? [`missing features: ${missing.join(', ')}`] : []),
    ].join('; ')} (the list must be whole: what QEMU adds by itself, too)`,
  );
}

const ofAmd = (catalog: Catalog, e: Expansion): boolean =>
  ['AMD', 'Hygon'].includes(catalog.vendor(String(e.properties.vendor)) ?? '');

/** The feature of a name in libvirt's spelling, or in any other that people write. */
export const findFeature = (catalog: Catalog, name: string): Feature | undefined =>
  catalog.findLibvirt(name) ?? catalog.find(name);

/** What libvirt makes of a guest's CPU on QEMU's command line; of one that is the host's, what it says beside. */
const argumentOf = (
  catalog: Catalog,
  { element, tscHz }: AskedOfLibvirt,
  libvirt: string,
): string =>
  [
    cpuArgumentOf(catalog, element, libvirt),
    ...(tscHz === null ? [] : [`tsc-frequency=${tscHz}`]),
  ].join(',');

/** What libvirt makes of a <cpu> on QEMU's command line. */
export function cpuArgumentOf(catalog: Catalog, cpu: LibvirtCpu, libvirt: string): string {
  const model = cpu.mode === 'custom' ? (cpu.model ?? DEFAULT_MODEL) : 'host';
  const said = new Map<string, boolean>();
  for (const { name, policy } of cpu.features) {
    const feature = findFeature(catalog, name);
    // An optional feature is there where the host has it, and switched off elsewhere: none to count on.
    if (feature)
      said.set(feature.name, policy === null || policy === 'require' || policy === 'force');
  }
  // libvirt switches off what it took out of a model, unless the guest asks for it.
  for (const id of catalog.libvirtModel(model, libvirt)?.removed ?? []) {
    const { name } = catalog.features[id]!;
    if (!said.has(name)) said.set(name, false);
  }
  const words = [...said]
    // libvirt leaves features out that QEMU has no name for (cmt and kin).
    .filter(([name]) => catalog.findQemu(name)?.qemu != null)
    .sort(([a], [b]) => byBytes(a, b));
  return [
    model,
    ...(cpu.vendorId === null ? [] : [`vendor=${cpu.vendorId}`]),
    ...words.map(([name, on]) => `${name}=${on ? 'on' : 'off'}`),
    ...(cpu.maxphysaddr?.mode === 'emulate' && cpu.maxphysaddr.bits !== null
      ? [`phys-bits=${cpu.maxphysaddr.bits}`]
      : []),
    ...(cpu.maxphysaddr?.mode === 'passthrough' ? ['host-phys-bits=on'] : []),
  ].join(',');
}
