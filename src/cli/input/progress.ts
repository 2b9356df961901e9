// A word to a person who waits: how far a long reading has come, on a terminal only, gone when it is done.
import type { SingleBar } from 'cli-progress';
import type { Output } from '../io.ts';
import { number } from '../screen/text.ts';
import type { Progress } from './inputs.ts';

/** Nobody wonders before, nor reads faster than this (milliseconds). */
const PATIENCE = 400;
const PACE = 100;

/** What is counted on the way: files, the bytes of large ones, or what a QEMU is asked about. */
export type ProgressUnit = 'files' | 'bytes' | 'machine types';

export function progressOn(output: Output, quiet: boolean, unit: ProgressUnit = 'files'): Progress {
  if (!output.isTTY || quiet) return () => {};
  const start = Date.now();
  let next = start + PATIENCE;
  let bar: SingleBar | null = null;
  let drawn = false;
  let loading: Promise<void> | undefined;
  const load = (): Promise<void> => {
    loading ??= import('cli-progress').then(({ default: { SingleBar } }) => {
      // The library draws on streams of Node, and what is handed in here is one where it is a terminal.
      const stream = output as unknown as NodeJS.WriteStream;
      // The terminal stays as it is, for a signal may end this at any moment.
      const how = { hideCursor: false, linewrap: true };
      bar = new SingleBar({ stream, format, clearOnComplete: true, fps: 10, ...how });
    });
    return loading;
  };
  const report = (done: number, total: number): void => {
    if (done >= total) {
      if (drawn) bar!.stop();
      drawn = false;
    } else if (Date.now() >= next) {
      next = Date.now() + PACE;
      if (!bar) {
        void load();
        return;
      }
      if (!drawn) bar.start(total, done);
      drawn = true;
      bar.update(done);
      bar.render();
    }
  };
  return Object.assign(report, { load });

  function format(_: unknown, { value, total }: { value: number; total: number }): string {
    const seconds = (Date.now() - start) / 1000;
    const share = total > 0 ? value / total : 0;
    const left = share > 0 ? Math.ceil((seconds * (1 - share)) / share) : 0;
    const rate = value / Math.max(seconds, 0.001);
    const what =
      unit === 'bytes'
        ? `${number(Math.round(rate / 1e6))} MB/s`
        : `${number(value)} of ${number(total)} ${unit}`;
    return `${unit === 'machine types' ? 'asking' : 'reading'} ${Math.floor(share * 100)} %, ${what}, ${left} s left`;
  }
}
