// Host records: one JSON object a line, a list of them, or one object. The one language in which plimsoll can
// say all that it knows of a host; what a record does not list is absent, in the view that it names.
import { emptyRow, hasBit, minus, type Row, setBit } from '../../core/rows.ts';
import { archRecord } from '../../cpu/arch/index.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import {
  type Description,
  isOfKvm,
  isShown,
  isX86,
  type Note,
  type View,
} from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { LISTERS } from '../../cpu/model-lists.ts';
import { byBytes } from '../../cpu/order.ts';
import { openKvmFeatures, openOsState } from '../../cpu/proven/cpuid-words.ts';
import { openFloor } from '../../cpu/proven/floor.ts';
import { openUnmigratable } from '../../cpu/proven/offer.ts';
import { type Dialect, type Input, orSkip } from '../dialect.ts';
import {
  isObject,
  type JsonObject,
  MAX_JSON,
  parseJson,
  repeatedKey,
  valueKind,
} from '../text/json.ts';
import { linesOf, quote, type TextLine } from '../text/lines.ts';
import { Tokens } from '../text/tokens.ts';
import { KVM, ofOtherHypervisor } from '../words/blank-description.ts';
import { RecordValues } from './record-values.ts';

const VIEWS: readonly View[] = ['hardware', 'kernel', 'hypervisor', 'guest'];
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const NEWLINE = 0x0a;
const OPEN = 0x7b;
const LIST = 0x5b;

/** The keys by which a record speaks of its host in a way of its own; any other is kept as it is. */
export const RECORD_KEYS: ReadonlySet<string> = new Set([
  'host',
  'arch',
  'vendor',
  'view',
  'signature',
  'microcode',
  'software',
  'machines',
  'keys',
  'limits',
  'tsc',
  'xsave',
  'midr',
  'registers',
  'sve',
  'cpuModel',
  'models',
  'listedBy',
  'bits',
  'features',
  'unnamed',
  'unknown',
  'absent',
  'findings',
]);

