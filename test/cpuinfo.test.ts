// /proc/cpuinfo: what the kernel's names mean, what it cannot tell, and what becomes of many processors and hosts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasBit } from '../src/core/rows.ts';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { QueryError } from '../src/cpu/errors.ts';
import type { Description } from '../src/cpu/host.ts';
import { cpuinfo } from '../src/dialects/cpuinfo.ts';
import { recogniseDialect } from '../src/dialects/index.ts';
import { ROOT } from './support/places.ts';
import { assertProperty } from './support/property.ts';

const test = suite('cpuinfo');
const catalog = await loadCatalog();
const read = (text: string, name = 'cpuinfo') =>
  cpuinfo.read!({ name, bytes: new TextEncoder().encode(text) }, catalog) as Description[];
const one = (text: string): Description => {
  const all = read(text);
  assert.is(all.length, 1);
  return all[0]!;
};
const state = (d: Description, name: string): 'yes' | 'no' | 'unknown' => {
  const { id } = catalog.feature(name);
  if (!hasBit(d.known, id)) return 'unknown';
  return hasBit(d.has, id) ? 'yes' : 'no';
};
const states = (d: Description, names: string): string =>
  names
    .split(' ')
    .map((name) => `${name}=${state(d, name)}`)
    .join(' ');

interface Made {
  readonly number?: number;
  readonly vendor?: string;
  readonly flags: string;
  readonly vmx?: string;
  readonly microcode?: string;
  readonly bits?: number;
}
const block = ({
  number = 0,
  vendor = 'GenuineIntel',
  flags,
  vmx,
  microcode = '0x5003604',
  bits = 46,
}: Made): string =>
  `processor\t: ${number}\nvendor_id\t: ${vendor}\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: A Xeon\nstepping\t: 7\nmicrocode\t: ${microcode}\nflags\t\t: ${flags}\n${vmx === undefined ? '' : `vmx flags\t: ${vmx}\n`}bugs\t\t: mds\naddress sizes\t: ${bits} bits physical, 48 bits virtual\npower management:\n\n`;

test('reads what the kernel says of a processor', () => {
  const d = one(
    block({
      flags:
        'fpu sse4_1 pni pclmulqdq avx512_vnni dts lahf_lm tsc_deadline_timer sha_ni rep_good nopl pti',
    }),
  );
  assert.is(d.view, 'kernel');
  assert.equal(
    [d.vendor, d.host, d.arch, d.microcode, d.limits.physBits],
    ['Intel', null, 'x86_64', '0x5003604', 46],
  );
  assert.equal(d.signature, { family: 6, model: 85, stepping: 7 });
  assert.equal(catalog.names(d.has), [
    'avx512vnni',
    'ds',
    'fpu',
    'lahf-lm',
    'pclmulqdq',
    'pni',
    'sha-ni',
    'sse4.1',
    'tsc-deadline',
  ]);
  assert.equal(d.unnamed, []);
  assert.equal(d.notes, []);
});

test('a flag that is missing is absent where the kernel would print it, unknown where it does not', () => {
  const d = one(block({ flags: 'fpu arch_capabilities' }));
  assert.is(
    states(d, 'avx2 mds-no fb-clear avx-ifma kvm-pv-eoi vmx-ept'),
    'avx2=no mds-no=unknown fb-clear=unknown avx-ifma=unknown kvm-pv-eoi=unknown vmx-ept=unknown',
  );
  assert.is(
    states(one(block({ flags: 'fpu avx_ifma' })), 'avx-ifma mds-no'),
    'avx-ifma=yes mds-no=no',
  );
});

test('one spelling means another bit on another vendor', () => {
  const flags = 'ibrs ibpb stibp ssbd';
  const names = 'spec-ctrl stibp ssbd ibrs ibpb amd-stibp amd-ssbd virt-ssbd';
  assert.is(
    states(one(block({ flags })), names),
    'spec-ctrl=yes stibp=yes ssbd=yes ibrs=unknown ibpb=unknown amd-stibp=unknown amd-ssbd=unknown virt-ssbd=unknown',
  );
  assert.is(
    states(one(block({ vendor: 'AuthenticAMD', flags })), names),
    'spec-ctrl=unknown stibp=unknown ssbd=unknown ibrs=yes ibpb=yes amd-stibp=yes amd-ssbd=unknown virt-ssbd=unknown',
  );
  assert.is(
    states(one(block({ vendor: 'HygonGenuine', flags: 'fpu' })), 'ibrs amd-ssbd virt-ssbd'),
    'ibrs=no amd-ssbd=no virt-ssbd=no',
  );
});

