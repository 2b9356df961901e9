// The laws of the rule, by the built command: drawn fleets and guests in files, as an operator has them.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { type DrawnGuest, type DrawnHost, drawnFleet, drawnGuests } from '../support/drawn.ts';
import { OF_COMPARE, slowly, verdictOn } from '../support/laws.ts';
import { ROOT } from '../support/places.ts';
import { draws, seed } from '../support/property.ts';

const fleets = draws(100);
console.log(`laws, built: seed ${seed}, ${fleets} fleets`);
const catalog = await loadCatalog();
const root = mkdtempSync(join(tmpdir(), 'plimsoll-cli-laws-'));
const test = suite('laws of the rule, built');
test.after(() => rmSync(root, { recursive: true, force: true }));

interface Said {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}
const run = (cwd: string, ...args: string[]) =>
  new Promise<Said>((resolve) => {
    execFile(
      process.execPath,
      [join(ROOT, 'dist/bin.js'), ...args],
      { cwd, timeout: 60_000, maxBuffer: 1 << 26 },
      (error, stdout, stderr) =>
        resolve({ status: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });

const STATUS = { runs: 0, 'own-cpu': 0, unknown: 2, no: 1 } as const;
/** Exit codes from best to worst: no is worse than not known. */
const RANK = [0, 2, 1];
const worst = (codes: readonly number[]): number =>
  codes.reduce((a, b) => (RANK.indexOf(b) > RANK.indexOf(a) ? b : a), 0);

async function hold(cwd: string, hosts: readonly DrawnHost[], guests: readonly DrawnGuest[]) {
  const write = (name: string, text: string) => writeFileSync(join(cwd, name), `${text}\n`);
  write('hosts.ndjson', hosts.map((h) => JSON.stringify(h)).join('\n'));
  for (const h of hosts) write(`${h.host}.ndjson`, JSON.stringify(h));
  for (const g of guests) write(g.id, g.text);
  const files = guests.map((g) => g.id);
  const slow = await slowly(catalog, hosts, guests);

  const placed = await run(
    cwd,
    'place',
    'hosts.ndjson',
    '--json',
    ...files.flatMap((f) => ['--guests', f]),
  );
  assert.ok(placed.stdout !== '', placed.stderr);
  const { guests: answers } = JSON.parse(placed.stdout);
  for (const { host } of hosts) {
    const compared = await run(cwd, 'compare', '--json', `${host}.ndjson`, ...files);
    assert.ok(compared.stdout !== '', compared.stderr);
    const { cpus } = JSON.parse(compared.stdout);
    const verdicts = guests.map(({ id }) => {
      const wanted = slow.get(`${id} ${host}`)!;
      const what = `${id} on ${host} in ${cwd}`;
      assert.is(
        verdictOn(
          answers.find((a: { guest: string }) => a.guest === id),
          host,
        ),
        wanted,
        what,
      );
      const { verdict } = cpus.find((c: { cpu: string }) => c.cpu === id);
      assert.is(OF_COMPARE[verdict as keyof typeof OF_COMPARE], wanted, what);
      return wanted;
    });
    const status = worst(verdicts.map((v) => STATUS[v]));
    assert.is(compared.status, status, `compare with ${host}`);
    if (host === hosts[0]!.host) await resolveAgrees(cwd, host, guests, slow);
  }

  const first = hosts.slice(0, Math.ceil(hosts.length / 2)).map((h) => `${h.host}.ndjson`);
  const more = hosts.slice(first.length).map((h) => `${h.host}.ndjson`);
  const stack = ['--stack', 'qemu@7.2,libvirt@9.0'];
  const line = await run(cwd, 'baseline', '--json', ...stack, ...first);
  if (line.stdout === '' || Object.keys(JSON.parse(line.stdout).definitions ?? {}).length === 0)
    return false;
  write('line.json', line.stdout);
  const check = async (...of: string[]) =>
    (await run(cwd, 'baseline', ...stack, '--check', 'line.json', ...of)).status;
  assert.is(await check(...first), 0, `a line on its own hosts: ${cwd}`);
  if (more.length > 0) {
    const admitted = await run(cwd, 'admit', '--baseline', 'line.json', ...more);
    assert.is(await check(...first, ...more), admitted.status, `check of all: ${cwd}`);
  }
  return true;
}

/** resolve says of each guest what compare says, exits as it does, and prints a definition of just those that may run. */
async function resolveAgrees(
  cwd: string,
  host: string,
  guests: readonly DrawnGuest[],
  slow: Awaited<ReturnType<typeof slowly>>,
) {
  for (const { id } of guests.slice(0, 2)) {
    const wanted = slow.get(`${id} ${host}`)!;
    const what = `resolve ${id} on ${host} in ${cwd}`;
    const { status, stdout, stderr } = await run(cwd, 'resolve', `${host}.ndjson`, id);
    // What has no name in a language is said, and is exit 2.
    if (/^error: .*(no definition|no model for)/.test(stderr)) continue;
    assert.is(status, STATUS[wanted], `${what}: ${stderr}`);
    if (wanted !== 'unknown') assert.is(stdout === '', wanted === 'no', what);
    if (wanted === 'no' || wanted === 'unknown')
      assert.ok(stderr.startsWith(`${wanted}: ${id} on ${host}: `), `${what}: ${stderr}`);
  }
}

test(`${fleets} fleets`, async () => {
  const drawn = fc.sample(fc.tuple(drawnFleet(catalog, 3), drawnGuests(catalog, 4)), {
    seed,
    numRuns: fleets,
  });
  let lines = 0;
  const next = drawn.entries();
  const worker = async () => {
    for (const [i, [hosts, guests]] of next) {
      const cwd = join(root, String(i));
      mkdirSync(cwd);
      if (await hold(cwd, hosts, guests)) lines++;
    }
  };
  await Promise.all([worker(), worker()]);
  console.log(`laws, built: ${lines} lines`);
  assert.ok(lines > fleets / 10);
});

test.run();
