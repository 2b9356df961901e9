// plimsoll resolve: what the one rule says of guests on a host, and the CPU that each of them gets there.
import { clearBit, hasBit, minus, type Row, setBit } from '../core/rows.ts';
import { tcgRow } from '../cpu/accelerators.ts';
import { startedAs, startOfAsked } from '../cpu/asked.ts';
import { findFeature } from '../cpu/asked-libvirt.ts';
import { isOfHost } from '../cpu/asked-qemu.ts';
import type { Catalog } from '../cpu/catalog.ts';
import type { Definition, GuestCpu } from '../cpu/definition.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Asked, AskedOfLibvirt } from '../cpu/guest.ts';
import type { Software } from '../cpu/need.ts';
import type { Settings } from '../cpu/properties.ts';
import { closeDependencies } from '../cpu/qemu.ts';
import { parseStack, type Stack } from '../cpu/stack.ts';
import type { Fleet, Kind } from '../fleet/fleet.ts';
import type { Comparison, Resolution } from './answer.ts';
import { type GivenSoftware, softwareOf } from './asker.ts';
import { baseline } from './baseline.ts';
import { compare } from './compare.ts';
import { modelLists } from './line.ts';
import { namerOf } from './name.ts';
import { type LibvirtPin, type Pin, pin, pinForLibvirt } from './pin.ts';

/**
 * The CPU of a guest on a host. pinned: one of its own, whatever the machine type; own: that of the host, so its
 * definition stays what it is; named: what the host's CPU is called, or features are.
 */
export type Got =
  | {
      readonly is: 'pinned';
      /** Whose words its definition is in. */
      readonly by: Asked['by'];
      readonly pinned: Pin;
      readonly libvirt: LibvirtPin | QueryError;
    }
  | { readonly is: 'own'; readonly asked: Asked; readonly argument: string }
  | { readonly is: 'named'; readonly cpu: GuestCpu };

/** An answer, and for each of its guests the CPU that it gets: null where it gets none, or nobody knows which. */
export interface Resolved {
  readonly answer: Resolution;
  readonly got: readonly (Got | null)[];
}

/**
 * Asks the one rule of every guest on the first host, and works out what those get that it does not refuse.
 * @throws RangeError when `host` is not exactly one host.
 */
export function resolve(host: Fleet, guests: Fleet, given: GivenSoftware = {}): Resolved {
  const { cpus, findings, skipped, ...compared } = compare(host, guests, given);
  const software = softwareOf(host.catalog, given)(host.kinds[0]!);
  const got = cpus.map(({ verdict }, i) =>
    verdict === 'incompatible'
      ? null
      : gotOf(host, guests.kinds[guests.kindOfMember[i]!]!, software),
  );
  return {
    answer: {
      ...compared,
      schema: 'plimsoll.resolve/1',
      guests: cpus.map((cpu, i) => guestOf(host, cpu, got[i]!)),
      findings,
      ...(skipped ? { skipped } : {}),
    },
    got,
  };
}

function guestOf(
  host: Fleet,
  { cpu, verdict, missing, unknown, reasons }: Comparison['cpus'][number],
  got: Got | null,
): Resolution['guests'][number] {
  const { catalog } = host;
  const says = (definitions: GuestCpu['definitions'], features: readonly string[]) => ({
    guest: cpu,
    verdict,
    missing,
    unknown,
    reasons,
    definitions,
    features,
  });
  if (got === null) return says({}, []);
  if (got.is === 'own') return says({}, host.names(host.has(0)));
  if (got.is === 'named') return says(got.cpu.definitions, got.cpu.features);
  const { pinned, libvirt } = got;
  const { resolved, alone, features } = pinned;
  const definitions = {
    ...(libvirt instanceof QueryError
      ? {}
      : { libvirt: { name: libvirt.name, require: libvirt.require, disable: libvirt.disable } }),
    qemu: { name: resolved, ...switchesOf(catalog, alone) },
  };
  return says(definitions, features);
}

/** The features among settings. */
function switchesOf(catalog: Catalog, settings: Settings): Omit<Definition, 'name'> {
  const names = (on: boolean) =>
    settings
      .filter(([name, value]) => value === on && catalog.findQemu(name) !== undefined)
      .map(([name]) => name);
  return { require: names(true), disable: names(false) };
}

