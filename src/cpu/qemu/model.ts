// What a CPU name means in QEMU before anything is said of the one guest: table entry, accelerator defaults, machine
// type; and what QEMU clears in silence.
import {
  bitsOf,
  clearBit,
  clearBits,
  distinct,
  emptyRow,
  hasAll,
  hasAny,
  hasBit,
  intersects,
  isEmpty,
  join,
  minus,
  type Row,
  setBit,
  setBits,
} from '../../core/rows.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { MachinesFile } from '../schema.ts';
import { type Machine, machinesOf } from './machine.ts';
import { kvmKeeps } from './properties.ts';

export type Accelerator = 'kvm' | 'tcg';

/**
 * Clears what QEMU would clear in silence: features of which a whole group of prerequisites is off.
 * One pass in QEMU's order, as QEMU does it.
 */
export function closeDependencies(catalog: Catalog, row: Row): Row {
  const closed = row.slice();
  const { dependencies } = catalog;
  for (let i = 0; i < dependencies.length; i++) {
    const { anyMask, clearsMask } = dependencies[i]!;
    if (!hasAny(closed, anyMask)) clearBits(closed, clearsMask);
  }
  return closed;
}

/** Features that QEMU clears beside these, whoever asks for them. */
export function clearedBeside(catalog: Catalog, wanted: Row): Row {
  const cleared = emptyRow(catalog.bits);
  for (const { anyMask, clearsMask } of catalog.dependencies)
    if (!hasAny(wanted, anyMask)) setBits(cleared, clearsMask);
  return cleared;
}

/**
 * Those of the features which may be on beside the wanted ones that must be said to be off. What has lost its
 * prerequisites needs no word, unless it stands on what stands on it, as avx10 and its vector lengths do.
 * @param cleared what QEMU clears beside the wanted ones
 */
export function toSwitchOff(
  catalog: Catalog,
  wanted: Row,
  might: Row,
  cleared = clearedBeside(catalog, wanted),
): Row {
  const surplus = minus(might, wanted);
  const off = minus(surplus, cleared);
  if (!intersects(surplus, cleared)) return off;
  const all = join(might, wanted);
  for (;;) {
    const left = minus(closeDependencies(catalog, minus(all, off)), wanted);
    if (isEmpty(left)) return off;
    setBit(off, bitsOf(left)[0]!);
  }
}

/** A name on one machine type. */
export interface Start {
  /** The -vN that it stands for there (itself where it is base, max or host). */
  readonly resolved: string;
  readonly features: Row;
  /** Features that the machine type sets by name, to either value. */
  readonly touched: Row;
  /** What the machine type changes about exactly this name. */
  readonly change: Change | undefined;
}

type Change = MachinesFile['changes'][number];

/** `name`: one that this QEMU has. */
export function startOf(
  catalog: Catalog,
  name: string,
  machine: Machine,
  qemu: string,
  accelerator: Accelerator,
): Start {
  const resolved = resolve(catalog, name, qemu, machine);
  const change = changeOf(catalog, name, qemu, machine, resolved);
  const table = catalog.qemuFeatures(resolved, qemu);
  const features =
    table === null
      ? emptyRow(catalog.bits)
      : withDefaults(catalog, table, accelerator, kept(catalog, machine, qemu, accelerator));
  const on = catalog.row(change?.on ?? []);
  const off = withoutDerived(catalog, catalog.row(change?.off ?? []));
  return { resolved, features: minus(join(features, on), off), touched: join(on, off), change };
}

/** The -vN of a name on a machine type. */
function resolve(
  catalog: Catalog,
  name: string,
  qemu: string,
  machine: Pick<Machine, 'cpuVersion'>,
): string {
  const model = catalog.qemuModels.get(name)!;
  if (model.of !== null) return model.of;
  if (model.kind !== 'machine-alias') return name;
  const versions = [...catalog.qemuModels.values()].filter(
    (m) => m.kind === 'versioned' && m.base === name && catalog.hasQemuModel(m.name, qemu),
  );
  return machine.cpuVersion === 'latest'
    ? versions.reduce((a, b) => (b.version! > a.version! ? b : a)).name
    : `${name}-v1`;
}

function changeOf(
  catalog: Catalog,
  name: string,
  qemu: string,
  machine: Machine,
  resolved: string,
): Change | undefined {
  // Where the name means the latest version, that version's own table has said it all.
  if (machine.cpuVersion === 'latest' && resolved !== name) return undefined;
  // host is max with the host's identity, and what hits all CPUs hits both alike.
  return catalog
    .machineChanges(name === 'host' ? 'max' : name, qemu)
    .find((c) =>
      c.machines.some(([from, to]) => machine.index >= from! && machine.index <= (to ?? from!)),
    );
}

/** Accelerator defaults that this machine type leaves alone. */
const kept = (
  catalog: Catalog,
  machine: Machine,
  qemu: string,
  accelerator: Accelerator,
): number[] =>
  accelerator !== 'kvm' || !machine.name.startsWith('pc-')
    ? []
    : kvmKeeps
        .filter(
          (k) =>
            k.qemu === catalog.habitsOf(qemu) &&
            machine.index <= catalog.machines.findIndex((m) => m.name === k.upTo),
        )
        .map((k) => catalog.feature(k.feature).id);

