// Bundles the command into dist, and puts beside it V8's compiled form of what the usual questions need;
// src/cli/load.ts loads both.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Script } from 'node:vm';
import { build } from 'esbuild';

const dist = resolve('dist');
for (const old of readdirSync(dist)) if (old.endsWith('.v8')) rmSync(join(dist, old));

const common = {
  platform: 'node',
  outdir: dist,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  format: 'cjs',
  target: 'es2022',
  minifySyntax: true,
  minifyWhitespace: true,
  metafile: true,
  logLevel: 'warning',
};
// A third of the text and for few questions: files of their own, so that the others need not read them.
const apart = { 'apache-arrow': 'arrow', yaml: 'yaml' };
const libraries = await build({
  ...common,
  entryPoints: Object.entries(apart).map(([name, out]) => ({ in: name, out })),
});
const alias = Object.fromEntries(
  Object.entries(apart).map(([name, out]) => [name, `./${out}.cjs`]),
);
// commander starts programs for commands that are programs; ours are not, and what that takes loads for milliseconds.
const withoutPrograms = {
  name: 'without-programs',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes('/node_modules/commander/') ? { path: 'none', namespace: 'none' } : null,
    );
    onLoad({ filter: /^none$/, namespace: 'none' }, () => ({ contents: 'module.exports = {};' }));
  },
};
const { metafile } = await build({
  ...common,
  plugins: [withoutPrograms],
  entryPoints: [{ in: 'src/cli/main.ts', out: 'command' }],
  alias,
  external: Object.values(alias),
  supported: { 'dynamic-import': false },
  define: { 'import.meta.dirname': '__dirname' },
  loader: { '.wasm': 'binary' },
});
const inputs = { ...metafile.inputs, ...libraries.metafile.inputs };
writeFileSync('build/bin.json', JSON.stringify({ inputs }));

const filename = join(dist, 'command.cjs');
const wrapped = Module.wrap(readFileSync(filename, 'latin1'));
const script = new Script(wrapped, { filename });
const module = { exports: {} };
script.runInThisContext()(module.exports, createRequire(filename), module, filename, dist);

const silent = { write: (_, done) => done(), on: () => {} };
async function ask(...args) {
  const io = { stdin: [], stdout: silent, stderr: silent, env: {} };
  const code = await module.exports.main(args, io);
  if (code !== 0) throw new Error(`plimsoll ${args.join(' ')} ended with ${code}`);
}

// What a command does is compiled when it is first done; what makes the questions up is left out.
const dir = mkdtempSync(join(tmpdir(), 'plimsoll-compile-'));
try {
  for (const dialect of ['records', 'libvirt']) {
    const file = join(dir, dialect);
    const synth = ['synth', '--hosts', '20', '--seed', '1', '--to', dialect, '-o', file];
    execFileSync(process.execPath, [join(dist, 'bin.js'), ...synth]);
    await ask('baseline', file);
    await ask('baseline', '--json', file);
    await ask('baseline', '--to', 'libvirt', file);
    if (dialect === 'records') {
      // What a processor shows takes a road of its own.
      const shown = join(dir, 'shown');
      const text = readFileSync(file, 'utf8');
      writeFileSync(shown, text.replaceAll('"view":"hypervisor"', '"view":"hardware"'));
      await ask('baseline', shown);
    }
    if (dialect === 'libvirt')
      await ask(...'baseline --rules libvirt --stack libvirt@12.8 --to libvirt'.split(' '), file);
  }
} finally {
  rmSync(dir, { recursive: true });
}
const whole = join(dist, 'command.tmp');
// V8 tells texts apart by their length alone, so the text itself stands before what is made of it.
writeFileSync(whole, Buffer.concat([Buffer.from(wrapped, 'latin1'), script.createCachedData()]));
renameSync(whole, join(dist, `command.${process.versions.v8}-${process.arch}.v8`));
