// plimsoll decode: what a host, dump or definition really is: its features, limits, and the models that come near.
import { minus, type Row, size } from '../core/rows.ts';
import type { Catalog } from '../cpu/catalog.ts';
import { type Description, unsettled } from '../cpu/host.ts';
import { byBytes } from '../cpu/order.ts';
import { candidate, Fleet, type Skipped } from '../fleet/fleet.ts';
import type { Decoded } from './answer.ts';
import { baseline } from './baseline.ts';
import { type BaselineOptions, drawLine } from './line.ts';

/** Models listed as candidates: those that lack the least. */
const CANDIDATES = 5;

/** Decodes each CPU by itself; `read` as readDescriptions gives it. */
export function decode(
  catalog: Catalog,
  read: readonly { readonly id: string; readonly description: Description }[],
  skipped: readonly Skipped[] = [],
  options: BaselineOptions = {},
): Decoded {
  return {
    schema: 'plimsoll.decode/1',
    hosts: read.map(({ id, description }) => decodeOne(catalog, id, description, options)),
    ...(skipped.length > 0 ? { skipped } : {}),
  };
}

function decodeOne(
  catalog: Catalog,
  id: string,
  d: Description,
  options: BaselineOptions,
): Decoded['hosts'][number] {
  const fleet = new Fleet(catalog, [candidate(catalog, id, d)]);
  const answer = baseline(fleet, options);
  // What the description says, not what guests could be given of it.
  const isSettled = unsettled(d) === null;
  const open = minus(catalog.row(catalog.features.map((f) => f.name)), d.known);
  return {
    host: id,
    view: d.view,
    arch: d.arch,
    vendor: d.vendor,
    signature: d.signature,
    ...(d.microcode === null ? {} : { microcode: d.microcode }),
    definitions: isSettled ? answer.definitions : {},
    features: [...catalog.names(d.has), ...d.unnamed].sort(byBytes),
    unknown: [...catalog.names(open), ...d.unnamedUnknown].sort(byBytes),
    limits: { physBits: d.limits.physBits },
    candidates: d.arch === 'x86_64' && isSettled ? candidates(catalog, fleet) : [],
    findings: answer.findings.filter((f) => f.code !== 'newer-stack'),
  };
}

/** The models of the vendor that come nearest; a feature that the host lacks weighs as much as two that it has beside. */
function candidates(catalog: Catalog, fleet: Fleet): Decoded['hosts'][number]['candidates'] {
  const { namer, vendor, outside } = drawLine(fleet);
  const offered = fleet.narrow(fleet.has(0));
  const rows = namer.products.includes('qemu') ? namer.names('qemu') : [];
  const own = rows.filter((n) => n.vendor !== null && n.vendor === vendor);
  return (own.length > 0 ? own : rows.filter((n) => n.vendor === null))
    .map((name) => {
      const asked: Row = minus(name.always, outside.all);
      const lacks = minus(asked, offered);
      const distance = 2 * size(lacks) + size(minus(offered, asked));
      return { name: name.name, lacks, distance, release: name.release };
    })
    .sort((a, b) => a.distance - b.distance || b.release - a.release || byBytes(a.name, b.name))
    .slice(0, CANDIDATES)
    .map(({ name, lacks }) => ({ name, lacks: catalog.names(lacks) }));
}
