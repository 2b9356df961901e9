// Comma-separated values with a line of names, as PowerShell's Export-Csv and spreadsheets write them.
import { QueryError } from '../../cpu/errors.ts';

export interface CsvRow {
  readonly line: number;
  /** By the names of the first line, in lower case. */
  readonly cells: ReadonlyMap<string, string>;
}

/** @throws QueryError for a row that has more cells than there are names. */
export function readCsv(name: string, content: string): CsvRow[] {
  const rows: { line: number; cells: string[] }[] = [];
  let line = 1;
  let current: string[] = [];
  let start = 1;
  const bare = /([^",;\r\n]*)(\r?\n|[,;]|$)/y;
  const clean = content.replace(/^\uFEFF/, '').replace(/^#TYPE.*\r?\n/, '');
  for (let at = 0; at < clean.length; at = bare.lastIndex) {
    const close = clean[at] === '"' ? quotedEnd(clean, at) : at;
    bare.lastIndex = close;
    const match = close < 0 ? null : bare.exec(clean);
    const [, text, end] = match ?? [];
    // Nothing stands between a closing quotation mark and the end of the cell.
    if (text === undefined || (close > at && text !== ''))
      throw new QueryError(`${name}:${line}: this row has a quotation mark that does not end`);
    const cell = close > at ? clean.slice(at + 1, close - 1).replaceAll('""', '"') : text;
    current.push(cell.trim());
    line += cell.split('\n').length - 1;
    if (end === ',' || end === ';') continue;
    if (current.some((cell) => cell !== '')) rows.push({ line: start, cells: current });
    current = [];
    start = ++line;
  }
  const [head, ...rest] = rows;
  if (!head) return [];
  const names = head.cells.map((cell) => cell.toLowerCase());
  return rest.map((row) => {
    if (row.cells.length > names.length)
      throw new QueryError(
        `${name}:${row.line}: this row has ${row.cells.length} cells, and there are ${names.length} names in the first line`,
      );
    return { line: row.line, cells: new Map(row.cells.map((cell, i) => [names[i]!, cell])) };
  });
}

/** Behind the quotation mark that ends what is quoted from `at` on; -1 where none does. Two of them stand for one. */
function quotedEnd(text: string, at: number): number {
  let end = text.indexOf('"', at + 1);
  while (end >= 0 && text[end + 1] === '"') end = text.indexOf('"', end + 2);
  return end < 0 ? -1 : end + 1;
}
