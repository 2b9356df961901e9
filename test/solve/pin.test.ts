// Pinned CPUs: the same guest wherever they are used, in every language that can hold one.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { emptyRow, isEqual } from '../../src/core/rows.ts';
import { needOfAsked } from '../../src/cpu/asked/asked.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { edgeStack, parseStack } from '../../src/cpu/catalog/software.ts';
import { type LibvirtCpu, UNSAID } from '../../src/cpu/cpu-element.ts';
import { parseCpuString } from '../../src/cpu/cpu-string.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import { expandItems, type Surroundings } from '../../src/cpu/qemu/expand.ts';
import { machinesOf } from '../../src/cpu/qemu/machine.ts';
import { propertiesOf } from '../../src/cpu/qemu/properties.ts';
import { expandCpu, realizeTcg } from '../../src/cpu/qemu/qemu-start.ts';
import {
  cpuArgument,
  cpuOption,
  writeFullCpu,
  writeReadconfig,
} from '../../src/dialects/pinned.ts';
import { pin, pinForLibvirt } from '../../src/solve/pin.ts';
import { assertProperty, draws, evenly } from '../support/property.ts';

const catalog = await loadCatalog();
const test = suite('pin');
const QEMUS = ['7.2', '10.0'] as const;

/** A -readconfig file read as plainly as can be: the value of each property, the last one standing. */
function readReadconfig(text: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const section of text.split('[global]\n').slice(1)) {
    const of = (key: string) => section.match(new RegExp(`^  ${key} = "([^"]*)"$`, 'm'))?.[1];
    assert.is(of('driver'), 'x86_64-cpu');
    values.set(of('property')!, of('value')!);
  }
  return values;
}

const where = fc.constantFrom(...QEMUS).chain((qemu) =>
  fc.record({
    qemu: fc.constant(qemu),
    machine: fc.constantFrom(...machinesOf(catalog, qemu).map((m) => m.name)),
    accelerator: fc.constantFrom('kvm', 'tcg') as fc.Arbitrary<'kvm' | 'tcg'>,
  }),
);
const features = catalog.features.filter((f) => f.qemu === '7.2').map((f) => f.name);
const VALUES: Record<string, readonly string[]> = {
  bool: ['on', 'off'],
  auto: ['on', 'off', 'auto'],
  string: ['GenuineIntel', 'AuthenticAMD', ''],
};
const properties = propertiesOf(catalog, '7.2')
  .filter((p) => p.type !== 'fixed' && p.only === undefined)
  .flatMap((p) => (VALUES[p.type] ?? ['0', '7', '36', '45']).map((v) => `${p.name}=${v}`));
const feature = fc
  .tuple(fc.constantFrom(...features), fc.constantFrom('=on', '=off'))
  .map((pair) => pair.join(''));
const cpu = fc
  .tuple(
    fc.constantFrom(...[...catalog.qemuModels.keys()].filter((name) => name !== 'host')),
    fc.array(fc.oneof(feature, fc.constantFrom(...properties)), { maxLength: 5 }),
  )
  .map(([model, items]) => [model, ...items].join(','));

/** What QEMU takes; the property tests are about nothing else. */
function isTaken(text: string, on: Surroundings): boolean {
  try {
    expandCpu(catalog, text, on);
    return true;
  } catch (error) {
    if (error instanceof QueryError) return false;
    throw error;
  }
}

test('both definitions give the same guest on every machine type, read back from what is written', () => {
  assertProperty(
    fc.property(cpu, where, (text, on) => {
      fc.pre(isTaken(text, on));
      const wanted = expandCpu(catalog, text, on);
      const pinned = pin(catalog, text, on);
      const globals = [...readReadconfig(writeReadconfig(pinned.beside, 'x'))];
      const line = cpuArgument(pinned.resolved, pinned.alone);
      for (const { name: machine } of evenly(machinesOf(catalog, on.qemu))) {
        const there = { ...on, machine };
        const both = [
          expandItems(catalog, parseCpuString(text), there, globals),
          expandCpu(catalog, line, there),
        ];
        for (const again of both) {
          assert.ok(isEqual(again.features, wanted.features), `${text} on ${machine}`);
          if (on.accelerator !== 'tcg') continue;
          // microvm takes the host's address bits, whatever is said.
          const [a, b] = [again, wanted].map((e) => ({
            ...realizeTcg(catalog, e).properties,
            'host-phys-bits': null,
          }));
          assert.equal(a, b, `${text} on ${machine}`);
        }
      }
    }),
    { numRuns: 25 },
  );
});

test('every model of every QEMU can be pinned, for kvm and for tcg', () => {
  for (const qemu of QEMUS) {
    const machines = machinesOf(catalog, qemu).filter((m) => m.name.startsWith('pc-'));
    for (const [accelerator, { name: machine }] of [
      ['kvm', machines[0]!],
      ['tcg', machines[machines.length >> 1]!],
    ] as const)
      for (const model of evenly([...catalog.qemuModels.values()]))
        if (model.kind !== 'special' && catalog.hasQemuModel(model.name, qemu))
          assert.ok(pin(catalog, model.name, { qemu, machine, accelerator }).features.length > 0);
  }
});

