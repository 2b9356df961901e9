// Puts the command into dist, and beside it V8's compiled form of what the usual questions need; src/cli/start.ts
// loads both.
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import Module, { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Script } from 'node:vm';

const dist = resolve('dist');
// V8 tells texts apart by their length alone: no compiled form may ever lie beside a command that is not its own.
for (const old of readdirSync(dist)) if (old.endsWith('.v8')) rmSync(join(dist, old));
const filename = join(dist, 'command.cjs');
copyFileSync('build/command.cjs', filename);

const script = new Script(Module.wrap(readFileSync(filename, 'latin1')), { filename });
const module = { exports: {} };
script.runInThisContext()(module.exports, createRequire(filename), module, filename, dist);

const silent = { write: (_, done) => done(), on: () => {} };
async function ask(...args) {
  const io = { stdin: [], stdout: silent, stderr: silent, env: {} };
  const code = await module.exports.main(args, io);
  if (code !== 0) throw new Error(`plimsoll ${args.join(' ')} ended with ${code}`);
}

// What a command does is compiled when it is first done.
const dir = mkdtempSync(join(tmpdir(), 'plimsoll-compile-'));
try {
  for (const dialect of ['records', 'libvirt']) {
    const file = join(dir, dialect);
    await ask('synth', '--hosts', '20', '--seed', '1', '--to', dialect, '-o', file);
    await ask('baseline', file);
    await ask('baseline', '--json', file);
    await ask('baseline', '--to', 'libvirt', file);
    if (dialect === 'libvirt')
      await ask(...'baseline --rules libvirt --stack libvirt@12.8 --to libvirt'.split(' '), file);
  }
} finally {
  rmSync(dir, { recursive: true });
}
const whole = join(dist, 'command.tmp');
writeFileSync(whole, script.createCachedData());
renameSync(whole, join(dist, `command.${process.versions.v8}-${process.arch}.v8`));
