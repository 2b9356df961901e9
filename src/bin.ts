#!/usr/bin/env node
import { load } from './cli/load.ts';

// All is written when it comes back; what V8 still compiles in the background is not waited for.
globalThis.process.exit(await load().runProcess(globalThis.process));
