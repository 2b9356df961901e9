// When a memo is worth its while: one that finds little sleeps, and tries again later.

// Where the words of a memo lie: what is left to sleep, how often it was asked, how often it found something.
const ASKED: usize = 4;
const FOUND: usize = 8;

/** Where fewer than ENOUGH of WINDOW are found, the next SLEEP are not looked for. */
const WINDOW: u32 = 1024;
const ENOUGH: u32 = 256;
const SLEEP: u32 = 16384;

/** Whether a memo is to be asked. */
export function isAwake(memo: usize): bool {
  const asleep = load<u32>(memo);
  if (asleep > 0) store<u32>(memo, asleep - 1);
  return asleep === 0;
}

/** What came of asking. */
export function rate(memo: usize, found: bool): void {
  const asked = load<u32>(memo, ASKED) + 1;
  const hits = load<u32>(memo, FOUND) + <u32>found;
  const over = asked === WINDOW;
  if (over && hits < ENOUGH) store<u32>(memo, SLEEP);
  store<u32>(memo, over ? 0 : asked, ASKED);
  store<u32>(memo, over ? 0 : hits, FOUND);
}
