// plimsoll features [NAME]: every bit of a CPU that has a name, how it merges, and who has it.
import type { Command } from 'commander';
import { hasBit } from '../../core/rows.ts';
import type { BitPlace, Catalog, Feature } from '../../cpu/catalog/catalog.ts';
import { byBytes } from '../../cpu/order.ts';
import type { Answering } from '../io.ts';
import { defineShelf, type Shelf } from '../screen/show.ts';
import { count, listed } from '../screen/text.ts';

export const define = (command: Command, answering: Answering): void =>
  defineShelf(command, answering, shelf);

const hex = (n: number): string => `0x${n.toString(16)}`;

const placeText = (place: BitPlace): string =>
  place.kind === 'cpuid'
    ? `CPUID ${hex(place.leaf)}.${place.subleaf} ${place.register.toUpperCase()} bit ${place.bit}`
    : `MSR ${hex(place.msr)} bit ${place.bit}`;

const shortPlace = (place: BitPlace): string =>
  place.kind === 'cpuid'
    ? `${hex(place.leaf)}.${place.subleaf}:${place.register}.${place.bit}`
    : `msr.${hex(place.msr)}:${place.bit}`;

/** Versioned QEMU models and libvirt models that include the feature, as the newest of each has them. */
function modelsWith(catalog: Catalog, feature: Feature): { libvirt: string[]; qemu: string[] } {
  const [libvirt, qemu] = (['libvirt', 'qemu'] as const).map((p) => catalog.versions[p].at(-1)!);
  const having = (
    names: Iterable<string>,
    row: (name: string) => ReturnType<Catalog['qemuFeatures']>,
  ) =>
    [...names]
      .filter((name) => {
        const features = row(name);
        return features !== null && hasBit(features, feature.id);
      })
      .sort(byBytes);
  return {
    libvirt: having(catalog.libvirtModels.keys(), (name) =>
      catalog.libvirtFeatures(name, libvirt!),
    ),
    qemu: having(catalog.qemuModels.keys(), (name) => catalog.qemuFeatures(name, qemu!)),
  };
}

const names = (catalog: Catalog, ids: readonly number[]): string[] =>
  ids.map((id) => catalog.features[id]!.name);

const neededBy = (catalog: Catalog, feature: Feature): string[] =>
  catalog.features
    .filter((f) => f.needs.some((group) => group.includes(feature.id)))
    .map((f) => f.name)
    .sort(byBytes);

const since = (f: Feature): string[] => [
  ...(f.qemu ? [`QEMU ${f.qemu}`] : []),
  ...(f.libvirt ? [`libvirt ${f.libvirt.since}`] : []),
];

const shelf: Shelf<Feature> = {
  plural: 'features',
  singular: 'feature',
  examples: `  plimsoll features                 all of them
  plimsoll features avx512f         who has it, and where the bit lives
  plimsoll features sse4_1 --json   any spelling does
`,
  items: (catalog) => [...catalog.features].sort((a, b) => byBytes(a.name, b.name)),
  find: (catalog, name) => catalog.find(name),
  record: (catalog, f, whole) => ({
    name: f.name,
    places: f.places,
    aliases: f.aliases,
    qemu: f.qemu,
    libvirt: f.libvirt && { name: f.libvirt.name, since: f.libvirt.since },
    linux: f.linux,
    linuxHidden: f.linuxHidden,
    xen: f.xen,
    merge: f.merge,
    why: f.why,
    migratable: f.migratable,
    libvirtMigratable: f.libvirtMigratable,
    hostConditional: f.hostConditional,
    security: f.security,
    needs: f.needs.map((group) => names(catalog, group)),
    xsave: f.xsave,
    offered: [...f.offered].sort(byBytes),
    ...(whole ? { neededBy: neededBy(catalog, f), models: modelsWith(catalog, f) } : {}),
  }),
  head: ['feature', 'QEMU', 'libvirt', 'merges', 'where'],
  row: (_, f) => [
    f.name,
    f.qemu ?? '-',
    f.libvirt?.since ?? '-',
    f.merge,
    f.places.map(shortPlace).join(' '),
  ],
  title: (f) => f.name,
  facts(catalog, f) {
    const models = modelsWith(catalog, f);
    const offered = [...f.offered].sort(byBytes);
    return [
      ['where', listed(f.places.map(placeText))],
      ['QEMU', f.qemu ? listed([f.name, ...f.aliases]) : 'has no name for it'],
      ['libvirt', f.libvirt?.name ?? 'has no name for it'],
      ['Linux', listed([...f.linux, ...f.linuxHidden])],
      ['Xen', f.xen ?? ''],
      ['known since', listed(since(f))],
      ['merges', `${f.merge}: ${f.why}`],
      ['migrates', f.migratable ? 'yes' : 'no: QEMU keeps a guest that has it where it is'],
      [
        'offered by',
        offered.length > 0
          ? `KVM on ${listed(offered)} processors, as far as was seen`
          : 'nobody, as far as was seen',
      ],
      [
        'settled by',
        f.hostConditional ? 'a hypervisor only: a module option or the kernel decides' : '',
      ],
      [
        'security',
        f.security ? 'mitigates a vulnerability of hardware, or tells that there is none' : '',
      ],
      ['needs', f.needs.map((group) => listed(names(catalog, group), 'or')).join(', and ')],
      ['needed by', neededBy(catalog, f)],
      ['XSAVE', f.xsave.length > 0 ? `component ${listed(f.xsave.map(String))}` : ''],
      [
        'who has it',
        `${count(models.qemu.length, 'model')} of QEMU, ${models.libvirt.length} of libvirt`,
      ],
      ['QEMU models', models.qemu],
      ['libvirt models', models.libvirt],
    ];
  },
};