function gotOf(host: Fleet, kind: Kind, software: Software): Got | null {
  const { catalog } = host;
  const stack = parseStack(catalog, `libvirt@${software.libvirt},qemu@${software.qemu}`);
  if (!kind.asked) return namedRow(host, kind, stack);
  try {
    const asked = startedAs(kind.asked, software);
    if (isNamedByHost(asked)) return namedHost(host, asked, stack);
    const settled = asked.by === 'qemu' ? asked : withOptional(host, asked, software);
    const { cpu, ...where } = startOfAsked(catalog, settled, software);
    if (isOfHost(asked)) return { is: 'own', asked, argument: cpu };
    const pinned = pin(catalog, cpu, where);
    return { is: 'pinned', by: asked.by, pinned, libvirt: tryLibvirt(catalog, pinned, stack) };
  } catch (error) {
    // What the rule calls unknown may have no meaning that is known here.
    if (error instanceof QueryError) return null;
    throw error;
  }
}

function tryLibvirt(catalog: Catalog, pinned: Pin, stack: Stack): LibvirtPin | QueryError {
  try {
    return pinForLibvirt(catalog, pinned, stack);
  } catch (error) {
    if (error instanceof QueryError) return error;
    throw error;
  }
}

/** Of a guest with the CPU of its host libvirt makes a named model, unless it is passed through. */
const isNamedByHost = (asked: Asked): asked is AskedOfLibvirt =>
  asked.by === 'libvirt' &&
  (asked.element.mode === 'host-model' || asked.element.match === 'minimum');

/** What may lack is there where the host has it, and off elsewhere. */
function withOptional(host: Fleet, asked: AskedOfLibvirt, { qemu }: Software): AskedOfLibvirt {
  const { catalog } = host;
  const there = asked.accelerator === 'tcg' ? tcgRow(catalog, qemu) : host.narrow(host.has(0));
  const features = asked.element.features.map((f) => {
    if (f.policy !== 'optional' && f.policy !== 'force') return f;
    const feature = findFeature(catalog, f.name);
    const isThere = feature !== undefined && hasBit(there, feature.id);
    return { ...f, policy: isThere ? ('require' as const) : ('disable' as const) };
  });
  return { ...asked, element: { ...asked.element, features } };
}

/** The line of the host alone, with what the guest's definition switches. */
function namedHost(host: Fleet, asked: AskedOfLibvirt, stack: Stack): Got {
  const { catalog } = host;
  const line = baseline(host, { stack });
  const has = host.narrow(host.has(0));
  const row = catalog.row(line.features.filter((name) => catalog.findQemu(name)));
  for (const { name, policy } of asked.element.features) {
    const feature = findFeature(catalog, name);
    if (!feature) continue;
    if (policy === 'disable' || policy === 'forbid') clearBit(row, feature.id);
    else if (hasBit(has, feature.id)) setBit(row, feature.id);
  }
  return named(host, { arch: line.arch, vendor: line.vendor, physBits: null, row }, stack);
}

/** A CPU that is known by its features, or by what it was saved as. */
function namedRow(host: Fleet, kind: Kind, stack: Stack): Got | null {
  if (kind.view !== 'guest' && !kind.saved) return null;
  const { arch, vendor, physBits, has, saved } = kind;
  const never = host.catalog.rowWhere((f) => f.merge === 'never');
  const got = named(host, { arch, vendor, physBits, row: minus(has, never) }, stack);
  return saved && got.is === 'named'
    ? { is: 'named', cpu: { ...got.cpu, definitions: saved.definitions, features: saved.features } }
    : got;
}

interface ByRow {
  readonly arch: string | null;
  readonly vendor: Kind['vendor'];
  readonly physBits: number | null;
  readonly row: Row;
}

function named(host: Fleet, { arch, vendor, physBits, row }: ByRow, stack: Stack): Got {
  const { catalog } = host;
  const namer = namerOf(catalog, stack);
  const naming = { vendor, lists: modelLists(host.classes) };
  const features = closeDependencies(catalog, row);
  const define = (product: 'libvirt' | 'qemu') => {
    const definition = namer.define(product, features, naming);
    return definition ? { [product]: definition } : {};
  };
  return {
    is: 'named',
    cpu: {
      arch: arch ?? 'x86_64',
      vendor,
      definitions: { ...define('libvirt'), ...define('qemu') },
      features: catalog.names(features),
      physBits,
    },
  };
}
