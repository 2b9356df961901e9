// The house: who may import whom, and who may know of WebAssembly, of Node and of the command line.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../support/places.ts';

const test = suite('architecture');
const SRC = join(ROOT, 'src');

/** Programs of the generator of the catalog's data: run from the sources, imported by nothing. */
const isGenerator = (file: string): boolean => /^learn\//.test(file);

// A file may import its own folder and every folder of a lower floor.
const FLOORS: Record<string, number> = {
  core: 0,
  cpu: 1,
  fleet: 2,
  learn: 2,
  dialects: 3,
  solve: 3,
  reading: 4,
  'index.ts': 5,
  cli: 6,
  'bin.ts': 7,
  'worker.ts': 7,
};

interface Import {
  readonly of: string;
  readonly lazy: boolean;
  /** `import type`: nothing of it is left when it runs. */
  readonly types: boolean;
}

const sources = new Map<string, string>(
  readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .map((file) => [file, readFileSync(join(SRC, file), 'utf8')]),
);

/** Code without comments; strings stay, so that what they say is judged too. */
const code = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[\s;{}(,])\/\/.*$/gm, '$1');

function importsOf(text: string): Import[] {
  const bare = code(text);
  const found = (pattern: RegExp, lazy: boolean) =>
    [...bare.matchAll(pattern)].map(([all, of]) => ({
      of: of!,
      lazy,
      types: /^\s*(import|export)\s+type\b/.test(all),
    }));
  return [
    ...found(/(?:^|\n)\s*(?:import|export)\b[^;'"]*?\bfrom\s*['"]([^'"]+)['"]/g, false),
    ...found(/(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g, false),
    ...found(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g, true),
  ];
}

/** Files of src/ that a file imports, by path within src/. */
const within = (file: string): string[] =>
  importsOf(sources.get(file)!)
    .filter((i) => i.of.startsWith('.'))
    .map((i) => normalize(join(dirname(file), i.of)));

const folder = (file: string): string => file.split('/')[0]!;

test('the sources are seen', () => {
  assert.ok(sources.size > 20, `${sources.size} files`);
  assert.ok(
    importsOf(sources.get('cpu/catalog/catalog.ts')!).some((i) => i.lazy),
    'a lazy import',
  );
});

test('every folder has its floor', () => {
  for (const file of sources.keys())
    assert.ok(folder(file) in FLOORS, `src/${file} is on no floor`);
});

test('imports point downwards, and from a floor to itself only within a folder', () => {
  const wrong: string[] = [];
  for (const file of sources.keys())
    for (const of of within(file)) {
      if (folder(of) === folder(file) || of.startsWith('..')) continue;
      if (FLOORS[folder(of)]! >= FLOORS[folder(file)]!) wrong.push(`${file} → ${of}`);
    }
  assert.equal(wrong, []);
});

test('nothing outside src/ is imported but the core’s module', () => {
  for (const file of sources.keys())
    for (const of of within(file))
      if (of.startsWith('..')) assert.equal([file, of], ['core/wasm.ts', '../build/core.wasm']);
});

test('there is no cycle', () => {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    assert.not(path.includes(file), `${[...path, file].join(' → ')}`);
    if (done.has(file) || !sources.has(file)) return;
    for (const of of within(file)) visit(of, [...path, file]);
    done.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
});

test('there is no cycle of folders: of two, at most one imports the other', () => {
  const folders = new Set([...sources.keys()].map(dirname));
  // A folder that holds others is no room of its own: its files stand for themselves.
  const roomOf = (file: string): string => {
    const of = dirname(file);
    return of === '.' || [...folders].some((f) => f.startsWith(`${of}/`)) ? file : of;
  };
  const imported = new Map<string, Set<string>>();
  for (const file of sources.keys())
    for (const of of within(file)) {
      if (!sources.has(of) || roomOf(of) === roomOf(file)) continue;
      const from = roomOf(file);
      imported.set(from, (imported.get(from) ?? new Set()).add(roomOf(of)));
    }
  const done = new Set<string>();
  const visit = (room: string, path: readonly string[]): void => {
    assert.not(path.includes(room), `${[...path, room].join(' → ')}`);
    if (done.has(room)) return;
    for (const of of imported.get(room) ?? []) visit(of, [...path, room]);
    done.add(room);
  };
  for (const room of imported.keys()) visit(room, []);
});

test('core/ alone knows WebAssembly', () => {
  for (const [file, text] of sources)
    if (folder(file) !== 'core') assert.not(/\bWebAssembly\b/.test(code(text)), file);
});

test('cli/ alone knows commander and the process', () => {
  const outside = [...sources].filter(
    ([file]) => !/^(cli\/|bin\.ts|worker\.ts)/.test(file) && !isGenerator(file),
  );
  for (const [file, text] of outside) {
    assert.not(
      importsOf(text).some((i) => i.of === 'commander'),
      file,
    );
    assert.not(/\bprocess\.|\bBuffer\b|\b__dirname\b|\brequire\(/.test(code(text)), file);
  }
});

test('what runs in a browser imports nothing of Node', () => {
  for (const [file, text] of sources) {
    if (/^(cli\/|bin\.ts|worker\.ts)/.test(file) || isGenerator(file)) continue;
    for (const { of } of importsOf(text))
      assert.not(of.startsWith('node:'), `${file} imports ${of}`);
  }
});

test('libraries are loaded when they are needed, not at start', () => {
  const atStart = new Set<string>();
  const walk = (file: string): void => {
    if (atStart.has(file) || !sources.has(file)) return;
    atStart.add(file);
    for (const { of, lazy, types } of importsOf(sources.get(file)!))
      if (!lazy && !types && of.startsWith('.')) walk(normalize(join(dirname(file), of)));
  };
  walk('index.ts');
  walk('bin.ts');
  assert.ok(
    atStart.has('solve/baseline.ts') && !atStart.has('cpu/catalog/data.ts'),
    'what is loaded at start',
  );
  // Of valibot a bundle takes small functions, which cost nothing until they are called.
  for (const file of atStart)
    for (const { of, lazy, types } of importsOf(sources.get(file)!))
      if (!/^(\.|node:)/.test(of) && of !== 'valibot' && folder(file) !== 'cli')
        assert.ok(lazy || types, `${file} imports ${of} at start`);
});

test('the generator of the catalog is imported by nothing', () => {
  for (const file of sources.keys())
    if (!isGenerator(file)) for (const of of within(file)) assert.not(isGenerator(of), file);
});

test('bin.ts is four lines', () => {
  const lines = code(sources.get('bin.ts')!)
    .trim()
    .split('\n')
    .filter((line) => line.trim() !== '');
  assert.ok(lines.length <= 4, `${lines.length} lines`);
});

test('files stay readable: under 450 lines', () => {
  for (const [file, text] of sources) {
    if (file.startsWith('cpu/data/')) continue;
    const lines = text.split('\n').length;
    assert.ok(lines <= 450, `src/${file} has ${lines} lines`);
  }
});

test('the built library imports nothing but its own pieces', () => {
  const seen = new Set<string>();
  const walk = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { of } of importsOf(readFileSync(file, 'utf8'))) {
      assert.ok(of.startsWith('./'), `${file} imports ${of}`);
      walk(join(dirname(file), of));
    }
  };
  assert.ok(existsSync(join(ROOT, 'dist/index.js')), 'npm run build:lib comes first');
  walk(join(ROOT, 'dist/index.js'));
  assert.ok(seen.size > 1, 'lazy pieces are apart');
});

test('the built library answers where Node’s globals are not there', () => {
  const script = `
    const { log } = console;
    for (const name of ['process', 'Buffer', 'global', 'require', 'setImmediate', 'clearImmediate'])
      Object.defineProperty(globalThis, name, { get() { throw new Error(name + ' is used'); } });
    const plimsoll = await import('./dist/index.js');
    const catalog = await plimsoll.loadCatalog();
    log(catalog.find('pclmuldq').name);`;
  const out = execFileSync('node', ['--input-type=module', '-e', script], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.is(out, 'pclmulqdq\n');
});

test.run();
