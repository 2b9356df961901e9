// plimsoll learn --qemu, the built command, against a QEMU of a distribution that the catalog knows nothing of.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog, loadCatalogWith } from '../../src/cpu/catalog/catalog.ts';
import type { LearntQemu } from '../../src/cpu/catalog/learnt-qemu.ts';
import { expandCpu } from '../../src/cpu/qemu/qemu-start.ts';
import { ROOT } from '../support/places.ts';

const here = mkdtempSync(join(tmpdir(), 'plimsoll-learn-'));
const fake = join(ROOT, 'test/support/fake-qemu.mjs');
const test = suite('learn of a QEMU');
test.after(() => rmSync(here, { recursive: true }));

function run(args: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'dist/bin.js'), ...args],
    {
      cwd: here,
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, ...env },
      timeout: 60_000,
    },
  );
  return { status, stdout, stderr };
}

const program = (name: string, text: string): string => {
  const path = join(here, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return path;
};

test('learns machine types and models that the catalog lacks, and asks the same binary once', () => {
  const first = run(['learn', '--qemu', fake, '-o', 'house.json']);
  assert.is(first.status, 0, first.stderr);
  assert.is(first.stdout, '');
  assert.match(first.stderr, /^note: pc-broken was not learnt: .*needs a device/);
  assert.match(first.stderr, /\nQEMU 8\.2\.0, house-8\.2\.0-11: 3 machine types, 7 CPU models\n$/);
  const { mtimeMs } = statSync(join(here, 'house.json'));
  // A QEMU that dies at the first question cannot have been asked.
  const again = run(['learn', '--qemu', fake, '-o', 'house.json'], {
    FAKE_DIES_AT: 'qmp_capabilities',
  });
  assert.is(again.status, 0, again.stderr);
  assert.match(again.stderr, /house\.json has them already/);
  assert.is(statSync(join(here, 'house.json')).mtimeMs, mtimeMs);
});

test('pin and drift answer for it', () => {
  const pin = run([
    ...['pin', '--catalog', 'house.json', '--cpu', 'Haswell', '--machine', 'pc-q35-rhel7.6.0'],
    ...['--accel', 'tcg', '--json'],
  ]);
  assert.is(pin.status, 0, pin.stderr);
  const pinned = JSON.parse(pin.stdout);
  assert.is(pinned.qemu, '8.2.0 (house-8.2.0-11)');
  assert.is(pinned.resolved, 'Haswell-v1');
  assert.equal(pinned.features, ['aes', 'avx2', 'erms', 'fpu', 'hypervisor', 'lm', 'pse']);
  assert.match(pinned.pinned.qemu, /^-cpu Haswell-v1,.*erms=on/);
  // What this QEMU does not know would keep it from starting.
  assert.not.match(pinned.pinned.readconfig, /avx512f|sgx/);

  const drift = run([
    ...['drift', '--catalog', 'house.json', '--cpu', 'Haswell', '--json'],
    ...['--machine', 'pc-q35-rhel7.6.0', '--to-machine', 'q35', '--accel', 'tcg'],
  ]);
  const [guest] = JSON.parse(drift.stdout).guests;
  assert.equal(
    [guest.toMachine, guest.added, guest.removed, guest.abiEqual],
    ['pc-q35-rhel9.4.0', [], ['erms'], false],
  );
  assert.ok(guest.properties.some((p: { name: string }) => p.name === 'l3-cache'));

  const other = run([
    ...['drift', '--catalog', 'house.json', '--cpu', 'Haswell', '--machine', 'pc-q35-rhel9.4.0'],
    ...['--to-stack', 'qemu@10.0', '--to-machine', 'pc-q35-10.0', '--json'],
  ]);
  assert.is(other.status, 0, other.stderr);
  assert.ok(JSON.parse(other.stdout).guests[0].added.includes('avx'));
});

test('a model of its own: latent features, a name of a feature that nobody else has', async () => {
  const { qemu } = JSON.parse(readFileSync(join(here, 'house.json'), 'utf8')) as {
    qemu: LearntQemu;
  };
  const catalog = await loadCatalogWith([qemu]);
  const names = (cpu: string, accelerator: 'tcg' | 'kvm', machine = 'q35') =>
    catalog.names(expandCpu(catalog, cpu, { machine, qemu: '8.2.0', accelerator }).features);
  assert.equal(names('House', 'tcg'), ['brand-new', 'fpu', 'hypervisor', 'lm', 'pse']);
  assert.ok(names('House', 'kvm').includes('vme'));
  assert.ok(names('Haswell-v1,+vmx', 'tcg').includes('vmx-ept'));
  assert.is(names('Haswell-v1', 'tcg').includes('vmx-ept'), false);
  // The catalog's own versions are as they were.
  const plain = await loadCatalog();
  for (const qemu of plain.versions.qemu) {
    assert.is(catalog.hasQemuModel('House', qemu), false);
    assert.is(catalog.hasQemuFeature(catalog.feature('brand-new'), qemu), false);
    const where = { machine: 'pc-q35-7.2', qemu, accelerator: 'kvm' } as const;
    assert.equal(
      catalog.names(expandCpu(catalog, 'Haswell', where).features),
      plain.names(expandCpu(plain, 'Haswell', where).features),
    );
  }
});

test('what is no QEMU, hangs or dies is one sentence', () => {
  const cases: readonly [readonly string[], RegExp, Record<string, string>?][] = [
    [['./missing'], /^error: cannot read \.\/missing: no such file or directory\n$/],
    [['no-such-qemu'], /^error: no-such-qemu is not installed here; give the path of a QEMU\n$/],
    [['.//'], /^error: \.\/\/ is no program/],
    [['/bin/true'], /^error: \/bin\/true cannot be learnt: it does not answer as a QEMU does\n$/],
    [
      [program('hangs', 'exec sleep 60'), '--timeout', '1'],
      /^error: \S+hangs did not answer within 1 seconds\n$/,
    ],
    [[program('grumbles', 'echo no KVM here >&2; exit 1')], /^error: \S+ failed: no KVM here\n$/],
    [[fake], /^error: \S+ failed: code 3\n$/, { FAKE_DIES_AT: 'query-machines' }],
    [[fake], /^error: \S+ cannot be learnt: it emulates aarch64;/, { FAKE_ARCH: 'aarch64' }],
    [[fake, '--libvirt', '.'], /^error: --libvirt, --qemu and --kvm-source are learnt apart/],
    [[fake, '--timeout', '0'], /^error: --timeout takes/],
  ];
  for (const [args, sentence, env] of cases) {
    const { status, stdout, stderr } = run(['learn', '--qemu', ...args], env);
    assert.equal([status, stdout], [2, ''], args.join(' '));
    assert.match(stderr, sentence, `${sentence}: ${stderr}`);
  }
});

test('a file that learn did not write of a QEMU, or the same twice, is one sentence', () => {
  writeFileSync(join(here, 'other.json'), '{"schema":"plimsoll.learn/1","libvirt":{}}');
  const pin = ['pin', '--cpu', 'Haswell', '--machine', 'q35', '--catalog'];
  const wrong = run([...pin, 'other.json']);
  assert.is(wrong.status, 2);
  assert.match(
    wrong.stderr,
    /^error: other\.json is no catalog that plimsoll learn wrote of a QEMU;/,
  );
  const twice = run([...pin, 'house.json', '--catalog', 'house.json']);
  assert.equal(
    [twice.status, twice.stderr],
    [2, 'error: two catalogs are of QEMU 8.2.0; give one of them\n'],
  );
});

test.run();
