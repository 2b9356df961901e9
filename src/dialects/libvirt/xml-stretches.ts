// Stretches of XML, each a tag and the text up to the next one, as the library reads them: each distinct one once.
// What the library does not take by itself is odd, and who meets it leaves the whole document to the library.
import { withoutDeclarations, type XmlElement } from '../text/xml.ts';

// What a stretch is, in one number, which the core is told (assembly/elements.ts): the kind of tag, whether more than
// space follows it, whether its element is asked for, how many lines end in it, and the number of its name.
const KIND = 7;
const OPEN = 0;
const CLOSE = 1;
/** An element that ends where it begins. */
const LEAF = 2;
/** A comment or a declaration: no tag, but text may follow. */
const NO_TAG = 3;
const ODD = 4;
const HAS_TEXT = 8;
const IS_ASKED = 16;
const LINES_SHIFT = 5;
const MAX_LINES = 0x7ff;
const NAME_SHIFT = 16;
const MAX_NAMES = 0xffff;

/** Stands behind each stretch that the library is given, so that all text before it is told. */
const END = '<end/>';
/** A stretch with one value in quotes, which is a number: what is before it, the number, and what is behind. */
const ONE_NUMBER = /^([^'"&]*['"])(\d+)(['"][^'"&]*)$/;
const CLOSES = /^<\/([^\s<>/]+)/;
const NO_CHILDREN: Growing[] = [];

type Parser = import('../text/saxes.ts').SaxesParser<{ fragment: true; xmlns: false }>;

interface Growing extends XmlElement {
  readonly children: Growing[];
  text: string;
}

interface Tag {
  readonly name: string;
  readonly attributes: XmlElement['attributes'];
  readonly isSelfClosing: boolean;
}

/** One stretch, as the library tells of it. */
interface Told {
  readonly tag: Tag | null;
  readonly text: string;
}

export class Tags {
  // By the number of a stretch.
  /** What each is. */
  readonly codes: number[] = [];
  /** What follows the tag, unless it is blank. */
  readonly #texts: string[] = [];
  readonly #attributes: XmlElement['attributes'][] = [];
  /** The element that is the same wherever the stretch stands. */
  readonly #shared: (Growing | undefined)[] = [];
  readonly #isAsked: readonly string[];
  readonly #isShared: readonly string[];

  /** A stretch with one number by what is around that. */
  readonly #numbered = new Map<
    string,
    { readonly stretch: number; readonly name: string; readonly attribute: string }
  >();

  readonly #spellings: string[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #library: Library;

  /** An element of a name that is `shared`, if it has no children, is one object that has no line. */
  static async load(asked: readonly string[], shared: readonly string[]): Promise<Tags> {
    const { SaxesParser } = await import('../text/saxes.ts');
    const library = new Library(() => new SaxesParser({ fragment: true, xmlns: false }));
    return new Tags(asked, shared, library);
  }

  private constructor(asked: readonly string[], shared: readonly string[], library: Library) {
    this.#isAsked = asked;
    this.#isShared = shared;
    this.#library = library;
  }

  get length(): number {
    return this.codes.length;
  }

  /** Forgets all stretches, but no name. */
  clear(): void {
    for (const list of [this.codes, this.#texts, this.#attributes, this.#shared]) list.length = 0;
    this.#numbered.clear();
  }

  /** Has the stretch of the next number read; null stands for one that is no text. */
  add(written: string | null): void {
    const stretch = written === null ? null : withoutDeclarations(written);
    const number = stretch === null ? null : ONE_NUMBER.exec(stretch);
    const like = number && this.#numbered.get(`${number[1]}${number[3]}`);
    if (like) {
      // It says the same but for the number: digits stand for themselves everywhere.
      const attributes = { [like.attribute]: number[2]! };
      const lines = (this.codes[like.stretch]! >>> LINES_SHIFT) & MAX_LINES;
      this.#push(LEAF, like.name, attributes, '', lines);
      return;
    }
    const closed = stretch === null ? undefined : CLOSES.exec(stretch)?.[1];
    const told = stretch === null ? null : this.#library.read(stretch, closed);
    if (stretch === null || told === null) {
      this.#push(ODD, null, {}, '', 0);
      return;
    }
    const { tag } = told;
    const text = told.text.trim() === '' ? '' : told.text;
    // An object of the library's is a dictionary, which is slow to look things up in.
    const attributes = { ...tag?.attributes };
    const kind =
      tag === null ? NO_TAG : closed !== undefined ? CLOSE : tag.isSelfClosing ? LEAF : OPEN;
    const [attribute] = Object.keys(attributes);
    if (kind === LEAF && text === '' && number && attributes[attribute!] === number[2])
      this.#numbered.set(`${number[1]}${number[3]}`, {
        stretch: this.length,
        name: tag!.name,
        attribute: attribute!,
      });
    this.#push(kind, tag?.name ?? null, attributes, text, endsOfLines(stretch));
  }

  /**
   * The element that stretches from one to another make, all closed in order, the first on this line. Of texts space
   * beside children is left out; null where more than that stands on both sides of a child.
   */
  element(stretches: ArrayLike<number>, from: number, to: number, line: number): XmlElement | null {
    const { codes } = this;
    const open: Growing[] = [];
    let root: Growing | undefined;
    let parent: Growing | undefined;
    for (let i = from; i < to; i++) {
      const stretch = stretches[i]!;
      const code = codes[stretch]!;
      const kind = code & KIND;
      if (kind === OPEN || kind === LEAF) {
        const element: Growing = this.#shared[stretch] ?? {
          name: this.#spellings[code >>> NAME_SHIFT]!,
          attributes: this.#attributes[stretch]!,
          children: kind === OPEN ? [] : NO_CHILDREN,
          text: kind === OPEN ? this.#texts[stretch]! : '',
          line,
        };
        parent?.children.push(element);
        root ??= element;
        if (kind === OPEN) {
          open.push(element);
          parent = element;
        }
      } else if (kind === CLOSE) {
        open.pop();
        parent = open.at(-1);
      }
      line += (code >>> LINES_SHIFT) & MAX_LINES;
      if ((code & HAS_TEXT) === 0 || kind === OPEN || parent === undefined) continue;
      if (parent.text !== '') return null;
      parent.text = this.#texts[stretch]!;
    }
    return root ?? null;
  }

  #push(
    kind: number,
    name: string | null,
    attributes: XmlElement['attributes'],
    text: string,
    lines: number,
  ): void {
    const number = name === null ? 0 : this.#number(name);
    this.codes.push(
      lines > MAX_LINES || number > MAX_NAMES
        ? ODD
        : kind |
            (text === '' ? 0 : HAS_TEXT) |
            (name !== null && this.#isAsked.includes(name) ? IS_ASKED : 0) |
            (lines << LINES_SHIFT) |
            (number << NAME_SHIFT),
    );
    this.#texts.push(text);
    this.#attributes.push(attributes);
    this.#shared.push(
      kind === LEAF && this.#isShared.includes(name!)
        ? { name: this.#spellings[number]!, attributes, children: NO_CHILDREN, text: '', line: 0 }
        : undefined,
    );
  }

  #number(name: string): number {
    let number = this.#numbers.get(name);
    if (number === undefined) {
      // Keys of objects are compared by address, other texts by letters.
      const [key] = Object.keys({ [name]: true });
      number = this.#spellings.push(key!) - 1;
      this.#numbers.set(name, number);
    }
    return number;
  }
}

