// The laws as a program: exit code 0 where they hold, 1 with the first line of what breaks them. Bundled with a mutant of
// the rule by test/slow/mutants.test.ts.
import fc from 'fast-check';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { holdAll } from './laws.ts';

fc.configureGlobal({ includeErrorInReport: true });
try {
  const { PLIMSOLL_SEED: seed = '20261124', PLIMSOLL_RUNS: runs = '300' } = process.env;
  await holdAll(await loadCatalog(), { seed: Number(seed), runs: Number(runs), shrink: false });
} catch (error) {
  console.log((error as Error).message.split('\n').find((line) => line.startsWith('Got')) ?? error);
  process.exitCode = 1;
}
