// Laws over the whole table of features, models and machine types: every row, not a sample.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bitsOf, hasBit, isEqual } from '../../src/core/rows.ts';
import {
  type BitPlace,
  type Feature,
  loadCatalog,
  type Merge,
} from '../../src/cpu/catalog/catalog.ts';

const test = suite('catalog');
const catalog = await loadCatalog();
const { features } = catalog;
const LIBVIRT = catalog.versions.libvirt;
const QEMU = catalog.versions.qemu;

const at = (p: BitPlace): string =>
  p.kind === 'cpuid'
    ? `cpuid ${p.leaf}.${p.subleaf} ${p.register} ${p.bit}`
    : `msr ${p.msr} ${p.bit}`;

test('no two features share a bit, and every bit is within its word', () => {
  const seen = new Map<string, string>();
  for (const f of features) {
    assert.ok(f.places.length > 0, f.name);
    for (const place of f.places) {
      assert.is(
        seen.get(at(place)),
        undefined,
        `${f.name} and ${seen.get(at(place))} at ${at(place)}`,
      );
      seen.set(at(place), f.name);
      assert.ok(place.bit >= 0 && place.bit < (place.kind === 'cpuid' ? 32 : 64), at(place));
    }
  }
});

test('ids count up from 0, and names are found again', () => {
  for (const [i, f] of features.entries()) {
    assert.is(f.id, i);
    assert.is(catalog.feature(f.name), f);
  }
  assert.is(new Set(features.map((f) => f.name)).size, features.length);
});

test('within a dialect no spelling means two features', () => {
  const dialects: Record<string, (f: Feature) => readonly string[]> = {
    qemu: (f) => [f.name, ...f.aliases],
    libvirt: (f) => (f.libvirt ? [f.libvirt.name] : []),
    linux: (f) => [...f.linux, ...f.linuxHidden],
    xen: (f) => (f.xen === null ? [] : [f.xen]),
  };
  for (const [dialect, spellings] of Object.entries(dialects)) {
    const owner = new Map<string, string>();
    for (const f of features)
      for (const spelling of spellings(f)) {
        assert.is(owner.get(spelling) ?? f.name, f.name, `${dialect}: ${spelling}`);
        owner.set(spelling, f.name);
      }
  }
});

// Xen calls AMD's bit 8000_0008.ebx 26 what QEMU calls bit 4 of IA32_ARCH_CAPABILITIES, and Intel's bit 7.1.edx 14
// what libvirt calls AMD's bit 8000_0021.eax 20: QEMU's meaning wins, then libvirt's.
const HOMONYMS: Record<string, string> = { 'ssb-no': 'amd-no-ssb', prefetchi: 'prefetchiti' };

test('a spelling that several dialects use means the same feature in each, but for two', () => {
  const differs: Record<string, string> = {};
  for (const f of features)
    for (const spelling of [...f.aliases, f.libvirt?.name, ...f.linux, ...f.linuxHidden, f.xen])
      if (spelling && catalog.find(spelling) !== f) differs[spelling] = f.name;
  assert.equal(differs, HOMONYMS);
});

test('each feature is known to QEMU or libvirt, or says who defines it', () => {
  for (const f of features)
    assert.is(f.qemu === null && f.libvirt === null, f.source !== null, f.name);
  for (const f of features) {
    if (f.qemu !== null) assert.ok(QEMU.includes(f.qemu), f.name);
    if (f.libvirt) assert.ok(LIBVIRT.includes(f.libvirt.since), f.name);
  }
});

test('the merge rules are these, each with its reason', () => {
  const by = (merge: Merge) =>
    features
      .filter((f) => f.merge === merge)
      .map((f) => f.name)
      .sort();
  assert.equal(by('any'), [
    'fb-clear',
    'fs-gs-base-ns',
    'md-clear',
    'no-lmsle',
    'rfds-clear',
    'rrsba',
    'rsba',
    'verw-clear',
  ]);
  assert.equal(by('equal'), ['fdp-excptn-only', 'zero-fcs-fds']);
  assert.equal(by('never'), [
    'cmp-legacy',
    'ht',
    'hypervisor',
    'kvm-asyncpf-int',
    'kvm-asyncpf-vmexit',
    'kvm-hint-dedicated',
    'kvm-mmu',
    'kvm-msi-ext-dest-id',
    'ospke',
    'osxsave',
    'topoext',
  ]);
  for (const f of features) {
    assert.ok(f.why.length > 10, f.name);
    if (/-no$/.test(f.name)) assert.is(f.merge, 'all', f.name);
  }
});

