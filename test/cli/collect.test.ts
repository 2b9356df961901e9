// plimsoll collect against recorded replies: a small HTTP server, and programs that answer as the real ones do.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { main } from '../../src/cli/main.ts';
import { ROOT } from '../support/places.ts';
import { asCpuinfo, asQueryResult, ICELAKE, MILAN } from '../support/sources.ts';

const test = suite('collect');
const dir = mkdtempSync(join(tmpdir(), 'collect-'));

/** A program of this name that runs these lines of shell. */
function program(name: string, script: string): void {
  writeFileSync(join(dir, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(dir, name), 0o755);
}

const plimsoll = (args: readonly string[], env: Record<string, string> = {}) =>
  command(['collect', ...args], env);

async function command(
  args: readonly string[],
  env: Record<string, string> = {},
  input: string | null = null,
) {
  const printed = { out: '', err: '' };
  const sink = (key: 'out' | 'err') => ({
    write: (text: string, done: () => void) => {
      printed[key] += text;
      done();
    },
    on: () => {},
  });
  const code = await main(args, {
    stdin: (async function* () {
      if (input !== null) yield new TextEncoder().encode(input);
    })(),
    stdout: sink('out'),
    stderr: sink('err'),
    env: { PATH: `${dir}:${process.env.PATH}`, ...env },
  });
  return { code, ...printed };
}

type Reply = { status?: number; body?: string; cut?: boolean; wait?: number };

/** A server whose replies are looked up by path; what it was asked is kept. */
async function serve(replies: Readonly<Record<string, Reply>>) {
  const asked: { path: string; authorization: string | undefined }[] = [];
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://localhost');
    const key = decodeURIComponent(`${url.pathname}${url.search}`);
    asked.push({ path: key, authorization: request.headers.authorization });
    const reply = replies[key] ?? replies[url.pathname] ?? { status: 404, body: 'not here' };
    if (reply.cut) {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"data":');
      setTimeout(() => request.socket.destroy(), 20);
      return;
    }
    const answer = () => {
      response.writeHead(reply.status ?? 200);
      response.end(reply.body ?? '{}');
    };
    if (reply.wait) setTimeout(answer, reply.wait).unref();
    else answer();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    asked,
    end: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const UP = '/api/v1/query?query=up == 0';
const METRICS =
  '/api/v1/query?query={__name__=~"node_cpu_flag_info|node_cpu_info|node_uname_info"}';
const NOBODY_DOWN = {
  body: JSON.stringify({ status: 'success', data: { resultType: 'vector', result: [] } }),
};
const hosts = (out: string) =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

test('Prometheus gives a record a host, and the token goes into the header alone', async () => {
  const server = await serve({
    [METRICS]: { body: asQueryResult({ 'b:9100': MILAN, 'a:9100': ICELAKE }) },
    [UP]: NOBODY_DOWN,
  });
  const found = await plimsoll([`prometheus://127.0.0.1:${server.port}`], {
    PROMETHEUS_TOKEN: 'top-secret',
  });
  server.end();
  assert.equal([found.code, found.err], [0, '']);
  assert.equal(
    hosts(found.out).map((h) => [h.host, h.vendor, h.view, h.signature.family]),
    [
      ['a', 'Intel', 'kernel', 6],
      ['b', 'AMD', 'kernel', 25],
    ],
  );
  assert.equal(new Set(server.asked.map((a) => a.authorization)), new Set(['Bearer top-secret']));
  assert.not.match(found.out, /secret/);
});

const QUESTIONS = [['baseline'], ['baseline', '--json'], ['blame', '--json']];

/** What was collected answers as the document that the source gives, whose host is called as one on standard input. */
async function sameAs(
  source: string,
  text: string,
  { host = 'stdin', env = {} }: { host?: string; env?: Record<string, string> } = {},
) {
  const found = await plimsoll([source], env);
  assert.equal([found.code, found.err], [0, '']);
  for (const question of QUESTIONS) {
    const direct = await command([...question, '-'], {}, text);
    const collected = found.out.replace(`"host":${JSON.stringify(host)}`, '"host":"stdin"');
    assert.equal(await command([...question, '-'], {}, collected), direct);
  }
  return hosts(found.out)[0];
}

const CUSTOM =
  "<mode name='custom' supported='yes'><model usable='yes'>Nehalem</model><model usable='no'>Haswell</model></mode>";
const domainCapabilities = (domain: string) =>
  `<domainCapabilities><domain>${domain}</domain><machine>pc-q35-7.2</machine><arch>x86_64</arch><cpu><mode name='host-model' supported='yes'><model fallback='forbid'>Nehalem</model><vendor>Intel</vendor><feature policy='require' name='ssbd'/></mode>${CUSTOM}</cpu></domainCapabilities>\n`;
const CAPABILITIES =
  "<capabilities><host><cpu><arch>x86_64</arch><model>Nehalem</model><vendor>Intel</vendor><microcode version='83898113'/><counter name='tsc' frequency='2100000000' scaling='no'/><signature family='6' model='85' stepping='7'/></cpu></host></capabilities>\n";

test('what libvirt says is collected whole, with what is told of the processor beside it', async () => {
  writeFileSync(join(dir, 'capabilities.xml'), CAPABILITIES);
  program(
    'virsh',
    `case "$*" in *domcapabilities*) cat ${dir}/domcaps.xml;; *hostname*) echo stdin;; *) cat ${dir}/capabilities.xml;; esac`,
  );
  for (const domain of ['kvm', 'qemu', 'xen']) {
    writeFileSync(join(dir, 'domcaps.xml'), domainCapabilities(domain));
    const found = await sameAs('qemu:///system', domainCapabilities(domain));
    assert.equal(
      [
        found.virttype,
        found.machines,
        found.models.Nehalem,
        found.signature,
        found.microcode,
        found.tsc,
      ],
      [
        domain,
        ['pc-q35-7.2'],
        [],
        { family: 6, model: 85, stepping: 7 },
        '0x5002f01',
        { hz: 2100000000, scaling: false },
      ],
    );
    assert.equal((found.findings ?? []).length, domain === 'kvm' ? 0 : 1);
  }
  // A libvirt that does not answer the second question has answered the first.
  program(
    'virsh',
    `case "$*" in *domcapabilities*) cat ${dir}/domcaps.xml;; *hostname*) echo stdin;; *) exit 1;; esac`,
  );
  const found = await sameAs('qemu:///system', domainCapabilities('xen'));
  assert.is(found.signature, undefined);
});

test('over ssh the kernel tells of the processor what libvirt does not', async () => {
  writeFileSync(
    join(dir, 'proc'),
    asCpuinfo(ICELAKE).replace('stepping', 'model name\t: Intel(R) Xeon(R)  Gold\nstepping'),
  );
  program(
    'ssh',
    `cat > /dev/null\necho stdin\necho --plimsoll--\ncat ${dir}/domcaps.xml\necho --plimsoll--\ncat ${dir}/proc\necho --plimsoll--\necho "Linux db-07 6.1.0 #1 SMP x86_64 GNU/Linux"`,
  );
  const found = await sameAs('ssh://db-07', domainCapabilities('xen'));
  assert.equal(
    [found.view, found.processor, found.signature.model, found.software],
    ['hypervisor', 'Intel(R) Xeon(R) Gold', 106, { kernel: '6.1.0' }],
  );
});

test('nodes, a QEMU and the flags of exporters are collected whole', async () => {
  const label = (what: string, name: string) => [`${what}.node.kubevirt.io/${name}`, 'true'];
  const labels = Object.fromEntries([
    label('cpu-feature', 'avx2'),
    label('cpu-vendor', 'AMD'),
    label('cpu-model', 'EPYC'),
    ['cpu-timer.node.kubevirt.io/tsc-frequency', '2100000000'],
    ['features', 'a label may be called so'],
  ]);
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', labels } };
  const nodes = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [node] });
  writeFileSync(join(dir, 'nodes.json'), nodes);
  program('kubectl', `cat ${dir}/nodes.json`);
  const collected = await sameAs('kubectl', nodes);
  assert.equal(
    [collected.listedBy, collected.tsc, collected.keys],
    ['kubevirt', { hz: 2100000000 }, { features: 'a label may be called so' }],
  );

  const capture = join(ROOT, 'test/fixtures/qemu-7.2-tcg.qmp');
  program('qemu-system-old', `cat > /dev/null\ncat ${capture}`);
  const emulated = await sameAs('qmp:qemu-system-old', readFileSync(capture, 'utf8'), {
    host: hostname(),
  });
  assert.equal([emulated.virttype, emulated.findings[0].code], ['qemu', 'emulated']);

  const page = asQueryResult({ 'a:9100': ICELAKE }, /^(?:avx|ss|sse|aes)/);
  const server = await serve({ [METRICS]: { body: page }, [UP]: NOBODY_DOWN });
  await sameAs(`prometheus://127.0.0.1:${server.port}`, page);
  server.end();
});

