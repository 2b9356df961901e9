// Names that guests can really be given: which names are chosen from, what a stack that names one product takes for the
// other, products that choose hosts by a model's name or keep a list of names, and what is written beside a name.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Catalog, loadCatalog } from '../src/cpu/catalog.ts';
import * as data from '../src/cpu/data.ts';
import type { GuestCpu } from '../src/cpu/definition.ts';
import type { Description } from '../src/cpu/host.ts';
import { kubevirtObsolete, proxmoxModels } from '../src/cpu/products.ts';
import { parseStack } from '../src/cpu/stack.ts';
import { blockersOf } from '../src/cpu/usable.ts';
import { dialectByName } from '../src/dialects/index.ts';
import { readFleet } from '../src/dialects/read.ts';
import type { Fleet } from '../src/fleet/fleet.ts';
import type { Baseline } from '../src/solve/answer.ts';
import { baseline } from '../src/solve/baseline.ts';
import { guestCpu } from '../src/solve/guest-cpu.ts';
import type { BaselineOptions } from '../src/solve/line.ts';
import { fleetOf, type Made } from './support/hosts.ts';
import { KVM, madeFleet } from './support/made.ts';
import { ROOT } from './support/places.ts';
import { assertProperty } from './support/property.ts';

const test = suite('names that guests are given');
const catalog = await loadCatalog();
const OLDEST = 'libvirt@9.0,qemu@7.2';
const NEWEST = 'libvirt@12.8,qemu@10.0';

/** What the newest QEMU has of a model, with KVM's own words, as a host would list it. */
const model = (name: string, less: readonly string[] = [], plus: readonly string[] = []) =>
  [...new Set([...catalog.names(catalog.qemuFeatures(name, '10.0')!), ...KVM, ...plus])].filter(
    (f) => !less.includes(f),
  );
const host = (id: string, features: readonly string[], facts: Made['facts'] = {}): Made => ({
  id,
  features,
  facts,
});
const ask = (hosts: readonly Made[], stack = OLDEST, options: BaselineOptions = {}) =>
  baseline(fleetOf(catalog, hosts), { stack: parseStack(catalog, stack), ...options });
const codes = (b: Baseline) => b.findings.map((f) => f.code);
const said = (b: Baseline, code: string) =>
  b.findings.filter((f) => f.code === code).map((f) => f.message);
const lists = (
  dialect: string,
  models: Record<string, readonly string[] | null>,
): Partial<Description> => ({ dialect, models: new Map(Object.entries(models)) });

interface Asked {
  readonly to: string;
  readonly stack?: string;
  readonly options?: BaselineOptions;
  readonly called?: string;
}

/** What a product is given, and the notes beside it. */
function written(hosts: readonly Made[], { to, stack = OLDEST, options = {}, called }: Asked) {
  const fleet = fleetOf(catalog, hosts);
  const answer = baseline(fleet, { stack: parseStack(catalog, stack), ...options });
  const cpu: GuestCpu = guestCpu(answer, catalog, fleet, { models: options.models, called });
  const dialect = dialectByName(to)!;
  return {
    text: dialect.write!(cpu, catalog),
    notes: dialect.notes?.(cpu, catalog) ?? [],
  };
}

const TSX = ['hle', 'rtm'];
const NO_TSX: readonly (readonly [qemu: string, libvirt: string])[] = [
  ['Skylake-Server-v3', 'Skylake-Server-noTSX-IBRS'],
  ['Skylake-Client-v3', 'Skylake-Client-noTSX-IBRS'],
  ['Cascadelake-Server-v3', 'Cascadelake-Server-noTSX'],
  ['Icelake-Server-v2', 'Icelake-Server-noTSX'],
  ['Haswell-v4', 'Haswell-noTSX-IBRS'],
];

for (const [versioned, name] of NO_TSX)
  test(`${name} is a name like any other for libvirt`, () => {
    const hosts = [host('a', model(versioned, ['xsaves']))];
    assert.is(ask(hosts).definitions.libvirt?.name, name);
    const chosen = ask(hosts, OLDEST, { models: [name] }).definitions;
    assert.equal([chosen.libvirt?.name, chosen.qemu?.name], [name, versioned]);
  });

test('names that no QEMU has are given to no guest, nor are host, max and base', () => {
  for (const name of ['Icelake-Client-noTSX', 'cpu64-rhel6', 'host', 'max', 'base'])
    assert.equal(
      ask([host('a', model('Icelake-Server-v2'))], NEWEST, { models: [name] }).definitions,
      {},
      name,
    );
});

