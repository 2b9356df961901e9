// libvirt's cpu_map as the generator of the catalog reads it: x86, in the order in which libvirt loads it.
import { SaxesParser } from 'saxes';

export interface CpuMapModel {
  vendor: string | null;
  signatures: [family: number, model: number, steppings?: number[]][];
  /** host and guest, `on` or `off` each. */
  decode: string;
  parent: string | null;
  features: Set<string>;
  added: string[];
  removed: string[];
}

export interface CpuMap {
  readonly vendors: Set<string>;
  /** Features, and where they live, as catalog records write it. */
  readonly places: Map<string, string>;
  readonly models: Map<string, CpuMapModel>;
}

/** Reads the index and all that it includes; `read` gives the text of a file of the folder. */
export function readCpuMap(read: (file: string) => string): CpuMap {
  const map: CpuMap = { vendors: new Set(), places: new Map(), models: new Map() };
  const files: string[] = [];
  let arch = '';
  parse(read('index.xml'), (name, a) => {
    if (name === 'arch') arch = a.name!;
    else if (arch === 'x86' && name === 'include') files.push(a.filename!);
    else if (arch === 'x86' && name === 'vendor') map.vendors.add(a.name!);
  });
  for (const file of files) readFile(read(file), map);
  return map;
}

function readFile(text: string, { vendors, places, models }: CpuMap): void {
  let model: CpuMapModel | undefined;
  let feature = '';
  parse(text, (name, a, depth) => {
    if (depth === 1) {
      if (name === 'vendor') vendors.add(a.name!);
      else if (name === 'feature') feature = a.name!;
      else if (name === 'model') {
        model = emptyModel();
        models.set(a.name!, model);
      }
    } else if (name === 'cpuid' || name === 'msr') places.set(feature, place(name, a));
    else if (model) readChild(model, name, a, models);
  });
}

function readChild(
  model: CpuMapModel,
  name: string,
  a: Record<string, string>,
  models: ReadonlyMap<string, CpuMapModel>,
): void {
  if (name === 'model') {
    const parent = models.get(a.name!)!;
    model.parent = a.name!;
    model.vendor = parent.vendor;
    model.signatures = parent.signatures;
    model.features = new Set(parent.features);
  } else if (name === 'vendor') model.vendor = a.name!;
  else if (name === 'decode') model.decode = `${a.host} ${a.guest}`;
  else if (name === 'signature') {
    const inherited =
      model.parent !== null && model.signatures === models.get(model.parent)!.signatures;
    model.signatures = [...(inherited ? [] : model.signatures), signature(a)];
  } else if (name === 'feature') {
    if (a.added === 'yes') model.added.push(a.name!);
    else if (a.removed === 'yes') {
      model.removed.push(a.name!);
      model.features.delete(a.name!);
    } else model.features.add(a.name!);
  }
}

const emptyModel = (): CpuMapModel => ({
  vendor: null,
  signatures: [],
  decode: '',
  parent: null,
  features: new Set(),
  added: [],
  removed: [],
});

function signature({
  family,
  model,
  stepping,
}: Record<string, string>): CpuMapModel['signatures'][number] {
  if (!stepping) return [Number(family), Number(model)];
  const steppings = stepping.split(',').flatMap((range) => {
    const [from, to = from] = range.split('-').map(Number);
    return Array.from({ length: to! - from! + 1 }, (_, i) => from! + i);
  });
  return [Number(family), Number(model), steppings];
}

function place(kind: string, a: Record<string, string>): string {
  const hex = (text: string) => Number(text).toString(16);
  const register = ['eax', 'ebx', 'ecx', 'edx'].find((r) => Number(a[r] ?? 0) !== 0)!;
  const bit = Math.log2(Number(a[register]));
  return kind === 'cpuid'
    ? `cpuid.${hex(a.eax_in!)}.${hex(a.ecx_in ?? '0')}.${register}.${bit}`
    : `msr.${hex(a.index!)}.${bit + (register === 'edx' ? 32 : 0)}`;
}

function parse(
  text: string,
  open: (name: string, attributes: Record<string, string>, depth: number) => void,
): void {
  const parser = new SaxesParser();
  let depth = 0;
  parser.on('opentag', (tag) => open(tag.name, tag.attributes as Record<string, string>, depth++));
  parser.on('closetag', () => depth--);
  parser.write(text).close();
}
