// A CPU definition that no machine type can change: everything that one could change about a guest is written out.
import {
  emptyRow,
  hasBit,
  isEmpty,
  isEqual,
  join,
  meet,
  minus,
  type Row,
  size,
} from '../core/rows.ts';
import type { Catalog, Feature } from '../cpu/catalog/catalog.ts';
import type { Stack } from '../cpu/catalog/software.ts';
import { parseCpuString } from '../cpu/cpu-string.ts';
import type { Definition } from '../cpu/definition.ts';
import { QueryError } from '../cpu/errors.ts';
import { byBytes } from '../cpu/order.ts';
import { type Expansion, expandItems, type Surroundings } from '../cpu/qemu/expand.ts';
import { machinesOf } from '../cpu/qemu/machine.ts';
import { closeDependencies, qemuMeanings, toSwitchOff } from '../cpu/qemu/model.ts';
import {
  forcedValues,
  type Properties,
  type PropertyValue,
  propertiesOf,
  type Settings,
  valueText,
} from '../cpu/qemu/properties.ts';
import { expandCpu, filledAtStart, realizeTcg, startedProperties } from '../cpu/qemu/qemu-start.ts';

/** Something about a pinned CPU that a person should know. */
export interface PinNote {
  readonly code: string;
  readonly message: string;
}

/** What libvirt can say of a CPU. */
export interface LibvirtPin {
  readonly name: string;
  readonly vendor: string | null;
  readonly physBits: number | null;
  /** Features by QEMU's names. */
  readonly require: readonly string[];
  readonly disable: readonly string[];
  /** Differences that no element of libvirt can say, and for whom the definition holds. */
  readonly notes: readonly PinNote[];
}

export interface Pin {
  /** The release of QEMU that stands for the version asked for. */
  readonly qemu: string;
  readonly machine: string;
  readonly accel: Surroundings['accelerator'];
  readonly cpu: string;
  readonly resolved: string;
  /** All that the guest asks for, before any host filters it. */
  readonly features: readonly string[];
  readonly properties: Properties;
  /** All that is to be set beside the very -cpu given, whatever it means on another machine type. */
  readonly beside: Settings;
  /** What is to be set on `resolved`, which means the same on every machine type but for these. */
  readonly alone: Settings;
  readonly notes: readonly PinNote[];
}

const LEVELS = [
  'level',
  'xlevel',
  'xlevel2',
  'level-func7',
  'min-level',
  'min-xlevel',
  'min-xlevel2',
];
const ADDRESS = ['phys-bits', 'host-phys-bits', 'host-phys-bits-limit'];

/**
 * The CPU of a -cpu argument on a machine type, independent of the machine type.
 * @throws QueryError for whatever this QEMU would refuse.
 */
export function pin(catalog: Catalog, cpu: string, where: Surroundings): Pin {
  const expansion = expandCpu(catalog, cpu, where);
  const { qemu, accelerator, machine, resolved, features } = expansion;
  const notes: PinNote[] = [];
  const properties = pinnable(catalog, expansion, notes);
  if (!hasOneCache(catalog, expansion))
    notes.push({
      code: 'cache-table',
      message: `the cache table is no property: beside -cpu ${expansion.model} it follows the version that the name means (on microvm the latest); beside -cpu ${resolved} it is always this one`,
    });
  // What is set beside a -cpu comes before its own words, so what the start fills in must be left for it to fill.
  const filled = Object.keys(filledAtStart(catalog, expansion));
  const unfilled = Object.entries(properties).filter(([name]) => !filled.includes(name));
  const beside = settings(knownTo(catalog, qemu), features, Object.fromEntries(unfilled));
  const own = alone(catalog, expansion, properties);
  prove(catalog, expansion, beside, own);
  return {
    qemu: catalog.patches[`qemu@${qemu}`] ?? qemu,
    machine,
    accel: accelerator,
    cpu,
    resolved,
    features: catalog.names(features),
    properties: Object.fromEntries(Object.entries(properties).sort(([a], [b]) => byBytes(a, b))),
    beside,
    alone: own,
    notes,
  };
}

/**
 * Expands both definitions again on every machine type of the QEMU.
 * @throws Error where one of them gives another guest: such a definition must not go out.
 */
