// What a whole -cpu argument means on one machine type of one QEMU: the features asked for, the properties, and what
// QEMU refuses. The steps and their order are QEMU's own; no host is looked at.
import { clearBit, emptyRow, hasBit, join, minus, type Row, setBit } from '../../core/rows.ts';
import type { Catalog, Feature } from '../catalog/catalog.ts';
import { didYouMean } from '../catalog/suggest.ts';
import { type CpuString, type Item, parseBoolean } from '../cpu-string.ts';
import { QueryError } from '../errors.ts';
import { kvmWord, tcgRow } from './accelerators.ts';
import { checkValue, parseFrequency, parseValue } from './cpu-argument.ts';
import { AUTO, setLevels } from './levels.ts';
import { findMachine, type Machine } from './machine.ts';
import { type Accelerator, type Start, startOf } from './model.ts';
import {
  findProperty,
  laterDependencies,
  maxValues,
  notAutomatic,
  type Properties,
  type Property,
  type PropertyValue,
  propertiesOf,
  type Settings,
  valueText,
} from './properties.ts';

export interface Surroundings {
  readonly machine: string;
  /** A version of the catalog: 10.0, not 10.0.13. */
  readonly qemu: string;
  readonly accelerator: Accelerator;
}

export interface Expansion {
  /** The definition that was expanded. */
  readonly string: CpuString;
  /** The name as given, and the -vN that it stands for there (itself where it is base or max). */
  readonly model: string;
  readonly resolved: string;
  readonly machine: string;
  readonly qemu: string;
  readonly accelerator: Accelerator;
  /** All that the guest asks for, before any host filters it. */
  readonly features: Row;
  /** Asked for by name and cleared because a prerequisite is off: QEMU counts them as unavailable. */
  readonly orphaned: Row;
  /** Every property that is no feature, as it is before the CPU starts. */
  readonly properties: Properties;
  /** The properties that the definition itself names. */
  readonly named: ReadonlySet<string>;
}

const KILO = 1000;

/**
 * The meaning of a -cpu argument, not held against what a start would refuse.
 * @param globals what -global or -readconfig set on all CPUs
 * @param hostless of host and max only what is said of them, not what they take from a host that is not there
 * @throws QueryError for an unknown model or property, or a value that QEMU does not take.
 */
export const expandItems = (
  catalog: Catalog,
  cpu: CpuString,
  where: Surroundings,
  globals: Settings = [],
  { hostless = false }: { readonly hostless?: boolean } = {},
): Expansion => new Builder(catalog, cpu, where).expand({}, globals, hostless);

/**
 * The meaning of a model and typed properties, as query-cpu-model-expansion gives it: not held against what a start
 * would refuse.
 * @throws QueryError for an unknown model or property, or a value of the wrong type or range.
 */
export function expandModel(
  catalog: Catalog,
  model: string,
  props: Readonly<Record<string, unknown>>,
  where: Surroundings,
): Expansion {
  return new Builder(catalog, { model, items: [] }, where).expand(props);
}

interface Begun {
  readonly start: Start;
  readonly values: Readonly<Record<string, PropertyValue>>;
}

const begun = new WeakMap<Catalog, Map<string, Begun>>();
const MAX_BEGUN = 4096;

class Builder {
  readonly #catalog: Catalog;
  readonly #cpu: CpuString;
  readonly #where: Surroundings;
  readonly #machine: Machine;
  readonly #resolved: string;
  #features: Row;
  /** Bits that something beyond the model's table has set or cleared by name. */
  #touched: Row;
  readonly #named = new Set<string>();
  #values: Record<string, PropertyValue>;

  constructor(catalog: Catalog, cpu: CpuString, where: Surroundings) {
    this.#catalog = catalog;
    this.#cpu = cpu;
    this.#where = where;
    this.#machine = findMachine(catalog, where.machine, where.qemu);
    this.#checkModel();
    const { start, values } = this.#begin();
    this.#resolved = start.resolved;
    this.#features = start.features.slice();
    this.#touched = start.touched.slice();
    this.#values = { ...values };
  }

