// What another kernel does to hosts and to the line of each vendor: KVM of one gives what that of another does not.
import { isEmpty, join, meet, minus, type Row, size } from '../../core/rows.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { isShown, isX86 } from '../../cpu/description.ts';
import { byBytes } from '../../cpu/order.ts';
import type { Fleet, HostList, Kind } from '../../fleet/fleet.ts';
import { KEPT } from '../../fleet/under.ts';
import type { Finding } from '../answer.ts';
import { sharedStack, sidesOf } from '../line/board.ts';
import { splitFindings } from '../line/findings.ts';
import { drawLine, nameOf } from '../line/line.ts';
import { who } from '../line/sayer.ts';

/** What guests can be given on some hosts under one kernel and not under the other. */
export interface HostChange extends HostList {
  /** Offered for certain after the change, and known not to be before; or the other way. */
  readonly gained: readonly string[];
  readonly lost: readonly string[];
  /** The same where one of the two sides is not known. */
  readonly mayGain: readonly string[];
  readonly mayLose: readonly string[];
}

/** What guests can be given on all hosts of a vendor: a model, and how many features. */
export interface LineEnd {
  readonly model: string | null;
  readonly features: number;
}

export interface LineChange extends HostList {
  /** The vendor, or the architecture where that tells the hosts apart. */
  readonly by: string | null;
  readonly before: LineEnd;
  readonly after: LineEnd;
  readonly gained: readonly string[];
  readonly lost: readonly string[];
}

export interface Upgrade {
  /** Hosts that change, those that lose the most first; others are the same. */
  readonly changes: readonly HostChange[];
  readonly line: readonly LineChange[];
  /** Which hosts it cannot be asked of, and what is known of the kernel. */
  readonly hostFindings: readonly Finding[];
}

/** `after`: the same hosts by the same numbers of their kinds, under the other kernel. */
export const upgrade = (before: Fleet, after: Fleet): Upgrade => ({
  changes: changesOf(before, after),
  line: linesOf(before, after),
  hostFindings: [...kernelFindings(after), ...untold(before)],
});

/** What is to be known where another kernel was asked about: which hosts stay as they are, and how far it is known. */
export const kernelFindings = (fleet: Fleet): Finding[] =>
  splitFindings(fleet).filter(({ code }) => code === KEPT || code === 'kernel');

/** Of hosts that do not tell their kernel, what they lose and gain is not known. */
function untold(fleet: Fleet): Finding[] {
  const list = fleet.list(
    fleet.hostsWhere(({ described = [] }) =>
      described.some(({ description: d }) => isShown(d) && isX86(d) && d.kernel === null),
    ),
  );
  if (list.count === 0) return [];
  const message = `${who(list)}: no kernel is told, so what guests are given there now is what all kernels agree on; --kernel VERSION says it`;
  return [{ code: 'kernel-untold', severity: 'warning', ...list, message }];
}

function changesOf(before: Fleet, after: Fleet): HostChange[] {
  const { catalog } = before;
  const kindsOf = new Map<string, { change: Change; kinds: Set<number> }>();
  for (const [i, kind] of before.kinds.entries()) {
    const change = changeOf(catalog, kind, after.kinds[i]!);
    if (Object.values(change).every((names) => names.length === 0)) continue;
    const key = JSON.stringify(change);
    const same = kindsOf.get(key) ?? { change, kinds: new Set() };
    same.kinds.add(i);
    kindsOf.set(key, same);
  }
  const weight = ({ lost, mayLose, gained }: HostChange) => [
    lost.length,
    mayLose.length,
    gained.length,
  ];
  return [...kindsOf.values()]
    .map(({ change, kinds }) => ({
      ...before.list(before.hostsWhere((_, i) => kinds.has(i))),
      ...change,
    }))
    .sort((a, b) => {
      const [x, y] = [weight(a), weight(b)];
      const differs = x.findIndex((n, i) => n !== y[i]);
      return differs < 0 ? byBytes(a.hosts[0] ?? '', b.hosts[0] ?? '') : y[differs]! - x[differs]!;
    });
}

type Change = Pick<HostChange, 'gained' | 'lost' | 'mayGain' | 'mayLose'>;

function changeOf(catalog: Catalog, before: Kind, after: Kind): Change {
  const counted = catalog.rowWhere((f) => f.merge !== 'never');
  const names = (row: Row) => catalog.names(meet(row, counted));
  const [came, went] = [minus(after.has, before.has), minus(before.has, after.has)];
  const [opened, settled] = [minus(before.known, after.known), minus(after.known, before.known)];
  // What was absent and is open may come; what was open and is absent may go.
  const mayCome = minus(opened, before.has);
  const mayGo = minus(settled, after.has);
  return {
    gained: names(meet(came, before.known)),
    lost: names(meet(went, after.known)),
    mayGain: names(join(minus(came, before.known), mayCome)),
    mayLose: names(join(minus(went, after.known), mayGo)),
  };
}

function linesOf(before: Fleet, after: Fleet): LineChange[] {
  const stack = sharedStack(before, {});
  const then = sidesOf(after);
  return sidesOf(before).map(({ value, fleet }, i) => {
    const side = then[i]!.fleet;
    const [was, is] = [fleet, side].map((of) => drawLine(of, { stack })) as [Line, Line];
    const lost = minus(was.drawn.features, is.drawn.features);
    const lacking = side.membersOf((index) => !isEmpty(minus(lost, side.narrow(side.has(index)))));
    return {
      by: value ?? was.vendor ?? fleet.classes[0]?.arch ?? null,
      before: endOf(was),
      after: endOf(is),
      gained: before.catalog.names(minus(is.drawn.features, was.drawn.features)),
      lost: before.catalog.names(lost),
      ...(isEmpty(lost) ? { count: 0, hosts: [] } : side.list(lacking)),
    };
  });
}

type Line = ReturnType<typeof drawLine>;

const endOf = ({ namer, naming, drawn }: Line): LineEnd => ({
  model: nameOf(namer, drawn.features, naming),
  features: size(drawn.features),
});
