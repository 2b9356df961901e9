// The scanner of host records, held against JSON.parse and against reading each record by itself.
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import debug from '../../build/core.debug.wasm';
import release from '../../build/core.wasm';
import { scanRecords } from '../../src/cli/input/record-segments.ts';
import { Arena } from '../../src/core/arena.ts';
import { CHUNK, type FoundHosts, Scanner } from '../../src/core/scan.ts';
import { instantiate } from '../../src/core/wasm.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import type { Stream } from '../../src/dialects/dialect.ts';
import { repeatedKey } from '../../src/dialects/text/json.ts';
import type { Fleet } from '../../src/fleet/fleet.ts';
import { type ReadOptions, readFleet } from '../../src/reading/read.ts';
import { assertProperty } from '../support/property.ts';

const RUNS = { numRuns: 300 };

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(bytes);

const KEYS = {
  host: 'host',
  list: 'features',
  parts: ['arch', 'vendor', 'view', 'unknown', 'limits'],
  bound: ['unknown'],
  apart: ['Intel', 'GenuineIntel'],
};
const MAX_LINE = 4 * CHUNK;
/** Where the core counts, among the last lines, those that went by the text of others. */
const PATTERNS_FOUND = 104;

interface Scanned {
  /** By line: the host's id and the first line of its kind, or null where the line was handed on. */
  readonly lines: readonly ({ readonly id: string; readonly like: string } | null)[];
  readonly handed: readonly string[];
  readonly keys: readonly string[];
}

/** Scans text that comes in pieces of these sizes. */
function scan(arena: Arena, bytes: Uint8Array, sizes: readonly number[]): Scanned {
  const kinds: string[] = [];
  const lines: ({ id: string; like: string } | null)[] = [];
  const handed: string[] = [];
  const scanner = new Scanner(
    {
      kind: (line) => (hasTwice(decode(line)) ? null : kinds.push(decode(line)) - 1),
      other: (line) => {
        lines.push(null);
        handed.push(new TextDecoder().decode(line));
      },
      found: ({ kinds: each, ends, ids }: FoundHosts) => {
        for (const [i, kind] of each.entries())
          lines.push({
            id: decode(ids.subarray(i === 0 ? 0 : ends[i - 1]!, ends[i]!)),
            like: kinds[kind]!,
          });
      },
      tooLong: (number) => {
        throw new Error(`line ${number} is too long`);
      },
    },
    { keys: KEYS, ids: true, maxLine: MAX_LINE },
    arena,
  );
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const piece = bytes.subarray(at, at + Math.min(CHUNK, sizes[n % sizes.length] ?? CHUNK));
    scanner.room().set(piece);
    scanner.take(piece.length);
    at += piece.length;
  }
  scanner.end();
  const keys = scanner.otherKeys();
  scanner.free();
  return { lines, handed, keys };
}

/** What makes two records be of one kind, said slowly: JSON text of everything that counts. */
function kindOf(line: string): string {
  const { host, features, ...rest } = JSON.parse(line);
  const isUuid =
    typeof host === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(host);
  const named = host === undefined || host === null ? 'no' : isUuid ? 'number' : 'yes';
  const counts = Object.entries(rest).flatMap(([key, value]) =>
    KEYS.parts.includes(key)
      ? [[key, value]]
      : typeof value === 'object' && value !== null
        ? [[key]]
        : [],
  );
  counts.sort(([a], [b]) => (`${a}` < `${b}` ? -1 : 1));
  return JSON.stringify([named, [...new Set(features)].sort(), counts]);
}

/** Whether some object in a line has a key twice. */
const hasTwice = (line: string): boolean => repeatedKey(line, JSON.parse(line)) !== null;

const idOf = (line: string): string => {
  const { host } = JSON.parse(line);
  return kindOf(line).startsWith('["yes"') ? host : '';
};

