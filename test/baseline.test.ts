// The safe rules against a slow version over sets of names, and what must hold whatever the fleet.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { parseStack } from '../src/cpu/stack.ts';
import type { Baseline } from '../src/solve/answer.ts';
import { baseline, baselinesBy } from '../src/solve/baseline.ts';
import { check } from '../src/solve/check.ts';
import { compare } from '../src/solve/compare.ts';
import { asCounted, fleetOf, type Made } from './support/hosts.ts';
import { assertProperty } from './support/property.ts';

const catalog = await loadCatalog();
const newest = parseStack(catalog, 'newest');
const test = suite('baseline');

const KVM = [
  'kvmclock',
  'kvm-nopiodelay',
  'kvm-asyncpf',
  'kvm-steal-time',
  'kvm-pv-eoi',
  'kvmclock-stable-bit',
  'x2apic',
];
const model = (
  name: string,
  plus: readonly string[] = [],
  less: readonly string[] = [],
): string[] => {
  const features = catalog.names(catalog.qemuFeatures(name, '10.0')!);
  return [...new Set([...features, ...KVM, ...plus])].filter((f) => !less.includes(f));
};
const host = (id: string, features: readonly string[], facts: Made['facts'] = {}): Made => ({
  id,
  features,
  facts,
});
const codes = (b: Baseline) => b.findings.map((f) => f.code);

/** Hosts near real ones: a model's features with some taken away, some added, some left open. */
const arbitraryFleet = (vendor: 'Intel' | 'AMD') => {
  const names = [...catalog.qemuModels.values()]
    .filter((m) => m.kind === 'versioned' && m.vendor === vendor)
    .map((m) => m.name);
  const anyFeature = fc.constantFrom(...catalog.features.map((f) => f.name));
  const made = fc.record({
    name: fc.constantFrom(...names),
    plus: fc.uniqueArray(anyFeature, { maxLength: 6 }),
    less: fc.uniqueArray(anyFeature, { maxLength: 6 }),
    open: fc.uniqueArray(anyFeature, { maxLength: 4 }),
    unnamed: fc.subarray(['future-a', 'future-b']),
    physBits: fc.constantFrom(36, 39, 46, 52, null),
  });
  return fc.array(made, { minLength: 1, maxLength: 7 }).map((list) =>
    list.map(
      (m, i): Made => ({
        id: `h${i}`,
        features: model(m.name, m.plus, [...m.less, ...m.open]),
        unknown: m.open,
        unnamed: m.unnamed,
        facts: { vendor, limits: { physBits: m.physBits } },
      }),
    ),
  );
};

/** The rules in the slowest words: no rows, no core. */
function oracle(hosts: readonly Made[], vendor: string) {
  const all = catalog.features.map((f) => f.name);
  const outside = new Set(
    catalog.features
      .filter(
        (f) =>
          f.merge === 'never' ||
          f.merge === 'equal' ||
          !f.migratable ||
          f.name === 'pdcm' ||
          (vendor === 'AMD' &&
            (f.name === 'arch-capabilities' ||
              f.places.some((p) => p.kind === 'msr' && p.msr === 0x10a))),
      )
      .map((f) => f.name),
  );
  // vmx, svm and, round after round, whatever needs one of them.
  const nested = new Set(['vmx', 'svm']);
  for (let before = -1; before !== nested.size; ) {
    before = nested.size;
    for (const f of catalog.features)
      if (f.needs.some((group) => group.every((id) => nested.has(catalog.features[id]!.name))))
        nested.add(f.name);
  }
  for (const name of nested) outside.add(name);
  const names = [...all, 'future-a', 'future-b'];
  const has = (h: Made, f: string) => h.features.includes(f) || (h.unnamed ?? []).includes(f);
  const open = (h: Made, f: string) => (h.unknown ?? []).includes(f);
  const lost = names.filter(
    (f) =>
      !outside.has(f) &&
      hosts.some((h) => has(h, f)) &&
      hosts.some((h) => !has(h, f) && !open(h, f)),
  );
  const unknown = names.filter(
    (f) =>
      !outside.has(f) &&
      hosts.some((h) => open(h, f)) &&
      hosts.every((h) => has(h, f) || open(h, f)),
  );
  const said = new Set(
    catalog.features
      .filter((f) => f.qemu !== null && (f.libvirt !== null || KVM.includes(f.name)))
      .map((f) => f.name),
  );
  let features = new Set(
    all.filter((f) => !outside.has(f) && said.has(f) && hosts.every((h) => has(h, f))),
  );
  for (let before = -1; before !== features.size; ) {
    before = features.size;
    features = new Set(
      [...features].filter((f) =>
        catalog
          .feature(f)
          .needs.every((group) => group.some((id) => features.has(catalog.features[id]!.name))),
      ),
    );
  }
  return { lost, unknown, features: [...features].sort() };
}

