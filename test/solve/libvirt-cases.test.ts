// Every visible case of libvirt's own suite under --rules libvirt. The cases are read where they lie, never copied.
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { emptyRow, setBit } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { catalogMap } from '../../src/cpu/catalog/libvirt-map.ts';
import type { LibvirtCpu } from '../../src/cpu/cpu-element.ts';
import { QueryError } from '../../src/cpu/errors.ts';
import { Words } from '../../src/cpu/register-words.ts';
import { readLibvirtCpus } from '../../src/dialects/libvirt/libvirt-element.ts';
import { writeLibvirtCpu } from '../../src/dialects/libvirt/libvirt-write.ts';
import { translateCpu, updateCpu, updateLiveCpu } from '../../src/solve/libvirt/guest-update.ts';
import { validateArmFeatures } from '../../src/solve/libvirt/libvirt-arm.ts';
import { libvirtBaseline } from '../../src/solve/libvirt/libvirt-baseline.ts';
import { libvirtCompare } from '../../src/solve/libvirt/libvirt-compare.ts';
import { libvirtDecode } from '../../src/solve/libvirt/libvirt-decode.ts';
import {
  type CpuData,
  type CpuInput,
  dataOfWords,
  expandFeatures,
  guestStub,
  hasFeature,
  hostStub,
  withoutUnmigratable,
} from '../../src/solve/libvirt/spelt-out.ts';
import { SHARED, sayMissing } from '../support/places.ts';

// biome-ignore lint/suspicious/noExplicitAny: parsed cases, checked by what they are compared with
type Json = any;

const cases: Json[] = SHARED
  ? JSON.parse(readFileSync(`${SHARED}/cases/libvirt.json`, 'utf8')).cases
  : [];
if (!SHARED) sayMissing("libvirt's own cases", '../shared');

const map = catalogMap(await loadCatalog(), '11.3');
const input = async ({ path: name, text: xml }: Json) => ({
  where: name,
  cpu: (await readLibvirtCpus({ name, bytes: new TextEncoder().encode(xml) }))[0]!,
});

async function matches(c: Json, answer: () => LibvirtCpu) {
  if (c.expected === 'error') return assert.throws(answer, (e: unknown) => e instanceof QueryError);
  // Read and written again, so that comments and older ways to write it make no difference.
  assert.is(writeLibvirtCpu(answer()), writeLibvirtCpu((await input(c.expected_file)).cpu));
}

function wordsOf(rows: Json[]): Words {
  const words = new Words();
  for (const { kind, eax_in, ecx_in, index, ...r } of rows)
    if (kind === 'msr') words.setMsr(index, (BigInt(r.edx) << 32n) | BigInt(r.eax));
    else words.setLeaf(eax_in, ecx_in, r);
  return words;
}

const dataOf = ({ rows }: Json) => dataOfWords(map, wordsOf(rows));

function modelsOf(replies: Json[]) {
  const list: Json[] = replies.map((r) => r.return).find(Array.isArray) ?? [];
  return new Map<string, string[]>(list.map((m) => [m.name, m['unavailable-features'] ?? []]));
}

function dataOfProps(replies: Json[]): CpuData {
  const props = replies.find((r) => r.return?.model).return.model.props;
  const row = emptyRow(map.bits);
  for (const [name, value] of Object.entries(props)) {
    const feature = map.fromQemu(name);
    if (value === true && feature) setBit(row, feature.id);
  }
  const { family, model, stepping } = props;
  return {
    row,
    vendor: typeof props.vendor === 'string' ? map.vendorOf(props.vendor) : null,
    signature: family === undefined ? null : { family, model, stepping },
  };
}

