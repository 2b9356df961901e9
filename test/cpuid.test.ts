// CPUID words and their dumps: what a text says, what it leaves open, and every dump of real processors at hand.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasBit } from '../src/core/rows.ts';
import { loadCatalog, type Register } from '../src/cpu/catalog.ts';
import { signatureOf } from '../src/cpu/cpuid.ts';
import { QueryError } from '../src/cpu/errors.ts';
import type { Description } from '../src/cpu/host.ts';
import { cpuid } from '../src/dialects/cpuid.ts';
import { recogniseDialect } from '../src/dialects/index.ts';
import { ROOT, SHARED, sayMissing } from './support/places.ts';
import { assertProperty } from './support/property.ts';

const test = suite('cpuid');
const catalog = await loadCatalog();
const read = (text: string, name = 'host.txt') =>
  cpuid.read!({ name, bytes: new TextEncoder().encode(text) }, catalog) as Description[];
const one = (text: string): Description => {
  const all = read(text);
  assert.is(all.length, 1);
  return all[0]!;
};
const state = (d: Description, name: string): 'yes' | 'no' | 'unknown' => {
  const { id } = catalog.feature(name);
  if (!hasBit(d.known, id)) return 'unknown';
  return hasBit(d.has, id) ? 'yes' : 'no';
};
const states = (d: Description, names: string): string =>
  names
    .split(' ')
    .map((name) => `${name}=${state(d, name)}`)
    .join(' ');

/** A dump in the style of AIDA64: an object of "leaf" or "leaf.subleaf" (hexadecimal) and the four words. */
type Leaves = Record<string, readonly [number, number, number, number]>;
const hex = (n: number, digits = 8) => (n >>> 0).toString(16).toUpperCase().padStart(digits, '0');
const parse = (key: string): [number, number] => {
  const [leaf, subleaf = '0'] = key.split('.');
  return [Number.parseInt(leaf!, 16), Number.parseInt(subleaf, 16)];
};
const listed = (leaves: Leaves, msrs: Record<string, string> = {}) =>
  [
    ...Object.entries(leaves).map(([key, words]) => {
      const [leaf, subleaf] = parse(key);
      return `CPUID ${hex(leaf)}: ${words.map((w) => hex(w)).join('-')}${key.includes('.') ? ` [SL ${hex(subleaf, 2)}]` : ''}`;
    }),
    ...Object.entries(msrs).map(([msr, value]) => `MSR ${msr.padStart(8, '0')}: ${value}`),
    '',
  ].join('\n');
const raw = (leaves: Leaves) =>
  `CPU 0:\n${Object.entries(leaves)
    .map(([key, [eax, ebx, ecx, edx]]) => {
      const [leaf, subleaf] = parse(key);
      return `   0x${hex(leaf).toLowerCase()} 0x${hex(subleaf, 2).toLowerCase()}: eax=0x${hex(eax).toLowerCase()} ebx=0x${hex(ebx).toLowerCase()} ecx=0x${hex(ecx).toLowerCase()} edx=0x${hex(edx).toLowerCase()}\n`;
    })
    .join('')}`;

const INTEL = [0x756e6547, 0x6c65746e, 0x49656e69] as const;
const AMD = [0x68747541, 0x444d4163, 0x69746e65] as const;
const leaf0 = (max: number, [b, c, d]: readonly [number, number, number] = INTEL) =>
  [max, b, c, d] as const;
// A Xeon Gold 5215 as far as its leaf 7, as CPUID gives it.
const CASCADE_LAKE: Leaves = {
  0: leaf0(7),
  1: [0x00050657, 0x00200800, 0x7ffefbff, 0xbfebfbff],
  7: [0, 0xd39ffffb, 0x00000808, 0xbc000400],
  '80000000': [0x80000008, 0, 0, 0],
  '80000001': [0, 0, 0x121, 0x2c100800],
  '80000008': [0x302e, 0, 0, 0],
};

test('reads the Gold 5215 in either way of writing it', () => {
  for (const text of [
    listed(CASCADE_LAKE),
    raw(CASCADE_LAKE),
    listed(CASCADE_LAKE).replaceAll(': ', '  \t'),
    listed(CASCADE_LAKE).replaceAll('\n', '\r\n'),
  ]) {
    const d = one(text);
    assert.is(d.view, 'hardware');
    assert.is(d.vendor, 'Intel');
    assert.is(d.host, null);
    assert.equal(d.signature, { family: 6, model: 85, stepping: 7 });
    assert.equal(d.limits, { physBits: 46 });
    assert.is(
      states(d, 'avx512f avx512vnni pku spec-ctrl md-clear mpx vmx sha-ni svm hypervisor'),
      'avx512f=yes avx512vnni=yes pku=yes spec-ctrl=yes md-clear=yes mpx=yes vmx=yes sha-ni=no svm=no hypervisor=no',
    );
  }
});

