// Keeps V8's compiled form of what the usual questions need beside the command (src/bin.ts loads it).
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Script } from 'node:vm';

const dist = resolve('dist');
const filename = join(dist, 'command.cjs');
const script = new Script(Module.wrap(readFileSync(filename, 'latin1')), { filename });
const module = { exports: {} };
script.runInThisContext()(module.exports, createRequire(filename), module, filename, dist);

const silent = { write: (_, done) => done(), on: () => {} };
async function ask(...args) {
  const io = { stdin: [], stdout: silent, stderr: silent, env: {} };
  const code = await module.exports.main(args, io);
  if (code !== 0) throw new Error(`plimsoll ${args.join(' ')} ended with ${code}`);
}

const dir = mkdtempSync(join(tmpdir(), 'plimsoll-compile-'));
try {
  const made = ['records', 'libvirt'].map((dialect) => join(dir, dialect));
  for (const file of made)
    await ask('synth', '--hosts', '20', '--seed', '1', '--to', file.slice(dir.length + 1), '-o', file);
  // What a command does is compiled when it is first done.
  const [records, documents] = made;
  await ask('baseline', records);
  await ask('baseline', '--json', records);
  await ask('baseline', '--json', documents);
} finally {
  rmSync(dir, { recursive: true });
}
for (const old of readdirSync(dist)) if (old.endsWith('.v8')) rmSync(join(dist, old));
writeFileSync(
  join(dist, `command.${process.versions.v8}-${process.arch}.v8`),
  script.createCachedData(),
);
