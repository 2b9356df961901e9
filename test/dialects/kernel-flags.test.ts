// Tools that quote the kernel's flags: whatever wraps them, the same host is read.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasBit, isEqual, meet, size } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import type { Description } from '../../src/cpu/description.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import { dialectByName, recogniseDialect } from '../../src/dialects/index.ts';
import { readFlags } from '../../src/dialects/words/kernel-flags.ts';
import { SHARED, sayMissing } from '../support/places.ts';
import {
  asCpuinfo,
  asIncus,
  asLscpu,
  asLscpuJson,
  asLscpuNested,
  asMetrics,
  asQueryResult,
  asSlurp,
  asVdsm,
  ICELAKE,
  type Kernel,
  MILAN,
} from '../support/sources.ts';

const test = suite('kernel flags');
const catalog = await loadCatalog();
const encode = (text: string) => new TextEncoder().encode(text);

async function read(dialect: string, text: string): Promise<Description[]> {
  assert.is(recogniseDialect(text.slice(0, 65536))?.name, dialect);
  return dialectByName(dialect)!.read!({ name: 'file', bytes: encode(text) }, catalog);
}

const refusal = async (dialect: string, text: string): Promise<string> => {
  try {
    await dialectByName(dialect)!.read!({ name: 'file', bytes: encode(text) }, catalog);
  } catch (error) {
    if (error instanceof QueryError) return error.message;
    throw error;
  }
  return '';
};

const WRAPPED: Readonly<Record<string, readonly [dialect: string, wrap: (k: Kernel) => string]>> = {
  lscpu: ['lscpu', asLscpu],
  'lscpu -J, flat': ['lscpu', asLscpuJson],
  'lscpu -J, in groups': ['lscpu', asLscpuNested],
  node_exporter: ['prometheus', asMetrics],
  Prometheus: ['prometheus', (k) => asQueryResult({ 'db-01:9100': k })],
  Incus: ['incus', asIncus],
  Ansible: ['ansible', (k) => asSlurp({ 'db-01': k })],
  VDSM: ['ovirt', asVdsm],
};

for (const [what, [dialect, wrap]] of Object.entries(WRAPPED))
  test(`${what} says what /proc/cpuinfo says`, async () => {
    for (const kernel of [ICELAKE, MILAN]) {
      const [own] = await read('cpuinfo', asCpuinfo(kernel));
      const all = await read(dialect, wrap(kernel));
      assert.is(all.length, 1);
      const [other] = all;
      assert.is(other!.view, 'kernel');
      assert.is(other!.vendor, own!.vendor);
      assert.equal(catalog.names(other!.has), catalog.names(own!.has));
      assert.ok(isEqual(other!.known, own!.known));
      assert.equal(other!.unnamed, own!.unnamed);
    }
  });

test('limits and signatures come along where the tool shows them', async () => {
  for (const [dialect, wrap] of [WRAPPED.lscpu!, WRAPPED['lscpu -J, in groups']!]) {
    const [d] = await read(dialect, wrap(ICELAKE));
    assert.equal(d!.limits, { physBits: 46 });
    assert.equal(d!.signature, { family: 6, model: 106, stepping: 6 });
  }
  const [incus] = await read('incus', asIncus(MILAN));
  assert.equal(incus!.limits, { physBits: 48 });
});

test('the lscpu of this machine is its /proc/cpuinfo', async () => {
  let text: string;
  try {
    text = execFileSync('lscpu', ['-J'], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
    });
  } catch {
    return sayMissing('lscpu of this machine', 'lscpu');
  }
  if (!existsSync('/proc/cpuinfo')) return sayMissing('lscpu of this machine', '/proc/cpuinfo');
  const [own] = await read('cpuinfo', readFileSync('/proc/cpuinfo', 'utf8'));
  const [other] = await read('lscpu', text);
  // lscpu quotes no vmx flags.
  const both = meet(own!.known, other!.known);
  assert.equal(catalog.names(meet(other!.has, both)), catalog.names(meet(own!.has, both)));
  assert.is(other!.limits.physBits, own!.limits.physBits);
});

