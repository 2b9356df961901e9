// plimsoll admit: would these hosts lower a line that is drawn, and by what.
import { isEmpty, meet, size } from '../core/rows.ts';
import { byBytes } from '../cpu/order.ts';
import { closeDependencies } from '../cpu/qemu.ts';
import { needOfSaved, readSaved, type Saved } from '../cpu/saved.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { KEPT } from '../fleet/under.ts';
import type { Admit, AdmittedHost } from './answer-plan.ts';
import { securityCost } from './board.ts';
import { asking, Fits } from './fit.ts';
import { kernelFindings } from './upgrade.ts';

/**
 * Holds each host against a saved baseline (its JSON, parsed).
 * @throws QueryError when it is no baseline, or names no CPU.
 */
export function admit(fleet: Fleet, document: unknown, name: string): Admit {
  const saved = readSaved(document, name);
  const fits = new Fits(fleet, [asking(needOfSaved(fleet.catalog, saved))]);
  const byUnit = Array.from({ length: fits.units }, (_, unit) => admitUnit(fits, unit, saved));
  const members = fleet.members.map(({ id }, i) => ({
    host: id,
    ...byUnit[fits.unitOfKind[fleet.kindOfMember[i]!]!]!,
  }));
  fits.free();
  const isAsked = fleet.kinds.some((kind) => kind.notes.some((note) => note.code === KEPT));
  const findings = [...fleet.left, ...(isAsked ? kernelFindings(fleet) : [])];
  return {
    schema: 'plimsoll.admit/1',
    hosts: members.sort((a, b) => byBytes(a.host, b.host)),
    ...(findings.length > 0 ? { findings } : {}),
    ...(fleet.skipped.length > 0 ? { skipped: fleet.skipped } : {}),
  };
}

/** Whether every host is admitted: no beats what is not known, and that beats yes. */
export const admitVerdict = ({ hosts }: Admit): boolean | null =>
  hosts.some((h) => h.admitted === false)
    ? false
    : hosts.every((h) => h.admitted === true)
      ? true
      : null;

function admitUnit(fits: Fits, unit: number, saved: Saved): Omit<AdmittedHost, 'host'> {
  const { fleet } = fits;
  const { catalog } = fleet;
  const need = fits.need(0, unit);
  const { verdict, lacking, open, no, unknown } = fits.fit(0, unit);
  const isKin = !no.some(({ code }) => code === 'arch' || code === 'vendor');
  const after = isKin
    ? closeDependencies(catalog, meet(need.features, fleet.narrow(fleet.has(fits.classOf(unit)))))
    : catalog.row([]);
  return {
    admitted: verdict === 'no' ? false : verdict === 'unknown' ? null : true,
    lost: lacking,
    unknown: open,
    reasons: no.map((reason) => reason.message),
    unknownReasons: unknown.map((reason) => reason.message),
    features: { before: saved.features.length, after: isEmpty(after) ? 0 : size(after) },
    security: securityCost(catalog, after, [need.features]),
  };
}
