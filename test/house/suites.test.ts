// The suites themselves: uvu ends with success on a file that runs nothing, so that is looked for here.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../support/places.ts';
import { draws, evenly } from '../support/property.ts';

const test = suite('suites');

const list = (dir: string, ending: string): string[] =>
  readdirSync(join(ROOT, dir), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => file.slice(0, -ending.length))
    .sort();
const sources = list('test', '.test.ts');
const texts = new Map(
  sources.map((name) => [name, readFileSync(join(ROOT, 'test', `${name}.test.ts`), 'utf8')]),
);

/** The arguments of every call of `name(...)` in a text, split at the commas of the call itself. */
function callsOf(name: string, text: string): string[][] {
  const calls: string[][] = [];
  for (let at = text.indexOf(`${name}(`); at >= 0; at = text.indexOf(`${name}(`, at + 1)) {
    const parts: string[] = [];
    let part = '';
    let depth = 1;
    let quote = '';
    for (let i = at + name.length + 1; i < text.length; i++) {
      const c = text[i]!;
      if (quote) {
        if (c === '\\') part += text[i++];
        else if (c === quote) quote = '';
      } else if (c === "'" || c === '"' || c === '`') quote = c;
      else if (c === '/' && /^\s*$/.test(part)) quote = '/';
      else if ('([{'.includes(c)) depth++;
      else if (')]}'.includes(c) && --depth === 0) break;
      if (c === ',' && depth === 1 && !quote) {
        parts.push(part);
        part = '';
      } else part += text[i];
    }
    calls.push([...parts, part].map((p) => p.trim()).filter((p) => p !== ''));
  }
  return calls;
}

test('every test file ends by running its suite', () => {
  assert.ok(sources.length >= 10, `${sources.length} test files`);
  for (const [name, text] of texts) {
    assert.match(
      text.trimEnd(),
      /(^|\n)(test\.run\(\);|\}?\s*test\.run\(\);\s*\}?)$/,
      `${name}.test.ts`,
    );
    assert.match(text, /\b(test|fact|live|given\([^)]*\))\(/, `${name}.test.ts has no test`);
  }
});

test('no test is singled out', () => {
  for (const [name, text] of texts)
    assert.not(/\btest\.only\(/.test(text.replace(/\/\\b.*/g, '')), `${name}.test.ts`);
});

test('calls are taken apart at their own commas', () => {
  const calls = callsOf(
    'throws',
    "throws(() => f(1, [2, 'x,)']), 'text'); throws(g, /a, b(/); throws(h)",
  );
  assert.equal(calls, [["() => f(1, [2, 'x,)'])", "'text'"], ['g', '/a, b(/'], ['h']]);
});

test('an expected error is a regular expression: uvu does not compare a text', () => {
  for (const [name, text] of texts)
    for (const args of name === 'house/suites' ? [] : callsOf('assert.throws', text)) {
      assert.ok(
        args.length >= 2,
        `${name}.test.ts: assert.throws(${args[0]}) expects nothing in particular`,
      );
      assert.not(
        /^['"`]/.test(args[1]!),
        `${name}.test.ts: assert.throws(..., ${args[1]}) checks nothing`,
      );
    }
});

test('a property that fails says why, starts from the seed, and is drawn as often as asked for', () => {
  const property = readFileSync(join(ROOT, 'test/support/property.ts'), 'utf8');
  assert.match(property, /includeErrorInReport: true/);
  for (const [name, text] of texts)
    if (name !== 'house/suites') {
      assert.not.match(text, /\bfc\.(assert|check)\(/, `${name}.test.ts: use assertProperty`);
      assert.not.match(text, /PLIMSOLL_(SEED|EFFORT) \?\?/, `${name}.test.ts: use seed and draws`);
      assert.not.match(text, /numRuns: draws/, `${name}.test.ts: assertProperty takes the whole`);
    }
});

test('an even part of a list is of all of it, and all of it where all is asked for', () => {
  const all = Array.from({ length: 1000 }, (_, i) => i);
  const part = evenly(all);
  assert.equal([part[0], part.at(-1), part.length], [0, 999, Math.min(1000, draws(1000))]);
  assert.is(new Set(part).size, part.length);
  assert.equal(part, evenly(all));
  const gaps = part.slice(1).map((n, i) => n - part[i]!);
  assert.ok(Math.max(...gaps) - Math.min(...gaps) <= 1);
  assert.equal([evenly([]), evenly(['a'])], [[], ['a']]);
  assert.equal(evenly(all.slice(0, 20)), all.slice(0, 20));
  assert.is(draws(7), 7);
});

test('what is run is what is written: every file built, and none of a file that is gone', () => {
  assert.equal(list('build/test', '.test.js'), sources);
});

test('the scripts run every suite: the live and the slow ones apart', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  assert.match(scripts.test, /clean.*build.*suites/);
  assert.match(scripts.suites, /build:test && node \.ci\/tests\.mjs$/);
  const runner = readFileSync(join(ROOT, '.ci/tests.mjs'), 'utf8');
  assert.match(runner, /pattern \? .* : !\/\^\(oracles\|slow\)\\\//);
  assert.match(scripts['test:live'], /uvu build\/test\/oracles "\\.test\\.js\$"$/);
  assert.match(scripts['test:slow'], /uvu build\/test\/slow "\\.test\\.js\$"$/);
});

test.run();
