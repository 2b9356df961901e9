// Summaries: whatever the parts and their order, one answer; whatever is wrong with one, no answer.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { readFleet } from '../src/dialects/read.ts';
import { mergeSummaries } from '../src/dialects/summary.ts';
import { writeArrow } from '../src/fleet/arrow.ts';
import { writeSummary } from '../src/fleet/summary.ts';
import { baseline } from '../src/solve/baseline.ts';
import { ROOT } from './support/places.ts';
import { assertProperty } from './support/property.ts';

// All test files share one process, so the runs are said where they are made.
const RUNS = { numRuns: 60 };

const test = suite('summary');
const catalog = await loadCatalog();
const KEEP = ['rack'];

const concat = (pieces: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(pieces));

async function summarize(lines: readonly string[], shard: string, ids = true): Promise<Uint8Array> {
  const fleet = await readFleet(
    catalog,
    [{ name: `${shard}.ndjson`, bytes: new TextEncoder().encode(lines.join('\n')) }],
    { keep: KEEP, mayBeEmpty: true, noIds: !ids, from: 'records' },
  );
  return concat(await writeSummary(fleet, { keep: KEEP, ids, shards: [shard] }));
}

async function merge(parts: readonly Uint8Array[]): Promise<Uint8Array> {
  const inputs = parts.map((bytes, i) => ({ name: `part-${i}`, bytes }));
  const { fleet, ...how } = await mergeSummaries(catalog, inputs);
  return concat(await writeSummary(fleet, how));
}

/** Without the names of its shards, and so without size and checksum. */
const body = (bytes: Uint8Array) => {
  const text = new TextDecoder().decode(bytes);
  return text.slice(text.indexOf('\t'));
};

const host = fc.record(
  {
    features: fc.array(fc.constantFrom('avx', 'avx2', 'pku', 'pclmuldq', 'new-one', 'rep_good'), {
      maxLength: 4,
    }),
    vendor: fc.constantFrom('Intel', 'AMD'),
    unknown: fc.constantFrom([], ['xsaves'], ['other-one']),
    limits: fc.constantFrom({ physBits: 46 }, { physBits: 52 }, { more: 1 }),
    microcode: fc.constantFrom('0x1', '0x2'),
    virttype: fc.constantFrom('kvm', 'qemu'),
    machines: fc.constantFrom(['pc-q35-9.2'], ['pc-q35-7.2']),
    models: fc.constantFrom({ Nehalem: [] }, { Nehalem: ['avx'], '486': null }),
    listedBy: fc.constantFrom('kubevirt', 'qemu'),
    findings: fc.constant([{ code: 'processors-differ', message: 'its processors differ' }]),
    rack: fc.constantFrom('a', 'b', 3),
    note: fc.string(),
  },
  { requiredKeys: ['features'] },
);
/** Hosts with names of their own, some of them unusual, dealt to four parts. */
const parts = fc.array(fc.tuple(host, fc.nat({ max: 3 })), { maxLength: 25 }).map((hosts) => {
  const dealt: string[][] = [[], [], [], []];
  for (const [i, [record, part]] of hosts.entries())
    dealt[part]!.push(JSON.stringify({ host: `h\\${i}é${i % 2 ? '' : ' x'}`, ...record }));
  return dealt;
});

test('merging is associative and commutative, and equal to one run over everything', async () => {
  await assertProperty(
    fc.asyncProperty(parts, fc.boolean(), async (dealt, ids) => {
      const [a, b, c, d] = await Promise.all(
        dealt.map((lines, i) => summarize(lines, `${i}`, ids)),
      );
      const all = await merge([a!, b!, c!, d!]);
      assert.equal(await merge([d!, b!, a!, c!]), all);
      assert.equal(await merge([await merge([a!, b!]), await merge([c!, d!])]), all);
      assert.equal(await merge([a!, await merge([b!, await merge([c!, d!])])]), all);
      assert.equal(await merge([all]), all);
      assert.equal(body(all), body(await summarize(dealt.flat(), 'everything', ids)));
    }),
    RUNS,
  );
});

