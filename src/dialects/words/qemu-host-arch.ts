// What a QEMU of another architecture than x86 says of its host: properties that are true are features by their names.
import { modelWithout } from '../../cpu/arch/s390x.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description, Note } from '../../cpu/description.ts';
import { byBytes } from '../../cpu/order.ts';
import type { JsonObject } from '../text/json.ts';
import type { ListedModel, Offered } from './qemu-host.ts';

/** Names of QEMU's models end in what it calls its targets. */
const TARGETS: readonly (readonly [suffix: string, arch: string])[] = [
  ['-s390x-cpu', 's390x'],
  ['-arm-cpu', 'aarch64'],
  ['-powerpc64-cpu', 'ppc64'],
  ['-powerpc-cpu', 'ppc'],
  ['-riscv-cpu', 'riscv64'],
  ['-loongarch-cpu', 'loongarch64'],
];
/** How guests start and what KVM adds is no feature of a processor. */
const NO_FEATURE = /^(?:kvm-|x-|aarch64$|start-powered-off$|migratable$|pmu$)/;
/** What one property of an Arm CPU stands for in the kernel's words. */
const PAUTH = ['paca', 'pacg'];
const LENGTH = /^sve(\d+)$/;

/** The architecture of models by their types; null where these do not tell. */
export const archOfTypes = (types: readonly string[]): string | null =>
  TARGETS.find(([suffix]) => types.some((type) => type.endsWith(suffix)))?.[1] ?? null;

/** The features of an expansion, and of Arm the lengths of SVE vectors. */
export function namesOf(arch: string, props: JsonObject) {
  const isArm = arch === 'aarch64' || arch === 'arm';
  const told = Object.entries(props).filter(
    ([name, value]) => typeof value === 'boolean' && !NO_FEATURE.test(name),
  );
  const on = told.filter(([, value]) => value === true).map(([name]) => name);
  const off = told.filter(([, value]) => value === false).map(([name]) => name);
  const lengths = told.flatMap(([name]) => LENGTH.exec(name)?.[1] ?? []);
  if (!isArm) return { unnamed: on.sort(byBytes), off };
  const features = on.filter((name) => !LENGTH.test(name));
  return {
    unnamed: features.flatMap((name) => (name === 'pauth' ? PAUTH : name)).sort(byBytes),
    off: off.filter((name) => !LENGTH.test(name)),
    ...(lengths.length > 0
      ? {
          sve: lengths
            .filter((length) => props[`sve${length}`] === true)
            .map(Number)
            .sort((a, b) => a - b),
        }
      : {}),
  };
}

/** A host by its QEMU's expansions and models; `model` is what a static expansion is relative to. */
export function hostOfArch(
  catalog: Catalog,
  blank: Description,
  host: {
    readonly offers: readonly (Offered & { readonly model?: string })[];
    readonly models: readonly ListedModel[] | null;
    readonly isEmulating: boolean;
  },
): Description {
  const { arch } = blank;
  const { unnamed, off, ...more } = namesOf(
    arch,
    Object.assign({}, ...host.offers.map(({ props }) => props)),
  );
  const base = host.offers.find(({ model }) => model?.endsWith('-base'))?.model;
  const notes: Note[] = [...blank.notes];
  if (host.offers.length === 0)
    notes.push({
      code: 'no-expansion',
      message:
        'QEMU lists its models but not what it offers; query-cpu-model-expansion of host would tell',
    });
  if (host.isEmulating)
    notes.push({
      code: 'emulated',
      message: 'QEMU ran without KVM, so this is what its emulation offers and not the processor',
    });
  return {
    ...blank,
    ...more,
    view: 'hypervisor',
    known: catalog.rowWhere(() => true),
    unnamed,
    model: base === undefined ? null : { name: modelWithout(base, off), known: false },
    models:
      host.models === null
        ? null
        : new Map(host.models.map(({ name, blockers }) => [name, blockers])),
    notes,
  };
}
