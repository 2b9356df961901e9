// The quick reader of plain XML against the library: the same elements, lines and refusals, or it does not take the text.
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { QueryError } from '../src/cpu/errors.ts';
import { readXml, type XmlElement } from '../src/dialects/xml.ts';
import { readPlain } from '../src/dialects/xml-plain.ts';

fc.configureGlobal({ includeErrorInReport: true });

const bytes = (text: string) => new TextEncoder().encode(text);

async function outcome(text: string): Promise<unknown> {
  const roots: XmlElement[] = [];
  try {
    await readXml({ name: 'x', bytes: bytes(text) }, (root) => roots.push(root));
  } catch (error) {
    if (error instanceof QueryError) return { roots, error: error.message };
    throw error;
  }
  return roots;
}

/** A comment before the text leaves all of it to the library, on the lines where it stands. */
const byLibrary = (text: string) => outcome(`<!---->${text}`);

const CPU = `<cpu>
  <arch>x86_64</arch>
  <model fallback="allow">Haswell</model>
  <feature name='vmx'
           policy='require'/><feature name='svm'/>
  <empty></empty>
</cpu>
`;

test('takes what virsh prints, to the end', () => {
  const roots: XmlElement[] = [];
  const text = CPU.repeat(3);
  assert.equal(
    readPlain(bytes(text), (root) => roots.push(root)),
    { at: text.length, line: 22 },
  );
  assert.equal(
    roots.map((r) => r.line),
    [1, 8, 15],
  );
  assert.is(roots[1]!.children[3]!.line, 12);
});

test('leaves everything from the first root that is not plain', () => {
  for (const odd of [
    '<cpu><!-- --></cpu>',
    '<cpu a="1" a="2"/>',
    '<cpu>&lt;</cpu>',
    '<cpu></gpu>',
    '<cpu>',
    '<a:cpu/>',
    '<cpu a=1/>',
    'text',
  ]) {
    const roots: XmlElement[] = [];
    const { at } = readPlain(bytes(CPU + odd), (root) => roots.push(root));
    // An entity anywhere leaves all of the text.
    assert.is(at, odd.includes('&') ? 0 : CPU.length - 1, odd);
    assert.is(roots.length, at === 0 ? 0 : 1);
  }
});

test('reads and refuses as the library does, whatever is changed in a document', async () => {
  const piece = fc.constantFrom(
    ...'<>/=\'" \n\tab:&;!-?',
    '</',
    '/>',
    '<a',
    '<!--',
    '-->',
    ']]>',
    "a='b'",
    '&amp;',
    '\r\n',
    'é',
    '\u0001',
  );
  const change = fc.record({
    at: fc.nat(2 * CPU.length),
    cut: fc.nat(4),
    piece: fc.option(piece, { nil: '' }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 4 }), async (changes) => {
      let text = CPU + CPU;
      for (const { at, cut, piece: put } of changes)
        text = text.slice(0, at) + put + text.slice(at + cut);
      assert.equal(await outcome(text), await byLibrary(text), JSON.stringify(text));
    }),
    { numRuns: 1500 },
  );
});

test.run();