test('invtsc alone cannot migrate; libvirt says so of xsaves too', () => {
  const names = (list: readonly Feature[]) => list.map((f) => f.name).sort();
  assert.equal(names(features.filter((f) => !f.migratable)), ['invtsc']);
  assert.equal(names(features.filter((f) => !f.libvirtMigratable)), ['invtsc', 'xsaves']);
});

test('dependencies have no cycle but avx10’s, and each feature lists its own', () => {
  const needs = features.map(() => [] as (readonly number[])[]);
  for (const { any, clears } of catalog.dependencies) for (const id of clears) needs[id]!.push(any);
  for (const f of features) assert.equal(f.needs, needs[f.id], f.name);
  const state = new Map<number, 'open' | 'done'>();
  const visit = (id: number, path: string): void => {
    if (state.get(id) === 'done') return;
    assert.is(state.get(id), undefined, `a cycle: ${path}`);
    state.set(id, 'open');
    const isAvx10 = features[id]!.name === 'avx10';
    for (const other of isAvx10 ? [] : needs[id]!.flat())
      visit(other, `${path} ${features[other]!.name}`);
    state.set(id, 'done');
  };
  for (const f of features) visit(f.id, f.name);
});

test('only AVX10 and its vector lengths need each other', () => {
  const names = (ids: readonly number[]) => ids.map((id) => features[id]!.name);
  const mutual = catalog.dependencies.flatMap(({ any, clears }) =>
    clears.filter((id) => any.some((other) => features[other]!.needs.flat().includes(id))),
  );
  assert.equal(new Set(names(mutual)), new Set(['avx10', 'avx10-128', 'avx10-256', 'avx10-512']));
});

test('XSAVE components belong to one feature each, but for CET and its two', () => {
  const owners = new Map<number, string[]>();
  for (const f of features)
    for (const c of f.xsave) owners.set(c, [...(owners.get(c) ?? []), f.name]);
  for (const [component, names] of owners) {
    const expected =
      component === 11 || component === 12 ? ['cet-ss', 'cet-ibt'] : names.slice(0, 1);
    assert.equal(new Set(names), new Set(expected), `component ${component}`);
  }
  assert.equal(
    [...owners.keys()].sort((a, b) => a - b),
    [2, 3, 4, 5, 6, 7, 9, 11, 12, 15, 17, 18],
  );
});

test('each version of libvirt knows every feature of each of its models', () => {
  for (const version of LIBVIRT) {
    const known = new Set(catalog.libvirtFeatureOrder(version));
    for (const name of catalog.libvirtModels.keys()) {
      const model = catalog.libvirtModel(name, version);
      if (!model) continue;
      for (const id of [...bitsOf(model.features), ...model.added, ...model.removed])
        assert.ok(known.has(id), `libvirt ${version} ${name} ${features[id]!.name}`);
      for (const id of model.removed)
        assert.not(hasBit(model.features, id), `${name} ${features[id]!.name}`);
    }
  }
});

test('a canonical name is a model of the same libvirt with the same features', () => {
  let seen = 0;
  for (const version of LIBVIRT)
    for (const name of catalog.libvirtModels.keys()) {
      const model = catalog.libvirtModel(name, version);
      if (model?.canonical == null) continue;
      seen++;
      const canonical = catalog.libvirtModel(model.canonical, version)!;
      assert.ok(isEqual(canonical.features, model.features), `libvirt ${version} ${name}`);
      assert.is(canonical.parent, name);
      assert.is(canonical.vendor, model.vendor);
    }
  assert.ok(seen > 50, `${seen} canonical names`);
});

test('libvirt models come after their parents and name known vendors', () => {
  const vendors = new Set(catalog.vendors.map((v) => v.name));
  for (const model of catalog.libvirtModels.values()) {
    if (model.vendor !== null) assert.ok(vendors.has(model.vendor), model.name);
    if (model.parent !== null)
      assert.ok(catalog.libvirtModels.get(model.parent)!.order < model.order, model.name);
    for (const { family, steppings } of model.signatures) {
      assert.ok(family > 0, model.name);
      for (const s of steppings ?? []) assert.ok(s >= 0 && s < 16, model.name);
    }
  }
});

