// The library as it ships: its modules need nothing but themselves, and nothing of Node.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../support/places.ts';

const dist = pathToFileURL(join(ROOT, 'dist/'));
const demo = join(ROOT, 'test/fixtures/demo-fleet.ndjson');

/** What a module imports, statically and on demand, as written. */
function importsOf(name: string): { static: string[]; lazy: string[] } {
  const text = readFileSync(new URL(name, dist), 'utf8');
  const all = (pattern: RegExp) => [...text.matchAll(pattern)].map((m) => m[1]!);
  return {
    static: all(/^\s*(?:import|export)\b[^'"();]*?["']([^"']+)["'];?$/gm),
    lazy: all(/\bimport\(\s*["']([^"']+)["']\s*\)/g),
  };
}

/** The modules that importing one loads, or may load. */
function reach(kinds: readonly ('static' | 'lazy')[]): Map<string, string[]> {
  const seen = new Map<string, string[]>();
  const open = ['./index.js'];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue;
    const found = importsOf(name);
    seen.set(
      name,
      kinds.flatMap((kind) => found[kind]),
    );
    open.push(...seen.get(name)!.filter((specifier) => specifier.startsWith('./')));
  }
  return seen;
}

test('index.js reaches only files beside it: no node: module, no package', () => {
  const specifiers = [...reach(['static', 'lazy']).values()].flat();
  assert.equal(
    specifiers.filter((s) => !/^\.\/[\w-]+\.js$/.test(s)),
    [],
  );
});

test('the data of the catalog and the XML parser wait until they are needed', () => {
  const first = reach(['static']);
  const all = reach(['static', 'lazy']);
  const holds = (modules: Iterable<string>, text: string) =>
    [...modules].some((name) => readFileSync(new URL(name, dist), 'utf8').includes(text));
  // A key of the data, and a message of the parser.
  for (const text of ['"plimsoll-features/1"', 'disallowed character in tag name'])
    assert.equal([holds(first.keys(), text), holds(all.keys(), text)], [false, true], text);
});

/** Runs the modules in a context that has the language, WebAssembly and the two text coders, and nothing else. */
const BROWSER = `
  import { readFileSync } from 'node:fs';
  import vm from 'node:vm';
  const [dist, fleet] = process.argv.slice(1);
  const context = vm.createContext({ TextDecoder, TextEncoder });
  const modules = new Map();
  const load = (specifier) => {
    if (!modules.has(specifier)) {
      const source = readFileSync(new URL(specifier, dist), 'utf8');
      modules.set(specifier, new vm.SourceTextModule(source, { identifier: specifier, context, importModuleDynamically: start }));
    }
    return modules.get(specifier);
  };
  const start = async (specifier) => {
    const module = load(specifier);
    if (module.status === 'unlinked') await module.link(load);
    await module.evaluate();
    return module;
  };
  const { namespace: plimsoll } = await start('./index.js');
  const input = { name: 'fleet', bytes: new Uint8Array(readFileSync(fleet)) };
  const catalog = await plimsoll.loadCatalog();
  const answer = plimsoll.baselinesBy(await plimsoll.readFleet(catalog, [input]), 'vendor');
  const [{ baseline }] = answer.baselines;
  const cpu = { ...baseline, physBits: baseline.limits.physBits };
  const xml = plimsoll.dialectByName('libvirt').write(cpu, catalog);
  const again = await plimsoll.readFleet(catalog, [{ name: 'again', bytes: new TextEncoder().encode(xml) }]);
  console.log(JSON.stringify({ answer, again: again.members.length }));
`;

test('it answers where there is nothing of Node, and as the command does', () => {
  const node = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal({ status, stderr }, { status: 0, stderr: '' });
    return JSON.parse(stdout);
  };
  const { answer, again } = node(
    '--no-warnings',
    '--experimental-vm-modules',
    '--input-type=module',
    '-e',
    BROWSER,
    dist.href,
    demo,
  );
  assert.is(again, 1);
  assert.equal(
    answer,
    node(fileURLToPath(new URL('bin.js', dist)), 'baseline', demo, '--by', 'vendor', '--json'),
  );
});

test.run();
