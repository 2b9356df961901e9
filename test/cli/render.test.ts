// Laying out for people: nothing is wider than the terminal, nothing is lost without being counted.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Io } from '../../src/cli/io.ts';
import { main } from '../../src/cli/main.ts';
import { fileName } from '../../src/cli/screen/output.ts';
import { commandLine, definitionText } from '../../src/cli/screen/render.ts';
import {
  clip,
  clipMiddle,
  hostsText,
  listed,
  table,
  width,
  wrap,
} from '../../src/cli/screen/text.ts';
import { printable } from '../../src/cpu/printable.ts';
import { ROOT } from '../support/places.ts';
import { assertProperty } from '../support/property.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one.
const plain = (text: string) => text.replace(/\u001b\[\d+m/g, '');
const word = fc
  .string({ minLength: 1, maxLength: 40, unit: 'grapheme' })
  .map((w) => printable(w).replace(/\s/g, '_'));
const words = fc.array(word, { minLength: 1, maxLength: 60 });
const columns = fc.integer({ min: 24, max: 120 });

test('wrapped words fit, and none is lost or changes its place', () => {
  assertProperty(
    fc.property(words, columns, (list, max) => {
      const lines = wrap(list, max);
      assert.ok(lines.every((line) => width(line) <= max));
      assert.is(lines.join(' '), list.map((w) => clip(w, max)).join(' '));
    }),
  );
});

test('wrapped words within so many lines: those left out are counted', () => {
  assertProperty(
    fc.property(words, columns, fc.integer({ min: 1, max: 4 }), (list, max, most) => {
      const lines = wrap(list, max, most);
      assert.ok(lines.length <= most && lines.every((line) => width(line) <= max));
      const text = lines.join(' ');
      const more = text.match(/(?:^| )… and (\d+) more$/);
      if (!more)
        assert.is(
          text,
          wrap(list, max).length > most
            ? `${list.length} in all`
            : list.map((w) => clip(w, max)).join(' '),
        );
      else {
        const kept = list.slice(0, list.length - Number(more[1]));
        assert.is(text.slice(0, more.index), kept.map((w) => clip(w, max)).join(' '));
      }
    }),
  );
});

test('clipped text fits and keeps its beginning, or both of its ends', () => {
  assertProperty(
    fc.property(word, fc.integer({ min: 8, max: 40 }), (text, max) => {
      assert.ok(width(clip(text, max)) <= max && width(clipMiddle(text, max)) <= max);
      if (width(text) <= max) assert.equal([clip(text, max), clipMiddle(text, max)], [text, text]);
    }),
  );
  assert.is(clip('Skylake-Server-v3', 10), 'Skylake-S…');
  assert.is(clipMiddle('GenuineIntel_Skylake_CPUID10', 16), 'Genui…ke_CPUID10');
});

test('hosts are named as far as there is room, the others are counted', () => {
  const hosts = ['db-01', 'db-02', 'db-03'];
  assert.is(hostsText({ count: 3, hosts }, 30), 'db-01 db-02 db-03');
  assert.is(hostsText({ count: 3, hosts }, 16), 'db-01 and 2 more');
  assert.is(hostsText({ count: 2000, hosts }, 34), 'db-01 db-02 db-03 and 1,997 more');
  assert.is(hostsText({ count: 1, hosts: [] }, 30), '1 host');
  assert.is(hostsText({ count: 7, hosts: [] }, 30), '7 hosts');
});

test('a table keeps its columns, and a long last cell goes on below', () => {
  assert.equal(
    table(
      [
        ['a', 'one two three'],
        ['long', 'x'],
      ],
      14,
    ),
    ['a     one two', '      three', 'long  x'],
  );
});

test('a definition that does not fit counts its words', () => {
  const definition = { name: 'EPYC-v3', require: ['arat', 'xsaves'], disable: ['ibpb'] };
  assert.is(definitionText(definition, 40), 'EPYC-v3 +arat +xsaves -ibpb');
  assert.is(definitionText(definition, 20), 'EPYC-v3 +2 -1');
});

test('the next command is the one typed, quoted for a shell, with its inputs shortened', () => {
  const argv = ['baseline', "it's", 'b.xml', '--by', 'vendor'];
  assert.is(
    commandLine(argv, ["it's", 'b.xml'], '--to qemu', 80),
    "plimsoll baseline 'it'\\''s' b.xml --by vendor --to qemu",
  );
  assert.is(
    commandLine(argv, ["it's", 'b.xml'], '--to qemu', 48),
    'plimsoll baseline … --by vendor --to qemu',
  );
});

test('no value of a key becomes a path', () => {
  for (const value of ['..', '.hidden', 'a/b', 'x\u0000y', 'café', "it's"])
    assert.match(fileName(value), /^[\w%-][\w%.-]*$/);
  assert.is(new Set(['a/b', 'a%2Fb', 'a b', 'a+b'].map(fileName)).size, 4);
});

test('listed words read as a sentence', () => {
  assert.equal(
    [listed([]), listed(['a']), listed(['a', 'b']), listed(['a', 'b', 'c'], 'or')],
    ['', 'a', 'a and b', 'a, b or c'],
  );
});

/** A process that is not there: what it is told, and what it said. */
function pretend(columns: number | null, stdin = '') {
  const said = { out: '', err: '' };
  const output = (key: 'out' | 'err') => ({
    isTTY: columns !== null,
    columns: columns ?? undefined,
    on: () => {},
    write: (text: string, done?: unknown) => {
      said[key] += text;
      if (typeof done === 'function') done();
    },
  });
  const io: Io = {
    stdin: (async function* () {
      yield stdin;
    })(),
    stdout: output('out'),
    stderr: output('err'),
    env: {},
  };
  return { io, said };
}

const fleet = readFileSync(join(ROOT, 'test/fixtures/demo-fleet.ndjson'), 'utf8')
  .trim()
  .split('\n');

test('no report is wider than the terminal, whatever the fleet, in colour or not', async () => {
  const commands = [
    ['baseline'],
    ['baseline', '--by', 'vendor'],
    ['baseline', '--by', 'model', '--no-ids'],
    ['decode'],
    ['baseline', '--stack', 'newest', '--nested'],
  ];
  const renamed = fc.record({
    line: fc.constantFrom(...fleet),
    id: fc.option(fc.stringMatching(/^[a-z0-9-]{1,60}$/)),
  });
  await assertProperty(
    fc.asyncProperty(
      fc.array(renamed, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 40, max: 200 }),
      fc.constantFrom(...commands),
      async (hosts, columns, command) => {
        const input = hosts
          .map(({ line, id }, i) =>
            JSON.stringify({ ...JSON.parse(line), host: `${id ?? 'h'}-${i}`, model: `m${i % 7}` }),
          )
          .join('\n');
        const { io, said } = pretend(columns, input);
        const code = await main([...command, '-'], io);
        assert.ok(code < 2 && said.out !== '', said.err);
        assert.equal(
          plain(said.out)
            .split('\n')
            .filter((line) => width(line) > columns),
          [],
        );
      },
    ),
    { numRuns: 60 },
  );
});

