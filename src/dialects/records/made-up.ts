// Made-up fleets with the structure of real ones: a few processors make up most of it, each with the BIOS settings
// and microcode of the years in which it was bought. The same seed gives the same bytes.
import { bitsOf, minus, type Row } from '../../core/rows.ts';
import type { Catalog, LibvirtModel, Vendor } from '../../cpu/catalog/catalog.ts';
import { byBytes } from '../../cpu/order.ts';

export interface SynthOptions {
  readonly hosts: number;
  readonly seed: number;
  /** How many CPUs that differ there are at most. */
  readonly kinds: number;
  readonly vendors: readonly Vendor[];
  readonly to: 'records' | 'cpuinfo' | 'libvirt';
  /** Every list of features in an order of its own, as if no two hosts were collected alike. */
  readonly shuffled: boolean;
  /** Processors of a host, where the language lists each; 8 if not given. */
  readonly processors?: number | undefined;
}

/** What a BIOS setting or an old microcode takes away, each on a share of the hosts of a model. */
const SWITCHES: readonly { readonly share: number; readonly features: readonly string[] }[] = [
  { share: 0.15, features: ['hle', 'rtm'] },
  { share: 0.1, features: ['pku'] },
  { share: 0.1, features: ['rdrand', 'rdseed'] },
  { share: 0.2, features: ['ssbd', 'amd-ssbd'] },
  { share: 0.15, features: ['spec-ctrl', 'ibpb', 'stibp'] },
  { share: 0.08, features: ['aes', 'vaes'] },
  { share: 0.08, features: ['xsaves'] },
  { share: 0.05, features: ['pdpe1gb'] },
  { share: 0.05, features: ['invpcid'] },
];
/** Text is made in pieces of about so many characters. */
const PIECE = 256 * 1024;
const PHYS_BITS = [40, 44, 46, 48, 52];

interface Sku {
  readonly model: LibvirtModel;
  readonly features: readonly string[];
  readonly linux: readonly string[];
  readonly microcode: number;
  readonly physBits: number;
  readonly stepping: number;
}

/** The text of a fleet, in pieces. */
export function* synthesize(catalog: Catalog, options: SynthOptions): Generator<string> {
  const { hosts, seed, to } = options;
  const random = mulberry32(seed);
  const skus = makeSkus(catalog, options, random);
  const bounds = zipf(skus.length);
  const digits = String(Math.max(hosts - 1, 0)).length;
  const write = WRITERS[to](catalog, options, random);
  let piece = to === 'libvirt' ? '<hosts>\n' : '';
  for (let i = 0; i < hosts; i++) {
    const sku = skus[pick(bounds, random())]!;
    piece += write(sku, `host-${String(i).padStart(digits, '0')}`, `rack-${i % 400}`);
    if (piece.length < PIECE) continue;
    yield piece;
    piece = '';
  }
  yield to === 'libvirt' ? `${piece}</hosts>\n` : piece;
}

/** Processors by vendor and generation, the newer half of them more often, each with a few variants. */
function makeSkus(
  catalog: Catalog,
  { kinds, vendors }: SynthOptions,
  random: () => number,
): readonly Sku[] {
  const models = [...catalog.libvirtModels.values()].filter(
    (m) =>
      m.vendor !== null &&
      vendors.includes(m.vendor) &&
      m.signatures.length > 0 &&
      m.canonical === null &&
      /-v\d+$/.test(m.name),
  );
  if (models.length === 0) throw new RangeError(`no processors of ${vendors.join(', ')} are known`);
  const skus = new Map<string, Sku>();
  // The first variant of a model has all of it; then settings vary.
  for (let tries = 0; skus.size < kinds && tries < kinds * 50; tries++) {
    const model = models[Math.floor(Math.sqrt(random()) * models.length)]!;
    const off = SWITCHES.filter(({ share }) => random() < share).flatMap((s) => s.features);
    const has = minus(model.features, rowOfKnown(catalog, off));
    const physBits = PHYS_BITS[Math.floor(random() * PHYS_BITS.length)]!;
    const key = `${has.join()} ${model.vendor} ${physBits}`;
    if (skus.has(key)) continue;
    const { steppings } = model.signatures[0]!;
    skus.set(key, {
      model,
      features: catalog.names(has),
      linux: linuxFlags(catalog, has),
      microcode: 0x1000000 + Math.floor(random() * 0x10000),
      physBits,
      stepping: steppings?.at(-1) ?? 1,
    });
  }
  return [...skus.values()];
}

function rowOfKnown(catalog: Catalog, names: readonly string[]): Row {
  return catalog.row(names.filter((name) => catalog.findQemu(name)));
}

const linuxFlags = (catalog: Catalog, row: Row): string[] =>
  bitsOf(row)
    .flatMap((id) => catalog.features[id]!.linux[0] ?? [])
    .sort(byBytes);

type Write = (sku: Sku, id: string, rack: string) => string;

const WRITERS: Record<
  SynthOptions['to'],
  (catalog: Catalog, options: SynthOptions, random: () => number) => Write
