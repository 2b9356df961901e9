// What KVM gives of a processor: the table's laws, real hosts, and what knowing the kernel may change.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasBit, isCovered, meet, minus, type Row } from '../src/core/rows.ts';
import { loadCatalog } from '../src/cpu/catalog.ts';
import type { Description } from '../src/cpu/host.ts';
import { isKernel, kernelIn, kernelsLike } from '../src/cpu/kernel.ts';
import { kvmGives, whyWithheld } from '../src/cpu/kvm.ts';
import type { Given } from '../src/cpu/kvm-table.ts';
import { type Offer, offer } from '../src/cpu/offer.ts';
import { parsePlace } from '../src/cpu/record.ts';
import { untold } from '../src/dialects/described.ts';
import { readDescriptions, readFleet } from '../src/dialects/read.ts';
import { writeRecord } from '../src/dialects/record-write.ts';
import { candidate, Fleet } from '../src/fleet/fleet.ts';
import { AMD, dump, INTEL } from './support/dump.ts';
import { ROOT, SHARED, sayMissing } from './support/places.ts';
import { assertProperty } from './support/property.ts';

// biome-ignore lint/suspicious/noExplicitAny: cases of many shapes, compared as they are
type Json = any;

const test = suite('what KVM gives');
const catalog = await loadCatalog();
const { kvm } = catalog;
const READ = [...kvm.kernels, ...kvm.distributions];

const cases = SHARED === null ? test.skip : test;
if (SHARED === null) sayMissing('what KVM gave on real hosts', '../shared');
const given = (name: string, bytes: Uint8Array | string) => ({
  name,
  bytes: typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes,
});
const describe = async (name: string, bytes: Uint8Array | string): Promise<Description> =>
  (await readDescriptions(catalog, [given(name, bytes)])).read[0]!.description;
const offers = (d: Description, kernel: string | null): Offer => offer(catalog, { ...d, kernel });

/** What is said of a feature: offered, absent or unknown. */
function said({ has, known }: Offer, name: string): 'offered' | 'absent' | 'unknown' {
  const { id } = catalog.feature(name);
  return hasBit(has, id) ? 'offered' : hasBit(known, id) ? 'absent' : 'unknown';
}

const indexes = (ranges: readonly string[]): number[] =>
  ranges.flatMap((range) => {
    const [from, until = from] = range.split('..').map((text) => READ.indexOf(text));
    assert.ok(from! >= 0 && until! >= from!, range);
    return Array.from({ length: until! - from! + 1 }, (_, i) => from! + i);
  });

test('every feature of QEMU has rows, and each module and kernel is in exactly one of them', () => {
  const ruled = kvm.rules.flatMap((rule) => rule.features);
  assert.is(new Set(ruled).size, ruled.length);
  for (const f of catalog.features)
    if (f.qemu !== null) assert.ok(ruled.includes(f.name), `${f.name} has no rows`);
  for (const { features, rows } of kvm.rules)
    for (const module of ['Intel', 'AMD']) {
      const kernels = rows
        .filter((row) => (row.vendor ?? module) === module)
        .flatMap((row) => (row.kernels ? indexes(row.kernels) : [...READ.keys()]));
      assert.equal(
        kernels.sort((a, b) => a - b),
        [...READ.keys()],
        `${features[0]} on ${module}`,
      );
    }
});

test('every name in the table is one of the catalog, and every term can be looked up', () => {
  const named = [
    ...kvm.rules.flatMap((rule) => [...rule.features, ...rule.rows.flatMap((r) => r.needs ?? [])]),
    ...kvm.hides.flatMap((h) => [h.feature, ...(h.with ? [h.with] : [])]),
    ...kvm.qemu.flatMap((q) => [...q.features, ...(q.where ?? [])]),
    ...kvm.outOfOrder,
  ];
  for (const name of named) assert.is(catalog.findQemu(name)?.name, name);
  const terms = kvm.rules.flatMap((rule) =>
    rule.rows.flatMap((r) => [...(r.of ?? []).flat(), ...(r.barredBy ? [r.barredBy] : [])]),
  );
  for (const term of terms)
    if (/^cpuid\./.test(term)) assert.is(parsePlace(term).kind, 'cpuid');
    else if (!term.startsWith('linux:')) assert.is(catalog.findQemu(term)?.name, term);
  for (const { kernels } of [...kvm.hides, ...kvm.qemu]) if (kernels) indexes(kernels);
  for (const { rows } of kvm.rules)
    for (const row of rows) {
      assert.is(row.when === 'conditional', row.hardware !== undefined);
      if (row.when === 'made-up') assert.ok(row.of!.length > 0);
    }
});

