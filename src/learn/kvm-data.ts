// What KVM gives to guests, by module and kernel: the facts' rows, with equal ones once for all features that have them.
import type {
  KvmFile,
  KvmModule,
  KvmOnTop,
  KvmRow,
  LearntKvm,
  LearntKvmRow,
} from '../cpu/schema.ts';
import { type Facts, given, type Json } from './facts.ts';

type Learnt = Omit<KvmFile, 'schema' | 'source'>;
type Rule = KvmFile['rules'][number];

const BOTH: readonly KvmModule[] = ['Intel', 'AMD'];
const MODULES: Readonly<Record<string, KvmModule>> = { GenuineIntel: 'Intel', AuthenticAMD: 'AMD' };

export function kvmData({ kvm, curated }: Facts): Learnt {
  const { modules, elsewhere, byModel, hiddenWith, hybrid, qemu, unshown } = curated.kvm;
  // A kernel of a distribution stands beside the mainline, which is in its own order.
  const versions: string[] = kvm.sources
    .map((s: Json) => s.version)
    .filter((v: string) => /^\d/.test(v));
  const distributions = versions.filter((v) => /\.el\d/.test(v));
  const kernels = versions.filter((v) => !distributions.includes(v));
  const range = ({ from, until, also = [], kernels: list }: Json): string[] => {
    if (list !== undefined) return list;
    const last = until ?? kernels.at(-1);
    return [from === last ? from : `${from}..${last}`, ...also];
  };
  const rowOf = (r: Json): KvmRow =>
    given({
      vendor: MODULES[r.vendor],
      kernels: range(r),
      when: r.when,
      hardware: r.hardware,
      of: r.of?.map((term: string) => term.split('+').map((bit) => elsewhere[bit] ?? bit)),
      needs: r.needs,
      barredBy: /hybrid CPU/.test(r.unless) ? hybrid : undefined,
      raw: r.raw,
      // Of what another feature decides, that one says who.
      why: r.when === 'conditional' && !r.needs ? r.why : undefined,
    });
  const read = { kernels, distributions };
  const columns = Object.entries<Json>(kvm.features).map(([name, { offered }]): Columns => {
    const rows: KvmRow[] = offered.map(rowOf);
    return { name, byModule: BOTH.map((module) => expanded(rows, module, read)) };
  });
  checkOnTop(kvm, qemu);
  return {
    ...read,
    modules,
    outOfOrder: kvm.nonMonotone,
    unshown,
    byModel,
    hides: kvm.linuxHides.map((h: Json) =>
      given({
        feature: h.feature,
        vendor: MODULES[h.vendor],
        kernels: range(h),
        models: h.models,
        unsure: h.sure === false,
        with: hiddenWith.features[h.feature],
        why: h.why,
      }),
    ),
    qemu,
    rules: rulesOf(columns, read),
  };
}

/**
 * The table with the column of a further kernel of the mainline. What could not be read there is as on the kernel before
 * it; the answer names that, for a person to look at.
 */
export function withColumn(file: Learnt, learnt: LearntKvm): { file: Learnt; carried: string[] } {
  const { kernel } = learnt;
  if (file.kernels.includes(kernel)) throw new Error(`kernel ${kernel} is in the table already`);
  const kernels = [...file.kernels, kernel].sort(order);
  const before = kernels[kernels.indexOf(kernel) - 1];
  if (before === undefined) throw new Error(`kernel ${kernel} is older than all of the table`);
  const rowOf = new Map(
    learnt.rules.flatMap(({ features, vendor, row }) =>
      features.map((name) => [`${vendor} ${name}`, row] as const),
    ),
  );
  const carried: string[] = [];
  const columns = file.rules.flatMap(({ features, rows }) =>
    features.map((name): Columns => {
      const byModule = BOTH.map((vendor) => {
        const own = expanded(rows, vendor, file);
        const last = own.get(before)!;
        const now = rowOf.get(`${vendor} ${name}`);
        if (!now) carried.push(`${vendor} ${name}`);
        // A row that says the same says more beside: who decides.
        const same = now && [last, ...own.values()].find((row) => isSame(now, row));
        return own.set(kernel, same ?? now ?? last);
      });
      return { name, byModule };
    }),
  );
  const wider = <T extends { kernels?: string[] }>(rule: T): T =>
    rule.kernels
      ? { ...rule, kernels: rule.kernels.flatMap((r) => ranged(r, kernels, file)) }
      : rule;
  return {
    file: {
      ...file,
      kernels,
      rules: rulesOf(columns, { kernels, distributions: file.distributions }),
      hides: file.hides.map(wider),
      qemu: file.qemu,
    },
    carried,
  };
}

