// A CPU that was saved: what plimsoll baseline and pin print as JSON, read back as a stranger's file would be.
import { archRecord, type Identity, UNTOLD } from './arch/index.ts';
import type { Catalog } from './catalog.ts';
import type { Definitions } from './definition.ts';
import { QueryError } from './errors.ts';
import type { XsaveComponent } from './facts.ts';
import { type NamedModel, type Need, needing } from './need.ts';

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

/**
 * A saved CPU out of its JSON, parsed.
 * @throws QueryError when it is none, names no CPU, or holds what no answer does.
 */
export function readSaved(document: unknown, name: string): Saved {
  if (!isObject(document) || !SCHEMAS.has(document.schema) || !isStrings(document.features))
    throw new QueryError(
      `${name} is no saved baseline; give the output of plimsoll baseline --json`,
    );
  const { schema, stack = [], features } = document;
  if (!isStrings(stack))
    throw new QueryError(`${name} is no saved baseline: its "stack" is no list of names`);
  const definitions = definitionsOf(document.definitions, name);
  if (features.length === 0 && Object.keys(definitions).length === 0)
    throw new QueryError(
      `${name} is the answer of a fleet without a common CPU, so there is nothing to check; take one of its sides`,
    );
  const limits = isObject(document.limits) ? document.limits : {};
  const properties = isObject(document.properties) ? document.properties : {};
  const vendor = document.vendor ?? properties.vendor;
  return {
    schema: schema as Saved['schema'],
    stack,
    arch: typeof document.arch === 'string' ? document.arch : null,
    vendor: typeof vendor === 'string' ? vendor : null,
    features,
    physBits: typeof limits.physBits === 'number' ? limits.physBits : null,
    // A pinned CPU exposes components wherever its host has them.
    xsave: schema === 'plimsoll.pin/1' ? [] : layoutOf(document.xsave, name),
    definitions,
    ...identityOf(document.identity, name),
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

function layoutOf(value: unknown, name: string): Saved['xsave'] {
  if (value === undefined) return 'lost';
  const isCount = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 0;
  if (
    Array.isArray(value) &&
    value.every((x) => isObject(x) && isCount(x.component) && isCount(x.size) && isCount(x.offset))
  )
    return value as XsaveComponent[];
  throw new QueryError(`${name} is no saved baseline: its "xsave" is no list of components`);
}

function identityOf(value: unknown, name: string): Pick<Saved, 'identity'> {
  if (value === undefined) return {};
  if (isObject(value)) {
    const { model = null, midr = null, registers = null, sve = null } = value;
    if (
      (model === null || typeof model === 'string') &&
      (midr === null || isStrings(midr)) &&
      (registers === null || (isObject(registers) && isStrings(Object.values(registers)))) &&
      (sve === null || (Array.isArray(sve) && sve.every((n) => typeof n === 'number')))
    )
      return { identity: { model, midr, registers: registers as Identity['registers'], sve } };
  }
  throw new QueryError(`${name} is no saved baseline: its "identity" is none`);
}

function definitionsOf(value: unknown, name: string): Definitions {
  if (value === undefined) return {};
  const isDefinition = (d: unknown) =>
    isObject(d) && typeof d.name === 'string' && isStrings(d.require) && isStrings(d.disable);
  if (
    isObject(value) &&
    Object.entries(value).every(
      ([product, d]) => (product === 'libvirt' || product === 'qemu') && isDefinition(d),
    )
  )
    return value as Definitions;
  throw new QueryError(`${name} is no saved baseline: its "definitions" are none`);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((x) => typeof x === 'string');
