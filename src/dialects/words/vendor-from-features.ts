// The vendor of a processor whose description does not name it, from features that one maker's alone were seen to offer.
import { bitsOf, type Row } from '../../core/rows.ts';
import type { Catalog, Vendor } from '../../cpu/catalog/catalog.ts';
import type { Note } from '../../cpu/description.ts';

const MAKERS: readonly Vendor[] = ['Intel', 'AMD'];

/** The maker whose own features prevail by far, and that it was inferred; null where none does. */
export function inferVendor(
  catalog: Catalog,
  has: Row,
): { readonly vendor: Vendor | null; readonly notes: readonly Note[] } {
  const hints = new Map<Vendor, number>(MAKERS.map((maker) => [maker, 0]));
  for (const id of bitsOf(has)) {
    const { offered } = catalog.features[id]!;
    const makers = MAKERS.filter((maker) => offered.has(maker));
    if (makers.length === 1) hints.set(makers[0]!, hints.get(makers[0]!)! + 1);
  }
  const [first, second] = [...hints].sort(([, a], [, b]) => b - a) as [
    [Vendor, number],
    [Vendor, number],
  ];
  if (first[1] <= 2 * second[1])
    return {
      vendor: null,
      notes: [
        {
          code: 'vendor-unknown',
          message:
            'nothing here tells the vendor; lscpu or /proc/cpuinfo of the host would, and one file may hold both',
        },
      ],
    };
  return {
    vendor: first[0],
    notes: [
      {
        code: 'vendor-inferred',
        message: `taken to be of ${first[0]}, for it has features that only ${first[0]} processors were seen to offer`,
      },
    ],
  };
}
