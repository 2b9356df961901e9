// A kernel's column of the table of what KVM gives, held against what was read of a source.
import type { KvmFile, KvmModule, KvmRow, LearntKvm, LearntKvmRow } from '../../src/cpu/schema.ts';

/** Of a module and a kernel of the table the row of each feature. */
export function columnOf(
  file: Pick<KvmFile, 'kernels' | 'distributions' | 'rules'>,
  vendor: KvmModule,
  kernel: string,
): Map<string, KvmRow> {
  const all = [...file.kernels, ...file.distributions];
  const at = all.indexOf(kernel);
  const covers = (row: KvmRow) =>
    !row.kernels ||
    row.kernels.some((range) => {
      const [from, until = from] = range.split('..').map((text) => all.indexOf(text));
      return from! <= at && at <= until!;
    });
  return new Map(
    file.rules.flatMap(({ features, rows }) => {
      const row = rows.find((r) => (r.vendor ?? vendor) === vendor && covers(r))!;
      return features.map((name) => [name, row] as const);
    }),
  );
}

/** What a row decides by; who decides is words. */
export const essenceOf = ({ when, hardware, of, needs, raw, barredBy }: LearntKvmRow): string =>
  JSON.stringify([
    when,
    hardware,
    of?.map((list) => [...list].sort().join('+')).sort(),
    needs,
    raw,
    barredBy,
  ]);

/** How much of a column was read right, and what is otherwise. */
export function heldAgainst(
  learnt: LearntKvm,
  vendor: KvmModule,
  column: ReadonlyMap<string, KvmRow>,
) {
  const read = new Map(
    learnt.rules
      .filter((rule) => rule.vendor === vendor)
      .flatMap(({ features, row }) => features.map((name) => [name, row] as const)),
  );
  const differing: string[] = [];
  let right = 0;
  for (const [name, row] of column) {
    const own = read.get(name);
    if (!own) continue;
    // Where a guest has no performance counters depends on what VMX tells, which is not read.
    const { barredBy: _, ...plain } = row;
    if (essenceOf(own) === essenceOf(plain)) right++;
    else differing.push(`${name}: ${essenceOf(own)}, not ${essenceOf(plain)}`);
  }
  return { right, differing, unread: column.size - right - differing.length };
}
