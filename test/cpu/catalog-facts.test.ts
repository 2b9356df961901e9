// The catalog against the facts that it was made from, item by item, read here in the most obvious way.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bitsOf, type Row } from '../../src/core/rows.ts';
import { type BitPlace, type Feature, loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { ROOT, SHARED, sayMissing } from '../support/places.ts';

// biome-ignore lint/suspicious/noExplicitAny: facts of many shapes, compared as they are
type Json = any;

const test = suite('catalog against the facts');
const catalog = await loadCatalog();
const PATCH: Record<string, string> = { '7.2': '7.2.22', '10.0': '10.0.13' };
const CPU_MAP = '/usr/share/libvirt/cpu_map';

const fact = SHARED === null ? test.skip : test;
if (SHARED === null) sayMissing('the catalog against the facts', '../shared');
const read = (file: string): Json => JSON.parse(readFileSync(join(SHARED!, 'facts', file), 'utf8'));

const sorted = (names: readonly string[]): string[] => [...names].sort();
/** A row in libvirt's spelling. */
const inLibvirt = (row: Row): string[] =>
  sorted(bitsOf(row).map((id) => catalog.features[id]!.libvirt!.name));
const libvirtNames = (ids: readonly number[]): string[] =>
  ids.map((id) => catalog.features[id]!.libvirt!.name);

/** CPUID leaf or MSR, register and bit as one string. */
function place(p: BitPlace): string {
  if (p.kind === 'msr') return `msr ${p.msr}: ${p.bit}`;
  return `cpuid ${p.leaf} ${p.subleaf} ${p.register}: ${p.bit}`;
}
function placeOfLibvirt(f: Json): string {
  const [c] = f.cpuid;
  const [m] = f.msr;
  return c
    ? `cpuid ${Number(c.eax_in)} ${Number(c.ecx_in)} ${c.reg}: ${c.bits[0]}`
    : `msr ${Number(m.index)}: ${m.bits[0]}`;
}

for (const [version, featuresFile, modelsFile] of [
  ['12.8', 'libvirt/map-12.8.json', 'libvirt/map-12.8.json'],
  ['11.3', 'libvirt/features.json', 'libvirt/models.json'],
] as const) {
  fact(`libvirt ${version}: every feature, its place and the order of all`, () => {
    const file = read(featuresFile);
    const facts: Json[] = file.features ?? file.x86;
    assert.equal(
      libvirtNames(catalog.libvirtFeatureOrder(version)),
      facts.map((f) => f.name),
    );
    for (const f of facts) {
      const ours = catalog.findLibvirt(f.name)!;
      assert.is(place(catalog.libvirtPlace(ours, version)), placeOfLibvirt(f), f.name);
      assert.is(ours.libvirtMigratable, f.migratable, f.name);
      for (const alias of f.aliases) assert.is(catalog.find(alias.name), ours, alias.name);
    }
    const vendors = catalog.vendors.filter((v) => catalog.isSince('libvirt', version, v.libvirt));
    assert.equal(
      vendors.map((v) => ({ name: v.name, string: v.id })),
      file.vendors,
    );
  });

  fact(`libvirt ${version}: every model in order, with all that is said of it`, () => {
    const file = read(modelsFile);
    const facts: Json[] = file.models ?? file.x86;
    const ours = [...catalog.libvirtModels.keys()].flatMap(
      (n) => catalog.libvirtModel(n, version) ?? [],
    );
    assert.equal(
      ours.map((m) => m.name),
      facts.map((m) => m.name),
    );
    for (const [i, m] of ours.entries()) {
      const f = facts[i];
      const seen = {
        features: inLibvirt(m.features),
        added: sorted(libvirtNames(m.added)),
        removed: libvirtNames(m.removed),
        vendor: m.vendor,
        signatures: m.signatures.map((s) => [s.family, s.model, s.steppings]),
        host: m.decodeHost,
        guest: m.decodeGuest,
        compat: m.compat,
        canonical: m.canonical,
        parent: m.parent,
      };
      assert.equal(
        seen,
        {
          features: sorted(f.features),
          added: sorted(f.added_features),
          removed: f.removed_features,
          vendor: f.vendor,
          signatures: f.signatures.map((s: Json) => [s.family, s.model, s.stepping]),
          host: f.decode.host,
          guest: f.decode.guest,
          compat: f.check_partial_compat,
          canonical: f.canonical_name ?? null,
          parent: f.parent,
        },
        `${version} ${m.name}`,
      );
    }
  });
}

const has90 =
  existsSync(join(CPU_MAP, 'index.xml')) && !existsSync(join(CPU_MAP, 'x86_SapphireRapids.xml'));
if (!has90) sayMissing('the catalog against the map of libvirt 9.0', `libvirt 9.0 in ${CPU_MAP}`);
const installed = has90 ? test : test.skip;

/** Elements of the installed map by regular expressions: enough for these files, and nothing like the reader in src/. */
function installedMap(): { features: string[]; models: Map<string, Json> } {
  const index = readFileSync(join(CPU_MAP, 'index.xml'), 'utf8').replace(/<!--[\s\S]*?-->/g, '');
  const x86 = /<arch name=.x86.>([\s\S]*?)<\/arch>/.exec(index)![1]!;
  const attribute = (tag: string, name: string) =>
    new RegExp(` ${name}=['"]([^'"]*)`).exec(tag)?.[1] ?? null;
  const features: string[] = [];
  const models = new Map<string, Json>();
  for (const [, file] of x86.matchAll(/<include filename=['"]([^'"]*)/g)) {
    const text = readFileSync(join(CPU_MAP, file!), 'utf8').replace(/<!--[\s\S]*?-->/g, '');
    for (const [, name] of text.matchAll(/<feature name='([^']*)'[^/>]*>/g))
      if (file!.includes('features')) features.push(name!);
    for (const [, head, body] of text.matchAll(
      /<model (name=[^>]*)>([\s\S]*?)<\/model>\s*<\/cpus>/g,
    )) {
      const parent = /<model name='([^']*)'\/>/.exec(body!)?.[1];
      const base =
        parent === undefined ? { features: [], signatures: [], vendor: null } : models.get(parent);
      const tags = [...body!.matchAll(/<feature [^>]*>/g)].map(([tag]) => tag);
      const marked = (mark: string) =>
        tags.filter((t) => attribute(t, mark) === 'yes').map((t) => attribute(t, 'name')!);
      const removed = marked('removed');
      const own = tags.filter(
        (t) => attribute(t, 'removed') !== 'yes' && attribute(t, 'added') !== 'yes',
      );
      const signatures = [...body!.matchAll(/<signature [^>]*>/g)].map(([t]) => [
        Number(attribute(t, 'family')),
        Number(attribute(t, 'model')),
        attribute(t, 'stepping'),
      ]);
      models.set(attribute(` ${head}`, 'name')!, {
        parent: parent ?? null,
        vendor: /<vendor name='([^']*)'/.exec(body!)?.[1] ?? base.vendor,
        signatures: signatures.length > 0 ? signatures : base.signatures,
        host: / host='on'/.test(/<decode[^>]*>/.exec(body!)![0]),
        guest: / guest='on'/.test(/<decode[^>]*>/.exec(body!)![0]),
        features: [...new Set([...base.features, ...own.map((t) => attribute(t, 'name')!)])].filter(
          (n) => !removed.includes(n),
        ),
        removed,
        added: marked('added'),
      });
    }
  }
  return { features, models };
}

