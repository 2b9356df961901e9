// Guests in every language that one may be found in: domain XML, QEMU command lines and -cpu arguments, what plimsoll
// itself has pinned or drawn, and host records that describe a guest.
import { isCovered, join } from '../core/rows.ts';
import { tcgRow } from '../cpu/accelerators.ts';
import type { Catalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Guest } from '../cpu/guest.ts';
import { findMachine } from '../cpu/machine.ts';
import { byBytes } from '../cpu/order.ts';
import { expandCpu } from '../cpu/start.ts';
import type { Skipped } from '../fleet/fleet.ts';
import { hostIds } from '../fleet/ids.ts';
import type { Need } from '../fleet/need.ts';
import type { Input } from './dialect.ts';
import { readGuests } from './guests.ts';
import { recogniseDialect } from './index.ts';
import type { Unreadable } from './read.ts';

export interface NeedsOptions {
  /** The QEMU that runs the guests: a version of the catalog. */
  readonly qemu: string;
  /** The libvirt that starts them: a version of the catalog. */
  readonly libvirt: string;
  /** The machine type of guests that do not say theirs. */
  readonly machine: string;
  readonly skipUnreadable?: boolean | undefined;
}

/** A guest before it has an id of its own. */
type Unplaced = Omit<Need, 'id'> & { readonly host: string | null };

/**
 * All guests of the inputs, in byte order of their ids.
 * @throws QueryError with one line a problem; with skipUnreadable only when nothing is left.
 */
export async function readNeeds(
  catalog: Catalog,
  inputs: AsyncIterable<Input | Unreadable> | Iterable<Input | Unreadable>,
  options: NeedsOptions,
): Promise<{ needs: Need[]; skipped: Skipped[] }> {
  const found: (Unplaced & { readonly input: string })[] = [];
  const skipped: Skipped[] = [];
  for await (const input of inputs) {
    try {
      if ('error' in input) throw input.error;
      for (const guest of await readInput(catalog, input, options))
        found.push({ ...guest, input: input.name });
    } catch (error) {
      if (!(error instanceof QueryError)) throw error;
      skipped.push({ input: input.name, reason: error.message });
    }
  }
  if (skipped.length > 0 && !(options.skipUnreadable && found.length > 0))
    throw new QueryError(skipped.map((s) => s.reason).join('\n'));
  if (found.length === 0) throw new QueryError('no guests: the inputs of --guests describe none');
  const ids = hostIds(found);
  const seen = new Set<string>();
  for (const id of ids) {
    if (seen.has(id))
      throw new QueryError(`guest ${id} is there twice; which of the two is meant?`);
    seen.add(id);
  }
  const needs = found.map(({ host: _, input: __, ...need }, i) => ({ ...need, id: ids[i]! }));
  return { needs: needs.sort((a, b) => byBytes(a.id, b.id)), skipped };
}

/** A -cpu argument as a guest; `id` names it. */
export const needOfCpu = (
  catalog: Catalog,
  id: string,
  cpu: string,
  options: NeedsOptions,
): Need => ({
  ...expanded(catalog, { id, cpu, machine: options.machine, accelerator: 'kvm' }, options),
  id,
});

async function readInput(
  catalog: Catalog,
  input: Input,
  options: NeedsOptions,
): Promise<Unplaced[]> {
  const { name, bytes } = input;
  if (bytes.length === 0)
    throw new QueryError(`${name} is empty; give guests or leave the file out`);
  const head = new TextDecoder().decode(bytes.subarray(0, 65536));
  if (/<domain[\s>]/.test(head)) {
    const guests = await readGuests(input, catalog, options.libvirt);
    return guests.map((guest) => ({
      ...expanded(catalog, guest, options, name),
      host: guest.id,
    }));
  }
  if (/"plimsoll\.(pin|baseline)\/1"/.test(head)) return [ownAnswer(catalog, input)];
  const dialect = recogniseDialect(head);
  if (!dialect?.read) return commandLines(catalog, input, options);
  const descriptions = await dialect.read(input, catalog);
  return descriptions.map((d) => ({
    host: d.host,
    features: d.has,
    unnamed: d.unnamed,
    arch: d.arch,
    vendor: d.vendor,
    physBits: d.view === 'guest' ? d.limits.physBits : null,
    refused: null,
  }));
}

