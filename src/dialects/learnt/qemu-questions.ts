// What a QEMU is asked to be learnt, over QMP, and what its replies say. It is asked for expansions under tcg alone:
// what kvm adds and takes is the same for every model, and the catalog has it.
import type { Catalog, Feature } from '../../cpu/catalog/catalog.ts';
import { Deltas } from '../../cpu/catalog/delta.ts';
import type { LearntQemu } from '../../cpu/catalog/learnt-qemu.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import { type Property, propertyOf } from '../../cpu/qemu/properties.ts';
import type { Values } from '../../cpu/schema.ts';
import { isObject, type JsonObject } from '../text/json.ts';

const ask = (execute: string, args?: object, id?: string): string =>
  `${JSON.stringify({ execute, ...(args ? { arguments: args } : {}), id: id ?? execute })}\n`;

const expansion = (type: string, name: string, props: object, id: string) =>
  ask('query-cpu-model-expansion', { type, model: { name, props } }, id);

const session = (questions: readonly string[]): string =>
  [ask('qmp_capabilities'), ...questions, ask('query-status', undefined, 'end')].join('');

/** What every session ends with, once QEMU has answered: it may quit before it has written all that it said. */
export const FAREWELL = { after: /"id": ?"end"/, input: ask('quit') };

/** The first session, without a machine: what there is to ask about. */
export const INVENTORY = session([
  ask('query-version'),
  ask('query-target'),
  ask('query-machines'),
  ask('query-cpu-definitions'),
  ask('qom-list-properties', { typename: 'base-x86_64-cpu' }, 'base'),
  ask('qom-list-properties', { typename: 'max-x86_64-cpu' }, 'max'),
  expansion('static', 'base', {}, 'features'),
]);

/** The second, on a machine type with every feature asked for: what tcg leaves of them. */
export const TCG = session(
  [0, 1, 2].map((i) =>
    ask(
      'qom-get',
      { path: `/machine/unattached/device[${i}]`, property: 'unavailable-features' },
      `device ${i}`,
    ),
  ),
);

/** The replies of a session by what was asked; refusals are left out. */
function repliesOf(text: string): Map<string, unknown> {
  const replies = new Map<string, unknown>();
  for (const line of text.split('\n')) {
    if (!line.startsWith('{')) continue;
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      throw new QueryError('its replies are no JSON');
    }
    if (isObject(message) && typeof message.id === 'string' && 'return' in message)
      replies.set(message.id, message.return);
  }
  return replies;
}

type Models = LearntQemu['models'];

/** What a QEMU has to be asked about. */
export interface Inventory
  extends Pick<LearntQemu, 'version' | 'package' | 'features' | 'properties' | 'models'> {
  readonly machines: readonly { readonly name: string; readonly aliases?: readonly string[] }[];
  /** Of machine types the one that starts where none is named. */
  readonly main: string;
}

/** @throws QueryError for whatever is no QEMU of x86 CPUs. */
export function readInventory(catalog: Catalog, text: string): Inventory {
  const replies = repliesOf(text);
  const list = (id: string): JsonObject[] => {
    const reply = replies.get(id);
    if (!Array.isArray(reply)) throw new QueryError('it does not answer as a QEMU does');
    return reply;
  };
  const target = replies.get('query-target') as JsonObject | undefined;
  const version = replies.get('query-version') as JsonObject | undefined;
  if (!isObject(version) || !isObject(version.qemu))
    throw new QueryError('it does not answer as a QEMU does');
  if (target?.arch !== 'x86_64')
    throw new QueryError(`it emulates ${target?.arch}; x86_64 is what can be learnt`);
  const { major, minor, micro } = version.qemu;
  const expanded = replies.get('features') as { model: { props: JsonObject } } | undefined;
  const features = Object.entries(expanded?.model.props ?? {})
    .filter(([name, value]) => typeof value === 'boolean' && !propertyOf(name))
    .map(([name]) => catalog.findQemu(name)?.name ?? name);
  if (features.length === 0)
    throw new QueryError('it expands no CPU model; QEMU does so from 2.10 on');
  const machines = list('query-machines').map((m) => ({
    name: String(m.name),
    ...(typeof m.alias === 'string' ? { aliases: [m.alias] } : {}),
    isDefault: m['is-default'] === true,
  }));
  return {
    version: `${major}.${minor}.${micro}`,
    package: typeof version.package === 'string' ? version.package : '',
    features: [...new Set(features)].sort(byBytes),
    properties: propertiesIn(catalog, features, [...list('base'), ...list('max')]),
    models: modelsIn(list('query-cpu-definitions')),
    machines: machines
      .map(({ isDefault: _, ...m }) => m)
      .sort((a, b) => (inOrder(a.name, b.name) < 0 ? -1 : 1)),
    main: (machines.find((m) => m.isDefault) ?? machines[0]!).name,
  };
}

/** 2.9 before 2.10. */
const inOrder = new Intl.Collator('en', { numeric: true }).compare;

