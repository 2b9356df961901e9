// A QEMU asked for all that it makes of CPU names: one paused process a machine type, and none outlives its answers.
import { createHash } from 'node:crypto';
import { createReadStream, promises as fs, openSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Catalog, loadCatalog } from '../../cpu/catalog/catalog.ts';
import type { LearntQemu } from '../../cpu/catalog/learnt-qemu.ts';
import { QueryError } from '../../cpu/errors.ts';
import { readLearntQemu } from '../../dialects/learnt/learnt-catalog.ts';
import {
  compose,
  everything,
  FAREWELL,
  INVENTORY,
  machineQuestions,
  type OnMachine,
  readInventory,
  readMachine,
  readTcg,
  TCG,
} from '../../dialects/learnt/qemu-questions.ts';
import { readWhole, WITHOUT_WAITING } from '../input/inputs.ts';
import { progressOn } from '../input/progress.ts';
import { type Io, reasonOf } from '../io.ts';
import { ask } from './program.ts';

export interface LearnOptions {
  readonly output?: string;
  readonly quiet?: true;
  /** Seconds for each process. */
  readonly timeout: number;
}

/** More only wait for each other. */
const AT_ONCE = 2;

/**
 * What a QEMU says, or what the output file has of the same binary.
 * @throws QueryError for whatever is no QEMU, does not answer in time, or ends before it has.
 */
export async function askQemu(
  io: Io,
  binary: string,
  options: LearnOptions,
): Promise<{ learnt: LearntQemu; isCached: boolean }> {
  const sha256 = await digestOf(await find(binary, io.env));
  const before = await cached(options.output, sha256);
  if (before) return { learnt: before, isCached: true };
  const catalog = await loadCatalog();
  const session = (machine: string, input: string, cpu: readonly string[] = []) =>
    ask(
      binary,
      [
        ...['-machine', `${machine},accel=tcg`, ...cpu],
        ...['-nodefaults', '-display', 'none', '-S', '-qmp', 'stdio'],
      ],
      { timeout: options.timeout * 1000, env: io.env, input, later: FAREWELL },
    );
  const inventory = read(binary, readInventory, catalog, await session('none', INVENTORY));
  const all = await session(inventory.main, TCG, ['-cpu', everything(inventory)]);
  const tcg = read(binary, (c, text) => readTcg(c, inventory, text), catalog, all);
  const questions = machineQuestions(catalog, inventory);
  const sessions = new Map<string, OnMachine>();
  const refused: { machine: string; reason: string }[] = [];
  const waiting = inventory.machines.map((m) => m.name);
  const say = progressOn(io.stderr, options.quiet ?? false, 'machine types');
  const work = async () => {
    for (let machine = waiting.shift(); machine !== undefined; machine = waiting.shift()) {
      const text = await session(machine, questions).catch((error: unknown) => {
        if (!(error instanceof QueryError)) throw error;
        refused.push({ machine, reason: error.message });
        return null;
      });
      if (text !== null)
        sessions.set(
          machine,
          read(binary, (c, t) => readMachine(c, inventory, t), catalog, text),
        );
      say(sessions.size + refused.length, inventory.machines.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (sessions.size === 0) throw new QueryError(refused[0]!.reason);
  return { learnt: compose(inventory, tcg, sha256, sessions, refused), isCached: false };
}

/** What a reader makes of replies; what is wrong with them is said of the binary. */
function read<T>(
  binary: string,
  reader: (catalog: Catalog, text: string) => T,
  catalog: Catalog,
  text: string,
): T {
  try {
    return reader(catalog, text);
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    throw new QueryError(`${binary} cannot be learnt: ${error.message}`);
  }
}

/** The file of a command, as a shell finds it. */
async function find(binary: string, env: Io['env']): Promise<string> {
  if (binary.includes('/')) return binary;
  for (const directory of (env.PATH ?? '').split(delimiter)) {
    const path = join(directory, binary);
    const is = await fs.stat(path).catch(() => null);
    if (is?.isFile()) return path;
  }
  throw new QueryError(`${binary} is not installed here; give the path of a QEMU`);
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  try {
    const is = await fs.stat(path);
    if (!is.isFile()) throw new QueryError(`${path} is no program; give the path of a QEMU`);
    for await (const chunk of createReadStream(path, { fd: openSync(path, WITHOUT_WAITING) }))
      hash.update(chunk);
  } catch (error) {
    if (error instanceof QueryError) throw error;
    throw new QueryError(`cannot read ${path}: ${reasonOf(error)}`);
  }
  return hash.digest('hex');
}

/** What the output file has learnt of this very binary, if it has. */
async function cached(output: string | undefined, sha256: string): Promise<LearntQemu | null> {
  if (output === undefined || output === '-') return null;
  try {
    // A pipe is written to alone.
    if (!(await fs.stat(output)).isFile()) return null;
    const learnt = readLearntQemu({ name: output, bytes: readWhole(output) });
    return learnt.sha256 === sha256 ? learnt : null;
  } catch {
    // No such file, or another that is to be written over: then QEMU is asked.
    return null;
  }
}
