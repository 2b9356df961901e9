// What writers of products on top of libvirt and QEMU have in common.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Definition, GuestCpu, Scheduled } from '../../cpu/definition.ts';
import { isX86, type Note } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { byBytes } from '../../cpu/order.ts';
import { DEFAULT_PHYS_BITS } from '../../cpu/processor-facts.ts';
import type { Dialect } from '../dialect.ts';

/** Hosts of a note that are named. */
const NAMED_HOSTS = 20;

/** @throws QueryError where the answer has no definition for the product. */
export function definitionFor(cpu: GuestCpu, product: 'libvirt' | 'qemu', by: string): Definition {
  const definition = cpu.definitions[product];
  if (definition) return definition;
  const name = product === 'qemu' ? 'QEMU' : 'libvirt';
  throw new QueryError(
    `this CPU has no definition for ${name}, which ${by} builds on; name a ${name} in --stack, like --stack ${product}@${product === 'qemu' ? '10.0' : '11.3'}`,
  );
}

/**
 * A CPU in a language.
 * @throws QueryError for an architecture that the language has no word for.
 */
export function writeCpu(dialect: Dialect, cpu: GuestCpu, catalog: Catalog): string {
  if (!dialect.writesAll && !isX86(cpu))
    throw new QueryError(
      `a CPU of ${cpu.arch} cannot be written for ${dialect.name}, which is known of x86 alone; --to libvirt and --to qemu can say it`,
    );
  return dialect.write!(cpu, catalog);
}

/** A feature of a definition in libvirt's spelling, and whether it is on. */
export interface Switch {
  readonly name: string;
  readonly on: boolean;
}

/** What a definition switches, in libvirt's spelling and in byte order. */
export const libvirtSwitches = (catalog: Catalog, definition: Definition): Switch[] =>
  switches(definition, (name) => {
    const spelling = catalog.findQemu(name)?.libvirt?.name;
    if (spelling === undefined) throw new RangeError(`libvirt has no name for feature "${name}"`);
    return spelling;
  });

/** What a definition switches, in QEMU's spelling and in byte order. */
export const qemuSwitches = (definition: Definition): Switch[] =>
  switches(definition, (name) => name);

const switches = ({ require, disable }: Definition, spell: (name: string) => string): Switch[] =>
  [
    ...require.map((name) => ({ name: spell(name), on: true })),
    ...disable.map((name) => ({ name: spell(name), on: false })),
  ].sort((a, b) => byBytes(a.name, b.name));

/** A definition by a name that every host calls usable as it stands, where there is one; `never`: names it finds nowhere. */
export function scheduledFor(
  cpu: GuestCpu,
  by: string,
  never: ReadonlySet<string> = new Set(),
): Scheduled {
  const definition = definitionFor(cpu, 'libvirt', by);
  return cpu.byName?.(never) ?? { definition, without: { count: 0, hosts: [] } };
}

/** On which hosts the product will not start a guest, because it looks for the model by its name. */
export function scheduledNote(
  { definition: { name }, without: { count, hosts } }: Scheduled,
  by: string,
  never: ReadonlySet<string> = new Set(),
): Note[] {
  if (count === 0) return [];
  const named = hosts.slice(0, NAMED_HOSTS);
  const more = count - named.length;
  const who = `${named.join(', ')}${more > 0 ? `${named.length > 0 ? ' and ' : ''}${more} ${named.length > 0 ? 'more' : count === 1 ? 'host' : 'hosts'}` : ''}`;
  return [
    {
      code: 'not-scheduled',
      message: never.has(name)
        ? `${by} calls ${name} obsolete and finds it on no host, so this CPU is never scheduled on ${who}; choose a newer model`
        : `${by} will not schedule this CPU on ${who}: it looks for hosts on which ${name} is usable as it stands, and no model that could be made to mean these features is so on every host`,
    },
  ];
}

/** What becomes of the physical address bits where a product cannot be told them. */
export function physBitsNote({ physBits }: GuestCpu, product: string, instead = ''): Note[] {
  if (physBits === null || physBits === DEFAULT_PHYS_BITS) return [];
  return [
    {
      code: 'cannot-express',
      message: `${product} cannot be told the ${physBits} physical address bits of this CPU, so guests get QEMU's ${DEFAULT_PHYS_BITS}${physBits < DEFAULT_PHYS_BITS ? `, more than some host has: they may die when they move there` : ''}${instead && `; ${instead}`}`,
    },
  ];
}
