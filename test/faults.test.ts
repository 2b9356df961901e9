// What goes wrong on the way: the answer is whole or not there, and one sentence says why.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Descriptor } from '../src/cli/stdio.ts';
import { ROOT } from './support/places.ts';

const bin = join(ROOT, 'dist/bin.js');
const dir = mkdtempSync(join(tmpdir(), 'plimsoll-faults-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
const TIMEOUT_MS = 120_000;

const run = (args: readonly string[], options: { input?: Uint8Array; shell?: string } = {}) => {
  const command = [process.execPath, bin, ...args];
  const { status, stdout, stderr } = options.shell
    ? spawnSync('sh', ['-c', options.shell], { cwd: dir, encoding: 'utf8', timeout: TIMEOUT_MS })
    : spawnSync(command[0]!, command.slice(1), {
        cwd: dir,
        encoding: 'utf8',
        timeout: TIMEOUT_MS,
        maxBuffer: 1 << 28,
        ...(options.input ? { input: options.input } : {}),
      });
  return { status, stdout, stderr };
};

const file = (name: string) => join(dir, name);

/** More than threads are started for. */
const HOSTS = 30_000;
run(['synth', '--hosts', `${HOSTS}`, '-o', 'large.ndjson']);
run(['synth', '--hosts', '3000', '-o', 'small.ndjson']);

const test = suite('faults');

test('one thread or several, compressed or not, from a pipe or a file: the same bytes', () => {
  const text = readFileSync(file('large.ndjson'));
  assert.ok(text.length > 64 * 2 ** 20, `${text.length} bytes are enough for threads`);
  const ask = (...args: string[]) => run(['baseline', '--json', ...args]);
  const one = ask('--threads', '1', 'large.ndjson');
  assert.is(one.status, 0);
  assert.is(JSON.parse(one.stdout).hosts, HOSTS);
  for (const threads of ['2', '3', '7'])
    assert.equal(ask('--threads', threads, 'large.ndjson'), one, `${threads} threads`);
  assert.equal(run(['baseline', '--json', '-'], { input: text }), one);
  spawnSync('gzip', ['-1', '-k', file('large.ndjson')]);
  assert.equal(ask('large.ndjson.gz'), one);
  if (spawnSync('zstd', ['-q', file('large.ndjson')]).status === 0)
    assert.equal(ask('large.ndjson.zst'), one);
  else console.log('skipped: Zstandard (apt-get install zstd)');
  const counted = ask('--no-ids', '--threads', '1', 'large.ndjson');
  assert.equal(ask('--no-ids', '--threads', '3', 'large.ndjson'), counted);
});

test('the first line that is wrong is named, whichever thread found it', () => {
  const lines = readFileSync(file('large.ndjson'), 'utf8').trimEnd().split('\n');
  lines[10_000] = '{"host":"early","features":7}';
  lines[25_000] = '{"host":"late","features":[]';
  writeFileSync(file('wrong.ndjson'), lines.join('\n'));
  const problem =
    'error: wrong.ndjson:10001: host "early": "features" is the number 7; it is a list of feature names\n';
  for (const threads of ['1', '2', '5'])
    assert.equal(run(['baseline', '--threads', threads, 'wrong.ndjson']), {
      status: 2,
      stdout: '',
      stderr: problem,
    });
  const skipping = (threads: string) =>
    run(['baseline', '--json', '--skip-unreadable', '--threads', threads, 'wrong.ndjson']);
  const { skipped, hosts } = JSON.parse(skipping('2').stdout);
  assert.is(hosts, HOSTS - 2);
  assert.equal(
    skipped.map((s: { line: number }) => s.line),
    [10_001, 25_001],
  );
  assert.equal(skipping('1'), skipping('4'));
});

test('a thread that dies is no answer', () => {
  cpSync(join(ROOT, 'dist'), file('dist'), { recursive: true });
  writeFileSync(file('package.json'), '{"type":"module"}');
  for (const death of ['process.exit(0)', 'process.exit(3)', 'throw new Error("out of memory")']) {
    writeFileSync(file('dist/worker.js'), death);
    const args = [file('dist/bin.js'), 'baseline', '--threads', '2', 'large.ndjson'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: dir,
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
    });
    assert.equal({ status, stdout }, { status: 2, stdout: '' }, death);
    assert.match(stderr, /^error: large\.ndjson was not read to the end, because a thread .*\n$/);
  }
});

test('killed at any moment, the output is the old one or the whole new one', async () => {
  const args = ['summarize', '--shard', 'x', '-o', 'out.summary', 'small.ndjson'];
  const start = Date.now();
  assert.is(run(args).status, 0);
  const duration = Date.now() - start;
  const whole = readFileSync(file('out.summary'));
  const old = 'what was there before\n';
  let [before, after] = [0, 0];
  for (let i = 0; i < 24; i++) {
    writeFileSync(file('out.summary'), old);
    const child = spawn(process.execPath, [bin, ...args], { cwd: dir, stdio: 'ignore' });
    const ended = once(child, 'exit');
    // Later each time, and at last not before the end.
    await (i < 22 ? Promise.race([ended, sleep((duration * 1.3 * i) / 22)]) : ended);
    child.kill('SIGKILL');
    await ended;
    const now = readFileSync(file('out.summary'));
    if (now.toString() === old) before++;
    else {
      assert.ok(now.equals(whole), `kill ${i} left something else`);
      after++;
    }
  }
  assert.ok(before > 0 && after > 0, `old ${before} times, new ${after} times`);
});

test('a full disk leaves the old output and nothing beside it', () => {
  const mount = file('full');
  spawnSync('mkdir', [mount]);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', mount]).status !== 0) {
    console.log('skipped: a full disk (only root mounts one)');
    return;
  }
  try {
    writeFileSync(join(mount, 'out.summary'), 'old\n');
    const { status, stdout, stderr } = run(['summarize', '-o', 'full/out.summary', 'small.ndjson']);
    assert.equal({ status, stdout }, { status: 2, stdout: '' });
    assert.match(stderr, /^error: cannot write full\/out\.summary: no space is left there\n$/);
    assert.is(readFileSync(join(mount, 'out.summary'), 'utf8'), 'old\n');
    assert.equal(readdirSync(mount), ['out.summary']);
  } finally {
    spawnSync('umount', [mount]);
  }
});

