// How fast text becomes an answer: whole processes with default options, we and the peers in turn, the best of some
// rounds; on our side, and on that of peers in Node, the time of `node -e 0` in the same run is taken off.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const BIN = fileURLToPath(new URL('../../dist/bin.js', import.meta.url));
const PEERS = fileURLToPath(new URL('./ingest-peers.js', import.meta.url));
const TIMEOUT_MS = 600_000;
const MB = 1e6;

interface Run {
  readonly seconds: number;
  /** Peak resident memory in MB, where GNU time is there. */
  readonly memory: number | null;
  readonly stdout: string;
}

const GNU_TIME = existsSync('/usr/bin/time');

function run(command: readonly string[]): Run {
  const timed = GNU_TIME ? ['/usr/bin/time', '-f', '%M', ...command] : command;
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(timed[0]!, timed.slice(1), {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    maxBuffer: 1 << 30,
  });
  const seconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${command.join(' ').slice(0, 200)}: ${stderr}`);
  const memory = GNU_TIME ? Number(stderr.trim().split('\n').at(-1)) / 1024 : null;
  return { seconds, memory, stdout };
}

interface Contender {
  readonly name: string;
  readonly command: readonly string[];
  /** What starting Node costs is not counted. */
  readonly node: boolean;
  /** Its input is so many times smaller than ours, because it would take minutes. */
  readonly sample?: number;
}

interface Best extends Run {
  readonly contender: Contender;
}

/** Everybody in turn, so that what slows the machine slows all; the best round counts. */
function race(contenders: readonly Contender[], rounds: number): Map<string, Best> {
  const best = new Map<string, Best>();
  const idle = { name: 'node -e 0', command: [process.execPath, '-e', '0'], node: false };
  for (let round = 0; round < rounds; round++)
    for (const contender of [idle, ...contenders]) {
      const found = run(contender.command);
      const before = best.get(contender.name);
      if (!before || found.seconds < before.seconds)
        best.set(contender.name, { ...found, contender });
    }
  return best;
}

function report(title: string, best: Map<string, Best>, bytes: number, ours: string): void {
  const idle = best.get('node -e 0')!.seconds;
  const net = ({ seconds, contender }: Best) =>
    Math.max(seconds - (contender.node ? idle : 0), 1e-3) * (contender.sample ?? 1);
  const own = net(best.get(ours)!);
  console.log(
    `\n${title} (${(bytes / MB).toFixed(0)} MB; node -e 0 takes ${(idle * 1000).toFixed(0)} ms)`,
  );
  for (const [name, found] of best) {
    if (name === 'node -e 0') continue;
    const seconds = net(found);
    const memory = found.memory === null ? '' : `${found.memory.toFixed(0)} MB`;
    const sample = found.contender.sample ? ` of 1/${found.contender.sample}, scaled` : '';
    console.log(
      `  ${name.padEnd(34)} ${seconds.toFixed(2).padStart(8)} s ${(bytes / MB / seconds).toFixed(0).padStart(7)} MB/s ${memory.padStart(8)}  ${(seconds / own).toFixed(2).padStart(7)} × ours${sample}`,
    );
  }
}

/** Holds our counts against a peer's: each feature that every host has, and each that some lack. */
function check(own: string, peer: string): void {
  const answer = JSON.parse(own);
  const { hosts, features } = JSON.parse(peer);
  if (hosts !== 0 && answer.hosts !== hosts) throw new Error(`${answer.hosts} hosts, not ${hosts}`);
  const total = hosts === 0 ? answer.hosts : hosts;
  for (const { feature, have } of answer.lost)
    if (features[feature] !== have)
      throw new Error(`${feature}: we count ${have}, the peer ${features[feature]}`);
  for (const name of answer.features)
    if (name in features && features[name] !== total) throw new Error(`not every host has ${name}`);
}

export async function bench(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      hosts: { type: 'string', default: '3000000' },
      shuffled: { type: 'string', default: '1000000' },
      documents: { type: 'string', default: '10000' },
      rounds: { type: 'string', default: '5' },
      only: { type: 'string', default: 'records,shuffled,cpuinfo,libvirt,memory,start' },
      keep: { type: 'string' },
    },
  });
  if (!existsSync(BIN)) throw new Error('npm run build comes first: the command itself is timed');
  const rounds = Number(values.rounds);
  const only = values.only.split(',');
  const dir = values.keep ?? mkdtempSync(join(tmpdir(), 'plimsoll-ingest-'));
  mkdirSync(dir, { recursive: true });
  console.log(
    `${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.versions.node}, best of ${rounds}`,
  );
  try {
    if (only.includes('records')) records(dir, Number(values.hosts), rounds);
    if (only.includes('shuffled')) shuffled(dir, Number(values.shuffled), rounds);
    if (only.includes('cpuinfo')) cpuinfo(dir, rounds);
    if (only.includes('libvirt')) libvirt(dir, Number(values.documents), rounds);
    if (only.includes('memory')) memory(dir);
    if (only.includes('start')) start(dir);
  } finally {
    if (values.keep === undefined) rmSync(dir, { recursive: true });
  }
}

const node = (...args: string[]) => [process.execPath, ...args];
const ask = (...args: string[]) => node(BIN, 'baseline', '--json', ...args);
const peer = (name: string, ...files: string[]) => node(PEERS, name, ...files);

function synth(file: string, hosts: number, ...args: string[]): string {
  if (!existsSync(file))
    run(node(BIN, 'synth', '--hosts', `${hosts}`, '--seed', '1', ...args, '-o', file));
  return file;
}

const bytesOf = (file: string) => Number(run(['stat', '-c', '%s', file]).stdout);

/** The first part of a file in whole lines. */
function head(file: string, lines: number): string {
  const part = `${file}.head`;
  if (!existsSync(part)) run(['sh', '-c', `head -n ${lines} '${file}' > '${part}'`]);
  return part;
}

function hasDuckdb(): boolean {
  return existsSync(fileURLToPath(new URL('../../node_modules/@duckdb/node-api', import.meta.url)));
}

function records(dir: string, hosts: number, rounds: number): void {
  const file = synth(join(dir, 'records.ndjson'), hosts);
  const sample = Math.max(1, Math.round(hosts / 100_000));
  const part = head(file, Math.ceil(hosts / sample));
  const contenders: Contender[] = [
    { name: 'wc -l', command: ['wc', '-l', file], node: false },
    { name: 'plimsoll, 1 thread', command: ask('--threads', '1', file), node: true },
    { name: 'plimsoll, 2 threads', command: ask('--threads', '2', file), node: true },
    { name: 'JSON.parse + bitset', command: peer('json-bitset', part), node: true, sample },
  ];
  if (hasDuckdb()) contenders.push({ name: 'DuckDB', command: peer('duckdb', file), node: true });
  else console.log('DuckDB: missing (npm install --no-save @duckdb/node-api)');
  const best = race(contenders, rounds);
  check(run(ask(part)).stdout, best.get('JSON.parse + bitset')!.stdout);
  const duckdb = best.get('DuckDB');
  if (duckdb) check(best.get('plimsoll, 2 threads')!.stdout, duckdb.stdout);
  report(
    `${hosts.toLocaleString('en-US')} host records`,
    best,
    bytesOf(file),
    'plimsoll, 2 threads',
  );
}

function shuffled(dir: string, hosts: number, rounds: number): void {
  const file = synth(join(dir, 'shuffled.ndjson'), hosts, '--shuffle');
  const sample = Math.max(1, Math.round(hosts / 100_000));
  const part = head(file, Math.ceil(hosts / sample));
  const best = race(
    [
      { name: 'plimsoll, 1 thread', command: ask('--threads', '1', file), node: true },
      { name: 'plimsoll, 2 threads', command: ask('--threads', '2', file), node: true },
      { name: 'JSON.parse + bitset', command: peer('json-bitset', part), node: true, sample },
    ],
    rounds,
  );
  check(run(ask(part)).stdout, best.get('JSON.parse + bitset')!.stdout);
  report('every list in an order of its own', best, bytesOf(file), 'plimsoll, 1 thread');
}

function cpuinfo(dir: string, rounds: number): void {
  for (const [hosts, processors] of [
    [15_000, 64],
    [900_000, 1],
  ] as const) {
    const file = join(dir, `cpuinfo-${processors}.txt`);
    synth(file, hosts, '--to', 'cpuinfo', '--processors', `${processors}`);
    const best = race(
      [
        { name: 'plimsoll', command: ask(file), node: true },
        { name: 'plimsoll, 1 thread', command: ask('--threads', '1', file), node: true },
        { name: 'split + Set', command: peer('cpuinfo-set', file), node: true },
      ],
      rounds,
    );
    const answer = JSON.parse(best.get('plimsoll')!.stdout);
    const { hosts: blocks, features } = JSON.parse(best.get('split + Set')!.stdout);
    if (answer.hosts * processors !== blocks)
      throw new Error(`${answer.hosts} hosts, not ${hosts}`);
    for (const { feature, have } of answer.lost)
      if (feature in features && have * processors !== features[feature])
        throw new Error(`${feature}: we count ${have}, the peer ${features[feature]}`);
    report(`/proc/cpuinfo, ${processors} to a host`, best, bytesOf(file), 'plimsoll');
  }
}

function libvirt(dir: string, documents: number, rounds: number): void {
  const file = synth(join(dir, 'libvirt.xml'), documents, '--to', 'libvirt');
  const folder = join(dir, 'libvirt');
  if (!existsSync(folder)) {
    mkdirSync(folder);
    const pieces = readFileSync(file, 'utf8').split('</capabilities>').slice(0, -1);
    for (const [i, piece] of pieces.entries())
      writeFileSync(
        join(folder, `host-${i}.xml`),
        `${piece.slice(piece.indexOf('<capabilities>'))}</capabilities>\n`,
      );
  }
  const files = readdirSync(folder).map((name) => join(folder, name));
  const together = race(
    [
      { name: 'plimsoll', command: ask(file), node: true },
      { name: 'saxes, each document', command: peer('xml', file), node: true },
    ],
    rounds,
  );
  report(`${documents} capability documents in one file`, together, bytesOf(file), 'plimsoll');
  const apart = race(
    [
      { name: 'plimsoll', command: ask(folder), node: true },
      { name: 'saxes, each document', command: peer('xml', ...files), node: true },
      { name: 'open and read', command: peer('read', ...files), node: true },
    ],
    rounds,
  );
  report(`${documents} capability documents as files`, apart, bytesOf(file), 'plimsoll');
}

function memory(dir: string): void {
  if (!GNU_TIME) {
    console.log('memory: missing (apt-get install time)');
    return;
  }
  const file = synth(join(dir, 'million.ndjson'), 1_000_000);
  console.log('\npeak memory of 1,000,000 hosts');
  for (const threads of ['1', '2'])
    for (const ids of [[], ['--no-ids']]) {
      const found = run(ask('--threads', threads, ...ids, file));
      console.log(
        `  --threads ${threads} ${(ids[0] ?? 'with ids').padEnd(10)} ${found.memory!.toFixed(0)} MB`,
      );
    }
}

function start(dir: string): void {
  const small = readFileSync(synth(join(dir, 'small.ndjson'), 60), 'utf8')
    .trim()
    .split('\n');
  const files = (hosts: number) =>
    [0, 1, 2].map((n) => {
      const file = join(dir, `small-${hosts}-${n}.ndjson`);
      writeFileSync(file, `${small.slice(n * 20, n * 20 + hosts).join('\n')}\n`);
      return file;
    });
  const documents = [1, 2, 3].map((n) =>
    synth(join(dir, `small-${n}.xml`), 1, '--to', 'libvirt', '--seed', `${n}`),
  );
  const best = race(
    [
      { name: 'three files of a record', command: ask(...files(1)), node: false },
      { name: 'three files of 20 records', command: ask(...files(20)), node: false },
      { name: 'three libvirt documents', command: ask(...documents), node: false },
    ],
    25,
  );
  const idle = best.get('node -e 0')!.seconds;
  console.log(`\nstart, minimum of 25 (node -e 0 takes ${(idle * 1000).toFixed(0)} ms)`);
  for (const [name, { seconds }] of best)
    console.log(
      `  ${name.padEnd(34)} ${(seconds * 1000).toFixed(0)} ms  ${(seconds / idle).toFixed(2)} ×`,
    );
}
