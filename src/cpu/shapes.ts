// The shapes that parts of our own files have, for whoever reads one back: a right checksum says that a file is whole, not
// that plimsoll wrote it. Each is made when it is asked for, so that a start costs nothing.
import * as v from 'valibot';
import { isPrintable } from './printable.ts';

const MOST_BITS = 255;

/** A whole number, none below 0. */
export const natural = () => v.pipe(v.number(), v.safeInteger(), v.minValue(0));
export const text = () => v.pipe(v.string(), v.nonEmpty());
/** The name of a feature or a model. */
export const nameShape = () => v.pipe(text(), v.check(isPrintable));
export const names = () => v.array(nameShape());
export const bits = () => v.pipe(natural(), v.maxValue(MOST_BITS));

/** A plain object with any keys; the library leaves out keys that every object has, so they are gone through here. */
export const recordOf = <T>(is: (value: unknown) => value is T) =>
  v.custom<Record<string, T>>(
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      Object.values(value).every(is),
  );
const isText = (value: unknown): value is string => typeof value === 'string';
export const isScalar = (value: unknown): value is string | number | boolean =>
  typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);

export const signatureShape = () =>
  v.strictObject({ family: natural(), model: natural(), stepping: natural() });

export const xsaveShape = () =>
  v.array(v.strictObject({ component: natural(), size: natural(), offset: natural() }));

export const identityShape = () =>
  v.strictObject({
    model: v.nullable(v.string()),
    midr: v.nullable(v.array(text())),
    registers: v.nullable(recordOf(isText)),
    sve: v.nullable(v.array(natural())),
  });

export const definitionsShape = () => {
  const definition = v.strictObject({ name: nameShape(), require: names(), disable: names() });
  return v.strictObject({
    libvirt: v.exactOptional(definition),
    qemu: v.exactOptional(definition),
  });
};

/** Where a value is not of its shape, as words; null where it is. */
export function unlike(shape: v.GenericSchema, value: unknown): string | null {
  const { success, issues } = v.safeParse(shape, value, { abortEarly: true });
  return success ? null : (v.getDotPath(issues[0]) ?? 'the whole');
}
