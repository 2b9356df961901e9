// plimsoll names: any spelling of a feature, model or machine type to all others, and what was meant by one that is
// nobody's.
import type { Catalog, Feature } from '../cpu/catalog/catalog.ts';
import {
  evcLevels,
  evcModel,
  findNfd,
  proxmoxModels,
  psabiLevels,
  renamedTo,
} from '../cpu/catalog/products.ts';
import { nearestNames } from '../cpu/catalog/suggest.ts';
import { byBytes } from '../cpu/order.ts';

/** Who spells it so, and for processors of which vendor where it depends on that. */
interface Meaning {
  readonly feature: string;
  readonly says: readonly string[];
}

export interface FeatureNames {
  readonly name: string;
  readonly qemu: readonly string[];
  readonly libvirt: string | null;
  readonly linux: readonly string[];
  readonly xen: string | null;
  readonly since: { readonly qemu: string | null; readonly libvirt: string | null };
}

export interface ModelNames {
  readonly name: string;
  readonly vendor: string | null;
  /** For a name that always stands for one version: that version. */
  readonly of: string | null;
  /** For a name whose version the machine type chooses: all versions. */
  readonly versions: readonly string[];
  /** Other names that always stand for this one. */
  readonly aliases: readonly string[];
  readonly canonical: string | null;
  readonly qemu: { readonly since: string; readonly until: string | null } | null;
  readonly libvirt: { readonly since: string } | null;
  readonly proxmox: boolean;
}

export interface Named {
  readonly term: string;
  readonly kind: 'feature' | 'model' | 'machine' | 'level' | null;
  /** What the spelling stands for; several where it depends on who says it, or on the vendor. */
  readonly meanings: readonly Meaning[];
  readonly features: readonly FeatureNames[];
  readonly model: ModelNames | null;
  /** Machine types of this name, by the QEMUs that have it. */
  readonly machine: { readonly name: string; readonly qemu: readonly string[] } | null;
  /** A sentence where the name deserves one: renamed, removed, an alias, misspelt. */
  readonly note: string | null;
  readonly nearest: readonly string[];
}

export interface Names {
  readonly schema: 'plimsoll.names/1';
  readonly terms: readonly Named[];
}

const VENDORS = ['Intel', 'AMD'] as const;
/** On Intel the kernel prints both of them for the one bit of spec-ctrl. */
const PAIR = ['ibrs', 'ibpb'];

export const names = (catalog: Catalog, terms: readonly string[]): Names => ({
  schema: 'plimsoll.names/1',
  terms: terms.map((term) => nameOne(catalog, term)),
});

function nameOne(catalog: Catalog, term: string): Named {
  const nothing = {
    term,
    kind: null,
    meanings: [],
    features: [],
    model: null,
    machine: null,
    note: null,
    nearest: [],
  } as const;
  const renamed = renamedTo(term);
  const meanings = meaningsOf(catalog, term);
  if (meanings.length > 0) {
    const features = meanings.map((m) => featureNames(catalog, catalog.feature(m.feature)));
    return { ...nothing, kind: 'feature', meanings, features, note: featureNote(term, meanings) };
  }
  const model = modelNames(catalog, term);
  if (model) return { ...nothing, kind: 'model', model, note: modelNote(catalog, model, renamed) };
  const machine = catalog.machines.find((m) => m.name === term);
  if (machine)
    return { ...nothing, kind: 'machine', machine: { name: machine.name, qemu: machine.qemu } };
  const level = levelNote(term);
  if (level !== null) return { ...nothing, kind: 'level', note: level };
  if (renamed) {
    const now = nameOne(catalog, renamed.name);
    return { ...now, term, note: `"${term}" is "${renamed.name}" today: ${renamed.why}` };
  }
  const nearest = nearestNames(term, spellings(catalog));
  return {
    ...nothing,
    nearest,
    note: `"${term}" is nobody's spelling of a feature, model or machine type${nearest.length > 0 ? `; nearest is ${nearest.map((name) => `"${name}" (${whoSays(catalog, name)})`).join(', then ')}` : ''}`,
  };
}

/** What a spelling stands for, by who says it. */
function meaningsOf(catalog: Catalog, term: string): Meaning[] {
  const byFeature = new Map<string, string[]>();
  const say = (feature: Feature | undefined, who: string) => {
    if (!feature) return;
    byFeature.set(feature.name, [...(byFeature.get(feature.name) ?? []), who]);
  };
  say(catalog.findQemu(term), 'QEMU');
  for (const f of catalog.features) if (f.libvirt?.name === term) say(f, 'libvirt');
  const linux = VENDORS.map((vendor) => catalog.findLinux(term, vendor)).map((found) =>
    found === 'linux-only' ? undefined : found,
  );
  if (linux[0] === linux[1]) say(linux[0], 'Linux');
  else for (const [i, found] of linux.entries()) say(found, `Linux on ${VENDORS[i]}`);
  if (PAIR.includes(term))
    say(catalog.feature('spec-ctrl'), 'Linux on Intel (both flags together)');
  for (const f of catalog.features) if (f.xen === term) say(f, 'Xen');
  // Names that are all capitals and belong to nobody else.
  if (byFeature.size === 0 && /^[A-Z0-9_]+$/.test(term))
    for (const vendor of VENDORS) {
      const found = findNfd(catalog, term, vendor);
      if (found && found !== 'other') say(found, `Node Feature Discovery on ${vendor}`);
    }
  return [...byFeature].map(([feature, says]) => ({ feature, says }));
}

