// The commands of planning: what they print, what they refuse, and how they leave.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runIn } from './support/command.ts';
import { ROOT } from './support/places.ts';

const demo = join(ROOT, 'test/fixtures/demo-fleet.ndjson');
const here = mkdtempSync(join(tmpdir(), 'plimsoll-plan-'));

const run = (...args: string[]) => runIn({ cwd: here, env: { NO_COLOR: '1' } }, args);
const ask = async (...args: string[]) => {
  const { status, stdout, stderr } = await run(...args, '--json');
  assert.is(stderr, '');
  return { status, answer: JSON.parse(stdout) };
};
const refusal = (sentence: string) => ({ status: 2, stdout: '', stderr: `error: ${sentence}\n` });

const record = (host: string, features: readonly string[], rest = {}) =>
  JSON.stringify({ host, vendor: 'GenuineIntel', features, ...rest });
const base = ['lm', 'sse2', 'cx16', 'avx', 'xsave', 'aes'];
writeFileSync(
  join(here, 'fleet.ndjson'),
  [
    record('a', [...base, 'avx2', 'bmi1'], { rack: 'r1' }),
    record('b', [...base, 'avx2', 'bmi1'], { rack: 'r1' }),
    record('c', [...base, 'avx2'], { rack: 'r2' }),
    record('d', base, { rack: 'r2' }),
  ].join('\n'),
);
writeFileSync(
  join(here, 'guests.ndjson'),
  [
    record('easy', base, { view: 'guest' }),
    record('hard', [...base, 'bmi1'], { view: 'guest' }),
  ].join('\n'),
);

/** Lines of an answer that README shows: enough to see what it is about. */
const SHOWN = 14;

// UPDATE_README=1 writes what the commands print into README instead.
test('README shows what the commands print', async () => {
  const path = join(ROOT, 'README.md');
  const readme = readFileSync(path, 'utf8');
  const lines = readFileSync(demo, 'utf8').split('\n');
  writeFileSync(
    join(here, 'rack-1.ndjson'),
    lines.filter((line) => line.includes('rack-1')).join('\n'),
  );
  writeFileSync(join(here, 'line.json'), (await run('baseline', '--json', 'rack-1.ndjson')).stdout);
  const planning = /\$ plimsoll (?:blame|groups|place|admit) .*\n$/;
  const shown = [...readme.matchAll(/```console\n((?:\$ .*\n)+)([\s\S]*?)```/g)].filter(
    ([, commands]) => planning.test(commands!),
  );
  assert.is(shown.length, 4);
  let now = readme;
  for (const [block, commands] of shown) {
    const command = commands!.trim().split('\n').at(-1)!;
    const words = command.replace('test/fixtures/demo-fleet.ndjson', demo).split(' ').slice(2);
    const printed = (await run(...words)).stdout.trimEnd().split('\n');
    const rest = printed.length > SHOWN ? [...printed.slice(0, SHOWN), '…'] : printed;
    now = now.replace(block!, () => `\`\`\`console\n${commands}${rest.join('\n')}\n\`\`\``);
  }
  if (process.env.UPDATE_README === '1') writeFileSync(path, now);
  else assert.is(readme, now);
});

test('every report fits into 80 columns', async () => {
  writeFileSync(join(here, 'line.json'), (await run('baseline', 'fleet.ndjson', '--json')).stdout);
  for (const args of [
    ['blame', demo],
    ['blame', demo, '--want', 'avx512f'],
    ['groups', '-k', '6', demo],
    ['groups', '-k', '1', demo],
    ['place', '--cpu', 'Icelake-Server-v1', '--cpu', 'EPYC-Rome', '--drain', 'rack-3-01', demo],
    ['place', '--guests', 'guests.ndjson', '--baseline', 'line.json', 'fleet.ndjson'],
    ['admit', '--baseline', 'line.json', demo, '--with', 'EPYC-Genoa'],
    ['blame', '--help'],
    ['groups', '--help'],
    ['place', '--help'],
    ['admit', '--help'],
  ]) {
    const { stdout, stderr } = await run(...args);
    assert.is(stderr, '', args.join(' '));
    assert.equal(
      stdout.split('\n').filter((line) => line.length > 80),
      [],
      args.join(' '),
    );
  }
});

