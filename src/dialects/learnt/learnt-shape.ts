// What a learnt catalog must be, field by field: it is read as a stranger's file is.
import * as v from 'valibot';
import {
  isScalar,
  nameShape,
  names,
  natural,
  recordOf,
  signatureShape,
  text,
  unlike,
} from '../../cpu/shapes.ts';

const SCHEMA = 'plimsoll.learn/1';
const PLACE =
  /^(?:msr\.[0-9a-f]{1,8}|cpuid\.[0-9a-f]{1,8}\.[0-9a-f]{1,8}\.e[abcd]x)\.(?:[12]?\d|3[01])$/;
/** A register of a model has 64 bits. */
const MSR_PLACE = /^msr\.[0-9a-f]{1,8}\.(?:[1-5]?\d|6[0-3])$/;

const libvirtShape = () => {
  const { family, model } = signatureShape().entries;
  return v.strictObject({
    schema: v.literal(SCHEMA),
    stack: text(),
    libvirt: v.strictObject({
      vendors: v.array(v.strictObject({ name: text(), id: text() })),
      features: v.array(
        v.strictObject({
          name: nameShape(),
          at: v.pipe(
            v.string(),
            v.check((at) => PLACE.test(at) || MSR_PLACE.test(at)),
          ),
          migratable: v.boolean(),
        }),
      ),
      models: v.array(
        v.strictObject({
          name: nameShape(),
          vendor: v.nullable(text()),
          signatures: v.array(
            v.strictObject({ family, model, steppings: v.nullable(v.array(natural())) }),
          ),
          decodeHost: v.boolean(),
          decodeGuest: v.boolean(),
          compat: v.boolean(),
          canonical: v.nullable(nameShape()),
          features: names(),
          added: names(),
          removed: names(),
        }),
      ),
      ppc64: v.strictObject({
        vendors: v.array(text()),
        models: v.array(
          v.strictObject({
            name: nameShape(),
            vendor: v.nullable(text()),
            pvr: v.array(v.strictObject({ value: natural(), mask: natural() })),
          }),
        ),
      }),
    }),
  });
};

const qemuShape = () => {
  const ranges = v.array(
    v.pipe(
      v.array(natural()),
      v.check(({ length }) => length === 1 || length === 2),
    ),
  );
  const values = recordOf(isScalar);
  return v.strictObject({
    schema: v.literal(SCHEMA),
    stack: text(),
    qemu: v.strictObject({
      version: v.pipe(v.string(), v.regex(/^\d{1,4}\.\d{1,4}\.\d{1,4}$/)),
      package: v.string(),
      sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
      features: names(),
      properties: v.array(
        v.strictObject({
          name: nameShape(),
          type: v.picklist([
            'bool',
            'auto',
            'string',
            'uint8',
            'uint16',
            'uint32',
            'uint64',
            'int32',
            'int64',
            'fixed',
          ]),
          default: v.exactOptional(v.nullable(v.custom<string | number | boolean>(isScalar))),
          min: v.exactOptional(v.pipe(v.number(), v.finite())),
          max: v.exactOptional(v.pipe(v.number(), v.finite())),
          mask: v.exactOptional(natural()),
          of: v.exactOptional(v.picklist(['vcpu', 'start', 'max'])),
          only: v.exactOptional(text()),
        }),
      ),
      tcg: names(),
      machines: v.array(
        v.strictObject({
          name: nameShape(),
          aliases: v.exactOptional(names()),
          default: v.picklist(['legacy', 'latest', 1]),
        }),
      ),
      refused: v.array(v.strictObject({ machine: v.string(), reason: v.string() })),
      models: v.array(
        v.strictObject({
          name: nameShape(),
          kind: v.picklist(['versioned', 'fixed-alias', 'machine-alias', 'special']),
          of: v.exactOptional(nameShape()),
          base: v.exactOptional(nameShape()),
          version: v.exactOptional(natural()),
        }),
      ),
      all: v.array(v.strictObject({ machines: ranges, values })),
      cpus: v.array(
        v.strictObject({
          model: nameShape(),
          machines: ranges,
          values,
          like: v.exactOptional(v.pipe(v.string(), v.regex(/^\d{1,6}$/))),
          plus: v.exactOptional(names()),
          minus: v.exactOptional(names()),
        }),
      ),
    }),
  });
};

type LearntQemuShape = v.InferOutput<ReturnType<typeof qemuShape>>;

export const isLearntLibvirt = (document: unknown): boolean =>
  unlike(libvirtShape(), document) === null;

export const isLearntQemu = (document: unknown): boolean =>
  unlike(qemuShape(), document) === null && isConsistent(document as LearntQemuShape);

/** Whether all that is spoken of by position or name is there. */
function isConsistent({ stack, qemu }: LearntQemuShape): boolean {
  const models = new Map(qemu.models.map((model) => [model.name, model]));
  const areThere = (ranges: readonly (readonly number[])[]) =>
    ranges.every(([from, to = from]) => from! <= to! && to! < qemu.machines.length);
  return (
    stack === `qemu@${qemu.version}` &&
    qemu.machines.length > 0 &&
    qemu.models.every(
      ({ name, kind, of, base, version }) =>
        (of === undefined ? kind !== 'fixed-alias' : models.has(of)) &&
        (kind !== 'versioned' || (base !== undefined && version !== undefined)) &&
        (kind !== 'machine-alias' || models.has(`${name}-v1`)),
    ) &&
    qemu.all.every(({ machines }) => areThere(machines)) &&
    qemu.cpus.every(
      ({ model, machines, like }, i) =>
        models.has(model) && areThere(machines) && (like === undefined || Number(like) < i),
    )
  );
}
