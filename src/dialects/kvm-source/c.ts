// As much of C as the reader of a kernel needs: definitions of functions and macros, and the statements of a body.

/** A call or an assignment, or a condition with what stands under it. */
export type Statement =
  | { readonly kind: 'plain'; readonly text: string }
  | {
      readonly kind: 'if';
      readonly condition: string;
      readonly body: readonly Statement[];
      readonly otherwise: readonly Statement[];
    };

/** What a reader could not do with a file: the function, and what stood in its way. */
export class UnreadableSource extends Error {}

/** Deeper than any function of a kernel. */
const MAX_DEPTH = 64;

/** The text without comments, on the side of a preprocessor's condition that a 64-bit kernel with everything takes. */
export function plainSource(text: string): string {
  const bare = text.replace(/\/\*[\s\S]*?(?:\*\/|$)|\/\/[^\n]*/g, ' ').replace(/\\\n/g, ' ');
  const taken: boolean[] = [];
  const lines = bare.split('\n').map((line) => {
    const [, word, rest = ''] = /^\s*#\s*(if|ifdef|ifndef|elif|else|endif)\b(.*)$/.exec(line) ?? [];
    if (word === undefined) return taken.includes(false) ? '' : line;
    if (word === 'endif') taken.pop();
    else if (word === 'else' || word === 'elif') taken.push(!taken.pop());
    else taken.push(word === 'ifndef' ? !/CONFIG_/.test(rest) : !/^\s*0\b/.test(rest));
    return '';
  });
  return lines.join('\n');
}

/** The body of a function, without its braces; null where it is not defined. */
export function bodyOf(source: string, name: string): string | null {
  const head = new RegExp(`\\b${name}\\s*\\([^;{()]*\\)\\s*\\{`).exec(source);
  if (!head) return null;
  const start = head.index + head[0].length;
  return source.slice(start, closing(source, start - 1));
}

/** The text of a macro without parameters; null where it is not defined. */
export const macroOf = (source: string, name: string): string | null =>
  macrosIn(source).find((macro) => macro.name === name)?.text ?? null;

/** The macros without parameters. */
export const macrosIn = (source: string): { readonly name: string; readonly text: string }[] =>
  [...source.matchAll(/^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+([^\n]*)/gm)].map(([, name, text]) => ({
    name: name!,
    text: text!,
  }));

/** What stands behind a text, up to another or the end; null where it is not there. */
export function behind(source: string, text: string, end: string): string | null {
  const from = source.indexOf(text);
  if (from < 0) return null;
  const to = source.indexOf(end, from);
  return source.slice(from + text.length, to < 0 ? undefined : to);
}

/** Where what opens at a place closes. */
function closing(text: string, at: number): number {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    if ('({['.includes(text[i]!)) depth++;
    else if (')}]'.includes(text[i]!) && --depth === 0) return i;
  }
  return text.length;
}

/** What stands between commas, those inside of brackets apart. */
export function splitAt(text: string, separators: RegExp): string[] {
  const parts: string[] = [];
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    if ('({['.includes(text[i]!)) i = closing(text, i);
    else {
      const found = separators.exec(text.slice(i, i + 2));
      if (found?.index !== 0) continue;
      parts.push(text.slice(from, i));
      i += found[0].length - 1;
      from = i + 1;
    }
  }
  return [...parts, text.slice(from)].map((part) => part.trim());
}

/**
 * The statements of a body; what is no if and no block is one up to its semicolon.
 * @throws Unreadable for blocks in blocks that no function has.
 */
export function statementsOf(body: string, depth = 0): Statement[] {
  const statements: Statement[] = [];
  let rest = body.trim();
  while (rest !== '') {
    const [found, after] = statementAt(rest, depth);
    statements.push(...found);
    rest = after.trim();
  }
  return statements;
}

/** The first statement, and what comes after it. */
function statementAt(text: string, depth: number): [readonly Statement[], string] {
  if (depth > MAX_DEPTH)
    throw new UnreadableSource(`blocks are nested more than ${MAX_DEPTH} deep`);
  if (text.startsWith('{')) {
    const end = closing(text, 0);
    return [statementsOf(text.slice(1, end), depth + 1), text.slice(end + 1)];
  }
  const head = /^(if|for|while|switch)\s*\(/.exec(text);
  if (!head) {
    const end = semicolon(text);
    return [[{ kind: 'plain', text: oneLine(text.slice(0, end)) }], text.slice(end + 1)];
  }
  const open = head[0].length - 1;
  const close = closing(text, open);
  const [body, after] = statementAt(text.slice(close + 1).trim(), depth + 1);
  const condition = oneLine(text.slice(open + 1, close));
  // What a loop or a switch does is not followed.
  if (head[1] !== 'if') return [[{ kind: 'plain', text: `${head[1]} (${condition})` }], after];
  const other = /^\s*else\b/.exec(after);
  if (!other) return [[{ kind: 'if', condition, body, otherwise: [] }], after];
  const [otherwise, end] = statementAt(after.slice(other[0].length).trim(), depth + 1);
  return [[{ kind: 'if', condition, body, otherwise }], end];
}

function semicolon(text: string): number {
  for (let i = 0; i < text.length; i++) {
    if ('({['.includes(text[i]!)) i = closing(text, i);
    else if (text[i] === ';') return i;
  }
  return text.length;
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').trim();