test('blame names who costs what, and what is gained without them', async () => {
  const { status, answer } = await ask(
    'blame',
    'fleet.ndjson',
    '--want',
    'bmi1',
    '--stack',
    'newest',
  );
  assert.is(status, 0);
  assert.is(Object.keys(answer)[0], 'schema');
  assert.is(answer.schema, 'plimsoll.blame/1');
  assert.equal(
    answer.groups.map(({ hosts, count, gains }: Record<string, unknown>) => ({
      hosts,
      count,
      gains,
    })),
    [
      { hosts: ['c', 'd'], count: 2, gains: ['avx2', 'bmi1'] },
      { hosts: ['d'], count: 1, gains: ['avx2'] },
    ],
  );
  assert.equal(
    answer.frontier.map((p: { without: number; hosts: string[]; exact: boolean }) => [
      p.without,
      p.hosts,
      p.exact,
    ]),
    [
      [1, ['d'], true],
      [2, ['c', 'd'], true],
    ],
  );
  assert.equal([answer.want.possible, answer.want.hosts], [true, ['c', 'd']]);
  assert.is((await ask('blame', 'fleet.ndjson', '--want', 'pku')).status, 1);
  assert.is((await ask('blame', demo)).status, 1, 'two vendors have no line in common');
});

test('groups splits, weighs, keeps together, and says what each further pool buys', async () => {
  const { status, answer } = await ask('groups', '-k', '2', 'fleet.ndjson');
  assert.is(status, 0);
  assert.equal(
    [answer.schema, answer.k, answer.exact, answer.bound],
    ['plimsoll.groups/1', 2, true, answer.kept],
  );
  const pools = (a: { groups: { hosts: string[] }[] }) => a.groups.map((g) => g.hosts);
  assert.equal(pools(answer), [
    ['a', 'b'],
    ['c', 'd'],
  ]);
  assert.equal(
    answer.curve.map((p: { k: number }) => p.k),
    [1, 2],
  );
  const weigh = ['--weigh', 'avx2=50'];
  const weighed = (await ask('groups', '-k', '2', ...weigh, 'fleet.ndjson')).answer;
  assert.equal(pools(weighed), [['a', 'b', 'c'], ['d']]);
  const racks = (
    await ask('groups', '-k', '2', ...weigh, '--keep-together', 'rack', 'fleet.ndjson')
  ).answer;
  assert.equal(pools(racks), [
    ['a', 'b'],
    ['c', 'd'],
  ]);
  const least = (await ask('groups', '--up-to', '2', '--at-least', '2', 'fleet.ndjson')).answer;
  assert.ok(pools(least).every((hosts) => hosts.length >= 2));
  assert.is((await ask('groups', '-k', '1', demo)).status, 1);
  // The order of the inputs decides nothing.
  const lines = readFileSync(demo, 'utf8').trim().split('\n').reverse().join('\n');
  writeFileSync(join(here, 'reversed.ndjson'), lines);
  assert.is(
    (await run('groups', '-k', '4', '--json', 'reversed.ndjson')).stdout,
    (await run('groups', '-k', '4', '--json', demo)).stdout,
  );
});

