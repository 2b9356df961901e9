// Many hosts of /proc/cpuinfo: sorted into kinds they are what reading every line makes of them, errors included.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import debug from '../../build/core.debug.wasm';
import release from '../../build/core.wasm';
import { scanBlocks } from '../../src/cli/input/block-segments.ts';
import { Arena } from '../../src/core/arena.ts';
import { BlockScanner, joinsHost, kindOfRun } from '../../src/core/blocks.ts';
import { instantiate } from '../../src/core/wasm.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import type { BlockScan, Input, Stream } from '../../src/dialects/dialect.ts';
import { cpuinfo } from '../../src/dialects/kernel/cpuinfo.ts';
import { CPUINFO_KEYS, CpuinfoScan } from '../../src/dialects/kernel/cpuinfo-scan.ts';
import { Gatherer } from '../../src/fleet/gather.ts';
import { kindOfHost } from '../../src/fleet/kind.ts';
import { readFleet } from '../../src/reading/read.ts';
import { ROOT } from '../support/places.ts';
import { assertProperty, draws } from '../support/property.ts';

const TEXTS = 300;
const RUNS = { numRuns: TEXTS };

const dir = mkdtempSync(join(tmpdir(), 'plimsoll-cpuinfo-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
const test = suite('cpuinfo-scan');
const catalog = await loadCatalog();
const BUILDS = Object.entries({ debug, release });
const encode = (text: string) => new TextEncoder().encode(text);

/** What an input comes to: the kinds of its hosts in their order, and what was left out; or why not. */
interface Outcome {
  readonly hosts: readonly string[];
  readonly skipped: readonly string[];
  readonly error: string | null;
}

async function outcomeOf(
  read: (skip?: (problem: QueryError) => void) => Promise<readonly string[]>,
  skips: boolean,
): Promise<Outcome> {
  const skipped: string[] = [];
  try {
    const hosts = await read(skips ? ({ message }) => skipped.push(message) : undefined);
    return { hosts, skipped, error: null };
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return { hosts: [], skipped, error: error.message };
  }
}

const asText = (kind: object): string =>
  JSON.stringify(kind, (_, value) => (ArrayBuffer.isView(value) ? [...(value as never)] : value));

/** The slow and obvious way. */
const slowly = (input: Input, skips: boolean): Promise<Outcome> =>
  outcomeOf(async (skip) => {
    const all = await cpuinfo.read!(input, catalog, skip);
    return all.map((d) => asText(kindOfHost(catalog, d)));
  }, skips);

/** What scanning an input leaves, by a scan that may have read others before. */
class Scanned {
  readonly #gatherer = new Gatherer(catalog, true);
  readonly #scan: CpuinfoScan;
  #before = 0;

  constructor(binary: BufferSource) {
    this.#scan = new CpuinfoScan(catalog, this.#gatherer, {
      arena: new Arena(instantiate(binary)),
    });
  }

  outcome(input: Input | Stream, skips: boolean): Promise<Outcome> {
    return outcomeOf(async (skip) => {
      const count = await this.#scan.read(input, skip);
      const { kinds, batches } = this.#gatherer.finish();
      const all = batches!.flatMap((batch) => [...batch.kinds]).slice(this.#before);
      this.#before += count;
      assert.is(all.length, count);
      return all.map((kind) => asText(kinds[kind]!));
    }, skips);
  }
}

/** A stream of a text in pieces, and what was read of it line by line: from so many bytes on. */
function streamOf(
  { name, bytes }: Input,
  piece: number,
  again: boolean,
): Stream & { slow: number | null } {
  let at = 0;
  return {
    name,
    again,
    slow: null,
    head: bytes,
    read(into) {
      const part = bytes.subarray(at, at + Math.min(piece, into.length));
      into.set(part);
      at += part.length;
      return part.length;
    },
    async whole(from = at) {
      this.slow = from;
      return bytes.slice(from);
    },
  };
}

const INTEL = (n: string, v: string) =>
  `processor\t: ${n}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: A Xeon\nstepping\t: 7\nmicrocode\t: 0x${v.length}\ncpu MHz\t\t: ${n}00.${v.length}\nphysical id\t: 0\ncore id\t\t: ${n}\napicid\t\t: ${n}\nflags\t\t: fpu sse ${v}\nbogomips\t: 42${n}\naddress sizes\t: 46 bits physical, 48 bits virtual\npower management:\n\n`;
const AMD = (n: string, v: string) =>
  `processor\t: ${n}\nvendor_id\t: AuthenticAMD\ncpu family\t: 23\nmodel\t\t: 49\nstepping\t: 0\ncpu MHz\t\t: ${n}\nflags\t\t: fpu ${v}\nbogomips\t: ${n}\nTLB size\t: 3072 4K pages\n\n`;
const ARM = (n: string, v: string) =>
  `processor\t: ${n}\nBogoMIPS\t: ${n}50.00\nFeatures\t: fp asimd ${v}\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd0c\n\n`;
const POWER = (n: string, v: string) =>
  `processor\t: ${n}\ncpu\t\t: POWER9, altivec supported\nclock\t\t: 3${n}.000000MHz\nrevision\t: 2.${v.length} (pvr 004e 1202)\n\n`;
const S390 = (n: string, v: string) =>
  `vendor_id       : IBM/S390\n# processors    : 1\nfeatures\t: esan3 ${v}\nprocessor ${n}: version = FF\n\n`;

const hosts = fc.record({
  block: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(INTEL, AMD, ARM) },
    { weight: 1, arbitrary: fc.constantFrom(POWER, S390) },
  ),
  numbers: fc.oneof(
    {
      weight: 12,
      arbitrary: fc.constantFrom('0', '0 1', '0 1 2 3', '0 2 5', '0 1 2 3 4 5 6 7 8 9 10 11'),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom('1 2', '0 2 1', '3', '00', '1 0', '0 1 0 2', '123456789', 'x', ''),
    },
  ),
  variants: fc.array(fc.constantFrom('avx', 'avx avx2', 'avx', 'new_one'), {
    minLength: 1,
    maxLength: 3,
  }),
  isMixed: fc.nat({ max: 9 }).map((n) => n === 0),
  end: fc.oneof(
    { weight: 12, arbitrary: fc.constant('') },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '\n\n',
        ' \n',
        'Hardware\t: X\nSerial\t: 7\n\n',
        'machine\t: pSeries\n\n',
        'no colon\n\n',
        '\ufeff',
      ),
    },
  ),
  isUnspaced: fc.nat({ max: 9 }).map((n) => n === 0),
});
type Host = typeof hosts extends fc.Arbitrary<infer T> ? T : never;

