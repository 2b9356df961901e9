// What is written for QEMU in its several languages, started on a real QEMU: the same CPU comes of each.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { parseStack } from '../../src/cpu/catalog/software.ts';
import { dialectByName } from '../../src/dialects/index.ts';
import { argumentsOf } from '../../src/dialects/text/shell.ts';
import { baseline } from '../../src/solve/baseline.ts';
import { guestCpu } from '../../src/solve/line/guest-cpu.ts';
import { fleetOf } from '../support/hosts.ts';
import { sayMissing } from '../support/places.ts';
import { each, qemuVersion, readCpu } from '../support/qemu.ts';

const test = suite('written for QEMU');
const catalog = await loadCatalog();
const QEMU = ['qemu-system-x86_64'];
const dir = mkdtempSync(join(tmpdir(), 'writers-'));
const MODELS = [
  'Nehalem-v2',
  'Haswell-v4',
  'Skylake-Server-v4',
  'Cascadelake-Server-v5',
  'EPYC-v3',
  'EPYC-Milan-v1',
];
/** What tcg of QEMU can give, so that a switch makes a difference. */
const MORE = ['pclmulqdq', 'adx', 'smap', 'clwb'];
const FEWER = ['aes', 'sse4.2'];

function cpuOf(model: string) {
  const own = catalog.names(catalog.qemuFeatures(model, '7.2')!);
  const kvm = catalog.names(catalog.accelerators.kvm.on);
  const features = [...new Set([...own, ...kvm, ...MORE])].filter((name) => !FEWER.includes(name));
  const { vendor } = catalog.qemuModels.get(model)!;
  const fleet = fleetOf(catalog, [{ id: 'a', features, facts: { vendor } }]);
  const answer = baseline(fleet, { stack: parseStack(catalog, 'libvirt@9.0,qemu@7.2') });
  return guestCpu(answer, catalog, fleet);
}

test('-cpu, a readconfig file, the flags of Proxmox and the keys of Incus start the same CPU', async () => {
  if (qemuVersion(QEMU) === null) return sayMissing('QEMU starts what is written', QEMU[0]!);
  const names = [
    'phys-bits',
    'host-phys-bits',
    ...catalog.features.filter((f) => f.qemu === '7.2').map((f) => f.name),
  ];
  await each(MODELS, async (model) => {
    const cpu = cpuOf(model);
    const write = (dialect: string) => dialectByName(dialect)!.write!(cpu, catalog);
    const lenient = (argument: string) => argument.replace(',enforce', '');
    const start = (...args: string[]) =>
      readCpu(QEMU, ['-machine', 'pc-q35-7.2,accel=tcg', ...args], names);

    const line = argumentsOf(write('qemu').trim());
    assert.is(line[0], '-cpu');
    const plain = await start('-cpu', lenient(line[1]!));
    assert.ok('properties' in plain, JSON.stringify(plain));

    const file = join(dir, `${model}.cfg`);
    const config = write('readconfig');
    writeFileSync(file, config);
    const beside = /^# beside -cpu (\S+),enforce$/m.exec(config)![1]!;
    assert.equal(await start('-readconfig', file, '-cpu', beside), plain, `${model}: readconfig`);

    // As Incus puts its command line together.
    const [, base] = /baseline=(\S+)/.exec(write('incus'))!;
    const [, flags] = /flags=(\S*)/.exec(write('incus'))!;
    const bits = 'phys-bits=40,host-phys-bits=off';
    const incus = [base, ...flags!.split(',').filter(Boolean), bits].join(',');
    assert.equal(await start('-cpu', incus), plain, `${model}: Incus`);

    // As Proxmox VE does: with a sign before each flag, the name of the vendor, the bits at the end.
    const proxmox = write('proxmox');
    const [, reported] = /reported-model (\S+)/.exec(proxmox)!;
    const own = (/\tflags (\S+)/.exec(proxmox)?.[1] ?? '').split(';').filter(Boolean);
    const letters = catalog.vendors.find((v) => v.name === cpu.vendor)!.id;
    const found = await start('-cpu', [reported, ...own, `vendor=${letters}`, bits].join(','));
    assert.ok('properties' in found, JSON.stringify(found));
    const differ = names.filter((name) => found.properties[name] !== plain.properties[name]);
    // Another name may bring features along that no answer counts.
    const counted = differ.filter(
      (name) => catalog.findQemu(name)?.merge === 'all' && !name.startsWith('vmx-'),
    );
    assert.equal(counted, [], `${model} as ${reported}: Proxmox`);
  });
});

test.after(() => rmSync(dir, { recursive: true, force: true }));
test.run();
