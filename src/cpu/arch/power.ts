// POWER: a processor runs in its own mode and in every older one, and guests move between hosts that have a mode in
// common. So its features are the modes that it has: each one with all before it.
import { type Arch, OWN_NAMES, ownNote, plain, unsettledNote } from './arch.ts';

const OLDEST = 6;
const NEWEST = 11;

/** `POWER9`, `Power11`, `power9`: whatever the case, which the kernel changed. */
const NAME = /^power(\d+)(?:_v[\d.]+|\+\S*)?$/i;

/** How the kernel calls a mode, in the case of all but the newest; null for what is no POWER processor with modes. */
export function powerName(text: string): string | null {
  const generation = NAME.exec(text)?.[1];
  return generation === undefined ? null : `POWER${generation}`;
}

function modesOf(model: string): string[] {
  const generation = Number(NAME.exec(model)?.[1] ?? 0);
  const last = Math.min(generation, NEWEST);
  return Array.from({ length: Math.max(0, last - OLDEST + 1) }, (_, i) => `power${OLDEST + i}`);
}

const all = modesOf(`power${NEWEST}`);

export const power: Arch = {
  ...plain('ppc64'),
  splitsByModel: false,
  offer: ({ model, unnamed }) =>
    model === null
      ? { unnamed, unnamedUnknown: all.filter((mode) => !unnamed.includes(mode)) }
      : { unnamed: [...new Set([...unnamed, ...modesOf(model.name)])], unnamedUnknown: [] },
  asks: (cpu) => {
    const isMode = cpu.mode === 'host-model' && cpu.model !== null;
    const modes = isMode ? modesOf(cpu.model!) : [];
    return {
      unnamed: isMode && modes.length === 0 ? [cpu.model!] : modes,
      model: cpu.mode === 'custom' ? cpu.model : null,
      note: ownNote(cpu) ?? (cpu.model === null ? unsettledNote : null),
    };
  },
  since: (mode) => (mode === 'power11' ? { qemu: '10.0', libvirt: '12.8' } : {}),
  define: (_, features) => {
    const name = all.findLast((mode) => features.includes(mode));
    return name === undefined ? null : { name, require: [], disable: [] };
  },
  gives: ({ name }) => modesOf(name),
  remark:
    'the mode is a ceiling, below which the guest itself settles what it runs in; and what -machine cap-* asks for must be there on every host, too, which no description tells',
  toQemu: ({ name }) => `-machine pseries,max-cpu-compat=${name} -cpu ${OWN_NAMES.qemu}`,
  toLibvirt: ({ name }) => ({ mode: 'host-model', model: name }),
};
