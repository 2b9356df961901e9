// JSON and YAML as one: streams of documents, in either language, from strangers. Repeated keys, bombs of aliases and
// cut files are refused with the line.
import { QueryError } from '../../cpu/errors.ts';
import { type Input, orSkip, type Skip } from '../dialect.ts';
import {
  type Document,
  isObject,
  type JsonObject,
  MAX_JSON,
  parseJson,
  repeatedKey,
  valueKind,
} from './json.ts';
import { quote } from './lines.ts';
import { Tokens } from './tokens.ts';

/** YAML is far slower to read than JSON, and nobody writes so much of it. */
const MAX_YAML = 64 * 1024 * 1024;
/** An annotation of Kubernetes has 256 KB at most. */
const MAX_YAML_LINE = 1024 * 1024;
/** Deeper than any document of an API; beyond this a parser would run out of stack. */
const MAX_DEPTH = 512;

/**
 * All documents of an input: JSON values one after another, or YAML documents; with `skip` those that can be read.
 * @throws QueryError with the line of what is neither.
 */
export async function readDocuments(input: Input, skip?: Skip): Promise<Document[]> {
  const text = decodeText(input);
  return /^\s*[[{]/.test(text)
    ? readJsonStream(input.name, text, skip)
    : readYaml(input.name, text, skip);
}

/**
 * The text of an input as a whole.
 * @throws QueryError for what is not UTF-8, or too long to be read as a whole.
 */
export function decodeText({ name, bytes }: Input): string {
  if (bytes.length > MAX_JSON)
    throw new QueryError(
      `${name} has ${bytes.length >> 20} MB, too many to read as one document; split the file`,
    );
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new QueryError(`${name} is not UTF-8 text; write the file in UTF-8`);
  }
}

/** Longer than any line of a language that is taken apart by patterns. */
const MAX_LINE = 64 * 1024;

/**
 * The lines of a text that is written by hand or by a program of few words.
 * @throws QueryError for one that is too long for that.
 */
export function shortLines(name: string, text: string, max = MAX_LINE): string[] {
  const lines = text.split(/\r?\n/);
  const long = lines.findIndex((line) => line.length > max);
  if (long >= 0)
    throw new QueryError(
      `${name}:${long + 1}: the line is longer than ${max >> 10} KB, which none of this language is`,
    );
  return lines;
}

/** Whether these words stand in a text in this order. */
export function inOrder(text: string, ...words: readonly string[]): boolean {
  let from = 0;
  for (const word of words) {
    const at = text.indexOf(word, from);
    if (at < 0) return false;
    from = at + word.length;
  }
  return true;
}

/** JSON values that follow one another, with nothing but space between them. */
export function readJsonStream(name: string, text: string, skip?: Skip): Document[] {
  const documents: Document[] = [];
  let depth = 0;
  let start = 0;
  let end = 0;
  let line = 1;
  let startLine = 1;
  const between = (to: number) => {
    const rest = text.slice(end, to).trim();
    if (rest !== '')
      throw new QueryError(
        `${name}:${line}: this is no JSON: ${quote(rest)} stands where it cannot`,
      );
  };
  const tokens = new Tokens(text);
  for (let token = tokens.next(); token !== ''; token = tokens.next()) {
    const index = tokens.start;
    if (token === '{' || token === '[') {
      if (depth === 0) {
        between(index);
        start = index;
        startLine = line;
      }
      if (++depth > MAX_DEPTH)
        throw new QueryError(`${name}:${line}: values are nested more than ${MAX_DEPTH} deep`);
    } else if ((token === '}' || token === ']') && depth > 0 && --depth === 0) {
      end = index + 1;
      documents.push(...orSkip(skip, () => parseOne(name, text.slice(start, end), startLine)));
    } else if (token === '\n') line++;
    // What a string holds unescaped is a mistake that is still to be told of with its line.
    else if (token === '"') line += text.slice(index, tokens.end).split('\n').length - 1;
  }
  if (depth > 0) parseJson(text.slice(start), name, startLine);
  between(text.length);
  return documents;
}

function parseOne(name: string, text: string, line: number): Document {
  const value = parseJson(text, name, line);
  const twice = repeatedKey(text, value);
  if (twice !== null)
    throw new QueryError(
      `${name}:${line}: the key ${quote(twice)} is there twice in one object; which of the two holds?`,
    );
  return { value, line };
}

async function readYaml(name: string, text: string, skip?: Skip): Promise<Document[]> {
  if (text.length > MAX_YAML)
    throw new QueryError(
      `${name} has ${text.length >> 20} MB of YAML, too many to read; give it as JSON (-o json)`,
    );
  shortLines(name, text, MAX_YAML_LINE);
  return (await import('./yaml-documents.ts')).readYaml(name, text, skip);
}

/** A value under keys, one inside the other; undefined where one is missing. */
export const at = (value: unknown, ...keys: readonly string[]): unknown =>
  keys.reduce<unknown>(
    (inner, key) => (isObject(inner) && Object.hasOwn(inner, key) ? inner[key] : undefined),
    value,
  );

const unlike = (wanted: string, value: unknown): string =>
  value === undefined ? `is missing; it is ${wanted}` : `is ${valueKind(value)}, not ${wanted}`;

/** @throws QueryError where the value is no object. */
export function objectOf(value: unknown, where: string, what: string): JsonObject {
  if (isObject(value)) return value;
  throw new QueryError(`${where}: ${what} ${unlike('an object', value)}`);
}

/** @throws QueryError where the value is no list. */
export function listOf(value: unknown, where: string, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new QueryError(`${where}: ${what} ${unlike('a list', value)}`);
}

/** @throws QueryError where the value is no text. */
export function textOf(value: unknown, where: string, what: string): string {
  if (typeof value === 'string' && value.trim() !== '') return value;
  throw new QueryError(
    `${where}: ${what} ${value === '' ? 'is empty, not a text' : unlike('a text', value)}`,
  );
}

/** @throws QueryError where the value is no list of texts. */
export const textsOf = (value: unknown, where: string, what: string): string[] =>
  listOf(value, where, what).map((entry) => textOf(entry, where, `an entry of ${what}`));
