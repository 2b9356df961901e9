// How good the answers of planning are, and how fast: pools beside plain restarts, greedy agglomeration and HiGHS in
// one run, the frontier, and guests on hosts.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { bitsOf, rowOf } from '../src/core/rows.ts';
import { type Catalog, loadCatalog } from '../src/cpu/catalog/catalog.ts';
import { parseStack } from '../src/cpu/catalog/software.ts';
import type { Description } from '../src/cpu/description.ts';
import { needing } from '../src/cpu/need.ts';
import { candidate, Fleet } from '../src/fleet/fleet.ts';
import { blame } from '../src/solve/blame/blame.ts';
import { asking } from '../src/solve/fit/fit.ts';
import { Board, sidesOf } from '../src/solve/line/board.ts';
import { place } from '../src/solve/place.ts';
import { groups } from '../src/solve/pools/groups.ts';
import {
  greedy,
  integerProgram,
  loadHighs,
  type PlainClass,
  randomRestarts,
} from './plan-peers.ts';
import { mulberry32 } from './random.ts';

const RESTARTS = 1000;
const SIZES = [16, 30, 50, 200];
/** Two vendors need a pool each. */
const POOLS = [2, 3, 4, 6];
/** HiGHS is asked only what it has a chance to finish. */
const HIGHS_CLASSES = 30;
const HIGHS_POOLS = 3;
const HIGHS_SECONDS = 60;

export async function bench(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string', default: '1' },
      classes: { type: 'string', default: SIZES.join() },
      restarts: { type: 'string', default: String(RESTARTS) },
    },
  });
  const seed = Number(values.seed);
  const sizes = values.classes.split(',').map(Number);
  const restarts = Number(values.restarts);
  console.log(
    `${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.versions.node}, seed ${seed}`,
  );
  const catalog = await loadCatalog();
  const highs = await loadHighs();
  if (highs === null) console.log('HiGHS: missing (npm install --no-save highs)');
  console.log(`\nPools: share of what ours keep (1 is as good, less is worse) and seconds\n`);
  line('classes', 'k', 'ours', 'kept / bound', 'greedy', `${restarts} restarts`, 'HiGHS');
  let below = 0;
  for (const size of sizes) {
    const fleet = madeUpFleet(catalog, size, seed + size);
    const classes = plainClasses(fleet, catalog);
    for (const k of POOLS) {
      const stack = parseStack(catalog, 'newest');
      const [answer, took] = timed(() => groups(fleet, { pools: k, stack }));
      const [agglomerated, tookGreedy] = timed(() => greedy(classes, k));
      const [restarted, tookRestarts] = timed(() => randomRestarts(classes, k, restarts, seed));
      const [solved, tookHighs] = timed(() =>
        highs !== null && size <= HIGHS_CLASSES && k <= HIGHS_POOLS
          ? integerProgram(highs, classes, k, HIGHS_SECONDS)
          : undefined,
      );
      if (answer.kept < restarted || (solved ?? 0) > answer.bound) below++;
      const share = (kept: number) => (kept / answer.kept).toFixed(4);
      line(
        String(size),
        String(k),
        seconds(took),
        `${(answer.kept / answer.bound).toFixed(4)}${answer.exact ? ' exact' : ''}`,
        `${share(agglomerated)}  ${seconds(tookGreedy)}`,
        `${share(restarted)}  ${seconds(tookRestarts)}`,
        solved === undefined
          ? '-'
          : solved === null
            ? `not in ${HIGHS_SECONDS} s`
            : `${share(solved)}  ${seconds(tookHighs)}`,
      );
    }
    const [answer, took] = timed(() =>
      groups(fleet, { pools: 4, least: 20, stack: parseStack(catalog, 'newest') }),
    );
    line(
      String(size),
      '4',
      seconds(took),
      `${(answer.kept / answer.bound).toFixed(4)}${answer.exact ? ' exact' : ''}`,
      'at least 20 hosts a pool',
    );
  }
  console.log(
    below === 0
      ? `\nours is never below the best of ${restarts} restarts: reached`
      : `\nours is below a peer ${below} times: NOT reached`,
  );
  frontiers(catalog, sizes, seed);
  for (const definitions of [500, 10_000]) placements(catalog, seed, definitions);
}

const line = (...cells: string[]): void =>
  console.log(
    cells
      .map((cell, i) => cell.padEnd([9, 4, 10, 16, 20, 20, 20][i] ?? 0))
      .join('')
      .trimEnd(),
  );

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;

/** Time of this process alone, so that others on the machine do not count. */
function timed<T>(run: () => T): [T, number] {
  const started = process.cpuUsage();
  const answer = run();
  return [answer, process.cpuUsage(started).user / 1000];
}

