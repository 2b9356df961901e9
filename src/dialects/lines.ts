// Text as lines, walked over the bytes: a file of a gigabyte never becomes one string.
import { QueryError } from '../cpu/errors.ts';
import type { Input } from './dialect.ts';

export interface Line {
  /** 1-based. */
  readonly number: number;
  /** Without its end. */
  readonly text: string;
  /** Whether an end of line follows. */
  readonly isEnded: boolean;
}

/** No line of any language that is read line by line is this long, in bytes. */
export const MAX_LINE = 64 * 1024 * 1024;

const NEWLINE = 10;

/**
 * The lines of an input; a byte order mark is no part of the first.
 * @throws QueryError for a line too long to be text, and for bytes that are not UTF-8 where `strict` is set.
 */
export function* linesOf(input: Input, strict = false): Generator<Line> {
  const { bytes, name } = input;
  const decoder = new TextDecoder('utf-8', { fatal: strict });
  for (let start = 0, number = 1; start < bytes.length; number++) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    if (end - start > MAX_LINE)
      throw new QueryError(
        `${name}:${number}: the line is longer than ${MAX_LINE >> 20} MB; this is no text written line by line`,
      );
    let text: string;
    try {
      text = decoder.decode(bytes.subarray(start, end));
    } catch {
      throw new QueryError(
        `${name}:${number}: the line is not UTF-8 text; write the file in UTF-8`,
      );
    }
    yield { number, text: text.endsWith('\r') ? text.slice(0, -1) : text, isEnded: newline >= 0 };
    start = end + 1;
  }
}

/** A piece of text as it can stand in a message: short, and on one line. */
export function quote(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return JSON.stringify(short);
}