test('a version is a name for libvirt only where every libvirt of the stack has it', () => {
  const hosts = [host('a', model('EPYC-v4'), { vendor: 'AMD' })];
  assert.is(ask(hosts, NEWEST).definitions.libvirt?.name, 'EPYC-v4');
  assert.not.match(ask(hosts, `libvirt@9.0,${NEWEST}`).definitions.libvirt!.name, /-v\d+$/);
  assert.equal(ask(hosts, OLDEST, { models: ['Nehalem-v1'] }).definitions.libvirt, undefined);
  // Of two names for one model it is the one that more libvirts know.
  const second = ask([host('a', model('EPYC-v2'), { vendor: 'AMD' })], NEWEST, {});
  assert.is(second.definitions.libvirt?.name, 'EPYC-IBPB');
});

test('a libvirt that lists no versions is given none', () => {
  const facts = { vendor: 'AMD', ...lists('libvirt', { EPYC: [], 'EPYC-IBPB': [] }) };
  const { libvirt } = ask([host('a', model('EPYC-v4'), facts)], NEWEST).definitions;
  assert.is(libvirt?.name, 'EPYC-IBPB');
});

test('a stack of one product takes the newest of the other, says so, and loses nothing by it', () => {
  const hosts = [host('a', model('EPYC-Genoa-v1', ['kvm-pv-unhalt']), { vendor: 'AMD' })];
  const both = ask(hosts, NEWEST);
  for (const stack of NEWEST.split(',')) {
    const one = ask(hosts, stack);
    assert.equal(one.definitions, both.definitions, stack);
    assert.equal(one.features, both.features);
    assert.equal(one.stack, [stack]);
    assert.match(said(one, 'stack-taken').join(), /the newest that is known, is taken/);
  }
  assert.not.ok(codes(both).includes('stack-taken'));
});

test('what a product that the stack does not name cannot say is its own to say', () => {
  const hosts = [host('a', [...model('EPYC-Genoa-v1'), 'kvm-pv-unhalt'], { vendor: 'AMD' })];
  const answer = ask(hosts, 'qemu@10.0');
  assert.ok(answer.features.includes('kvm-pv-unhalt'));
  assert.is(answer.definitions.libvirt, undefined);
  assert.match(
    said(answer, 'cannot-express').join(),
    /libvirt@12\.8 has no word for kvm-pv-unhalt, so there is no definition/,
  );
  assert.match(written(hosts, { to: 'libvirt', stack: 'qemu@10.0' }).text, /EPYC-Genoa</);
});

test('more software in a stack adds no feature to the line', () => {
  const all = ['libvirt', 'qemu'].flatMap((product) =>
    catalog.versions[product as 'qemu'].map((v) => `${product}@${v}`),
  );
  let answered = 0;
  assertProperty(
    fc.property(
      fc.constantFrom('Intel', 'AMD').chain((vendor) => madeFleet(catalog, vendor as 'AMD', 3)),
      fc.uniqueArray(fc.constantFrom(...all), { minLength: 1, maxLength: 3 }),
      fc.constantFrom(...all),
      (made, few, more) => {
        const fewer = ask(made, few.join());
        const answer = ask(made, [...few, more].join());
        fc.pre(fewer.features.length > 0);
        answered++;
        assert.equal(
          answer.features.filter((f) => !fewer.features.includes(f)),
          [],
          `${few} and ${more}`,
        );
      },
    ),
    { numRuns: 40 },
  );
  assert.ok(answered > 5, `${answered} answers`);
});

const SKYLAKE = lists('libvirt', {
  'Skylake-Server': TSX,
  'Skylake-Server-noTSX-IBRS': [],
  'Broadwell-noTSX': [],
});

for (const to of ['ovirt', 'kubevirt', 'kubevirt-cr'])
  test(`${to}: a name that every host calls usable as it stands`, () => {
    const hosts = [host('a', model('Skylake-Server-v3', ['xsaves']), SKYLAKE)];
    const { text, notes } = written(hosts, { to });
    assert.match(text, /Skylake-Server-noTSX-IBRS/);
    assert.not.ok(notes.some((n) => n.code === 'not-scheduled'));
    // On another host that very name has a blocker, so the older one is left.
    const other = lists('libvirt', {
      'Skylake-Server-noTSX-IBRS': ['avx512f'],
      'Broadwell-noTSX': [],
    });
    assert.match(
      written([...hosts, host('b', model('Skylake-Server-v3', ['avx512f']), other)], { to }).text,
      /Broadwell-noTSX\b/,
    );
  });

