import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { QueryError } from '../src/cpu/errors.ts';
import { readXml, type XmlElement } from '../src/dialects/xml.ts';
import { assertProperty } from './support/property.ts';

const test = suite('xml');

const utf8 = (text: string) => new TextEncoder().encode(text);

async function roots(document: string | Uint8Array): Promise<XmlElement[]> {
  const found: XmlElement[] = [];
  const bytes = typeof document === 'string' ? utf8(document) : document;
  await readXml({ name: 'f.xml', bytes }, (root) => found.push(root));
  return found;
}

async function refusal(document: string | Uint8Array): Promise<string> {
  try {
    await roots(document);
  } catch (error) {
    if (error instanceof QueryError) return error.message;
    throw error;
  }
  return 'was taken';
}

/** Every second byte a zero, with the byte order that is asked for. */
function utf16(text: string, isLittle: boolean, mark: boolean): Uint8Array {
  const units = (mark ? '\ufeff' : '') + text;
  const view = new DataView(new ArrayBuffer(units.length * 2));
  for (let i = 0; i < units.length; i++) view.setUint16(i * 2, units.charCodeAt(i), isLittle);
  return new Uint8Array(view.buffer);
}

test('a document is a tree with the lines on which its tags begin', async () => {
  const [root] = await roots(
    "<?xml version='1.0'?>\n<a>\n  <b\n    x='1'/>t&lt;<![CDATA[<c>]]>\n  <d/></a>\n",
  );
  assert.is(root!.name, 'a');
  assert.is(root!.line, 2);
  assert.equal(
    root!.children.map(({ name, line }) => [name, line]),
    [
      ['b', 3],
      ['d', 5],
    ],
  );
  assert.equal({ ...root!.children[0]!.attributes }, { x: '1' });
  assert.is(root!.text.trim(), 't<<c>');
});

test('files that were joined are read one after another, declarations and marks in the middle included', async () => {
  const one = "\ufeff<?xml version='1.0' encoding='UTF-8'?>\n<!-- x -->\n<a/>\n";
  const found = await roots(`${one}${one}<b/>`);
  assert.equal(
    found.map(({ name, line }) => [name, line]),
    [
      ['a', 3],
      ['a', 6],
      ['b', 7],
    ],
  );
});

test('declarations are found wherever a file is cut into pieces', async () => {
  const piece = `<a x='${'y'.repeat(997)}'/><?xml version='1.0'?>\n`;
  const found = await roots(piece.repeat(3000));
  assert.is(found.length, 3000);
  assert.is(found.at(-1)!.line, 3000);
});

test('every encoding that is declared or shown is read', async () => {
  const names = async (bytes: Uint8Array) => (await roots(bytes))[0]!.attributes.n;
  assert.is(await names(utf8("\ufeff<a n='Zoë'/>")), 'Zoë');
  for (const isLittle of [true, false])
    for (const mark of [true, false])
      assert.is(
        await names(utf16("<?xml version='1.0' encoding='UTF-16'?><a n='Zoë'/>", isLittle, mark)),
        'Zoë',
      );
  const latin1 = Uint8Array.from(
    "<?xml version='1.0' encoding='ISO-8859-1'?><a n='Zo\xeb'/>",
    (c) => c.charCodeAt(0),
  );
  assert.is(await names(latin1), 'Zoë');
});

