// Tools that quote the kernel's flags: whatever wraps them, the same host is read.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasBit, isEqual, meet, size } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import type { Description } from '../../src/cpu/host.ts';
import { dialectByName, recogniseDialect } from '../../src/dialects/index.ts';
import { sayMissing } from '../support/places.ts';
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

test.run();
