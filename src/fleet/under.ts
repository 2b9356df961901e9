// Hosts as if they ran another kernel: what they were described by is settled again.
import type { Catalog } from '../cpu/catalog/catalog.ts';
import { type Description, isShown, isX86 } from '../cpu/description.ts';
import type { Fleet } from './fleet.ts';
import { joinDocuments } from './join.ts';
import { type Kind, kindOfHost } from './kind.ts';

/** The code of the note about hosts that stay as they are, whatever kernel is asked about. */
export const KEPT = 'kernel-kept';

/** The same hosts as if they ran this kernel; their kinds keep their numbers. */
export const underKernel = (fleet: Fleet, kernel: string): Fleet =>
  fleet.as(fleet.kinds.map((kind) => kindUnder(fleet.catalog, kind, kernel)));

/** The same hosts under this kernel; those that it cannot be asked of are as they are, and say why. */
function kindUnder(catalog: Catalog, kind: Kind, kernel: string): Kind {
  const { described } = kind;
  if (!described)
    return noted(
      kind,
      'a summary holds what hosts offer under their own kernels, so they are taken as they are; give what they were summarized from',
    );
  const documents = described.map(({ input, description }) => {
    const why = whyKept(description);
    const again = kindOfHost(
      catalog,
      why === null ? { ...description, asIf: kernel } : description,
    );
    return { input, kind: why === null ? again : noted(again, why) };
  });
  return { ...joinDocuments(catalog, 'here', documents), described };
}

/** Why a description tells nothing of what another kernel would give; null where it does. */
function whyKept(d: Description): string | null {
  if (d.view === 'guest') return null;
  if (!isX86(d))
    return `what KVM of each kernel gives is known of x86 alone, so the host is taken as it is`;
  return isShown(d)
    ? null
    : 'described by its hypervisor, which says what its own kernel gives, so it is taken as it is; a CPUID dump (cpuid -r -1) or /proc/cpuinfo tells the hardware';
}

const noted = (kind: Kind, message: string): Kind => ({
  ...kind,
  notes: [...kind.notes, { code: KEPT, message }],
});
