// Drift, held against real programs: what it says changes is what QEMU shows changed, and the -cpu argument that it
// reads out of a domain is the one that libvirt makes.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { meet } from '../../src/core/rows.ts';
import { newestSoftware, startOfAsked } from '../../src/cpu/asked/asked.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { tcgRow } from '../../src/cpu/qemu/accelerators.ts';
import { machinesOf } from '../../src/cpu/qemu/machine.ts';
import { readDescriptions } from '../../src/reading/read.ts';
import { drift, type Move } from '../../src/solve/drift/drift.ts';
import { Libvirt, virshVersion } from '../support/libvirtd.ts';
import { qemuVersion, readCpu } from '../support/qemu.ts';
import { pick, random } from '../support/random.ts';

const catalog = await loadCatalog();
const command = ['qemu-system-x86_64'];
const version = qemuVersion(command);
const test = suite('drift, live');

if (version === null || !catalog.versions.qemu.includes(version)) {
  console.log(
    `drift: skipped live QEMU: ${version === null ? 'none is installed' : `${version} is not in the catalog`}`,
  );
} else {
  const qemu = version;
  const newest = machinesOf(catalog, qemu)
    .map((m) => m.name)
    .filter((name) => name.startsWith('pc-q35'))
    .at(-1)!;
  const features = catalog.features
    .filter((f) => f.qemu !== null && catalog.isSince('qemu', qemu, f.qemu))
    .map((f) => f.name);
  const live = async (machine: string, cpu: string): Promise<Set<string>> => {
    const read = await readCpu(
      command,
      ['-machine', `${machine},accel=tcg`, '-cpu', cpu],
      features,
    );
    if ('refused' in read) throw new Error(read.refused);
    return new Set(features.filter((name) => read.properties[name] === true));
  };
  const exposed = (names: readonly string[]) =>
    catalog.names(meet(catalog.row(names), tcgRow(catalog, qemu)));
  const move = (cpu: string, from: string, to: string, toCpu = cpu): Move => ({
    guest: cpu,
    from: { by: 'qemu', cpu, machine: from, accelerator: 'tcg' },
    to: { by: 'qemu', cpu: toCpu, machine: to, accelerator: 'tcg' },
  });

  test(`EPYC,+svm from pc-q35-3.1 to ${newest}: what is said to change changes, and keep undoes it`, async () => {
    const cpu = 'EPYC,+svm';
    const [said] = drift(catalog, [move(cpu, 'pc-q35-3.1', newest)], null, {
      from: { qemu },
    }).guests;
    assert.equal(said!.added, ['npt', 'nrip-save']);
    const [before, after] = [await live('pc-q35-3.1', cpu), await live(newest, cpu)];
    // tcg has no nrip-save to give: of what is new the guest finds npt.
    assert.equal(
      [...after].filter((f) => !before.has(f)),
      exposed(said!.added),
    );
    assert.equal(
      [...before].filter((f) => !after.has(f)),
      exposed(said!.removed),
    );
    assert.equal([...(await live(newest, said!.keep!))].sort(), [...before].sort());
    assert.equal([...(await live('pc-q35-3.1', said!.take!))].sort(), [...after].sort());
  });

  test('60 random changes of machine type: what QEMU shows is what is said', async () => {
    const next = random(20150623);
    const machines = machinesOf(catalog, qemu)
      .map((m) => m.name)
      .filter((name) => name.startsWith('pc-'));
    const models = [...catalog.qemuModels.values()].filter(
      (m) => m.kind !== 'special' && catalog.hasQemuModel(m.name, qemu),
    );
    let changed = 0;
    for (let i = 0; i < 60; i++) {
      const cpu = `${pick(next, models).name}${pick(next, ['', ',+svm', ',+vmx', ',+xsave,+avx'])}`;
      const [from, to] = [pick(next, machines), pick(next, machines)];
      const [said] = drift(catalog, [move(cpu, from, to)], null, { from: { qemu } }).guests;
      const [before, after] = [await live(from, cpu), await live(to, cpu)];
      assert.equal(
        [...after].filter((f) => !before.has(f)).sort(),
        exposed(said!.added),
        `${cpu} ${from} → ${to}`,
      );
      assert.equal(
        [...before].filter((f) => !after.has(f)).sort(),
        exposed(said!.removed),
        `${cpu} ${from} → ${to}`,
      );
      if (said!.added.length + said!.removed.length > 0) changed++;
    }
    console.log(
      `drift: 60 changes, ${changed} of which change features, no difference to QEMU ${qemu}`,
    );
    assert.ok(changed > 5);
  });
}

const libvirtVersion = virshVersion();
const libvirt = libvirtVersion === '9.0' ? await Libvirt.start() : null;
test.after(() => libvirt?.end());
if (libvirt === null)
  console.log(
    `drift: skipped live libvirt: ${libvirtVersion === '9.0' ? 'no daemon can be started' : `virsh is ${libvirtVersion ?? 'not installed'}, not 9.0`}`,
  );
else
  test('24 random domains: the -cpu argument is the one that libvirt 9.0 makes', async () => {
    const next = random(9);
    const models = [...catalog.libvirtModels.values()].filter(
      (m) =>
        catalog.libvirtModel(m.name, '9.0') && m.decodeGuest && catalog.hasQemuModel(m.name, '7.2'),
    );
    const features = catalog.features.filter(
      (f) => f.libvirt && catalog.isSince('libvirt', '9.0', f.libvirt.since) && f.qemu === '7.2',
    );
    // libvirt puts invtsc and vmx-* in or leaves them out by rules of its own.
    const named = features
      .filter((f) => f.merge === 'all' && !f.name.startsWith('vmx-') && f.name !== 'invtsc')
      .map((f) => f.libvirt!.name);
    const domains = Array.from({ length: 24 }, () => {
      const names = [...new Set([pick(next, named), pick(next, named), pick(next, named)])];
      const words = names.map(
        (name) =>
          `<feature policy='${pick(next, ['require', 'disable', 'force'])}' name='${name}'/>`,
      );
      return `<domain type='qemu'><name>a</name><memory>65536</memory><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><cpu mode='custom' match='exact' check='none'><model fallback='forbid'>${pick(next, models).name}</model>${words.join('')}</cpu></domain>`;
    });
    const asked = domains.map((xml) => `domxml-to-native qemu-argv ${libvirt.file(xml)}`);
    const { stdout, stderr } = libvirt.virsh(asked.join('; '));
    const native = [...stdout.matchAll(/(?:^| )-cpu (\S+)/gm)].map((m) => m[1]!);
    assert.is(native.length, domains.length, stderr);
    const sorted = (cpu: string) => [cpu.split(',')[0], ...cpu.split(',').slice(1).sort()];
    for (const [i, xml] of domains.entries()) {
      const input = { name: 'vm.xml', bytes: new TextEncoder().encode(xml) };
      const { read } = await readDescriptions(catalog, [input], { takes: 'guests' });
      const software = { ...newestSoftware(catalog), libvirt: '9.0' };
      const { cpu } = startOfAsked(catalog, read[0]!.description.asked!, software);
      assert.equal(sorted(cpu), sorted(native[i]!), xml);
    }
  });

test.run();
