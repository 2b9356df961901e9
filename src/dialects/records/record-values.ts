// The values of a host record by the shapes that they must have, and what is said of one that has another.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type {
  Bits,
  Description,
  Note,
  Signature,
  Tsc,
  XsaveComponent,
} from '../../cpu/description.ts';
import { byBytes } from '../../cpu/order.ts';
import { isPrintable } from '../../cpu/printable.ts';
import { MAX_PHYS_BITS } from '../../cpu/processor-facts.ts';
import { isObject, type JsonObject, valueKind } from '../text/json.ts';
import { quote } from '../text/lines.ts';

/** Of other architectures than x86 a record may say as much as a register holds. */
const MOST_PHYS_BITS = 64;
const BIT = /^cpuid(?:\.[0-9a-f]{1,8}){2}\.e[abcd]x\.\d{1,2}$/;

const isText = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && isPrintable(value);

export class RecordValues {
  readonly #catalog: Catalog;
  readonly #fail: (what: string) => never;
  readonly #notes: Note[];

  /** `fail` says what is wrong with the record; `notes` takes what is left out of it. */
  constructor(catalog: Catalog, fail: (what: string) => never, notes: Note[]) {
    this.#catalog = catalog;
    this.#fail = fail;
    this.#notes = notes;
  }

  fail(what: string): never {
    return this.#fail(what);
  }

  /** A kernel as uname -r prints it. */
  kernel(value: unknown): string | null {
    return this.optional(value, (kernel) => this.word('software.kernel', kernel, '6.12.9'));
  }

  /** What is read of a value, where there is one. */
  optional<T>(value: unknown, read: (value: unknown) => T): T | null {
    return value === undefined || value === null ? null : read(value);
  }

  /** What something is called; any character may be in it. */
  name(key: string, value: unknown, like: string): string {
    if (typeof value !== 'string' || value === '') this.#unlike(key, value, like);
    return value;
  }

  /** A word whose characters can all be seen. */
  word(key: string, value: unknown, like: string): string {
    const word = this.name(key, value, like);
    if (!isPrintable(word)) this.#unlike(key, value, like);
    return word;
  }

