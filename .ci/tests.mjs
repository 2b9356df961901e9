// Runs test files, each in a process of its own and as many at once as there are cores, and counts what they say.
// usage: node .ci/tests.mjs [--drawn] [PATTERN]
// PATTERN   the files of build/test whose path matches; all but the live and the slow ones where none is given
// --drawn   of these only the files that test/support/property.ts lets draw more or less
// They draw a fifth of what they can, unless PLIMSOLL_EFFORT says otherwise.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

const FOLDER = 'build/test';
const pattern = process.argv.slice(2).find((word) => word !== '--drawn');
const isDrawn = (file) =>
  /support\/(property|laws)\.ts'/.test(readFileSync(`test/${file.replace(/js$/, 'ts')}`, 'utf8'));
const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => (pattern ? new RegExp(pattern).test(file) : !/^(oracles|slow)\//.test(file)))
  .filter((file) => !process.argv.includes('--drawn') || isDrawn(file))
  .sort();
const env = { PLIMSOLL_EFFORT: '0.2', ...process.env };
/** No file takes this long: one that hangs is ended, and named. */
const LIMIT_MS = 300_000 * Math.max(1, Number(env.PLIMSOLL_EFFORT));

/** Runs a file; resolves to how it ended and all that it printed. */
const run = (file) =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [join(FOLDER, file)], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIMIT_MS,
    });
    const printed = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => printed.push(data));
    child.on('close', (code, signal) =>
      resolve({ ended: signal ?? code, text: Buffer.concat(printed).toString() }),
    );
  });

const sum = { Total: 0, Passed: 0, Skipped: 0 };
const failed = [];
const start = performance.now();
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;
const next = files.values();

async function work() {
  for (const file of next) {
    const began = performance.now();
    const { ended, text } = await run(file);
    const told = { Total: 0, Passed: 0, Skipped: 0 };
    // uvu colours what it prints, on a terminal or not.
    const plain = text.replace(/\x1b\[[0-9;]*m/g, '');
    for (const [, what, n] of plain.matchAll(/^ *(Total|Passed|Skipped): +(\d+)/gm)) told[what] += +n;
    for (const what in sum) sum[what] += told[what];
    // A file whose promise never settles ends with 0 and says nothing.
    const why =
      ended !== 0 ? `ended with ${ended}` : told.Total === 0 ? 'ran no test' : null;
    if (why) failed.push(`${file} ${why}`);
    process.stdout.write(`${file}\n${text.trimEnd()}\n  Time:      ${seconds(began)}\n\n`);
  }
}
await Promise.all(Array.from({ length: availableParallelism() }, work));

for (const line of failed) console.log(`FAILED: ${line}`);
console.log(
  `${sum.Total} tests in ${files.length} files: ${sum.Passed} passed, ${sum.Skipped} skipped, ${seconds(start)}`,
);
process.exitCode = failed.length > 0 || files.length === 0 ? 1 : 0;
