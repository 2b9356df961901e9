// A command that is ended on its way leaves nothing behind, and one that waits for others does not wait for ever.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../support/places.ts';

const test = suite('signals');
const bin = join(ROOT, 'dist/bin.js');
const root = mkdtempSync(join(tmpdir(), 'plimsoll-signals-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));
const TIMEOUT_MS = 20_000;

/** A folder of its own. */
function folder(name: string): string {
  const path = join(root, name);
  mkdirSync(path);
  return path;
}

/** A program of this name that runs these lines of shell, in a folder that comes first among those of programs. */
function program(path: string, name: string, script: string): void {
  writeFileSync(join(path, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(path, name), 0o755);
}

const envOf = (path: string) => ({ ...process.env, PATH: `${path}:${process.env.PATH}` });

const start = (cwd: string, ...args: string[]) =>
  spawn(process.execPath, [bin, ...args], { cwd, env: envOf(cwd), stdio: 'ignore' });

const run = (cwd: string, ...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    cwd,
    env: envOf(cwd),
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
  });
  return { status, stdout, stderr };
};

/** Waits until it is so. */
async function until(is: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < TIMEOUT_MS / 10; i++) {
    if (is()) return;
    await sleep(10);
  }
  assert.unreachable(what);
}

/** Whether a process runs; one that has ended and is not yet waited for does not. */
function runs(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

test('a signal while a file is written leaves the old file and nothing beside it', async () => {
  for (const signal of SIGNALS) {
    const cwd = folder(`write-${signal}`);
    writeFileSync(join(cwd, 'out'), 'old\n');
    const child = start(cwd, 'synth', '--hosts', '3000000', '-o', 'out');
    const ended = once(child, 'exit');
    await until(() => readdirSync(cwd).length > 1, 'nothing is written beside the file');
    child.kill(signal);
    assert.equal(await ended, [null, signal]);
    assert.equal(readdirSync(cwd), ['out']);
    assert.is(readFileSync(join(cwd, 'out'), 'utf8'), 'old\n');
  }
});

test('a signal ends the programs that are asked, and what these have started', async () => {
  for (const signal of SIGNALS) {
    const cwd = folder(`collect-${signal}`);
    program(cwd, 'kubectl', 'sleep 100 &\necho $! $$ > pids.new\nmv pids.new pids\nwait');
    const child = start(cwd, 'collect', 'kubectl', '-o', 'out');
    const ended = once(child, 'exit');
    await until(() => existsSync(join(cwd, 'pids')), 'kubectl is not asked');
    child.kill(signal);
    assert.equal(await ended, [null, signal]);
    const pids = readFileSync(join(cwd, 'pids'), 'utf8').trim().split(' ').map(Number);
    assert.is(pids.length, 2);
    await until(() => !pids.some(runs), `${pids.filter(runs)} run on after ${signal}`);
    assert.equal(readdirSync(cwd).sort(), ['kubectl', 'pids']);
  }
});

test('a shell sees 128 and the number of the signal', () => {
  const cwd = folder('shell');
  program(cwd, 'kubectl', 'kill -TERM $PPID\nsleep 100');
  const script = `'${process.execPath}' '${bin}' collect kubectl; echo $?`;
  const { stdout } = spawnSync('sh', ['-c', script], {
    cwd,
    env: envOf(cwd),
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
  });
  assert.is(stdout, '143\n');
});

const CPUINFO =
  'processor : 0\\nvendor_id : GenuineIntel\\ncpu family : 6\\nmodel : 85\\nstepping : 7\\nflags : fpu lm sse2\\n';
const MARK = 'echo --plimsoll--';

test('a program that has answered is not waited for because another holds its output', () => {
  const cwd = folder('held');
  // As ssh does whose connection stays for the next one.
  program(
    cwd,
    'ssh',
    `cat > /dev/null\nsetsid sleep 100 &\necho $! > held\necho h1\n${MARK}\n${MARK}\nprintf '${CPUINFO}'\n${MARK}\n${MARK}`,
  );
  try {
    const { status, stdout, stderr } = run(cwd, 'collect', 'ssh://h1', '--timeout', '50');
    assert.equal({ status, stderr }, { status: 0, stderr: '' });
    assert.is(JSON.parse(stdout).host, 'h1');
  } finally {
    // It made itself a session of its own, so it is its own master.
    process.kill(Number(readFileSync(join(cwd, 'held'), 'utf8')), 'SIGKILL');
  }
});

test('what a program leaves behind in its session ends with its answer', async () => {
  const cwd = folder('left');
  program(cwd, 'kubectl', 'sleep 100 &\necho $! > left\necho hello');
  const { status, stderr } = run(cwd, 'collect', '--retries', '0', 'kubectl');
  assert.is(status, 2);
  assert.match(stderr, /^error: kubectl.*\n$/);
  const pid = Number(readFileSync(join(cwd, 'left'), 'utf8'));
  await until(() => !runs(pid), `${pid} runs on`);
});

test('a program that does not answer is one sentence, whoever holds its output', () => {
  const cwd = folder('late');
  program(cwd, 'kubectl', 'setsid sleep 100 &\necho $! > held\nsleep 100');
  try {
    assert.equal(run(cwd, 'collect', '--retries', '0', '--timeout', '1', 'kubectl'), {
      status: 2,
      stdout: '',
      stderr: 'error: kubectl did not answer within 1 seconds\n',
    });
  } finally {
    process.kill(Number(readFileSync(join(cwd, 'held'), 'utf8')), 'SIGKILL');
  }
});

test('a link that leads to no file yet says where to make it', () => {
  const cwd = folder('links');
  mkdirSync(join(cwd, 'there'));
  symlinkSync('second', join(cwd, 'first'));
  symlinkSync('there/out', join(cwd, 'second'));
  assert.is(run(cwd, 'synth', '--hosts', '1', '-o', 'first').status, 0);
  assert.is(readlinkSync(join(cwd, 'first')), 'second');
  assert.is(readlinkSync(join(cwd, 'second')), 'there/out');
  assert.ok(lstatSync(join(cwd, 'there/out')).isFile());
  assert.equal(readdirSync(join(cwd, 'there')), ['out']);
  symlinkSync('nowhere/out', join(cwd, 'third'));
  assert.match(
    run(cwd, 'synth', '--hosts', '1', '-o', 'third').stderr,
    /^error: cannot write third: no such file or directory\n$/,
  );
  symlinkSync('ring', join(cwd, 'ring'));
  assert.match(
    run(cwd, 'synth', '--hosts', '1', '-o', 'ring').stderr,
    /^error: cannot write ring: its symbolic links go in a circle\n$/,
  );
});

test('a file that is written again keeps who may read and write it', () => {
  const cwd = folder('modes');
  const out = join(cwd, 'out');
  const isRoot = process.getuid?.() === 0;
  for (const mode of [0o600, 0o640, 0o664, 0o666]) {
    writeFileSync(out, 'old\n');
    chmodSync(out, mode);
    if (isRoot) spawnSync('chown', ['12345:23456', out]);
    const { uid, gid } = statSync(out);
    assert.is(run(cwd, 'synth', '--hosts', '1', '-o', 'out').status, 0);
    const now = statSync(out);
    assert.ok(now.size > 4);
    assert.equal([now.mode & 0o7777, now.uid, now.gid], [mode, uid, gid]);
  }
});

test('a file without an end is one sentence', () => {
  const cwd = folder('endless');
  const isOpen = (path: string) =>
    spawnSync('sh', ['-c', `exec 3< ${path}`], { stdio: 'ignore' }).status === 0;
  const says = (path: string, sentence: RegExp) => {
    if (!isOpen(path)) return console.log(`skipped: ${path} (cannot be opened here)`);
    const { status, stdout, stderr } = run(cwd, 'baseline', path);
    assert.equal({ status, stdout }, { status: 2, stdout: '' });
    assert.match(stderr, sentence);
  };
  says('/proc/kmsg', /^error: cannot read \/proc\/kmsg: it has no end, and waits .*\n$/);
  says('/proc/self/pagemap', /^error: \/proc\/self\/pagemap is made up by the system and .*\n$/);
  says('/dev/zero', /^error: \/dev\/zero is a device; .*\n$/);
  // More than a piece, and without a size.
  says('/proc/kallsyms', /^error: \/proc\/kallsyms (?!is empty).*\n$/);
  spawnSync('mkfifo', [join(cwd, 'pipe')]);
  const { status, stderr } = run(cwd, 'baseline', 'pipe');
  assert.is(status, 2);
  assert.match(stderr, /^error: pipe is a named pipe; .*\n$/);
  const learnt = run(cwd, 'learn', '--qemu', '/bin/true', '-o', 'pipe');
  assert.is(learnt.status, 2);
  assert.match(learnt.stderr, /^error: \/bin\/true .*\n$/);
});

test.run();
