// Host records as strangers write them: names that hide, keys that objects have, escapes, blanks, marks of byte order.
import fc from 'fast-check';

/** A record as it stands in a file, and the name of its host. */
export interface DrawnRecord {
  readonly host: string | null;
  readonly line: string;
}

/** Records, and what stands between them. */
export interface DrawnText {
  readonly records: readonly DrawnRecord[];
  readonly ends: readonly string[];
  readonly mark: boolean;
  readonly isEnded: boolean;
}

const NAMES = [
  ...['a', 'b', '\ufeffa', 'a\ufeff', 'é', '日本', '😀', 'a b', 'a\tb', '\\', '"', '\u0000'],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'host#2',
    '\u202ex',
    'x'.repeat(300),
    ' a',
    'a\n',
    '\\u0061',
  ],
];
const KEYS = [
  'rack',
  'é',
  '\ufeffrack',
  '__proto__',
  'constructor',
  'toString',
  'k'.repeat(60),
  'a b',
  'site',
];
const FEATURES = ['aes', 'avx', 'avx2', 'pku', 'pclmulqdq', 'sse2', 'rep_good', 'spec-ctrl'];
const UNNAMED = ['new-one', 'é', '__proto__', 'constructor', '\ud83d\ude00', 'y'.repeat(80)];
const SKU = { family: 6, model: 106, stepping: 7 };

const value = fc.constantFrom('r1', 'r2', '', '\ufeff', 'é', 7, true, false, 'x\ty');

const record = fc.record(
  {
    features: fc.uniqueArray(fc.constantFrom(...FEATURES, ...UNNAMED), { maxLength: 6 }),
    vendor: fc.constantFrom('Intel', 'Intel', 'GenuineIntel', 'AMD'),
    view: fc.constantFrom('hypervisor', 'hypervisor', 'hypervisor', 'kernel', 'hardware'),
    unknown: fc.uniqueArray(fc.constantFrom('xsaves', 'umip', 'other-one', 'é2'), { maxLength: 2 }),
    limits: fc.constantFrom({ physBits: 46 }, { physBits: 52 }),
    microcode: fc.constantFrom('0x1', '0x2', '0x3'),
    signature: fc.constantFrom(SKU, SKU, { ...SKU, stepping: 6 }),
    software: fc.constantFrom({ kernel: '6.1.0' }, { qemu: '7.2.0' }, { libvirt: '9.0.0' }),
    machines: fc.constantFrom(['pc-q35-9.2'], ['pc-q35-7.2']),
    models: fc.constantFrom({ Nehalem: [] }, { Nehalem: ['avx'], '486': [] }),
    xsave: fc.constantFrom([], [{ component: 2, size: 256, offset: 576 }]),
    tsc: fc.constantFrom({ hz: 2_100_000_000 }, { hz: 2_200_000_000, scaling: true }),
    keys: fc.dictionary(fc.constantFrom(...KEYS), value, { maxKeys: 2 }),
    virttype: fc.constantFrom('kvm', 'kvm', 'qemu'),
  },
  { requiredKeys: ['features'] },
);

/** Names as JSON has them: as they are, or as escapes. */
const spelled = (text: string, escaped: boolean): string =>
  escaped
    ? `"${Array.from({ length: text.length }, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`).join('')}"`
    : JSON.stringify(text);

const drawn = fc
  .record({
    host: fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...NAMES) },
      { weight: 3, arbitrary: fc.nat({ max: 60 }).map((n) => `h${n}`) },
      { weight: 1, arbitrary: fc.constant(null) },
    ),
    record,
    more: fc.dictionary(fc.constantFrom(...KEYS), value, { maxKeys: 2 }),
    escaped: fc.boolean(),
    blank: fc.constantFrom('', '', ' ', '\t'),
    last: fc.boolean(),
  })
  .map(({ host, record: of, more, escaped, blank, last }): DrawnRecord => {
    const named = host === null ? [] : [`"host":${blank}${spelled(host, escaped)}`];
    const fields = [...Object.entries(of), ...Object.entries(more)].map(
      ([key, it]) =>
        `${spelled(key, escaped && !Object.hasOwn(of, key))}:${blank}${JSON.stringify(it)}`,
    );
    const all = last ? [...fields, ...named] : [...named, ...fields];
    return { host, line: `{${blank}${all.join(`,${blank}`)}${blank}}` };
  });

/** Lines that are no record, or none that can be read. */
const wrong = fc.constantFrom(
  ...[
    '{',
    '{"host":"a"}',
    '[]',
    '{"features":["aes","aes"]}',
    '{"features":[1]}',
    '{"host":3,"features":[]}',
  ],
  ...['{"features":["aes"],"features":[]}', '{"host":"a","host":"b","features":[]}', 'null'],
);

/** Up to `most` records; once in a while one of them cannot be read. */
export const drawnText = (most: number): fc.Arbitrary<DrawnText> =>
  fc.record({
    records: fc
      .tuple(
        fc.array(drawn, { minLength: 1, maxLength: most }),
        fc.option(fc.tuple(fc.nat(), wrong), { freq: 9 }),
      )
      .map(([list, bad]) => {
        if (bad === null) return list;
        const at = bad[0] % (list.length + 1);
        return list.toSpliced(at, 0, { host: null, line: bad[1] });
      }),
    ends: fc.array(fc.constantFrom('\n', '\n', '\n', '\r\n', '\n\n', '\n \t\n', '\r\n\r\n'), {
      minLength: 1,
      maxLength: 5,
    }),
    mark: fc.boolean(),
    isEnded: fc.boolean(),
  });

/** The text of these records in this order. */
export function textOf(
  { ends, mark, isEnded }: DrawnText,
  records: readonly DrawnRecord[],
): Uint8Array {
  const text = records.map(({ line }, i) => {
    const isLast = i === records.length - 1;
    return `${line}${isLast && !isEnded ? '' : ends[i % ends.length]}`;
  });
  return new TextEncoder().encode(`${mark && records.length > 0 ? '\ufeff' : ''}${text.join('')}`);
}