test('it answers every question as its hosts would', async () => {
  await assertProperty(
    fc.asyncProperty(parts, async (dealt) => {
      const lines = dealt.flat();
      if (lines.length === 0) return;
      const bytes = await merge(await Promise.all(dealt.map((part, i) => summarize(part, `${i}`))));
      const input = (name: string, data: Uint8Array) => [{ name, bytes: data }];
      const options = { keep: KEEP, from: 'records' };
      const text = new TextEncoder().encode(lines.join('\n'));
      const direct = await readFleet(catalog, input('hosts', text), options);
      const merged = await readFleet(catalog, input('summary', bytes), { keep: KEEP });
      assert.equal(baseline(merged), baseline(direct));
      assert.equal(merged.members, direct.members);
    }),
    { ...RUNS, numRuns: 30 },
  );
});

test('a part that is cut or changed anywhere is refused', async () => {
  const lines = ['{"host":"a","features":["avx"]}', '{"host":"b","features":["avx2"]}'];
  const whole = await summarize(lines, 'x');
  for (let size = 1; size < whole.length - 1; size += size < 150 ? 1 : 41) {
    const cut = merge([whole.slice(0, size)]);
    const message = await cut.then(
      () => `${size} bytes were taken for a summary`,
      (error) => error.message,
    );
    assert.match(
      message,
      /^part-0 is (?:no summary|a summary that is cut short|a summary that is damaged)/,
    );
  }
  await assertProperty(
    fc.asyncProperty(
      fc.nat({ max: whole.length - 2 }),
      fc.integer({ min: 1, max: 255 }),
      async (at, flip) => {
        const garbled = whole.slice();
        garbled[at]! ^= flip;
        await merge([garbled]).then(
          () => assert.unreachable(`byte ${at} may be anything`),
          (error) => assert.match(error.message, /^part-0 is (?:no summary|a summary that is)/),
        );
      },
    ),
    { ...RUNS, numRuns: 200 },
  );
});

test('an Arrow snapshot holds the same fleet, and any reader of Arrow sees it', async () => {
  await assertProperty(
    fc.asyncProperty(parts, async (dealt) => {
      const lines = dealt.flat();
      if (lines.length === 0) return;
      const text = new TextEncoder().encode(lines.join('\n'));
      const options = { keep: KEEP, from: 'records' };
      const direct = await readFleet(catalog, [{ name: 'hosts', bytes: text }], options);
      const bytes = await writeArrow(direct, { keep: KEEP, ids: true });
      const again = await readFleet(catalog, [{ name: 'arrow', bytes }], { keep: KEEP });
      assert.equal(again.members, direct.members);
      assert.equal(baseline(again), baseline(direct));
      const table = tableFromIPC(bytes);
      const names: string[] = JSON.parse(table.schema.metadata.get('plimsoll.features')!);
      const [hosts, features] = [table.getChild('host')!, table.getChild('features')!];
      for (const [i, m] of direct.members.entries()) {
        const at = [...hosts].indexOf(m.id);
        const bits: Uint8Array = features.get(at);
        const has = names.filter((_, bit) => (bits[bit >> 3]! >> (bit & 7)) & 1);
        assert.equal(has.sort(), direct.names(direct.has(direct.members[i]!.class)));
      }
    }),
    { ...RUNS, numRuns: 20 },
  );
});

const refusal = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work();
    return 'nothing was refused';
  } catch (error) {
    return (error as Error).message;
  }
};

