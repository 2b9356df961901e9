// Does it run here: guests that are drawn near the truth, started by the real QEMU under KVM and under plain emulation,
// and what place says of each. A guest starts whole where place says that it runs, and nowhere else.
// PLIMSOLL_QEMU names further binaries (a command line each, by ;).
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { machinesOf } from '../../src/cpu/machine.ts';
import { type DrawnCpu, drawCpus, type Ground, namesOfQemu } from '../support/drawn-cpus.ts';
import { sayMissing } from '../support/places.ts';
import { draws, seed } from '../support/property.ts';
import { each, qemuVersion, recordSession } from '../support/qemu.ts';
import { random } from '../support/random.ts';
import { started, startsKvm, whatHostNeeds } from '../support/started.ts';
import { type Drawn, prove } from '../support/verdicts.ts';

const count = draws(300);

const test = suite('what starts');
const catalog = await loadCatalog();
const qemus = ['qemu-system-x86_64', ...(process.env.PLIMSOLL_QEMU?.split(';') ?? [])]
  .map((text) => text.split(' '))
  .map((command) => ({ command, version: qemuVersion(command) }))
  .filter(({ version }) => version !== null && catalog.versions.qemu.includes(version)) as Qemu[];
if (qemus.length === 0) sayMissing('what QEMU starts', 'a QEMU that the catalog knows');

interface Qemu {
  readonly command: readonly string[];
  readonly version: string;
}

/** The vendor that a CPU asks for: QEMU gives a guest under KVM its host's whatever the model's, but it moves nowhere. */
const vendorOf = (cpu: string): string | null => {
  const said = /,vendor=([^,]*)/.exec(cpu)?.[1];
  if (said !== undefined) return catalog.vendor(said);
  return catalog.qemuModels.get(cpu.split(',')[0]!)?.vendor ?? null;
};

type Props = Record<string, unknown>;

/** The host as QEMU tells of it, and what is drawn from. */
async function groundOf(
  { command, version }: Qemu,
  accelerator: 'kvm' | 'tcg',
): Promise<{ ground: Ground; host: string }> {
  const isKvm = accelerator === 'kvm';
  const off = isKvm ? await whatHostNeeds(command, catalog, version) : [];
  const switches = Object.fromEntries(off.map((name) => [name, false]));
  const props = isKvm ? { migratable: false, ...switches } : {};
  const model = { name: isKvm ? 'host' : 'max', props };
  const { answers, text } = await recordSession(command, accelerator, [
    ['query-kvm'],
    ['query-cpu-model-expansion', { type: 'full', model }],
    ['query-cpu-definitions'],
  ]);
  const expansion = (answers[1] as { model: { props: Props } }).model.props;
  const definitions = answers[2] as { name: string; 'unavailable-features': string[] }[];
  const vendor = catalog.vendor(String(expansion.vendor));
  const known = namesOfQemu(catalog, version);
  const flags = readFileSync('/proc/cpuinfo', 'utf8');
  return {
    host: text,
    ground: {
      models: definitions
        .filter((d) => catalog.hasQemuModel(d.name, version) && !/^(host|max|base)$/.test(d.name))
        .map((d) => ({
          name: d.name,
          vendor: vendorOf(d.name),
          blockers: d['unavailable-features'],
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
      known,
      offered: known.filter((name) => expansion[name] === true),
      machines: machinesOf(catalog, version)
        .map((m) => m.name)
        .filter((name) => /^(pc|q35|pc-.*)$/.test(name)),
      vendors: new Set(isKvm ? [null, vendor] : [null, ...catalog.vendors.map((v) => v.name)]),
      hostNeeds: off.map((name) => `${name}=off`).join(','),
      physBits: Number(/(\d+) bits physical/.exec(flags)?.[1] ?? 40),
    },
  };
}

const quoted = (text: string) => (/['"\s]/.test(text) ? `"${text}"` : text);

async function held(qemu: Qemu, accelerator: 'kvm' | 'tcg'): Promise<void> {
  const begun = Date.now();
  const { ground, host } = await groundOf(qemu, accelerator);
  const cpus = drawCpus(ground, random(seed), count);
  const outcomes = await each(cpus, ({ machine, cpu }) =>
    started(qemu.command, accelerator, machine, cpu),
  );
  const guests = cpus.map(({ machine, cpu }: DrawnCpu, i): Drawn => {
    const name = `g${String(i).padStart(4, '0')}`;
    const how =
      i % 2 === 0 ? `${machine},accel=${accelerator}` : `${machine} -accel ${accelerator}`;
    const text = `qemu-system-x86_64 -name ${name} -machine ${how} -cpu ${quoted(cpu)}\n`;
    const isForeign = accelerator === 'kvm' && !ground.vendors.has(vendorOf(cpu));
    return {
      name,
      text,
      what: `-machine ${machine} -accel ${accelerator} -cpu ${cpu}`,
      isForeign,
      isOpen: false,
    };
  });
  const seconds = Math.round((Date.now() - begun) / 1000);
  const title = `${accelerator}, QEMU ${qemu.version}, seed ${seed}, ${seconds} s`;
  await prove({ title, guests, outcomes, host, options: ['--qemu', qemu.version] });
}

if (qemus.length === 0) test.skip('drawn guests', () => {});
for (const qemu of qemus) {
  test(`QEMU ${qemu.version} under KVM: ${count} drawn guests (seed ${seed})`, async () => {
    if (await startsKvm(qemu.command)) await held(qemu, 'kvm');
    else console.log('starts: -accel kvm -cpu 486,enforce does not start here; KVM is left out');
  });
  test(`QEMU ${qemu.version} under plain emulation: ${count} drawn guests (seed ${seed})`, () =>
    held(qemu, 'tcg'));
}

test.run();
