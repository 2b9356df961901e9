// Makes the catalog's data from facts about libvirt and QEMU: run as a program (npm run catalog), never bundled.
// Every record says which software knows it; curated.json adds what no machine-readable source states.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readCpuMap } from './cpu-map.ts';

// biome-ignore lint/suspicious/noExplicitAny: facts of many shapes; the laws over the table check what is made of them
type Json = any;

const { values: options } = parseArgs({
  options: {
    facts: { type: 'string' },
    'libvirt-9.0': { type: 'string' },
    out: { type: 'string', default: 'src/cpu/data' },
  },
});
if (!options.facts || !options['libvirt-9.0']) {
  console.error(
    'usage: npm run catalog -- --facts DIR --libvirt-9.0 DIR (a cpu_map folder of libvirt 9.0)',
  );
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
const map90 = options['libvirt-9.0'];
const libvirt90 = readCpuMap((file) => readFileSync(join(map90, file), 'utf8'));

const hex = (n: number): string => n.toString(16);
const LIBVIRT = 'the cpu_map folders of libvirt 9.0.0, 11.3.0 and 12.8.0';
const QEMU = { '7.2.22': '7.2', '10.0.13': '10.0' } as Record<string, string>;
const vendorName = new Map<string, string>(libvirt128.vendors.map((v: Json) => [v.string, v.name]));
vendorName.set(
  'CentaurHauls',
  libvirt128.vendors.find((v: Json) => v.string === 'CentaurHauls').name,
);
const vendorOf = (twelve: string): string => vendorName.get(twelve) ?? twelve;

// Features, one a place; QEMU's name where it has one.
const placeOfQemu = (l: Json): string =>
  l.kind === 'cpuid'
    ? `cpuid.${hex(l.leaf)}.${hex(l.subleaf ?? 0)}.${l.register}.${l.bit}`
    : `msr.${hex(l.msr)}.${l.bit}`;
const placeOfLibvirt = (f: Json): string => {
  const [c] = f.cpuid;
  if (c) return `cpuid.${hex(Number(c.eax_in))}.${hex(Number(c.ecx_in))}.${c.reg}.${c.bits[0]}`;
  const [m] = f.msr;
  return `msr.${hex(Number(m.index))}.${m.bits[0]}`;
};
const wordOf = (place: string): string => place.slice(0, place.lastIndexOf('.'));

/** The feature of a place; a second place that libvirt has a name of its own for becomes a feature of its own. */
function ofPlace(name: string, place: string): Json {
  const record = features.get(place);
  if (
    !record ||
    place === record.at[0] ||
    !libvirt128.features.some((f: Json) => placeOfLibvirt(f) === record.at[0])
  )
    return record;
  if (byName.has(name)) throw new Error(`${name} is the name of another place than ${place}`);
  record.at.splice(record.at.indexOf(place), 1);
  features.delete(place);
  return undefined;
}

/**
 * QEMU counts the allowed-1 settings of a VMX control MSR from bit 0, where they really begin at bit 32: libvirt 12.8
 * and the manual are right, and the feature is one.
 */
function ofControlWord(name: string, place: string): Json {
  const record = byName.get(name);
  if (!record) return undefined;
  const bit = (p: string) => Number(p.slice(p.lastIndexOf('.') + 1));
  if (wordOf(place) !== wordOf(record.at[0]) || bit(place) !== bit(record.at[0]) + 32)
    throw new Error(`QEMU has ${name} at ${record.at[0]}, libvirt at ${place}`);
  features.delete(record.at[0]);
  features.set(place, record);
  record.at = [place];
  return record;
}

const features = new Map<string, Json>(); // by first place
const byName = new Map<string, Json>();
const add = (record: Json): Json => {
  for (const place of record.at) {
    if (features.has(place))
      throw new Error(`two features on ${place}: ${record.name}, ${features.get(place).name}`);
    features.set(place, record);
  }
  if (byName.has(record.name)) throw new Error(`two features called ${record.name}`);
  byName.set(record.name, record);
  return record;
};
for (const f of qemuFeatures.features) {
  const at = [f.location, ...(f.extra_locations ?? [])].map(placeOfQemu);
  add({
    name: f.name,
    at,
    aliases: f.aliases,
    qemu: QEMU[f.known_to_qemu[0]],
    migratable: f.migratable,
  });
}
const features113 = new Map<string, Json>(libvirt113Features.x86.map((f: Json) => [f.name, f]));
const libvirtName = new Map<string, string>(); // libvirt's name → ours
for (const f of libvirt128.features) {
  const place = placeOfLibvirt(f);
  const record =
    ofPlace(f.name, place) ??
    ofControlWord(f.name, place) ??
    add({ name: f.name, at: [place], aliases: [], migratable: true });
  const old = features113.get(f.name);
  const since = libvirt90.places.has(f.name) ? '9.0' : old ? '11.3' : '12.8';
  const was = Object.entries({
    '9.0': libvirt90.places.get(f.name),
    '11.3': old && placeOfLibvirt(old),
  }).filter(([, p]) => p && p !== place);
  if (was.length) record.libvirtAt = Object.fromEntries(was);
  record.libvirt = [f.name, since];
  if (!f.migratable) record.libvirtUnmigratable = true;
  for (const alias of f.aliases)
    if (
      alias.name !== record.name &&
      alias.source === 'qemu' &&
      !record.aliases.includes(alias.name) &&
      !byName.has(alias.name)
    )
      record.aliases.push(alias.name);
  libvirtName.set(f.name, record.name);
}
for (const [name, f] of Object.entries<Json>(curated.features))
  add({ name, at: [f.at], aliases: [], migratable: true, source: f.source });

for (const rule of curated.merge)
  for (const name of rule.features)
    Object.assign(byName.get(name), { merge: rule.rule, why: rule.source });
for (const [name, components] of Object.entries(curated.xsave.components))
  byName.get(name).xsave = components;
for (const [name, spellings] of Object.entries<string[]>(curated.linux))
  byName.get(name).linux = spellings;
for (const [name, spellings] of Object.entries<string[]>(curated.linuxHidden.features))
  byName.get(name).linuxHidden = spellings;
for (const [word, names] of Object.entries<string>(curated.xen))
  names.split(' ').forEach((name, bit) => {
    const record = features.get(`${word}.${bit}`);
    if (name !== '-' && record) record.xen = name;
  });
for (const record of byName.values()) {
  const word = wordOf(record.at[0]);
  const c = curated.hostConditional;
  if (
    c.features.includes(record.name) ||
    c.words.includes(word) ||
    c.prefixes.some((p: string) => record.name.startsWith(p))
  )
    record.conditional = true;
  if (curated.security.features.includes(record.name) || curated.security.words.includes(word))
    record.security = true;
  const offer = offers.features[record.name];
  if (offer)
    record.offered = [
      ...new Set(
        [...Object.keys(offer.seen ?? {}), ...Object.keys(offer.models ?? {})].map(vendorOf),
      ),
    ].sort();
}
const dependencies = qemuFeatures.dependencies.map((d: Json) => ({
  any: d.requires_any_of,
  clears: d.dependents,
}));
for (const d of dependencies)
  for (const name of d.clears) {
    const record = byName.get(name);
    if (!record) throw new Error(`dependency of an unknown feature ${name}`);
    record.needs = [...(record.needs ?? []), d.any];
  }

// Lists of features are written as a difference from the nearest earlier list of the same file.
const seen: { name: string; features: Set<string> }[] = [];
const seenAdded: typeof seen = [];
const addedDelta = (name: string, list: string[]): Json => delta(name, list, seenAdded);
function delta(name: string, list: string[], earlier = seen): Json {
  const set = new Set(list);
  let best: Json = { plus: [...set].sort() };
  let cost = set.size;
  for (const other of earlier) {
    const plus = [...set].filter((f) => !other.features.has(f)).sort();
    const minus = [...other.features].filter((f) => !set.has(f)).sort();
    if (plus.length + minus.length < cost) {
      cost = plus.length + minus.length;
      best = {
        like: other.name,
        ...(plus.length ? { plus } : {}),
        ...(minus.length ? { minus } : {}),
      };
    }
  }
  earlier.push({ name, features: set });
  return best;
}
const ours = (names: string[]): string[] =>
  names.map((n) => {
    const name = libvirtName.get(n);
    if (!name) throw new Error(`libvirt model names an unknown feature ${n}`);
    return name;
  });

for (const [what, old, now] of [
  ['model', [...libvirt90.models.keys()], libvirt128.models],
  ['feature', [...libvirt90.places.keys()], libvirt128.features],
  ['model', libvirt113.x86.map((m: Json) => m.name), libvirt128.models],
  ['feature', [...features113.keys()], libvirt128.features],
] as const) {
  const names = new Set(now.map((n: Json) => n.name));
  const gone = old.filter((name: string) => !names.has(name));
  if (gone.length) throw new Error(`libvirt 12.8 lacks a ${what} of an older map: ${gone}`);
}
const models113 = new Set(libvirt113.x86.map((m: Json) => m.name));
const libvirtModels = libvirt128.models.map((m: Json) => {
  const old = libvirt90.models.get(m.name);
  const record: Json = {
    name: m.name,
    since: old ? '9.0' : models113.has(m.name) ? '11.3' : '12.8',
  };
  if (m.vendor) record.vendor = m.vendor;
  if (m.signatures.length)
    record.signatures = m.signatures.map((s: Json) => [
      s.family,
      s.model,
      ...(s.stepping ? [s.stepping] : []),
    ]);
  if (!m.decode.host) record.host = false;
  if (!m.decode.guest) record.guest = false;
  if (m.check_partial_compat) record.compat = true;
  if (m.canonical_name) record.canonical = m.canonical_name;
  if (m.parent) record.parent = m.parent;
  Object.assign(record, delta(m.name, ours(m.features)));
  if (m.added_features.length) record.added = addedDelta(m.name, ours(m.added_features));
  if (m.removed_features.length) record.removed = ours(m.removed_features);
  if (old) {
    const rest = [old.vendor, JSON.stringify(old.signatures), old.decode, old.parent];
    const now = [
      m.vendor,
      JSON.stringify(record.signatures ?? []),
      `${m.decode.host ? 'on' : 'off'} ${m.decode.guest ? 'on' : 'off'}`,
      m.parent,
    ];
    if (rest.join() !== now.join())
      throw new Error(
        `${m.name}: libvirt 9.0 differs from 12.8 in a way not handled: ${rest} | ${now}`,
      );
    const list = new Set<string>(m.features);
    const plus = ours([...old.features].filter((f) => !list.has(f)));
    const minus = ours([...list].filter((f) => !old.features.has(f)));
    if (old.added.length)
      throw new Error(`${m.name}: libvirt 9.0 marks features as added, which is not handled`);
    const added = m.added_features.length ? { added: {} } : {};
    const removed =
      old.removed.join() === m.removed_features.join() ? {} : { removed: ours(old.removed) };
    // libvirt 9.0 has no such switch: it always holds its own idea of a model against the host.
    const compat = m.check_partial_compat ? {} : { compat: true };
    const was = {
      ...(plus.length ? { plus } : {}),
      ...(minus.length ? { minus } : {}),
      ...added,
      ...removed,
      ...compat,
    };
    if (Object.keys(was).length) record.was = { '9.0': was };
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
      level: d.level,
      xlevel: d.xlevel,
      'min-level': d.expanded_min_level,
      'min-xlevel': d.expanded_min_xlevel,
      family: d.family,
      model: d.model,
      stepping: d.stepping,
      vendor: d.vendor,
      'model-id': d.model_id,
      'legacy-cache': d.legacy_cache,
      'avx10-version': d.avx10_version,
    };
    Object.assign(record, delta(m.name, [...d.features, ...d.latent_features]));
    const difference = m.difference_7_2_to_10_0 ?? {};
    const unknown = Object.keys(difference).filter((k) => k !== 'latent_added');
    if (unknown.length)
      throw new Error(
        `${m.name}: a difference between the versions of a kind not handled: ${unknown}`,
      );
    if (difference.latent_added) record.was = { '7.2': { minus: difference.latent_added } };
  }
  return record;
});

