// Reading takes time that grows with the length of what is read, whatever it is: each unit, over and over, behind each
// language's own beginning. A time ratio is asserted here and nowhere else, a generous one, of CPU time.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import { dialectNames, recogniseDialect } from '../../src/dialects/index.ts';
import {
  plainSource,
  splitAt,
  statementsOf,
  UnreadableSource,
} from '../../src/dialects/kvm-source/c.ts';
import { KvmNames } from '../../src/dialects/kvm-source/kernel-names.ts';
import { readDescriptions } from '../../src/reading/read.ts';
import { explain } from '../../src/solve/explain.ts';
import { evenly } from '../support/property.ts';

const test = suite('time grows with length');
const catalog = await loadCatalog();

/** How many pairs of a beginning and a unit are tried at effort 1. */
const PAIRS = 1500;
/** A fourth of the longest line that is read by expressions, and a little less. */
const SMALL = 15 * 1024;
const LARGE = 4 * SMALL;
/** What takes less, in ms, takes no more steps than a few for each character. */
const AT_ONCE = 60;
/** Of four times the text; what is quadratic takes sixteen times as long. */
const GROWTH = 8;
const TRIES = 3;

// biome-ignore format: one after another
const UNITS = [
  '\n', ' ', '\t', '\r', '\r\n', ' \n', '\n\t', '\u2028', '\u00a0', '\ufeff', '\0',
  '"', '\\', '"\\', '\\"', '\\n', '"\n', "'", '`', '{', '}', '[', ']', '{"', '[{', '{"a":', '(', ')', '(0', '<', '>',
  '<a>', '<a ', '<!--', '&', ',', ':', ';', '=', '-', '.', '_', '+', '#', ' #', ' ;', '%', '|', '*', '/*', '//', '@',
  '0', 'a', 'A', '0:', 'a:', 'a=', 'a,', 'a ', 'a.', 'a-', ', a', '"a":', '"a":1,', '"a",', 'x="', '\na', 'a\n', 'a:\n', '- ',
  '? ', '- &a ', '*a ', '---\n', '00000000:', '00000000-', '0x0', 'model_', 'node', ' CPU', 'flags: ', 'kind:', 'MSR', 'host-model',
];

const BEGINNINGS: Readonly<Record<string, readonly string[]>> = {
  ansible: [
    '{"ansible_facts": {"ansible_processor": ["',
    'db-1 | SUCCESS => {\n  "a": "',
    'a | FAILED! => {"msg": "',
  ],
  'cpu-models': ['qemu64\n', 'kvm64\nPenryn'],
  cpudev: ['<cpudata arch="x86"><cpuid eax_in="'],
  cpuid: [
    'CPU 0:\n   0x00000000 0x00: eax=0x',
    'CPUID 00000000: 00000000-',
    '------[ CPUID Registers / Logical CPU #0 ]',
  ],
  cpuinfo: ['processor\t: 0\nflags\t\t: ', 'processor\t: 0\n'],
  evc: ['Name,MaxEVCMode\n"', 'Name,EVCMode\na,'],
  firecracker: ['{"cpuid_modifiers": [{"leaf": "'],
  hyperv: [
    '"Name","CompatibilityForMigrationEnabled"\n',
    'Name : a\nCompatibilityForMigrationEnabled : ',
  ],
  incus: [
    'incus cluster group set a instances.vm.cpu.x86_64.flags=',
    '{"cpu": {"sockets": [{"cores": [{"flags": ["',
  ],
  kubernetes: [
    'apiVersion: v1\nkind: Node\nmetadata:\n  ',
    '{"apiVersion":"v1","kind":"Node","a":"',
    'apiVersion: v1\nkind: Node\na: "',
  ],
  libvirt: [
    "<domainCapabilities><cpu><mode name='host-model' supported='yes'><model>",
    '<cpu mode="custom"><model>EPYC</model>',
  ],
  lscpu: [
    'Architecture: x86_64\nCPU(s): 1\nFlags: ',
    'Architecture: x86_64\nCPU(s): 1\n',
    '{"lscpu": [{"field": "',
  ],
  nova: [
    '[libvirt]\ncpu_mode = custom\ncpu_models = ',
    '[libvirt]\n',
    '{"hypervisor_hostname":"c","cpu_info":"',
  ],
  ohai: ['{"cpu": {"0": {"flags": ["'],
  ovirt: [
    'ServerCPUList: 1:AMD EPYC:svm,model_EPYC:',
    '1:',
    '{"cpuFlags": "',
    '<host href="/ovirt-engine/api/hosts/1"><name>',
  ],
  prometheus: [
    'node_cpu_flag_info{',
    '# TYPE node_cpu_info gauge\nnode_cpu_info{flag="',
    '{"status":"success","data":{"resultType":"vector","result":[{"metric":{"',
  ],
  proxmox: [
    'cpu-model: fleet\n\t',
    'cores: 2\nostype: l26\ncpu: ',
    "/usr/bin/kvm -id 1 -cpu '",
    '[{"name":"aes","supported-on":["',
    '[{"custom":0,"name":"a","vendor":"',
  ],
  qemu: ['-cpu ', 'qemu-system-x86_64 -cpu host -name "'],
  qmp: [
    '{"QMP": {}}\n{"return": {"model": {"name": "',
    '{"execute": "a"}\n',
    '{"QMP": {}}\n{"return": [',
  ],
  records: [
    '{"host":"a","features":["',
    '[{"host":"a","features":["aes"]},',
    '{"host":"a","features":[]}\n',
  ],
  salt: ['{"local": {"cpu_flags": ["', 'local:\n    cpu_flags:\n'],
  xen: [
    'hw_caps : ',
    'host : a\nhw_caps : 00000000:',
    'HVM Max 00000000:',
    'features_hvm: ',
    'a (MRO): ',
  ],
};

