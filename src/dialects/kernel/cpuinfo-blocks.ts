// /proc/cpuinfo as the kernel lays it out, not understood yet: lines, a block of them for each processor, hosts.
import { QueryError } from '../../cpu/errors.ts';
import { kernelIn } from '../../cpu/proven/kernel.ts';
import type { Input } from '../dialect.ts';
import { linesOf, quote } from '../text/lines.ts';

/** The lines about one processor. */
export interface ProcessorBlock {
  readonly line: number;
  readonly fields: Map<string, string>;
  /** The key of a last line whose end is missing. */
  cut: string | null;
  /** The kernel of a line of uname -a or of /proc/version before it, or behind the last block of a host. */
  kernel: string | null;
}

/**
 * The blocks of an input that begins behind so many lines `before`.
 * @throws QueryError for a line that is none of /proc/cpuinfo.
 */
export function* readBlocks(input: Input, before = 0): Generator<ProcessorBlock> {
  let block: ProcessorBlock | undefined;
  let last: ProcessorBlock | undefined;
  let kernel: string | null = null;
  let isBehind = true;
  for (const { number, text, isEnded } of linesOf(input, before)) {
    const isBlank = text.trim() === '';
    const colon = text.indexOf(':');
    const key = text.slice(0, Math.max(colon, 0)).trim();
    if (isBlank || (key === 'processor' && block?.fields.has(key))) {
      if (block) yield block;
      block = undefined;
    }
    if (isBlank) continue;
    const told = text.startsWith('Linux ') ? kernelIn(text) : null;
    if (told !== null) {
      // Where the first block follows such a line, every host does.
      if (last && isBehind) last.kernel = told;
      else [kernel, isBehind] = [told, false];
      continue;
    }
    if (colon < 0) {
      if (!isEnded && block) {
        block.cut = text.trim();
        continue;
      }
      throw new QueryError(
        `${input.name}:${number}: ${quote(text.trim())} is no line of /proc/cpuinfo; give the file as the kernel prints it`,
      );
    }
    if (!block) {
      block = { line: number, fields: new Map(), cut: null, kernel };
      last = block;
      kernel = null;
    }
    block.fields.set(key, text.slice(colon + 1).trim());
    if (!isEnded) block.cut = key;
  }
  if (block) yield block;
}

/** Blocks as hosts: a number that comes again begins another. */
export function* hostsOf(blocks: Iterable<ProcessorBlock>): Generator<ProcessorBlock[]> {
  let host: ProcessorBlock[] = [];
  let seen = new Set<string>();
  for (const block of blocks) {
    const number = block.fields.get('processor');
    // Some kernels end with a block about the machine.
    if (number === undefined) continue;
    if (seen.has(number)) {
      yield host;
      host = [];
      seen = new Set();
    }
    seen.add(number);
    host.push(block);
  }
  if (host.length > 0) yield host;
}
