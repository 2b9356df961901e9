// What QEMU answers about a guest that runs: CPUID words where it is asked for feature-words or filtered-features,
// names where it is asked for unavailable-features.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { QueryError } from '../../cpu/errors.ts';
import { isObject, type JsonObject } from '../text/json.ts';
import { quote } from '../text/lines.ts';
import type { ToldFeatures } from './kernel-flags.ts';
import { readRegisters, registerKey } from './registers.ts';

const REGISTERS = ['eax', 'ebx', 'ecx', 'edx'] as const;
const WHOLE = 0xffffffffn;

/** Whether a reply is a list of such words. */
export const areFeatureWords = (reply: unknown): reply is readonly JsonObject[] =>
  Array.isArray(reply) &&
  reply.length > 0 &&
  reply.every((word) => isObject(word) && 'cpuid-register' in word);

/** The features that the words tell of; what no word tells of is unknown. */
export function readFeatureWords(
  catalog: Catalog,
  name: string,
  line: number,
  words: readonly JsonObject[],
): ToldFeatures {
  const values = new Map<string, bigint>();
  for (const word of words) {
    const register = REGISTERS.find((r) => r.toUpperCase() === word['cpuid-register']);
    const numbers = [word['cpuid-input-eax'], word['cpuid-input-ecx'] ?? 0, word.features];
    if (!register || !numbers.every(isWord))
      throw new QueryError(
        `${name}:${line}: ${quote(JSON.stringify(word))} is no feature word; give QEMU's answer to qom-get as it is`,
      );
    const [leaf, subleaf, value] = numbers as [number, number, number];
    values.set(registerKey({ kind: 'cpuid', leaf, subleaf, register }), BigInt(value));
  }
  const masks = new Map([...values.keys()].map((key) => [key, WHOLE]));
  return readRegisters(catalog, { values, masks });
}

/** Whether a reply is a list of features. */
export const areFeatureNames = (catalog: Catalog, reply: unknown): reply is readonly string[] =>
  Array.isArray(reply) &&
  reply.length > 0 &&
  reply.every((name) => typeof name === 'string' && catalog.findQemu(name) !== undefined);

/** The features of a list; of all others it says nothing. */
export function readFeatureNames(catalog: Catalog, names: readonly string[]): ToldFeatures {
  const row = catalog.row(names);
  return { has: row, known: row.slice(), unnamed: [] };
}

const isWord = (n: unknown): boolean =>
  Number.isInteger(n) && (n as number) >= 0 && (n as number) <= 0xffffffff;
