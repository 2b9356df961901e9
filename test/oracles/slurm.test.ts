// The job script of the package on a real Slurm, and over ssh with GNU parallel: equal to one run over everything.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../support/places.ts';
import { Slurm, slurmMissing } from '../support/slurm.ts';
import { Sshd, sshMissing } from '../support/sshd.ts';

const SHARDS = 8;
const PORT = 27_400;
const TIMEOUT_MS = 240_000;
const bin = join(ROOT, 'dist/bin.js');
const PLIMSOLL = `${process.execPath} ${bin}`;

const dir = mkdtempSync(join(tmpdir(), 'plimsoll-engines-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));

const run = (program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) => {
  const { status, stdout, stderr } = spawnSync(program, args, {
    env: { ...env, PLIMSOLL },
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    maxBuffer: 1 << 28,
  });
  return { status, stdout, stderr };
};
const plimsoll = (...args: string[]) => run(process.execPath, [bin, ...args]);

/** A made-up fleet, whole and dealt to shards. */
function deal(name: string): { whole: string; shards: string } {
  const whole = join(dir, `${name}.ndjson`);
  const shards = join(dir, `${name}-shards`);
  mkdirSync(shards);
  assert.equal(plimsoll('synth', '--hosts', '4000', '--seed', '7', '-o', whole).status, 0);
  const lines = readFileSync(whole, 'utf8').trimEnd().split('\n');
  for (let shard = 0; shard < SHARDS; shard++) {
    const own = lines.filter((_, i) => i % SHARDS === shard);
    writeFileSync(join(shards, `shard-${shard}.ndjson`), `${own.join('\n')}\n`);
  }
  return { whole, shards };
}

function assertEqualToOneRun(whole: string, out: string): void {
  const direct = plimsoll('baseline', whole, '--json');
  const merged = plimsoll('baseline', join(out, 'fleet.summary'), '--json');
  assert.equal(merged, direct);
  assert.is(JSON.parse(merged.stdout).hosts, 4000);
}

const test = suite('engines');
const { whole, shards } = deal('fleet');

const noSlurm = slurmMissing();
if (noSlurm) console.log(`skipped: ${noSlurm}`);
const live = noSlurm ? test.skip : test;

live('an array job on four Slurm nodes answers as one run, and fails as a whole', async () => {
  const slurm = await Slurm.start(PORT);
  try {
    const script = join(ROOT, 'src/jobs/plimsoll.slurm');
    const out = join(dir, 'slurm');
    const job = run('bash', [script, shards, out], slurm.env);
    assert.equal({ ...job, stdout: '' }, { status: 0, stdout: '', stderr: '' });
    assertEqualToOneRun(whole, out);

    const broken = deal('broken');
    writeFileSync(join(broken.shards, 'shard-3.ndjson'), '{"host":"bad","features":7}\n');
    const failed = run('bash', [script, broken.shards, out], slurm.env);
    assert.is.not(failed.status, 0);
    assert.not(
      existsSync(join(out, 'fleet.summary')),
      'no result of the run before, and no half of one',
    );
    assert.match(readFileSync(join(out, 'map.3.log'), 'utf8'), /shard-3\.ndjson:1: host "bad"/);
  } finally {
    slurm.stop();
  }
});

// The controller takes minutes to give a silent node up.
const lostNode = async () => {
  const slurm = await Slurm.start(PORT + 20);
  try {
    const slow = join(dir, 'slow');
    writeFileSync(slow, `#!/bin/sh\nsleep 10\nexec ${PLIMSOLL} "$@"\n`, { mode: 0o755 });
    const out = join(dir, 'lost');
    const job = spawn('bash', [join(ROOT, 'src/jobs/plimsoll.slurm'), shards, out], {
      env: { ...slurm.env, PLIMSOLL: slow },
      stdio: 'inherit',
    });
    const ended = once(job, 'exit');
    await sleep(6_000);
    slurm.loseNode(2);
    assert.equal(await ended, [0, null]);
    assertEqualToOneRun(whole, out);
  } finally {
    slurm.stop();
  }
};
if (process.env.PLIMSOLL_NIGHTLY && !noSlurm)
  test('the task of a node that is lost runs again elsewhere', lostNode);
else console.log('not asked for: a node that is lost (PLIMSOLL_NIGHTLY=1)');

const noSsh = sshMissing();
if (noSsh) console.log(`skipped: ${noSsh}`);
const overSsh = noSsh ? test.skip : test;

overSsh('GNU parallel over ssh answers as one run, and fails as a whole', async () => {
  const sshd = await Sshd.start(PORT + 50);
  try {
    const script = join(ROOT, 'src/jobs/plimsoll-parallel');
    const out = join(dir, 'ssh');
    const job = run('bash', [script, sshd.logins, shards, out], sshd.env);
    assert.equal({ ...job, stdout: '' }, { status: 0, stdout: '', stderr: '' });
    assertEqualToOneRun(whole, out);

    writeFileSync(join(shards, 'shard-3.ndjson'), '{"host":"bad","features":7}\n');
    const failed = run('bash', [script, sshd.logins, shards, out], sshd.env);
    assert.is.not(failed.status, 0);
    assert.not(existsSync(join(out, 'fleet.summary')));
    assert.match(failed.stderr, /shard-3\.ndjson:1: host "bad"/, failed.stderr);
  } finally {
    sshd.stop();
  }
});

test.run();
