// One fleet by every road that hosts can come: as a stream in odd pieces, a file, a list, compressed, a file a host,
// by threads, through summaries, and in other orders. Whatever is asked, the answer is one.
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import { scanRecords } from '../../src/cli/input/record-segments.ts';
import type { Catalog } from '../../src/cpu/catalog/catalog.ts';
import { MAX_LINE } from '../../src/dialects/text/lines.ts';
import { writeSummary } from '../../src/fleet/summary.ts';
import { readFleet } from '../../src/reading/read.ts';
import { runIn } from './command.ts';
import { type DrawnRecord, type DrawnText, drawnText, textOf } from './drawn-records.ts';

const GUEST = 'qemu-system-x86_64 -machine pc-q35-7.2 -accel kvm -cpu Nehalem,+aes -name g';
const LINE = {
  schema: 'plimsoll.baseline/1',
  stack: ['libvirt@9.0', 'qemu@7.2'],
  arch: 'x86_64',
  vendor: 'Intel',
  features: ['aes', 'sse2'],
  limits: { physBits: 46 },
  xsave: [],
  definitions: {},
};

/** Questions about a fleet; a summary answers those that are `kept`. */
const QUESTIONS = [
  { args: ['baseline'], kept: true },
  { args: ['baseline', '--by', 'rack'], kept: true },
  { args: ['baseline', '--no-ids', '--by', 'é'], kept: true },
  { args: ['baseline', '--without', '\ufeffa'], kept: true },
  { args: ['baseline', '--check', 'line.json'], kept: true },
  { args: ['blame'], kept: false },
  { args: ['blame', '--no-ids'], kept: false },
  { args: ['groups', '--pools', '2'], kept: true },
  { args: ['place', '--guests', 'guest'], kept: true },
  { args: ['admit', '--baseline', 'line.json'], kept: true },
  { args: ['drift', '--guests', 'guest', '--to-machine', 'pc-q35-3.1'], kept: true },
  { args: ['decode'], kept: false },
] as const;
const KEPT = 'rack,é';
const SUMMARIZE = ['summarize', '--shard', 's', '--keep', KEPT];

/** What is drawn beside the records. */
export interface Choice {
  readonly question: number;
  readonly json: boolean;
  /** Sizes of the pieces of a stream, and of the segments of threads. */
  readonly pieces: readonly number[];
  readonly segment: number;
  readonly shuffle: readonly number[];
}

export const drawnRoads = (most: number): fc.Arbitrary<[DrawnText, Choice]> =>
  fc.tuple(
    drawnText(most),
    fc.record({
      question: fc.nat({ max: QUESTIONS.length - 1 }),
      json: fc.boolean(),
      pieces: fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 4 }),
      segment: fc.integer({ min: 16, max: 3000 }),
      shuffle: fc.array(fc.nat(), { minLength: 5, maxLength: 5 }),
    }),
  );

/** A way to the same fleet: inputs, what stands on standard input, and in which respects it may differ. */
interface Road {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly stdin?: readonly Uint8Array[];
  /** The records stand elsewhere, so that a problem is another or elsewhere. */
  readonly moved?: true;
  readonly isSummary?: true;
}

const pieces = (bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] => {
  const out: Uint8Array[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    out.push(bytes.subarray(at, at + size));
    at += size;
  }
  return out;
};

const shuffled = <T>(list: readonly T[], keys: readonly number[]): T[] =>
  list
    .map((it, i) => ({ it, key: (keys[i % keys.length]! * (i + 7)) % 10_007 }))
    .sort((a, b) => a.key - b.key)
    .map(({ it }) => it);

/** All of a host in one half. */
const half = (record: DrawnRecord): number => [...(record.host ?? '')].length % 2;

export class Roads {
  readonly #catalog: Catalog;
  readonly #root: string;
  #folders = 0;
  /** Records that went by every road, and answers that were compared. */
  records = 0;
  answers = 0;
  read = 0;

  constructor(catalog: Catalog, root: string) {
    this.#catalog = catalog;
    this.#root = root;
  }