test('which kernels speak for a kernel', () => {
  const like = (text: string | null) => {
    const { like, rows } = kernelsLike(kvm, text);
    const names = rows.map((i) => READ[i]!);
    return [like, names.length > 1 ? `${names[0]}..${names.at(-1)}` : (names[0] ?? '')];
  };
  const cases: [string | null, string, string][] = [
    [null, 'untold', '4.19.108..3.10.0-1160.el7'],
    ['no version', 'untold', '4.19.108..3.10.0-1160.el7'],
    ['6.12.118', 'read', '6.12.118'],
    ['6.12.118-1', 'read', '6.12.118'],
    ['7.3.4-1~bpo13+1', 'read', '7.3.4'],
    ['6.8', 'read', '6.8.0'],
    ['5.14-rc5', 'read', '5.14-rc5'],
    ['3.10.0-1160.el7.x86_64', 'read', '3.10.0-1160.el7'],
    // Between two, or on the base of one with the maker's own on top.
    ['6.12.50', 'among', '6.8.0..6.12.118'],
    ['6.12.118+deb13-amd64', 'among', '6.8.0..6.14.0'],
    ['6.3.5', 'among', '6.2.0..6.5.0'],
    ['5.15.215', 'among', '5.14-rc5..6.1.192'],
    ['5.14-rc3', 'among', '5.10.262..5.15.100'],
    ['6.1.0-18-amd64', 'among', '5.15.100..6.2.0'],
    ['6.8.0-50-generic', 'among', '6.6.17..6.12.118'],
    ['6.8.12-4-pve', 'among', '6.6.17..6.12.118'],
    ['5.15.0-300.163.18.el8uek.x86_64', 'among', '5.14-rc5..6.1.192'],
    ['6.1.50-1.el8.elrepo.x86_64', 'among', '5.15.100..6.1.192'],
    ['7.3.9', 'among', '6.19..7.3.4'],
    // RHEL and its rebuilds.
    ['3.10.0-1160.119.1.el7.x86_64', 'among', '3.10.0-1160.el7'],
    ['4.18.0-553.22.1.el8_10.x86_64', 'among', '4.18.0-394.el8'],
    ['4.18.0-80.el8.x86_64', 'among', '4.19.108..3.10.0-1160.el7'],
    ['5.14.0-427.13.1.el9_4.x86_64', 'among', '5.14-rc5..7.3.4'],
    ['6.12.0-55.el10.x86_64', 'among', '5.14-rc5..7.3.4'],
    ['7.4.1', 'newer', '7.3.4'],
    ['4.15.0-213-generic', 'older', ''],
    ['4.19.0-26-amd64', 'older', ''],
    ['2.6.32-754.el6.x86_64', 'older', ''],
  ];
  for (const [text, kind, rows] of cases) assert.equal(like(text), [kind, rows], `${text}`);
  assert.not(isKernel('trixie'));
  assert.is(
    kernelIn('Linux pve1 6.8.12-4-pve #1 SMP PREEMPT_DYNAMIC PMX 6.8.12-4 x86_64 GNU/Linux'),
    '6.8.12-4-pve',
  );
  assert.is(
    kernelIn(
      'Linux version 6.1.0-40-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-3 (2026-09-20)\n',
    ),
    '6.1.192-3',
  );
  assert.is(kernelIn('cpu family\t: 6\n'), null);
});

const XSAVES = { '0000000d.01': '0000000f-00000000-00000000-00000000' };

