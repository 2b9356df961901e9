// What every 64-bit guest needs, and so every host that runs one has: a description that does not tell of it leaves
// nothing open. test/catalog.test.ts holds the list against every model of QEMU.
import { clearBit, hasBit, meet, minus, type Row } from '../core/rows.ts';
import type { Catalog } from './catalog.ts';
import { type Description, isShown } from './host.ts';

/** A switch of the firmware or an old processor may lack them, and guests run without. */
const SWITCHED = ['de', 'mca', 'mce', 'mtrr', 'nx', 'pat', 'pse36', 'sep'];
const NEEDED = [
  'apic',
  'clflush',
  'cmov',
  'cx8',
  'fpu',
  'fxsr',
  'lm',
  'mmx',
  'msr',
  'pae',
  'pge',
  'pse',
  'sse',
  'sse2',
  'syscall',
  'tsc',
];
/** Of the first leaf: a processor without one of them has no long mode. */
const BEFORE_LONG_MODE = ['pae', 'cmov', 'sse2'];

interface Floor {
  /** Without one of these there is no 64-bit guest. */
  readonly needed: Row;
  readonly all: Row;
  readonly longMode: Row;
}

const floors = new WeakMap<Catalog, Floor>();

export function floorOf(catalog: Catalog): Floor {
  let floor = floors.get(catalog);
  if (!floor) {
    floor = {
      needed: catalog.x86Row(NEEDED),
      all: catalog.x86Row([...NEEDED, ...SWITCHED]),
      longMode: catalog.x86Row(['lm', ...BEFORE_LONG_MODE]),
    };
    floors.set(catalog, floor);
  }
  return floor;
}

/** The architecture, also where flags or leaves show a 32-bit processor. */
export function archOf(catalog: Catalog, d: Description): string {
  if (d.arch !== 'x86_64' || !isShown(d)) return d.arch;
  const lacking = minus(meet(d.known, floorOf(catalog).longMode), d.has);
  return lacking.some((word) => word !== 0) ? 'i686' : d.arch;
}

/** Takes back that a list of what is there lacks what it need not list. */
export function openFloor(catalog: Catalog, has: Row, known: Row): void {
  for (const name of [...NEEDED, ...SWITCHED]) {
    const { id } = catalog.feature(name);
    if (!hasBit(has, id)) clearBit(known, id);
  }
}
