// What plimsoll emits for libvirt, given to the real one: its names are understood as we mean them, and the domain
// that starts with it asks QEMU for exactly the features of the answer.
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bitsOf, emptyRow, hasBit, isCovered, minus, type Row, size } from '../../src/core/rows.ts';
import { tcgRow } from '../../src/cpu/accelerators.ts';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { machinesOf } from '../../src/cpu/machine.ts';
import { emitted } from '../support/definitions.ts';
import { Libvirt, virshVersion } from '../support/libvirtd.ts';
import { sayMissing } from '../support/places.ts';
import { draws, seed } from '../support/property.ts';
import { qemuVersion } from '../support/qemu.ts';
import { pick, random } from '../support/random.ts';
import { featuresOfWords, type Word } from '../support/words.ts';

const fleets = draws(300);
const starts = draws(40);
const LIBVIRT = virshVersion();
const QEMU = qemuVersion(['qemu-system-x86_64']);

const test = suite('live libvirt proves');
const catalog = await loadCatalog();
const known =
  LIBVIRT !== null &&
  catalog.versions.libvirt.includes(LIBVIRT) &&
  QEMU !== null &&
  catalog.versions.qemu.includes(QEMU);
const libvirt = known ? await Libvirt.start() : null;
if (!libvirt)
  sayMissing('what is emitted for libvirt', 'a libvirtd and a QEMU that the catalog knows');
const live = libvirt ? test : test.skip;
const all = libvirt ? await emitted(catalog, `libvirt@${LIBVIRT},qemu@${QEMU}`, fleets, seed) : [];

test.after(async () => {
  await libvirt?.end();
});

/** Feature names of an answer of virsh, by policy; a host's have none. */
function policies(xml: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const [tag] of xml.matchAll(/<feature [^>]*>/g))
    found.set(/name='([^']*)'/.exec(tag)![1]!, /policy='([^']*)'/.exec(tag)?.[1] ?? 'require');
  return found;
}

const nameable = emptyRow(catalog.bits);
if (LIBVIRT)
  for (const id of catalog.libvirtFeatureOrder(LIBVIRT)) nameable[id >> 5]! |= 1 << (id & 31);
const libvirtName = (id: number): string => catalog.features[id]!.libvirt!.name;

/** The features of an answer as a host CPU: the biggest model that is all in them, and the rest by name. */
function asHost(vendor: string | null, features: Row): string {
  const models = [...catalog.libvirtModels.keys()]
    .flatMap((name) => catalog.libvirtModel(name, LIBVIRT!) ?? [])
    .filter((m) => (m.vendor === null || m.vendor === vendor) && isCovered(m.features, features));
  const model = models.reduce((a, b) => (size(b.features) > size(a.features) ? b : a));
  const rest = bitsOf(minus(features, model.features)).map(libvirtName).sort();
  return [
    `<cpu><arch>x86_64</arch><model>${model.name}</model><vendor>${vendor}</vendor>`,
    ...rest.map((name) => `<feature name='${name}'/>`),
    '</cpu>',
  ].join('\n');
}

live(`cpu-baseline gives each of the CPUs back, of ${fleets} random fleets (seed ${seed})`, () => {
  for (const { from, answer } of all) {
    const features = catalog.row(answer.features);
    const named = minus(features, minus(features, nameable));
    const file = libvirt!.file(asHost(answer.vendor, named));
    const { status, stdout, stderr } = libvirt!.virsh('cpu-baseline', file, '--features');
    assert.equal([status, stderr.trim()], [0, ''], from);
    const model = /<model[^>]*>([^<]*)/.exec(stdout)![1]!;
    const removed = new Set(catalog.libvirtModel(model, LIBVIRT!)?.removed.map(libvirtName));
    const got = policies(stdout);
    const required = [...got].filter(([, policy]) => policy === 'require').map(([name]) => name);
    const expected = bitsOf(named).map(libvirtName);
    // Features that a model has lost are listed as disabled unless asked for.
    assert.equal(
      new Set(required.filter((name) => !removed.has(name))),
      new Set(expected.filter((name) => !removed.has(name))),
      `${model} for ${from}`,
    );
    for (const [name, policy] of got)
      if (policy !== 'require')
        assert.not(expected.includes(name) && !removed.has(name), `${name} of ${from}`);
  }
  assert.ok(all.length >= Math.min(fleets, 40), `${all.length} definitions`);
});

