// The meaning of -cpu strings, held against answers of real QEMU and against a reading of the rules in plain Sets.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { parseCpuString } from '../../src/cpu/cpu-string.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import { expandModel } from '../../src/cpu/qemu/expand.ts';
import { machinesOf } from '../../src/cpu/qemu/machine.ts';
import { qemuMeanings, qemuPlain } from '../../src/cpu/qemu/model.ts';
import { propertiesOf } from '../../src/cpu/qemu/properties.ts';
import { expandCpu, realizeTcg } from '../../src/cpu/qemu/qemu-start.ts';
import { SHARED, sayMissing } from '../support/places.ts';
import { assertProperty } from '../support/property.ts';

const catalog = await loadCatalog();
const newest = { machine: 'pc-q35-10.0', qemu: '10.0', accelerator: 'kvm' } as const;
const names = (cpu: string, where: Parameters<typeof expandCpu>[2] = newest) =>
  new Set(catalog.names(expandCpu(catalog, cpu, where).features));

const answers = suite('answers of real QEMU');
if (!SHARED) sayMissing('the answers of real QEMU', '../shared');
else {
  const path = join(SHARED, 'cases/qemu.json');
  answers('every case gives what QEMU gave, every refusal is refused', () => {
    const { cases } = JSON.parse(readFileSync(path, 'utf8'));
    assert.ok(cases.length >= 481);
    for (const c of cases) {
      const where = {
        machine: c.machine,
        qemu: c.qemu.replace(/\.\d+$/, ''),
        accelerator: 'tcg',
      } as const;
      const isCommand = c.via === 'command-line';
      const expand = () =>
        isCommand
          ? expandCpu(catalog, c.cpu, where)
          : expandModel(catalog, c.model, c.props, where);
      if (!c.ok) {
        assert.throws(
          expand,
          (error: Error) => error instanceof QueryError,
          `case ${c.id}: ${JSON.stringify(c.error)}`,
        );
        continue;
      }
      const expansion = expand();
      const realized = realizeTcg(catalog, expansion);
      // An empty name is a bit that QEMU has no name for.
      const sorted = (list: string[]) => list.filter((name) => name !== '').sort();
      const properties = isCommand ? realized.properties : expansion.properties;
      const of = (record: Record<string, unknown>) =>
        Object.keys(c.values).map((key) => [key, record[key]]);
      assert.equal(of(properties), of(c.values), `case ${c.id}: properties`);
      if (isCommand) {
        assert.equal(
          catalog.names(realized.exposed).sort(),
          sorted(c.exposed),
          `case ${c.id}: exposed`,
        );
        assert.equal(
          catalog.names(realized.unavailable).sort(),
          sorted(c.unavailable),
          `case ${c.id}: unavailable`,
        );
      } else
        assert.equal(catalog.names(expansion.features).sort(), sorted(c.on), `case ${c.id}: on`);
    }
  });
}
answers.run();

const test = suite('-cpu strings');

test('minus beats plus, and both beat what is set, wherever they stand', () => {
  assert.is(names('Haswell,-avx2,+avx2').has('avx2'), false);
  assert.is(names('Haswell,-avx2,avx2=on').has('avx2'), false);
  assert.is(names('qemu64,+avx2,avx2=off').has('avx2'), true);
  assert.is(names('qemu64,avx2=off,avx2').has('avx2'), true);
});

test('an underscore is a dash in key=value, and only an alias after a sign', () => {
  assert.is(names('qemu64,avx512_bf16=on').has('avx512-bf16'), true);
  assert.throws(
    () => names('qemu64,+avx512_bf16'),
    /no CPU property "avx512_bf16"; did you mean "avx512-bf16"/,
  );
  assert.is(names('qemu64,+sse4_1').has('sse4.1'), true);
});

test('an unversioned name means what the machine type says', () => {
  const resolved = (cpu: string, machine: string, qemu = '10.0') =>
    expandCpu(catalog, cpu, { machine, qemu, accelerator: 'kvm' }).resolved;
  assert.is(resolved('EPYC', 'pc-q35-10.0'), 'EPYC-v1');
  assert.is(resolved('EPYC', 'microvm'), 'EPYC-v4');
  assert.is(resolved('EPYC', 'microvm', '7.2'), 'EPYC-v3');
  assert.is(resolved('EPYC-IBPB', 'microvm'), 'EPYC-v2');
  assert.is(resolved('EPYC-v3', 'isapc'), 'EPYC-v3');
  assert.is(resolved('base', 'q35'), 'base');
});

