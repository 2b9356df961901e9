// A QEMU that was asked itself, beside those of the catalog: what it said becomes records of the catalog's own shapes,
// so that every question is answered for it by the same code.
import { QueryError } from '../errors.ts';
import { compareVersions } from '../order.ts';
import type * as Data from '../schema.ts';

/** What `learn` keeps of a QEMU. Ranges are positions among its machine types. */
export interface LearntQemu {
  /** Its release, by which it is asked for: 8.2.0. */
  readonly version: string;
  /** What its distributor calls it; empty where nobody does. */
  readonly package: string;
  /** Of the binary, so that the same one is not asked twice. */
  readonly sha256: string;
  readonly features: readonly string[];
  readonly properties: readonly Data.Property[];
  /** Features that tcg of this QEMU can give a guest. */
  readonly tcg: readonly string[];
  readonly machines: readonly {
    readonly name: string;
    readonly aliases?: readonly string[];
    readonly default: 'legacy' | 'latest' | 1;
  }[];
  /** Machine types that do not start, and what QEMU said. */
  readonly refused: readonly { readonly machine: string; readonly reason: string }[];
  readonly models: readonly {
    readonly name: string;
    readonly kind: Data.QemuModelRecord['kind'];
    readonly of?: string;
    readonly base?: string;
    readonly version?: number;
  }[];
  /** What every CPU has that says nothing of it. */
  readonly all: readonly { readonly machines: number[][]; readonly values: Data.Values }[];
  /** What each name means under tcg: `values` beyond those of all; lists are `like` an earlier one, by position. */
  readonly cpus: readonly (Data.Lists & {
    readonly model: string;
    readonly machines: number[][];
    readonly values: Data.Values;
  })[];
}

export interface Files {
  readonly features: Data.FeaturesFile;
  readonly libvirt: Data.LibvirtFile;
  readonly qemu: Data.QemuFile;
  readonly machines: Data.MachinesFile;
}

/** The name of the release, for people and answers. */
const releaseOf = ({ version, package: by }: LearntQemu): string =>
  `${version} (${by || 'learnt'})`;

/** The version of the catalog whose habits it shares, where they cannot be asked: the newest that is not newer. */
export const habitsOf = ({ version }: LearntQemu, versions: readonly string[]): string =>
  versions.findLast((v) => compareVersions(v, version) <= 0) ?? versions[0]!;

/**
 * The catalog's data with a further QEMU.
 * @throws QueryError for a QEMU of the same release as one that is there.
 */
export function withQemu(files: Files, learnt: LearntQemu): Files {
  const { version } = learnt;
  const versions = files.features.stacks.qemu;
  if (versions.includes(version))
    throw new QueryError(`two catalogs are of QEMU ${version}; give one of them`);
  const at = versions.findLastIndex((v) => compareVersions(v, version) <= 0) + 1;
  const known = new Set(files.features.features.flatMap((f) => [f.name, ...(f.aliases ?? [])]));
  const machines = machinesWith(files.machines.machines, learnt);
  const place = new Map(machines.map((m, i) => [m.name, i]));
  const places = (ranges: readonly number[][]): number[] =>
    ranges.flatMap(([from, to = from]) =>
      learnt.machines.slice(from, to! + 1).map((m) => place.get(m.name)!),
    );
  const meanings = meaningsOf(learnt);
  const models = modelsWith(files.qemu.models, learnt, meanings);
  return {
    features: {
      ...files.features,
      stacks: { ...files.features.stacks, qemu: versions.toSpliced(at, 0, version) },
      patches: { ...files.features.patches, [`qemu@${version}`]: releaseOf(learnt) },
      features: [
        ...files.features.features,
        ...learnt.features
          .filter((name) => !known.has(name))
          .map((name) => ({ name, at: [], qemu: version })),
      ],
    },
    libvirt: files.libvirt,
    qemu: { ...files.qemu, models },
    machines: {
      ...files.machines,
      machines,
      changes: [...files.machines.changes, ...changesOf(learnt, models, meanings, places)],
      all: [
        ...files.machines.all,
        ...learnt.all.map(({ machines: of, values }) => ({
          qemu: version,
          machines: places(of).map((i) => [i]),
          values,
        })),
      ],
    },
  };
}

type MachineRecord = Data.MachinesFile['machines'][number];

