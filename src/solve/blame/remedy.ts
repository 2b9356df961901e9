// Why a host lacks a feature, as far as the data tells: another host with the same processor has it, or a processor of
// that kind is known with it (then firmware, microcode or software took it), or none ever had it.
import { bitsOf, hasBit, isEmpty, join, meet, minus } from '../../core/rows.ts';
import { isShown, isX86 } from '../../cpu/description.ts';
import { byBytes } from '../../cpu/order.ts';
import { OtherKernels } from '../../cpu/proven/kvm-later.ts';
import type { Fleet, Kind } from '../../fleet/fleet.ts';
import type { Finding } from '../answer.ts';
import type { BlameGroup, Remedy } from '../answer-plan.ts';
import type { Board } from '../line/board.ts';

/** Hosts and features that a sentence names. */
const NAMED = 3;

/** What is known of one feature that one host does not offer. */
interface Reason {
  readonly remedy: Remedy;
  /** In words, for hosts that share it. */
  readonly because: string;
}

export class Remedies {
  readonly #fleet: Fleet;
  /** Kinds of hosts of a side by their processor. */
  readonly #bySku = new WeakMap<Board, Map<string, number[]>>();
  /** Of each class one kind of hosts for each processor in it. */
  readonly #kindsOf = new WeakMap<Board, readonly (readonly number[])[]>();
  readonly #kernels = new WeakMap<Kind, OtherKernels>();
  readonly #everHad = new Map<string, ReadonlySet<number> | null>();

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  /** What would bring these features back to these classes of hosts, and why. */
  of(
    board: Board,
    classes: readonly number[],
    features: readonly number[],
  ): Pick<BlameGroup, 'remedy' | 'because' | 'mend' | 'replace' | 'unsettled'> {
    const names: Record<Remedy, string[]> = { mend: [], replace: [], unknown: [] };
    const reasons = new Map<string, { remedy: Remedy; features: string[] }>();
    for (const id of features) {
      const found = this.#worst(board, classes, id);
      const name = board.fleet.featureName(id);
      names[found.remedy].push(name);
      const same = reasons.get(found.because);
      if (same) same.features.push(name);
      else reasons.set(found.because, { remedy: found.remedy, features: [name] });
    }
    const remedy: Remedy =
      names.replace.length > 0 ? 'replace' : names.unknown.length > 0 ? 'unknown' : 'mend';
    const said = [...reasons].sort(
      ([a, x], [b, y]) => y.features.length - x.features.length || byBytes(a, b),
    );
    return {
      remedy,
      because: said
        .map(([why, { features: of }]) => (said.length === 1 ? why : `${listOf(of)}: ${why}`))
        .join('; '),
      mend: names.mend.sort(byBytes),
      replace: names.replace.sort(byBytes),
      unsettled: names.unknown.sort(byBytes),
    };
  }

  /** Hosts with the same processor that do not offer the same. */
  drift(boards: readonly Board[]): Finding[] {
    const findings: Finding[] = [];
    for (const board of boards)
      for (const kinds of this.#skus(board).values()) {
        const { fleet, rows } = board;
        const classes = [...new Set(kinds.map((kind) => fleet.classOfKind[kind]!))];
        // What a description leaves open is no difference.
        const lacking = classes.map((i) => minus(fleet.narrow(fleet.known(i)), rows[i]!));
        const differs = meet(classes.map((i) => rows[i]!).reduce(join), lacking.reduce(join));
        if (isEmpty(differs)) continue;
        const list = hostsOf(fleet, kinds);
        const facts = versions(kinds.map((kind) => fleet.kinds[kind]!));
        findings.push({
          code: 'sku-drift',
          severity: 'warning',
          ...list,
          message: `${skuText(fleet.kinds[kinds[0]!]!)} on ${listOf(list.hosts, list.count)}: the same processor, but not all offer ${listOf(fleet.catalog.names(differs))}${facts === '' ? '' : ` (${facts})`}; firmware, microcode or software differs, not silicon`,
        });
      }
    return findings.sort((a, b) => byBytes(a.message, b.message));
  }