test('agrees with the rules over sets of names', () => {
  for (const vendor of ['Intel', 'AMD'] as const)
    assertProperty(
      fc.property(arbitraryFleet(vendor), (hosts) => {
        const b = baseline(fleetOf(catalog, hosts), { stack: newest });
        const slow = oracle(hosts.map(asCounted), vendor);
        assert.equal(b.lost.map((l) => l.feature).sort(), slow.lost.sort());
        assert.equal(b.unknown.map((u) => u.feature).sort(), slow.unknown.sort());
        if (Object.keys(b.definitions).length > 0)
          assert.equal([...b.features].sort(), slow.features);
        for (const l of b.lost) assert.is(l.have + l.lack <= hosts.length, true);
      }),
      { numRuns: 80 },
    );
});

test('what it prints runs on every host, and gives just the features of the answer', () => {
  for (const vendor of ['Intel', 'AMD'] as const)
    assertProperty(
      fc.property(
        arbitraryFleet(vendor),
        fc.constantFrom('newest', 'oldest', 'libvirt@11.3,qemu@10.0'),
        (hosts, stack) => {
          const b = baseline(fleetOf(catalog, hosts), { stack: parseStack(catalog, stack) });
          if (Object.keys(b.definitions).length === 0) return;
          assert.equal(b.runsOn, { hosts: hosts.length, of: hosts.length });
          for (const h of hosts)
            assert.equal(
              b.features.filter((f) => !asCounted(h).features.includes(f)),
              [],
            );
        },
      ),
      { numRuns: 50 },
    );
});

test('neither the order of the hosts nor a repeated host changes the CPU', () => {
  assertProperty(
    fc.property(arbitraryFleet('Intel'), (hosts) => {
      const b = baseline(fleetOf(catalog, hosts), { stack: newest });
      const turned = baseline(fleetOf(catalog, [...hosts].reverse()), { stack: newest });
      assert.is(JSON.stringify(turned), JSON.stringify(b));
      const twice = baseline(fleetOf(catalog, [...hosts, { ...hosts[0]!, id: 'again' }]), {
        stack: newest,
      });
      assert.equal(twice.features, b.features);
      assert.equal(twice.definitions, b.definitions);
    }),
    { numRuns: 50 },
  );
});

test('a hold says what the fleet would have without its hosts', () => {
  assertProperty(
    fc.property(arbitraryFleet('Intel'), (hosts) => {
      const b = baseline(fleetOf(catalog, hosts), { stack: newest });
      for (const hold of b.holds) {
        const rest = hosts.filter((h) => !hold.hosts.includes(h.id));
        const without = baseline(fleetOf(catalog, rest), { stack: newest });
        const count =
          Object.keys(without.definitions).length > 0
            ? without.features.length
            : hold.without.features;
        assert.is(hold.without.features, count);
        for (const f of hold.features)
          assert.equal(b.lost.find((l) => l.feature === f)?.hosts, hold.hosts);
      }
    }),
    { numRuns: 40 },
  );
});

