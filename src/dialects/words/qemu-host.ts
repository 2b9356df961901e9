// What a QEMU says of its host, whoever wrote it down: expansions of host or max, and its models with what blocks each.
import {
  emptyRow,
  hasBit,
  intersects,
  isEmpty,
  join,
  meet,
  minus,
  type Row,
  setBit,
} from '../../core/rows.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description, Note } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { withUsable } from '../../cpu/proven/by-models.ts';
import { kvmWord } from '../../cpu/qemu/accelerators.ts';
import { findProperty } from '../../cpu/qemu/properties.ts';
import { type JsonObject, valueKind } from '../text/json.ts';
import { EMULATION, KVM, processorKey } from './blank-description.ts';

/** Enlightenments for other hypervisors' guests are QEMU's own, and x- marks what is no interface. */
const SWITCH = /^(?:hv|x|xen)-/;
/** Of a model that needs another accelerator, or that cannot be made at all. */
const NO_FEATURE = new Set(['kvm', 'type']);

/** One expansion of what the host can give. */
export interface Offered {
  /** Where it stands, as messages name it. */
  readonly where: string;
  readonly props: JsonObject;
  /** Whether it keeps to what can migrate, as QEMU does unless it is asked otherwise. */
  readonly migratable: boolean;
}

/** A model by QEMU's own list. */
export interface ListedModel {
  readonly name: string;
  readonly alias?: string | undefined;
  /** Null where QEMU does not say. */
  readonly blockers: readonly string[] | null;
}

/** Features and numbers of an expansion; what it does not list is unknown. */
export function readProps(catalog: Catalog, where: string, props: JsonObject) {
  const fail = (what: string): never => {
    throw new QueryError(`${where}: ${what}`);
  };
  const has = emptyRow(catalog.bits);
  const off = emptyRow(catalog.bits);
  const unnamed: string[] = [];
  for (const [name, value] of Object.entries(props)) {
    const f = catalog.findQemu(name);
    if (f) {
      if (typeof value !== 'boolean')
        fail(`"${name}" is ${valueKind(value)}; QEMU answers true or false for a feature`);
      setBit(value ? has : off, f.id);
    } else if (value === true && !isSwitch(catalog, name)) unnamed.push(name);
  }
  const both = catalog.names(meet(has, off));
  if (both.length > 0) fail(`${both.join(', ')} is both true and false under different spellings`);
  const number = (name: string): number | null =>
    Number.isInteger(props[name]) ? (props[name] as number) : null;
  const [family, model, stepping] = ['family', 'model', 'stepping'].map(number);
  const known = join(has, off);
  return {
    vendor: typeof props.vendor === 'string' ? catalog.vendor(props.vendor) : null,
    has,
    known,
    told: known,
    unnamed,
    limits: { physBits: number('phys-bits') || null },
    signature:
      family === null || model === null || stepping === null
        ? null
        : { family: family!, model: model!, stepping: stepping! },
  };
}

/** Whether it is a property of QEMU's CPUs that is no feature. */
const isSwitch = (catalog: Catalog, name: string): boolean =>
  SWITCH.test(name) ||
  catalog.versions.qemu.some((version) => findProperty(catalog, name, version));

/** Whether QEMU says that it emulates: no guest of KVM is without all of KVM's own features. */
const isOfEmulator = (catalog: Catalog, { has, told }: { has: Row; told: Row }): boolean =>
  intersects(told, kvmWord(catalog)) && isEmpty(meet(has, kvmWord(catalog)));

/**
 * The host of these expansions, which are all its own: one that is not held to what can migrate says what is there.
 * @throws QueryError where two of one sort contradict each other.
 */
