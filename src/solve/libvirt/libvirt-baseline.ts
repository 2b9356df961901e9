// libvirt's rules: the CPU that a guest can have on every one of these hosts, and as one hypervisor would restrict it.
import { emptyRow, isEmpty, meet, meetInto, type Row } from '../../core/rows.ts';
import type { LibvirtMap } from '../../cpu/catalog/libvirt-map.ts';
import type { LibvirtCpu } from '../../cpu/cpu-element.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { ModelList } from '../../cpu/model-lists.ts';
import { driverOf, findDriver } from './driver.ts';
import type { Hypervisor } from './hypervisor.ts';
import { armBaseline } from './libvirt-arm.ts';
import { libvirtDecode } from './libvirt-decode.ts';
import { ppcBaseline } from './libvirt-ppc64.ts';
import {
  allBits,
  type CpuInput,
  guestStub,
  modelOf,
  setAllBits,
  unknownName,
} from './spelt-out.ts';

export interface LibvirtBaselineOptions {
  /** Drop features that libvirt marks as not migratable; those that a model includes stay. */
  readonly migratable?: boolean;
  /** Choose only among these models; all where null. */
  readonly models?: ModelList | null;
  /** The hypervisor that restricts models and features, where one is asked. */
  readonly hypervisor?: Pick<Hypervisor, 'arch' | 'models' | 'features' | 'migratable'> | null;
}

/**
 * The most capable CPU that libvirt gives to a guest of all these hosts.
 * @throws QueryError for whatever libvirt refuses: no CPUs, names that it does not know, vendors that differ.
 */
export function libvirtBaseline(
  map: LibvirtMap,
  inputs: readonly CpuInput[],
  options: LibvirtBaselineOptions = {},
): LibvirtCpu {
  const first = inputs[0];
  if (!first) throw new QueryError('no CPUs given: the inputs describe none');
  const nameless = inputs.find(({ cpu }) => cpu.model === null);
  if (nameless)
    throw new QueryError(`${nameless.where}: the CPU names no model, and libvirt needs one`);
  const { hypervisor = null } = options;
  const arch = hypervisor?.arch ?? first.cpu.arch ?? 'x86_64';
  // Where the first is called is asked only to say so: for that, all ids have to be found.
  const driver = findDriver(arch) ?? driverOf(first.where, arch);
  if (hypervisor && driver !== 'x86')
    throw new QueryError(
      `libvirt computes no baseline for a hypervisor of "${arch}", only for one of x86`,
    );
  if (driver === 'x86')
    return hypervisor
      ? onHypervisor(map, inputs, arch, hypervisor, options)
      : x86Baseline(map, inputs, arch, options);
  if (driver === 'ppc64') return ppcBaseline(map, inputs, arch);
  if (driver === 'arm') return armBaseline(inputs, arch);
  throw new QueryError(`${first.where}: libvirt computes no baseline for "${arch}"`);
}

interface Restriction {
  readonly migratable?: boolean;
  readonly models?: ModelList | null;
  readonly allowed?: Row | null;
}

function x86Baseline(
  map: LibvirtMap,
  inputs: readonly CpuInput[],
  arch: string,
  { migratable = false, models = null, allowed = null }: Restriction,
): LibvirtCpu {
  const each = distinct(inputs);
  let common = commonRow(map, inputs, each);
  const vendor = commonVendor(map, each);
  if (allowed) common = meet(common, map.narrow(allowed));
  if (isEmpty(common))
    throw new QueryError(
      `the ${inputs.length} CPUs are incompatible: no feature is common to all of them`,
    );
  const preferred = [...new Set(each.map(({ cpu }) => cpu.model!))];
  const where = inputs.length === 1 ? inputs[0]!.where : `the baseline of ${inputs.length} CPUs`;
  const found = libvirtDecode(
    map,
    where,
    guestStub(arch, 'allow'),
    { row: common, vendor, signature: null },
    { models, preferred, migratable },
  );
  return {
    ...found,
    fallback: preferred.length === 1 && found.model === preferred[0] ? 'forbid' : 'allow',
    vendor: each.every(({ cpu }) => cpu.vendor !== null) ? found.vendor : null,
  };
}