test('what a name means on the newest machine types is the first of its meanings', () => {
  let names = 0;
  for (const version of catalog.versions.qemu)
    for (const { name, kind } of catalog.qemuModels.values())
      if (kind === 'versioned' && catalog.hasQemuModel(name, version))
        for (const accelerator of ['kvm', 'tcg'] as const) {
          names++;
          const [first] = qemuMeanings(catalog, name, version, accelerator);
          assert.equal(qemuPlain(catalog, name, version, accelerator), first, name);
        }
  assert.ok(names > 300, `${names}`);
});

test('a machine type changes exactly the name it lists', () => {
  const old = { ...newest, machine: 'pc-q35-3.1', accelerator: 'tcg' } as const;
  assert.is(names('EPYC', old).has('npt'), false);
  assert.is(names('EPYC-v1', old).has('npt'), true);
  assert.is(names('EPYC-v1', { ...old, machine: 'pc-q35-2.12' }).has('topoext'), false);
});

test('kvm takes svm from named models and gives x2apic, but for what the string says', () => {
  assert.is(names('EPYC').has('svm'), false);
  assert.is(names('EPYC').has('npt'), false);
  assert.is(names('EPYC,+svm').has('npt'), true);
  assert.is(names('486').has('x2apic'), true);
  assert.is(names('486,x2apic=off').has('x2apic'), false);
  assert.is(names('base').size, 0);
  const ancient = { qemu: '7.2', accelerator: 'kvm' } as const;
  assert.is(names('Opteron_G3', { ...ancient, machine: 'pc-i440fx-2.1' }).has('svm'), true);
  assert.is(names('Opteron_G3', { ...ancient, machine: 'pc-i440fx-2.2' }).has('svm'), false);
  assert.is(names('486', { ...ancient, machine: 'pc-i440fx-1.7' }).has('x2apic'), false);
});

test('a feature of a higher leaf raises the level, an explicit level stays', () => {
  const level = (cpu: string, machine = 'pc-q35-10.0') =>
    expandCpu(catalog, cpu, { ...newest, machine }).properties;
  assert.is(level('486,+avx2').level, 7);
  assert.is(level('486,+xsave,+xsaveopt').level, 13);
  assert.is(level('486,+xsave,+xsaveopt', 'pc-q35-2.7').level, 1);
  assert.is(level('486,+xsave,+xsaveopt,level=5').level, 5);
  assert.is(level('486,+lm').xlevel, 0x80000001);
  assert.is(level('486,+svm').xlevel, 0x8000000a);
});

test('what QEMU refuses is refused in one sentence that names it', () => {
  for (const [cpu, message] of [
    ['Skylake', /^-cpu "Skylake": QEMU 10.0 has no CPU model "Skylake"/],
    ['Skylake-Servr', /did you mean "Skylake-Server"/],
    ['qemu64,vendor=Intel', /vendor takes exactly 12 characters, like GenuineIntel, not "Intel"/],
    ['qemu64,family=271', /family takes 0 to 270, not "271"/],
    ['qemu64,level=08', /level takes a number, decimal or 0x..., not "08"/],
    ['qemu64,+family', /family is no switch; write family=VALUE/],
    ['qemu64,pmu=1', /pmu takes on or off, not "1"/],
    ['qemu64,migratable=off', /migratable is a property of max and host only/],
    ['qemu64,phys-bits=53', /phys-bits takes 32 to 52, not 53/],
    ['n270,phys-bits=36', /phys-bits needs a 64-bit CPU/],
    ['qemu64,guest-phys-bits=41', /guest-phys-bits takes 32 to phys-bits \(40\), not 41/],
    [
      'base,legacy-cache=off',
      /legacy-cache=off needs a model with a cache table, and base has none/,
    ],
    ['qemu64,lbr-fmt=0x40', /lbr-fmt has only the bits 0x3f/],
    ['qemu64,tsc-freq=2X', /tsc-freq takes a number of hertz/],
    ['host', /host is whatever the host has/],
    ['qemu64,', null],
  ] as const)
    if (message === null) names(cpu);
    else assert.throws(() => names(cpu), message);
});

test('an unknown machine type is answered with its neighbours, one of another QEMU with that', () => {
  const on =
    (machine: string, qemu = '10.0') =>
    () =>
      names('qemu64', { machine, qemu, accelerator: 'kvm' });
  assert.throws(on('pc-q35-10.1'), /no machine type "pc-q35-10.1"; did you mean "pc-q35-10.0"/);
  assert.throws(on('pc-i440fx-2.0'), /it was removed after 7.2/);
  assert.throws(on('pc-q35-9.2', '7.2'), /it came by 10.0/);
});