function prove(catalog: Catalog, expansion: Expansion, beside: Settings, own: Settings): void {
  const { qemu, accelerator, model, resolved } = expansion;
  const line = [resolved, ...own.map(([name, value]) => `${name}=${valueText(value)}`)].join(',');
  // No definition reaches what a machine type forces, nor a vendor that is the host's.
  const unreached = (machine: string): string[] => {
    const forced = [expansion.machine, machine].flatMap((m) => Object.keys(forcedValues(m)));
    return [
      ...(accelerator === 'kvm' && !expansion.named.has('vendor') ? ['vendor'] : []),
      ...(forced.length > 0 ? [...forced, 'phys-bits'] : []),
    ];
  };
  const text = (e: Expansion, skip: readonly string[]): string => {
    const started = startedProperties(catalog, e, startedFeatures(catalog, e));
    const names = Object.keys(started).filter((name) => !skip.includes(name));
    return JSON.stringify(names.sort().map((name) => [name, started[name]]));
  };
  for (const { name: machine } of machinesOf(catalog, qemu)) {
    const there = { machine, qemu, accelerator };
    const skip = unreached(machine);
    const wanted = text(expansion, skip);
    for (const [how, again] of [
      ['beside', expandItems(catalog, expansion.string, there, beside)],
      ['alone', expandItems(catalog, parseCpuString(line), there)],
    ] as const)
      if (!isEqual(again.features, expansion.features) || text(again, skip) !== wanted)
        throw new Error(`the definition ${how} of ${model} gives another guest on ${machine}`);
  }
}

/** What is left of the features at start: under kvm that is for the host to say. */
const startedFeatures = (catalog: Catalog, e: Expansion): Row =>
  e.accelerator === 'tcg' ? realizeTcg(catalog, e).exposed : e.features;

/** The properties as the guest finds them, but for those that no definition can hold. */
function pinnable(catalog: Catalog, expansion: Expansion, notes: PinNote[]): Properties {
  const { qemu, accelerator, named, features } = expansion;
  const p: Record<string, PropertyValue> = {
    ...(accelerator === 'tcg'
      ? realizeTcg(catalog, expansion).properties
      : startedProperties(catalog, expansion, features)),
  };
  for (const { name, of, default: unset } of propertiesOf(catalog, qemu)) {
    const says = of === undefined && unset !== null && (unset !== '' || p[name] !== '');
    if (!says && !named.has(name)) delete p[name];
  }
  // What QEMU fills in at start is the same everywhere, and some of it cannot be said in advance.
  for (const name of ['hv-vendor-id', 'ucode-rev']) if (!named.has(name)) delete p[name];
  const guestBits = expansion.properties['guest-phys-bits'];
  if (guestBits !== undefined) p['guest-phys-bits'] = guestBits;
  if (accelerator === 'kvm') {
    if (!named.has('vendor')) {
      delete p.vendor;
      notes.push({
        code: 'vendor-of-host',
        message:
          'under kvm the guest sees the vendor of its host; vendor=... in the -cpu given would pin it',
      });
    }
    if (p['host-phys-bits'] === true) {
      delete p['phys-bits'];
      notes.push({
        code: 'phys-bits-of-host',
        message:
          'host-phys-bits is on, so the guest has as many address bits as its host; host-phys-bits=off,phys-bits=N in the -cpu given would pin them',
      });
    }
  }
  return p;
}

/** Whether the name has one cache table whatever the machine type, or takes none from its model. */
function hasOneCache(catalog: Catalog, { model, properties, qemu }: Expansion): boolean {
  if (
    properties['legacy-cache'] === true ||
    catalog.qemuModels.get(model)!.kind !== 'machine-alias'
  )
    return true;
  const tables = new Set<string | null>();
  for (const m of catalog.qemuModels.values())
    if (m.kind === 'versioned' && m.base === model && catalog.hasQemuModel(m.name, qemu))
      tables.add(m.cache);
  return tables.size === 1;
}

/** Features and properties in the order of their names. */
function settings(features: readonly Feature[], on: Row, properties: Properties): Settings {
  const switches = features.map((f): [string, PropertyValue] => [f.name, hasBit(on, f.id)]);
  return [...switches, ...writable(properties, hasLongMode(features, on))].sort(([a], [b]) =>
    byBytes(a, b),
  );
}

