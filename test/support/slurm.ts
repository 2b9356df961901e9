// A Slurm of our own on the loopback: a controller and four nodes, every file in one temporary folder.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const NODES = 4;
const READY_MS = 60_000;

/** Why Slurm cannot be started here, or null. */
export function slurmMissing(): string | null {
  if (process.getuid?.() !== 0) return 'Slurm can be started by root only';
  for (const program of ['munged', 'slurmctld', 'slurmd', 'sbatch', 'sinfo'])
    if (spawnSync('sh', ['-c', `command -v ${program}`], { env: paths() }).status !== 0)
      return `${program} is not installed (apt-get install slurm-wlm munge)`;
  return null;
}

const paths = (): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
});

export class Slurm {
  readonly env: NodeJS.ProcessEnv;
  readonly #dir: string;
  readonly #daemons = new Map<string, ChildProcess>();

  private constructor(dir: string) {
    this.#dir = dir;
    this.env = { ...paths(), SLURM_CONF: join(dir, 'slurm.conf') };
  }

  static async start(port: number): Promise<Slurm> {
    const slurm = new Slurm(mkdtempSync(join(tmpdir(), 'plimsoll-slurm-')));
    try {
      slurm.#configure(port);
      slurm.#munge();
      slurm.#daemon('slurmctld', ['slurmctld', '-D', '-c']);
      for (let n = 1; n <= NODES; n++) slurm.startNode(n);
      await slurm.#ready();
      return slurm;
    } catch (error) {
      slurm.stop();
      throw error;
    }
  }

  startNode(n: number): void {
    this.#daemon(`n${n}`, ['slurmd', '-D', '-N', `n${n}`]);
  }

  /** Ends a node as a failure would, with all that runs on it. */
  loseNode(n: number): void {
    this.#daemons.get(`n${n}`)?.kill('SIGKILL');
  }

  stop(): void {
    for (const daemon of [...this.#daemons.values()].reverse()) daemon.kill('SIGKILL');
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #configure(port: number): void {
    const at = (...parts: string[]) => join(this.#dir, ...parts);
    for (const folder of ['state', 'munge', 'socket', 'log'])
      mkdirSync(at(folder), { mode: 0o755 });
    for (let n = 1; n <= NODES; n++) mkdirSync(at(`spool.n${n}`));
    const host = hostname().split('.')[0]!;
    const conf = {
      ClusterName: 'plimsoll',
      SlurmctldHost: `${host}(127.0.0.1)`,
      SlurmctldPort: port,
      SlurmUser: 'root',
      SlurmdUser: 'root',
      AuthType: 'auth/munge',
      AuthInfo: `socket=${at('socket', 'munge')}`,
      CredType: 'cred/munge',
      StateSaveLocation: at('state'),
      SlurmdSpoolDir: at('spool.%n'),
      SlurmctldPidFile: at('slurmctld.pid'),
      SlurmdPidFile: at('slurmd.%n.pid'),
      SlurmctldLogFile: at('log', 'slurmctld'),
      SlurmdLogFile: at('log', 'slurmd.%n'),
      ProctrackType: 'proctrack/linuxproc',
      TaskPlugin: 'task/none',
      JobAcctGatherType: 'jobacct_gather/none',
      AccountingStorageType: 'accounting_storage/none',
      SwitchType: 'switch/none',
      MpiDefault: 'none',
      SelectType: 'select/cons_tres',
      SelectTypeParameters: 'CR_CPU',
      SchedulerParameters: 'batch_sched_delay=0,sched_min_interval=0,sched_interval=1',
      ReturnToService: 2,
      SlurmdTimeout: 15,
      KillWait: 5,
      SlurmdParameters: 'config_overrides',
      PropagateResourceLimits: 'NONE',
    };
    const nodes = `NodeName=n[1-${NODES}] NodeHostname=${host} NodeAddr=127.0.0.1 Port=[${port + 1}-${port + NODES}] CPUs=1 State=UNKNOWN`;
    const lines = Object.entries(conf).map(([key, value]) => `${key}=${value}`);
    lines.push(nodes, 'PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP');
    writeFileSync(at('slurm.conf'), `${lines.join('\n')}\n`);
    writeFileSync(at('cgroup.conf'), 'CgroupPlugin=cgroup/v1\n');
    writeFileSync(at('munge', 'key'), randomBytes(1024), { mode: 0o600 });
  }

  #munge(): void {
    const at = (name: string) => join(this.#dir, 'munge', name);
    const files = ['key', 'seed', 'log', 'pid'].map((what) =>
      what === 'log' ? `--log-file=${at(what)}` : `--${what}-file=${at(what)}`,
    );
    const socket = `--socket=${join(this.#dir, 'socket', 'munge')}`;
    this.#daemon('munged', ['munged', '--foreground', '--force', socket, ...files]);
  }

  #daemon(name: string, [program, ...args]: string[]): void {
    const log = openSync(join(this.#dir, 'log', `${name}.out`), 'a');
    const stdio: ['ignore', number, number] = ['ignore', log, log];
    const daemon = spawn(program!, args, { env: this.env, stdio });
    daemon.on('error', () => {});
    this.#daemons.set(name, daemon);
  }

  async #ready(): Promise<void> {
    for (const end = Date.now() + READY_MS; Date.now() < end; await sleep(200)) {
      const { stdout } = spawnSync('sinfo', ['-h', '-t', 'idle', '-o', '%D'], {
        env: this.env,
        encoding: 'utf8',
        timeout: 5_000,
      });
      if (Number(stdout?.trim()) === NODES) return;
    }
    throw new Error(`Slurm was not ready after ${READY_MS / 1000} s`);
  }
}
