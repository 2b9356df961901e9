// plimsoll collect against what really runs here: libvirt, QEMU and its monitor, sshd on loopback, Prometheus with two
// node_exporters. Everything is started for the test, on ports of its own, and ended by it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { main } from '../../src/cli/main.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import type { Description } from '../../src/cpu/description.ts';
import { cpuinfo } from '../../src/dialects/kernel/cpuinfo.ts';
import { records } from '../../src/dialects/records/records.ts';
import { sayMissing } from '../support/places.ts';

const test = suite('live collection');
const catalog = await loadCatalog();
const dir = mkdtempSync(join(tmpdir(), 'live-'));
const children: ChildProcess[] = [];
const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;

const which = (command: string): string | null =>
  PATH.split(':')
    .map((path) => join(path, command))
    .find((path) => existsSync(path)) ?? null;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function start(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { cwd: dir, stdio: 'ignore', env: { ...process.env, PATH } });
  child.on('error', () => {});
  children.push(child);
  return child;
}

/** Whether the condition holds within so many seconds. */
async function soon(seconds: number, holds: () => Promise<boolean> | boolean): Promise<boolean> {
  for (let left = seconds * 5; left > 0; left--) {
    if (await holds()) return true;
    await sleep(200);
  }
  return false;
}

async function collect(...args: readonly string[]) {
  const printed = { out: '', err: '' };
  const sink = (key: 'out' | 'err') => ({
    write: (text: string, done: () => void) => {
      printed[key] += text;
      done();
    },
    on: () => {},
  });
  const code = await main(['collect', ...args, '--timeout', '60'], {
    stdin: (async function* () {})(),
    stdout: sink('out'),
    stderr: sink('err'),
    env: { ...process.env, PATH },
  });
  return { code, err: printed.err, out: printed.out };
}

/** What was collected, read as anybody would. */
async function readBack(text: string): Promise<Description[]> {
  return records.read!({ name: 'collected', bytes: new TextEncoder().encode(text) }, catalog);
}

const ownCpuinfo = (): Description =>
  (
    cpuinfo.read!({ name: 'own', bytes: readFileSync('/proc/cpuinfo') }, catalog) as Description[]
  )[0]!;

test('sshd on loopback: the host is its own /proc/cpuinfo, or what its libvirt says', async () => {
  const sshd = which('sshd');
  if (!sshd || !which('ssh-keygen')) return sayMissing('collection over ssh', 'sshd');
  const key = join(dir, 'key');
  const hostKey = join(dir, 'host-key');
  for (const file of [key, hostKey])
    assert.is(spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]).status, 0);
  mkdirSync('/run/sshd', { recursive: true });
  const port = await freePort();
  const config = join(dir, 'sshd_config');
  writeFileSync(
    config,
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${hostKey}`,
      `AuthorizedKeysFile ${key}.pub`,
      'StrictModes no',
      'PermitRootLogin yes',
      'UsePAM no',
      'PasswordAuthentication no',
      `PidFile ${join(dir, 'sshd.pid')}`,
      '',
    ].join('\n'),
  );
  start(sshd, ['-D', '-f', config]);
  const client = join(dir, 'ssh_config');
  writeFileSync(
    client,
    `Host *\n  IdentityFile ${key}\n  IdentitiesOnly yes\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  LogLevel ERROR\n`,
  );
  const source = `ssh://root@127.0.0.1:${port}`;
  let found = await collect(source, '--ssh-config', client);
  await soon(10, async () => {
    if (found.code !== 0) found = await collect(source, '--ssh-config', client);
    return found.code === 0;
  });
  assert.equal([found.code, found.err], [0, '']);
  const [host, ...more] = await readBack(found.out);
  assert.equal([host!.host, more.length], [hostname(), 0]);
  if (host!.view === 'kernel') {
    const own = ownCpuinfo();
    assert.equal(catalog.names(host!.has), catalog.names(own.has));
    assert.equal(catalog.names(host!.known), catalog.names(own.known));
  } else assert.is(host!.view, 'hypervisor');

  const stranger = await collect(source, '--ssh-config', '/dev/null', '--retries', '0');
  assert.is(stranger.code, 2);
  assert.match(stranger.err, /ssh failed: .*(?:Permission denied|Host key verification failed)/);
});