const hostBits = Number(
  /(\d+) bits physical/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 40,
);
/** No domain may have more address bits than the machine that it is tried on. */
const narrowed = (cpu: string): string =>
  cpu.replace(/bits='(\d+)'/, (_, bits) => `bits='${Math.min(Number(bits), hostBits)}'`);

const domain = (machine: string, cpu: string): string => `<domain type='qemu'>
  <name>proof</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='${machine}'>hvm</type></os>
  ${narrowed(cpu)}
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator><controller type='usb' model='none'/><memballoon model='none'/></devices>
</domain>`;

/** What a started domain asks QEMU for, by CPUID words. */
function askedOf(name: string): { asked: Row; all: Row } {
  const ask = (execute: string, args?: object) => {
    const command = JSON.stringify(args ? { execute, arguments: args } : { execute });
    const { status, stdout, stderr } = libvirt!.virsh('qemu-monitor-command', name, command);
    assert.is(status, 0, stderr);
    return JSON.parse(stdout).return;
  };
  const path = ask('query-cpus-fast')[0]['qom-path'];
  const words = (property: string): Word[] => ask('qom-get', { path, property });
  const on = featuresOfWords(catalog, words('feature-words'));
  const filtered = featuresOfWords(catalog, words('filtered-features'));
  return { asked: on.on.map((word, i) => word | filtered.on[i]!), all: on.all };
}

live(
  `a domain with ${starts} of them starts paused, or lacks only what tcg lacks (seed ${seed})`,
  () => {
    const next = random(seed);
    const machines = machinesOf(catalog, QEMU!)
      .map((m) => m.name)
      .filter((name) => /^pc-/.test(name) && !/-(1\.\d+|2\.[0-3])$/.test(name));
    const tcg = tcgRow(catalog, QEMU!);
    const { kvm } = catalog.accelerators;
    const left = new Set([
      ...bitsOf(kvm.on),
      ...bitsOf(kvm.off),
      ...bitsOf(catalog.accelerators.tcg.off),
      ...catalog.features
        .filter((f) => f.merge === 'never' || f.merge === 'equal')
        .map((f) => f.id),
      ...catalog.features
        .filter((f) => f.needs.some((group) => group.every((id) => hasBit(kvm.off, id))))
        .map((f) => f.id),
    ]);
    let whole = 0;
    // The demo fleet's own first, then as many as there is time for.
    const shuffled = all
      .slice(2)
      .map((one) => ({ one, key: next() }))
      .sort((a, b) => a.key - b.key);
    const tried = [...all.slice(0, 2), ...shuffled.map(({ one }) => one)].slice(0, starts);
    for (const { from, libvirt: xml, answer } of tried) {
      const machine = pick(next, machines);
      const where = `${machine} ${xml.replace(/\n\s*/g, '')} for ${from}`;
      // The processor that tcg makes up is AMD's; a model without a vendor is not held against it.
      const anyone = xml.replace(/ *<vendor>.*\n/, '');
      const created = libvirt!.virsh('create', '--paused', libvirt!.file(domain(machine, anyone)));
      if (created.status === 0) {
        whole++;
        libvirt!.virsh('destroy', 'proof');
      } else {
        const named = /does not provide required features: (.*)/.exec(created.stderr)?.[1];
        assert.ok(named, `${created.stderr.trim()} ${where}`);
        const beyond = named!
          .split(', ')
          .filter((name) => hasBit(tcg, catalog.findLibvirt(name.trim())!.id));
        assert.equal(beyond, [], `tcg has them: ${where}`);
      }
      // Without libvirt's own check QEMU is started with all of it, and asked what it was asked for.
      const unchecked = domain(machine, xml.replace("check='partial'", "check='none'"));
      const started = libvirt!.virsh('create', '--paused', libvirt!.file(unchecked));
      assert.is(started.status, 0, `${started.stderr.trim()} ${where}`);
      const { asked, all: readable } = askedOf('proof');
      libvirt!.virsh('destroy', 'proof');
      const visible = (row: Row) =>
        bitsOf(row).filter((id) => hasBit(readable, id) && !left.has(id));
      const names = (ids: number[]) => ids.map((id) => catalog.features[id]!.name).sort();
      assert.equal(names(visible(asked)), names(visible(catalog.row(answer.features))), where);
    }
    console.log(
      `libvirt-proof: ${tried.length} of ${all.length} definitions, ${whole} start as they are, the rest lack what tcg lacks; libvirt ${LIBVIRT}, seed ${seed}`,
    );
  },
);

test.run();
