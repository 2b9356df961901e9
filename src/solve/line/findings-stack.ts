// Findings about software: what a stack has no word for, what was taken for one that it does not name, and what the newest
// would allow.
import { hasBit, isEmpty, minus } from '../../core/rows.ts';
import type { Product } from '../../cpu/catalog/catalog.ts';
import { edgeStack, stackNames } from '../../cpu/catalog/software.ts';
import type { BaselineOptions, Line } from './line.ts';
import { draw } from './safe.ts';
import { type Sayer, some } from './sayer.ts';
import { namerOf } from './x86-namer.ts';

/** A definition that was not found: no name of the product can be made to mean exactly the features. */
export interface RefusedName {
  readonly product: Product;
}

export function stacks(
  say: Sayer,
  line: Line,
  refused: readonly RefusedName[],
  options: BaselineOptions,
): void {
  const { fleet, drawn, outside, tally, stack, namer } = line;
  const { catalog } = fleet;
  takenSoftware(say, line, refused);
  // A guest's own definition is there already, and why hosts have none may be said once.
  const isSaid =
    line.naming.kin && (line.naming.kin.apart !== null || fleet.classes[0]!.view === 'guest');
  for (const { product } of isSaid ? [] : refused)
    if (namer.binding.includes(product))
      say.say('error', 'no-definition', say.everyone, () =>
        !catalog.arch.isX86
          ? ownWordsRefusal(product, line)
          : isEmpty(drawn.features)
            ? `no feature is common to all hosts that ${product} could be asked for`
            : `no ${product} model that is usable on every host can be made to mean exactly these features`,
      );
  for (const product of namer.binding) {
    const row = drawn.unsaid.get(product)!;
    if (isEmpty(row)) continue;
    const versions = stackNames(stack).filter((s) => s.startsWith(product));
    say.say(
      'info',
      'cannot-express',
      say.everyone,
      () =>
        `${versions.join(', ')} has no word for ${some(catalog.names(row))}, which every host offers`,
    );
  }
  const common = fleet.unnamed.filter((_, i) => hasBit(tally.offered, catalog.bits + i));
  if (common.length > 0)
    say.say(
      'info',
      'cannot-express',
      say.everyone,
      () =>
        `every host offers ${some(common.map((n) => `"${n}"`))}, but no stack in the catalog has a word for it`,
    );
  if (options.stack) return;
  const newest = edgeStack(catalog, 'newest').filter((s) => namer.products.includes(s.product));
  const then = draw(catalog, namerOf(catalog, newest), outside, fleet.narrow(tally.offered));
  const gained = minus(then.features, drawn.features);
  if (!isEmpty(gained))
    say.say(
      'info',
      'newer-stack',
      say.everyone,
      () =>
        `with --stack ${stackNames(newest).join(',')} guests would also have ${some(catalog.names(gained))}`,
    );
}

/** Why there is no definition where a CPU is the host's own. */
function ownWordsRefusal(product: Product, { naming }: Line): string {
  const { beyond = [] } = naming.kin ?? {};
  return beyond.length > 0
    ? `the hosts differ in ${some(beyond)}, which no switch of ${product} takes from guests`
    : `the hosts have nothing in common that ${product} could be asked for`;
}

/** What was taken for a product that the stack does not name; it constrains nothing, so it may have no definition. */
function takenSoftware(
  say: Sayer,
  { fleet, drawn, namer }: Line,
  refused: readonly RefusedName[],
): void {
  for (const entry of namer.taken) {
    const { product } = entry;
    const [name] = stackNames([entry]);
    say.say(
      'info',
      'stack-taken',
      say.everyone,
      () =>
        `--stack names no ${product}, so ${name}, the newest that is known, is taken for it; it takes no feature away`,
    );
    if (!refused.some((r) => r.product === product) || isEmpty(drawn.features)) continue;
    const lacking = minus(drawn.features, namer.expressible(product));
    say.say('info', 'cannot-express', say.everyone, () =>
      isEmpty(lacking)
        ? `no model of ${name} that is usable on every host can be made to mean exactly these features, so there is no definition for ${product}`
        : `${name} has no word for ${some(fleet.catalog.names(lacking))}, so there is no definition for ${product}`,
    );
  }
}
