// What QEMU makes of a -cpu argument where it starts a guest: the CPU, what it asks of the host, what QEMU refuses.
import { clearBit, emptyRow, hasBit, isEqual, minus, type Row } from '../../core/rows.ts';
import type { Catalog, Feature } from '../catalog/catalog.ts';
import { didYouMean } from '../catalog/suggest.ts';
import { parseCpuString } from '../cpu-string.ts';
import { QueryError } from '../errors.ts';
import type { AskedOfQemu, Started } from '../guest.ts';
import { type Need, needing, type Software } from '../need.ts';
import { tcgRow } from '../qemu/accelerators.ts';
import { type Expansion, expandItems, type Surroundings } from '../qemu/expand.ts';
import { findMachine, machinesOf } from '../qemu/machine.ts';
import { writtenSwitches } from '../qemu/properties.ts';
import { expandCpu } from '../qemu/qemu-start.ts';

/** Models of QEMU that are whatever the host has. */
const OF_THE_HOST: ReadonlySet<string> = new Set(['host', 'max']);

/** Machine types as QEMU itself names them; distributions add names of their own. */
const UPSTREAM = /^pc-(?:q35|i440fx)-\d+\.\d+$/;

/** The software that starts a guest does not do so, whatever the host. */
export class Refused extends Error {}
/** What the definition means is not known here. */
export class UnsettledGuest extends Error {}

/** A need, and the CPU that QEMU makes of its definition: null where there is none, or none without a host. */
export interface ResolvedCpu {
  readonly need: Need;
  readonly expansion: Expansion | null;
}

/** Where a guest starts; a machine type that is a distribution's own is foreign to every QEMU of the catalog. */
export interface GuestPlace extends Surroundings {
  readonly foreign?: string;
}

/** The machine type and the QEMU that has it; the newest machine type of the software's QEMU where none is named. */
export function placeOf(
  catalog: Catalog,
  { machine, accelerator }: Started,
  software: Software,
): GuestPlace {
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
  if (other === undefined && software.isGiven && UPSTREAM.test(name))
    throw new Refused(`QEMU ${software.qemu} has no machine type "${name}", so it does not start`);
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
    throw new UnsettledGuest(
      `its machine type "${foreign}" is of no QEMU that is known here, and "${cpu}" is not the same CPU on all machine types`,
    );
  }
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
export function checkModel(catalog: Catalog, model: string, software: Software): void {
  if (catalog.qemuModels.has(model) || OF_THE_HOST.has(model)) return;
  if (software.isGiven)
    throw new Refused(
      `QEMU ${software.qemu} has no CPU model "${model}"${didYouMean(model, [...catalog.qemuModels.keys()])}, so it does not start`,
    );
  throw new UnsettledGuest(
    `no QEMU that is known here has a CPU model "${model}"${didYouMean(model, [...catalog.qemuModels.keys()])}; if there is one, it is newer than ${catalog.versions.qemu.at(-1)}`,
  );
}

export function expanded(
  catalog: Catalog,
  cpu: string,
  { foreign, ...where }: GuestPlace,
): Expansion {
  try {
    const expansion = expandCpu(catalog, cpu, where);
    if (foreign !== undefined) checkForeign(catalog, cpu, expansion, foreign);
    return expansion;
  } catch (error) {
    if (error instanceof QueryError) throw new Refused(error.message);
    throw error;
  }
}

/**
 * The need of a CPU that QEMU makes of a definition.
 * @param excused features that are asked for and may lack
 */
export function ofExpansion(
  catalog: Catalog,
  e: Expansion,
  excused: Row = emptyRow(catalog.bits),
): Need {
  const model = catalog.qemuModels.get(e.resolved)!;
  const isEmulated = e.accelerator === 'tcg';
  const enforced = e.properties.enforce === true;
  const poorer = poorerReason(catalog, e, excused);
  if (poorer !== null && enforced)
    throw new Refused(poorer.replace(/^starts, without/, `QEMU ${e.qemu} with enforce refuses`));
  const features = isEmulated ? emptyRow(catalog.bits) : ofTheProcessor(catalog, e, excused);
  const tscHz = isEmulated ? null : fixedHz(e);
  const ownsVendor = model.vendor !== null || e.named.has('vendor');
  return needing(emptyRow(catalog.bits), {
    arch: 'x86_64',
    vendor: isEmulated || !ownsVendor ? null : catalog.vendor(String(e.properties.vendor)),
    features,
    physBits: isEmulated ? null : ownBits(e),
    tscHz,
    own:
      hasBit(features, catalog.feature('invtsc').id) && tscHz === null
        ? 'it has invtsc without a fixed tsc-frequency: it starts where invtsc is there, and QEMU does not let it move'
        : null,
    models: isEmulated ? [] : [{ name: e.model, product: 'qemu', alone: null }],
    startsPoorer: enforced ? 'no' : 'yes',
    poorer,
  });
}