// Text that is JSON, nearly JSON, or not at all.
const blank = fc.stringMatching(/^[ \t\r]{0,2}$/);
const name = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom('avx', 'avx2', 'pku', 'x', 'sse4.2', 'a]b') },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 1, max: 60 }).map((n) => 'n'.repeat(n)),
  },
  { weight: 1, arbitrary: fc.string() },
);
const { nested } = fc.letrec<{ nested: string }>((tie) => ({
  nested: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom('1', 'null', '"a"', '{}', '[]'),
    fc
      .array(fc.tuple(fc.constantFrom('a', 'b', 'ab', 'é', '\\u0061', ''), tie('nested')), {
        minLength: 1,
        maxLength: 4,
      })
      .map((pairs) => `{${pairs.map(([key, value]) => `"${key}" : ${value}`).join(',')}}`),
    fc.array(tie('nested'), { maxLength: 3 }).map((values) => `[${values.join(' , ')}]`),
  ),
}));
const plainValue = fc.oneof(
  nested,
  fc.constantFrom('null', 'true', 'false', '0', '-1', '46', '1.5e3', '""', '"\\u00e9"', '"é"'),
  fc.constantFrom('01', '1.', '+1', 'nul', '1e999', '-', '"\\x"', '"', '.5', '"\u0001"', '1e5e'),
  fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)),
);
const list = fc
  .tuple(fc.array(name, { maxLength: 6 }), blank, fc.constantFrom(',', ' , ', ', '))
  .map(([names, w, comma]) => `[${w}${names.map((n) => JSON.stringify(n)).join(comma)}${w}]`);
const host = fc.oneof(
  fc.integer({ min: 0, max: 50 }).map((n) => `"h-${n}"`),
  fc.constantFrom(
    'null',
    '"Intel"',
    '"GenuineIntel"',
    '"03000200-0400-0500-0006-000700080009"',
    '""',
    '7',
    '"é"',
    '"\\u0041"',
  ),
);
const pair = fc.oneof(
  { weight: 5, arbitrary: list.map((value) => ['"features"', value]) },
  { weight: 4, arbitrary: host.map((value) => ['"host"', value]) },
  {
    weight: 4,
    arbitrary: fc.tuple(
      fc.constantFrom('"arch"', '"vendor"', '"limits"', '"rack"', '"a"', '"features"', '"\\u0061"'),
      plainValue,
    ),
  },
);
const record = fc
  .tuple(fc.array(fc.tuple(pair, blank), { minLength: 1, maxLength: 6 }), blank, blank)
  .map(
    ([pairs, before, after]) =>
      `${before}{${pairs.map(([[key, value], w]) => `${w}${key}${w}:${w}${value}${w}`).join(',')}}${after}`,
  );
const sound = fc
  .tuple(
    host,
    list,
    fc.constantFrom('', ',"arch":"x86_64"', ',"rack":7', ',"limits":{"physBits":46}'),
  )
  .map(([h, features, rest]) => `{"host":${h},"features":${features}${rest}}`);
/** What is done to a line: a byte is replaced, left out or there twice, or the line ends there. */
const damage = fc.record({
  at: fc.nat(),
  byte: fc.oneof(
    fc.constantFrom(...'{}[]",:0n \t\\').map((c) => c.charCodeAt(0)),
    fc.nat({ max: 255 }),
  ),
  how: fc.nat({ max: 3 }),
});
function damaged(line: Uint8Array, { at, byte, how }: { at: number; byte: number; how: number }) {
  const bytes = [...line];
  const i = at % bytes.length;
  if (how === 0) bytes[i] = byte;
  else if (how === 1) bytes.splice(i, 1);
  else if (how === 2) bytes.splice(i, 0, bytes[i]!);
  else bytes.splice(i);
  return Uint8Array.from(bytes.filter((b) => b !== 10));
}
const broken = fc
  .tuple(fc.oneof(record, sound), damage)
  .map(([text, how]) => damaged(encode(text), how));
const line = fc.oneof(
  { weight: 4, arbitrary: sound.map(encode) },
  { weight: 4, arbitrary: record.map(encode) },
  { weight: 4, arbitrary: broken },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', ' ', '{}', '[]', 'null', '{"features":[]}').map(encode),
  },
);

