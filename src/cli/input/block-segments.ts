// /proc/cpuinfo of many hosts in segments of whole hosts. A processor 0 behind a blank line begins a host, unless
// the host before has a later first processor; what is not so plain is left to one reader of the whole text.
import { readSync } from 'node:fs';
import { type BlockKeys, type BlockListener, BlockScanner, type Runs } from '../../core/blocks.ts';
import type { BlockScan } from '../../dialects/dialect.ts';
import { type Task, takeNoMore, takeSegments } from './segments.ts';

const PROBE = 64 * 1024;
/** The rest of a line `processor : 0`, with fewer blanks than make it longer than the overlap of two probes. */
const ZERO = /^[ \t]{0,20}:[ \t]{0,20}0\n/;
const OVERLAP = 128;

export interface BlockTask extends Task {
  readonly keys: BlockKeys;
}

class Unusual extends Error {}

/** Takes segments until there are none left. */
export function scanBlocks(task: BlockTask, progress: () => void): BlockScan {
  const thread = new Thread(task);
  try {
    thread.run(progress);
    return thread.finish(false);
  } catch (error) {
    if (!(error instanceof Unusual)) throw error;
    takeNoMore(task);
    return thread.finish(true);
  }
}

class Thread implements BlockListener {
  readonly #task: BlockTask;
  readonly #scanner: BlockScanner;
  readonly #kinds: BlockScan['kinds'][number][] = [];
  readonly #segments: BlockScan['segments'][number][] = [];
  #segment = 0;
  #runs: Uint32Array[] = [];

  constructor(task: BlockTask) {
    this.#task = task;
    this.#scanner = new BlockScanner(this, task.keys);
  }

  run(progress: () => void): void {
    takeSegments(this.#task, this.#scanner, (offset) => this.#hostFrom(offset), {
      began: (segment) => {
        this.#segment = segment;
        this.#scanner.begin();
      },
      progress,
      ended: (isLast) => {
        if (!isLast && this.#scanner.first !== 0) this.unusual();
        this.#segments.push({ segment: this.#segment, runs: this.#runs });
        this.#runs = [];
      },
    });
  }

  finish(unusual: boolean): BlockScan {
    this.#scanner.free();
    return { kinds: this.#kinds, segments: this.#segments, unusual };
  }

  kind(text: Uint8Array, hasNumber: boolean): number | null {
    const kind = this.#kinds.push({ text: text.slice(), hasNumber }) - 1;
    return hasNumber ? kind : null;
  }

  found({ runs }: Runs): void {
    this.#runs.push(runs.slice());
  }

  unusual(): never {
    throw new Unusual();
  }

  /** Where the first host begins that does not begin before `offset`. */
  #hostFrom(offset: number): number {
    const { fd, size, keys } = this.#task;
    if (offset === 0) return 0;
    const start = `\n\n${keys.number}`;
    const probe = Buffer.alloc(PROBE);
    for (let at = Math.max(0, offset - 2); at < size; at += PROBE - OVERLAP) {
      const text = probe.toString('latin1', 0, readSync(fd, probe, 0, PROBE, at));
      for (let i = text.indexOf(start); i >= 0; i = text.indexOf(start, i + 1)) {
        const rest = i + start.length;
        if (ZERO.test(text.slice(rest, rest + OVERLAP))) return at + i + 2;
      }
      if (text.length < PROBE) break;
    }
    return size;
  }
}
