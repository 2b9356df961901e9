// plimsoll groups: the split of a fleet into pools that keeps the most features on the most hosts.
import { meet, type Row } from '../../core/rows.ts';
import { didYouMean } from '../../cpu/catalog/suggest.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import { own } from '../../cpu/own.ts';
import type { Fleet } from '../../fleet/fleet.ts';
import type { Finding } from '../answer.ts';
import type { CurvePoint, Groups, PoolGroup } from '../answer-plan.ts';
import { baseline } from '../baseline.ts';
import {
  Board,
  type Side,
  securityCost,
  sharedStack,
  sideFindings,
  sidesOf,
} from '../line/board.ts';
import type { BaselineOptions } from '../line/line.ts';
import { byWeight } from '../line/sayer.ts';
import { splitByXsave } from '../line/split.ts';
import { type Partition, type PoolUnit, partitions } from './partition.ts';

export interface GroupsOptions extends BaselineOptions {
  /** At most so many pools. */
  readonly pools: number;
  /** Hosts that each pool has at least. */
  readonly least?: number | undefined;
  /** What a feature is worth beside the 1 of every other, by any spelling. */
  readonly weigh?: ReadonlyMap<string, number> | undefined;
  /** A key of the host records: hosts with the same value stay together. */
  readonly together?: string | undefined;
}

const MAX_POOLS = 64;
const MAX_WORTH = 1_000_000;

/** Hosts that go into a pool as one unit: their members in byte order of their ids. */
interface Pack extends PoolUnit {
  readonly members: readonly number[];
}

interface Part {
  readonly side: Side;
  readonly board: Board;
  readonly packs: readonly Pack[];
  /** The best splits into at most 1, 2, ... pools. */
  readonly splits: readonly (Partition | null)[];
}

/**
 * The best split into at most `pools` pools; pools never mix architectures or vendors.
 * @throws QueryError for a feature or a key that is not there, or a number out of range.
 */
export function groups(fleet: Fleet, options: GroupsOptions): Groups {
  const { pools, least = 1, together } = options;
  check('the number of pools', pools, MAX_POOLS);
  check('the least number of hosts of a pool', least, Number.MAX_SAFE_INTEGER);
  if (together !== undefined) checkKey(fleet, together);
  const stack = sharedStack(fleet, options);
  const sides = sidesOf(fleet);
  const worths = readWorths(sides, options.weigh ?? new Map());
  const findings = [
    ...fleet.left,
    ...sideFindings(sides),
    ...(together ? mixedSets(fleet, sides, together) : []),
  ];
  const head = { schema: 'plimsoll.groups/1' } as const;
  const skipped = fleet.skipped.length > 0 ? { skipped: fleet.skipped } : {};
  const most = Math.max(1, pools - sides.length + 1);
  const parts = sides.map((side, i): Part => {
    const board = new Board(side.fleet, { ...options, stack });
    const packs = packsOf(board, together);
    return { side, board, packs, splits: partitions(packs, { most, least, worth: worths[i]! }) };
  });
  const because = whyNot(parts, pools, least);
  if (because !== null)
    return {
      ...head,
      k: pools,
      kept: 0,
      bound: 0,
      exact: true,
      groups: [],
      curve: [],
      because,
      findings,
      ...skipped,
    };
  const shared = share(parts, pools);
  const chosen = shared.at(-1)!;
  const answer = chosen.pools.flatMap((n, i) => {
    const { board, packs, splits } = parts[i]!;
    return hostsOf(packs, splits[n - 1]!).map((members) =>
      poolOf(board.fleet, members, { ...options, stack }),
    );
  });
  const broken = answer.filter((group) => group.conflict);
  const conflict: Finding[] = broken.map(({ group: { hosts, count } }) => ({
    code: 'xsave-layout',
    severity: 'error',
    count,
    hosts: hosts.slice(0, 20),
    message: `the pool of ${hosts.slice(0, 3).join(', ')} has no CPU in common after all: its hosts lay out the state of the features that they share differently`,
  }));
  const curve = shared.map(({ k, kept, bound, exact }) => ({ k, kept, bound, exact }));
  return {
    ...head,
    k: pools,
    kept: chosen.kept,
    bound: chosen.bound,
    exact: chosen.exact && broken.length === 0,
    groups: answer
      .map(({ group }) => group)
      .sort((a, b) => b.count - a.count || byBytes(a.hosts[0]!, b.hosts[0]!)),
    curve,
    findings: [...conflict, ...findings].sort(byWeight),
    ...skipped,
  };
}

/** Whether there is a split at all, and each of its pools has a CPU. */
export const isGroupsAnswered = (answer: Groups): boolean =>
  answer.groups.length > 0 && answer.groups.every((g) => Object.keys(g.model).length > 0);

function check(what: string, n: number, most: number): void {
  if (!(Number.isInteger(n) && n >= 1 && n <= most))
    throw new QueryError(`${what} is ${n}; it takes a whole number from 1 to ${most}`);
}

/** What features are worth, by their ids in the words of each side. */
function readWorths(
  sides: readonly Side[],
  weigh: ReadonlyMap<string, number>,
): ReadonlyMap<number, number>[] {
  for (const [name, value] of weigh) {
    if (!sides.some(({ fleet }) => fleet.catalog.find(name))) {
      const known = sides.flatMap(({ fleet }) => fleet.catalog.features.map((f) => f.name));
      throw new QueryError(
        `--weigh "${name}" is no feature that is known${didYouMean(name, known) || '; plimsoll features lists them'}`,
      );
    }
    if (!(Number.isInteger(value) && value >= 0 && value <= MAX_WORTH))
      throw new QueryError(
        `--weigh ${name}=${value}: a weight is a whole number from 0 to ${MAX_WORTH}`,
      );
  }
  return sides.map(({ fleet }) => {
    const worth = new Map<number, number>();
    for (const [name, value] of weigh) {
      const feature = fleet.catalog.find(name);
      if (feature) worth.set(feature.id, value);
    }
    return worth;
  });
}

