// Random fleets given to the virsh that is installed and to --rules libvirt with the map that this virsh uses:
// the same answer, byte for byte, and a refusal where it refuses.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import type { LibvirtCpu, Policy } from '../../src/cpu/libvirt.ts';
import { libvirt } from '../../src/dialects/libvirt.ts';
import {
  type PlacedCpu,
  readLibvirtCpus,
  readPlacedCpus,
} from '../../src/dialects/libvirt-element.ts';
import { writeLibvirtCpu } from '../../src/dialects/libvirt-write.ts';
import { qmp } from '../../src/dialects/qmp.ts';
import { libvirtBaseline } from '../../src/solve/libvirt/baseline.ts';
import { libvirtCompare, partialCheck, reportedHost } from '../../src/solve/libvirt/compare.ts';
import { expandFeatures } from '../../src/solve/libvirt/data.ts';
import { type Hypervisor, hypervisorOf } from '../../src/solve/libvirt/hypervisor.ts';
import { sayMissing } from '../support/places.ts';
import { draws, seed } from '../support/property.ts';
import { pick, random } from '../support/random.ts';
import {
  dumpedHosts,
  hasVirsh,
  installedMap,
  qmpSession,
  RandomFleets,
  virsh,
} from '../support/virsh.ts';

const BATCH = 100;
const sample = draws(600);

