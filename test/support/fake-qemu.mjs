#!/usr/bin/env node
// A QEMU as far as `learn` asks one: a distribution's machine types, two models, and one that needs another.
import { createInterface } from 'node:readline';

const machine = process.argv[process.argv.indexOf('-machine') + 1].split(',')[0];
const FEATURES = ['aes', 'avx2', 'erms', 'fpu', 'hypervisor', 'lm', 'pse', 'vmx', 'vmx-ept'];
FEATURES.push('vmx-secondary-ctls', 'brand-new');
const MACHINES = ['none', 'pc-q35-rhel7.6.0', 'pc-q35-rhel9.4.0', 'pc-broken'];
if (machine === 'pc-broken') {
  console.error('this machine type needs a device that is not here');
  process.exit(1);
}
const isOld = machine === 'pc-q35-rhel7.6.0';
const haswell = ['aes', 'avx2', 'fpu', 'hypervisor', 'lm', 'pse', 'vmx-secondary-ctls', 'vmx-ept'];
const TABLES = {
  base: [],
  max: [...FEATURES],
  'Haswell-v1': haswell,
  Haswell: isOld ? [...haswell, 'erms'] : haswell,
  'House-v1': ['fpu', 'hypervisor', 'pse', 'lm', 'brand-new'],
  House: ['fpu', 'hypervisor', 'pse', 'lm', 'brand-new'],
};
const NEEDS = { 'vmx-secondary-ctls': 'vmx', 'vmx-ept': 'vmx-secondary-ctls' };
const NUMBERS = { 'min-level': 13, level: 13, 'min-xlevel': 0x80000008, xlevel: 0x80000008 };
// Of properties that are no numbers of a model, those that every QEMU has.
const PLAIN = { check: true, enforce: false, kvm: true, 'host-phys-bits': false, 'phys-bits': 0 };
Object.assign(PLAIN, { 'full-cpuid-auto-level': true, 'x-force-features': false, 'ucode-rev': 0 });
Object.assign(PLAIN, { 'hv-vendor-id': '', model: 60, stepping: 1, 'x-intel-pt-auto-level': true });
Object.assign(PLAIN, { 'level-func7': 0, xlevel2: 0, 'min-xlevel2': 0, pmu: false });

function expand({ type, model: { name, props } }) {
  const on = new Set(TABLES[name]);
  for (const [feature, value] of Object.entries(props)) if (value) on.add(feature);
  for (const [feature, needed] of Object.entries(NEEDS)) if (!on.has(needed)) on.delete(feature);
  const values = {
    ...NUMBERS,
    ...PLAIN,
    family: name === 'House' || name === 'House-v1' ? 25 : 6,
    vendor: 'GenuineIntel',
    'model-id': name,
    'legacy-cache': true,
    'l3-cache': !isOld,
  };
  return {
    model: {
      name: type === 'static' ? 'base' : name,
      props: { ...Object.fromEntries(FEATURES.map((f) => [f, on.has(f)])), ...values },
    },
  };
}

const ANSWERS = {
  'query-version': () => ({ qemu: { major: 8, minor: 2, micro: 0 }, package: 'house-8.2.0-11' }),
  'query-target': () => ({ arch: process.env.FAKE_ARCH ?? 'x86_64' }),
  'query-machines': () =>
    MACHINES.map((name) =>
      name === 'pc-q35-rhel9.4.0' ? { name, alias: 'q35', 'is-default': true } : { name },
    ),
  'query-cpu-definitions': () =>
    [...Object.keys(TABLES), 'host'].map((name) => ({
      name,
      ...(TABLES[`${name}-v1`] && !isOld ? { 'alias-of': `${name}-v1` } : {}),
    })),
  'qom-list-properties': () => [
    ...FEATURES.map((name) => ({ name, type: 'bool' })),
    ...['family', 'level', 'min-level', 'xlevel', 'min-xlevel', 'vendor', 'model-id'].map(
      (name) => ({ name, type: 'whatever' }),
    ),
    ...Object.keys(PLAIN).map((name) => ({ name, type: 'whatever' })),
    { name: 'legacy-cache', type: 'bool' },
    { name: 'l3-cache', type: 'bool' },
    { name: 'memory', type: 'link<memory-region>' },
  ],
  'query-cpu-model-expansion': expand,
  'qom-get': ({ path }) => (path.endsWith('[0]') ? ['vmx', 'vmx-ept', 'brand-new'] : undefined),
};

console.log('{"QMP": {"version": {}, "capabilities": []}}');
for await (const line of createInterface({ input: process.stdin })) {
  const { execute, arguments: given, id } = JSON.parse(line);
  if (execute === 'quit') process.exit(0);
  if (execute === process.env.FAKE_DIES_AT) process.exit(3);
  const answer = ANSWERS[execute] ? ANSWERS[execute](given) : {};
  console.log(JSON.stringify(answer === undefined ? { error: {}, id } : { return: answer, id }));
}
