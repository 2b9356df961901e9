// What README shows is what the commands print. UPDATE_README=1 writes their output into it instead.
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { ROOT } from '../support/places.ts';

const test = suite('README');
const path = join(ROOT, 'README.md');
const readme = readFileSync(path, 'utf8');
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, COLUMNS: undefined };

/** Holds what README shows under a name against what it should, or writes it there. */
function show(name: string, text: string): void {
  const block = `<!-- ${name} -->\n${text}\n<!-- /${name} -->`;
  const now = readFileSync(path, 'utf8');
  const shown = new RegExp(`<!-- ${name} -->[\\s\\S]*<!-- /${name} -->`).exec(now)![0];
  if (process.env.UPDATE_README === '1')
    writeFileSync(
      path,
      now.replace(shown, () => block),
    );
  else assert.is(shown, block);
}

function run(args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    input,
    encoding: 'utf8',
    timeout: 30_000,
    env,
  });
  assert.equal({ status, stderr }, { status: 0, stderr: '' });
  return stdout;
}

test('the demo prints what README shows', () => {
  const demo: string = scripts.demo.split(' && node ').at(-1);
  const out = run(demo.split(' '));
  show('demo', `\`\`\`\n${out}\`\`\``);
});

/** Commands of the section on pins, and how many lines of each are shown. */
const PINS: readonly (readonly [command: string, lines: number])[] = [
  [
    'drift --cpu Cascadelake-Server --machine pc-q35-10.0 --to-machine microvm --kernel 6.12.118 test/fixtures/demo-fleet.ndjson',
    10,
  ],
  ['pin --cpu Cascadelake-Server --machine pc-q35-10.0 --to readconfig -q', 6],
];

test('pins and drift print what README shows', () => {
  const shown = PINS.map(([command, lines]) => {
    const { stdout, stderr } = spawnSync(process.execPath, ['dist/bin.js', ...command.split(' ')], {
      cwd: ROOT,
      encoding: 'utf8',
      timeout: 30_000,
      env,
    });
    assert.is(stderr, '');
    const all = stdout.trimEnd().split('\n');
    const cut = all.length > lines ? [...all.slice(0, lines), '…'] : all;
    return [`$ plimsoll ${command}`, ...cut].join('\n');
  });
  show('pin', `\`\`\`console\n${shown.join('\n\n')}\n\`\`\``);
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
