// plimsoll baseline --check: does a saved baseline still run on all of these hosts, and what could they have beside it.
import { hasBit, minus, setBit } from '../core/rows.ts';
import type { Definitions } from '../cpu/definition.ts';
import { QueryError } from '../cpu/errors.ts';
import { byBytes } from '../cpu/order.ts';
import { parseStack } from '../cpu/stack.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Check } from './answer.ts';
import { baseline } from './baseline.ts';
import type { BaselineOptions } from './line.ts';

/** What a check needs of a saved answer. */
export interface Saved {
  readonly stack: readonly string[];
  readonly arch: string | null;
  readonly vendor: string | null;
  readonly features: readonly string[];
  readonly physBits: number | null;
  readonly definitions: Definitions;
}

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
  const needs = catalog.row([]);
  const unnamed: string[] = [];
  for (const feature of saved.features) {
    const known = catalog.find(feature);
    if (known) setBit(needs, known.id);
    else unnamed.push(feature);
  }
  const failing = new Set<number>();
  const missing = new Map<string, number[]>();
  const lack = (what: string, index: number) => {
    failing.add(index);
    missing.set(what, [...(missing.get(what) ?? []), index]);
  };
  const reasons = new Map<string, number[]>();
  for (const [index, facts] of fleet.classes.entries()) {
    const has = fleet.has(index);
    for (const feature of catalog.names(minus(needs, fleet.narrow(has)))) lack(feature, index);
    for (const feature of unnamed) {
      const at = fleet.unnamed.indexOf(feature);
      if (at < 0 || !hasBit(has, catalog.bits + at)) lack(feature, index);
    }
    const fail = (why: string) => {
      failing.add(index);
      reasons.set(why, [...(reasons.get(why) ?? []), index]);
    };
    if (saved.arch !== null && facts.arch !== saved.arch)
      fail(`architecture ${facts.arch}, where the baseline is for ${saved.arch}`);
    if (saved.vendor !== null && facts.vendor !== null && facts.vendor !== saved.vendor)
      fail(`vendor ${facts.vendor}, where the baseline is for ${saved.vendor}`);
    if (saved.physBits !== null && facts.physBits !== null && facts.physBits < saved.physBits)
      fail(
        `${facts.physBits} physical address bits, where the baseline gives guests ${saved.physBits}`,
      );
  }
  const members = (classes: readonly number[]) => {
    const wanted = new Set(classes);
    return fleet.list(fleet.membersOf((i) => wanted.has(i)));
  };
  const today = baseline(fleet, {
    ...options,
    stack: options.stack ?? parseStack(catalog, saved.stack.join(',')),
  });
  const now = today.features.filter((f) => !saved.features.includes(f));
  const stranded = fleet.membersOf((i) => failing.has(i)).length;
  return {
    schema: 'plimsoll.check/1',
    holds: failing.size === 0,
    runsOn: { hosts: fleet.hosts - stranded, of: fleet.hosts },
    missing: [...missing]
      .sort(([a], [b]) => byBytes(a, b))
      .map(([feature, classes]) => ({ feature, ...members(classes) })),
    gained: now,
    findings: [...reasons]
      .sort(([a], [b]) => byBytes(a, b))
      .map(([why, classes]) => {
        const list = members(classes);
        return {
          code: 'baseline-broken',
          severity: 'error' as const,
          ...list,
          message: `${list.hosts.slice(0, 3).join(', ')}: ${why}`,
        };
      }),
    ...(fleet.skipped.length > 0 ? { skipped: fleet.skipped } : {}),
  };
}

/** @throws QueryError when the document is no saved baseline, or names no CPU. */
export function readSaved(document: unknown, name: string): Saved {
  const d = document as Record<string, unknown> | null;
  const isStrings = (v: unknown): v is string[] =>
    Array.isArray(v) && v.every((x) => typeof x === 'string');
  if (
    typeof d !== 'object' ||
    d === null ||
    d.schema !== 'plimsoll.baseline/1' ||
    !isStrings(d.features) ||
    !isStrings(d.stack)
  )
    throw new QueryError(
      `${name} is no saved baseline; give the output of plimsoll baseline --json`,
    );
  if (d.features.length === 0)
    throw new QueryError(
      `${name} is the answer of a fleet without a common CPU, so there is nothing to check; take one of its sides`,
    );
  const limits = d.limits as { physBits?: unknown } | undefined;
  return {
    stack: d.stack,
    arch: typeof d.arch === 'string' ? d.arch : null,
    vendor: typeof d.vendor === 'string' ? d.vendor : null,
    features: d.features,
    physBits: typeof limits?.physBits === 'number' ? limits.physBits : null,
    definitions: isDefinitions(d.definitions) ? d.definitions : {},
  };
}

const isDefinitions = (value: unknown): value is Definitions =>
  typeof value === 'object' &&
  value !== null &&
  Object.values(value).every((d) => typeof d === 'object' && d !== null && 'name' in d);
