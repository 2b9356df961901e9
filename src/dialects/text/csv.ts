// Comma-separated values with a line of names, as PowerShell's Export-Csv and spreadsheets write them.
import { QueryError } from '../../cpu/errors.ts';

export interface CsvRow {
  readonly line: number;
  /** By the names of the first line, in lower case. */
  readonly cells: ReadonlyMap<string, string>;
}

/** @throws QueryError for a row that has more cells than there are names. */
export function readCsv(name: string, text: string): CsvRow[] {
  const rows: { line: number; cells: string[] }[] = [];
  let line = 1;
  let current: string[] = [];
  let start = 1;
  const pattern = /(?:"((?:[^"]|"")*)"|([^",;\r\n]*))(\r?\n|[,;]|$)/y;
  const clean = text.replace(/^\uFEFF/, '').replace(/^#TYPE.*\r?\n/, '');
  while (pattern.lastIndex < clean.length) {
    const match = pattern.exec(clean);
    if (!match)
      throw new QueryError(`${name}:${line}: this row has a quotation mark that does not end`);
    const [, quoted, bare, end] = match;
    current.push((quoted?.replaceAll('""', '"') ?? bare!).trim());
    line += (quoted?.split('\n').length ?? 1) - 1;
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