test('a filter of node_exporter leaves the rest unknown, not absent', async () => {
  const [d] = await read('prometheus', asMetrics(ICELAKE, /^avx/));
  const state = (name: string) => {
    const { id } = catalog.feature(name);
    return hasBit(d!.known, id) ? hasBit(d!.has, id) : 'unknown';
  };
  assert.equal(['avx512f', 'aes', 'amx-tile', 'sse2'].map(state), [
    true,
    'unknown',
    'unknown',
    'unknown',
  ]);
  assert.equal(
    d!.notes.map((n) => n.code),
    ['filtered-flags'],
  );
});

test('the vendor is inferred where no metric names it, and that is said', async () => {
  for (const [kernel, vendor] of [
    [ICELAKE, 'Intel'],
    [MILAN, 'AMD'],
  ] as const) {
    const [d] = await read('prometheus', asMetrics(kernel).replace(/^node_cpu_info.*$/m, ''));
    assert.equal([d!.vendor, d!.notes.map((n) => n.code)], [vendor, ['vendor-inferred']]);
  }
  const [dark] = await read('prometheus', 'node_cpu_flag_info{flag="sse2"} 1\n');
  assert.equal(
    [dark!.vendor, dark!.notes.map((n) => n.code)],
    [null, ['vendor-unknown', 'filtered-flags']],
  );
});

test('hosts of one answer are told apart by their address', async () => {
  const all = await read('prometheus', asQueryResult({ 'a:9100': ICELAKE, 'b:9101': MILAN }));
  assert.equal(
    all.map((d) => [d.host, d.vendor]),
    [
      ['a', 'Intel'],
      ['b:9101', 'AMD'],
    ],
  );
});

test('a host that Ansible did not reach is an error by name', async () => {
  const text = `${asSlurp({ one: ICELAKE })}\ntwo | UNREACHABLE! => {\n    "changed": false,\n    "msg": "Failed to connect to the host via ssh: timed out",\n    "unreachable": true\n}\n`;
  assert.match(await refusal('ansible', text), /two did not answer: .*timed out/);
  const problems: string[] = [];
  const read = await dialectByName('ansible')!.read!(
    { name: 'file', bytes: encode(text) },
    catalog,
    (problem) => problems.push(problem.message),
  );
  assert.equal([read.map((d) => d.host), problems.length], [['one'], 1]);
});

test('facts of Ansible alone are refused with what to add', async () => {
  const facts = {
    ansible_facts: { ansible_hostname: 'db-01', ansible_processor: ['0', 'GenuineIntel', 'x'] },
  };
  assert.match(
    await refusal('ansible', JSON.stringify(facts)),
    /file:1: db-01 has facts without flags.*slurp/,
  );
  const cached = {
    ...facts.ansible_facts,
    cpuinfo: { content: btoa(asCpuinfo(MILAN)), encoding: 'base64' },
  };
  const [d] = await read('ansible', JSON.stringify(cached));
  assert.equal([d!.host, d!.vendor], ['db-01', 'AMD']);
});

test('usable models of VDSM come along', async () => {
  const [d] = await read('ovirt', asVdsm(MILAN, ['EPYC-Milan', 'EPYC']));
  assert.equal([...d!.models!.keys()], ['EPYC-Milan', 'EPYC']);
});

test('cores of an Incus member that differ are a finding, and the weaker one counts', async () => {
  const value = JSON.parse(asIncus(ICELAKE));
  const [first] = value.metadata.cpu.sockets[0].cores;
  value.metadata.cpu.sockets[0].cores[1] = {
    ...first,
    flags: first.flags.filter((f: string) => f !== 'avx512f'),
  };
  const [d] = await read('incus', JSON.stringify(value));
  assert.equal(
    d!.notes.map((n) => n.code),
    ['processors-differ'],
  );
  assert.not(hasBit(d!.has, catalog.feature('avx512f').id));
});

