// Files of odd host CPUs given to the virsh that is installed and to the command under --rules libvirt with the map that
// was learnt from it: every architecture, policies on hosts, words twice, attributes that do not belong there,
// capabilities and domains around them. The same bytes, and a refusal where virsh refuses.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { run } from '../support/command.ts';
import { sayMissing } from '../support/places.ts';
import { draws, seed } from '../support/property.ts';
import { pick, random } from '../support/random.ts';
import { hasVirsh, installedMap, virsh } from '../support/virsh.ts';

const sample = draws(400);
const ARCHS = ['i686', 'ppc64', 'ppc64le', 'aarch64', 'armv7l', 's390x', 'riscv64', 'mips'];
const POLICIES = ['force', 'require', 'optional', 'disable', 'forbid'];
const MODELS: Readonly<Record<string, readonly string[]>> = {
  ppc64: ['POWER7', 'POWER8', 'POWER8_v1.0'],
  aarch64: ['cortex-a57', 'Neoverse-N1'],
  s390x: ['z13'],
};

if (hasVirsh()) {
  const map = await installedMap(await loadCatalog());
  const next = random(seed);
  const often = (share: number) => next() < share;
  const some = (share: number, text: () => string) => (often(share) ? text() : '');

  /** A word as XML may write it too. */
  const spelt = (word: string) =>
    pick(next, [
      ...Array.from({ length: 40 }, () => word),
      `<![CDATA[${word}]]>`,
      `<!-- so -->${word}`,
      word.replace(/./, (c) => `&#${c.charCodeAt(0)};`),
    ]);

  function host(family: string, favourite: string): string {
    const arch = often(0.97) ? family : pick(next, ['x86_64', ...ARCHS, 'x86-64']);
    const known = MODELS[family.replace(/le$/, '')] ?? map.models.map((m) => m.name);
    const model = often(0.985) ? (often(0.5) ? favourite : pick(next, known)) : 'NoSuchModel';
    const vendor = map.model(model)?.vendor ?? pick(next, ['Intel', 'AMD', 'IBM']);
    const names = Array.from({ length: Math.floor(next() * 6) }, () =>
      often(0.995) ? pick(next, map.features).name : 'no-such-feature',
    );
    const features = (often(0.02) ? names : [...new Set(names)]).map(
      (name) => `<feature${some(0.1, () => ` policy='${pick(next, POLICIES)}'`)} name='${name}'/>`,
    );
    const parts = [
      `<arch>${spelt(arch)}</arch>`,
      `<model>${spelt(model)}</model>`,
      some(
        0.75,
        () => `<vendor>${often(0.97) ? vendor : pick(next, ['Hygon', 'Nobody'])}</vendor>`,
      ),
      some(
        0.1,
        () =>
          `<signature family='${often(0.95) ? 6 : pick(next, [0, 'x'])}' model='1' stepping='1'/>`,
      ),
      some(0.1, () => `<microcode${some(0.9, () => ` version='${often(0.95) ? 1 : 'x'}'`)}/>`),
      some(0.1, () => `<counter name='tsc' frequency='${often(0.95) ? 1 : 'x'}'/>`),
      some(0.1, () => `<topology sockets='${often(0.95) ? 1 : 0}' cores='2' threads='1'/>`),
      some(0.1, () => `<cache level='${often(0.95) ? 3 : 4}' mode='emulate'/>`),
      some(0.1, () => `<maxphysaddr mode='${often(0.95) ? 'emulate' : 'x'}' bits='46'/>`),
      ...features,
    ];
    const attributes = some(0.01, () => " mode='custom'");
    const cpu = `<cpu${attributes}>\n${(often(0.1) ? parts.reverse() : parts).join('')}</cpu>\n`;
    return pick(next, [
      ...Array.from({ length: 10 }, () => cpu),
      `<capabilities><host>${cpu}</host><guest/></capabilities>\n`,
      `<domain type='kvm'><name>d</name><os><type>hvm</type></os>${cpu}</domain>\n`,
    ]);
  }

  test(`${sample} files (seed ${seed})`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'plimsoll-odd-'));
    try {
      const save = (name: string, text: string) => {
        const path = join(folder, name);
        writeFileSync(path, text);
        return path;
      };
      const learnt = await run('learn', '--libvirt', '/usr/share/libvirt/cpu_map');
      const catalog = save('map.json', learnt.stdout);
      const files = Array.from({ length: sample }, (_, i) => {
        const family = often(0.75) ? 'x86_64' : pick(next, ARCHS);
        const favourite = pick(next, MODELS[family] ?? map.models.map((m) => m.name));
        const kinds = Array.from({ length: 1 + Math.floor(next() * 3) }, () =>
          host(family, favourite),
        );
        const text = Array.from({ length: 1 + Math.floor(next() * 8) }, () => pick(next, kinds));
        return { path: save(`${i}.xml`, text.join('')), text: text.join('') };
      });
      const heard = virsh(
        'test:///default',
        files.map(({ path }) => `cpu-baseline ${path}`),
      );
      const differences: string[] = [];
      for (const [i, { path, text }] of files.entries()) {
        const how = ['--rules', 'libvirt', '--to', 'libvirt', '--catalog', catalog];
        const { status, stdout, stderr } = await run('baseline', ...how, path);
        if (stdout.trim() !== heard[i] || status !== (heard[i] === '' ? 2 : 0))
          differences.push(`${text}virsh: ${heard[i]}\nours: ${stdout}${stderr}`);
      }
      const refused = heard.filter((text) => text === '').length;
      console.log(`libvirt-odd: ${sample} files, ${refused} refused (seed ${seed})`);
      assert.is(differences.length, 0, `${differences.length} differ, first:\n${differences[0]}`);
      assert.ok(refused > sample / 10 && refused < sample * 0.7, 'both happen');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
} else sayMissing('odd hosts against virsh', 'virsh with its cpu_map');

test.run();
