// Host records in segments of whole lines. A thread needs to know nothing of CPUs: it tells kinds apart, and says
// where each began.
import { readSync } from 'node:fs';
import { type Found, type RecordKeys, type ScanListener, Scanner } from '../core/scan.ts';
import type { OtherLine, ThreadScan } from '../dialects/dialect.ts';
import { type Arrival, Arrivals } from '../fleet/gather.ts';
import { type Task, takeSegments } from './segments.ts';

type Piece = Arrival | OtherLine;

const PROBE = 64 * 1024;
const NEWLINE = 10;

export interface RecordTask extends Task {
  readonly keys: RecordKeys;
  readonly ids: boolean;
  readonly maxLine: number;
}

class LineTooLong extends Error {}

/** Takes segments until there are none left. */
export function scanRecords(task: RecordTask, progress: () => void): ThreadScan {
  const thread = new Thread(task);
  try {
    thread.run(progress);
  } catch (error) {
    if (!(error instanceof LineTooLong)) throw error;
    thread.close();
  }
  return thread.finish();
}

class Thread implements ScanListener {
  readonly #task: RecordTask;
  readonly #scanner: Scanner;
  readonly #kinds: ThreadScan['kinds'][number][] = [];
  readonly #segments: ThreadScan['segments'][number][] = [];
  readonly #counts: number[] = [];
  #tooLong: ThreadScan['tooLong'] = null;
  #segment = 0;
  /** Lines of the segments before. */
  #before = 0;
  #pieces: Piece[] = [];
  readonly #arrivals = new Arrivals();

  constructor(task: RecordTask) {
    this.#task = task;
    this.#scanner = new Scanner(this, task);
  }

  run(progress: () => void): void {
    takeSegments(this.#task, this.#scanner, (offset) => this.#lineFrom(offset), {
      began: (segment) => {
        this.#segment = segment;
        this.#before = this.#scanner.lines;
      },
      progress,
      ended: () => this.close(),
    });
  }

  /** Ends the segment, and with it the numbers of its lines. */
  close(): void {
    this.#flush();
    const lines = this.#scanner.lines - this.#before;
    this.#segments.push({ segment: this.#segment, lines, pieces: this.#pieces });
    this.#pieces = [];
  }

  finish(): ThreadScan {
    const keys = this.#scanner.otherKeys();
    this.#scanner.free();
    return {
      kinds: this.#kinds,
      segments: this.#segments,
      counts: this.#counts,
      keys,
      tooLong: this.#tooLong,
    };
  }

  kind(line: Uint8Array, number: number): number {
    const place = { segment: this.#segment, number: number - this.#before };
    return this.#kinds.push({ line: line.slice(), ...place }) - 1;
  }

  other(line: Uint8Array, number: number): void {
    this.#flush();
    this.#pieces.push({ line: line.slice(), number: number - this.#before });
  }

  found(hosts: Found): void {
    if (this.#task.ids) this.#arrivals.push(hosts);
    else for (const kind of hosts.kinds) this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
  }

  tooLong(number: number): never {
    this.#tooLong = { segment: this.#segment, number: number - this.#before };
    throw new LineTooLong();
  }

  #flush(): void {
    this.#pieces.push(...this.#arrivals.take());
  }

  /** Where the first line begins that does not begin before `offset`. */
  #lineFrom(offset: number): number {
    const { fd, size } = this.#task;
    if (offset === 0) return 0;
    const probe = new Uint8Array(PROBE);
    for (let at = offset - 1; at < size; at += PROBE) {
      const bytes = readSync(fd, probe, 0, PROBE, at);
      const newline = probe.subarray(0, bytes).indexOf(NEWLINE);
      if (newline >= 0) return at + newline + 1;
      if (bytes === 0) break;
    }
    return size;
  }
}
