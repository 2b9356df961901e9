// What JSON is made of, one after another. A loop and no expression: on a string of some megabytes the engine's
// expressions run out of stack.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const NEWLINE = 0x0a;
const TOKEN = /["{}[\]:,\n]|[^\s"{}[\]:,]+/g;

/** Behind the quotation mark that ends the string at `start`; -1 where none does, or not on its line if it must. */
export function endOfString(text: string, start: number, onItsLine = false): number {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) return i + 1;
    if (code === BACKSLASH && !(onItsLine && text.charCodeAt(i + 1) === NEWLINE)) i++;
    else if (code === NEWLINE && onItsLine) return -1;
  }
  return -1;
}

/** Brackets, colons, commas, ends of lines, strings as a whole, and whatever else stands between them and space. */
export class Tokens {
  readonly #text: string;
  readonly #onItsLine: boolean;
  /** Up to here no string ends that has not begun yet. */
  #endless = 0;
  /** Where the token begins that was given last, and where it ends. */
  start = 0;
  end = 0;

  /** `onItsLine`: a quotation mark without another on its line is no string, for not all of the text is JSON. */
  constructor(text: string, onItsLine = false) {
    this.#text = text;
    this.#onItsLine = onItsLine;
  }

  /** The first character of the next token, '' at the end. */
  next(): string {
    TOKEN.lastIndex = this.end;
    const match = TOKEN.exec(this.#text);
    if (!match) return '';
    this.start = match.index;
    this.end = TOKEN.lastIndex;
    if (match[0] === '"') this.#endString();
    return match[0][0]!;
  }

  #endString(): void {
    if (this.start < this.#endless) return;
    const end = endOfString(this.#text, this.start, this.#onItsLine);
    if (end >= 0) {
      this.end = end;
      return;
    }
    // Quotation marks behind this one are escaped, so they end nothing either.
    const newline = this.#onItsLine ? this.#text.indexOf('\n', this.start) : -1;
    this.#endless = newline < 0 ? this.#text.length : newline;
    if (!this.#onItsLine) this.end = this.#endless;
  }
}
