// The virsh that is installed, asked many questions in one bounded process, and the map that its libvirt uses.
import {
  type ExecFileSyncOptionsWithStringEncoding,
  execFileSync,
  spawnSync,
} from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasBit, setBit } from '../../src/core/rows.ts';
import type { Catalog } from '../../src/cpu/catalog/catalog.ts';
import type { LibvirtMap } from '../../src/cpu/catalog/libvirt-map.ts';
import type { LibvirtCpu } from '../../src/cpu/cpu-element.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import { cpuid } from '../../src/dialects/kernel/cpuid.ts';
import { readLibvirtMap } from '../../src/dialects/learnt/libvirt-map-folder.ts';
import { libvirtDecode } from '../../src/solve/libvirt/libvirt-decode.ts';
import { dataOfWords, hostStub } from '../../src/solve/libvirt/spelt-out.ts';
import { SHARED, sayMissing } from './places.ts';
import { pick, type Random } from './random.ts';

const CPU_MAP = '/usr/share/libvirt/cpu_map';
const SEPARATOR = '@@plimsoll@@';

export function hasVirsh(): boolean {
  try {
    execFileSync('virsh', ['--version'], { timeout: 10_000, stdio: 'ignore' });
    return existsSync(join(CPU_MAP, 'index.xml'));
  } catch {
    return false;
  }
}

/** What virsh prints for each command, or an empty text where it refuses; it goes on after an error. */
export function virsh(uri: string, commands: readonly string[]): string[] {
  const script = commands.map((command) => `${command}; echo ${SEPARATOR}`).join('; ');
  const bounded: ExecFileSyncOptionsWithStringEncoding = {
    timeout: 120_000,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 1 << 28,
  };
  let out: string;
  try {
    out = execFileSync('virsh', ['-c', uri, script], bounded);
  } catch (error) {
    out = (error as { stdout?: string }).stdout ?? '';
  }
  const texts = out
    .split(SEPARATOR)
    .slice(0, commands.length)
    .map((text) => text.trim());
  if (texts.length < commands.length)
    throw new Error(`virsh ended before it had answered: ${out.slice(-300)}`);
  return texts;
}

/** What a QEMU under plain emulation says to these questions, as it says it. */
export function qmpSession(questions: readonly object[]): string {
  const lines = [{ execute: 'qmp_capabilities' }, ...questions, { execute: 'quit' }];
  const args = [
    '-machine',
    'none',
    '-accel',
    'tcg',
    '-S',
    '-nodefaults',
    '-display',
    'none',
    '-qmp',
    'stdio',
  ];
  const { stdout } = spawnSync('qemu-system-x86_64', args, {
    input: lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
    encoding: 'utf8',
    timeout: 30_000,
    maxBuffer: 1 << 26,
  });
  return stdout;
}

/** The map of the libvirt that is installed. */
export const installedMap = (catalog: Catalog): Promise<LibvirtMap> =>
  readLibvirtMap(
    catalog,
    async (name) => ({ name, bytes: readFileSync(join(CPU_MAP, name)) }),
    'libvirt@learnt',
  );

/** Hosts as this libvirt would describe the processors of the dumps at hand. */
export async function dumpedHosts(catalog: Catalog, map: LibvirtMap): Promise<LibvirtCpu[]> {
  const folder = SHARED && join(SHARED, 'cases/cpuid');
  if (!folder || !existsSync(folder)) {
    sayMissing('hosts from real dumps in random fleets', 'cases/cpuid');
    return [];
  }
  const hosts: LibvirtCpu[] = [];
  const syscall = catalog.feature('syscall').id;
  for (const name of readdirSync(folder).sort())
    for (const d of await cpuid.read!({ name, bytes: readFileSync(join(folder, name)) }, catalog)) {
      const data = dataOfWords(map, d.words!);
      // Hidden from the 32-bit programs that took many dumps, as the dialect knows.
      if (hasBit(d.has, syscall)) setBit(data.row, syscall);
      try {
        if (data.vendor !== null) hosts.push(libvirtDecode(map, name, hostStub('x86_64'), data));
      } catch (error) {
        // No model is a subset of the oldest processors.
        if (!(error instanceof QueryError)) throw error;
      }
    }
  return hosts;
}

/** Fleets of few kinds of hosts, mostly of one vendor, with names and vendors wrong now and then. */
export class RandomFleets {
  readonly #map: LibvirtMap;
  readonly #dumps: readonly LibvirtCpu[];
  readonly #next: Random;

  constructor(map: LibvirtMap, dumps: readonly LibvirtCpu[], next: Random) {
    this.#map = map;
    this.#dumps = dumps;
    this.#next = next;
  }

  /** @param wrong how often a host has a name that does not exist, or a vendor that it cannot have */
  fleet(hosts: number, wrong = 0.005): LibvirtCpu[] {
    const vendor = this.#next() < 0.9 ? pick(this.#next, ['Intel', 'AMD']) : null;
    // Few features shared by many, so that something is common to them.
    const features = Array.from(
      { length: 1 + Math.floor(this.#next() * 60) },
      () => pick(this.#next, this.#map.features).name,
    );
    const kinds = Array.from({ length: 1 + Math.floor(this.#next() * 6) }, () =>
      this.#host(vendor, features, wrong),
    );
    return Array.from({ length: hosts }, () => pick(this.#next, kinds));
  }

  #host(vendor: string | null, features: readonly string[], wrong: number): LibvirtCpu {
    const next = this.#next;
    const isOf = (own: string | null) => vendor === null || own === null || own === vendor;
    if (this.#dumps.length > 0 && next() < 0.25)
      return pick(
        next,
        this.#dumps.filter((d) => isOf(d.vendor)),
      );
    const model = pick(
      next,
      this.#map.models.filter((m) => isOf(m.vendor)),
    );
    const names = new Set(
      Array.from({ length: Math.floor(next() * 12) }, () => pick(next, features)),
    );
    if (next() < wrong) names.add('no-such-feature');
    const said = next();
    return {
      ...hostStub('x86_64'),
      model: next() < wrong ? 'NoSuchModel' : model.name,
      vendor:
        said < 0.85
          ? (model.vendor ?? vendor)
          : said < 1 - 4 * wrong
            ? null
            : pick(next, ['Intel', 'AMD', 'Hygon', 'Nobody']),
      features: [...names].map((name) => ({ name, policy: null })),
    };
  }
}