test('where no name is usable everywhere, the best is written and who is left out is named', () => {
  const usable = (name: string) => lists('libvirt', { [name]: [], 'Skylake-Server': TSX });
  const hosts = [
    host('a', model('Skylake-Server-v3'), usable('Broadwell-noTSX')),
    host('b', model('Skylake-Server-v3'), usable('Haswell-noTSX')),
  ];
  const { text, notes } = written(hosts, { to: 'kubevirt' });
  assert.match(text, /model: Skylake-Server\n/);
  assert.match(notes.find((n) => n.code === 'not-scheduled')!.message, /on a, b: .*Skylake-Server/);
});

test('hosts that list no models must offer all that the plain name means', () => {
  const whole = [host('a', model('EPYC-Rome-v1'), { vendor: 'AMD' })];
  assert.match(written(whole, { to: 'ovirt' }).text, /model_EPYC-Rome:/);
  // Without one feature of it the name would be no label there, however it is switched off in the guest.
  const less = [...whole, host('b', model('EPYC-Rome-v1', ['clwb']), { vendor: 'AMD' })];
  assert.is(ask(less).definitions.libvirt!.name, 'EPYC-Rome');
  assert.match(written(less, { to: 'ovirt' }).text, /model_EPYC(?:-IBPB)?:/);
});

test('KubeVirt is given none of its obsolete models, or it is said that they are never scheduled', () => {
  const hosts = [host('a', model('Haswell-v4'))];
  for (const name of ['pentium3', 'kvm64', 'Conroe', 'qemu64']) {
    const { notes } = written(hosts, { to: 'kubevirt', options: { models: [name] } });
    assert.match(notes.map((n) => n.message).join(), /obsolete .* never scheduled on a/, name);
  }
  assert.is(kubevirtObsolete.size, 15);
});

test("a list from KubeVirt's labels says nothing of what it calls obsolete, to others", () => {
  const list = new Map([['Nehalem', []]]);
  assert.is(blockersOf(catalog, 'libvirt', list, 'Conroe'), 'unlisted');
  assert.is(blockersOf(catalog, 'kubevirt', list, 'Conroe'), null);
  assert.is(blockersOf(catalog, 'kubevirt', list, 'Penryn'), 'unlisted');
});

const NODE = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: {
    name: 'n1',
    labels: {
      'kubernetes.io/arch': 'amd64',
      'cpu-vendor.node.kubevirt.io/Intel': 'true',
      'cpu-model.node.kubevirt.io/Nehalem': 'true',
      ...Object.fromEntries(
        model('Nehalem-v1')
          .flatMap((f) => catalog.findQemu(f)?.libvirt?.name ?? [])
          .map((f) => [`cpu-feature.node.kubevirt.io/${f}`, 'true']),
      ),
    },
  },
};

/** plimsoll on files of these texts. */
function run(texts: Record<string, string>, ...args: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'given-'));
  try {
    for (const [name, text] of Object.entries(texts)) writeFileSync(join(folder, name), text);
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(ROOT, 'dist/bin.js'), ...args],
      { cwd: folder, encoding: 'utf8', timeout: 60_000 },
    );
    const out = args.includes('-o') ? join(folder, args[args.indexOf('-o') + 1]!) : null;
    const files = Object.fromEntries(
      out ? readdirSync(out).map((name) => [name, readFileSync(join(out, name), 'utf8')]) : [],
    );
    return { status, stdout, stderr, files };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a guest of KubeVirt with an obsolete model is scheduled nowhere, one of libvirt starts', () => {
  const vm = (name: string) =>
    JSON.stringify({
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachine',
      metadata: { name },
      spec: { template: { spec: { domain: { cpu: { model: name } } } } },
    });
  const node = JSON.stringify(NODE);
  const placed = (guest: string) =>
    JSON.parse(
      run({ 'node.json': node, guest }, 'place', '--guests', 'guest', 'node.json', '--json').stdout,
    ).guests[0];
  assert.is(placed(vm('Nehalem')).runsOn, 1, JSON.stringify(placed(vm('Nehalem'))));
  const obsolete = placed(vm('Conroe'));
  assert.is(obsolete.runsOn, 0);
  assert.match(JSON.stringify(obsolete), /obsolete/);
  const compared = run({ 'node.json': node }, 'place', '--cpu', 'Conroe', 'node.json', '--json');
  assert.is(JSON.parse(compared.stdout).guests[0].runsOn, 1, compared.stdout);
});