/** Records of few shapes, which differ in the same few places: what is told from the text between those. */
const alike = fc
  .array(
    fc.tuple(
      fc.nat({ max: 3 }),
      fc.oneof({ weight: 4, arbitrary: fc.nat().map((n) => `"h${n}"`) }, host),
      fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom('["avx"]', '["pku", "avx"]', '[]') },
        { weight: 1, arbitrary: list },
      ),
      fc.oneof({ weight: 3, arbitrary: fc.nat().map(String) }, plainValue),
      plainValue,
      fc.option(damage, { freq: 2 }),
    ),
    { minLength: 30, maxLength: 60 },
  )
  .map((records) =>
    records.map(([shape, h, l, v, w, how]) => {
      const bytes = encode(
        [
          `{"host":${h},"arch":"x86_64","features":${l},"limits":{"physBits":46},"rack":${v}}`,
          ` {"up":${v}, "features": ${l} ,"host":${h},"note":${w},"x":{"y":[1]}} \r`,
          `{"features":${l},"vendor":${w},"rack":${v},"host":${h}}`,
          `{"features":${l},"limits":{"physBits":46},"rack":${v}}`,
        ][shape]!,
      );
      return how ? damaged(bytes, how) : bytes;
    }),
  );

function text(lines: readonly Uint8Array[], ended: boolean): Uint8Array {
  const all = lines.flatMap((bytes) => [...bytes, 10]);
  return Uint8Array.from(ended ? all : all.slice(0, -1));
}

