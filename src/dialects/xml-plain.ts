// The XML that virsh prints, six times as fast as the library reads it: ASCII alone, elements, attributes and text, no
// entity, comment, CDATA or declaration. It takes only what is certainly well-formed and leaves the rest to the library.

export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** Text directly inside it, as written. */
  readonly text: string;
  /** 1-based line on which its start tag begins. */
  readonly line: number;
}

interface Growing extends XmlElement {
  readonly children: Growing[];
  text: string;
}

/** Where the first root begins that was not taken, in bytes, and its line. */
export interface Left {
  readonly at: number;
  readonly line: number;
}

const NOT_PLAIN = /[^\t\n\x20-\x7e]|&|\]\]>/;
const NAME = /[A-Za-z_][\w.-]*/y;
const ATTRIBUTE = /\s+([A-Za-z_][\w.-]*)\s*=\s*(?:'([^'<\n\t]*)'|"([^"<\n\t]*)")/y;
const END = /\s*(\/?)>$/y;
const CLOSE = /<\/([A-Za-z_][\w.-]*)>/y;
const CHILDLESS: Growing[] = [];
const MAX_TAGS = 4096;
const MAX_DEPTH = 64;
// A root that is larger may be more than the library takes.
const MAX_ELEMENTS = 2_000_000;
const MAX_ROOT = 16 << 20;
const SLASH = 47;

/** Hands over every root up to the first that is not plain. */
export function readPlain(bytes: Uint8Array, visit: (root: XmlElement) => void): Left {
  const text = new TextDecoder().decode(bytes);
  const reader = new PlainReader(text, visit);
  return NOT_PLAIN.test(text) ? { at: 0, line: 1 } : reader.read();
}

interface Tag {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly isEmpty: boolean;
}

function parseTag(text: string): Tag | null {
  let at = 1;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found;
  };
  const name = match(NAME);
  const attributes: Record<string, string> = Object.create(null);
  for (let found = match(ATTRIBUTE); found; found = match(ATTRIBUTE)) {
    if (found[1]! in attributes) return null;
    attributes[found[1]!] = found[2] ?? found[3]!;
  }
  const end = match(END);
  return name && end ? { name: name[0], attributes, isEmpty: end[1] !== '' } : null;
}

class PlainReader {
  readonly #text: string;
  readonly #visit: (root: XmlElement) => void;
  readonly #open: Growing[] = [];
  readonly #tags = new Map<string, Tag | null>();
  #at = 0;
  #line = 1;
  /** Where the line ends; looked for once a line, for there may be none in megabytes. */
  #newline: number;
  /** Where the root that is being read begins, and its elements so far. */
  #root = 0;
  #elements = 0;

  constructor(text: string, visit: (root: XmlElement) => void) {
    this.#text = text;
    this.#visit = visit;
    this.#newline = this.#newlineAfter(-1);
  }

  read(): Left {
    let left = { at: 0, line: 1 };
    while (this.#readText() && this.#at < this.#text.length) {
      if (!(this.#text.charCodeAt(this.#at + 1) === SLASH ? this.#readClose() : this.#readOpen()))
        return left;
      if (this.#open.length === 0) left = { at: this.#at, line: this.#line };
    }
    return this.#at === this.#text.length && this.#open.length === 0
      ? { at: this.#at, line: this.#line }
      : left;
  }

  /** Up to the next tag; false for text outside of every element. */
  #readText(): boolean {
    const next = this.#text.indexOf('<', this.#at);
    const end = next < 0 ? this.#text.length : next;
    if (end === this.#at) return true;
    if (end - this.#root > MAX_ROOT) return false;
    const parent = this.#open.at(-1);
    const between = this.#text.slice(this.#at, end);
    if (parent) parent.text += between;
    else if (between.trim() !== '') return false;
    this.#moveTo(end);
    return true;
  }

  #readOpen(): boolean {
    const end = this.#text.indexOf('>', this.#at) + 1;
    if (this.#open.length === 0) this.#startRoot();
    if (end === 0 || end - this.#root > MAX_ROOT) return false;
    const tag = this.#tag(this.#text.slice(this.#at, end));
    if (!tag) return false;
    if (++this.#elements > MAX_ELEMENTS || this.#open.length >= MAX_DEPTH) return false;
    const { name, attributes, isEmpty } = tag;
    const element: Growing = {
      name,
      attributes,
      children: isEmpty ? CHILDLESS : [],
      text: '',
      line: this.#line,
    };
    this.#open.at(-1)?.children.push(element);
    this.#moveTo(end);
    if (!isEmpty) this.#open.push(element);
    else if (this.#open.length === 0) this.#visit(element);
    return true;
  }

  #startRoot(): void {
    this.#root = this.#at;
    this.#elements = 0;
  }

  /** A tag taken apart; the same few come again and again. */
  #tag(text: string): Tag | null {
    let tag = this.#tags.get(text);
    if (tag === undefined) {
      tag = parseTag(text);
      if (this.#tags.size < MAX_TAGS) this.#tags.set(text, tag);
    }
    return tag;
  }

  #readClose(): boolean {
    CLOSE.lastIndex = this.#at;
    const close = CLOSE.exec(this.#text);
    if (!close || close[1] !== this.#open.at(-1)?.name) return false;
    const element = this.#open.pop()!;
    this.#at = CLOSE.lastIndex;
    if (this.#open.length === 0) this.#visit(element);
    return true;
  }

  #moveTo(end: number): void {
    while (this.#newline < end) {
      this.#line++;
      this.#newline = this.#newlineAfter(this.#newline);
    }
    this.#at = end;
  }

  #newlineAfter(at: number): number {
    const found = this.#text.indexOf('\n', at + 1);
    return found < 0 ? this.#text.length : found;
  }
}
