// QEMU's CPUID words as features of the catalog, read the slow way.
import { emptyRow, type Row, setBit } from '../../src/core/rows.ts';
import type { Catalog } from '../../src/cpu/catalog/catalog.ts';

/** An element of the properties feature-words and filtered-features. */
export interface Word {
  readonly 'cpuid-input-eax': number;
  readonly 'cpuid-input-ecx'?: number;
  readonly 'cpuid-register': string;
  readonly features: number;
}

/** The named features that are on in these words, and all that the words could hold. */
export function featuresOfWords(catalog: Catalog, words: readonly Word[]): { on: Row; all: Row } {
  const on = emptyRow(catalog.bits);
  const all = emptyRow(catalog.bits);
  for (const f of catalog.features)
    for (const place of f.places) {
      if (place.kind !== 'cpuid') continue;
      const word = words.find(
        (w) =>
          w['cpuid-input-eax'] === place.leaf &&
          (w['cpuid-input-ecx'] ?? 0) === place.subleaf &&
          w['cpuid-register'].toLowerCase() === place.register,
      );
      if (!word) continue;
      setBit(all, f.id);
      if ((word.features >>> place.bit) & 1) setBit(on, f.id);
    }
  return { on, all };
}