test('a leaf beyond the last one is absent, a leaf that the text leaves out is unknown', () => {
  const d = one(listed(CASCADE_LAKE));
  // 0xd, 0x24: beyond leaf 7. 0x80000007: within the extended range, but not in the text. 0x80000021: beyond.
  assert.is(
    states(d, 'xsaves avx10-128 invtsc srso-no'),
    'xsaves=no avx10-128=no invtsc=unknown srso-no=no',
  );
  assert.is(
    states(one(listed({ ...CASCADE_LAKE, 0: leaf0(0xd) })), 'xsaves avx10-128'),
    'xsaves=unknown avx10-128=no',
  );
  assert.is(states(d, 'kvmclock kvm-pv-eoi'), 'kvmclock=unknown kvm-pv-eoi=unknown');
  const { 7: _, ...without7 } = CASCADE_LAKE;
  assert.is(states(one(listed(without7)), 'avx2 rdrand'), 'avx2=unknown rdrand=yes');
});

test('subleaves beyond the number in EAX are absent, those within it unknown until stated', () => {
  const sub = (max: number, more: Leaves = {}) =>
    one(listed({ ...CASCADE_LAKE, 7: [max, 0xd39ffffb, 0x808, 0xbc000400], ...more }));
  assert.is(states(sub(0), 'avx-vnni intel-psfd'), 'avx-vnni=no intel-psfd=no');
  assert.is(states(sub(1), 'avx-vnni intel-psfd'), 'avx-vnni=unknown intel-psfd=no');
  assert.is(states(sub(1, { '7.1': [0x10, 0, 0, 0] }), 'avx-vnni'), 'avx-vnni=yes');
});

test('without arch-capabilities its register does not exist; with it a register that was not read is unknown', () => {
  const names = 'arch-capabilities rdctl-no mds-no rsba rrsba';
  const off: Leaves = { ...CASCADE_LAKE, 7: [0, 0xd39ffffb, 0x808, 0x9c000400] };
  assert.is(
    states(one(listed(off)), names),
    'arch-capabilities=no rdctl-no=no mds-no=no rsba=no rrsba=no',
  );
  const unread = 'arch-capabilities=yes rdctl-no=unknown mds-no=unknown rsba=unknown rrsba=unknown';
  assert.is(states(one(listed(CASCADE_LAKE)), names), unread);
  assert.is(states(one(listed(CASCADE_LAKE, { '10a': '< FAILED >' })), names), unread);
  const d = one(
    listed(CASCADE_LAKE, { '10a': '0000-0000-0000-002B', '8b': '0500-001C-0000-0000' }),
  );
  assert.is(states(d, names), 'arch-capabilities=yes rdctl-no=yes mds-no=yes rsba=no rrsba=no');
  assert.is(d.microcode, '0x500001c');
});

test('AMD keeps its microcode in the lower half of the register', () => {
  const rome: Leaves = { 0: leaf0(1, AMD), 1: [0x00830f10, 0, 0, 0x178bfbff] };
  const d = one(listed(rome, { '8b': '0000-0000-0830-101C' }));
  assert.equal([d.vendor, d.microcode], ['AMD', '0x830101c']);
  assert.equal(d.signature, { family: 23, model: 49, stepping: 0 });
});

test('what the operating system switched on says nothing of the processor', () => {
  const on: Leaves = { ...CASCADE_LAKE, 7: [0, 0xd39ffffb, 0x818, 0xbc000400] };
  assert.is(
    states(one(listed(on)), 'osxsave ospke xsave pku'),
    'osxsave=unknown ospke=unknown xsave=yes pku=yes',
  );
});

test('a dump taken by a 32-bit program hides SYSCALL, which every processor with long mode has', () => {
  assert.is(
    state(one(listed({ ...CASCADE_LAKE, '80000001': [0, 0, 0x121, 0x2c100000] })), 'syscall'),
    'yes',
  );
  assert.is(
    state(one(listed({ ...CASCADE_LAKE, '80000001': [0, 0, 0x121, 0x0c100000] })), 'syscall'),
    'no',
  );
});