test('without the pin most machine types give another guest', () => {
  const machines = machinesOf(catalog, '10.0').filter((m) => m.name.startsWith('pc-'));
  const distinct = (accelerator: Surroundings['accelerator']) =>
    new Set(
      machines.map((m) => {
        const e = expandCpu(catalog, 'EPYC', { machine: m.name, qemu: '10.0', accelerator });
        return JSON.stringify([...e.features, e.properties]);
      }),
    ).size;
  assert.ok(distinct('tcg') > 8);
});

test('a cache table that follows the version is said, with the name that holds it', () => {
  const codes = (text: string, machine: string) =>
    pin(catalog, text, { qemu: '10.0', machine, accelerator: 'tcg' }).notes.map((n) => n.code);
  assert.equal(codes('EPYC', 'pc-q35-9.2'), ['cache-table']);
  assert.equal(codes('EPYC-v1', 'pc-q35-9.2'), []);
  // There the caches are QEMU's own, whatever the model.
  assert.equal(codes('EPYC', 'pc-q35-2.12'), []);
  assert.equal(codes('Haswell', 'pc-q35-9.2'), []);
});

test('what depends on a missing prerequisite is not written out', () => {
  const { alone } = pin(catalog, 'Skylake-Server', {
    qemu: '10.0',
    machine: 'pc-q35-10.0',
    accelerator: 'kvm',
  });
  const names = alone.map(([name]) => name);
  assert.is(
    names.some((name) => name.startsWith('vmx-')),
    false,
  );
  assert.is(names.includes('svm'), true);
});

test('the vendor is pinned where it is known, and said where it is the host’s', () => {
  const on = { qemu: '10.0', machine: 'pc-q35-10.0' } as const;
  const kvm = pin(catalog, 'EPYC-v2', { ...on, accelerator: 'kvm' });
  assert.is('vendor' in kvm.properties, false);
  assert.equal(
    kvm.notes.map((n) => n.code),
    ['vendor-of-host'],
  );
  assert.is(
    pin(catalog, 'EPYC-v2,vendor=HygonGenuine', { ...on, accelerator: 'kvm' }).properties.vendor,
    'HygonGenuine',
  );
  assert.is(
    pin(catalog, 'EPYC-v2', { ...on, accelerator: 'tcg' }).properties.vendor,
    'AuthenticAMD',
  );
});

test('max without a family takes model and stepping at start too, and is pinned with what it takes', () => {
  const on = { qemu: '10.0', machine: 'pc-q35-10.0', accelerator: 'tcg' } as const;
  for (const text of ['max,stepping=0', 'max,model=1,stepping=9', 'max,family=0,model=1']) {
    const { properties, beside, alone } = pin(catalog, text, on);
    const { family, model, stepping } = properties;
    assert.equal({ family, model, stepping }, { family: 6, model: 6, stepping: 3 });
    assert.is(Object.fromEntries(alone).stepping, 3);
    // Beside its own words it would be overruled: a family would keep the start from filling in the rest.
    assert.not('family' in Object.fromEntries(beside));
  }
  const said = pin(catalog, 'max,family=6,stepping=0', on);
  assert.is(said.properties.stepping, 0);
  assert.is(Object.fromEntries(said.beside).family, 6);
});

test('features that hold each other up are switched off by name', () => {
  const on = { qemu: '10.0', machine: 'microvm', accelerator: 'kvm' } as const;
  // Both mean GraniteRapids-v2 there, which has avx10 and its vector lengths.
  const element = pinForLibvirt(
    catalog,
    pin(catalog, 'GraniteRapids-v1', on),
    edgeStack(catalog, 'newest'),
  );
  assert.is(element.name, 'GraniteRapids');
  assert.ok(element.disable.includes('avx10'));
  assert.not(element.disable.includes('avx10-128'));
  const { features, alone } = pin(catalog, 'GraniteRapids-v2,-avx10', on);
  assert.not(features.some((name) => name.startsWith('avx10')));
  assert.equal(
    alone.filter(([name]) => name.startsWith('avx10') && name !== 'avx10-version'),
    [['avx10', false]],
  );
});

test('a feature that stands on a property of the machine type is said to follow it, too', () => {
  const on = { qemu: '7.2', machine: 'pc-i440fx-1.4', accelerator: 'kvm' } as const;
  const { notes } = pinForLibvirt(
    catalog,
    pin(catalog, '486,intel-pt=on', on),
    edgeStack(catalog, 'newest'),
  );
  assert.match(
    notes.find((n) => n.code === 'follows-machine-type')!.message,
    /x-intel-pt-auto-level, .*: they \(and with them intel-pt\) follow the machine type, so keep pc-i440fx-1\.4/,
  );
});

test('an argument that a shell would split is quoted', () => {
  assert.is(cpuOption('qemu64,x=on'), '-cpu qemu64,x=on');
  assert.is(cpuOption("qemu64,model-id=It's"), `-cpu 'qemu64,model-id=It'\\''s'`);
});

