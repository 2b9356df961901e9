// What the commands of the catalog have in common: one optional name, a table of all or the facts of one.
import type { Command } from 'commander';
import { type Catalog, loadCatalog } from '../../cpu/catalog/catalog.ts';
import { didYouMean } from '../../cpu/catalog/suggest.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Answering, Call, ExitCode } from '../io.ts';
import { type OutputOptions, outputOptions } from '../options.ts';
import { deliver, json } from './output.ts';
import { type Fact, factLines, type Page, pageOf } from './render.ts';
import { table } from './text.ts';

/** One kind of entry of the catalog: how it is listed, found and described. */
export interface Shelf<Item> {
  /** The key of the list in the JSON, and the word of the command. */
  readonly plural: string;
  readonly singular: string;
  readonly examples: string;
  items(catalog: Catalog): readonly Item[];
  find(catalog: Catalog, name: string): Item | undefined;
  /** What --json prints of each; `whole` where it was asked for by name. */
  record(catalog: Catalog, item: Item, whole: boolean): { readonly name: string };
  readonly head: readonly string[];
  row(catalog: Catalog, item: Item): readonly string[];
  title(item: Item): string;
  facts(catalog: Catalog, item: Item): readonly Fact[];
}

export function defineShelf<Item>(
  command: Command,
  answering: Answering,
  shelf: Shelf<Item>,
): void {
  command
    .argument('[name]', `all about one ${shelf.singular}`)
    .addHelpText(
      'after',
      `\nExamples:\n${shelf.examples}\nExit code: 0 an answer; 2 no such ${shelf.singular}.\n`,
    );
  outputOptions(command).action(
    answering((call: Call, name: string | undefined, options: OutputOptions) =>
      show(call, shelf, name, options),
    ),
  );
}

async function show<Item>(
  { io }: Call,
  shelf: Shelf<Item>,
  name: string | undefined,
  options: OutputOptions,
): Promise<ExitCode> {
  const catalog = await loadCatalog();
  const found = name === undefined ? undefined : shelf.find(catalog, name);
  if (name !== undefined && !found) {
    const names = shelf.items(catalog).map((item) => shelf.record(catalog, item, false).name);
    throw new QueryError(
      `unknown ${shelf.singular} "${name}"${didYouMean(name, names) || `; plimsoll ${shelf.plural} lists all of them`}`,
    );
  }
  const items = found ? [found] : shelf.items(catalog);
  if (options.json) {
    const document = {
      schema: `plimsoll.${shelf.plural}/1`,
      [shelf.plural]: items.map((item) => shelf.record(catalog, item, found !== undefined)),
    };
    await deliver(io, json(document), options.output);
    return 0;
  }
  const page = await pageOf(io, options);
  const lines = found
    ? [page.paint.bold(shelf.title(found)), ...factLines(shelf.facts(catalog, found), page)]
    : listLines(shelf, catalog, page);
  await deliver(io, `${lines.join('\n')}\n`, options.output);
  return 0;
}

function listLines<Item>(shelf: Shelf<Item>, catalog: Catalog, { columns, paint }: Page): string[] {
  const rows = shelf.items(catalog).map((item) => shelf.row(catalog, item));
  const [head, ...rest] = table([shelf.head, ...rows], columns);
  return [paint.dim(head!), ...rest];
}
