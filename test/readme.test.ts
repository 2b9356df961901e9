// What README shows is what the commands print. UPDATE_README=1 writes the demo's output into it instead.
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { ROOT } from './support/places.ts';

const test = suite('README');
const path = join(ROOT, 'README.md');
const readme = readFileSync(path, 'utf8');
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

function run(args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    input,
    encoding: 'utf8',
    timeout: 30_000,
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, COLUMNS: undefined },
  });
  assert.equal({ status, stderr }, { status: 0, stderr: '' });
  return stdout;
}

test('the demo prints what README shows', () => {
  const demo: string = scripts.demo.split(' && node ').at(-1);
  const out = run(demo.split(' '));
  const block = `<!-- demo -->\n\`\`\`\n${out}\`\`\`\n<!-- /demo -->`;
  const shown = /<!-- demo -->[\s\S]*<!-- \/demo -->/.exec(readme)![0];
  if (process.env.UPDATE_README === '1')
    writeFileSync(
      path,
      readme.replace(shown, () => block),
    );
  else assert.is(shown, block);
});

test('the example of the library runs', () => {
  const [, example] = /```js\n([\s\S]*?)```/.exec(readme)!;
  const out = run(['--input-type=module'], example!.replace("'plimsoll'", "'./dist/index.js'"));
  assert.match(out, /^AMD \S+-v\d+ \d+\nIntel \S+-v\d+ \d+\n$/);
});

test('the numbers of the catalog are the catalog’s', async () => {
  const catalog = await loadCatalog();
  const { features, libvirtModels, qemuModels, machines } = catalog;
  assert.ok(
    readme
      .replace(/\s+/g, ' ')
      .includes(
        `${features.length} features, ${libvirtModels.size} CPU models of libvirt ${catalog.versions.libvirt.at(-1)}, ` +
          `${qemuModels.size} of QEMU ${catalog.versions.qemu.at(-1)}, ${machines.length} machine types`,
      ),
  );
});

test('the core is about as big as README says', () => {
  const said = Number(/a WASM core of (\d+) kB/.exec(readme)![1]);
  const { size } = statSync(join(ROOT, 'build/core.wasm'));
  assert.ok(Math.abs(size / 1000 - said) < said / 4, `${size} bytes, not ${said} kB`);
});

test('the two commands of a fresh clone are there', () => {
  assert.ok(readme.includes('npm ci && npm run demo') && readme.includes('npm test'));
});

test.run();
