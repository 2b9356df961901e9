// Laying out text: nothing here is wider than it was told to be, and nothing printed can drive a terminal.
import { printable } from '../../cpu/printable.ts';

/** A copy of plain data with every string safe to print. */
export function printableAll<T>(data: T): T {
  if (typeof data === 'string') return printable(data) as T;
  if (Array.isArray(data)) return data.map(printableAll) as T;
  if (typeof data !== 'object' || data === null) return data;
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, printableAll(value)]),
  ) as T;
}

/**
 * One column each, of nearly all text and of the signs between our own words. Engines take milliseconds to make the
 * expressions that tell the others apart.
 */
const NARROW = /^[\x20-\x7e\xa1-\xac\xae-\xff\u2010-\u2027\u2190-\u21ff]*$/;
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;

/** Columns that a text takes on a terminal; it holds no colours. */
export function width(text: string): number {
  if (NARROW.test(text)) return text.length;
  let columns = 0;
  for (const c of text) columns += /\p{M}|\p{Cf}/u.test(c) ? 0 : WIDE.test(c) ? 2 : 1;
  return columns;
}

/** The text, cut to a width; what was cut shows as an ellipsis. */
export function clip(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  let kept = '';
  let used = 0;
  for (const c of text) {
    used += width(c);
    if (used > columns - 1) break;
    kept += c;
  }
  return `${kept}…`;
}

/** The same, cut in the middle: names in a list most often differ at their ends. */
export function clipMiddle(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  const head = clip(text, Math.ceil(columns / 3));
  const tail = clip([...text].reverse().join(''), columns - width(head) + 1).slice(0, -1);
  return head + [...tail].reverse().join('');
}

export const pad = (text: string, columns: number): string =>
  text + ' '.repeat(Math.max(0, columns - width(text)));

/**
 * Words in lines of at most this width. With a limit of lines, what does not fit is counted: "… and 12 more".
 */
export function wrap(
  words: readonly string[],
  columns: number,
  maxLines = Number.POSITIVE_INFINITY,
): string[] {
  const lines = fill(words, columns);
  if (lines.length <= maxLines) return lines;
  for (let kept = lines.slice(0, maxLines).join(' ').split(' ').length - 1; kept > 0; kept--) {
    const shorter = fill([...words.slice(0, kept), `… and ${words.length - kept} more`], columns);
    if (shorter.length <= maxLines) return shorter;
  }
  return [clip(`${words.length} in all`, columns)];
}

function fill(words: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const full of words) {
    const word = clip(full, columns);
    if (line === '') line = word;
    else if (width(line) + 1 + width(word) <= columns) line += ` ${word}`;
    else {
      lines.push(line);
      line = word;
    }
  }
  if (line !== '') lines.push(line);
  return lines;
}

/** A sentence in lines of at most this width. */
export const wrapSentence = (sentence: string, columns: number): string[] =>
  wrap(sentence.split(' '), columns);

/** `12,345`. */
export function number(n: number): string {
  let text = `${n}`;
  for (let at = text.length - 3; at > 0; at -= 3) text = `${text.slice(0, at)},${text.slice(at)}`;
  return text;
}

/** `1 host`, `2 hosts`. */
export const count = (n: number, one: string, many = `${one}s`): string =>
  `${number(n)} ${n === 1 ? one : many}`;

/** `a`, `a and b`, `a, b and c`. */
export const listed = (words: readonly string[], last = 'and'): string =>
  words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;

/** Rows of cells as aligned columns, two spaces apart; the words of the last column go on below where they must. */
export function table(
  rows: readonly (readonly string[])[],
  columns: number,
  indent = '',
): string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [i, cell] of row.slice(0, -1).entries())
      widths[i] = Math.max(widths[i] ?? 0, width(cell));
  const before = widths.reduce((sum, w) => sum + w + 2, width(indent));
  return rows.flatMap((row) => {
    const cells = row.slice(0, -1).map((cell, i) => `${pad(cell, widths[i]!)}  `);
    const lines = wrapSentence(row.at(-1)!, Math.max(8, columns - before));
    return (lines.length > 0 ? lines : ['']).map((line, i) =>
      clip(`${i === 0 ? indent + cells.join('') : ' '.repeat(before)}${line}`, columns).trimEnd(),
    );
  });
}

/** Few enough words to be read: the names that fit, then how many more there are. */
export function hostsText(
  list: { readonly count: number; readonly hosts: readonly string[] },
  columns: number,
): string {
  if (list.hosts.length === 0) return clip(count(list.count, 'host'), columns);
  for (let shown = list.hosts.length; shown > 0; shown--) {
    const rest = list.count - shown;
    const text =
      list.hosts.slice(0, shown).join(' ') + (rest > 0 ? ` and ${number(rest)} more` : '');
    if (width(text) <= columns) return text;
  }
  const rest = list.count === 1 ? '' : ` and ${number(list.count - 1)} more`;
  return clipMiddle(list.hosts[0]!, Math.max(8, columns - width(rest))) + rest;
}