test('numbers are read as C reads them', () => {
  const of = (cpu: string) => expandCpu(catalog, cpu, newest).properties;
  assert.is(of('qemu64,level=0x10').level, 16);
  assert.is(of('qemu64,level=010').level, 8);
  assert.is(of('qemu64,level= +9').level, 9);
  assert.is(of('qemu64,ucode-rev=-1')['ucode-rev'], '18446744073709551615');
  assert.is(of('qemu64,tsc-freq=2.5G')['tsc-frequency'], 2_500_000_000);
  // QEMU keeps kilohertz.
  assert.is(of('qemu64,tsc-frequency=1234567')['tsc-frequency'], 1_234_000);
});

test('no string does anything but expand or be refused', () => {
  const machines = (['7.2', '10.0'] as const).flatMap((qemu) =>
    machinesOf(catalog, qemu).map((m) => ({ machine: m.name, qemu, accelerator: 'tcg' }) as const),
  );
  const name = fc.oneof(
    fc.constantFrom(
      ...catalog.features.flatMap((f) => [f.name, ...f.aliases]),
      ...propertiesOf(catalog, '10.0').map((p) => p.name),
    ),
    fc.string({ maxLength: 6 }),
  );
  const value = fc.oneof(
    fc.constantFrom('on', 'off', '', '0x10', '-1', '99999999999999999999', 'GenuineIntel', '2G'),
    fc.string({ maxLength: 8 }),
  );
  const item = fc.oneof(
    fc.tuple(name, value).map(([n, v]) => `${n}=${v}`),
    name,
    fc.tuple(fc.constantFrom('+', '-'), name).map((pair) => pair.join('')),
  );
  const model = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...catalog.qemuModels.keys()) },
    { weight: 1, arbitrary: fc.string({ maxLength: 8 }) },
  );
  assertProperty(
    fc.property(
      model,
      fc.array(item, { maxLength: 6 }),
      fc.constantFrom(...machines),
      (m, items, where) => {
        try {
          const expansion = expandCpu(catalog, [m, ...items].join(','), where);
          realizeTcg(catalog, expansion);
        } catch (error) {
          if (!(error instanceof QueryError)) throw error;
          assert.match(error.message, /^[^\n]+$/);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('the features of a string are those of its switches, read with Sets', () => {
  // base has no table and no machine type changes it: what is written is what there is, but for dependencies.
  const free = catalog.features.filter(
    (f) => f.qemu !== null && f.needs.length === 0 && !f.name.startsWith('kvm'),
  );
  const item = fc.record({
    name: fc.constantFrom(...free.map((f) => f.name)),
    how: fc.constantFrom('plus', 'minus', 'on', 'off'),
  });
  assertProperty(
    fc.property(fc.array(item, { maxLength: 12 }), (items) => {
      const text = items.map(({ name, how }) =>
        how === 'plus' ? `+${name}` : how === 'minus' ? `-${name}` : `${name}=${how}`,
      );
      const expected = new Set<string>();
      for (const { name, how } of items)
        how === 'on' ? expected.add(name) : how === 'off' && expected.delete(name);
      for (const { name, how } of items) if (how === 'plus') expected.add(name);
      for (const { name, how } of items) if (how === 'minus') expected.delete(name);
      assert.equal([...names(['base', ...text].join(','))].sort(), [...expected].sort());
    }),
  );
});

test('QEMU 7.2 knew of nothing that depends on sgx, and takes hv-vpindex under KVM alone', () => {
  const on = (qemu: string) => ({ machine: 'pc-q35-7.2', qemu, accelerator: 'tcg' }) as const;
  assert.is(names('base,+sgxlc', on('7.2')).has('sgxlc'), true);
  assert.is(names('base,+sgxlc', on('10.0')).has('sgxlc'), false);
  assert.is(expandCpu(catalog, 'base,+sgxlc', on('7.2')).properties.level, 7);
  assert.throws(() => names('qemu64,hv-vpindex=on', on('7.2')), /hv-vpindex needs KVM in QEMU 7.2/);
  names('qemu64,hv-vpindex=on', on('10.0'));
  names('qemu64,hv-vpindex=on', { ...on('7.2'), accelerator: 'kvm' });
});

test('a string taken apart and put together again is the same string', () => {
  const { model, items } = parseCpuString('EPYC,+svm,,x_y=1=2,-npt,abm');
  assert.is(model, 'EPYC');
  assert.equal(items, [
    { how: 'plus', name: 'svm', value: '' },
    { how: 'set', name: 'x-y', value: '1=2' },
    { how: 'minus', name: 'npt', value: '' },
    { how: 'set', name: 'abm', value: 'on' },
  ]);
});

test.run();
