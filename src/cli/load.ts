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
  // As Module.wrap has it, but a megabyte is copied once and not three times.
  const [head, tail] = (Module as unknown as { wrapper: [string, string] }).wrapper;
  const fd = fs.openSync(file, 'r');
  const text = Buffer.allocUnsafe(head.length + fs.fstatSync(fd).size + tail.length);
  text.write(head);
  const end = head.length + fs.readSync(fd, text, { offset: head.length });
  fs.closeSync(fd);
  text.write(tail, end);
  const source = text.subarray(0, end + tail.length);
  const cachedData = compiled(
    fs,
    path.join(dirname, `command.${process.versions.v8}-${process.arch}.v8`),
    source,
  );
  if (!cachedData) {
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

/**
 * V8's compiled form of this very text, as .ci/command.mjs wrote it: behind the text that it is of, because V8 would take
 * the form of any text of the same length, and Node's hashes take longer to load than the text takes to compare.
 */
function compiled(
  fs: typeof import('node:fs'),
  file: string,
  source: Uint8Array,
): Buffer | undefined {
  try {
    const whole = fs.readFileSync(file);
    return whole.subarray(0, source.length).equals(source)
      ? whole.subarray(source.length)
      : undefined;
  } catch {
    // Another V8 could not take it: there is none for this one.
    return undefined;
  }
}
