// Long answers in pieces are the answers that would be printed as a whole.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { blocksOf, deliver, json, jsonOf } from '../../src/cli/screen/output.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { libvirt } from '../../src/dialects/libvirt/libvirt.ts';
import { candidate, Fleet } from '../../src/fleet/fleet.ts';
import { baseline } from '../../src/solve/baseline.ts';
import { decode } from '../../src/solve/decode.ts';
import { assertProperty } from '../support/property.ts';

const test = suite('output');
const catalog = await loadCatalog();

test('a document with a long list is the JSON of the whole', () => {
  const value = fc.jsonValue({ maxDepth: 2 });
  // Members of one part are none of another's.
  const part = (prefix: string) =>
    fc
      .array(fc.tuple(fc.string({ maxLength: 3 }), value), { minLength: 1, maxLength: 3 })
      .map((members) => Object.fromEntries(members.map(([k, v]) => [`${prefix}${k}`, v])));
  const entries = fc.array(fc.tuple(part('a'), fc.nat(2), part('c')), { maxLength: 6 });
  assertProperty(
    fc.property(
      entries,
      fc.array(part('b'), { minLength: 3, maxLength: 3 }),
      fc.option(part('rest')),
      (list, shared, rest) => {
        const parts = list.map(([first, n, last]) => [first, shared[n]!, last]);
        const head = { schema: 'plimsoll.test/1', rules: ['a\nb'] };
        assert.is(
          Buffer.concat([...jsonOf(head, 'hosts', parts, rest ?? {})]).toString(),
          json(
            Object.assign({ ...head }, { hosts: parts.map((p) => Object.assign({}, ...p)) }, rest),
          ),
        );
      },
    ),
  );
});

test('a long answer comes in pieces, and blocks have an empty line between', () => {
  const blocks = Array.from({ length: 1000 }, (_, i) => `${i}`.repeat(100));
  const pieces = [...blocksOf(blocks)];
  assert.ok(pieces.length > 2);
  assert.is(pieces.join(''), `${blocks.join('\n\n')}\n`);
  const document = Array.from({ length: 5000 }, (_, host) => [{ host }, { text: 'x'.repeat(200) }]);
  assert.ok([...jsonOf({ schema: 'x' }, 'hosts', document, {})].length > 2);
});

test('where the reader has gone, nothing more is made for it', async () => {
  let written = 0;
  const gone = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
  const stdout = {
    write: (_: string | Uint8Array, done: (error?: Error) => void) =>
      done(written++ < 1 ? undefined : gone),
    on: () => {},
  };
  let made = 0;
  function* pieces() {
    for (; made < 10; made++) yield 'a piece';
  }
  await deliver({ stdin: noInput(), stdout, stderr: stdout, env: {} }, pieces());
  assert.equal([written, made], [2, 1]);
});

async function* noInput(): AsyncGenerator<string> {}

test('hosts of one description are decoded as each by itself', async () => {
  const text = `<cpu><arch>x86_64</arch><model>Skylake-Server</model><vendor>Intel</vendor>
    <feature name='vmx'/><feature name='arch-capabilities'/><feature name='no-such'/></cpu>`;
  const [description] = await libvirt.read!(
    { name: 'f.xml', bytes: new TextEncoder().encode(text) },
    catalog,
  );
  // Findings are sorted by their sentences, which name the host.
  const ids = ['host-1', 'zzz', 'A', '$&', 'é', 'libvirt', '0'];
  const { hosts } = decode(
    catalog,
    ids.map((id) => ({ id, description: description! })),
  );
  for (const [i, id] of ids.entries()) {
    const alone = baseline(new Fleet(catalog, [candidate(catalog, id, description!)]));
    const findings = alone.findings.filter((f) => f.code !== 'newer-stack');
    assert.ok(findings.some((f) => f.message.includes(id)));
    assert.is(hosts[i]!.host, id);
    assert.equal(hosts[i]!.findings, findings);
    assert.equal(hosts[i]!.definitions, alone.definitions);
  }
});

test.run();
