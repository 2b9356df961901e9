// What a <cpu> element says feature by feature. It is written relative to a model, and what a model means depends
// on the libvirt that wrote it: a bit on which those that can have written it differ stays unknown unless it is
// written out, and so does a bit of a host that the oldest of them has no name for.
import {
  clearBit,
  emptyRow,
  hasBit,
  join,
  meet,
  minus,
  type Row,
  rowOf,
  setBit,
} from '../../core/rows.ts';
import { findFeature } from '../../cpu/asked/asked-libvirt.ts';
import type { Catalog, LibvirtModel } from '../../cpu/catalog/catalog.ts';
import type { LibvirtCpu } from '../../cpu/cpu-element.ts';
import { settleDependents } from '../../cpu/proven/cpuid-words.ts';

export interface ElementFeatures {
  readonly has: Row;
  readonly known: Row;
  readonly unnamed: readonly string[];
  readonly unnamedUnknown: readonly string[];
}

export interface ExpandOptions {
  /** Model names that stand in the same document; they tell the age of the libvirt that wrote it. */
  readonly listed?: ReadonlySet<string>;
  /** libvirt derived the element itself, from what it found: it left nothing out that it takes out of models. */
  readonly derived?: boolean;
  /** It asks for a CPU instead of reporting one: what it leaves out is not asked for, whoever has a name for it. */
  readonly asks?: boolean;
}

/** The libvirts of the catalog that can have written an element. */
interface Writers {
  /** The oldest of them. */
  readonly oldest: string;
  /** All whose map they can have used. */
  readonly maps: readonly string[];
}

/** Reads an element with the catalog's maps. What it says nothing of is unknown. */
export function expandElement(
  catalog: Catalog,
  cpu: LibvirtCpu,
  options: ExpandOptions = {},
): ElementFeatures {
  const has = emptyRow(catalog.bits);
  let known = emptyRow(catalog.bits);
  const model = cpu.model === null ? undefined : catalog.libvirtModels.get(cpu.model);
  // Only a custom or a host's CPU is what it says; the others are what the host turns out to be.
  if (model && cpu.mode === 'custom') {
    const { oldest, maps } = writersOf(catalog, cpu, options);
    const rows = maps
      .map((v) => catalog.libvirtFeatures(model.name, v))
      .filter((row) => row !== null);
    const meanings = rows.length > 0 ? rows : [model.features];
    const always = meanings.reduce(meet);
    has.set(always);
    const differ = minus(meanings.reduce(join), always);
    // Whoever asks for at least a CPU takes whatever the host has beside it.
    if (cpu.match !== 'minimum') known = minus(leftOut(catalog, model, oldest, options), differ);
    known = join(known, always);
  }
  const unnamed: string[] = [];
  const unnamedUnknown: string[] = [];
  const msrs = new Set<number>();
  for (const { name, policy } of cpu.features) {
    const feature = findFeature(catalog, name);
    const isOff = policy === 'disable' || policy === 'forbid';
    if (!feature) {
      if (policy === 'optional') unnamedUnknown.push(name);
      else if (!isOff) unnamed.push(name);
    } else if (policy === 'optional') {
      clearBit(has, feature.id);
      clearBit(known, feature.id);
    } else {
      if (isOff) clearBit(has, feature.id);
      else setBit(has, feature.id);
      setBit(known, feature.id);
      if (feature.msr !== null) msrs.add(feature.msr);
    }
  }
  // libvirt reads the registers of a host only where it is let: one of which it shows nothing may be unread.
  if (cpu.type === 'host')
    for (const { id, msr } of catalog.features) {
      if (msr !== null && !msrs.has(msr) && !hasBit(has, id)) clearBit(known, id);
    }
  else settleDependents(catalog, has, known);
  return { has, known, unnamed, unnamedUnknown };
}

/** Features that are off where neither the model nor the element has them. */
function leftOut(
  catalog: Catalog,
  model: LibvirtModel,
  oldest: string,
  options: ExpandOptions,
): Row {
  if (!options.asks) return catalog.nameable('libvirt', oldest);
  // QEMU's model has these, and a libvirt that does not know them leaves them on.
  return minus(
    catalog.nameable('libvirt', catalog.versions.libvirt.at(-1)!),
    rowOf(catalog.bits, model.added),
  );
}

function writersOf(catalog: Catalog, cpu: LibvirtCpu, { listed, derived }: ExpandOptions): Writers {
  const versions = catalog.versions.libvirt;
  const model = catalog.libvirtModels.get(cpu.model!)!;
  const { canonical, canonicalSince } = namesOf(catalog);
  // Between two versions of the catalog there are others: a name that came with one may be older than it.
  const before = (since: string) => Math.max(0, versions.indexOf(since) - 1);
  let from = 0;
  for (const { name } of cpu.features)
    from = Math.max(from, before(findFeature(catalog, name)?.libvirt?.since ?? versions[0]!));
  let until = versions.length - 1;
  for (const name of [model.name, ...(listed ?? [])]) {
    const since = catalog.libvirtModels.get(name)?.since;
    if (since === undefined) continue;
    from = Math.max(from, before(since), canonical.has(name) ? canonicalSince : 0);
  }
  // A libvirt that has canonical names lists them beside their alias, and calls hosts by them.
  const aliases = listed ? [...listed] : cpu.type === 'host' ? [model.name] : [];
  for (const name of aliases) {
    const other = catalog.libvirtModels.get(name)?.canonical;
    if (other != null && !listed?.has(other))
      until = Math.min(until, versions.indexOf(catalog.libvirtModels.get(other)!.since));
  }
  const maps = versions.slice(from, Math.max(from, until) + 1);
  const isWritten = new Set(cpu.features.map((f) => findFeature(catalog, f.name)?.id));
  const consistent = maps.filter(
    (v) => catalog.libvirtModel(model.name, v)?.removed.every((id) => isWritten.has(id)) ?? true,
  );
  return { oldest: versions[from]!, maps: derived && consistent.length > 0 ? consistent : maps };
}

/** What follows from a catalog and is asked for at every element. */
interface Names {
  /** Names such as EPYC-v1, of which an unversioned name is an alias. */
  readonly canonical: ReadonlySet<string>;
  /** Position of the libvirt that brought them, all at once. */
  readonly canonicalSince: number;
}

const namesByCatalog = new WeakMap<Catalog, Names>();

function namesOf(catalog: Catalog): Names {
  const before = namesByCatalog.get(catalog);
  if (before) return before;
  const versions = catalog.versions.libvirt;
  const canonical = [...catalog.libvirtModels.values()]
    .map((m) => m.canonical)
    .filter((name) => name !== null);
  const since = canonical.map((name) => versions.indexOf(catalog.libvirtModels.get(name)!.since));
  const names = {
    canonical: new Set(canonical),
    canonicalSince: Math.min(...since),
  };
  namesByCatalog.set(catalog, names);
  return names;
}