function withDefaults(
  catalog: Catalog,
  table: Row,
  accelerator: Accelerator,
  kept: readonly number[],
): Row {
  const { on, off } = catalog.accelerators[accelerator];
  const features = minus(join(table, on), off);
  for (const id of kept) (hasBit(table, id) ? setBit : clearBit)(features, id);
  setBit(features, catalog.feature('hypervisor').id);
  return features;
}

/** Without the features that are off only because the same change takes their prerequisite. */
function withoutDerived(catalog: Catalog, off: Row): Row {
  if (isEmpty(off)) return off;
  const own = off.slice();
  for (const { anyMask, clearsMask } of catalog.dependencies)
    if (hasAll(off, anyMask)) clearBits(own, clearsMask);
  return own;
}

const meanings = new WeakMap<Catalog, Map<string, readonly Row[]>>();

/** Every distinct meaning that a name has in this QEMU over all of its machine types; first that of the newest. */
export function qemuMeanings(
  catalog: Catalog,
  name: string,
  qemu: string,
  accelerator: Accelerator,
): readonly Row[] {
  const known = meanings.get(catalog) ?? new Map<string, readonly Row[]>();
  meanings.set(catalog, known);
  const key = `${name} ${qemu} ${accelerator}`;
  const rows = known.get(key) ?? findMeanings(catalog, name, qemu, accelerator);
  known.set(key, rows);
  return rows;
}

/** What a name means in this QEMU on its newest machine types: the first of its meanings. */
export function qemuPlain(
  catalog: Catalog,
  name: string,
  qemu: string,
  accelerator: Accelerator,
): Row {
  const resolved = resolve(catalog, name, qemu, { cpuVersion: 'latest' });
  return withDefaults(catalog, catalog.qemuFeatures(resolved, qemu)!, accelerator, []);
}

function findMeanings(
  catalog: Catalog,
  name: string,
  qemu: string,
  accelerator: Accelerator,
): Row[] {
  if (!catalog.hasQemuModel(name, qemu) || name === 'max' || name === 'host') return [];
  const rows: Row[] = [];
  const changes = catalog.machineChanges(name, qemu);
  const { all, unlike } = machinesFor(catalog, qemu, accelerator);
  const changeAt = positions(changes, catalog.machines.length);
  const model = catalog.qemuModels.get(name)!;
  const isAlias = model.kind === 'machine-alias' || model.of !== null;
  const seen = new Set<number>();
  // Most names are changed by no machine type: then few differ.
  const machines = changes.length > 0 ? all : unlike;
  for (let i = 0; i < machines.length; i++) {
    const { machine, sort } = machines[i]!;
    // Where the name means the latest version, that version's own table has said it all.
    const change = isAlias && machine.cpuVersion === 'latest' ? 0 : changeAt[machine.index]!;
    const key = sort * (changes.length + 1) + change;
    if (seen.has(key)) continue;
    seen.add(key);
    rows.push(startOf(catalog, name, machine, qemu, accelerator).features);
  }
  // A machine type may mean any version of an unversioned name (microvm: the latest), now or in a later QEMU.
  if (model.kind === 'machine-alias')
    for (const other of catalog.qemuModels.values())
      if (other.kind === 'versioned' && other.base === name)
        rows.push(...qemuMeanings(catalog, other.name, qemu, accelerator));
  return distinct(rows);
}

/** By machine type which of the changes is its own, counted from 1; 0 where none is. */
function positions(changes: readonly Change[], machines: number): Uint16Array {
  const at = new Uint16Array(machines);
  for (let i = changes.length - 1; i >= 0; i--)
    for (const [from, to] of changes[i]!.machines) at.fill(i + 1, from!, (to ?? from!) + 1);
  return at;
}

/** Machine types, and a number for what they make of every name: its version and the defaults that they leave alone. */
interface Machines {
  readonly all: readonly { readonly machine: Machine; readonly sort: number }[];
  /** The first of each sort. */
  readonly unlike: Machines['all'];
}

const machineLists = new WeakMap<Catalog, Map<string, Machines>>();

/** No machine at all comes first: it changes nothing, as the newest machine types do. */
function machinesFor(catalog: Catalog, qemu: string, accelerator: Accelerator): Machines {
  const known = machineLists.get(catalog) ?? new Map<string, Machines>();
  machineLists.set(catalog, known);
  const key = `${qemu} ${accelerator}`;
  let list = known.get(key);
  if (!list) {
    const sorts = new Map<string, number>();
    const unlike: Machines['all'][number][] = [];
    const all = machinesOf(catalog, qemu)
      .sort((a, b) => Number(b.name === 'none') - Number(a.name === 'none'))
      .map((machine) => {
        const text = `${machine.cpuVersion} ${kept(catalog, machine, qemu, accelerator)}`;
        const one = { machine, sort: sorts.get(text) ?? sorts.size };
        if (!sorts.has(text)) unlike.push(one);
        sorts.set(text, one.sort);
        return one;
      });
    list = { all, unlike };
    known.set(key, list);
  }
  return list;
}