test('parts that do not belong together are refused, each with its sentence', async () => {
  const a = await summarize(['{"host":"a","features":["avx"]}'], 'one');
  const again = await summarize(['{"host":"c","features":["avx"]}'], 'one');
  const same = await summarize(['{"host":"a","features":["pku"]}'], 'two');
  const equal = await summarize(['{"host":"a","features":["avx"]}'], 'three');
  const nameless = await summarize(['{"host":"d","features":["avx"]}'], 'four', false);
  assert.is(
    await refusal(() => merge([a, again])),
    'shard "one" is in part-0 and in part-1; give each part once',
  );
  assert.match(
    await refusal(() => merge([a, same])),
    /^host a is in the summary part-\d and, described otherwise/,
  );
  assert.match(await refusal(() => merge([a, nameless])), /only one of them has the names/);
  const { fleet } = await mergeSummaries(catalog, [
    { name: 'p', bytes: a },
    { name: 'q', bytes: equal },
  ]);
  assert.is(fleet.hosts, 1, 'a host that two parts describe alike is one');

  const inputs = [{ name: 'p', bytes: a }];
  const merged = (options: Parameters<typeof mergeSummaries>[2]) => () =>
    mergeSummaries(catalog, inputs, options);
  assert.match(
    await refusal(merged({ expect: 2 })),
    /^the number of shards is 1, and 2 was expected/,
  );
  assert.match(await refusal(merged({ manifest: ['one', 'two'] })), /"two" are missing/);
  assert.match(await refusal(merged({ manifest: [] })), /does not list "one"/);
  const by = () => readFleet(catalog, inputs, { keep: ['cluster'], asked: ['cluster'] });
  assert.match(await refusal(by), /^p is a summary that kept no key "cluster"/);
  const ask = () => readFleet(catalog, [{ name: 'n', bytes: nameless }]);
  assert.match(await refusal(ask), /^n is a summary without the names of its hosts/);
});

test('several summaries in one file are as good as several files', async () => {
  const a = await summarize(['{"host":"a","features":["avx"]}'], 'one');
  const b = await summarize(['{"host":"b","features":["pku"]}'], 'two');
  const none = await summarize([], 'three');
  assert.equal(await merge([concat([a, none, b])]), await merge([a, b, none]));
});

// The command, as engines start it.
const bin = join(ROOT, 'dist/bin.js');
const run = (args: readonly string[], input: string | Uint8Array = '', cwd = ROOT) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    input,
    cwd,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, stdout, stderr };
};

test('no input is the neutral summary, and exit 0: engines start processes for empty parts', async () => {
  const { status, stdout, stderr } = run(['summarize', '-']);
  assert.equal({ status, stderr }, { status: 0, stderr: '' });
  assert.match(stdout, /^plimsoll-summary\/1 \d+ [0-9a-f]{64} \[\]\t\{.*\}\n$/);
  const part = run(['summarize', '-'], '{"host":"a","features":["avx"]}\n').stdout;
  const merged = run(['merge', '-'], stdout + part + stdout).stdout;
  assert.is(body(new TextEncoder().encode(merged)), body(new TextEncoder().encode(part)));
  assert.is(run(['merge', '-'], stdout + stdout).stdout, stdout);
});

test('the command merges what it summarized, and says what is missing', () => {
  const dir = mkdtempSync(join(tmpdir(), 'plimsoll-summary-'));
  try {
    const lines = readFileSync(join(ROOT, 'test/fixtures/demo-fleet.ndjson'), 'utf8')
      .trim()
      .split('\n');
    for (const shard of [0, 1, 2]) {
      const part = lines.filter((_, i) => i % 3 === shard).map((line) => `${line}\n`);
      const args = ['summarize', '--shard', `${shard}`, '-o', `${shard}.summary`, '-'];
      assert.equal(run(args, part.join(''), dir), { status: 0, stdout: '', stderr: '' });
    }
    const files = [2, 0, 1].map((shard) => `${shard}.summary`);
    const merged = run(['merge', ...files, '--expect', '3', '-o', 'fleet.summary'], '', dir);
    assert.equal(merged, { status: 0, stdout: '', stderr: '' });
    const ask = (input: string) => run(['baseline', input, '--by', 'vendor', '--json'], '', dir);
    const direct = ask(join(ROOT, 'test/fixtures/demo-fleet.ndjson'));
    assert.equal(ask('fleet.summary'), direct);
    assert.equal(run(['merge', ...files.slice(1), '--expect', '3'], '', dir), {
      status: 2,
      stdout: '',
      stderr: 'error: the number of shards is 2, and 3 was expected; given were "0", "1"\n',
    });
    writeFileSync(join(dir, 'cut.summary'), readFileSync(join(dir, '0.summary')).subarray(0, 500));
    const cut = run(['baseline', 'cut.summary'], '', dir);
    assert.is(cut.status, 2);
    assert.match(
      cut.stderr,
      /^error: cut\.summary is a summary that is cut short by \d+ bytes; .*\n$/,
    );
    assert.equal(run(['decode', 'fleet.summary'], '', dir).status, 2);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test.run();