  #unlike(key: string, value: unknown, like: string): never {
    const what =
      value === '' ? 'empty' : typeof value === 'string' ? 'not printable' : valueKind(value);
    this.fail(`"${key}" is ${what}; write it like ${JSON.stringify(like)}`);
  }

  /** A list of names of features. */
  names(key: string, value: unknown): string[] {
    if (value === undefined)
      this.fail(`a host record needs "${key}", the list of the features that it has`);
    if (!Array.isArray(value))
      this.fail(`"${key}" is ${valueKind(value)}; it is a list of feature names`);
    for (let i = 0; i < value.length; i++) {
      const name: unknown = value[i];
      if (typeof name !== 'string')
        this.fail(`"${key}" lists ${valueKind(name)}; every entry is the name of a feature`);
      if (name === '' || /\s/.test(name) || !isPrintable(name))
        this.fail(
          `"${key}" lists ${quote(name)}, which is no name; write every feature as a string of its own`,
        );
    }
    return value as string[];
  }

  physBits(value: unknown, isOfX86: boolean): number | null {
    if (value === undefined || value === null) return null;
    if (!isObject(value))
      this.fail(`"limits" is ${valueKind(value)}; write it like {"physBits":46}`);
    for (const key of Object.keys(value))
      if (key !== 'physBits') this.ignored(`limits.${key}`, 'physBits is the only limit');
    const { physBits } = value;
    if (physBits === undefined || physBits === null) return null;
    const most = isOfX86 ? MAX_PHYS_BITS : MOST_PHYS_BITS;
    if (!Number.isInteger(physBits) || (physBits as number) < 1 || (physBits as number) > most)
      this.fail(
        `"limits.physBits" is ${valueKind(physBits)}; it is a whole number of bits from 1 to ${most}`,
      );
    return physBits as number;
  }

  signature(value: unknown): Signature {
    const { family, model, stepping } = this.#numbers('signature', value, [
      'family',
      'model',
      'stepping',
    ]);
    return { family: family!, model: model!, stepping: stepping! };
  }

  xsave(value: unknown): XsaveComponent[] {
    if (!Array.isArray(value))
      this.fail(
        `"xsave" is ${valueKind(value)}; it is a list like [{"component":2,"size":256,"offset":576}]`,
      );
    return value
      .map((entry): XsaveComponent => {
        const { component, size, offset } = this.#numbers('xsave', entry, [
          'component',
          'size',
          'offset',
        ]);
        return { component: component!, size: size!, offset: offset! };
      })
      .sort((a, b) => a.component - b.component)
      .map((c, i, all) =>
        all[i - 1]?.component === c.component
          ? this.fail(`"xsave" lists component ${c.component} twice`)
          : c,
      );
  }

  /** Each named model with what blocks it there; null where nothing says what does. */
  models(value: unknown): Map<string, readonly string[] | null> {
    const like = '{"EPYC":[],"EPYC-Rome":["clwb"]}';
    if (!isObject(value)) this.fail(`"models" is ${valueKind(value)}; write it like ${like}`);
    return new Map(
      Object.entries(value).map(([name, blockers]) => {
        if (blockers === null) return [name, null];
        const features = this.names(`models.${name}`, blockers);
        return [name, features.map((f) => this.#catalog.find(f)?.name ?? f)];
      }),
    );
  }

  isListOfNames(value: unknown): value is string[] {
    return Array.isArray(value) && value.every((name) => isText(name) && !/\s/.test(name));
  }

  /** The machine type that the record speaks for: the first of its list. Null for what is no such list. */
  machine(value: unknown): string | null {
    return this.isListOfNames(value) ? (value[0] ?? null) : null;
  }

  /** Bits by their places; null for anything else. */
  bits(value: unknown): Bits | null {
    if (!isObject(value)) return null;
    const are = Object.entries(value).every(([at, on]) => BIT.test(at) && typeof on === 'boolean');
    return are ? (value as Bits) : null;
  }

  /** What a person should know of the host by who read it first; null for anything else. */
  findings(value: unknown): Note[] | null {
    if (!Array.isArray(value)) return null;
    const notes = value.map((entry) => (isObject(entry) ? entry : {}));
    const isSaid = ({ code, message }: JsonObject) =>
      isText(code) && !/\s/.test(code) && typeof message === 'string';
    if (!notes.every(isSaid)) return null;
    return notes.map(({ code, message }) => ({ code, message }) as Note);
  }

  tsc(value: unknown): Tsc {
    const like = '{"hz":2100000000,"scaling":false}';
    if (!isObject(value)) this.fail(`"tsc" is ${valueKind(value)}; write it like ${like}`);
    const { hz, scaling = null } = value;
    if (!Number.isSafeInteger(hz) || (hz as number) <= 0)
      this.fail(`"tsc.hz" is ${valueKind(hz)}; it is a whole number of Hz: ${like}`);
    if (typeof scaling !== 'boolean' && scaling !== null)
      this.fail(`"tsc.scaling" is ${valueKind(scaling)}; it is true or false: ${like}`);
    return { hz: hz as number, scaling };
  }

  /** What tells an Arm processor from others. */
  identity({
    midr,
    registers,
    sve,
  }: {
    readonly midr?: unknown;
    readonly registers?: unknown;
    readonly sve?: unknown;
  }): Pick<Description, 'midr' | 'registers' | 'sve'> {
    return {
      ...(midr === undefined || midr === null ? {} : { midr: this.#midr(midr) }),
      ...(registers === undefined || registers === null
        ? {}
        : { registers: this.#registers(registers) }),
      ...(sve === undefined || sve === null ? {} : { sve: this.#sve(sve) }),
    };
  }

  /** One number, or a list of those of every kind of core. */
  #midr(value: unknown): string[] {
    const list = Array.isArray(value) ? value : [value];
    const isMidr = (one: unknown) => typeof one === 'string' && /^0x[0-9a-f]{1,8}$/i.test(one);
    if (list.length === 0 || !list.every(isMidr))
      this.fail(
        '"midr" is no MIDR; write it like "0x413fd0c1", or a list of those where a host has several kinds of cores',
      );
    const padded = (list as string[]).map(
      (one) => `0x${one.slice(2).toLowerCase().padStart(8, '0')}`,
    );
    return [...new Set(padded)].sort(byBytes);
  }

  #registers(value: unknown): Record<string, string> {
    const like = '{"ID_AA64PFR0_EL1":"0x1100000010110012"}';
    if (!isObject(value)) this.fail(`"registers" is ${valueKind(value)}; write it like ${like}`);
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => byBytes(a, b))
        .map(([name, of]) => {
          if (
            !/^[A-Z0-9_]+$/.test(name) ||
            typeof of !== 'string' ||
            !/^0x[0-9a-f]{1,16}$/i.test(of)
          )
            this.fail(`"registers.${name}" is no register; write it like ${like}`);
          return [name, `0x${BigInt(of).toString(16)}`];
        }),
    );
  }

  #sve(value: unknown): number[] {
    const isLength = (n: unknown) => Number.isInteger(n) && (n as number) % 128 === 0;
    if (
      !Array.isArray(value) ||
      !value.every((n) => isLength(n) && (n as number) > 0 && (n as number) <= 2048)
    )
      this.fail(
        '"sve" is no list of vector lengths; write it like [128,256], in multiples of 128 up to 2048',
      );
    return [...new Set(value as number[])].sort((a, b) => a - b);
  }

  /** The versions that the host says to run. */
  software(value: unknown): Pick<Description, 'qemu' | 'kernel'> & { libvirt: string | null } {
    if (value === undefined || value === null) return { qemu: null, libvirt: null, kernel: null };
    const like = '{"qemu":"10.0.2","libvirt":"11.3.0","kernel":"6.12.9"}';
    if (!isObject(value)) this.fail(`"software" is ${valueKind(value)}; write it like ${like}`);
    const { kernel } = value;
    const version = (product: string) => {
      const text = value[product];
      if (text === undefined || text === null) return null;
      if (typeof text === 'string' && /^\d+(\.\d+){1,2}$/.test(text)) return text;
      return this.fail(`"software.${product}" is no version; write it like ${like}`);
    };
    return { qemu: version('qemu'), libvirt: version('libvirt'), kernel: this.kernel(kernel) };
  }

  #numbers(key: string, value: unknown, names: readonly string[]): Record<string, number> {
    const like = `{${names.map((n) => `"${n}":...`).join(',')}}`;
    if (!isObject(value)) this.fail(`"${key}" is ${valueKind(value)}; write it like ${like}`);
    return Object.fromEntries(
      names.map((name) => {
        const number = value[name];
        if (!Number.isSafeInteger(number) || (number as number) < 0)
          this.fail(
            `"${key}.${name}" is ${number === undefined ? 'missing' : valueKind(number)}; write ${key} like ${like}, in whole numbers`,
          );
        return [name, number as number];
      }),
    );
  }

  microcode(value: unknown): string {
    if (typeof value !== 'string' || !/^0x[0-9a-f]{1,16}$/i.test(value))
      this.fail(
        `"microcode" is ${typeof value === 'string' ? quote(value) : valueKind(value)}; write it like "0x5003604"`,
      );
    return value.toLowerCase();
  }

  ignored(key: string, why: string): void {
    this.#notes.push({
      code: 'key-ignored',
      message: `the key ${quote(key)} of the record is left out: ${why}`,
    });
  }
}
