// The laws as a program: exit code 0 where they hold, 1 with the first line of what breaks them. Bundled with a mutant of
// the rule by test/slow/mutants.test.ts.
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { holdAll } from './laws.ts';

try {
  await holdAll(await loadCatalog(), { shrink: false });
} catch (error) {
  console.log((error as Error).message.split('\n').find((line) => line.startsWith('Got')) ?? error);
  process.exitCode = 1;
}
