// What libvirt's rules are asked with: CPUs in the order in which they stand, the map that decides, and a hypervisor.
import { hasBit, type Row, setBit } from '../../core/rows.ts';
import { type Catalog, loadCatalog } from '../../cpu/catalog/catalog.ts';
import { catalogMap, type LibvirtMap } from '../../cpu/catalog/libvirt-map.ts';
import { parseStack } from '../../cpu/catalog/software.ts';
import type { LibvirtCpu } from '../../cpu/cpu-element.ts';
import type { Description, View } from '../../cpu/description.ts';
import { problemOf, QueryError } from '../../cpu/errors.ts';
import type { ModelList } from '../../cpu/model-lists.ts';
import { type Dialect, HEAD, type Input } from '../../dialects/dialect.ts';
import { dialectByName, dialectNames, recogniseDialect } from '../../dialects/index.ts';
import { readLearnt } from '../../dialects/learnt/learnt-catalog.ts';
import { CpuReader, type PlacedCpu } from '../../dialects/libvirt/libvirt-element.ts';
import type { Skipped } from '../../fleet/fleet.ts';
import { hostIds } from '../../fleet/ids.ts';
import { skippedFor, type Unreadable } from '../../reading/problems.ts';
import {
  dataOfDescription,
  type Hypervisor,
  hypervisorOf,
} from '../../solve/libvirt/hypervisor.ts';
import { libvirtDecode } from '../../solve/libvirt/libvirt-decode.ts';
import { ppcDecode } from '../../solve/libvirt/libvirt-ppc64.ts';
import {
  allBits,
  type CpuData,
  type CpuInput,
  dataOfWords,
  hostStub,
} from '../../solve/libvirt/spelt-out.ts';
import { readOne } from '../input/inputs.ts';
import { type HostOptions, openAsked } from '../input/read-fleet.ts';
import type { Call, Io } from '../io.ts';

/** The libvirt that the rules are of, where no other is named. */
const LIBVIRT = '11.3';

export interface LibvirtOptions {
  readonly stack?: readonly string[];
  readonly catalog?: string;
  readonly hypervisor?: string;
  readonly models?: readonly string[];
}

/** What all of libvirt's questions share. */
export interface LibvirtRules {
  readonly catalog: Catalog;
  readonly map: LibvirtMap;
  readonly hypervisor: Hypervisor | null;
  /** The models to choose among, where they are named. */
  readonly models: ModelList | null;
}

/** One CPU as it was read. */
export interface RuleCpu extends CpuInput {
  readonly id: string;
  readonly view: View;
  readonly arch: string;
  /** One object for all that are the same but for where they stand; null where no other is known to be. */
  readonly shared: object | null;
  /** What its features amount to. */
  data(): CpuData;
  /** The features that it says anything about; null is all. */
  readonly known: Row | null;
  /** The models of its own hypervisor, where the document lists them. */
  readonly models: ModelList | null;
}

export async function libvirtRules({ io }: Call, options: LibvirtOptions): Promise<LibvirtRules> {
  const catalog = await loadCatalog();
  const map = await mapOf(catalog, io, options);
  const hypervisor =
    options.hypervisor === undefined
      ? null
      : await readHypervisor(catalog, map, io, options.hypervisor);
  const unknown = (options.models ?? []).find(
    (name) => !map.model(name) && !map.ppc64.models.some((m) => m.name === name),
  );
  if (unknown !== undefined)
    throw new QueryError(
      `--models "${unknown}" is no model of ${map.stack}; plimsoll models lists them`,
    );
  return {
    catalog,
    map,
    hypervisor,
    models: options.models ? new Map(options.models.map((name) => [name, []])) : null,
  };
}

async function mapOf(
  catalog: Catalog,
  io: Io,
  { stack, catalog: file }: LibvirtOptions,
): Promise<LibvirtMap> {
  if (file !== undefined) {
    if (stack !== undefined)
      throw new QueryError('--catalog and --stack both name a libvirt; give one of them');
    return readLearnt(catalog, await readOne(file, io));
  }
  if (stack === undefined) return catalogMap(catalog, LIBVIRT);
  const versions = parseStack(catalog, stack.join(','))
    .filter((s) => s.product === 'libvirt')
    .map((s) => s.version);
  if (versions.length !== 1)
    throw new QueryError(
      `--stack "${stack.join(',')}" names ${versions.length === 0 ? 'no libvirt' : `${versions.length} libvirts`}; libvirt's rules are those of one, such as libvirt@${LIBVIRT}`,
    );
  return catalogMap(catalog, versions[0]!);
}