test('a reading of /dev/cpu/N/cpuid tells the first subleaves and no more', async () => {
  if (!existsSync('/dev/cpu/0/cpuid')) sayMissing('a reading of this machine', '/dev/cpu/0/cpuid');
  // Leaves 0 to 7 of a made processor.
  const leaf = (eax: number, ebx: number, ecx: number, edx: number) => [eax, ebx, ecx, edx];
  const words = [
    leaf(7, 0x756e6547, 0x6c65746e, 0x49656e69),
    leaf(0x606a6, 0, 1 << 25, 1 << 25),
    ...Array.from({ length: 5 }, () => leaf(0, 0, 0, 0)),
    leaf(1, 1 << 5, 0, 0),
  ].flat();
  const bytes = new Uint8Array(new Uint32Array(words).buffer);
  assert.is(recogniseDialect(new TextDecoder().decode(bytes))?.name, 'cpudev');
  const [d] = await dialectByName('cpudev')!.read!({ name: 'file', bytes }, catalog);
  assert.equal([d!.vendor, d!.signature], ['Intel', { family: 6, model: 106, stepping: 6 }]);
  const state = (name: string) => {
    const { id } = catalog.feature(name);
    return hasBit(d!.known, id) ? hasBit(d!.has, id) : 'unknown';
  };
  assert.equal(['aes', 'sse', 'avx2', 'bmi1', 'avx-vnni', 'lm'].map(state), [
    true,
    true,
    true,
    false,
    'unknown',
    'unknown',
  ]);
  assert.throws(
    () => dialectByName('cpudev')!.read!({ name: 'file', bytes: bytes.subarray(0, 100) }, catalog),
    /file has 100 bytes.*sixteen a leaf/,
  );
});

test('the features that Incus loses by their spelling arrive', async () => {
  // Names that no boolean of QEMU is spelt like.
  const lost =
    'tsc_deadline_timer sha_ni avx512_vbmi2 avx512_vnni avx512_bitalg avx512_vpopcntdq md_clear flush_l1d arch_capabilities'.split(
      ' ',
    );
  const [d] = await read('incus', asIncus(ICELAKE));
  const missing = lost.filter((flag) => {
    const found = catalog.findLinux(flag, 'Intel');
    return found === undefined || found === 'linux-only' || !hasBit(d!.has, found.id);
  });
  assert.equal(missing, []);
  assert.ok(hasBit(d!.has, catalog.feature('spec-ctrl').id));
  assert.ok(size(d!.has) > 90);
});

/** What a reading says of a feature: there, absent, or unknown. */
const stateOf = ({ has, known }: Pick<Description, 'has' | 'known'>, name: string) => {
  const { id } = catalog.feature(name);
  return hasBit(known, id) ? hasBit(has, id) : 'unknown';
};

interface WordFacts {
  readonly word: string | null;
  readonly since?: string;
  readonly el8?: boolean;
  readonly vendor?: string;
  readonly line?: string;
  readonly flags?: string;
}

/** The facts of the kernel's words, or null where they are not there. */
function kernelWords(): {
  readonly kernels: readonly string[];
  readonly features: Readonly<Record<string, WordFacts>>;
} | null {
  if (SHARED === null) return null;
  const { sources, features } = JSON.parse(
    readFileSync(join(SHARED, 'facts/linux-cpuinfo.json'), 'utf8'),
  );
  return { kernels: sources.map((s: { version: string }) => s.version), features };
}

const EL8 = '4.18.0-394.el8';
/** Absence of the word proves nothing there: firmware, policy, or a kernel that goes by more than the bit. */
const SILENT: Readonly<Record<string, readonly string[]>> = {
  vmx: ['Intel'],
  svm: ['AMD', 'Hygon'],
  sgx: ['Intel'],
  sgxlc: ['Intel'],
  la57: ['Intel', 'AMD', 'Hygon'],
  'cet-ss': ['Intel', 'AMD', 'Hygon'],
  'cet-ibt': ['Intel', 'AMD', 'Hygon'],
  'split-lock-detect': ['Intel', 'AMD', 'Hygon'],
  'vmx-eptp-switching': ['Intel'],
};
/** Of two words or none of its own. */
const BY_HAND = new Set(['amd-ssbd', 'virt-ssbd', 'invtsc']);

