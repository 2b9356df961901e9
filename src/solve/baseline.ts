// plimsoll baseline: the most capable CPU that every guest can have on all hosts of a fleet, and what holds it down.
import {
  bitsOf,
  distinct,
  emptyRow,
  hasBit,
  intersects,
  isEmpty,
  type Row,
  size,
} from '../core/rows.ts';
import { archRecord } from '../cpu/arch/index.ts';
import type { Product } from '../cpu/catalog/catalog.ts';
import { type Stack, stackNames } from '../cpu/catalog/software.ts';
import type { Definition } from '../cpu/definition.ts';
import type { XsaveComponent } from '../cpu/description.ts';
import { type Need, needing } from '../cpu/need.ts';
import { byBytes } from '../cpu/order.ts';
import { own } from '../cpu/own.ts';
import { DEFAULT_PHYS_BITS } from '../cpu/processor-facts.ts';
import type { ClassFacts, Fleet, Kind } from '../fleet/fleet.ts';
import { inOwnWords } from '../fleet/words.ts';
import type { Baseline, Baselines, Hold } from './answer.ts';
import { asking, Fits } from './fit/fit.ts';
import { findings, splitFindings } from './line/findings.ts';
import type { RefusedName } from './line/findings-stack.ts';
import { type FloorGaps, floorGaps, isBarred } from './line/fleet-floor.ts';
import { type BaselineOptions, drawLine, type Line, nameOf, namingFor } from './line/line.ts';
import { draw } from './line/safe.ts';
import { byWeight } from './line/sayer.ts';
import { type Split, splitBefore, splitByXsave } from './line/split.ts';
import { stackOf } from './line/told-stack.ts';

export function baseline(given: Fleet, options: BaselineOptions = {}): Baseline {
  const split = splitBefore(given);
  if (split) return sided(given, split, options);
  const fleet = inOwnWords(given);
  const line = drawLine(fleet, options);
  const byXsave = splitByXsave(fleet, line.drawn.features);
  if (byXsave) return sided(fleet, byXsave, options);

  const { catalog } = fleet;
  const limits = physBits(fleet, line.drawn.features, options);
  const xsave = layoutOf(fleet, line.drawn.features);
  const gaps = floorGaps(line);
  const { definitions, refused, runsOn } = define(
    line,
    { xsave, physBits: limits.physBits },
    options,
    gaps,
  );
  return {
    ...head(fleet, line.stack),
    vendor: line.vendor,
    definitions,
    features: Object.keys(definitions).length > 0 ? catalog.names(line.drawn.features) : [],
    limits,
    lost: line.tally.lost(),
    holds: holds(line),
    unknown: line.tally.unknown(),
    xsave,
    ...identityOf(line),
    runsOn,
    findings: [...fleet.left, ...findings(line, limits, refused, options, gaps)].sort(byWeight),
    ...skipped(fleet),
  };
}

/** One baseline for each value of a key: vendor, arch, or a key of the host records. */
export function baselinesBy(fleet: Fleet, by: string, options: BaselineOptions = {}): Baselines {
  return {
    schema: 'plimsoll.baselines/1',
    by,
    baselines: fleetsBy(fleet, by).map(({ value, fleet: part }) => {
      const { skipped: _, ...answer } = baseline(part, options);
      return { value, baseline: answer };
    }),
    ...(fleet.left.length > 0 ? { findings: fleet.left } : {}),
    ...skipped(fleet),
  };
}

/** The hosts of each value of a key; values in byte order of their text, hosts without the key last. */
export function fleetsBy(
  fleet: Fleet,
  by: string,
): { readonly value: string | number | boolean | null; readonly fleet: Fleet }[] {
  const keyOf = (kind: Kind) =>
    by === 'vendor' ? kind.vendor : by === 'arch' ? kind.arch : (own(kind.keys, by) ?? null);
  const groups = new Map(
    [...new Set(fleet.kinds.map(keyOf))].map((value) => [
      value,
      fleet.hostsWhere((kind) => keyOf(kind) === value),
    ]),
  );
  const sorted = [...groups].sort(([a], [b]) =>
    a === null ? 1 : b === null ? -1 : byBytes(`${a}`, `${b}`) || byBytes(typeof a, typeof b),
  );
  return sorted.map(([value, members]) => ({ value, fleet: fleet.subset(members) }));
}

/** The answer where hosts have no CPU in common: none, and what each side could have. */
function sided(fleet: Fleet, { because, sides }: Split, options: BaselineOptions): Baseline {
  const stack = options.stack ?? stackOf(fleet);
  return {
    ...head(fleet, stack),
    vendor: null,
    definitions: {},
    features: [],
    limits: { physBits: null, fleetPhysBits: null },
    lost: [],
    holds: [],
    unknown: [],
    xsave: [],
    runsOn: { hosts: 0, of: fleet.hosts },
    findings: [...fleet.left, ...splitFindings(fleet)].sort(byWeight),
    sides: sides.map(({ value, members }) => {
      const { skipped: _, ...answer } = baseline(fleet.subset(members), { ...options, stack });
      return { because, value, ...fleet.list(members), baseline: answer };
    }),
    ...skipped(fleet),
  };
}

function head(fleet: Fleet, stack: Stack) {
  const same = <T>(values: readonly T[]): T | null =>
    values.every((v) => v === values[0]) ? values[0]! : null;
  return {
    schema: 'plimsoll.baseline/1',
    rules: 'safe',
    stack: stackNames(stack),
    arch: same(fleet.classes.map((c) => c.arch)) ?? same(fleet.classes.map(familyOf)),
    view: same(fleet.classes.map((c) => c.view)) ?? 'mixed',
    hosts: fleet.hosts,
    classes: fleet.classes.length,
  } as const;
}