function checkKey(fleet: Fleet, key: string): void {
  if (fleet.kinds.some((kind) => own(kind.keys, key) !== undefined)) return;
  const keys = [...fleet.keys].sort(byBytes);
  throw new QueryError(
    `--keep-together "${key}" is a key of no host; ${keys.length > 0 ? `there are ${keys.map((k) => `"${k}"`).join(', ')}` : 'only host records have keys'}`,
  );
}

/** Hosts in the sets that stay together; hosts without the key, and all hosts where there is none, by their CPUs. */
function packsOf(board: Board, key: string | undefined): Pack[] {
  const { fleet, rows } = board;
  const packs = new Map<string, { row: Row; divisible: boolean; members: number[] }>();
  for (const [i, member] of fleet.members.entries()) {
    const row = rows[member.class]!;
    const value = key === undefined ? undefined : own(member.keys, key);
    const id = value === undefined ? `cpu ${row.join()}` : `set ${JSON.stringify(value)}`;
    const pack = packs.get(id);
    if (pack) {
      pack.row = meet(pack.row, row);
      pack.members.push(i);
    } else packs.set(id, { row, divisible: value === undefined, members: [i] });
  }
  const idOf = (i: number) => fleet.members[i]!.id;
  // In an order that the order of the inputs does not decide.
  return [...packs.values()]
    .map(({ row, divisible, members }) => ({
      row,
      divisible,
      weight: members.length,
      members: members.sort((a, b) => byBytes(idOf(a), idOf(b))),
    }))
    .sort((a, b) => b.weight - a.weight || byBytes(idOf(a.members[0]!), idOf(b.members[0]!)));
}

function mixedSets(fleet: Fleet, sides: readonly Side[], key: string): Finding[] {
  const seen = new Map<string, Set<number>>();
  for (const [s, side] of sides.entries())
    for (const { keys } of side.fleet.members) {
      const value = own(keys, key);
      if (value !== undefined) seen.set(`${value}`, (seen.get(`${value}`) ?? new Set()).add(s));
    }
  const mixed = [...seen].filter(([, of]) => of.size > 1).map(([value]) => value);
  if (mixed.length === 0) return [];
  const members = [...fleet.members.keys()].filter((i) =>
    mixed.includes(`${own(fleet.members[i]!.keys, key)}`),
  );
  return [
    {
      code: 'apart',
      severity: 'warning',
      ...fleet.list(members),
      message: `${key} ${mixed.sort(byBytes).slice(0, 3).join(', ')}: its hosts are of different vendors or architectures, so only those of one vendor are kept together`,
    },
  ];
}

function whyNot(parts: readonly Part[], pools: number, least: number): string | null {
  const names = parts.map(({ side }) => side.value ?? 'unknown');
  if (parts.length > pools)
    return `the fleet has ${names.join(', ')} hosts, which never share a pool: ${parts.length} pools are the fewest`;
  const small = parts.find((p) => p.splits[0] === null);
  if (small === undefined) return null;
  const hosts = small.board.fleet.hosts;
  return small.side.because === null
    ? `the fleet has ${hosts} hosts, so no pool has ${least}`
    : `there are ${hosts} hosts of ${small.side.value ?? 'unknown vendor'}, which share no pool with the others, so no pool of theirs has ${least}`;
}

interface Shared extends CurvePoint {
  /** How many pools each side has at most. */
  readonly pools: readonly number[];
}

/** How the pools are best shared out among the sides, for every number of them. */
function share(parts: readonly Part[], pools: number): Shared[] {
  let best: (Shared | null)[] = [{ k: 0, kept: 0, bound: 0, exact: true, pools: [] }];
  for (const { splits } of parts) {
    const next: (Shared | null)[] = [];
    for (let k = 0; k <= pools; k++) {
      let found: Shared | null = null;
      let bound = 0;
      for (let n = 1; n <= Math.min(k, splits.length); n++) {
        const [before, own] = [best[k - n], splits[n - 1]];
        if (!before || !own) continue;
        bound = Math.max(bound, before.bound + own.bound);
        const kept = before.kept + own.kept;
        if (found === null || kept > found.kept)
          found = { k, kept, bound: 0, exact: false, pools: [...before.pools, n] };
      }
      next.push(found && { ...found, bound, exact: found.kept === bound });
    }
    best = next;
  }
  return best.filter((s) => s !== null);
}

/** The members of each pool; a unit that is cut gives its hosts in the order of their ids. */
function hostsOf(packs: readonly Pack[], { pools }: Partition): number[][] {
  const given = packs.map(() => 0);
  return pools.map((pool) =>
    pool.flatMap(({ unit, hosts }) => {
      const from = given[unit]!;
      given[unit] = from + hosts;
      return packs[unit]!.members.slice(from, from + hosts);
    }),
  );
}

function poolOf(
  side: Fleet,
  members: readonly number[],
  options: BaselineOptions,
): { group: PoolGroup; conflict: boolean } {
  const fleet = side.subset(members);
  const board = new Board(fleet, options);
  const answer = baseline(fleet, options);
  return {
    conflict: splitByXsave(fleet, board.features) !== null,
    group: {
      hosts: fleet.members.map((m) => m.id).sort(byBytes),
      count: members.length,
      vendor: answer.vendor ?? board.line.vendor,
      arch: answer.arch,
      model: answer.definitions,
      features: fleet.catalog.names(board.features),
      security: securityCost(fleet.catalog, board.features, board.rows),
    },
  };
}
