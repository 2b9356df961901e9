// What leaves the process: nothing that drives a terminal, turns the direction of writing or cannot be seen, whatever
// the names of hosts, keys, values, files and guests hold.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { isPrintable, printable, printableLines } from '../../src/cpu/printable.ts';
import { run } from '../support/command.ts';

const test = suite('printed');
const HIDDEN =
  '\u0001\u0007\b\t\r\u001b[31m\u007f\u0085\u009b\u061c\u200b\u200f\u2028\u2029\u202e\u2060\u2066\ufeff';

const dir = mkdtempSync(join(tmpdir(), 'plimsoll-printed-'));
const inDir = (name: string, content: string): string => {
  writeFileSync(join(dir, name), content);
  return join(dir, name);
};
const feature = ['sse2', 'lm', 'cx16', 'lahf-lm', 'popcnt', 'pni', 'sse4.1', 'sse4.2', 'ssse3'];
const record = (host: string, more: object = {}) =>
  JSON.stringify({
    host,
    vendor: 'Intel',
    features: feature,
    [`rack${HIDDEN}`]: `r${HIDDEN}`,
    rack: `r${HIDDEN}`,
    ...more,
  });
const fleet = inDir(
  `fleet${HIDDEN.replace('/', '')}.ndjson`,
  [record(`a${HIDDEN}`), record(`b${HIDDEN}`, { features: feature.slice(0, 5) })].join('\n'),
);
const guests = inDir(
  'guests.xml',
  `<domain type='kvm'><name>g&#x200b;&#x85;&#x202e;</name><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><cpu mode='custom' match='exact'><model>Nehalem</model></cpu></domain>`,
);
const line = join(dir, 'line.json');
const junk = inDir(`junk${HIDDEN}`, `nothing ${HIDDEN}`);
const bad = inDir(`bad${HIDDEN}.ndjson`, `{"host":"x${HIDDEN}","features":[7]}`);

/** @throws where a text holds a hidden character; its lines may end. */
function seen(what: string, text: string): void {
  for (const [i, part] of text.split('\n').entries())
    assert.ok(isPrintable(part), `${what}: line ${i + 1}: ${JSON.stringify(part)}`);
}

test.after(() => rmSync(dir, { recursive: true }));

const QUESTIONS: readonly string[][] = [
  ['baseline', fleet],
  ['baseline', '--by', 'rack', fleet],
  ['baseline', '--by', `rack${HIDDEN}`, fleet],
  ['blame', fleet],
  ['groups', '-k', '2', fleet],
  ['groups', '-k', '2', '--keep-together', 'rack', fleet],
  ['place', '--guests', guests, fleet],
  ['place', '--guests', guests, '--drain', `a${HIDDEN}`, fleet],
  ['place', '--guests', guests, '--drain', `no${HIDDEN}`, fleet],
  ['drift', '--guests', guests, '--to-machine', 'pc-q35-7.1', fleet],
  ['admit', '--baseline', line, fleet],
  ['baseline', '--check', line, fleet],
  ['compare', fleet, guests],
  ['decode', fleet],
  ['decode', guests],
  ['baseline', '--without', `a${HIDDEN}`, fleet],
  ['baseline', junk],
  ['baseline', bad],
  ['baseline', '--skip-unreadable', bad, fleet],
  ['baseline', `no such ${HIDDEN}`],
  ['explain', `nothing ${HIDDEN} of the kind`],
  ['explain', `host doesn't support requested feature: CPUID.07H:EBX.hle${HIDDEN} [bit 4]`],
  ['names', HIDDEN],
  ['models', `x${HIDDEN}`],
  ['pin', '--cpu', `Nehalem${HIDDEN}`, '--machine', 'pc-q35-7.2'],
  ['pin', '--cpu', 'Nehalem', '--machine', `pc${HIDDEN}`],
  ['baseline', `--${HIDDEN}`, fleet],
  ['baseline', `--by=x${HIDDEN}`, fleet],
  [`base${HIDDEN}`, fleet],
  ['baseline', '--stack', `qemu@${HIDDEN}`, fleet],
];

for (const question of QUESTIONS)
  for (const json of [false, true])
    test(`${printable(question.map((w) => w.replace(dir, '')).join(' '))}${json ? ' --json' : ''}`, async () => {
      await run('baseline', '--json', '-o', line, fleet);
      const { status, stdout, stderr } = await run(...question, ...(json ? ['--json'] : []));
      assert.ok(stdout !== '' || stderr !== '', `exit ${status} and not a word`);
      seen('stdout', stdout);
      seen('stderr', stderr);
      assert.not.match(stderr, /this is a bug/);
      if (json && stdout.startsWith('{')) JSON.parse(stdout);
    });

test('files that are written hold none either, and say the same', async () => {
  const summary = join(dir, 'fleet.summary');
  assert.equal((await run('summarize', '-o', summary, fleet)).status, 0);
  const text = readFileSync(summary, 'utf8');
  seen('summary', text.replaceAll('\t', '\n'));
  // Read again, the names are what they were.
  const { stdout } = await run('baseline', '--json', '--without', `a${HIDDEN}`, summary);
  assert.equal(JSON.parse(stdout).hosts, 1);
  const answer = join(dir, 'answer.json');
  await run('blame', '--json', '-o', answer, fleet);
  seen('answer', readFileSync(answer, 'utf8'));
  assert.match(JSON.parse(readFileSync(answer, 'utf8')).groups[0].hosts[0], /\u200b/);
  const out = join(dir, 'out');
  mkdirSync(out);
  await run('baseline', '--by', 'rack', '--to', 'libvirt', '-o', out, fleet);
  for (const name of readdirSync(out)) seen(name, readFileSync(join(out, name), 'utf8') + name);
});

test('a name of a feature that cannot be seen is refused, with the file and its line', async () => {
  const one = (name: string, content: string) => run('baseline', inDir(name, content));
  const cases: readonly [string, string][] = [
    ['r.ndjson', `{"host":"h","features":["sse2","a\u200bb"]}`],
    ['u.ndjson', `{"host":"h","features":["sse2"],"unknown":["a\u2060b"]}`],
    ['c.cpuinfo', 'processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu a\u200bb\n\n'],
    ['l.txt', 'Architecture: x86_64\nVendor ID: GenuineIntel\nFlags: fpu a\u200bb\n'],
    ['x.xml', `<cpu><arch>x86_64</arch><model>Nehalem</model><feature name='a\u200bb'/></cpu>`],
  ];
  for (const [name, content] of cases) {
    const { status, stderr } = await one(name, content);
    assert.equal([name, status], [name, 2]);
    assert.match(stderr, new RegExp(`${name}`));
    assert.match(stderr, /u20(0b|60)/);
  }
});

test('colours of our own pass, and those of others do not', () => {
  assert.is(printableLines('\x1b[1mx\x1b[22m\n', true), '\x1b[1mx\x1b[22m\n');
  assert.is(printableLines('\x1b[1mx\n'), '\\u001b[1mx\n');
  assert.is(printableLines('\x1b]0;x\x07', true), '\\u001b]0;x\\u0007');
});

test.run();
