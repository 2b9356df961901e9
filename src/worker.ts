// A thread of the command: takes segments of a file and hands back what it found, without copying it.
import { parentPort, workerData } from 'node:worker_threads';
import { scanSegments } from './cli/segments.ts';

const scan = scanSegments(workerData);
const buffers = scan.segments.flatMap(({ pieces }) =>
  pieces.flatMap((piece) =>
    'ends' in piece ? [piece.kinds.buffer, piece.ends.buffer, piece.ids.buffer] : [],
  ),
);
parentPort!.postMessage(scan, buffers as ArrayBuffer[]);
