// How the command starts: from V8's compiled form of it, and without it just as well.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import Module from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { Script } from 'node:vm';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../support/places.ts';

const test = suite('start');
const DIST = join(ROOT, 'dist');
const DEMO = join(ROOT, 'test/fixtures/demo-fleet.ndjson');
const compiled = readdirSync(DIST).filter((name) => name.endsWith('.v8'));

test('the compiled form is of this command, and this Node takes it', () => {
  const source = Module.wrap(readFileSync(join(DIST, 'command.cjs'), 'latin1'));
  assert.equal(compiled, [`command.${process.versions.v8}-${process.arch}.v8`]);
  const whole = readFileSync(join(DIST, compiled[0]!));
  assert.is(whole.toString('latin1', 0, source.length), source);
  const cachedData = whole.subarray(source.length);
  assert.equal(new Script(source, { cachedData }).cachedDataRejected, false);
  // V8 counts characters, so a letter of more than one byte would shift what it finds.
  assert.not.match(source, /[^\0-\x7f]/);
});

/** dist, in a folder of its own for as long as `look` takes. */
function inCopy(look: (dist: string) => void): void {
  const dir = mkdtempSync(join(tmpdir(), 'plimsoll-start-'));
  try {
    writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
    cpSync(DIST, join(dir, 'dist'), { recursive: true });
    look(join(dir, 'dist'));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test('a command that was changed runs as it stands, even where its size is the same', () => {
  inCopy((dist) => {
    const file = join(dist, 'command.cjs');
    const text = readFileSync(file, 'latin1');
    assert.ok(text.includes('no dialect that plimsoll recognises'));
    writeFileSync(file, text.replaceAll('plimsoll recognises', 'plimsoll RECOGNISES'), 'latin1');
    const junk = join(dist, 'junk.txt');
    writeFileSync(junk, 'junk\n');
    const { stderr } = spawnSync(process.execPath, [join(dist, 'bin.js'), 'baseline', junk]);
    assert.match(stderr.toString(), /plimsoll RECOGNISES/);
  });
});

test('without a compiled form, or with that of another V8, the answer is the same', () => {
  inCopy((dist) => {
    const ask = (options = '') => {
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [join(dist, 'bin.js'), 'baseline', '--json', '--by', 'vendor', DEMO],
        { encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: options } },
      );
      assert.equal([status, stderr], [0, '']);
      return stdout;
    };
    const answer = ask();
    assert.equal(ask('--max-semi-space-size=32'), answer);
    const file = join(dist, compiled[0]!);
    writeFileSync(file, 'of another V8');
    assert.equal(ask(), answer);
    rmSync(file);
    assert.equal(ask(), answer);
  });
});

test.run();