const hasLongMode = (features: readonly Feature[], on: Row): boolean =>
  features.some((f) => f.name === 'lm' && hasBit(on, f.id));

/** A 32-bit CPU has its address bits from its features, and takes no number. */
const writable = (properties: Properties, is64Bit: boolean): [string, PropertyValue][] =>
  Object.entries(properties).filter(
    ([name]) => is64Bit || (name !== 'phys-bits' && name !== 'guest-phys-bits'),
  );

const knownTo = (catalog: Catalog, qemu: string): Feature[] =>
  catalog.features.filter((f) => catalog.hasQemuFeature(f, qemu));

/** What a versioned name needs beside it: what it lacks, what it might bring, and what machine types set. */
function alone(catalog: Catalog, expansion: Expansion, properties: Properties): Settings {
  const { qemu, accelerator, resolved, features, named } = expansion;
  const known = knownTo(catalog, qemu);
  const isTable = catalog.qemuModels.get(resolved)!.kind === 'versioned';
  // max may bring anything; a table entry what it means somewhere, or an accelerator gives it.
  const might = isTable
    ? join(
        qemuMeanings(catalog, resolved, qemu, accelerator).reduce(join),
        join(catalog.accelerators.kvm.on, catalog.accelerators.kvm.off),
      )
    : catalog.rowWhere((f) => catalog.hasQemuFeature(f, qemu));
  const table = isTable ? catalog.qemuModels.get(resolved)!.values : {};
  const moved = new Set([
    ...LEVELS,
    ...ADDRESS,
    ...named,
    ...catalog.allCpuChanges.flatMap((c) => Object.keys(c.values)),
    ...catalog.machineChanges(resolved, qemu).flatMap((c) => Object.keys(c.values ?? {})),
  ]);
  const kept = Object.entries(properties).filter(
    ([name, value]) => moved.has(name) || !isTable || (name in table && table[name] !== value),
  );
  const said = join(features, toSwitchOff(catalog, features, might));
  const written = known.filter((f) => hasBit(said, f.id));
  const result = settings(written, features, Object.fromEntries(kept));
  const comma = result.find(([name, value]) => !named.has(name) && String(value).includes(','));
  if (comma) throw new RangeError(`${comma[0]} of ${resolved} holds a comma and is not its own`);
  return result;
}

/**
 * The pinned CPU as far as libvirt can say it.
 * @throws QueryError where no name is known to every libvirt of the stack.
 */
export function pinForLibvirt(catalog: Catalog, pinned: Pin, stack: Stack): LibvirtPin {
  const versions = stack.filter((s) => s.product === 'libvirt').map((s) => s.version);
  const libvirts = versions.length > 0 ? versions : [catalog.versions.libvirt[0]!];
  const qemu = catalog.versions.qemu.find((v) => catalog.patches[`qemu@${v}`] === pinned.qemu)!;
  const name = libvirtName(catalog, pinned.resolved, libvirts);
  const oldest = libvirts.reduce((a, b) => (catalog.isSince('libvirt', a, b) ? b : a));
  const nameable = catalog.nameable('libvirt', oldest);
  const sayable = meet(
    nameable,
    catalog.rowWhere((f) => catalog.hasQemuFeature(f, qemu)),
  );
  const on = catalog.row(pinned.features);
  const given = catalog.accelerators[pinned.accel].on;
  const maps = libvirts.map((v) => catalog.libvirtFeatures(name, v)!).reduce(join);
  const meanings = qemuMeanings(catalog, name, qemu, pinned.accel);
  const might = [maps, ...meanings, given].reduce(join);
  // What libvirt's map has is listed off even where QEMU would clear it by itself: libvirt would miss it.
  const off = join(toSwitchOff(catalog, on, might), minus(maps, on));
  const unsaid = join(minus(minus(on, sayable), given), minus(off, sayable));
  const said = {
    require: catalog.names(meet(on, sayable)),
    disable: catalog.names(meet(off, sayable)),
  };
  const moving = proveForLibvirt(catalog, pinned, qemu, { name, ...said }, unsaid);
  const notes: PinNote[] = [
    {
      code: 'holds-for',
      message: `the element holds for <domain type='${pinned.accel === 'kvm' ? 'kvm' : 'qemu'}'> with one vCPU: with more than one thread in a socket QEMU adds ht (and cmp-legacy unless Intel), which check='full' then wants listed`,
    },
  ];
  if (size(unsaid) > 0)
    notes.push({
      code: 'cannot-express',
      message: `libvirt ${oldest} has no name for ${catalog.names(unsaid).join(', ')}`,
    });
  const properties = differingProperties(catalog, pinned, name, qemu);
  const along = catalog.names(moving);
  if (properties.length > 0)
    notes.push({
      code: 'follows-machine-type',
      message: `libvirt has no element for ${properties.join(', ')}: they ${along.length > 0 ? `(and with them ${along.join(', ')}) ` : ''}follow the machine type, so keep ${pinned.machine}, or pass a -readconfig beside it with <qemu:commandline>`,
    });
  else if (along.length > 0)
    throw new Error(
      `${along.join(', ')} of ${name} follows the machine type, and nothing says why`,
    );
  return {
    name,
    vendor:
      pinned.accel === 'kvm' ? (catalog.qemuModels.get(pinned.resolved)?.vendor ?? null) : null,
    physBits: pinned.features.includes('lm')
      ? Number(pinned.properties['phys-bits']) || null
      : null,
    ...said,
    notes,
  };
}

