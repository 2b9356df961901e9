// Whether two hosts are one CPU as far as something else than features tells them apart.
import type { Arch, Identity } from './arch.ts';
import { midrText } from './arm.ts';

/** A difference, or that none is known, as a sentence about a CPU ("it") and a host. */
interface Difference {
  readonly code: 'midr' | 'model' | 'registers';
  readonly message: string;
}

export interface Differences {
  /** What stands in the way for certain, and what may. */
  readonly no: readonly Difference[];
  readonly unknown: readonly Difference[];
}

const cores = (midr: readonly string[]): string => midr.map(midrText).join(' and ');

/** How the CPU that one host gives its guests differs from that of another. */
export function differences(arch: Arch, own: Identity, host: Identity): Differences {
  const no: Difference[] = [];
  const unknown: Difference[] = [];
  if (arch.hasMidr && own.midr !== null && host.midr !== null) {
    if (own.midr.join() !== host.midr.join())
      no.push({
        code: 'midr',
        message: `it is a ${cores(own.midr)}, the host a ${cores(host.midr)}: a guest keeps the MIDR that it started with, and KVM gives it none but the host's`,
      });
  } else if (arch.splitsByModel && own.model !== null && host.model !== null) {
    const differ = arch.modelDiffers(own.model, host.model);
    if (differ)
      (differ.is === 'no' ? no : unknown).push({ code: 'model', message: differ.message });
    else if (arch.hasMidr) unknown.push(untoldMidr);
  } else if (arch.hasMidr) unknown.push(untoldMidr);
  else if (arch.splitsByModel)
    unknown.push({
      code: 'model',
      message: `which model of ${arch.name} ${own.model === null ? 'it' : 'the host'} is, is not told, so it may be another processor with features of the same names`,
    });
  if (no.length === 0) unknown.push(...registerDifferences(own, host));
  return { no, unknown };
}

const untoldMidr: Difference = {
  code: 'midr',
  message:
    'the MIDR of both is not told, so it may be another processor with features of the same names; /proc/cpuinfo of both tells it',
};

/** Which of them a guest can be given otherwise, kernels decide. */
function registerDifferences(own: Identity, host: Identity): Difference[] {
  const [a, b] = [own.registers ?? {}, host.registers ?? {}];
  const differ = Object.keys(a).filter((name) => Object.hasOwn(b, name) && a[name] !== b[name]);
  const found: Difference[] = [];
  if (differ.length > 0)
    found.push({
      code: 'registers',
      message: `${differ.join(', ')} ${differ.length === 1 ? 'differs' : 'differ'}, and which fields of ID registers a guest can be given otherwise is not in the catalog`,
    });
  if (own.sve !== null && host.sve !== null && own.sve.join() !== host.sve.join())
    found.push({
      code: 'registers',
      message: `the lengths of SVE vectors differ (${own.sve.join(', ') || 'none'}; the host ${host.sve.join(', ') || 'none'})`,
    });
  return found;
}