const MESSAGES = [
  '',
  'missing features: ',
  "host doesn't support requested feature: CPUID",
  "Property '",
  "Property 'EPYC-x86_64-cpu.",
  '0/3 nodes are available: ',
  'CPU vendor ',
  'vendor of the CPU ',
  'phys-bits ',
  'XSAVE size ',
  'failed to set MSR ',
  "Built-in cputype '",
  'does not match the Cluster CPU Type ',
];

const SOURCES = [
  '',
  'enum cpuid_leafs {',
  '#define X86_FEATURE_A (',
  'void f(',
  '\tif (',
  'static int init_speculation_control(',
];

type Work = (text: string) => unknown;

/** What a reader refuses is read, too. */
async function attempt(work: Work, text: string): Promise<void> {
  try {
    await work(text);
  } catch (error) {
    if (!(error instanceof QueryError || error instanceof UnreadableSource)) throw error;
  }
}

/** CPU time in ms. */
async function timeOf(work: Work, text: string): Promise<number> {
  const before = process.cpuUsage();
  await attempt(work, text);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Whether work takes far more time than the text is longer, as often as it is tried. */
async function isSuperlinear(
  work: Work,
  textOf: (length: number) => string,
): Promise<string | null> {
  let said = '';
  for (let i = 0; i < TRIES; i++) {
    const large = await timeOf(work, textOf(LARGE));
    if (large < AT_ONCE) return null;
    const small = await timeOf(work, textOf(SMALL));
    if (large < GROWTH * small + AT_ONCE) return null;
    said = `${small.toFixed()} ms of ${SMALL} characters, ${large.toFixed()} ms of ${LARGE}`;
  }
  return said;
}

const bytes = new TextEncoder();
const reading =
  (from: string): Work =>
  async (text) => {
    recogniseDialect(text);
    await readDescriptions(catalog, [{ name: 'a-file', bytes: bytes.encode(text) }], { from });
  };

function ofSource(text: string): void {
  const source = plainSource(text);
  splitAt(source, /^,/);
  statementsOf(source);
  new KvmNames(() => text);
}

const WORKS: readonly (readonly [name: string, beginnings: readonly string[], work: Work])[] = [
  ...Object.entries(BEGINNINGS).map(([name, begin]) => [name, begin, reading(name)] as const),
  ['explain', MESSAGES, (text) => void explain(catalog, text)],
  ['sources of KVM', SOURCES, ofSource],
];

test('every language that is read has beginnings here', () => {
  const own = new Set(['summary', 'saved', 'kubevirt']);
  const missing = dialectNames('read').filter((name) => !BEGINNINGS[name] && !own.has(name));
  assert.equal(missing, []);
});

test('no unit behind any beginning takes more than its length', async () => {
  const all = WORKS.flatMap(([name, beginnings, work]) =>
    beginnings.flatMap((begin) => UNITS.map((unit) => ({ name, begin, unit, work }))),
  );
  const slow: string[] = [];
  for (const { name, begin, unit, work } of evenly(all, Math.min(PAIRS, all.length))) {
    // What makes an expression go back is that the end does not fit.
    const textOf = (length: number) => `${begin}${unit.repeat(length / unit.length)}\0\n`;
    const said = await isSuperlinear(work, textOf);
    if (said !== null)
      slow.push(`${name}: ${JSON.stringify(begin)} and ${JSON.stringify(unit)}: ${said}`);
    // Each costs seconds, and some are enough to go on with.
    if (slow.length === 3) break;
  }
  assert.equal(slow, []);
});

test('a string of ten megabytes is read, escapes and all', async () => {
  const note = '\\n'.repeat(5_000_000);
  const text = `[{"host":"h","features":["aes"],"note":"${note}: \\":"}]`;
  const { read } = await readDescriptions(catalog, [{ name: 'a', bytes: bytes.encode(text) }]);
  assert.equal(
    read.map(({ id }) => id),
    ['h'],
  );
});

test('whatever is thrown while an input is read is its problem alone', async () => {
  const good = { name: 'good', bytes: bytes.encode('{"host":"h","features":["aes"]}') };
  const broken = (error: Error) => ({
    name: 'bad',
    get bytes(): Uint8Array {
      throw error;
    },
  });
  for (const error of [
    new RangeError('Invalid string length'),
    new TypeError('x is not a function'),
  ]) {
    const inputs = [broken(error), good];
    const { read, skipped } = await readDescriptions(catalog, inputs, { skipUnreadable: true });
    assert.equal([read.length, skipped.length], [1, 1]);
    assert.match(skipped[0]!.reason, /^bad (?:is more than can be read|cannot be read)/);
  }
});

test.run();
