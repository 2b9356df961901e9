// Answers of plimsoll's own, given back: a baseline or a pinned CPU is a CPU that a guest can have; any other is none.
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { isSaved, needOfSaved, readSaved } from '../../cpu/saved-line.ts';
import type { Dialect } from '../dialect.ts';
import { isObject, parseJson } from '../text/json.ts';
import { untold } from '../words/blank-description.ts';

const OWN = /^\uFEFF?\s{0,64}\{\s{0,64}"schema"\s{0,8}:\s{0,8}"plimsoll\.([a-z]{1,20})\/1"/;

export const saved: Dialect = {
  name: 'saved',
  proves: [],
  recognises: (head) => OWN.test(head),
  read(input, catalog): Description[] {
    const document = parseJson(new TextDecoder().decode(input.bytes), input.name);
    if (!isSaved(document)) {
      const schema = isObject(document) ? String(document.schema) : '';
      throw new QueryError(
        `${input.name} is an answer of plimsoll's own (${schema}), which describes no CPU that could be asked about; give what it was made from`,
      );
    }
    const cpu = readSaved(document, input.name);
    const need = needOfSaved(catalog, cpu);
    return [
      {
        ...untold(catalog, 'saved', 1),
        view: 'guest',
        arch: need.arch,
        vendor: need.vendor,
        has: need.features,
        known: catalog.rowWhere(() => true),
        unnamed: need.unnamed,
        limits: { physBits: need.physBits },
        xsave: need.xsave === 'lost' ? null : need.xsave,
        saved: cpu,
      },
    ];
  },
};