/** Two vendors, eight generations each of which adds features, some of them missing here and there. */
function madeUpFleet(catalog: Catalog, size: number, seed: number): Fleet {
  const random = mulberry32(seed);
  const free = catalog.features.filter(
    (f) =>
      f.merge === 'all' &&
      f.migratable &&
      f.needs.length === 0 &&
      f.qemu === '7.2' &&
      f.libvirt?.since === '9.0' &&
      !f.name.startsWith('vmx') &&
      !f.name.startsWith('kvm') &&
      f.places.every((p) => p.kind === 'cpuid'),
  );
  const vendors = ['Intel', 'AMD'].map((name) => ({
    name,
    since: free.map(() =>
      random() < 0.35 ? 0 : random() < 0.4 ? 99 : 1 + Math.floor(random() * 8),
    ),
  }));
  const seen = new Set<string>();
  const hosts = [];
  while (seen.size < size) {
    const vendor = vendors[random() < 0.65 ? 0 : 1]!;
    const generation = 1 + Math.floor(random() * 8);
    const features = free.filter((_, i) => vendor.since[i]! <= generation && random() > 0.02);
    const key = `${vendor.name} ${features.map((f) => f.id).join()}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const has = rowOf(
      catalog.bits,
      features.map((f) => f.id),
    );
    const known = rowOf(catalog.bits, catalog.features.keys());
    const weight = Math.max(1, Math.round(1000 / seen.size));
    for (let n = 0; n < weight; n++)
      hosts.push(candidate(catalog, `${seen.size}-${n}`, describe(has, known, vendor.name)));
  }
  return new Fleet(catalog, hosts);
}

const describe = (has: Uint32Array, known: Uint32Array, vendor: string): Description => ({
  dialect: 'records',
  line: null,
  host: null,
  view: 'hypervisor',
  arch: 'x86_64',
  vendor,
  has,
  known,
  unnamed: [],
  unnamedUnknown: [],
  limits: { physBits: 46 },
  signature: null,
  microcode: null,
  xsave: null,
  models: null,
  machine: null,
  qemu: null,
  kernel: null,
  model: null,
  element: null,
  keys: {},
  notes: [],
});

/** The classes as the peers take them: what guests can be given on each. */
function plainClasses(fleet: Fleet, catalog: Catalog): PlainClass[] {
  return sidesOf(fleet).flatMap((side, vendor) => {
    const board = new Board(side.fleet, { stack: parseStack(catalog, 'newest') });
    return board.rows.map((row, i) => ({
      features: bitsOf(row),
      weight: side.fleet.weights[i]!,
      vendor,
    }));
  });
}

function frontiers(catalog: Catalog, sizes: readonly number[], seed: number): void {
  console.log(
    '\nFrontier: points, how many of them are proven, seconds of the whole answer of blame\n',
  );
  line('classes', '', 'points', 'proven', 'seconds');
  for (const size of sizes) {
    const fleet = madeUpFleet(catalog, size, seed + size);
    const [answer, took] = timed(() => blame(fleet, { stack: parseStack(catalog, 'newest') }));
    const points = answer.sides!.flatMap((side) => side.frontier);
    const proven = points.filter((p) => p.exact).length;
    line(String(size), '', String(points.length), String(proven), seconds(took));
  }
}

/** 10,000 guests by so many definitions, each a model with some of its features taken away. */
function placements(catalog: Catalog, seed: number, definitions: number): void {
  const random = mulberry32(seed);
  const models = [...catalog.qemuModels.values()].filter((m) => m.kind === 'versioned');
  const known = rowOf(catalog.bits, catalog.features.keys());
  const rows = models.map(
    (m) => catalog.qemuFeatures(m.name, catalog.versions.qemu.at(-1)!) ?? known,
  );
  const pick = () => Math.floor(random() * rows.length);
  const hosts = Array.from({ length: 100_000 }, (_, i) => {
    const model = pick();
    return candidate(
      catalog,
      `host-${i}`,
      describe(rows[model]!, known, models[model]!.vendor ?? 'Intel'),
    );
  });
  const fleet = new Fleet(catalog, hosts);
  const defined = Array.from({ length: definitions }, () => {
    const bits = bitsOf(rows[pick()]!).filter(() => random() > 0.01);
    return rowOf(catalog.bits, bits);
  });
  const asks = defined.map((features) =>
    asking(needing(rowOf(catalog.bits, []), { arch: 'x86_64', features })),
  );
  const needs = Array.from({ length: 10_000 }, (_, i) => ({
    id: `guest-${i}`,
    asks: asks[i % definitions]!,
  }));
  const distinct = new Set(defined.map((row) => row.join())).size;
  const [, took] = timed(() => place(fleet, needs, { lose: 2, drain: ['host-0'] }));
  console.log(
    `\nPlace: 10,000 guests (${distinct} different) on 100,000 hosts (${fleet.classes.length} classes): ${seconds(took)}`,
  );
}
