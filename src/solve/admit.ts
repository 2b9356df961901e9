// plimsoll admit: would these hosts lower a line that is drawn, and by what.
import { hasBit, isEmpty, meet, minus, type Row, size } from '../core/rows.ts';
import { byBytes } from '../cpu/order.ts';
import { closeDependencies } from '../cpu/qemu.ts';
import { parseStack } from '../cpu/stack.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Admit, AdmittedHost } from './answer-plan.ts';
import { securityCost } from './board.ts';
import { readSaved, type Saved } from './check.ts';
import { type BaselineOptions, modelLists } from './line.ts';
import { namerOf } from './name.ts';

/**
 * Holds each host against a saved baseline (its JSON, parsed).
 * @throws QueryError when it is no baseline, or names no CPU.
 */
export function admit(
  fleet: Fleet,
  document: unknown,
  name: string,
  options: BaselineOptions = {},
): Admit {
  const saved = readSaved(document, name);
  const byClass = fleet.classes.map((_, index) => admitClass(fleet, index, saved, options));
  return {
    schema: 'plimsoll.admit/1',
    hosts: fleet.members
      .map((m) => ({ host: m.id, ...byClass[m.class]! }))
      .sort((a, b) => byBytes(a.host, b.host)),
    ...(fleet.skipped.length > 0 ? { skipped: fleet.skipped } : {}),
  };
}

function admitClass(
  fleet: Fleet,
  index: number,
  saved: Saved,
  options: BaselineOptions,
): Omit<AdmittedHost, 'host'> {
  const { catalog } = fleet;
  const facts = fleet.classes[index]!;
  const [has, known] = [fleet.has(index), fleet.known(index)];
  const needs = catalog.row(saved.features.filter((f) => catalog.find(f) !== undefined));
  const other = saved.features.filter((f) => catalog.find(f) === undefined);
  const at = (feature: string) => fleet.unnamed.indexOf(feature);
  const offers = (feature: string, row: Row) =>
    at(feature) >= 0 && hasBit(row, catalog.bits + at(feature));
  const missing = minus(needs, fleet.narrow(has));
  const open = minus(missing, fleet.narrow(known));
  const lost = [
    ...catalog.names(minus(missing, open)),
    ...other.filter((f) => !offers(f, has) && (at(f) < 0 || offers(f, known))),
  ].sort(byBytes);
  const unknown = [
    ...catalog.names(open),
    ...other.filter((f) => at(f) >= 0 && !offers(f, known)),
  ].sort(byBytes);

  const reasons: string[] = [];
  if (saved.arch !== null && facts.arch !== saved.arch)
    reasons.push(`its architecture is ${facts.arch}, the baseline's ${saved.arch}`);
  if (saved.vendor !== null && facts.vendor !== null && facts.vendor !== saved.vendor)
    reasons.push(`its vendor is ${facts.vendor}, the baseline's ${saved.vendor}`);
  if (saved.physBits !== null && facts.physBits !== null && facts.physBits < saved.physBits)
    reasons.push(`it has ${facts.physBits} physical address bits, guests have ${saved.physBits}`);
  if (reasons.length === 0 && isEmpty(missing))
    reasons.push(...unusable(fleet, index, saved, needs, options));
  const isKin =
    (saved.arch === null || facts.arch === saved.arch) &&
    (saved.vendor === null || facts.vendor === null || facts.vendor === saved.vendor);
  const after = isKin
    ? closeDependencies(catalog, meet(needs, fleet.narrow(has)))
    : catalog.row([]);
  return {
    admitted: lost.length === 0 && unknown.length === 0 && reasons.length === 0,
    lost,
    unknown,
    reasons,
    features: { before: saved.features.length, after: size(after) },
    security: securityCost(catalog, after, [needs]),
  };
}

/** Where the host lists the models that it can run: whether the CPU of the baseline is one of them. */
function unusable(
  fleet: Fleet,
  index: number,
  saved: Saved,
  needs: Row,
  options: BaselineOptions,
): string[] {
  const lists = modelLists([fleet.classes[index]!]);
  if (lists.length === 0) return [];
  const namer = namerOf(
    fleet.catalog,
    options.stack ?? parseStack(fleet.catalog, saved.stack.join(',')),
  );
  const refused = Object.entries(saved.definitions).filter(([product, { name }]) => {
    const by = product as 'libvirt' | 'qemu';
    if (!namer.products.includes(by)) return false;
    return namer.define(by, needs, { vendor: saved.vendor, models: [name], lists }) === null;
  });
  return refused.map(
    ([, { name }]) => `it has every feature, but lists ${name} as a model that does not run there`,
  );
}
