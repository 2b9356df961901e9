// Where the repository and the facts beside it lie; a bundled test may be anywhere under build/.
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'package.json'))) dir = dirname(dir);
  return dir;
}

export const ROOT = findRoot();

const shared = process.env.PLIMSOLL_SHARED ?? resolve(ROOT, '../shared');

/** The folder of facts and cases, or null where it is not there. */
export const SHARED = existsSync(join(shared, 'facts')) ? shared : null;

/** Says on stderr what is not tested, and why: nothing is left out in silence. */
export function sayMissing(what: string, without: string): void {
  console.error(`skipped: ${what}: ${without} is not there`);
}
