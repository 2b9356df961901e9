// Random -cpu strings on random machine types: what QEMU makes of them, shows and refuses is what we say. All are
// expanded, in one process a machine type, and some are started for real, those that are refused among them.
// PLIMSOLL_QEMU names further binaries (a command line each, separated by ;).
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { parseBoolean, parseCpuString } from '../../src/cpu/cpu-string.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import { parseValue } from '../../src/cpu/qemu/cpu-argument.ts';
import { type Expansion, expandItems, expandModel } from '../../src/cpu/qemu/expand.ts';
import { machinesOf } from '../../src/cpu/qemu/machine.ts';
import { findProperty, type PropertyValue, propertiesOf } from '../../src/cpu/qemu/properties.ts';
import { expandCpu, realizeTcg } from '../../src/cpu/qemu/qemu-start.ts';
import { draws, seed } from '../support/property.ts';
import { askExpansions, each, qemuVersion, readCpu } from '../support/qemu.ts';
import { pick, type Random, random } from '../support/random.ts';

const catalog = await loadCatalog();
const commands = ['qemu-system-x86_64', ...(process.env.PLIMSOLL_QEMU?.split(';') ?? [])].map((c) =>
  c.trim().split(/\s+/),
);
const sample = draws(1000);
/** Of the pairs how many are started, and how many of those at most because we say that QEMU refuses them. */
const STARTS = draws(160);
const REFUSALS = draws(60);
const VALUES: Record<string, readonly string[]> = {
  bool: ['on', 'off', 'yes', 'no'],
  auto: ['on', 'off', 'auto'],
  string: ['GenuineIntel', 'AuthenticAMD', 'HygonGenuine', 'My CPU'],
  number: ['0', '1', '7', '13', '0x24', '36', '39', '46', '010', '2999999'],
  wrong: ['', 'abc', '-1', '300', '1.5', '99999999999999999999', 'ON', 'GenuineIntel'],
};

function randomCpu(next: Random, qemu: string): string {
  const models = [...catalog.qemuModels.keys()].filter((name) => catalog.hasQemuModel(name, qemu));
  const spellings = catalog.features
    .filter((f) => f.qemu !== null && (next() < 0.1 || catalog.isSince('qemu', qemu, f.qemu)))
    .flatMap((f) => [f.name, ...f.aliases]);
  const properties = propertiesOf(catalog, qemu).filter((p) => p.of !== 'vcpu');
  const items = Array.from({ length: Math.floor(next() * 7) }, () => {
    const feature = pick(next, spellings);
    const spelt = next() < 0.02 ? feature.replaceAll('-', '_') : feature;
    const kind = next();
    if (kind < 0.3) return `+${spelt}`;
    if (kind < 0.5) return `-${spelt}`;
    if (kind < 0.75)
      return `${spelt}=${pick(next, ['on', 'off', 'on', 'off', 'yes', 'no', 'true', 'false', 'y', 'n'])}`;
    if (kind < 0.85) return spelt;
    const property = pick(next, properties);
    if (kind < 0.86) return `${pick(next, ['+', '-'])}${property.name}`;
    const values = next() < 0.05 ? VALUES.wrong! : (VALUES[property.type] ?? VALUES.number!);
    return `${property.name}=${pick(next, values)}`;
  });
  return [pick(next, models), ...items].join(',');
}

interface Pair {
  readonly machine: string;
  readonly cpu: string;
}

/** The properties that a -cpu argument sets, typed as QMP wants them, or null where only a start can tell. */
function typed(cpu: string, qemu: string): Record<string, PropertyValue> | null {
  const props: Record<string, PropertyValue> = {};
  const { items } = parseCpuString(cpu);
  for (const how of ['set', 'plus', 'minus'] as const)
    for (const { name, value } of items.filter((i) => i.how === how)) {
      const feature = catalog.findQemu(name);
      const property = findProperty(catalog, name, qemu);
      if (feature) props[feature.name] = how === 'set' ? parseBoolean(name, value) : how === 'plus';
      else if (property?.type === 'fixed' || property === undefined) return null;
      else props[property.name] = how === 'set' ? parseValue(property, value) : how === 'plus';
      // JSON has no number for it.
      if (property?.type === 'uint64' && typeof props[property.name] === 'string') return null;
    }
  return props;
}

