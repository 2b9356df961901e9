// Random fleets near real ones: models with some features taken away, some added, some left open.
import fc from 'fast-check';
import type { Catalog } from '../../src/cpu/catalog/catalog.ts';
import type { Made } from './hosts.ts';

/** What KVM gives to every guest, as a hypervisor would list it. */
export const KVM = [
  'kvmclock',
  'kvm-nopiodelay',
  'kvm-asyncpf',
  'kvm-steal-time',
  'kvm-pv-eoi',
  'kvmclock-stable-bit',
  'x2apic',
];

/** One to `most` hosts of a vendor. */
export function madeFleet(catalog: Catalog, vendor: 'Intel' | 'AMD', most: number) {
  const models = [...catalog.qemuModels.values()]
    .filter((m) => m.kind === 'versioned' && m.vendor === vendor)
    .map((m) => m.name);
  const feature = fc.constantFrom(
    ...catalog.features.filter((f) => f.merge !== 'never').map((f) => f.name),
  );
  const one = fc.record({
    model: fc.constantFrom(...models),
    plus: fc.uniqueArray(feature, { maxLength: 5 }),
    less: fc.uniqueArray(feature, { maxLength: 5 }),
    open: fc.uniqueArray(feature, { maxLength: 3 }),
  });
  return fc.array(one, { minLength: 1, maxLength: most }).map((list) =>
    list.map(({ model, plus, less, open }, i): Made => {
      const features = catalog.names(catalog.qemuFeatures(model, '10.0')!);
      const gone = new Set([...less, ...open]);
      return {
        id: `h${i}`,
        features: [...new Set([...features, ...KVM, ...plus])].filter((f) => !gone.has(f)),
        unknown: open,
        facts: { vendor },
      };
    }),
  );
}