test('Linux takes xsaves from Zen 1 and 2, some kernels and some microcode do not', async () => {
  const zen2 = await describe('zen2', dump(AMD, 0x00830f10, XSAVES));
  assert.equal(zen2.signature, { family: 23, model: 49, stepping: 0 });
  const by = (kernel: string | null, d = zen2) => said(offers(d, kernel), 'xsaves');
  assert.is(by('6.8.0'), 'absent');
  assert.is(by('5.10.262'), 'absent');
  assert.is(by('6.2.0'), 'offered');
  assert.is(by('6.12.118'), 'unknown');
  assert.is(by(null), 'unknown');
  const zen3 = await describe('zen3', dump(AMD, 0x00a00f11, XSAVES));
  assert.is(by('6.8.0', zen3), 'offered');
  // What the kernel prints is what it left.
  assert.is(by('6.8.0', { ...zen2, view: 'kernel' }), 'offered');
});

test('QEMU takes hle and rtm from processors with the erratum of Haswell', async () => {
  const tsx = { '00000007.00': '00000000-00000810-00000000-00000000' };
  const by = async (signature: number, name: string, kernel: string | null = '6.8.0') =>
    said(offers(await describe('tsx', dump(INTEL, signature, tsx)), kernel), name);
  for (const kernel of ['6.8.0', '4.19.108', null])
    for (const name of ['hle', 'rtm']) {
      assert.is(await by(0x000306c3, name, kernel), 'absent', 'Haswell, model 60');
      assert.is(await by(0x000306f2, name, kernel), 'absent', 'Haswell server before stepping 4');
      assert.is(await by(0x000306f4, name, kernel), 'offered', 'Haswell-EX, stepping 4');
    }
  // Where arch-capabilities is there and its register is not told, Linux may have a switch for them.
  const open = { '00000007.00': '00000000-00000810-00000000-20000000' };
  const skylake = await describe('open', dump(INTEL, 0x00050657, open));
  assert.is(said(offers(skylake, '6.8.0'), 'rtm'), 'unknown');
});

test("Intel's words for speculation are made up of AMD's, by kernel", async () => {
  // ibpb 12, ibrs 14, amd-stibp 15, amd-ssbd 24, and IBPB_RET 30, for which QEMU has no name.
  const words = (ebx: string) => ({ '80000008': `00003030-${ebx}-00000000-00000000` });
  const epyc = await describe('epyc', dump(AMD, 0x00830f10, words('0100d000')));
  const by = (kernel: string | null, d = epyc) =>
    ['spec-ctrl', 'stibp', 'ssbd'].map((name) => said(offers(d, kernel), name));
  assert.equal(by('6.8.0'), ['offered', 'offered', 'offered']);
  assert.equal(by('6.14.0'), ['absent', 'offered', 'offered']);
  assert.equal(by('3.10.0-1160.el7'), ['absent', 'absent', 'absent']);
  assert.equal(by(null), ['unknown', 'unknown', 'unknown']);
  const ret = await describe('zen4', dump(AMD, 0x00a10f11, words('4100d000')));
  assert.equal(by('6.14.0', ret), ['offered', 'offered', 'offered']);
  const bare = await describe('zen1', dump(AMD, 0x00800f12, words('00000000')));
  assert.equal(by('6.8.0', bare), ['absent', 'absent', 'absent']);
});

test('flags without vmx prove nothing of it, leaves do', async () => {
  const shown = await describe('intel', dump(INTEL, 0x000306c3, {}));
  const by = (view: 'hardware' | 'kernel', name: string) => {
    const d = { ...shown, view, known: catalog.rowWhere(() => true) };
    return said(offers(d, '6.8.0'), name);
  };
  for (const name of ['vmx', 'vmx-ept'])
    assert.equal([by('hardware', name), by('kernel', name)], ['absent', 'unknown'], name);
  assert.equal([by('hardware', 'svm'), by('kernel', 'svm')], ['absent', 'absent']);
});