test('two EPYC generations are called EPYC, not a processor of 2004', () => {
  const hosts = [
    host('naples', model('EPYC-v2', [], ['svm']), { vendor: 'AMD' }),
    host('rome', model('EPYC-Rome-v2', [], ['svm']), { vendor: 'AMD' }),
  ];
  const b = baseline(fleetOf(catalog, hosts));
  assert.match(b.definitions.libvirt!.name, /^EPYC(-IBPB)?$/);
  assert.match(b.definitions.qemu!.name, /^EPYC-v\d$/);
});

test('a name that means several CPUs is made to mean one', () => {
  // EPYC-v1 has npt and nrip-save behind svm, which very old machine types leave on: switched off where they count.
  const b = baseline(
    fleetOf(catalog, [host('a', model('EPYC-v1', [], ['svm', 'monitor']), { vendor: 'AMD' })]),
    { stack: newest },
  );
  assert.ok(!b.features.includes('svm'));
  assert.ok(!b.definitions.libvirt!.require.includes('svm'));
  assert.ok(codes(b).includes('nested-left-out') === false);
});

test('nested virtualization is left out unless asked for, and then with all of its parts', () => {
  const hosts = [
    host('a', model('Skylake-Server-v4', ['vmx', 'vmx-ept', 'vmx-vpid']), {}),
    host('b', model('Skylake-Server-v4', ['vmx', 'vmx-ept'], ['vmx-vpid']), {}),
  ];
  const off = baseline(fleetOf(catalog, hosts), { stack: newest });
  assert.ok(!off.features.some((f) => f.startsWith('vmx')));
  assert.ok(codes(off).includes('nested-left-out'));
  const on = baseline(fleetOf(catalog, hosts), { stack: newest, nested: true });
  assert.ok(on.features.includes('vmx-ept') && !on.features.includes('vmx-vpid'));
  assert.ok(on.definitions.qemu!.require.includes('vmx'));
});

test('AMD guests are never given arch-capabilities, and the reason is said', () => {
  const b = baseline(
    fleetOf(catalog, [
      host('a', model('EPYC-v2', ['arch-capabilities', 'rdctl-no']), { vendor: 'AMD' }),
    ]),
    { stack: newest },
  );
  assert.ok(!b.features.includes('arch-capabilities') && !b.features.includes('rdctl-no'));
  assert.ok(codes(b).includes('withdrawn'));
});

test('hosts of two vendors have no CPU in common, and each side has its own', () => {
  const b = baseline(
    fleetOf(catalog, [
      host('a', model('Haswell-v1')),
      host('b', model('EPYC-v1'), { vendor: 'AMD' }),
    ]),
  );
  assert.equal(b.definitions, {});
  assert.equal(b.features, []);
  assert.equal(
    b.sides!.map((s) => [s.because, s.value, s.count, s.hosts]),
    [
      ['vendor', 'AMD', 1, ['b']],
      ['vendor', 'Intel', 1, ['a']],
    ],
  );
  assert.ok(b.sides!.every((s) => s.baseline.features.length > 40));
});

test('an XSAVE component that lies elsewhere keeps hosts apart only where it is exposed', () => {
  const xsave = (offset: number) => ({ xsave: [{ component: 5, size: 64, offset }] });
  const apart = [
    host('a', model('Skylake-Server-v4'), xsave(1088)),
    host('b', model('Skylake-Server-v4'), xsave(832)),
  ];
  const b = baseline(fleetOf(catalog, apart));
  assert.equal(
    b.sides!.map((s) => s.because),
    ['xsave', 'xsave'],
  );
  assert.ok(codes(b).includes('xsave-layout'));
  const hidden = [
    host('a', model('Haswell-v1'), xsave(1088)),
    host('b', model('Skylake-Server-v4'), xsave(832)),
  ];
  assert.is(baseline(fleetOf(catalog, hidden)).sides, undefined);
});

