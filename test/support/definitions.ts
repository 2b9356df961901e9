// Definitions to hold against real software: those of the demo fleet and of random parts of it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Catalog } from '../../src/cpu/catalog/catalog.ts';
import { parseStack, type Stack } from '../../src/cpu/catalog/software.ts';
import { dialectByName } from '../../src/dialects/index.ts';
import { readFleet } from '../../src/reading/read.ts';
import type { Baseline } from '../../src/solve/answer.ts';
import { baseline } from '../../src/solve/baseline.ts';
import type { BaselineOptions } from '../../src/solve/line/line.ts';
import { ROOT } from './places.ts';
import { pick, type Random, random } from './random.ts';

export interface Emitted {
  /** The first fleet that led to it, for messages. */
  readonly from: string;
  readonly answer: Baseline;
  /** Everything after `-cpu `. */
  readonly qemu: string;
  /** The <cpu> element. */
  readonly libvirt: string;
}

interface ServerRecord {
  readonly host: string;
  readonly vendor: string;
  readonly view: string;
}

const servers: ServerRecord[] = readFileSync(join(ROOT, 'test/fixtures/demo-fleet.ndjson'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

/**
 * Distinct definitions for one stack: the whole demo fleet by vendor, then random parts of it, half of them as if a
 * hypervisor had described them, some for guests that run guests of their own.
 */
export async function emitted(
  catalog: Catalog,
  stackText: string,
  fleets: number,
  seed: number,
): Promise<Emitted[]> {
  const stack = parseStack(catalog, stackText);
  const next = random(seed);
  const found = new Map<string, Emitted>();
  const vendors = [...new Set(servers.map((s) => s.vendor))].sort();
  for (const vendor of vendors)
    await add(
      found,
      catalog,
      servers.filter((s) => s.vendor === vendor),
      { stack },
    );
  for (let i = 0; i < fleets; i++)
    await add(found, catalog, part(next, vendors), {
      stack,
      nested: next() < 0.3,
      physBits: next() < 0.2 ? 'fleet' : 'default',
    });
  return [...found.values()];
}

function part(next: Random, vendors: readonly string[]): ServerRecord[] {
  const vendor = pick(next, vendors);
  const own = servers.filter((s) => s.vendor === vendor);
  const size = 1 + Math.floor(next() ** 2 * own.length);
  const view = next() < 0.5 ? 'hypervisor' : 'hardware';
  return Array.from({ length: size }, () => ({ ...pick(next, own), view })).filter(
    (s, i, all) => all.findIndex((other) => other.host === s.host) === i,
  );
}

async function add(
  found: Map<string, Emitted>,
  catalog: Catalog,
  records: readonly ServerRecord[],
  options: BaselineOptions & { stack: Stack },
): Promise<void> {
  const bytes = new TextEncoder().encode(records.map((r) => JSON.stringify(r)).join('\n'));
  const answer = baseline(await readFleet(catalog, [{ name: 'fleet.ndjson', bytes }]), options);
  const { arch, vendor, definitions, features, limits } = answer;
  if (!definitions.qemu || !definitions.libvirt) return;
  const cpu = { arch: arch!, vendor, definitions, features, physBits: limits.physBits };
  const qemu = dialectByName('qemu')!.write!(cpu, catalog)
    .trim()
    .replace(/^-cpu /, '');
  const libvirt = dialectByName('libvirt')!.write!(cpu, catalog);
  const from = `${records.map((r) => r.host).join(' ')} (${records[0]!.view}${options.nested ? ', nested' : ''})`;
  const key = `${qemu}\n${libvirt}`;
  if (!found.has(key)) found.set(key, { from, answer, qemu, libvirt });
}
