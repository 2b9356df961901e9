// What README shows of libvirt's rules is what the command prints.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../support/places.ts';

const test = suite("README, libvirt's rules");
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const [section] = /^## As libvirt decides$[\s\S]*?(?=^## )/m.exec(readme) ?? [''];
const examples = [...section.matchAll(/```console\n\$ (.*)\n([\s\S]*?)```/g)];

test('it shows both an answer and an explanation', () => {
  assert.is(examples.length, 2);
});

for (const [, command, shown] of examples)
  test(command!, () => {
    const { status, stdout, stderr } = spawnSync(
      'sh',
      ['-c', `plimsoll() { '${process.execPath}' dist/bin.js "$@"; }\n${command}`],
      {
        cwd: ROOT,
        encoding: 'utf8',
        timeout: 30_000,
        env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
      },
    );
    assert.equal({ status, stderr }, { status: 0, stderr: '' });
    // Where README cuts, it says so.
    const isCut = shown!.endsWith('…\n');
    const lines = isCut ? shown!.slice(0, -2) : shown!;
    assert.is(isCut ? stdout.slice(0, lines.length) : stdout, lines);
  });

test.run();