test('Proxmox: names that its oldest node takes, an alias where there is one', () => {
  const proxmox = (name: string, stack: string, vendor = 'AMD') =>
    /reported-model (\S+)/.exec(
      written([host('a', model(name), { vendor })], { to: 'proxmox', stack }).text,
    )![1]!;
  assert.is(proxmox('EPYC-v2', NEWEST), 'EPYC-IBPB');
  assert.is(proxmox('Haswell-v4', NEWEST, 'Intel'), 'Haswell-noTSX-IBRS');
  assert.is(proxmox('EPYC-Rome-v4', NEWEST), 'EPYC-Rome-v4');
  // 7.4, with QEMU 7.2, takes no such name.
  for (const [name, vendor] of [
    ['EPYC-Rome-v4', 'AMD'],
    ['EPYC-Milan-v2', 'AMD'],
    ['Cascadelake-Server-v5', 'Intel'],
    ['Cooperlake-v1', 'Intel'],
    ['SapphireRapids-v1', 'Intel'],
  ] as const) {
    const found = proxmox(name, OLDEST, vendor);
    assert.ok(proxmoxModels('7.2').includes(found), `${name}: ${found}`);
    assert.not.match(found, /-v\d+$/);
  }
  for (const name of proxmoxModels()) {
    const alias = [...catalog.qemuModels.values()].find((m) => m.of === name);
    assert.is(alias, undefined, `${name} has the alias ${alias?.name}`);
  }
});

test('Proxmox: what it switches by itself is switched back', () => {
  const amd = { vendor: 'AMD' };
  const opteron = written([host('a', model('Opteron_G5-v1', [], ['rdtscp']), amd)], {
    to: 'proxmox',
    options: { models: ['Opteron_G5'] },
  });
  assert.match(opteron.text, /\+rdtscp/);
  const old = written([host('a', model('kvm64-v1', ['lahf-lm', 'sep']))], {
    to: 'proxmox',
    options: { models: ['kvm64'] },
  });
  assert.match(old.text, /-lahf-lm/);
});

const TWO_VENDORS = ['Intel', 'AMD']
  .map((vendor) =>
    JSON.stringify({
      host: vendor,
      vendor,
      rack: `r 1 ${vendor}`,
      limits: { physBits: 46 },
      features: model(vendor === 'AMD' ? 'EPYC-v2' : 'Haswell-v4'),
    }),
  )
  .join('\n');

for (const to of ['proxmox', 'ovirt'])
  test(`${to}: each definition has a name of its own`, () => {
    const named = (...args: string[]) => {
      const { files, stderr } = run(
        { 'h.ndjson': TWO_VENDORS },
        'baseline',
        'h.ndjson',
        '--to',
        to,
        ...args,
        '-o',
        'out',
      );
      const found = Object.values(files).map(
        (text) => /^cpu-model: (.*)$/m.exec(text)?.[1] ?? text.split(':')[1],
      );
      assert.is(found.length, 2, stderr);
      return found.sort();
    };
    const base = to === 'proxmox' ? 'fleet' : 'Plimsoll line of the fleet';
    assert.equal(named('--by', 'vendor'), [`${base}-AMD`, `${base}-Intel`]);
    assert.equal(named('--by', 'vendor', '--name', 'web'), ['web-AMD', 'web-Intel']);
    const space = to === 'proxmox' ? '-' : ' ';
    assert.equal(named('--by', 'rack', '--name', 'web'), [
      `web-r${space}1${space}AMD`,
      `web-r${space}1${space}Intel`,
    ]);
  });

test('a name that the product refuses, or that nothing would have, is refused', () => {
  const text = { 'h.ndjson': TWO_VENDORS.split('\n')[0]! };
  const one = (...args: string[]) => run(text, 'baseline', 'h.ndjson', ...args);
  assert.match(one('--to', 'proxmox', '--name', 'web').stdout, /^cpu-model: web$/m);
  assert.match(one('--to', 'proxmox', '--name', 'web').stdout, /--cpu custom-web$/m);
  for (const args of [
    ['--to', 'proxmox', '--name', '1 web'],
    ['--to', 'ovirt', '--name', 'a:b'],
    ['--to', 'qemu', '--name', 'web'],
    ['--name', 'web'],
  ]) {
    const { status, stderr } = one(...args);
    assert.is(status, 2, args.join(' '));
    assert.match(stderr, /--name/);
  }
});

