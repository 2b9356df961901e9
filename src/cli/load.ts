// Loads the command: from V8's compiled form of it where there is one, for a short answer would spend half of its time
// on compiling.
import Module, { createRequire } from 'node:module';
import type { runProcess } from './main.ts';

interface Command {
  readonly runProcess: typeof runProcess;
}

/** Node 20.15 and 22.2 brought it; without it, the command is compiled as always. */
type Zlib = typeof import('node:zlib') & { readonly crc32?: (data: Uint8Array) => number };

/** The command that was built into the directory of this bundle. */
export function load(): Command {
  const require = createRequire(import.meta.url);
  const fs: typeof import('node:fs') = require('node:fs');
  const path: typeof import('node:path') = require('node:path');
  const url: typeof import('node:url') = require('node:url');
  const dirname = path.dirname(url.fileURLToPath(import.meta.url));
  const file = path.join(dirname, 'command.cjs');
  // As Module.wrap has it, but a megabyte is copied once and not three times.
  const [head, tail] = (Module as unknown as { wrapper: [string, string] }).wrapper;
  const fd = fs.openSync(file, 'r');
  const text = Buffer.allocUnsafe(head.length + fs.fstatSync(fd).size + tail.length);
  text.write(head);
  const size = head.length + fs.readSync(fd, text, { offset: head.length });
  fs.closeSync(fd);
  text.write(tail, size);
  const source = text.subarray(0, size + tail.length);
  let cachedData: Buffer;
  try {
    // What .ci/command.mjs made of this very text. Another V8 could not take it, and V8 itself would take the form of
    // any text of the same length.
    const { crc32 }: Zlib = require('node:zlib');
    const name = `command.${process.versions.v8}-${process.arch}-${crc32!(source).toString(16)}.v8`;
    cachedData = fs.readFileSync(path.join(dirname, name));
  } catch {
    // Newer Nodes keep a compiled form by themselves.
    (Module as { enableCompileCache?: () => void }).enableCompileCache?.();
    return require(file);
  }
  const { Script }: typeof import('node:vm') = require('node:vm');
  const module = { exports: {} };
  const script = new Script(source.toString('latin1'), { filename: file, cachedData });
  script.runInThisContext()(module.exports, require, module, file, dirname);
  return module.exports as Command;
}
