// Hosts that have everything at once (two vendors, layouts, lists of models with blockers, address bits, clocks, features
// that nobody can tell of), as records; and guests near them, in the languages that they are defined in.
import fc from 'fast-check';
import type { Catalog } from '../../src/cpu/catalog.ts';
import { expandCpu } from '../../src/cpu/start.ts';
import { KVM } from './made.ts';

/** A host record, as JSON has it. */
export interface DrawnHost {
  readonly host: string;
  readonly arch?: string;
  readonly midr?: string;
  readonly vendor?: string;
  readonly view: 'hypervisor' | 'hardware' | 'kernel';
  readonly features: readonly string[];
  readonly unknown?: readonly string[];
  readonly limits?: { readonly physBits: number };
  readonly xsave?: readonly { component: number; size: number; offset: number }[];
  readonly models?: Readonly<Record<string, readonly string[]>>;
  readonly tsc?: { readonly hz: number; readonly scaling?: boolean };
  readonly software?: { readonly qemu?: string; readonly libvirt?: string };
}

/** A guest: a line of QEMU's command, a domain, a record, or a CPU that was saved; `id` is its name. */
export interface DrawnGuest {
  readonly id: string;
  readonly how: 'line' | 'domain' | 'record';
  readonly text: string;
}

const HZ = [2_100_000_000, 2_100_400_000, 2_095_078_000, 2_794_748_000] as const;
const LAYOUTS = [
  [{ component: 2, size: 256, offset: 576 }],
  [{ component: 2, size: 256, offset: 832 }],
  [
    { component: 2, size: 256, offset: 576 },
    { component: 9, size: 8, offset: 2688 },
  ],
  [
    { component: 2, size: 256, offset: 576 },
    { component: 9, size: 8, offset: 2432 },
  ],
];

const MODELS = [
  'Nehalem',
  'SandyBridge',
  'Haswell-noTSX',
  'Skylake-Server-IBRS',
  'EPYC',
  'EPYC-Rome',
  'Opteron_G3',
] as const;

/** Those that ask for the least, so that guests run somewhere. */
const LEAST = ['486', '486', '486', '486', '486', 'Nehalem', 'Nehalem', 'Opteron_G3'] as const;

/** One to `most` hosts. */
export function drawnFleet(catalog: Catalog, most: number): fc.Arbitrary<DrawnHost[]> {
  const feature = fc.constantFrom(
    ...catalog.features.filter((f) => f.merge !== 'never' && !f.isKvm).map((f) => f.name),
  );
  /** Left out once in so many times. */
  const often = <T>(freq: number, arbitrary: fc.Arbitrary<T>) =>
    fc.option(arbitrary, { nil: undefined, freq });
  const one = fc.record({
    model: fc.constantFrom(...MODELS),
    plus: fc.uniqueArray(feature, { maxLength: 3 }),
    less: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      fc.uniqueArray(feature, { maxLength: 4 }),
    ),
    open: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      fc.uniqueArray(feature, { maxLength: 3 }),
    ),
    future: fc.constantFrom([], [], ['future-a'], ['future-b']),
    exact: fc.constantFrom(...Array(7).fill(false), true) as fc.Arbitrary<boolean>,
    arm: fc.constantFrom(...Array(11).fill(false), true) as fc.Arbitrary<boolean>,
    vendor: fc.constantFrom('own', 'own', 'own', 'own', 'none'),
    view: fc.constantFrom(
      'hypervisor',
      'hypervisor',
      'hypervisor',
      'hardware',
      'kernel',
    ) as fc.Arbitrary<DrawnHost['view']>,
    physBits: often(4, fc.constantFrom(39, 40, 46, 52)),
    xsave: often(2, fc.constantFrom(...LAYOUTS)),
    lists: often(
      2,
      fc.dictionary(
        fc.constantFrom(...MODELS, 'Haswell-noTSX-IBRS', 'Westmere'),
        fc.oneof(
          { weight: 2, arbitrary: fc.constant([]) },
          fc.uniqueArray(feature, { minLength: 1, maxLength: 2 }),
        ),
        { minKeys: 3, maxKeys: 8 },
      ),
    ),
    tsc: often(
      2,
      fc.record({ hz: fc.constantFrom(...HZ), scaling: fc.constantFrom(true, false, undefined) }),
    ),
    qemu: fc.constantFrom(undefined, undefined, '7.2.22', '10.0.13'),
    libvirt: fc.constantFrom(undefined, undefined, '9.0.0', '12.8.0'),
  });
  return fc.array(one, { minLength: 1, maxLength: most }).map((list) =>
    list.map((d, i): DrawnHost => {
      // A line of Arm hosts is held against hosts whose MIDR is told alone.
      if (d.arm)
        return {
          ...{ host: `h${i}`, arch: 'aarch64', midr: '0x413fd0c1' },
          ...{ view: d.view, features: ['fp', 'asimd'] },
        };
      if (d.exact) return exactHost(catalog, `h${i}`, d.open);
      const model = catalog.qemuModels.get(d.model)!;
      const resolved = model.of ?? `${d.model}-v1`;
      const names = catalog.names(catalog.qemuFeatures(resolved, '10.0')!);
      const gone = new Set([...d.less, ...d.open]);
      const has = [...new Set([...names, ...KVM, 'rdtscp', 'xsave', 'avx', ...d.plus])].filter(
        (f) => !gone.has(f),
      );
      const software = {
        ...(d.qemu ? { qemu: d.qemu } : {}),
        ...(d.libvirt ? { libvirt: d.libvirt } : {}),
      };
      return {
        host: `h${i}`,
        ...(d.vendor === 'none' ? {} : { vendor: catalog.qemuModels.get(resolved)!.vendor! }),
        view: d.view,
        features: [...has, ...d.future],
        ...(d.open.length > 0 ? { unknown: d.open } : {}),
        ...(d.physBits === undefined ? {} : { limits: { physBits: d.physBits } }),
        ...(d.xsave === undefined ? {} : { xsave: d.xsave }),
        ...(d.lists === undefined ? {} : { models: d.lists as Record<string, readonly string[]> }),
        ...(d.tsc === undefined
          ? {}
          : {
              tsc: {
                hz: d.tsc.hz,
                ...(d.tsc.scaling === undefined ? {} : { scaling: d.tsc.scaling }),
              },
            }),
        ...(Object.keys(software).length > 0 ? { software } : {}),
      };
    }),
  );
}

