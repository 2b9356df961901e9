// The line of a fleet, drawn once: what every question about it is answered from.
import { hasBit, type Row } from '../core/rows.ts';
import type { Vendor } from '../cpu/catalog.ts';
import type { Stack } from '../cpu/stack.ts';
import { LISTERS, type ModelList } from '../cpu/usable.ts';
import type { ClassFacts, Fleet } from '../fleet/fleet.ts';
import { kinOf } from '../fleet/words.ts';
import { type Listed, type Namer, type Naming, namerOf } from './name.ts';
import { type Drawn, draw, type Outside, outside, ROOTS, rootsKnown } from './safe.ts';
import { stackOf } from './stack.ts';
import { Tally } from './tally.ts';

export interface BaselineOptions {
  /** The software that must understand the answer; what the fleet tells where absent. */
  readonly stack?: Stack | undefined;
  /** Choose only among these model names. */
  readonly models?: readonly string[] | undefined;
  /** Guests may run guests of their own. */
  readonly nested?: boolean | undefined;
  /** Physical address bits of the guest: at most 40, or as many as the fleet has. */
  readonly physBits?: 'default' | 'fleet' | undefined;
  /** Write every feature out. */
  readonly expand?: boolean | undefined;
}

/** One line drawn: everything that the parts of the answer are made from. */
export interface Line {
  readonly fleet: Fleet;
  readonly stack: Stack;
  readonly vendor: Vendor | null;
  readonly namer: Namer;
  readonly naming: Naming;
  readonly outside: Outside;
  /** Roots of nested virtualization that were asked for and stay off, for it is not known what they are made of. */
  readonly vague: readonly string[];
  readonly tally: Tally;
  readonly drawn: Drawn;
}

/** Draws the line for hosts of one architecture and vendor, in its own words. */
export function drawLine(fleet: Fleet, options: BaselineOptions = {}): Line {
  const { catalog } = fleet;
  const stack = options.stack ?? stackOf(fleet);
  const vendor = fleet.classes.find((c) => c.vendor !== null)?.vendor ?? null;
  const namer = namerOf(catalog, stack);
  const vague = options.nested && catalog.arch.isX86 ? vagueRoots(fleet) : [];
  const out = outside(
    catalog,
    vendor,
    options.nested ? ROOTS.filter((root) => !vague.includes(root)) : false,
  );
  const tally = new Tally(fleet, out.all);
  const choice = { vendor, lists: [], ...(options.models ? { models: options.models } : {}) };
  const naming = namingFor(fleet, choice);
  const drawn = draw(catalog, namer, out, fleet.narrow(tally.offered));
  return { fleet, stack, vendor, namer, naming, outside: out, vague, tally, drawn };
}

/** Roots of nested virtualization that some host has without its being known what they are made of there. */
function vagueRoots(fleet: Fleet): string[] {
  const { catalog } = fleet;
  return ROOTS.filter((root) => {
    const { id } = catalog.feature(root);
    return [...fleet.classes.keys()].some(
      (i) =>
        hasBit(fleet.has(i), id) &&
        !rootsKnown(catalog, fleet.narrow(fleet.known(i))).includes(root),
    );
  });
}

/** How a CPU is named that hosts of these classes are to have in common. */
export const namingFor = (
  fleet: Fleet,
  naming: Naming,
  keep: (index: number) => boolean = () => true,
): Naming => ({
  ...naming,
  lists: modelLists(fleet.classes.filter((_, i) => keep(i))),
  ...(fleet.catalog.arch.isX86 ? {} : { kin: kinOf(fleet, keep) }),
});

/** The distinct model lists of these classes. */
export function modelLists(classes: readonly ClassFacts[]): Listed[] {
  const lists = new Map<ModelList, Listed>();
  for (const c of classes)
    for (const lister of LISTERS) {
      const models = c.models[lister];
      if (models) lists.set(models, { lister, models });
    }
  return [...lists.values()];
}

/** The name of a CPU, in QEMU's words where they can say it. */
export function nameOf(namer: Namer, features: Row, naming: Naming): string | null {
  for (const product of namer.products.toReversed()) {
    const found = namer.define(product, features, naming);
    if (found) return found.name;
  }
  return null;
}