const run: Record<string, (c: Json) => void | Promise<void>> = {
  async baseline(c) {
    const inputs = await Promise.all<CpuInput>(c.inputs.map(input));
    const answer = () => {
      const found = libvirtBaseline(map, inputs, { migratable: c.flags.includes('migratable') });
      return c.flags.includes('expand')
        ? expandFeatures(map, { where: 'baseline', cpu: found })
        : found;
    };
    await matches(c, answer);
    if (c.also)
      for (const host of inputs)
        assert.is.not(
          libvirtCompare(map, host, { where: 'baseline', cpu: { ...answer(), arch: null } })
            .verdict,
          'incompatible',
        );
  },
  async compare(c) {
    const [host, cpu] = [await input(c.host), await input(c.cpu)];
    const answer = () => libvirtCompare(map, host, cpu).verdict;
    if (c.expected === 'error') assert.throws(answer, (e: unknown) => e instanceof QueryError);
    else assert.is(answer(), c.expected);
  },
  async 'has-feature'(c) {
    const host = await input(c.host);
    const answer = () => (hasFeature(map, host, c.feature) ? 'yes' : 'no');
    if (c.expected === 'fail') assert.throws(answer, (e: unknown) => e instanceof QueryError);
    else assert.is(answer(), c.expected);
  },
  async update(c) {
    const [host, cpu] = [await input(c.host), await input(c.cpu)];
    await matches(c, () =>
      updateCpu(map, cpu, { ...host, cpu: withoutUnmigratable(map, host.cpu) }),
    );
  },
  async 'guest-cpu'(c) {
    const [host, cpu] = [await input(c.host), await input(c.cpu)];
    await matches(c, () => {
      if (libvirtCompare(map, host, cpu).verdict === 'incompatible')
        throw new QueryError('incompatible');
      const updated = { ...cpu, cpu: updateCpu(map, cpu, host) };
      return translateCpu(
        map,
        updated,
        c.models && new Map(c.models.map((name: string) => [name, []])),
      );
    });
  },
  'decode-host'(c) {
    return matches(c, () => libvirtDecode(map, c.id, hostStub('x86_64'), dataOf(c.data)));
  },
  'decode-guest'(c) {
    const models = c.json_mode === 'JSON_MODELS_REQUIRED' ? modelsOf(c.models_json.replies) : null;
    return matches(c, () =>
      libvirtDecode(map, c.id, guestStub(null, 'forbid'), dataOf(c.data), { models }),
    );
  },
  'json-model'(c) {
    const models = c.use_models ? modelsOf(c.json.replies) : null;
    return matches(c, () =>
      libvirtDecode(map, c.id, guestStub(null, 'forbid'), dataOfProps(c.json.replies), { models }),
    );
  },
  signature(c) {
    assert.is(text(dataOf(c.data)), signatureLines(c));
  },
  'json-signature'(c) {
    assert.is(text(dataOfProps(c.json.replies)), signatureLines(c));
  },
  async 'update-live'(c) {
    const expected = await input(c.expected_cpu);
    let cpu = await input(c.cpu);
    // Another model name for the same features is allowed here: both sides are spelt out before they are compared.
    if (cpu.cpu.model !== expected.cpu.model)
      cpu = {
        ...cpu,
        cpu: translateCpu(
          map,
          { ...cpu, cpu: { ...cpu.cpu, fallback: 'allow' } },
          new Map([[expected.cpu.model!, []]]),
        ),
      };
    const live = updateLiveCpu(map, cpu, {
      enabled: dataOf(c.enabled).row,
      known: null,
      disabled: dataOf(c.disabled).row,
    });
    const spelt = (own: LibvirtCpu) =>
      new Map(
        expandFeatures(map, { where: c.id, cpu: own }).features.map((f) => [f.name, f.policy]),
      );
    const [has, wants] = [spelt(live), spelt(expected.cpu)];
    for (const [name, policy] of has)
      if (policy === 'disable' && !wants.has(name)) has.delete(name);
    assert.equal(difference(has, wants), []);
  },
  async 'validate-features'(c) {
    assert.is(c.expected, 'ok');
    validateArmFeatures(await input(c.cpu));
  },
};
run['cpuid-baseline'] = run.baseline!;

const difference = (a: Map<string, unknown>, b: Map<string, unknown>) =>
  [...new Set([...a.keys(), ...b.keys()])]
    .filter((k) => a.get(k) !== b.get(k))
    .map((k) => `${k}: ${a.get(k)}, expected ${b.get(k)}`);
const text = ({ signature }: CpuData) =>
  `${signature?.family} ${signature?.model} ${signature?.stepping}`;
const signatureLines = (c: Json) =>
  ['family', 'model', 'stepping']
    .map((what) => c.expected_file.text.match(new RegExp(`${what}: +(\\d+)`))[1])
    .join(' ');

for (const c of cases) test(c.id, () => run[c.kind]!(c));

test.run();
