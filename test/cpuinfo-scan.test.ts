// Many hosts of /proc/cpuinfo in one text: sorted into kinds they are what reading every block makes of them.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { QueryError } from '../src/cpu/errors.ts';
import { scanCpuinfo } from '../src/dialects/cpuinfo-scan.ts';
import { readFleet } from '../src/dialects/read.ts';
import { Gatherer } from '../src/fleet/gather.ts';

const seed = Number(process.env.PLIMSOLL_SEED ?? 20261124);
console.log(`cpuinfo-scan: seed ${seed}`);
fc.configureGlobal({ includeErrorInReport: true });
// All test files share one process, so the runs are said where they are made.
const RUNS = { seed, numRuns: 150 };

const test = suite('cpuinfo-scan');
const catalog = await loadCatalog();

interface Processor {
  readonly number: number | string;
  readonly flags: string;
  readonly microcode: string;
  readonly mhz: string;
  readonly odd: string;
}

const block = ({ number, flags, microcode, mhz, odd }: Processor): string =>
  `processor\t: ${number}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nstepping\t: 7\nmicrocode\t: ${microcode}\ncpu MHz\t\t: ${mhz}\nflags\t\t: ${flags}\naddress sizes\t: 46 bits physical, 48 bits virtual\n${odd}`;

const processor = fc.record({
  number: fc.oneof(
    { weight: 20, arbitrary: fc.nat({ max: 3 }) },
    { weight: 1, arbitrary: fc.constantFrom('x', '') },
  ),
  flags: fc.constantFrom('fpu avx', 'fpu avx avx2', 'fpu new_one', 'fpu rep_good pku'),
  microcode: fc.constantFrom('0x1', '0x2'),
  mhz: fc.nat({ max: 4000 }).map((n) => `${n}.000`),
  odd: fc.oneof(
    { weight: 30, arbitrary: fc.constant('\n') },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '',
        '\n\n',
        ' \n',
        'power management:\n\n',
        'model : 1\n\n',
        'no colon\n\n',
        '\r\n',
        'Hardware\t: X\n\n',
      ),
    },
  ),
});
const PADDING = '\n'.repeat(70_000);

const outcome = async (text: string, from?: string) => {
  try {
    const fleet = await readFleet(
      catalog,
      [{ name: 'hosts.cpuinfo', bytes: new TextEncoder().encode(text) }],
      from === undefined ? {} : { from },
    );
    return {
      members: fleet.members,
      classes: fleet.classes,
      has: [...fleet.classes.keys()].map((i) => fleet.names(fleet.has(i))),
    };
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    // The lines before it only count.
    return error.message.replace(/:\d+:/g, ':');
  }
};

const readerOf = (bytes: Uint8Array, piece: number) => {
  let at = 0;
  return (into: Uint8Array) => {
    const part = bytes.subarray(at, at + Math.min(piece, into.length));
    into.set(part);
    at += part.length;
    return part.length;
  };
};

test('the fleet is the one that reading every block makes', async () => {
  let scanned = 0;
  const texts = fc.tuple(fc.array(processor, { minLength: 1, maxLength: 12 }), fc.boolean());
  await fc.assert(
    fc.asyncProperty(texts, fc.integer({ min: 1, max: 500 }), async ([all, cut], piece) => {
      const text = all
        .map(block)
        .join('')
        .slice(0, cut ? -3 : undefined);
      // Shorter text is read block by block; blank lines make it long, and mean nothing.
      assert.equal(await outcome(PADDING + text, 'cpuinfo'), await outcome(text, 'cpuinfo'), text);
      const gatherer = new Gatherer(catalog, true);
      const bytes = new TextEncoder().encode(text);
      const hosts = await scanCpuinfo(catalog, gatherer, 'x', readerOf(bytes, piece));
      if (hosts !== null) scanned++;
    }),
    RUNS,
  );
  assert.ok(scanned > 40, `only ${scanned} of 150 were plain enough`);
});

test('hosts of several processors are told apart by numbers that come again', async () => {
  const plain = { flags: 'fpu avx', microcode: '0x1', mhz: '1', odd: '\n' };
  const host = [0, 1, 2].map((number) => block({ ...plain, number, mhz: `${number}` })).join('');
  const gatherer = new Gatherer(catalog, true);
  const bytes = new TextEncoder().encode(host.repeat(3) + block({ ...plain, number: 0 }));
  assert.is(await scanCpuinfo(catalog, gatherer, 'x', readerOf(bytes, 1000)), 4);
  assert.is(gatherer.finish().batches![0]!.kinds.length, 4);
});

test.run();
