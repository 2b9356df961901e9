// Small pictures of text: bars for a curve, a matrix of hosts and features.
import type { FeatureMatrix } from '../../solve/answer-plan.ts';
import type { Page } from './render.ts';
import { clip, pad, width, wrap } from './text.ts';

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly note: string;
}

/** Bars from `from` (nothing) to the greatest value (the whole width that labels and notes leave). */
export function bars(all: readonly Bar[], from: number, { columns, paint }: Page): string[] {
  const label = Math.max(...all.map((b) => width(b.label)));
  const note = Math.max(...all.map((b) => width(b.note)));
  const room = Math.max(4, columns - label - note - 6);
  const most = Math.max(...all.map((b) => b.value));
  return all.map((b) => {
    const share = most > from ? (b.value - from) / (most - from) : 1;
    const length = Math.max(1, Math.round(share * room));
    const bar = paint.cyan('█'.repeat(length)) + ' '.repeat(room - length);
    return `  ${pad(b.label, label)}  ${bar}  ${b.note}`.trimEnd();
  });
}

/** Features that the matrix shows at most: what most hosts lack comes first. */
const ROWS = 16;

/** A line a feature, a column a host: has it, lacks it, or is not known to have it. */
export function matrixLines({ hosts, rows }: FeatureMatrix, page: Page): string[] {
  const { columns, paint } = page;
  const mark = (has: boolean | null) =>
    has === null ? paint.yellow('?') : has ? paint.green('●') : paint.dim('·');
  const name = Math.min(24, Math.max(...rows.map((r) => width(r.feature))));
  const letters = hosts.map((_, i) => String.fromCharCode(97 + i));
  const legend = hosts.map((host, i) => `${letters[i]}=${host}`);
  const lines = [
    ...wrap(legend, columns - 2).map((line) => `  ${paint.dim(line)}`),
    `  ${pad('', name)}  ${letters.join(' ')}`,
    ...rows
      .slice(0, ROWS)
      .map((r) => `  ${pad(clip(r.feature, name), name)}  ${r.has.map(mark).join(' ')}`),
  ];
  if (rows.length > ROWS)
    lines.push(`  ${paint.dim(`and ${rows.length - ROWS} more; --json has them all`)}`);
  return lines;
}