test('a Proxmox cluster and this machine are collected whole', async () => {
  const flags = JSON.stringify({
    data: [
      { name: 'avx2', 'supported-on': ['pve1', 'pve2'] },
      { name: 'vmx', 'supported-on': ['pve1'] },
      { name: 'a-flag-of-tomorrow', 'supported-on': ['pve2'] },
    ],
  });
  const nodes = ['pve1', 'pve2'].map((node) => ({ node, status: 'online' }));
  const server = await serve({
    '/api2/json/nodes': { body: JSON.stringify({ data: nodes }) },
    '/api2/json/nodes/pve1/capabilities/qemu/cpu-flags': { body: flags },
  });
  const env = { PVE_API_TOKEN: 'root@pam!x=top-secret' };
  await sameAs(`proxmox://127.0.0.1:${server.port}?tls=off`, flags, { env });
  server.end();

  writeFileSync(join(dir, 'domcaps.xml'), domainCapabilities('xen'));
  program('virsh', `case "$*" in *domcapabilities*) cat ${dir}/domcaps.xml;; *) exit 1;; esac`);
  await sameAs('local', domainCapabilities('xen'), { host: hostname() });
});

test('of an Arm host the kernel tells which processor it is, where libvirt does not', async () => {
  const cpuinfo = (part: string) =>
    `processor\t: 0\nFeatures\t: fp asimd aes\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: ${part}\nCPU revision\t: 1\n\n`;
  const domcaps =
    "<domainCapabilities><domain>kvm</domain><machine>virt-8.2</machine><arch>aarch64</arch><cpu><mode name='host-passthrough' supported='yes'/><mode name='host-model' supported='no'/></cpu></domainCapabilities>";
  const visit = (name: string, part: string) =>
    [name, domcaps, cpuinfo(part), `Linux ${name} 6.1.0 #1 SMP aarch64`, ''].join(
      '\n--plimsoll--\n',
    );
  for (const [name, part] of Object.entries({ a1: '0xd0c', a2: '0xd0c', a3: '0xd49' }))
    writeFileSync(join(dir, name), visit(name, part));
  program('ssh', `cat > /dev/null\nfor last; do case "$last" in a?) cat ${dir}/$last;; esac; done`);
  const baseline = async (...names: string[]) => {
    const { out, err } = await plimsoll(names.map((name) => `ssh://${name}`));
    assert.is(err, '');
    return command(['baseline', '--to', 'qemu', '-'], {}, out);
  };
  assert.equal(await baseline('a1', 'a2'), { code: 0, out: '-cpu host\n', err: '' });
  const apart = await baseline('a1', 'a3');
  assert.is(apart.code, 1);
  assert.match(apart.err, /there is no CPU to write/);
});