export const records: Dialect = {
  name: 'records',
  // A section of an INI file begins with a bracket, too, but no JSON follows it.
  recognises: (head) => /^\uFEFF?\s*(?:\{|\[\s*(?:[[\]{"\d-]|$))/.test(head),
  proves: [
    {
      document: 'host record',
      view: null,
      words: 'records',
      unlisted: 'absent',
      leavesOut: "what it lists under unknown, and KVM's own features where it lists none of them",
    },
  ],
  read: (input, catalog, skip) => {
    const out: Description[] = [];
    for (const found of recordsOf(input))
      out.push(...orSkip(skip, () => new RecordReader(catalog, input.name, found).read()));
    return out;
  },
};

interface Found {
  readonly line: number;
  /** Its own text, or null where it is part of a longer one. */
  readonly text: string | null;
  readonly parse: () => unknown;
}

function* recordsOf(input: Input): Generator<Found> {
  const { bytes, name } = input;
  if (isOneValue(bytes)) {
    if (bytes.length > MAX_JSON)
      throw new QueryError(
        `${name} is one JSON value of ${bytes.length >> 20} MB, too long to read as a whole; write one record a line`,
      );
    const text = decode(input);
    const value = parseJson(text, name);
    if (!Array.isArray(value)) return yield { line: 1, text, parse: () => value };
    const twice = repeatedKey(text, value);
    if (twice !== null)
      throw new QueryError(
        `${name}: the key ${quote(twice)} is there twice in one record; which of the two holds?`,
      );
    const lines = startLines(text, value.length);
    for (const [i, record] of value.entries())
      yield { line: lines[i]!, text: null, parse: () => record };
    return;
  }
  for (const line of linesOf(input)) {
    const found = recordIn(line, name);
    if (found) yield found;
  }
}

/** The record on a line, or null where it is blank. */
function recordIn({ number, text, isUtf8 }: TextLine, name: string): Found | null {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  const parse = () => {
    if (!isUtf8)
      throw new QueryError(
        `${name}:${number}: the line is not UTF-8 text; write the file in UTF-8`,
      );
    return parseJson(trimmed, name, number, text.length - text.trimStart().length);
  };
  return { line: number, text: trimmed, parse };
}

/** What one line of a file of records says, or null where it is blank. */
export function readRecord(catalog: Catalog, input: string, line: TextLine): Description | null {
  const found = recordIn(line, input);
  return found && new RecordReader(catalog, input, found).read();
}

/** Whether the input is a list, or an object over several lines: not one object a line. */
export function isOneValue(bytes: Uint8Array): boolean {
  const start = bytes.findIndex((byte) => !isBlank(byte));
  if (bytes[start] === LIST) return true;
  const newline = bytes.indexOf(NEWLINE, start);
  if (bytes[start] !== OPEN || newline < 0 || isClosed(bytes.subarray(start, newline)))
    return false;
  const next = bytes.subarray(newline).find((byte) => !isBlank(byte));
  return next !== undefined && next !== OPEN;
}

const isBlank = (byte: number): boolean =>
  byte === 32 || (byte >= 9 && byte <= 13) || byte === 0xef || byte === 0xbb || byte === 0xbf;

function isClosed(line: Uint8Array): boolean {
  const last = line.findLast((byte) => !isBlank(byte));
  return last === 0x7d && line.length > 1;
}

function decode({ bytes, name }: Input): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new QueryError(`${name} is not UTF-8 text; write the file in UTF-8`);
  }
}

/** The line on which each element of a JSON list begins. */
function startLines(text: string, count: number): number[] {
  const lines: number[] = [];
  let depth = 0;
  let line = 1;
  let isNext = false;
  const tokens = new Tokens(text);
  for (let token = tokens.next(); token !== ''; token = tokens.next()) {
    if (token === '\n') line++;
    else if (token === ',') isNext = depth === 1;
    else {
      if (isNext && token !== ']') lines.push(line);
      isNext = false;
      if (token === '{' || token === '[') isNext = ++depth === 1;
      else if (token === '}' || token === ']') depth--;
    }
    if (lines.length === count) break;
  }
  return lines;
}

export const isOfX86 = (arch: unknown): boolean =>
  typeof arch !== 'string' || archRecord(arch).isX86;

/**
 * What a name in a list of features means: a feature by its id, a name that stands for itself, or nothing, as the flags
 * that the kernel prints of itself; they come along when a record is made from /proc/cpuinfo.
 */
export function meaningOf(
  catalog: Catalog,
  name: string,
  isX86: boolean,
  vendor: unknown,
): number | 'itself' | null {
  if (!isX86) return 'itself';
  const f = catalog.find(name);
  if (f) return f.id;
  const of = typeof vendor === 'string' ? catalog.vendor(vendor) : null;
  return catalog.findLinux(name, of) === 'linux-only' ? null : 'itself';
}

/** Takes back what the list of features does not settle in a view of a host. */
export function settleView(
  catalog: Catalog,
  d: Pick<Description, 'view' | 'arch' | 'notes'>,
  has: Row,
  known: Row,
): void {
  const { view, arch } = d;
  if (!isX86(d)) return;
  if (isOfKvm(d)) openKvmFeatures(catalog, has, known);
  if (view === 'hypervisor') openUnmigratable(catalog, { has, known });
  if (arch === 'x86_64' && view !== 'guest') openFloor(catalog, has, known);
  if (isShown(d)) openOsState(catalog, has, known);
}

class RecordReader {
  readonly #catalog: Catalog;
  readonly #input: string;
  readonly #line: number;
  readonly #record: JsonObject;
  readonly #notes: Note[] = [];
  readonly #values: RecordValues;

  constructor(catalog: Catalog, input: string, { line, text, parse }: Found) {
    this.#catalog = catalog;
    this.#input = input;
    this.#line = line;
    this.#record = {};
    this.#values = new RecordValues(catalog, (what) => this.#fail(what), this.#notes);
    const record = parse();
    if (!isObject(record))
      this.#fail(`a host record is an object with "features", and this is ${valueKind(record)}`);
    this.#record = record;
    const twice = text === null ? null : repeatedKey(text, record);
    if (twice !== null)
      this.#fail(`the key ${quote(twice)} is there twice; which of the two holds?`);
  }

  read(): Description {
    const catalog = this.#catalog;
    const { arch, vendor, features, unknown, absent } = this.#record;
    const { limits, signature, microcode, xsave, models, tsc, software } = this.#record;
    const { midr, registers, sve } = this.#record;
    const runs = this.#values.software(software);
    const isOfCatalog = isOfX86(arch);
    const young = this.#young(isOfCatalog);
    const view = this.#view(this.#record.view);
    this.#notes.push(...(young.findings ?? []));
    if (view === 'hypervisor') this.#noteHypervisor();
    const has = emptyRow(catalog.bits);
    const unnamed = new Set<string>(young.unnamed);
    const names = this.#values.names('features', features);
    for (let i = 0; i < names.length; i++) {
      const name = names[i]!;
      const meaning = meaningOf(catalog, name, isOfCatalog, vendor);
      if (typeof meaning === 'number') setBit(has, meaning);
      else if (meaning === 'itself') unnamed.add(name);
    }
    const open = emptyRow(catalog.bits);
    const unnamedUnknown: string[] = [];
    for (const name of unknown === undefined || unknown === null
      ? []
      : this.#values.names('unknown', unknown)) {
      const f = isOfCatalog ? catalog.find(name) : undefined;
      if (f ? hasBit(has, f.id) : unnamed.has(name))
        this.#fail(
          `${f?.name ?? name} is both in "features" and in "unknown"; keep it in the one that holds`,
        );
      if (f) setBit(open, f.id);
      else if (!unnamedUnknown.includes(name)) unnamedUnknown.push(name);
    }
    const known = minus(
      catalog.rowWhere(() => true),
      open,
    );
    const speaksFor = {
      view,
      arch:
        this.#values.optional(arch, (value) => this.#values.word('arch', value, 'x86_64')) ??
        'x86_64',
      notes: this.#notes,
    };
    settleView(catalog, speaksFor, has, known);
    for (const name of this.#values.optional(absent, (value) =>
      this.#values.names('absent', value),
    ) ?? [])
      this.#lacks(name, { has, open, known });
    return {
      dialect: 'records',
      line: this.#line,
      host: this.#host(),
      ...speaksFor,
      vendor: this.#values.optional(vendor, (value) =>
        catalog.vendor(this.#values.word('vendor', value, 'GenuineIntel')),
      ),
      has,
      known,
      unnamed: [...unnamed].sort(byBytes),
      unnamedUnknown,
      limits: { physBits: this.#values.physBits(limits, isOfX86(arch)) },
      signature: this.#values.optional(signature, (value) => this.#values.signature(value)),
      microcode: this.#values.optional(microcode, (value) => this.#values.microcode(value)),
      xsave: this.#values.optional(xsave, (value) => this.#values.xsave(value)),
      models: this.#values.optional(models, (value) => this.#values.models(value)),
      ...(young.listedBy === null ? {} : { lister: young.listedBy }),
      ...(young.bits === null ? {} : { bits: young.bits }),
      ...(view === 'hypervisor' ? { listsUnmigratable: true as const } : {}),
      machine: young.machines,
      qemu: runs.qemu,
      libvirt: runs.libvirt,
      kernel: runs.kernel,
      tsc: this.#values.optional(tsc, (value) => this.#values.tsc(value)),
      ...this.#values.identity({ midr, registers, sve }),
      model: young.cpuModel === null ? null : { name: young.cpuModel, known: false },
      element: null,
      keys: this.#keys(young),
    };
  }

  /** What is said under keys that once were anybody's: null where it is not said in their way. */
  #young(isOfCatalog: boolean) {
    const { machines, listedBy, bits, unnamed, cpuModel, findings } = this.#record;
    const values = this.#values;
    return {
      machines: values.machine(machines),
      listedBy: LISTERS.find((lister) => lister === listedBy) ?? null,
      bits: values.bits(bits),
      unnamed: values.isListOfNames(unnamed) ? unnamed : null,
      // Of x86 the features tell all.
      cpuModel: !isOfCatalog && typeof cpuModel === 'string' ? cpuModel : null,
      findings: values.findings(findings),
    };
  }

  /** Says that guests are given by another hypervisor than KVM, where no finding does. */
  #noteHypervisor(): void {
    const { virttype } = this.#record;
    if (typeof virttype !== 'string' || virttype === KVM || !isOfKvm({ notes: this.#notes }))
      return;
    this.#notes.push(ofOtherHypervisor(virttype, 'its record is'));
  }

  #fail(what: string): never {
    const { host } = this.#record;
    const who = typeof host === 'string' && host !== '' ? `host ${quote(host)}: ` : '';
    throw new QueryError(`${this.#input}:${this.#line}: ${who}${what}`);
  }

  /** Takes in that a feature is not there, where leaving it out does not say so. */
  #lacks(name: string, { has, open, known }: { has: Row; open: Row; known: Row }): void {
    const f = this.#catalog.find(name);
    if (!f) return;
    const other = hasBit(has, f.id) ? 'features' : hasBit(open, f.id) ? 'unknown' : null;
    if (other !== null)
      this.#fail(`${f.name} is both in "${other}" and in "absent"; keep it in the one that holds`);
    setBit(known, f.id);
  }

  #host(): string | null {
    const { host } = this.#record;
    if (host === undefined || host === null) return null;
    const name = this.#values.name('host', host, 'db-07');
    const isVendor = this.#catalog.vendors.some((v) => v.id === name || v.name === name);
    if (!isVendor && !UUID.test(name)) return name;
    this.#notes.push({
      code: 'no-host-name',
      message: `"host" is ${isVendor ? 'a vendor' : 'a UUID'}, which names no host; its file does instead`,
    });
    return null;
  }

  #view(value: unknown): View {
    if (value === undefined || value === null) return 'hypervisor';
    const view = VIEWS.find((v) => v === value);
    return (
      view ??
      this.#fail(
        `"view" is ${typeof value === 'string' ? quote(value) : valueKind(value)}; it is one of ${VIEWS.join(', ')}`,
      )
    );
  }

  /** All keys that are anybody's, and those that would be if they were not called as the record's own. */
  #keys(young: JsonObject): Record<string, string | number | boolean> {
    const kept: [string, string | number | boolean][] = [];
    const { keys, ...record } = this.#record;
    const apart = isObject(keys) ? keys : { keys };
    const rest = Object.entries(record).filter(
      ([key]) => !RECORD_KEYS.has(key) || (key in young && young[key] === null),
    );
    for (const [key, value] of [...rest, ...Object.entries(apart)]) {
      if (
        typeof value === 'string' ||
        typeof value === 'boolean' ||
        (typeof value === 'number' && Number.isFinite(value))
      )
        kept.push([key, value]);
      else if (value !== null && value !== undefined)
        this.#values.ignored(key, 'only strings, numbers and booleans are kept');
    }
    return Object.fromEntries(kept);
  }
}
