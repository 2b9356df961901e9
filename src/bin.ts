#!/usr/bin/env node
// Starts the command, from V8's compiled form of it where there is one: a short answer would spend half of its time
// on compiling.
import Module, { createRequire } from 'node:module';
import type { main } from './cli/main.ts';

interface Command {
  readonly main: typeof main;
}

const { process } = globalThis;
const require = createRequire(import.meta.url);
const { dirname } = import.meta;
const file = `${dirname}/command.cjs`;

function load(): Command {
  const fs: typeof import('node:fs') = require('node:fs');
  let cachedData: Buffer;
  try {
    // What .ci/compile.mjs made; another V8 could not take it.
    cachedData = fs.readFileSync(`${dirname}/command.${process.versions.v8}-${process.arch}.v8`);
  } catch {
    // Newer Nodes keep a compiled form by themselves.
    (Module as { enableCompileCache?: () => void }).enableCompileCache?.();
    return require(file);
  }
  const { Script }: typeof import('node:vm') = require('node:vm');
  const source = Module.wrap(fs.readFileSync(file, 'latin1'));
  const module = { exports: {} };
  const run = new Script(source, { filename: file, cachedData }).runInThisContext();
  run(module.exports, require, module, file, dirname);
  return module.exports as Command;
}

// All is written when it comes back; what V8 still compiles in the background is not waited for.
process.exit(await load().main(process.argv.slice(2), process));
