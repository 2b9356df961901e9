// Guests on hosts as QEMU itself sees both: a host offers what QEMU exposes under its model, a guest runs there when
// QEMU has all that it asks for (unavailable-features) and exposes no more than the host has.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { join, minus } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { needing } from '../../src/cpu/need.ts';
import { expandCpu } from '../../src/cpu/start.ts';
import { asking } from '../../src/solve/fit.ts';
import { place } from '../../src/solve/place.ts';
import { fleetOf } from '../support/hosts.ts';
import { draws, seed } from '../support/property.ts';
import { qemuVersion, readCpu } from '../support/qemu.ts';
import { pick, random } from '../support/random.ts';

const command = ['qemu-system-x86_64'];
const HOSTS = 10;
const GUESTS = draws(30);
const MACHINE = 'pc-q35-7.2';

const catalog = await loadCatalog();
const version = qemuVersion(command);
const test = suite('place, live QEMU');

if (version !== '7.2')
  console.error(`skipped: place against QEMU: QEMU 7.2 is not there (${version})`);
else
  test('a guest runs where QEMU finds all that it asks for, and lacks there what QEMU lacks', async () => {
    const next = random(seed);
    const names = catalog.features
      .filter((f) => f.qemu !== null && catalog.isSince('qemu', version, f.qemu))
      .map((f) => f.name);
    const uncounted = new Set(
      catalog.features.filter((f) => f.merge === 'never' || f.merge === 'equal').map((f) => f.name),
    );
    /** What QEMU exposes of a -cpu argument, and what it says that it lacks of it. */
    const start = async (cpu: string) => {
      const args = ['-machine', `${MACHINE},accel=tcg`, '-cpu', cpu];
      const read = await readCpu(command, args, [...names, 'unavailable-features']);
      if ('refused' in read) throw new Error(`${cpu}: ${read.refused}`);
      const unavailable = read.properties['unavailable-features'] as string[];
      return {
        exposed: new Set(names.filter((name) => read.properties[name] === true)),
        unavailable: new Set(unavailable.map((name) => catalog.findQemu(name)!.name)),
      };
    };
    const models = [...catalog.qemuModels.values()]
      .filter((m) => m.kind === 'versioned' && catalog.hasQemuModel(m.name, version))
      .map((m) => m.name);
    const hosts: { id: string; exposed: ReadonlySet<string> }[] = [];
    for (const model of ['max', ...Array.from({ length: HOSTS - 1 }, () => pick(next, models))])
      if (!hosts.some((h) => h.id === model))
        hosts.push({ id: model, exposed: (await start(model)).exposed });
    const fleet = fleetOf(
      catalog,
      hosts.map(({ id, exposed }) => ({ id, features: [...exposed] })),
    );
    let pairs = 0;
    let homes = 0;
    for (let i = 0; i < GUESTS; i++) {
      // Older models, and some with the features taken away that TCG does not have: others run nowhere.
      const model = pick(next, models);
      const first = await start(model);
      const off = next() < 0.7 ? [...first.unavailable].map((name) => `${name}=off`) : [];
      const cpu = [model, ...off].join(',');
      const guest = off.length > 0 ? await start(cpu) : first;
      const asked = expandCpu(catalog, cpu, {
        machine: MACHINE,
        qemu: version,
        accelerator: 'tcg',
      });
      const features = minus(join(asked.features, asked.orphaned), catalog.row([...uncounted]));
      const need = needing(catalog.row([]), { arch: 'x86_64', features });
      const [placed] = place(fleet, [{ id: cpu, asks: asking(need) }]).guests;
      for (const host of hosts) {
        pairs++;
        const counted = (set: ReadonlySet<string>) => [...set].filter((f) => !uncounted.has(f));
        const lacking = [
          ...counted(guest.unavailable),
          ...counted(guest.exposed).filter((f) => !host.exposed.has(f)),
        ].sort();
        const runs = lacking.length === 0;
        if (runs) homes++;
        assert.is(placed!.hosts.includes(host.id), runs, `${cpu} on ${host.id}: ${lacking.join()}`);
        const missing = placed!.missing.find((m) => m.hosts.includes(host.id));
        assert.equal(missing?.features ?? [], lacking, `${cpu} on ${host.id}`);
      }
    }
    console.log(`place: ${pairs} guests on hosts agree with QEMU ${version}, ${homes} of them run`);
    assert.ok(homes > 0 && homes < pairs);
  });

test.run();
