// Whatever comes: each reader answers or refuses in one sentence that names the file, and never counts wrong.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import { dialectByName, dialectNames, recogniseDialect } from '../../src/dialects/index.ts';
import { assertProperty, evenly } from '../support/property.ts';
import { SAMPLES } from '../support/samples.ts';

const test = suite('fuzz of the dialects');
const catalog = await loadCatalog();
const encode = (text: string) => new TextEncoder().encode(text);

/** How many CPUs are read, or the sentence that refuses; anything else is a bug and throws. */
async function outcome(dialect: string, bytes: Uint8Array): Promise<number | string> {
  try {
    return (await dialectByName(dialect)!.read!({ name: 'a-file', bytes }, catalog)).length;
  } catch (error) {
    if (error instanceof QueryError) return error.message;
    throw error;
  }
}

test('each sample is recognised, and describes as many CPUs as it holds', async () => {
  for (const [dialect, count, text] of SAMPLES) {
    if (dialect !== 'qemu')
      assert.is(recogniseDialect(text.slice(0, 65536))?.name, dialect, text.slice(0, 60));
    assert.is(await outcome(dialect, encode(text)), count, `${dialect}: ${text.slice(0, 60)}`);
  }
});

test('a sample that is damaged is read or refused in one sentence that names the file', async () => {
  await assertProperty(
    fc.asyncProperty(
      fc.constantFrom(...SAMPLES),
      fc.array(fc.tuple(fc.nat(), fc.constantFrom('cut', 'drop', 'swap', 'byte', 'twice')), {
        minLength: 1,
        maxLength: 4,
      }),
      fc.nat(255),
      async ([dialect, , text], damages, byte) => {
        let bytes = [...encode(text)];
        for (const [at, how] of damages) {
          const i = bytes.length === 0 ? 0 : at % bytes.length;
          if (how === 'cut') bytes = bytes.slice(0, i);
          else if (how === 'drop') bytes.splice(i, 7);
          else if (how === 'byte') bytes[i] = byte;
          else if (how === 'swap')
            bytes.splice(i, 0, ...bytes.splice((i * 7) % (bytes.length || 1), 3));
          else bytes.splice(i, 0, ...bytes.slice(i, i + 20));
        }
        const found = await outcome(dialect, Uint8Array.from(bytes));
        if (typeof found === 'number') return;
        assert.match(found, /^a-file/);
        assert.not.match(found, /\n|undefined|\[object|NaN/);
      },
    ),
    { numRuns: 3000 },
  );
});

test('every reader refuses every other language, or reads it, without falling over', async () => {
  for (const dialect of dialectNames('read'))
    for (const [, , text] of SAMPLES) {
      const found = await outcome(dialect, encode(text));
      if (typeof found === 'string') assert.match(found, /^a-file/, `${dialect}: ${found}`);
    }
});

test('values of the wrong shape are refused with their place', async () => {
  await assertProperty(
    fc.asyncProperty(
      fc.constantFrom(...SAMPLES.filter(([, , text]) => /^(?:\{|\[\{)/.test(text))),
      fc.nat(),
      fc.jsonValue(),
      async ([dialect, , text], at, value) => {
        const document = JSON.parse(text);
        const places: [Record<string, unknown>, string][] = [];
        const walk = (inner: unknown): void => {
          if (typeof inner !== 'object' || inner === null) return;
          for (const key of Object.keys(inner)) {
            places.push([inner as Record<string, unknown>, key]);
            walk((inner as Record<string, unknown>)[key]);
          }
        };
        walk(document);
        const [owner, key] = places[at % places.length]!;
        owner[key] = value;
        const found = await outcome(dialect, encode(JSON.stringify(document)));
        if (typeof found === 'string') assert.match(found, /^a-file/);
      },
    ),
    { numRuns: 2000 },
  );
});

test('text made to be slow is refused, or read, at once', async () => {
  // Patterns that go back over what they have read would take minutes for this.
  const long = 12_000;
  const hostile = [
    ' '.repeat(long),
    'a '.repeat(long),
    '1'.repeat(long),
    '1:'.repeat(long),
    'cores: '.repeat(long),
    '<cpu>'.repeat(long / 5),
    'sockets: cores: '.repeat(long / 10),
    '"'.repeat(long),
    "'".repeat(long),
    '{"a":'.repeat(400),
    ','.repeat(long),
    '\\"'.repeat(long),
  ];
  const heads = [
    '',
    '{',
    'cpu: ',
    '[libvirt]\n',
    'hw_caps : ',
    'Architecture: ',
    '1:a:model_b:',
    'VMName,CompatibilityForMigrationEnabled\n',
  ];
  const asked = hostile.flatMap((text) =>
    heads.flatMap((head) =>
      dialectNames('read').map((dialect) => ({ dialect, text: head + text })),
    ),
  );
  for (const { dialect, text } of evenly(asked)) {
    const start = process.cpuUsage();
    recogniseDialect(text.slice(0, 65536));
    await outcome(dialect, encode(text));
    const took = process.cpuUsage(start).user / 1000;
    assert.ok(took < 3000, `${dialect} took ${took} ms over ${JSON.stringify(text.slice(0, 40))}`);
  }
});

test('deep nesting and bombs of aliases are refused', async () => {
  const deep = '['.repeat(100_000) + ']'.repeat(100_000);
  for (const dialect of ['kubernetes', 'nova', 'incus', 'firecracker', 'proxmox'])
    assert.match(
      String(await outcome(dialect, encode(deep))),
      /a-file:1: values are nested more than 512 deep/,
    );
  const levels = Array.from(
    { length: 12 },
    (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(', ')}]`,
  );
  const bomb = `apiVersion: v1\nkind: Node\na0: &a0 [x]\n${levels.join('\n')}\n`;
  assert.match(
    String(await outcome('kubernetes', encode(bomb))),
    /a-file:\d+: this YAML is not taken: .*alias/,
  );
  assert.match(
    String(await outcome('kubernetes', encode('a: 1\na: 2\n'))),
    /a-file:2: the key "[^"]*" is there twice/,
  );
  assert.match(
    String(await outcome('nova', encode('{"cpu_info":1,"cpu_info":2}'))),
    /the key "cpu_info" is there twice/,
  );
});

test.run();
