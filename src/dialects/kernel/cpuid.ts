// Dumps of CPUID: the raw text of the cpuid program, and the "CPUID leaf: eax-ebx-ecx-edx" text of AIDA64 and
// InstLatx64. Both state words; cpu/proven/cpuid-words.ts knows what they mean.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { brandOf, decodeWords } from '../../cpu/proven/cpuid-words.ts';
import { kernelIn } from '../../cpu/proven/kernel.ts';
import { together } from '../../cpu/proven/processor.ts';
import { Words } from '../../cpu/register-words.ts';
import { type Dialect, type Input, orSkip } from '../dialect.ts';
import { linesOf, quote } from '../text/lines.ts';
import { processorKey, untold } from '../words/blank-description.ts';

const H = '[0-9a-f]{8}';
const RAW = new RegExp(
  `^\\s*0x(${H}) 0x([0-9a-f]+): eax=0x(${H}) ebx=0x(${H}) ecx=0x(${H}) edx=0x(${H})\\s*$`,
  'i',
);
const LISTED = new RegExp(
  `^\\s*CPUID\\s+(${H})(?:\\s*:)?\\s+(${H})[- ](${H})[- ](${H})[- ](${H})(?![0-9a-f])\\s*(?:\\[SL ([0-9a-f]+)\\])?`,
  'i',
);
const MSR =
  /^\s*MSR\s+([0-9a-f]{8}):\s+([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})(?![0-9a-f])/i;
