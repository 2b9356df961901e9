// What is known of a bit of guests, in the words of the table.
import type { KvmModule, LearntKvmRow } from '../../cpu/schema.ts';
import type { Bit } from './caps.ts';

/** Words of speculation that are one maker's own: on the other's processors nothing is made of them. */
const FOREIGN: Readonly<Record<KvmModule, RegExp>> = {
  Intel: /^cpuid\.8000/,
  AMD: /^cpuid\.7\.0\.edx\.(?:26|27|31)$/,
};
/** What processors of this maker have none of. */
const ELSEWHERE: Readonly<Record<KvmModule, RegExp>> = {
  // Counters of AMD's own.
  Intel: /^cpuid\.80000022\./,
  // SGX and processor trace.
  AMD: /^cpuid\.(?:12|14)\.|^cpuid\.7\.0\.(?:ebx\.2|ecx\.30)$/,
};
/** Of this leaf Linux makes bits up that Intel's processors are not asked for. */
const AMD_LEAF = /^cpuid\.80000021\./;

/** `nameOf`: the feature of a place. */
export function tableRow(
  bit: Bit,
  place: string,
  vendor: KvmModule,
  nameOf: (place: string) => string,
): LearntKvmRow {
  if (bit.always) return { when: 'always' };
  if (bit.option !== null) return { when: 'conditional', hardware: bit.option };
  const isMade = bit.isKept || bit.isOpen || bit.lists.length > 0;
  const isForeign =
    ELSEWHERE[vendor].test(place) || (vendor === 'Intel' && AMD_LEAF.test(place) && isMade);
  if (isForeign) return { when: 'never' };
  const isHere = !(vendor === 'AMD' && place.startsWith('msr.'));
  const others = bit.lists.filter(
    (list) => !list.includes(place) && !list.some((one) => FOREIGN[vendor].test(one)),
  );
  const isListed = bit.lists.some((list) => list.length === 1 && list[0] === place);
  const own = isHere && (bit.hardware || isListed);
  const of = absorbed(own ? [[place], ...others] : others).map((list) => list.map(nameOf));
  if (bit.isOpen)
    return {
      when: 'conditional',
      hardware: 'enough',
      ...(others.length > 0 ? { of } : {}),
    };
  if (others.length > 0) return { when: 'made-up', of };
  return own ? { when: 'hardware', ...(bit.raw ? { raw: true as const } : {}) } : { when: 'never' };
}

/** Lists without those that hold all of another. */
const absorbed = (lists: readonly (readonly string[])[]): (readonly string[])[] =>
  lists.filter(
    (list, i) =>
      !lists.some(
        (other, j) =>
          j !== i &&
          other.every((one) => list.includes(one)) &&
          (other.length < list.length || j < i),
      ),
  );
