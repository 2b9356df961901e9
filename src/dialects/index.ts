// Every language that plimsoll speaks, in the order in which they are tried on a file.
import type { Dialect } from './dialect.ts';

const DIALECTS: readonly Dialect[] = [];

export const dialectByName = (name: string): Dialect | undefined =>
  DIALECTS.find((d) => d.name === name);

/** The dialects that can be read, or written. */
export const dialectNames = (what: 'read' | 'write'): string[] =>
  DIALECTS.filter((d) => d[what]).map((d) => d.name);

export const recogniseDialect = (head: string): Dialect | undefined =>
  DIALECTS.find((d) => d.recognises?.(head));
