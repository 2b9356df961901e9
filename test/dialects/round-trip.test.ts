// Every language that is written is read again: the features that arrive are those that left, over the catalog.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { bitsOf, hasBit, join, meet, minus, type Row, rowOf } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog.ts';
import type { GuestCpu } from '../../src/cpu/definition.ts';
import type { Description } from '../../src/cpu/host.ts';
import { closeDependencies } from '../../src/cpu/qemu.ts';
import { parseStack } from '../../src/cpu/stack.ts';
import { dialectByName, dialectNames, recogniseDialect } from '../../src/dialects/index.ts';
import { baseline } from '../../src/solve/baseline.ts';
import { guestCpu } from '../../src/solve/guest-cpu.ts';
import { fleetOf } from '../support/hosts.ts';
import { assertProperty } from '../support/property.ts';

const test = suite('round trip');
const catalog = await loadCatalog();
const STACKS = ['oldest', 'newest', 'libvirt@11.3,qemu@7.2'];
const MODELS = [...catalog.qemuModels.values()].filter(
  (m) =>
    m.kind === 'versioned' && m.vendor !== null && catalog.qemuFeatures(m.name, m.until ?? '10.0'),
);
const LOWEST = 'cmov cx8 fpu fxsr mmx syscall sse sse2'.split(' ');
const OFFERED = catalog.features.filter((f) => f.offered.size > 0 && f.merge === 'all');
/** What no answer counts: the guest's topology and its system set it. */
const ASIDE = rowOf(
  catalog.bits,
  catalog.features.filter((f) => f.merge === 'never' || f.merge === 'equal').map((f) => f.id),
);

/** A CPU that a fleet of two hosts could be given. */
function drawn(
  model: number,
  more: readonly number[],
  fewer: readonly number[],
  stack: string,
): GuestCpu {
  const { name, vendor, until } = MODELS[model % MODELS.length]!;
  const own = catalog.qemuFeatures(name, until ?? catalog.versions.qemu.at(-1)!)!;
  const kvm = catalog.accelerators.kvm.on;
  const extra = rowOf(
    catalog.bits,
    more.map((i) => OFFERED[i % OFFERED.length]!.id),
  );
  const a = join(join(own, kvm), extra);
  const lost = bitsOf(own);
  const b = minus(
    a,
    rowOf(
      catalog.bits,
      fewer.map((i) => lost[i % lost.length]!),
    ),
  );
  const host = (id: string, row: Row) => ({
    id,
    features: catalog.names(row),
    facts: { vendor, limits: { physBits: 46 } },
  });
  const fleet = fleetOf(catalog, [host('a', a), host('b', b)]);
  return guestCpu(baseline(fleet, { stack: parseStack(catalog, stack) }), catalog, fleet);
}

const MADE = fc.tuple(
  fc.nat(500),
  fc.array(fc.nat(500), { maxLength: 12 }),
  fc.array(fc.nat(500), { maxLength: 8 }),
  fc.constantFrom(...STACKS),
);

/** The CPU of a made fleet, where both products have a name for it. */
function made(args: [number, number[], number[], string]): GuestCpu {
  const cpu = drawn(...args);
  fc.pre(Object.keys(cpu.definitions).length === 2);
  return cpu;
}

async function readBack(name: string, text: string): Promise<Description[]> {
  const reader = dialectByName(name)!;
  return reader.read!({ name: 'written', bytes: new TextEncoder().encode(text) }, catalog);
}

/**
 * Features that a reading gets wrong. Names mean different things to versions of libvirt, and text does not say which
 * wrote it: where they differ the reading may leave a feature open, and must not deny it.
 */
function differ(cpu: GuestCpu, d: Description, tells: Row): string[] {
  const wanted = catalog.row(cpu.features);
  const denied = minus(meet(wanted, d.known), d.has);
  // QEMU clears what lacks its prerequisite, so no definition switches that off.
  const given = closeDependencies(catalog, d.has);
  return catalog.names(meet(minus(join(denied, minus(given, wanted)), ASIDE), tells));
}
/** Features of the CPU that a reading says nothing of. */
const open = (cpu: GuestCpu, d: Description, tells: Row): string[] =>
  catalog.names(meet(minus(minus(catalog.row(cpu.features), d.known), ASIDE), tells));

