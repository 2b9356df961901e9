// A real QEMU, started for one question over QMP and ended again; nothing of it outlives the answer.
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

type Json = Record<string, unknown>;

export interface LiveCpu {
  /** Features and properties of the first virtual processor, as they read once it has started. */
  readonly properties: Readonly<Record<string, unknown>>;
  readonly words: string;
}

const TIMEOUT_MS = 60_000;

/** major.minor of a QEMU, or null where the command does not answer. */
export function qemuVersion(command: readonly string[]): string | null {
  const { status, stdout } = spawnSync(command[0]!, [...command.slice(1), '--version'], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
  });
  return status === 0 ? (/version (\d+\.\d+)/.exec(stdout)?.[1] ?? null) : null;
}

/** Starts QEMU paused and hands a function to ask it with; resolves to null where QEMU refuses to start. */
async function withQemu<T>(
  command: readonly string[],
  args: readonly string[],
  talk: (ask: (execute: string, args?: Json) => Promise<unknown>) => Promise<T>,
): Promise<T | { refused: string }> {
  const child = spawn(
    command[0]!,
    [...command.slice(1), ...args, '-nodefaults', '-display', 'none', '-S', '-qmp', 'stdio'],
    { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' },
  );
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  child.stdin.on('error', () => {});
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const message = JSON.parse(line);
    if ('return' in message) waiting.shift()?.resolve(message.return);
    else if ('error' in message) waiting.shift()?.reject(new Error(message.error.desc));
  });
  const gone = ended.then(() => {
    for (const w of waiting.splice(0)) w.reject(new Error(`QEMU ended: ${stderr}`));
  });
  const ask = (execute: string, args?: Json) =>
    new Promise<unknown>((resolve, reject) => {
      waiting.push({ resolve, reject });
      // What is asked in one go is written in one go.
      child.stdin.cork();
      process.nextTick(() => child.stdin.uncork());
      child.stdin.write(`${JSON.stringify(args ? { execute, arguments: args } : { execute })}\n`);
      if (child.exitCode !== null) reject(new Error('QEMU has ended'));
    });
  try {
    const started = await ask('qmp_capabilities').then(
      () => true,
      () => false,
    );
    if (!started) return { refused: stderr.trim() };
    return await talk(ask);
  } finally {
    child.stdin.end(`${JSON.stringify({ execute: 'quit' })}\n`);
    await gone;
  }
}

/** The first CPU of a QEMU started with these arguments, or what it said when it refused. */
export async function readCpu(
  command: readonly string[],
  args: readonly string[],
  names: readonly string[],
): Promise<LiveCpu | { refused: string }> {
  return withQemu(command, args, async (ask) => {
    const cpus = (await ask('query-cpus-fast')) as { 'qom-path': string }[];
    const path = cpus[0]!['qom-path'];
    const read = (property: string) => ask('qom-get', { path, property }).catch(() => undefined);
    const values = await Promise.all(names.map(read));
    const words = JSON.stringify(await read('feature-words'));
    return { properties: Object.fromEntries(names.map((name, i) => [name, values[i]])), words };
  });
}

/** What a QEMU of this accelerator answers to these questions, as a recorded session that tells its version. */
export async function recordSession(
  command: readonly string[],
  accelerator: string,
  questions: readonly (readonly [string, Json?])[],
): Promise<{ answers: unknown[]; text: string }> {
  // No machine: what a host has is asked without a processor that might not start.
  const args = ['-machine', 'none', '-accel', accelerator];
  const answers = await withQemu(command, args, (ask) =>
    Promise.all([ask('query-version'), ...questions.map(([name, with_]) => ask(name, with_))]),
  );
  if (!Array.isArray(answers)) throw new Error(`QEMU does not start: ${answers.refused}`);
  const lines = answers.map((answer) => `${JSON.stringify({ return: answer })}\n`);
  return { answers: answers.slice(1), text: lines.join('') };
}

/** An expansion of a model with typed properties, or the refusal. */
export async function askExpansions(
  command: readonly string[],
  machine: string,
  models: readonly { name: string; props?: Json }[],
  type = 'full',
): Promise<(Json | { refused: string })[]> {
  const answer = await withQemu(command, ['-machine', `${machine},accel=tcg`], (ask) =>
    Promise.all(
      models.map((model) =>
        ask('query-cpu-model-expansion', { type, model }).then(
          (reply) => (reply as { model: { props: Json } }).model.props,
          (error: Error) => ({ refused: error.message }),
        ),
      ),
    ),
  );
  return Array.isArray(answer) ? answer : models.map(() => answer);
}

/** Works on all items, two at a time: more QEMUs than processors only wait for each other. */
export async function each<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const run = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i]!);
  };
  await Promise.all([run(), run()]);
  return results;
}