const numbers = (version: string): number[] => version.split(/[.-]/, 2).map(Number);

/** Whether a kernel prints a word wherever its feature is; the oldest where none is told. */
function prints(f: WordFacts, kernel: string | null): boolean {
  if (f.word === null) return false;
  if (f.since === '\u22644.19') return true;
  if (kernel === EL8) return f.el8 === true;
  const [major, minor] = numbers(kernel ?? '4.19') as [number, number];
  const [from, since] = numbers(f.since!) as [number, number];
  return major > from || (major === from && minor >= since);
}

test('what a kernel does not print is absent where it has the word, and else unknown', () => {
  const facts = kernelWords();
  if (facts === null)
    return sayMissing('the law of the kernel’s words', 'facts/linux-cpuinfo.json');
  const entries = Object.entries(facts.features);
  let told = 0;
  for (const kernel of [null, ...facts.kernels])
    for (const vendor of ['Intel', 'AMD', 'Hygon']) {
      const mine = (f: WordFacts) => f.vendor === undefined || f.vendor.split(' ').includes(vendor);
      const lineOf = (isVmx: boolean) =>
        entries
          .filter(([, f]) => prints(f, kernel) && mine(f) && (f.line !== undefined) === isVmx)
          .flatMap(([, f]) => f.word!.split(' '));
      const hasLine =
        vendor === 'Intel' &&
        kernel !== null &&
        kernel !== EL8 &&
        !/^[45]\.[49]\./.test(kernel) &&
        !kernel.startsWith('4.');
      // VMX is Intel's, SVM the others', and what either prints besides is not on the other's line.
      const other = vendor === 'Intel' ? 'svm' : 'vmx';
      const flags = lineOf(false).filter((flag) => flag !== other);
      for (const [name, f] of entries) {
        if (BY_HAND.has(name) || name === other || (f.line !== undefined && vendor !== 'Intel'))
          continue;
        const without = new Set((f.word ?? '').split(' '));
        if (f.flags !== undefined) without.add(f.flags);
        // What another word proves beside its own.
        if (name === 'xfd') without.add('amx_tile');
        if (name === 'sgx1') without.add('sgx');
        const rest = (words: readonly string[]) => words.filter((word) => !without.has(word));
        const vmx = hasLine ? rest(lineOf(true)) : undefined;
        const read = readFlags(catalog, rest(flags), vendor, vmx, kernel);
        const state = stateOf(read, name);
        const lacksNeed = catalog
          .feature(name)
          .needs.some((group) =>
            group.every((id) => hasBit(read.known, id) && !hasBit(read.has, id)),
          );
        const tells =
          (f.flags !== undefined || f.line === undefined || vmx !== undefined) &&
          (prints(f, kernel) || f.flags !== undefined) &&
          mine(f) &&
          !SILENT[name]?.includes(vendor);
        const isMadeElsewhere = vendor !== 'Intel' && /^sgx(?:lc)?$/.test(name);
        const expected = tells || lacksNeed || isMadeElsewhere ? false : 'unknown';
        assert.is(state, expected, `${name} on ${vendor}, Linux ${kernel}`);
        told += Number(expected === false);
      }
    }
  assert.ok(told > 5000, `${told} told`);
});

