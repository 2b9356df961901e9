// The visible cases of libvirt's own suite, asked as an operator asks: through the command, of files. The cases are
// read where they lie, never copied; test/libvirt-cases.test.ts asks the library the same.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import type { LibvirtCpu } from '../src/cpu/libvirt.ts';
import { catalogMap } from '../src/cpu/libvirt-map.ts';
import { readLibvirtCpus } from '../src/dialects/libvirt-element.ts';
import { writeLibvirtCpu } from '../src/dialects/libvirt-write.ts';
import { expandFeatures } from '../src/solve/libvirt/data.ts';
import { run } from './support/command.ts';
import { SHARED, sayMissing } from './support/places.ts';

// biome-ignore lint/suspicious/noExplicitAny: parsed cases, checked by what they are compared with
type Json = any;

const path = SHARED && join(SHARED, 'cases/libvirt.json');
const cases: Json[] = path && existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).cases : [];
if (cases.length === 0) sayMissing("libvirt's own cases through the command", 'cases/libvirt.json');

const folder = mkdtempSync(join(tmpdir(), 'plimsoll-cases-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, text: string) => {
  const own = join(folder, name);
  writeFileSync(own, text);
  return own;
};
const xml = (name: string, { text }: Json) => file(`${name}.xml`, text);
const replies = (name: string, list: readonly Json[]) =>
  file(`${name}.json`, list.map((reply) => JSON.stringify(reply)).join('\n'));

const cpuOf = async (text: string): Promise<LibvirtCpu> =>
  (await readLibvirtCpus({ name: 'case', bytes: new TextEncoder().encode(text) }))[0]!;
/** The same element however it was written: comments and older ways make no difference. */
const plain = async (text: string) => writeLibvirtCpu(await cpuOf(text));

async function answers(c: Json, ...argv: string[]) {
  const { status, stdout, stderr } = await run(...argv);
  if (c.expected === 'error') {
    assert.equal([status === 0, stdout], [false, ''], stdout);
    assert.match(stderr, /^(error|no): /m);
  } else {
    assert.is(status, 0, stderr);
    assert.is(await plain(stdout), await plain(c.expected_file.text));
  }
}

const ask: Record<string, (c: Json) => Promise<void>> = {
  baseline(c) {
    const inputs = c.inputs.map((input: Json, i: number) => xml(`${i}`.padStart(3, '0'), input));
    const flags = c.flags.map((flag: string) => `--${flag}`);
    return answers(c, 'baseline', '--rules', 'libvirt', '--to', 'libvirt', ...flags, ...inputs);
  },
  async compare(c) {
    const { status, stdout, stderr } = await run(
      'compare',
      '--rules',
      'libvirt',
      xml('host', c.host),
      xml('cpu', c.cpu),
    );
    const statuses: Record<string, number> = { incompatible: 1, error: 2 };
    assert.is(status, statuses[c.expected] ?? 0, stderr);
    assert.is(stdout.split('\n')[0], c.expected === 'error' ? '' : c.expected);
  },
  update: (c) =>
    answers(c, 'resolve', '--rules', 'libvirt', xml('host', c.host), xml('cpu', c.cpu)),
  'guest-cpu': (c) =>
    answers(
      c,
      ...['resolve', '--rules', 'libvirt'],
      xml('host', c.host),
      xml('cpu', c.cpu),
      ...(c.models ? ['--models', c.models.join(',')] : []),
    ),
  'decode-host': (c) =>
    answers(c, 'decode', '--as', 'host', '--to', 'libvirt', xml('data', c.data)),
  'decode-guest': (c) =>
    answers(
      c,
      ...['decode', '--as', 'guest', '--to', 'libvirt', xml('data', c.data)],
      ...(c.json_mode === 'JSON_MODELS_REQUIRED'
        ? ['--hypervisor', replies('models', c.models_json.replies)]
        : []),
    ),
  'json-model': (c) =>
    answers(
      c,
      ...['decode', '--as', 'guest', '--to', 'libvirt'],
      replies(
        'qemu',
        c.json.replies.filter((r: Json) => c.use_models || !Array.isArray(r.return)),
      ),
    ),
  signature: (c) => signature(c, xml('data', c.data)),
  'json-signature': (c) => signature(c, replies('qemu', c.json.replies)),
  async 'update-live'(c) {
    const expected = await cpuOf(c.expected_cpu.text);
    const { status, stdout, stderr } = await run(
      'resolve',
      file('host.xml', '<cpu><arch>x86_64</arch><model>qemu64</model></cpu>'),
      xml('cpu', c.cpu),
      ...['--enabled', xml('enabled', c.enabled), '--disabled', xml('disabled', c.disabled)],
    );
    assert.is(status, 0, stderr);
    const spelt = (cpu: LibvirtCpu) =>
      new Map(
        expandFeatures(map, { where: c.id, cpu }).features.map((f) => [f.name, f.policy] as const),
      );
    const [has, wants] = [spelt(await cpuOf(stdout)), spelt(expected)];
    for (const [name, policy] of has)
      if (policy === 'disable' && !wants.has(name)) has.delete(name);
    assert.equal([...has].sort(), [...wants].sort());
  },
};
ask['cpuid-baseline'] = ask.baseline!;

const map = catalogMap(await loadCatalog(), '11.3');

async function signature({ expected_file }: Json, input: string) {
  const { stdout } = await run('decode', '--as', 'host', '--json', input);
  const [{ signature: found }] = JSON.parse(stdout).hosts;
  for (const what of ['family', 'model', 'stepping'])
    assert.is(String(found[what]), expected_file.text.match(new RegExp(`${what}: +(\\d+)`))[1]);
}

for (const c of cases) {
  const question = ask[c.kind];
  // No command asks for a single feature, or whether names are ARM's.
  if (question) test(c.id, () => question(c));
}

test.run();