const textOf = ({ block, numbers, variants, isMixed, end, isUnspaced }: Host): string => {
  const text = numbers
    .split(' ')
    .map((n, i) => block(n, variants[isMixed ? i % variants.length : 0]!))
    .join('');
  return (isUnspaced ? text.slice(0, -1) : text) + end;
};

/** What may befall a text. */
const harm = fc.oneof(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    drop: fc.nat({ max: 3 }),
    put: fc.constantFrom(
      '',
      '\n',
      '\r\n',
      ' ',
      ':',
      '7',
      '\0',
      '\ufeff',
      'é',
      '\n\n',
      '\u00a0\n',
      '\nprocessor\t: 0\n',
      '\nprocessor : 1\n',
      '\nflags\t: fpu\n',
    ),
  }),
  fc.record({ cut: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.constant({ crlf: true }),
  fc.constant({ unspaced: true }),
);
type Harm = typeof harm extends fc.Arbitrary<infer T> ? T : never;

function harmed(text: string, harms: readonly Harm[]): string {
  let now = text;
  for (const h of harms)
    if ('at' in h) {
      const at = Math.floor(h.at * now.length);
      now = now.slice(0, at) + h.put + now.slice(at + h.drop);
    } else if ('cut' in h) now = now.slice(0, Math.ceil(h.cut * now.length));
    else now = 'crlf' in h ? now.replaceAll('\n', '\r\n') : now.replaceAll('\n\n', '\n');
  return now;
}

const texts = fc
  .tuple(
    fc.array(hosts, { minLength: 1, maxLength: 8 }),
    fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 2, arbitrary: fc.array(harm, { minLength: 1, maxLength: 3 }) },
    ),
  )
  .map(([all, harms]) => harmed(all.map(textOf).join(''), harms));

