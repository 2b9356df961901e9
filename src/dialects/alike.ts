// Documents that are alike but for what is each host's own: what one of them says, the others say too. Capabilities
// and <cpu> elements come by the thousand, and parsing each would cost a hundred times what comparing it does.
import { QueryError } from '../cpu/errors.ts';
import type { Input } from './dialect.ts';

/** What is compared as a whole: each describes CPUs by itself, wherever it stands. */
const STRETCHES = ['capabilities', 'domainCapabilities', 'cpu'].map((tag) => ({
  open: `<${tag}`,
  close: `</${tag}>`,
}));
/** What means something of its own, or hides what is in it: no mere list of stretches. */
const NO_LIST = new Set(['domain', 'domstatus', 'cpudata', 'inactiveDomain', 'cookie', 'metadata']);
/** What is the host's own in a document, of which no reader takes notice. */
const OWN =
  /<(uuid)>[0-9a-fA-F-]*<\/uuid>|<(memory) unit='\w+'>\d*<\/memory>|<(pages) unit='\w+' size='\d+'>\d*<\/pages>|<(counter) name='tsc' frequency='\d+'(?: scaling='\w+')?\/>/g;
/** One of these is in every document that has anything of its own. */
const OWN_TAGS = ['<uuid>', '<counter '];
const BEGINNING = 1 << 16;
/** Longer documents, and more text in all, are not worth remembering. */
const MAX_DOCUMENT = 1 << 20;
const MAX_TEXT = 16 << 20;
/** Texts with the same few letters that are remembered. */
const MAX_SAME = 64;
/** A shorter input is parsed before repetitions in it are found. */
const MIN_LIST = 1 << 14;

/** Takes out of pieces of a text what is the host's own. Where its beginning has nothing of that, nothing is. */
function commonIn(text: string): (piece: string) => string {
  const start = text.slice(0, BEGINNING);
  return OWN_TAGS.some((tag) => start.includes(tag))
    ? (piece) => piece.replace(OWN, '<$1$2$3$4/>')
    : (piece) => piece;
}

/** Values by texts, told apart by a few letters: a hash of all takes longer than comparing two that are equal. */
class ByText<T> {
  readonly #byCode = new Map<number, { readonly text: string; readonly value: T }[]>();

  find(text: string): T | undefined {
    const same = this.#byCode.get(code(text));
    const at = same?.findIndex((entry) => entry.text === text) ?? -1;
    if (at < 0) return undefined;
    // What came last is likely to come again.
    if (at > 0) same!.unshift(...same!.splice(at, 1));
    return same![0]!.value;
  }

  add(text: string, value: T): void {
    const same = this.#byCode.get(code(text));
    // One that is forgotten is read again.
    if (same) same.length = Math.min(same.unshift({ text, value }), MAX_SAME);
    else this.#byCode.set(code(text), [{ text, value }]);
  }
}

function code(text: string): number {
  const step = 1 + (text.length >> 5);
  let sum = text.length;
  for (let i = 0; i < text.length; i += step) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193);
  return sum;
}

/** What was made of documents, by their text. */
export class Alike<T> {
  readonly #known = new ByText<T>();
  #size = 0;

  /** What was made of a document like this one, or what `make` makes of it; what throws is not remembered. */
  async get(input: Input, make: () => Promise<T>): Promise<T> {
    const key = keyOf(input);
    if (key === null) return make();
    const known = this.#known.find(key);
    if (known !== undefined) return known;
    const made = await make();
    if (this.#size + key.length <= MAX_TEXT) {
      this.#size += key.length;
      this.#known.add(key, made);
    }
    return made;
  }
}

/** An input of a kind that is known to repeat, without what is its own. */
function keyOf({ bytes }: Input): string | null {
  if (bytes.length > MAX_DOCUMENT) return null;
  const text = decode(bytes);
  return text === null || beginOf(text) === null ? null : commonIn(text)(text);
}

