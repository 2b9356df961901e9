// JSON from strangers: whatever is wrong with it becomes one sentence that says where.
import { QueryError } from '../../cpu/errors.ts';
import { mistakeIn } from './json-mistake.ts';
import { quote } from './lines.ts';
import { Tokens } from './tokens.ts';

export type JsonObject = { readonly [key: string]: unknown };

/** One of several values in a text. */
export interface Document {
  readonly value: unknown;
  /** 1-based line on which it begins. */
  readonly line: number;
}

/** Text beyond this many bytes is not read as one JSON value. */
export const MAX_JSON = 256 * 1024 * 1024;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value as text, whatever it is: an object may have a toString of its own. */
export const asText = (value: unknown): string =>
  typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);

/** What a value is, for a message. */
export function valueKind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'string' ? 'a string' : `the ${typeof value} ${String(value)}`;
}

/**
 * Parses JSON that begins on a line of a file, behind so many characters.
 * @throws QueryError with the line and the column of the mistake.
 */
export function parseJson(text: string, name: string, line = 1, indent = 0): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const at = mistakeIn(text);
    const before = text.slice(0, at).split('\n');
    const number = line + before.length - 1;
    const place = before.at(-1)!.length + 1 + (before.length === 1 ? indent : 0);
    const found = text.slice(at).trim();
    throw new QueryError(
      `${name}:${number}:${place}: this is no JSON: ${found === '' ? 'it ends in the middle of a value, so it is cut short' : `${quote(found.split('\n')[0]!)} stands where it cannot`}`,
      { cause: error },
    );
  }
}

/** A key that stands twice in one object of valid JSON; JSON.parse would keep the last in silence. */
export function repeatedKey(text: string, value: unknown): string | null {
  // A colon after a quote belongs to a key, or to a string that quotes one: only a surplus is worth a walk.
  if ((text.match(/"\s*:/g)?.length ?? 0) === countKeys(value)) return null;
  const open: Set<string>[] = [];
  let last = '';
  const tokens = new Tokens(text);
  for (let token = tokens.next(); token !== ''; token = tokens.next()) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') open.pop();
    else if (token === '"') last = text.slice(tokens.start, tokens.end);
    else if (token === ':') {
      const keys = open.at(-1)!;
      const key = JSON.parse(last) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return null;
}

/** Keys of all objects in a value, however deep. */
function countKeys(value: unknown): number {
  let count = 0;
  const rest = [value];
  while (rest.length > 0) {
    const next = rest.pop();
    if (typeof next !== 'object' || next === null) continue;
    const inner = Object.values(next);
    if (!Array.isArray(next)) count += inner.length;
    // A list of features is long: no iterator, which makes an object a step.
    for (let i = 0; i < inner.length; i++) if (typeof inner[i] === 'object') rest.push(inner[i]);
  }
  return count;
}
