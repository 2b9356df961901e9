// What libvirt's rules say of a CPU on a host: the verdict, and for a refusal its one reason.
import type { Verdict } from '../answer.ts';

/** Why a host refuses a CPU. */
export type Obstacle = 'host' | 'arch' | 'vendor' | 'model' | 'forbidden' | 'missing' | 'extra';

export interface LibvirtVerdict {
  readonly verdict: Verdict;
  readonly because?: Obstacle;
  readonly reason?: string;
  /** The features that the reason is about, by libvirt's names in its map's order. */
  readonly features?: readonly string[];
}

export const refuse = (
  because: Obstacle,
  reason: string,
  features: readonly string[] = [],
): LibvirtVerdict => ({
  verdict: 'incompatible',
  because,
  reason,
  ...(features.length > 0 ? { features } : {}),
});
