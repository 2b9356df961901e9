// Makes the catalog's data from facts about libvirt and QEMU: run as a program (npm run catalog), never bundled.
// Every record says which software knows it; curated.json adds what no machine-readable source states.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SaxesParser } from 'saxes';

type Json = any;

const { values: options } = parseArgs({
  options: {
    facts: { type: 'string' },
    'libvirt-9.0': { type: 'string' },
    out: { type: 'string', default: 'src/cpu/data' },
  },
});
if (!options.facts || !options['libvirt-9.0']) {
  console.error('usage: npm run catalog -- --facts DIR --libvirt-9.0 DIR (a cpu_map folder of libvirt 9.0)');
  process.exit(2);
}
const facts = options.facts;
const read = (path: string): Json => JSON.parse(readFileSync(path, 'utf8'));
const libvirt128 = read(join(facts, 'libvirt/map-12.8.json'));
const libvirt113 = read(join(facts, 'libvirt/models.json'));
const libvirt113Features = read(join(facts, 'libvirt/features.json'));
const qemuFeatures = read(join(facts, 'qemu/features.json'));
const qemuModels = read(join(facts, 'qemu/models.json'));
const machineTypes = read(join(facts, 'qemu/machine-types.json'));
const quirks = read(join(facts, 'qemu/quirks.json'));
const offers = read(join(facts, 'kvm-offers.json'));
const curated = read(join(options.out, 'curated.json'));
const libvirt90 = readCpuMap(options['libvirt-9.0']);

const QEMU = { '7.2.22': '7.2', '10.0.13': '10.0' } as Record<string, string>;
const vendorName = new Map<string, string>(libvirt128.vendors.map((v: Json) => [v.string, v.name]));
vendorName.set('CentaurHauls', libvirt128.vendors.find((v: Json) => v.string === 'CentaurHauls').name);
const vendorOf = (twelve: string): string => vendorName.get(twelve) ?? twelve;

// Features, one a place; QEMU's name where it has one.
const hex = (n: number): string => n.toString(16);
const placeOfQemu = (l: Json): string =>
  l.kind === 'cpuid' ? `cpuid.${hex(l.leaf)}.${hex(l.subleaf ?? 0)}.${l.register}.${l.bit}` : `msr.${hex(l.msr)}.${l.bit}`;
const placeOfLibvirt = (f: Json): string => {
  const [c] = f.cpuid;
  if (c) return `cpuid.${hex(Number(c.eax_in))}.${hex(Number(c.ecx_in))}.${c.reg}.${c.bits[0]}`;
  const [m] = f.msr;
  return `msr.${hex(Number(m.index))}.${m.bits[0]}`;
};
const wordOf = (place: string): string => place.slice(0, place.lastIndexOf('.'));

const features = new Map<string, Json>(); // by first place
const byName = new Map<string, Json>();
const add = (record: Json): Json => {
  for (const place of record.at) {
    if (features.has(place)) throw new Error(`two features on ${place}: ${record.name}, ${features.get(place).name}`);
    features.set(place, record);
  }
  byName.set(record.name, record);
  return record;
};
for (const f of qemuFeatures.features) {
  const at = [f.location, ...(f.extra_locations ?? [])].map(placeOfQemu);
  add({ name: f.name, at, aliases: f.aliases, qemu: QEMU[f.known_to_qemu[0]], migratable: f.migratable });
}
const names113 = new Set(libvirt113Features.x86.map((f: Json) => f.name));
const libvirtName = new Map<string, string>(); // libvirt's name → ours
for (const f of libvirt128.features) {
  const place = placeOfLibvirt(f);
  const record = features.get(place) ?? add({ name: f.name, at: [place], aliases: [], migratable: true });
  const since = libvirt90.features.has(f.name) ? '9.0' : names113.has(f.name) ? '11.3' : '12.8';
  record.libvirt = [f.name, since];
  if (!f.migratable) record.libvirtUnmigratable = true;
  for (const alias of f.aliases)
    if (alias.name !== record.name && alias.source === 'qemu' && !record.aliases.includes(alias.name) && !byName.has(alias.name)) record.aliases.push(alias.name);
  libvirtName.set(f.name, record.name);
}
for (const [name, f] of Object.entries<Json>(curated.features)) add({ name, at: [f.at], aliases: [], migratable: true });

