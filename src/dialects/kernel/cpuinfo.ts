// /proc/cpuinfo: what the kernel says of the processors it runs on, on x86, arm64 and POWER. It knows fewer features
// than the processor has, hides some, and calls a few by names of its own.
import { emptyRow } from '../../core/rows.ts';
import { midrOf } from '../../cpu/arch/arm.ts';
import type { Catalog, Vendor } from '../../cpu/catalog/catalog.ts';
import { checkNames, type Description, type Signature } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import { type Processor, together } from '../../cpu/proven/processor.ts';
import { type Dialect, type Input, orSkip, type Skip } from '../dialect.ts';
import { kernelFlags } from '../proves.ts';
import { processorKey, untold } from '../words/blank-description.ts';
import { readFlags } from '../words/kernel-flags.ts';
import { hostsOf, type ProcessorBlock, readBlocks } from './cpuinfo-blocks.ts';
import { describePower, pvrOf } from './cpuinfo-power.ts';

export const cpuinfo: Dialect = {
  name: 'cpuinfo',
  recognises: (head) =>
    /^processor\s*:\s*\d/m.test(head) &&
    /^(?:vendor_id|flags|Features|CPU implementer|revision)\s*:/m.test(head),
  proves: [kernelFlags('/proc/cpuinfo')],
  read: (input, catalog, skip) => readCpuinfo(input, catalog, skip),
};

/** The hosts of an input that begins behind so many lines `before`. */
export function readCpuinfo(
  input: Input,
  catalog: Catalog,
  skip?: Skip,
  before = 0,
): Description[] {
  const problems: QueryError[] = [];
  const note: Skip = (problem) => problems.push(problem);
  const hosts: Description[] = [];
  for (const blocks of hostsOf(readBlocks(input, before)))
    hosts.push(...orSkip(note, () => describe(input, catalog, blocks)));
  // Only now, for a line that is none of /proc/cpuinfo speaks for the whole input.
  for (const problem of problems) {
    if (!skip) throw problem;
    skip(problem);
  }
  return hosts;
}

export function describe(
  input: Input,
  catalog: Catalog,
  blocks: readonly ProcessorBlock[],
): Description {
  const description = readBlocksOf(input, catalog, blocks);
  checkNames(`${input.name}:${blocks[0]!.line}`, description);
  return description;
}

function readBlocksOf(
  input: Input,
  catalog: Catalog,
  blocks: readonly ProcessorBlock[],
): Description {
  const first = blocks[0]!;
  const where = (block: ProcessorBlock) =>
    `${input.name}:${block.line}: processor ${block.fields.get('processor')}`;
  if (pvrOf(first) !== null) return describePower(catalog, blank(catalog, first), blocks, where);
  const flagsKey = blocks.some((b) => b.fields.has('flags')) ? 'flags' : 'Features';
  for (const block of blocks) {
    if (!block.fields.has(flagsKey))
      throw new QueryError(
        `${where(block)} has no flags line; the file is cut short, or it is not /proc/cpuinfo of an x86, arm64 or POWER host`,
      );
    const missing = [...first.fields.keys()].find((key) => !block.fields.has(key));
    if (block.cut === flagsKey || (block === blocks.at(-1) && missing !== undefined))
      throw new QueryError(
        `${where(block)} is cut short${missing === undefined ? ' within its flags' : `: it has no "${missing}" line, as processor ${first.fields.get('processor')} has`}`,
      );
  }
  if (flagsKey === 'Features') return describeArm(catalog, blocks, where(first));

  const vendors = new Set(blocks.map((b) => b.fields.get('vendor_id')));
  if (vendors.size > 1)
    throw new QueryError(
      `${where(first)} and its fellows are of several vendors (${[...vendors].join(', ')}); give each host a file of its own`,
    );
  // Most processors of a host print the same lines, and there may be hundreds.
  const read = new Map<string, Processor>();
  const processors = blocks.map((block) => {
    const key = [
      'flags',
      'vmx flags',
      'cpu family',
      'model',
      'stepping',
      'microcode',
      'address sizes',
    ]
      .map((k) => block.fields.get(k))
      .join('\n');
    const processor = read.get(key) ?? readProcessor(catalog, block.fields);
    read.set(key, processor);
    return processor;
  });
  const all = together(catalog, processors);
  return {
    ...blank(catalog, first, blocks),
    ...pick(all),
    arch: 'x86_64',
    limits: { physBits: all.physBits },
    notes: all.notes,
  };
}