test('a host that Prometheus cannot reach is an error by name, or a finding', async () => {
  const down = {
    body: JSON.stringify({
      status: 'success',
      data: {
        resultType: 'vector',
        result: [{ metric: { __name__: 'up', instance: 'dead:9100' }, value: [1, '0'] }],
      },
    }),
  };
  const server = await serve({
    [METRICS]: { body: asQueryResult({ 'a:9100': ICELAKE }) },
    [UP]: down,
  });
  const source = `prometheus://127.0.0.1:${server.port}`;
  const strict = await plimsoll([source]);
  const lenient = await plimsoll([source, '--skip-unreadable']);
  server.end();
  assert.equal(strict, { code: 2, out: '', err: `error: ${source}: dead:9100 does not answer\n` });
  assert.equal(
    [lenient.code, hosts(lenient.out).length, lenient.err],
    [0, 1, `warning: skipped: ${source}: dead:9100 does not answer\n`],
  );
});

test('what servers get wrong is one sentence with the source', async () => {
  const refusals: [Reply, RegExp][] = [
    [{ status: 401, body: 'no' }, /answers 401 \(Unauthorized\): it wants a token/],
    [{ status: 500, body: '<html>' }, /answers 500/],
    [{ body: '<html>hello</html>' }, /answers with no JSON \("<html>hello<\/html>"\)/],
    [{ cut: true }, /cut the connection/],
    [{ wait: 3000 }, /did not answer within 1 seconds/],
    [
      { body: '{"status":"error","error":"bad query"}' },
      /Prometheus answered with an error: "bad query"/,
    ],
    [
      { body: '{"status":"success","data":{"result":{}}}' },
      /data\.result is an object, not a list/,
    ],
    [{ body: '[]' }, /has no node_cpu_flag_info|data\.result/],
  ];
  for (const [reply, sentence] of refusals) {
    const server = await serve({ [METRICS]: reply, [UP]: NOBODY_DOWN });
    const source = `prometheus://127.0.0.1:${server.port}`;
    const found = await plimsoll([source, '--timeout', '1', '--retries', '0']);
    server.end();
    assert.equal([found.code, found.out], [2, '']);
    assert.match(found.err, sentence);
    assert.match(found.err, new RegExp(`^error: ${source}[^\\n]*\\n$`));
  }
});

