// A CPU that was saved: what plimsoll baseline and pin print as JSON, read back as a stranger's file would be.
import * as v from 'valibot';
import { archRecord, type Identity, UNTOLD } from './arch/index.ts';
import type { Catalog } from './catalog/catalog.ts';
import type { Definitions } from './definition.ts';
import { QueryError } from './errors.ts';
import { type NamedModel, type Need, needing } from './need.ts';
import type { XsaveComponent } from './processor-facts.ts';
import { bits, definitionsShape, identityShape, names, text, xsaveShape } from './shapes.ts';

/** What a question needs of a saved answer. */
export interface Saved {
  readonly schema: 'plimsoll.baseline/1' | 'plimsoll.pin/1';
  readonly stack: readonly string[];
  readonly arch: string | null;
  readonly vendor: string | null;
  readonly features: readonly string[];
  readonly physBits: number | null;
  /** 'lost' where the version that saved it kept none. */
  readonly xsave: readonly XsaveComponent[] | 'lost';
  readonly definitions: Definitions;
  /** Of other architectures than x86, what tells its processor from others. */
  readonly identity?: Identity;
}

const SCHEMAS: ReadonlySet<unknown> = new Set(['plimsoll.baseline/1', 'plimsoll.pin/1']);

/** Whether a parsed document is a CPU that was saved. */
export const isSaved = (document: unknown): boolean =>
  isObject(document) && SCHEMAS.has(document.schema);

const documentShape = () =>
  v.looseObject({
    schema: v.picklist(['plimsoll.baseline/1', 'plimsoll.pin/1']),
    stack: v.exactOptional(v.array(text())),
    arch: v.exactOptional(v.nullable(text())),
    vendor: v.exactOptional(v.nullable(text())),
    features: names(),
    limits: v.exactOptional(v.looseObject({ physBits: v.exactOptional(v.nullable(bits())) })),
    properties: v.exactOptional(v.looseObject({ vendor: v.exactOptional(text()) })),
    definitions: v.exactOptional(definitionsShape()),
    xsave: v.exactOptional(xsaveShape()),
    identity: v.exactOptional(partlyTold()),
  });

/** An identity of which what is not told may be missing. */
const partlyTold = () => {
  const { model, midr, registers, sve } = identityShape().entries;
  return v.strictObject({
    model: v.exactOptional(model),
    midr: v.exactOptional(midr),
    registers: v.exactOptional(registers),
    sve: v.exactOptional(sve),
  });
};

/**
 * A saved CPU out of its JSON, parsed.
 * @throws QueryError when it is none, names no CPU, or holds what no answer does.
 */
export function readSaved(document: unknown, name: string): Saved {
  const shape = documentShape();
  const found = v.safeParse(shape, document, { abortEarly: true });
  if (!found.success) {
    const at = v.getDotPath(found.issues[0]);
    const what =
      at === null ? '' : `: its "${at.split('.')[0]}" is missing or none that an answer has`;
    throw new QueryError(
      `${name} is no saved baseline${what}; give the output of plimsoll baseline --json`,
    );
  }
  const { schema, stack = [], features, definitions = {}, limits, properties } = found.output;
  if (features.length === 0 && Object.keys(definitions).length === 0)
    throw new QueryError(
      `${name} is the answer of a fleet without a common CPU, so there is nothing to check; take one of its sides`,
    );
  const { arch = null, xsave = 'lost', identity } = found.output;
  return {
    schema,
    stack,
    arch,
    vendor: found.output.vendor ?? properties?.vendor ?? null,
    features,
    physBits: limits?.physBits ?? null,
    // A pinned CPU exposes components wherever its host has them.
    xsave: schema === 'plimsoll.pin/1' ? [] : xsave,
    definitions,
    ...(identity ? { identity: { ...UNTOLD, ...identity } } : {}),
  };
}

/** What a saved CPU needs of a host. */
export function needOfSaved(catalog: Catalog, saved: Saved): Need {
  const arch = saved.arch ?? 'x86_64';
  const isX86 = archRecord(arch).isX86;
  const isNamed = (f: string) => isX86 && catalog.find(f) !== undefined;
  const named = saved.features.filter(isNamed);
  const models = Object.entries(saved.definitions).map(
    ([product, { name }]): NamedModel => ({
      name,
      product: product as NamedModel['product'],
      alone: null,
    }),
  );
  return needing(catalog.row([]), {
    arch,
    vendor: saved.vendor === null ? null : catalog.vendor(saved.vendor),
    features: catalog.row(named),
    unnamed: saved.features.filter((f) => !isNamed(f)),
    physBits: saved.physBits,
    xsave: saved.xsave,
    // Beside x86 no list of models is about the host's own CPU.
    models: isX86 ? models : [],
    like: isX86 ? null : (saved.identity ?? UNTOLD),
  });
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
