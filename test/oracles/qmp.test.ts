// Live QEMU: what its replies say is what it does when it is handed back, and it takes the -cpu argument as written.
import { execFileSync, spawnSync } from 'node:child_process';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import type { Description } from '../../src/cpu/description.ts';
import { qemu } from '../../src/dialects/qemu/cpu-line.ts';
import { qmp } from '../../src/dialects/qemu/qmp.ts';
import { askExpansions, qemuVersion, readCpu } from '../support/qemu.ts';

const test = suite('live QEMU: replies and arguments');
const catalog = await loadCatalog();
const command = ['qemu-system-x86_64'];
const version = qemuVersion(command);
const live = version === null ? test.skip : test;
if (version === null) console.error('skipped: live QEMU: qemu-system-x86_64 is not there');

live(
  'a session with QEMU reads as one host, and its features make the same CPU from nothing',
  async () => {
    const questions = [
      { execute: 'qmp_capabilities' },
      { execute: 'query-version' },
      { execute: 'query-kvm' },
      {
        execute: 'query-cpu-model-expansion',
        arguments: { type: 'static', model: { name: 'max' } },
      },
      { execute: 'query-cpu-model-expansion', arguments: { type: 'full', model: { name: 'max' } } },
      { execute: 'query-cpu-definitions' },
      { execute: 'query-machines' },
      { execute: 'quit' },
    ];
    const { stdout } = spawnSync(
      'qemu-system-x86_64',
      ['-machine', 'q35,accel=tcg', '-nodefaults', '-display', 'none', '-S', '-qmp', 'stdio'],
      {
        input: questions.map((q) => `${JSON.stringify(q)}\n`).join(''),
        timeout: 60_000,
        killSignal: 'SIGKILL',
        maxBuffer: 64 * 1024 * 1024,
      },
    );
    const all = qmp.read!({ name: 'live', bytes: stdout }, catalog) as Description[];
    assert.is(all.length, 1);
    const [d] = all as [Description];
    assert.ok(d.qemu!.startsWith(version!));
    assert.equal([d.view, d.notes.map((n) => n.code)], ['hypervisor', ['emulated']]);
    assert.equal(d.unnamed, [], 'every feature of this QEMU has a name in the catalog');
    assert.ok(d.models!.size > 80);

    const features = catalog.names(d.has);
    const props = Object.fromEntries(features.map((name) => [name, true]));
    const [again, max] = (await askExpansions(
      command,
      'q35',
      [{ name: 'base', props }, { name: 'max' }],
      'static',
    )) as Record<string, unknown>[];
    const on = (answer: Record<string, unknown>) =>
      Object.keys(answer)
        .filter((key) => answer[key] === true)
        .sort();
    assert.equal(
      on(again!),
      on(max!).filter((name) => name !== 'lmce' || again!.lmce === true),
    );
  },
);

live('QEMU takes the argument through a shell, and shows just what it asks for', async () => {
  const cases: { name: string; require: string[]; disable: string[]; physBits: number | null }[] = [
    {
      name: 'Nehalem-v1',
      require: ['aes', 'avx', 'sse4a', 'xsave'],
      disable: ['popcnt', 'sse4.2'],
      physBits: 38,
    },
    {
      name: 'qemu64-v1',
      require: ['3dnow', 'smap'],
      disable: ['svm', 'x2apic', 'vme', 'lahf-lm'],
      physBits: null,
    },
  ];
  for (const { physBits, ...definition } of cases) {
    const line = qemu.write!(
      {
        arch: 'x86_64',
        vendor: 'Intel',
        definitions: { qemu: definition },
        features: [],
        physBits,
      },
      catalog,
    );
    assert.match(line, /^-cpu \S+\n$/);
    // What TCG lacks of the model itself is no concern here; what is asked for beside it TCG has.
    const words = execFileSync('sh', ['-c', `printf '%s\\n' ${line}`], { encoding: 'utf8' })
      .trim()
      .split('\n');
    assert.is(words.length, 2);
    const loose = words[1]!.replace(',enforce', '');
    assert.not.equal(loose, words[1]);
    const names = [...definition.require, ...definition.disable, 'phys-bits'];
    const cpu = await readCpu(command, ['-machine', 'q35,accel=tcg', '-cpu', loose], names);
    if ('refused' in cpu) return assert.unreachable(cpu.refused);
    for (const name of definition.require) assert.is(cpu.properties[name], true, `${line}${name}`);
    for (const name of definition.disable) assert.is(cpu.properties[name], false, `${line}${name}`);
    assert.is(cpu.properties['phys-bits'], physBits ?? 40);
  }
});

live('with enforce QEMU refuses what the machine lacks', async () => {
  const definition = { name: 'qemu64-v1', require: ['avx512f'], disable: [] };
  const line = qemu.write!(
    {
      arch: 'x86_64',
      vendor: null,
      definitions: { qemu: definition },
      features: [],
      physBits: null,
    },
    catalog,
  );
  const cpu = await readCpu(command, ['-machine', 'q35,accel=tcg', ...line.trim().split(' ')], []);
  assert.ok('refused' in cpu && /avx512f/.test(cpu.refused), JSON.stringify(cpu));
});

test.run();