for (const rule of curated.merge)
  for (const name of rule.features) Object.assign(byName.get(name), { merge: rule.rule, why: rule.source });
for (const [name, components] of Object.entries(curated.xsave.components)) byName.get(name).xsave = components;
for (const [name, spellings] of Object.entries<string[]>(curated.linux)) byName.get(name).linux = spellings;
for (const [name, spellings] of Object.entries<string[]>(curated.linuxHidden.features)) byName.get(name).linuxHidden = spellings;
for (const [word, names] of Object.entries<string>(curated.xen))
  names.split(' ').forEach((name, bit) => {
    const record = features.get(`${word}.${bit}`);
    if (name !== '-' && record) record.xen = name;
  });
for (const record of byName.values()) {
  const word = wordOf(record.at[0]);
  const c = curated.hostConditional;
  if (c.features.includes(record.name) || c.words.includes(word) || c.prefixes.some((p: string) => record.name.startsWith(p)))
    record.conditional = true;
  if (curated.security.features.includes(record.name) || curated.security.words.includes(word)) record.security = true;
  const offer = offers.features[record.name];
  if (offer) record.offered = [...new Set([...Object.keys(offer.seen ?? {}), ...Object.keys(offer.models ?? {})].map(vendorOf))].sort();
}
const dependencies = qemuFeatures.dependencies.map((d: Json) => ({ any: d.requires_any_of, clears: d.dependents }));
for (const d of dependencies)
  for (const name of d.clears) {
    const record = byName.get(name);
    if (!record) throw new Error(`dependency of an unknown feature ${name}`);
    record.needs = [...(record.needs ?? []), d.any];
  }

// Lists of features are written as a difference from the nearest earlier list of the same file.
const seen: { name: string; features: Set<string> }[] = [];
function delta(name: string, list: string[]): Json {
  const set = new Set(list);
  let best: Json = { plus: [...set].sort() };
  let cost = set.size;
  for (const other of seen) {
    const plus = [...set].filter((f) => !other.features.has(f)).sort();
    const minus = [...other.features].filter((f) => !set.has(f)).sort();
    if (plus.length + minus.length < cost) {
      cost = plus.length + minus.length;
      best = { like: other.name, ...(plus.length ? { plus } : {}), ...(minus.length ? { minus } : {}) };
    }
  }
  seen.push({ name, features: set });
  return best;
}
const ours = (names: string[]): string[] => names.map((n) => {
  const name = libvirtName.get(n);
  if (!name) throw new Error(`libvirt model names an unknown feature ${n}`);
  return name;
});

const models113 = new Set(libvirt113.x86.map((m: Json) => m.name));
const libvirtModels = libvirt128.models.map((m: Json) => {
  const old = libvirt90.models.get(m.name);
  const record: Json = { name: m.name, since: old ? '9.0' : models113.has(m.name) ? '11.3' : '12.8' };
  if (m.vendor) record.vendor = m.vendor;
  if (m.signatures.length) record.signatures = m.signatures.map((s: Json) => [s.family, s.model, ...(s.stepping ? [s.stepping] : [])]);
  if (!m.decode.host) record.host = false;
  if (!m.decode.guest) record.guest = false;
  if (m.check_partial_compat) record.compat = true;
  if (m.canonical_name) record.canonical = m.canonical_name;
  if (m.parent) record.parent = m.parent;
  Object.assign(record, delta(m.name, ours(m.features)));
  if (m.added_features.length) record.added = ours(m.added_features);
  if (m.removed_features.length) record.removed = ours(m.removed_features);
  if (old) {
    const now = new Set<string>(m.features);
    const plus = ours([...old.features].filter((f) => !now.has(f)));
    const minus = ours([...now].filter((f) => !old.features.has(f)));
    if (plus.length || minus.length || old.removed.join() !== m.removed_features.join())
      record.was = { '9.0': { ...(plus.length ? { plus } : {}), ...(minus.length ? { minus } : {}), removed: ours(old.removed) } };
  }
  return record;
});
seen.length = 0;