test('a source that fails once is asked again', async () => {
  let calls = 0;
  const server = createServer((_, response) => {
    response.writeHead(++calls === 1 ? 503 : 200);
    response.end(calls === 2 ? asQueryResult({ 'a:9100': ICELAKE }) : NOBODY_DOWN.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const found = await plimsoll([
    `prometheus://127.0.0.1:${(server.address() as AddressInfo).port}`,
    '--retries',
    '1',
  ]);
  server.close();
  assert.equal([found.code, hosts(found.out).length, calls], [0, 1, 3]);
});

test('a Proxmox cluster is asked once for all nodes, and a node that is off is named', async () => {
  const flags = {
    data: [
      { name: 'avx2', 'supported-on': ['pve1'] },
      { name: 'vmx', 'supported-on': ['pve1'] },
    ],
  };
  const server = await serve({
    '/api2/json/nodes': {
      body: JSON.stringify({
        data: [
          { node: 'pve2', status: 'offline' },
          { node: 'pve1', status: 'online' },
        ],
      }),
    },
    '/api2/json/nodes/pve1/capabilities/qemu/cpu-flags': { body: JSON.stringify(flags) },
  });
  const source = `proxmox://127.0.0.1:${server.port}?tls=off`;
  const env = { PVE_API_TOKEN: 'root@pam!x=top-secret' };
  const strict = await plimsoll([source], env);
  const lenient = await plimsoll([source, '--skip-unreadable'], env);
  server.end();
  assert.equal([strict.code, strict.err], [2, `error: ${source}: pve2 does not answer\n`]);
  assert.equal(
    hosts(lenient.out).map((h) => [h.host, h.view, h.vendor]),
    [['pve1', 'hypervisor', 'Intel']],
  );
  assert.is(server.asked[0]!.authorization, 'PVEAPIToken=root@pam!x=top-secret');
  assert.not.match(lenient.out + lenient.err, /secret/);
  assert.match((await plimsoll([source])).err, /it wants an API token.*PVE_API_TOKEN/);
});

test('a token never travels in the clear', async () => {
  const found = await plimsoll(['prometheus://db.example:9090', '--retries', '0'], {
    PROMETHEUS_TOKEN: 'top-secret',
  });
  assert.equal(found, {
    code: 2,
    out: '',
    err: 'error: prometheus://db.example:9090: db.example:9090 would get the token in the clear, for all on the way to read; ask it over TLS\n',
  });
});

test('kubectl is asked for nodes and nothing else', async () => {
  const node = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: 'n1',
      labels: {
        'cpu-feature.node.kubevirt.io/avx2': 'true',
        'cpu-vendor.node.kubevirt.io/AMD': 'true',
      },
    },
    spec: { unschedulable: true },
  };
  writeFileSync(
    join(dir, 'nodes.json'),
    JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [node] }),
  );
  program('kubectl', `echo "$@" > ${dir}/kubectl.args\ncat ${dir}/nodes.json`);
  const found = await plimsoll(['kubectl:prod']);
  assert.equal([found.code, hosts(found.out)[0].unschedulable], [0, true]);
  assert.is(
    readFileSync(join(dir, 'kubectl.args'), 'utf8'),
    '--context=prod get nodes -o json --request-timeout=30s\n',
  );
});

