// The one order of names in answers: by UTF-8 bytes, so that it depends on no locale and no language's strings.

const SURROGATE = /[\ud800-\udfff]/;

/** Compares by UTF-8 bytes; JavaScript's own order of strings differs beyond U+FFFF. */
export function byBytes(a: string, b: string): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      // A surrogate stands for a code point above every other UTF-16 unit.
      const high = (c: number) => (c >= 0xd800 && c <= 0xdfff ? c + 0x10000 : c);
      return high(x) - high(y);
    }
  }
  return a.length - b.length;
}

/** Sorts names by UTF-8 bytes, in place. */
export const sortByBytes = (names: string[]): string[] =>
  // V8 sorts texts without a call a pair, and in another order where there are surrogates.
  names.some((name) => SURROGATE.test(name)) ? names.sort(byBytes) : names.sort();

/** Major and minor by number; a patch level of the wanted version does not make it older. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [a, b].map((v) => v.split('.').map(Number));
  return x![0]! - y![0]! || (x![1] ?? 0) - (y![1] ?? 0);
}

/** A version without its patch level: 10.0 of 10.0.13. */
export const minorOf = (version: string): string => version.split('.').slice(0, 2).join('.');