test('QEMU, started for it, over its monitor', async () => {
  const qemu = which('qemu-system-x86_64');
  if (!qemu) return sayMissing('collection over QMP', 'qemu-system-x86_64');
  const found = await collect('qmp:qemu-system-x86_64');
  assert.equal([found.code, found.err], [0, '']);
  const [host] = await readBack(found.out);
  assert.equal([host!.host, host!.view], [hostname(), 'hypervisor']);
  assert.ok(catalog.names(host!.has).includes('sse2'));

  const socket = join(dir, 'monitor');
  start(qemu, [
    '-machine',
    'none,accel=tcg',
    '-nodefaults',
    '-display',
    'none',
    '-S',
    '-qmp',
    `unix:${socket},server=on,wait=off`,
  ]);
  assert.ok(await soon(20, () => existsSync(socket)), 'QEMU opens its monitor');
  const running = await collect(`qmp:${socket}`);
  assert.equal([running.code, running.err], [0, '']);
  assert.is((await readBack(running.out))[0]!.view, 'hypervisor');
});

test('libvirt, over its own socket', async () => {
  const libvirtd = which('libvirtd');
  if (!libvirtd || !which('virsh')) return sayMissing('collection from libvirt', 'libvirtd');
  const { Libvirt } = await import('../support/libvirtd.ts');
  const daemon = await Libvirt.start();
  if (!daemon) return sayMissing('collection from libvirt', 'a libvirtd that starts');
  try {
    const found = await collect(daemon.uri);
    assert.equal([found.code, found.err], [0, '']);
    const [host] = await readBack(found.out);
    assert.equal([host!.host?.split('.')[0], host!.view], [hostname().split('.')[0], 'hypervisor']);
  } finally {
    await daemon.end();
  }
});

test('Prometheus with two node_exporters, of which one is then gone', async () => {
  const exporter = which('prometheus-node-exporter');
  const prometheus = which('prometheus');
  if (!exporter || !prometheus) return sayMissing('collection from Prometheus', 'prometheus');
  const [a, b, web] = [await freePort(), await freePort(), await freePort()];
  const flags = [
    '--collector.disable-defaults',
    '--collector.cpu',
    '--collector.cpu.info',
    '--collector.uname',
    '--collector.cpu.info.flags-include=.*',
  ];
  const exporters = [a, b].map((port) =>
    start(exporter, [`--web.listen-address=127.0.0.1:${port}`, ...flags]),
  );
  const config = join(dir, 'prometheus.yml');
  // Both would tell the same name of the machine.
  writeFileSync(
    config,
    `global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n- job_name: node\n  static_configs: [{targets: ['127.0.0.1:${a}', '127.0.0.1:${b}']}]\n  metric_relabel_configs: [{source_labels: [__name__], regex: node_uname_info, action: drop}]\n`,
  );
  start(prometheus, [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(dir, 'tsdb')}`,
    `--web.listen-address=127.0.0.1:${web}`,
  ]);
  const source = `prometheus://127.0.0.1:${web}`;
  let found = { code: 2, out: '', err: '' };
  await soon(40, async () => {
    found = await collect(source, '--retries', '0');
    return found.code === 0 && found.out.trim().split('\n').length === 2;
  });
  assert.equal([found.code, found.err], [0, '']);
  const all = await readBack(found.out);
  const own = ownCpuinfo();
  assert.equal(all.map((d) => d.host).sort(), [`127.0.0.1:${a}`, `127.0.0.1:${b}`].sort());
  for (const d of all) {
    assert.is(d.vendor, own.vendor);
    // node_exporter quotes no vmx flags.
    const told = catalog.names(d.known);
    assert.equal(
      catalog.names(d.has),
      catalog.names(own.has).filter((name) => told.includes(name)),
    );
  }

  exporters[1]!.kill();
  const named = await soon(20, async () => {
    found = await collect(source, '--retries', '0');
    return found.code === 2;
  });
  assert.ok(named, found.err);
  assert.match(found.err, new RegExp(`127\\.0\\.0\\.1:${b} does not answer`));
});

test.after(async () => {
  for (const child of children) {
    const isGone = child.exitCode !== null || child.signalCode !== null;
    if (isGone || child.pid === undefined) continue;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
  rmSync(dir, { recursive: true, force: true });
});
test.run();
