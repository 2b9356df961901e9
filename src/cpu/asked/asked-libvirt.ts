// What libvirt makes of a guest's <cpu> when it starts it, and what it refuses.
import {
  clearBit,
  emptyRow,
  hasBit,
  isEmpty,
  join,
  meet,
  minus,
  type Row,
  setBit,
} from '../../core/rows.ts';
import type { Catalog, Feature, Vendor } from '../catalog/catalog.ts';
import type { CpuCheck, LibvirtCpu, Policy } from '../cpu-element.ts';
import type { AskedOfLibvirt } from '../guest.ts';
import { type Need, needing, type Software } from '../need.ts';
import { byBytes, compareVersions } from '../order.ts';
import { tcgRow } from '../qemu/accelerators.ts';
import type { Expansion } from '../qemu/expand.ts';
import {
  checkModel,
  expanded,
  ofExpansion,
  ofTheHost,
  placeOf,
  Refused,
  type ResolvedCpu,
  UnsettledGuest,
} from './asked-qemu.ts';

/** What libvirt asks QEMU for where a domain names no CPU. */
const DEFAULT_MODEL = 'qemu64';
/** The first libvirt that starts a guest with match='strict' though the host has more (tried on 9.0, 11.3 and 12.9). */
const STRICT_STARTS_SINCE = '11.3';
/** Switches of the operating system, which libvirt takes without having a name for them. */
const TAKEN_UNNAMED: ReadonlySet<string> = new Set(['osxsave', 'ospke']);

/** The need of a guest by libvirt's element. */
export function ofLibvirt(
  catalog: Catalog,
  asked: AskedOfLibvirt,
  software: Software,
): ResolvedCpu {
  const { element: cpu } = asked;
  checkWords(catalog, cpu, software.libvirt);
  if (cpu.mode !== 'custom' || cpu.match === 'minimum')
    return { need: ofTheHosts(catalog, asked, software), expansion: null };
  const model = cpu.model ?? DEFAULT_MODEL;
  checkLibvirtModel(catalog, model, cpu, software.libvirt);
  if (isReplaced(catalog, cpu, software))
    return { need: ofReplaced(catalog, asked, software), expansion: null };
  checkModel(catalog, model, software);
  const where = placeOf(catalog, asked, software);
  const e = expanded(catalog, argumentOf(catalog, asked, software.libvirt), where);
  const check = checkOf(asked);
  if (check === 'full') checkFull(catalog, asked, e, software.libvirt);
  const need = ofExpansion(catalog, e, excusedBy(catalog, asked));
  return { expansion: e, need: checked(catalog, asked, need, software) };
}

/** How far libvirt looks before it starts a guest, where the element does not say. */
const checkOf = ({ element, accelerator }: AskedOfLibvirt): CpuCheck =>
  element.check ?? (accelerator === 'tcg' ? 'none' : 'partial');

/** Whether a guest starts without what is not there, by how far libvirt looks: partly at the processor alone. */
const POORER: Readonly<Record<CpuCheck, Need['startsPoorer']>> = {
  none: 'yes',
  partial: 'perhaps',
  full: 'no',
};

/** What is asked for and may lack. */
function excusedBy(catalog: Catalog, asked: AskedOfLibvirt): Row {
  const optional = rowOfPolicy(catalog, asked.element, 'optional');
  // A full check finds that a forced feature is not there.
  if (checkOf(asked) === 'full') return optional;
  return join(optional, rowOfPolicy(catalog, asked.element, 'force'));
}

/** A need with what libvirt itself looks at before it starts a guest. */
function checked(catalog: Catalog, asked: AskedOfLibvirt, need: Need, software: Software): Need {
  const { element: cpu, accelerator } = asked;
  const check = checkOf(asked);
  const none = emptyRow(catalog.bits);
  const isEmulated = accelerator === 'tcg';
  const excused = excusedBy(catalog, asked);
  const held = check === 'partial' ? heldByCheck(catalog, cpu, excused, software.libvirt) : none;
  if (isEmulated) refuseHeld(catalog, minus(held, offeredByTcg(catalog, software.qemu)));
  const isStrict =
    check !== 'none' &&
    cpu.match === 'strict' &&
    compareVersions(software.libvirt, STRICT_STARTS_SINCE) < 0;
  return {
    ...need,
    // Plain emulation is of any vendor.
    vendor: isEmulated ? null : vendorOf(catalog, cpu, need.vendor),
    physBits: cpu.maxphysaddr?.mode === 'emulate' ? cpu.maxphysaddr.bits : need.physBits,
    models:
      isEmulated || cpu.model === null
        ? []
        : [{ name: cpu.model, product: 'libvirt', alone: asked.byName }],
    held: isEmulated ? none : minus(held, need.features),
    // Without a check nobody looks whether what is forbidden is there, or anything left over.
    forbid: check === 'none' ? none : rowOfPolicy(catalog, cpu, 'forbid'),
    whole: isStrict ? join(need.features, excused) : null,
    startsPoorer: POORER[check],
  };
}

