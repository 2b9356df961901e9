// One rule for "does it run here": every question gives the answer that the slow rule gives, and no two contradict.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { holdAll } from './support/laws.ts';

const catalog = await loadCatalog();
const test = suite('laws of the rule');

test('check, admit, compare, place and drift are one rule, and the slow rule is that', async () => {
  const { fleets, verdicts, lines, changed } = await holdAll(catalog);
  console.log(
    `laws: ${fleets} fleets, ${JSON.stringify(verdicts)}, ${lines} lines, ${changed} changes`,
  );
  for (const n of [...Object.values(verdicts), lines, changed]) assert.ok(n > fleets / 20);
});

test.run();
