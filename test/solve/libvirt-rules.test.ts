// libvirt's rules one by one: against the rule written out with lists and sets, and as sentences a user would agree with.
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { emptyRow, hasBit, minus, type Row, rowOf } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { catalogMap, type MapModel } from '../../src/cpu/catalog/libvirt-map.ts';
import type { LibvirtCpu, Policy } from '../../src/cpu/cpu-element.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import { Words } from '../../src/cpu/register-words.ts';
import { readLearnt, writeLearnt } from '../../src/dialects/learnt/learnt-catalog.ts';
import { readLibvirtMap } from '../../src/dialects/learnt/libvirt-map-folder.ts';
import { startCheck, startedCpu } from '../../src/solve/libvirt/guest-start.ts';
import { translateCpu, updateCpu, updateLiveCpu } from '../../src/solve/libvirt/guest-update.ts';
import type { Hypervisor } from '../../src/solve/libvirt/hypervisor.ts';
import { libvirtBaseline } from '../../src/solve/libvirt/libvirt-baseline.ts';
import { libvirtCompare, partialCheck } from '../../src/solve/libvirt/libvirt-compare.ts';
import { libvirtDecode } from '../../src/solve/libvirt/libvirt-decode.ts';
import { ppcDecode } from '../../src/solve/libvirt/libvirt-ppc64.ts';
import {
  dataOfWords,
  expandFeatures,
  guestStub,
  hostStub,
} from '../../src/solve/libvirt/spelt-out.ts';
import { assertProperty } from '../support/property.ts';

const catalog = await loadCatalog();
const map = catalogMap(catalog, '11.3');

const host = (model: string, vendor: string | null, ...features: string[]): LibvirtCpu => ({
  ...hostStub('x86_64'),
  model,
  vendor,
  features: features.map((name) => ({ name, policy: null })),
});
const guest = (
  model: string | null,
  words: Record<string, Policy> = {},
  rest: Partial<LibvirtCpu> = {},
): LibvirtCpu => ({
  ...guestStub(null, null),
  model,
  features: Object.entries(words).map(([name, policy]) => ({ name, policy })),
  ...rest,
});
const at = (cpu: LibvirtCpu, where = 'db-1 (db-1.xml:3)') => ({ where, cpu });
const all = (...cpus: LibvirtCpu[]) =>
  cpus.map((cpu, i) => at(cpu, `db-${i + 1} (rack.xml:${i + 1})`));
const live = (enabled: Row, disabled: Row, known: Row | null = null) => ({
  enabled,
  known,
  disabled,
});
const words = (cpu: LibvirtCpu) => cpu.features.map((f) => `${f.policy ?? '='} ${f.name}`);

/** The walk over all models as the rule says it, with lists of names. */
function slowly(
  type: 'host' | 'guest',
  has: ReadonlySet<string>,
  vendor: string | null,
  preferred: readonly string[],
  models: ReadonlyMap<string, readonly string[]> | null,
): string {
  let best: { name: string; list: string[]; cost: number; dis: number } | null = null;
  const namesOf = (m: MapModel) =>
    map.features.filter((f) => hasBit(m.features, f.id)).map((f) => f.name);
  for (const m of [...map.models].reverse()) {
    if (models && !models.has(m.name)) continue;
    if (vendor && m.vendor && vendor !== m.vendor) continue;
    const own = new Set(namesOf(m));
    const extra = map.features.map((f) => f.name).filter((n) => has.has(n) && !own.has(n));
    const missing = new Set([...own].filter((n) => !has.has(n)));
    for (const blocker of models?.get(m.name) ?? [])
      if (map.feature(blocker) && !extra.includes(blocker)) missing.add(blocker);
    const off = map.features.map((f) => f.name).filter((n) => missing.has(n));
    const list = [...extra.map((n) => `require ${n}`), ...off.map((n) => `disable ${n}`)];
    if (type === 'guest')
      for (const f of map.features)
        if (m.removed.includes(f.id) && !extra.includes(f.name) && !off.includes(f.name))
          list.push(`disable ${f.name}`);
    if (type === 'host' ? !m.decodeHost || off.length > 0 : !m.decodeGuest) continue;
    let n = list.length;
    let penalty = 2;
    let dis = 0;
    if (type === 'guest')
      for (let i = 0; i < n; i++)
        if (list[i]!.startsWith('disable')) {
          n--;
          dis += penalty++;
        }
    const next = { name: m.name, list, cost: n + dis, dis };
    if (preferred.length === 1 && preferred[0] === m.name) return `${m.name}: ${list.join(', ')}`;
    if (
      best === null ||
      next.cost < best.cost ||
      (next.cost === best.cost && next.dis < best.dis) ||
      (preferred.includes(m.name) && next.dis < best.dis)
    )
      best = next;
  }
  return best ? `${best.name}: ${best.list.join(', ')}` : 'none';
}

