// Guests whose CPU another document settles: a custom model of Proxmox VE, the default of a KubeVirt cluster.
import type { Catalog } from '../cpu/catalog/catalog.ts';
import type { Description } from '../cpu/description.ts';
import { withClusterModel } from '../dialects/products/kubevirt.ts';
import { withModels } from '../dialects/products/proxmox-config.ts';

interface One {
  readonly input: string;
  readonly description: Description;
}

/** Whether it waits for another document, or may be waited for. */
export const isSettledBeside = ({ asked, dialect }: Description): boolean =>
  asked?.by === 'proxmox' || dialect === 'kubevirt';

/**
 * All of them, each settled by the others. What settles guests that are there is no guest itself.
 * @throws QueryError where it cannot be told which document a guest means.
 */
export const settledBeside = <R extends One>(catalog: Catalog, read: readonly R[]): R[] =>
  withClusterModel(catalog, withModels(catalog, read));