/** A set of steppings as the map writes it. */
function steppings(list: readonly number[] | null): string | null {
  if (!list) return null;
  return list.length === 1 ? String(list[0]) : `${list[0]}-${list.at(-1)}`;
}

installed('libvirt 9.0: features and models as the installed map has them', () => {
  const map = installedMap();
  assert.ok(map.features.length > 200 && map.models.size > 50, 'the map was read');
  assert.equal(libvirtNames(catalog.libvirtFeatureOrder('9.0')), map.features);
  const ours = [...catalog.libvirtModels.keys()].flatMap(
    (n) => catalog.libvirtModel(n, '9.0') ?? [],
  );
  assert.equal(
    ours.map((m) => m.name),
    [...map.models.keys()],
  );
  for (const m of ours) {
    const f = map.models.get(m.name);
    assert.equal(
      {
        parent: m.parent,
        vendor: m.vendor,
        signatures: m.signatures.map((s) => [s.family, s.model, steppings(s.steppings)]),
        host: m.decodeHost,
        guest: m.decodeGuest,
        features: inLibvirt(m.features),
        removed: libvirtNames(m.removed),
        added: libvirtNames(m.added),
      },
      { ...f, features: sorted(f.features) },
      m.name,
    );
    assert.is(m.canonical, null, m.name);
    assert.ok(m.compat, m.name);
  }
});

