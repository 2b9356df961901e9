// For each reason that the rule knows, the rule without it must break a law: else nobody would miss the reason.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOT } from '../support/places.ts';

const RULE = join(ROOT, 'src/solve/fit.ts');
const BESIDE = join(ROOT, 'src/solve/beside.ts');
const folder = mkdtempSync(join(tmpdir(), 'plimsoll-mutants-'));
const test = suite('mutants of the rule');
test.after(() => rmSync(folder, { recursive: true, force: true }));

/** What the rule is changed by: one place of its text, which must be there. */
interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** The reasons beside features, as the rule's own text names them: of what is a no, and of what is not known. */
const REASONS = ['no', 'unknown'].flatMap((what) => {
  const text = readFileSync(BESIDE, 'utf8');
  const pushed = new RegExp(`\\b${what}\\.push\\(\\{\\s*code: '([\\w-]+)'`, 'g');
  return [...new Set([...text.matchAll(pushed)].map((m) => m[1]!))].map((code) => ({ what, code }));
});

/** Leaves one reason out, wherever it comes from. */
const without = (what: string, code: string): Change => ({
  file: RULE,
  from: 'beside(asker: number, unit: number): Beside {',
  to: `beside(asker: number, unit: number): Beside {
    const all = this.all(asker, unit);
    return { ...all, ${what}: all.${what}.filter((reason) => reason.code !== '${code}') };
  }
  all(asker: number, unit: number): Beside {`,
});

const CHANGES: Readonly<Record<string, Change>> = {
  ...Object.fromEntries(
    [...REASONS, { what: 'no', code: 'refused' }, { what: 'no', code: 'model' }].map(
      ({ what, code }) => [`${what}: ${code}`, without(what, code)],
    ),
  ),
  'no: features that lack': {
    file: RULE,
    from: "if (lacks) return 'no';",
    to: "if (lacks) return 'unknown';",
  },
  'no: names that the catalog does not know': {
    file: RULE,
    from: ' || this.#absent[n]!.length > 0) return',
    to: ') return',
  },
  'unknown: features that are left open': {
    file: RULE,
    from: 'need.own === null || !isEmpty(this.#open(n, index))',
    to: 'false',
  },
  'unknown: features of an own CPU that are left open': {
    file: RULE,
    from: 'need.own === null || !isEmpty(this.#open(n, index))',
    to: 'need.own === null',
  },
  'unknown: what may be asked for': {
    file: RULE,
    from: '!isEmpty(this.#more(need, index))',
    to: 'false',
  },
  'own-cpu': { file: RULE, from: "need.own === null ? 'runs' : 'own-cpu'", to: "'runs'" },
};

const changed = ({ file, from, to }: Change): Plugin => ({
  name: 'mutant',
  setup(on) {
    on.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      if (path !== file) return undefined;
      const text = readFileSync(path, 'utf8');
      assert.ok(text.includes(from), `the rule has no ${JSON.stringify(from)} to be changed`);
      return { contents: text.replace(from, () => to), loader: 'ts' };
    });
  },
});

async function lawsUnder(name: string, change: Change) {
  const outfile = join(folder, `${name.replace(/\W+/g, '-')}.mjs`);
  await build({
    entryPoints: [join(ROOT, 'test/support/laws-once.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'es2022',
    loader: { '.wasm': 'binary' },
    logLevel: 'warning',
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    plugins: [changed(change)],
  });
  const env = { ...process.env, PLIMSOLL_EFFORT: '0.6' };
  return new Promise<{ status: unknown; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [outfile], { env }, (error, stdout, stderr) =>
      resolve({ status: error ? error.code : 0, stdout, stderr }),
    );
  });
}

/** Two at a time, in order. */
const AT_ONCE = 2;
const answers = new Map<string, ReturnType<typeof lawsUnder>>();
function answerOf(name: string) {
  const names = Object.keys(CHANGES);
  for (const next of names.slice(names.indexOf(name)).slice(0, AT_ONCE))
    if (!answers.has(next)) answers.set(next, lawsUnder(next, CHANGES[next]!));
  return answers.get(name)!;
}

test('the reasons are seen', () => assert.ok(REASONS.length > 12, `${REASONS.length} reasons`));

for (const name of Object.keys(CHANGES))
  test(`without "${name}" a law breaks`, async () => {
    const { status, stdout, stderr } = await answerOf(name);
    assert.is(status, 1, `${name}: no law breaks: ${stderr}`);
    assert.match(stdout, /^Got /m, stdout + stderr);
  });

test.run();
