// The command on its own: usage, the catalog, how files are opened, and that the built one is the same. Answers are in
// cli-answers.test.ts.
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  cpSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { VERSION } from '../src/cli/version.ts';
import { runIn } from './support/command.ts';
import { ROOT } from './support/places.ts';

const bin = join(ROOT, 'dist/bin.js');
const here = mkdtempSync(join(tmpdir(), 'plimsoll-cli-'));

const run = (args: readonly string[], stdin = '', env: Record<string, string> = {}) =>
  runIn({ cwd: here, stdin, env }, args);

const refusal = (...sentences: string[]) => ({
  status: 2,
  stdout: '',
  stderr: sentences.map((s) => `error: ${s}\n`).join(''),
});

const record = (host: string, features: string[] = ['sse2', 'avx'], rest = {}) =>
  `${JSON.stringify({ host, vendor: 'GenuineIntel', features, ...rest })}\n`;

test('the version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  assert.is(VERSION, version);
  assert.equal(await run(['--version']), { status: 0, stdout: `${version}\n`, stderr: '' });
});

test('the built command is the command', async () => {
  writeFileSync(join(here, 'one.json'), record('one'));
  const calls: readonly (readonly [
    args: string[],
    stdin?: string,
    env?: Record<string, string>,
  ])[] = [
    [['--version']],
    [[]],
    [['help', 'place']],
    [['modls']],
    [['baseline', 'missing']],
    [['features', 'avx2'], '', { FORCE_COLOR: '1' }],
    [['decode', '--json', 'one.json', '-'], record('stdin-host')],
    [['compare', 'one.json', '-'], record('guest', ['sse2', 'bmi1'], { view: 'guest' })],
    [['baseline', '--skip-unreadable', 'one.json', '-'], '{'],
  ];
  for (const [args, input = '', env = {}] of calls) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
      cwd: here,
      input,
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: '', FORCE_COLOR: '', ...env },
      timeout: 60_000,
    });
    assert.equal({ status, stdout, stderr }, await run(args, input, env), args.join(' '));
  }
});

test('no command is a question for help, not an answer', async () => {
  const { status, stdout, stderr } = await run([]);
  assert.equal({ status, stdout }, { status: 2, stdout: '' });
  assert.is((await run(['--help'])).stdout, stderr);
  assert.equal(
    ['baseline', 'compare', 'decode', 'models', 'features', 'machines'].filter(
      (name) => !new RegExp(`^  ${name} +\\S`, 'm').test(stderr),
    ),
    [],
  );
});

