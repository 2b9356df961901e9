// How fast the core answers beside native code and the ways of plain JavaScript: medians of rounds in which every
// contender has its turn, and no time without an equal answer.
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  bigints,
  type Contender,
  classRows,
  fastBitSets,
  kernels,
  obvious,
  oneStreamKernels,
  plainArray,
  QUESTIONS,
  type Question,
  roaring,
  sets,
} from './contenders.ts';
import { startNative } from './native.ts';
import { type MadeUp, madeUpRows } from './random.ts';

/** Rows of contenders that hold an object a row, or would take minutes. */
const SAMPLE = { words: 200_000, objects: 20_000, names: 2_000 };
const NATIVE = 'native AVX2, one stream';
/** Native time over ours that is to be reached. */
const TARGETS = { meet: 1, counts: 1.3, covers: 0.9, intern: 0.8 };
const SOURCE = fileURLToPath(new URL('../../bench/kernels.c', import.meta.url));

export async function bench(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      rows: { type: 'string', default: '4000000' },
      bits: { type: 'string', default: '512' },
      classes: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '21' },
    },
  });
  const option = (name: keyof typeof values) => Number(values[name]);
  const [rows, bits, classes] = [option('rows'), option('bits'), option('classes')];
  const [seed, rounds] = [option('seed'), option('rounds')];
  if (!(rows % 128 === 0 && rows > 0 && bits % 512 === 0 && bits > 0 && classes > 0 && rounds > 0))
    throw new RangeError(
      '--rows takes a multiple of 128, --bits of 512, --classes and --rounds a number above 0',
    );

  console.log(
    `${n(rows)} rows × ${bits} bits (${n((rows * bits) / 8e6)} MB), ${classes} classes, seed ${seed}, ${rounds} rounds`,
  );
  console.log(
    `${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.versions.node}, V8 ${process.versions.v8}`,
  );
  const all = madeUpRows(rows, bits, classes, seed);
  const missing: string[] = [];
  const contenders = [oneStreamKernels(all), kernels(all), classRows(all)];
  const native = await startNative(SOURCE, bits, all.words, all.needs);
  if ('missing' in native) missing.push(`${NATIVE}: missing (${native.missing})`);
  else {
    console.log(native.compiler);
    contenders.unshift({
      name: NATIVE,
      rows,
      asks: QUESTIONS,
      time: native.time,
      answer: native.show,
    });
  }
  contenders.push(
    plainArray(head(all, SAMPLE.words)),
    bigints(head(all, SAMPLE.objects)),
    fastBitSets(head(all, SAMPLE.objects)),
    sets(head(all, SAMPLE.names)),
  );
  const bitmaps = await roaring(head(all, SAMPLE.objects));
  if (bitmaps === null) missing.push('roaring: missing (npm install --no-save roaring)');
  else contenders.push(bitmaps);

  await checkAnswers(contenders, all);
  const times = await takeTimes(contenders, rounds);
  if (!('missing' in native)) native.stop();
  report(contenders, times, missing, bits);
}

/** Holds every answer against the obvious one of a sample, and the big contenders' against each other. */
async function checkAnswers(contenders: readonly Contender[], all: MadeUp): Promise<void> {
  const small = classRows(head(all, SAMPLE.names));
  for (const question of QUESTIONS) {
    check(
      small,
      question,
      await small.answer(question),
      obvious(head(all, SAMPLE.names), question),
    );
    const expected = new Map<number, Uint32Array>();
    for (const contender of contenders.filter(({ asks }) => asks.includes(question))) {
      const { rows } = contender;
      if (!expected.has(rows))
        expected.set(rows, await classRows(head(all, rows)).answer(question));
      check(contender, question, await contender.answer(question), expected.get(rows)!);
    }
  }
}

function check(
  { name }: Contender,
  question: Question,
  found: Uint32Array,
  expected: Uint32Array,
): void {
  if (found.length !== expected.length || found.some((word, i) => word !== expected[i]))
    throw new Error(`${name.trim()} answers ${question} unlike the others`);
}

async function takeTimes(contenders: readonly Contender[], rounds: number) {
  const times = new Map(
    contenders.map((c) => [c, new Map<Question, number[]>(c.asks.map((q) => [q, []]))]),
  );
  // The first rounds warm up: the engine compiles a kernel anew once it has seen it run.
  for (let round = -2; round < rounds; round++)
    for (const question of QUESTIONS)
      for (const contender of contenders) {
        if (!contender.asks.includes(question)) continue;
        const time = await contender.time(question);
        if (round >= 0) times.get(contender)!.get(question)!.push(time);
      }
  return times;
}

function report(
  contenders: readonly Contender[],
  times: Awaited<ReturnType<typeof takeTimes>>,
  missing: readonly string[],
  bits: number,
): void {
  const native = contenders.find(({ name }) => name === NATIVE);
  console.log(
    "\nGB/s of rows by processor time (median), and how many times the native loop's (median of the rounds' ratios)\n",
  );
  const line = (cells: readonly string[]) =>
    console.log(
      cells
        .map((cell, i) => (i === 0 ? cell.padEnd(26) : cell.padStart(i === 1 ? 10 : 18)))
        .join(''),
    );
  line(['', 'rows', ...QUESTIONS]);
  for (const contender of contenders)
    line([
      contender.name,
      n(contender.rows),
      ...QUESTIONS.map((question) => {
        const own = times.get(contender)!.get(question);
        if (own === undefined) return '–';
        const rate = (contender.rows * bits) / 8 / median(own);
        const theirs = native && times.get(native)!.get(question)!;
        if (theirs === undefined) return digits(rate);
        const scale = contender.rows / native!.rows;
        return `${digits(rate)} ${`×${digits(median(own.map((time, i) => (theirs[i]! / time) * scale)))}`.padStart(8)}`;
      }),
    ]);
  for (const name of missing) console.log(name);
  if (native === undefined) return;
  console.log();
  const mine = times.get(contenders.find(({ name }) => name === 'plimsoll, many streams')!)!;
  for (const question of QUESTIONS) {
    const theirs = times.get(native)!.get(question)!;
    const ratio = median(mine.get(question)!.map((time, i) => theirs[i]! / time));
    const verdict = ratio >= TARGETS[question] ? 'reached' : 'NOT reached';
    console.log(
      `${question.padEnd(8)}×${digits(ratio)} of native, target ×${TARGETS[question]}: ${verdict}`,
    );
  }
}

function head({ words, needs }: MadeUp, rows: number): MadeUp {
  return { words: words.subarray(0, rows * needs.length), needs };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

const n = (value: number) => Math.round(value).toLocaleString('en-US');
const digits = (value: number) =>
  value >= 10 ? value.toFixed(1) : value >= 0.1 ? value.toFixed(2) : value.toPrecision(2);
