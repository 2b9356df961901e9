// Text as lines, walked over the bytes: a file of a gigabyte never becomes one string.
import { QueryError } from '../../cpu/errors.ts';
import type { Input } from '../dialect.ts';

export interface TextLine {
  /** 1-based. */
  readonly number: number;
  /** Without its end. */
  readonly text: string;
  /** Whether an end of line follows. */
  readonly isEnded: boolean;
  /** Whether its bytes are UTF-8; others stand in its text as U+FFFD. */
  readonly isUtf8: boolean;
}

/** No line of any language that is read line by line is this long, in bytes. */
export const MAX_LINE = 64 * 1024 * 1024;

const NEWLINE = 10;

// A byte order mark is none of the text at the beginning of a file, and a character like any other elsewhere.
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * The lines of an input that begins behind so many lines `before`; a byte order mark is no part of the first.
 * @throws QueryError for a line too long to be text.
 */
export function* linesOf(input: Input, before = 0): Generator<TextLine> {
  const { bytes, name } = input;
  for (let start = 0, number = before + 1; start < bytes.length; number++) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    if (end - start > MAX_LINE) throw tooLong(name, number);
    yield decodeLine(bytes.subarray(start, end), number, newline >= 0);
    start = end + 1;
  }
}

export const tooLong = (name: string, number: number): QueryError =>
  new QueryError(
    `${name}:${number}: the line is longer than ${MAX_LINE >> 20} MB; this is no text written line by line`,
  );

/** A line from its bytes without the newline. */
export function decodeLine(bytes: Uint8Array, number: number, isEnded: boolean): TextLine {
  let text: string;
  let isUtf8 = true;
  try {
    text = strict.decode(bytes);
  } catch {
    text = lenient.decode(bytes);
    isUtf8 = false;
  }
  if (number === 1 && text.startsWith('\ufeff')) text = text.slice(1);
  if (text.endsWith('\r')) text = text.slice(0, -1);
  return { number, text, isEnded, isUtf8 };
}

/** A piece of text as it can stand in a message: short, and on one line. */
export function quote(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return JSON.stringify(short);
}