/**
 * What a partial check holds against the host. Of a model that its map does not call comparable libvirt asks QEMU
 * whether it is usable, so the features written beside it are all that is left; but of one that is the least, for
 * which QEMU is not asked.
 */
function heldByCheck(catalog: Catalog, cpu: LibvirtCpu, excused: Row, libvirt: string): Row {
  const model = cpu.model === null ? null : catalog.libvirtModel(cpu.model, libvirt);
  const isAskedOfQemu = model !== null && !model.compat && cpu.match !== 'minimum';
  const written = isAskedOfQemu ? { ...cpu, model: null } : cpu;
  return heldByLibvirt(catalog, written, excused, libvirt);
}

/** What libvirt's own map has of a model and its features. */
function heldByLibvirt(catalog: Catalog, cpu: LibvirtCpu, excused: Row, libvirt: string): Row {
  const never = catalog.rowWhere((f) => f.merge === 'never');
  return minus(minus(writtenRow(catalog, cpu, libvirt), excused), never);
}

/** The model's features by libvirt's map with what the element switches. */
function writtenRow(catalog: Catalog, cpu: LibvirtCpu, libvirt: string): Row {
  const map = cpu.model === null ? null : catalog.libvirtFeatures(cpu.model, libvirt);
  const row = (map ?? emptyRow(catalog.bits)).slice();
  for (const { name, policy } of cpu.features) {
    const feature = findFeature(catalog, name);
    if (!feature || policy === 'optional') continue;
    (isOn(policy) ? setBit : clearBit)(row, feature.id);
  }
  return row;
}

const isOn = (policy: Policy | null): boolean =>
  policy === null || policy === 'require' || policy === 'force';

/** What libvirt finds in plain emulation: what QEMU emulates, but for what it switches off by default. */
const offeredByTcg = (catalog: Catalog, qemu: string): Row =>
  minus(tcgRow(catalog, qemu), catalog.accelerators.tcg.off);

function refuseHeld(catalog: Catalog, lacking: Row): void {
  if (isEmpty(lacking)) return;
  throw new Refused(
    `libvirt's check finds that plain emulation lacks ${catalog.names(lacking).join(', ')}, so it does not start`,
  );
}

/** host-passthrough, maximum, host-model without a model of its own, and at least a model: the rest is the host's. */
function ofTheHosts(catalog: Catalog, asked: AskedOfLibvirt, software: Software): Need {
  const { element: cpu, accelerator } = asked;
  if (cpu.mode === 'host-passthrough' && accelerator === 'tcg')
    throw new Refused('host-passthrough needs KVM: libvirt starts no emulated guest with it');
  const called = cpu.mode === 'custom' ? `at least ${cpu.model ?? DEFAULT_MODEL}` : cpu.mode;
  const where = placeOf(catalog, asked, software);
  const excused = excusedBy(catalog, asked);
  const argument = hostArgumentOf(catalog, asked, software.libvirt);
  const host = ofTheHost(catalog, argument, where, called, excused);
  const need = checked(catalog, asked, host, software);
  // Nobody looks whether what is forbidden is there: without a check, or in a full one of an emulated guest.
  const isUnseen =
    checkOf(asked) === 'none' || (accelerator === 'tcg' && checkOf(asked) === 'full');
  const rest = {
    models: [],
    whole: null,
    ...(cpu.mode === 'custom' && isUnseen ? { forbid: emptyRow(catalog.bits) } : {}),
  };
  if (cpu.mode === 'custom') checkLeast(catalog, asked, software);
  if (cpu.mode !== 'custom' || accelerator === 'tcg')
    return { ...need, ...rest, held: emptyRow(catalog.bits) };
  const least = heldByLibvirt(catalog, cpu, excused, software.libvirt);
  const features = join(host.features, minus(least, catalog.accelerators.kvm.off));
  return {
    ...need,
    ...rest,
    vendor: vendorOf(catalog, cpu, catalog.libvirtModels.get(cpu.model ?? '')?.vendor ?? null),
    features,
    held: checkOf(asked) === 'partial' ? minus(least, features) : emptyRow(catalog.bits),
  };
}

