// An answer as the CPU of a guest, with what the languages of products need to write it.
import { hasBit, meet, minus, type Row } from '../core/rows.ts';
import type { Catalog, Product } from '../cpu/catalog.ts';
import type { Definition, GuestCpu } from '../cpu/definition.ts';
import { isX86 } from '../cpu/host.ts';
import { byBytes } from '../cpu/order.ts';
import { closeDependencies } from '../cpu/qemu.ts';
import { parseStack } from '../cpu/stack.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Baseline } from './answer.ts';
import { ByNameChoice } from './by-name.ts';
import { modelLists } from './line.ts';
import { type Namer, type Naming, namerOf } from './name.ts';

export interface GuestCpuOptions {
  /** Choose only among these model names. */
  readonly models?: readonly string[] | undefined;
  /** What a product is to call it. */
  readonly called?: string | undefined;
}

/** The CPU of an answer that has one; with its fleet, also what must be hidden on some host, and what hosts call usable. */
export function guestCpu(
  answer: Baseline,
  catalog: Catalog,
  fleet?: Fleet,
  { models, called }: GuestCpuOptions = {},
): GuestCpu {
  const { arch, vendor, definitions: own } = answer;
  if (arch !== null && !isX86({ arch }))
    return { arch, vendor, definitions: own, features: answer.features, physBits: null };
  const features = catalog.row(answer.features.filter((name) => catalog.findQemu(name)));
  const namer = namerOf(catalog, parseStack(catalog, answer.stack.join(',')));
  const choice = { vendor: answer.vendor, ...(models ? { models } : {}) };
  const naming: Naming = { ...choice, lists: fleet ? modelLists(fleet.classes) : [] };
  const { definitions, unsaid } = completed(catalog, namer, naming, answer, features);
  const { libvirt } = definitions;
  return {
    arch: answer.arch!,
    vendor: answer.vendor,
    definitions,
    unsaid,
    oldest: Object.fromEntries(namer.software.toReversed().map((s) => [s.product, s.version])),
    features: answer.features,
    physBits: answer.limits.physBits,
    ...(called === undefined ? {} : { called }),
    rename: (product, names) =>
      namer.define(product, features, {
        ...choice,
        models: models ? names.filter((name) => namer.isAmong(product, name, models)) : names,
        lists: [],
      }),
    ...(fleet
      ? {
          beyond: beyond(fleet, answer.features),
          lacked: lacked(fleet),
          machines: [...new Set(fleet.kinds.flatMap((kind) => kind.machine ?? []))].sort(byBytes),
          concluded: fleet.list(fleet.membersOf((i) => fleet.classes[i]!.view !== 'hypervisor'))
            .count,
          byName: (never) =>
            libvirt
              ? new ByNameChoice(fleet, namer, choice).choose(
                  libvirt,
                  minus(features, catalog.row(unsaid.libvirt ?? [])),
                  never,
                )
              : null,
        }
      : {}),
  };
}

/**
 * The definitions of an answer, and for a product that the stack does not name, and that cannot say all of it, one of
 * what it can say.
 */
function completed(
  catalog: Catalog,
  namer: Namer,
  naming: Naming,
  { definitions }: Baseline,
  features: Row,
): { definitions: GuestCpu['definitions']; unsaid: NonNullable<GuestCpu['unsaid']> } {
  const whole: { [P in Product]?: Definition } = { ...definitions };
  const unsaid: { [P in Product]?: readonly string[] } = {};
  for (const { product } of namer.taken) {
    if (whole[product]) continue;
    const sayable = closeDependencies(catalog, meet(features, namer.expressible(product)));
    const found = namer.define(product, sayable, naming);
    if (!found) continue;
    whole[product] = found;
    unsaid[product] = catalog.names(minus(features, sayable));
  }
  return { definitions: whole, unsaid };
}

/** Features beside the line that some host has, or may have. */
function beyond(fleet: Fleet, features: readonly string[]): string[] {
  const line = new Set(features);
  const classes = [...fleet.classes.keys()].map((i) => [fleet.has(i), fleet.known(i)] as const);
  return fleet.catalog.features
    .filter(
      (f) =>
        !line.has(f.name) &&
        classes.some(([has, known]) => hasBit(has, f.id) || !hasBit(known, f.id)),
    )
    .map((f) => f.name)
    .sort(byBytes);
}

/** Features that some host is known to lack. */
function lacked(fleet: Fleet): string[] {
  const rows = [...fleet.classes.keys()].map((i) => minus(fleet.known(i), fleet.has(i)));
  return fleet.catalog.features
    .filter((f) => rows.some((row) => hasBit(row, f.id)))
    .map((f) => f.name)
    .sort(byBytes);
}
