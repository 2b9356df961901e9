// The baseline of many host elements as whole processes: ours under libvirt's rules beside virsh cpu-baseline, with
// the map of the very libvirt that is installed, so that both must say the same.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadCatalog } from '../src/cpu/catalog/catalog.ts';
import { catalogMap, type LibvirtMap } from '../src/cpu/catalog/libvirt-map.ts';
import { writeLibvirtCpu } from '../src/dialects/libvirt/libvirt-write.ts';
import { hostStub } from '../src/solve/libvirt/spelt-out.ts';
import { mulberry32 } from './random.ts';

const SIZES = [10, 256, 1000, 12_000, 100_000];
/** Distinct CPUs of a fleet as fleets are: a few SKUs with a few microcodes each. */
const DISTINCT = 200;
/** What libvirt lists beside the model of an Intel host; some of it, as virsh reads no file above 10 MiB. */
const OF_HOSTS =
  'ds acpi ss ht tm pbe dtes64 monitor ds_cpl vmx smx est tm2 xtpr pdcm dca osxsave tsc_adjust clflushopt intel-pt md-clear stibp arch-capabilities ssbd xsaves invtsc rdctl-no ibrs-all skip-l1dfl-vmentry mds-no pschange-mc-no tsx-ctrl'.split(
    ' ',
  );
const CPU_MAP = '/usr/share/libvirt/cpu_map';
const TIMEOUT = 300_000;

interface Run {
  readonly ms: number;
  readonly said: string;
}

export async function bench(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string', default: '1' },
      runs: { type: 'string', default: '5' },
      bin: { type: 'string', default: 'dist/bin.js' },
    },
  });
  const runs = Number(values.runs);
  if (!existsSync(values.bin))
    throw new Error(`${values.bin} is not there; npm run build makes it`);
  const hasVirsh = existsSync(CPU_MAP) && spawnSync('virsh', ['--version']).status === 0;
  console.log(
    `${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.versions.node}, seed ${values.seed}, median of ${runs} interleaved runs`,
  );
  if (!hasVirsh) console.log('virsh: missing, so there is nothing to measure against');
  const folder = mkdtempSync(join(tmpdir(), 'plimsoll-bench-'));
  try {
    const learnt = join(folder, 'learnt.json');
    const stack = hasVirsh ? ['--catalog', learnt] : ['--stack', 'libvirt@9.0'];
    if (hasVirsh)
      timed(process.execPath, [values.bin, 'learn', '--libvirt', CPU_MAP, '-o', learnt]);
    const map = catalogMap(await loadCatalog(), '9.0');
    for (const [title, distinct] of [
      [`of ${DISTINCT} distinct CPUs, Zipf`, DISTINCT],
      ['all different', Number.POSITIVE_INFINITY],
    ] as const) {
      console.log(`\nhost elements ${title}`);
      line('hosts', 'file', 'node -e 0', 'ours', 'virsh', 'ratio', 'without Node');
      for (const size of SIZES) measure(size, distinct);
    }
    function measure(size: number, distinct: number): void {
      const path = join(folder, `${size}.xml`);
      const text = hosts(map, size, Math.min(size, distinct), Number(values.seed));
      writeFileSync(path, text);
      const ours = [
        values.bin,
        'baseline',
        '--rules',
        'libvirt',
        '--to',
        'libvirt',
        ...stack,
        path,
      ];
      const all = Array.from({ length: runs }, () => ({
        node: timed(process.execPath, ['-e', '0']),
        ours: timed(process.execPath, ours),
        virsh: hasVirsh ? timed('virsh', ['-c', 'test:///default', 'cpu-baseline', path]) : null,
      }));
      const node = median(all.map((a) => a.node.ms));
      const own = median(all.map((a) => a.ours.ms));
      const theirs =
        all[0]!.virsh?.said === '' ? null : median(all.map((a) => a.virsh?.ms ?? Number.NaN));
      if (theirs !== null && hasVirsh && all[0]!.virsh!.said !== all[0]!.ours.said)
        throw new Error(
          `ours and virsh differ about ${size} hosts: ${all[0]!.ours.said} ${all[0]!.virsh!.said}`,
        );
      line(
        size.toLocaleString('en-US'),
        `${(text.length / 1e6).toFixed(1)} MB`,
        `${node.toFixed(0)} ms`,
        `${own.toFixed(0)} ms`,
        theirs === null ? 'gives up' : `${theirs.toFixed(0)} ms`,
        theirs === null ? '' : `${(theirs / own).toFixed(2)} x`,
        theirs === null ? '' : `${(theirs / (own - node)).toFixed(2)} x`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Hosts of one vendor, so many distinct ones, the n-th of them in proportion to 1/n. */
function hosts(map: LibvirtMap, size: number, distinct: number, seed: number): string {
  const next = mulberry32(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(next() * from.length)]!;
  const models = map.models.filter(
    (m) => m.vendor === 'Intel' && m.decodeHost && /Server|Haswell|Broadwell/.test(m.name),
  );
  const listed = OF_HOSTS.filter((name) => map.feature(name));
  const all = Array.from({ length: distinct }, (_, i) =>
    writeLibvirtCpu({
      ...hostStub('x86_64'),
      model: pick(models).name,
      vendor: 'Intel',
      microcode: String(0x200_0000 + i),
      topology: { sockets: 1, dies: 1, clusters: 1, cores: pick([8, 16, 24, 32]), threads: 2 },
      features: listed.filter(() => next() < 0.7).map((name) => ({ name, policy: null })),
    }),
  );
  if (distinct === size) return all.join('');
  return Array.from({ length: size }, () => all[Math.floor(distinct ** next()) - 1]!).join('');
}

function timed(command: string, args: readonly string[]): Run {
  const from = performance.now();
  const { stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: TIMEOUT,
    maxBuffer: 1 << 28,
  });
  return { ms: performance.now() - from, said: stdout.trim() };
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

const line = (...cells: readonly string[]) =>
  console.log(cells.map((c) => c.padStart(13)).join(''));