test('physical address bits are those of the narrowest host, 40 at most unless asked', () => {
  const bits = (...all: (number | null)[]) =>
    fleetOf(
      catalog,
      all.map((physBits, i) => host(`h${i}`, model('Haswell-v1'), { limits: { physBits } })),
    );
  assert.equal(baseline(bits(46, 52)).limits, { physBits: 40, fleetPhysBits: 46 });
  assert.equal(baseline(bits(46, 39)).limits, { physBits: 39, fleetPhysBits: 39 });
  assert.equal(baseline(bits(46, 52), { physBits: 'fleet' }).limits, {
    physBits: 46,
    fleetPhysBits: 46,
  });
  const unknown = baseline(bits(46, null));
  assert.equal(unknown.limits, { physBits: null, fleetPhysBits: null });
  assert.ok(codes(unknown).includes('phys-bits'));
});

test('a model that a host lists as blocked is used only with its blockers off', () => {
  const lists = (blockers: readonly string[] | null) => ({
    models: new Map([
      ['Haswell-noTSX', blockers],
      ['Westmere', []],
    ]),
    dialect: 'libvirt',
  });
  const name = (blockers: readonly string[] | null) =>
    baseline(fleetOf(catalog, [host('a', model('Haswell-v2'), lists(blockers))]), {
      stack: parseStack(catalog, 'libvirt@11.3'),
    }).definitions.libvirt?.name;
  assert.is(name([]), 'Haswell-noTSX');
  assert.is(name(['hle']), 'Westmere');
  // Without a word of what blocks it, its features decide.
  assert.is(name(null), 'Haswell-noTSX');
});

test('one baseline a value, hosts without the key last', () => {
  const keyed = (id: string, rack: string | null) =>
    host(id, model('Haswell-v1'), rack === null ? {} : { keys: { rack } });
  const b = baselinesBy(
    fleetOf(catalog, [keyed('a', 'r2'), keyed('b', null), keyed('c', 'r1')]),
    'rack',
  );
  assert.equal(
    b.baselines.map((x) => [x.value, x.baseline.hosts]),
    [
      ['r1', 1],
      ['r2', 1],
      [null, 1],
    ],
  );
});

test('a saved baseline holds on the fleet it came from, and not beside a lesser host', () => {
  const fleet = [host('a', model('Skylake-Server-v4')), host('b', model('Cascadelake-Server-v5'))];
  const saved = JSON.parse(JSON.stringify(baseline(fleetOf(catalog, fleet))));
  assert.ok(check(fleetOf(catalog, fleet), saved, 'saved.json').holds);
  const broken = check(
    fleetOf(catalog, [...fleet, host('old', model('Haswell-v2'))]),
    saved,
    'saved.json',
  );
  assert.is(broken.holds, false);
  assert.equal(broken.runsOn, { hosts: 2, of: 3 });
  assert.ok(broken.missing.some((m) => m.feature === 'avx512f' && m.hosts.join() === 'old'));
  assert.throws(
    () => check(fleetOf(catalog, fleet), { schema: 'x' }, 'x.json'),
    /x\.json is no saved baseline/,
  );
});

test('compare says what is missing, and identical only of the same CPU', () => {
  const one = (features: string[], facts: Made['facts'] = {}) =>
    fleetOf(catalog, [host('x', features, facts)]);
  const haswell = model('Haswell-v2');
  assert.is(compare(one(haswell), one(haswell)).verdict, 'identical');
  assert.is(compare(one(model('Skylake-Server-v4')), one(model('Haswell-v2'))).verdict, 'superset');
  const no = compare(one(haswell), one([...haswell, 'avx512f']));
  assert.is(no.verdict, 'incompatible');
  assert.equal(no.cpus[0]!.missing, ['avx512f']);
  const amd = compare(one(haswell), one(haswell, { vendor: 'AMD' }));
  assert.is(amd.verdict, 'incompatible');
});

test.run();