test('every help fits into 80 columns, and says what the exit codes mean', async () => {
  const commands = [...(await run(['--help'])).stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(
    (m) => m[1]!,
  );
  assert.ok(commands.length >= 6);
  for (const args of [[], ...commands.map((name) => [name])]) {
    const { status, stdout, stderr } = await run([...args, '--help']);
    assert.equal({ status, stderr }, { status: 0, stderr: '' });
    assert.equal(
      stdout.split('\n').filter((line) => line.length > 80),
      [],
      args.join(),
    );
    assert.match(stdout, /^Exit code: 0 /m);
    assert.is((await run(['help', ...args])).stdout, stdout);
  }
});

const USAGE: readonly (readonly [args: string[], sentence: string])[] = [
  [['modls'], "unknown command 'modls'\n(Did you mean models?)"],
  [['baseline', '--jsn'], "unknown option '--jsn'\n(Did you mean --json?)"],
  [
    ['baseline'],
    'no inputs; give files or directories with descriptions of hosts, or - for standard input',
  ],
  [['compare', 'a'], "missing required argument 'cpus'"],
  [
    ['compare', '-', '-'],
    'standard input cannot be the host and a CPU at once; give one of them as a file',
  ],
  [
    ['baseline', '--json', '--to', 'qemu', 'a'],
    "option '--to <dialect>' cannot be used with option '--json'",
  ],
  [
    ['baseline', '--migratable', 'a'],
    '--migratable means something only under --rules libvirt; the safe rules always leave out what cannot migrate',
  ],
  [
    ['baseline', '--by', 'vendor', '--to', 'qemu', 'a'],
    '--by with --to writes one file for each value; name a directory for them with -o',
  ],
  [
    ['baseline', '--color', 'red', 'a'],
    "option '--color <when>' argument 'red' is invalid. Allowed choices are auto, always, never.",
  ],
  [
    ['baseline', '--stack', 'xen@4', 'a'],
    '--stack "xen@4" names no product that is known; write libvirt@VERSION or qemu@VERSION',
  ],
  [
    ['baseline', '--models', 'Penrin', 'a'],
    '--models "Penrin" is no model that is known; did you mean "Penryn"?',
  ],
  [
    ['baseline', ''],
    'cannot read "": no such file or directory; give a file, a directory, or - for standard input',
  ],
  [['baseline', '--models', ',', 'a'], '--models names no model; plimsoll models lists them'],
  [
    ['features', 'sse4_7'],
    'unknown feature "sse4_7"; did you mean "sse4.1" or "sse4.2" or "sse4a"?',
  ],
  [['models', 'Zen'], 'unknown model "Zen"; plimsoll models lists all of them'],
  [['machines', 'vax'], 'unknown machine type "vax"; plimsoll machines lists all of them'],
];
for (const [args, sentence] of USAGE)
  test(`refuses: plimsoll ${args.join(' ')}`, async () => {
    assert.equal(await run(args), refusal(sentence));
  });

test('features says who has it, which software knows it and where the bit lives, by any spelling', async () => {
  const { stdout, ...rest } = await run(['features', 'sse4_1']);
  assert.equal(rest, { status: 0, stderr: '' });
  assert.match(stdout, /^sse4\.1\n +where +CPUID 0x1\.0 ECX bit 19\n/);
  assert.match(stdout, /known since +QEMU 7\.2 and libvirt 9\.0\n/);
  const { schema, features } = JSON.parse((await run(['features', 'sse4_1', '--json'])).stdout);
  assert.is(schema, 'plimsoll.features/1');
  assert.is(features.length, 1);
  assert.ok(
    features[0].models.qemu.includes('Penryn-v1') && features[0].models.libvirt.includes('Penryn'),
  );
  assert.not.ok(features[0].models.qemu.includes('Conroe-v1'));
});

test('models says what a name stands for in each product', async () => {
  const [model] = JSON.parse(
    (await run(['models', 'Skylake-Server-IBRS', '--json'])).stdout,
  ).models;
  assert.equal(
    [model.qemu.kind, model.qemu.of, model.libvirt.since],
    ['fixed-alias', 'Skylake-Server-v2', '9.0'],
  );
  assert.ok(
    model.qemu.features.includes('spec-ctrl') && model.libvirt.features.includes('spec-ctrl'),
  );
});

test('machines says what a machine type changes about CPUs', async () => {
  const { stdout } = await run(['machines', 'pc-q35-2.4']);
  assert.match(stdout, /^pc-q35-2\.4\n +known to +QEMU 7\.2 and 10\.0\n/);
  assert.match(stdout, /Opteron_G5: -npt -nrip-save\n/);
  assert.match((await run(['machines', 'q35'])).stdout, /^pc-q35-10\.0\n/);
});

test('the lists of the catalog are sorted, whole, and fit into 80 columns', async () => {
  for (const [command, size] of [
    ['models', 170],
    ['features', 400],
    ['machines', 70],
  ] as const) {
    const { schema, [command]: items } = JSON.parse((await run([command, '--json'])).stdout);
    assert.is(schema, `plimsoll.${command}/1`);
    assert.ok(items.length >= size, `${items.length} ${command}`);
    const names: string[] = items.map((item: { name: string }) => item.name);
    assert.equal(
      names,
      [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
    const lines = (await run([command])).stdout.trimEnd().split('\n');
    assert.equal(
      lines.filter((line) => line.length > 80),
      [],
    );
    assert.equal(
      names.filter((name) => !lines.some((line) => line.startsWith(name.slice(0, 34)))),
      [],
    );
  }
});

test('colours only where they are wanted', async () => {
  const isColoured = async (args: string[], env = {}) =>
    (await run(['models', ...args], '', env)).stdout.includes('\u001b[');
  assert.equal(
    [
      await isColoured([]),
      await isColoured(['--color', 'always']),
      await isColoured([], { FORCE_COLOR: '1' }),
      await isColoured([], { FORCE_COLOR: '1', NO_COLOR: '1' }),
      await isColoured(['--color', 'always'], { NO_COLOR: '1' }),
      await isColoured(['--color', 'never'], { FORCE_COLOR: '1' }),
    ],
    [false, true, true, false, true, false],
  );
});

test('-o writes the whole file or none, and nothing to standard output', async () => {
  const listed = (await run(['machines', '--json'])).stdout;
  assert.equal(await run(['machines', '--json', '-o', 'm.json']), {
    status: 0,
    stdout: '',
    stderr: '',
  });
  assert.is(readFileSync(join(here, 'm.json'), 'utf8'), listed);
  symlinkSync('m.json', join(here, 'link.json'));
  await run(['models', '--json', '-o', 'link.json']);
  assert.match(readFileSync(join(here, 'm.json'), 'utf8'), /plimsoll\.models\/1/);
  assert.equal(await run(['machines', '-o', '-']), await run(['machines']));
  mkdirSync(join(here, 'folder'));
  assert.equal(
    await run(['machines', '-o', 'folder']),
    refusal('cannot write folder: it is a directory; name a file in it'),
  );
  assert.equal(
    await run(['machines', '-o', 'no/such/file']),
    refusal('cannot write no/such/file: no such file or directory'),
  );
  assert.equal(await run(['machines', '-o', '/dev/null']), { status: 0, stdout: '', stderr: '' });
  assert.equal(
    readdirSync(here).filter((name) => name.startsWith('.')),
    [],
  );
});

test('a reader that closes the pipe early is no failure', async () => {
  const child = spawn(process.execPath, [bin, 'features', '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  child.stdout.destroy();
  const status = await new Promise((resolve) => child.on('close', resolve));
  assert.equal({ status, stderr }, { status: 0, stderr: '' });
});

test('a full disk is said, not hidden', () => {
  for (const words of [['models'], ['--help']]) {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [bin, ...words], {
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    });
    closeSync(full);
    assert.equal(
      { status, stderr },
      { status: 2, stderr: 'error: cannot write the answer: no space is left there\n' },
    );
  }
});

const ids = async (args: string[], input = '') => {
  const { status, stdout, stderr } = await run(['decode', '--json', ...args], input);
  assert.equal({ status, stderr }, { status: 0, stderr: '' });
  return JSON.parse(stdout).hosts.map((h: { host: string }) => h.host);
};

test('reads files, directories to the bottom and standard input, each once, in an order of its own', async () => {
  mkdirSync(join(here, 'fleet/deep/er'), { recursive: true });
  writeFileSync(join(here, 'fleet/b.json'), record('b'));
  writeFileSync(join(here, 'fleet/deep/er/c.json'), record('c'));
  writeFileSync(join(here, 'fleet/.hidden.json'), 'no description at all');
  symlinkSync('..', join(here, 'fleet/deep/up'));
  writeFileSync(join(here, 'a.json'), record('a'));
  assert.equal(await ids(['fleet', 'a.json']), ['a', 'b', 'c']);
  assert.equal(
    await ids(['./a.json', 'a.json', 'fleet/', 'fleet/b.json', '-', '-'], record('stdin-host')),
    ['a', 'b', 'c', 'stdin-host'],
  );
  assert.equal(
    await run(['decode', 'fleet', 'a.json']),
    await run(['decode', 'a.json', 'fleet/deep/er', 'fleet']),
  );
});

test('reads .gz and .zst as they are, whatever they are called', async () => {
  writeFileSync(join(here, 'g.json.gz'), gzipSync(record('zipped')));
  cpSync(join(here, 'g.json.gz'), join(here, 'g.json'));
  assert.equal(await ids(['g.json.gz']), ['zipped']);
  assert.equal(await ids(['g.json']), ['zipped']);
  // Two frames, as `zstd -c a >> x; zstd -c b >> x` writes them: raw blocks, no checksum.
  const frame = (text: string) => {
    const bytes = Buffer.from(text);
    const block = (bytes.length << 3) | 1;
    return Buffer.concat([
      Buffer.from([
        0x28,
        0xb5,
        0x2f,
        0xfd,
        0x60,
        (bytes.length - 256) & 255,
        (bytes.length - 256) >> 8,
        block & 255,
        block >> 8,
        block >> 16,
      ]),
      bytes,
    ]);
  };
  const long = (host: string) => record(host, ['sse2'], { note: 'x'.repeat(300) });
  const frames = Buffer.concat([frame(long('one')), frame(long('two'))]);
  writeFileSync(join(here, 'z.ndjson.zst'), frames);
  // pzstd puts a frame to skip before each of its own.
  const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);
  writeFileSync(join(here, 'p.ndjson.zst'), Buffer.concat([skipped, frames]));
  assert.equal(await ids(['p.ndjson.zst']), ['one', 'two']);
  assert.equal(await ids(['z.ndjson.zst']), ['one', 'two']);
});

test('says of each file that it cannot read which and why', async () => {
  const sparse = openSync(join(here, 'sparse.xml'), 'w');
  ftruncateSync(sparse, 2 ** 30);
  closeSync(sparse);
  writeFileSync(
    join(here, 'cut.gz'),
    gzipSync(record('x', ['sse2'], { note: 'y'.repeat(999) })).subarray(0, 40),
  );
  writeFileSync(
    join(here, 'bad.gz'),
    Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), Buffer.alloc(99, 0xee)]),
  );
  writeFileSync(join(here, 'cut.zst'), Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x60, 1]));
  writeFileSync(join(here, 'bomb.gz'), gzipSync(Buffer.alloc(501_000_000), { level: 1 }));
  mkdirSync(join(here, 'empty/nothing'), { recursive: true });
  spawnSync('bash', ['-c', 'mkfifo "$0"', join(here, 'pipe')]);
  symlinkSync('nowhere', join(here, 'dangling'));
  symlinkSync('circle', join(here, 'circle'));
  writeFileSync(join(here, 'a\u001b[31m.xml'), '');
  const hint = '; give a file, a directory, or - for standard input';
  const table: readonly (readonly [name: string, sentence: string])[] = [
    ['missing.xml', `cannot read missing.xml: no such file or directory${hint}`],
    ['dangling', `cannot read dangling: no such file or directory${hint}`],
    ['circle', `cannot read circle: its symbolic links go in a circle${hint}`],
    ['a.json/x', `cannot read a.json/x: a part of its path is no directory${hint}`],
    ['empty', 'empty holds no files (dot files are not read); put host descriptions into it'],
    ['pipe', 'pipe is a named pipe; give a file, or pass - and redirect it to standard input'],
    [
      '/dev/zero',
      '/dev/zero is a device; give a file, or pass - and redirect it to standard input',
    ],
    [
      'sparse.xml',
      'sparse.xml is larger than the 500 MB that one input may have; split it into smaller files',
    ],
    ['bomb.gz', 'bomb.gz grows past 500 MB when it is decompressed; split it into smaller files'],
    ['cut.gz', 'cut.gz ends in the middle of its gzip data; copy it again in full'],
    ['cut.zst', 'cut.zst ends in the middle of its zstd data; copy it again in full'],
    ['bad.gz', 'bad.gz begins like a gzip file, but its data is damaged; copy it again'],
    ['a\u001b[31m.xml', 'a\\u001b[31m.xml is empty; give a host description or leave the file out'],
  ];
  for (const [name, sentence] of table)
    assert.equal(await run(['baseline', name]), refusal(sentence), name);
  const all = [...table].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.equal(
    await run(['baseline', ...table.map(([name]) => name)]),
    refusal(...all.map(([, sentence]) => sentence)),
  );
  // A person without permission; the superuser has it always.
  if (process.getuid?.() !== 0) {
    writeFileSync(join(here, 'secret'), record('x'));
    chmodSync(join(here, 'secret'), 0);
    assert.equal(
      await run(['baseline', 'secret']),
      refusal(`cannot read secret: permission denied${hint}`),
    );
  } else process.stderr.write('not run: permission denied (this is the superuser)\n');
});

test('reads what a shell puts in the place of a command', () => {
  const shell = spawnSync(
    'bash',
    ['-c', `"$0" "$1" decode --json <(printf '%s' "$2")`, process.execPath, bin, record('piped')],
    { encoding: 'utf8' },
  );
  assert.equal([shell.status, shell.stderr], [0, '']);
  assert.equal(JSON.parse(shell.stdout).hosts[0].host, 'piped');
});

test.run();