// What machine types change, by model name: only groups that differ from the definition.
const machines = machineTypes.machines.map((m: Json) => ({
  name: m.name,
  qemu: versionsIn(m.known_to_qemu),
  default: m.default_cpu_version,
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
        model,
        qemu: QEMU[patch],
        machines: ranges(g.machines),
        ...(g.features_on || g.latent_on
          ? { on: [...(g.features_on ?? []), ...(g.latent_on ?? [])] }
          : {}),
        ...(g.features_off || g.latent_off
          ? { off: [...(g.features_off ?? []), ...(g.latent_off ?? [])] }
          : {}),
        ...(g.values ? { values: g.values } : {}),
      });
    }
const all: Json[] = [];
for (const [patch, { reference_values, groups }] of Object.entries<Json>(
  machineTypes.all_cpu_properties,
))
  for (const g of groups)
    all.push({
      qemu: QEMU[patch],
      machines: ranges(g.machines),
      values: { ...reference_values, ...g.differs },
    });

const sinceVendor = (name: string): string =>
  libvirt90.vendors.has(name)
    ? '9.0'
    : libvirt113.vendors.some((v: Json) => v.name === name)
      ? '11.3'
      : '12.8';
const lines = (records: Json[]): string =>
  `[\n${records.map((r) => JSON.stringify(r)).join(',\n')}\n]`;
