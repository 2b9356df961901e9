// lscpu and lscpu -J: the kernel's flags, as util-linux sorts them into fields; flat, or in groups since 2.37.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { type Dialect, type Input, orSkip } from '../dialect.ts';
import { kernelFlags } from '../proves.ts';
import { at, decodeText, listOf, readJsonStream, shortLines, textOf } from '../text/documents.ts';
import { asText, isObject } from '../text/json.ts';
import { quote } from '../text/lines.ts';
import { processorKey, untold, vendorOf, wholeNumber } from '../words/blank-description.ts';
import { readFlags } from '../words/kernel-flags.ts';

/** Fields of one host, their names without the colon and in lower case. */
interface Fields {
  readonly line: number;
  readonly fields: Map<string, string>;
}

export const lscpu: Dialect = {
  name: 'lscpu',
  recognises: (head) =>
    /^\s*\{\s*"lscpu"\s*:/.test(head) ||
    (/^(?:Architecture|[ \t]*(?:Vendor ID|Model name)):[ \t]+\S/m.test(head) &&
      /^[ \t]*(?:CPU\(s\)|Byte Order|CPU op-mode\(s\)|Thread\(s\) per core|Flags):/m.test(head)),
  proves: [kernelFlags('lscpu')],
  read: (input, catalog, skip) =>
    hostsOf(input).flatMap((host) => orSkip(skip, () => describe(input, catalog, host))),
};

function hostsOf(input: Input): Fields[] {
  const text = decodeText(input);
  if (/^\s*\{/.test(text))
    return readJsonStream(input.name, text).map(({ value, line }) => ({
      line,
      fields: new Map(fieldsOf(at(value, 'lscpu'), `${input.name}:${line}`)),
    }));
  const hosts: Fields[] = [];
  for (const [i, line] of shortLines(input.name, text).entries()) {
    const colon = line.indexOf(':');
    if (colon < 1) {
      if (line.trim() === '') continue;
      throw new QueryError(
        `${input.name}:${i + 1}: ${quote(line.trim())} is no line of lscpu; give its output as it is (LC_ALL=C lscpu, or lscpu -J)`,
      );
    }
    const key = line.slice(0, colon).trim().toLowerCase();
    if (hosts.length === 0 || key === 'architecture')
      hosts.push({ line: i + 1, fields: new Map() });
    hosts.at(-1)!.fields.set(key, line.slice(colon + 1).trim());
  }
  return hosts;
}

function fieldsOf(list: unknown, where: string): [string, string][] {
  return listOf(list, where, '"lscpu"').flatMap((entry): [string, string][] => {
    const field = textOf(at(entry, 'field'), where, 'a "field" of lscpu').replace(/:$/, '');
    const data = at(entry, 'data');
    const inner = isObject(entry) && entry.children !== undefined;
    return [
      ...(data === undefined || data === null
        ? []
        : ([[field.trim().toLowerCase(), asText(data)]] as [string, string][])),
      ...(inner ? fieldsOf(at(entry, 'children'), where) : []),
    ];
  });
}

function describe(input: Input, catalog: Catalog, { line, fields }: Fields): Description {
  const where = `${input.name}:${line}`;
  const flags = fields.get('flags')?.split(/\s+/).filter(Boolean);
  const arch = fields.get('architecture') ?? 'x86_64';
  if (arch !== 'x86_64' && arch !== 'i686')
    throw new QueryError(
      `${where}: this is lscpu of ${arch}; the catalog describes x86 only, so give its /proc/cpuinfo, whose names are compared as they stand`,
    );
  if (!flags || flags.length === 0)
    throw new QueryError(
      `${where}: this lscpu has no flags; its fields may be translated or cut, so take it with LC_ALL=C lscpu -J`,
    );
  const vendor = vendorOf(catalog, fields.get('vendor id'));
  const [family, model, stepping] = ['cpu family', 'model', 'stepping'].map((key) =>
    wholeNumber(fields.get(key), where, key),
  ) as [number | null, number | null, number | null];
  return {
    ...untold(catalog, 'lscpu', line),
    ...readFlags(catalog, flags, vendor),
    view: 'kernel',
    keys: processorKey(fields.get('model name')),
    arch,
    vendor,
    limits: {
      physBits:
        Number(/\b(\d+) bits physical/.exec(fields.get('address sizes') ?? '')?.[1] ?? 0) || null,
    },
    signature:
      family === null || model === null || stepping === null ? null : { family, model, stepping },
  };
}