async function readHypervisor(
  catalog: Catalog,
  map: LibvirtMap,
  io: Io,
  path: string,
): Promise<Hypervisor> {
  const input = await readOne(path, io);
  const described = await describe(catalog, input, dialectOf(input, undefined));
  if (described.length !== 1)
    throw new QueryError(
      `${path} describes ${described.length} CPUs; --hypervisor takes the domain capabilities or QMP replies of one host`,
    );
  return hypervisorOf(catalog, map, input.name, described[0]!);
}

/**
 * Every CPU of the inputs, in the order of the files' names and then of the documents: libvirt looks at the first.
 * @throws QueryError with one line a problem; with --skip-unreadable only when nothing is left.
 */
export async function readRuleCpus(
  rules: LibvirtRules,
  { io }: Call,
  paths: readonly string[],
  options: HostOptions,
): Promise<{ cpus: RuleCpu[]; skipped: Skipped[] }> {
  return ruleCpusOf(rules, openAsked(rules.catalog, paths, io, options), options);
}

/** The same of inputs that were opened. */
export async function ruleCpusOf(
  rules: LibvirtRules,
  opened: AsyncIterable<Input | Unreadable> | Iterable<Input | Unreadable>,
  options: HostOptions,
): Promise<{ cpus: RuleCpu[]; skipped: Skipped[] }> {
  const placed: Placed[] = [];
  const problems: Skipped[] = [];
  const reader = new CpuReader();
  for await (const input of opened) {
    try {
      if ('error' in input) throw input.error;
      for (const one of await read(rules.catalog, reader, input, options.from)) {
        const { host, line } = one;
        placed.push({ input: input.name, host, line, found: 'cpu' in one ? one.cpu : one });
      }
    } catch (error) {
      problems.push(skippedFor(input.name, problemOf(input.name, error)));
    }
  }
  reader.free();
  if (problems.length > 0 && !(options.skipUnreadable && placed.length > 0))
    throw new QueryError(problems.map((p) => p.reason).join('\n'));
  let ids: readonly string[] | undefined;
  const idOf = (i: number): string => {
    ids ??= hostIds(placed);
    return ids[i]!;
  };
  const cpus = placed.map((place, i) => ruleCpu(rules, i, idOf, place));
  return { cpus, skipped: problems };
}

/** What an input says of one CPU, and the line on which it does. */
interface Placed {
  readonly input: string;
  readonly host: string | null;
  readonly found: Description | LibvirtCpu;
  readonly line: number | null;
}

async function read(
  catalog: Catalog,
  reader: CpuReader,
  input: Input,
  from: string | undefined,
): Promise<readonly (PlacedCpu | Description)[]> {
  const dialect = dialectOf(input, from);
  // The elements alone are a tenth of the work of what they say about features, which libvirt's rules ask otherwise.
  if (dialect.name === 'libvirt' && !headOf(input).includes('<cpudata')) return reader.read(input);
  return describe(catalog, input, dialect);
}

async function describe(catalog: Catalog, input: Input, dialect: Dialect): Promise<Description[]> {
  return [...(await dialect.read!(input, catalog))];
}

const headOf = ({ bytes }: Input): string => new TextDecoder().decode(bytes.subarray(0, HEAD));

function dialectOf(input: Input, from: string | undefined): Dialect {
  if (input.bytes.length === 0)
    throw new QueryError(`${input.name} is empty; give a host description or leave the file out`);
  const dialect = from === undefined ? recogniseDialect(headOf(input)) : dialectByName(from);
  if (dialect?.read) return dialect;
  const known = dialectNames('read').join(', ');
  throw new QueryError(
    from === undefined
      ? `${input.name} is in no dialect that plimsoll recognises (${known}); if it is one of these, say so with --from`
      : `--from "${from}" is no dialect that can be read; choose one of ${known}`,
  );
}