/** libvirt stops at the first name that it does not know; here each is named, with the first host that has it. */
function refuseUnknown(map: LibvirtMap, inputs: readonly CpuInput[]): never {
  const found = new Map<string, Unknown & { readonly first: CpuInput; count: number }>();
  for (const first of inputs)
    for (const unknown of unknownIn(map, first)) {
      const key = `${unknown.kind} ${unknown.name}`;
      const known = found.get(key);
      if (known) known.count++;
      else found.set(key, { ...unknown, first, count: 1 });
    }
  const problems = [...found.values()].map(({ kind, name, first: { where }, count }) =>
    unknownName(map, count === 1 ? where : `${where} and ${count - 1} more`, kind, name),
  );
  throw new QueryError(problems.join('\n'));
}

interface Unknown {
  readonly kind: 'model' | 'feature';
  readonly name: string;
}

const unknownIn = (map: LibvirtMap, { cpu }: CpuInput): Unknown[] => [
  ...(map.model(cpu.model!) ? [] : [{ kind: 'model' as const, name: cpu.model! }]),
  ...cpu.features
    .filter((f) => f.policy !== 'optional' && !map.feature(f.name))
    .map(({ name }) => ({ kind: 'feature' as const, name })),
];

/**
 * What all of them have, by one of each that are equal.
 * @throws QueryError with a line for each name that this libvirt does not know.
 */
function commonRow(map: LibvirtMap, inputs: readonly CpuInput[], each: readonly CpuInput[]): Row {
  try {
    const common = allBits(map, each[0]!);
    const row = emptyRow(map.bits);
    for (let i = 1; i < each.length; i++) {
      setAllBits(map, each[i]!, row);
      meetInto(common, row);
    }
    return common;
  } catch (error) {
    if (error instanceof QueryError) refuseUnknown(map, inputs);
    throw error;
  }
}

/** The first input, and of the others one for each CPU: what was read as another changes nothing. */
function distinct(inputs: readonly CpuInput[]): CpuInput[] {
  // Only the first is taken at its word about its vendor, so the same CPU further on says more.
  const seen = new Set<LibvirtCpu>();
  return inputs.filter(({ cpu }, i) => i === 0 || (!seen.has(cpu) && seen.add(cpu)));
}

/** The vendor of all: the first CPU is taken at its word, the others are held against their models. */
function commonVendor(map: LibvirtMap, inputs: readonly CpuInput[]): string | null {
  let vendor: string | null = null;
  let owner: CpuInput | null = null;
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i]!;
    const { cpu } = input;
    const ofModel = i === 0 ? null : modelOf(map, input).vendor;
    if (cpu.vendor !== null && ofModel !== null && cpu.vendor !== ofModel)
      throw new QueryError(
        `${input.where}: the vendor is "${cpu.vendor}", but model "${cpu.model}" is one of ${ofModel}'s`,
      );
    const own = cpu.vendor ?? ofModel;
    if (own === null) continue;
    if (owner === null) {
      if (!map.hasVendor(own))
        throw new QueryError(`${input.where}: ${map.stack} knows no CPU vendor "${own}"`);
      vendor = own;
      owner = input;
    } else if (own !== vendor)
      throw new QueryError(
        `${input.where}: its CPU is one of ${own}'s, that of ${owner.where} one of ${vendor}'s; a guest cannot have both`,
      );
  }
  return vendor;
}

function onHypervisor(
  map: LibvirtMap,
  inputs: readonly CpuInput[],
  arch: string,
  { models, features, migratable }: NonNullable<LibvirtBaselineOptions['hypervisor']>,
  options: LibvirtBaselineOptions,
): LibvirtCpu {
  if (models === null || models.size === 0)
    throw new QueryError(
      'the hypervisor lists no CPU models; give its domain capabilities or its answer to query-cpu-definitions',
    );
  const offered = options.models
    ? new Map([...models].filter(([name]) => options.models!.has(name)))
    : models;
  // Where QEMU says itself what may migrate, libvirt's own list of it is not asked.
  const saysMigratable = options.migratable === true && features !== null && migratable !== null;
  const found = x86Baseline(map, inputs, arch, {
    models: offered,
    allowed: saysMigratable ? migratable : features,
    migratable: options.migratable === true && !saysMigratable,
  });
  const limits = inputs.map(({ cpu }) => cpu.maxphysaddr?.limit ?? null);
  return {
    ...found,
    fallback: 'forbid',
    maxphysaddr: limits.every((limit) => limit !== null)
      ? { mode: 'passthrough', bits: null, limit: limits.reduce((a, b) => Math.min(a, b)) }
      : null,
  };
}
