// libvirt's cpu_map folder as libvirt loads it: what makes libvirt refuse the whole map is refused here.
import { minus, type Row, rowOf, setBit } from '../../core/rows.ts';
import type { BitPlace, Catalog, Register } from '../../cpu/catalog/catalog.ts';
import {
  LibvirtMap,
  type MapFeature,
  type MapModel,
  type Ppc64Parts,
} from '../../cpu/catalog/libvirt-map.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Input } from '../dialect.ts';
import { child, children } from '../libvirt/libvirt-element.ts';
import { readXml, type XmlElement } from '../text/xml.ts';
import { FeatureIds } from './learnt-catalog.ts';

/** Gives a file of the folder. */
export type ReadFile = (name: string) => Promise<Input>;

const REGISTERS: readonly Register[] = ['eax', 'ebx', 'ecx', 'edx'];

/**
 * Reads the folder through its index.
 * @throws QueryError for what makes libvirt refuse the whole map, naming file and line.
 */
export async function readLibvirtMap(
  catalog: Catalog,
  read: ReadFile,
  stack: string,
): Promise<LibvirtMap> {
  const index = await rootOf(await read('index.xml'));
  const x86 = new X86Loader(catalog);
  const ppc64 = new Ppc64Loader();
  for (const arch of children(index.root, 'arch')) {
    const loader =
      arch.attributes.name === 'x86' ? x86 : arch.attributes.name === 'ppc64' ? ppc64 : null;
    if (loader) await load({ ...index, root: arch }, read, loader);
  }
  if (x86.models.size === 0)
    throw new QueryError(
      `${index.file} lists no x86 CPU models; give the cpu_map folder of a libvirt, such as /usr/share/libvirt/cpu_map`,
    );
  return new LibvirtMap(stack, {
    ...x86.parts(),
    ppc64: { vendors: [...ppc64.vendors], models: [...ppc64.models.values()] },
  });
}

interface Part {
  readonly file: string;
  readonly root: XmlElement;
}

interface Loader {
  vendor(file: string, element: XmlElement): void;
  feature(file: string, element: XmlElement): void;
  model(file: string, element: XmlElement): void;
}

async function rootOf(input: Input): Promise<Part> {
  const roots: XmlElement[] = [];
  await readXml(input, (root) => roots.push(root));
  const [root] = roots;
  if (roots.length !== 1 || root!.name !== 'cpus')
    throw new QueryError(`${input.name} is no file of a cpu_map: its root is not <cpus>`);
  return { file: input.name, root: root! };
}

/** Vendors, then features, then models; what a file includes and groups comes after its own, in its order. */
async function load({ file, root }: Part, read: ReadFile, loader: Loader): Promise<void> {
  for (const vendor of children(root, 'vendor')) loader.vendor(file, vendor);
  for (const feature of children(root, 'feature')) loader.feature(file, feature);
  for (const model of children(root, 'model')) loader.model(file, model);
  for (const part of root.children) {
    if (part.name === 'group') await load({ file, root: part }, read, loader);
    else if (part.name === 'include')
      await load(await rootOf(await read(named(file, part, 'filename'))), read, loader);
  }
}

class X86Loader implements Loader {
  readonly vendors = new Map<string, string>();
  readonly features = new Map<string, MapFeature>();
  readonly models = new Map<string, MapModel>();
  readonly #ids: FeatureIds;
  /** Whether any model says how far its own list is to be trusted: older maps have no word for it. */
  #hasChecks = false;

  constructor(catalog: Catalog) {
    this.#ids = new FeatureIds(catalog);
  }

  vendor(file: string, element: XmlElement): void {
    const name = named(file, element, 'name');
    const letters = named(file, element, 'string');
    if (this.vendors.has(name)) fail(file, element, `vendor "${name}" is defined twice`);
    if (letters.length !== 12)
      fail(
        file,
        element,
        `vendor "${name}" has the string "${letters}", which is not 12 characters long`,
      );
    this.vendors.set(name, letters);
  }

  feature(file: string, element: XmlElement): void {
    const name = named(file, element, 'name');
    if (this.features.has(name)) fail(file, element, `feature "${name}" is defined twice`);
    const places = element.children.flatMap((c) =>
      c.name === 'cpuid' || c.name === 'msr' ? placesOf(file, c) : [],
    );
    if (places.length !== 1)
      fail(file, element, `feature "${name}" is ${places.length} bits, where one is expected`);
    this.features.set(
      name,
      this.#ids.identify(name, places[0]!, element.attributes.migratable !== 'no'),
    );
  }

