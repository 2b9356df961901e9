// What virsh, libvirt and QEMU say of CPUs, held against what is read of their documents. No daemon is needed:
// libvirt's test driver knows its CPU map, and its embedded driver asks the QEMU that is installed.
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasBit } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import type { Description } from '../../src/cpu/host.ts';
import { nearest } from '../../src/cpu/stack.ts';
import { libvirt } from '../../src/dialects/libvirt.ts';
import { readLibvirtCpus } from '../../src/dialects/libvirt-element.ts';
import { seed } from '../support/property.ts';
import { pick, random } from '../support/random.ts';

const catalog = await loadCatalog();
const folder = mkdtempSync(join(tmpdir(), 'plimsoll-'));

const run = (command: string, args: string[], stdin = ''): SpawnSyncReturns<string> =>
  spawnSync(command, args, {
    encoding: 'utf8',
    input: stdin,
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
const embedded = (...command: string[]) =>
  run('virsh', ['-c', `qemu:///embed?root=${folder}`, ...command]);

const input = (text: string) => ({ name: 'live', bytes: new TextEncoder().encode(text) });
async function read(text: string): Promise<Description> {
  const found = await libvirt.read!(input(text), catalog);
  assert.is(found.length, 1);
  return found[0]!;
}

/** All features of a host's CPU as virsh spells them out. */
async function spelledOut(xml: string): Promise<Set<string>> {
  const file = join(folder, 'cpu.xml');
  writeFileSync(file, xml);
  const { status, stdout, stderr } = run('virsh', [
    '-c',
    'test:///default',
    'cpu-baseline',
    '--features',
    file,
  ]);
  assert.is(status, 0, stderr);
  const [cpu] = await readLibvirtCpus(input(stdout));
  return new Set(
    cpu!.features
      .filter((f) => f.policy !== 'disable')
      .map((f) => catalog.findLibvirt(f.name)!.name),
  );
}

/** Features on which a description and another source differ, of those that both know. */
const differences = (d: Description, isOn: (name: string) => boolean | undefined): string[] =>
  catalog.features
    .filter((f) => hasBit(d.known, f.id) && (isOn(f.name) ?? false) !== hasBit(d.has, f.id))
    .map((f) => f.name);

const test = suite('live libvirt');
test.after(() => rmSync(folder, { recursive: true, force: true }));

const version = run('virsh', ['--version']).stdout?.trim();
if (!version)
  console.log('skipped: libvirt documents against a live libvirt: virsh does not answer');
else {
  const map = nearest(catalog, 'libvirt', version);

  test(`libvirt ${version}: every model with random features is what virsh spells out (seed ${seed})`, async () => {
    const next = random(seed);
    const spellings = catalog.features.flatMap((f) =>
      f.libvirt && catalog.isSince('libvirt', map, f.libvirt.since) ? [f.libvirt.name] : [],
    );
    const models = [...catalog.libvirtModels.values()].filter((m) =>
      catalog.isSince('libvirt', map, m.since),
    );
    for (const model of models) {
      const extra = [...new Set(Array.from({ length: 8 }, () => pick(next, spellings)))];
      const xml = `<cpu><arch>x86_64</arch><model>${model.name}</model>${extra.map((name) => `<feature name='${name}'/>`).join('')}</cpu>`;
      const on = await spelledOut(xml);
      assert.equal(
        differences(await read(xml), (name) => on.has(name)),
        [],
        model.name,
      );
    }
    assert.ok(models.length >= 50, `${models.length} models`);
  });

  const capabilities = embedded('capabilities').stdout;
  if (!capabilities?.includes('<signature'))
    console.log('skipped: live capabilities: libvirt tells no CPU of this machine');
  else
    test('the capabilities of this machine are what virsh spells out', async () => {
      const on = await spelledOut(capabilities);
      assert.equal(
        differences(await read(capabilities), (name) => on.has(name)),
        [],
      );
    });

  const domainCapabilities = embedded('domcapabilities', '--virttype', 'qemu').stdout;
  if (!domainCapabilities?.includes('host-model'))
    console.log('skipped: live domain capabilities: libvirt finds no QEMU');
  else
    test('the domain capabilities of emulation are what QEMU says of its max CPU and its models', async () => {
      const ask = [
        { execute: 'qmp_capabilities' },
        {
          execute: 'query-cpu-model-expansion',
          arguments: { type: 'full', model: { name: 'max' } },
        },
        { execute: 'query-cpu-definitions' },
        { execute: 'quit' },
      ];
      const { stdout } = run(
        'qemu-system-x86_64',
        ['-machine', 'none,accel=tcg', '-nodefaults', '-display', 'none', '-qmp', 'stdio'],
        ask.map((a) => JSON.stringify(a)).join('\n'),
      );
      const answers = stdout.split('\n').filter((line) => line.includes('"return"'));
      const [, expansion, definitions] = answers.map((line) => JSON.parse(line).return);
      const d = await read(domainCapabilities);
      assert.equal([d.view, d.notes.map((n) => n.code)], ['hypervisor', ['emulated']]);
      assert.equal(
        differences(d, (name) => expansion.model.props[name]),
        [],
      );
      assert.ok(catalog.names(d.known).length > 200);
      // What blocks a model is listed, or goes off with what is.
      let blocked = 0;
      for (const [name, blockers] of d.models!) {
        const { 'unavailable-features': found } = definitions.find(
          (m: { name: string }) => m.name === name,
        );
        const features = (found as string[]).map((f) => catalog.findQemu(f)!);
        const open = features.filter(
          (f) =>
            !blockers?.includes(f.name) &&
            f.needs.every((group) => group.some((id) => hasBit(d.has, id))),
        );
        assert.equal([blockers?.length === 0, open], [features.length === 0, []], name);
        if (features.length > 0) blocked++;
      }
      assert.ok(blocked >= 10, `${blocked} models`);
    });
}

test.run();