// Text, because JSON.parse of it is four times faster than the same data as code.
const write = (name: string, head: Json, lists: Record<string, Json[]>): void => {
  const open = Object.entries(head)
    .map(([key, value]) => `"${key}": ${JSON.stringify(value)}`)
    .join(',\n');
  const body = Object.entries(lists)
    .map(([key, list]) => `"${key}": ${lines(list)}`)
    .join(',\n');
  const text = `{\n${open},\n${body}\n}`;
  if (/[`\\]|\$\{/.test(text))
    throw new Error(`${name} holds a character that a raw template cannot`);
  writeFileSync(
    join(options.out!, name),
    `// Generated by \`npm run catalog\`; do not edit.\nexport default String.raw\`${text}\`;\n`,
  );
};
const inOrder = [...byName.values()].map((r) => ({
  name: r.name,
  at: r.at,
  ...(r.aliases.length ? { aliases: r.aliases } : {}),
  ...(r.qemu ? { qemu: r.qemu } : {}),
  ...(r.libvirt ? { libvirt: r.libvirt } : {}),
  ...(r.libvirtAt ? { libvirtAt: r.libvirtAt } : {}),
  ...(r.linux ? { linux: r.linux } : {}),
  ...(r.linuxHidden ? { linuxHidden: r.linuxHidden } : {}),
  ...(r.xen ? { xen: r.xen } : {}),
  ...(r.source ? { source: r.source } : {}),
  ...(r.merge ? { merge: r.merge, why: r.why } : {}),
  ...(r.migratable ? {} : { unmigratable: true }),
  ...(r.libvirtUnmigratable ? { libvirtUnmigratable: true } : {}),
  ...(r.needs ? { needs: r.needs } : {}),
  ...(r.xsave ? { xsave: r.xsave } : {}),
  ...(r.offered?.length ? { offered: r.offered } : {}),
  ...(r.conditional ? { conditional: true } : {}),
  ...(r.security ? { security: true } : {}),
}));
write(
  'features.ts',
  {
    schema: 'plimsoll-features/1',
    sources: {
      qemu: 'names and bits asked of QEMU 7.2.22 and 10.0.13 themselves; their tables of feature words',
      libvirt: LIBVIRT,
      offered:
        'the host expansions of 51 machines with QEMU and KVM, and the versioned models of QEMU 10.0.13',
      ...curated.sources,
    },
    stacks: { libvirt: ['9.0', '11.3', '12.8'], qemu: ['7.2', '10.0'] },
    patches: {
      'qemu@7.2': '7.2.22',
      'qemu@10.0': '10.0.13',
      'libvirt@9.0': '9.0.0',
      'libvirt@11.3': '11.3.0',
      'libvirt@12.8': '12.8.0',
    },
    vendors: libvirt128.vendors.map((v: Json) => ({
      name: v.name,
      id: v.string,
      libvirt: sinceVendor(v.name),
    })),
    linuxVendor: curated.linuxVendor.spellings,
    linuxVmx: curated.linuxVmx,
    linuxOnly: curated.linuxOnly,
    components: quirks.xsave_components.map((c: Json) => ({
      bit: c.bit,
      name: c.name,
      size: c.size ?? 0,
    })),
  },
  { features: inOrder, dependencies },
);
write(
  'libvirt.ts',
  {
    schema: 'plimsoll-libvirt/1',
    source: LIBVIRT,
    featureOrder: {
      '12.8': libvirt128.features.map((f: Json) => f.name),
      '9.0': [...libvirt90.places.keys()],
    },
  },
  { models: libvirtModels },
);
const kvm = quirks.accelerator_defaults_on_named_models.kvm;
write(
  'qemu.ts',
  {
    schema: 'plimsoll-qemu/1',
    source: 'expansions of every model by QEMU 7.2.22 and 10.0.13, under KVM and TCG',
    accelerators: {
      kvm: { on: kvm.on, off: kvm.off },
      tcg: { on: [], off: quirks.accelerator_defaults_on_named_models.tcg.off },
    },
    tcg: {
      '10.0': qemuFeatures.features
        .filter((f: Json) => f.tcg_supported_qemu_10_0)
        .map((f: Json) => f.name),
    },
  },
  { models: qemuRecords },
);
write(
  'machines.ts',
  {
    schema: 'plimsoll-machines/1',
    source: 'expansions of every model on every machine type of QEMU 7.2.22 and 10.0.13',
  },
  { machines, changes, all },
);
console.log(
  `${inOrder.length} features, ${libvirtModels.length} libvirt models, ${qemuRecords.length} QEMU models, ${machines.length} machine types`,
);