test('libvirt: what its own idea of a model has and the line lacks is off', () => {
  const off = (name: string, vendor: string, stack: string) =>
    ask([host('a', model(name, ['monitor']), { vendor })], stack).definitions.libvirt!.disable;
  const old = { models: ['core2duo'] };
  const { libvirt } = ask([host('a', model('Haswell-v4'))], OLDEST, old).definitions;
  assert.ok(libvirt!.disable.includes('monitor'));
  for (const stack of [OLDEST, NEWEST, `${OLDEST},${NEWEST}`]) {
    for (const word of ['svm', 'npt', 'nrip-save'])
      assert.ok(off('EPYC-Rome-v1', 'AMD', stack).includes(word), `${stack} ${word}`);
    const skylake = off('Skylake-Server-v3', 'Intel', stack);
    assert.equal(
      skylake.filter((f) => f.startsWith('vmx-')),
      [],
    );
    if (stack !== NEWEST) assert.ok(skylake.includes('mpx'), stack);
  }
});

test('libvirt: what a view of the processor concludes is not enforced, and that is said', () => {
  const of = (view: Description['view']) => ask([host('a', model('Haswell-v4'), { view })]);
  assert.ok(codes(of('hardware')).includes('not-enforced'));
  assert.not.ok(codes(of('hypervisor')).includes('not-enforced'));
  const { text, notes } = written([host('a', model('Haswell-v4'), { view: 'hardware' })], {
    to: 'libvirt',
  });
  assert.match(text, /check='partial'/);
  assert.ok(notes.some((n) => n.code === 'not-enforced'));
});

test('address bits as each stack takes them', () => {
  const bits = (to: string, stack: string, machine: string | null, physBits = 46) =>
    written([host('a', model('Haswell-v4'), { machine, limits: { physBits } })], { to, stack });
  assert.match(bits('qemu', OLDEST, null).text, /phys-bits=40,host-phys-bits=off/);
  const emulate = /<maxphysaddr mode='emulate' bits='40'\/>/;
  assert.match(bits('libvirt', OLDEST, 'pc-q35-7.2').text, emulate);
  assert.match(bits('libvirt', NEWEST, 'pc-q35-9.2').text, emulate);
  const limit = /<maxphysaddr mode='passthrough' limit='39'\/>/;
  for (const machine of ['pc-q35-rhel9.6.0', 'pc-i440fx-rhel7.6.0', 'pc-q35-noble-hpb'])
    assert.match(bits('libvirt', NEWEST, machine, 39).text, limit);
  const old = bits('libvirt', OLDEST, 'pc-q35-rhel9.6.0');
  assert.match(old.text, emulate);
  assert.match(old.notes.map((n) => n.message).join(), /libvirt 9\.0 cannot limit them/);
  const short = written([host('a', model('pentium3-v1'), { arch: 'i686' })], { to: 'libvirt' });
  assert.not.match(short.text, /maxphysaddr/);
});

test('40 address bits are said to refuse large guests', () => {
  const of = (physBits: number, options: BaselineOptions = {}) =>
    said(
      ask([host('a', model('Haswell-v4'), { limits: { physBits } })], OLDEST, options),
      'phys-bits-default',
    ).join();
  assert.match(of(46), /1 TiB .* --phys-bits fleet/);
  assert.is(of(46, { physBits: 'fleet' }), '');
  assert.is(of(40), '');
});

test('a processor by its name has the address bits of its generation, or none that stand in the way', () => {
  const record = (physBits: number) =>
    JSON.stringify({
      host: 'a',
      vendor: 'AMD',
      limits: { physBits },
      features: model('EPYC-Rome-v1'),
    });
  const limits = (name: string, bits: number, ...more: string[]) =>
    JSON.parse(
      run({ 'a.ndjson': record(bits) }, 'baseline', 'a.ndjson', '--with', name, '--json', ...more)
        .stdout,
    ) as Baseline;
  assert.is(limits('EPYC-Genoa', 52).limits.fleetPhysBits, 52);
  assert.is(limits('EPYC-Milan', 52).limits.fleetPhysBits, 48);
  // QEMU has it, and nobody says what such processors have.
  const open = limits('Opteron_G1', 46);
  assert.equal(open.limits, { physBits: 40, fleetPhysBits: 46 });
  assert.match(said(open, 'phys-bits-of-name').join(), /Opteron_G1: taken by its name/);
});