test('over ssh a host without libvirt is its /proc/cpuinfo', async () => {
  writeFileSync(join(dir, 'cpuinfo'), asCpuinfo(MILAN));
  program(
    'ssh',
    `echo "$@" > ${dir}/ssh.args\ncat > ${dir}/ssh.in\necho db-07\necho -- > /dev/null\necho --plimsoll--\necho --plimsoll--\ncat ${dir}/cpuinfo`,
  );
  const found = await plimsoll(['ssh://admin@db-07:2222']);
  assert.equal([found.code, found.err], [0, '']);
  assert.equal(
    hosts(found.out).map((h) => [h.host, h.vendor, h.view]),
    [['db-07', 'AMD', 'kernel']],
  );
  assert.is(
    readFileSync(join(dir, 'ssh.args'), 'utf8'),
    '-p 2222 -o BatchMode=yes -o ConnectTimeout=30 -- admin@db-07 sh -s\n',
  );
  // Nothing that it runs there changes anything.
  assert.not.match(
    readFileSync(join(dir, 'ssh.in'), 'utf8'),
    /define|start|destroy|[^2]>[^&/]|rm /,
  );
});

test('programs that fail, hang or are not there are named', async () => {
  program('kubectl', 'echo "error: Unauthorized" >&2; exit 1');
  program('virsh', 'sleep 30');
  const found = await plimsoll([
    'kubectl',
    'qemu+ssh://h/system',
    'qmp:qemu-nowhere',
    '--timeout',
    '1',
    '--retries',
    '0',
  ]);
  assert.is(found.code, 2);
  assert.equal(found.err.split('\n').slice(0, 3), [
    'error: kubectl failed: Unauthorized',
    'error: qemu+ssh://h/system: virsh did not answer within 1 seconds',
    'error: qmp:qemu-nowhere: qemu-nowhere is not installed here; install it, or collect where it is',
  ]);
});

test('hosts that call themselves the same are not made one', async () => {
  program(
    'ssh',
    `cat > /dev/null\necho localhost\necho --plimsoll--\necho --plimsoll--\ncat ${dir}/cpuinfo`,
  );
  const found = await plimsoll(['ssh://a', 'ssh://b']);
  assert.is(found.code, 2);
  assert.match(found.err, /ssh:\/\/b: its host calls itself localhost, as that of ssh:\/\/a does/);
});

test('a monitor that cuts the connection, or holds its tongue, is named', async () => {
  const path = join(dir, 'qmp.sock');
  for (const [greet, sentence] of [
    [true, /cut the connection before it had answered/],
    [false, /did not answer within 1 seconds; another client may hold the monitor/],
  ] as const) {
    const server = createSocketServer((socket) => {
      socket.resume();
      if (greet) socket.end('{"QMP":{}}\n');
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const found = await plimsoll([`qmp:${path}`, '--timeout', '1', '--retries', '0']);
    await new Promise((resolve) => server.close(resolve));
    assert.is(found.code, 2);
    assert.match(found.err, sentence);
  }
});

test('sources that mean nothing are refused before anything is asked', async () => {
  for (const [source, sentence] of [
    ['http://x', /"http:\/\/x" is no source; give local, a URI of libvirt/],
    ['db-07', /"db-07" is no source/],
    ['prometheus://u:pw@h:9090', /is given with a password/],
  ] as const) {
    const found = await plimsoll([source]);
    assert.is(found.code, 2);
    assert.match(found.err, sentence);
    assert.not.match(found.err, /pw/);
  }
  assert.match((await plimsoll(['local', 'local'])).err, /the source local is given twice/);
  assert.match((await plimsoll(['local', '--jobs', '0'])).err, /whole number from 1 to 256/);
});

test.after(() => rmSync(dir, { recursive: true, force: true }));
test.run();
