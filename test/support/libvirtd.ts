// A libvirt of our own: an unprivileged daemon whose every file lies in one temporary folder, and virsh to talk to it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The user that a daemon started by root becomes: as root it would use the system's own folders. */
const NOBODY = 65534;
/** Nobody by name, and by right still the owner of /dev/kvm: a user namespace of its own. */
const AS_NOBODY = ['unshare', '--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`];
const TIMEOUT_MS = 60_000;

export interface Answer {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** major.minor of the virsh that is installed, or null. */
export function virshVersion(): string | null {
  const { status, stdout } = spawnSync('virsh', ['--version'], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
  });
  return status === 0 ? (/^(\d+\.\d+)/.exec(stdout)?.[1] ?? null) : null;
}

export class Libvirt {
  readonly #dir: string;
  readonly #daemon: ChildProcess;
  readonly #env: NodeJS.ProcessEnv;
  readonly #user: { uid: number; gid: number } | Record<string, never>;
  /** What stands before a command for it to run as the daemon's user. */
  readonly #as: readonly string[];
  #files = 0;

  private constructor(dir: string, isKvm: boolean) {
    this.#dir = dir;
    const isRoot = process.getuid?.() === 0;
    this.#user = isRoot && !isKvm ? { uid: NOBODY, gid: NOBODY } : {};
    this.#as = isRoot && isKvm ? AS_NOBODY : [];
    const folder = (name: string) => {
      const path = join(dir, name);
      mkdirSync(path);
      if ('uid' in this.#user) chownSync(path, NOBODY, NOBODY);
      return path;
    };
    if ('uid' in this.#user) chownSync(dir, NOBODY, NOBODY);
    this.#env = {
      PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
      LC_ALL: 'C',
      HOME: folder('home'),
      XDG_RUNTIME_DIR: folder('run'),
      XDG_CONFIG_HOME: folder('config'),
      XDG_CACHE_HOME: folder('cache'),
      XDG_DATA_HOME: folder('data'),
    };
    const [program, ...args] = [
      ...this.#as,
      'libvirtd',
      '--pid-file',
      join(dir, 'run/libvirtd.pid'),
    ];
    this.#daemon = spawn(program!, args, {
      env: this.#env,
      cwd: dir,
      stdio: 'ignore',
      ...this.#user,
    });
    this.#daemon.on('error', () => {});
  }

  /**
   * A daemon that answers, or null where none can be started.
   * @param isKvm whether its domains are to have /dev/kvm, which is the caller's
   */
  static async start(isKvm = false): Promise<Libvirt | null> {
    // Short, because the path of a socket may have 107 bytes only.
    const libvirt = new Libvirt(mkdtempSync(join(tmpdir(), 'lv-')), isKvm);
    const socket = join(libvirt.#dir, 'run/libvirt/libvirt-sock');
    for (let i = 0; i < 100 && !existsSync(socket) && libvirt.#daemon.exitCode === null; i++)
      await sleep(100);
    if (libvirt.virsh('version').status === 0) return libvirt;
    await libvirt.end();
    return null;
  }

  virsh(...args: string[]): Answer {
    const [program, ...before] = [...this.#as, 'virsh', '-c', 'qemu:///session'];
    return spawnSync(program!, [...before, ...args], {
      env: this.#env,
      cwd: this.#dir,
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
      maxBuffer: 1 << 26,
      ...this.#user,
    });
  }

  /** The same, beside other work. */
  ask(...args: string[]): Promise<Answer> {
    const [program, ...before] = [...this.#as, 'virsh', '-c', 'qemu:///session'];
    const child = spawn(program!, [...before, ...args], {
      env: this.#env,
      cwd: this.#dir,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
      ...this.#user,
    });
    const said = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text) => {
      said.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said.stderr += text;
    });
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (status) => resolve({ status, ...said }));
    });
  }

  /** Where others reach it. */
  get uri(): string {
    return `qemu+unix:///session?socket=${join(this.#dir, 'run/libvirt/libvirt-sock')}`;
  }

  /** A file that virsh may read, with this text. */
  file(text: string): string {
    const path = join(this.#dir, `${this.#files++}.xml`);
    writeFileSync(path, text);
    return path;
  }

  /** Ends what was started here: domains first, then the daemon, then its files. */
  async end(): Promise<void> {
    for (const name of this.virsh('list', '--name').stdout?.split('\n') ?? [])
      if (name.trim() !== '') this.virsh('destroy', name.trim());
    if (this.#daemon.exitCode === null && this.#daemon.pid !== undefined) {
      const ended = new Promise((resolve) => this.#daemon.once('exit', resolve));
      this.#daemon.kill();
      const force = setTimeout(() => this.#daemon.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(force);
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