const test = suite('live QEMU');
for (const command of commands) {
  const version = qemuVersion(command);
  if (version === null || !catalog.versions.qemu.includes(version)) {
    console.log(
      `expand: skipped ${command.join(' ')}: ${version === null ? 'it does not answer' : `QEMU ${version} is not in the catalog`}`,
    );
    continue;
  }
  test(`QEMU ${version}: every model on every machine type, as QMP expands it`, async () => {
    const models = [...catalog.qemuModels.keys()].filter((name) =>
      catalog.hasQemuModel(name, version),
    );
    const features = catalog.features
      .filter((f) => f.qemu !== null && catalog.isSince('qemu', version, f.qemu))
      .map((f) => f.name);
    const differences: string[] = [];
    let pairs = 0;
    const machines = machinesOf(catalog, version).map((m) => m.name);
    await each(
      machines.filter((name) => name !== 'x-remote'),
      async (machine) => {
        const asked = models.map((name) => ({ name }));
        const answers = await askExpansions(command, machine, asked);
        for (const [i, live] of answers.entries()) {
          pairs++;
          const where = { machine, qemu: version, accelerator: 'tcg' } as const;
          const { features: row, properties } = expandModel(catalog, models[i]!, {}, where);
          const said = live as Record<string, unknown>;
          const ours = new Set(catalog.names(row));
          const differs = [
            ...features.filter((name) => said[name] !== ours.has(name)),
            ...Object.keys(properties).filter(
              (name) =>
                // Of host alone, on 2.4 and older, and host cannot start under tcg.
                name !== 'host-cache-info' &&
                name in said &&
                String(said[name]) !== String(properties[name]),
            ),
          ];
          if ('refused' in live || differs.length > 0)
            differences.push(
              `${models[i]} on ${machine}: ${'refused' in live ? live.refused : differs.join(', ')}`,
            );
        }
      },
    );
    console.log(
      `expand: QEMU ${version}: ${pairs} pairs of model and machine type, ${differences.length} differences`,
    );
    assert.equal(differences.slice(0, 20), []);
  });
  test(`QEMU ${version}: ${sample} random pairs of machine type and -cpu string (seed ${seed})`, async () => {
    const next = random(seed);
    // none starts no CPU at all; x-remote is not in every build.
    const machines = machinesOf(catalog, version)
      .map((m) => m.name)
      .filter((name) => name !== 'x-remote' && name !== 'none');
    const features = catalog.features
      .filter((f) => f.qemu !== null && catalog.isSince('qemu', version, f.qemu))
      .map((f) => f.name);
    const numbers = propertiesOf(catalog, version)
      .filter((p) => p.type !== 'fixed' && p.of === undefined && p.name !== 'lbr-fmt')
      .map((p) => p.name);
    const differences: string[] = [];
    let refused = 0;
    let crowded = 0;
    const pairs: Pair[] = Array.from({ length: sample }, () => ({
      machine: pick(next, machines),
      cpu: randomCpu(next, version),
    }));
    const ours = new Map<Pair, Expansion | QueryError>(
      pairs.map((pair) => {
        try {
          const where = { machine: pair.machine, qemu: version, accelerator: 'tcg' } as const;
          return [pair, expandItems(catalog, parseCpuString(pair.cpu), where)];
        } catch (error) {
          if (!(error instanceof QueryError)) throw error;
          return [pair, error];
        }
      }),
    );
    const taken = pairs.filter((pair) => !(ours.get(pair) instanceof QueryError));
    let expanded = 0;
    await each([...new Set(taken.map((p) => p.machine))], async (machine) => {
      const asked = taken.flatMap((pair) => {
        const props = pair.machine === machine ? typed(pair.cpu, version) : null;
        return props ? [{ pair, name: parseCpuString(pair.cpu).model, props }] : [];
      });
      const answers = await askExpansions(
        command,
        machine,
        asked.map(({ name, props }) => ({ name, props })),
      );
      for (const [i, live] of answers.entries()) {
        expanded++;
        const { pair } = asked[i]!;
        const expansion = ours.get(pair) as Expansion;
        const has = new Set(catalog.names(expansion.features));
        const said = live as Record<string, unknown>;
        const differs = [
          ...features.filter((name) => said[name] !== has.has(name)),
          ...numbers.filter((name) => String(said[name]) !== String(expansion.properties[name])),
        ];
        if ('refused' in live || differs.length > 0)
          differences.push(
            `${machine} -cpu '${pair.cpu}' expanded: ${'refused' in live ? live.refused : differs.map((name) => `${name} is ${said[name]}`)}`,
          );
      }
    });
    const refusals = pairs.filter((pair) => ours.get(pair) instanceof QueryError);
    const chosen = refusals.slice(0, REFUSALS);
    const started = [...chosen, ...taken.slice(0, STARTS - chosen.length)];
    await each(started, async ({ machine, cpu }) => {
      const live = await readCpu(
        command,
        ['-machine', `${machine},accel=tcg`, '-cpu', cpu],
        [...features, ...numbers, 'unavailable-features'],
      );
      const differ = (what: string) => differences.push(`${machine} -cpu '${cpu}': ${what}`);
      try {
        const expansion = expandCpu(catalog, cpu, { machine, qemu: version, accelerator: 'tcg' });
        if ('refused' in live) {
          // With so few address bits the machine has no room for its own devices: no matter of the CPU.
          if (live.refused.includes('Address space limit')) crowded++;
          else differ(`QEMU refuses: ${live.refused.split('\n').at(-1)}`);
          return;
        }
        const { exposed, unavailable, properties } = realizeTcg(catalog, expansion);
        const has = new Set(catalog.names(exposed));
        for (const name of features)
          if (live.properties[name] !== has.has(name))
            differ(`${name} is ${live.properties[name]}, ours ${has.has(name)}`);
        const missing = new Set(
          (live.properties['unavailable-features'] as string[]).filter((name) => name !== ''),
        );
        const oursMissing = catalog.names(unavailable);
        for (const name of oursMissing)
          if (!missing.delete(name)) differ(`${name} is not unavailable`);
        for (const name of missing) differ(`${name} is unavailable`);
        for (const name of numbers)
          if (String(live.properties[name]) !== String(properties[name]))
            differ(`${name} is ${live.properties[name]}, ours ${properties[name]}`);
      } catch (error) {
        if (!(error instanceof QueryError)) throw error;
        refused++;
        if (!('refused' in live)) differ(`QEMU takes it, ours: ${error.message}`);
      }
    });
    console.log(
      `expand: QEMU ${version}: ${sample} pairs, ${expanded} expanded and ${started.length} started, of these ${refused} refused by both, ${crowded} by the machine; ${differences.length} differences`,
    );
    assert.equal(differences.slice(0, 20), []);
    assert.ok(expanded > sample / 2 && refused > 0 && refused < started.length);
  });
}
test.run();
