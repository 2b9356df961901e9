// Threads over one file: this one works too, the others are started for it and end with it.
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { QueryError } from '../../cpu/errors.ts';
import { type ScanOf, type TaskOf, WORKS, type Work } from './works.ts';

/** Does the work on a file with so many threads; the results are in no order. */
export async function scanFile<W extends Work>(
  name: string,
  work: W,
  task: Omit<TaskOf<W>, 'taken'>,
  threads: number,
  progress: (bytes: number) => void,
): Promise<ScanOf<W>[]> {
  const taken = new Int32Array(new SharedArrayBuffer(8));
  const shared = { ...task, taken } as TaskOf<W>;
  const others = Array.from({ length: threads - 1 }, () => start(name, work, shared));
  // A failure of theirs is looked at below, when this thread has done its part.
  for (const other of others) other.catch(() => {});
  // The threads start while this one does not come back to its events.
  await new Promise((resolve) => setImmediate(resolve));
  const scan = WORKS[work] as (task: TaskOf<W>, progress: () => void) => ScanOf<W>;
  const own = scan(shared, () => progress(Atomics.load(taken, 1) * 1024));
  return [own, ...(await Promise.all(others))];
}

function start<W extends Work>(name: string, work: W, task: TaskOf<W>): Promise<ScanOf<W>> {
  return new Promise((resolve, reject) => {
    const stopped = (cause?: unknown) =>
      reject(
        new QueryError(
          `${name} was not read to the end, because a thread of this command stopped; --threads 1 needs no other`,
          { cause },
        ),
      );
    const worker = new Worker(join(import.meta.dirname, 'worker.js'), {
      workerData: { work, task },
      // What a thread makes in JavaScript is little; the default lets garbage of 48 MB wait.
      resourceLimits: { maxYoungGenerationSizeMb: 2 },
    });
    worker.on('message', resolve);
    worker.on('error', stopped);
    worker.on('exit', () => stopped());
  });
}