test('why a guest is not given what the processor has', async () => {
  const leaf7 = { '00000007.00': '00000000-00000810-00000010-00000000' };
  const d = await describe('why', dump(INTEL, 0x000306c3, leaf7));
  const why = (name: string, kernel: string | null) =>
    whyWithheld(catalog, { ...d, kernel }, catalog.feature(name).id);
  assert.equal(why('hle', '6.8.0').because, 'qemu');
  assert.equal(why('vmx', '6.8.0'), { sure: true, because: 'processor' });
  assert.equal(why('xtpr', '6.8.0'), { sure: true, because: 'never' });
  assert.equal(why('movrs', '6.8.0'), { sure: true, because: 'kernel', from: '7.3.4' });
  assert.equal(why('movrs', null).because, 'processor');
  assert.equal(why('smep', '4.15.0-213-generic'), { sure: false, because: 'kernel' });
  // Of AMD's word 8000_0008 ebx: made up on some kernels only.
  const amd = { '80000008': '00003030-0000d000-00000000-00000000' };
  const epyc = await describe('epyc', dump(AMD, 0x00830f10, { ...amd, ...XSAVES }));
  const whyAmd = (name: string, kernel: string | null) =>
    whyWithheld(catalog, { ...epyc, kernel }, catalog.feature(name).id);
  assert.equal(whyAmd('spec-ctrl', null).because, 'kernel');
  assert.equal(whyAmd('xsaves', '6.8.0'), {
    sure: true,
    because: 'hidden',
    why: 'erratum 1386; not Hygon',
  });
  // KVM of this kernel gives it, and QEMU clears it where the register is not there for certain.
  assert.equal(whyAmd('rdctl-no', '6.8.0'), {
    sure: false,
    because: 'needs',
    why: 'arch-capabilities',
  });
});

test('a kernel newer than any that was read is taken for the last, without what that never gave', async () => {
  const d = await describe('new', dump(AMD, 0x00a10f11, XSAVES));
  const [last, newer] = [offers(d, '7.3.4'), offers(d, '7.9.2')];
  // Nobody knows how what came in no order goes on.
  const ordered = minus(last.has, catalog.row(kvm.outOfOrder));
  assert.ok(isCovered(newer.has, last.has) && isCovered(ordered, newer.has));
  assert.is(said(last, 'xtpr'), 'absent');
  assert.is(said(newer, 'xtpr'), 'unknown');
});

/** Captures: raw CPUID of a host as text that can be read. */
function textOf(capture: Json): string {
  const digits = (hex: string) => hex.slice(2).toUpperCase();
  const leaves = capture.cpuid.map(
    ([leaf, subleaf, ...words]: string[]) =>
      `CPUID ${digits(leaf!)}: ${words.map(digits).join('-')} [SL ${digits(subleaf!)}]\n`,
  );
  const msrs = Object.entries<string>(capture.msr).map(([index, value]) => {
    const word = BigInt(value).toString(16).padStart(16, '0');
    return `MSR ${Number(index).toString(16).padStart(8, '0')}: ${word.match(/..../g)!.join('-')}\n`;
  });
  return [...leaves, ...msrs].join('');
}

// Not to be compared: the guest's topology, what cannot migrate, and what a module option decides.
const UNCOMPARED = new Set(
  'ht topoext invtsc kvm-hint-dedicated vmx svm monitor acpi hypervisor'.split(' '),
);
const SVM_LEAF = 0x8000000a;
const isCompared = (name: string): boolean =>
  !UNCOMPARED.has(name) &&
  !name.startsWith('vmx-') &&
  !catalog.feature(name).places.some((p) => p.kind === 'cpuid' && p.leaf === SVM_LEAF);

cases('what guests of thirty real hosts were given', async () => {
  const { captures } = JSON.parse(
    readFileSync(join(SHARED!, 'cases/kvm-captures.json'), 'utf8'),
  ) as Json;
  assert.ok(captures.length >= 30, `${captures.length} captures`);
  const wrong: string[] = [];
  const counts = { kernel: { right: 0, unknown: 0 }, none: { right: 0, unknown: 0 } };
  for (const capture of captures) {
    const d = await describe(capture.id, textOf(capture));
    const differs = new Set(capture.differencesThere.map((name: string) => name.slice(1)));
    const isNew = capture.qemu !== '2.9 to 5.1';
    for (const how of isNew ? (['kernel', 'none'] as const) : (['kernel'] as const)) {
      const answer = offers(d, how === 'kernel' ? capture.nearestKernel : null);
      for (const [names, right] of [
        [capture.offered, 'offered'],
        [capture.notOffered, 'absent'],
      ] as const)
        for (const name of names.filter((n: string) => isCompared(n) && !differs.has(n))) {
          const is = said(answer, name);
          if (is === 'unknown') counts[how].unknown++;
          else if (is === right) counts[how].right++;
          else wrong.push(`${capture.id}, ${how}: ${name} is ${right}, not ${is}`);
        }
    }
  }
  assert.equal(wrong, []);
  const share = ({ right, unknown }: { right: number; unknown: number }) =>
    unknown / (right + unknown);
  assert.ok(counts.kernel.right > 3000, `${counts.kernel.right} right answers`);
  assert.ok(share(counts.kernel) <= 0.08, `${counts.kernel.unknown} unknown`);
  assert.ok(share(counts.none) <= 0.25, `${counts.none.unknown} unknown without a kernel`);
});

