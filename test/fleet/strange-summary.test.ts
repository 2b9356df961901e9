// Summaries with a right checksum that plimsoll did not write: refused in one sentence, whatever is wrong in them.
import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Body } from '../../src/fleet/summary.ts';
import type { BodyShape } from '../../src/fleet/summary-shape.ts';
import { feed } from '../support/command.ts';
import { evenly } from '../support/property.ts';

const test = suite('summaries of strangers');

/** What the shape lets pass is what the reader takes it for: this is for the compiler. */
export const asBody = (shape: BodyShape): Body => shape as BodyShape & Body;

const records = [
  '{"host":"a","vendor":"Intel","features":["sse2","lm"],"rack":"r1","limits":{"physBits":46},"tsc":{"hz":2100000000}}',
  '{"host":"b","vendor":"AMD","features":["sse2","own"],"unknown":["aes"],"models":{"EPYC":[],"EPYC-Rome":["clwb"]}}',
].join('\n');
const { stdout: summary } = await feed(records, 'summarize', '-', '--keep', 'rack');
const [, , , content] =
  /^(plimsoll-summary\/1) (\d+) [0-9a-f]{64} ([\s\S]*)\n$/.exec(summary) ?? [];
const parts = (content ?? '').split('\t');
const body = JSON.parse(parts[1]!);

/** The summary with another body, its size and checksum made right again. */
function withBody(changed: unknown): string {
  const text = [parts[0], JSON.stringify(changed), ...parts.slice(2)].join('\t');
  const sum = createHash('sha256').update(text).digest('hex');
  return `plimsoll-summary/1 ${Buffer.byteLength(text)} ${sum} ${text}\n`;
}

const WRONG: readonly unknown[] = [
  ...[4294967295, 1.5, 1e300, '1', -1, 2 ** 53 + 2, 0, Number.NaN],
  ...[null, true, '', 'x', [], {}, [null], { a: 1 }, [[1]], ['\u202e'], { __proto__: null }],
];

/** Every place of a body, as the keys that lead there. */
function* placesOf(value: unknown, at: readonly string[] = []): Generator<readonly string[]> {
  if (at.length > 0) yield at;
  if (typeof value !== 'object' || value === null) return;
  // One of a long list of names stands for the others.
  for (const key of Object.keys(value).slice(0, 6))
    yield* placesOf((value as Record<string, unknown>)[key], [...at, key]);
}

function changed(at: readonly string[], wrong: unknown): unknown {
  const copy = structuredClone(body);
  let holder = copy;
  for (const key of at.slice(0, -1)) holder = holder[key];
  holder[at.at(-1)!] = wrong;
  return copy;
}

test('a summary is read again as what it was written from', async () => {
  assert.ok(content !== undefined && parts.length >= 3, summary);
  const [whole, again] = await Promise.all([
    feed(records, 'baseline', '--by', 'vendor', '--json', '-'),
    feed(withBody(body), 'baseline', '--by', 'vendor', '--json', '-'),
  ]);
  assert.is(again.stdout, whole.stdout);
});

test('whatever stands in any of its places, it is an answer or one sentence, and never a bug', async () => {
  const all = [...placesOf(body)].flatMap((at) => WRONG.map((wrong) => ({ at, wrong })));
  let refused = 0;
  for (const { at, wrong } of evenly(all, 1500)) {
    const { status, stdout, stderr } = await feed(
      withBody(changed(at, wrong)),
      ...['baseline', '--by', 'vendor', '--json', '-'],
    );
    const what = `${at.join('.')} = ${JSON.stringify(wrong)}: ${stderr}`;
    assert.not.match(stderr, /this is a bug/, what);
    if (status === 2 && stdout === '') {
      assert.match(stderr, /^error: [^\n]+\n$/, what);
      refused++;
    } else assert.ok(stdout.startsWith('{'), what);
  }
  assert.ok(refused > 100, `${refused} were refused`);
});

test('counts that no fleet has are refused before anything is made of them', async () => {
  const [first] = body.kinds.keys();
  for (const hosts of [4294967295, 1.5, 1e300, '1', -1, 0, 2 ** 53 + 2, 2]) {
    const { status, stderr } = await feed(
      withBody(changed(['kinds', `${first}`, 'hosts'], hosts)),
      ...['baseline', '-'],
    );
    assert.is(status, 2, `${hosts}`);
    assert.match(stderr, /a summary that plimsoll did not write/, `${hosts}`);
  }
});

test.run();
