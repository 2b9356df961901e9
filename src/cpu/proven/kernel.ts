// Which of the kernels whose KVM was read speak for the kernel of a host: itself, those around it, or all of them.
import type { KvmFile } from '../schema.ts';

/** How much is known of a kernel: it was read, it lies among some that were, or it is outside of them, or not told. */
type Likeness = 'read' | 'among' | 'untold' | 'older' | 'newer';

export interface Kernels {
  readonly like: Likeness;
  /** By their place in the list of all that were read: the mainline, then distributions. What all agree on holds. */
  readonly rows: readonly number[];
  /** The same for features that stable kernels got or lost in no order. */
  readonly outOfOrder: readonly number[];
}

type Version = readonly [major: number, minor: number, patch: number];

interface Release {
  readonly version: Version;
  /** What follows the numbers: the maker's own. */
  readonly rest: string;
  readonly isCandidate: boolean;
}

const RELEASE = /^v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,4}))?(-rc\d{1,3})?(.*)$/;
/** Before the first release of a series. */
const CANDIDATE = -1;
/** From here on, every kernel must agree about what came in no order. */
const ORDERED_FROM: Version = [5, 4, 0];
/** RHEL and its rebuilds by major release: the kernel that each keeps. Others with that ending build kernels of their own. */
const ENTERPRISE: Readonly<Record<string, string>> = {
  '7': '3.10.0',
  '8': '4.18.0',
  '9': '5.14.0',
  '10': '6.12.0',
};
const ENTERPRISE_BUILD = /^-(\d+)(?:\.\d+)*\.el(\d+)(?:_\d+)?(?:\.(?:x86_64|i686))?$/;
/** The package's revision of a Debian kernel, which is the version before it and little more. */
const DEBIAN_REVISION = /^-\d+(?:~\w+(?:\+\w+)?)?$/;

function releaseOf(text: string): Release | null {
  const match = RELEASE.exec(text.trim());
  if (!match) return null;
  const [, major, minor, patch, candidate, rest] = match;
  const isCandidate = candidate !== undefined && patch === undefined;
  const last = isCandidate ? CANDIDATE : Number(patch ?? 0);
  return {
    version: [Number(major), Number(minor), last],
    rest: (isCandidate ? '' : (candidate ?? '')) + rest!,
    isCandidate,
  };
}

const order = (a: Version, b: Version): number => a[0] - b[0] || a[1] - b[1] || a[2] - b[2];

/** Whether this is the version of a Linux kernel. */
export const isKernel = (text: string): boolean => releaseOf(text) !== null;

/**
 * The kernel in what uname -a or /proc/version print; null where there is none. Debian's uname -r is a number of its
 * interfaces, so what its uname -v tells of the package goes before.
 */
export function kernelIn(text: string): string | null {
  const found = /\bLinux version (\S+)/.exec(text) ?? /^[ \t]*Linux \S+ (\d+\.\d\S*) /m.exec(text);
  if (!found || !releaseOf(found[1]!)) return null;
  const line = text.slice(found.index).split('\n', 1)[0]!;
  return / Debian (\d+\.\d+\S*)/.exec(line)?.[1] ?? found[1]!;
}

/** The same from what uname -r and uname -v print. */
export const kernelOf = (release: unknown, version: unknown = ''): string | null =>
  typeof release === 'string' ? kernelIn(`Linux here ${release} ${version}`) : null;

/** The rows that hold on a kernel; null is one that nobody told. */
export function kernelsLike(file: KvmFile, kernel: string | null): Kernels {
  const mainline = file.kernels.map((text) => releaseOf(text)!);
  const all = [...file.kernels, ...file.distributions].map((_, i) => i);
  const release = kernel === null ? null : releaseOf(kernel);
  if (!release) return { like: 'untold', rows: all, outOfOrder: all };
  const exact = exactly(file, mainline, kernel!.trim(), release);
  if (exact !== null) return { like: 'read', rows: [exact], outOfOrder: [exact] };
  const ordered = all.filter((i) => mainline[i] && order(mainline[i].version, ORDERED_FROM) >= 0);
  const among = (rows: readonly number[]): Kernels => ({
    like: 'among',
    rows,
    outOfOrder: [...new Set([...rows, ...ordered])],
  });
  const enterprise = enterpriseOf(release);
  if (enterprise) return among(enterpriseRows(file, mainline, enterprise));
  const { version } = release;
  const newest = mainline.at(-1)!.version;
  if (order([version[0], version[1], 0], [newest[0], newest[1], 0]) > 0)
    return { ...among([mainline.length - 1]), like: 'newer' };
  if (order(version, mainline[0]!.version) < 0) return { like: 'older', rows: [], outOfOrder: [] };
  return among(around(mainline, release));
}

/** The row of this very kernel. */
function exactly(
  { kernels, distributions }: KvmFile,
  mainline: readonly Release[],
  text: string,
  { version, rest, isCandidate }: Release,
): number | null {
  const named = [...kernels, ...distributions].indexOf(text.replace(/\.x86_64$/, ''));
  if (named >= 0) return named;
  const isDebian = version[2] > 0 && DEBIAN_REVISION.test(rest);
  if (isCandidate || (rest !== '' && !isDebian)) return null;
  const same = mainline.findIndex((m) => !m.isCandidate && order(m.version, version) === 0);
  return same < 0 ? null : same;
}

/** From the last below its series, for a maker may have taken nothing yet, up to the first that is newer for certain. */
function around(mainline: readonly Release[], { version, rest, isCandidate }: Release): number[] {
  const [major, minor, patch] = version;
  const start: Version = [major, minor, isCandidate ? CANDIDATE : 0];
  const below = mainline.findLastIndex((m) => order(m.version, start) < 0);
  // Where the maker counts for itself, the last of the series may be in it.
  const end: Version = patch === 0 && rest !== '' ? [major, minor, Infinity] : version;
  const above = mainline.findIndex((m) => order(m.version, end) > 0);
  const first = Math.max(0, below);
  const last = above < 0 ? mainline.length - 1 : above;
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

interface Enterprise {
  readonly major: string;
  readonly build: number;
}

function enterpriseOf({ version, rest }: Release): Enterprise | null {
  const match = ENTERPRISE_BUILD.exec(rest);
  if (!match || ENTERPRISE[match[2]!] !== version.join('.')) return null;
  return { major: match[2]!, build: Number(match[1]) };
}

/** Of 7 and 8 the row of their last kernels, with less before; 9 and 10 take from all that came after they began. */
function enterpriseRows(
  { kernels, distributions }: KvmFile,
  mainline: readonly Release[],
  { major, build }: Enterprise,
): number[] {
  const all = [...kernels, ...distributions].map((_, i) => i);
  const own = distributions.findIndex((text) => text.endsWith(`.el${major}`));
  if (own >= 0) {
    const read = Number(/-(\d+)/.exec(distributions[own]!)![1]);
    return build >= read ? [kernels.length + own] : all;
  }
  const start = releaseOf(ENTERPRISE['9']!)!.version;
  const first = mainline.findIndex((m) => order([m.version[0], m.version[1], 0], start) >= 0);
  return all.slice(first, kernels.length);
}
