// DuckDB counts features and takes the meet of made-up fleets by itself, from the same text: the command's answers and
// its Arrow snapshots must say the same. The snapshot comes to DuckDB as bit strings, since DuckDB's reader of Arrow is
// an extension that it would fetch from the network.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT, sayMissing } from '../support/places.ts';
import { seed } from '../support/property.ts';

const BIN = join(ROOT, 'dist/bin.js');
console.log(`duckdb: seeds ${seed} to ${seed + 3}`);

const test = suite('live DuckDB');

type Rows = readonly (readonly unknown[])[];
interface DuckDb {
  readonly DuckDBInstance: {
    create(
      path: string,
    ): Promise<{ connect(): Promise<{ runAndReadAll(sql: string): Promise<Reader> }> }>;
  };
}
interface Reader {
  getRowsJson(): Rows;
}

/** DuckDB, from the folder that PLIMSOLL_DUCKDB names or from among our own packages. */
function findDuckDb(): DuckDb | null {
  for (const folder of [process.env.PLIMSOLL_DUCKDB, ROOT])
    if (folder !== undefined && existsSync(join(folder, 'node_modules/@duckdb/node-api')))
      return createRequire(join(folder, 'package.json'))('@duckdb/node-api');
  return null;
}

const duckdb = findDuckDb();

async function connect(): Promise<(sql: string) => Promise<Rows>> {
  const connection = await (await duckdb!.DuckDBInstance.create(':memory:')).connect();
  return async (sql) => (await connection.runAndReadAll(sql)).getRowsJson();
}

function run(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], {
    encoding: 'utf8',
    timeout: 120_000,
    maxBuffer: 1 << 28,
  });
  assert.is(status, 0, stderr);
  return stdout;
}

interface Counted {
  readonly hosts: number;
  /** How many hosts have each feature. */
  readonly counts: Readonly<Record<string, number>>;
  /** Features that every host has. */
  readonly meet: readonly string[];
}

/** What DuckDB makes of bit strings, bit `i` of which is the feature `names[i]`. */
async function count(
  query: (sql: string) => Promise<Rows>,
  bits: string,
  names: readonly string[],
): Promise<Counted> {
  const [[hosts, meet]] = (await query(
    `SELECT count(*)::INT, bit_and(b)::VARCHAR FROM ${bits}`,
  )) as unknown as [[number, string]];
  const counts = (await query(
    `SELECT i, sum(get_bit(b, i::INT))::INT FROM ${bits}, range(${names.length}) r(i) GROUP BY i`,
  )) as readonly (readonly [string, number])[];
  return {
    hosts,
    counts: Object.fromEntries(counts.flatMap(([i, n]) => (n ? [[names[Number(i)]!, n]] : []))),
    meet: names.filter((_, i) => meet[i] === '1'),
  };
}

/** The text as DuckDB reads it. */
async function countText(file: string): Promise<Counted> {
  const query = await connect();
  await query(
    `CREATE TABLE host AS SELECT host, unnest(list_distinct(features)) AS name FROM read_json('${file}',
       format = 'newline_delimited', columns = { host: 'VARCHAR', features: 'VARCHAR[]' })`,
  );
  const found = await query('SELECT DISTINCT name FROM host ORDER BY name');
  const names = found.map(([name]) => String(name));
  await query(
    'CREATE TABLE bit AS SELECT row_number() OVER (ORDER BY name) - 1 AS i, name FROM (FROM host SELECT DISTINCT name)',
  );
  await query(
    `CREATE TABLE row AS SELECT bitstring_agg(i, 0, ${names.length - 1}) AS b FROM host JOIN bit USING (name) GROUP BY host`,
  );
  const counted = await count(query, 'row', names);
  // Counted once more without bit strings.
  const again = await query('SELECT name, count(*)::INT FROM host GROUP BY name');
  assert.equal(Object.fromEntries(again), counted.counts);
  return counted;
}