test('reads leaves of the Centaur range from processors of Centaur alone: others answer with another leaf', () => {
  const echo: Leaves = {
    ...CASCADE_LAKE,
    c0000000: [0xc0000004, 0, 0, 0],
    c0000001: [0, 0, 0, 0xffffffff],
  };
  assert.is(states(one(listed(echo)), 'xstore ace2'), 'xstore=no ace2=no');
  const centaur = leaf0(1, [0x746e6543, 0x736c7561, 0x48727561]);
  assert.is(states(one(listed({ ...echo, 0: centaur })), 'xstore ace2'), 'xstore=yes ace2=yes');
});

test('the XSAVE layout is what leaf 0xd states', () => {
  const layout = (leaves: Leaves) =>
    one(listed({ ...CASCADE_LAKE, 0: leaf0(0xd), ...leaves })).xsave;
  assert.equal(
    layout({
      'd.0': [0x2e7, 0xa80, 0xa88, 0],
      'd.1': [0xf, 0xa00, 0x100, 0],
      'd.2': [0x100, 0x240, 0, 0],
      'd.9': [8, 0xa80, 0, 0],
    }),
    [
      { component: 2, size: 256, offset: 576 },
      { component: 9, size: 8, offset: 2688 },
    ],
  );
  assert.is(layout({}), null);
  assert.equal(layout({ d: [3, 0x240, 0x240, 0] }), []);
});

test('without marks only the first line of a leaf is sure, and the AVX state by its place', () => {
  // As AIDA64 of 2012 wrote them: subleaf 1 of leaf 0xd is left out.
  const text =
    listed({ ...CASCADE_LAKE, 0: leaf0(0xd) }) +
    'CPUID 0000000D: 00000007-00000340-00000340-00000000\nCPUID 0000000D: 00000100-00000240-00000000-00000000\n';
  assert.equal(one(text).xsave, [{ component: 2, size: 256, offset: 576 }]);
  assert.is(states(one(text), 'xsaveopt xsaves'), 'xsaveopt=unknown xsaves=unknown');
});

const heading = (kind: string, number: number) =>
  `------[ ${kind}Logical CPU #${number} ]------\n\n`;

test('a host has what all of its processors have, and says where they differ', () => {
  const small: Leaves = {
    ...CASCADE_LAKE,
    7: [0, 0xd39ffffb & ~(1 << 16), 0x808, 0xbc000400],
    '80000008': [0x3027, 0, 0, 0],
  };
  const d = one(heading('', 0) + listed(CASCADE_LAKE) + heading('', 1) + listed(small));
  assert.is(states(d, 'avx512f avx512bw'), 'avx512f=no avx512bw=yes');
  assert.equal(d.limits, { physBits: 39 });
  assert.equal(
    d.notes.map((n) => [n.code, n.message]),
    [
      ['processors-differ', 'its processors differ: not all have avx512f'],
      ['processors-differ', 'its processors differ: physical address bits (46, 39)'],
    ],
  );
  assert.equal(
    one(heading('', 0) + listed(CASCADE_LAKE) + heading('', 1) + listed(CASCADE_LAKE)).notes,
    [],
  );
});

test('registers that were read once hold for all processors, those read for each are those of each', () => {
  const cpus =
    heading('CPUID Registers / ', 0) +
    listed(CASCADE_LAKE) +
    heading('CPUID Registers / ', 1) +
    listed(CASCADE_LAKE);
  const line = (value: string) => `MSR 0000010A: 0000-0000-0000-${value}\n`;
  assert.is(
    states(one(`${cpus}------[ MSR Registers ]------\n\n${line('002B')}`), 'rdctl-no mds-no'),
    'rdctl-no=yes mds-no=yes',
  );
  const each =
    cpus +
    heading('MSR Registers / ', 0) +
    line('002B') +
    heading('MSR Registers / ', 1) +
    line('0001');
  assert.is(states(one(each), 'rdctl-no mds-no'), 'rdctl-no=yes mds-no=no');
});