if (hasVirsh()) {
  const catalog = await loadCatalog();
  const map = await installedMap(catalog);
  const dumps = await dumpedHosts(catalog, map);
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-virsh-'));
  // libvirt starts QEMU as a user of its own.
  chmodSync(folder, 0o755);
  // A libvirt of our own inside virsh: no daemon is asked, and none is left behind.
  const embedded = `qemu:///embed?root=${folder}`;
  // Where KVM is there and cannot be used, libvirt would ask QEMU anew before every answer: it sees no KVM here.
  const wrapper = join(folder, 'qemu');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
  writeFileSync(wrapper, '#!/bin/bash\nexec qemu-system-x86_64 "${@//kvm:tcg/tcg}"\n', {
    mode: 0o755,
  });
  const emulator = `--virttype qemu --emulator ${wrapper}`;
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

  const given = (text: string) => ({ name: 'virsh', bytes: new TextEncoder().encode(text) });
  const save = (name: string, cpus: readonly LibvirtCpu[]) => {
    const path = join(folder, name);
    writeFileSync(path, cpus.map(writeLibvirtCpu).join(''));
    return path;
  };
  const answer = (say: () => string): string => {
    try {
      return say();
    } catch (error) {
      if (error instanceof QueryError) return '';
      throw error;
    }
  };

  interface Question {
    readonly cpus: readonly LibvirtCpu[];
    readonly command: string;
    readonly ours: () => string;
    /** What of virsh's text is the answer. */
    readonly heard?: (text: string) => string;
  }

  /** Asks in batches; returns how many were refused, and the models of the answers. */
  function agree(
    uri: string,
    count: number,
    question: (path: (cpus: readonly LibvirtCpu[]) => string) => Question,
  ) {
    const models = new Set<string>();
    let refused = 0;
    const differences: string[] = [];
    for (let done = 0; done < count; done += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, count - done) }, (_, i) =>
        question((cpus) => save(`${i}.xml`, cpus)),
      );
      for (const [i, text] of virsh(
        uri,
        batch.map((q) => q.command),
      ).entries()) {
        const { cpus, command, ours, heard } = batch[i]!;
        const theirs = heard ? heard(text) : text;
        const own = answer(ours).trim();
        if (theirs === '') refused++;
        models.add(/<model[^>]*>([^<]+)/.exec(theirs)?.[1] ?? theirs);
        if (own !== theirs)
          differences.push(
            `${cpus.map(writeLibvirtCpu).join('')}${command}\nvirsh: ${theirs}\nours: ${own}`,
          );
      }
    }
    console.log(
      `libvirt-rules: ${count} asked, ${refused} refused, ${models.size} different models (seed ${seed})`,
    );
    assert.is(differences.length, 0, `${differences.length} differ, first:\n${differences[0]}`);
    assert.ok(refused < count / 2, 'most have an answer');
    return models;
  }

  const named = (cpus: readonly LibvirtCpu[]) =>
    cpus.map((cpu, i) => ({ where: `cpu ${i + 1}`, cpu }));
  const written = (cpu: LibvirtCpu, expand: boolean) =>
    writeLibvirtCpu(expand ? expandFeatures(map, { where: 'baseline', cpu }) : cpu);

  test(`${sample} random fleets through cpu-baseline (seed ${seed})`, () => {
    const next = random(seed);
    const fleets = new RandomFleets(map, dumps, next);
    const models = agree('test:///default', sample, (path) => {
      const cpus = fleets.fleet(2 + Math.floor(next() * 39));
      const expand = next() < 0.3;
      return {
        cpus,
        command: `cpu-baseline ${path(cpus)}${expand ? ' --features' : ''}`,
        ours: () => written(libvirtBaseline(map, named(cpus)), expand),
      };
    });
    assert.ok(models.size > 10, 'answers differ');
  });

  const many = Math.ceil(sample / 6);
  test(`${many} files of a few CPUs many times over, each read once (seed ${seed})`, async () => {
    const next = random(seed + 1);
    const fleets = new RandomFleets(map, dumps, next);
    const files: { cpus: LibvirtCpu[]; placed: readonly PlacedCpu[] }[] = [];
    for (let i = 0; i < many; i++) {
      const distinct = fleets.fleet(2 + Math.floor(next() * 6));
      const cpus = Array.from({ length: 100 + Math.floor(next() * 150) }, () =>
        pick(next, distinct),
      );
      files.push({ cpus, placed: await readPlacedCpus(given(cpus.map(writeLibvirtCpu).join(''))) });
    }
    let shared = 0;
    agree('test:///default', many, (path) => {
      const { cpus, placed } = files.pop()!;
      if (new Set(placed.map(({ cpu }) => cpu)).size < placed.length) shared++;
      return {
        cpus,
        command: `cpu-baseline ${path(cpus)}`,
        ours: () =>
          written(
            libvirtBaseline(
              map,
              placed.map(({ cpu, line }) => ({ where: `line ${line}`, cpu })),
            ),
            false,
          ),
      };
    });
    assert.ok(shared > many / 2, `only ${shared} of ${many} had anything in common`);
  });

  const [capabilities, domainCapabilities] = virsh(embedded, [
    'capabilities',
    `domcapabilities --virttype qemu --emulatorbin ${wrapper}`,
  ]);
  if (
    !capabilities?.includes('<cpu>') ||
    !domainCapabilities?.includes("host-model' supported='yes'")
  )
    sayMissing('random fleets against one hypervisor', 'a libvirt with QEMU');
  else {
    const host = {
      where: 'the host',
      cpu: (await readLibvirtCpus(given(capabilities), 'host'))[0]!,
    };
    const fromLibvirt = hypervisorOf(
      catalog,
      map,
      'virsh',
      (await libvirt.read!(given(domainCapabilities), catalog))[0]!,
    );
    const replies = qmpSession([
      { execute: 'query-cpu-definitions' },
      { execute: 'query-cpu-model-expansion', arguments: { type: 'full', model: { name: 'max' } } },
    ]);
    const fromQemu = hypervisorOf(
      catalog,
      map,
      'QEMU',
      (await qmp.read!(given(replies), catalog))[0]!,
    );

    test('the host-model of QEMU replies is that of domain capabilities', () => {
      const printed = ({ hostModel }: Hypervisor) =>
        writeLibvirtCpu({ ...hostModel!, maxphysaddr: null });
      assert.is(printed(fromQemu), printed(fromLibvirt));
    });

    // Domain capabilities of old libvirts do not say what blocks a model, so QEMU itself is asked.
    test(`${sample} random fleets through hypervisor-cpu-baseline (seed ${seed})`, () => {
      const next = random(seed);
      const fleets = new RandomFleets(map, dumps, next);
      agree(embedded, sample, (path) => {
        const cpus = fleets.fleet(1 + Math.floor(next() * 20));
        const expand = next() < 0.3;
        const migratable = next() < 0.3;
        return {
          cpus,
          command: `hypervisor-cpu-baseline ${emulator} ${path(cpus)}${expand ? ' --features' : ''}${migratable ? ' --migratable' : ''}`,
          ours: () =>
            written(
              libvirtBaseline(map, named(cpus), { hypervisor: fromQemu, migratable }),
              expand,
            ),
        };
      });
    });

    const policies: readonly Policy[] = [
      'force',
      'require',
      'require',
      'optional',
      'disable',
      'disable',
      'forbid',
    ];
    const randomGuest = (next: () => number): LibvirtCpu => {
      const own = next() < 0.5 ? host.cpu : pick(next, dumps.length > 0 ? dumps : [host.cpu]);
      const model = next() < 0.5 ? own.model : pick(next, map.models).name;
      const words = own.features
        .filter(() => next() < 0.5)
        .map(({ name }) => ({ name, policy: pick(next, policies) }));
      const more = Array.from({ length: Math.floor(next() * 4) }, () => ({
        name: pick(next, map.features).name,
        policy: pick(next, policies),
      }));
      const features = [...new Map([...words, ...more].map((f) => [f.name, f])).values()];
      return {
        ...own,
        type: 'guest',
        arch: null,
        signature: null,
        microcode: null,
        match: pick(next, ['exact', 'minimum', 'strict']),
        vendor: next() < 0.7 ? null : own.vendor,
        model,
        features: next() < 0.2 ? [] : features,
      };
    };

    test(`${sample} random guests through cpu-compare and hypervisor-cpu-compare (seed ${seed})`, () => {
      const next = random(seed);
      agree(embedded, sample, (path) => {
        const cpu = randomGuest(next);
        const input = { where: 'guest', cpu };
        const ofHypervisor = next() < 0.5;
        const file = path([cpu]);
        return {
          cpus: [cpu],
          command: ofHypervisor
            ? `hypervisor-cpu-compare ${emulator} ${file}`
            : `cpu-compare ${file}`,
          heard: (text) => /is (identical|a superset|incompatible)/.exec(text)?.[1] ?? '',
          ours: () => {
            const { verdict } = ofHypervisor
              ? partialCheck(map, fromLibvirt, reportedHost('virsh', 'x86_64', fromLibvirt), input)
              : libvirtCompare(map, host, input);
            return verdict === 'superset' ? 'a superset' : verdict;
          },
        };
      });
    });
  }
} else sayMissing('random fleets against virsh', 'virsh with its cpu_map');

test.run();
