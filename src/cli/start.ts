// Loads the command: from V8's compiled form of it where there is one, for a short answer would spend half of its time
// on compiling.
import Module, { createRequire } from 'node:module';
import type { runProcess } from './main.ts';

interface Command {
  readonly runProcess: typeof runProcess;
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
  // As Module.wrap has it, but a megabyte is copied once and not three times.
  const [head, tail] = (Module as unknown as { wrapper: [string, string] }).wrapper;
  const fd = fs.openSync(file, 'r');
  const text = Buffer.allocUnsafe(head.length + fs.fstatSync(fd).size + tail.length);
  text.write(head);
  const size = head.length + fs.readSync(fd, text, { offset: head.length });
  fs.closeSync(fd);
  text.write(tail, size);
  const source = text.toString('latin1', 0, size + tail.length);
  const module = { exports: {} };
  const run = new Script(source, { filename: file, cachedData }).runInThisContext();
  run(module.exports, require, module, file, dirname);
  return module.exports as Command;
}