test('a processor number that comes again begins another host, and so does each dump of one processor', () => {
  const rome: Leaves = { 0: leaf0(1, AMD), 1: [0x00830f10, 0, 0, 0x178bfbff] };
  const two =
    heading('', 0) +
    listed(CASCADE_LAKE) +
    heading('', 1) +
    listed(CASCADE_LAKE) +
    heading('', 0) +
    listed(rome);
  assert.equal(
    read(two).map((d) => [d.vendor, d.line]),
    [
      ['Intel', 1],
      ['AMD', 17],
    ],
  );
  assert.equal(
    read(raw(CASCADE_LAKE) + raw(rome)).map((d) => d.vendor),
    ['Intel', 'AMD'],
  );
  const single = (leaves: Leaves) => raw(leaves).replace('CPU 0:', 'CPU:');
  assert.equal(read(single(CASCADE_LAKE) + single(CASCADE_LAKE)).length, 2);
  // Without any heading leaf 0 begins the next processor of one host.
  assert.is(read(listed(CASCADE_LAKE) + listed(CASCADE_LAKE)).length, 1);
});

test('says in one sentence what is wrong with a dump', () => {
  const whole = raw(CASCADE_LAKE);
  const table: [string, string, RegExp][] = [
    [
      'cut within a line',
      whole.slice(0, -20),
      /^host\.txt:7: "0x80000008 0x00: eax=.*" is cut short or damaged; a line/,
    ],
    ['no leaf 1', raw({ 0: leaf0(7) }), /^host\.txt:1: processor 0 has no leaf 1, without which/],
    [
      'no leaf 0',
      listed({ 1: CASCADE_LAKE[1]! }),
      /^host\.txt:1: a processor has no leaf 0, without which/,
    ],
    [
      'cut at a line',
      heading('', 0) +
        listed(CASCADE_LAKE) +
        heading('', 1) +
        listed({ 0: CASCADE_LAKE[0]!, 1: CASCADE_LAKE[1]! }),
      /^host\.txt:1: processor 1, the last of the dump, has 2 words where the others have 6; the file is cut short/,
    ],
    [
      'two vendors',
      heading('', 0) +
        listed(CASCADE_LAKE) +
        heading('', 1) +
        listed({ ...CASCADE_LAKE, 0: leaf0(7, AMD) }),
      /^host\.txt:1: the processors of one dump are of two vendors, Intel and AMD/,
    ],
  ];
  for (const [what, text, expected] of table) {
    try {
      read(text);
      assert.unreachable(what);
    } catch (error) {
      assert.instance(error, QueryError, what);
      assert.match((error as Error).message, expected, what);
      assert.not.match((error as Error).message, /\n/, what);
    }
  }
});

test('is recognised in both ways of writing, and nothing like it is', () => {
  for (const text of [
    listed(CASCADE_LAKE),
    raw(CASCADE_LAKE),
    `------[ Versions ]------\n\nProgram Version : x\n${listed(CASCADE_LAKE)}`,
  ])
    assert.is(recogniseDialect(text)?.name, 'cpuid');
  for (const text of ['CPUID Revision    : 00800F82h\n', 'CPU 0:\n', 'CPUID 7\n', ''])
    assert.is(recogniseDialect(text), undefined);
});

test('a feature is on exactly where its bit is set, whatever the words', () => {
  const word = fc.integer({ min: 0, max: 0xffffffff });
  const keys = [
    ...new Set(
      catalog.features
        .flatMap((f) => f.places)
        .flatMap((p) =>
          p.kind === 'cpuid' && p.leaf >>> 28 !== 4 && p.leaf >>> 28 !== 0xc
            ? [`${p.leaf.toString(16)}.${p.subleaf.toString(16)}`]
            : [],
        ),
    ),
  ].filter((key) => key !== '1.0');
  const registers: readonly Register[] = ['eax', 'ebx', 'ecx', 'edx'];
  assertProperty(
    fc.property(
      word,
      fc.array(fc.tuple(word, word, word, word), {
        minLength: keys.length,
        maxLength: keys.length,
      }),
      (version, words) => {
        const leaves: Leaves = {
          0: leaf0(0xffff),
          1: [version, version ^ 0x55555555, version, ~version >>> 0],
          '80000000': [0x8000ffff, 0, 0, 0],
        };
        for (const [i, key] of keys.entries()) leaves[key] = words[i]!;
        const expected = new Set<string>();
        for (const f of catalog.features)
          for (const p of f.places)
            if (p.kind === 'cpuid') {
              const found =
                leaves[`${p.leaf.toString(16)}.${p.subleaf.toString(16)}`] ??
                (p.subleaf === 0 ? leaves[p.leaf.toString(16)] : undefined);
              if (found && ((found[registers.indexOf(p.register)]! >>> p.bit) & 1) === 1)
                expected.add(f.name);
            }
        if (expected.has('lm')) expected.add('syscall');
        for (const name of ['osxsave', 'ospke']) expected.delete(name);
        const d = one(listed(leaves));
        assert.equal(catalog.names(d.has), [...expected].sort());
        const same = one(raw(leaves));
        assert.equal(
          [same.has, same.known, same.limits, same.signature],
          [d.has, d.known, d.limits, d.signature],
        );
      },
    ),
  );
});

