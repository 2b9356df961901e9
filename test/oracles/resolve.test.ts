// Random guests started by the libvirt that is installed, under plain emulation: whether it starts them, and what it
// then writes down of their CPUs, is what libvirt's rules say from the definition and from what QEMU gave and withheld.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { emptyRow } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import type { CpuCheck, CpuMode, LibvirtCpu, Policy } from '../../src/cpu/libvirt.ts';
import { libvirt as dialect } from '../../src/dialects/libvirt.ts';
import { readLibvirtCpus } from '../../src/dialects/libvirt-element.ts';
import { writeLibvirtCpu } from '../../src/dialects/libvirt-write.ts';
import { qmp } from '../../src/dialects/qmp.ts';
import { guestStub } from '../../src/solve/libvirt/data.ts';
import { hypervisorOf } from '../../src/solve/libvirt/hypervisor.ts';
import { startCheck, startedCpu } from '../../src/solve/libvirt/start.ts';
import { type Live, updateLiveCpu } from '../../src/solve/libvirt/update.ts';
import { Libvirt } from '../support/libvirtd.ts';
import { sayMissing } from '../support/places.ts';
import { draws, seed } from '../support/property.ts';
import { pick, type Random, random } from '../support/random.ts';
import { hasVirsh, installedMap } from '../support/virsh.ts';

const sample = draws(30);
const POLICIES: readonly Policy[] = [
  'require',
  'force',
  'optional',
  'optional',
  'disable',
  'forbid',
];
const CHECKS: readonly (CpuCheck | null)[] = ['none', 'partial', 'partial', 'full', null];
const MODES: readonly CpuMode[] = ['custom', 'custom', 'custom', 'host-model', 'maximum'];

const given = (text: string) => ({ name: 'virsh', bytes: new TextEncoder().encode(text) });

const server = hasVirsh() ? await Libvirt.start() : null;
const capabilities = server?.virsh('capabilities').stdout ?? '';
const offered = server?.virsh('domcapabilities', '--virttype', 'qemu').stdout ?? '';
if (server && capabilities.includes('<cpu>') && offered.includes("host-model' supported='yes'")) {
  const catalog = await loadCatalog();
  const map = await installedMap(catalog);
  const [own] = await readLibvirtCpus(given(capabilities), 'host');
  const host = { where: 'the host', cpu: own! };
  const [capable] = await dialect.read!(given(offered), catalog);
  const hypervisor = hypervisorOf(catalog, map, 'virsh', capable!);
  const models = [...hypervisor.models!.keys()].filter((name) => map.model(name));

  const randomGuest = (next: Random): LibvirtCpu => {
    const mode = pick(next, MODES);
    const isCustom = mode === 'custom';
    const names = Array.from(
      { length: Math.floor(next() * 6) },
      () => pick(next, map.features).name,
    );
    return {
      ...guestStub(null, isCustom ? pick(next, ['allow', 'forbid']) : null),
      mode,
      check: pick(next, CHECKS),
      match: isCustom && next() < 0.3 ? pick(next, ['minimum', 'strict']) : 'exact',
      // Only 64-bit models have the interrupt controller that the machine asks for.
      model: isCustom
        ? pick(
            next,
            next() < 0.8 ? models.filter((m) => !/86|32|pentium|duo|n270/.test(m)) : models,
          )
        : null,
      features: [...new Set(names)].map((name) => ({ name, policy: pick(next, POLICIES) })),
    };
  };

  /** What QEMU answers about the only processor of a guest. */
  const ask = (name: string, property: string): string => {
    const path = '/machine/unattached/device[0]';
    const question = JSON.stringify({ execute: 'qom-get', arguments: { path, property } });
    return server.virsh('qemu-monitor-command', name, question).stdout;
  };
  const described = async (reply: string) => (await qmp.read!(given(reply), catalog))[0]!;
  const live = async (name: string): Promise<Live> => {
    const { has: enabled, known } = await described(ask(name, 'feature-words'));
    const withheld = ask(name, 'unavailable-features');
    const isNothing = /"return":\[\]/.test(withheld);
    const disabled = isNothing ? emptyRow(map.bits) : (await described(withheld)).has;
    return { enabled, known, disabled };
  };

  /** The element without the order of its features, which depends on how libvirt keeps its lists. */
  const sorted = (cpu: LibvirtCpu) =>
    writeLibvirtCpu({
      ...cpu,
      features: [...cpu.features].sort((a, b) => (a.name < b.name ? -1 : 1)),
    });

  test(`${sample} random guests (seed ${seed})`, async () => {
    const next = random(seed);
    const counts = { started: 0, refused: 0, later: 0 };
    const differences: string[] = [];
    for (let i = 0; i < sample; i++) {
      const cpu = randomGuest(next);
      const guest = { where: 'the guest', cpu };
      const name = `g${i}`;
      const { status, stderr } = server.virsh(
        'create',
        server.file(
          `<domain type='qemu'><name>${name}</name><memory>65536</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>${writeLibvirtCpu(cpu)}<features><acpi/></features></domain>`,
        ),
        '--paused',
      );
      const [theirs, ours] = [status === 0, starts(guest)];
      const say = (what: string) => differences.push(`${writeLibvirtCpu(cpu)}${what}`);
      if (!theirs) {
        // What a full check finds once QEMU has started, or QEMU itself, is not known beforehand.
        const isLater = /doesn't match specification|monitor/.test(stderr);
        if (ours && !isLater) say(`virsh refuses: ${stderr}`);
        counts[isLater ? 'later' : 'refused']++;
        continue;
      }
      counts.started++;
      if (ours) {
        const cpuOf = startedCpu(map, hypervisor, host, guest, 'disable');
        const input = { where: 'the guest', cpu: cpuOf };
        const started = updateLiveCpu(map, input, await live(name));
        const [dumped] = await readLibvirtCpus(given(server.virsh('dumpxml', name).stdout));
        if (sorted(started) !== sorted(dumped!))
          say(`virsh: ${sorted(dumped!)}ours: ${sorted(started)}`);
      } else say('we refuse');
      server.virsh('destroy', name);
    }
    console.log(
      `resolve: ${counts.started} started, ${counts.refused} refused, ${counts.later} refused once QEMU had started (seed ${seed})`,
    );
    assert.is(differences.length, 0, `${differences.length} differ, first:\n${differences[0]}`);
    assert.ok(counts.started > sample / 4 && counts.refused > 0, 'both happen');
  });

  const starts = (guest: { where: string; cpu: LibvirtCpu }): boolean => {
    try {
      startedCpu(map, hypervisor, host, guest, 'disable');
      return startCheck(map, hypervisor, host, guest).verdict !== 'incompatible';
    } catch (error) {
      if (error instanceof QueryError) return false;
      throw error;
    }
  };

  test.after(() => server.end());
} else {
  await server?.end();
  sayMissing('guests started by libvirt', 'a libvirt with QEMU');
}

test.run();