const TYPES: Readonly<Record<string, Property['type']>> = {
  __proto__: null as never,
  bool: 'bool',
  str: 'string',
  string: 'string',
  OnOffAuto: 'auto',
  int: 'int64',
  uint8: 'uint8',
  uint16: 'uint16',
  uint32: 'uint32',
  uint64: 'uint64',
  int32: 'int32',
  int64: 'int64',
};

/** All that is no feature; of what the catalog knows it knows more than QEMU tells. */
function propertiesIn(
  catalog: Catalog,
  features: readonly string[],
  listed: readonly JsonObject[],
): Property[] {
  const switches = new Set(features);
  const isFeature = (name: string) =>
    switches.has(name) || switches.has(name.replaceAll('_', '-')) || catalog.findQemu(name);
  const found = new Map<string, Property>();
  for (const { name, type } of listed as { name: string; type: string }[]) {
    const property = propertyOf(name) ?? { name, type: TYPES[type] ?? 'fixed' };
    if (!isFeature(name)) found.set(property.name, property);
  }
  return [...found.values()].sort((a, b) => byBytes(a.name, b.name));
}

function modelsIn(definitions: readonly JsonObject[]): Models {
  const names = new Set(definitions.map((d) => String(d.name)));
  return definitions
    .map((d): Models[number] => {
      const name = String(d.name);
      const [, base, version] = /^(.+)-v(\d+)$/.exec(name) ?? [];
      if (base !== undefined && names.has(base))
        return { name, kind: 'versioned', base, version: Number(version) };
      if (names.has(`${name}-v1`)) return { name, kind: 'machine-alias' };
      const of = d['alias-of'];
      return typeof of === 'string' ? { name, kind: 'fixed-alias', of } : { name, kind: 'special' };
    })
    .sort((a, b) => byBytes(a.name, b.name));
}

/** The -cpu argument of the second session. */
export const everything = ({ features }: Inventory): string =>
  ['base', ...features.map((name) => `${name}=on`)].join(',');

/** @throws QueryError where no device of the session is a CPU. */
export function readTcg(catalog: Catalog, { features }: Inventory, text: string): string[] {
  const [unavailable] = [...repliesOf(text)].flatMap(([id, reply]) =>
    id.startsWith('device') && Array.isArray(reply) ? [reply as string[]] : [],
  );
  if (!unavailable) throw new QueryError('it does not tell what tcg lacks');
  const lacking = new Set(unavailable.map((name) => catalog.findQemu(name)?.name ?? name));
  return features.filter((name) => !lacking.has(name));
}

/**
 * Sets of features to switch on, each beyond the one before: what lacks its prerequisite does not show, although the
 * table has it, and some prerequisites have prerequisites of their own.
 */
function probesOf(catalog: Catalog, { features }: Inventory) {
  const known = new Set(features);
  const needed = [...new Set(catalog.dependencies.flatMap((d) => d.any))]
    .map((id) => catalog.features[id]!)
    .filter((f) => known.has(f.name) && depthOf(catalog, f) !== null)
    .map((f) => ({ name: f.name, depth: depthOf(catalog, f)! }));
  const depths = [...new Set(needed.map((n) => n.depth))].sort((a, b) => a - b);
  const probeOf = (f: Feature): number => {
    const own = depthOf(catalog, f) ?? 0;
    return depths.filter((depth) => depth < own).length;
  };
  return {
    on: depths.map((most) => needed.filter((n) => n.depth <= most).map((n) => n.name)),
    /** In which of them a feature shows, counted from 1; 0 where it shows without any. */
    of: new Map(catalog.features.map((f) => [f.name, probeOf(f)])),
  };
}

/** How many others must be on before it can be; null where they need each other in a circle. */
function depthOf(catalog: Catalog, f: Feature, below: readonly number[] = []): number | null {
  if (below.includes(f.id)) return null;
  let depth = 0;
  for (const id of f.needs.flat()) {
    const its = depthOf(catalog, catalog.features[id]!, [...below, f.id]);
    if (its === null) return null;
    depth = Math.max(depth, its + 1);
  }
  return depth;
}

/** What it does not expand: a CPU that needs KVM. */
const isAsked = ({ name }: Models[number]): boolean => name !== 'host';

/** A feature raises the maximum leaf, and takes that with it when it goes: what a model states itself is less. */
const UNRAISED = { 'full-cpuid-auto-level': false };
const LEAVES = new Set(['level', 'xlevel', 'min-level', 'min-xlevel']);

/** A session on one machine type. */
export function machineQuestions(catalog: Catalog, inventory: Inventory): string {
  const deeper = probesOf(catalog, inventory).on.map((on) =>
    Object.fromEntries(on.map((name) => [name, true])),
  );
  return session([
    ask('query-cpu-definitions'),
    ...inventory.models.filter(isAsked).flatMap(({ name, kind }) => [
      expansion('full', name, {}, `0 ${name}`),
      expansion('full', name, UNRAISED, `least ${name}`),
      // max takes all, and base has nothing.
      ...(kind === 'special'
        ? []
        : deeper.map((props, i) => expansion('static', name, props, `${i + 1} ${name}`))),
    ]),
  ]);
}

