// The machine that this runs on, described by everything that can describe it: each description decodes through the
// built command, they agree where they speak of the same, and a definition made from them starts here as it is.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bitsOf, minus, type Row, size } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import type { Description } from '../../src/cpu/description.ts';
import { dialectByName } from '../../src/dialects/index.ts';
import { readDescriptions, readFleet } from '../../src/reading/read.ts';
import { baseline } from '../../src/solve/baseline.ts';
import { Libvirt } from '../support/libvirtd.ts';
import { ROOT, sayMissing } from '../support/places.ts';
import { qemuVersion, readCpu } from '../support/qemu.ts';

const QEMU = ['qemu-system-x86_64'];
const TIMEOUT_MS = 60_000;

const test = suite('this machine');
const catalog = await loadCatalog();
const dir = mkdtempSync(join(tmpdir(), 'plimsoll-machine-'));
const libvirt = await Libvirt.start();
const version = qemuVersion(QEMU);
const recorded = version === null ? null : recordQmp();

const texts: Record<string, { text: string | null; view: Description['view']; needs: string }> = {
  cpuinfo: { text: readFileSync('/proc/cpuinfo', 'utf8'), view: 'kernel', needs: '/proc/cpuinfo' },
  cpuid: { text: output('cpuid', ['-r', '-1']), view: 'hardware', needs: 'the program cpuid' },
  'cpuid-all': { text: output('cpuid', ['-r']), view: 'hardware', needs: 'the program cpuid' },
  capabilities: { text: ask('capabilities'), view: 'hardware', needs: 'a libvirtd' },
  domcapabilities: {
    text: ask('domcapabilities', '--virttype', 'qemu'),
    view: 'hypervisor',
    needs: 'a libvirtd',
  },
  qmp: { text: recorded, view: 'hypervisor', needs: 'a QEMU' },
};

function output(command: string, args: string[]): string | null {
  const { status, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    maxBuffer: 1 << 26,
  });
  return status === 0 ? stdout : null;
}

function ask(...args: string[]): string | null {
  const answer = libvirt?.virsh(...args);
  return answer?.status === 0 ? answer.stdout : null;
}

/** A session as an operator would record it: questions and answers in one file. */
function recordQmp(): string {
  const questions = [
    { execute: 'qmp_capabilities' },
    { execute: 'query-version' },
    { execute: 'query-cpu-definitions' },
    { execute: 'query-cpu-model-expansion', arguments: { type: 'full', model: { name: 'max' } } },
    { execute: 'query-cpu-model-expansion', arguments: { type: 'static', model: { name: 'max' } } },
    { execute: 'quit' },
  ];
  const { stdout } = spawnSync(
    QEMU[0]!,
    ['-machine', 'q35,accel=tcg', '-nodefaults', '-display', 'none', '-S', '-qmp', 'stdio'],
    {
      input: questions.map((q) => JSON.stringify(q)).join('\n'),
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
      maxBuffer: 1 << 26,
    },
  );
  return stdout;
}

for (const [name, { text, needs }] of Object.entries(texts)) {
  if (text === null) sayMissing(`${name} of this machine`, needs);
  else writeFileSync(join(dir, name), text);
}
const has = (...names: string[]) => names.every((name) => texts[name]!.text !== null);
const given = (...names: string[]) => (has(...names) ? test : test.skip);

test.after(async () => {
  await libvirt?.end();
  rmSync(dir, { recursive: true });
});

async function describe(name: string): Promise<Description> {
  const bytes = new TextEncoder().encode(texts[name]!.text!);
  const { read } = await readDescriptions(catalog, [{ name, bytes }]);
  assert.is(read.length, 1, name);
  return read[0]!.description;
}

for (const [name, { view }] of Object.entries(texts))
  given(name)(`${name} decodes through the built command`, () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(ROOT, 'dist/bin.js'), 'decode', '--json', join(dir, name)],
      { encoding: 'utf8', timeout: TIMEOUT_MS },
    );
    assert.equal({ status, stderr }, { status: 0, stderr: '' });
    const { hosts } = JSON.parse(stdout);
    assert.equal(
      hosts.map((h: { view: string; arch: string }) => [h.view, h.arch]),
      [[view, 'x86_64']],
    );
    for (const feature of ['fpu', 'sse2', 'lm', 'cx16'])
      assert.ok(hosts[0].features.includes(feature), `${feature} in ${name}`);
  });

