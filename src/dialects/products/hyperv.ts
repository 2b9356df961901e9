// Hyper-V: machines with processor compatibility, as Get-VMProcessor prints them in a table. Only the minimum feature
// set is a CPU of its own; the other settings are whatever the cluster or the host has.
import { minus } from '../../core/rows.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { hypervMinimum } from '../../cpu/catalog/products.ts';
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { type Dialect, orSkip } from '../dialect.ts';
import { askedOfQemu } from '../guests/guest-by-model.ts';
import { type CsvRow, readCsv } from '../text/csv.ts';
import { decodeText } from '../text/documents.ts';

const ENABLED = 'compatibilityformigrationenabled';
const MODE = 'compatibilityformigrationmode';

export const hyperv: Dialect = {
  name: 'hyperv',
  recognises: (head) =>
    /^[^\n]*CompatibilityForMigrationEnabled/i.test(head.replace(/^#TYPE.*\r?\n/, '')),
  proves: [],
  read(input, catalog, skip) {
    return readCsv(input.name, decodeText(input)).flatMap((row) =>
      orSkip(skip, () => describe(catalog, input.name, row)),
    );
  },
};

function describe(catalog: Catalog, input: string, { line, cells }: CsvRow): Description {
  const name = cells.get('vmname') ?? cells.get('name') ?? null;
  const where = `${input}:${line}${name === null ? '' : `: ${name}`}`;
  const enabled = cells.get(ENABLED)?.toLowerCase();
  if (enabled !== 'true' && enabled !== 'false')
    throw new QueryError(
      `${where}: CompatibilityForMigrationEnabled is "${cells.get(ENABLED) ?? ''}", neither True nor False`,
    );
  const mode = cells.get(MODE) || 'MinimumFeatureSet';
  const place = { dialect: 'hyperv', line, where };
  if (enabled === 'false') return { ...askedOfQemu(catalog, 'host', place), host: name };
  if (mode !== 'MinimumFeatureSet' && mode !== '0')
    return {
      ...askedOfQemu(catalog, 'host', place),
      host: name,
      notes: [
        {
          code: 'cluster-cpu',
          message: `its CPU is what all nodes of its cluster have in common (${mode}), which only descriptions of the nodes settle`,
        },
      ],
    };
  const asked = askedOfQemu(catalog, hypervMinimum.model, place);
  const has = minus(asked.has, catalog.row(hypervMinimum.without));
  return {
    ...asked,
    host: name,
    has,
    known: asked.known,
    notes: [
      {
        code: 'level-by-name',
        message:
          "the minimum feature set is taken from Microsoft's description, not from a machine that has it",
      },
    ],
  };
}