test('a full pipe or device says so, and a closed one is no failure', () => {
  const full = run([], { shell: `'${process.execPath}' '${bin}' synth --hosts 9000 > /dev/full` });
  assert.is(full.status, 2);
  assert.match(full.stderr, /^error: cannot write the answer: no space is left there\n$/);
  const closed = run([], {
    shell: `'${process.execPath}' '${bin}' synth --hosts 9000 | head -n 1`,
  });
  assert.equal([closed.status, closed.stderr], [0, '']);
});

test('what a pipe that does not wait has no room for goes to a stream that does', () => {
  const pipe = file('pipe');
  spawnSync('mkfifo', [pipe]);
  const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  const late: Uint8Array[] = [];
  const output = new Descriptor(fd, () => ({
    write: (bytes: string | Uint8Array, done: () => void) => {
      late.push(bytes as Uint8Array);
      done();
    },
    on: () => {},
  }));
  const texts = ['a'.repeat(1000), 'é'.repeat(1 << 20), 'the last'];
  let written = 0;
  for (const text of texts) output.write(text, () => written++);
  assert.is(written, 3);
  const early = Buffer.alloc(1 << 22);
  const size = readSync(fd, early);
  closeSync(fd);
  assert.ok(size > 1000 && late.length === 2, 'some of it had room');
  assert.is(Buffer.concat([early.subarray(0, size), ...late]).toString(), texts.join(''));
});

test('an input that ends in the middle is refused, not answered in part', () => {
  const text = readFileSync(file('large.ndjson'));
  writeFileSync(file('cut.ndjson'), text.subarray(0, text.length - 300));
  for (const threads of ['1', '2']) {
    const { status, stdout, stderr } = run(['baseline', '--threads', threads, 'cut.ndjson']);
    assert.equal({ status, stdout }, { status: 2, stdout: '' });
    assert.match(stderr, /^error: cut\.ndjson:30000:\d+: this is no JSON: it ends in the middle/);
  }
  if (!existsSync(file('large.ndjson.gz'))) return;
  writeFileSync(file('cut.gz'), readFileSync(file('large.ndjson.gz')).subarray(0, 900_000));
  assert.match(
    run(['baseline', 'cut.gz']).stderr,
    /^error: cut\.gz ends in the middle of its gzip data/,
  );
});

test.run();