test('what no CPU description holds is refused, with the line and a sentence', async () => {
  const bomb =
    "<?xml version='1.0'?>\n<!DOCTYPE l [\n<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>\n]>\n<l>&b;</l>";
  const table: [string | Uint8Array, RegExp][] = [
    [bomb, /^f\.xml:2: a DOCTYPE is not taken/],
    ["<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", /^f\.xml:1: a DOCTYPE is not taken/],
    ['<a/>\n<!DOCTYPE a><a/>', /^f\.xml:2: a DOCTYPE is not taken/],
    ['<a>\n&b;</a>', /^f\.xml:2: an entity other than &amp; .* is not taken/],
    ['<a>'.repeat(257), /^f\.xml:1: elements are nested more than 256 deep/],
    ['<a>\n<b>', /^f\.xml:2: the file ends inside <[ab]>: it is cut short/],
    ["<a>\n<b x='", /^f\.xml:2: the file ends/],
    ['<a>\n</b></a>', /^f\.xml:2: this is not well-formed XML: un\S+ clos/],
    ["<a x='1' x='2'/>", /^f\.xml:1: this is not well-formed XML: duplicate attribute: x/],
    [
      '<a/>\nerror: failed to connect\n',
      /^f\.xml:\d: "error: failed to connect" stands outside of every element/,
    ],
    [Uint8Array.from([...utf8('<a>\n\n'), 0xff, 0x3c]), /^f\.xml:3: bytes that are not UTF-8/],
    [Uint8Array.from([0xff, 0xfe, 0, 0, 0x3c, 0, 0, 0]), /^f\.xml is in UTF-32/],
    [
      "<?xml version='1.0' encoding='EBCDIC-CP-US'?><a/>",
      /^f\.xml declares the encoding "EBCDIC-CP-US"/,
    ],
    ['<a>\0</a>', /^f\.xml:1: this is not well-formed XML: disallowed character/],
  ];
  for (const [document, sentence] of table) assert.match(await refusal(document), sentence);
});

test('what would fill the memory is refused while it grows', async () => {
  const many = '<b/>'.repeat(2_000_001);
  assert.match(await refusal(`<a>${many}</a>`), /<a> holds more than 2000000 elements/);
  const long = 'x '.repeat(9_000_000);
  const brackets = '<'.repeat(18_000_000);
  for (const text of [
    `<a x='${long}'/>`,
    `<a>${long}`,
    `<!--${brackets}`,
    `<a><![CDATA[${brackets}`,
  ])
    assert.match(await refusal(text), /is longer than 16 MB/);
  const pieces = `${'x'.repeat(100_000)}<b/>`.repeat(170);
  assert.match(await refusal(`<a>${pieces}</a>`), /is longer than 16 MB/);
  // Long as a whole, and nothing in it is.
  assert.is((await roots(`<a>${`<!--${'x'.repeat(1000)}-->`.repeat(17_000)}</a>`)).length, 1);
});

test('no bytes do anything but be read or be refused with a sentence', async () => {
  const token = fc.constantFrom(
    '<a>',
    '</a>',
    '<b x="1"/>',
    '<',
    '>',
    '&',
    '&amp;',
    '&#0;',
    '&#x10ffff;',
    '<![CDATA[',
    ']]>',
    '<!--',
    '-->',
    '<?',
    '?>',
    '<?xml version="1.0"?>',
    '<!DOCTYPE',
    ' ',
    '\n',
    '\0',
    '\ufeff',
    'é',
    '\ud800',
    '"',
    "'",
    '=',
  );
  const text = fc.array(fc.oneof(token, fc.string({ unit: 'binary', maxLength: 4 })), {
    maxLength: 40,
  });
  await assertProperty(
    fc.asyncProperty(
      fc.oneof(
        text.map((parts) => utf8(parts.join(''))),
        fc.uint8Array({ maxLength: 64 }),
      ),
      async (bytes) => {
        await refusal(bytes);
      },
    ),
    { numRuns: 2000 },
  );
});

test('what is written is what is read', async () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/);
  const value = fc.string({
    unit: fc.constantFrom('a', 'é', '&', '<', '>', "'", '"', '𝒳', ' '),
    maxLength: 6,
  });
  const escaped = (s: string) => s.replace(/[&<>'"]/g, (c) => `&#${c.codePointAt(0)};`);
  interface Tree {
    n: string;
    v: string;
    c: Tree[];
  }
  const made = { noNullPrototype: true } as const;
  const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      fc.record({ n: name, v: value, c: fc.constant<Tree[]>([]) }, made),
      fc.record({ n: name, v: value, c: fc.array(tie('tree'), { maxLength: 3 }) }, made),
    ),
  }));
  const print = ({ n, v, c }: Tree): string =>
    `<${n} v='${escaped(v)}'>${c.map(print).join('')}</${n}>`;
  const plain = (e: XmlElement): unknown => ({
    n: e.name,
    v: e.attributes.v,
    c: e.children.map(plain),
  });
  await assertProperty(
    fc.asyncProperty(tree, async (t) => {
      assert.equal((await roots(print(t))).map(plain), [t]);
    }),
  );
});

test.run();
