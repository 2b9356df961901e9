// A QEMU that is asked itself says what the catalog says of its version, whatever name, machine type and accelerator.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog, loadCatalogWith } from '../../src/cpu/catalog.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import type { Surroundings } from '../../src/cpu/expand.ts';
import type { LearntQemu } from '../../src/cpu/learnt.ts';
import { machinesOf } from '../../src/cpu/machine.ts';
import type { Accelerator } from '../../src/cpu/qemu.ts';
import { expandCpu } from '../../src/cpu/start.ts';
import { cpuArgument } from '../../src/dialects/pinned.ts';
import { guestProperties } from '../../src/solve/changes.ts';
import { pin } from '../../src/solve/pin.ts';
import { ROOT } from '../support/places.ts';
import { evenly, seed } from '../support/property.ts';
import { qemuVersion } from '../support/qemu.ts';
import { pick, random } from '../support/random.ts';

const BINARY = process.env.PLIMSOLL_LEARN ?? 'qemu-system-x86_64';
const TIMEOUT_MS = 240_000;
const PINS = 400;
/** On how many machine types every model is compared; the nightly run takes all of them. */
const MACHINES = 24;
const test = suite('learn, live');
const catalog = await loadCatalog();
const version = qemuVersion([BINARY]);

if (version === null || !catalog.versions.qemu.includes(version)) {
  console.log(`learn: skipped: ${BINARY} is no QEMU of the catalog`);
  test.skip('QEMU', () => {});
} else
  test(`QEMU ${version} as it was learnt and as the catalog has it (seed ${seed})`, async () => {
    const learnt = learn(BINARY);
    const own = await loadCatalogWith([learnt]);
    const accelerators = ['tcg', 'kvm'] as const;
    const machines = machinesOf(own, learnt.version).map((m) => m.name);
    assert.equal(
      machinesOf(catalog, version)
        .map((m) => m.name)
        .filter((name) => !machines.includes(name) && name !== 'x-remote'),
      [],
    );
    const models = learnt.models.map((m) => m.name).filter((name) => name !== 'host');
    assert.equal(
      models.filter((name) => !catalog.hasQemuModel(name, version)),
      [],
    );
    const differences: string[] = [];
    const meaning = (from: typeof catalog, cpu: string, where: Surroundings) => {
      const e = expandCpu(from, cpu, where);
      const { cache: _, ...properties } = guestProperties(from, e);
      return {
        resolved: e.resolved,
        ...Object.fromEntries(from.names(e.features).map((name) => [name, true])),
        ...properties,
      };
    };
    const compare = (cpu: string, machine: string, accelerator: Accelerator) => {
      const a = said(() => meaning(catalog, cpu, { machine, qemu: version, accelerator }));
      const b = said(() => meaning(own, cpu, { machine, qemu: learnt.version, accelerator }));
      const differing = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(
        (key) => a[key] !== b[key],
      );
      if (differing.length > 0)
        differences.push(
          `${cpu} on ${machine}, ${accelerator}: ${differing.map((key) => `${key} ${a[key]} or ${b[key]}`)}`,
        );
    };
    let pairs = 0;
    const asked = machines.filter((name) => name !== 'x-remote');
    for (const machine of evenly(asked, MACHINES))
      for (const model of models) {
        pairs++;
        for (const accelerator of accelerators) {
          // max means nothing without a host.
          if (model === 'max' && accelerator === 'kvm') continue;
          compare(model, machine, accelerator);
        }
        // What was latent shows.
        compare(`${model},+vmx,+svm,+vmx-ept,+vmx-secondary-ctls`, machine, 'tcg');
      }
    console.log(
      `learn: QEMU ${learnt.version}: ${pairs} pairs of model and machine type, ${differences.length} differences`,
    );
    assert.equal(differences.slice(0, 20), []);

    const next = random(seed);
    for (let i = 0; i < PINS; i++) {
      const machine = pick(
        next,
        machines.filter((name) => name !== 'x-remote'),
      );
      const cpu = pick(
        next,
        models.filter((name) => name !== 'max'),
      );
      const accelerator = pick(next, accelerators);
      const [a, b] = [
        pin(catalog, cpu, { machine, qemu: version, accelerator }),
        pin(own, cpu, { machine, qemu: learnt.version, accelerator }),
      ];
      assert.equal(b.beside, a.beside, `${cpu} on ${machine}, ${accelerator}: beside`);
      assert.equal([b.features, b.properties], [a.features, a.properties], cpu);
      // What one of them says beyond the other says nothing new.
      const effect = ({ resolved, alone }: typeof a) =>
        meaning(catalog, cpuArgument(resolved, alone), { machine, qemu: version, accelerator });
      assert.equal(effect(b), effect(a), `${cpu} on ${machine}, ${accelerator}: alone`);
    }
  });

/** What the command learns, and that it does not ask a second time. */
function learn(binary: string): LearntQemu {
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-learn-'));
  const file = join(folder, 'qemu.json');
  const run = (): string => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(ROOT, 'dist/bin.js'), 'learn', '--qemu', binary, '-o', file],
      { encoding: 'utf8', timeout: TIMEOUT_MS },
    );
    assert.equal([status, stdout], [0, ''], stderr);
    return stderr;
  };
  try {
    assert.not.match(run(), /already/);
    const text = readFileSync(file, 'utf8');
    assert.match(run(), /has them already/);
    assert.is(readFileSync(file, 'utf8'), text);
    return JSON.parse(text).qemu;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What it gives, or why it refuses. */
function said(make: () => Record<string, unknown>): Record<string, unknown> {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return { refused: error.message.replace(/QEMU \d+(\.\d+)+/, 'QEMU') };
  }
}

test.run();