test('spec-ctrl on Intel is ibrs and ibpb together, or the name that old kernels print', () => {
  const specCtrl = (flags: string) => state(one(block({ flags: `fpu ${flags}` })), 'spec-ctrl');
  assert.equal(['ibrs ibpb', 'spec_ctrl', 'ibpb', ''].map(specCtrl), [
    'yes',
    'yes',
    'unknown',
    'no',
  ]);
  assert.equal(one(block({ flags: 'fpu spec_ctrl intel_stibp' })).unnamed, []);
});

test('invtsc is constant_tsc and nonstop_tsc together', () => {
  const invtsc = (flags: string) => state(one(block({ flags: `fpu ${flags}` })), 'invtsc');
  assert.equal(['constant_tsc nonstop_tsc', 'constant_tsc', ''].map(invtsc), ['yes', 'no', 'no']);
});

test('the vmx flags line tells of VMX controls, and without it those are unknown that the flags do not name', () => {
  const names = 'vmx-ept vmx-pml vmx-vpid';
  assert.is(
    states(one(block({ flags: 'vmx', vmx: 'ept vpid flexpriority' })), names),
    'vmx-ept=yes vmx-pml=no vmx-vpid=yes',
  );
  assert.is(states(one(block({ flags: 'vmx' })), names), 'vmx-ept=no vmx-pml=unknown vmx-vpid=no');
  assert.equal(one(block({ flags: 'vmx', vmx: 'ept brand_new' })).unnamed, ['vmx-brand_new']);
});

test('a flag that nobody knows keeps its name', () => {
  assert.equal(one(block({ flags: 'fpu hyperdrive' })).unnamed, ['hyperdrive']);
});

test('a host has what all of its processors have, and says where they differ', () => {
  const d = one(
    block({ flags: 'fpu avx avx2 foo' }) +
      block({ number: 1, flags: 'fpu avx bar', microcode: '0x5003605', bits: 39 }),
  );
  assert.equal(catalog.names(d.has), ['avx', 'fpu']);
  assert.is(state(d, 'avx2'), 'no');
  assert.equal([d.unnamed, d.microcode, d.limits.physBits], [[], null, 39]);
  assert.equal(
    d.notes.map((n) => `${n.code}: ${n.message}`),
    [
      'processors-differ: its processors differ: not all have avx2, bar, foo',
      'processors-differ: its processors differ: microcode (0x5003604, 0x5003605)',
      'processors-differ: its processors differ: physical address bits (46, 39)',
    ],
  );
});

test('is the intersection over processors, in any order', () => {
  const flag = fc.constantFrom(
    'fpu',
    'sse',
    'sse2',
    'avx',
    'avx2',
    'aes',
    'rdrand',
    'ht',
    'made_up',
    'another',
  );
  const sets = fc.array(fc.uniqueArray(flag, { minLength: 1 }), { minLength: 1, maxLength: 6 });
  assertProperty(
    fc.property(sets, (processors) => {
      const text = (all: string[][]) =>
        all.map((flags, number) => block({ number, flags: flags.join(' ') })).join('');
      const d = one(text(processors));
      const common = new Set(processors[0]);
      for (const p of processors) for (const f of common) if (!p.includes(f)) common.delete(f);
      assert.equal([...catalog.names(d.has), ...d.unnamed].sort(), [...common].sort());
      const backwards = one(text([...processors].reverse()));
      assert.equal([backwards.has, backwards.known, backwards.notes], [d.has, d.known, d.notes]);
    }),
  );
});

test('a processor number that comes again begins another host', () => {
  const two = read(
    block({ flags: 'fpu' }) +
      block({ number: 1, flags: 'fpu' }) +
      block({ vendor: 'AuthenticAMD', flags: 'fpu avx' }),
  );
  assert.equal(
    two.map((d) => [d.vendor, d.line]),
    [
      ['Intel', 1],
      ['AMD', 25],
    ],
  );
});

test('with a way to skip it, a host that cannot be read does not take the others with it', () => {
  const problems: string[] = [];
  const text =
    block({ flags: 'fpu' }) +
    'processor\t: 0\nvendor_id\t: GenuineIntel\n\n' +
    block({ flags: 'avx' });
  const skip = (problem: QueryError) => problems.push(problem.message);
  const left = cpuinfo.read!(
    { name: 'f', bytes: new TextEncoder().encode(text) },
    catalog,
    skip,
  ) as Description[];
  assert.equal(
    left.map((d) => catalog.names(d.has)),
    [['fpu'], ['avx']],
  );
  assert.equal(problems.length, 1);
  assert.match(problems[0]!, /^f:13: processor 0 has no flags line/);
});

