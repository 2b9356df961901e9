// /proc/cpuinfo of a POWER host: it lists no features; the version register of its processors says what they are.
import { powerName } from '../../cpu/arch/power.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description, Note } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { ProcessorBlock } from './cpuinfo-blocks.ts';

const VERSION = /\(pvr ([0-9a-f]{4}) ([0-9a-f]{4})\)$/i;

/** What the kernel calls it: `POWER9 (raw), altivec supported`. */
const NAME = /^[^\s,(]+/;

/** The processor version register of a processor, or null where it is none of POWER. */
export function pvrOf({ fields }: ProcessorBlock): number | null {
  const found = VERSION.exec(fields.get('revision') ?? '');
  return found && Number.parseInt(`${found[1]}${found[2]}`, 16);
}

/** One host from what its processors say; `blank` is a description in which nothing is said yet. */
export function describePower(
  catalog: Catalog,
  blank: Description,
  blocks: readonly ProcessorBlock[],
  where: (block: ProcessorBlock) => string,
): Description {
  const pvr = pvrOf(blocks[0]!)!;
  for (const block of blocks) {
    const other = pvrOf(block);
    if (other === null)
      throw new QueryError(`${where(block)} is cut short: it has no "revision" line`);
    if (other !== pvr)
      throw new QueryError(
        `${where(block)} has another version register than its fellows; give each host a file of its own`,
      );
  }
  const cpu = blocks[0]!.fields.get('cpu') ?? '';
  const written = NAME.exec(cpu)?.[0] ?? 'POWER';
  const name = powerName(written) ?? written;
  const architected: Note = {
    code: 'compat-mode',
    message: `it runs in the mode of ${name}, as a partition or a guest does, whatever its processor is (PVR 0x${pvr.toString(16).padStart(8, '0')}), so its own guests have no newer mode`,
  };
  return {
    ...blank,
    arch: 'ppc64',
    // None of the catalog's features is one of POWER.
    known: catalog.rowWhere(() => true),
    pvr,
    model: { name, known: false },
    notes: /\(architected\)/.test(cpu) ? [architected] : [],
  };
}