fact('QEMU: every feature, its place, its spellings and which version knows it', () => {
  const { features: facts, dependencies } = read('qemu/features.json');
  // QEMU's words of VMX controls begin at bit 32 of their MSR: only the settings that may be 1 are capabilities.
  const CONTROLS = new Set([0x48b, 0x48d, 0x48e, 0x48f, 0x490]);
  const placeOf = (l: Json): string =>
    l.kind === 'cpuid'
      ? `cpuid ${l.leaf} ${l.subleaf ?? 0} ${l.register}: ${l.bit}`
      : `msr ${l.msr}: ${l.bit + (CONTROLS.has(l.msr) ? 32 : 0)}`;
  assert.is(catalog.features.filter((f) => f.qemu !== null).length, facts.length);
  for (const f of facts) {
    const ours = catalog.findQemu(f.name) as Feature;
    // libvirt has a name of its own for the second bit of this one.
    const more = f.name === 'vmx-invept-single-context' ? [] : (f.extra_locations ?? []);
    assert.equal(ours.places.map(place), [f.location, ...more].map(placeOf), f.name);
    assert.is(ours.name, f.name);
    assert.is(PATCH[ours.qemu!], f.known_to_qemu[0], f.name);
    assert.is(ours.migratable, f.migratable, f.name);
    for (const alias of f.aliases) assert.is(catalog.findQemu(alias), ours, alias);
  }
  const names = (ids: readonly number[]) => ids.map((id) => catalog.features[id]!.name);
  assert.equal(
    catalog.dependencies.map((d) => ({ any: names(d.any), clears: names(d.clears) })),
    dependencies.map((d: Json) => ({ any: d.requires_any_of, clears: d.dependents })),
  );
});

fact('QEMU: every model and version, with both versions’ features and its values', () => {
  const { models } = read('qemu/models.json');
  assert.equal(
    [...catalog.qemuModels.keys()],
    models.map((m: Json) => m.name),
  );
  for (const m of models) {
    const ours = catalog.qemuModels.get(m.name)!;
    assert.is(ours.kind, m.kind, m.name);
    for (const [version, patch] of Object.entries(PATCH))
      assert.is(
        catalog.hasQemuModel(m.name, version),
        m.known_to_qemu.includes(patch),
        `${m.name} ${version}`,
      );
    if (m.kind === 'fixed-alias') assert.is(ours.of, m.alias_of, m.name);
    if (m.kind !== 'versioned') continue;
    assert.is(ours.base, m.base);
    assert.is(ours.version, m.version);
    assert.is(ours.cache, m.cache);
    const d = m.definition;
    const newest = [...d.features, ...d.latent_features];
    const later = new Set(m.difference_7_2_to_10_0?.latent_added ?? []);
    assert.equal(catalog.names(catalog.qemuFeatures(m.name, '10.0')!), sorted(newest), m.name);
    const old = catalog.qemuFeatures(m.name, '7.2');
    if (old)
      assert.equal(
        catalog.names(old),
        sorted(newest.filter((f) => !later.has(f))),
        `${m.name} in 7.2`,
      );
    assert.equal(
      [ours.values.level, ours.values.xlevel, ours.values['min-level'], ours.values['min-xlevel']],
      [d.level, d.xlevel, d.expanded_min_level, d.expanded_min_xlevel],
      m.name,
    );
    assert.equal(
      [
        ours.values.family,
        ours.values.model,
        ours.values.stepping,
        ours.values.vendor,
        ours.values['model-id'],
      ],
      [d.family, d.model, d.stepping, d.vendor, d.model_id],
      m.name,
    );
    assert.is(catalog.vendor(d.vendor), ours.vendor ?? catalog.vendor(d.vendor), m.name);
  }
});