for (const [build, bytes] of Object.entries({ debug, release })) {
  const test = suite(`scan (${build})`);
  const arena = new Arena(instantiate(bytes));

  for (const [what, some] of Object.entries({
    'any text': fc.array(line, { maxLength: 30 }),
    'records that are much alike': alike,
  }))
    test(`what it takes for a kind is that kind to JSON.parse: ${what}`, () => {
      const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 5 });
      assertProperty(
        fc.property(some, fc.option(sizes), fc.boolean(), (lines, random, ended) => {
          const pieces = random ?? [...lines.map((bytes) => bytes.length + 1), 1];
          const { lines: found, handed } = scan(arena, text(lines, ended), pieces);
          const expected = lines.filter(
            (bytes, i) =>
              !/^[ \t\r]*$/.test(new TextDecoder('latin1').decode(bytes)) &&
              !(i === lines.length - 1 && !ended && bytes.length === 0),
          );
          assert.is(found.length, expected.length, 'a line for a line');
          let next = 0;
          for (const [i, kind] of found.entries()) {
            if (kind === null) {
              assert.is(handed[next++], new TextDecoder().decode(expected[i]));
              continue;
            }
            const own = decode(expected[i]!);
            assert.is(kindOf(own), kindOf(kind.like), own);
            assert.is(kind.id, idOf(own), own);
            assert.not(hasTwice(own), own);
          }
        }),
        RUNS,
      );
    });

  test('takes plain records itself, whatever the order and the blanks', () => {
    const lines = [
      '{"host":"a","features":["avx","pku"]}',
      ' { "features" : [ "pku" , "avx" ] , "host" : "b" } \r',
      '{"features":["pku","avx","avx"],"rack":12.5,"host":"c","note":"\\u00e9 é \\n","up":true,"x":null}',
    ];
    const { lines: found, handed, keys } = scan(arena, encode(`${lines.join('\n')}\n`), [CHUNK]);
    assert.equal(handed, []);
    assert.equal(
      found.map((f) => f?.id),
      ['a', 'b', 'c'],
    );
    assert.equal([...new Set(found.map((f) => f?.like))], [lines[0]]);
    assert.equal([...keys].sort(), ['note', 'rack', 'up']);
  });

  test('a list that is none is handed on, however well its names are known', () => {
    const good = ['["avx","pku","",","]', '["avx", "pku" ,\t"" , ","]', '[]', '[ ]'];
    const bad = [
      '["avx",1","pku"]',
      '["avx",,"pku"]',
      '["avx""pku"]',
      '["avx" "pku"]',
      '["avx","pku",]',
      '["avx","pku"',
      '["avx","pku]',
      '["avx", 1"pku"]',
      '["avx",[],"pku"]',
      '[,"avx"]',
      '["av\\u0078","pku"]',
      '["avx","pk\u0001"]',
      '{"avx","pku","",","]',
      // Found with seed 2, path 10931:3:3:4:3:15:21:21.
      '\0\t\t]',
    ];
    const lines = [...good, ...good, ...bad].map((l) => `{"features":${l},"rack":1}`);
    const { lines: found, handed } = scan(arena, encode(`${lines.join('\n')}\n`), [CHUNK]);
    assert.equal(handed, lines.slice(8));
    assert.is(new Set(found.slice(0, 8).map((f) => f?.like)).size, 2);
  });

  test('objects of few keys and of many are read, and one with a key twice is not', () => {
    const object = (n: number, last: string) =>
      `{"o":{${Array.from({ length: n }, (_, i) => `"k${i}":[{"k0":${i}}]`)},"${last}":{}}}`;
    const lines = [1, 10, 100, 120, 200, 300].flatMap((n) => [
      `{"features":[],"x":${object(n, 'last')}}`,
      `{"features":[],"x":${object(n, `k${n >> 1}`)}}`,
    ]);
    const { lines: found } = scan(arena, encode(`${lines.join('\n')}\n`), [CHUNK]);
    assert.equal(
      found.map((f) => f !== null),
      [1, 10, 100, 120, 200, 300].flatMap((n) => [n <= 200, false]),
    );
  });

  test('records like those before go by the text that they share', () => {
    const { core } = arena;
    const lines = Array.from({ length: 900 }, (_, i) => {
      const n = i % 50;
      const names = Array.from({ length: n }, (_, f) => `"f${f}"`);
      return `{"host":"h${i}","features":[${names}],"arch":"a${n % 3}","rack":"${i}","x":[${n}]}\n`;
    });
    const bytes = encode(lines.join(''));
    const room = core.scanSize(bytes.length);
    const { at, size } = arena.allocate(room + bytes.length + 128);
    core.scanStart(at, true);
    const [from, end] = [at + room, at + room + bytes.length];
    for (const [name, role] of [
      ['arch', 3],
      ['host', 1],
      ['features', 2],
    ] as const) {
      new Uint8Array(core.memory.buffer).set(encode(`${name}"`), from);
      core.scanName(at, from, role);
    }
    new Uint8Array(core.memory.buffer).set(bytes, from);
    const [kinds, ends, ids] = [0, 1, 2].map((part) => at + core.scanOutput(bytes.length, part));
    const word = (offset: number) => new Uint32Array(core.memory.buffer, at + offset, 1);
    let start = from;
    while (core.scan(at, kinds!, ends!, ids!, start, end, end) === 1) {
      start = word(0)[0]!;
      new Uint32Array(core.memory.buffer, word(20)[0]!, 1)[0] = 7;
    }
    const [hosts] = word(12);
    const [byPassages] = word(PATTERNS_FOUND);
    arena.free({ at, size });
    assert.is(hosts, 900);
    // A kind is learnt when it comes for the first time.
    assert.is(byPassages, 850);
  });

  test('a line longer than the window is handed on, and one over the limit refused', () => {
    const long = `{"features":[],"note":"${'x'.repeat(3 * CHUNK)}"}`;
    const { lines, handed } = scan(arena, encode(`{"features":[]}\n${long}\n{"features":[]}`), [
      CHUNK,
    ]);
    assert.equal(
      lines.map((l) => l?.id ?? null),
      ['', null, ''],
    );
    assert.is(handed[0], long);
    assert.throws(
      () => scan(arena, encode(`\n{"a":"${'x'.repeat(MAX_LINE)}`), [CHUNK]),
      /line 2 is too long/,
    );
  });

  test('more kinds, rows and names than fit are forgotten, not confused', () => {
    const lines = Array.from(
      { length: 40_000 },
      (_, i) =>
        `{"host":"h${i}","features":["avx"],"arch":"a${i % 20_000}","limits":{"physBits":1}}`,
    );
    const { lines: found } = scan(arena, encode(lines.join('\n')), [CHUNK]);
    assert.is(found.length, lines.length);
    for (const [i, kind] of found.entries()) {
      assert.is(kind?.id, `h${i}`);
      assert.match(kind!.like, `"a${i % 20_000}"`);
    }
    const names = Array.from({ length: 3000 }, (_, i) => `{"features":["avx","new${i}"]}`);
    const many = scan(arena, encode([...names, ...names].join('\n')), [CHUNK]);
    assert.is(many.lines.length, 6000);
    for (const [i, kind] of many.lines.entries())
      if (kind !== null) assert.is(kind.like, names[i % 3000]);
    assert.ok(many.handed.length < 6000 && many.handed.length > 0, 'some names fit, some do not');
  });

  test.run();
}