test('computes family and model as the manuals of Intel and AMD do', () => {
  const table: [number, string][] = [
    [0x00050657, '6 85 7'],
    [0x000806f8, '6 143 8'],
    [0x00000f48, '15 4 8'],
    [0x00a10f11, '25 17 1'],
    [0x00b00f21, '26 2 1'],
    [0x00100f42, '16 4 2'],
    [0x00900f22, '24 2 2'],
    [0x00000591, '5 9 1'],
    [0x000307b1, '7 59 1'],
  ];
  for (const [eax, expected] of table) {
    const { family, model, stepping } = signatureOf(eax);
    assert.is(`${family} ${model} ${stepping}`, expected, eax.toString(16));
  }
});

test("a virtual machine's own dump and its /proc/cpuinfo agree", async () => {
  const { cpuinfo } = await import('../src/dialects/cpuinfo.ts');
  const fixture = (name: string) => ({
    name,
    bytes: readFileSync(join(ROOT, 'test/fixtures', name)),
  });
  const [words] = (await cpuid.read!(fixture('emerald-rapids-guest.cpuid'), catalog)) as [
    Description,
  ];
  const [kernel] = (await cpuinfo.read!(fixture('emerald-rapids-guest.cpuinfo'), catalog)) as [
    Description,
  ];
  assert.equal(words.signature, kernel.signature);
  assert.equal(words.limits, kernel.limits);
  assert.is(
    states(words, 'hypervisor avx512-fp16 amx-tile'),
    'hypervisor=yes avx512-fp16=yes amx-tile=no',
  );
  const disagree = catalog.features
    .map((f) => f.name)
    .filter(
      (name) =>
        state(kernel, name) !== 'unknown' &&
        state(words, name) !== 'unknown' &&
        state(kernel, name) !== state(words, name),
    );
  assert.equal(disagree, []);
});

// Real dumps, read a second time in the plainest way.
const DUMPS = SHARED === null ? null : join(SHARED, 'cases/cpuid');
const fact = DUMPS === null ? test.skip : test;
if (DUMPS === null) sayMissing('the dumps of real processors', '../shared');

/** What the first of these tests made of each dump, for the others. */
const decoded = new Map<string, Description>();

/** Well-known bits by the manuals, written here by hand: leaf, word (0 is EAX), bit. */
const KNOWN_BITS: Record<string, [string, number, number]> = {
  fpu: ['00000001', 3, 0],
  sse2: ['00000001', 3, 26],
  pni: ['00000001', 2, 0],
  vmx: ['00000001', 2, 5],
  fma: ['00000001', 2, 12],
  'sse4.2': ['00000001', 2, 20],
  aes: ['00000001', 2, 25],
  avx: ['00000001', 2, 28],
  rdrand: ['00000001', 2, 30],
  hypervisor: ['00000001', 2, 31],
  bmi1: ['00000007', 1, 3],
  avx2: ['00000007', 1, 5],
  erms: ['00000007', 1, 9],
  rtm: ['00000007', 1, 11],
  mpx: ['00000007', 1, 14],
  avx512f: ['00000007', 1, 16],
  'sha-ni': ['00000007', 1, 29],
  pku: ['00000007', 2, 3],
  avx512vnni: ['00000007', 2, 11],
  la57: ['00000007', 2, 16],
  'md-clear': ['00000007', 3, 10],
  'spec-ctrl': ['00000007', 3, 26],
  'arch-capabilities': ['00000007', 3, 29],
  ssbd: ['00000007', 3, 31],
  svm: ['80000001', 2, 2],
  sse4a: ['80000001', 2, 6],
  xop: ['80000001', 2, 11],
  fma4: ['80000001', 2, 16],
  nx: ['80000001', 3, 20],
  pdpe1gb: ['80000001', 3, 26],
  lm: ['80000001', 3, 29],
  '3dnow': ['80000001', 3, 31],
  invtsc: ['80000007', 3, 8],
  ibpb: ['80000008', 1, 12],
  'amd-ssbd': ['80000008', 1, 24],
  'auto-ibrs': ['80000021', 0, 8],
};