test('reads arm64 by the names that the kernel gives', () => {
  const arm = (number: number, features: string) =>
    `processor\t: ${number}\nBogoMIPS\t: 50.00\nFeatures\t: ${features}\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 1\n\n`;
  const d = one(arm(0, 'fp asimd aes crc32') + arm(1, 'fp asimd crc32'));
  assert.equal([d.arch, d.vendor, d.view, d.midr], ['aarch64', null, 'kernel', ['0x413fd0c1']]);
  assert.equal(d.unnamed, ['fp', 'asimd', 'crc32']);
  // An x86 feature of the same name is another feature.
  assert.is(state(d, 'aes'), 'no');
  assert.equal(
    d.notes.map((n) => n.code),
    ['processors-differ'],
  );
});

test('says in one sentence what is wrong', () => {
  const whole = block({ flags: 'fpu avx2' }) + block({ number: 1, flags: 'fpu avx2' });
  const table: [string, string, RegExp][] = [
    [
      'no flags',
      'processor\t: 0\nvendor_id\t: GenuineIntel\n\n',
      /^cpuinfo:1: processor 0 has no flags line; the file is cut short, or/,
    ],
    [
      'cut in the flags',
      whole.slice(0, whole.lastIndexOf('avx2') + 3),
      /^cpuinfo:13: processor 1 is cut short/,
    ],
    [
      'one processor, cut in the flags',
      `${block({ flags: 'fpu avx2' }).split('avx2')[0]}av`,
      /^cpuinfo:1: processor 0 is cut short within its flags$/,
    ],
    [
      'cut after the flags',
      whole.slice(0, whole.lastIndexOf('bugs')),
      /^cpuinfo:13: processor 1 is cut short: it has no "bugs" line, as processor 0 has$/,
    ],
    [
      'another text between',
      `${block({ flags: 'fpu' })}$ cat /proc/cpuinfo\n`,
      /^cpuinfo:13: "\$ cat \/proc\/cpuinfo" is no line of \/proc\/cpuinfo/,
    ],
    [
      'two vendors',
      block({ flags: 'fpu' }) + block({ number: 1, vendor: 'AuthenticAMD', flags: 'fpu' }),
      /^cpuinfo:1: processor 0 and its fellows are of several vendors/,
    ],
    [
      'another architecture',
      'processor\t: 0\nCPU Family\t: Loongson-64bit\nFeatures\t: cpucfg lam\n\n',
      /^cpuinfo:1: processor 0 is neither of x86 nor of arm64/,
    ],
  ];
  for (const [what, text, expected] of table) {
    try {
      read(text);
      assert.unreachable(what);
    } catch (error) {
      assert.instance(error, QueryError, `${what}: ${(error as Error).message}`);
      assert.match((error as Error).message, expected, what);
    }
  }
});

test('reads a real virtual machine, and says that it is one', () => {
  const bytes = readFileSync(join(ROOT, 'test/fixtures/emerald-rapids-guest.cpuinfo'));
  assert.is(recogniseDialect(bytes.toString())?.name, 'cpuinfo');
  const [d] = cpuinfo.read!({ name: 'vm', bytes }, catalog) as Description[];
  assert.is(
    states(d!, 'hypervisor avx512-fp16 amx-tile spec-ctrl invtsc'),
    'hypervisor=yes avx512-fp16=yes amx-tile=unknown spec-ctrl=no invtsc=yes',
  );
  assert.equal(d!.unnamed, []);
});

test('reads the machine that this runs on', () => {
  let bytes: Buffer;
  try {
    bytes = readFileSync('/proc/cpuinfo');
  } catch {
    console.error('skipped: the machine that this runs on: /proc/cpuinfo is not there');
    return;
  }
  const [d] = cpuinfo.read!({ name: '/proc/cpuinfo', bytes }, catalog) as Description[];
  const flags = new Set(
    /^(?:flags|Features)\s*:(.*)$/m.exec(bytes.toString())![1]!.trim().split(' '),
  );
  if (d!.arch === 'x86_64')
    for (const name of ['fpu', 'sse2', 'avx', 'avx2', 'avx512f', 'aes', 'hypervisor', 'lm'])
      assert.is(state(d!, name), flags.has(name) ? 'yes' : 'no', name);
});

test.run();
