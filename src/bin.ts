#!/usr/bin/env node
import { load } from './cli/start.ts';

const { process } = globalThis;
const { main, ioOf } = load();
// All is written when it comes back; what V8 still compiles in the background is not waited for.
process.exit(await main(process.argv.slice(2), ioOf(process)));
