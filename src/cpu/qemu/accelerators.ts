// What an accelerator has for guests whatever the host: all that tcg emulates, and the words that KVM makes up.
import { bitsOf, meet, type Row } from '../../core/rows.ts';
import type { Catalog } from '../catalog/catalog.ts';
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

/** Beside those that QEMU asks for by itself, one that every KVM has given since 2012. */
const GIVEN = ['kvm-pv-unhalt'];
/** Withdrawn long ago, and only for machines whose interrupt controller is split. */
const WITHHELD = ['kvm-mmu', 'kvm-msi-ext-dest-id'];

/** Of KVM's own word, where nobody tells of it: what every guest is given, and what none is by default. */
export function assumedOfKvm(catalog: Catalog): {
  readonly given: readonly number[];
  readonly withheld: readonly number[];
} {
  const ids = (names: readonly string[]) => names.map((name) => catalog.feature(name).id);
  const asked = bitsOf(meet(catalog.accelerators.kvm.on, kvmWord(catalog)));
  return { given: [...asked, ...ids(GIVEN)], withheld: ids(WITHHELD) };
}