fact('QEMU: every machine type, and what it changes about every model', () => {
  const facts = read('qemu/machine-types.json');
  const position = new Map(catalog.machines.map((m, i) => [m.name, i]));
  assert.equal(
    catalog.machines.map((m) => [m.name, m.qemu.map((v) => PATCH[v]), m.default]),
    facts.machines.map((m: Json) => [m.name, m.known_to_qemu, m.default_cpu_version]),
  );
  const covers = (machines: readonly number[][], name: string) =>
    machines.some(
      ([from, to = from]) => position.get(name)! >= from! && position.get(name)! <= to!,
    );
  let pairs = 0;
  for (const [model, byQemu] of Object.entries<Json>(facts.models))
    for (const [version, patch] of Object.entries(PATCH))
      for (const group of byQemu[patch]?.groups ?? [])
        for (const machine of group.machines) {
          pairs++;
          const hits = catalog
            .machineChanges(model, version)
            .filter((c) => covers(c.machines, machine));
          assert.ok(hits.length <= 1, `${model} on ${machine} of ${version}`);
          assert.equal(
            {
              on: sorted(hits[0]?.on ?? []),
              off: sorted(hits[0]?.off ?? []),
              values: hits[0]?.values ?? {},
            },
            {
              on: sorted([...(group.features_on ?? []), ...(group.latent_on ?? [])]),
              off: sorted([...(group.features_off ?? []), ...(group.latent_off ?? [])]),
              values: group.values ?? {},
            },
            `${model} on ${machine} of ${version}`,
          );
        }
  assert.ok(pairs > 15_000, `${pairs} pairs`);
  for (const [version, patch] of Object.entries(PATCH)) {
    const { reference_values, groups } = facts.all_cpu_properties[patch];
    for (const group of groups)
      for (const machine of group.machines) {
        const hits = catalog.allCpuChanges.filter(
          (c) => c.qemu === version && covers(c.machines, machine),
        );
        assert.equal(
          hits.map((h) => h.values),
          [{ ...reference_values, ...group.differs }],
          `${machine} of ${version}`,
        );
      }
  }
});

fact('accelerators switch what they were seen to switch', () => {
  const { kvm, tcg } = read('qemu/quirks.json').accelerator_defaults_on_named_models;
  const names = (row: Row) => catalog.names(row).sort();
  assert.equal(
    [names(catalog.accelerators.kvm.on), names(catalog.accelerators.kvm.off)],
    [sorted(kvm.on), sorted(kvm.off)],
  );
  assert.equal(names(catalog.accelerators.tcg.off), sorted(tcg.off));
});

fact('what KVM was seen to offer, by vendor', () => {
  const { features } = read('kvm-offers.json');
  let seen = 0;
  for (const f of catalog.features) {
    const offer = features[f.name];
    const letters = [...Object.keys(offer?.seen ?? {}), ...Object.keys(offer?.models ?? {})];
    assert.equal(
      sorted([...f.offered]),
      sorted([...new Set(letters.map((v) => catalog.vendor(v)))]),
      f.name,
    );
    if (letters.length > 0) seen++;
  }
  assert.ok(seen > 200, `${seen} features`);
});

const generated = SHARED !== null && has90 ? test : test.skip;
generated('the generator makes these very bytes', () => {
  const out = mkdtempSync(join(tmpdir(), 'plimsoll-catalog-'));
  try {
    copyFileSync(join(ROOT, 'src/cpu/data/curated.json'), join(out, 'curated.json'));
    const args = ['--facts', join(SHARED!, 'facts'), '--libvirt-9.0', CPU_MAP, '--out', out];
    execFileSync('npm', ['run', '--silent', 'catalog', '--', ...args], {
      cwd: ROOT,
      timeout: 60_000,
    });
    for (const file of ['features.ts', 'libvirt.ts', 'qemu.ts', 'machines.ts', 'kvm.ts'])
      assert.ok(
        readFileSync(join(out, file)).equals(readFileSync(join(ROOT, 'src/cpu/data', file))),
        `${file} is not what npm run catalog makes`,
      );
  } finally {
    rmSync(out, { recursive: true });
  }
});

test.run();