/** The features of a snapshot as DuckDB counts them. */
async function countSnapshot(file: string, dir: string): Promise<Counted> {
  const table = tableFromIPC(readFileSync(file));
  const names: string[] = JSON.parse(table.schema.metadata.get('plimsoll.features')!);
  const text = new Map<string, string>();
  const lines = Array.from(table.getChild('features')!, (row: Uint8Array) => {
    const key = row.join();
    let bits = text.get(key);
    if (bits === undefined) {
      bits = Array.from(row, (byte) =>
        [...byte.toString(2).padStart(8, '0')].reverse().join(''),
      ).join('');
      text.set(key, bits);
    }
    return `{"bits":"${bits}"}\n`;
  });
  const rows = join(dir, 'snapshot.ndjson');
  writeFileSync(rows, lines.join(''));
  const query = await connect();
  await query(
    `CREATE TABLE row AS SELECT bits::BIT AS b FROM read_json('${rows}', format = 'newline_delimited', columns = { bits: 'VARCHAR' })`,
  );
  return count(query, 'row', names);
}

const FLEETS: readonly (readonly string[])[] = [
  ['--hosts', '3000'],
  ['--hosts', '3000', '--shuffle'],
  ['--hosts', '2000', '--vendor', 'Intel,AMD', '--kinds', '40'],
  // Enough text for two threads.
  ['--hosts', '40000', '--shuffle', '--kinds', '1000'],
];

for (const [n, how] of FLEETS.entries())
  test(`counts and meets of a fleet with ${how.join(' ')} are those of DuckDB`, async () => {
    if (!duckdb) return sayMissing('the check of counts and meets', '@duckdb/node-api');
    const dir = mkdtempSync(join(tmpdir(), 'duckdb-'));
    try {
      const file = join(dir, 'fleet.ndjson');
      run('synth', '--seed', `${seed + n}`, ...how, '-o', file);
      const { hosts, counts, meet } = await countText(file);

      const options = ['--json', '--by', 'vendor', '--threads', '2'];
      const whole = JSON.parse(run('baseline', ...options, file));
      const all = whole.baselines.map((b: { baseline: { hosts: number } }) => b.baseline.hosts);
      assert.is(
        all.reduce((sum: number, own: number) => sum + own, 0),
        hosts,
      );

      const snapshot = join(dir, 'fleet.arrow');
      run('summarize', '--to', 'arrow', '--threads', '2', '-o', snapshot, file);
      const kept = await countSnapshot(snapshot, dir);
      assert.is(kept.hosts, hosts);
      // KVM gives its own features to guests of hosts that do not list them.
      const isGiven = (name: string) => name.startsWith('kvm') && !(name in counts);
      assert.equal(
        Object.fromEntries(Object.entries(kept.counts).filter(([name]) => !isGiven(name))),
        counts,
      );
      assert.equal(kept.meet.filter((name) => !isGiven(name)).sort(), [...meet].sort());
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

test('what a baseline says that hosts lack is what DuckDB counts', async () => {
  if (!duckdb) return sayMissing('the check of what hosts lack', '@duckdb/node-api');
  const dir = mkdtempSync(join(tmpdir(), 'duckdb-'));
  try {
    const file = join(dir, 'fleet.ndjson');
    run('synth', '--seed', `${seed}`, '--hosts', '3000', '-o', file);
    const { hosts, counts, meet } = await countText(file);
    const answer = JSON.parse(run('baseline', '--json', file));
    assert.is(answer.hosts, hosts);
    assert.ok(answer.lost.length > 10 && answer.features.length > 10);
    for (const { feature, have, lack } of answer.lost)
      assert.equal([feature, have, lack], [feature, counts[feature], hosts - counts[feature]!]);
    for (const name of answer.features)
      assert.ok(meet.includes(name) || (name.startsWith('kvm') && !(name in counts)), name);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test.run();