  expand(
    props: Readonly<Record<string, unknown>> = {},
    globals: Settings = [],
    hostless = false,
  ): Expansion {
    for (const [name, value] of globals) this.#set({ how: 'set', name, value: valueText(value) });
    for (const item of this.#items('set')) this.#set(item);
    for (const [name, value] of Object.entries(props)) this.#setTyped(name, value);
    for (const how of ['plus', 'minus'] as const)
      for (const item of this.#items(how)) this.#switch(item);
    if (this.#isMax() && !hostless) this.#fill();
    // What features of the host need is there or not with the host.
    const orphaned = hostless ? emptyRow(this.#catalog.bits) : this.#close();
    if (setLevels(this.#catalog, this.#features, this.#values)) {
      // Processor trace without its leaf is unavailable, whatever the host has.
      const { id } = this.#catalog.feature('intel-pt');
      setBit(orphaned, id);
      if (this.#values['x-force-features'] !== true) clearBit(this.#features, id);
    }
    return {
      string: this.#cpu,
      model: this.#cpu.model,
      resolved: this.#resolved,
      machine: this.#machine.name,
      qemu: this.#where.qemu,
      accelerator: this.#where.accelerator,
      features: this.#features,
      orphaned,
      properties: this.#values,
      named: this.#named,
    };
  }

  /** All that is settled before anything is said of this one guest; fleets ask for the same few over and over. */
  #begin(): Begun {
    const { qemu, accelerator } = this.#where;
    const { model } = this.#cpu;
    const key = `${qemu} ${accelerator} ${this.#machine.name} ${model}`;
    const known = begun.get(this.#catalog) ?? new Map<string, Begun>();
    begun.set(this.#catalog, known);
    let first = known.get(key);
    if (!first) {
      const start = startOf(this.#catalog, model, this.#machine, qemu, accelerator);
      const values = { ...this.#tableValues(start.resolved), ...this.#machineValues(start) };
      first = { start, values };
      if (known.size >= MAX_BEGUN) known.clear();
      known.set(key, first);
    }
    return first;
  }

  #checkModel(): void {
    const { model } = this.#cpu;
    const { qemu } = this.#where;
    if (this.#catalog.hasQemuModel(model, qemu)) return;
    const elsewhere = this.#catalog.versions.qemu.filter((v) =>
      this.#catalog.hasQemuModel(model, v),
    );
    const known = [...this.#catalog.qemuModels.keys()].filter((name) =>
      this.#catalog.hasQemuModel(name, qemu),
    );
    throw new QueryError(
      `QEMU ${qemu} has no CPU model "${model}"${elsewhere.length > 0 ? `, QEMU ${elsewhere.join(' and ')} has` : didYouMean(model, known) || '; "plimsoll models" lists those that are known'}`,
    );
  }

  #isMax(): boolean {
    return this.#cpu.model === 'max' || this.#cpu.model === 'host';
  }

  #items(how: Item['how']): Item[] {
    return this.#cpu.items.filter((item) => item.how === how);
  }

  /** What QEMU gives every CPU, and the model's own entry. */
  #tableValues(resolved: string): Record<string, PropertyValue> {
    const { qemu } = this.#where;
    const values: Record<string, PropertyValue> = {};
    for (const p of propertiesOf(this.#catalog, qemu))
      if (
        p.default !== undefined &&
        p.default !== null &&
        p.of !== 'vcpu' &&
        (p.of !== 'max' || this.#isMax())
      )
        values[p.name] = p.default;
    Object.assign(values, { level: AUTO, xlevel: AUTO, xlevel2: AUTO, 'level-func7': AUTO });
    if (this.#isMax()) Object.assign(values, maxValues(this.#catalog, qemu));
    if (this.#catalog.qemuFeatures(resolved, qemu) === null) return values;
    const {
      level,
      xlevel,
      'min-level': _,
      'min-xlevel': __,
      ...rest
    } = this.#catalog.qemuModels.get(resolved)!.values;
    for (const [name, value] of Object.entries(rest))
      if (findProperty(this.#catalog, name, qemu)) values[name] = value;
    return { ...values, 'min-level': level!, 'min-xlevel': xlevel! };
  }

  /** What the machine type changes about all CPUs, then about exactly this name. */
  #machineValues({ change }: Start): Record<string, PropertyValue> {
    const { qemu } = this.#where;
    const { index } = this.#machine;
    const all = this.#catalog.allCpuChanges.find(
      (c) =>
        c.qemu === qemu &&
        c.machines.some(([from, to]) => index >= from! && index <= (to ?? from!)),
    );
    const values: Record<string, PropertyValue> = { ...all?.values };
    if (this.#isMax()) return { ...values, pmu: true };
    const {
      level: _,
      'level-func7': __,
      'min-xlevel2': ___,
      xlevel2: ____,
      xlevel,
      'min-xlevel': minXlevel,
      ...rest
    } = change?.values ?? {};
    Object.assign(values, rest);
    if (minXlevel !== undefined) values['min-xlevel'] = minXlevel;
    // A maximum without its minimum was set as such; together they are what the features made of the minimum.
    if (xlevel !== undefined && xlevel !== minXlevel) values.xlevel = xlevel;
    return values;
  }

  #set({ name, value }: Item): void {
    const feature = this.#findFeature(name);
    if (name === 'tsc-freq') this.#setProperty('tsc-frequency', parseFrequency(value));
    else if (feature) this.#setFeature(feature, parseBoolean(name, value));
    else this.#setProperty(name, value);
  }

  #setProperty(name: string, text: string): void {
    const property = this.#findProperty(name);
    if (name === 'realized') {
      if (parseBoolean(name, text)) throw new QueryError('realized is set by QEMU itself');
      return;
    }
    this.#store(property, parseValue(property, text));
  }

  #setTyped(name: string, value: unknown): void {
    const feature = this.#findFeature(name);
    if (feature) {
      if (typeof value !== 'boolean')
        throw new QueryError(`${name} takes true or false, not ${JSON.stringify(value)}`);
      this.#setFeature(feature, value);
      return;
    }
    const property = this.#findProperty(name);
    this.#store(property, checkValue(property, value));
  }

  /** +name and -name: any switch, feature or not, but nothing that takes another value. */
  #switch({ how, name }: Item): void {
    const feature = this.#findFeature(name);
    if (feature) {
      this.#setFeature(feature, how === 'plus');
      return;
    }
    const property = this.#findProperty(name);
    if (property.type !== 'bool')
      throw new QueryError(
        `${how === 'plus' ? '+' : '-'}${name}: ${name} is no switch; write ${name}=VALUE`,
      );
    this.#store(property, how === 'plus');
  }

  #setFeature(feature: Feature, on: boolean): void {
    if (on) setBit(this.#features, feature.id);
    else clearBit(this.#features, feature.id);
    setBit(this.#touched, feature.id);
  }

  #store(property: Property, value: PropertyValue): void {
    if (property.of === 'vcpu') {
      // The machine numbers its processors itself; for the first of them every number but the thread's own is 0.
      if (property.name !== 'apic-id' && value !== 0 && value !== -1)
        throw new QueryError(
          `${property.name} places one virtual processor, and the first has ${property.name} 0; leave it to the machine`,
        );
      return;
    }
    // QEMU keeps kilohertz.
    this.#values[property.name] =
      property.name === 'tsc-frequency' && typeof value === 'number'
        ? value - (value % KILO)
        : value;
    this.#named.add(property.name);
  }

  #findFeature(name: string): Feature | undefined {
    const feature = this.#catalog.findQemu(name);
    return feature && this.#catalog.hasQemuFeature(feature, this.#where.qemu) ? feature : undefined;
  }

  #findProperty(name: string): Property {
    const { qemu } = this.#where;
    const property = findProperty(this.#catalog, name, qemu);
    if (property && (property.of !== 'max' || this.#isMax())) {
      if (property.type === 'fixed' && name !== 'realized')
        throw new QueryError(`${name} can be read, not set`);
      return property;
    }
    if (property) throw new QueryError(`${name} is a property of max and host only`);
    const newer = this.#catalog.findQemu(name);
    if (newer?.qemu)
      throw new QueryError(`QEMU ${qemu} does not know ${name} yet; ${newer.qemu} does`);
    const known = [
      ...this.#catalog.features
        .filter((f) => f.qemu !== null)
        .flatMap((f) => [f.name, ...f.aliases]),
      ...propertiesOf(this.#catalog, qemu).map((p) => p.name),
    ];
    throw new QueryError(`QEMU ${qemu} has no CPU property "${name}"${didYouMean(name, known)}`);
  }

  /** max and host take all that the accelerator has, but for what was set by name. */
  #fill(): void {
    if (this.#where.accelerator !== 'tcg')
      throw new QueryError(
        `${this.#cpu.model} is whatever the host has, so it means nothing without one; name a model, or give --accel tcg`,
      );
    const all = tcgRow(this.#catalog, this.#where.qemu);
    const left = this.#catalog.row(notAutomatic);
    if (this.#values.migratable === true)
      for (const f of this.#catalog.features)
        if (!f.migratable && this.#values['tsc-frequency'] === 0) setBit(left, f.id);
    this.#features = join(this.#features, minus(minus(all, left), this.#touched));
  }

  /** Clears what has lost its prerequisites, in QEMU's order; returns what of it was asked for by name. */
  #close(): Row {
    const orphaned = emptyRow(this.#catalog.bits);
    const later = laterDependencies(this.#catalog, this.#where.qemu).map(
      (name) => this.#catalog.feature(name).id,
    );
    for (const { any, clears } of this.#catalog.dependencies) {
      if (any.some((id) => hasBit(this.#features, id) || later.includes(id))) continue;
      for (const id of clears) {
        if (!hasBit(this.#features, id)) continue;
        if (hasBit(this.#touched, id)) setBit(orphaned, id);
        clearBit(this.#features, id);
      }
    }
    if (this.#where.accelerator !== 'kvm' || this.#values.kvm === false)
      this.#features = minus(this.#features, kvmWord(this.#catalog));
    return orphaned;
  }
}
