// Loads the command: from V8's compiled form of it where there is one, for a short answer would spend half of its time
// on compiling.
import Module, { createRequire } from 'node:module';
import type { main } from './main.ts';

interface Command {
  readonly main: typeof main;
}

/** The command that was built into the directory of this bundle. */
export function load(): Command {
  const require = createRequire(import.meta.url);
  const fs: typeof import('node:fs') = require('node:fs');
  const path: typeof import('node:path') = require('node:path');
  const url: typeof import('node:url') = require('node:url');
  const dirname = path.dirname(url.fileURLToPath(import.meta.url));
  const file = path.join(dirname, 'command.cjs');
  const { v8 } = process.versions;
  let cachedData: Buffer;
  try {
    // What .ci/command.mjs made; another V8 could not take it.
    cachedData = fs.readFileSync(path.join(dirname, `command.${v8}-${process.arch}.v8`));
  } catch {
    // Newer Nodes keep a compiled form by themselves.
    (Module as { enableCompileCache?: () => void }).enableCompileCache?.();
    return require(file);
  }
  const { Script }: typeof import('node:vm') = require('node:vm');
  // As Module.wrap has it, but put together before it is a text: V8 would copy it once more.
  const [head, tail] = (Module as unknown as { wrapper: [string, string] }).wrapper;
  const source = Buffer.concat([
    Buffer.from(head),
    fs.readFileSync(file),
    Buffer.from(tail),
  ]).toString('latin1');
  const module = { exports: {} };
  const run = new Script(source, { filename: file, cachedData }).runInThisContext();
  run(module.exports, require, module, file, dirname);
  return module.exports as Command;
}