cases(
  'what a hypervisor says of a host contradicts nothing that its processor proves',
  async () => {
    const { captures } = JSON.parse(
      readFileSync(join(SHARED!, 'cases/kvm-captures.json'), 'utf8'),
    ) as Json;
    for (const capture of captures) {
      const told = [...capture.offered, ...capture.notOffered];
      const record = {
        vendor: capture.vendor,
        features: capture.offered,
        unknown: catalog.features.map((f) => f.name).filter((f) => !told.includes(f)),
        absent: capture.notOffered,
      };
      const said = offer(catalog, await describe(capture.id, JSON.stringify(record)));
      const shown = offers(await describe(capture.id, textOf(capture)), capture.nearestKernel);
      const differs = new Set(capture.differencesThere.map((name: string) => name.slice(1)));
      const both = meet(said.known, shown.known);
      const wrong = [
        ...catalog.names(minus(meet(said.has, both), shown.has)),
        ...catalog.names(minus(meet(shown.has, both), said.has)),
      ];
      assert.equal(
        wrong.filter((name) => isCompared(name) && !differs.has(name)),
        [],
        capture.id,
      );
    }
  },
);

/** Whether an answer is no more than another knows, and says the same. */
function isPartOf(some: Offer, all: Offer): boolean {
  const off = (o: Offer): Row => minus(o.known, o.has);
  return isCovered(some.has, all.has) && isCovered(off(some), off(all));
}

const KERNELS = [
  ...READ,
  '6.12.50',
  '6.8.0-50-generic',
  '5.14.0-427.el9',
  '4.18.0-553.el8_10',
  '6.6.87',
  '7.3.9',
];

cases('knowing the kernel tells more of real processors, and nothing else', async () => {
  const dir = join(SHARED!, 'cases/cpuid');
  const files = existsSync(dir)
    ? readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.txt'))
    : [];
  assert.ok(files.length > 100, `${files.length} dumps`);
  let more = 0;
  for (const file of files) {
    let d: Description;
    try {
      d = await describe(file, readFileSync(join(dir, file)));
    } catch {
      continue;
    }
    const none = offers(d, null);
    for (const kernel of KERNELS) {
      const told = offers(d, kernel);
      assert.ok(isPartOf(none, told), `${file} on ${kernel}`);
      if (!isPartOf(told, none)) more++;
    }
  }
  assert.ok(more > files.length, `${more} answers that the kernel adds to`);
});

const ids = catalog.features.map((f) => f.id);
/** A host with some features, some of them not told, and a kernel to ask it of. */
const drawn = fc
  .record({
    has: fc.uniqueArray(fc.constantFrom(...ids), { maxLength: 300 }),
    open: fc.uniqueArray(fc.constantFrom(...ids), { maxLength: 60 }),
    view: fc.constantFrom('hardware' as const, 'kernel' as const),
    vendor: fc.constantFrom('Intel', 'AMD', 'Hygon', 'CentaurHauls', null),
    model: fc.constantFrom([6, 60], [6, 85], [6, 154], [23, 49], [25, 17], [26, 2], [21, 2], null),
    qemu: fc.constantFrom('7.2', '8.2', '10.0', '10.2', null),
    kernel: fc.constantFrom(...KERNELS),
  })
  .map(({ has, open, view, vendor, model, qemu, kernel }) => {
    const d: Description = {
      ...untold(catalog, 'cpuid', 1),
      has: catalog.rowWhere((f) => has.includes(f.id) && !open.includes(f.id)),
      known: catalog.rowWhere((f) => !open.includes(f.id)),
      view,
      vendor,
      qemu,
      signature: model && { family: model[0]!, model: model[1]!, stepping: 3 },
    };
    return { d, vendor, qemu, kernel };
  });

