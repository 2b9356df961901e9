// JSON from strangers: whatever is wrong with it becomes one sentence that says where.
import { QueryError } from '../cpu/errors.ts';
import { quote } from './lines.ts';

export type JsonObject = { readonly [key: string]: unknown };

/** Text beyond this many bytes is not read as one JSON value. */
export const MAX_JSON = 256 * 1024 * 1024;

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What a value is, for a message. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'string' ? 'a string' : `the ${typeof value} ${String(value)}`;
}

/**
 * Parses JSON that begins on a line of a file.
 * @throws QueryError with the line of the mistake.
 */
export function parseJson(text: string, name: string, line = 1): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const { message } = error as Error;
    const at = Number(
      /position (\d+)/.exec(message)?.[1] ?? (/end of JSON/i.test(message) ? text.length : 0),
    );
    const number = line + (text.slice(0, at).match(/\n/g)?.length ?? 0);
    const found = text.slice(at).trim();
    const isShort = found === '' || /Unterminated|end of data/i.test(message);
    throw new QueryError(
      `${name}:${number}: this is no JSON: ${isShort ? 'it ends in the middle of a value, so it is cut short' : `${quote(found.split('\n')[0]!)} stands where it cannot`}`,
    );
  }
}

/** A key that stands twice in a JSON object; JSON.parse would keep the last in silence. */
export function repeatedKey(text: string, object: JsonObject): string | null {
  for (const key of Object.keys(object)) {
    const quoted = JSON.stringify(key);
    const first = text.indexOf(quoted);
    // The same text once more may be a value; only then is it worth a walk.
    if (
      first >= 0 &&
      text.indexOf(quoted, first + quoted.length) >= 0 &&
      topKeys(text).filter((k) => k === quoted).length > 1
    )
      return key;
  }
  return null;
}

/** The keys of the outermost object of valid JSON, quoted as written. */
function topKeys(text: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  let last = '';
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]/g)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (token === ':' && depth === 1) keys.push(last);
    else last = token;
  }
  return keys;
}