/** What QEMU is asked for on behalf of a guest. */
function expanded(
  catalog: Catalog,
  guest: Guest,
  options: NeedsOptions,
  input?: string,
): Omit<Unplaced, 'host'> {
  const qemu = qemuWith(catalog, guest.machine, options.qemu);
  try {
    const e = expandCpu(catalog, guest.cpu, { ...guest, qemu });
    const model = catalog.qemuModels.get(e.resolved)!;
    const features = join(e.features, e.orphaned);
    const bits = Number(e.properties['phys-bits']);
    const isOwn = e.properties['host-phys-bits'] !== true && bits > 0;
    const isEmulated = guest.accelerator === 'tcg';
    return {
      features: isEmulated ? catalog.row([]) : features,
      unnamed: [],
      arch: 'x86_64',
      vendor:
        isEmulated || (model.vendor === null && !e.named.has('vendor'))
          ? null
          : catalog.vendor(String(e.properties.vendor)),
      physBits: isOwn && !isEmulated ? bits : null,
      refused:
        isEmulated && !isCovered(features, tcgRow(catalog, qemu))
          ? 'plain emulation (tcg) lacks what it asks for'
          : null,
    };
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    throw new QueryError(`${input ? `${input}: ` : ''}guest ${guest.id}: ${error.message}`);
  }
}

/** The QEMU asked for where it has the machine type, else the newest that has. */
function qemuWith(catalog: Catalog, machine: string, qemu: string): string {
  const others = catalog.versions.qemu.filter((v) => v !== qemu).toReversed();
  return (
    [qemu, ...others].find((version) => {
      try {
        return findMachine(catalog, machine, version) !== undefined;
      } catch (error) {
        if (error instanceof QueryError) return false;
        throw error;
      }
    }) ?? qemu
  );
}

/** A CPU that plimsoll pinned, or a baseline that it drew. */
function ownAnswer(catalog: Catalog, { name, bytes }: Input): Unplaced {
  let answer: Record<string, unknown>;
  try {
    answer = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new QueryError(`${name} is no JSON; give the output of plimsoll pin --json`, { cause });
  }
  const { features, vendor, limits, properties } = answer as {
    features?: unknown;
    vendor?: unknown;
    limits?: { physBits?: unknown };
    properties?: { vendor?: unknown };
  };
  if (!Array.isArray(features) || features.length === 0)
    throw new QueryError(`${name} is an answer without a CPU; there is no guest to place`);
  const named = features.map(String);
  const said = vendor ?? properties?.vendor;
  return {
    host: null,
    features: catalog.row(named.filter((f) => catalog.find(f) !== undefined)),
    unnamed: named.filter((f) => catalog.find(f) === undefined),
    arch: 'x86_64',
    vendor: typeof said === 'string' ? catalog.vendor(said) : null,
    physBits: typeof limits?.physBits === 'number' ? limits.physBits : null,
    refused: null,
  };
}

/** A line a guest: QEMU's command line, or what stands after its -cpu. */
function commandLines(catalog: Catalog, { name, bytes }: Input, options: NeedsOptions): Unplaced[] {
  const text = new TextDecoder().decode(bytes);
  const guests: Unplaced[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    const words = wordsOf(line);
    if (words.length === 0 || words[0]!.startsWith('#')) continue;
    const after = (...flags: string[]) => {
      const at = words.findIndex((word) => flags.includes(word));
      return at < 0 ? undefined : words[at + 1];
    };
    const where = `${name}:${i + 1}`;
    const isBare = words.length === 1 && !words[0]!.startsWith('-');
    const cpu = isBare ? words[0] : after('-cpu', '--cpu');
    if (cpu === undefined)
      throw new QueryError(
        `${where}: no guest is recognised; give domain XML, a line of QEMU's command (with -cpu), or what stands after -cpu`,
      );
    const [machine, ...more] = (after('-machine', '-M', '--machine') ?? options.machine).split(',');
    const accelerator =
      more.includes('accel=tcg') || after('-accel')?.split(',')[0] === 'tcg' ? 'tcg' : 'kvm';
    const id = nameOf(after('-name', '--name'));
    const type = machine!.replace(/^type=/, '');
    guests.push({
      ...expanded(catalog, { id: id ?? where, cpu, machine: type, accelerator }, options, where),
      host: id,
    });
  }
  if (guests.length === 0) throw new QueryError(`${name} holds no guests; give one a line`);
  return guests;
}

/** The guest's name in QEMU's -name: web-1, or guest=web-1,debug-threads=on. */
function nameOf(argument: string | undefined): string | null {
  if (argument === undefined) return null;
  const parts = argument.split(',');
  return parts.find((p) => p.startsWith('guest='))?.slice('guest='.length) ?? parts[0]!;
}

/** The words of a line as a shell would take them apart. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replace(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double ?? ''),
  );
}
