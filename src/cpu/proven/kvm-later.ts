// What KVM of other kernels makes of a host: from which on it gives a feature, and up to which it did.
import { hasBit, type Row } from '../../core/rows.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { Note } from '../description.ts';
import { askedKernel, KvmHost, type Shown } from './kvm.ts';
import { kvmTable, type Tristate } from './kvm-table.ts';

/** The kernels of the mainline that decide about a feature, each by the version that was read. */
export interface Deciding {
  /** From this one on, all give it. */
  readonly from: string | null;
  /** This one gave it, and the one after it and all later do not: `taken`. */
  readonly until: string | null;
  readonly taken: string | null;
}

/** Asks every kernel of the mainline about one host, each when it is needed. */
export class OtherKernels {
  readonly #catalog: Catalog;
  readonly #shown: Shown;
  readonly #names: readonly string[];
  readonly #hosts: KvmHost[] = [];

  constructor(catalog: Catalog, shown: Shown) {
    this.#catalog = catalog;
    this.#shown = shown;
    this.#names = kvmTable(catalog).file.kernels;
  }

  about(id: number): Deciding {
    const names = this.#names;
    const given = names.map((_, kernel) => this.#gives(kernel, id));
    const first = given.lastIndexOf(false);
    const open = given.lastIndexOf(undefined);
    const start = Math.max(first, open) + 1;
    const last = given.lastIndexOf(true);
    const isTaken =
      last >= 0 && last < names.length - 1 && given.slice(last + 1).every((g) => g === false);
    return {
      // What all of them give, no kernel decides.
      from: start > 0 && start < names.length && this.#isBefore(start) ? names[start]! : null,
      until: isTaken ? names[last]! : null,
      taken: isTaken ? names[last + 1]! : null,
    };
  }

  /** Whether the last kernel gives it no more; only then may a kernel have taken it. */
  isLost(id: number): boolean {
    return this.#gives(this.#names.length - 1, id) === false;
  }

  #host(kernel: number): KvmHost {
    const known = this.#hosts[kernel];
    if (known) return known;
    const host = new KvmHost(this.#catalog, { ...this.#shown, asIf: this.#names[kernel]! });
    this.#hosts[kernel] = host;
    return host;
  }

  /** Whether the host's own kernel may be older than one that was read. */
  #isBefore(kernel: number): boolean {
    const table = kvmTable(this.#catalog);
    const { like, rows } = table.kernelsLike(askedKernel(this.#shown));
    return like === 'older' || rows.some((row) => row < kernel || row >= this.#names.length);
  }

  /** With all that QEMU clears it without. */
  #gives(kernel: number, id: number): Tristate {
    const host = this.#host(kernel);
    const needs = this.#catalog.features[id]!.needs.map((group) =>
      group.some((other) => host.given(other) === true),
    );
    const is = host.given(id);
    return is === true && needs.includes(false) ? undefined : is;
  }
}

/** What a newer kernel takes of what guests are given on a host, as notes. */
export function takenLater(catalog: Catalog, shown: Shown, has: Row): Note[] {
  const table = kvmTable(catalog);
  const modules = table.modulesOf(shown.vendor);
  if (modules.length > 1) return [];
  const kernels = new OtherKernels(catalog, shown);
  const at = table.lossy(modules[0]!).filter((id) => hasBit(has, id) && kernels.isLost(id));
  return at.flatMap((id) => {
    const { taken } = kernels.about(id);
    if (taken === null) return [];
    const { name } = catalog.features[id]!;
    return [
      {
        code: 'kernel-takes',
        message: `KVM of kernel ${taken} and later gives no ${name} on this processor, so guests that list it do not start after such an upgrade; plimsoll drift --to-kernel ${taken} says which`,
      },
    ];
  });
}
