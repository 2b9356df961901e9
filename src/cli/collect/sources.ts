// Where live hosts are asked, and by what: each source answers with documents in a language that is read anyway.
import { readFile } from 'node:fs/promises';
import { hostname, release, type, version } from 'node:os';
import { QueryError } from '../../cpu/errors.ts';
import { kernelIn, kernelOf } from '../../cpu/proven/kernel.ts';
import { fetchJson } from './http.ts';
import { type Asking, ask } from './program.ts';
import { askBinary, askSocket } from './qmp-monitor.ts';

export interface SourceDocument {
  readonly dialect: string;
  readonly text: string;
}

/** What a source answered with. */
export interface Answered extends SourceDocument {
  /** The host that it is about, where the document does not say. */
  readonly host: string | null;
  /** The kernel of its host, where the document does not say. */
  readonly kernel?: string | null;
  /** Other documents of that host, which may tell what the first does not of its processor. */
  readonly beside?: readonly SourceDocument[];
  /** Hosts that the source knows of and has no answer from. */
  readonly silent?: readonly string[];
}

export interface Surrounding extends Asking {
  /** A configuration file for ssh. */
  readonly sshConfig?: string | undefined;
}

type Collect = (around: Surrounding) => Promise<Answered>;

const KINDS =
  'local, a URI of libvirt (qemu:///system, qemu+ssh://HOST/system), ssh://HOST, qmp:SOCKET, qmp:PROGRAM, kubectl, kubectl:CONTEXT, proxmox://HOST or prometheus://HOST';

/**
 * What a source's name means.
 * @throws QueryError for a name that means nothing, or that holds a password.
 */
export function sourceOf(name: string): Collect {
  if (name === 'local') return local;
  if (name === 'kubectl') return kubectl();
  if (name.startsWith('kubectl:')) return kubectl(name.slice('kubectl:'.length));
  if (name.startsWith('qmp:')) return qmp(name.slice('qmp:'.length));
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(name))
    throw new QueryError(`"${name}" is no source; give ${KINDS}`);
  const url = parse(name);
  const scheme = url.protocol.slice(0, -1);
  if (scheme === 'ssh') return ssh(url);
  if (scheme === 'proxmox') return proxmox(url);
  if (/^prometheus(?:\+https?)?$/.test(scheme)) return prometheus(url, scheme);
  if (/^(?:qemu|test|xen|ch|lxc|bhyve|vz|esx|vpx|hyperv)(?:\+\w+)?$/.test(scheme))
    return libvirt(name);
  throw new QueryError(`"${name}" is no source; give ${KINDS}`);
}

function parse(name: string): URL {
  let url: URL;
  try {
    url = new URL(name);
  } catch {
    throw new QueryError(`"${name}" is no address; give ${KINDS}`);
  }
  if (url.password !== '')
    throw new QueryError(
      `the source ${url.protocol}//${url.host} is given with a password, which every user of this machine can read; keep it where the tool has its credentials`,
    );
  return url;
}

/** The kernel of this machine. */
const ownKernel = (): string | null => (type() === 'Linux' ? kernelOf(release(), version()) : null);

/** What a program prints, or null where it is not there or fails. */
const askIfThere = (...question: Parameters<typeof ask>): Promise<string | null> =>
  ask(...question).catch((error: unknown) => {
    if (error instanceof QueryError) return null;
    throw error;
  });

/** A document where there is text. */
const documentOf = (dialect: string, text: string | null): SourceDocument[] =>
  text === null || text.trim() === '' ? [] : [{ dialect, text }];

const local: Collect = async (around) => {
  const here = { host: hostname(), kernel: ownKernel() };
  const virsh = (question: string) =>
    askIfThere('virsh', ['-c', 'qemu:///system', question], around);
  const domcapabilities = await virsh('domcapabilities');
  const cpuinfo = documentOf('cpuinfo', await readFile('/proc/cpuinfo', 'utf8').catch(() => null));
  if (domcapabilities !== null) {
    const beside = [...documentOf('libvirt', await virsh('capabilities')), ...cpuinfo];
    return { dialect: 'libvirt', text: domcapabilities, ...here, beside };
  }
  if (cpuinfo[0]) return { ...cpuinfo[0], ...here };
  throw new QueryError('this machine has neither a libvirt that answers nor /proc/cpuinfo');
};

const libvirt =
  (uri: string): Collect =>
  async (around) => {
    const virsh = (...args: string[]) => ask('virsh', ['-c', uri, ...args], around);
    const text = await virsh('domcapabilities');
    const host = (await virsh('hostname')).trim() || null;
    const capabilities = await askIfThere('virsh', ['-c', uri, 'capabilities'], around);
    return { dialect: 'libvirt', text, host, beside: documentOf('libvirt', capabilities) };
  };

const qmp =
  (where: string): Collect =>
  async (around) => {
    if (where === '')
      throw new QueryError(
        'qmp: names no monitor; give qmp:/run/vm.sock or qmp:qemu-system-x86_64',
      );
    const isProgram = !where.includes('/') || /\/qemu-[\w.-]+$|\/kvm$/.test(where);
    const text = await (isProgram ? askBinary : askSocket)(where, around);
    return { dialect: 'qmp', text, host: hostname(), kernel: ownKernel() };
  };