  /** The reason that is hardest to mend among the hosts of these classes. */
  #worst(board: Board, classes: readonly number[], id: number): Reason {
    const reasons = new Map<Remedy, Reason>();
    for (const index of classes)
      for (const kind of this.#examples(board, index)) {
        const reason = this.#why(board, index, kind, id);
        if (!reasons.has(reason.remedy)) reasons.set(reason.remedy, reason);
        if (reason.remedy === 'replace') return reason;
      }
    return reasons.get('unknown') ?? reasons.get('mend')!;
  }

  /** Of each processor in a class one kind of hosts. */
  #examples(board: Board, index: number): readonly number[] {
    let byClass = this.#kindsOf.get(board);
    if (!byClass) {
      const { fleet } = board;
      const bySku = fleet.classes.map(() => new Map<string | null, number>());
      for (const kind of fleet.kindsInOrder()) {
        const of = fleet.classOfKind[kind]!;
        const sku = skuOf(fleet.kinds[kind]!);
        if (!bySku[of]!.has(sku)) bySku[of]!.set(sku, kind);
      }
      byClass = bySku.map((kinds) => [...kinds.values()]);
      this.#kindsOf.set(board, byClass);
    }
    return byClass[index]!;
  }

  #why(board: Board, index: number, kind: number, id: number): Reason {
    const { fleet } = board;
    const host = fleet.kinds[kind]!;
    const isKnown = hasBit(fleet.known(index), id);
    const byKernel = this.#byKernel(host, id, isKnown);
    if (byKernel) return byKernel;
    if (!isKnown)
      return {
        remedy: 'unknown',
        because: fleet.catalog.arch.isX86
          ? 'its description cannot tell; virsh domcapabilities would settle it'
          : 'its description cannot tell',
      };
    const sku = skuOf(host);
    if (sku === null)
      return {
        remedy: 'unknown',
        because: host.identity
          ? 'its processor is not known (neither MIDR nor model was given)'
          : 'its processor is not known (no signature was given)',
      };
    const peer = this.#skus(board)
      .get(sku)!
      .find((other) => hasBit(board.rows[fleet.classOfKind[other]!]!, id));
    if (peer !== undefined) {
      const facts = versions([host, fleet.kinds[peer]!]);
      const [name] = hostsOf(fleet, [peer]).hosts;
      return {
        remedy: 'mend',
        because: `same SKU as ${name ?? 'another host'}, which has it${facts === '' ? '' : `; ${facts}`}`,
      };
    }
    if (host.identity && fleet.catalog.arch.splitsByModel)
      return {
        remedy: 'unknown',
        because: `no other ${skuText(host)} is there to tell whether it can have it`,
      };
    const ever = this.#known(host, fleet.classes[index]!.vendor);
    if (ever?.has(id))
      return {
        remedy: 'mend',
        because: `processors of this kind are known with it (${skuText(host)}), so microcode, firmware or software took it`,
      };
    return {
      remedy: 'replace',
      because: `no processor of this kind (${skuText(host)}) is known with it`,
    };
  }

  /** Where its kernel decides about a feature that its processor has. */
  #byKernel(host: Kind, id: number, isKnown: boolean): Reason | null {
    const [described] = host.described ?? [];
    if (host.described?.length !== 1 || !described) return null;
    const { description: d } = described;
    if (!isShown(d) || !isX86(d)) return null;
    let kernels = this.#kernels.get(host);
    if (!kernels) {
      kernels = new OtherKernels(this.#fleet.catalog, d);
      this.#kernels.set(host, kernels);
    }
    const { from, until, taken } = kernels.about(id);
    const own = d.asIf ?? d.kernel;
    if (from !== null)
      return own === null
        ? {
            remedy: 'unknown',
            because: `its kernel is not told, and KVM gives it from kernel ${from} on; --kernel says which it has`,
          }
        : { remedy: 'mend', because: `kernel ${from} would give it, in the place of ${own}` };
    // Newer kernels do not bring it back.
    return taken === null || !isKnown
      ? null
      : {
          remedy: 'replace',
          because: `KVM gave it on this processor up to kernel ${until}, and gives it no more from ${taken} on`,
        };
  }

  #skus(board: Board): Map<string, number[]> {
    let skus = this.#bySku.get(board);
    if (!skus) {
      skus = new Map();
      for (const kind of board.fleet.kindsInOrder()) {
        const sku = skuOf(board.fleet.kinds[kind]!);
        if (sku === null) continue;
        const same = skus.get(sku);
        if (same) same.push(kind);
        else skus.set(sku, [kind]);
      }
      this.#bySku.set(board, skus);
    }
    return skus;
  }

  /** Features of the models that libvirt gives to this kind of processor; null where it has none. */
  #known({ signature }: Kind, vendor: string | null): ReadonlySet<number> | null {
    const key = `${vendor} ${signature?.family} ${signature?.model} ${signature?.stepping}`;
    let known = this.#everHad.get(key);
    if (known === undefined) {
      const models = [...this.#fleet.catalog.libvirtModels.values()].filter(
        (m) =>
          m.vendor === vendor &&
          m.signatures.some(
            (s) =>
              s.family === signature?.family &&
              s.model === signature.model &&
              (s.steppings === null || s.steppings.includes(signature.stepping)),
          ),
      );
      known = models.length === 0 ? null : new Set(models.flatMap((m) => bitsOf(m.features)));
      this.#everHad.set(key, known);
    }
    return known;
  }
}

const hostsOf = (fleet: Fleet, kinds: readonly number[]) => {
  const wanted = new Set(kinds);
  return fleet.list(fleet.hostsWhere((_, kind) => wanted.has(kind)));
};

/** How the software and microcode of these hosts differ, in words: the first one's, not the others'. */
function versions(kinds: readonly Kind[]): string {
  const differing = (what: string, of: (kind: Kind) => string | null) => {
    const values = [...new Set(kinds.map(of).filter((value) => value !== null))];
    return values.length > 1 ? [`${what} ${values.slice(0, NAMED).join(', not ')}`] : [];
  };
  const facts: readonly [string, (kind: Kind) => string | null][] = [
    ['microcode', (k) => k.microcode],
    ['QEMU', (k) => k.qemu],
    ['machine type', (k) => k.machine],
    ...['bios', 'firmware', 'kernel', 'hypervisor', 'libvirt'].map(
      (key): [string, (kind: Kind) => string | null] => [
        key,
        (k) => (k.keys[key] === undefined ? null : String(k.keys[key])),
      ],
    ),
  ];
  return facts.flatMap(([what, of]) => differing(what, of)).join(', ');
}

const skuOf = ({ identity, ...k }: Kind): string | null =>
  identity
    ? (identity.midr?.join(' ') ?? identity.model)
    : k.signature && `${k.signature.family} ${k.signature.model} ${k.signature.stepping}`;

const skuText = ({ identity, signature: s }: Kind): string =>
  identity
    ? (identity.model ?? 'unknown')
    : s
      ? `family ${s.family}, model ${s.model}, stepping ${s.stepping}`
      : 'unknown';

function listOf(names: readonly string[], count = names.length): string {
  const more = count - NAMED;
  return more > 1 ? `${names.slice(0, NAMED).join(' ')} and ${more} more` : names.join(' ');
}