const test = suite('scan of records');

const stream = (bytes: Uint8Array): Stream => {
  let at = 0;
  return {
    name: 'fleet.ndjson',
    head: bytes.subarray(0, 65536),
    again: true,
    read: (into) => {
      const part = bytes.subarray(at, at + Math.min(into.length, 1000));
      into.set(part);
      at += part.length;
      return part.length;
    },
    whole: async () => bytes,
  };
};

/** The same on two threads, each with a half of the lines. */
const onThreads = (lines: readonly string[], half: number): Stream => ({
  ...stream(encode(lines.join('\n'))),
  scan: async (keys, ids) => {
    const dir = mkdtempSync(join(tmpdir(), 'scan-'));
    try {
      return [lines.slice(0, half), lines.slice(half)].map((part, segment) => {
        const path = join(dir, `${segment}`);
        writeFileSync(path, part.map((l) => `${l}\n`).join(''));
        const fd = openSync(path, 'r');
        const taken = new Int32Array(2);
        const task = { fd, size: statSync(path).size, segment: 1 << 20, taken, keys, ids };
        const found = scanRecords({ ...task, maxLine: MAX_LINE }, () => {});
        closeSync(fd);
        // As if they had found it in one file.
        return {
          ...found,
          kinds: found.kinds.map((kind) => ('of' in kind ? kind : { ...kind, segment })),
          segments: found.segments.map((s) => ({ ...s, segment })),
        };
      });
    } finally {
      rmSync(dir, { recursive: true });
    }
  },
});

/** All that a fleet says of its hosts. */
const whole = (fleet: Fleet) => ({
  // Hosts without names are in no order.
  members: fleet.members
    .map(({ class: index, ...m }) => ({
      ...m,
      has: fleet.names(fleet.has(index)),
      known: fleet.names(fleet.known(index)),
      facts: fleet.classes[index],
    }))
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
  unnamed: fleet.unnamed,
  weights: [...fleet.weights],
  skipped: fleet.skipped,
});

const outcome = async (read: () => Promise<Fleet>) => {
  try {
    return whole(await read());
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return error.message;
  }
};

const realistic = fc
  .record(
    {
      host: fc.oneof(
        fc.integer({ min: 0, max: 30 }).map((n) => `h-${n}`),
        fc.constantFrom('Intel', 'GenuineIntel', '03000200-0400-0500-0006-000700080009', 'é', ' x'),
      ),
      features: fc.array(
        fc.constantFrom(
          'avx',
          'avx2',
          'pclmuldq',
          'rep_good',
          'sse4_1',
          'new-one',
          'ibrs',
          'md_clear',
        ),
        { maxLength: 5 },
      ),
      arch: fc.constantFrom('x86_64', 'aarch64', null),
      vendor: fc.constantFrom('Intel', 'AuthenticAMD', null),
      view: fc.constantFrom('hypervisor', 'hardware', 'kernel', 'odd'),
      unknown: fc.array(fc.constantFrom('pku', 'avx', 'other-one'), { maxLength: 2 }),
      limits: fc.constantFrom({ physBits: 46 }, { physBits: 0 }, { more: 1 }, null, {}),
      signature: fc.constantFrom({ family: 6, model: 85, stepping: 7 }, { family: 6 }),
      microcode: fc.constantFrom('0x1', 'one'),
      absent: fc.array(fc.constantFrom('pku', 'avx', 'invtsc', 'kvmclock'), { maxLength: 2 }),
      virttype: fc.constantFrom('kvm', 'qemu', 'xen', 3),
      machines: fc.constantFrom(['pc-q35-9.0', 'pc-q35-8.2'], [], 'many', null),
      models: fc.constantFrom({ EPYC: [], Haswell: null }, { EPYC: ['avx'] }),
      listedBy: fc.constantFrom('kubevirt', 'qemu', 'somebody'),
      software: fc.constantFrom({ qemu: '9.0.2' }, { libvirt: '10.0', kernel: '6.1.9' }),
      bits: fc.constantFrom({ 'cpuid.7.0.edx.15': true }, { here: true }, 64),
      unnamed: fc.constantFrom(['avx', 'pclmuldq'], 'none', [7]),
      findings: fc.constantFrom(
        [{ code: 'emulated', message: 'it is emulated' }],
        [{ code: 'a b', message: '' }],
        'none',
      ),
      keys: fc.constantFrom({ rack: 1, host: 'x', more: [] }, 'many'),
      cpuModel: fc.constantFrom('POWER9', 9),
      cluster: fc.constantFrom('a', 'b', 7, true, null, ['no'], { no: 1 }),
      rack: fc.nat({ max: 3 }),
    },
    { requiredKeys: ['host', 'features'] },
  )
  .map((value) => JSON.stringify(value));

