// Host records in segments of whole lines. A thread needs to know nothing of CPUs: it tells kinds apart, and says
// where each began.
import { readSync } from 'node:fs';
import {
  type FoundHosts,
  type RecordKeys,
  type ScanListener,
  Scanner,
  type Variant,
} from '../../core/scan.ts';
import type { OtherLine, ThreadScan } from '../../dialects/dialect.ts';
import { type Arrival, Arrivals, areDistinct, MANY } from '../../fleet/gather.ts';
import { withoutRepeats } from '../../fleet/id-index.ts';
import { type Task, takeSegments } from './segments.ts';

type Piece = Arrival | OtherLine;

const PROBE = 64 * 1024;
const NEWLINE = 10;

export interface RecordTask extends Task {
  readonly keys: RecordKeys;
  readonly ids: boolean;
  readonly maxLine: number;
}

const isArrival = (piece: Piece): piece is Arrival => 'kinds' in piece;

const hostsOf = (pieces: readonly Piece[]): number =>
  pieces.reduce((n, piece) => n + (isArrival(piece) ? piece.kinds.length : 0), 0);

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
  /** The names of all variants, and how many they are. */
  #lists = new Uint16Array(0);
  #listed = 0;
  readonly #segments: ThreadScan['segments'][number][] = [];
  readonly #counts: number[] = [];
  #tooLong: ThreadScan['tooLong'] = null;
  #segment = 0;
  /** Lines of the segments before. */
  #before = 0;
  #pieces: Piece[] = [];
  readonly #arrivals = new Arrivals();
  /** Hosts that are held, and at how many it is looked whether some are there twice. */
  #held = 0;
  #many = MANY;

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
    this.#held += hostsOf(this.#pieces);
    this.#pieces = [];
    if (this.#held >= this.#many) this.#dropRepeats();
  }

  #dropRepeats(): void {
    const all = this.#segments.flatMap((segment) => segment.pieces.filter(isArrival));
    if (!areDistinct(all)) {
      const left = withoutRepeats(all).values();
      for (const [i, segment] of this.#segments.entries()) {
        const pieces = segment.pieces.map((piece) =>
          isArrival(piece) ? left.next().value! : piece,
        );
        this.#segments[i] = { ...segment, pieces };
      }
    }
    this.#held = this.#segments.reduce((n, { pieces }) => n + hostsOf(pieces), 0);
    this.#many = Math.max(MANY, 4 * this.#held);
  }

  finish(): ThreadScan {
    const keys = this.#scanner.otherKeys();
    const spellings: string[] = [];
    for (const name of this.#lists.subarray(0, this.#listed))
      spellings[name] ??= this.#scanner.spelling(name);
    this.#scanner.free();
    return {
      kinds: this.#kinds,
      segments: this.#segments,
      lists: this.#lists.slice(0, this.#listed),
      spellings,
      counts: this.#counts,
      keys,
      tooLong: this.#tooLong,
    };
  }

  kind(line: Uint8Array, number: number, variant: Variant | null): number {
    if (variant) return this.#variant(variant);
    const place = { segment: this.#segment, number: number - this.#before };
    return this.#kinds.push({ line: line.slice(), ...place }) - 1;
  }

  #variant({ of, names }: Variant): number {
    const end = this.#listed + names.length;
    if (end > this.#lists.length) {
      const grown = new Uint16Array(2 * end);
      grown.set(this.#lists);
      this.#lists = grown;
    }
    this.#lists.set(names, this.#listed);
    this.#listed = end;
    return this.#kinds.push({ of, end }) - 1;
  }

  other(line: Uint8Array, number: number): void {
    this.#flush();
    this.#pieces.push({ line: line.slice(), number: number - this.#before });
  }

  found(hosts: FoundHosts): void {
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
