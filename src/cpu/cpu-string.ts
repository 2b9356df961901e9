// QEMU's -cpu argument as text: what its items are, and what they switch.
import { QueryError } from './errors.ts';

/** One item after the model: `key=value` (or a bare key, which means on), `+feature`, `-feature`. */
export interface Item {
  readonly how: 'set' | 'plus' | 'minus';
  readonly name: string;
  readonly value: string;
}

export interface CpuString {
  readonly model: string;
  /** In the order written; QEMU takes all `set` first, then all `plus`, then all `minus`. */
  readonly items: readonly Item[];
}

/**
 * Takes a -cpu argument apart; names and values are looked up elsewhere.
 * @throws QueryError where there is no model.
 */
export function parseCpuString(text: string): CpuString {
  if (text === '')
    throw new QueryError('an empty -cpu names no model; write one like Skylake-Server-v4,pcid=on');
  const [model, ...parts] = text.split(',');
  const items = parts
    .filter((part) => part !== '')
    .map((part): Item => {
      const sign = part[0];
      if (sign === '+' || sign === '-')
        return { how: sign === '+' ? 'plus' : 'minus', name: part.slice(1), value: '' };
      const at = part.indexOf('=');
      const key = at < 0 ? part : part.slice(0, at);
      // Only here is an underscore as good as a dash; +a_b and -a_b need an alias that is spelt so.
      return {
        how: 'set',
        name: key.replaceAll('_', '-'),
        value: at < 0 ? 'on' : part.slice(at + 1),
      };
    });
  return { model: model!, items };
}

/** The argument with further features switched, so that they win over all that it says of them. */
export function withSwitches(text: string, features: readonly string[], on: boolean): string {
  const signed = new Set(
    parseCpuString(text).items.flatMap((i) => (i.how === 'set' ? [] : [i.name])),
  );
  // A sign beats name=on wherever it stands, and can only be beaten by another.
  const words = features.map((name) =>
    signed.has(name) ? `${on ? '+' : '-'}${name}` : `${name}=${on ? 'on' : 'off'}`,
  );
  return [text, ...words].join(',');
}

const TRUE = new Set(['on', 'yes', 'true', 'y']);
const FALSE = new Set(['off', 'no', 'false', 'n']);

export function parseBoolean(name: string, text: string): boolean {
  const value = TRUE.has(text) || (FALSE.has(text) ? false : null);
  if (value === null) throw new QueryError(`${name} takes on or off, not "${text}"`);
  return value;
}

/** Whether an item switches what it names on or off; null for what is no switch. */
export const switchOf = ({ how, value }: Item): boolean | null =>
  how === 'plus' || TRUE.has(value) || (how === 'minus' || FALSE.has(value) ? false : null);
