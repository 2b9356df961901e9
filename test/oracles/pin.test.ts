// Pinned CPUs, started for real on every pc machine type: the first CPU object read back is the same on all of them.
// What each definition means is asked on every machine type, in one process; the starts are a seeded sample of the
// machine types. PLIMSOLL_QEMU names further binaries (a command line each, by ;).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { parseCpuString } from '../../src/cpu/cpu-string.ts';
import { machinesOf } from '../../src/cpu/qemu/machine.ts';
import { propertiesOf } from '../../src/cpu/qemu/properties.ts';
import { cpuArgument, writeReadconfig } from '../../src/dialects/pinned.ts';
import { pin } from '../../src/solve/pin.ts';
import { draws, seed } from '../support/property.ts';
import { askExpansions, each, qemuVersion, readCpu } from '../support/qemu.ts';
import { pick, type Random, random } from '../support/random.ts';

const catalog = await loadCatalog();
const commands = ['qemu-system-x86_64', ...(process.env.PLIMSOLL_QEMU?.split(';') ?? [])].map((c) =>
  c.trim().split(/\s+/),
);
/** What to pin, and the machine type to take it from: the one where it differs most from the newest. */
const GUESTS = [
  ['Conroe', 'old'],
  ['Nehalem', 'old'],
  ['Westmere,+vmx', 'old'],
  ['SandyBridge', 'old'],
  ['Haswell', 'old'],
  ['Skylake-Server,+pcid,mpx=off', 'middle'],
  ['Cascadelake-Server', 'middle'],
  ['Icelake-Server', 'middle'],
  ['Opteron_G3', 'old'],
  ['EPYC,+svm', 'middle'],
  ['EPYC-Milan', 'new'],
  ['EPYC-Genoa', 'new'],
  ['qemu64,model-id=My CPU', 'old'],
] as const;
/** On how many machine types each guest starts with its -readconfig, and with its -cpu. */
const BESIDE = draws(24);
const ALONE = draws(8);
const test = suite('pin, live');
const folder = mkdtempSync(join(tmpdir(), 'plimsoll-pin-'));
test.after(() => rmSync(folder, { recursive: true }));

for (const command of commands) {
  const version = qemuVersion(command);
  if (version === null || !catalog.versions.qemu.includes(version)) {
    const why = version === null ? 'it does not answer' : `QEMU ${version} is not in the catalog`;
    console.log(`pin: skipped ${command.join(' ')}: ${why}`);
    continue;
  }
  const machines = machinesOf(catalog, version)
    .map((m) => m.name)
    .filter((name) => name.startsWith('pc-'));
  const from = {
    old: machines[0]!,
    middle: machines.find((m) => m === 'pc-q35-3.1')!,
    new: machines.at(-1)!,
  };
  const names = [
    ...catalog.features
      .filter((f) => f.qemu !== null && catalog.isSince('qemu', version, f.qemu))
      .map((f) => f.name),
    ...propertiesOf(catalog, version)
      .filter((p) => p.type !== 'fixed' && p.of !== 'max' && p.of !== 'vcpu')
      .map((p) => p.name),
    'unavailable-features',
  ];
  test(`QEMU ${version}: one guest on all ${machines.length} pc machine types (seed ${seed})`, async () => {
    const next = random(seed);
    const ends = [from.old, from.middle, from.new];
    const pins = GUESTS.filter(([cpu]) => catalog.hasQemuModel(cpu.split(',')[0]!, version)).map(
      ([cpu, age]) => {
        const where = { machine: from[age], qemu: version, accelerator: 'tcg' } as const;
        return { cpu, pinned: pin(catalog, cpu, where) };
      },
    );
    const asked = pins.flatMap(({ cpu, pinned }) => {
      const { model, items } = parseCpuString(cpu);
      const given = Object.fromEntries(
        items.map(({ how, name, value }) => [
          name,
          how === 'plus' ? true : value === 'off' ? false : value,
        ]),
      );
      return [
        { how: `free ${cpu}`, name: model, props: given },
        {
          how: `beside ${cpu}`,
          name: model,
          props: { ...Object.fromEntries(pinned.beside), ...given },
        },
        { how: `alone ${cpu}`, name: pinned.resolved, props: Object.fromEntries(pinned.alone) },
      ];
    });
    const meanings = await each(machines, async (machine) => {
      const answers = await askExpansions(
        command,
        machine,
        asked.map(({ name, props }) => ({ name, props })),
      );
      return new Map(
        answers.map((live, i): [string, unknown] => {
          const { how } = asked[i]!;
          assert.not.ok('refused' in live, `${how} on ${machine}: ${JSON.stringify(live)}`);
          return [how, names.map((name) => (live as Record<string, unknown>)[name])];
        }),
      );
    });
    for (const { cpu, pinned } of pins) {
      // A chroot has a file system of its own.
      const root = command[0] === 'chroot' ? command[1]! : '';
      const seen = root ? '/tmp/plimsoll-cpu.cfg' : join(folder, 'cpu.cfg');
      writeFileSync(join(root, seen), writeReadconfig(pinned.beside, 'test'));
      const distinct = async (on: readonly string[], args: readonly string[]) => {
        const read = await each(on, (m) =>
          readCpu(command, ['-machine', `${m},accel=tcg`, ...args], names),
        );
        return new Map(
          read.map((live, i): [string, string] => {
            assert.not.ok(
              'refused' in live,
              `${cpu} on ${on[i]}: ${JSON.stringify(live).slice(0, 300)}`,
            );
            return [JSON.stringify(live), on[i]!];
          }),
        );
      };
      const some = [...new Set([...ends, ...shuffled(next, machines)])];
      const beside = await distinct(some.slice(0, BESIDE), [...['-cpu', cpu, '-readconfig', seen]]);
      const alone = await distinct(some.slice(0, ALONE), [
        ...['-cpu', cpuArgument(pinned.resolved, pinned.alone)],
      ]);
      const meaning = (how: 'free' | 'beside' | 'alone') =>
        new Set(meanings.map((on) => JSON.stringify(on.get(`${how} ${cpu}`))));
      const free = meaning('free');
      console.log(
        `pin: QEMU ${version}: ${cpu}: ${free.size} different CPUs without the pin, ${beside.size} with -readconfig, ${alone.size} with -cpu`,
      );
      assert.is(meaning('beside').size, 1, `${cpu} beside, expanded`);
      assert.is(meaning('alone').size, 1, `${cpu} alone, expanded`);
      assert.is(beside.size, 1, `${cpu} beside: ${difference([...beside.keys()])}`);
      assert.is(alone.size, 1, `${cpu} alone: ${difference([...alone.keys()])}`);
      assert.equal(
        [...alone.keys()],
        [...beside.keys()],
        difference([...alone.keys(), ...beside.keys()]),
      );
      assert.ok(free.size > 1);
    }
  });
}

function shuffled(next: Random, items: readonly string[]): string[] {
  const left = [...items];
  return items.map(() => {
    const item = pick(next, left);
    left.splice(left.indexOf(item), 1);
    return item;
  });
}

/** The first properties in which two CPUs differ. */
function difference([a, b]: readonly string[]): string {
  if (a === undefined || b === undefined) return '';
  const [x, y] = [a, b].map((text) => JSON.parse(text).properties as Record<string, unknown>);
  const keys = Object.keys({ ...x, ...y }).filter(
    (k) => JSON.stringify(x![k]) !== JSON.stringify(y![k]),
  );
  return keys.map((k) => `${k}: ${JSON.stringify(x![k])} or ${JSON.stringify(y![k])}`).join('; ');
}

test.run();
