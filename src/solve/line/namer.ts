// How features are called in a stack, whatever the architecture.
import type { Row } from '../../core/rows.ts';
import type { Kin } from '../../cpu/arch/index.ts';
import type { Product, Vendor } from '../../cpu/catalog/catalog.ts';
import type { Stack } from '../../cpu/catalog/software.ts';
import type { Definition } from '../../cpu/definition.ts';
import type { ListMaker, ModelList } from '../../cpu/model-lists.ts';
import type { ModelName } from './model-meanings.ts';

export interface Naming {
  readonly vendor: Vendor | null;
  /** Choose only among these names; all where absent. */
  readonly models?: readonly string[];
  /** The lists of the hosts that have one; a name must be usable on each. */
  readonly lists: readonly Listed[];
  /** Of hosts of other architectures than x86, what they have in common. */
  readonly kin?: Kin;
  /** Further conditions that a name must meet. */
  readonly keep?: (name: string) => boolean;
}

/** A host's list of models, and who made it. */
export interface Listed {
  readonly lister: ListMaker;
  readonly models: ModelList;
}

/** How features are called in a stack. */
export interface Namer {
  /** The products that have a definition. */
  readonly products: readonly Product[];
  /** Those that the stack names: an answer says nothing that one of them cannot say. */
  readonly binding: readonly Product[];
  /** All software that definitions are for: what the stack names, and what was taken for what it does not. */
  readonly software: Stack;
  /** The software that was taken for a product that the stack does not name. */
  readonly taken: Stack;
  /** Features that a guest can be given by a definition of this product. */
  expressible(product: Product): Row;
  /** The cheapest definition that gives exactly these features, or null where no name can be made to. */
  define(product: Product, target: Row, naming: Naming): Definition | null;
  /** All that guests with this definition can be given, over every meaning of its name; of the host's CPU, of these. */
  expand(product: Product, definition: Definition, among: Row): Row[];
  /** The same definition with every feature that it gives written out. */
  writeOut(product: Product, definition: Definition, target: Row): Definition;
  /** The names that every version of the product in the stack can be given. */
  names(product: Product): readonly ModelName[];
  /** Whether a name is one of these, or stands for one of them, or they for it, in the words of the product. */
  isAmong(product: Product, name: string, models: readonly string[]): boolean;
}