const strict = new TextDecoder('utf-8', { fatal: true });
const EXCLAMATION = 33;
const RETURN = 13;
const OTHER_ENCODING = /^\s*<\?xml\s[^<>]*encoding\s*=\s*(?!["']utf-8["'])/i;

/** UTF-8 text that hides nothing in comments, sections or declarations, and whose lines everybody counts alike. */
function decode(bytes: Uint8Array): string | null {
  try {
    const text = strict.decode(bytes);
    // Looking for a byte that is seldom there takes a tenth of the time of looking for text.
    if (bytes.includes(EXCLAMATION) && text.includes('<!')) return null;
    if (bytes.includes(RETURN) && /\r(?!\n)/.test(text)) return null;
    return OTHER_ENCODING.test(text.slice(0, BEGINNING)) ? null : text;
  } catch {
    return null;
  }
}

const DECLARATION = /<\?xml\s[^<>]*\?>/y;
const TAG = /<([A-Za-z][\w.-]*)(?:\s[^<>]*[^<>/])?>/y;

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9;

/** Past space, and past declarations as they stand where files were joined. */
function skip(text: string, from: number): number {
  let at = from;
  for (;;) {
    while (isSpace(text.charCodeAt(at))) at++;
    if (!text.startsWith('<?', at)) return at;
    const declaration = matchAt(DECLARATION, text, at);
    if (!declaration) return at;
    at += declaration[0].length;
  }
}

/** How the element that begins here begins and ends, if it is one that is compared. */
const stretchAt = (text: string, at: number) =>
  STRETCHES.find(({ open }) => {
    if (!text.startsWith(open, at)) return false;
    const next = text.charCodeAt(at + open.length);
    return next === 62 || isSpace(next);
  });

/** Where the first stretch begins, and the element that holds all of them, if any; null where there is neither. */
function beginOf(text: string): { readonly at: number; readonly list: string | null } | null {
  const first = skip(text, 0);
  if (stretchAt(text, first)) return { at: first, list: null };
  const tag = matchAt(TAG, text, first);
  if (!tag || NO_LIST.has(tag[1]!)) return null;
  const at = skip(text, first + tag[0].length);
  return stretchAt(text, at) ? { at, list: tag[1]! } : null;
}

/** An input of many documents with each that is like an earlier one taken out. */
export interface Condensed {
  readonly input: Input;
  /** How many documents are left. */
  readonly distinct: number;
  /** For each document of the whole which of those it is like, and how many lines below it stands. */
  readonly order: readonly { readonly like: number; readonly below: number }[];
}

interface Stretch {
  readonly number: number;
  /** How many lines above it are left. */
  readonly line: number;
  /** How many ends of lines are in it. */
  readonly lines: number;
}

/**
 * The input without repetitions, or null where there is none to take out, or some doubt: nothing but space may stand
 * between the stretches, so that taking one out changes nothing about the others.
 */
export function condense(input: Input): Condensed | null {
  const text = input.bytes.length < MIN_LIST ? null : decode(input.bytes);
  const begin = text === null ? null : beginOf(text);
  if (text === null || begin === null) return null;
  const common = commonIn(text);
  const known = new ByText<Stretch>();
  let distinct = 0;
  const order: { like: number; below: number }[] = [];
  const left: string[] = [text.slice(0, begin.at)];
  // Ends of lines since the first stretch: of the whole, and of what is left.
  let line = 0;
  let lineLeft = 0;
  let at = begin.at;
  for (let stretch = stretchAt(text, at); stretch; stretch = stretchAt(text, at)) {
    const { open, close } = stretch;
    const closing = text.indexOf(close, at);
    if (closing < 0) return null;
    const end = closing + close.length;
    const piece = text.slice(at, end);
    const next = skip(text, end);
    const between = newlines(text, end, next);
    const key = common(piece);
    let like = known.find(key);
    if (like === undefined) {
      // With neither of the two, its first end tag ends it.
      if (piece.includes('<?') || piece.indexOf(open, 1) >= 0) return null;
      like = { number: distinct++, line: lineLeft, lines: newlines(text, at, end) };
      known.add(key, like);
      left.push(text.slice(at, next));
      lineLeft += like.lines + between;
    }
    order.push({ like: like.number, below: line - like.line });
    line += like.lines + between;
    at = next;
  }
  const rest = text.slice(at);
  if (distinct === order.length || rest.trim() !== (begin.list === null ? '' : `</${begin.list}>`))
    return null;
  left.push(rest);
  const bytes = new TextEncoder().encode(left.join(''));
  return { input: { name: input.name, bytes }, distinct, order };
}

function newlines(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf('\n', from); at >= 0 && at < to; at = text.indexOf('\n', at + 1))
    count++;
  return count;
}

/**
 * What `read` makes of the documents of an input, reading those that are alike once; `lower` is the same, found so
 * many lines below. Anything out of the ordinary is read as a whole, so that what is wrong is said of its place.
 */
export async function readAlike<T>(
  input: Input,
  read: (input: Input) => Promise<readonly T[]>,
  lower: (found: T, lines: number) => T = (found) => found,
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
  return condensed.order.map(({ like, below }) => lower(found[like]!, below));
}