const WORDS = new RegExp(`^\\s*(?:CPUID\\s+${H}\\b|MSR\\s+${H}:|0x${H}\\b)`, 'i');
const FAILED = /<\s*FAILED\s*>/i;
const HEADINGS: readonly RegExp[] = [
  /^CPU(?: +(?<number>\d+))?:\s*$/,
  /^-+\[ (?:(?<kind>CPUID|MSR) Registers \/ )?Logical CPU #(?<number>\d+) \]/,
  /^(?<kind>CPUID|MSR) Registers \(CPU #(?<number>\d+)\)/,
  /^CPU#(?<number>\d+)\b/,
];
const COMMON_MSRS = /^-+\[ MSR Registers \]/;
// The AVX state has the same place everywhere (Intel SDM volume 1, 13.4.3), which tells an unmarked line of leaf 0xd.
const AVX_STATE = { size: 0x100, offset: 0x240 };

interface Cpu {
  readonly words: Words;
  readonly number: number | null;
  /** How often each leaf was stated without a subleaf. */
  readonly unmarked: Map<number, number>;
}

interface Host {
  readonly line: number;
  readonly cpus: Cpu[];
  readonly msrs: Words;
  /** The kernel of a line of uname -a or of /proc/version beside the dump. */
  kernel: string | null;
}

export const cpuid: Dialect = {
  name: 'cpuid',
  recognises: (head) =>
    /^[ \t]*0x[0-9a-f]{8} 0x[0-9a-f]{2}: eax=0x/im.test(head) ||
    /^[ \t]*CPUID [0-9a-f]{8}(?:[ \t]*:)?[ \t]+[0-9a-f]{8}[- ]/im.test(head),
  proves: [
    {
      document: 'CPUID dump',
      view: 'hardware',
      words: 'cpuid',
      unlisted: 'absent',
      leavesOut: 'leaves that it does not have, registers unless they were read',
    },
  ],
  read: (input, catalog, skip) =>
    readHosts(input).flatMap((host) => orSkip(skip, () => describe(input, catalog, host))),
};

function readHosts(input: Input): Host[] {
  const hosts: Host[] = [];
  let host: Host | undefined;
  let cpu: Cpu | undefined;
  let isNumbered = false;
  let onlyMsrs = false;
  let kernel: string | null = null;
  const add = (line: number, number: number | null, isNewHost: boolean): Cpu => {
    if (!host || isNewHost) {
      host = { line, cpus: [], msrs: new Words(), kernel };
      kernel = null;
      hosts.push(host);
    }
    const added: Cpu = { words: new Words(), number, unmarked: new Map() };
    host.cpus.push(added);
    return added;
  };
  for (const { number, text } of linesOf(input)) {
    const heading = HEADINGS.map((h) => h.exec(text)?.groups).find(
      (groups) => groups !== undefined,
    );
    if (heading || COMMON_MSRS.test(text)) {
      onlyMsrs = !heading || heading.kind === 'MSR';
      isNumbered = heading?.number !== undefined;
      const wanted = isNumbered ? Number(heading!.number) : null;
      const same: Cpu | undefined = isNumbered
        ? host?.cpus.find((c) => c.number === wanted)
        : undefined;
      if (onlyMsrs) cpu = same;
      // A number that comes again begins another host, and so does each dump of a single processor.
      else cpu = add(number, wanted, !isNumbered || same !== undefined);
      continue;
    }
    if (!WORDS.test(text)) {
      const found = kernelIn(text);
      // Before the first dump, or behind one that has it, it is of the next.
      if (found !== null && host && host.kernel === null) host.kernel = found;
      else kernel = found ?? kernel;
      continue;
    }
    const msr = MSR.exec(text);
    if (msr) {
      const value = BigInt(`0x${msr.slice(2, 6).join('')}`);
      const owner: Words | undefined = onlyMsrs && !cpu ? host?.msrs : cpu?.words;
      owner?.setMsr(Number.parseInt(msr[1]!, 16), value);
      continue;
    }
    const raw = RAW.exec(text);
    const listed = raw ? null : LISTED.exec(text);
    const match = raw ?? listed;
    if (!match) {
      if (FAILED.test(text)) continue;
      throw new QueryError(
        `${input.name}:${number}: ${quote(text.trim())} is cut short or damaged; a line of a dump has a leaf and four words of eight hexadecimal digits`,
      );
    }
    const [leaf, eax, ebx, ecx, edx] = [match[1]!, ...match.slice(raw ? 3 : 2)]
      .slice(0, 5)
      .map((word) => Number.parseInt(word, 16)) as [number, number, number, number, number];
    // Without headings leaf 0 begins the next processor.
    if (!cpu || (leaf === 0 && !isNumbered && cpu.words.leaf(0))) cpu = add(number, null, false);
    const marked = raw ? match[2] : match[6];
    const subleaf =
      marked === undefined ? unmarkedSubleaf(cpu, leaf, eax, ebx) : Number.parseInt(marked, 16);
    if (subleaf !== null) cpu.words.setLeaf(leaf, subleaf, { eax, ebx, ecx, edx });
  }
  return hosts;
}

/** Which subleaf a line is that does not say so: programs of old skipped some, so only what is certain is taken. */
function unmarkedSubleaf(cpu: Cpu, leaf: number, eax: number, ebx: number): number | null {
  const before = cpu.unmarked.get(leaf) ?? 0;
  cpu.unmarked.set(leaf, before + 1);
  if (before === 0) return 0;
  if (leaf !== 0xd) return null;
  if (eax === AVX_STATE.size && ebx === AVX_STATE.offset) return 2;
  return before === 1 ? 1 : null;
}

function describe(input: Input, catalog: Catalog, { line, cpus, msrs, kernel }: Host): Description {
  const withMsrs = cpus.find((c) => c.words.hasMsrs)?.words;
  let before: Cpu | undefined;
  const processors = cpus.map((cpu) => {
    const { words, number } = cpu;
    const which = number === null ? 'a processor' : `processor ${number}`;
    if (!words.leaf(0) || !words.leaf(1))
      throw new QueryError(
        `${input.name}:${line}: ${which} has no leaf ${words.leaf(0) ? 1 : 0}, without which no dump can be read; give the whole output of cpuid -r`,
      );
    if (
      before &&
      words.leaves < before.words.leaves &&
      cpu === cpus.at(-1) &&
      isCutShort(words, before.words)
    )
      throw new QueryError(
        `${input.name}:${line}: ${which}, the last of the dump, has ${words.leaves} words where the others have ${before.words.leaves}; the file is cut short`,
      );
    before = cpu;
    // A program that reads MSRs once reads them for all.
    if (!words.hasMsrs) words.borrowMsrs(msrs.hasMsrs || !withMsrs ? msrs : withMsrs);
    return decodeWords(catalog, words);
  });
  const other = processors.find((p) => p.vendor !== processors[0]!.vendor);
  if (other)
    throw new QueryError(
      `${input.name}:${line}: the processors of one dump are of two vendors, ${processors[0]!.vendor} and ${other.vendor}; give each host a file of its own`,
    );
  const all = together(catalog, processors);
  return {
    ...untold(catalog, 'cpuid', line),
    view: 'hardware',
    kernel,
    vendor: all.vendor,
    has: all.has,
    known: all.known,
    limits: { physBits: all.physBits },
    signature: all.signature,
    microcode: all.microcode,
    xsave: all.xsave,
    words: cpus[0]!.words,
    keys: processorKey(brandOf(cpus[0]!.words)),
    notes: all.notes,
  };
}

/** Whether the last leaves that another processor has are missing: 0x80000008 is in every dump that got that far. */
function isCutShort(words: Words, other: Words): boolean {
  return [0x1, 0x80000000, 0x80000001, 0x80000008].some(
    (leaf) => other.leaf(leaf) && !words.leaf(leaf),
  );
}