test('of drawn hosts, too', () => {
  assertProperty(
    fc.property(drawn, ({ d, vendor, qemu, kernel }) => {
      const [none, told] = [offers(d, null), offers(d, kernel)];
      assert.ok(isPartOf(none, told), kernel);
      assert.ok(isCovered(told.has, told.known));
      // Without QEMU's version, what holds for every one.
      assert.ok(isPartOf(offers({ ...d, qemu: null }, kernel), told), `${qemu}`);
      assert.ok(isPartOf(offers({ ...d, vendor: null }, kernel), told), `${vendor}`);
      assert.ok(isPartOf(offers({ ...d, signature: null }, kernel), told));
    }),
    { numRuns: 150 },
  );
});

/** Features of which others decide, of which the kernels together may know less than each by itself. */
const ofOthers = new Set(
  kvm.rules.filter(({ rows }) => rows.some((r) => r.needs)).flatMap((rule) => rule.features),
);
for (const { features, where = [] } of kvm.qemu)
  if (where.some((name) => ofOthers.has(name))) for (const name of features) ofOthers.add(name);

test('what some kernels give is what each of them gives by itself, as far as they agree', () => {
  const own = catalog.features.filter((f) => !ofOthers.has(f.name));
  assert.ok(own.length > 250, `${own.length} features`);
  assertProperty(
    fc.property(drawn, fc.boolean(), ({ d, kernel }, isTold) => {
      const host = { ...d, vendor: d.vendor ?? 'Intel', kernel: isTold ? kernel : null };
      const all = kvmGives(catalog, host);
      const { rows, outOfOrder } = kernelsLike(kvm, host.kernel);
      const each = READ.map((name) => kvmGives(catalog, { ...host, kernel: name }));
      for (const { id, name } of own) {
        const is = ({ has, known }: Given) => (hasBit(known, id) ? hasBit(has, id) : undefined);
        const kernels = kvm.outOfOrder.includes(name) ? outOfOrder : rows;
        const said = new Set(kernels.map((k) => is(each[k]!)));
        assert.is(is(all), said.size === 1 ? [...said][0] : undefined, `${name} on ${host.kernel}`);
      }
    }),
    { numRuns: 40 },
  );
});

const CPUINFO = readFileSync(join(ROOT, 'test/fixtures/emerald-rapids-guest.cpuinfo'), 'utf8');
const UNAME =
  'Linux pve1 6.8.12-4-pve #1 SMP PREEMPT_DYNAMIC PMX 6.8.12-4 (2024-11-06T15:04Z) x86_64 GNU/Linux\n';

test('documents that tell the kernel beside the processor', async () => {
  const words = dump(AMD, 0x00830f10, {});
  const slurp = btoa(CPUINFO);
  const flags = /^flags\s*: (.*)$/m.exec(CPUINFO)![1]!.split(' ');
  const metrics = [
    'node_uname_info{machine="x86_64",nodename="a",release="6.1.0-40-amd64",version="#1 SMP Debian 6.1.192-3 (2026-09-20)"} 1',
    ...flags.map((flag) => `node_cpu_flag_info{flag="${flag}"} 1`),
  ];
  const node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n', labels: { 'feature.node.kubernetes.io/cpu-cpuid.AVX2': 'true' } },
    status: { nodeInfo: { kernelVersion: '5.14.0-427.13.1.el9_4.x86_64' } },
  };
  const documents: [text: string, kernel: string][] = [
    [`${UNAME}${words}`, '6.8.12-4-pve'],
    [`${words}${UNAME}`, '6.8.12-4-pve'],
    [`${UNAME}${CPUINFO}`, '6.8.12-4-pve'],
    [`${CPUINFO}${UNAME}`, '6.8.12-4-pve'],
    [
      JSON.stringify({
        host: 'a',
        view: 'kernel',
        features: ['avx'],
        software: { kernel: '6.6.17' },
      }),
      '6.6.17',
    ],
    [
      JSON.stringify({
        ansible_facts: { ansible_hostname: 'a', ansible_kernel: '6.1.0-40-amd64' },
        cpuinfo: { content: slurp, encoding: 'base64', source: '/proc/cpuinfo' },
      }),
      '6.1.0-40-amd64',
    ],
    [JSON.stringify(node), '5.14.0-427.13.1.el9_4.x86_64'],
    [`${metrics.join('\n')}\n`, '6.1.192-3'],
  ];
  for (const [text, kernel] of documents) {
    const d = await describe('host', text);
    assert.is(d.kernel, kernel, text.slice(0, 60));
    // What --kernel says is for others.
    const { read } = await readDescriptions(catalog, [given('host', text)], { kernel: '5.4.286' });
    assert.is(read[0]!.description.kernel, kernel);
  }
  for (const text of [words, CPUINFO]) {
    assert.is((await describe('host', text)).kernel, null);
    const { read } = await readDescriptions(catalog, [given('host', text)], { kernel: '5.4.286' });
    assert.is(read[0]!.description.kernel, '5.4.286');
  }
});

