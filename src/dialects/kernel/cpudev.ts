// What dd reads from /dev/cpu/N/cpuid: sixteen bytes a leaf (eax, ebx, ecx, edx, least byte first), from leaf 0 on.
// The device cannot say which leaf a record is, so only an unbroken run from 0 (or 0x80000000) can be told.
import { QueryError } from '../../cpu/errors.ts';
import { brandOf, decodeWords } from '../../cpu/proven/cpuid-words.ts';
import { Words } from '../../cpu/register-words.ts';
import type { Dialect } from '../dialect.ts';
import { processorKey, untold } from '../words/blank-description.ts';

const RECORD = 16;
/** The twelve letters of leaf 0, in the order of the registers in a record. */
const LETTERS = ['GenuntelineI', 'AuthcAMDenti', 'HygouinenGen', 'CentaulsaurH', '  Shai  angh'];
const EXTENDED = 0x80000000;

export const cpudev: Dialect = {
  name: 'cpudev',
  recognises: (head) => LETTERS.includes(head.slice(4, 16)) && head.slice(1, 4) === '\0\0\0',
  proves: [
    {
      document: '/dev/cpu/N/cpuid',
      view: 'hardware',
      words: 'cpuid',
      unlisted: 'absent',
      leavesOut: 'leaves and subleaves that it cannot reach',
    },
  ],
  read: ({ name, bytes }, catalog) => {
    if (bytes.length % RECORD !== 0)
      throw new QueryError(
        `${name} has ${bytes.length} bytes; a reading of /dev/cpu/N/cpuid has sixteen a leaf, so it is cut short`,
      );
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const record = (i: number) => {
      const [eax, ebx, ecx, edx] = [0, 4, 8, 12].map((at) => view.getUint32(i * RECORD + at, true));
      return { eax: eax!, ebx: ebx!, ecx: ecx!, edx: edx! };
    };
    const words = new Words();
    const count = bytes.length / RECORD;
    const top = record(0).eax;
    let next = 0;
    for (let i = 0; i < count; i++, next++) {
      const value = record(i);
      // Extended leaves read with a second dd follow where the first run ends.
      if (next > top && next < EXTENDED && value.eax >>> 8 === EXTENDED / 0x100) next = EXTENDED;
      if (next <= top || next >= EXTENDED) words.setLeaf(next, 0, value);
    }
    const { physBits, ...processor } = decodeWords(catalog, words);
    return [
      {
        ...untold(catalog, 'cpudev', 1),
        ...processor,
        view: 'hardware',
        limits: { physBits },
        words,
        keys: processorKey(brandOf(words)),
        notes: [
          {
            code: 'subleaves-missing',
            message:
              'a reading of /dev/cpu/N/cpuid holds the first subleaf of each leaf only, so what others tell is unknown; cpuid -1r reads them all',
          },
        ],
      },
    ];
  },
};