/** Records that are alike in all but their lists; few of them cannot be read. */
const variants = fc
  .tuple(
    fc.oneof(
      { weight: 20, arbitrary: fc.nat({ max: 100_000 }) },
      { weight: 1, arbitrary: fc.nat({ max: 3 }) },
    ),
    fc.array(
      fc.oneof(
        {
          weight: 100,
          // What autoibrs means depends on the vendor.
          arbitrary: fc.constantFrom(
            'avx',
            'pku',
            'kvmclock',
            'autoibrs',
            'rep_good',
            'ospke',
            'n',
          ),
        },
        { weight: 1, arbitrary: fc.constantFrom('x y', '', 'umip') },
      ),
      { maxLength: 6 },
    ),
    fc.oneof(
      {
        weight: 40,
        arbitrary: fc.constantFrom(
          {},
          { vendor: 'Intel', view: 'kernel', limits: { physBits: 46 } },
          { vendor: 'AuthenticAMD', rack: 3 },
          { arch: 'aarch64', cpuModel: 'host' },
          { unknown: ['umip'] },
          { unnamed: ['avx'] },
          { virttype: 'qemu', models: { EPYC: [] }, listedBy: 'kubevirt' },
          { findings: [{ code: 'emulated', message: 'it is' }], machines: ['pc-q35-9.0'] },
          { view: 'hardware', bits: { 'cpuid.7.0.edx.15': false }, keys: { rack: 2 } },
        ),
      },
      { weight: 1, arbitrary: fc.constant<object>({ microcode: 'none' }) },
    ),
  )
  .map(([n, features, rest]) => JSON.stringify({ host: `h-${n}`, features, ...rest }));

test('millions of records are read as each of them would be', async () => {
  const catalog = await loadCatalog();
  const good = fc.array(realistic, { minLength: 1, maxLength: 12 });
  const many = fc.array(variants, { minLength: 1, maxLength: 30 });
  const odd = fc.array(fc.oneof(realistic, sound, record), { minLength: 1, maxLength: 8 });
  const options = fc.record({
    keep: fc.constantFrom([], ['cluster'], ['cluster', 'rack']),
    noIds: fc.boolean(),
    skipUnreadable: fc.boolean(),
  });
  await assertProperty(
    fc.asyncProperty(fc.oneof(good, many, odd), options, fc.nat(), async (lines, how, half) => {
      const bytes = encode(lines.join('\n'));
      const read = (input: Stream | { name: string; bytes: Uint8Array }, o: ReadOptions) =>
        outcome(() => readFleet(catalog, [input], { ...o, from: 'records' }));
      const expected = await read({ name: 'fleet.ndjson', bytes }, how);
      assert.equal(await read(stream(bytes), how), expected, lines.join('\n'));
      const threads = onThreads(lines, half % (lines.length + 1));
      assert.equal(await read(threads, how), expected, `on threads:\n${lines.join('\n')}`);
    }),
    RUNS,
  );
});

test.run();
