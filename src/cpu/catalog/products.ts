// The CPUs of products that stand on QEMU and libvirt: names that they take, and levels that they sell.
import data from '../data/products.ts';
import { compareVersions } from '../order.ts';
import { own } from '../own.ts';
import type { Catalog, Feature, Register, Vendor } from './catalog.ts';

const words = (text: string): string[] => text.split(' ');

/** Compares versions of qemu-server, such as 7.4-7 and 8.0.10, part by part. */
export function compareServers(a: string, b: string): number {
  const [x, y] = [a, b].map((version) => version.split(/[.-]/).map(Number));
  for (let i = 0; i < Math.max(x!.length, y!.length); i++) {
    const order = (x![i] ?? 0) - (y![i] ?? 0);
    if (order !== 0) return order;
  }
  return 0;
}

/** The qemu-server of a node with this QEMU; the newest that is known where its QEMU is not. */
export function proxmoxServer(qemu: string | null, which: 'oldest' | 'newest'): string {
  const servers = Object.entries(data.proxmox.servers).sort(([a], [b]) => compareVersions(a, b));
  const found = servers.findLast(([since]) => qemu === null || compareVersions(since, qemu) <= 0)!;
  const [oldest, newest] = words(found[1]);
  return which === 'oldest' ? oldest! : newest!;
}

/** The CPU types of x86 that a qemu-server takes, beside host, max and the x86-64 levels. */
const modelsOf = (server: string): string[] =>
  Object.entries(data.proxmox.models)
    .filter(([since]) => compareServers(since, server) <= 0)
    .flatMap(([, names]) => words(names));

/** Model names that Proxmox VE takes for reported-model: of any release, or of the oldest that stands on this QEMU. */
export const proxmoxModels = (qemu?: string): readonly string[] =>
  modelsOf(proxmoxServer(qemu ?? null, qemu === undefined ? 'newest' : 'oldest'));

/** What Proxmox VE knows a CPU type for: its architecture, and the vendor that it writes beside it; null for none. */
export interface ProxmoxType {
  readonly arch: 'x86_64' | 'aarch64';
  readonly vendor: 'GenuineIntel' | 'AuthenticAMD' | null;
  readonly is32Bit: boolean;
}

const VENDORLESS: ReadonlySet<string> = new Set(words(data.proxmox.vendorless));
const BITS_32: ReadonlySet<string> = new Set(words(data.proxmox.bits32));
const OF_ARM: ReadonlySet<string> = new Set(words(data.proxmox.armModels));
const OF_AMD = new RegExp(data.proxmox.amd);
const ARM_SINCE = '9.1.5';

/** A model that this qemu-server takes as a type; undefined for any other name, x86-64 levels among them. */
export function proxmoxType(name: string, server: string): ProxmoxType | undefined {
  if (OF_ARM.has(name))
    return compareServers(ARM_SINCE, server) <= 0
      ? { arch: 'aarch64', vendor: null, is32Bit: false }
      : undefined;
  if (!VENDORLESS.has(name) && !modelsOf(server).includes(name)) return undefined;
  const vendor = OF_AMD.test(name) ? 'AuthenticAMD' : 'GenuineIntel';
  return {
    arch: 'x86_64',
    vendor: VENDORLESS.has(name) ? null : vendor,
    is32Bit: BITS_32.has(name),
  };
}

/** Flags that the line of a VM may name. */
export const proxmoxVmFlags: ReadonlySet<string> = new Set(words(data.proxmox.vmFlags));

/** The highest +pveN of a machine type's version. */
export const proxmoxRevision = (version: string): number => data.proxmox.revisions[version] ?? 0;

/** The features that Proxmox VE itself switches on or off beside a model. */
export function proxmoxAutomatic(model: string): { readonly on: string[]; readonly off: string[] } {
  const own = Object.entries(data.proxmox.automatic)
    .filter(([names]) => new RegExp(names).test(model))
    .map(([, word]) => word);
  const of = (sign: string) => own.filter((w) => w.startsWith(sign)).map((w) => w.slice(1));
  return { on: of('+'), off: of('-') };
}

/** Models that KubeVirt labels no host with, so that no guest which asks for one is ever scheduled. */
export const kubevirtObsolete: ReadonlySet<string> = new Set(words(data.kubevirt.obsolete));