test('decodes as the rule written out with lists of names does', () => {
  const near = fc.record({
    model: fc.constantFrom(...map.models),
    flips: fc.uniqueArray(fc.constantFrom(...map.features), { maxLength: 12 }),
  });
  const blocked = fc.uniqueArray(fc.constantFrom(...map.features.map((f) => f.name)), {
    maxLength: 3,
  });
  const offered = fc.option(
    fc.uniqueArray(fc.tuple(fc.constantFrom(...map.models.map((m) => m.name)), blocked), {
      minLength: 1,
      maxLength: 60,
      selector: ([name]) => name,
    }),
  );
  const preferred = fc.uniqueArray(fc.constantFrom(...map.models.map((m) => m.name)), {
    maxLength: 3,
  });
  assertProperty(
    fc.property(
      near,
      offered,
      preferred,
      fc.constantFrom('Intel', 'AMD', null),
      fc.constantFrom('host', 'guest'),
      ({ model, flips }, list, names, vendor, type) => {
        const flipped = new Set(flips.map((f) => f.id));
        const has = map.features.filter((f) => hasBit(model.features, f.id) !== flipped.has(f.id));
        const models = list && new Map(list);
        const stub = type === 'host' ? hostStub('x86_64') : guestStub(null, 'allow');
        const data = {
          row: rowOf(
            map.bits,
            has.map((f) => f.id),
          ),
          vendor,
          signature: null,
        };
        let ours: string;
        try {
          const found = libvirtDecode(map, 'x', stub, data, { models, preferred: names });
          ours = `${found.model}: ${found.features.map((f) => `${f.policy ?? 'require'} ${f.name}`).join(', ')}`;
        } catch (error) {
          assert.instance(error, QueryError);
          ours = 'none';
        }
        assert.is(
          ours,
          slowly(type as 'host' | 'guest', new Set(has.map((f) => f.name)), vendor, names, models),
        );
      },
    ),
    { numRuns: 400 },
  );
});

test('a name that all hosts share is kept, whatever it costs, and fallback then forbids another', () => {
  const lacking = guest('Haswell', {
    hle: 'disable',
    rtm: 'disable',
    avx2: 'disable',
    fma: 'disable',
    bmi1: 'disable',
    bmi2: 'disable',
  });
  const answer = libvirtBaseline(
    map,
    all(host('Haswell', 'Intel'), { ...lacking, vendor: 'Intel' }),
  );
  assert.equal([answer.model, answer.fallback], ['Haswell', 'forbid']);
  assert.equal(words(answer), [
    'disable fma',
    'disable bmi1',
    'disable hle',
    'disable avx2',
    'disable bmi2',
    'disable rtm',
  ]);
});

test("a versioned name is never a guest's, so hosts that share one get another, and fallback allows it", () => {
  const answer = libvirtBaseline(
    map,
    all(host('Haswell-v1', 'Intel'), host('Haswell-v1', 'Intel')),
  );
  assert.equal([answer.model, answer.fallback], ['Haswell', 'allow']);
});

