// An answer as the CPU of a guest, with what the languages of products need to write it.
import { hasBit } from '../core/rows.ts';
import type { Catalog } from '../cpu/catalog.ts';
import type { GuestCpu } from '../cpu/definition.ts';
import { byBytes } from '../cpu/order.ts';
import { parseStack } from '../cpu/stack.ts';
import type { Fleet } from '../fleet/fleet.ts';
import type { Baseline } from './answer.ts';
import { namerOf } from './name.ts';

/** The CPU of an answer that has one; with its fleet, also what must be hidden from the guest on some host. */
export function guestCpu(answer: Baseline, catalog: Catalog, fleet?: Fleet): GuestCpu {
  const features = catalog.row(answer.features.filter((name) => catalog.findQemu(name)));
  return {
    arch: answer.arch!,
    vendor: answer.vendor,
    definitions: answer.definitions,
    features: answer.features,
    physBits: answer.limits.physBits,
    ...(fleet ? { beyond: beyond(fleet, answer.features) } : {}),
    rename: (product, models) => {
      const namer = namerOf(catalog, parseStack(catalog, answer.stack.join(',')));
      return namer.define(product, features, { vendor: answer.vendor, models, lists: [] });
    },
  };
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