test('place is a gate for scripts', async () => {
  const { status, answer } = await ask('place', '--guests', 'guests.ndjson', 'fleet.ndjson');
  assert.is(status, 0);
  assert.is(answer.schema, 'plimsoll.place/1');
  assert.equal(
    answer.guests.map((g: Record<string, unknown>) => [g.guest, g.runsOn, g.of, g.hosts, g.first]),
    [
      ['easy', 4, 4, ['a', 'b', 'c', 'd'], null],
      ['hard', 2, 4, ['a', 'b'], 'bmi1'],
    ],
  );
  assert.equal(answer.guests[1].missing, [{ features: ['bmi1'], count: 2, hosts: ['c', 'd'] }]);
  const place = (...args: string[]) =>
    ask('place', '--guests', 'guests.ndjson', 'fleet.ndjson', ...args);
  assert.equal((await place('--drain', 'a')).answer.stranded, []);
  const drained = await place('--drain', 'a', '--drain', 'b');
  assert.equal([drained.status, drained.answer.stranded], [1, ['hard']]);
  assert.equal((await place('--lose', '2')).answer.stranded, ['hard']);
  assert.equal((await place('--without', 'a', '--without', 'b')).answer.nowhere, ['hard']);
  assert.is((await ask('place', '--cpu', 'SapphireRapids', 'fleet.ndjson')).status, 1);
});

test('admit says by what a host would lower the line', async () => {
  writeFileSync(join(here, 'ab.ndjson'), [record('a', [...base, 'avx2']), ''].join('\n'));
  writeFileSync(join(here, 'ab.json'), (await run('baseline', 'ab.ndjson', '--json')).stdout);
  const { status, answer } = await ask('admit', '--baseline', 'ab.json', 'fleet.ndjson');
  assert.is(status, 1);
  assert.is(answer.schema, 'plimsoll.admit/1');
  assert.equal(
    answer.hosts.map((h: Record<string, unknown>) => [h.host, h.admitted, h.lost]),
    [
      ['a', true, []],
      ['b', true, []],
      ['c', true, []],
      ['d', false, ['avx2']],
    ],
  );
  assert.is(
    (await ask('admit', '--baseline', 'ab.json', 'fleet.ndjson', '--without', 'd')).status,
    0,
  );
});

test('a processor of the catalog can join any question by its name', async () => {
  const { answer } = await ask('blame', 'ab.ndjson', '--with', 'Nehalem');
  assert.ok(answer.groups.some((g: { hosts: string[] }) => g.hosts.join() === 'Nehalem'));
  assert.match(
    (await run('blame', 'ab.ndjson', '--with', 'Nehalen')).stderr,
    /cannot read Nehalen: no such file/,
  );
});

test('what cannot be asked is one sentence and exit code 2', async () => {
  assert.equal(
    await run('groups', 'fleet.ndjson'),
    refusal('how many pools? give -k 2, or --up-to 6 for a look at every number up to it'),
  );
  assert.equal(
    await run('groups', '-k', '2', '--weigh', 'avx2', 'fleet.ndjson'),
    refusal('--weigh "avx2" is no weight; write it like avx512f=10, a whole number'),
  );
  assert.equal(
    await run('groups', '-k', '2', '--keep-together', 'row', 'fleet.ndjson'),
    refusal('--keep-together "row" is a key of no host; there are "rack"'),
  );
  assert.equal(
    await run('place', 'fleet.ndjson'),
    refusal(
      'which guests? give a file or a directory with --guests, or a -cpu argument with --cpu',
    ),
  );
  assert.equal(
    await run('place', '--cpu', 'Haswell', '--drain', 'z', 'fleet.ndjson'),
    refusal('--drain "z" is none of the 4 hosts; did you mean "a" or "b" or "c"?'),
  );
  assert.equal(
    await run('admit', 'fleet.ndjson'),
    refusal(
      'which line? give a saved one with --baseline line.json (plimsoll baseline --json prints one)',
    ),
  );
  for (const question of [
    ['groups', '-k', '2'],
    ['place', '--cpu', 'Haswell'],
    ['admit', '--baseline', 'line.json'],
  ])
    assert.equal(
      await run(...question, '--no-ids', 'fleet.ndjson'),
      refusal('the answer is lists of hosts by their ids; leave --no-ids out'),
    );
});

test.run();
