// plimsoll compare: can these CPUs run on this host, and if not, why not.
import { hasBit, join, minus, type Row } from '../core/rows.ts';
import { isX86 } from '../cpu/host.ts';
import { type Need, startsWithout } from '../cpu/need.ts';
import { byBytes } from '../cpu/order.ts';
import type { Fleet, Kind } from '../fleet/fleet.ts';
import type { Comparison, Finding, Verdict } from './answer.ts';
import { askerOf, type GivenSoftware, softwareNames, softwareOf } from './asker.ts';
import { splitFindings } from './findings.ts';
import { type Fit, Fits } from './fit.ts';
import { guestFindings } from './sayer.ts';

const VERDICTS: readonly Verdict[] = [
  'identical',
  'superset',
  'own-cpu',
  'unknown',
  'incompatible',
];

/**
 * Holds every CPU against the first host.
 * @param software what starts guests; what the host tells, else the newest, where it is not said
 * @throws RangeError when `host` is not exactly one host.
 */
export function compare(host: Fleet, cpus: Fleet, software: GivenSoftware = {}): Comparison {
  if (host.members.length !== 1)
    throw new RangeError(`compare takes one host, not ${host.members.length}`);
  const askers = cpus.kinds.map((kind) => askerOf(host.catalog, kind));
  const fits = new Fits(host, askers, softwareOf(host.catalog, software));
  const answers = cpus.members.map(({ id }, i) => {
    const kind = cpus.kindOfMember[i]!;
    return compareOne(host, { id, kind: cpus.kinds[kind]!, fleet: cpus }, fits, kind);
  });
  // A guest was read as the newest software has it; the host's may know more of it, or less.
  const own = guestFindings(
    cpus.members.map(({ id }, i) => ({ id, notes: fits.notes(cpus.kindOfMember[i]!) })),
  );
  fits.free();
  // What a definition that names no architecture would mean on x86 is nothing to hosts of another.
  const told = isX86(host.classes[0]!)
    ? cpus
    : cpus.subset(cpus.hostsWhere(({ asked }) => !asked?.anyArch));
  const read = told.hosts > 0 ? splitFindings(told) : [];
  const findings: Finding[] = [
    ...host.left,
    ...cpus.left,
    ...splitFindings(host),
    ...read,
    ...own.filter((finding) => !read.some(({ message }) => message === finding.message)),
  ];
  return {
    schema: 'plimsoll.compare/1',
    stack: softwareNames(fits.software),
    host: host.members[0]!.id,
    verdict: VERDICTS.findLast((v) => answers.some((a) => a.verdict === v)) ?? 'identical',
    cpus: answers,
    findings,
    ...(cpus.skipped.length > 0 ? { skipped: cpus.skipped } : {}),
  };
}

interface Cpu {
  readonly id: string;
  readonly kind: Kind;
  readonly fleet: Fleet;
}

function compareOne(host: Fleet, cpu: Cpu, fits: Fits, asker: number): Comparison['cpus'][number] {
  const fit = fits.fit(asker, 0);
  const need = fits.need(asker, 0);
  const extra = extraOf(host, cpu, need.features);
  return {
    cpu: cpu.id,
    verdict: verdictOf(fit, extra),
    missing: fit.lacking,
    extra,
    unknown: fit.open,
    reasons: reasonsOf(fit, need),
  };
}

function verdictOf({ verdict }: Fit, extra: readonly string[]): Verdict {
  if (verdict === 'no') return 'incompatible';
  if (verdict !== 'runs') return verdict;
  return extra.length > 0 ? 'superset' : 'identical';
}

/** What the host has beside what the CPU asks for or has. */
function extraOf(host: Fleet, { kind, fleet }: Cpu, asked: Row): string[] {
  const { catalog } = host;
  const never = catalog.rowWhere((f) => f.merge === 'never' || f.merge === 'equal');
  const has = host.has(0);
  const unnamed = (of: Fleet, row: Row) =>
    of.unnamed.filter((_, i) => hasBit(row, of.catalog.bits + i));
  const index = fleet.classOfKind[fleet.kinds.indexOf(kind)]!;
  const own = new Set(unnamed(fleet, fleet.has(index)));
  return [
    ...catalog.names(minus(minus(host.narrow(has), never), join(asked, kind.has))),
    ...unnamed(host, has).filter((name) => !own.has(name)),
  ].sort(byBytes);
}

/** All that stands in the way first, then what is not known. */
function reasonsOf(fit: Fit, need: Need): string[] {
  const { lacking, open, no, unknown } = fit;
  const poorer = startsWithout(need, lacking);
  return [
    ...no.map((reason) => reason.message),
    ...(lacking.length > 0
      ? [poorer === null ? `the host lacks ${lacking.join(', ')}` : `it ${poorer}`]
      : []),
    ...(open.length > 0 ? [`it is not known whether the host has ${open.join(', ')}`] : []),
    ...unknown.map((reason) => reason.message),
    ...(fit.verdict === 'own-cpu' && need.own !== null ? [need.own] : []),
  ];
}
