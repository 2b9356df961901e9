// How hosts are called: by the name that their document gives them, else by where it was read from.

const COMPRESSION = /\.(gz|zst)$/i;
const DIALECT = /\.(xml|json|ndjson|jsonl|txt|cpuinfo|cpuid|qmp)$/i;

/** One CPU of one input. */
export interface Placed {
  /** The input's name as given. */
  readonly input: string;
  /** The document's own name for the host, or null. */
  readonly host: string | null;
}

/**
 * Ids for CPUs in the order in which they were read: the explicit name, else the input's path without its
 * endings, cut to as few of its last parts as keep it apart from every other input; #2, #3 for further CPUs.
 * `isTaken` knows of explicit names beside those that are placed.
 */
export function hostIds(
  placed: readonly Placed[],
  isTaken: (id: string) => boolean = () => false,
): string[] {
  const inputs = [...new Set(placed.filter((p) => p.host === null).map((p) => p.input))];
  const short = shortNames(inputs);
  const taken = new Set(placed.flatMap((p) => (p.host === null ? [] : [p.host])));
  const count = new Map<string, number>();
  return placed.map(({ input, host }) => {
    if (host !== null) return host;
    const name = short.get(input)!;
    for (let n = (count.get(name) ?? 0) + 1; ; n++) {
      count.set(name, n);
      const id = n === 1 ? name : `${name}#${n}`;
      if (!taken.has(id) && !isTaken(id)) return id;
    }
  });
}

function shortNames(inputs: readonly string[]): Map<string, string> {
  const bare = (path: string) =>
    path === '-' ? 'stdin' : path.replace(COMPRESSION, '').replace(DIALECT, '');
  const names = new Map<string, string>();
  let open = inputs.map((input) => ({
    input,
    parts: bare(input)
      .split('/')
      .filter((p) => p !== '' && p !== '.'),
  }));
  for (let depth = 1; open.length > 0; depth++) {
    const byName = new Map<string, typeof open>();
    for (const o of open) {
      const name = o.parts.slice(-depth).join('/');
      const same = byName.get(name);
      if (same) same.push(o);
      else byName.set(name, [o]);
    }
    open = [];
    for (const [name, same] of byName) {
      if (same.length === 1) names.set(same[0]!.input, name);
      // Two inputs that differ in their endings alone keep them.
      else if (same.every((o) => o.parts.length <= depth))
        for (const o of same) names.set(o.input, o.input);
      else open.push(...same);
    }
  }
  return names;
}