test('each of several hosts has the kernel beside it', async () => {
  const [a, b] = [dump(AMD, 0x00830f10, {}), dump(INTEL, 0x000306c3, {})].map(
    (text) => `CPU:\n${text}`,
  );
  const two = UNAME.replace('6.8.12-4-pve', '6.1.0-40-amd64');
  for (const text of [
    `${UNAME}${a}${two}${b}`,
    `${a}${UNAME}${b}${two}`,
    `${UNAME}${CPUINFO}\n${two}${CPUINFO}`,
    `${CPUINFO}${UNAME}\n${CPUINFO}${two}`,
  ]) {
    const { read } = await readDescriptions(catalog, [given('host', text)]);
    assert.equal(
      read.map((r) => r.description.kernel),
      ['6.8.12-4-pve', '6.1.0-40-amd64'],
    );
    // A fleet is read by another road.
    const fleet = await readFleet(catalog, [given('host', text)]);
    const alone = read.map((r) => new Fleet(catalog, [candidate(catalog, r.id, r.description)]));
    for (const [i, one] of alone.entries())
      assert.ok(
        [...fleet.classes.keys()].some((c) => String(fleet.has(c)) === String(one.has(0))),
        `${i}`,
      );
  }
});

test('a fleet reads the kernel of --kernel, by every road', async () => {
  const rows = async (text: string, kernel?: string) => {
    const fleet = await readFleet(catalog, [given('host', text)], {
      keep: [],
      ...(kernel ? { kernel } : {}),
    });
    return String(fleet.has(0));
  };
  const d = await describe('host', CPUINFO);
  const line = writeRecord(catalog, d, 'a');
  const lines = Array.from({ length: 400 }, (_, i) => line.replace('"a"', `"a${i}"`)).join('\n');
  assert.ok(lines.length > 2 ** 16, 'long enough to be scanned');
  for (const text of [CPUINFO, line, lines])
    for (const kernel of ['5.4.286', '6.12.118']) {
      const wanted = offers(d, kernel).has;
      const own = new Fleet(catalog, [candidate(catalog, 'a', { ...d, kernel })]);
      assert.is(await rows(text, kernel), String(own.has(0)));
      assert.ok(isCovered(wanted, own.has(0)));
      assert.is.not(await rows(text, kernel), await rows(text));
    }
});

test('a record keeps the kernel', async () => {
  const d = { ...(await describe('host', CPUINFO)), kernel: '6.8.12-4-pve' };
  const again = await describe('host', writeRecord(catalog, d, 'a'));
  assert.is(again.kernel, '6.8.12-4-pve');
});

test('a fleet that hypervisors describe never reads the table', async () => {
  const name = 'test/fixtures/demo-fleet.ndjson';
  const lines = readFileSync(join(ROOT, name), 'utf8').replace(
    /"view": *"(hardware|kernel)"/g,
    '"view":"hypervisor"',
  );
  const { Catalog } = await import('../src/cpu/catalog.ts');
  const text = await import('../src/cpu/data.ts');
  const watched = new Catalog(
    JSON.parse(text.features),
    JSON.parse(text.libvirt),
    JSON.parse(text.qemu),
    () => JSON.parse(text.machines),
    () => {
      throw new Error('the table was read');
    },
  );
  const { read } = await readDescriptions(watched, [given(name, lines)]);
  for (const { description } of read) offer(watched, description);
});

test.run();
