// The words of /proc/cpuinfo: what each means, on whose processors, and from which kernel on its absence tells.
import { emptyRow, type Row, setBit } from '../../core/rows.ts';
import type { Feature, Vendor } from '../feature.ts';
import { own } from '../own.ts';
import type { FeaturesFile } from '../schema.ts';

const NONE: readonly never[] = [];

type Data = Pick<
  FeaturesFile,
  | 'linuxVendor'
  | 'linuxVmx'
  | 'linuxOnly'
  | 'linuxKernels'
  | 'linuxFlagsVmx'
  | 'linuxSilent'
  | 'linuxImplies'
>;

export class LinuxWords {
  readonly #data: Data;
  readonly #features: readonly Feature[];
  readonly #named: (name: string) => Feature;
  readonly #bySpelling = new Map<string, Feature>();
  readonly #only: ReadonlySet<string>;
  readonly #told = new Map<string, Row>();

  constructor(data: Data, features: readonly Feature[], named: (name: string) => Feature) {
    this.#data = data;
    this.#features = features;
    this.#named = named;
    this.#only = new Set(data.linuxOnly);
    for (const f of features)
      for (const flags of [f.linux, f.linuxHidden])
        for (let i = 0; i < flags.length; i++) this.#bySpelling.set(flags[i]!, f);
  }

  /** The feature of a word that means the same on all processors. */
  spelt(flag: string): Feature | undefined {
    return this.#bySpelling.get(flag);
  }

  /** A feature, `linux-only` for a word of no feature that a guest is given by name; undefined for an unknown one. */
  find(flag: string, vendor: Vendor | null): Feature | 'linux-only' | undefined {
    const byVendor = own(this.#data.linuxVendor, flag);
    if (byVendor) {
      const name = vendor === null ? undefined : own(byVendor, vendor);
      return name === undefined ? 'linux-only' : this.#named(name);
    }
    return this.#bySpelling.get(flag) ?? (this.#only.has(flag) ? 'linux-only' : undefined);
  }

  /** The words that mean the feature on this vendor's processors. */
  flags(feature: Feature, vendor: Vendor): string[] {
    const byVendor = Object.keys(this.#data.linuxVendor);
    return [...new Set([...feature.linux, ...feature.linuxHidden, ...byVendor])].filter(
      (flag) => this.find(flag, vendor) === feature,
    );
  }

  /** What a word proves beside its own feature. */
  implied(flag: string): readonly Feature[] {
    return own(this.#data.linuxImplies, flag)?.map(this.#named) ?? NONE;
  }

  /** Words of the flags line that tell a VMX feature where the processor's VMX is there. */
  get ofVmx(): readonly (readonly [flag: string, feature: Feature])[] {
    return Object.entries(this.#data.linuxFlagsVmx).map(([flag, name]) => [
      flag,
      this.#named(name),
    ]);
  }

  /** Whether the words of this kernel were read, or of an older one: null, which is not told, is taken for such. */
  isRead(kernel: string | null): boolean {
    return this.#tells(null, kernel);
  }

  /** The features whose absence from the flags means that they are absent, on this vendor's processors and kernel. */
  told(vendor: Vendor | null, kernel: string | null): Row {
    const key = `${vendor} ${kernel}`;
    let row = this.#told.get(key);
    if (!row) {
      row = emptyRow(this.#features.length);
      const { linuxVendor } = this.#data;
      for (const f of this.#features)
        if (f.linux.some((flag) => !own(linuxVendor, flag)) && this.#tellsOf(f, vendor, kernel))
          setBit(row, f.id);
      for (const flag of Object.keys(linuxVendor)) {
        const found = this.find(flag, vendor);
        if (found && found !== 'linux-only' && this.#tellsOf(found, vendor, kernel))
          setBit(row, found.id);
      }
      this.#told.set(key, row);
    }
    return row;
  }

  /** The same of a `vmx flags` line, which only kernels younger than the oldest have. */
  toldVmx(kernel: string | null): Row {
    const row = emptyRow(this.#features.length);
    for (const name of Object.values(this.#data.linuxVmx)) {
      const f = this.#named(name);
      if (this.#tellsOf(f, null, kernel)) setBit(row, f.id);
    }
    return row;
  }

  /** The feature of a word in the `vmx flags` line. */
  findVmx(flag: string): Feature | undefined {
    const name = own(this.#data.linuxVmx, flag);
    return name === undefined ? undefined : this.#named(name);
  }

  #tellsOf(f: Feature, vendor: Vendor | null, kernel: string | null): boolean {
    const without = own(this.#data.linuxSilent, f.name);
    if (without) return vendor !== null && without.includes(vendor);
    return this.#tells(f.linuxAbsence, kernel);
  }

  /** Whether a word that came `since` is printed by this kernel wherever its feature is. */
  #tells(since: string | null, kernel: string | null): boolean {
    const { oldest, el8 } = this.#data.linuxKernels;
    const [first, also] = since?.split(' ') ?? [oldest, 'el8'];
    const own = parseKernel(kernel ?? oldest);
    // A version that is none tells no more than none at all.
    if (own === null) return since === null;
    // EL8 calls itself 4.18 and has much of younger kernels.
    if (own.el8 !== null) return also === 'el8' && own.el8 >= parseKernel(el8)!.el8!;
    const from = parseKernel(first!)!;
    return own.major > from.major || (own.major === from.major && own.minor >= from.minor);
  }
}

function parseKernel(
  text: string,
): { readonly major: number; readonly minor: number; readonly el8: number | null } | null {
  const match = /^(\d+)\.(\d+)/.exec(text);
  if (!match) return null;
  const el8 = text.includes('.el8') ? /^4\.18\.0-(\d+)/.exec(text) : null;
  return { major: Number(match[1]), minor: Number(match[2]), el8: el8 ? Number(el8[1]) : null };
}
