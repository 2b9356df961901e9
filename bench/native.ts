// A native program to measure against, built for this machine when the benchmark runs.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const FLAGS = ['-O3', '-march=native'];

/** Why there is no native program to measure. */
export interface Missing {
  readonly missing: string;
}

/** A running native program that takes commands. */
export interface Native {
  /** Compiler, version and flags. */
  readonly compiler: string;
  /** Nanoseconds of processor time of one run of a kernel. */
  time(kernel: string): Promise<number>;
  /** What one run of a kernel answers. */
  show(kernel: string): Promise<Uint32Array>;
  stop(): void;
}

/** Builds the C file and starts it on rows and a need. */
export async function startNative(
  source: string,
  bits: number,
  words: Uint32Array,
  needs: Uint32Array,
): Promise<Native | Missing> {
  const cc = process.env.CC ?? 'cc';
  const version = spawnSync(cc, ['--version'], { encoding: 'utf8' });
  if (version.status !== 0) return { missing: `no C compiler (${cc})` };
  const dir = mkdtempSync(join(tmpdir(), 'plimsoll-bench-'));
  const program = join(dir, 'kernels');
  const built = spawnSync(cc, [...FLAGS, `-DBITS=${bits}`, source, '-o', program], {
    encoding: 'utf8',
  });
  if (built.status !== 0) {
    rmSync(dir, { recursive: true });
    return {
      missing: `${cc} ${FLAGS.join(' ')}: ${built.stderr.trim().split('\n')[0] ?? 'failed'}`,
    };
  }
  const rows = (words.length * 32) / bits;
  const child = spawn(program, [String(rows)], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child, 'spawn');
  rmSync(dir, { recursive: true });
  child.stdin.write(bytesOf(words));
  child.stdin.write(bytesOf(needs));
  const read = reader(child);
  const line = async () => {
    let text = '';
    for (let c = await read(1); c[0] !== 10; c = await read(1)) text += c.toString();
    return Number(text);
  };
  return {
    compiler: `${version.stdout.split('\n')[0]} ${FLAGS.join(' ')}`,
    async time(kernel) {
      child.stdin.write(`time ${kernel}\n`);
      return await line();
    },
    async show(kernel) {
      child.stdin.write(`show ${kernel}\n`);
      return new Uint32Array(new Uint8Array(await read(await line())).buffer);
    },
    stop: () => void child.stdin.end(),
  };
}

const bytesOf = (words: Uint32Array) =>
  Buffer.from(words.buffer, words.byteOffset, words.byteLength);

// Reads exactly so many bytes, or fails when the program has ended.
function reader(child: ChildProcess): (bytes: number) => Promise<Buffer> {
  const chunks: Buffer[] = [];
  let held = 0;
  let wake = () => {};
  let ended = false;
  child.stdout!.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    held += chunk.length;
    wake();
  });
  child.on('exit', () => {
    ended = true;
    wake();
  });
  return async (bytes) => {
    while (held < bytes) {
      if (ended)
        throw new Error(`the native program ended with ${child.exitCode ?? child.signalCode}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const all = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
    chunks.length = 0;
    if (all.length > bytes) chunks.push(all.subarray(bytes));
    held -= bytes;
    return all.subarray(0, bytes);
  };
}
