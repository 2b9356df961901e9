// What every 64-bit guest needs: assumed where nothing is told of it, never switched off, and no answer by itself.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasBit, isCovered } from '../src/core/rows.ts';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { floorOf } from '../src/cpu/floor.ts';
import type { Description } from '../src/cpu/host.ts';
import { offer } from '../src/cpu/offer.ts';
import { readDescriptions, readFleet } from '../src/dialects/read.ts';
import { writeRecord } from '../src/dialects/record-write.ts';
import { baseline } from '../src/solve/baseline.ts';
import { decode } from '../src/solve/decode.ts';
import { feed } from './support/command.ts';
import { FLOOR, fleetOf, type Made } from './support/hosts.ts';
import { madeFleet } from './support/made.ts';
import { assertProperty } from './support/property.ts';

const test = suite('the floor');
const catalog = await loadCatalog();
const NEEDED = FLOOR.filter((f) => !'de mca mce mtrr nx pat pse36 sep'.split(' ').includes(f));
const input = (text: string, name = 'host') => ({ name, bytes: new TextEncoder().encode(text) });
const read = async (text: string): Promise<Description> =>
  (await readDescriptions(catalog, [input(text)])).read[0]!.description;
const model = (name: string) => catalog.names(catalog.qemuFeatures(name, '10.0')!);
const record = (features: readonly string[], more: object = {}) =>
  JSON.stringify({ host: 'a', vendor: 'Intel', features, limits: { physBits: 46 }, ...more });
const answer = async (...lines: string[]) =>
  baseline(await readFleet(catalog, [input(lines.join('\n'))]));
const codes = (b: { findings: readonly { code: string }[] }) => b.findings.map((f) => f.code);

test('every 64-bit model of QEMU has all of it', () => {
  assert.equal(catalog.names(floorOf(catalog).all), [...FLOOR].sort());
  assert.equal(catalog.names(floorOf(catalog).needed), [...NEEDED].sort());
  let models = 0;
  for (const { name, kind } of catalog.qemuModels.values()) {
    const row = kind === 'versioned' ? catalog.qemuFeatures(name, '10.0') : null;
    if (!row || !hasBit(row, catalog.feature('lm').id)) continue;
    models++;
    assert.ok(isCovered(floorOf(catalog).all, row), name);
  }
  assert.ok(models > 70, `${models} models`);
});

test('a record need not list it, and one finding says what was counted', async () => {
  const rest = model('Haswell-v4').filter((f) => !FLOOR.includes(f));
  const [short, whole] = [await answer(record(rest)), await answer(record(model('Haswell-v4')))];
  assert.equal(short.definitions, whole.definitions);
  const assumed = short.findings.filter((f) => f.code === 'assumed');
  assert.equal([assumed.length, codes(whole).includes('assumed')], [1, false]);
  assert.match(
    assumed[0]!.message,
    /^a: the description does not tell of apic clflush .* and 18 more; counted/,
  );
});

test('what a switch of the firmware takes away is switched off with a warning', async () => {
  const b = await answer(
    record(
      model('Haswell-v4').filter((f) => f !== 'nx'),
      { absent: ['nx'] },
    ),
  );
  assert.ok(b.definitions.qemu!.disable.includes('nx'));
  assert.match(b.findings.find((f) => f.code === 'switched-off')!.message, /^a: no nx,/);
});

test('without what every 64-bit guest needs there is no definition, and the host is named', async () => {
  const b = await answer(
    record(model('Haswell-v4')),
    record(
      model('Haswell-v4').filter((f) => f !== 'cmov'),
      { host: 'b', absent: ['cmov'] },
    ),
  );
  assert.equal([b.definitions, b.features], [{}, []]);
  assert.match(b.findings[0]!.message, /^b: no cmov, which every 64-bit guest needs/);
  assert.equal(b.findings[0]!.severity, 'error');
  assert.not(codes(b).includes('no-definition'));
});

