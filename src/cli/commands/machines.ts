// plimsoll machines [NAME]: the machine types of QEMU, and what each changes about CPUs.
import type { Command } from 'commander';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { byBytes } from '../../cpu/order.ts';
import { machineAliases } from '../../cpu/qemu/properties.ts';
import type { Answering } from '../io.ts';
import type { Fact } from '../screen/render.ts';
import { defineShelf, type Shelf } from '../screen/show.ts';
import { count, listed } from '../screen/text.ts';

export const define = (command: Command, answering: Answering): void =>
  defineShelf(command, answering, shelf);

type Machine = Catalog['machines'][number];
type Change = ReturnType<Catalog['machineChanges']>[number];

/** What a model name without a version stands for. */
const MEANINGS = { latest: 'the newest version', legacy: 'version 1, as it was', 1: 'version 1' };
const meaning = (m: Machine): string => MEANINGS[m.default];

/** What names without a version (pc, q35) stand for in the newest QEMU. */
const newestAliases = (catalog: Catalog): [string, string][] =>
  Object.entries(machineAliases(catalog, catalog.versions.qemu.at(-1)!));

const covers = (ranges: readonly (readonly number[])[], index: number): boolean =>
  ranges.some(([from, to]) => index >= from! && index <= (to ?? from!));

/** The models that this QEMU changes on the machine type, in byte order. */
function changesOf(catalog: Catalog, machine: Machine, qemu: string): Change[] {
  const index = catalog.machines.indexOf(machine);
  return [...catalog.qemuModels.keys()]
    .sort(byBytes)
    .flatMap((model) =>
      catalog.machineChanges(model, qemu).filter((c) => covers(c.machines, index)),
    );
}

function valuesOf(catalog: Catalog, machine: Machine, qemu: string): Record<string, unknown> {
  const index = catalog.machines.indexOf(machine);
  const all = catalog.allCpuChanges.filter((c) => c.qemu === qemu && covers(c.machines, index));
  return Object.assign({}, ...all.map((c) => c.values));
}

const words = (c: Change): string[] => [
  ...(c.on ?? []).map((name) => `+${name}`),
  ...(c.off ?? []).map((name) => `-${name}`),
  ...Object.entries(c.values ?? {}).map(([name, value]) => `${name}=${value}`),
];

const shelf: Shelf<Machine> = {
  plural: 'machines',
  singular: 'machine type',
  examples: `  plimsoll machines                 all of them
  plimsoll machines pc-q35-9.2      what it changes about CPUs
`,
  items: (catalog) => [...catalog.machines].sort((a, b) => byBytes(a.name, b.name)),
  find(catalog, name) {
    const full = newestAliases(catalog).find(([alias]) => alias === name)?.[1] ?? name;
    return catalog.machines.find((m) => m.name === full);
  },
  record: (catalog, m, whole) => ({
    name: m.name,
    qemu: m.qemu,
    deprecated: m.deprecated ?? [],
    defaultOf: m.defaultOf ?? [],
    unversioned: m.default === 'latest' ? 'newest' : 'v1',
    ...(whole
      ? {
          changes: m.qemu.map((qemu) => ({
            qemu,
            values: valuesOf(catalog, m, qemu),
            models: changesOf(catalog, m, qemu).map((c) => ({
              model: c.model,
              on: c.on ?? [],
              off: c.off ?? [],
              values: c.values ?? {},
            })),
          })),
        }
      : {}),
  }),
  head: ['machine type', 'QEMU', 'a name without -vN means', ''],
  row: (_, m) => [
    m.name,
    m.qemu.join(' '),
    meaning(m),
    m.deprecated
      ? `deprecated in ${listed(m.deprecated)}`
      : m.defaultOf
        ? `default of ${listed(m.defaultOf)}`
        : '',
  ],
  title: (m) => m.name,
  facts(catalog, m) {
    const changes = m.qemu.map((qemu) => ({
      qemu,
      values: Object.entries(valuesOf(catalog, m, qemu)).map(([name, value]) => `${name}=${value}`),
      models: changesOf(catalog, m, qemu),
    }));
    return [
      ['known to', `QEMU ${listed(m.qemu)}`],
      [
        'also called',
        listed(newestAliases(catalog).flatMap(([alias, name]) => (name === m.name ? [alias] : []))),
      ],
      ['deprecated', m.deprecated ? `in QEMU ${listed(m.deprecated)}` : ''],
      ['default', m.defaultOf ? `of QEMU ${listed(m.defaultOf)}` : ''],
      ['names', `a model name without -vN means ${meaning(m)}`],
      ...changes.flatMap(({ qemu, values, models }): Fact[] => [
        [
          `QEMU ${qemu}`,
          `changes ${count(models.length, 'model')}, and ${count(values.length, 'value')} of every CPU`,
        ],
        ['', values],
        ...models.map((c): Fact => ['', [`${c.model}:`, ...words(c)]]),
      ]),
    ];
  },
};