test('--migratable drops xsaves where it is written out, not inside a model', () => {
  const milan = map.model('EPYC-Milan')!;
  assert.ok(hasBit(milan.features, map.feature('xsaves')!.id));
  const inside = libvirtBaseline(map, all(host('EPYC-Milan', 'AMD', 'invtsc')), {
    migratable: true,
  });
  assert.equal(
    [inside.model, words(inside).filter((w) => /xsaves|invtsc/.test(w))],
    ['EPYC-Milan', []],
  );
  const beside = [host('Penryn', 'Intel', 'xsaves', 'dca')];
  assert.ok(words(libvirtBaseline(map, all(...beside))).includes('require xsaves'));
  assert.equal(
    words(libvirtBaseline(map, all(...beside), { migratable: true })).filter(
      (w) => w !== 'require dca',
    ),
    [],
  );
});

test('a vendorless host after an AMD one is held against it by its model, before an Intel one it takes the vendor out', () => {
  assert.throws(
    () => libvirtBaseline(map, all(host('Opteron_G3', 'AMD'), host('Penryn', null))),
    /db-2 .*one of Intel's, that of db-1 .*one of AMD's/,
  );
  // The vendor of the first is not looked for in its model: libvirt mixes what no guest can be moved between.
  const mixed = libvirtBaseline(map, all(host('Opteron_G3', null), host('Penryn', 'Intel')));
  assert.is(mixed.vendor, null);
});

const REFUSED: readonly [string, readonly LibvirtCpu[], RegExp][] = [
  ['no CPUs', [], /no CPUs given/],
  [
    'no model',
    [guest(null, {}, { mode: 'host-passthrough' })],
    /db-1 \(rack\.xml:1\): the CPU names no model/,
  ],
  [
    'an unknown model',
    [host('Haswell', 'Intel'), host('Haswell-v99', 'Intel')],
    /db-2 \(rack\.xml:2\): libvirt@11\.3 knows no CPU model "Haswell-v99"/,
  ],
  [
    'an unknown feature',
    [host('Haswell', 'Intel'), host('Haswell', 'Intel', 'warp')],
    /db-2 \(rack\.xml:2\): libvirt@11\.3 knows no CPU feature "warp"/,
  ],
  ['an unknown vendor', [host('qemu64', 'Nobody')], /db-1 .*knows no CPU vendor "Nobody"/],
  [
    "a vendor that is not the model's",
    [host('Haswell', 'Intel'), host('Haswell', 'AMD')],
    /db-2 .*the vendor is "AMD", but model "Haswell" is one of Intel's/,
  ],
  [
    'two vendors',
    [host('Haswell', 'Intel'), host('EPYC', 'AMD')],
    /one of AMD's, that of db-1 .* one of Intel's/,
  ],
  [
    'an architecture without a driver',
    [{ ...host('x', null), arch: 'sparc64' }],
    /decides nothing about CPUs of "sparc64"/,
  ],
  [
    'an architecture without a baseline',
    [{ ...host('z14', null), arch: 's390x' }],
    /computes no baseline for "s390x"/,
  ],
  [
    'two POWER models',
    [
      { ...host('POWER8', 'IBM'), arch: 'ppc64' },
      { ...host('POWER9', 'IBM'), arch: 'ppc64' },
    ],
    /db-2 .*POWER9, that of db-1 .* POWER8/,
  ],
];
for (const [what, cpus, message] of REFUSED)
  test(`refuses ${what}, and says where`, () =>
    assert.throws(() => libvirtBaseline(map, all(...cpus)), message));

test('257 and 100,000 hosts are no more trouble than two', () => {
  for (const n of [257, 100_000]) {
    const cpus = Array.from({ length: n }, (_, i) =>
      at(
        i % 2 ? host('Nehalem', 'Intel', 'dca') : host('Westmere', 'Intel', 'dca', 'pcid'),
        `h${i}`,
      ),
    );
    assert.equal(libvirtBaseline(map, cpus), libvirtBaseline(map, cpus.slice(0, 2)));
  }
});