/** The physical address bits of the processors that a model without its version is named for; null where they differ. */
export function generationPhysBits(base: string): number | null {
  const found = Object.entries(data.generations).find(([, names]) => words(names).includes(base));
  return found ? Number(found[0]) : null;
}

const HOST_PHYS_BITS = new RegExp(data.hostPhysBits);

/** Whether a machine type gives guests the address bits of their host, whatever their definition says of a number. */
export const hasHostPhysBits = (machine: string): boolean => HOST_PHYS_BITS.test(machine);

/** What Proxmox VE switches on over qemu64 for a CPU type that it defines itself; undefined for any other name. */
export function proxmoxBuiltin(name: string): readonly string[] | undefined {
  const flags = own(data.proxmox.builtin as Record<string, string>, name);
  return flags === undefined ? undefined : words(flags);
}

/** The x86-64 levels of the psABI, lowest first, each with all of its features. */
export const psabiLevels: readonly {
  readonly name: string;
  readonly features: readonly string[];
}[] = Object.keys(data.levels).map((name, i, all) => ({
  name,
  features: all
    .slice(0, i + 1)
    .flatMap((level) => words((data.levels as Record<string, string>)[level]!)),
}));

/** The QEMU model that stands for a level of VMware's EVC, by its key. */
export const evcModel = (key: string): string | undefined => own(data.evc, key);

export const evcLevels: readonly string[] = Object.keys(data.evc);

/** The guest's CPU of a cluster CPU type of oVirt, as its ServerCPUList writes it. */
export const ovirtType = (name: string): string | undefined => own(data.ovirt, name);

/** Hyper-V's minimum feature set: a QEMU model, and what is off beside it. */
export const hypervMinimum = { model: data.hyperv.model, without: words(data.hyperv.without) };

/** What a name of old is called today, and why it is not what it was. */
export function renamedTo(name: string): { readonly name: string; readonly why: string } | null {
  const found = own(data.renamed, name);
  return found ? { name: found[0]!, why: found[1]! } : null;
}

/** A name of Node Feature Discovery: a feature, or `other` for what no guest is given by name. */
export function findNfd(
  catalog: Catalog,
  name: string,
  vendor: Vendor | null,
): Feature | 'other' | undefined {
  const byVendor = own(data.nfd.byVendor, name);
  if (byVendor) {
    const feature = vendor === null ? undefined : own(byVendor, vendor);
    return feature === undefined ? 'other' : catalog.feature(feature);
  }
  const feature = own(data.nfd.names, name);
  if (feature !== undefined) return catalog.feature(feature);
  if (words(data.nfd.other).includes(name)) return 'other';
  return squeezed(catalog).get(squeeze(name));
}

/** Names that Node Feature Discovery keeps to itself unless it is told otherwise. */
export const nfdHidden: ReadonlySet<string> = new Set(words(data.nfd.hidden));

/** Names that its default configuration publishes in every version: not there, absent. */
export const nfdSteady: readonly string[] = words(data.nfd.steady);

const squeeze = (name: string): string => name.toLowerCase().replace(/[-_.]/g, '');
const squeezedNames = new WeakMap<Catalog, Map<string, Feature>>();

function squeezed(catalog: Catalog): Map<string, Feature> {
  const map =
    squeezedNames.get(catalog) ?? new Map(catalog.features.map((f) => [squeeze(f.name), f]));
  squeezedNames.set(catalog, map);
  return map;
}

/** One word of a Xen featureset. */
export type XenWord =
  | {
      readonly kind: 'cpuid';
      readonly leaf: number;
      readonly subleaf: number;
      readonly register: Register;
    }
  | { readonly kind: 'msr'; readonly msr: number; readonly half: 'lo' | 'hi' };

export const xenWords: readonly XenWord[] = data.xen.map((text): XenWord => {
  const parts = text.split('.');
  if (parts.length === 2)
    return { kind: 'msr', msr: Number.parseInt(parts[0]!, 16), half: parts[1] as 'lo' | 'hi' };
  return {
    kind: 'cpuid',
    leaf: Number.parseInt(parts[0]!, 16),
    subleaf: Number.parseInt(parts[1]!, 16),
    register: parts[2] as Register,
  };
});
