// The fleet of `npm run demo`: facts of real servers as host records, read from CPUID dumps by our own dialect.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bitsOf, hasBit, minus } from '../../src/core/rows.ts';
import type { Catalog } from '../../src/cpu/catalog/catalog.ts';
import type { Description } from '../../src/cpu/description.ts';
import { cpuid } from '../../src/dialects/kernel/cpuid.ts';

/** Where each server stands, and the dump that describes it. */
const RACKS: readonly { rack: string; cluster: string; dumps: readonly string[] }[] = [
  {
    rack: 'rack-1',
    cluster: 'web',
    dumps: [
      'GenuineIntel00306E4_IvyBridgeEP_CPUID',
      'GenuineIntel00306F2_HaswellEP2_CPUID',
      'GenuineIntel00306F2_HaswellEP_00_CPUID',
      'GenuineIntel00306F2_HaswellEP_05_CPUID',
      'GenuineIntel00406F1_BroadwellE_CPUID2',
      'GenuineIntel00406F1_BroadwellE_CPUID4',
      'GenuineIntel0050664_BroadwellDE_CPUID4',
    ],
  },
  {
    rack: 'rack-2',
    cluster: 'db',
    dumps: [
      'GenuineIntel0050654_SkylakeXeon_20_CPUID',
      'GenuineIntel0050654_SkylakeXeon_CPUID5',
      'GenuineIntel0050654_SkylakeXeon_CPUID8',
      'GenuineIntel0050656_CascadeLakeSP_CPUID',
      'GenuineIntel0050657_CascadeLakeSP_CPUID1',
      'GenuineIntel0050657_CascadeLakeSP_CPUID2',
      'GenuineIntel0050657_CascadeLakeXeon2_CPUID',
    ],
  },
  {
    rack: 'rack-3',
    cluster: 'db',
    dumps: [
      'GenuineIntel00606A6_ICX_04_CPUID',
      'GenuineIntel00606A6_ICX_CPUID2',
      'GenuineIntel00C06F2_EmeraldRapids_01_CPUID',
      'GenuineIntel00C06F2_EmeraldRapids_02_CPUID',
    ],
  },
  {
    rack: 'rack-4',
    cluster: 'batch',
    dumps: [
      'AuthenticAMD0600F20_K15_AbuDhabi_CPUID0',
      'AuthenticAMD0830F10_K17_Rome_CPUID',
      'AuthenticAMD0830F10_K17_Rome_CPUID2',
      'AuthenticAMD0A00F11_K19_Milan_02_CPUID',
      'AuthenticAMD0A00F11_K19_Milan_CPUID1',
    ],
  },
  {
    rack: 'rack-5',
    cluster: 'batch',
    dumps: [
      'AuthenticAMD0A10F11_K19_Genoa_01_CPUID',
      'AuthenticAMD0A10F11_K19_Genoa_02_CPUID',
      'AuthenticAMD0AA0F02_K19_Bergamo_04_CPUID',
      'AuthenticAMD0B00F21_K20_Turin_01_CPUID',
      'AuthenticAMD0B10F10_K20_TurinD_03_CPUID',
    ],
  },
];

export interface DemoHost {
  readonly dump: string;
  readonly description: Description;
  /** The host's line of the fixture. */
  readonly record: string;
}

/** The demo fleet, made from the dumps in a folder. */
export async function demoFleet(catalog: Catalog, dumps: string): Promise<DemoHost[]> {
  const hosts: DemoHost[] = [];
  for (const { rack, cluster, dumps: names } of RACKS)
    for (const [i, dump] of names.entries()) {
      const bytes = readFileSync(join(dumps, `${dump}.txt`));
      const [description] = await cpuid.read!({ name: dump, bytes }, catalog);
      const host = `${rack}-${String(i + 1).padStart(2, '0')}`;
      hosts.push({
        dump,
        description: description!,
        record: record(catalog, description!, {
          host,
          rack,
          cluster,
          cpu: brandOf(bytes.toString('latin1')),
        }),
      });
    }
  return hosts;
}

/** A description as a host record; what a hardware view leaves open by its nature is not listed as unknown. */
function record(
  catalog: Catalog,
  d: Description,
  { host, ...keys }: { host: string; rack: string; cluster: string; cpu: string },
): string {
  const told = catalog.rowWhere((f) => f.isKvm || f.merge === 'never' || hasBit(d.known, f.id));
  const open = minus(
    catalog.rowWhere(() => true),
    told,
  );
  const unknown = bitsOf(open).map((id) => catalog.features[id]!.name);
  return JSON.stringify({
    host,
    ...keys,
    vendor: d.vendor,
    view: d.view,
    signature: d.signature,
    ...(d.microcode === null ? {} : { microcode: d.microcode }),
    limits: d.limits,
    ...(d.xsave === null ? {} : { xsave: d.xsave }),
    features: catalog.names(d.has),
    ...(unknown.length > 0 ? { unknown: unknown.sort() } : {}),
  });
}

/** The brand string of the first processor, read from the text without the dialect. */
function brandOf(text: string): string {
  const words = ['80000002', '80000003', '80000004'].flatMap((leaf) =>
    new RegExp(`CPUID ${leaf}:?\\s+([0-9A-F-]{35})`).exec(text)![1]!.split('-'),
  );
  const letters = words
    .map((word) => Buffer.from(word, 'hex').reverse().toString('latin1'))
    .join('');
  return letters.split('\0')[0]!.replace(/\s+/g, ' ').trim();
}
