// What a summary must be, field by field: it is read as a stranger's file is, whatever its checksum says.
import * as v from 'valibot';
import { archRecord } from '../cpu/arch/index.ts';
import {
  bits,
  definitionsShape,
  identityShape,
  isScalar,
  nameShape,
  names,
  natural,
  recordOf,
  signatureShape,
  text,
  unlike,
  xsaveShape,
} from '../cpu/shapes.ts';

const orNull = <T extends v.GenericSchema>(shape: T) => v.nullable(shape);

const elementShape = () =>
  v.strictObject({
    type: v.picklist(['host', 'guest']),
    arch: orNull(text()),
    mode: v.picklist(['custom', 'host-model', 'host-passthrough', 'maximum']),
    match: v.picklist(['minimum', 'exact', 'strict']),
    check: orNull(v.picklist(['none', 'partial', 'full'])),
    migratable: orNull(v.boolean()),
    model: orNull(v.string()),
    fallback: orNull(v.picklist(['allow', 'forbid'])),
    vendor: orNull(v.string()),
    vendorId: orNull(v.string()),
    features: v.array(
      v.strictObject({
        name: v.string(),
        policy: orNull(v.picklist(['force', 'require', 'optional', 'disable', 'forbid'])),
      }),
    ),
    signature: orNull(signatureShape()),
    microcode: orNull(v.string()),
    maxphysaddr: orNull(
      v.strictObject({
        mode: v.picklist(['passthrough', 'emulate']),
        bits: orNull(natural()),
        limit: orNull(natural()),
      }),
    ),
    topology: orNull(
      v.strictObject({
        sockets: natural(),
        dies: natural(),
        clusters: natural(),
        cores: natural(),
        threads: natural(),
      }),
    ),
    line: natural(),
  });

function askedShape() {
  const lines = v.array(v.strictTuple([v.string(), v.string()]));
  const asks = {
    anyArch: v.exactOptional(v.literal(true)),
    machine: orNull(v.string()),
    accelerator: v.picklist(['kvm', 'tcg']),
    unsettled: v.exactOptional(v.string()),
  };
  return v.variant('by', [
    v.strictObject({ by: v.literal('qemu'), cpu: v.string(), ...asks }),
    v.strictObject({
      by: v.literal('libvirt'),
      element: elementShape(),
      tscHz: orNull(natural()),
      threads: natural(),
      byName: orNull(v.picklist(['kubevirt', 'ovirt'])),
      ...asks,
    }),
    v.strictObject({
      by: v.literal('proxmox'),
      lines,
      cold: orNull(lines),
      snapshots: v.array(v.strictObject({ name: v.string(), lines })),
      models: orNull(v.array(v.strictObject({ name: v.string(), lines }))),
      ...asks,
    }),
  ]);
}

const savedShape = () =>
  v.strictObject({
    schema: v.picklist(['plimsoll.baseline/1', 'plimsoll.pin/1']),
    stack: v.array(text()),
    arch: orNull(text()),
    vendor: orNull(text()),
    features: names(),
    physBits: orNull(bits()),
    xsave: v.union([xsaveShape(), v.literal('lost')]),
    definitions: definitionsShape(),
    identity: v.exactOptional(identityShape()),
  });

function kindShape() {
  const list = v.exactOptional(v.array(v.strictTuple([nameShape(), orNull(names())])));
  return v.strictObject({
    has: natural(),
    known: natural(),
    unnamed: names(),
    unnamedUnknown: names(),
    arch: text(),
    vendor: orNull(text()),
    view: v.picklist(['hardware', 'kernel', 'hypervisor', 'guest']),
    physBits: orNull(bits()),
    named: v.exactOptional(v.literal(true)),
    xsave: orNull(xsaveShape()),
    models: v.strictObject({ libvirt: list, qemu: list, kubevirt: list }),
    identity: v.exactOptional(identityShape()),
    keys: recordOf(isScalar),
    microcode: orNull(v.string()),
    signature: orNull(signatureShape()),
    machine: orNull(v.string()),
    qemu: orNull(v.string()),
    model: orNull(v.strictObject({ name: nameShape(), known: v.boolean() })),
    libvirt: v.exactOptional(orNull(v.string())),
    tsc: v.exactOptional(orNull(v.strictObject({ hz: natural(), scaling: orNull(v.boolean()) }))),
    asked: v.exactOptional(orNull(askedShape())),
    saved: v.exactOptional(orNull(savedShape())),
    selfHosted: v.boolean(),
    assumed: names(),
    notes: v.array(v.strictObject({ code: text(), message: v.string() })),
  });
}

/** Names that follow one another in an order, so that none is there twice. */
const distinct = <T extends v.GenericSchema<unknown, readonly string[]>>(shape: T) =>
  v.pipe(
    shape,
    v.check((list) => new Set(list).size === list.length),
  );

const bodyShape = () =>
  v.strictObject({
    catalog: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
    ids: v.boolean(),
    keep: distinct(v.array(v.string())),
    keys: distinct(v.array(v.string())),
    rows: v.array(distinct(names())),
    kinds: v.array(v.strictObject({ hosts: v.pipe(natural(), v.minValue(1)), kind: kindShape() })),
    skipped: v.array(
      v.strictObject({
        input: v.string(),
        line: v.exactOptional(v.pipe(natural(), v.minValue(1))),
        reason: v.string(),
      }),
    ),
  });

export type BodyShape = v.InferOutput<ReturnType<typeof bodyShape>>;

/** What of a summary is not as plimsoll writes it; null where all is. */
export function flawOf(shards: unknown, body: unknown): string | null {
  const flaw = unlike(distinct(v.array(v.string())), shards);
  if (flaw !== null) return `shards.${flaw}`;
  return unlike(bodyShape(), body) ?? outOfPlace(body as BodyShape);
}

function outOfPlace({ rows, kinds }: BodyShape): string | null {
  const at = kinds.findIndex(
    ({ kind }) =>
      kind.has >= rows.length ||
      kind.known >= rows.length ||
      // What tells processors apart by more than their features is told of every kind but those of x86.
      archRecord(kind.arch).isX86 !== (kind.identity === undefined),
  );
  if (at >= 0) return `kinds.${at}.kind`;
  const hosts = kinds.reduce((n, kind) => n + kind.hosts, 0);
  return Number.isSafeInteger(hosts) ? null : 'kinds';
}
