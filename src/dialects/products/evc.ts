// VMware's EVC levels of clusters, hosts and machines, in tables of PowerCLI or RVTools. A level is known by its name
// alone, so it stands for the QEMU model of the same generation.
import { minus } from '../../core/rows.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { evcLevels, evcModel } from '../../cpu/catalog/products.ts';
import { didYouMean } from '../../cpu/catalog/suggest.ts';
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { type Dialect, orSkip } from '../dialect.ts';
import { askedOfQemu } from '../guests/guest-by-model.ts';
import { type CsvRow, readCsv } from '../text/csv.ts';
import { decodeText } from '../text/documents.ts';

/** What a host can be set to; everything else is what machines get. */
const OF_HOSTS = ['maxevcmode', 'max evc'];
const OF_GUESTS = ['evcmode', 'current evc', 'currentevcmodekey', 'evc mode'];
const COLUMN = /\b(?:MaxEVCMode|EVCMode|Max EVC|Current EVC|CurrentEVCModeKey)\b/i;
const NAMES = ['name', 'host', 'cluster', 'vm'];
const FACTS = ['cluster', 'datacenter'];

export const evc: Dialect = {
  name: 'evc',
  recognises(head) {
    const names = head.split('\n', 2).find((line) => !line.startsWith('#TYPE')) ?? '';
    return /[,;]/.test(names) && COLUMN.test(names);
  },
  proves: [{ document: 'MaxEVCMode', view: 'hypervisor', words: 'models', unlisted: 'unknown' }],
  read(input, catalog, skip) {
    return readCsv(input.name, decodeText(input)).flatMap((row) =>
      orSkip(skip, () => describe(catalog, input.name, row)),
    );
  },
};

function describe(catalog: Catalog, input: string, { line, cells }: CsvRow): Description {
  const first = (keys: readonly string[]) => keys.map((key) => cells.get(key)).find(Boolean);
  const ofHost = first(OF_HOSTS);
  const level = ofHost ?? first(OF_GUESTS);
  const name = first(NAMES) ?? null;
  const where = `${input}:${line}${name === null ? '' : `: ${name}`}`;
  if (level === undefined)
    throw new QueryError(
      `${where} has no EVC level: EVC is off there; give its /proc/cpuinfo or an ESXi CPUID dump`,
    );
  const key = level.toLowerCase();
  const model = evcModel(key);
  if (model === undefined)
    throw new QueryError(
      `${where}: "${level}" is no EVC level that is known${didYouMean(key, evcLevels)}`,
    );
  const asked = askedOfQemu(catalog, model, { dialect: 'evc', line, where });
  // No host of VMware's has what KVM adds to a model.
  const has = minus(
    asked.has,
    catalog.rowWhere((f) => f.isKvm),
  );
  return {
    ...asked,
    host: name,
    view: ofHost === undefined ? 'guest' : 'hypervisor',
    has,
    known: has,
    model: { name: model, known: true },
    keys: Object.fromEntries(FACTS.flatMap((k) => (cells.get(k) ? [[k, cells.get(k)!]] : []))),
    notes: [
      {
        code: 'level-by-name',
        message: `the EVC level ${key} is taken for ${model}, the QEMU model of that generation; what VMware adds to it or leaves out is not known`,
      },
    ],
  };
}
