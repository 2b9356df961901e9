// The command under libvirt's rules, run in this process: what it prints and how it exits, and the fleets on which
// libvirt is known to be wrong, with the answer that is right.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { feed as ask } from './support/command.ts';
import { SHARED, sayMissing } from './support/places.ts';

const folder = mkdtempSync(join(tmpdir(), 'plimsoll-libvirt-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const run = (...argv: string[]) => feed('', ...argv);

async function feed(stdin: string, ...argv: string[]) {
  const { status, stdout, stderr } = await ask(stdin, ...argv);
  const near = (text: string) => text.replaceAll(`${folder}/`, '');
  return { status, stdout: near(stdout), stderr: near(stderr) };
}
const json = async (...argv: string[]) => JSON.parse((await run(...argv, '--json')).stdout);

const host = (model: string, vendor: string, ...features: string[]) =>
  `<cpu><arch>x86_64</arch><model>${model}</model>${vendor && `<vendor>${vendor}</vendor>`}${features.map((f) => `<feature name='${f}'/>`).join('')}</cpu>\n`;
const penryn = file('penryn.xml', host('Penryn', 'Intel', 'dca', 'vmx'));
const rack = file('rack.xml', host('Penryn', 'Intel', 'dca') + host('Nehalem', 'Intel', 'dca'));

test('prints the element that virsh prints', async () => {
  assert.equal(await run('baseline', '--rules', 'libvirt', '--to', 'libvirt', rack), {
    status: 0,
    stdout:
      "<cpu mode='custom' match='exact'>\n  <model fallback='allow'>Penryn</model>\n  <vendor>Intel</vendor>\n  <feature policy='require' name='dca'/>\n</cpu>\n",
    stderr: '',
  });
});

test("gives the same as data, with QEMU's names", async () => {
  const answer = await json(
    'baseline',
    '--rules',
    'libvirt',
    file('r.xml', host('Penryn', 'Intel', 'ds_cpl')),
  );
  assert.equal(
    [answer.schema, answer.rules, answer.stack, answer.definitions.libvirt, answer.fallback],
    [
      'plimsoll.baseline/1',
      'libvirt',
      ['libvirt@11.3'],
      { name: 'Penryn', require: ['ds-cpl'], disable: [] },
      'forbid',
    ],
  );
});

test('names the host, the file and the line of what libvirt refuses', async () => {
  const path = file(
    'newer.xml',
    `${host('Penryn', 'Intel')}<cpu>\n${host('Warp-v1', 'Intel').slice(5)}`,
  );
  assert.equal(await run('baseline', '--rules', 'libvirt', path), {
    status: 2,
    stdout: '',
    stderr:
      'error: newer#2 (newer.xml:2): libvirt@11.3 knows no CPU model "Warp-v1"; choose a libvirt that does with --stack\n',
  });
});

test('names every model and feature that this libvirt does not know, each once', async () => {
  const path = file(
    'newest.xml',
    host('Warp-v1', 'Intel', 'tachyons') +
      host('Penryn', 'Intel', 'tachyons') +
      host('Warp-v1', 'Intel'),
  );
  assert.equal((await run('baseline', '--rules', 'libvirt', path)).stderr.split('\n'), [
    'error: newest (newest.xml:1) and 1 more: libvirt@11.3 knows no CPU model "Warp-v1"; choose a libvirt that does with --stack',
    'error: newest (newest.xml:1) and 1 more: libvirt@11.3 knows no CPU feature "tachyons"; choose a libvirt that does with --stack',
    '',
  ]);
});

test('says what a QEMU host leaves out of the same answer', async () => {
  const [found, ...more] = (
    await json(
      'baseline',
      '--rules',
      'libvirt',
      file('driver.xml', host('Penryn', 'Intel', 'osxsave', 'dca')),
    )
  ).findings;
  assert.equal([found.code, more], ['driver-drops', []]);
  assert.match(found.message, /^virsh -c qemu:\/\/\/system leaves osxsave out of this answer/);
});

test('equal hosts of a long file are read once and counted each, whichever is wrong named by its line', async () => {
  const many = host('Penryn', 'Intel', 'dca').repeat(300);
  const answer = await json('baseline', '--rules', 'libvirt', file('many.xml', many));
  assert.equal([answer.hosts, answer.definitions.libvirt.name], [300, 'Penryn']);
  const wrong = file('wrong.xml', many + host('Opteron_G3', 'AMD'));
  assert.equal(
    (await run('baseline', '--rules', 'libvirt', wrong)).stderr,
    "error: wrong#301 (wrong.xml:301): its CPU is one of AMD's, that of wrong (wrong.xml:1) one of Intel's; a guest cannot have both\n",
  );
});

test('only the first CPU is taken at its word about its vendor, however often it comes again', async () => {
  // Found by the random fleets of the oracle: libvirt asks the models of all but the first.
  const amd = host('EPYC-Milan', '');
  const intel = host('Broadwell', 'Intel');
  const verdict = async (text: string) => {
    const { status, stderr } = await run('baseline', '--rules', 'libvirt', file('v.xml', text));
    return [status, /its CPU is one of Intel's, that of (\S+) .* one of AMD's/.exec(stderr)?.[1]];
  };
  assert.equal(await verdict(amd + intel), [0, undefined]);
  assert.equal(await verdict(amd + amd + intel), [2, 'v#2']);
  // Long enough for equal elements to be read once.
  assert.equal(await verdict(amd.repeat(400) + intel), [2, 'v#2']);
});

test('a domain goes by its own name', async () => {
  const domain = (name: string, model: string) =>
    `<domain><name>${name}</name><os><type>hvm</type></os><cpu><model>${model}</model></cpu></domain>\n`;
  const path = file('domains.xml', domain('web', 'Penryn') + domain('db', 'Nehalem'));
  const { cpus } = await json('compare', '--rules', 'libvirt', penryn, path);
  assert.equal(
    cpus.map((c: { cpu: string; verdict: string }) => [c.cpu, c.verdict]),
    [
      ['web', 'superset'],
      ['db', 'incompatible'],
    ],
  );
});

test('takes domain XML, domain capabilities and guests, where virsh takes hosts alone', async () => {
  const domain =
    "<domain type='kvm'><name>web</name><os><type>hvm</type></os><cpu mode='custom'><model>Nehalem</model></cpu></domain>";
  const capabilities =
    "<domainCapabilities><arch>x86_64</arch><cpu><mode name='host-model' supported='yes'><model fallback='forbid'>Westmere</model><vendor>Intel</vendor></mode></cpu></domainCapabilities>";
  const answer = await json(
    'baseline',
    '--rules',
    'libvirt',
    penryn,
    file('web.xml', domain),
    file('dc.xml', capabilities),
  );
  assert.equal([answer.hosts, answer.definitions.libvirt.name], [3, 'Penryn']);
});

test('compares every CPU of a file, and gives the reason', async () => {
  const cpus = file(
    'cpus.xml',
    "<cpu><model>Penryn</model></cpu><cpu><model>Nehalem</model></cpu><cpu match='strict'><model>Penryn</model><feature name='dca' policy='forbid'/></cpu>",
  );
  const { status } = await run('compare', '--rules', 'libvirt', penryn, cpus);
  const answer = await json('compare', '--rules', 'libvirt', penryn, cpus);
  assert.is(status, 1);
  assert.equal(
    answer.cpus.map((c: { verdict: string; missing: string[]; reasons: string[] }) => [
      c.verdict,
      c.missing,
      c.reasons,
    ]),
    [
      ['superset', [], []],
      [
        'incompatible',
        ['popcnt', 'sse4.2'],
        ['the host lacks features that the CPU requires: sse4.2, popcnt'],
      ],
      ['incompatible', [], ['the host has features that the CPU forbids: dca']],
    ],
  );
  const unknown = await run(
    'compare',
    '--rules',
    'libvirt',
    penryn,
    file('u.xml', '<cpu><model>Warp</model></cpu>'),
  );
  assert.equal([unknown.status, unknown.stdout], [2, '']);
});

test('resolves a definition, and refuses one that the host cannot run once it knows the models', async () => {
  const guest = file(
    'guest.xml',
    "<cpu mode='host-model'><feature name='vmx' policy='disable'/></cpu>",
  );
  assert.equal(await run('resolve', '--rules', 'libvirt', penryn, guest), {
    status: 0,
    stdout:
      "<cpu mode='custom' match='exact'>\n  <model fallback='allow'>Penryn</model>\n  <vendor>Intel</vendor>\n  <feature policy='require' name='dca'/>\n  <feature policy='disable' name='vmx'/>\n</cpu>\n",
    stderr: '',
  });
  const wide = file('wide.xml', '<cpu><model>Nehalem</model></cpu>');
  const refused = await run('resolve', penryn, wide, '--models', 'Nehalem');
  assert.equal([refused.status, refused.stdout], [1, '']);
  assert.match(
    refused.stderr,
    /^no: wide \(wide\.xml:1\) cannot run on penryn .*lacks features that the CPU requires: sse4\.2, popcnt\n$/,
  );
});

/** What QEMU answers when it is asked for the words of a guest. */
const words = (...list: [leaf: number, register: string, value: number][]) =>
  JSON.stringify({
    return: list.map(([leaf, register, features]) => ({
      'cpuid-register': register,
      'cpuid-input-eax': leaf,
      features,
    })),
  });

test('writes down what a guest that runs has, from the words of QEMU or from a dump', async () => {
  const guest = file('guest.xml', "<cpu><model>486</model><feature name='vmx'/></cpu>");
  // fpu, vme and pse are what a 486 has; QEMU withheld vmx and gave de as well.
  const enabled = file('enabled.json', words([1, 'EDX', 0b1111]));
  const disabled = file('disabled.json', words([1, 'ECX', 1 << 5]));
  const names = file('names.json', '{"return": ["vmx"], "id": "libvirt-9"}');
  const started = await run('resolve', penryn, guest, '--enabled', enabled, '--disabled', disabled);
  assert.equal(started, {
    status: 0,
    stdout:
      "<cpu mode='custom' match='exact' check='full'>\n  <model fallback='allow'>486</model>\n  <feature policy='disable' name='vmx'/>\n  <feature policy='require' name='de'/>\n</cpu>\n",
    stderr: '',
  });
  assert.equal(
    await run('resolve', penryn, guest, '--enabled', enabled, '--disabled', names),
    started,
  );
  const dump = file(
    'dump.xml',
    "<cpudata arch='x86'><cpuid eax_in='0x1' ecx_in='0x0' eax='0x0' ebx='0x0' ecx='0x0' edx='0xf'/></cpudata>",
  );
  assert.equal(await run('resolve', penryn, guest, '--enabled', dump), started);
});

test('a full check names what differs, and words that are none are refused with their line', async () => {
  const guest = file('full.xml', "<cpu check='full'><model>486</model></cpu>");
  const refused = async (text: string, ...argv: string[]) => {
    const { status, stdout, stderr } = await run(
      'resolve',
      penryn,
      guest,
      ...['--enabled', file('enabled.json', text)],
      ...argv,
    );
    assert.equal([status, stdout], [2, '']);
    return stderr;
  };
  assert.is(
    await refused(words([1, 'EDX', 0b1111])),
    "error: full (full.xml:1): the guest's CPU is not what check='full' asks for; more than it: de\n",
  );
  assert.match(
    await refused('\n{"return": [{"cpuid-register": "EFX", "cpuid-input-eax": 1, "features": 3}]}'),
    /^error: enabled\.json:2: "\{.*EFX.*" is no feature word/,
  );
  assert.match(
    await refused(`${words([1, 'EDX', 1])}${words([1, 'EDX', 1])}`),
    /enabled\.json describes 2 CPUs; the guest is one/,
  );
  const twice = file('twice.xml', '<cpu><model>486</model></cpu><cpu><model>486</model></cpu>');
  for (const [argv, message] of [
    [[guest, '--disabled', 'x.json'], /--disabled says what was withheld from a guest; --enabled/],
    [[twice, '--enabled', file('e.json', words([1, 'EDX', 3]))], /--enabled is of one guest, and/],
  ] as const) {
    const { status, stderr } = await run('resolve', '--rules', 'libvirt', penryn, ...argv);
    assert.is(status, 2);
    assert.match(stderr, message);
  }
});

test('decodes a POWER host by its version register', async () => {
  const processor = (number: number, pvr: string) =>
    `processor\t: ${number}\ncpu\t\t: POWER9, altivec supported\nclock\t\t: 2300.000000MHz\nrevision\t: 2.2 (pvr ${pvr})\n\n`;
  const power = file(
    'power',
    `${processor(0, '004e 1202')}${processor(4, '004e 1202')}timebase\t: 512000000\nplatform\t: PowerNV\n`,
  );
  assert.equal(await run('decode', '--as', 'host', '--to', 'libvirt', power), {
    status: 0,
    stdout:
      '<cpu>\n  <arch>ppc64</arch>\n  <model>POWER9</model>\n  <vendor>IBM</vendor>\n</cpu>\n',
    stderr: '',
  });
  const [own] = (await json('decode', '--as', 'guest', power)).hosts;
  assert.equal(
    [own.arch, own.definitions.libvirt.name, own.fallback, own.signature, own.candidates],
    ['ppc64', 'POWER9', 'forbid', null, []],
  );
  const older = file('older', processor(0, '004d 0200').replace('POWER9', 'POWER8'));
  const compared = await json('compare', older, power);
  assert.equal(
    [compared.verdict, compared.cpus[0].reasons],
    ['incompatible', ['the host lacks power9']],
  );
  assert.is((await json('compare', power, power)).verdict, 'identical');
  const offered = await run('decode', '--as', 'guest', power, '--models', 'POWER8');
  assert.equal(
    [offered.status, offered.stderr],
    [2, 'error: power (power:1): the hypervisor does not offer CPU model "POWER9"\n'],
  );
  const mixed = file('mixed', processor(0, '004e 1202') + processor(1, '004b 0201'));
  assert.match((await run('decode', mixed)).stderr, /^error: mixed:6: processor 1 has another/);
  const strange = file('strange', processor(0, '0001 0001'));
  assert.match(
    (await run('decode', '--as', 'host', strange)).stderr,
    /knows no POWER processor with PVR 0x00010001\n$/,
  );
});

test('what only the host of a guest settles is not decoded, and a host is no guest', async () => {
  const open = file('open.xml', "<cpu mode='host-passthrough'/>");
  assert.equal(
    [
      await run('decode', '--as', 'guest', open),
      await run('decode', '--to', 'qemu', open),
      await run('resolve', '--rules', 'libvirt', penryn, penryn),
    ],
    [
      'open (open.xml:1): its CPU names no model, so what it has is known only once the guest runs',
      'open has no definition that could be written: its CPU is host-passthrough: it takes that of the host on which it starts, and moves to equals alone; what QEMU answers to query-cpu-model-expansion there, or the live domain XML, shows what it got',
      'penryn (penryn.xml:1) is the CPU of a host; give the definition of a guest',
    ].map((sentence) => ({ status: 2, stdout: '', stderr: `error: ${sentence}\n` })),
  );
  const [guest] = (await json('decode', open)).hosts;
  assert.equal([guest.definitions, guest.candidates, guest.features], [{}, [], []]);
});

test('what could not be read is named, in every answer that goes on without it', async () => {
  const bad = file('bad.txt', 'hello\n');
  const guest = file('tiny.xml', '<cpu><model>486</model></cpu>');
  const both = join(folder, 'both');
  mkdirSync(both);
  for (const path of [bad, guest]) renameSync(path, join(both, basename(path)));
  const host = file('h.xml', '<cpu><arch>x86_64</arch><model>Haswell</model></cpu>');
  for (const argv of [
    ['compare', host, both],
    ['compare', '--rules', 'libvirt', host, both],
    ['resolve', host, both],
    ['resolve', '--rules', 'libvirt', host, both],
    ['decode', both],
    ['decode', '--as', 'guest', both],
  ]) {
    const answer = await json(...argv, '--skip-unreadable');
    assert.equal(
      answer.skipped?.map((s: { input: string }) => basename(s.input)),
      ['bad.txt'],
      argv.join(' '),
    );
    const { status, stdout, stderr } = await run(...argv, '--skip-unreadable');
    assert.is.not(status, 2);
    assert.match(`${stdout}${stderr}`, /both\/bad\.txt is in no\s+dialect/);
  }
});

test('decodes a definition as a host and as a guest', async () => {
  const [as] = (await json('decode', '--as', 'guest', penryn)).hosts;
  assert.equal(
    [as.as, as.definitions.libvirt.name, as.canonical, as.candidates[0].name],
    ['guest', 'Penryn', 'Penryn-v1', 'Penryn'],
  );
  const [own] = (await json('decode', '--as', 'host', penryn)).hosts;
  assert.equal([own.as, own.definitions.libvirt.name], ['host', 'Penryn-v1']);
});

test('what belongs to one set of rules is refused under the other', async () => {
  for (const [argv, message] of [
    [['baseline', '--migratable', rack], /--migratable means something only under --rules libvirt/],
    [
      ['baseline', '--hypervisor', 'x', rack],
      /--hypervisor means something only under --rules libvirt/,
    ],
    [['baseline', '--rules', 'libvirt', '--nested', rack], /--nested is of the safe rules/],
    [
      ['baseline', '--rules', 'libvirt', '--to', 'qemu', rack],
      /--to qemu is no answer of libvirt's rules/,
    ],
    [['baseline', '--rules', 'libvirt', '--stack', 'qemu@10.0', rack], /names no libvirt/],
    [
      ['baseline', '--rules', 'libvirt', '--models', 'Warp', rack],
      /--models "Warp" is no model of libvirt@11\.3/,
    ],
    [['learn'], /nothing to learn from/],
    [['learn', '--libvirt', folder], /is no cpu_map folder, such as .*: cannot read .*index\.xml/],
  ] as const) {
    const { status, stdout, stderr } = await run(...argv);
    assert.equal([status, stdout], [2, ''], argv.join(' '));
    assert.match(stderr, message);
  }
});

test('explains where the two decide differently', async () => {
  const answer = await json(
    'baseline',
    '--explain-rules',
    file('hw.xml', host('Haswell', 'Intel', 'vmx', 'dtes64', 'invtsc')),
  );
  const rules = new Map(
    answer.steps.map((s: { rule: string; features: string[] }) => [s.rule, s.features]),
  );
  assert.ok((rules.get('nested') as string[]).includes('vmx'));
  assert.equal(rules.get('migration'), ['invtsc']);
  assert.ok((rules.get('accelerator') as string[]).includes('kvmclock'));
});

test('explains a model that the stack of the safe rules does not know', async () => {
  const genoa = file('genoa.xml', host('EPYC-Genoa', 'AMD'));
  const model = async (...stack: string[]) =>
    (await json('baseline', '--explain-rules', ...stack, genoa)).steps.find(
      (step: { rule: string }) => step.rule === 'model',
    )?.libvirt;
  assert.is(await model(), 'EPYC-Genoa, which it knows itself; libvirt@9.0 does not');
  assert.is(await model('--stack', 'newest', '--kernel', '6.12.118'), undefined);
});

test('what is left out, and all that libvirt refuses, stands in the explanation', async () => {
  const odd = file('odd.xml', host('Warp-v1', 'Intel', 'tachyons'));
  const cut = file('cut.xml', '<cpu>\n<model>Haswell</cpu>');
  const answer = await json('baseline', '--explain-rules', penryn, odd, cut, '--skip-unreadable');
  assert.match(answer.libvirt.refused, /model "Warp-v1"; choose .*; odd .* feature "tachyons"/);
  assert.equal(
    answer.skipped.map((s: { line: number }) => s.line),
    [2],
  );
  const { stdout } = await run('baseline', '--explain-rules', penryn, cut, '--skip-unreadable');
  assert.match(stdout, /1 input could not be read and took no part:\n {4}cut\.xml:2: /);
  const under = await json('baseline', '--rules', 'libvirt', penryn, cut, '--skip-unreadable');
  assert.equal(
    under.skipped.map((s: { line: number }) => s.line),
    [2],
  );
});

test('explains what comes through standard input, and what --with names', async () => {
  const own = host('Haswell', 'Intel', 'invtsc');
  const piped = await feed(own, 'baseline', '--explain-rules', '-', '--with', 'Penryn', '--json');
  assert.is(piped.stderr, '');
  const answer = JSON.parse(piped.stdout);
  assert.equal([answer.schema, answer.libvirt.refused], ['plimsoll.explain-rules/1', null]);
  const filed = await json(
    'baseline',
    '--explain-rules',
    file('stdin.xml', own),
    '--with',
    'Penryn',
  );
  assert.equal(answer, filed);
});

// The fleets on which libvirt is known to be wrong.
const record = (id: string, vendor: string, features: readonly string[], physBits?: number) =>
  JSON.stringify({ host: id, vendor, features, ...(physBits ? { limits: { physBits } } : {}) });
const featuresOf = async (model: string) =>
  (await json('baseline', '--rules', 'libvirt', file('m.xml', host(model, ''))))
    .features as string[];

test('a vendorless AMD host beside Intel ones gives no CPU, in whatever order: a guest cannot move between vendors', async () => {
  const amd = file('1-amd.xml', host('Opteron_G3', ''));
  for (const intel of [
    file('0-intel.xml', host('Penryn', 'Intel')),
    file('2-intel.xml', host('Penryn', 'Intel')),
  ]) {
    const answer = await json('baseline', amd, intel);
    assert.equal(
      [answer.definitions, answer.sides.map((s: { value: string }) => s.value)],
      [{}, ['AMD', 'Intel']],
    );
  }
});

test('address bits unknown on one host give none to the guest, and a finding: libvirt ignores them', async () => {
  const features = await featuresOf('Haswell');
  const answer = await json(
    'baseline',
    file(
      'bits.ndjson',
      `${record('a', 'Intel', features, 39)}\n${record('b', 'Intel', features)}\n`,
    ),
  );
  assert.equal(answer.limits, { physBits: null, fleetPhysBits: null });
  assert.ok(
    answer.findings.some(
      (f: { code: string; hosts: string[] }) => /phys-bits/.test(f.code) && f.hosts.includes('b'),
    ),
  );
});

test('what only the processor of a host has is asked of no guest: it could not start', async () => {
  const answer = await json(
    'baseline',
    file('real.xml', host('Haswell', 'Intel', 'dtes64', 'est', 'tm2', 'monitor', 'osxsave', 'ht')),
  );
  for (const name of ['dtes64', 'est', 'tm2', 'monitor', 'osxsave', 'ht'])
    assert.not(answer.features.includes(name), name);
  const theirs = await json(
    'baseline',
    '--rules',
    'libvirt',
    file('real.xml', host('Haswell', 'Intel', 'dtes64', 'est', 'tm2', 'monitor', 'osxsave', 'ht')),
  );
  assert.ok(theirs.features.includes('dtes64'));
});

const cases = SHARED && join(SHARED, 'cases/libvirt.json');
if (cases && existsSync(cases)) {
  const inputsOf = (id: string): string[] => {
    const found = JSON.parse(readFileSync(cases, 'utf8')).cases.find(
      (c: { id: string }) => c.id === id,
    );
    return found.inputs.map(({ text }: { text: string }, i: number) => file(`in${i}.xml`, text));
  };
  test('two EPYC of two generations are an EPYC and a few features, not an Opteron and forty', async () => {
    const { definitions } = await json('baseline', ...inputsOf('cpuid-baseline:EPYC+Rome'));
    assert.match(definitions.libvirt.name, /^EPYC/);
    assert.ok(definitions.libvirt.require.length < 8, definitions.libvirt.require.join(' '));
  });
  test('two Cascade Lakes and older are named without more than switches turned off', async () => {
    const { definitions } = await json(
      'baseline',
      ...inputsOf('cpuid-baseline:Cascadelake+Icelake'),
    );
    assert.match(definitions.libvirt.name, /^Cascadelake-Server/);
  });
} else sayMissing("the fleets of libvirt's suite under the safe rules", 'cases/libvirt.json');

test.run();
