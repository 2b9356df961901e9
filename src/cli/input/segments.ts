// A large file in segments, which threads take one after another. Where a segment begins and ends is settled by the
// bytes of the file alone, so it does not matter who takes which.
import { readSync } from 'node:fs';

/** Bytes of a segment: few enough that no thread waits long for the last one. */
export const SEGMENT = 16 * 1024 * 1024;

/** What every thread is told; `taken` is the one memory that they share. */
export interface Task {
  readonly fd: number;
  readonly size: number;
  /** Bytes of a segment. */
  readonly segment: number;
  /** Segments that were begun, and bytes that were scanned in KiB. */
  readonly taken: Int32Array;
}

interface Scanner {
  room(): Uint8Array;
  take(bytes: number): void;
  end(): void;
}

/**
 * Takes segments until there are none left and scans each; `beginning` says where the first line, or whatever must
 * stay whole, begins that does not begin before an offset. Around each, `began` and `ended` are called.
 */
export function takeSegments(
  { fd, size, segment, taken }: Task,
  scanner: Scanner,
  beginning: (offset: number) => number,
  on: { began(segment: number): void; progress(): void; ended(isLast: boolean): void },
): void {
  for (;;) {
    const n = Atomics.add(taken, 0, 1);
    if (n * segment >= size) return;
    on.began(n);
    const end = beginning((n + 1) * segment);
    for (let at = beginning(n * segment); at < end; ) {
      const room = scanner.room();
      const bytes = readSync(fd, room, 0, Math.min(room.length, end - at), at);
      // A file that was cut while it is read ends here.
      if (bytes === 0) break;
      scanner.take(bytes);
      at += bytes;
      on.progress();
    }
    scanner.end();
    on.ended(end === size);
    Atomics.add(taken, 1, segment >> 10);
  }
}

/** Nobody takes another segment. */
export function takeNoMore({ taken, size, segment }: Task): void {
  Atomics.store(taken, 0, Math.ceil(size / segment));
}
