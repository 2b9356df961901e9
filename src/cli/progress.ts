// A word to a person who waits: how far a long reading has come, on a terminal only, gone when it is done.
import type { Progress } from './inputs.ts';
import type { Output } from './io.ts';
import { number } from './text.ts';

/** Nobody wonders before, nor reads faster than this (milliseconds). */
const PATIENCE = 400;
const PACE = 100;

export function progressOn(output: Output, quiet: boolean): Progress {
  if (!output.isTTY || quiet) return () => {};
  let next = Date.now() + PATIENCE;
  let shown = false;
  const put = (text: string) => output.write(`\r${text}\u001b[K`, () => {});
  return (done, total) => {
    if (done === total && shown) put('');
    if (done === total || Date.now() < next) return;
    next = Date.now() + PACE;
    shown = true;
    put(`reading ${number(done)} of ${number(total)} files`);
  };
}
