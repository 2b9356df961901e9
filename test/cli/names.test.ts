// The commands names and explain, and the option that leaves out hosts without guests, as they are typed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { main } from '../../src/cli/main.ts';

const test = suite('names and explain, typed');
const dir = mkdtempSync(join(tmpdir(), 'names-'));
const file = (name: string, text: string): string => {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
};

async function plimsoll(args: readonly string[], stdin = '') {
  const printed = { stdout: '', stderr: '' };
  const sink = (key: 'stdout' | 'stderr') => ({
    write: (text: string, done: () => void) => {
      printed[key] += text;
      done();
    },
    on: () => {},
  });
  const code = await main(args, {
    stdin: (async function* () {
      yield stdin;
    })(),
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    env: {},
  });
  return { code, ...printed };
}

const HOSTS = file(
  'hosts.ndjson',
  [
    { host: 'big', vendor: 'Intel', features: ['sse2', 'avx2', 'aes'] },
    { host: 'small', vendor: 'Intel', features: ['sse2'], unknown: ['aes'], unschedulable: true },
  ]
    .map((host) => JSON.stringify(host))
    .join('\n'),
);

test('names exits with 1 where one term is nobody’s spelling', async () => {
  const known = await plimsoll(['names', 'pclmuldq']);
  assert.equal(known, {
    code: 0,
    stdout: `pclmuldq, a feature
  QEMU     pclmulqdq and pclmuldq (since 7.2)
  libvirt  pclmuldq (since 9.0)
  Linux    pclmulqdq
  Xen      pclmulqdq
`,
    stderr: '',
  });
  const found = await plimsoll(['names', 'aes', 'vpclmutqdq', '--json']);
  const { schema, terms } = JSON.parse(found.stdout);
  assert.equal(
    [found.code, schema, terms.map((t: { kind: string | null }) => t.kind)],
    [1, 'plimsoll.names/1', ['feature', null]],
  );
});

test('explain takes the text as a word or from standard input, and hosts after it', async () => {
  const text = 'error: guest CPU doesn’t matter: missing features: avx2, aes';
  const typed = await plimsoll(['explain', text, HOSTS]);
  assert.is(typed.code, 0);
  assert.match(typed.stdout, /· avx2: missing on small\n/);
  assert.match(typed.stdout, /· aes: unknown on small\n/);
  const piped = await plimsoll(['explain', '-', '--json'], text);
  const { schema, explanations } = JSON.parse(piped.stdout);
  assert.equal(
    [piped.code, schema, explanations[0].code],
    [0, 'plimsoll.explain/1', 'missing-features'],
  );
  const nothing = await plimsoll(['explain', 'disk full']);
  assert.equal([nothing.code, nothing.stderr], [1, '']);
  assert.match(nothing.stdout, /no message about CPUs is recognised here/);
  const both = await plimsoll(['explain', '-', '-'], text);
  assert.equal([both.code, both.stdout], [2, '']);
});

test('explain prints nothing that could drive a terminal', async () => {
  const found = await plimsoll([
    'explain',
    'missing features: aes \u001b[31m, Unacceptable CPU info\u0007',
  ]);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
  assert.not.match(found.stdout, /[\u0000-\u0009\u000b-\u001f]/);
});

test('hosts that take no guests do not set the line where that is asked for', async () => {
  const features = async (...args: string[]) => {
    const { code, stdout, stderr } = await plimsoll(['baseline', HOSTS, '--json', ...args]);
    return { code, hosts: JSON.parse(stdout).hosts, stderr };
  };
  assert.equal(await features(), { code: 0, hosts: 2, stderr: '' });
  assert.equal(await features('--schedulable'), {
    code: 0,
    hosts: 1,
    stderr: 'note: small takes no guests, so it does not count\n',
  });
  assert.equal(await features('--schedulable', '-q'), { code: 0, hosts: 1, stderr: '' });
  const none = await plimsoll([
    'baseline',
    file('closed.ndjson', '{"host":"a","features":["sse2"],"unschedulable":true}\n'),
    '--schedulable',
  ]);
  assert.equal(
    [none.code, none.stderr],
    [2, 'error: no hosts: every one of them takes no guests; leave --schedulable out\n'],
  );
});

test.after(() => rmSync(dir, { recursive: true, force: true }));
test.run();