test('a bug is called a bug, with its stack, and is no answer', async () => {
  const { io, said } = pretend(null, fleet[0]);
  const broken = {
    ...io.stdout,
    get isTTY(): boolean {
      throw new TypeError('out of order');
    },
  };
  assert.is(await main(['baseline', '-'], { ...io, stdout: broken }), 2);
  assert.is(said.out, '');
  assert.match(
    said.err,
    /^error: this is a bug in plimsoll \d+\.\d+\.\d+; report it .*\nTypeError: out of order\n {4}at /,
  );
});

test('a long reading shows on a terminal, and leaves nothing behind', async () => {
  const { progressOn } = await import('../../src/cli/input/progress.ts');
  const { io, said } = pretend(80);
  const progress = progressOn(io.stderr, false) as ReturnType<typeof progressOn> & {
    load(): Promise<void>;
  };
  progress(0, 5000);
  assert.is(said.err, '', 'nobody wonders before');
  await progress.load();
  await new Promise((resolve) => setTimeout(resolve, 450));
  progress(1234, 5000);
  assert.match(said.err, /reading 24 %, 1,234 of 5,000 files, \d+ s left/);
  progress(5000, 5000);
  // Nothing is written behind what erases the line.
  assert.ok(!said.err.slice(said.err.lastIndexOf('\u001b[0K')).includes('reading'));
  const silent = pretend(80);
  progressOn(silent.io.stderr, true)(1, 2);
  progressOn(pretend(null).io.stderr, false)(1, 2);
  assert.is(silent.said.err, '');
});

test.run();
