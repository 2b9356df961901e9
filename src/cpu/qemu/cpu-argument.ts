// Values in QEMU's -cpu argument: how they are read, whatever CPU they are about.
import { parseBoolean } from '../cpu-string.ts';
import { QueryError } from '../errors.ts';
import type { Property, PropertyValue } from './properties.ts';

/**
 * The value of a property as QEMU reads it from text.
 * @throws QueryError for what QEMU would refuse.
 */
export function parseValue(property: Property, text: string): PropertyValue {
  switch (property.type) {
    case 'bool':
      return parseBoolean(property.name, text);
    case 'auto':
      if (text === 'on' || text === 'off' || text === 'auto') return text;
      throw new QueryError(`${property.name} takes on, off or auto, not "${text}"`);
    case 'string':
      return checkString(property.name, text);
    default:
      return checkInteger(property, parseInteger(text), text);
  }
}

/**
 * The value of a property as QMP has it, typed.
 * @throws QueryError for what QEMU would refuse.
 */
export function checkValue(property: Property, value: unknown): PropertyValue {
  const refuse = (what: string): never => {
    throw new QueryError(`${property.name} takes ${what}, not ${JSON.stringify(value)}`);
  };
  switch (property.type) {
    case 'bool':
      return typeof value === 'boolean' ? value : refuse('true or false');
    case 'auto':
      return value === 'on' || value === 'off' || value === 'auto'
        ? value
        : refuse('"on", "off" or "auto"');
    case 'string':
      return typeof value === 'string' ? checkString(property.name, value) : refuse('a string');
    default:
      if (typeof value !== 'number' || !Number.isInteger(value)) return refuse('a whole number');
      return checkInteger(property, BigInt(value), String(value));
  }
}

/** As strtoll with base 0: white space before it, a sign, then hexadecimal, octal or decimal digits; no rest. */
function parseInteger(text: string): bigint | null {
  const match = /^[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.exec(text);
  if (!match) return null;
  const digits = match[2]!;
  const value = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return match[1] === '-' ? -value : value;
}

const LIMITS: Readonly<Record<string, readonly [bigint, bigint]>> = {
  uint8: [0n, 0xffn],
  uint16: [0n, 0xffffn],
  uint32: [0n, 0xffffffffn],
  uint64: [0n, 0xffffffffffffffffn],
  int32: [-0x80000000n, 0x7fffffffn],
  int64: [-0x8000000000000000n, 0x7fffffffffffffffn],
};

function checkInteger(property: Property, given: bigint | null, text: string): PropertyValue {
  const [least, most] = LIMITS[property.type]!;
  const min = property.min === undefined ? least : BigInt(property.min);
  const max = property.max === undefined ? most : BigInt(property.max);
  if (given === null)
    throw new QueryError(`${property.name} takes a number, decimal or 0x..., not "${text}"`);
  // QEMU reads unsigned numbers modulo 2^64, and looks at their range after that.
  const value =
    least === 0n && given < 0n && given >= -LIMITS.uint64![1]
      ? given + LIMITS.uint64![1] + 1n
      : given;
  if (value < min || value > max)
    throw new QueryError(`${property.name} takes ${min} to ${max}, not "${text}"`);
  if (property.mask !== undefined && (value & ~BigInt(property.mask)) !== 0n)
    throw new QueryError(
      `${property.name} has only the bits 0x${property.mask.toString(16)}, not "${text}"`,
    );
  return value > BigInt(Number.MAX_SAFE_INTEGER) || value < -BigInt(Number.MAX_SAFE_INTEGER)
    ? String(value)
    : Number(value);
}

const utf8 = new TextEncoder();
const MODEL_ID_BYTES = 48;

function checkString(name: string, text: string): string {
  const bytes = utf8.encode(text);
  if (name === 'vendor' && bytes.length !== 12)
    throw new QueryError(`vendor takes exactly 12 characters, like GenuineIntel, not "${text}"`);
  if (name === 'model-id' && bytes.length > MODEL_ID_BYTES)
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, MODEL_ID_BYTES));
  return text;
}

const SUFFIX = 'bkmgtpe';

/**
 * The value of `tsc-freq`, the one key of -cpu that takes a suffix (powers of 1000), as a decimal number of hertz.
 * @throws QueryError for what QEMU would refuse.
 */
export function parseFrequency(text: string): string {
  const refuse = (): never => {
    throw new QueryError(
      `tsc-freq takes a number of hertz, with a suffix like 2G if need be, not "${text}"`,
    );
  };
  const match =
    /^[ \t\n\v\f\r]*\+?(0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]*)?|\.[0-9]+)([a-zA-Z]?)$/.exec(text);
  if (!match) return refuse();
  const [, digits, suffix] = match;
  const power = suffix === '' ? 0 : SUFFIX.indexOf(suffix!.toLowerCase());
  if (power < 0) return refuse();
  const [whole, fraction = ''] = /^0[xX]/.test(digits!) ? [digits!] : digits!.split('.');
  // A fraction needs a unit that it can be a part of.
  if (power === 0 && /[1-9]/.test(fraction)) return refuse();
  const scale = 1000n ** BigInt(power);
  const hertz =
    BigInt(whole || '0') * scale +
    (fraction === '' ? 0n : (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length));
  return hertz > LIMITS.int64![1] ? refuse() : String(hertz);
}