> = {
  records: (_, options, random) => {
    const lists = new Map<Sku, string>();
    return (sku, host, rack) => {
      let list = lists.get(sku);
      if (list === undefined || options.shuffled) {
        list = JSON.stringify(options.shuffled ? shuffled(sku.features, random) : sku.features);
        if (!options.shuffled) lists.set(sku, list);
      }
      const { family, model } = sku.model.signatures[0]!;
      return `{"host":"${host}","arch":"x86_64","vendor":"${sku.model.vendor}","view":"hypervisor","features":${list},"limits":{"physBits":${sku.physBits}},"signature":{"family":${family},"model":${model},"stepping":${sku.stepping}},"microcode":"0x${sku.microcode.toString(16)}","rack":"${rack}"}\n`;
    };
  },
  cpuinfo: (catalog, { processors = 8 }) => {
    const parts = new Map<Sku, readonly [string, string, string, string]>();
    const sockets = processors >= 16 ? 2 : 1;
    const threads = processors > 1 ? 2 : 1;
    const siblings = Math.ceil(processors / sockets);
    const cores = Math.ceil(siblings / threads);
    const spread = linesOf([
      ['siblings', siblings],
      ['core id', 'CORE'],
      ['cpu cores', cores],
    ]).split('CORE');
    let clock = 0;
    return (sku) => {
      const [above, below, behind, end] = parts.get(sku) ?? cpuinfoParts(catalog, sku);
      parts.set(sku, [above, below, behind, end]);
      let text = '';
      for (let n = 0; n < processors; n++) {
        const core = n % (cores * sockets);
        // No two processors run at the same speed at the same time.
        clock = (clock + 617_329) % 1_500_000;
        const id = 2 * core + Math.floor(n / (cores * sockets));
        text += `processor\t: ${n}\n${above}cpu MHz\t\t: ${((2_000_000 + clock) / 1000).toFixed(3)}\n${below}physical id\t: ${Math.floor(core / cores)}\n${spread[0]}${core % cores}${spread[1]}apicid\t\t: ${id}\ninitial apicid\t: ${id}\n${behind}bogomips\t: ${4200 + (n & 1)}.00\n${end}\n`;
      }
      return text;
    };
  },
  libvirt: (catalog) => (sku, host) => {
    const { model } = sku;
    const extra = minus(catalog.row(sku.features), model.features);
    const lines = catalog
      .names(extra)
      .map((name) => `      <feature name='${name}'/>\n`)
      .join('');
    return `<capabilities><host><uuid>${uuidOf(host)}</uuid>
    <cpu>
      <arch>x86_64</arch>
      <model>${model.name}</model>
      <vendor>${model.vendor}</vendor>
      <maxphysaddr mode='emulate' bits='${sku.physBits}'/>
${lines}    </cpu>
    <power_management/>
    <iommu support='yes'/>
    <topology><cells num='1'><cell id='0'>
      <memory unit='KiB'>${262144000 + (sku.microcode & 0xfff)}</memory>
      <pages unit='KiB' size='4'>${65536000 + (sku.microcode & 0xfff)}</pages>
${CPUS}    </cell></cells></topology>
</host></capabilities>
`;
  },
};

/** What processors of an SKU print before their clock, the places that they have, and their BogoMIPS, and after that. */
function cpuinfoParts(catalog: Catalog, sku: Sku): [string, string, string, string] {
  const { family, model } = sku.model.signatures[0]!;
  const vendor = catalog.vendors.find((v) => v.name === sku.model.vendor)!.id;
  return [
    linesOf([
      ['vendor_id', vendor],
      ['cpu family', family],
      ['model', model],
      ['model name', `${vendor} made-up processor`],
      ['stepping', sku.stepping],
      ['microcode', `0x${sku.microcode.toString(16)}`],
    ]),
    linesOf([['cache size', '32768 KB']]),
    linesOf([
      ['fpu', 'yes'],
      ['fpu_exception', 'yes'],
      ['cpuid level', 22],
      ['wp', 'yes'],
      ['flags', sku.linux.join(' ')],
      ['bugs', 'spectre_v1 spectre_v2 spec_store_bypass'],
    ]),
    linesOf([
      ['clflush size', 64],
      ['cache_alignment', 64],
      ['address sizes', `${sku.physBits} bits physical, 48 bits virtual`],
    ]).concat('power management:\n'),
  ];
}

/** Lines as the kernel prints them. */
const linesOf = (lines: readonly (readonly [key: string, value: string | number])[]): string =>
  lines.map(([key, value]) => `${key}\t${key.length < 8 ? '\t' : ''}: ${value}\n`).join('');

/** The processors of a host as libvirt lists them. */
const CPUS = Array.from(
  { length: 40 },
  (_, i) =>
    `      <cpu id='${i}' socket_id='0' die_id='0' core_id='${i >> 1}' siblings='${i & ~1}-${i | 1}'/>\n`,
).join('');

/** A name as a UUID: libvirt gives every host one. */
function uuidOf(host: string): string {
  const hex = Array.from(host, (c) => c.charCodeAt(0).toString(16)).join('');
  const text = hex.slice(-32).padStart(32, '0');
  return [0, 8, 12, 16, 20].map((from, i, all) => text.slice(from, all[i + 1])).join('-');
}

function shuffled(names: readonly string[], random: () => number): string[] {
  const out = [...names];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

/** Sums of 1, 1/2, 1/3, ...: the nth is n times as rare as the first. */
function zipf(n: number): number[] {
  let sum = 0;
  return Array.from({ length: n }, (_, i) => {
    sum += 1 / (i + 1);
    return sum;
  });
}

function pick(bounds: readonly number[], share: number): number {
  const at = share * bounds.at(-1)!;
  let low = 0;
  for (let high = bounds.length - 1; low < high; ) {
    const middle = (low + high) >> 1;
    if (bounds[middle]! < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Numbers in [0, 1) by the generator mulberry32. */
export function mulberry32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