test('a hypervisor takes away what it does not know, and what blocks a model is switched off', () => {
  const hypervisor = {
    arch: 'x86_64',
    models: new Map([
      ['Nehalem', ['sse4.2']],
      ['Penryn', []],
    ]),
    features: catalog.row(['sse4.2', 'popcnt', ...catalog.names(map.model('Penryn')!.features)]),
    migratable: null,
  };
  const answer = libvirtBaseline(map, all(host('Nehalem', 'Intel', 'dca')), { hypervisor });
  assert.equal(
    [answer.model, answer.fallback, words(answer)],
    ['Nehalem', 'forbid', ['disable sse4.2']],
  );
  assert.throws(
    () =>
      libvirtBaseline(map, all(host('Haswell', 'Intel')), {
        hypervisor: { ...hypervisor, models: new Map() },
      }),
    /lists no CPU models/,
  );
  // Its guests are what it runs, whatever the CPUs call themselves.
  const other = all({ ...host('Penryn', 'Intel'), arch: 'ppc64' });
  assert.is(libvirtBaseline(map, other, { hypervisor }).model, 'Penryn');
  assert.throws(
    () => libvirtBaseline(map, other, { hypervisor: { ...hypervisor, arch: 'ppc64' } }),
    /no baseline for a hypervisor of "ppc64"/,
  );
});

test('a forbidden feature of the model stays required, a disabled one does not', () => {
  const nehalem = at(host('Penryn', 'Intel'));
  const lacks = (policy: Policy) =>
    libvirtCompare(map, nehalem, at(guest('Nehalem', { 'sse4.2': policy, popcnt: 'disable' })));
  assert.equal([lacks('disable').verdict, lacks('forbid').verdict], ['identical', 'incompatible']);
  assert.equal(lacks('forbid').features, ['sse4.2']);
});

test('a new model is judged by what blocks it in QEMU, an old one by the map', () => {
  const hostModel = guest(
    'Cascadelake-Server',
    {},
    { fallback: 'forbid', vendor: 'Intel', arch: 'x86_64' },
  );
  const models = new Map([
    ['KnightsMill', ['gds-no']],
    ['Penryn', ['dca']],
  ]);
  const check = (cpu: LibvirtCpu) =>
    partialCheck(map, { models, hostModel }, at(hostModel), at(cpu));
  assert.equal(check(guest('KnightsMill', { vmx: 'require' })).features, ['gds-no', 'vmx']);
  assert.is(check(guest('KnightsMill', { 'gds-no': 'disable' })).verdict, 'superset');
  assert.is(check(guest('Penryn', { dca: 'disable' })).verdict, 'superset');
});

test("a host-model is the host's CPU with the guest's own words on top", () => {
  const own = at(host('Penryn', 'Intel', 'dca', 'vmx'));
  const resolved = updateCpu(
    map,
    at(guest(null, { vmx: 'disable', svm: 'optional' }, { mode: 'host-model' })),
    own,
  );
  assert.equal(
    [resolved.mode, resolved.model, resolved.vendor, words(resolved)],
    ['custom', 'Penryn', 'Intel', ['require dca', 'disable vmx', 'disable svm']],
  );
  assert.throws(
    () => updateCpu(map, at(guest(null, {}, { mode: 'host-model' })), null),
    /what CPU the host has is not known/,
  );
});

test('an ARM host-model is the host itself, without the words of the guest', () => {
  const own = at({ ...host('Neoverse-N1', 'ARM', 'sve'), arch: 'aarch64' });
  const resolved = updateCpu(map, at(guest(null, { pmu: 'disable' }, { mode: 'host-model' })), own);
  assert.equal(
    [resolved.mode, resolved.model, resolved.vendor, words(resolved)],
    ['custom', 'Neoverse-N1', 'ARM', ['require sve']],
  );
  const custom = guest('cortex-a57', { pmu: 'optional' }, { match: 'minimum' });
  assert.equal(updateCpu(map, at(custom), own), custom);
});

