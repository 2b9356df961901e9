// Features, one a place, under QEMU's name where it has one.
import {
  bitOf,
  type Facts,
  given,
  type Json,
  placeOfLibvirt,
  placeOfQemu,
  QEMU,
  sinceLibvirt,
  vendorOfLetters,
  wordOf,
} from './facts.ts';
import { linuxAbsence } from './linux-data.ts';

export interface LearntFeatures {
  readonly records: readonly Json[];
  readonly dependencies: readonly { any: string[]; clears: string[] }[];
  /** Our names by libvirt's. */
  readonly ofLibvirt: ReadonlyMap<string, string>;
}

export function learnFeatures(facts: Facts): LearntFeatures {
  const table = new Table(facts);
  for (const f of facts.qemuFeatures.features) table.addQemu(f);
  for (const f of facts.libvirt128.features) table.addLibvirt(f);
  for (const [name, { at, source }] of Object.entries<Json>(facts.curated.features))
    table.add({ name, at: [at], aliases: [], source });
  table.addRules();
  table.addSpellings();
  table.addOffers();
  const dependencies = facts.qemuFeatures.dependencies.map((d: Json) => ({
    any: d.requires_any_of,
    clears: d.dependents,
  }));
  for (const { any, clears } of dependencies)
    for (const name of clears) {
      const record = table.named(name);
      record.needs = [...(record.needs ?? []), any];
    }
  return { records: table.written(), dependencies, ofLibvirt: table.ofLibvirt };
}

class Table {
  readonly ofLibvirt = new Map<string, string>();
  readonly #facts: Facts;
  readonly #byPlace = new Map<string, Json>();
  readonly #byName = new Map<string, Json>();
  readonly #old: ReadonlyMap<string, Json>;
  /** Every place that libvirt has a name for. */
  readonly #libvirtPlaces: ReadonlySet<string>;

  constructor(facts: Facts) {
    this.#facts = facts;
    this.#old = new Map(facts.features113.x86.map((f: Json) => [f.name, f]));
    this.#libvirtPlaces = new Set(facts.libvirt128.features.map(placeOfLibvirt));
  }

  add(record: Json): Json {
    for (const place of record.at) {
      const other = this.#byPlace.get(place);
      if (other) throw new Error(`two features on ${place}: ${record.name}, ${other.name}`);
      this.#byPlace.set(place, record);
    }
    if (this.#byName.has(record.name)) throw new Error(`two features called ${record.name}`);
    this.#byName.set(record.name, record);
    return record;
  }

  named(name: string): Json {
    const record = this.#byName.get(name);
    if (!record) throw new Error(`there is no feature ${name}`);
    return record;
  }

  addQemu(f: Json): void {
    this.add({
      name: f.name,
      at: [f.location, ...(f.extra_locations ?? [])].map(placeOfQemu),
      aliases: f.aliases,
      qemu: QEMU[f.known_to_qemu[0]],
      unmigratable: !f.migratable,
    });
  }

  addLibvirt(f: Json): void {
    const { libvirt90 } = this.#facts;
    const place = placeOfLibvirt(f);
    const record =
      this.#ofPlace(f.name, place) ??
      this.#ofControlWord(f.name, place) ??
      this.add({ name: f.name, at: [place], aliases: [] });
    const old = this.#old.get(f.name);
    const was = Object.entries({
      '9.0': libvirt90.places.get(f.name),
      '11.3': old && placeOfLibvirt(old),
    }).filter(([, p]) => p && p !== place);
    if (was.length > 0) record.libvirtAt = Object.fromEntries(was);
    record.libvirt = [f.name, sinceLibvirt(libvirt90.places.has(f.name), old !== undefined)];
    record.libvirtUnmigratable = !f.migratable;
    for (const { name, source } of f.aliases)
      if (source === 'qemu' && !record.aliases.includes(name) && !this.#byName.has(name))
        record.aliases.push(name);
    this.ofLibvirt.set(f.name, record.name);
  }

  addRules(): void {
    const { merge, xsave, hostConditional: c, security } = this.#facts.curated;
    for (const { rule, source, features } of merge)
      for (const name of features) Object.assign(this.named(name), { merge: rule, why: source });
    for (const [name, components] of Object.entries(xsave.components))
      this.named(name).xsave = components;
    for (const record of this.#byName.values()) {
      const word = wordOf(record.at[0]);
      record.conditional =
        c.features.includes(record.name) ||
        c.words.includes(word) ||
        c.prefixes.some((p: string) => record.name.startsWith(p));
      record.security = security.features.includes(record.name) || security.words.includes(word);
    }
  }

  addSpellings(): void {
    const { linux, linuxHidden, xen } = this.#facts.curated;
    for (const [name, spellings] of Object.entries(linux)) this.named(name).linux = spellings;
    for (const [name, spellings] of Object.entries(linuxHidden.features))
      this.named(name).linuxHidden = spellings;
    for (const [name, since] of linuxAbsence(this.#facts)) this.named(name).linuxAbsence = since;
    for (const [word, names] of Object.entries<string>(xen))
      names.split(' ').forEach((name, bit) => {
        const record = this.#byPlace.get(`${word}.${bit}`);
        if (name !== '-' && record) record.xen = name;
      });
  }

  addOffers(): void {
    for (const record of this.#byName.values()) {
      const { seen = {}, models = {} } = this.#facts.offers.features[record.name] ?? {};
      const letters = [...Object.keys(seen), ...Object.keys(models)];
      record.offered = [...new Set(letters.map((l) => vendorOfLetters(this.#facts, l)))].sort();
    }
  }

  written(): Json[] {
    return [...this.#byName.values()].map((r) =>
      given({
        name: r.name,
        at: r.at,
        aliases: r.aliases,
        qemu: r.qemu,
        libvirt: r.libvirt,
        libvirtAt: r.libvirtAt,
        linux: r.linux,
        linuxHidden: r.linuxHidden,
        linuxAbsence: r.linuxAbsence,
        xen: r.xen,
        source: r.source,
        merge: r.merge,
        why: r.why,
        unmigratable: r.unmigratable,
        libvirtUnmigratable: r.libvirtUnmigratable,
        needs: r.needs,
        xsave: r.xsave,
        offered: r.offered,
        conditional: r.conditional,
        security: r.security,
      }),
    );
  }

  /** The feature of a place; a second place that libvirt has a name of its own for becomes a feature of its own. */
  #ofPlace(name: string, place: string): Json {
    const record = this.#byPlace.get(place);
    if (!record || place === record.at[0] || !this.#libvirtPlaces.has(record.at[0])) return record;
    if (this.#byName.has(name))
      throw new Error(`${name} is the name of another place than ${place}`);
    record.at.splice(record.at.indexOf(place), 1);
    this.#byPlace.delete(place);
    return undefined;
  }

  /**
   * QEMU counts the allowed-1 settings of a VMX control MSR from bit 0, where they really begin at bit 32: libvirt 12.8
   * and the manual are right, and the feature is one.
   */
  #ofControlWord(name: string, place: string): Json {
    const record = this.#byName.get(name);
    if (!record) return undefined;
    const [first] = record.at;
    if (wordOf(place) !== wordOf(first) || bitOf(place) !== bitOf(first) + 32)
      throw new Error(`QEMU has ${name} at ${first}, libvirt at ${place}`);
    this.#byPlace.delete(first);
    this.#byPlace.set(place, record);
    record.at = [place];
    return record;
  }
}
