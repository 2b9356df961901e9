// Arm: there is no model but the host's, and a CPU is its MIDR. KVM lets no guest start with another one, and what its
// kernel prints of an Armv8 processor is the same on a Cortex-A76 and a Neoverse-N1.
import parts from '../data/arm.ts';
import { own } from '../own.ts';
import type { Note } from '../processor-facts.ts';
import { type Arch, OWN_NAMES, plain, requiredOf } from './arch.ts';

/** Words that Linux prints only where it is built for them, or hides for an erratum: their absence proves nothing. */
const HIDDEN = [
  ...['bti', 'gcs', 'paca', 'pacg', 'poe', 'ssbs'],
  ...['mte', 'mte3', 'mtefar', 'mtestoreonly'],
];
const SVE =
  'sve sve2 sve2p1 sve2p2 sve2p3 sveaes sveaes2 sveb16b16 sveb16mm svebf16 svebfscale svebitperm sveebf16 sveeltperm svef16mm svef32mm svef64mm svei8mm svelut6 svepmull svesha3 svesm4'.split(
    ' ',
  );
const SME =
  'sme sme2 sme2p1 sme2p2 sme2p3 smeaes smeb16b16 smeb16f32 smebi32i32 smef16f16 smef16f32 smef32f32 smef64f64 smef8f16 smef8f32 smefa64 smei16i32 smei16i64 smei8i32 smelut6 smelutv2 smesbitperm smesf8dp2 smesf8dp4 smesf8fma smesfexpa smesmop4 smestmop'.split(
    ' ',
  );

/** Switches of QEMU's host CPU, and what goes with each. */
const SWITCHES: Readonly<Record<string, ReadonlySet<string>>> = {
  pauth: new Set(['paca', 'pacg']),
  sve: new Set(SVE),
};

/** The models that KVM starts guests with by name, on hosts that are just that. */
const NAMED: ReadonlySet<string> = new Set(['cortex-a53', 'cortex-a57']);
const notNamed = (model: string): Note => ({
  code: 'refused',
  message: `KVM on Arm gives guests the CPU of their host and starts none with the model ${model}`,
});

/** What a switch of a definition needs of the host. */
const needOf = (name: string): string =>
  name === 'pauth' ? 'paca' : /^sve\d+$/.test(name) ? 'sve' : name;

export const arm = (name: string): Arch => {
  const base = plain(name);
  return {
    ...base,
    hasMidr: true,
    modelOf: (d) => (d.midr ? d.midr.map(partOf).join(' + ') : base.modelOf(d)),
    offer: ({ view, unnamed, unnamedUnknown }) => {
      if (view !== 'kernel') return { unnamed, unnamedUnknown };
      const open = [
        ...HIDDEN,
        ...(unnamed.includes('sve') ? [] : SVE),
        ...(unnamed.includes('sme') ? [] : SME),
      ];
      return {
        unnamed,
        unnamedUnknown: [...new Set([...unnamedUnknown, ...open])].filter(
          (f) => !unnamed.includes(f),
        ),
      };
    },
    asks: (cpu) => {
      const asked = base.asks(cpu);
      const { model } = asked;
      return {
        ...asked,
        unnamed: [...new Set(requiredOf(cpu).map(needOf))],
        note: model !== null && !NAMED.has(model.toLowerCase()) ? notNamed(model) : asked.note,
      };
    },
    define: (product, features, { isHosts, beyond, lost, apart }) => {
      const off = Object.entries(SWITCHES).filter(([, of]) => beyond.some((f) => of.has(f)));
      const isOff = (f: string) => off.some(([, of]) => of.has(f));
      // A word that a kernel hides is there for guests all the same.
      const left = beyond.filter((f) => !isOff(f) && (lost.includes(f) || !HIDDEN.includes(f)));
      if (!isHosts || apart !== null || left.length > 0 || features.some(isOff)) return null;
      return {
        name: OWN_NAMES[product],
        require: [],
        disable: off.map(([feature]) => feature),
      };
    },
  };
};

/** What a processor of this MIDR is called: `Neoverse-N1`, or its numbers where nobody has a name for it. */
function partOf(midr: string): string {
  const value = Number(midr);
  const hex = (n: number, digits: number) => `0x${n.toString(16).padStart(digits, '0')}`;
  const implementer = hex(Math.floor(value / 2 ** 24) & 0xff, 2);
  const part = hex((value >>> 4) & 0xfff, 3);
  const maker = own(parts, implementer);
  const called = maker && own(maker.parts, part);
  return called ?? `${maker?.name ?? implementer} part ${part}`;
}

/** `Neoverse-N1 r3p1 (MIDR 0x413fd0c1)`. */
export function midrText(midr: string): string {
  const value = Number(midr);
  return `${partOf(midr)} r${(value >>> 20) & 0xf}p${value & 0xf} (MIDR ${midr})`;
}

/** The MIDR of what /proc/cpuinfo prints in five lines; null where one is missing. */
export function midrOf(fields: ReadonlyMap<string, string>): string | null {
  const [implementer, variant, part, revision] = [
    'CPU implementer',
    'CPU variant',
    'CPU part',
    'CPU revision',
  ].map((key) => {
    const text = fields.get(key) ?? '';
    return /^(?:0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : null;
  });
  if (implementer == null || variant == null || part == null || revision == null) return null;
  const value =
    implementer * 2 ** 24 +
    ((variant & 0xf) << 20) +
    0xf0000 +
    ((part & 0xfff) << 4) +
    (revision & 0xf);
  return `0x${value.toString(16).padStart(8, '0')}`;
}