/** What one says is there and the other says is not, by name. */
async function disagreement(a: string, b: string): Promise<Record<string, string[]>> {
  const [x, y] = await Promise.all([describe(a), describe(b)]);
  const both = (p: Row, q: Row) => minus(p, minus(p, q));
  const known = both(x!.known, y!.known);
  assert.ok(
    size(both(x!.has, known)) > 40 && size(known) > 100,
    `${a} and ${b} speak of ${size(known)} features`,
  );
  return {
    [a]: catalog.names(both(minus(x!.has, y!.has), known)),
    [b]: catalog.names(both(minus(y!.has, x!.has), known)),
  };
}

given('cpuinfo', 'cpuid')('the kernel shows no flag that CPUID lacks', async () => {
  const { cpuinfo } = await disagreement('cpuinfo', 'cpuid');
  assert.equal(cpuinfo, []);
});

given('cpuid', 'cpuid-all')('one processor and all of them have the same features', async () => {
  assert.equal(await disagreement('cpuid', 'cpuid-all'), { cpuid: [], 'cpuid-all': [] });
});

given('cpuid', 'capabilities')('libvirt sees the processor that CPUID describes', async () => {
  const differs = await disagreement('cpuid', 'capabilities');
  assert.equal(differs, { cpuid: [], capabilities: [] });
});

given(
  'cpuinfo',
  'cpuid',
  'capabilities',
)('vendor, signature and address bits agree', async () => {
  const all = await Promise.all(['cpuinfo', 'cpuid', 'capabilities'].map(describe));
  const facts = all.map((d) => ({ vendor: d.vendor, signature: d.signature, ...d.limits }));
  assert.equal(facts[1], facts[0]);
  assert.equal(facts[2], facts[0]);
});

given('domcapabilities', 'qmp')('libvirt and QEMU offer the same on tcg', async () => {
  assert.equal(await disagreement('domcapabilities', 'qmp'), { domcapabilities: [], qmp: [] });
});

async function written(dialect: string, name: string, text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const answer = baseline(await readFleet(catalog, [{ name, bytes }]));
  const { arch, vendor, definitions, features, limits } = answer;
  const cpu = { arch: arch!, vendor, definitions, features, physBits: limits.physBits };
  return dialectByName(dialect)!.write!(cpu, catalog).trim();
}

given('qmp')('what tcg offers starts on tcg as it is, strictly', async () => {
  const cpu = (await written('qemu', 'qmp', recorded!)).replace(/^-cpu /, '').replaceAll("'", '');
  assert.match(cpu, /,enforce/);
  const found = await readCpu(
    QEMU,
    ['-machine', 'q35,accel=tcg', '-cpu', cpu],
    ['unavailable-features'],
  );
  assert.equal(
    'refused' in found ? found.refused : found.properties['unavailable-features'],
    [],
    cpu,
  );
});

given('domcapabilities')('what libvirt offers on tcg starts as a domain as it is', async () => {
  // libvirt has no word for what kvm adds unasked, so the host of this definition must have that too.
  const offered = catalog.names((await describe('domcapabilities')).has);
  const unasked = bitsOf(catalog.accelerators.kvm.on).map((id) => catalog.features[id]!);
  const features = [...offered, ...unasked.filter((f) => !f.libvirt).map((f) => f.name)];
  const record = JSON.stringify({ host: 'tcg', vendor: 'AMD', features, limits: { physBits: 40 } });
  const cpu = await written('libvirt', 'tcg.ndjson', record);
  const required = [...cpu.matchAll(/policy='require' name='([^']*)'/g)].map(([, name]) => name!);
  assert.ok(required.length > 10, cpu);
  const domain = `<domain type='qemu'><name>machine</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
    <os><type arch='x86_64' machine='q35'>hvm</type></os>${cpu}</domain>`;
  const { status, stderr } = libvirt!.virsh('create', '--paused', libvirt!.file(domain));
  assert.equal([status, stderr.trim()], [0, ''], cpu);
  const live = libvirt!.virsh('dumpxml', 'machine').stdout;
  libvirt!.virsh('destroy', 'machine');
  // A feature that QEMU could not give is disabled in the live XML.
  const off = new Set(
    [...live.matchAll(/policy='disable' name='([^']*)'/g)].map(([, name]) => name!),
  );
  assert.ok(off.size > 0, live);
  assert.equal(
    required.filter((name) => off.has(name)),
    [],
  );
});

test.run();