function featureNote(term: string, meanings: readonly Meaning[]): string | null {
  if (meanings.length < 2) return null;
  return `"${term}" is not the same everywhere: ${meanings.map((m) => `${m.feature} for ${m.says.join(' and ')}`).join(', ')}`;
}

const featureNames = (catalog: Catalog, f: Feature): FeatureNames => ({
  name: f.name,
  qemu: f.qemu === null ? [] : [f.name, ...f.aliases],
  libvirt: f.libvirt?.name ?? null,
  linux: linuxNames(catalog, f),
  xen: f.xen,
  since: { qemu: f.qemu, libvirt: f.libvirt?.since ?? null },
});

/** Flags that the kernel prints for the feature; two that stand for it together are one entry. */
function linuxNames(catalog: Catalog, f: Feature): string[] {
  if (f.name === 'spec-ctrl') return [`${PAIR.join(' and ')} (on Intel)`];
  if (f.name === 'invtsc') return ['constant_tsc and nonstop_tsc'];
  const [intel, amd] = VENDORS.map((vendor) => catalog.linuxFlags(f, vendor));
  return [...new Set([...intel!, ...amd!])].map((flag) =>
    intel!.includes(flag) && amd!.includes(flag)
      ? flag
      : `${flag} (on ${intel!.includes(flag) ? 'Intel' : 'AMD'})`,
  );
}

function modelNames(catalog: Catalog, term: string): ModelNames | null {
  const qemu = catalog.qemuModels.get(term);
  const libvirt = catalog.libvirtModels.get(term);
  if (!qemu && !libvirt) return null;
  const models = [...catalog.qemuModels.values()];
  const versions =
    qemu?.kind === 'machine-alias'
      ? models.filter((m) => m.kind === 'versioned' && m.base === term).map((m) => m.name)
      : [];
  return {
    name: term,
    vendor: (qemu ?? libvirt)!.vendor,
    of: qemu?.of ?? null,
    versions,
    aliases: models.filter((m) => m.of === term).map((m) => m.name),
    canonical: libvirt?.canonical ?? null,
    qemu: qemu ? { since: qemu.since, until: qemu.until } : null,
    libvirt: libvirt ? { since: libvirt.since } : null,
    proxmox: proxmoxModels().includes(term),
  };
}

function modelNote(
  catalog: Catalog,
  model: ModelNames,
  renamed: ReturnType<typeof renamedTo>,
): string | null {
  if (renamed) return `use ${renamed.name}: ${renamed.why}`;
  if (model.qemu === null)
    return `only libvirt knows it, since ${model.libvirt!.since}; no QEMU of the catalog does, so no guest can have it`;
  if (model.qemu.until !== null)
    return `QEMU ${model.qemu.until} is the last of the catalog that has it`;
  if (model.of !== null)
    return `always stands for ${model.of}${model.libvirt ? '' : ', under a name that libvirt does not know'}`;
  if (model.versions.length > 1) {
    return `the machine type chooses the version: ${versionsByMachine(catalog, model)}`;
  }
  if (model.libvirt === null)
    return 'libvirt has no such name in any version of the catalog; it is for the command line of QEMU';
  return null;
}

/** What an unversioned name means, by machine type. */
function versionsByMachine(catalog: Catalog, { name, versions }: ModelNames): string {
  const latest = catalog.machines.filter((m) => m.default === 'latest').map((m) => m.name);
  return `${name}-v1${latest.length > 0 ? `, and ${versions.at(-1)} on ${latest.join(', ')}` : ''}; a machine type older than versions has the model as it was then (plimsoll drift)`;
}

function levelNote(term: string): string | null {
  const level = psabiLevels.find((l) => l.name === term.toLowerCase());
  if (level) return `${level.name} is at least ${level.features.join(' ')}`;
  const key = term.toLowerCase();
  const model = evcModel(key);
  return model === undefined
    ? null
    : `the EVC level ${key} of VMware is taken for ${model}, the QEMU model of that generation`;
}

function spellings(catalog: Catalog): string[] {
  return [
    ...catalog.features.flatMap((f) => [
      f.name,
      ...f.aliases,
      ...f.linux,
      ...f.linuxHidden,
      ...(f.libvirt ? [f.libvirt.name] : []),
      ...(f.xen === null ? [] : [f.xen]),
    ]),
    ...catalog.qemuModels.keys(),
    ...catalog.libvirtModels.keys(),
    ...catalog.machines.map((m) => m.name),
    ...evcLevels,
    ...psabiLevels.map((l) => l.name),
  ];
}

function whoSays(catalog: Catalog, name: string): string {
  const meanings = meaningsOf(catalog, name);
  if (meanings.length > 0)
    return [...new Set(meanings.flatMap((m) => m.says))].sort(byBytes).join(', ');
  if (catalog.qemuModels.has(name)) return 'a model of QEMU';
  if (catalog.libvirtModels.has(name)) return 'a model of libvirt';
  return catalog.machines.some((m) => m.name === name) ? 'a machine type' : 'a level';
}
