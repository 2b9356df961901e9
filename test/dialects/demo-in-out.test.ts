// The fleet of the demo, described in the languages of products: the line that each draws is the line of the fleet, or
// what is missing from it is reported as unknown.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bitsOf, minus, type Row } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { parseStack } from '../../src/cpu/catalog/software.ts';
import { offer } from '../../src/cpu/proven/offer.ts';
import { closeDependencies } from '../../src/cpu/qemu/model.ts';
import { writeRecord } from '../../src/dialects/records/record-write.ts';
import { readDescriptions, readFleet } from '../../src/reading/read.ts';
import { baselinesBy } from '../../src/solve/baseline.ts';
import { ROOT } from '../support/places.ts';

const test = suite('the demo through every language');
const catalog = await loadCatalog();
const stack = parseStack(catalog, 'newest');
const FLEET = {
  name: 'demo',
  bytes: readFileSync(join(ROOT, 'test/fixtures/demo-fleet.ndjson')),
};
const { read } = await readDescriptions(catalog, [FLEET]);

interface Host {
  readonly id: string;
  readonly vendor: string;
  readonly has: Row;
  readonly known: Row;
}
/** What the hypervisor of each host would offer, as far as its description proves it. */
const hosts: readonly Host[] = read.map(({ id, description }) => ({
  id,
  vendor: description.vendor!,
  ...offer(catalog, description),
}));
const names = (row: Row, spell: (id: number) => string | undefined): string[] =>
  bitsOf(row).flatMap((id) => spell(id) ?? []);

/** Each language writes hosts with what they offer; what is unknown of them it has no word for, but for records. */
const LANGUAGES: Readonly<Record<string, () => string>> = {
  records: () =>
    read.map(({ id, description }) => writeRecord(catalog, description, id)).join('\n'),
  'labels of KubeVirt': () =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: hosts.map(({ id, vendor, has }) => ({
        apiVersion: 'v1',
        kind: 'Node',
        metadata: {
          name: id,
          labels: Object.fromEntries([
            [`cpu-vendor.node.kubevirt.io/${vendor}`, 'true'],
            ...names(has, (i) => catalog.features[i]!.libvirt?.name).map((name) => [
              `cpu-feature.node.kubevirt.io/${name}`,
              'true',
            ]),
          ]),
        },
      })),
    }),
  'cpu-flags of Proxmox': () =>
    JSON.stringify(
      catalog.features
        .filter((f) => f.qemu !== null)
        .map((f) => ({
          name: f.name,
          'supported-on': hosts.filter(({ has }) => bitsOf(has).includes(f.id)).map((h) => h.id),
        })),
    ),
};

const lines = async (bytes: Uint8Array) => {
  const fleet = await readFleet(catalog, [{ name: 'in', bytes }]);
  return new Map(
    baselinesBy(fleet, 'vendor', { stack }).baselines.map(({ value, baseline }) => [
      value,
      baseline,
    ]),
  );
};
const expected = await lines(FLEET.bytes);

for (const [language, text] of Object.entries(LANGUAGES))
  test(`${language} draw the line of the fleet, or say what they cannot tell`, async () => {
    const found = await lines(new TextEncoder().encode(text()));
    assert.equal([...found.keys()], [...expected.keys()]);
    for (const [vendor, baseline] of found) {
      const own = expected.get(vendor)!;
      assert.is(baseline.hosts, own.hosts);
      assert.is(baseline.vendor, vendor);
      const [a, b] = [catalog.row(own.features), catalog.row(baseline.features)];
      assert.equal(catalog.names(minus(b, a)), [], `${vendor}: more than the fleet has`);
      // What is unknown takes along all that needs it.
      const unknown = catalog.row(baseline.unknown.map((u) => u.feature));
      const without = closeDependencies(catalog, minus(a, unknown));
      assert.equal(catalog.names(minus(without, b)), [], `${vendor}: lost in silence`);
    }
  });

test.run();
