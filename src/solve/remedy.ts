// Why a host lacks a feature, as far as the data tells: another host with the same processor has it, or a processor of
// that kind is known with it (then firmware, microcode or software took it), or none ever had it.
import { bitsOf, hasBit, join, meet, minus } from '../core/rows.ts';
import { byBytes } from '../cpu/order.ts';
import type { Fleet, Member } from '../fleet/fleet.ts';
import type { Finding } from './answer.ts';
import type { BlameGroup, Remedy } from './answer-plan.ts';
import type { Board } from './board.ts';

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
  /** Hosts of a side by their processor. */
  readonly #bySku = new WeakMap<Board, Map<string, Member[]>>();
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
      for (const members of this.#skus(board).values()) {
        const { fleet, rows } = board;
        const all = members.map((m) => rows[m.class]!);
        const some = all.reduce(join);
        // What a description leaves open is no difference.
        const lacking = members.map((m) =>
          minus(fleet.narrow(fleet.known(m.class)), rows[m.class]!),
        );
        const differs = meet(some, lacking.reduce(join));
        if (bitsOf(differs).length === 0) continue;
        const facts = this.#versions(members);
        findings.push({
          code: 'sku-drift',
          severity: 'warning',
          ...fleet.list(members.map((m) => fleet.members.indexOf(m))),
          message: `${skuText(members[0]!)} on ${who(members)}: the same processor, but not all offer ${listOf(fleet.catalog.names(differs))}${facts === '' ? '' : ` (${facts})`}; firmware, microcode or software differs, not silicon`,
        });
      }
    return findings.sort((a, b) => byBytes(a.message, b.message));
  }

  /** The reason that is hardest to mend among the hosts of these classes. */
  #worst(board: Board, classes: readonly number[], id: number): Reason {
    const reasons = new Map<Remedy, Reason>();
    for (const index of classes)
      for (const sku of new Set(
        board.fleet.hostsOf[index]!.map((i) => skuOf(board.fleet.members[i]!)),
      )) {
        const lacker = board.fleet.hostsOf[index]!.map((i) => board.fleet.members[i]!).find(
          (m) => skuOf(m) === sku,
        )!;
        const reason = this.#why(board, index, lacker, id);
        if (!reasons.has(reason.remedy)) reasons.set(reason.remedy, reason);
        if (reason.remedy === 'replace') return reason;
      }
    return reasons.get('unknown') ?? reasons.get('mend')!;
  }

  #why(board: Board, index: number, host: Member, id: number): Reason {
    const { fleet } = board;
    if (!hasBit(fleet.known(index), id))
      return {
        remedy: 'unknown',
        because: 'its description cannot tell; virsh domcapabilities would settle it',
      };
    const sku = skuOf(host);
    if (sku === null)
      return { remedy: 'unknown', because: 'its processor is not known (no signature was given)' };
    const peer = this.#skus(board)
      .get(sku)!
      .find((m) => hasBit(board.rows[m.class]!, id));
    if (peer) {
      const facts = this.#versions([host, peer]);
      return {
        remedy: 'mend',
        because: `same SKU as ${peer.id}, which has it${facts === '' ? '' : `; ${facts}`}`,
      };
    }
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

  #skus(board: Board): Map<string, Member[]> {
    let skus = this.#bySku.get(board);
    if (!skus) {
      skus = new Map();
      for (const m of board.fleet.members) {
        const sku = skuOf(m);
        if (sku === null) continue;
        const same = skus.get(sku);
        if (same) same.push(m);
        else skus.set(sku, [m]);
      }
      this.#bySku.set(board, skus);
    }
    return skus;
  }

  /** Features of the models that libvirt gives to this kind of processor; null where it has none. */
  #known({ signature }: Member, vendor: string | null): ReadonlySet<number> | null {
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

  /** How the software and microcode of these hosts differ, in words. */
  #versions(members: readonly Member[]): string {
    const differing = (what: string, of: (m: Member) => string | null) => {
      const values = [...new Set(members.map(of).filter((v) => v !== null))].sort(byBytes);
      return values.length > 1 ? [`${what} ${values.slice(0, NAMED).join(', not ')}`] : [];
    };
    const first = members[0]!.microcode;
    const other = members.find((m) => m.microcode !== null && m.microcode !== first)?.microcode;
    const microcode =
      members.length === 2 && first !== null && other !== undefined
        ? [`microcode ${first}, not ${other}`]
        : differing('microcode', (m) => m.microcode);
    const keys = ['bios', 'kernel', 'hypervisor', 'libvirt', 'firmware'];
    return [
      ...microcode,
      ...differing('QEMU', (m) => m.qemu),
      ...differing('machine type', (m) => m.machine),
      ...keys.flatMap((key) =>
        differing(key, (m) => (m.keys[key] === undefined ? null : String(m.keys[key]))),
      ),
    ].join(', ');
  }
}

const skuOf = (m: Member): string | null =>
  m.signature && `${m.signature.family} ${m.signature.model} ${m.signature.stepping}`;

const skuText = ({ signature: s }: Member): string =>
  s ? `family ${s.family}, model ${s.model}, stepping ${s.stepping}` : 'unknown';

function listOf(names: readonly string[]): string {
  const more = names.length - NAMED;
  return more > 1 ? `${names.slice(0, NAMED).join(' ')} and ${more} more` : names.join(' ');
}

const who = (members: readonly Member[]): string => listOf(members.map((m) => m.id).sort(byBytes));
