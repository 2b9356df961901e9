// Random fleets given to the virsh that is installed and to --rules libvirt with the map that this virsh uses:
// the same answer, byte for byte, and a refusal where it refuses.
// PLIMSOLL_SAMPLE is the number of fleets, PLIMSOLL_SEED the seed.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import type { LibvirtCpu } from '../../src/cpu/libvirt.ts';
import { cpuid } from '../../src/dialects/cpuid.ts';
import { readLibvirtMap } from '../../src/dialects/libvirt-map.ts';
import { writeLibvirtCpu } from '../../src/dialects/libvirt-write.ts';
import { libvirtBaseline } from '../../src/solve/libvirt/baseline.ts';
import { dataOfWords, expandFeatures, hostStub } from '../../src/solve/libvirt/data.ts';
import { decode } from '../../src/solve/libvirt/decode.ts';
import { SHARED, sayMissing } from '../support/places.ts';
import { pick, type Random, random } from '../support/random.ts';

const CPU_MAP = '/usr/share/libvirt/cpu_map';
const BATCH = 50;
const SEPARATOR = '@@plimsoll@@';
const sample = Number(process.env.PLIMSOLL_SAMPLE ?? 600);
const seed = Number(process.env.PLIMSOLL_SEED ?? 20261124);

const hasVirsh = (): boolean => {
  try {
    execFileSync('virsh', ['--version'], { timeout: 10_000, stdio: 'ignore' });
    return existsSync(join(CPU_MAP, 'index.xml'));
  } catch {
    return false;
  }
};

if (hasVirsh()) {
  const catalog = await loadCatalog();
  const read = async (name: string) => ({ name, bytes: readFileSync(join(CPU_MAP, name)) });
  const map = await readLibvirtMap(catalog, read, 'libvirt@learnt');
  const dumps = await realHosts();

  async function realHosts(): Promise<LibvirtCpu[]> {
    const folder = SHARED && join(SHARED, 'cases/cpuid');
    if (!folder || !existsSync(folder)) {
      sayMissing('hosts from real dumps in random fleets', 'cases/cpuid');
      return [];
    }
    const hosts: LibvirtCpu[] = [];
    for (const name of readdirSync(folder).sort()) {
      for (const d of await cpuid.read!(
        { name, bytes: readFileSync(join(folder, name)) },
        catalog,
      )) {
        const data = dataOfWords(map, d.words!);
        try {
          if (data.vendor !== null) hosts.push(decode(map, name, hostStub('x86_64'), data));
        } catch (error) {
          // No model is a subset of the oldest processors.
          if (!(error instanceof QueryError)) throw error;
        }
      }
    }
    return hosts;
  }

  function randomHost(
    next: Random,
    vendor: string | null,
    features: readonly string[],
  ): LibvirtCpu {
    const ofVendor = (v: string | null) => (own: string | null) =>
      v === null || own === null || own === v;
    if (dumps.length > 0 && next() < 0.25)
      return pick(
        next,
        dumps.filter((d) => ofVendor(vendor)(d.vendor)),
      );
    const model = pick(
      next,
      map.models.filter((m) => ofVendor(vendor)(m.vendor)),
    );
    const names = new Set(
      Array.from({ length: Math.floor(next() * 12) }, () => pick(next, features)),
    );
    if (next() < 0.005) names.add('no-such-feature');
    const said = next();
    return {
      ...hostStub('x86_64'),
      model: next() < 0.005 ? 'NoSuchModel' : model.name,
      vendor:
        said < 0.85
          ? (model.vendor ?? vendor)
          : said < 0.98
            ? null
            : pick(next, ['Intel', 'AMD', 'Hygon', 'Nobody']),
      features: [...names].map((name) => ({ name, policy: null })),
    };
  }

  function randomFleet(next: Random): LibvirtCpu[] {
    const vendor = next() < 0.9 ? pick(next, ['Intel', 'AMD']) : null;
    // Few features shared by many, so that something is common to them.
    const features = Array.from(
      { length: 1 + Math.floor(next() * 60) },
      () => pick(next, map.features).name,
    );
    const kinds = Array.from({ length: 1 + Math.floor(next() * 6) }, () =>
      randomHost(next, vendor, features),
    );
    return Array.from({ length: 2 + Math.floor(next() * 39) }, () => pick(next, kinds));
  }

  function ours(fleet: readonly LibvirtCpu[], expand: boolean): string {
    try {
      const found = libvirtBaseline(
        map,
        fleet.map((cpu, i) => ({ where: `host ${i}`, cpu })),
      );
      return writeLibvirtCpu(
        expand ? expandFeatures(map, { where: 'baseline', cpu: found }) : found,
      );
    } catch (error) {
      if (error instanceof QueryError) return 'refused\n';
      throw error;
    }
  }

  /** What virsh says of each file; it goes on after an error. */
  function virsh(files: readonly { path: string; expand: boolean }[]): string[] {
    const script = files
      .map((f) => `cpu-baseline ${f.path}${f.expand ? ' --features' : ''}; echo ${SEPARATOR}`)
      .join('; ');
    const bounded = {
      timeout: 60_000,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 1 << 26,
    } as const;
    let out: string;
    try {
      out = execFileSync('virsh', ['-c', 'test:///default', script], bounded);
    } catch (error) {
      out = (error as { stdout?: string }).stdout ?? '';
    }
    return out
      .split(SEPARATOR)
      .slice(0, files.length)
      .map((text) => (text.trim() === '' ? 'refused\n' : `${text.trim()}\n`));
  }

  test(`${sample} random fleets (seed ${seed})`, () => {
    const next = random(seed);
    const folder = mkdtempSync(join(tmpdir(), 'plimsoll-virsh-'));
    const differences: string[] = [];
    const models = new Set<string>();
    let refused = 0;
    try {
      for (let done = 0; done < sample; done += BATCH) {
        const batch = Array.from({ length: Math.min(BATCH, sample - done) }, (_, i) => {
          const fleet = randomFleet(next);
          const path = join(folder, `${i}.xml`);
          writeFileSync(path, fleet.map(writeLibvirtCpu).join(''));
          return { fleet, path, expand: next() < 0.3 };
        });
        for (const [i, theirs] of virsh(batch).entries()) {
          const { fleet, expand } = batch[i]!;
          const own = ours(fleet, expand);
          if (theirs === 'refused\n') refused++;
          else models.add(/<model[^>]*>([^<]+)/.exec(theirs)![1]!);
          if (own !== theirs)
            differences.push(`${fleet.map(writeLibvirtCpu).join('')}virsh: ${theirs}ours: ${own}`);
        }
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
    console.log(
      `libvirt-rules: ${sample} fleets, ${refused} refused, ${models.size} models in the answers (seed ${seed})`,
    );
    assert.is(differences.length, 0, `${differences.length} differ, first:\n${differences[0]}`);
    assert.ok(refused < sample / 2, 'most fleets have an answer');
    assert.ok(models.size > 10, 'answers differ');
  });
} else sayMissing('random fleets against virsh', 'virsh with its cpu_map');

test.run();