const pick = ({ vendor, has, known, unnamed, signature, microcode }: Processor) => ({
  vendor,
  has,
  known,
  unnamed,
  signature,
  microcode,
});

const blank = (
  catalog: Catalog,
  { line, fields }: ProcessorBlock,
  blocks: readonly ProcessorBlock[] = [],
): Description => ({
  ...untold(catalog, 'cpuinfo', line),
  view: 'kernel',
  kernel: blocks.find((block) => block.kernel !== null)?.kernel ?? null,
  keys: processorKey(fields.get('model name')),
});

function readProcessor(catalog: Catalog, fields: ReadonlyMap<string, string>): Processor {
  const vendorId = fields.get('vendor_id');
  const vendor: Vendor | null = vendorId === undefined ? null : catalog.vendor(vendorId);
  const { has, known, unnamed } = readFlags(
    catalog,
    words(fields.get('flags')!),
    vendor,
    fields.has('vmx flags') ? words(fields.get('vmx flags')!) : undefined,
  );
  return {
    vendor,
    signature: signature(fields),
    microcode: /^0x[0-9a-f]+$/i.test(fields.get('microcode') ?? '')
      ? fields.get('microcode')!.toLowerCase()
      : null,
    physBits:
      Number(/^(\d+) bits physical/.exec(fields.get('address sizes') ?? '')?.[1] ?? 0) || null,
    xsave: null,
    has,
    known,
    unnamed,
  };
}

function signature(fields: ReadonlyMap<string, string>): Signature | null {
  const [family, model, stepping] = ['cpu family', 'model', 'stepping'].map((key) =>
    fields.get(key),
  );
  const isNumber = (text: string | undefined) => text !== undefined && /^\d+$/.test(text);
  return [family, model, stepping].every(isNumber)
    ? { family: Number(family), model: Number(model), stepping: Number(stepping) }
    : null;
}

/** Names as the kernel writes them, and the MIDR of every kind of core. */
function describeArm(
  catalog: Catalog,
  blocks: readonly ProcessorBlock[],
  where: string,
): Description {
  const architecture = blocks[0]!.fields.get('CPU architecture');
  if (!blocks[0]!.fields.has('CPU implementer'))
    throw new QueryError(
      `${where} is neither of x86 nor of arm64 nor of POWER; /proc/cpuinfo of these can be read`,
    );
  const has = emptyRow(catalog.bits);
  const known = catalog.rowWhere(() => true);
  const all = together(
    catalog,
    blocks.map(({ fields }) => ({
      vendor: null,
      signature: null,
      microcode: null,
      physBits: null,
      xsave: null,
      has,
      known,
      unnamed: words(fields.get('Features')!),
    })),
  );
  const arch =
    architecture === '8' || architecture === 'AArch64' ? 'aarch64' : `armv${architecture}l`;
  const midrs = blocks.map(({ fields }) => midrOf(fields));
  return {
    ...blank(catalog, blocks[0]!, blocks),
    ...pick(all),
    arch,
    ...(midrs.every((midr) => midr !== null) ? { midr: [...new Set(midrs)].sort(byBytes) } : {}),
    limits: { physBits: null },
    notes: all.notes,
  };
}

const words = (text: string): string[] => [
  ...new Set(text.split(/\s+/).filter((word) => word !== '')),
];
