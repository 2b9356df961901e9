// A thread of the command: takes segments of a file and hands back what it found, without copying it.
import { parentPort, workerData } from 'node:worker_threads';
import { WORKS, type Work } from './cli/input/works.ts';

const work: Work = workerData.work;
const scan = WORKS[work](workerData.task, () => {});
parentPort!.postMessage(scan, arraysIn(scan.segments));

/** The memory of all arrays in a value. */
function arraysIn(value: unknown): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) return [value.buffer as ArrayBuffer];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(arraysIn) : [];
}
