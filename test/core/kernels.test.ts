// The exports themselves: what they refuse in the debug build, what they leave alone, and that both builds agree.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { mulberry32 } from '../../bench/random.ts';
import debug from '../../build/core.debug.wasm';
import release from '../../build/core.wasm';
import { type Core, instantiate } from '../../src/core/wasm.ts';

const LANES = 3;
const ROWS = 200;
const STRIDE = LANES * 16;

/** Behind the constants of both builds. */
const START = 16384;

/** Where the arguments of the calls below lie, far enough apart that a write beside one shows. */
function layout() {
  const sizes = {
    src: ROWS * STRIDE,
    needs: 5 * STRIDE,
    weights: ROWS * 4,
    dst: ROWS * STRIDE,
    more: 32768,
    last: ROWS * 4,
  };
  const at = {} as Record<keyof typeof sizes, number>;
  let next = START;
  for (const [name, size] of Object.entries(sizes)) {
    at[name as keyof typeof sizes] = next;
    next = Math.ceil((next + size + 64) / 4096) * 4096;
  }
  return at;
}

type Places = ReturnType<typeof layout>;

/** Every kernel with arguments that it takes, which of them are addresses, and how many bytes it may write where. */
const CALLS: readonly {
  name: keyof Core;
  args: (at: Places) => number[];
  addresses: number;
  writes: (core: Core) => Partial<Record<keyof Places, number>>;
}[] = [
  {
    name: 'meet',
    args: (at) => [at.dst, at.src, ROWS, LANES],
    addresses: 2,
    writes: () => ({ dst: STRIDE }),
  },
  {
    name: 'join',
    args: (at) => [at.dst, at.src, ROWS, LANES],
    addresses: 2,
    writes: () => ({ dst: STRIDE }),
  },
  {
    name: 'missing',
    args: (at) => [at.dst, at.needs, at.src, ROWS, LANES],
    addresses: 3,
    writes: () => ({ dst: ROWS * STRIDE }),
  },
  {
    name: 'covers',
    args: (at) => [at.dst, at.needs, at.src, ROWS, LANES],
    addresses: 3,
    writes: () => ({ dst: 28 }),
  },
  {
    name: 'coversEach',
    args: (at) => [at.dst, at.more, at.needs, 5, at.src, ROWS, LANES],
    addresses: 3,
    writes: () => ({ dst: 5 * 28, more: 20 }),
  },
  {
    name: 'counts',
    args: (at) => [at.dst, at.more, at.src, ROWS, LANES],
    addresses: 3,
    writes: (core) => ({ dst: LANES * 512, more: core.countsScratchSize(LANES) }),
  },
  {
    name: 'weightedCounts',
    args: (at) => [at.dst, at.weights, at.src, ROWS, LANES],
    addresses: 3,
    writes: () => ({ dst: LANES * 512 }),
  },
  {
    name: 'intern',
    args: (at) => [at.dst, at.last, at.weights, at.more, at.src, ROWS, LANES],
    addresses: 5,
    writes: (core) => ({
      dst: ROWS * 4,
      last: ROWS * 4,
      weights: ROWS * 4,
      more: Number(core.internTableSize(ROWS)),
    }),
  },
];

/** A core with some of everything in its memory. */
function filled(binary: BufferSource): Core {
  const core = instantiate(binary);
  assert.ok(core.heapBase() <= START);
  core.memory.grow(2);
  const random = mulberry32(7);
  const words = new Uint32Array(core.memory.buffer);
  for (let i = START >>> 2; i < words.length; i++) words[i] = random() * 2 ** 32;
  // Some rows twice, one need that all rows cover, and weights that add up to less than 2^32.
  const at = layout();
  for (let row = 0; row < 50; row++)
    words.copyWithin(
      (at.src + (150 + row) * STRIDE) >>> 2,
      (at.src + row * STRIDE) >>> 2,
      (at.src + (row + 1) * STRIDE) >>> 2,
    );
  words.fill(0, at.needs >>> 2, (at.needs + STRIDE) >>> 2);
  for (let i = 0; i < ROWS; i++) words[(at.weights >>> 2) + i]! >>>= 12;
  return core;
}