/** A strict guest, and a host of which one feature more is not known: too rare to wait for. */
export const strictExample = (catalog: Catalog): [DrawnHost[], DrawnGuest[]] => [
  [exactHost(catalog, 'h0', ['amx-tile'], 'Westmere')],
  [
    {
      id: 'g0',
      how: 'domain',
      text: "<domain type='kvm'><name>g0</name><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><cpu mode='custom' match='strict' check='partial'><model>Westmere</model></cpu></domain>",
    },
  ],
];

/** A host that offers just what a model is under libvirt 9.0, but for what is not known. */
function exactHost(
  catalog: Catalog,
  host: string,
  unknown: readonly string[],
  model = '486',
): DrawnHost {
  const where = { machine: 'pc-q35-7.2', qemu: '7.2', accelerator: 'kvm' } as const;
  const has = new Set(catalog.names(expandCpu(catalog, model, where).features));
  return {
    host,
    vendor: 'Intel',
    view: 'hypervisor',
    features: [...has],
    unknown: unknown.filter((name) => !has.has(name)),
    software: { qemu: '7.2.22', libvirt: '9.0.0' },
  };
}

const MACHINES = [
  'pc-q35-3.1',
  'pc-q35-7.2',
  'pc-i440fx-2.4',
  'pc-q35-9.2',
  'pc-q35-rhel9.6.0',
] as const;

