// What an accelerator has for guests whatever the host: all that tcg emulates, and the words that KVM makes up.
import type { Row } from '../core/rows.ts';
import type { Catalog } from './catalog.ts';
import { tcgFeatures } from './properties.ts';

const tcgRows = new WeakMap<Catalog, Map<string, Row>>();

/** Features that tcg of this QEMU can give a guest. */
export function tcgRow(catalog: Catalog, qemu: string): Row {
  const rows = tcgRows.get(catalog) ?? new Map<string, Row>();
  tcgRows.set(catalog, rows);
  const row = rows.get(qemu) ?? catalog.row(tcgFeatures(catalog, qemu));
  rows.set(qemu, row);
  return row;
}

const kvmWords = new WeakMap<Catalog, Row>();

/** Features of KVM's own CPUID word, which a guest of KVM alone can have. */
export function kvmWord(catalog: Catalog): Row {
  const word =
    kvmWords.get(catalog) ??
    catalog.rowWhere(
      (f) => f.isKvm && f.places.some((p) => p.kind === 'cpuid' && p.register === 'eax'),
    );
  kvmWords.set(catalog, word);
  return word;
}
