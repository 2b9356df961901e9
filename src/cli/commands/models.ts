// plimsoll models [NAME]: the CPU names of libvirt and QEMU, and what each stands for.
import type { Command } from 'commander';
import { isEmpty, minus, type Row, size } from '../../core/rows.ts';
import type { Catalog, LibvirtModel, QemuModel } from '../../cpu/catalog/catalog.ts';
import { byBytes } from '../../cpu/order.ts';
import type { Answering } from '../io.ts';
import type { Fact } from '../screen/render.ts';
import { defineShelf, type Shelf } from '../screen/show.ts';
import { count, listed } from '../screen/text.ts';

export const define = (command: Command, answering: Answering): void =>
  defineShelf(command, answering, shelf);

interface Model {
  readonly name: string;
  readonly libvirt: LibvirtModel | undefined;
  readonly qemu: QemuModel | undefined;
}

const vendorOf = (m: Model): string | null => m.libvirt?.vendor ?? m.qemu?.vendor ?? null;

/** The -vN of a name without version, oldest first. */
const versionsOf = (catalog: Catalog, name: string): QemuModel[] =>
  [...catalog.qemuModels.values()]
    .filter((m) => m.kind === 'versioned' && m.base === name)
    .sort((a, b) => a.version! - b.version!);

/** The fixed other names of a -vN. */
const othersOf = (catalog: Catalog, name: string): string[] =>
  [...catalog.qemuModels.values()]
    .filter((m) => m.of === name)
    .map((m) => m.name)
    .sort(byBytes);

function rowsOf(catalog: Catalog, m: Model): { libvirt: Row | null; qemu: Row | null } {
  const [libvirt, qemu] = (['libvirt', 'qemu'] as const).map((p) => catalog.versions[p].at(-1)!);
  return {
    libvirt: m.libvirt ? catalog.libvirtFeatures(m.name, libvirt!) : null,
    qemu: m.qemu ? catalog.qemuFeatures(m.qemu.of ?? m.name, m.qemu.until ?? qemu!) : null,
  };
}

function meaning(catalog: Catalog, m: QemuModel): string {
  if (m.kind === 'versioned') return 'itself';
  if (m.kind === 'fixed-alias') return m.of!;
  if (m.kind === 'special') return m.name === 'base' ? 'no feature' : 'what the host has';
  const versions = versionsOf(catalog, m.name);
  return versions.length === 1 ? versions[0]!.name : `-v1 to -v${versions.at(-1)!.version}`;
}

const signatures = (m: LibvirtModel): string[] =>
  m.signatures.map(
    (s) =>
      `family ${s.family} model ${s.model}${s.steppings ? ` stepping ${ranges(s.steppings)}` : ''}`,
  );

