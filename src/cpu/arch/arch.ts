// What differs between architectures: one record each. Beside x86 a feature is a name that its documents use, so there is
// no row of the catalog to hold it, and none of x86's rules is about it.
import { type LibvirtCpu, UNSAID } from '../cpu-element.ts';
import { parseCpuString, switchOf } from '../cpu-string.ts';
import type { Definition } from '../definition.ts';
import type { Product } from '../feature.ts';
import type { Note } from '../processor-facts.ts';

/** What tells CPUs of one architecture apart beside their features; null is what nobody told. */
export interface Identity {
  /** The model by its maker's or its hypervisor's name. */
  readonly model: string | null;
  /** Arm's main ID register of every kind of core, ascending: a guest keeps the one that it started with. */
  readonly midr: readonly string[] | null;
  /** Arm's ID registers by name. */
  readonly registers: Readonly<Record<string, string>> | null;
  /** Lengths of SVE vectors in bits, ascending. */
  readonly sve: readonly number[] | null;
}

/** A processor of which nothing but its features is told. */
export const UNTOLD: Identity = { model: null, midr: null, registers: null, sve: null };

/** Features by name: those that are there, and those of which that is not known. Whatever is in neither is absent. */
export interface ArchNames {
  readonly unnamed: readonly string[];
  readonly unnamedUnknown: readonly string[];
}

/** Of a description of a host what an architecture looks at. */
interface Told extends ArchNames {
  readonly view: string;
  readonly model: { readonly name: string } | null;
  readonly midr?: Identity['midr'];
}

/** What a guest's definition asks of its host. */
export interface Asks {
  readonly unnamed: readonly string[];
  /** The model that its host must be, too; null where any will do. */
  readonly model: string | null;
  /** Why what it gets is settled elsewhere; null where it is settled. */
  readonly note: Note | null;
}

/** Hosts that are to have one CPU in common. */
export interface Kin {
  /** Whether they are hosts, and not guests, which have no CPU to hand on. */
  readonly isHosts: boolean;
  /** Their model, where they have one; of s390x with what its hosts switch off of it. */
  readonly model: string | null;
  /** Features that some of them have, or may have, beside those that all have. */
  readonly beyond: readonly string[];
  /** Those of them that another is known to lack. */
  readonly lost: readonly string[];
  /** Why they are not known to be one CPU but for their features; null where they are. */
  readonly apart: string | null;
}

interface ModelDifference {
  readonly is: 'no' | 'unknown';
  readonly message: string;
}

export interface Arch {
  /** By which hosts are told apart: ppc64 for ppc64le, too. */
  readonly name: string;
  /** Whether the project's catalog of features, models and rules is about it. */
  readonly isX86: boolean;
  /** Whether a CPU is its MIDR, too. */
  readonly hasMidr: boolean;
  /** What names of features are relative to, so that hosts of two models have no CPU in common. */
  readonly splitsByModel: boolean;
  /** Why a CPU of one model does not run on a host of another, or why that is not known; null where it does. */
  modelDiffers(own: string, host: string): ModelDifference | null;
  /** The name of the model that a host is, as this architecture's software writes it. */
  modelOf(d: Pick<Told, 'model' | 'midr'>): string | null;
  /** What guests can be given on a host. */
  offer(d: Told): ArchNames;
  /** What a definition asks for under KVM; of emulation, which has what it has on every host, nothing is asked. */
  asks(cpu: LibvirtCpu): Asks;
  /** The oldest release of a product that can be asked for a feature, where that is not every one. */
  since(feature: string): { readonly [P in Product]?: string };
  /** A definition that gives exactly these features on each of these hosts; null where there is none. */
  define(product: Product, features: readonly string[], kin: Kin): Definition | null;
  /** All that a definition gives, of what these hosts have in common. */
  gives(definition: Definition, features: readonly string[]): readonly string[];
  /** What a person must know of its definitions. */
  readonly remark: string | null;
  /** The definition as QEMU's arguments, and as libvirt's element. */
  toQemu(definition: Definition): string;
  toLibvirt(definition: Definition): Partial<LibvirtCpu>;
}