/** The words of subleaf 0 of a leaf, once a processor. */
function wordsOf(dump: readonly string[], leaf: string): number[][] {
  const lines = dump.filter((l) => l.startsWith(`CPUID ${leaf}`));
  const all = lines.map((l) => ({
    words: l
      .slice(14)
      .match(/[0-9A-F]{8}/g)!
      .slice(0, 4)
      .map((w) => Number.parseInt(w, 16)),
    marked: /\[SL (\w+)\]/.exec(l)?.[1],
  }));
  // Unmarked lines of leaf 7 are all of subleaf 0 in these dumps: its EAX is the number of further ones.
  return all
    .filter((l) => l.marked === undefined || Number.parseInt(l.marked, 16) === 0)
    .map((l) => l.words);
}

fact('every dump of a real processor decodes to what its words, its name and its brand say', () => {
  const files = readdirSync(DUMPS!).sort();
  assert.ok(files.length >= 147, `${files.length} dumps`);
  let checked = 0;
  for (const file of files) {
    const bytes = readFileSync(join(DUMPS!, file));
    const text = bytes.toString('latin1');
    const dump = text.split('\n').filter((l) => l.startsWith('CPUID '));
    assert.is(recogniseDialect(text.slice(0, 65536))?.name, 'cpuid', file);
    const all = cpuid.read!({ name: file, bytes }, catalog) as Description[];
    assert.is(all.length, 1, file);
    const d = all[0]!;
    decoded.set(file, d);

    assert.is(
      catalog.vendors.find((v) => v.name === d.vendor)?.id ?? d.vendor,
      file.slice(0, 12),
      file,
    );
    const [extended1, extended2, extendedModel, , family, model, stepping] = [
      ...file.slice(12, 19),
    ].map((digit) => Number.parseInt(digit, 16)) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const versions = new Set(wordsOf(dump, '00000001').map((w) => w[0]));
    if (versions.size > 1) assert.is(d.signature, null, `${file}: processors of several steppings`);
    else
      assert.equal(
        d.signature,
        {
          family: family === 15 ? 15 + extended1 * 16 + extended2 : family,
          model: model + 16 * (family >= 6 ? extendedModel : 0),
          stepping,
        },
        file,
      );

    for (const [name, [leaf, word, bit]] of Object.entries(KNOWN_BITS)) {
      const stated = wordsOf(dump, leaf);
      const top = wordsOf(dump, leaf.startsWith('8') ? '80000000' : '00000000')[0]?.[0];
      const isBeyond =
        top !== undefined &&
        (Number.parseInt(leaf, 16) > top || (leaf.startsWith('8') && top < 0x80000000));
      const expected = isBeyond
        ? 'no'
        : stated.length === 0
          ? 'unknown'
          : stated.every((w) => ((w[word]! >>> bit) & 1) === 1)
            ? 'yes'
            : 'no';
      assert.is(state(d, name), expected, `${file}: ${name}`);
      if (stated.length > 0) checked++;
    }

    const sizes = wordsOf(dump, '80000008').map((w) => w[0]! & 0xff);
    if (sizes.length > 0 && sizes[0] !== 0)
      assert.is(d.limits.physBits, Math.min(...sizes), `${file}: address bits`);
    for (const { component, size, offset } of d.xsave ?? []) {
      const line = `-${hex(offset)}-`;
      assert.ok(
        text.includes(`CPUID 0000000D: ${hex(size)}${line}`) ||
          text.includes(`CPUID 0000000D  \t${hex(size)}${line}`),
        `${file}: component ${component}`,
      );
    }
  }
  assert.ok(checked > 4000, `only ${checked} bits checked`);
});

fact('AVX-512 and PKRU state lie where each vendor keeps them', () => {
  const places = (file: string) =>
    decoded
      .get(file)!
      .xsave!.filter((c) => [5, 6, 7, 9].includes(c.component))
      .map((c) => c.offset);
  assert.equal(places('GenuineIntel0050654_SkylakeXeon_20_CPUID.txt'), [1088, 1152, 1664, 2688]);
  assert.equal(places('AuthenticAMD0A10F11_K19_Genoa_01_CPUID.txt'), [832, 896, 1408, 2432]);
});

fact('the processors of no dump differ in their features, but the small cores of hybrids', () => {
  assert.ok(decoded.size >= 147);
  for (const [file, d] of decoded) {
    const differ = d.notes.filter((n) => n.message.includes('not all have'));
    if (differ.length > 0)
      assert.match(differ[0]!.message, /not all have intel-pt-lip(, wbnoinvd)?$/, file);
  }
});

test.run();