/** The frequency in Hz that its time stamp counter is fixed to. */
const fixedHz = ({ properties }: Expansion): number | null => {
  const hz = properties['tsc-frequency'];
  return typeof hz === 'number' && hz > 0 ? hz : null;
};

/** Physical address bits of its own; null where it has the host's. */
const ownBits = ({ properties }: Expansion): number | null => {
  const bits = Number(properties['phys-bits']);
  return properties['host-phys-bits'] !== true && bits > 0 ? bits : null;
};

/** What QEMU leaves out of a CPU, whatever the host; null where it leaves nothing out. */
function poorerReason(catalog: Catalog, e: Expansion, excused: Row): string | null {
  const orphaned = catalog.names(minus(e.orphaned, excused));
  if (orphaned.length > 0)
    return `starts, without ${orphaned.join(', ')}, because a feature that it needs is off`;
  if (e.accelerator === 'tcg') {
    const lacking = catalog.names(minus(minus(e.features, tcgRow(catalog, e.qemu)), excused));
    return lacking.length === 0
      ? null
      : `starts, without ${lacking.join(', ')}, which plain emulation (tcg) lacks`;
  }
  const { refused } = writtenSwitches(catalog, e.qemu);
  const off = writtenOn(catalog, e, excused).filter((f) => refused.includes(f.name));
  return off.length === 0
    ? null
    : `starts, without ${off.map((f) => f.name).join(', ')}, which QEMU ${e.qemu} gives no guest that asks for it`;
}

/**
 * What it asks of the host's processor. What the topology, the operating system or QEMU itself sets is asked of no
 * host, but for a switch that is written on: QEMU takes it, refuses it, or asks the host for it.
 */
function ofTheProcessor(catalog: Catalog, e: Expansion, excused: Row): Row {
  const never = catalog.rowWhere((f) => f.merge === 'never');
  const { taken, refused } = writtenSwitches(catalog, e.qemu);
  for (const f of writtenOn(catalog, e, excused))
    if (!taken.includes(f.name) && !refused.includes(f.name)) clearBit(never, f.id);
  return minus(minus(e.features, never), excused);
}

/** Switches that are no matter of the processor and are written on all the same. */
const writtenOn = (catalog: Catalog, e: Expansion, excused: Row): Feature[] =>
  e.string.items
    .flatMap(({ name }) => catalog.findQemu(name) ?? [])
    .filter((f) => f.merge === 'never' && hasBit(e.features, f.id) && !hasBit(excused, f.id));

/** Whether a guest has the CPU of the host on which it starts. */
export const isOfHost = (asked: Started): boolean =>
  asked.by === 'qemu'
    ? OF_THE_HOST.has(asked.cpu.split(',')[0]!) && asked.accelerator === 'kvm'
    : asked.element.mode !== 'custom' || asked.element.match === 'minimum';

export function ofQemu(catalog: Catalog, asked: AskedOfQemu, software: Software): ResolvedCpu {
  const where = placeOf(catalog, asked, software);
  const { model } = parsed(asked.cpu);
  checkModel(catalog, model, software);
  if (isOfHost(asked)) return { need: ofTheHost(catalog, asked.cpu, where), expansion: null };
  const expansion = expanded(catalog, asked.cpu, where);
  return { need: ofExpansion(catalog, expansion), expansion };
}

/** The need of a CPU that is the host's but for what is said beside. */
export function ofTheHost(
  catalog: Catalog,
  cpu: string,
  { foreign: _, ...where }: GuestPlace,
  called = cpu.split(',')[0],
  excused: Row = emptyRow(catalog.bits),
): Need {
  let e: Expansion;
  try {
    e = expandItems(catalog, parsed(cpu), where, [], { hostless: true });
  } catch (error) {
    if (error instanceof QueryError) throw new Refused(`-cpu "${cpu}": ${error.message}`);
    throw error;
  }
  const enforced = e.properties.enforce === true;
  const none = emptyRow(catalog.bits);
  const poorer = poorerReason(catalog, e, excused);
  if (poorer !== null && enforced)
    throw new Refused(poorer.replace(/^starts, without/, `QEMU ${e.qemu} with enforce refuses`));
  const isEmulated = e.accelerator === 'tcg';
  return needing(none, {
    arch: 'x86_64',
    vendor: e.named.has('vendor') ? catalog.vendor(String(e.properties.vendor)) : null,
    features: isEmulated ? none : ofTheProcessor(catalog, e, excused),
    tscHz: isEmulated ? null : fixedHz(e),
    own: `its CPU is ${called}: it takes that of the host on which it starts, and moves to equals alone`,
    startsPoorer: enforced ? 'no' : 'yes',
    poorer,
  });
}