/** Some guests, of these names. */
export function drawnGuests(catalog: Catalog, most: number): fc.Arbitrary<DrawnGuest[]> {
  const feature = fc.constantFrom(
    ...catalog.features.filter((f) => f.qemu === '7.2').map((f) => f.name),
  );
  const model = fc.constantFrom(
    ...LEAST,
    ...MODELS,
    'qemu64',
    '486',
    'host',
    'EPYC-v2',
    'Haswell-noTSX-IBRS',
    'EPYC-Turin',
  );
  const line = fc
    .record({
      model,
      items: fc.array(fc.tuple(feature, fc.constantFrom('on', 'off', 'off', 'off')), {
        maxLength: 2,
      }),
      more: fc.uniqueArray(
        fc.constantFrom(
          'enforce',
          'phys-bits=46',
          'invtsc=on',
          `tsc-frequency=${HZ[0]}`,
          'vendor=AuthenticAMD',
          'no-such=on',
          'rdctl-no=on',
          'ht=on',
        ),
        { maxLength: 2 },
      ),
      machine: fc.option(fc.constantFrom(...MACHINES)),
      accel: fc.constantFrom('kvm', 'kvm', 'kvm', 'kvm', 'tcg'),
    })
    .map(({ model: name, items, more, machine, accel }) => {
      const cpu = [name, ...items.map(([f, on]) => `${f}=${on}`), ...more].join(',');
      return `qemu-system-x86_64 ${machine === null ? '' : `-machine ${machine} `}-accel ${accel} -cpu ${cpu}`;
    });
  const libvirtWord = fc.constantFrom(
    ...catalog.features.flatMap((f) =>
      f.libvirt?.since === '9.0' && f.merge !== 'never' ? [f.libvirt.name] : [],
    ),
    'nosuch',
  );
  const domain = fc
    .record({
      model: fc.constantFrom(...LEAST, ...MODELS, 'Haswell-noTSX-IBRS', 'EPYC-Turin'),
      mode: fc.constantFrom(
        'custom',
        'custom',
        'custom',
        'custom',
        'host-passthrough',
        'host-model',
      ),
      match: fc.constantFrom('exact', 'exact', 'strict', 'minimum'),
      check: fc.constantFrom(undefined, undefined, 'none', 'none', 'partial', 'partial', 'full'),
      words: fc.uniqueArray(
        fc.record({
          name: libvirtWord,
          policy: fc.constantFrom('require', 'disable', 'disable', 'optional', 'force', 'forbid'),
        }),
        { maxLength: 2, selector: (w) => w.name },
      ),
      vendor: fc.option(fc.constantFrom('Intel', 'AMD'), { freq: 2 }),
      bits: fc.option(fc.constantFrom(40, 52), { freq: 2 }),
      hz: fc.option(fc.constantFrom(...HZ), { freq: 2 }),
      machine: fc.constantFrom(...MACHINES),
      type: fc.constantFrom('kvm', 'kvm', 'kvm', 'qemu'),
      fallback: fc.constantFrom('', " fallback='forbid'"),
    })
    .map((d) => (id: string) => {
      const words = d.words.map((w) => `<feature policy='${w.policy}' name='${w.name}'/>`).join('');
      const check = d.check === undefined ? '' : ` check='${d.check}'`;
      const cpu =
        d.mode === 'custom'
          ? `<cpu mode='custom' match='${d.match}'${check}><model${d.fallback}>${d.model}</model>${d.vendor === null ? '' : `<vendor>${d.vendor}</vendor>`}${d.bits === null ? '' : `<maxphysaddr mode='emulate' bits='${d.bits}'/>`}${words}</cpu>`
          : `<cpu mode='${d.mode}'${check}>${words}</cpu>`;
      const clock =
        d.hz === null ? '' : `<clock offset='utc'><timer name='tsc' frequency='${d.hz}'/></clock>`;
      return `<domain type='${d.type}'><name>${id}</name><os><type arch='x86_64' machine='${d.machine}'>hvm</type></os>${cpu}${clock}</domain>`;
    });
  const record = fc
    .record({
      model: fc.constantFrom(...MODELS),
      open: fc.uniqueArray(feature, { maxLength: 1 }),
      vendor: fc.option(fc.constantFrom('Intel', 'AMD')),
      bits: fc.option(fc.constantFrom(40, 52)),
      xsave: fc.option(fc.constantFrom(...LAYOUTS)),
      future: fc.constantFrom([], [], ['future-a'], ['future-c']),
    })
    .map((d) => (id: string) => {
      const base = catalog.qemuModels.get(d.model)!;
      const names = catalog.names(catalog.qemuFeatures(base.of ?? `${d.model}-v1`, '10.0')!);
      return JSON.stringify({
        host: id,
        view: 'guest',
        features: [...names.filter((f) => !d.open.includes(f)), ...d.future],
        ...(d.open.length > 0 ? { unknown: d.open } : {}),
        ...(d.vendor === null ? {} : { vendor: d.vendor }),
        ...(d.bits === null ? {} : { limits: { physBits: d.bits } }),
        ...(d.xsave === null ? {} : { xsave: d.xsave }),
      });
    });
  const guest = fc.oneof(
    line.map((text) => ({ how: 'line' as const, make: (id: string) => `${text} -name ${id}` })),
    domain.map((make) => ({ how: 'domain' as const, make })),
    record.map((make) => ({ how: 'record' as const, make })),
  );
  return fc
    .array(guest, { minLength: 1, maxLength: most })
    .map((list) => list.map(({ how, make }, i) => ({ id: `g${i}`, how, text: make(`g${i}`) })));
}