test('an s390x guest keeps its words on a host-model, and nothing of it may be optional', () => {
  const own = at({ ...host('gen15a', 'IBM', 'vx', 'edat'), arch: 's390x' });
  const update = (cpu: LibvirtCpu) => updateCpu(map, at(cpu), own);
  const resolved = update(guest(null, { edat: 'disable', te: 'require' }, { mode: 'host-model' }));
  assert.equal(
    [resolved.model, words(resolved)],
    ['gen15a', ['require vx', 'disable edat', 'require te']],
  );
  assert.throws(() => update(guest('z13', {}, { match: 'minimum' })), /match='minimum'/);
  assert.throws(() => update(guest('z13', { te: 'optional' })), /feature "te" is optional/);
  assert.is(update(guest('z13', { te: 'disable' })).model, 'z13');
});

test('a definition that follows the host needs a host that this libvirt knows, any other does not', () => {
  const odd = at(host('Penryn', 'Intel', 'tachyons'));
  assert.throws(
    () => updateCpu(map, at(guest(null, {}, { mode: 'host-model' })), odd),
    /knows no CPU feature "tachyons"/,
  );
  assert.is(updateCpu(map, at(guest('Penryn')), odd).model, 'Penryn');
});

test('an early POWER stepping goes by its generation where models are chosen, and by no other name', () => {
  const models = new Map([['POWER7', []]]);
  const translate = (name: string) => translateCpu(map, at(guest(name)), models, 'ppc64').model;
  assert.is(translate('POWER7+_v2.1'), 'POWER7');
  assert.throws(() => translate('POWER8_v1.0'), /puts no other in its place on ppc64/);
  assert.is(translateCpu(map, at(guest('POWER7_v2.1')), null, 'ppc64').model, 'POWER7_v2.1');
});

test('a model that is not offered becomes one that is, unless fallback forbids', () => {
  const models = new Map([['Nehalem', []]]);
  const free = translateCpu(map, at(guest('Westmere', { pcid: 'disable' })), models);
  assert.equal(
    [free.model, words(free)],
    ['Nehalem', ['require aes', 'disable pcid']].map((x) => x),
  );
  assert.throws(
    () => translateCpu(map, at(guest('Westmere', {}, { fallback: 'forbid' })), models),
    /fallback='forbid' allows no other/,
  );
});

test('a started guest is rewritten as it is, and check=full refuses a difference', () => {
  const model = map.model('Penryn')!;
  const row = (...names: string[]) =>
    rowOf(
      map.bits,
      names.map((n) => map.feature(n)!.id),
    );
  const enabled = model.features.map((w, i) => w | row('vmx')[i]!);
  const started = updateLiveCpu(map, at(guest('Penryn')), live(enabled, emptyRow(map.bits)));
  assert.equal([started.check, words(started)], ['full', ['require vmx']]);
  // vmx-* are features that Penryn had before libvirt knew them, and full checks let those pass.
  const strict = guest('Penryn', {}, { check: 'full' });
  assert.throws(
    () => updateLiveCpu(map, at(strict), live(enabled, emptyRow(map.bits))),
    /more than it: vmx/,
  );
  assert.throws(
    () => updateLiveCpu(map, at(strict), live(enabled, row('vmx'))),
    /enabled and disabled at once: vmx/,
  );
});

test('what nobody told of a guest it has as it was asked for, unless it was withheld', () => {
  const { features: asked, ...model } = map.model('Penryn')!;
  const cx16 = rowOf(map.bits, [map.feature('cx16')!.id]);
  const known = minus(asked, cx16);
  const none = emptyRow(map.bits);
  const as = (withheld: Row) =>
    words(updateLiveCpu(map, at(guest(model.name)), live(known, withheld, known)));
  assert.equal(as(none), []);
  assert.equal(as(cx16), ['disable cx16']);
});

test('of a guest that passes its host through only a full check looks at what it got', () => {
  const row = rowOf(map.bits, [map.feature('vmx')!.id]);
  const none = emptyRow(map.bits);
  const through = guest(null, { dca: 'require' }, { mode: 'host-passthrough' });
  assert.equal(updateLiveCpu(map, at(through), live(row, none)), through);
  const strict: LibvirtCpu = { ...through, check: 'full' };
  assert.throws(() => updateLiveCpu(map, at(strict), live(row, none)), /without it: dca/);
  assert.throws(
    () => updateLiveCpu(map, at({ ...strict, features: [] }), live(none, row)),
    /without it: vmx/,
  );
});