/** `0 to 4, 7`. */
function ranges(numbers: readonly number[]): string {
  const sorted = [...numbers].sort((a, b) => a - b);
  const runs: [number, number][] = [];
  for (const n of sorted) {
    const run = runs.at(-1);
    if (run && n === run[1] + 1) run[1] = n;
    else runs.push([n, n]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from} to ${to}`)).join(', ');
}

const change = (catalog: Catalog, from: Row, to: Row): string[] => [
  ...namesOf(catalog, minus(to, from)).map((name) => `+${name}`),
  ...namesOf(catalog, minus(from, to)).map((name) => `-${name}`),
];

/** Names of a row; the many bits of vmx, which show only where vmx itself is on, as one word where they are many. */
function namesOf(catalog: Catalog, row: Row): string[] {
  const names = catalog.names(row);
  const latent = names.filter((name) => name.startsWith('vmx-'));
  return latent.length <= 8
    ? names
    : [...names.filter((name) => !name.startsWith('vmx-')), `vmx-*(${latent.length})`];
}

const shelf: Shelf<Model> = {
  plural: 'models',
  singular: 'model',
  examples: `  plimsoll models                   all of them
  plimsoll models Skylake-Server    which versions there are
  plimsoll models EPYC-v4 --json    what it stands for in libvirt and in QEMU
`,
  items: (catalog) =>
    [...new Set([...catalog.libvirtModels.keys(), ...catalog.qemuModels.keys()])]
      .sort(byBytes)
      .map((name) => shelf.find(catalog, name)!),
  find(catalog, name) {
    const libvirt = catalog.libvirtModels.get(name);
    const qemu = catalog.qemuModels.get(name);
    return libvirt || qemu ? { name, libvirt, qemu } : undefined;
  },
  record(catalog, m, whole) {
    const rows = whole ? rowsOf(catalog, m) : { libvirt: null, qemu: null };
    const { libvirt: l, qemu: q } = m;
    return {
      name: m.name,
      vendor: vendorOf(m),
      libvirt: l
        ? {
            since: l.since,
            decodesHosts: l.decodeHost,
            decodesGuests: l.decodeGuest,
            canonical: l.canonical,
            signatures: l.signatures,
            ...(rows.libvirt ? { features: catalog.names(rows.libvirt) } : {}),
          }
        : null,
      qemu: q
        ? {
            since: q.since,
            until: q.until,
            kind: q.kind,
            of: q.of,
            base: q.base,
            version: q.version,
            ...(whole
              ? {
                  versions:
                    q.kind === 'machine-alias'
                      ? versionsOf(catalog, m.name).map((v) => v.name)
                      : [],
                  otherNames: othersOf(catalog, m.name),
                  values: q.values,
                }
              : {}),
            ...(rows.qemu ? { features: catalog.names(rows.qemu) } : {}),
          }
        : null,
    };
  },
  head: ['model', 'libvirt', 'QEMU', 'stands for', 'vendor'],
  row: (catalog, m) => [
    m.name,
    m.libvirt?.since ?? '-',
    m.qemu ? m.qemu.since + (m.qemu.until ? ` to ${m.qemu.until}` : '') : '-',
    m.qemu ? meaning(catalog, m.qemu) : 'libvirt only',
    vendorOf(m) ?? 'any',
  ],
  title: (m) => `${m.name}${vendorOf(m) ? `, ${vendorOf(m)}` : ''}`,
  facts(catalog, m) {
    const { libvirt: l, qemu: q } = m;
    const rows = rowsOf(catalog, m);
    const versions = q?.kind === 'machine-alias' ? versionsOf(catalog, m.name) : [];
    const newest = catalog.versions.qemu.at(-1)!;
    const version = q?.kind === 'versioned' ? q.version! : 1;
    const before = version > 1 ? catalog.qemuFeatures(`${q!.base}-v${version - 1}`, newest) : null;
    const differs = rows.libvirt && rows.qemu ? change(catalog, rows.qemu, rows.libvirt) : [];
    return [
      [
        'QEMU',
        q
          ? `since ${q.since}${q.until ? `, until ${q.until}` : ''}; stands for ${meaning(catalog, q)}${versions.length > 1 ? ' by machine type' : ''}`
          : 'does not know it',
      ],
      [
        'libvirt',
        l
          ? `since ${l.since}${l.decodeGuest || !q ? '' : '; takes it from a guest, and never calls a CPU so by itself'}${q ? '' : '; no QEMU of the catalog has it, so no guest can be given it'}`
          : 'does not know it',
      ],
      ['also called', listed(othersOf(catalog, m.name))],
      ['processors', l ? signatures(l).join('; ') : ''],
      ['reports', q?.values['model-id'] ? String(q.values['model-id']) : ''],
      ...versions.map((v, i): Fact => {
        const own = catalog.qemuFeatures(v.name, newest);
        const last = i > 0 ? catalog.qemuFeatures(versions[i - 1]!.name, newest) : null;
        return [
          `-v${v.version}`,
          own && last ? change(catalog, last, own) : own ? count(size(own), 'feature') : '',
        ];
      }),
      ['than before', before && rows.qemu ? orNothing(change(catalog, before, rows.qemu)) : ''],
      ['in libvirt', differs],
      ...featureFacts(catalog, rows),
    ];
  },
};

const orNothing = (words: readonly string[]): readonly string[] =>
  words.length > 0 ? words : ['no feature changed'];

function featureFacts(
  catalog: Catalog,
  { libvirt, qemu }: { libvirt: Row | null; qemu: Row | null },
): Fact[] {
  const row = qemu ?? libvirt;
  if (!row || isEmpty(row)) return [];
  return [[`${size(row)} in ${qemu ? 'QEMU' : 'libvirt'}`, namesOf(catalog, row)]];
}
