// Documents that name the same host become one host: the better view wins, and known beats unknown.
import { join, meet, minus, size } from '../core/rows.ts';
import type { Identity } from '../cpu/arch/index.ts';
import type { Catalog } from '../cpu/catalog/catalog.ts';
import type { View } from '../cpu/description.ts';
import { QueryError } from '../cpu/errors.ts';
import { byBytes } from '../cpu/order.ts';
import { type Kind, kindText } from './kind.ts';

/** From the weakest word about guests to the strongest. */
const VIEWS: readonly View[] = ['guest', 'hardware', 'kernel', 'hypervisor'];

/** What one document says of a host. */
export interface HostDocument {
  readonly input: string;
  readonly kind: Kind;
}

/**
 * What all documents of one host say together.
 * @throws QueryError where two of one view contradict each other.
 */
export function joinDocuments(
  catalog: Catalog,
  id: string,
  documents: readonly HostDocument[],
): Kind {
  // Of one view what they say decides which comes first, so that it is the same however they are spread over files.
  const ordered = documents
    .map((document) => ({ document, text: kindText(withoutDescribed(document.kind)) }))
    .sort(
      (a, b) =>
        VIEWS.indexOf(b.document.kind.view) - VIEWS.indexOf(a.document.kind.view) ||
        byBytes(a.text, b.text) ||
        byBytes(a.document.input, b.document.input),
    )
    .map(({ document }) => document);
  const { kind } = ordered.reduce((better, other) => joinTwo(catalog, id, better, other));
  const described = documents.map(({ input, kind: { described: of } }) =>
    of?.map((d) => ({ ...d, input })),
  );
  const isKept = described.every((of) => of !== undefined);
  return isKept ? { ...kind, described: described.flat() } : withoutDescribed(kind);
}

const joinIdentity = (a: Identity, b: Identity): Identity => ({
  // The MIDR's own name stands above what a hypervisor calls it.
  model: (a.midr === null && b.midr !== null ? b.model : a.model) ?? b.model,
  midr: a.midr ?? b.midr,
  registers: a.registers ?? b.registers,
  sve: a.sve ?? b.sve,
});

function withoutDescribed({ described: _, ...kind }: Kind): Kind {
  return kind;
}

function joinTwo(
  catalog: Catalog,
  id: string,
  better: HostDocument,
  other: HostDocument,
): HostDocument {
  const [a, b] = [better.kind, other.kind];
  const where =
    better.input === other.input
      ? `twice in ${better.input}`
      : `in ${better.input} and in ${other.input}`;
  const contradict = (what: string): never => {
    throw new QueryError(
      `host ${id} is described ${where}, and the two contradict each other about ${what}; keep the one that holds`,
    );
  };
  if (a.arch !== b.arch) contradict(`the architecture (${a.arch}, ${b.arch})`);
  if (a.vendor !== null && b.vendor !== null && a.vendor !== b.vendor)
    contradict(`the vendor (${a.vendor}, ${b.vendor})`);
  const midr = [a, b].map((kind) => kind.identity?.midr?.join());
  if (midr.every((of) => of !== undefined) && midr[0] !== midr[1])
    contradict(`the MIDR (${midr.join('; ')})`);
  const both = meet(a.known, b.known);
  const differs = join(minus(meet(a.has, both), b.has), minus(meet(b.has, both), a.has));
  if (a.view === b.view) {
    if (size(differs) > 0)
      contradict(
        catalog.names(differs).slice(0, 5).join(', ') + (size(differs) > 5 ? ', ...' : ''),
      );
    if (a.physBits !== null && b.physBits !== null && a.physBits !== b.physBits)
      contradict(`physical address bits (${a.physBits}, ${b.physBits})`);
    const [x, y] = [a, b].map((kind) => new Set(kind.unnamed));
    const unnamed = [
      ...a.unnamed.filter((n) => !y!.has(n)),
      ...b.unnamed.filter((n) => !x!.has(n)),
    ];
    if (unnamed.length > 0) contradict(unnamed.join(', '));
  }
  // What the better view leaves open, the other may settle.
  const open = minus(b.known, a.known);
  const kind: Kind = {
    ...a,
    has: join(a.has, meet(b.has, open)),
    known: join(a.known, open),
    unnamed: [...new Set([...a.unnamed, ...b.unnamed])],
    unnamedUnknown: a.unnamedUnknown.filter((n) => b.unnamedUnknown.includes(n)),
    vendor: a.vendor ?? b.vendor,
    physBits: a.physBits ?? b.physBits,
    xsave: a.xsave ?? b.xsave,
    models: { ...b.models, ...a.models },
    ...(a.identity && b.identity ? { identity: joinIdentity(a.identity, b.identity) } : {}),
    keys: { ...b.keys, ...a.keys },
    microcode: a.microcode ?? b.microcode,
    signature: a.signature ?? b.signature,
    machine: a.machine ?? b.machine,
    qemu: a.qemu ?? b.qemu,
    libvirt: a.libvirt ?? b.libvirt,
    tsc: a.tsc ?? b.tsc,
    asked: a.asked ?? b.asked,
    saved: a.saved ?? b.saved,
    selfHosted: a.selfHosted || b.selfHosted,
    assumed: a.assumed.filter((name) => b.assumed.includes(name)),
    notes: [...new Map([...a.notes, ...b.notes].map((n) => [JSON.stringify(n), n])).values()],
  };
  return { input: better.input, kind };
}
