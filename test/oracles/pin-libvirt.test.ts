// A pinned <cpu> given to a real libvirt: with check='full' it stops for one feature too many or too few.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { findFeature } from '../../src/cpu/asked/asked-libvirt.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { parseStack } from '../../src/cpu/catalog/software.ts';
import { tcgRow } from '../../src/cpu/qemu/accelerators.ts';
import { writeFullCpu } from '../../src/dialects/pinned.ts';
import { pin, pinForLibvirt } from '../../src/solve/pin.ts';
import { Libvirt, virshVersion } from '../support/libvirtd.ts';
import { qemuVersion } from '../support/qemu.ts';

const catalog = await loadCatalog();
const test = suite('pin, live libvirt');
const versions = { libvirt: virshVersion(), qemu: qemuVersion(['qemu-system-x86_64']) };
const isKnown =
  catalog.versions.libvirt.includes(versions.libvirt ?? '') &&
  catalog.versions.qemu.includes(versions.qemu ?? '');
const libvirt = isKnown ? await Libvirt.start() : null;
test.after(() => libvirt?.end());

/** A CPU and the machine type that it is taken from; it is started on the newest. */
const GUESTS = [
  ['qemu64', 'pc-i440fx-2.4'],
  ['kvm64', 'pc-q35-7.2'],
  ['Conroe', 'pc-i440fx-2.3'],
  ['Penryn', 'pc-q35-7.2'],
  ['Nehalem', 'pc-i440fx-2.3'],
  ['Westmere,+avx,+xsave', 'pc-i440fx-1.4'],
  ['Opteron_G2', 'pc-q35-2.4'],
  ['Haswell-noTSX', 'pc-q35-2.4'],
  ['EPYC', 'pc-q35-3.1'],
  ['Skylake-Client', 'pc-q35-3.1'],
] as const;

if (libvirt === null)
  console.log(
    `pin: skipped live libvirt: libvirt ${versions.libvirt ?? 'is not there'}, QEMU ${versions.qemu ?? 'is not there'}${isKnown ? ', no daemon can be started' : ''}`,
  );
else {
  const qemu = versions.qemu!;
  let started = 0;
  const stack = parseStack(catalog, `libvirt@${versions.libvirt}`);
  for (const [cpu, machine] of GUESTS)
    test(`${cpu} of ${machine} starts, or lacks what tcg lacks and has nothing beside`, () => {
      const pinned = pin(catalog, cpu, { machine, qemu, accelerator: 'tcg' });
      const element = writeFullCpu(catalog, pinForLibvirt(catalog, pinned, stack));
      // Its monitor's socket has the name in its path, and such a path is short.
      const name = 'pinned';
      const xml = `<domain type='qemu'><name>${name}</name><memory>65536</memory><os><type arch='x86_64' machine='${machine}'>hvm</type></os>${element}</domain>`;
      const { status, stderr } = libvirt.virsh('create', libvirt.file(xml), '--paused');
      if (status === 0) {
        started++;
        libvirt.virsh('destroy', name);
        return;
      }
      assert.not.match(stderr, /extra features/);
      const missing = /missing features: ([^\n]*)/.exec(stderr)?.[1]?.split(',') ?? [];
      assert.ok(missing.length > 0, stderr);
      const tcg = catalog.names(tcgRow(catalog, qemu));
      assert.equal(
        missing
          .map((m) => findFeature(catalog, m.trim())?.name ?? m)
          .filter((m) => tcg.includes(m)),
        [],
        stderr,
      );
    });
  test('most of them start', () => {
    console.log(
      `pin: ${started} of ${GUESTS.length} pinned elements start on libvirt ${versions.libvirt}`,
    );
    assert.ok(started * 2 > GUESTS.length);
  });
}
test.run();