  model(file: string, element: XmlElement): void {
    const name = named(file, element, 'name');
    if (this.models.has(name)) fail(file, element, `model "${name}" is defined twice`);
    const decode = child(element, 'decode');
    if (!decode)
      fail(
        file,
        element,
        `model "${name}" does not say whether it may be decoded to; <decode host= guest=/> is missing`,
      );
    const check = child(element, 'check');
    if (check && check.attributes.partial !== 'compat')
      fail(file, check, `model "${name}" has a <check> other than partial='compat'`);
    if (check) this.#hasChecks = true;
    const parent = this.#parent(file, name, element);
    const features = children(element, 'feature').map((f) => ({
      ...f,
      own: this.#known(file, f, named(file, f, 'name')),
    }));
    const listed = (mark: string) =>
      features.filter((f) => f.attributes[mark] === 'yes').map((f) => f.own.id);
    const vendor = child(element, 'vendor');
    const signatures = children(element, 'signature').map((s) => signatureOf(file, s));
    const row: Row = parent ? minus(parent.features, this.#row(parent.removed)) : this.#row([]);
    for (const { attributes, own } of features)
      if (attributes.added !== 'yes' && attributes.removed !== 'yes') setBit(row, own.id);
    this.models.set(name, {
      name,
      vendor: vendor ? this.#vendorName(file, vendor) : (parent?.vendor ?? null),
      signatures: signatures.length > 0 ? signatures : (parent?.signatures ?? []),
      decodeHost: onOff(file, decode, 'host'),
      decodeGuest: onOff(file, decode, 'guest'),
      compat: check !== undefined,
      canonical: null,
      features: row,
      added: listed('added'),
      removed: listed('removed'),
    });
    if (parent && !vendor && signatures.length === 0 && features.length === 0)
      this.#makeCanonical(file, element, parent, name);
  }

  parts() {
    const models = [...this.models.values()];
    return {
      bits: this.#ids.bits,
      vendors: [...this.vendors].map(([name, id]) => ({ name, id })),
      features: [...this.features.values()],
      // Before there were checks libvirt always held its own list against the host.
      models: this.#hasChecks ? models : models.map((m) => ({ ...m, compat: true })),
    };
  }

  #row = (ids: readonly number[]): Row => rowOf(this.#ids.bits, ids);

  #parent(file: string, name: string, element: XmlElement): MapModel | undefined {
    const of = child(element, 'model');
    if (!of) return undefined;
    const parent = this.models.get(named(file, of, 'name'));
    if (!parent)
      fail(
        file,
        of,
        `model "${name}" is like "${of.attributes.name}", which is not defined before it`,
      );
    return parent;
  }

  #makeCanonical(file: string, element: XmlElement, alias: MapModel, canonical: string): void {
    if (alias.canonical !== null)
      fail(
        file,
        element,
        `model "${alias.name}" has two canonical names, "${alias.canonical}" and "${canonical}"`,
      );
    this.models.set(alias.name, { ...alias, canonical });
  }

  #known(file: string, element: XmlElement, name: string): MapFeature {
    const feature = this.features.get(name);
    if (!feature) fail(file, element, `feature "${name}" is not defined before it is used`);
    return feature;
  }

  #vendorName(file: string, element: XmlElement): string {
    const name = named(file, element, 'name');
    if (!this.vendors.has(name))
      fail(file, element, `vendor "${name}" is not defined before it is used`);
    return name;
  }
}

class Ppc64Loader implements Loader {
  readonly vendors = new Set<string>();
  readonly models = new Map<string, Ppc64Parts['models'][number]>();

  vendor(file: string, element: XmlElement): void {
    this.vendors.add(named(file, element, 'name'));
  }

  feature(): void {}

  model(file: string, element: XmlElement): void {
    const vendor = child(element, 'vendor');
    const pvr = children(element, 'pvr').map((p) => ({
      value: word(file, p, 'value'),
      mask: word(file, p, 'mask'),
    }));
    const name = named(file, element, 'name');
    this.models.set(name, { name, vendor: vendor ? named(file, vendor, 'name') : null, pvr });
  }
}

function placesOf(file: string, element: XmlElement): BitPlace[] {
  return REGISTERS.flatMap((register) => {
    const bits = element.attributes[register] === undefined ? 0 : word(file, element, register);
    const set = Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => (bits >>> bit) & 1);
    return set.map(
      (bit): BitPlace =>
        element.name === 'msr'
          ? {
              kind: 'msr',
              msr: word(file, element, 'index'),
              bit: bit + (register === 'edx' ? 32 : 0),
            }
          : {
              kind: 'cpuid',
              leaf: word(file, element, 'eax_in'),
              subleaf: element.attributes.ecx_in ? word(file, element, 'ecx_in') : 0,
              register,
              bit,
            },
    );
  });
}

function signatureOf(file: string, element: XmlElement): MapModel['signatures'][number] {
  const { stepping } = element.attributes;
  const steppings = stepping?.split(',').flatMap((range) => {
    const [from, to = from] = range.split('-').map(Number);
    return Array.from({ length: to! - from! + 1 }, (_, i) => from! + i);
  });
  return {
    family: word(file, element, 'family'),
    model: word(file, element, 'model'),
    steppings: steppings ?? null,
  };
}

function onOff(file: string, element: XmlElement, attribute: string): boolean {
  const value = named(file, element, attribute);
  if (value !== 'on' && value !== 'off')
    fail(file, element, `${attribute} is "${value}", neither on nor off`);
  return value === 'on';
}

function word(file: string, element: XmlElement, attribute: string): number {
  const value = Number(named(file, element, attribute));
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff)
    fail(file, element, `${attribute} "${element.attributes[attribute]}" is no number of 32 bits`);
  return value;
}

function named(file: string, element: XmlElement, attribute: string): string {
  const value = element.attributes[attribute];
  if (!value) fail(file, element, `<${element.name}> has no ${attribute}`);
  return value;
}

function fail(file: string, { line }: XmlElement, message: string): never {
  throw new QueryError(`${file}:${line}: ${message}; libvirt refuses such a map`);
}