for (const [build, binary] of BUILDS)
  test(`hosts and refusals are those of reading every line (${build})`, async () => {
    const met = { plain: 0, from: 0, whole: 0 };
    await assertProperty(
      fc.asyncProperty(
        fc.array(texts, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 2000 }),
        fc.boolean(),
        async (all, piece, skips) => {
          const scanned = ['bytes', 'file', 'pipe'].map(() => new Scanned(binary));
          for (const [i, text] of all.entries()) {
            const input = { name: `x${i}`, bytes: encode(text) };
            const expected = await slowly(input, skips);
            const file = streamOf(input, piece, true);
            assert.equal(await scanned[0]!.outcome(input, skips), expected);
            assert.equal(await scanned[1]!.outcome(file, skips), expected);
            assert.equal(await scanned[2]!.outcome(streamOf(input, piece, false), skips), expected);
            met[file.slow === null ? 'plain' : file.slow > 0 ? 'from' : 'whole']++;
          }
        },
      ),
      RUNS,
    );
    for (const [how, times] of Object.entries(met))
      assert.ok(times > draws(TEXTS) / 8, `${times} of ${draws(TEXTS)} texts were read ${how}`);
  });

/** What threads find in a file, each of which takes so many segments after one another. */
function inThreads(bytes: Uint8Array, segment: number, shares: readonly number[]): BlockScan[] {
  const path = join(dir, 'segments');
  writeFileSync(path, bytes);
  const fd = openSync(path, 'r');
  const scans: BlockScan[] = [];
  try {
    for (let next = 0, n = 0; next * segment < bytes.length; n++) {
      const taken = new Int32Array([next, 0]);
      let left = shares[n % shares.length]!;
      const task = { fd, size: bytes.length, segment, keys: CPUINFO_KEYS, taken };
      const scan = scanBlocks(task, () => {
        if (--left <= 0) Atomics.store(taken, 0, 2 ** 30);
      });
      scans.unshift(scan);
      if (scan.unusual) break;
      next = scan.segments.at(-1)!.segment + 1;
    }
  } finally {
    closeSync(fd);
  }
  return scans;
}

