// How hosts are called: by the name that their document gives them, else by where it was read from.

const COMPRESSION = /\.(gz|zst)$/i;
const DIALECT = /\.(xml|json|ndjson|jsonl|txt|cpuinfo|cpuid|qmp)$/i;

/** Ids that are made as one text. */
const NUMBERED = 1 << 14;

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

/**
 * Names of which no two that count are one: a name that several have gets its input behind it, cut as above; and #2, #3
 * where they stand in one input.
 */
export function distinctIds<T extends { readonly id: string; readonly input: string }>(
  placed: readonly T[],
  counts: (one: T) => boolean = () => true,
): string[] {
  const times = new Map<string, number>();
  for (const { id } of placed.filter(counts)) times.set(id, (times.get(id) ?? 0) + 1);
  const isTwice = (one: T) => counts(one) && times.get(one.id)! > 1;
  const short = shortNames([...new Set(placed.filter(isTwice).map(({ input }) => input))]);
  const taken = new Set(placed.filter((one) => !isTwice(one)).map(({ id }) => id));
  return placed.map((one) => {
    if (!isTwice(one)) return one.id;
    const name = `${one.id} (${short.get(one.input)!})`;
    let own = name;
    for (let n = 2; taken.has(own); n++) own = `${name}#${n}`;
    taken.add(own);
    return own;
  });
}

/** Ids one after another, as a batch of hosts has them: each is longer than the one before it, or greater. */
interface Numbered {
  readonly ids: Uint8Array;
  readonly ends: Uint32Array;
  readonly ascending: true;
}

/**
 * The ids that `hostIds` would give, where no host has a name of its own: for each of the batches, which are so many
 * hosts of an input, as bytes. Millions of strings would not fit.
 */
export function numberedIds(
  batches: readonly { readonly input: string; readonly hosts: number }[],
): Numbered[] {
  const short = shortNames([...new Set(batches.map(({ input }) => input))]);
  const count = new Map<string, number>();
  return batches.map(({ input, hosts }) => {
    const name = short.get(input)!;
    const before = count.get(name) ?? 0;
    count.set(name, before + hosts);
    return numbered(name, before, hosts);
  });
}

/** A name with #2, #3, ... behind it, `before` of which are given already; the first has no number. */
function numbered(name: string, before: number, hosts: number): Numbered {
  const text = new TextEncoder();
  const stem = text.encode(name).length;
  const ids = new Uint8Array(hosts * (stem + `#${before + hosts}`.length));
  const ends = new Uint32Array(hosts);
  let end = 0;
  // One text for many: a call an id would cost more than the bytes of it.
  for (let from = 0; from < hosts; from += NUMBERED) {
    const start = end;
    let some = '';
    for (let i = from; i < Math.min(hosts, from + NUMBERED); i++) {
      const n = before + i + 1;
      const number = n === 1 ? '' : `#${n}`;
      some += name + number;
      end += stem + number.length;
      ends[i] = end;
    }
    text.encodeInto(some, ids.subarray(start));
  }
  return { ids: ids.subarray(0, end), ends, ascending: true };
}

/** The last part of each path by its input, as long as they differ. */
function lastParts(inputs: readonly string[]): Map<string, string> {
  const names = new Map<string, string>();
  const seen = new Set<string>();
  for (const input of inputs) {
    const path = bare(input);
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (name === '' || name === '.' || seen.has(name)) break;
    seen.add(name);
    names.set(input, name);
  }
  return names;
}

const bare = (path: string): string =>
  path === '-' ? 'stdin' : path.replace(COMPRESSION, '').replace(DIALECT, '');

function shortNames(inputs: readonly string[]): Map<string, string> {
  const names = lastParts(inputs);
  if (names.size === inputs.length) return names;
  names.clear();
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
