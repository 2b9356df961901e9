// One rule for "does it run here": every question gives the answer that the slow rule gives, and no two contradict.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { holdAll } from './support/laws.ts';

fc.configureGlobal({ includeErrorInReport: true });
const seed = Number(process.env.PLIMSOLL_SEED ?? 20261124);
const runs = Number(process.env.PLIMSOLL_RUNS ?? 200);
console.log(`laws: seed ${seed}, ${runs} fleets`);
const catalog = await loadCatalog();
const test = suite('laws of the rule');

test('check, admit, compare, place and drift are one rule, and the slow rule is that', async () => {
  const { verdicts, lines, changed } = await holdAll(catalog, { seed, runs });
  console.log(`laws: ${JSON.stringify(verdicts)}, ${lines} lines, ${changed} changes`);
  for (const n of [...Object.values(verdicts), lines, changed]) assert.ok(n > runs / 20);
});

test.run();
