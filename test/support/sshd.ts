// An sshd of our own on the loopback, that lets this user in by a key of its own.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SSHD = '/usr/sbin/sshd';
const READY_MS = 20_000;

/** Why ssh cannot be used here, or null. */
export function sshMissing(): string | null {
  if (process.getuid?.() !== 0) return 'an sshd can be started by root only';
  for (const program of [SSHD, 'ssh', 'parallel', 'rsync'])
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0)
      return `${program} is not installed (apt-get install openssh-server openssh-client parallel rsync)`;
  return null;
}

export class Sshd {
  /** A file of logins for GNU parallel. */
  readonly logins: string;
  readonly env: NodeJS.ProcessEnv;
  readonly #dir: string;
  readonly #daemon: ChildProcess;

  private constructor(dir: string, port: number) {
    const at = (name: string) => join(dir, name);
    this.#dir = dir;
    this.logins = at('logins');
    for (const key of ['host', 'user'])
      spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(key)]);
    writeFileSync(at('authorized'), readFileSync(at('user.pub')), { mode: 0o600 });
    mkdirSync('/run/sshd', { recursive: true });
    const daemon = {
      Port: port,
      ListenAddress: '127.0.0.1',
      HostKey: at('host'),
      AuthorizedKeysFile: at('authorized'),
      PidFile: at('pid'),
      PermitRootLogin: 'yes',
      StrictModes: 'no',
      UsePAM: 'no',
      PermitUserEnvironment: 'no',
      MaxStartups: 100,
      // What --transferfile copies with.
      Subsystem: 'sftp internal-sftp',
    };
    const lines = (options: Record<string, unknown>) =>
      Object.entries(options)
        .map(([key, value]) => `${key} ${value}\n`)
        .join('');
    writeFileSync(at('sshd_config'), lines(daemon));
    const client = {
      Port: port,
      User: userInfo().username,
      IdentityFile: at('user'),
      IdentitiesOnly: 'yes',
      StrictHostKeyChecking: 'no',
      UserKnownHostsFile: '/dev/null',
      LogLevel: 'ERROR',
    };
    writeFileSync(at('ssh_config'), lines(client));
    writeFileSync(this.logins, '1/127.0.0.1\n1/localhost\n');
    // GNU parallel keeps files of its own in the home directory, and rsync is told by the environment.
    this.env = {
      ...process.env,
      PARALLEL_SSH: `ssh -F ${at('ssh_config')}`,
      PARALLEL_HOME: at('parallel'),
      RSYNC_RSH: `ssh -F ${at('ssh_config')}`,
    };
    this.#daemon = spawn(SSHD, ['-D', '-f', at('sshd_config')], { stdio: 'ignore' });
    this.#daemon.on('error', () => {});
  }

  static async start(port: number): Promise<Sshd> {
    const dir = mkdtempSync(join(tmpdir(), 'plimsoll-sshd-'));
    const sshd = new Sshd(dir, port);
    for (const end = Date.now() + READY_MS; Date.now() < end; await sleep(200)) {
      const { status } = spawnSync('ssh', ['-F', join(dir, 'ssh_config'), '127.0.0.1', 'true'], {
        timeout: 5_000,
      });
      if (status === 0) return sshd;
    }
    sshd.stop();
    throw new Error(`sshd was not ready after ${READY_MS / 1000} s`);
  }

  stop(): void {
    this.#daemon.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
