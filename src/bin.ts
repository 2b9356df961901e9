#!/usr/bin/env node
// Starts the command, from V8's compiled form of it where there is one: a short answer would spend half of its time
// on compiling.
import { readFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

const require = createRequire(import.meta.url);
const directory = fileURLToPath(new URL('.', import.meta.url));
const file = `${directory}command.cjs`;

/** What .ci/compile.mjs made for this V8, which takes no other's. */
function compiled(): Buffer | null {
  try {
    return readFileSync(`${directory}command.${process.versions.v8}-${process.arch}.v8`);
  } catch {
    return null;
  }
}

function load(): typeof import('./cli/main.ts') {
  const cachedData = compiled();
  if (cachedData === null) {
    // Newer Nodes keep a compiled form by themselves.
    (Module as { enableCompileCache?: () => void }).enableCompileCache?.();
    return require(file);
  }
  const source = Module.wrap(readFileSync(file, 'latin1'));
  const module = { exports: {} };
  new Script(source, { filename: file, cachedData }).runInThisContext()(
    module.exports,
    require,
    module,
    file,
    directory,
  );
  return module.exports as typeof import('./cli/main.ts');
}

process.exitCode = await load().main(process.argv.slice(2), process);