for (const vendor of ['AMD', 'Hygon'])
  test(`${vendor}: arch-capabilities and its register stay out, with a word`, () => {
    const more = ['arch-capabilities', 'rdctl-no', 'mds-no', 'fb-clear', 'rsba', 'pdcm'];
    const b = ask([host('a', [...model('EPYC-v2'), ...more], { vendor })], NEWEST);
    assert.equal(
      b.features.filter((f) => more.includes(f)),
      [],
    );
    assert.match(said(b, 'withdrawn').join(), /arch-capabilities.*vendor/);
  });

test('pdcm stays out on every vendor', () => {
  const b = ask(
    [host('a', [...model('Haswell-v4'), 'pdcm', 'arch-capabilities', 'rdctl-no'])],
    NEWEST,
  );
  assert.ok(b.features.includes('rdctl-no'));
  assert.not.ok(b.features.includes('pdcm'));
  assert.match(said(b, 'withdrawn').join(), /pdcm left out/);
});

test('what one host alone has and guests should see is written off, or said', () => {
  const hosts = [
    host('a', model('Icelake-Server-v1', [], ['md-clear', 'rfds-clear', 'rrsba', 'no-lmsle'])),
    host('b', model('Icelake-Server-v1', [], ['verw-clear'])),
  ];
  const b = ask(hosts);
  const any = ['md-clear', 'rfds-clear', 'rrsba', 'no-lmsle', 'verw-clear'];
  assert.equal(
    b.features.filter((f) => any.includes(f)),
    [],
  );
  assert.match(said(b, 'wanted').join('\n'), /^b: no md-clear/m);
  const mute = said(b, 'cannot-express').join('\n');
  for (const name of ['rfds-clear', 'rrsba', 'no-lmsle', 'verw-clear'])
    assert.match(mute, new RegExp(`(?:a|b): ${name}, which .* no word`), name);
  // Where every host has it and the stack a word, guests get it.
  const all = ask([host('a', model('Icelake-Server-v1', [], ['md-clear']))]);
  assert.ok(all.features.includes('md-clear'));
});

/** The catalog with further features of a model in QEMU. */
function catalogWith(name: string, plus: readonly string[]): Catalog {
  const qemu = JSON.parse(data.qemu);
  const record = qemu.models.find((m: { name: string }) => m.name === name);
  record.plus = [...(record.plus ?? []), ...plus];
  return new Catalog(
    JSON.parse(data.features),
    JSON.parse(data.libvirt),
    qemu,
    () => JSON.parse(data.machines),
    () => JSON.parse(data.kvm),
  );
}

test('what a model has of md-clear and of x87 behaviour is off where the line has none', () => {
  const made = catalogWith('EPYC-Genoa-v1', ['zero-fcs-fds', 'md-clear']);
  const fleet = fleetOf(made, [host('a', model('EPYC-Genoa-v1'), { vendor: 'AMD' })]);
  const { definitions, features } = baseline(fleet, { stack: parseStack(made, NEWEST) });
  assert.is(definitions.qemu?.name, 'EPYC-Genoa-v1');
  for (const name of ['zero-fcs-fds', 'md-clear']) {
    assert.ok(definitions.qemu!.disable.includes(name), name);
    assert.not.ok(features.includes(name), name);
  }
});

test('models says what becomes of a name that libvirt never gives a guest by itself', () => {
  const shown = (name: string) => run({}, 'models', name).stdout.replace(/\s+/g, ' ');
  assert.match(shown('Cascadelake-Server-noTSX'), /takes it from a guest/);
  assert.not.match(shown('Cascadelake-Server-noTSX'), /only for reading/);
  assert.match(shown('Icelake-Client-noTSX'), /no QEMU of the catalog has it/);
});

test('the same hosts read from labels and from a file of records have one line', async () => {
  const fleet: Fleet = await readFleet(
    catalog,
    [{ name: 'node.json', bytes: new TextEncoder().encode(JSON.stringify(NODE)) }],
    {},
  );
  const answer = baseline(fleet, { stack: parseStack(catalog, OLDEST) });
  assert.is(answer.definitions.libvirt?.name, 'Nehalem');
  const text = dialectByName('kubevirt')!.write!(guestCpu(answer, catalog, fleet), catalog);
  assert.match(text, /model: Nehalem\n/);
});

test.run();