test('each version of QEMU knows every feature of each of its models', () => {
  for (const version of QEMU)
    for (const model of catalog.qemuModels.values()) {
      const row = catalog.qemuFeatures(model.name, version);
      assert.is(
        row !== null,
        model.kind === 'versioned' && catalog.hasQemuModel(model.name, version),
      );
      for (const id of row ? bitsOf(row) : []) {
        const { qemu, name } = features[id]!;
        assert.ok(
          qemu !== null && catalog.isSince('qemu', version, qemu),
          `QEMU ${version} ${model.name} ${name}`,
        );
      }
    }
});

test('the versions of a QEMU model count up from 1, and aliases stand for one of them', () => {
  const versions = new Map<string, number[]>();
  for (const m of catalog.qemuModels.values())
    if (m.kind === 'versioned') versions.set(m.base, [...(versions.get(m.base) ?? []), m.version!]);
  for (const [base, list] of versions) {
    assert.equal(
      [...list].sort((a, b) => a - b),
      list.map((_, i) => i + 1),
      base,
    );
    assert.is(catalog.qemuModels.get(base)?.kind, 'machine-alias', base);
  }
  for (const m of catalog.qemuModels.values()) {
    if (m.kind !== 'fixed-alias') continue;
    const target = catalog.qemuModels.get(m.of!)!;
    assert.is(target.kind, 'versioned', m.name);
    assert.is(target.base, m.base, m.name);
    assert.is(target.vendor, m.vendor, m.name);
  }
});

test('what machine types change names known models, features and machine types', () => {
  for (const qemu of QEMU)
    for (const model of catalog.qemuModels.values())
      for (const change of catalog.machineChanges(model.name, qemu)) {
        assert.ok(catalog.hasQemuModel(model.name, qemu), `${qemu} ${model.name}`);
        for (const name of [...(change.on ?? []), ...(change.off ?? [])]) catalog.feature(name);
        for (const [from, to = from] of change.machines)
          for (const m of catalog.machines.slice(from, to! + 1))
            assert.ok(m.qemu.includes(qemu), `QEMU ${qemu} has no ${m.name}`);
      }
});

test('a flag of the kernel is a feature or the kernel’s own, never both', () => {
  for (const f of features)
    for (const flag of [...f.linux, ...f.linuxHidden])
      for (const vendor of ['Intel', 'AMD', null])
        assert.not(catalog.findLinux(flag, vendor) === 'linux-only', `${flag} on ${vendor}`);
  for (const flag of [
    'rep_good',
    'nopl',
    'pti',
    'xtopology',
    'cpuid',
    'v_spec_ctrl',
    'constant_tsc',
  ])
    assert.is(catalog.findLinux(flag, 'AMD'), 'linux-only', flag);
  assert.is(catalog.findLinux('no_such_flag', 'Intel'), undefined);
});

test('one kernel flag is another bit on another vendor’s processor', () => {
  const name = (flag: string, vendor: string) => {
    const found = catalog.findLinux(flag, vendor);
    return typeof found === 'object' ? found.name : found;
  };
  assert.is(name('stibp', 'Intel'), 'stibp');
  assert.is(name('stibp', 'AMD'), 'amd-stibp');
  assert.is(name('ibrs', 'Intel'), 'linux-only');
  assert.is(name('ibrs', 'AMD'), 'ibrs');
  assert.is(name('vnmi', 'AMD'), 'vnmi');
  assert.is(name('vnmi', 'Intel'), 'linux-only');
  assert.is(name('spec_ctrl', 'Intel'), 'spec-ctrl');
});

test('spellings that differ between the dialects lead to one feature', () => {
  const same: Record<string, string[]> = {
    pclmulqdq: ['pclmuldq'],
    'sse4.1': ['sse4_1', 'sse4-1'],
    ds: ['dts'],
    'lahf-lm': ['lahf_lm'],
    avx512vnni: ['avx512_vnni', 'avx512-vnni'],
    'spec-ctrl': ['ibrsb'],
    'cet-ss': ['user_shstk'],
    invtsc: ['itsc'],
    'md-clear': ['md_clear'],
  };
  for (const [name, spellings] of Object.entries(same))
    for (const spelling of spellings) assert.is(catalog.find(spelling)?.name, name, spelling);
});

test('versions that the catalog does not have answer nothing', () => {
  assert.is(catalog.libvirtModel('SapphireRapids-v4', '9.0'), null);
  assert.is(catalog.libvirtFeatures('NoSuchModel', '12.8'), null);
  assert.is(catalog.qemuFeatures('Icelake-Server-v7', '7.2'), null);
  assert.is(catalog.qemuFeatures('Icelake-Server', '10.0'), null, 'the machine type decides');
  assert.throws(() => catalog.feature('nosuch'), /no feature "nosuch"/);
});

test.run();