function machinesWith(known: readonly MachineRecord[], learnt: LearntQemu): MachineRecord[] {
  const has = new Set(learnt.machines.map((m) => m.name));
  const names = new Set(known.map((m) => m.name));
  return [
    ...known.map((m) => (has.has(m.name) ? { ...m, qemu: [...m.qemu, learnt.version] } : m)),
    ...learnt.machines
      .filter((m) => !names.has(m.name))
      .map((m) => ({ name: m.name, qemu: [learnt.version], default: m.default })),
  ];
}

interface Meaning {
  readonly machines: number[][];
  readonly values: Data.Values;
  readonly features: ReadonlySet<string>;
}

/** By model what it means, each with the machine types that it means it on; first that of the newest. */
function meaningsOf({ cpus }: LearntQemu): Map<string, Meaning[]> {
  const lists: Set<string>[] = [];
  const byModel = new Map<string, Meaning[]>();
  for (const { model, machines, values, like, plus = [], minus = [] } of cpus) {
    const features = new Set([...(like === undefined ? [] : lists[Number(like)]!), ...plus]);
    for (const name of minus) features.delete(name);
    lists.push(features);
    const same = byModel.get(model) ?? [];
    same.push({ machines, values, features });
    byModel.set(model, same);
  }
  return byModel;
}

function modelsWith(
  known: readonly Data.QemuModelRecord[],
  { version, models }: LearntQemu,
  meanings: ReadonlyMap<string, readonly Meaning[]>,
): Data.QemuModelRecord[] {
  const names = new Set(known.map((m) => m.name));
  return [
    ...known,
    ...models
      .filter((m) => !names.has(m.name))
      .map(({ name, kind, of, base, version: number }): Data.QemuModelRecord => {
        const record = { name, kind, since: version, until: version, ...(of ? { of } : {}) };
        const first = meanings.get(name)?.[0];
        if (kind !== 'versioned' || !first) return record;
        // What no property tells: a cache table is a model's own until it is known to be another's.
        const cache = first.values['legacy-cache'] === false ? name : 'legacy';
        return {
          ...record,
          base: base!,
          version: number!,
          cache,
          values: first.values,
          // tcg leaves vme off; every processor with pages of 4 MB has it.
          plus: [...first.features, ...(first.features.has('pse') ? ['vme'] : [])],
        };
      }),
  ];
}

/** Properties that follow from others, or that the start settles. */
const DERIVED = new Set(['level', 'xlevel2', 'level-func7', 'min-xlevel2']);

/** Where a name means something else than its table entry says. */
function changesOf(
  learnt: LearntQemu,
  models: readonly Data.QemuModelRecord[],
  meanings: ReadonlyMap<string, readonly Meaning[]>,
  places: (ranges: readonly number[][]) => number[],
): Data.MachinesFile['changes'] {
  const records = new Map(models.map((m) => [m.name, m]));
  const tables = new Map<string, ReadonlySet<string>>();
  const table = (name: string): ReadonlySet<string> => {
    const before = tables.get(name);
    if (before) return before;
    const { like, plus = [], minus = [] } = records.get(name)!;
    const features = new Set([...(like === undefined ? [] : table(like)), ...plus]);
    for (const f of minus) features.delete(f);
    tables.set(name, features);
    return features;
  };
  const changes: Data.MachinesFile['changes'] = [];
  for (const [name, of] of meanings) {
    const { kind, of: fixed } = records.get(name)!;
    const resolved = fixed ?? (kind === 'machine-alias' ? `${name}-v1` : name);
    const isTable = kind !== 'special';
    // max is all that there is, so only what a machine type takes of it is a change.
    const own = isTable ? table(resolved) : of[0]!.features;
    const said: Data.Values = isTable ? records.get(resolved)!.values! : {};
    for (const { machines, features, values } of of) {
      const on = [...features].filter((f) => !own.has(f) && !isGiven(f));
      const off = [...own].filter((f) => !features.has(f) && !isGiven(f));
      const changed = isTable
        ? Object.entries(values).filter(([key, value]) => !DERIVED.has(key) && said[key] !== value)
        : [];
      if (on.length + off.length + changed.length > 0)
        changes.push({
          model: name,
          qemu: learnt.version,
          machines: places(machines).map((i) => [i]),
          on,
          off,
          values: Object.fromEntries(changed),
        });
    }
  }
  return changes;
}

/** Switched by QEMU for every named model, or by tcg, whatever the table says. */
const isGiven = (feature: string): boolean => feature === 'hypervisor' || feature === 'vme';