const versionsIn = (known: string[]): string[] => known.map((v) => QEMU[v]!);
const qemuRecords = qemuModels.models.map((m: Json) => {
  const known = versionsIn(m.known_to_qemu);
  const record: Json = { name: m.name, kind: m.kind, since: known[0] };
  if (!known.includes('10.0')) record.until = '7.2';
  if (m.kind === 'fixed-alias') record.of = m.alias_of;
  if (m.kind === 'versioned') {
    const d = m.definition;
    record.base = m.base;
    record.version = m.version;
    record.vendor = vendorOf(d.vendor);
    record.cache = m.cache;
    record.values = {
      level: d.level, xlevel: d.xlevel, 'min-level': d.expanded_min_level, 'min-xlevel': d.expanded_min_xlevel,
      family: d.family, model: d.model, stepping: d.stepping, vendor: d.vendor, 'model-id': d.model_id,
      'legacy-cache': d.legacy_cache, 'avx10-version': d.avx10_version,
    };
    Object.assign(record, delta(m.name, [...d.features, ...d.latent_features]));
    const difference = m.difference_7_2_to_10_0 ?? {};
    const unknown = Object.keys(difference).filter((k) => k !== 'latent_added');
    if (unknown.length) throw new Error(`${m.name}: a difference between the versions of a kind not handled: ${unknown}`);
    if (difference.latent_added) record.was = { '7.2': { minus: difference.latent_added } };
  }
  return record;
});

// What machine types change, by model name: only groups that differ from the definition.
const machines = machineTypes.machines.map((m: Json) => ({
  name: m.name, qemu: versionsIn(m.known_to_qemu), default: m.default_cpu_version,
  ...(m.deprecated_in.length ? { deprecated: versionsIn(m.deprecated_in) } : {}),
  ...(m.default_of.length ? { defaultOf: versionsIn(m.default_of) } : {}),
}));
const order = new Map<string, number>(machines.map((m: Json, i: number) => [m.name, i]));
const ranges = (names: string[]): number[][] => {
  const sorted = names.map((n) => order.get(n)!).sort((a, b) => a - b);
  const out: number[][] = [];
  for (const i of sorted) {
    const last = out.at(-1);
    if (last && last[1] === i - 1) last[1] = i;
    else out.push([i, i]);
  }
  return out.map(([a, b]) => (a === b ? [a!] : [a!, b!]));
};
const changes: Json[] = [];
for (const [model, byQemu] of Object.entries<Json>(machineTypes.models))
  for (const [patch, { groups }] of Object.entries<Json>(byQemu))
    for (const g of groups.slice(1)) {
      changes.push({
        model, qemu: QEMU[patch], machines: ranges(g.machines),
        ...(g.features_on || g.latent_on ? { on: [...(g.features_on ?? []), ...(g.latent_on ?? [])] } : {}),
        ...(g.features_off || g.latent_off ? { off: [...(g.features_off ?? []), ...(g.latent_off ?? [])] } : {}),
        ...(g.values ? { values: g.values } : {}),
      });
    }
const all: Json[] = [];
for (const [patch, { reference_values, groups }] of Object.entries<Json>(machineTypes.all_cpu_properties))
  for (const g of groups) all.push({ qemu: QEMU[patch], machines: ranges(g.machines), values: { ...reference_values, ...g.differs } });