/** The CPU of the host itself, under the names that products have for it. */
export const OWN_NAMES = { qemu: 'host', libvirt: 'host-passthrough' } as const;

/** Why a definition has the CPU of its host; null where it has one of its own. */
export const ownNote = ({ mode, model }: LibvirtCpu): Note | null =>
  mode === 'custom' || (mode === 'host-model' && model !== null)
    ? null
    : {
        code: 'host-cpu',
        message: `its CPU is ${mode}, which only the host that runs it settles, and it moves to equals alone`,
      };

/** A definition that names nothing has whatever its QEMU gives it. */
export const unsettledNote: Note = {
  code: 'default-cpu',
  message: 'it names no CPU, and which one its QEMU gives it then is not in the catalog',
};

/** What a definition asks of its host under an accelerator. */
export function asksOf(arch: Arch, cpu: LibvirtCpu, accelerator: 'kvm' | 'tcg'): Asks {
  if (accelerator === 'kvm') return arch.asks(cpu);
  const isOwn = cpu.mode === 'host-passthrough';
  return {
    unnamed: [],
    model: null,
    note: isOwn
      ? { code: 'refused', message: 'host-passthrough needs KVM: no emulated guest starts with it' }
      : null,
  };
}

/** QEMU's argument in libvirt's words: the host's CPU, a mode of POWER, or a model with what is switched on. */
export function elementOfArgument(cpu: string, compat?: string): LibvirtCpu {
  const { model, items } = parseCpuString(cpu);
  const features = items.flatMap((item) => {
    const isOn = switchOf(item);
    if (isOn === null) return [];
    return [{ name: item.name, policy: isOn ? ('require' as const) : ('disable' as const) }];
  });
  const said = { ...UNSAID, features };
  if (model !== 'host') return { ...said, model };
  return compat === undefined
    ? { ...said, mode: 'host-passthrough' }
    : { ...said, mode: 'host-model', model: compat };
}

/** What a definition asks for by name. */
export const requiredOf = (cpu: LibvirtCpu): string[] =>
  cpu.features
    .filter((f) => f.policy === null || f.policy === 'require' || f.policy === 'force')
    .map((f) => f.name);

/** Whatever is not known of an architecture: features by name, and the CPU of the host. */
export const plain = (name: string): Arch => ({
  name,
  isX86: false,
  hasMidr: false,
  splitsByModel: true,
  modelDiffers: (own, host) =>
    own.toLowerCase() === host.toLowerCase()
      ? null
      : {
          is: 'no',
          message: `it is ${own}, the host ${host}, and a guest of one model runs on hosts of that model alone`,
        },
  modelOf: ({ model }) => model?.name ?? null,
  offer: ({ unnamed, unnamedUnknown }) => ({ unnamed, unnamedUnknown }),
  asks: (cpu) => ({
    unnamed: requiredOf(cpu),
    model: cpu.mode === 'custom' ? cpu.model : null,
    note: ownNote(cpu) ?? (cpu.model === null ? unsettledNote : null),
  }),
  since: () => ({}),
  define: (product, _, { isHosts, beyond, apart }) =>
    isHosts && apart === null && beyond.length === 0
      ? { name: OWN_NAMES[product], require: [], disable: [] }
      : null,
  gives: (_, features) => features,
  remark:
    'the CPU is that of the host itself: a guest that has it moves to hosts alone whose kernel and firmware are alike, too',
  toQemu: ({ name, require, disable }) =>
    `-cpu ${[name, ...require.map((f) => `${f}=on`), ...disable.map((f) => `${f}=off`)].join(',')}`,
  toLibvirt: ({ name, disable }) =>
    name === OWN_NAMES.libvirt
      ? {
          mode: name,
          check: 'none',
          features: disable.map((feature) => ({ name: feature, policy: 'disable' })),
        }
      : { mode: 'custom', model: name },
});
