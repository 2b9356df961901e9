// Documents that are alike but for what is each host's own: what one of them says, the others say too. libvirt's
// capabilities come by the thousand, and parsing each would cost a hundred times what comparing it does.
import { QueryError } from '../cpu/errors.ts';
import type { Input } from './dialect.ts';

/** Documents whose every host-specific part is one of these elements, of which no reader takes notice. */
const TAGS = ['capabilities', 'domainCapabilities'] as const;
const OWN =
  /<(uuid)>[0-9a-fA-F-]*<\/uuid>|<(memory) unit='\w+'>\d*<\/memory>|<(pages) unit='\w+' size='\d+'>\d*<\/pages>/g;
/** Longer documents, and more text in all, are not worth remembering. */
const MAX_DOCUMENT = 1 << 20;
const MAX_TEXT = 16 << 20;

/** The text without what is the host's own. */
const common = (text: string): string => text.replace(OWN, '<$1$2$3/>');

/** What was made of documents, by their text. */
export class Alike<T> {
  readonly #known = new Map<string, T>();
  #size = 0;

  /** What was made of a document like this one, or what `make` makes of it; what throws is not remembered. */
  async get(input: Input, make: () => Promise<T>): Promise<T> {
    const key = keyOf(input);
    if (key === null) return make();
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = await make();
    if (this.#size + key.length <= MAX_TEXT) {
      this.#size += key.length;
      this.#known.set(key, made);
    }
    return made;
  }
}

/** One document of a kind that is known to repeat, without what is its own. */
function keyOf({ bytes }: Input): string | null {
  if (bytes.length > MAX_DOCUMENT) return null;
  const text = decode(bytes);
  if (text === null || !TAGS.some((tag) => text.includes(`<${tag}>`))) return null;
  return common(text);
}

/** UTF-8 text that hides nothing in comments, sections or declarations. */
function decode(bytes: Uint8Array): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return text.includes('<!') ? null : text;
  } catch {
    return null;
  }
}

/** An input of many documents with each that is like an earlier one taken out. */
export interface Condensed {
  readonly input: Input;
  /** How many documents are left. */
  readonly distinct: number;
  /** For each document of the whole which of those it is like. */
  readonly order: readonly number[];
}

/** The input without repetitions, or null where there is none to take out, or some doubt. */
export function condense(input: Input): Condensed | null {
  const text = input.bytes.length > MAX_DOCUMENT / 16 ? decode(input.bytes) : null;
  const tag = text === null ? undefined : TAGS.find((t) => text.includes(`<${t}>`));
  if (text === null || tag === undefined) return null;
  const [open, close] = [`<${tag}>`, `</${tag}>`];
  const known = new Map<string, number>();
  const order: number[] = [];
  const left: string[] = [];
  let at = 0;
  for (let start = text.indexOf(open); start >= 0; start = text.indexOf(open, at)) {
    const end = text.indexOf(close, start);
    if (end < 0) return null;
    const piece = text.slice(start, end + close.length);
    const key = common(piece);
    let number = known.get(key);
    left.push(text.slice(at, start));
    if (number === undefined) {
      if (piece.indexOf(open, open.length) >= 0) return null;
      number = known.size;
      known.set(key, number);
      left.push(piece);
    }
    order.push(number);
    at = end + close.length;
  }
  left.push(text.slice(at));
  if (known.size === order.length) return null;
  const bytes = new TextEncoder().encode(left.join(''));
  return { input: { name: input.name, bytes }, distinct: known.size, order };
}

/**
 * What `read` makes of the documents of an input, reading those that are alike once.
 * Anything out of the ordinary is read as a whole, so that what is wrong is said of the place where it stands.
 */
export async function readAlike<T>(
  input: Input,
  read: (input: Input) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  const condensed = condense(input);
  if (condensed === null) return read(input);
  let found: readonly T[];
  try {
    found = await read(condensed.input);
  } catch (error) {
    if (error instanceof QueryError) return read(input);
    throw error;
  }
  if (found.length !== condensed.distinct) return read(input);
  return condensed.order.map((number) => found[number]!);
}