function readOffers(catalog: Catalog, offers: readonly Offered[], where: string) {
  const full = offers.filter((o) => !o.migratable);
  const rest = offers.filter((o) => o.migratable);
  const whole = readProps(catalog, full[0]?.where ?? where, united(full));
  const moving = readProps(catalog, rest[0]?.where ?? where, united(rest));
  if (full.length === 0) {
    const silent = minus(catalog.migratableSilent, moving.has);
    return { ...moving, known: minus(moving.known, silent) };
  }
  return {
    ...moving,
    listsUnmigratable: true as const,
    vendor: whole.vendor ?? moving.vendor,
    has: join(whole.has, minus(moving.has, whole.told)),
    known: join(whole.known, moving.known),
    told: join(whole.told, moving.told),
    unnamed: [...new Set([...whole.unnamed, ...moving.unnamed])],
    limits: whole.limits.physBits === null ? moving.limits : whole.limits,
    signature: whole.signature ?? moving.signature,
  };
}

/** All that expansions of one sort say. */
function united(offers: readonly Offered[]): JsonObject {
  const props: Record<string, unknown> = Object.create(null);
  for (const { where, props: own } of offers)
    for (const [name, value] of Object.entries(own)) {
      if (Object.hasOwn(props, name) && props[name] !== value)
        throw new QueryError(
          `${where}: two expansions of one session contradict each other about ${name}; give each host a file of its own`,
        );
      props[name] = value;
    }
  return props;
}

/** Model names with what blocks each, by the catalog's names. */
function readModels(
  catalog: Catalog,
  listed: readonly ListedModel[],
): Map<string, readonly string[] | null> {
  return new Map(
    listed.map(({ name, blockers }): [string, readonly string[] | null] => [
      name,
      blockers === null || blockers.some((b) => b === '' || NO_FEATURE.has(b))
        ? null
        : [...new Set(blockers.map((b) => catalog.findQemu(b)?.name ?? b))],
    ]),
  );
}

/** A host by its QEMU's expansions and models, either of which may be missing. */
export function hostOf(
  catalog: Catalog,
  blank: Description,
  where: string,
  host: {
    readonly offers: readonly Offered[];
    readonly models: readonly ListedModel[] | null;
    readonly isEmulating: boolean;
  },
): Description {
  const notes: Note[] = [...blank.notes];
  const read = readOffers(catalog, host.offers, where);
  const models = host.models === null ? null : readModels(catalog, host.models);
  if (host.offers.length === 0) {
    for (const blockers of models?.values() ?? [])
      for (const name of blockers ?? []) {
        const f = catalog.findQemu(name);
        if (f) setBit(read.known, f.id);
      }
    notes.push({
      code: 'no-expansion',
      message:
        'QEMU lists its models but not what it offers; query-cpu-model-expansion of host would tell',
    });
  }
  const isEmulated =
    host.isEmulating || models?.get('host') === null || isOfEmulator(catalog, read);
  if (isEmulated)
    notes.push({
      code: 'emulated',
      message: 'QEMU ran without KVM, so this is what its emulation offers and not the processor',
    });
  const isKvm = intersects(read.has, kvmWord(catalog));
  const keys = {
    ...processorKey(host.offers.find(({ props }) => props['model-id'])?.props['model-id']),
    ...(isEmulated ? { virttype: EMULATION } : isKvm ? { virttype: KVM } : {}),
  };
  return withUsable(
    catalog,
    { ...blank, ...read, view: 'hypervisor', models, model: null, keys, notes },
    {
      accelerator: isEmulated ? 'tcg' : 'kvm',
      denied: minus(read.told, read.has),
      aliases: new Map(
        (host.models ?? []).flatMap(({ name, alias }) => (alias ? [[name, alias] as const] : [])),
      ),
    },
  );
}

/** Whether two expansions can be of one host: they differ, and only in what migration forbids. */
export function isSameHost(catalog: Catalog, a: JsonObject, b: JsonObject): boolean {
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  const differing = names.filter((name) => a[name] !== b[name]);
  return (
    differing.length > 0 &&
    differing.every((name) => {
      const f = catalog.findQemu(name);
      return name === 'migratable' || (f !== undefined && hasBit(catalog.migratableSilent, f.id));
    })
  );
}