const lines = (records: Json[]): string => `[\n${records.map((r) => JSON.stringify(r)).join(',\n')}\n]`;
const write = (name: string, head: Json, lists: Record<string, Json[]>): void => {
  const open = JSON.stringify(head, null, 1).replace(/\n}$/, '');
  const body = Object.entries(lists).map(([key, list]) => `"${key}": ${lines(list)}`).join(',\n');
  writeFileSync(join(options.out!, name), `${open},\n${body}\n}\n`);
};
const inOrder = [...byName.values()].map((r) => ({
  name: r.name, at: r.at,
  ...(r.aliases.length ? { aliases: r.aliases } : {}),
  ...(r.qemu ? { qemu: r.qemu } : {}), ...(r.libvirt ? { libvirt: r.libvirt } : {}),
  ...(r.linux ? { linux: r.linux } : {}), ...(r.linuxHidden ? { linuxHidden: r.linuxHidden } : {}), ...(r.xen ? { xen: r.xen } : {}),
  ...(r.merge ? { merge: r.merge, why: r.why } : {}),
  ...(r.migratable ? {} : { unmigratable: true }), ...(r.libvirtUnmigratable ? { libvirtUnmigratable: true } : {}),
  ...(r.needs ? { needs: r.needs } : {}), ...(r.xsave ? { xsave: r.xsave } : {}),
  ...(r.offered?.length ? { offered: r.offered } : {}), ...(r.conditional ? { conditional: true } : {}), ...(r.security ? { security: true } : {}),
}));
write('features.json', {
  schema: 'plimsoll-features/1',
  sources: {
    qemu: qemuFeatures.sources, libvirt: [libvirt128.source, libvirt113.source, 'libvirt 9.0.0 cpu_map'],
    offered: offers.note, ...curated.sources,
  },
  stacks: { libvirt: ['9.0', '11.3', '12.8'], qemu: ['7.2', '10.0'] },
  patches: { 'qemu@7.2': '7.2.22', 'qemu@10.0': '10.0.13', 'libvirt@9.0': '9.0.0', 'libvirt@11.3': '11.3.0', 'libvirt@12.8': '12.8.0' },
  vendors: libvirt128.vendors.map((v: Json) => ({ name: v.name, id: v.string })),
  linuxVendor: curated.linuxVendor.spellings, linuxVmx: curated.linuxVmx, linuxOnly: curated.linuxOnly,
  components: quirks.xsave_components.map((c: Json) => ({ bit: c.bit, name: c.name, size: c.size ?? 0 })),
}, { features: inOrder, dependencies });
write('libvirt.json', {
  schema: 'plimsoll-libvirt/1', source: [libvirt128.source, libvirt113.source, 'libvirt 9.0.0 cpu_map'],
  featureOrder: libvirt128.features.map((f: Json) => f.name),
}, { models: libvirtModels });
const kvm = quirks.accelerator_defaults_on_named_models.kvm;
write('qemu.json', {
  schema: 'plimsoll-qemu/1', source: qemuModels.method,
  accelerators: { kvm: { on: kvm.on, off: kvm.off }, tcg: { on: [], off: quirks.accelerator_defaults_on_named_models.tcg.off } },
  tcg: { '10.0': qemuFeatures.features.filter((f: Json) => f.tcg_supported_qemu_10_0).map((f: Json) => f.name) },
}, { models: qemuRecords });
write('machines.json', { schema: 'plimsoll-machines/1', source: machineTypes.method }, { machines, changes, all });
console.log(`${inOrder.length} features, ${libvirtModels.length} libvirt models, ${qemuRecords.length} QEMU models, ${machines.length} machine types`);

interface OldModel { features: Set<string>; removed: string[] }

/** Names and contents of a libvirt cpu_map folder, as its index lists them. */
function readCpuMap(dir: string): { features: Set<string>; models: Map<string, OldModel> } {
  const known = new Set<string>();
  const models = new Map<string, OldModel>();
  const files: string[] = [];
  const available = new Set(readdirSync(dir));
  let arch = '';
  parse(join(dir, 'index.xml'), (name, a) => {
    if (name === 'arch') arch = a.name!;
    if (name === 'include' && arch === 'x86') files.push(a.filename!);
  });
  for (const file of files) {
    if (!available.has(file)) throw new Error(`${dir}/index.xml includes ${file}, which is not there`);
    let model: OldModel | null = null;
    parse(join(dir, file), (name, a, depth) => {
      if (name === 'feature' && depth === 1) known.add(a.name!);
      else if (name === 'model' && depth === 1) models.set(a.name!, (model = { features: new Set(), removed: [] }));
      else if (name === 'model' && model) for (const f of models.get(a.name!)!.features) model.features.add(f);
      else if (name === 'feature' && model) {
        if (a.removed === 'yes') model.removed.push(a.name!), model.features.delete(a.name!);
        else if (a.added !== 'yes') model.features.add(a.name!);
      }
    });
  }
  return { features: known, models };
}

function parse(path: string, open: (name: string, attributes: Record<string, string>, depth: number) => void): void {
  const parser = new SaxesParser();
  let depth = 0;
  parser.on('opentag', (tag) => open(tag.name, tag.attributes as Record<string, string>, depth++));
  parser.on('closetag', () => depth--);
  parser.write(readFileSync(path, 'utf8')).close();
}