const ALL = rowOf(catalog.bits, catalog.features.keys());
/** KVM gives its own features to every guest, so libvirt's words leave them out. */
const UNASKED = catalog.accelerators.kvm.on;

/** Who reads what is written, and the features that the language can carry. */
const READERS: Readonly<
  Record<string, { readonly by: string; readonly tells: Row; readonly isExact?: true }>
> = {
  libvirt: { by: 'libvirt', tells: minus(ALL, UNASKED) },
  nova: { by: 'nova', tells: minus(ALL, UNASKED) },
  kubevirt: { by: 'kubernetes', tells: minus(ALL, UNASKED) },
  ovirt: { by: 'ovirt', tells: minus(ALL, UNASKED) },
  qemu: { by: 'qemu', tells: ALL, isExact: true },
  // Proxmox VE gives it to every guest by itself.
  proxmox: { by: 'proxmox', tells: minus(ALL, catalog.row(['kvm-pv-unhalt'])), isExact: true },
  incus: { by: 'incus', tells: ALL, isExact: true },
  firecracker: {
    by: 'firecracker',
    isExact: true,
    tells: rowOf(
      catalog.bits,
      catalog.features
        .filter((f) => f.places.every((p) => p.kind === 'cpuid' || p.msr === 0x10a))
        .map((f) => f.id),
    ),
  },
};

for (const [name, { by, tells, isExact }] of Object.entries(READERS))
  test(`what ${name} is told comes back from it`, async () => {
    await assertProperty(
      fc.asyncProperty(MADE, async (args) => {
        const cpu = made(args);
        const text = dialectByName(name)!.write!(cpu, catalog);
        const all = await readBack(by, text);
        assert.is(all.length, 1);
        const wrong = differ(cpu, all[0]!, tells).join(' ');
        assert.is(wrong, '', `wrong: ${wrong}\n${text}`);
        const left = isExact ? open(cpu, all[0]!, tells).join(' ') : '';
        assert.is(left, '', `left open: ${left}\n${text}`);
      }),
      { numRuns: 60 },
    );
  });

test('a language recognises what it writes, where it reads', async () => {
  const cpu = drawn(3, [], [], 'oldest');
  const found = Object.fromEntries(
    Object.entries(READERS).flatMap(([name, { by }]) =>
      name === 'qemu'
        ? []
        : [[by, recogniseDialect(dialectByName(name)!.write!(cpu, catalog))?.name]],
    ),
  );
  assert.equal(found, Object.fromEntries(Object.keys(found).map((by) => [by, by])));
});

test('every language that is written says how it is used, and ends in a newline', () => {
  assertProperty(
    fc.property(MADE, (args) => {
      const cpu = made(args);
      for (const name of dialectNames('write')) {
        const dialect = dialectByName(name)!;
        assert.ok(dialect.use, name);
        if (name === 'x86-64' && !LOWEST.every((f) => cpu.features.includes(f))) {
          assert.throws(() => dialect.write!(cpu, catalog), /below x86-64-v1/);
          continue;
        }
        assert.match(dialect.write!(cpu, catalog), /[^\n]\n$/, name);
        for (const note of dialect.notes?.(cpu, catalog) ?? []) assert.match(note.message, /\w/);
      }
    }),
    { numRuns: 40 },
  );
});

test('a mask of Xen hides all that some host has beyond the line', () => {
  assertProperty(
    fc.property(MADE, (args) => {
      const cpu = made(args);
      const line = dialectByName('xen')!.write!(cpu, catalog);
      const masked = new Set([...line.matchAll(/,([\w+-]+)=0/g)].map(([, name]) => name));
      const wanted = catalog.row(cpu.features);
      for (const f of catalog.features) {
        if (f.xen === null || f.merge !== 'all') continue;
        const must = cpu.beyond!.includes(f.name) && !hasBit(wanted, f.id);
        assert.is(masked.has(f.xen), must, f.name);
      }
    }),
    { numRuns: 40 },
  );
});

test.run();