/** A hypervisor that reports this of its host. */
const reporting = (hostModel: LibvirtCpu, isEmulated = false): Hypervisor => ({
  arch: 'x86_64',
  models: new Map([[hostModel.model!, []]]),
  features: rowOf(
    map.bits,
    map.features.filter((f) => f.name !== 'ia64').map((f) => f.id),
  ),
  migratable: null,
  hostModel,
  migratableModel: null,
  isEmulated,
});

test('before a start a host has what libvirt finds and what KVM reports, an emulator what it reports', () => {
  const own = at(host('Penryn', 'Intel', 'dca'));
  const reported = guest('Conroe', { aes: 'require' }, { fallback: 'forbid', vendor: 'Intel' });
  const refused = (isEmulated: boolean, cpu: LibvirtCpu) =>
    startCheck(map, reporting(reported, isEmulated), own, at(cpu)).reason ?? '';
  const asks = guest('Penryn', { dca: 'require', aes: 'require' });
  assert.is(refused(false, asks), '');
  // Emulation is not asked unless the definition says so.
  assert.is(refused(true, asks), '');
  assert.match(refused(true, { ...asks, check: 'partial' }), /requires: .*dca/);
  assert.match(refused(false, guest('Penryn', { popcnt: 'require' })), /requires: popcnt$/);
  assert.is(refused(false, guest('Penryn', { popcnt: 'require' }, { check: 'none' })), '');
  const forbids = guest(null, { aes: 'forbid', popcnt: 'require' }, { mode: 'maximum' });
  assert.is(refused(false, forbids), '');
  assert.match(refused(false, { ...forbids, check: 'partial' }), /the CPU forbids: aes$/);
});

test('what is started is of the models that are offered, and says only what QEMU knows', () => {
  const own = at(host('Penryn', 'Intel', 'dca'));
  const reported = guest('Nehalem', { invtsc: 'require' }, { fallback: 'forbid', vendor: 'Intel' });
  const start = (cpu: LibvirtCpu) => startedCpu(map, reporting(reported), own, at(cpu), 'disable');
  const model = start(guest(null, { ia64: 'disable', cmt: 'require' }, { mode: 'host-model' }));
  // Nehalem of a libvirt that takes vmx-* out of its models.
  const said = words(model).filter((word) => !word.includes('vmx-'));
  assert.equal(
    [model.mode, model.model, model.fallback, model.check, said],
    ['custom', 'Nehalem', 'forbid', 'partial', []],
  );
  const through = start(guest(null, { ia64: 'require' }, { mode: 'host-passthrough' }));
  assert.equal([through.check, through.fallback, words(through)], ['none', null, ['require ia64']]);
  assert.is(start(guest('Westmere')).model, 'Nehalem');
  assert.throws(() => start(guest('Westmere', {}, { fallback: 'forbid' })), /allows no other/);
});

test('expanding keeps the words of the definition and sorts by name', () => {
  const spelt = expandFeatures(
    map,
    at(guest('486', { vme: 'disable', avx: 'require', sse: 'force' })),
  );
  assert.equal(words(spelt), ['require avx', 'require fpu', 'require pse', 'disable vme']);
});

test('family and model are plain sums, and a word that is not there is zero', () => {
  const data = new Words();
  data.setLeaf(1, 0, { eax: 0x00100f23, ebx: 0, ecx: 0, edx: 1 });
  const { signature, row, vendor } = dataOfWords(map, data);
  assert.equal(
    [signature, vendor, map.idsIn(row).length],
    [{ family: 16, model: 2, stepping: 3 }, null, 1],
  );
});

test('a POWER host is told by its version register', () => {
  assert.equal(
    [ppcDecode(map, 'x', 0x004b0201).model, ppcDecode(map, 'x', 0x00800200).model],
    ['POWER8', 'POWER10'],
  );
  assert.throws(() => ppcDecode(map, 'x', 1), /no POWER processor with PVR 0x00000001/);
});

