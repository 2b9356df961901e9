// What plimsoll emits for QEMU, started by the real one: a guest is asked for exactly the features of the answer.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bitsOf, join, minus, type Row, rowOf } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { machinesOf } from '../../src/cpu/machine.ts';
import { expandCpu } from '../../src/cpu/start.ts';
import { emitted } from '../support/definitions.ts';
import { sayMissing } from '../support/places.ts';
import { draws, seed } from '../support/property.ts';
import { qemuVersion, readCpu } from '../support/qemu.ts';
import { pick, random } from '../support/random.ts';
import { featuresOfWords, type Word } from '../support/words.ts';

const COMMAND = ['qemu-system-x86_64'];
const fleets = draws(300);

const test = suite('live QEMU proves');
const catalog = await loadCatalog();
const version = qemuVersion(COMMAND);
const known = version !== null && catalog.versions.qemu.includes(version);
if (!known) sayMissing('what is emitted for QEMU', 'a QEMU that the catalog knows');
const live = known ? test : test.skip;

const featuresOf = (words: unknown) => featuresOfWords(catalog, words as Word[]);

const both = (a: Row, b: Row): Row => minus(a, minus(a, b));

/** That two rows have the same features, or which they differ in. */
function same(found: Row, expected: Row, where: string): void {
  assert.equal(
    { more: catalog.names(minus(found, expected)), less: catalog.names(minus(expected, found)) },
    { more: [], less: [] },
    where,
  );
}

// What differs between tcg and kvm: the accelerators' own switches, and what goes with them.
const switched = (() => {
  const { kvm, tcg } = catalog.accelerators;
  const ids = new Set([kvm.on, kvm.off, tcg.on, tcg.off].flatMap(bitsOf));
  const kvmWord = catalog.features.filter((f) =>
    f.places.some((p) => p.kind === 'cpuid' && p.leaf === 0x40000001),
  );
  const dependents = catalog.features.filter((f) =>
    f.needs.some((group) => group.every((id) => ids.has(id))),
  );
  return rowOf(catalog.bits, [...ids, ...[...kvmWord, ...dependents].map((f) => f.id)]);
})();
const neverCompared = rowOf(
  catalog.bits,
  catalog.features.filter((f) => f.merge === 'never' || f.merge === 'equal').map((f) => f.id),
);

/** Machine types on which KVM's switches were others: svm stayed on, x2apic off. */
const isBefore22 = (machine: string): boolean => /-(1\.\d+|2\.[01])$/.test(machine);
const isUpTo31 = (machine: string): boolean => /-(1\.\d+|2\.\d+|3\.[01])$/.test(machine);

live(
  `every definition of the demo fleet and of ${fleets} random fleets (seed ${seed})`,
  async () => {
    const next = random(seed);
    const all = await emitted(catalog, `libvirt@9.0,qemu@${version}`, fleets, seed);
    const machines = machinesOf(catalog, version!)
      .map((m) => m.name)
      .filter((name) => /^pc-/.test(name));
    const newest = machines.filter((name) => name.startsWith('pc-q35')).at(-1)!;
    assert.ok(all.length >= Math.min(fleets, 40), `${all.length} definitions`);
    let starts = 0;
    for (const { from, qemu, answer } of all) {
      const cpu = qemu.replace(',enforce', '');
      for (const machine of [newest, pick(next, machines)]) {
        const where = `-machine ${machine} -cpu '${cpu}' for ${from}`;
        const found = await readCpu(
          COMMAND,
          ['-machine', `${machine},accel=tcg`, '-cpu', cpu],
          ['feature-words', 'filtered-features'],
        );
        if ('refused' in found) throw new Error(`QEMU refuses ${where}: ${found.refused}`);
        starts++;
        const words = featuresOf(found.properties['feature-words']);
        const filtered = featuresOf(found.properties['filtered-features']);
        const asked = join(words.on, filtered.on);

        const model = (accelerator: 'kvm' | 'tcg') => {
          const { features, orphaned } = expandCpu(catalog, cpu, {
            machine,
            qemu: version!,
            accelerator,
          });
          // Up to 3.1, leaf 0x14 must be asked for beside intel-pt: no name of a feature can do that.
          const leafless = isUpTo31(machine) ? ['intel-pt'] : [];
          same(minus(orphaned, catalog.row(leafless)), catalog.row([]), where);
          return join(features, orphaned);
        };
        same(asked, both(model('tcg'), words.all), where);
        // The answer's promise holds but for what tcg switches, which the model of kvm must then make good.
        const outside = join(switched, neverCompared);
        const promised = catalog.row(answer.features);
        same(minus(asked, outside), minus(both(promised, words.all), outside), where);
        if (!isBefore22(machine)) same(minus(model('kvm'), neverCompared), promised, where);
      }
    }
    console.log(
      `qemu-proof: ${all.length} definitions, ${starts} starts, QEMU ${version}, seed ${seed}`,
    );
  },
);

live(`enforce refuses only what tcg cannot give (seed ${seed})`, async () => {
  const all = await emitted(catalog, `libvirt@9.0,qemu@${version}`, fleets, seed);
  let refusals = 0;
  for (const { from, qemu } of all) {
    const found = await readCpu(
      COMMAND,
      ['-machine', 'q35,accel=tcg', '-cpu', qemu],
      ['feature-words'],
    );
    if (!('refused' in found)) continue;
    refusals++;
    const lines = found.refused.split('\n').filter((line) => line.trim() !== '');
    const allowed =
      /TCG doesn't support requested feature: |TCG doesn't support requested features$/;
    assert.equal(
      lines.filter((line) => !allowed.test(line)),
      [],
      `-cpu ${qemu} for ${from}`,
    );
  }
  console.log(
    `qemu-proof: ${refusals} of ${all.length} refused by enforce, each for what tcg lacks`,
  );
});

live('a definition that asks for too little or too much is noticed', async () => {
  // The check itself must be able to fail: the same comparison with one word changed.
  const [{ qemu, answer }] = (await emitted(catalog, `libvirt@9.0,qemu@${version}`, 0, seed)) as [
    Awaited<ReturnType<typeof emitted>>[number],
  ];
  const cpu = `${qemu.replace(',enforce', '')},sse4.2=off`;
  const found = await readCpu(
    COMMAND,
    ['-machine', 'q35,accel=tcg', '-cpu', cpu],
    ['feature-words', 'filtered-features'],
  );
  if ('refused' in found) throw new Error(found.refused);
  const asked = join(
    featuresOf(found.properties['feature-words']).on,
    featuresOf(found.properties['filtered-features']).on,
  );
  const lacking = minus(catalog.row(answer.features), asked);
  assert.ok(bitsOf(lacking).includes(catalog.feature('sse4.2').id));
});

test.run();