const familyOf = ({ arch }: ClassFacts): string => archRecord(arch).name;

const skipped = (fleet: Fleet) => (fleet.skipped.length > 0 ? { skipped: fleet.skipped } : {});

function physBits(fleet: Fleet, features: Row, options: BaselineOptions): Baseline['limits'] {
  if (!fleet.catalog.arch.isX86) return { physBits: null, fleetPhysBits: null };
  const all = fleet.classes.filter((c) => c.physBits !== null || !c.named).map((c) => c.physBits);
  const known = all.filter((bits) => bits !== null);
  if (known.length < all.length || known.length === 0)
    return { physBits: null, fleetPhysBits: null };
  // Not as arguments of one call: there may be more classes than a call takes.
  const fleetPhysBits = known.reduce((least, bits) => Math.min(least, bits), Infinity);
  // A guest without long mode has no such limit to set.
  const settable = intersects(features, fleet.catalog.x86Row(['lm']));
  const bits =
    options.physBits === 'fleet' ? fleetPhysBits : Math.min(fleetPhysBits, DEFAULT_PHYS_BITS);
  return { physBits: settable ? bits : null, fleetPhysBits };
}

/** What tells the hosts' processors from others, of other architectures than x86. */
function identityOf({ fleet, naming }: Line): Pick<Baseline, 'identity'> {
  const { isX86, hasMidr, splitsByModel } = fleet.catalog.arch;
  if (isX86 || !(hasMidr || splitsByModel) || naming.kin?.apart !== null) return {};
  return { identity: fleet.classes[0]!.identity! };
}

/** Where the state of what the line exposes lies: the same on all hosts that tell, or they have no line in common. */
function layoutOf(fleet: Fleet, features: Row): XsaveComponent[] {
  const exposed = new Set(bitsOf(features).flatMap((id) => fleet.catalog.features[id]!.xsave));
  const found = new Map<number, XsaveComponent>();
  for (const { xsave } of fleet.classes)
    for (const x of xsave ?? []) if (exposed.has(x.component)) found.set(x.component, x);
  return [...found.values()].sort((a, b) => a.component - b.component);
}

/** A definition a product, each held against every host; refused where none can be made or it does not hold. */
function define(
  line: Line,
  limits: Pick<Need, 'xsave' | 'physBits'>,
  options: BaselineOptions,
  gaps: FloorGaps,
) {
  const { fleet, namer, naming, drawn } = line;
  const definitions: { libvirt?: Definition; qemu?: Definition } = {};
  const refused: RefusedName[] = [];
  const isNothing = fleet.catalog.arch.isX86 && isEmpty(drawn.features);
  const nothing = isNothing || isBarred(gaps);
  let hosts = 0;
  for (const product of namer.products) {
    const found = nothing ? null : namer.define(product, drawn.features, naming);
    const definition =
      found && options.expand ? namer.writeOut(product, found, drawn.features) : found;
    const proven = definition ? runsOn(line, product, definition, limits) : 0;
    if (definition && proven === fleet.hosts) {
      definitions[product] = definition;
      hosts = proven;
    } else refused.push({ product });
  }
  return { definitions, refused, runsOn: { hosts, of: fleet.hosts } };
}

/** Hosts on which a definition runs, whatever its name may mean: it is expanded again, and the one rule is asked. */
function runsOn(
  { fleet, namer, vendor, drawn }: Line,
  product: Product,
  definition: Definition,
  limits: Pick<Need, 'xsave' | 'physBits'>,
): number {
  const models = [{ name: definition.name, product, alone: null }];
  const { arch, bits } = fleet.catalog;
  // A host is its own equal, whatever is told of it.
  const like = arch.isX86 || fleet.hosts < 2 ? null : (fleet.classes[0]!.identity ?? null);
  const needs = distinct(namer.expand(product, definition, drawn.features)).map((features) =>
    asking(
      needing(emptyRow(bits), {
        arch: fleet.classes[0]!.arch,
        vendor,
        features,
        models: arch.isX86 ? models : [],
        like,
        ...limits,
      }),
    ),
  );
  if (needs.length === 0) return 0;
  const fits = new Fits(fleet, needs);
  let hosts = 0;
  for (let unit = 0; unit < fits.units; unit++)
    if (needs.every((_, i) => fits.verdict(i, unit) === 'runs')) hosts += fits.weights[unit]!;
  fits.free();
  return hosts;
}

/** Who costs what: lost features by the very hosts that lack them, and the line without those hosts. */
function holds(line: Line): Hold[] {
  const { fleet, tally, namer, naming, outside } = line;
  return tally
    .lackers()
    .map(({ classes, features }) => {
      const without = fleet.narrow(tally.offeredWithout(classes));
      const then = draw(fleet.catalog, namer, outside, without);
      // Most fleets list no models: then there is nothing to look for in each class.
      const model = nameOf(
        namer,
        then.features,
        naming.lists.length === 0 && !naming.kin
          ? naming
          : namingFor(fleet, naming, (i) => !hasBit(classes, i)),
      );
      return {
        ...fleet.list(fleet.membersOf((i) => hasBit(classes, i))),
        features: fleet.names(features),
        without: { model, features: size(then.features) },
      };
    })
    .sort(
      (a, b) =>
        b.without.features - a.without.features ||
        byBytes(a.hosts[0] ?? '', b.hosts[0] ?? '') ||
        a.count - b.count ||
        byBytes(a.features.join(), b.features.join()),
    );
}