/** Without a check libvirt looks at no model of which a guest asks at least. */
function checkLeast(catalog: Catalog, asked: AskedOfLibvirt, { libvirt }: Software): void {
  const { model } = asked.element;
  if (model === null || checkOf(asked) === 'none') return;
  checkLibvirtModel(catalog, model, asked.element, libvirt);
  if (!catalog.libvirtModels.has(model))
    throw new UnsettledGuest(`no libvirt that is known here has a CPU model "${model}"`);
}

/** Whether libvirt puts the nearest model in the place of one that its QEMU lacks. */
const isReplaced = (catalog: Catalog, { model, fallback }: LibvirtCpu, software: Software) =>
  model !== null &&
  fallback !== 'forbid' &&
  software.isGiven === true &&
  !catalog.hasQemuModel(model, software.qemu) &&
  catalog.libvirtFeatures(model, software.libvirt) !== null;

/** A guest whose model QEMU lacks gets what libvirt's map has of it, by whatever name. */
function ofReplaced(catalog: Catalog, asked: AskedOfLibvirt, software: Software): Need {
  const { element: cpu, accelerator } = asked;
  const { qemu } = placeOf(catalog, asked, software);
  const excused = excusedBy(catalog, asked);
  const features = minus(
    heldByLibvirt(catalog, cpu, excused, software.libvirt),
    catalog.accelerators[accelerator].off,
  );
  const { on } = catalog.accelerators[accelerator];
  if (checkOf(asked) === 'full')
    checkGiven(
      catalog,
      cpu,
      [on, catalog.row(['hypervisor'])].reduce(join, features),
      software.libvirt,
    );
  const isEmulated = accelerator === 'tcg';
  const lacking = isEmulated ? minus(features, tcgRow(catalog, qemu)) : emptyRow(catalog.bits);
  const need = needing(emptyRow(catalog.bits), {
    arch: 'x86_64',
    vendor: catalog.libvirtModel(cpu.model!, software.libvirt)!.vendor,
    tscHz: isEmulated ? null : asked.tscHz,
    poorer: isEmpty(lacking)
      ? null
      : `starts, without ${catalog.names(lacking).join(', ')}, which plain emulation (tcg) lacks`,
  });
  // Which model stands in for it libvirt alone decides, so what it lacks is not known for certain.
  const seen = checked(catalog, asked, need, software);
  return { ...seen, held: isEmulated ? seen.held : join(seen.held, features), models: [] };
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
    throw new Refused(
      `of another vendor: its <vendor> is ${said} and its model one of ${ofModel}, and no host is both`,
    );
  return said;
}

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
  checkGiven(catalog, cpu, given, libvirt);
}

/** The same for what a guest is given, however that came about. */
function checkGiven(catalog: Catalog, cpu: LibvirtCpu, given: Row, libvirt: string): void {
  const map = catalog.libvirtFeatures(cpu.model ?? DEFAULT_MODEL, libvirt);
  const written = (map ?? given).slice();
  for (const { name, policy } of cpu.features) {
    const feature = findFeature(catalog, name);
    if (!feature) continue;
    (isOn(policy) ? setBit : clearBit)(written, feature.id);
    // Optional is whatever came of it.
    if (policy === 'optional') (hasBit(given, feature.id) ? setBit : clearBit)(written, feature.id);
  }
  const words = meet(
    catalog.nameable('libvirt', libvirt),
    catalog.rowWhere((f) => f.qemu !== null),
  );
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
export const argumentOf = (catalog: Catalog, asked: AskedOfLibvirt, libvirt: string): string =>
  asked.element.mode === 'custom' && asked.element.match !== 'minimum'
    ? withClock(cpuArgumentOf(catalog, asked.element, libvirt), asked)
    : hostArgumentOf(catalog, asked, libvirt);

/** The same of a guest with the CPU of its host. */
const hostArgumentOf = (catalog: Catalog, asked: AskedOfLibvirt, libvirt: string): string =>
  withClock(
    cpuArgumentOf(
      catalog,
      { ...asked.element, mode: 'host-passthrough', vendorId: null, maxphysaddr: null },
      libvirt,
    ),
    asked,
  );

const withClock = (cpu: string, { tscHz }: AskedOfLibvirt): string =>
  tscHz === null ? cpu : `${cpu},tsc-frequency=${tscHz}`;

/** What libvirt makes of a <cpu> on QEMU's command line. */
function cpuArgumentOf(catalog: Catalog, cpu: LibvirtCpu, libvirt: string): string {
  const model = cpu.mode === 'custom' ? (cpu.model ?? DEFAULT_MODEL) : 'host';
  const said = new Map<string, boolean>();
  for (const { name, policy } of cpu.features) {
    const feature = findFeature(catalog, name);
    // An optional feature is there where the host has it, and switched off elsewhere: none to count on.
    if (feature) said.set(feature.name, isOn(policy));
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
