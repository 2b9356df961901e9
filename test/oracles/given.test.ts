// Every name that a definition can carry, given to the real software: libvirt starts it, QEMU makes of it what pin says,
// and the line of this very host starts under KVM with enforce.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { join, minus } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { parseStack } from '../../src/cpu/catalog/software.ts';
import { UNSAID } from '../../src/cpu/cpu-element.ts';
import { tcgRow } from '../../src/cpu/qemu/accelerators.ts';
import { dialectByName } from '../../src/dialects/index.ts';
import { writeLibvirtCpu } from '../../src/dialects/libvirt/libvirt-write.ts';
import { readFleet } from '../../src/reading/read.ts';
import { baseline } from '../../src/solve/baseline.ts';
import { guestCpu } from '../../src/solve/line/guest-cpu.ts';
import { namerOf } from '../../src/solve/line/x86-namer.ts';
import { pin } from '../../src/solve/pin.ts';
import { Libvirt, virshVersion } from '../support/libvirtd.ts';
import { sayMissing } from '../support/places.ts';
import { askExpansions, each, qemuVersion, recordSession } from '../support/qemu.ts';
import { started, startsKvm, whatHostNeeds } from '../support/started.ts';

const COMMAND = ['qemu-system-x86_64'];
const LIBVIRT = virshVersion();
const QEMU = qemuVersion(COMMAND);

const test = suite('names that are given, live');
const catalog = await loadCatalog();
const hasQemu = QEMU !== null && catalog.versions.qemu.includes(QEMU);
const hasLibvirt = hasQemu && LIBVIRT !== null && catalog.versions.libvirt.includes(LIBVIRT);
const libvirt = hasLibvirt ? await Libvirt.start() : null;
const hasKvm = hasQemu && (await startsKvm(COMMAND));
if (!hasQemu) sayMissing('names given to QEMU', 'a QEMU that the catalog knows');
if (!libvirt) sayMissing('names given to libvirt', 'a libvirtd and a QEMU that the catalog knows');
if (!hasKvm) sayMissing("the line of this host under KVM's enforce", 'a KVM that starts guests');

test.after(async () => {
  await libvirt?.end();
});

const live = (isThere: boolean) => (isThere ? test : test.skip);

live(libvirt !== null)('libvirt starts every name that a definition can carry', async () => {
  const stack = parseStack(catalog, `libvirt@${LIBVIRT},qemu@${QEMU}`);
  const namer = namerOf(catalog, stack);
  const tcg = tcgRow(catalog, QEMU!);
  const names = namer.names('libvirt');
  const refused = await each(names, async (name) => {
    const map = catalog.libvirtFeatures(name.name, LIBVIRT!)!;
    // By default plain emulation leaves out what it could emulate, too.
    const given = minus(tcg, catalog.accelerators.tcg.off);
    const off = minus(join(name.ever, map), given);
    const features = catalog
      .names(off)
      .flatMap((f) => catalog.feature(f).libvirt ?? [])
      .filter(({ since }) => catalog.isSince('libvirt', LIBVIRT!, since))
      .map((f) => ({ name: f.name, policy: 'disable' as const }));
    const element = writeLibvirtCpu({
      ...UNSAID,
      check: 'partial',
      fallback: 'forbid',
      model: name.name,
      features,
    });
    const domain = `given-${name.name}`;
    // A 486 has no interrupt controller for what q35 puts on its bus.
    const xml = `<domain type='qemu'><name>${domain}</name><memory>65536</memory><os><type arch='x86_64' machine='pc-i440fx-${QEMU}'>hvm</type></os>${element}<devices><controller type='usb' model='none'/><memballoon model='none'/></devices></domain>`;
    const { status, stderr } = await libvirt!.ask('create', '--paused', libvirt!.file(xml));
    if (status === 0) await libvirt!.ask('destroy', domain);
    return status === 0 ? null : `${name.name}: ${stderr.trim()}`;
  });
  console.log(`given: ${names.length} names started by libvirt ${LIBVIRT}`);
  assert.ok(names.length > 50);
  assert.ok(names.some(({ name }) => name === 'Cascadelake-Server-noTSX'));
  assert.equal(
    refused.filter((r) => r !== null),
    [],
  );
});

live(hasQemu)('QEMU makes of every name what pin says', async () => {
  const stack = parseStack(catalog, `qemu@${QEMU}`);
  const namer = namerOf(catalog, stack);
  const machine = `pc-q35-${QEMU}`;
  const own = namer.names('qemu').map(({ name }) => name);
  const ofLibvirt = namer.names('libvirt').map(({ name }) => name);
  const names = [...new Set([...own, ...ofLibvirt])];
  const expansions = await askExpansions(
    COMMAND,
    machine,
    names.map((name) => ({ name })),
  );
  for (const [i, name] of names.entries()) {
    const props = expansions[i]! as Record<string, unknown>;
    const { features } = pin(catalog, name, { machine, qemu: QEMU!, accelerator: 'tcg' });
    const live = catalog.features
      .filter((f) => catalog.hasQemuFeature(f, QEMU!) && props[f.name] === true)
      .map((f) => f.name);
    assert.equal(live.sort(), [...features].sort(), name);
  }
  console.log(`given: ${names.length} names expanded by QEMU ${QEMU}`);
  assert.ok(names.length > 90);
});

live(hasKvm)('the line of this host starts under KVM with enforce', async () => {
  const off = await whatHostNeeds(COMMAND, catalog, QEMU!);
  const props = Object.fromEntries(off.map((name) => [name, false]));
  const { text } = await recordSession(COMMAND, 'kvm', [
    ['query-kvm'],
    ['query-cpu-model-expansion', { type: 'full', model: { name: 'host', props } }],
    ['query-cpu-definitions'],
  ]);
  const fleet = await readFleet(
    catalog,
    [{ name: 'host.qmp', bytes: new TextEncoder().encode(text) }],
    {},
  );
  const answer = baseline(fleet, { stack: parseStack(catalog, `qemu@${QEMU}`) });
  const line = dialectByName('qemu')!.write!(guestCpu(answer, catalog, fleet), catalog);
  const cpu = /^-cpu (\S+)\n$/.exec(line)![1]!;
  for (const machine of [`pc-q35-${QEMU}`, `pc-i440fx-${QEMU}`, 'pc-q35-2.12']) {
    const outcome = await started(COMMAND, 'kvm', machine, cpu);
    assert.equal(outcome, { starts: true, without: [] }, `${machine} -cpu ${cpu}`);
  }
  console.log(`given: -cpu ${cpu} starts under KVM`);
});

test.run();