const kubectl =
  (context?: string): Collect =>
  async (around) => {
    const where = context === undefined ? [] : [`--context=${context}`];
    const seconds = Math.max(1, Math.floor(around.timeout / 1000));
    const args = [...where, 'get', 'nodes', '-o', 'json', `--request-timeout=${seconds}s`];
    return { dialect: 'kubernetes', text: await ask('kubectl', args, around), host: null };
  };

const MARK = '--plimsoll--';
/** A host whose libvirt does not answer has a kernel that does. */
const virshThere = (question: string) =>
  `if command -v virsh >/dev/null 2>&1; then LC_ALL=C virsh -q -c qemu:///system ${question} 2>/dev/null || :; fi`;
/** One visit: what the hypervisor offers where there is one, and what the kernel shows. */
const VISIT = [
  'uname -n',
  `echo ${MARK}`,
  virshThere('domcapabilities'),
  `echo ${MARK}`,
  'cat /proc/cpuinfo',
  `echo ${MARK}`,
  'uname -a',
  `echo ${MARK}`,
  virshThere('capabilities'),
].join('\n');

const ssh =
  (url: URL): Collect =>
  async (around) => {
    const seconds = Math.max(1, Math.floor(around.timeout / 1000));
    const target = `${url.username ? `${decodeURIComponent(url.username)}@` : ''}${url.hostname}`;
    const args = [
      ...(around.sshConfig === undefined ? [] : ['-F', around.sshConfig]),
      ...(url.port === '' ? [] : ['-p', url.port]),
      ...['-o', 'BatchMode=yes', '-o', `ConnectTimeout=${seconds}`, '--', target, 'sh', '-s'],
    ];
    const text = await ask('ssh', args, { ...around, input: `${VISIT}\n` });
    const parts = text.split(`${MARK}\n`);
    const [name, domcapabilities = '', cpuinfo = '', uname = '', capabilities = ''] = parts;
    const kernel = kernelIn(uname);
    const host = name!.trim() || url.hostname;
    const beside = [...documentOf('libvirt', capabilities), ...documentOf('cpuinfo', cpuinfo)];
    if (domcapabilities.trim() !== '')
      return { dialect: 'libvirt', text: domcapabilities, host, kernel, beside };
    if (cpuinfo.trim() !== '') return { dialect: 'cpuinfo', text: cpuinfo, host, kernel };
    throw new QueryError('it shows neither a libvirt nor /proc/cpuinfo; is it a Linux host?');
  };

const METRICS = '{__name__=~"node_cpu_flag_info|node_cpu_info|node_uname_info"}';

const prometheus =
  (url: URL, scheme: string): Collect =>
  async ({ timeout, env }) => {
    const base = `${scheme.endsWith('https') ? 'https' : 'http'}://${url.host}${url.pathname.replace(/\/$/, '')}`;
    const token = env.PROMETHEUS_TOKEN;
    const query = (text: string) =>
      fetchJson(new URL(`${base}/api/v1/query?query=${encodeURIComponent(text)}`), {
        timeout,
        authorization: token ? `Bearer ${token}` : undefined,
      });
    const { text } = await query(METRICS);
    const down = await query('up == 0');
    return { dialect: 'prometheus', text, host: null, silent: instancesIn(down.value) };
  };

function instancesIn(value: unknown): string[] {
  const result = (value as { data?: { result?: unknown } } | null)?.data?.result;
  if (!Array.isArray(result)) return [];
  return result.flatMap((entry) => {
    const instance = (entry as { metric?: { instance?: unknown } })?.metric?.instance;
    return typeof instance === 'string' ? [instance] : [];
  });
}

const PROXMOX_PORT = '8006';

const proxmox =
  (url: URL): Collect =>
  async ({ timeout, env }) => {
    const token = env.PVE_API_TOKEN;
    if (!token)
      throw new QueryError(
        'it wants an API token: put USER@REALM!NAME=SECRET into the environment variable PVE_API_TOKEN (a token with the role PVEAuditor may read what is needed)',
      );
    // A scheme of its own for tests and for proxies that end TLS.
    const plain = url.searchParams.get('tls') === 'off';
    const base = `${plain ? 'http' : 'https'}://${url.hostname}:${url.port || PROXMOX_PORT}/api2/json`;
    const get = (path: string) =>
      fetchJson(new URL(`${base}${path}`), { timeout, authorization: `PVEAPIToken=${token}` });
    const nodes = nodesIn((await get('/nodes')).value);
    const first = nodes.find((node) => node.online);
    if (!first) throw new QueryError('none of its nodes is online');
    const path = `/nodes/${encodeURIComponent(first.name)}/capabilities/qemu/cpu-flags?accel=kvm`;
    const { text } = await get(path);
    const silent = nodes
      .filter((node) => !node.online || !text.includes(JSON.stringify(node.name)))
      .map((node) => node.name);
    return { dialect: 'proxmox', text, host: null, silent };
  };

function nodesIn(value: unknown): { name: string; online: boolean }[] {
  const data = (value as { data?: unknown } | null)?.data;
  if (!Array.isArray(data))
    throw new QueryError('it answers /nodes with something else than a list of nodes');
  return data.flatMap((entry) => {
    const { node, status } = (entry ?? {}) as { node?: unknown; status?: unknown };
    return typeof node === 'string' ? [{ name: node, online: status !== 'offline' }] : [];
  });
}
