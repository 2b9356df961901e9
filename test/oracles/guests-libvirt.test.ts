// Guests in every form that a domain has, created paused by libvirt's qemu driver, and what place and compare say of
// them; and what libvirt's test driver, which needs no QEMU, says of its own host and domain.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { run } from '../support/command.ts';
import { Libvirt, virshVersion } from '../support/libvirtd.ts';
import { sayMissing } from '../support/places.ts';
import { qemuVersion } from '../support/qemu.ts';

const LIBVIRT = virshVersion();
const QEMU = qemuVersion(['qemu-system-x86_64']);
const test = suite("guests of libvirt's drivers");
const catalog = await loadCatalog();
const isKnown =
  LIBVIRT !== null &&
  catalog.versions.libvirt.includes(LIBVIRT) &&
  QEMU !== null &&
  catalog.versions.qemu.includes(QEMU);
const libvirt = isKnown ? await Libvirt.start() : null;
if (!libvirt) sayMissing("libvirt's qemu driver", 'a libvirtd and a QEMU that the catalog knows');
const here = mkdtempSync(join(tmpdir(), 'plimsoll-drivers-'));
test.after(async () => {
  await libvirt?.end();
  rmSync(here, { recursive: true });
});

const HVM = "<type arch='x86_64' machine='pc-q35-7.2'>hvm</type>";
const custom = (model: string, more = '', attributes = '') =>
  `<cpu mode='custom' match='exact'${attributes}><model fallback='forbid'>${model}</model>${more}</cpu>`;
const feature = (policy: string, name: string) => `<feature policy='${policy}' name='${name}'/>`;

/** By what they show: the type, the CPU, and whether libvirt creates it; poorer: with less than it asks for. */
const FORMS: Readonly<
  Record<string, readonly [type: string, cpu: string, starts: boolean | 'poorer']>
> = {
  'no-cpu': [HVM, '', true],
  'no-arch': ['<type>hvm</type>', custom('Penryn'), true],
  'no-arch-host-model': ['<type>hvm</type>', "<cpu mode='host-model'/>", true],
  'no-machine': ["<type arch='x86_64'>hvm</type>", custom('Penryn'), true],
  maximum: [HVM, "<cpu mode='maximum'/>", true],
  'host-model': [HVM, "<cpu mode='host-model'/>", true],
  named: [HVM, custom('Nehalem', feature('require', 'aes')), true],
  'a-feature-that-is-not-there': [HVM, custom('Penryn', feature('require', 'avx512f')), 'poorer'],
  'a-feature-that-may-be-missing': [HVM, custom('Penryn', feature('optional', 'avx512f')), true],
  'a-word-of-tomorrow': [HVM, custom('Penryn', feature('disable', 'word-of-tomorrow')), false],
  'a-model-of-tomorrow': [HVM, custom('EPYC-Venice'), false],
  'a-list-that-is-not-whole': [HVM, custom('Penryn', '', " check='full'"), false],
};

const live = libvirt ? test : test.skip;
live('place and compare agree with what the qemu driver creates', async () => {
  const host = join(here, 'host.xml');
  const told = libvirt!.virsh('domcapabilities', '--virttype', 'qemu', '--machine', 'pc-q35-7.2');
  assert.is(told.status, 0, told.stderr);
  writeFileSync(host, told.stdout);
  const stack = ['--stack', `libvirt@${LIBVIRT},qemu@${QEMU}`, '--json'];
  for (const [name, [type, cpu, starts]] of Object.entries(FORMS)) {
    const xml = `<domain type='qemu'><name>g</name><memory unit='MiB'>32</memory><os>${type}</os>${cpu}<devices><emulator>/usr/bin/qemu-system-x86_64</emulator><controller type='usb' model='none'/><memballoon model='none'/></devices></domain>\n`;
    const made = await libvirt!.ask('create', '--paused', libvirt!.file(xml));
    if (made.status === 0) await libvirt!.ask('destroy', 'g');
    assert.is(made.status === 0, starts !== false, `${name}: ${made.stderr}`);
    const guest = join(here, `${name}.xml`);
    writeFileSync(guest, xml);
    const placed = await run('place', '--guests', guest, host, ...stack);
    const compared = await run('compare', host, guest, ...stack);
    const what = `${name}: ${placed.stdout}${placed.stderr}${compared.stdout}${compared.stderr}`;
    assert.equal([placed.status, compared.status], starts === true ? [0, 0] : [1, 1], what);
    if (starts === 'poorer') assert.match(placed.stdout, /starts, without/);
  }
});

const virsh = (...question: string[]) =>
  spawnSync('virsh', ['-c', 'test:///default', ...question], { encoding: 'utf8', timeout: 30_000 });
const isThere = virsh('uri').status === 0;
if (!isThere) sayMissing("libvirt's test driver", 'virsh');
const offline = isThere ? test : test.skip;

offline('what the test driver says is read, or refused in one sentence', async () => {
  const capabilities = join(here, 'capabilities.xml');
  writeFileSync(capabilities, virsh('capabilities').stdout);
  const host = await run('decode', capabilities);
  assert.is(host.status, 2);
  assert.match(host.stderr, /^error: .*<cpu> without a <model>.*domcapabilities does\n$/);
  const guest = join(here, 'test.xml');
  writeFileSync(guest, virsh('dumpxml', 'test').stdout);
  const machine = join(here, 'machine.ndjson');
  writeFileSync(machine, '{"host":"h","vendor":"Intel","features":["sse4.2"]}\n');
  for (const question of [
    ['place', '--guests', guest, machine],
    ['compare', machine, guest],
  ]) {
    const { status, stdout, stderr } = await run(...question);
    assert.is(status, 2, `${stdout}${stderr}`);
    assert.match(stdout, /hypervisor\s+that is\s+none of QEMU's/);
  }
});

test.run();