/** How many lines end in a text, by XML's count. */
export const endsOfLines = (text: string): number => text.match(/\r\n?|\n/g)?.length ?? 0;

class Refused extends Error {}

/** The XML library, given one stretch after another as if each stood inside an element. */
class Library {
  readonly #begin: () => Parser;
  #parser: Parser | null = null;
  #tag: Tag | null = null;
  #hasTag = false;
  #text = '';
  #isEnded = false;

  constructor(begin: () => Parser) {
    this.#begin = begin;
  }

  /** What it says of a stretch, which may close a tag; null where it refuses it, or more must follow. */
  read(stretch: string, closed: string | undefined): Told | null {
    this.#parser ??= this.#newParser();
    this.#tag = null;
    this.#hasTag = /^<[^!?]/.test(stretch);
    this.#text = '';
    this.#isEnded = false;
    try {
      this.#parser.write(`${closed === undefined ? '' : `<${closed}>`}${stretch}${END}`);
      const tag = this.#tag as Tag | null;
      if (!this.#isEnded) this.#parser = null;
      else if (tag !== null && closed === undefined && !tag.isSelfClosing)
        this.#parser.write(`</${tag.name}>`);
      return this.#isEnded ? { tag, text: this.#text } : null;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#parser = null;
      return null;
    }
  }

  #newParser(): Parser {
    const parser = this.#begin();
    const refuse = () => {
      throw new Refused();
    };
    parser.on('error', refuse);
    parser.on('cdata', refuse);
    parser.on('opentag', (tag) => {
      if (this.#hasTag && this.#tag === null) this.#tag = tag;
      else this.#isEnded = true;
    });
    parser.on('text', (text) => {
      this.#text += text;
    });
    // Nothing is the beginning of a document, where more is allowed.
    parser.write('<all>');
    return parser;
  }
}
