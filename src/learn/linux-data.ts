// The words of /proc/cpuinfo: since which kernel each is printed. curated.json has the spellings that the project
// reads, and the facts have what sixteen kernels print; each word of the facts must be among them.
import type { Facts, Json } from './facts.ts';

/** Every kernel that was read prints it. */
const EVER = '\u22644.19';

/** Of features whose word came after the oldest kernel: the first kernel whose silence tells. */
export function linuxAbsence(facts: Facts): [name: string, since: string][] {
  const { features } = facts.linuxWords;
  const line = facts.linuxWords.sources.find((s: Json) => s.version.startsWith('5.10')).version;
  return Object.entries<Json>(features).flatMap(([name, f]): [string, string][] => {
    // The kernel hides these words for reasons of its own, whatever its age.
    if (Object.hasOwn(facts.curated.linuxHidden.features, name)) return [];
    if (f.word === null || f.since === EVER) return [];
    // Where the line of the VMX words is there, the kernel is no older than the line.
    if (f.line && line.startsWith(f.since)) return [];
    return [[name, `${f.since}${f.el8 ? ' el8' : ''}`]];
  });
}

/** What else is told of the kernel's words. */
export function learnLinux(facts: Facts): Json {
  checkSpellings(facts);
  const { sources, features } = facts.linuxWords;
  const { linuxSilent, linuxImplies } = facts.curated;
  const el8 = sources.find((s: Json) => s.version.endsWith('.el8')).version;
  return {
    linuxKernels: { oldest: EVER.slice(1), el8 },
    linuxFlagsVmx: Object.fromEntries(
      Object.entries<Json>(features).flatMap(([name, f]) => (f.flags ? [[f.flags, name]] : [])),
    ),
    linuxSilent: linuxSilent.features,
    linuxImplies: linuxImplies.words,
  };
}

/** Two words together, or one that stands for several bits: dialects/words/kernel-flags.ts takes them apart. */
const DERIVED = new Set(['spec-ctrl', 'invtsc', 'amd-ssbd']);

function checkSpellings({ linuxWords, curated }: Facts): void {
  const { linux, linuxHidden, linuxVendor, linuxVmx } = curated;
  for (const [name, f] of Object.entries<Json>(linuxWords.features)) {
    if (f.word === null || DERIVED.has(name)) continue;
    const known = f.line
      ? linuxVmx[f.word] === name
      : f.vendor
        ? f.vendor.split(' ').every((v: string) => linuxVendor.spellings[f.word]?.[v] === name)
        : [...(linux[name] ?? []), ...(linuxHidden.features[name] ?? [])].includes(f.word);
    if (!known)
      throw new Error(`curated.json does not have the kernel's word ${f.word} of ${name}`);
  }
}