test('libvirt gets a name that every version of the stack knows, and each feature by libvirt’s spelling', () => {
  const pinned = pin(catalog, 'Skylake-Server-v2,+pclmulqdq', {
    qemu: '10.0',
    machine: 'pc-q35-3.1',
    accelerator: 'kvm',
  });
  const said = (stack: string) => pinForLibvirt(catalog, pinned, parseStack(catalog, stack));
  assert.is(said('libvirt@9.0').name, 'Skylake-Server-IBRS');
  const xml = writeFullCpu(catalog, said('libvirt@9.0'));
  assert.match(
    xml,
    /^<cpu mode='custom' match='exact' check='full'>\n {2}<model fallback='forbid'>Skylake-Server-IBRS<\/model>/,
  );
  assert.match(xml, /<feature policy='require' name='pclmuldq'\/>/);
  assert.match(xml, /<feature policy='require' name='hypervisor'\/>/);
  assert.match(xml, /<feature policy='require' name='x2apic'\/>/);
  assert.match(xml, /<maxphysaddr mode='emulate' bits='40'\/>/);
  assert.not.match(xml, /kvm-/);
});

test('whatever libvirt can say of a feature is said: required, disabled, or off in every meaning of the name', () => {
  assertProperty(
    fc.property(cpu, where, (text, on) => {
      fc.pre(isTaken(text, on));
      try {
        const pinned = pin(catalog, text, on);
        const said = pinForLibvirt(catalog, pinned, edgeStack(catalog, 'newest'));
        const has = new Set(pinned.features);
        assert.equal(
          said.require.filter((name) => !has.has(name)),
          [],
        );
        assert.equal(
          said.disable.filter((name) => has.has(name)),
          [],
        );
        // With these words beside the name QEMU gives the guest that was pinned, but for what libvirt cannot name.
        const words = [
          ...said.require.map((name) => `${name}=on`),
          ...said.disable.map((name) => `${name}=off`),
        ];
        const again = expandCpu(catalog, [said.name, ...words].join(','), on);
        const unsaid = said.notes.find((n) => n.code === 'cannot-express')?.message ?? '';
        const names = catalog.names(again.features);
        const differs = [
          ...names.filter((n) => !has.has(n)),
          ...pinned.features.filter((n) => !names.includes(n)),
        ];
        for (const name of differs) assert.match(unsaid, name);
      } catch (error) {
        // EPYC-v4 and kin have no name in some libvirt; base has none at all.
        if (!(error instanceof QueryError)) throw error;
        assert.match(error.message, /has no model for/);
      }
    }),
    { numRuns: 80 },
  );
});

test('what is written for libvirt passes the full check of that libvirt', () => {
  let held = 0;
  for (const [libvirt, qemu, machine] of [
    ['9.0', '7.2', 'pc-i440fx-2.3'],
    ['12.8', '10.0', 'pc-q35-3.1'],
  ] as const)
    for (const accelerator of ['kvm', 'tcg'] as const)
      for (const name of evenly([...catalog.libvirtModels.keys()])) {
        const kind = catalog.qemuModels.get(name)?.kind ?? 'special';
        if (kind === 'special' || !catalog.hasQemuModel(name, qemu)) continue;
        if (catalog.libvirtModel(name, libvirt) === null) continue;
        const pinned = pin(catalog, name, { qemu, machine, accelerator });
        const said = pinForLibvirt(catalog, pinned, parseStack(catalog, `libvirt@${libvirt}`));
        const element: LibvirtCpu = {
          ...UNSAID,
          check: 'full',
          model: said.name,
          fallback: 'forbid',
          vendor: said.vendor,
          features: [
            ...said.require.map((f) => ({
              name: catalog.feature(f).libvirt!.name,
              policy: 'require' as const,
            })),
            ...said.disable.map((f) => ({
              name: catalog.feature(f).libvirt!.name,
              policy: 'disable' as const,
            })),
          ],
        };
        const asked = {
          by: 'libvirt',
          element,
          machine,
          accelerator,
          tscHz: null,
          threads: 1,
        } as const;
        const software = { libvirt, qemu, machine, isGiven: true };
        const { refused } = needOfAsked(catalog, { ...asked, byName: null }, software);
        // A version of the model that only the machine type could choose has properties that libvirt has no word for.
        assert.is(
          refused,
          null,
          `${name} on ${machine} of ${qemu} by libvirt ${libvirt}, ${accelerator}`,
        );
        held++;
        // One accelerator default or the topology's bit more, and it stops.
        const without = element.features.filter((f) => f.name !== 'hypervisor');
        const short = { ...asked, element: { ...element, features: without }, byName: null };
        assert.match(
          needOfAsked(catalog, short, software).refused ?? '',
          /extra features: hypervisor/,
        );
      }
  assert.ok(held > draws(200), `${held} elements`);
});

test('an empty row is no guest', () => {
  const base = pin(catalog, 'base', { qemu: '10.0', machine: 'pc-q35-10.0', accelerator: 'tcg' });
  assert.equal(base.features, []);
  assert.ok(isEqual(catalog.row(base.features), emptyRow(catalog.bits)));
  assert.is(base.properties.level, 0);
});

test.run();
