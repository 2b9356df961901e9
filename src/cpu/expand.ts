// What a whole -cpu argument means on one machine type of one QEMU: the features asked for, the properties, and what
// QEMU refuses. The steps and their order are QEMU's own; no host is looked at.
import { clearBit, emptyRow, hasBit, join, minus, type Row, rowOf, setBit } from '../core/rows.ts';
import { kvmWord, tcgRow } from './accelerators.ts';
import type { Catalog, Feature } from './catalog.ts';
import { QueryError } from './errors.ts';
import { AUTO, setLevels } from './levels.ts';
import { findMachine, type Machine } from './machine.ts';
import {
  findProperty,
  kvmKeeps,
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
import type { Accelerator } from './qemu.ts';
import {
  type CpuString,
  checkValue,
  type Item,
  parseBoolean,
  parseFrequency,
  parseValue,
} from './qemu-string.ts';
import { didYouMean } from './suggest.ts';

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
 * @throws QueryError for an unknown model or property, or a value that QEMU does not take.
 */
export const expandItems = (
  catalog: Catalog,
  cpu: CpuString,
  where: Surroundings,
  globals: Settings = [],
): Expansion => new Builder(catalog, cpu, where).expand({}, globals);

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

/** The -vN of a name on a machine type. */
function resolveModel(
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

interface Begun {
  readonly features: Row;
  readonly touched: Row;
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
  #values: Record<string, PropertyValue> = {};

  constructor(catalog: Catalog, cpu: CpuString, where: Surroundings) {
    this.#catalog = catalog;
    this.#cpu = cpu;
    this.#where = where;
    this.#machine = findMachine(catalog, where.machine, where.qemu);
    this.#checkModel();
    this.#resolved = resolveModel(catalog, cpu.model, where.qemu, this.#machine);
    this.#features = emptyRow(catalog.bits);
    this.#touched = emptyRow(catalog.bits);
  }

  expand(props: Readonly<Record<string, unknown>> = {}, globals: Settings = []): Expansion {
    this.#begin();
    for (const [name, value] of globals) this.#set({ how: 'set', name, value: valueText(value) });
    for (const item of this.#items('set')) this.#set(item);
    for (const [name, value] of Object.entries(props)) this.#setTyped(name, value);
    for (const how of ['plus', 'minus'] as const)
      for (const item of this.#items(how)) this.#switch(item);
    if (this.#isMax()) this.#fill();
    const orphaned = this.#close();
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
  #begin(): void {
    const { qemu, accelerator } = this.#where;
    const key = `${qemu} ${accelerator} ${this.#machine.name} ${this.#cpu.model}`;
    const known = begun.get(this.#catalog) ?? new Map<string, Begun>();
    begun.set(this.#catalog, known);
    let start = known.get(key);
    if (!start) {
      this.#setTable();
      this.#setMachine();
      start = { features: this.#features, touched: this.#touched, values: this.#values };
      if (known.size >= MAX_BEGUN) known.clear();
      known.set(key, start);
    }
    this.#features = start.features.slice();
    this.#touched = start.touched.slice();
    this.#values = { ...start.values };
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

  /** The model's own entry, and what the accelerator switches on every named model. */
  #setTable(): void {
    const { qemu, accelerator } = this.#where;
    for (const p of propertiesOf(qemu))
      if (
        p.default !== undefined &&
        p.default !== null &&
        p.of !== 'vcpu' &&
        (p.of !== 'max' || this.#isMax())
      )
        this.#values[p.name] = p.default;
    Object.assign(this.#values, { level: AUTO, xlevel: AUTO, xlevel2: AUTO, 'level-func7': AUTO });
    if (this.#isMax()) Object.assign(this.#values, maxValues(qemu));
    const table = this.#catalog.qemuFeatures(this.#resolved, qemu);
    if (table === null) return;
    const {
      level,
      xlevel,
      'min-level': _,
      'min-xlevel': __,
      ...rest
    } = this.#catalog.qemuModels.get(this.#resolved)!.values;
    for (const [name, value] of Object.entries(rest))
      if (findProperty(name, qemu)) this.#values[name] = value;
    Object.assign(this.#values, { 'min-level': level, 'min-xlevel': xlevel });
    const { on, off } = this.#catalog.accelerators[accelerator];
    const kept = new Set(accelerator === 'kvm' ? this.#kept() : []);
    const row = (ids: readonly number[]) =>
      rowOf(
        this.#catalog.bits,
        ids.filter((id) => !kept.has(id)),
      );
    this.#features = minus(join(table, row(on)), row(off));
    setBit(this.#features, this.#catalog.feature('hypervisor').id);
  }

  /** Accelerator defaults that this machine type leaves alone. */
  #kept(): number[] {
    return kvmKeeps
      .filter(
        (k) =>
          k.qemu === this.#where.qemu &&
          this.#machine.name.startsWith('pc-') &&
          this.#machine.index <= this.#catalog.machines.findIndex((m) => m.name === k.upTo),
      )
      .map((k) => this.#catalog.feature(k.feature).id);
  }

  /** What the machine type changes about all CPUs, then about exactly this name. */
  #setMachine(): void {
    const { qemu } = this.#where;
    const isHere = (c: { machines: number[][] }) =>
      c.machines.some(
        ([from, to]) => this.#machine.index >= from! && this.#machine.index <= (to ?? from!),
      );
    Object.assign(
      this.#values,
      this.#catalog.allCpuChanges.find((c) => c.qemu === qemu && isHere(c))?.values,
    );
    if (this.#isMax()) this.#values.pmu = true;
    // Where the name means the latest version, that version's own table has said it all.
    if (this.#machine.cpuVersion === 'latest' && this.#resolved !== this.#cpu.model) return;
    // host is max with the host's identity, and what hits all CPUs hits both alike.
    const name = this.#isMax() ? 'max' : this.#cpu.model;
    const change = this.#catalog.machineChanges(name, qemu).find(isHere);
    if (!change) return;
    const [on, off] = [
      this.#catalog.row(change.on ?? []),
      this.#withoutDerived(this.#catalog.row(change.off ?? [])),
    ];
    this.#features = minus(join(this.#features, on), off);
    for (const row of [on, off]) this.#touched.set(join(this.#touched, row));
    if (this.#isMax()) return;
    const {
      level: _,
      'level-func7': __,
      'min-xlevel2': ___,
      xlevel2: ____,
      xlevel,
      'min-xlevel': minXlevel,
      ...rest
    } = change.values ?? {};
    Object.assign(this.#values, rest);
    if (minXlevel !== undefined) this.#values['min-xlevel'] = minXlevel;
    // A maximum without its minimum was set as such; together they are what the features made of the minimum.
    if (xlevel !== undefined && xlevel !== minXlevel) this.#values.xlevel = xlevel;
  }

  /** Features that are off only because the same change takes their prerequisite. */
  #withoutDerived(off: Row): Row {
    const own = off.slice();
    for (const { any, clears } of this.#catalog.dependencies)
      if (any.every((id) => hasBit(off, id))) for (const id of clears) clearBit(own, id);
    return own;
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
    return feature &&
      feature.qemu !== null &&
      this.#catalog.isSince('qemu', this.#where.qemu, feature.qemu)
      ? feature
      : undefined;
  }

  #findProperty(name: string): Property {
    const { qemu } = this.#where;
    const property = findProperty(name, qemu);
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
      ...propertiesOf(qemu).map((p) => p.name),
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
    const later = laterDependencies(this.#where.qemu).map((name) => this.#catalog.feature(name).id);
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