function ruleCpu({ catalog, map }: LibvirtRules, i: number, idOf: IdOf, place: Placed): RuleCpu {
  const { input, found, line } = place;
  if (!('dialect' in found)) return new WrittenCpu(map, i, idOf, place, found, viewOf(found), null);
  if (found.element)
    return new WrittenCpu(map, i, idOf, place, found.element, found.view, found.models);
  const id = idOf(i);
  const where = whereOf(id, input, line);
  const { view, models, words, told, arch, pvr } = found;
  if (!X86.has(arch)) return otherCpu(map, { id, where, view, arch }, pvr);
  const data = words ? dataOfWords(map, words) : dataOfDescription(map, found);
  // Intel's CPUID hides SYSCALL from the 32-bit programs that took many dumps; libvirt is a 64-bit one.
  const syscall = catalog.feature('syscall').id;
  if (found.dialect === 'cpuid' && hasBit(found.has, syscall)) setBit(data.row, syscall);
  let cpu: LibvirtCpu | undefined;
  return {
    id,
    where,
    view,
    arch,
    shared: null,
    data: () => data,
    known: words ? null : found.known,
    models,
    // Decoded when it is asked for: what cannot be may yet be decoded as the other type.
    get cpu() {
      cpu ??= told
        ? hypervisorOf(catalog, map, where, found).hostModel!
        : libvirtDecode(map, where, hostStub(arch), data);
      return cpu;
    },
  };
}

/** Of other processors libvirt knows no features; one of POWER has a register that tells its name. */
const otherCpu = (
  map: LibvirtMap,
  own: Pick<RuleCpu, 'id' | 'where' | 'view' | 'arch'>,
  pvr: number | undefined,
): RuleCpu => ({
  ...own,
  shared: null,
  models: null,
  known: null,
  data: () => refuseData(own),
  get cpu() {
    return pvr === undefined ? refuseData(own) : ppcDecode(map, own.where, pvr);
  },
});

function refuseData({ where, arch }: Pick<RuleCpu, 'where' | 'arch'>): never {
  throw new QueryError(`${where}: libvirt decodes no features of ${arch}`);
}

/** The id of the CPU of a number: it is asked for where somebody is named, which is seldom. */
type IdOf = (i: number) => string;

const whereOf = (id: string, input: string, line: number | null): string =>
  `${id} (${input}${line === null ? '' : `:${line}`})`;

const viewOf = ({ type }: LibvirtCpu): View => (type === 'host' ? 'hardware' : 'guest');

const X86 = new Set(['x86_64', 'i686']);

/** A CPU that a document writes out. There may be a hundred thousand, so each is as little as can be. */
class WrittenCpu implements RuleCpu {
  readonly cpu: LibvirtCpu;
  readonly view: View;
  readonly models: ModelList | null;
  readonly #map: LibvirtMap;
  readonly #i: number;
  readonly #idOf: IdOf;
  readonly #place: Placed;

  constructor(
    map: LibvirtMap,
    i: number,
    idOf: IdOf,
    place: Placed,
    cpu: LibvirtCpu,
    view: View,
    models: ModelList | null,
  ) {
    this.cpu = cpu;
    this.view = view;
    this.models = models;
    this.#map = map;
    this.#i = i;
    this.#idOf = idOf;
    this.#place = place;
  }

  get id(): string {
    return this.#idOf(this.#i);
  }

  get where(): string {
    return whereOf(this.id, this.#place.input, this.#place.line);
  }

  get arch(): string {
    return this.cpu.arch ?? 'x86_64';
  }

  get shared(): LibvirtCpu {
    return this.cpu;
  }

  get known(): null {
    return null;
  }

  data(): CpuData {
    const { where, cpu } = this;
    if (!X86.has(this.arch)) refuseData(this);
    if (cpu.model === null)
      throw new QueryError(
        `${where}: its CPU names no model, so what it has is known only once the guest runs`,
      );
    const vendor = cpu.vendor ?? this.#map.model(cpu.model)?.vendor ?? null;
    return { row: allBits(this.#map, { where, cpu }), vendor, signature: cpu.signature };
  }
}

/** The same host, with another definition of its CPU. */
export const withCpu = (host: RuleCpu, cpu: LibvirtCpu): RuleCpu => ({
  id: host.id,
  where: host.where,
  view: host.view,
  arch: host.arch,
  shared: null,
  known: host.known,
  models: host.models,
  cpu,
  data: () => host.data(),
});