/**
 * Expands the name and its words again on every machine type of the QEMU. Answers what of it is otherwise on some of the
 * others, as what stands on a property that libvirt has no element for.
 * @throws Error where another guest comes out on the pinned one: such a definition must not go out.
 */
function proveForLibvirt(
  catalog: Catalog,
  { accel, features, machine: pinned }: Pin,
  qemu: string,
  { name, require, disable }: Definition,
  unsaid: Row,
): Row {
  const on = catalog.row(features);
  // What cannot be asked for takes along what depends on it.
  const open = join(unsaid, minus(on, closeDependencies(catalog, minus(on, unsaid))));
  const words = [...require.map((f) => `${f}=on`), ...disable.map((f) => `${f}=off`)];
  const cpu = parseCpuString([name, ...words].join(','));
  let moving = emptyRow(catalog.bits);
  for (const { name: machine } of machinesOf(catalog, qemu)) {
    const again = expandItems(catalog, cpu, { machine, qemu, accelerator: accel }).features;
    const differs = minus(join(minus(again, on), minus(on, again)), open);
    if (machine === pinned && !isEmpty(differs))
      throw new Error(`the element for libvirt of ${name} gives another guest on ${machine}`);
    moving = join(moving, differs);
  }
  return moving;
}

/** Properties of the pinned CPU that some machine type of this QEMU would give another value. */
function differingProperties(catalog: Catalog, pinned: Pin, name: string, qemu: string): string[] {
  const values = [
    ...catalog.allCpuChanges.filter((c) => c.qemu === qemu).map((c) => c.values),
    ...catalog.machineChanges(name, qemu).map((c) => c.values ?? {}),
  ];
  const differs = Object.entries(pinned.properties).filter(([key, value]) =>
    values.some((v) => v[key] !== undefined && v[key] !== value),
  );
  return differs.map(([key]) => key).filter((key) => !['check', 'guest-phys-bits'].includes(key));
}

/** A name of libvirt's map that means this version of QEMU: one fixed to it, that version, or the unversioned one. */
function libvirtName(catalog: Catalog, resolved: string, versions: readonly string[]): string {
  const model = catalog.qemuModels.get(resolved)!;
  const fixed = [...catalog.qemuModels.values()]
    .filter((m) => m.of === resolved)
    .map((m) => m.name);
  // Where there is a choice, the name that more libvirts know.
  const candidates = [...fixed, ...(model.version === 1 ? [model.base] : []), resolved, model.base];
  const found = candidates.find((name) =>
    versions.every((v) => catalog.libvirtModel(name, v) !== null),
  );
  if (found === undefined)
    throw new QueryError(
      `libvirt ${versions.join(' and ')} has no model for ${resolved}; give a newer --stack, or another --to`,
    );
  return found;
}
