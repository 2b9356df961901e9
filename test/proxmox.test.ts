// VMs of Proxmox VE: what qemu-server makes of a configuration, by its version, and what guests then need.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import type { AskedOfProxmox } from '../src/cpu/guest.ts';
import { proxmoxStart } from '../src/cpu/proxmox.ts';
import type { ProxmoxNode } from '../src/cpu/proxmox-flags.ts';
import { dialectByName } from '../src/dialects/index.ts';
import { withModels } from '../src/dialects/proxmox-config.ts';
import { SHARED, sayMissing } from './support/places.ts';

const test = suite('proxmox');
const catalog = await loadCatalog();
const encode = (text: string) => new TextEncoder().encode(text);
const proxmox = dialectByName('proxmox')!;

const QEMU: Readonly<Record<string, string>> = {
  '7.4-7': '7.2.0',
  '8.4.0': '9.2.0',
  '8.4.10': '9.2.0',
  '9.1.0': '10.1.2',
  '9.2.6': '11.0.0',
};

/** The VM of a configuration, with the models of a cpu-models.conf. */
async function vm(conf: string, models?: string): Promise<AskedOfProxmox> {
  const read = async (name: string, text: string) =>
    (await proxmox.read!({ name, bytes: encode(text) }, catalog)).map((description) => ({
      input: name,
      description,
    }));
  const all = [
    ...(await read('100.conf', conf)),
    ...(models === undefined ? [] : await read('cpu-models.conf', models)),
  ];
  const [{ description }] = withModels(catalog, all) as [(typeof all)[0]];
  assert.is(description.asked?.by, 'proxmox');
  return description.asked as AskedOfProxmox;
}

const node = (server: string, more: Partial<ProxmoxNode> = {}): ProxmoxNode => ({
  server,
  qemu: QEMU[server] ?? '11.0.0',
  arch: 'x86_64',
  vendor: 'GenuineIntel',
  ...more,
});

// Facts that were worked out elsewhere -------------------------------------------------------------------------------

interface Pair {
  readonly qemuServer: string;
  readonly test: string;
  readonly config: readonly string[];
  readonly cpu: string;
  readonly machine: string;
  readonly hostArch?: string;
  readonly hostVendor?: string;
  readonly qemuBinary?: string;
}

interface Run {
  readonly case: string;
  readonly config: Readonly<Record<string, string | number>>;
  readonly customModels?: string;
  readonly xVga?: boolean;
  readonly hostArch: string;
  readonly hostVendor: string;
  readonly results: Readonly<
    Record<
      string,
      { cpu?: string; error?: string; machineResolved?: string; cpuLineDropped?: true }
    >
  >;
}

const facts =
  SHARED === null
    ? null
    : (JSON.parse(readFileSync(join(SHARED, 'facts/proxmox-cpu.json'), 'utf8')) as {
        readonly tests: readonly Pair[];
        readonly runs: readonly Run[];
        readonly customModelsFile: string;
      });
if (facts === null) sayMissing('what qemu-server makes of configurations', '../shared');

const MODELS_OF_TESTS =
  'cpu-model: qemu64\n    reported-model athlon\n    flags +aes;+avx;-kvm_pv_unhalt\n    hv-vendor-id testvend\n    phys-bits 40\n\ncpu-model: alldefault\n';
/** What QEMU is given, without the +pveN that its own build cuts off. */
const typeOf = (machine: string) =>
  /(?:^|,)type=([^,]+)/.exec(machine)![1]!.replace(/\+pve\d+$/, '');

for (const pair of facts?.tests ?? [])
  test(`${pair.qemuServer} ${pair.test}`, async () => {
    const asked = await vm(`${pair.config.join('\n')}\nnet0: virtio\n`, MODELS_OF_TESTS);
    const start = proxmoxStart(
      asked,
      node(pair.qemuServer, {
        ...(pair.hostArch ? { arch: pair.hostArch } : {}),
        ...(pair.hostVendor ? { vendor: pair.hostVendor } : {}),
        ...(pair.qemuBinary ? { qemu: pair.qemuBinary } : {}),
      }),
    );
    assert.is(start.cpu, pair.cpu);
    assert.is(start.machine ?? 'virt', typeOf(pair.machine));
  });

for (const run of facts?.runs ?? [])
  test(run.case, async () => {
    const lines = Object.entries(run.config).map(([key, value]) => `${key}: ${value}`);
    if (run.xVga) lines.push('hostpci0: 0000:01:00,x-vga=1');
    const asked = await vm(`${lines.join('\n')}\nnet0: virtio\n`, facts!.customModelsFile);
    for (const [server, result] of Object.entries(run.results)) {
      const how = node(server, { arch: run.hostArch, vendor: run.hostVendor });
      if (result.cpu === undefined) {
        assert.throws(() => proxmoxStart(asked, how), /CPU type|does not start/, result.error);
        continue;
      }
      const { cpu, machine, notes } = proxmoxStart(asked, how);
      assert.is(cpu, result.cpu, server);
      // Machines of aarch64 matter to no CPU that is known here.
      if (!run.config.arch && run.hostArch === 'x86_64')
        assert.is(machine, result.machineResolved!.replace(/\+pve\d+$/, ''), server);
      assert.is(
        notes.some(({ code }) => code === 'counts-as-none'),
        result.cpuLineDropped === true,
        server,
      );
    }
  });

test.run();
