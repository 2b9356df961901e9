// Where text stops being JSON.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { mistakeIn } from '../src/dialects/json-mistake.ts';
import { assertProperty } from './support/property.ts';

// All test files share one process, so the runs are said where they are made.
const RUNS = { numRuns: 500 };

const test = suite('json');

test('the mistake is where it was put', () => {
  const value = fc.jsonValue({ maxDepth: 4 });
  assertProperty(
    fc.property(value, fc.nat(), fc.constantFrom(0, 2), (json, where, indent) => {
      const text = JSON.stringify(json, null, indent);
      assert.is(mistakeIn(text), text.length);
      // A sign that JSON has nowhere but in strings.
      const at = where % (text.length + 1);
      const wrong = `${text.slice(0, at)}@${text.slice(at)}`;
      let refused = false;
      try {
        JSON.parse(wrong);
      } catch {
        refused = true;
      }
      // Within a word it is the word's beginning that is not JSON.
      const found = mistakeIn(wrong);
      if (refused) assert.ok(found <= at && at - found <= 5, `${wrong}: ${found}, not ${at}`);
      else assert.is(found, wrong.length);
    }),
    RUNS,
  );
});

test('text that is only cut is wrong at its end', () => {
  for (const text of [
    '{"a',
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,',
    '[',
    '[1',
    '["\\',
    '',
    '{"a":"\\u00',
  ])
    assert.ok(text.length - mistakeIn(text) <= 4, text);
});

test('each mistake has its place', () => {
  const cases: [string, number][] = [
    ['{"a":1,}', 7],
    ['[1,]', 3],
    ['{a:1}', 1],
    ['[01]', 2],
    ['[1 2]', 3],
    ['"\n"', 1],
    ['["\\x"]', 2],
    ['{"a":1}}', 7],
    ['[1}', 2],
    ['{"a",1}', 4],
    ['nul', 0],
  ];
  for (const [text, at] of cases) assert.is(mistakeIn(text), at, text);
});

test.run();