/** What one machine type makes of each name. */
export interface OnMachine {
  readonly default: 'legacy' | 'latest' | 1;
  readonly cpus: ReadonlyMap<
    string,
    { readonly features: readonly string[]; readonly values: Values }
  >;
}

/** @throws QueryError where an expansion is missing. */
export function readMachine(catalog: Catalog, inventory: Inventory, text: string): OnMachine {
  const replies = repliesOf(text);
  const propsOf = (id: string): JsonObject => {
    const reply = replies.get(id);
    if (!isObject(reply) || !isObject(reply.model) || !isObject(reply.model.props))
      throw new QueryError(`it does not expand ${id.split(' ')[1]}`);
    return reply.model.props;
  };
  const probes = probesOf(catalog, inventory).of;
  const told = inventory.properties.filter(
    (p) => p.type !== 'fixed' && p.of === undefined && p.default !== null,
  );
  const cpus = new Map<string, { features: readonly string[]; values: Values }>();
  for (const { name, kind } of inventory.models.filter(isAsked)) {
    const plain = propsOf(`0 ${name}`);
    const least = propsOf(`least ${name}`);
    const probed = (i: number) => (i === 0 || kind === 'special' ? plain : propsOf(`${i} ${name}`));
    cpus.set(name, {
      features: inventory.features.filter((f) => probed(probes.get(f) ?? 0)[f] === true),
      values: Object.fromEntries(
        told.flatMap((p): [string, string | number | boolean][] => {
          const value = (LEAVES.has(p.name) ? least : plain)[p.name];
          return value === undefined || value === null || typeof value === 'object'
            ? []
            : [[p.name, value as string | number | boolean]];
        }),
      ),
    });
  }
  const aliases = new Map(
    ((replies.get('query-cpu-definitions') ?? []) as JsonObject[]).map((d) => [
      d.name,
      d['alias-of'],
    ]),
  );
  const versions = inventory.models
    .filter((m) => m.kind === 'machine-alias')
    .map((m) => aliases.get(m.name));
  return {
    default: versions.every((v) => v === undefined)
      ? 'legacy'
      : versions.every((v) => v === undefined || String(v).endsWith('-v1'))
        ? 1
        : 'latest',
    cpus,
  };
}

/** Each model's own; what else a CPU has, it has in common with all. */
const OWN = new Set([
  ...['level', 'xlevel', 'xlevel2', 'level-func7', 'min-level', 'min-xlevel', 'min-xlevel2'],
  ...['family', 'model', 'stepping', 'vendor', 'model-id', 'legacy-cache', 'avx10-version'],
]);

/** All sessions as one: names that mean the same on several machine types are kept once. */
export function compose(
  inventory: Inventory,
  tcg: readonly string[],
  sha256: string,
  sessions: ReadonlyMap<string, OnMachine>,
  refused: LearntQemu['refused'],
): LearntQemu {
  const { main: _, machines: listed, ...rest } = inventory;
  // The newest first is what a name means where nothing is changed about it.
  const machines = listed
    .filter((m) => sessions.has(m.name))
    .map((m) => ({ ...m, default: sessions.get(m.name)!.default }));
  const all = new Groups<Values>();
  const cpus = new Groups<{ model: string; values: Values; features: readonly string[] }>();
  for (const [i, { name: machine }] of machines.entries()) {
    const on = sessions.get(machine)!.cpus;
    const common = Object.fromEntries(
      Object.entries(on.get('base')!.values).filter(([key]) => !OWN.has(key)),
    );
    all.add(common, i);
    for (const [model, { features, values }] of on) {
      const own = Object.entries(values).filter(([key, v]) => OWN.has(key) || common[key] !== v);
      cpus.add({ model, values: Object.fromEntries(own), features }, i);
    }
  }
  const lists = new Deltas();
  return {
    ...rest,
    sha256,
    tcg,
    machines,
    refused,
    all: all.list().map(({ value, machines: of }) => ({ machines: of, values: value })),
    cpus: cpus.list().map(({ value: { model, values, features }, machines: of }, i) => ({
      model,
      machines: of,
      values,
      ...lists.of(String(i), features),
    })),
  };
}

/** Values with the positions that have them, as ranges; first the one of the last position. */
class Groups<T> {
  readonly #groups = new Map<string, { value: T; machines: number[] }>();

  add(value: T, position: number): void {
    const key = JSON.stringify(value);
    const group = this.#groups.get(key) ?? { value, machines: [] };
    group.machines.push(position);
    this.#groups.set(key, group);
  }

  list(): { value: T; machines: number[][] }[] {
    return [...this.#groups.values()]
      .sort((a, b) => b.machines.at(-1)! - a.machines.at(-1)!)
      .map(({ value, machines }) => ({ value, machines: rangesOf(machines) }));
  }
}

function rangesOf(positions: readonly number[]): number[][] {
  const out: [number, number][] = [];
  for (const i of positions) {
    const last = out.at(-1);
    if (last && last[1] === i - 1) last[1] = i;
    else out.push([i, i]);
  }
  return out.map(([first, last]) => (first === last ? [first] : [first, last]));
}