test('segments of any size, taken by any thread, are the same hosts', async () => {
  const met = { threads: 0, plain: 0 };
  await assertProperty(
    fc.asyncProperty(
      texts,
      fc.integer({ min: 1, max: 3000 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
      async (text, segment, shares) => {
        const input = { name: 'x', bytes: encode(text) };
        const stream = streamOf(input, 4096, true);
        stream.scanBlocks = async () => {
          const scans = inThreads(input.bytes, segment, shares);
          if (scans.length > 1) met.threads++;
          if (!scans.some((scan) => scan.unusual)) met.plain++;
          return scans;
        };
        const scanned = await new Scanned(release).outcome(stream, false);
        assert.equal(scanned, await slowly(input, false));
      },
    ),
    RUNS,
  );
  assert.ok(Math.min(met.threads, met.plain) > draws(TEXTS) / 8, JSON.stringify(met));
});

/** The runs of a text, as `kind` or `+kind` where they go on with a host, and how many kinds were asked for. */
function runsOf(binary: BufferSource, text: string): { runs: string[]; asked: number } {
  const runs: string[] = [];
  const kinds = new Map<string, number>();
  let asked = 0;
  const scanner = new BlockScanner(
    {
      kind: (block, hasNumber) => {
        asked++;
        const key = new TextDecoder().decode(block).replace(/^processor.*\n/, '');
        if (!kinds.has(key)) kinds.set(key, kinds.size);
        return hasNumber ? kinds.get(key)! : null;
      },
      found: (found) => {
        for (const run of found.runs) runs.push(`${joinsHost(run) ? '+' : ''}${kindOfRun(run)}`);
      },
      unusual: () => {
        throw new Error('the text is plain');
      },
    },
    { number: 'processor', leftOut: [] },
    new Arena(instantiate(binary)),
  );
  const bytes = encode(text);
  for (let at = 0; at < bytes.length; ) {
    const room = scanner.room();
    const part = bytes.subarray(at, at + room.length);
    room.set(part);
    scanner.take(part.length);
    at += part.length;
  }
  scanner.end();
  return { runs, asked };
}

test('a run stands for all equal processors of a host', () => {
  const host = (...flags: string[]) =>
    flags.map((f, n) => `processor : ${n}\nflags : ${f}\n\n`).join('');
  const even = host(...new Array(256).fill('fpu'));
  const uneven = host(...new Array(16).fill('fpu'), 'sse', 'sse', 'fpu');
  const machine = 'Hardware : X\n\n';
  for (const [build, binary] of BUILDS)
    assert.equal(
      runsOf(binary, `\n${even}\n${even}${machine}${uneven}${host('sse')}`).runs,
      ['0', '0', '0', '+2', '+0', '2'],
      build,
    );
});

test('processors need no blank line between them', () => {
  const text = [0, 1, 0, 0].map((n) => `processor : ${n}\nflags : fpu\n`).join('');
  for (const [build, binary] of BUILDS)
    assert.equal(runsOf(binary, `${text}\n`), { runs: ['0', '0', '0'], asked: 1 }, build);
});

test('a last processor that lacks a line is cut short, whichever lack it before', async () => {
  const bare = (text: string) => text.replace(/apicid.*\n/, '');
  const [a, b, c] = ['avx', 'avx avx2', 'new_one'].map((v) => (n: string) => INTEL(n, v));
  for (const last of [a!, b!, c!]) {
    const text = a!('0') + bare(b!('1')) + c!('2') + (last === b ? bare(b('3')) : last('3'));
    const input = { name: 'x', bytes: encode(text) };
    const expected = await slowly(input, false);
    assert.is(expected.error !== null, last === b);
    assert.equal(await new Scanned(release).outcome(input, false), expected);
  }
});

test('kinds that no longer fit are asked for again', () => {
  const blocks = Array.from({ length: 9000 }, (_, i) => `processor : 0\nflags : f${i}\n\n`);
  for (const [build, binary] of BUILDS) {
    const { runs, asked } = runsOf(binary, blocks.join('').repeat(2));
    assert.equal(runs, [...blocks.keys(), ...blocks.keys()].map(String), build);
    assert.is(asked, 18_000, build);
  }
});

test('a block that is larger than what is read at once is read line by line', async () => {
  const text = `${INTEL('0', 'avx')}processor\t: 1\nflags\t\t: ${'x'.repeat(600_000)}\n\n`;
  const input = { name: 'x', bytes: encode(text) };
  const stream = streamOf(input, 100_000, false);
  assert.equal(await new Scanned(release).outcome(stream, false), await slowly(input, false));
  assert.ok(stream.slow! < text.length);
});

test('what is wrong is named with its line, however much is before it', async () => {
  const host = ['0', '1', '2', '3'].map((n) => INTEL(n, 'avx')).join('');
  const count = 5000;
  const text = host.repeat(count) + host.slice(0, -'power management:\n\n'.length);
  const input = { name: 'many', bytes: encode(text) };
  const expected = {
    hosts: [],
    skipped: [],
    error: `many:${count * 64 + 49}: processor 3 is cut short: it has no "power management" line, as processor 0 has`,
  };
  for (const again of [true, false])
    assert.equal(
      await new Scanned(release).outcome(streamOf(input, 65_536, again), false),
      expected,
    );
});

test('files of one host each are a fleet, too, in which what they share is read once', async () => {
  const inputs = Array.from({ length: 300 }, (_, i) => ({
    name: `host-${i}.cpuinfo`,
    bytes: encode(['0', '1', `${i + 2}`].map((n) => INTEL(n, i % 3 ? 'avx' : 'avx avx2')).join('')),
  }));
  const fleet = await readFleet(catalog, inputs);
  assert.is(fleet.hosts, 300);
  assert.equal([...fleet.weights].sort(), [100, 200]);
  assert.is(fleet.members[0]!.id, 'host-0');
});

const bin = join(ROOT, 'dist/bin.js');
const run = (args: readonly string[], input?: Uint8Array) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    cwd: dir,
    encoding: 'utf8',
    timeout: 120_000,
    maxBuffer: 1 << 28,
    ...(input ? { input } : {}),
  });
  return { status, stdout, stderr };
};

test('the command answers with one thread or several, from a file or a pipe: the same bytes', () => {
  run(['synth', '--hosts', '8000', '--to', 'cpuinfo', '-o', 'stdin.txt']);
  const text = readFileSync(join(dir, 'stdin.txt'));
  assert.ok(text.length > 64 * 2 ** 20, `${text.length} bytes are enough for threads`);
  const one = run(['baseline', '--json', '--threads', '1', 'stdin.txt']);
  assert.is(one.status, 0);
  assert.is(JSON.parse(one.stdout).hosts, 8000);
  for (const threads of ['2', '5'])
    assert.equal(run(['baseline', '--json', '--threads', threads, 'stdin.txt']), one, threads);
  assert.equal(run(['baseline', '--json', '-'], text), one);
  writeFileSync(join(dir, 'cut.txt'), text.subarray(0, -200));
  const refused = run(['baseline', '--threads', '1', 'cut.txt']);
  assert.is(refused.status, 2);
  assert.match(
    refused.stderr,
    /^error: cut\.txt:\d+: processor 7 is cut short: it has no "[a-z _]+" line, as processor 0 has\n$/,
  );
  assert.equal(run(['baseline', '--threads', '3', 'cut.txt']), refused);
});

test.run();
