// The other ways to answer from text, each a program of its own: counts of features over all hosts, as JSON.
import { createReadStream, openSync, readFileSync, readSync } from 'node:fs';
import { SaxesParser } from 'saxes';

type Counts = { hosts: number; features: Record<string, number> };

/** A number for each name, and how many hosts have it. */
class Tally {
  readonly #ids = new Map<string, number>();
  readonly #counts: number[] = [];
  hosts = 0;

  /** As a bitset, as one who cares for speed would. */
  bits(names: readonly string[]): void {
    const row = new Uint32Array(16);
    for (const name of names) {
      let id = this.#ids.get(name);
      if (id === undefined) {
        id = this.#ids.size;
        this.#ids.set(name, id);
        this.#counts.push(0);
      }
      row[id >> 5]! |= 1 << (id & 31);
    }
    for (let i = 0; i < 16; i++)
      for (let rest = row[i]!; rest !== 0; rest &= rest - 1)
        this.#counts[i * 32 + (31 - Math.clz32(rest & -rest))]!++;
    this.hosts++;
  }

  result(): Counts {
    const features = [...this.#ids].map(([name, id]) => [name, this.#counts[id]!] as const);
    return { hosts: this.hosts, features: Object.fromEntries(features) };
  }
}

async function lines(file: string, each: (line: string) => void): Promise<void> {
  let rest = '';
  for await (const chunk of createReadStream(file, { encoding: 'utf8', highWaterMark: 1 << 20 })) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop()!;
    for (const line of parts) each(line);
  }
  if (rest !== '') each(rest);
}

async function jsonBitset(file: string): Promise<Counts> {
  const tally = new Tally();
  await lines(file, (line) => {
    if (line !== '') tally.bits(JSON.parse(line).features);
  });
  return tally.result();
}

async function cpuinfoSet(file: string): Promise<Counts> {
  const counts = new Map<string, number>();
  let hosts = 0;
  await lines(file, (line) => {
    if (!line.startsWith('flags')) return;
    const flags = new Set(line.slice(line.indexOf(':') + 2).split(' '));
    for (const flag of flags) counts.set(flag, (counts.get(flag) ?? 0) + 1);
    hosts++;
  });
  return { hosts, features: Object.fromEntries(counts) };
}

/** Every document parsed by the library that the product parses with. */
function xml(...files: string[]): Counts {
  let hosts = 0;
  const parse = (text: string) => {
    const parser = new SaxesParser({ xmlns: false });
    parser.on('opentag', ({ name }) => {
      if (name === 'cpu') hosts++;
    });
    parser.write(text).close();
  };
  for (const file of files) {
    const text = readFileSync(file, 'utf8');
    if (text.startsWith('<hosts>'))
      for (const piece of text.split('</capabilities>').slice(0, -1))
        parse(`${piece.slice(piece.indexOf('<capabilities>'))}</capabilities>`);
    else parse(text);
  }
  return { hosts, features: {} };
}

function readOnly(...files: string[]): Counts {
  const buffer = new Uint8Array(1 << 20);
  for (const file of files) {
    const fd = openSync(file, 'r');
    while (readSync(fd, buffer) > 0);
  }
  return { hosts: 0, features: {} };
}

async function duckdb(file: string): Promise<Counts> {
  const { DuckDBInstance } = await import('@duckdb/node-api' as string);
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const from = `read_json('${file}', format = 'newline_delimited', columns = {features: 'VARCHAR[]'})`;
  const rows = await connection.runAndReadAll(
    `SELECT name, count(*) n FROM (SELECT unnest(features) AS name FROM ${from}) GROUP BY name`,
  );
  const features = Object.fromEntries(
    rows.getRows().map(([name, n]: [string, bigint]) => [name, Number(n)]),
  );
  return { hosts: 0, features };
}

const PEERS: Record<string, (...files: string[]) => Counts | Promise<Counts>> = {
  'json-bitset': jsonBitset,
  'cpuinfo-set': cpuinfoSet,
  duckdb,
  xml,
  read: readOnly,
};
const [peer, ...files] = process.argv.slice(2);
console.log(JSON.stringify(await PEERS[peer!]!(...files)));
