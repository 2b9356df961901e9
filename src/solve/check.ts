// plimsoll baseline --check: does a saved baseline still run on all of these hosts, and what could they have beside it.
import { bitsOf } from '../core/rows.ts';
import { parseStack } from '../cpu/catalog/software.ts';
import type { Need } from '../cpu/need.ts';
import { byBytes } from '../cpu/order.ts';
import { needOfSaved, readSaved } from '../cpu/saved-line.ts';
import type { Fleet, HostList } from '../fleet/fleet.ts';
import type { Check, Finding } from './answer.ts';
import { baseline } from './baseline.ts';
import { contested } from './fit/beside.ts';
import { asking, type Fit, Fits, worstOf } from './fit/fit.ts';
import type { BaselineOptions } from './line/line.ts';

/**
 * Holds a saved baseline (its JSON, parsed) against every host.
 * @throws QueryError when it is no baseline, or names no CPU.
 */
export function check(
  fleet: Fleet,
  document: unknown,
  name: string,
  options: BaselineOptions = {},
): Check {
  const saved = readSaved(document, name);
  const { catalog } = fleet;
  const need = needOfSaved(catalog, saved);
  const fits = new Fits(fleet, [asking(need)]);
  const each = Array.from({ length: fits.units }, (_, unit) => fits.fit(0, unit));
  const hostsOf = (keep: (fit: Fit) => boolean): HostList =>
    fleet.list(fleet.hostsWhere((_, kind) => keep(each[fits.unitOfKind[kind]!]!)));
  const worst = worstOf(each.map((fit) => fit.verdict));
  fits.free();
  const stack =
    options.stack ??
    (saved.stack.length > 0 ? parseStack(catalog, saved.stack.join(',')) : undefined);
  const today = baseline(fleet, { ...options, stack });
  return {
    schema: 'plimsoll.check/1',
    holds: worst === 'no' ? false : worst === 'unknown' ? null : true,
    runsOn: { hosts: hostsOf((fit) => fit.verdict === 'runs').count, of: fleet.hosts },
    missing: byFeature(each, (fit) => fit.lacking, hostsOf),
    unknown: byFeature(each, (fit) => fit.open, hostsOf),
    gained: today.features.filter((f) => !saved.features.includes(f)),
    findings: [
      ...reasons(each, 'no', 'baseline-broken', 'error', hostsOf),
      ...reasons(each, 'unknown', 'unknown', 'warning', hostsOf),
      ...layouts(fleet, need),
      ...fleet.left,
    ],
    ...(fleet.skipped.length > 0 ? { skipped: fleet.skipped } : {}),
  };
}

type HostsOf = (keep: (fit: Fit) => boolean) => HostList;

function byFeature(
  each: readonly Fit[],
  of: (fit: Fit) => readonly string[],
  hostsOf: HostsOf,
): Check['missing'] {
  const features = [...new Set(each.flatMap(of))].sort(byBytes);
  return features.map((feature) => ({
    feature,
    ...hostsOf((fit) => of(fit).includes(feature)),
  }));
}

function reasons(
  each: readonly Fit[],
  what: 'no' | 'unknown',
  code: string,
  severity: Finding['severity'],
  hostsOf: HostsOf,
): Finding[] {
  const messages = [...new Set(each.flatMap((fit) => fit[what].map((r) => r.message)))];
  return messages.sort(byBytes).map((message) => {
    const list = hostsOf((fit) => fit[what].some((r) => r.message === message));
    const who = list.hosts.slice(0, 3).join(', ');
    return { code, severity, ...list, message: who === '' ? message : `${who}: ${message}` };
  });
}

/** A baseline that tells no layout holds where hosts are alike in it, and where they are not, guests cannot move. */
function layouts(fleet: Fleet, { features, xsave }: Need): Finding[] {
  const everyone = fleet.list(fleet.hostsWhere(() => true));
  if (xsave === 'lost')
    return fleet.classes.every((c) => c.xsave === null)
      ? []
      : [
          {
            code: 'layout-not-saved',
            severity: 'info',
            ...everyone,
            message:
              'the baseline was saved without the XSAVE layout of its CPU, so hosts are held against each other alone in that; save it anew',
          },
        ];
  const told = new Set(xsave.map((x) => x.component));
  const exposed = bitsOf(features).flatMap((id) => fleet.catalog.features[id]!.xsave);
  const apart = contested(fleet);
  return [...new Set(exposed)]
    .filter((component) => apart.has(component) && !told.has(component))
    .map((component) => ({
      code: 'xsave-layout',
      severity: 'warning' as const,
      ...everyone,
      message: `the hosts lay XSAVE component ${component} out differently, and the baseline does not tell which layout it has: a guest runs on each of them and cannot move between those that differ`,
    }));
}