/** By their numbers; what is a candidate comes between others of its series. */
function order(a: string, b: string): number {
  const [x, y] = [a, b].map((text) => [...text.matchAll(/\d+/g)].map(Number));
  return x![0]! - y![0]! || (x![1] ?? 0) - (y![1] ?? 0) || (x![2] ?? 0) - (y![2] ?? 0);
}

type Read = Pick<KvmFile, 'kernels' | 'distributions'>;

/** Of a feature the row on each kernel, by module. */
interface Columns {
  readonly name: string;
  readonly byModule: readonly ReadonlyMap<string, LearntKvmRow>[];
}

/** Of a module the row of each kernel. */
function expanded(
  rows: readonly KvmRow[],
  vendor: KvmModule,
  { kernels, distributions }: Read,
): Map<string, LearntKvmRow> {
  const out = new Map<string, LearntKvmRow>();
  for (const {
    vendor: of = vendor,
    kernels: ranges = [...kernels, ...distributions],
    ...row
  } of rows)
    if (of === vendor)
      for (const range of ranges) {
        const [from, until = from] = range.split('..');
        const at = kernels.indexOf(from!);
        const all = at < 0 ? [from!] : kernels.slice(at, kernels.indexOf(until!) + 1);
        for (const kernel of all) out.set(kernel, row);
      }
  return out;
}

/** The table's rules: what is the same for both modules once, and features with the same rows together. */
function rulesOf(columns: readonly Columns[], read: Read): Rule[] {
  const rules = new Map<string, Rule>();
  for (const { name, byModule } of columns) {
    const [intel, amd] = byModule.map((own) => collected(own, read));
    const isOne = JSON.stringify(intel) === JSON.stringify(amd);
    const rows = isOne
      ? intel!
      : [intel!, amd!].flatMap((own, i) => own.map((row) => ({ vendor: BOTH[i]!, ...row })));
    const key = JSON.stringify(rows);
    const same = rules.get(key);
    if (same) same.features.push(name);
    else rules.set(key, { features: [name], rows });
  }
  return [...rules.values()];
}

/** The rows of a module again: what is equal on kernels that follow each other is a range. */
function collected(
  own: ReadonlyMap<string, LearntKvmRow>,
  { kernels, distributions }: Read,
): KvmRow[] {
  const byRow = new Map<string, { row: LearntKvmRow; ranges: string[] }>();
  let before: unknown;
  for (const kernel of [...kernels, ...distributions]) {
    const row = own.get(kernel)!;
    const key = JSON.stringify(row);
    const same = byRow.get(key) ?? { row, ranges: [] };
    byRow.set(key, same);
    if (same === before && kernels.includes(kernel))
      same.ranges.push(`${same.ranges.pop()!.split('..')[0]}..${kernel}`);
    else same.ranges.push(kernel);
    before = same;
  }
  const [only, ...others] = byRow.values();
  if (others.length === 0) return [only!.row];
  return [...byRow.values()].map(({ row, ranges }) => ({ kernels: ranges, ...row }));
}

/** A range as it is among more kernels: it goes on up to the next that has another. */
function ranged(range: string, kernels: readonly string[], { kernels: before }: Learnt): string[] {
  const [from, until = from] = range.split('..');
  const at = kernels.indexOf(until!);
  if (at < 0) return [range];
  let last = at;
  while (last + 1 < kernels.length && !before.includes(kernels[last + 1]!)) last++;
  return [last === kernels.indexOf(from!) ? from! : `${from}..${kernels[last]}`];
}

const isSame = (a: LearntKvmRow, b: LearntKvmRow): boolean =>
  a.when === b.when &&
  a.hardware === b.hardware &&
  (a.raw ?? false) === (b.raw ?? false) &&
  setOf(a.of) === setOf(b.of) &&
  String(a.needs ?? '') === String(b.needs ?? '');

const setOf = (lists: readonly (readonly string[])[] = []): string =>
  lists
    .map((list) => [...list].sort().join('+'))
    .sort()
    .join(' ');

/** Whether every feature of which the facts say that QEMU does something has a rule for it. */
function checkOnTop(kvm: Json, qemu: readonly KvmOnTop[]): void {
  const ruled = new Set(qemu.flatMap((rule) => rule.features));
  for (const [name, { qemu: text }] of Object.entries<Json>(kvm.features))
    if (text !== undefined && !ruled.has(name))
      throw new Error(`curated.json has no rule for what QEMU does to ${name}: ${text}`);
}