test('the floor alone is no answer', async () => {
  const all = catalog.features.map((f) => f.name);
  const bare = { features: [], unknown: all.filter((f) => !FLOOR.includes(f)) };
  const b = await answer(JSON.stringify({ host: 'bare', ...bare }));
  assert.equal([b.definitions, codes(b)[0]], [{}, 'nothing-known']);
  const file = JSON.stringify({ host: 'bare', ...bare });
  const { status, stdout, stderr } = await feed(file, 'baseline', '-');
  assert.equal([status, stdout], [2, '']);
  assert.match(
    stderr,
    /^error: bare: nothing is known .* virsh domcapabilities of the host would settle it\n$/,
  );
});

test('no definition of a 64-bit model ever switches off what is needed', () => {
  assertProperty(
    fc.property(
      madeFleet(catalog, 'Intel', 3),
      fc.uniqueArray(fc.constantFrom(...FLOOR), { maxLength: 3 }),
      fc.constantFrom('x86_64', 'i686'),
      (made, less, arch) => {
        const hosts = made.map(
          (m): Made => ({
            ...m,
            features: m.features.filter((f) => !less.includes(f)),
            facts: { ...m.facts, arch },
          }),
        );
        const b = baseline(fleetOf(catalog, hosts));
        for (const definition of Object.values(b.definitions)) {
          const own = catalog.qemuModels.get(definition.name)!;
          const first = own.kind === 'versioned' ? own.name : `${own.base}-v1`;
          if (!model(first).includes('lm')) continue;
          assert.equal(
            definition.disable.filter((f) => NEEDED.includes(f)),
            [],
          );
        }
      },
    ),
    { numRuns: 60 },
  );
});

const CPUINFO = `processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 14
stepping\t: 8
flags\t\t: fpu vme de pse tsc msr pae mce cx8 apic mtrr pge mca cmov pat clflush mmx fxsr sse sse2 pni
`;

test('flags without lm are of a 32-bit host, and get a 32-bit model', async () => {
  const d = await read(CPUINFO);
  const [host] = decode(catalog, [{ id: 'old', description: d }]).hosts;
  assert.is(host!.arch, 'i686');
  assert.not(codes(host!).includes('assumed'));
  const { name } = host!.definitions.qemu!;
  assert.not(model(name).includes('lm'), name);
  assert.equal(offer(catalog, d).assumed, []);
  // As a record it stays one.
  const again = await read(writeRecord(catalog, d, 'old'));
  assert.is(again.arch, 'i686');
  assert.equal([again.has, again.known].map(String), [d.has, d.known].map(String));
});

test('of leaves that a dump lacks the floor is assumed where leaf 1 has what comes before long mode', async () => {
  const dump = (edx: string) =>
    `CPUID 00000000: 00000001-756E6547-6C65746E-49656E69\nCPUID 00000001: 000006FB-00000000-00000001-${edx}\n`;
  const whole = await read(dump('078BFBFF'));
  assert.equal(offer(catalog, whole).assumed, ['lm', 'nx', 'syscall']);
  assert.is(decode(catalog, [{ id: 'a', description: whole }]).hosts[0]!.arch, 'x86_64');
  const old = await read(dump('00000333'));
  assert.equal(offer(catalog, old).assumed, []);
  assert.is(decode(catalog, [{ id: 'a', description: old }]).hosts[0]!.arch, 'i686');
});

test('what an expansion that can migrate leaves out is unknown', async () => {
  const { has, known } = offer(catalog, await read(record(['avx'])));
  for (const name of ['invtsc', 'ht', 'topoext', 'kvm-hint-dedicated'])
    assert.not(hasBit(known, catalog.feature(name).id), name);
  assert.ok(hasBit(known, catalog.feature('avx2').id));
  // Of KVM's own words these are given to every guest, and these to none by default.
  const word = (name: string) => {
    const { id } = catalog.feature(name);
    return hasBit(has, id) ? 'given' : hasBit(known, id) ? 'not' : 'unknown';
  };
  const given =
    'kvmclock kvmclock-stable-bit kvm-nopiodelay kvm-asyncpf kvm-steal-time kvm-pv-eoi kvm-pv-unhalt';
  for (const name of given.split(' ')) assert.is(word(name), 'given', name);
  assert.equal(['kvm-mmu', 'kvm-msi-ext-dest-id', 'kvm-pv-ipi', 'kvm-poll-control'].map(word), [
    'not',
    'not',
    'unknown',
    'unknown',
  ]);
});

test.run();
