// Pinned CPUs, started for real on every pc machine type: the first CPU object read back is the same on all of them.
// PLIMSOLL_QEMU names further binaries (a command line each, separated by ;).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { machinesOf } from '../../src/cpu/machine.ts';
import { propertiesOf } from '../../src/cpu/properties.ts';
import { cpuArgument, writeReadconfig } from '../../src/dialects/pinned.ts';
import { pin } from '../../src/solve/pin.ts';
import { each, qemuVersion, readCpu } from '../support/qemu.ts';

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
    ...propertiesOf(version)
      .filter((p) => p.type !== 'fixed' && p.of !== 'max' && p.of !== 'vcpu')
      .map((p) => p.name),
    'unavailable-features',
  ];
  test(`QEMU ${version}: one guest on all ${machines.length} pc machine types`, async () => {
    for (const [cpu, age] of GUESTS) {
      if (!catalog.hasQemuModel(cpu.split(',')[0]!, version)) continue;
      const pinned = pin(catalog, cpu, { machine: from[age], qemu: version, accelerator: 'tcg' });
      // A chroot has a file system of its own.
      const root = command[0] === 'chroot' ? command[1]! : '';
      const seen = root ? '/tmp/plimsoll-cpu.cfg' : join(folder, 'cpu.cfg');
      writeFileSync(join(root, seen), writeReadconfig(pinned.beside, 'test'));
      const distinct = async (args: readonly string[]): Promise<Map<string, string>> => {
        const read = await each(machines, (m) =>
          readCpu(command, ['-machine', `${m},accel=tcg`, ...args], names),
        );
        return new Map(
          read.map((live, i): [string, string] => {
            assert.not.ok(
              'refused' in live,
              `${cpu} on ${machines[i]}: ${JSON.stringify(live).slice(0, 300)}`,
            );
            return [JSON.stringify(live), machines[i]!];
          }),
        );
      };
      const free = await distinct(['-cpu', cpu]);
      const beside = await distinct(['-cpu', cpu, '-readconfig', seen]);
      const alone = await distinct(['-cpu', cpuArgument(pinned.resolved, pinned.alone)]);
      console.log(
        `pin: QEMU ${version}: ${cpu}: ${free.size} different CPUs without the pin, ${beside.size} with -readconfig, ${alone.size} with -cpu`,
      );
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
