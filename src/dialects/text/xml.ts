// The one place that knows an XML library. Nothing in a document is ever fetched, defined or expanded: DTDs and
// entities of the document's own are refused, and so is nesting that no real document has.
import { QueryError } from '../../cpu/errors.ts';
import type { Input } from '../dialect.ts';

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

/** libvirt's documents nest about twelve deep; libxml2 stops at the same depth as we do. */
const MAX_DEPTH = 256;
/** Of one root: a tree of so many elements is a gigabyte of objects. */
const MAX_ELEMENTS = 2_000_000;
/** Characters of one text, comment or tag: far beyond any, and far below what a string can hold. */
const MAX_TEXT = 16 * 1024 * 1024;
const TOO_LONG = `a text, comment or tag is longer than ${MAX_TEXT >> 20} MB, which none of a CPU description is`;
const CHUNK = 1 << 20;

/**
 * Reads one or more XML documents that follow one another, and hands over each root when it ends, so that only
 * one tree is in memory at a time.
 * @throws QueryError naming the input and the line of what is not well-formed or not taken.
 */
export async function readXml(input: Input, visit: (root: XmlElement) => void): Promise<void> {
  const { SaxesParser } = await import('./saxes.ts');
  // A fragment may have any number of roots.
  const parser = new SaxesParser({ fragment: true, xmlns: false });
  const fail = (message: string, line = parser.line): never => {
    throw new QueryError(`${input.name}:${line}: ${message}`);
  };
  const open: Growing[] = [];
  let elements = 0;
  let line = 1;
  let sinceEvent = 0;
  parser.on('error', (error) => fail(sentence(error.message.replace(/^\d+:\d+: /, ''))));
  parser.on('opentagstart', () => {
    // The character after the name is read already; it may have been the end of the line.
    line = parser.line - (parser.column === 0 ? 1 : 0);
  });
  parser.on('opentag', ({ name, attributes }) => {
    const element: Growing = { name, attributes, children: [], text: '', line };
    const parent = open.at(-1);
    if (parent) parent.children.push(element);
    else elements = 0;
    sinceEvent = 0;
    if (open.push(element) > MAX_DEPTH)
      fail(`elements are nested more than ${MAX_DEPTH} deep, which no CPU description is`);
    if (++elements > MAX_ELEMENTS)
      fail(`<${open[0]!.name}> holds more than ${MAX_ELEMENTS} elements; split the file`);
  });
  parser.on('closetag', () => {
    const element = open.pop()!;
    sinceEvent = 0;
    if (open.length === 0) visit(element);
  });
  const text = (written: string) => {
    const parent = open.at(-1);
    sinceEvent = 0;
    if (parent) {
      parent.text += written;
      if (parent.text.length > MAX_TEXT) fail(TOO_LONG);
    } else if (written.trim() !== '')
      fail(`"${excerpt(written)}" stands outside of every element; keep the XML alone`);
  };
  parser.on('text', text);
  parser.on('cdata', text);
  parser.on('comment', () => {
    sinceEvent = 0;
  });

  const encoding = encodingOf(input);
  const decoder = new TextDecoder(encoding, { fatal: true });
  let rest = '';
  for (let at = 0; at < input.bytes.length; at += CHUNK) {
    const bytes = input.bytes.subarray(at, at + CHUNK);
    const last = at + CHUNK >= input.bytes.length;
    try {
      rest += decoder.decode(bytes, { stream: !last });
    } catch {
      const good = new TextDecoder(encoding).decode(bytes).split('\ufffd', 1)[0]!;
      fail(
        `bytes that are not ${encoding.toUpperCase()}; save the file in UTF-8, or declare its encoding in <?xml ... ?>`,
        parser.line + newlines(rest) + newlines(good),
      );
    }
    // A tag that is cut here goes with the next chunk, so that no declaration is ever seen in two pieces.
    const end = last ? rest.length : Math.max(0, rest.lastIndexOf('<'));
    sinceEvent += end;
    parser.write(withoutDeclarations(rest.slice(0, end)));
    rest = rest.slice(end);
    if (Math.max(sinceEvent, rest.length) > MAX_TEXT) fail(TOO_LONG);
  }
  parser.close();
}

/** Declarations and byte order marks stand in the middle where files were joined; lines are kept. */
export function withoutDeclarations(text: string): string {
  return text
    .replace(/<\?xml\s[^<>]*\?>/g, (declaration) => declaration.replace(/[^\n]/g, ' '))
    .replace(/\ufeff/g, '');
}

function sentence(problem: string): string {
  const cut = problem.match(/^unclosed tag: (.+)$/);
  if (cut) return `the file ends inside <${cut[1]}>: it is cut short`;
  if (problem === 'unexpected end.') return 'the file ends in the middle of a tag: it is cut short';
  if (/doctype/i.test(problem))
    return 'a DOCTYPE is not taken: documents may define nothing and fetch nothing; remove it';
  if (/entity/.test(problem))
    return 'an entity other than &amp; &lt; &gt; &apos; &quot; is not taken; write its text instead';
  return `this is not well-formed XML: ${problem.replace(/\.$/, '')}`;
}

/** The encoding that the first bytes show or declare; UTF-8 where they do neither. */
function encodingOf({ name, bytes }: Input): string {
  const starts = (...first: number[]) => first.every((byte, i) => bytes[i] === byte);
  if (starts(0xff, 0xfe, 0, 0) || starts(0, 0, 0xfe, 0xff))
    throw new QueryError(`${name} is in UTF-32, which is not taken; save it in UTF-8`);
  if (starts(0xff, 0xfe) || starts(0x3c, 0)) return 'utf-16le';
  if (starts(0xfe, 0xff) || starts(0, 0x3c)) return 'utf-16be';
  const head = new TextDecoder('latin1').decode(bytes.subarray(0, 256));
  const declared = head.match(
    /^(?:\xef\xbb\xbf)?\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"']*)["']/,
  )?.[1];
  // Who reads this far in one-byte characters has no UTF-16 before him, whatever the declaration says.
  if (declared === undefined || /^utf-?16/i.test(declared)) return 'utf-8';
  try {
    return new TextDecoder(declared).encoding;
  } catch {
    throw new QueryError(
      `${name} declares the encoding "${declared}", which is not known; save it in UTF-8`,
    );
  }
}

/** Whether the document is in UTF-8, as far as its beginning shows. */
export function isUtf8(input: Input): boolean {
  try {
    return encodingOf(input) === 'utf-8';
  } catch (error) {
    if (error instanceof QueryError) return false;
    throw error;
  }
}

const newlines = (text: string): number => text.split('\n').length - 1;

const excerpt = (text: string): string => {
  const start = text.trim().split('\n', 1)[0]!;
  return start.length > 40 ? `${start.slice(0, 40)}...` : start;
};
