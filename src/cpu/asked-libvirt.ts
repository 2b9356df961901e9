// What libvirt makes of a guest's <cpu> when it starts it, and what it refuses.

import { clearBit, emptyRow, hasBit, join, meet, minus, type Row, setBit } from '../core/rows.ts';
import {
  checkModel,
  expanded,
  ofExpansion,
  placeOf,
  Refused,
  type Resolved,
} from './asked-qemu.ts';
import type { Catalog, Feature, Vendor } from './catalog.ts';
import type { Expansion } from './expand.ts';
import type { AskedOfLibvirt } from './guest.ts';
import type { LibvirtCpu } from './libvirt.ts';
import { type NamedModel, type Need, needing, type Software } from './need.ts';
import { byBytes, compareVersions } from './order.ts';

/** What libvirt asks QEMU for where a domain names no CPU. */
const DEFAULT_MODEL = 'qemu64';
/** The first libvirt that starts a guest with match='strict' though the host has more (tried on 9.0, 11.3 and 12.9). */
const STRICT_STARTS_SINCE = '11.3';
/** Switches of the operating system, which libvirt takes without having a name for them. */
const TAKEN_UNNAMED: ReadonlySet<string> = new Set(['osxsave', 'ospke']);

/** The need of a guest by libvirt's element. */
export function ofLibvirt(catalog: Catalog, asked: AskedOfLibvirt, software: Software): Resolved {
  const { element: cpu } = asked;
  checkWords(catalog, cpu, software.libvirt);
  const check = cpu.check ?? (asked.accelerator === 'tcg' ? 'none' : 'partial');
  // Without a check nobody looks whether what is forbidden is there.
  const forbid = check === 'none' ? emptyRow(catalog.bits) : rowOfPolicy(catalog, cpu, 'forbid');
  if (cpu.mode !== 'custom')
    return { need: ofLibvirtHost(catalog, asked, forbid), expansion: null };
  const model = cpu.model ?? DEFAULT_MODEL;
  checkLibvirtModel(catalog, model, cpu, software.libvirt);
  checkModel(catalog, model, software);
  const where = placeOf(catalog, asked, software);
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
      // Plain emulation is of any vendor.
      vendor: asked.accelerator === 'tcg' ? null : vendorOf(catalog, cpu, need.vendor),
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
export const argumentOf = (
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