  /** Holds all roads of one draw against the stream. */
  async hold([text, choice]: [DrawnText, Choice]): Promise<void> {
    const cwd = join(this.#root, String(this.#folders++));
    mkdirSync(cwd);
    writeFileSync(join(cwd, 'guest'), GUEST);
    writeFileSync(join(cwd, 'line.json'), JSON.stringify(LINE));
    const roads = this.#lay(cwd, text, choice);
    const isRead = await this.#compare(cwd, SUMMARIZE, roads);
    const { args, kept } = QUESTIONS[choice.question]!;
    const asked = choice.json ? [...args, '--json'] : [...args];
    if (isRead) {
      this.read++;
      await this.#threads(cwd, text, choice);
      if (kept) roads.push(...(await this.#summaries(cwd, text)));
    }
    await this.#compare(cwd, asked, roads);
    this.records += text.records.length * roads.length;
    rmSync(cwd, { recursive: true });
  }

  /** The roads that begin with records. */
  #lay(cwd: string, text: DrawnText, { pieces: sizes, shuffle }: Choice): Road[] {
    const { records } = text;
    const bytes = textOf(text, records);
    const write = (name: string, content: Uint8Array | string) => {
      writeFileSync(join(cwd, name), content);
      return [name];
    };
    const gz = gzipSync(bytes);
    const list = `${text.mark ? '\ufeff' : ''}[${records.map(({ line }) => line).join(text.ends[0])}]`;
    const roads: Road[] = [
      { name: 'stream', inputs: ['-'], stdin: pieces(bytes, sizes) },
      { name: 'stream at once', inputs: ['-'], stdin: [bytes] },
      { name: 'file', inputs: write('stdin.ndjson', bytes) },
      { name: 'gzip', inputs: write('stdin.ndjson.gz', gz) },
      { name: 'stream of gzip', inputs: ['-'], stdin: pieces(gz, sizes) },
      {
        name: 'list',
        inputs: write('stdin.json', list.replaceAll(text.ends[0]!, `,${text.ends[0]}`)),
        moved: true,
      },
    ];
    // Hosts without a name are called by where they stand.
    if (records.some(({ host }) => host === null)) return roads;
    const turned = [...records].reverse();
    const mixed = shuffled(records, shuffle);
    mkdirSync(join(cwd, 'each'));
    for (const [i, record] of mixed.entries()) write(`each/${i}.ndjson`, textOf(text, [record]));
    roads.push(
      { name: 'reversed', inputs: ['-'], stdin: [textOf(text, turned)], moved: true },
      { name: 'shuffled file', inputs: write('other.ndjson', textOf(text, mixed)), moved: true },
      { name: 'a file a host', inputs: ['each'], moved: true },
    );
    return roads;
  }

  /** Asks by all roads; whether there was an answer. */
  async #compare(cwd: string, args: readonly string[], roads: readonly Road[]): Promise<boolean> {
    const [first, ...others] = roads;
    const wanted = await this.#ask(cwd, args, first!);
    assert.not.match(wanted.stderr, /bug in/, wanted.stderr);
    for (const road of others) {
      const got = await this.#ask(cwd, args, road);
      this.answers++;
      const what = `${args.join(' ')} by the ${road.name}, in ${cwd}`;
      assert.is(got.status, wanted.status, `${what}: ${got.stderr} / ${wanted.stderr}`);
      assert.is(got.stdout, wanted.stdout, what);
      // Where a problem stands, and which comes first, depends on the road.
      if (!(road.moved && wanted.status === 2)) assert.is(got.stderr, wanted.stderr, what);
    }
    return wanted.status !== 2;
  }

  async #ask(cwd: string, args: readonly string[], { inputs, stdin }: Road) {
    const { status, stdout, stderr } = await runIn({ cwd, ...(stdin ? { stdin } : {}) }, [
      ...args,
      ...inputs,
    ]);
    const same = (said: string) =>
      said.replace(
        /\b(?:stdin|other)\.(?:ndjson|jsonl|txt|json)(?:\.gz)?\b|\beach\b|(?<= )-(?=\s|$)/g,
        'stdin',
      );
    // What to ask next names the files.
    const answer = stdout.replace(/^ *plimsoll .*$/gm, '').trimEnd();
    return { status, stdout: same(answer), stderr: same(stderr) };
  }

  /** As if many threads had each read a segment of the file. */
  async #threads(cwd: string, text: DrawnText, { segment }: Choice): Promise<void> {
    // Where a segment begins is looked for up to the end of the last line.
    const bytes = textOf({ ...text, isEnded: true }, text.records);
    writeFileSync(join(cwd, 'threads'), bytes);
    const fd = openSync(join(cwd, 'threads'), 'r');
    const options = { keep: KEPT.split(','), from: 'records', mayBeEmpty: true };
    try {
      const summary = async (input: Parameters<typeof readFleet>[1]) => {
        const fleet = await readFleet(this.#catalog, input, options);
        const shape = { keep: options.keep, ids: true, shards: ['s'] };
        return Buffer.concat(await writeSummary(fleet, shape)).toString();
      };
      const byThreads = await summary([
        {
          name: 'stdin',
          head: bytes,
          again: true,
          read: () => 0,
          whole: async () => bytes,
          scan: async (keys, ids) =>
            Array.from({ length: Math.ceil(bytes.length / segment) }, (_, i) => {
              const taken = new Int32Array(new SharedArrayBuffer(8));
              taken[0] = i;
              const size = Math.min(bytes.length, (i + 1) * segment);
              const task = { fd, size, segment, keys, ids, maxLine: MAX_LINE, taken };
              return scanRecords(task, () => {});
            }).reverse(),
        },
      ]);
      const whole = await runIn({ cwd }, [...SUMMARIZE, 'stdin.ndjson']);
      // A list is read as a whole, and one record is none that threads are for.
      if (text.records.length > 1)
        assert.is(byThreads.trimEnd(), whole.stdout.trimEnd(), `threads, in ${cwd}`);
    } finally {
      closeSync(fd);
    }
  }

  /** The roads that lead through summaries. */
  async #summaries(cwd: string, text: DrawnText): Promise<Road[]> {
    const made = async (name: string, args: readonly string[]) => {
      const { status, stderr } = await runIn({ cwd }, [...args, '-o', name]);
      assert.is(status, 0, `${args.join(' ')} in ${cwd}: ${stderr}`);
      return name;
    };
    const all = await made('all.summary', [...SUMMARIZE, 'stdin.ndjson']);
    const roads: Road[] = [{ name: 'summary', inputs: [all], isSummary: true, moved: true }];
    if (text.records.some(({ host }) => host === null)) return roads;
    const parts: string[] = [];
    for (const n of [1, 0]) {
      writeFileSync(
        join(cwd, `${n}.ndjson`),
        textOf(
          text,
          text.records.filter((r) => half(r) === n),
        ),
      );
      const args = ['summarize', '--shard', String(n), '--keep', KEPT, `${n}.ndjson`];
      parts.push(await made(`${n}.summary`, args));
    }
    const merged = await made('merged.summary', ['merge', ...parts]);
    roads.push({ name: 'merged summaries', inputs: [merged], isSummary: true, moved: true });
    return roads;
  }
}