const call = (core: Core, name: keyof Core, args: readonly number[]) =>
  (core[name] as (...args: readonly number[]) => unknown)(...args);

const test = suite('kernels');

test('every kernel writes its results and nothing else', () => {
  for (const binary of [debug, release])
    for (const { name, args, writes } of CALLS) {
      const core = filled(binary);
      const at = layout();
      const before = new Uint8Array(core.memory.buffer).slice();
      call(core, name, args(at));
      const after = new Uint8Array(core.memory.buffer);
      assert.is(after.length, before.length);
      const own = Object.entries(writes(core)).map(
        ([place, size]) => [at[place as keyof Places], size] as const,
      );
      let changed = 0;
      for (let i = 0; i < after.length; i++) {
        if (after[i] === before[i]) continue;
        changed++;
        assert.ok(
          own.some(([start, size]) => i >= start && i < start + size),
          `${name} wrote at ${i}`,
        );
      }
      assert.ok(changed > 0, `${name} wrote nothing`);
    }
});

test('both builds leave the same memory behind', () => {
  for (const { name, args } of CALLS) {
    const [a, b] = [debug, release].map((binary) => {
      const core = filled(binary);
      const found = call(core, name, args(layout()));
      return { found, words: new Uint32Array(core.memory.buffer).slice(START >>> 2) };
    });
    assert.is(a!.found, b!.found, name);
    assert.ok(
      a!.words.every((word, i) => word === b!.words[i]),
      name,
    );
  }
});

test('the debug build refuses addresses that are misaligned, in the constants or out of memory', () => {
  const core = filled(debug);
  const at = layout();
  const end = core.memory.buffer.byteLength;
  for (const { name, args, addresses } of CALLS) {
    const right = args(at);
    const places = right.flatMap((value, i) => (value >= at.src ? [i] : []));
    assert.ok(places.length >= addresses, name);
    for (const i of places)
      for (const wrong of [right[i]! + 8, right[i]! + 4, 0, end - 16, end, 2 ** 32 - 16])
        assert.throws(
          () => call(core, name, right.with(i, wrong)),
          /assertion failed in the core/,
          `${name}, argument ${i}: ${wrong}`,
        );
    assert.throws(
      () => call(core, name, right.with(-1, 0)),
      /assertion failed in the core/,
      `${name} with no lanes`,
    );
    assert.throws(
      () => call(core, name, right.with(-2, 2 ** 31)),
      /assertion failed in the core/,
      `${name} with 2^31 rows`,
    );
    assert.not.throws(() => call(core, name, right));
  }
});

test('no rows are answered without a look at their address', () => {
  for (const binary of [debug, release]) {
    const core = filled(binary);
    const at = layout();
    const words = new Uint32Array(core.memory.buffer);
    core.meet(at.dst, 0, 0, LANES);
    assert.equal(
      [...words.slice(at.dst >>> 2, (at.dst >>> 2) + 12)],
      new Array(12).fill(0xffffffff),
    );
    core.join(at.dst, 0, 0, LANES);
    assert.equal([...words.slice(at.dst >>> 2, (at.dst >>> 2) + 12)], new Array(12).fill(0));
    assert.is(core.covers(0, at.needs, 0, 0, LANES), 0);
    assert.is(core.intern(0, 0, 0, at.more, 0, 0, LANES), 0);
  }
});

test('the release build imports nothing, and both export the same', () => {
  assert.equal(WebAssembly.Module.imports(new WebAssembly.Module(release)), []);
  assert.equal(
    WebAssembly.Module.imports(new WebAssembly.Module(debug)).map(
      ({ module, name }) => `${module}.${name}`,
    ),
    ['env.abort'],
  );
  const names = (binary: BufferSource) =>
    WebAssembly.Module.exports(new WebAssembly.Module(binary))
      .map(({ name }) => name)
      .sort();
  assert.equal(names(debug), names(release));
  for (const { name } of CALLS) assert.ok(names(release).includes(name), name);
});

test.run();