const FILES: Readonly<Record<string, string>> = {
  'index.xml':
    "<cpus><arch name='x86'><include filename='base.xml'/><group name='g'><include filename='m.xml'/></group></arch></cpus>",
  'base.xml':
    "<cpus><vendor name='Intel' string='GenuineIntel'/><feature name='fpu'><cpuid eax_in='0x1' edx='0x1'/></feature><feature name='warp' migratable='no'><msr index='0x999' edx='0x2'/></feature></cpus>",
  'm.xml':
    "<cpus><model name='A'><decode host='on' guest='on'/><signature family='6' model='1' stepping='0-2,5'/><vendor name='Intel'/><feature name='fpu'/><feature name='warp' removed='yes'/></model><model name='A-v1'><decode host='on' guest='off'/><model name='A'/></model></cpus>",
};
const learn = (files: Readonly<Record<string, string>>) =>
  readLibvirtMap(
    catalog,
    async (name) => ({ name, bytes: new TextEncoder().encode(files[name]!) }),
    'libvirt@learnt',
  );

test('learns a map as libvirt loads it, and reads again what it wrote', async () => {
  const learnt = await learn(FILES);
  const a = learnt.model('A')!;
  assert.equal(
    [a.vendor, a.canonical, a.signatures, learnt.idsIn(a.features).length],
    ['Intel', 'A-v1', [{ family: 6, model: 1, steppings: [0, 1, 2, 5] }], 1],
  );
  assert.equal(learnt.feature('fpu')!.id, catalog.feature('fpu').id);
  // What the catalog does not know lies past its own.
  assert.ok(learnt.feature('warp')!.id >= catalog.bits);
  assert.equal(words(libvirtBaseline(learnt, all(host('A', 'Intel', 'warp')))), ['require warp']);
  assert.equal(words(libvirtBaseline(learnt, all(host('A', 'Intel')))), ['disable warp']);
  const again = readLearnt(catalog, {
    name: 'x',
    bytes: new TextEncoder().encode(JSON.stringify(writeLearnt(learnt))),
  });
  assert.equal(JSON.stringify(writeLearnt(again)), JSON.stringify(writeLearnt(learnt)));
});

const BROKEN: readonly [string, string, string, RegExp][] = [
  ['a model twice', 'm.xml', "name='A-v1'", /m\.xml:1: model "A" is defined twice/],
  [
    'a parent that comes later',
    'm.xml',
    "<model name='A'/>",
    /model "A-v1" is like "B", which is not defined before it/,
  ],
  ['an unknown feature', 'm.xml', "<feature name='fpu'/>", /feature "gone" is not defined/],
  ['an unknown vendor', 'm.xml', "<vendor name='Intel'/>", /vendor "AMD" is not defined/],
  [
    'no decode',
    'm.xml',
    "<decode host='on' guest='on'/>",
    /does not say whether it may be decoded to/,
  ],
  [
    'another check',
    'm.xml',
    "<decode host='on' guest='off'/>",
    /<check> other than partial='compat'/,
  ],
  [
    'a vendor string of another length',
    'base.xml',
    "'GenuineIntel'",
    /which is not 12 characters long/,
  ],
];
const INSTEAD: Readonly<Record<string, string>> = {
  "name='A-v1'": "name='A'",
  "<model name='A'/>": "<model name='B'/>",
  "<feature name='fpu'/>": "<feature name='gone'/>",
  "<vendor name='Intel'/>": "<vendor name='AMD'/>",
  "<decode host='on' guest='on'/>": '',
  "<decode host='on' guest='off'/>": "<decode host='on' guest='off'/><check partial='full'/>",
  "'GenuineIntel'": "'Genuine'",
};
for (const [what, file, text, message] of BROKEN)
  test(`a map with ${what} is refused as a whole`, async () => {
    const files = { ...FILES, [file]: FILES[file]!.replace(text, INSTEAD[text]!) };
    await learn(files).then(
      () => assert.unreachable('it was taken'),
      (error) => assert.match(error.message, message),
    );
  });

test.run();
