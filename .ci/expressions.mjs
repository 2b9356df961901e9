// Every regular expression of the source is linear: text comes from strangers. recheck looks at each and, where one is
// not, names a text that it takes too long for. A part that is known at run time only stands as a word.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseSync, Visitor } from 'oxc-parser';

const ROOMS = ['cli', 'core', 'cpu', 'dialects', 'fleet', 'learn', 'reading', 'solve'];
const LIMIT = 120_000;

// recheck would start Java where there is one, which is slower than either of these.
process.env.RECHECK_BACKEND ??= hasProgram() ? 'native' : 'pure';
const { check } = await import('recheck');

function hasProgram() {
  const system = { darwin: 'macos', linux: 'linux', win32: 'windows' }[process.platform];
  try {
    createRequire(import.meta.url).resolve(`recheck-${system}-${process.arch}/package.json`);
    return true;
  } catch {
    return false;
  }
}

/** Text that is written out in the source; what is not stands as a word. */
function textOf(node, constants) {
  if (node.type === 'Literal') return String(node.value);
  if (node.type === 'Identifier') return constants.get(node.name) ?? 'word';
  if (node.type !== 'TemplateLiteral') return 'word';
  return node.quasis
    .map(({ value }, i) => value.cooked + (i < node.expressions.length ? textOf(node.expressions[i], constants) : ''))
    .join('');
}

function* expressionsIn(path) {
  const text = readFileSync(path, 'utf8');
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`);
  const found = [];
  const constants = new Map();
  const made = ({ callee, arguments: [source, flags], start }) => {
    if (callee.name === 'RegExp' && source) found.push({ start, source, flags });
  };
  new Visitor({
    VariableDeclarator({ id, init }) {
      const isText = init?.type === 'TemplateLiteral' || typeof init?.value === 'string';
      if (id.type === 'Identifier' && isText) constants.set(id.name, textOf(init, constants));
    },
    Literal({ regex, start }) {
      if (regex) found.push({ start, ...regex });
    },
    NewExpression: made,
    CallExpression: made,
  }).visit(program);
  for (const { start, pattern, source, flags } of found)
    yield {
      where: `${path}:${text.slice(0, start).split('\n').length}`,
      source: pattern ?? textOf(source, constants),
      flags: typeof flags === 'string' ? flags : flags ? textOf(flags, constants) : '',
    };
}

/** What is wrong with an expression, or null. */
async function faultOf({ where, source, flags }) {
  // What the newest flag adds is not used here.
  const { status, complexity, attack, error } = await check(source, flags.replace('v', 'u'), { timeout: LIMIT });
  if (status === 'safe') return null;
  const why = status === 'vulnerable' ? `${complexity.summary}, with ${attack.pattern}` : `not decided (${error.kind}); write it simpler`;
  return `${where} /${source}/${flags}\n  ${why}`;
}

const only = process.argv.slice(2);
const expressions = ROOMS.flatMap((room) =>
  readdirSync(join('src', room), { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('src', room, name)),
)
  .filter((path) => only.length === 0 || only.some((part) => path.includes(part)))
  .sort()
  .flatMap((path) => [...expressionsIn(path)]);
// The same expression is asked about once.
const waiting = [...new Map(expressions.map((e) => [`/${e.source}/${e.flags}`, e])).values()];
const faults = [];
const work = async () => {
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const fault = await faultOf(next);
    if (fault !== null) faults.push(fault);
  }
};
await Promise.all(Array.from({ length: availableParallelism() }, work));
for (const fault of faults.sort()) console.error(fault);
console.log(`${expressions.length} regular expressions, ${faults.length} of them not linear`);
process.exit(faults.length === 0 && expressions.length > 0 ? 0 : 1);
