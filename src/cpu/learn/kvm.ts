// What KVM gives to guests, by module and kernel: the facts' rows, with equal ones once for all features that have them.
import type { KvmFile, KvmModule, KvmOnTop, KvmRow } from '../schema.ts';
import { type Facts, given, type Json } from './facts.ts';

type Learnt = Omit<KvmFile, 'schema' | 'source'>;

const MODULES: Readonly<Record<string, KvmModule>> = { GenuineIntel: 'Intel', AuthenticAMD: 'AMD' };

export function learnKvm({ kvm, curated }: Facts): Learnt {
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
  const rules = new Map<string, { features: string[]; rows: KvmRow[] }>();
  for (const [name, { offered }] of Object.entries<Json>(kvm.features)) {
    const rows = offered.map(rowOf);
    const key = JSON.stringify(rows);
    const same = rules.get(key);
    if (same) same.features.push(name);
    else rules.set(key, { features: [name], rows });
  }
  checkOnTop(kvm, qemu);
  return {
    kernels,
    distributions,
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
    rules: [...rules.values()],
  };
}

/** Whether every feature of which the facts say that QEMU does something has a rule for it. */
function checkOnTop(kvm: Json, qemu: readonly KvmOnTop[]): void {
  const ruled = new Set(qemu.flatMap((rule) => rule.features));
  for (const [name, { qemu: text }] of Object.entries<Json>(kvm.features))
    if (text !== undefined && !ruled.has(name))
      throw new Error(`curated.json has no rule for what QEMU does to ${name}: ${text}`);
}
