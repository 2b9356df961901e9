// CPUID of processors made up for tests, as `cpuid -r` and its kin print it.

/** A dump of one processor with these words of some leaves; all other leaves up to the last are zero. */
export function dump(letters: string, signature: number, leaves: Record<string, string>): string {
  const word = (at: number) =>
    [3, 2, 1, 0]
      .map((i) =>
        letters
          .charCodeAt(at + i)
          .toString(16)
          .padStart(2, '0'),
      )
      .join('');
  const hex = (n: number) => n.toString(16).padStart(8, '0');
  const all: Record<string, string> = {
    '00000000': `0000000d-${word(0)}-${word(8)}-${word(4)}`,
    '00000007.00': '00000000-00000000-00000000-00000000',
    '00000001': `${hex(signature)}-00000000-04000000-07808111`,
    '80000000': '80000008-00000000-00000000-00000000',
    '80000001': '00000000-00000000-00000001-20100800',
    '80000008': '00003030-00000000-00000000-00000000',
    ...leaves,
  };
  return Object.entries(all)
    .map(([leaf, words]) => {
      const [number, subleaf] = leaf.split('.');
      return `CPUID ${number}: ${words.toUpperCase()}${subleaf === undefined ? '' : ` [SL ${subleaf}]`}\n`;
    })
    .join('');
}
export const INTEL = 'GenuineIntel';
export const AMD = 'AuthenticAMD';