test('every word of a kernel proves its feature', () => {
  const facts = kernelWords();
  if (facts === null) return sayMissing('the words of kernels', 'facts/linux-cpuinfo.json');
  for (const [name, f] of Object.entries(facts.features))
    for (const vendor of f.vendor?.split(' ') ?? ['Intel', 'AMD', 'Hygon']) {
      if (f.word === null || BY_HAND.has(name) || name === 'split-lock-detect') continue;
      if ((f.line ?? f.flags) !== undefined && vendor !== 'Intel') continue;
      const words = f.word.split(' ');
      const read = f.line
        ? readFlags(catalog, ['vmx'], vendor, words)
        : readFlags(catalog, words, vendor);
      const isOs = name === 'osxsave' || name === 'ospke';
      assert.is(stateOf(read, name), isOs ? 'unknown' : true, `${name} on ${vendor}`);
      if (f.flags)
        assert.is(stateOf(readFlags(catalog, ['vmx', f.flags], vendor), name), true, name);
    }
});

test('a kernel older than all that were read, and one that is none, prove little by silence', () => {
  const old = readFlags(catalog, ['fpu', 'sse2'], 'AMD', undefined, '3.10.0-1160.el7.x86_64');
  assert.equal(
    catalog.names(old.known).filter((name) => !/^(?:vmx|sgx)/.test(name)),
    ['fpu', 'sse2'],
  );
  const odd = readFlags(catalog, ['fpu'], 'AMD', undefined, 'vendor kernel');
  assert.ok(isEqual(odd.known, readFlags(catalog, ['fpu'], 'AMD').known));
});

const states = (read: Parameters<typeof stateOf>[0], ...names: string[]) =>
  names.map((name) => stateOf(read, name));

test('a Zen 4 that prints ibrs_enhanced has auto-ibrs', () => {
  const zen4 = [...MILAN.flags, 'ibrs_enhanced', 'avx512f'];
  assert.equal(states(readFlags(catalog, zen4, 'AMD'), 'auto-ibrs', 'ibrs-all'), [true, false]);
  assert.equal(states(readFlags(catalog, zen4, 'Intel'), 'auto-ibrs', 'ibrs-all'), [
    'unknown',
    true,
  ]);
  const told = (kernel: string | null, ...more: string[]) =>
    stateOf(readFlags(catalog, [...MILAN.flags, ...more], 'AMD', undefined, kernel), 'auto-ibrs');
  assert.equal(
    [null, '5.15.0', '6.5.0', '6.12.9'].map((kernel) => told(kernel)),
    ['unknown', 'unknown', false, false],
  );
  assert.is(told('6.12.9', 'sev_snp'), 'unknown', 'not printed where SEV-SNP is on');
});

test('ssbd on AMD leaves open which of its bits is there; virt_ssbd tells', () => {
  const read = (...flags: string[]) =>
    states(readFlags(catalog, ['fpu', ...flags], 'AMD'), 'amd-ssbd', 'virt-ssbd', 'ssbd');
  assert.equal(read('ssbd'), ['unknown', 'unknown', 'unknown']);
  assert.equal(read('ssbd', 'virt_ssbd'), [false, true, 'unknown']);
  assert.equal(read(), [false, false, 'unknown']);
});

test('amx_tile proves xfd, and words of the flags line tell of VMX', () => {
  const read = readFlags(catalog, [...ICELAKE.flags, 'amx_tile'], 'Intel');
  assert.equal(states(read, 'amx-tile', 'xfd'), [true, true]);
  const vmx = ['vmx-ept', 'vmx-vpid', 'vmx-eptad', 'vmx-flexpriority', 'vmx-vnmi'];
  assert.equal(states(read, ...vmx), [true, true, true, true, true]);
  const some = readFlags(catalog, ['vmx', 'ept'], 'Intel');
  assert.equal(states(some, ...vmx), [true, false, false, false, false]);
  const none = readFlags(catalog, ['fpu'], 'Intel');
  assert.equal(states(none, 'vmx', 'vmx-ept', 'sgx', 'svm'), [
    'unknown',
    'unknown',
    'unknown',
    false,
  ]);
  assert.equal(states(readFlags(catalog, ['fpu'], 'AMD'), 'vmx', 'svm'), [false, 'unknown']);
});

test.run();
